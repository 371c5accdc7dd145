//! The alerts of TLS that say why an agent is refused (RFC 8446 section 6.2), both ways.
//!
//! | alert | what speaks against the agent |
//! |---|---|
//! | `certificate_revoked` | `revocation.revoked` |
//! | `unknown_ca` | `federation.*`, `chain.unknownAnchor` |
//! | `bad_certificate` | the other codes of `chain.*` and `profile.*` |
//! | `unsupported_certificate` | `algorithm.*` |
//! | `certificate_expired` | `profile.expired`, `profile.notYetValid`, `chain.validity` |
//! | `certificate_unknown` | `sat.*` |
//! | `bad_certificate_status_response` | the other codes of `revocation.*` |
//! | `access_denied` | `trust.*`, `capability.*`, `delegation.*`, `provenance.*`, `profile.peer` |
//!
//! Of several reasons the one that stands first in the table is sent.

use std::fmt;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, OtherError};

use crate::verify::relying::{Code, Refused};

/// What an alert says of why an agent is refused; [`Display`](fmt::Display) tells it to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alert {
    /// `certificate_revoked`
    Revoked,
    /// `unknown_ca`
    UnknownCa,
    /// `bad_certificate`
    BadCertificate,
    /// `unsupported_certificate`
    Unsupported,
    /// `certificate_expired`
    Expired,
    /// `certificate_unknown`
    NotLogged,
    /// `bad_certificate_status_response`
    Status,
    /// `access_denied`
    Denied,
    /// `certificate_required`: there was no certificate. No verdict sends it.
    NoCertificate,
    /// `decrypt_error`: the certificate's key did not sign the handshake. No verdict sends it.
    NotTheKey,
}

impl Alert {
    /// The alert that says most of this refusal.
    pub fn of(refused: &Refused) -> Self {
        // There is one reason at least.
        refused.reasons().iter().map(|reason| Self::of_code(reason.code)).min().unwrap_or(Self::BadCertificate)
    }

    fn of_code(code: Code) -> Self {
        match code {
            Code::Revoked => Self::Revoked,
            Code::UnknownAnchor => Self::UnknownCa,
            Code::Expired | Code::NotYetValid | Code::IssuerValidity => Self::Expired,
            Code::Peer => Self::Denied,
            other => match other.family() {
                "federation" => Self::UnknownCa,
                "algorithm" => Self::Unsupported,
                "sat" => Self::NotLogged,
                "revocation" => Self::Status,
                "trust" | "capability" | "delegation" | "provenance" => Self::Denied,
                _ => Self::BadCertificate,
            },
        }
    }

    /// The alert of this description; `None` where it says nothing of a certificate.
    pub const fn received(description: AlertDescription) -> Option<Self> {
        Some(match description {
            AlertDescription::CertificateRevoked => Self::Revoked,
            AlertDescription::UnknownCA => Self::UnknownCa,
            AlertDescription::BadCertificate => Self::BadCertificate,
            AlertDescription::UnsupportedCertificate => Self::Unsupported,
            AlertDescription::CertificateExpired => Self::Expired,
            AlertDescription::CertificateUnknown => Self::NotLogged,
            AlertDescription::BadCertificateStatusResponse => Self::Status,
            AlertDescription::AccessDenied => Self::Denied,
            AlertDescription::CertificateRequired => Self::NoCertificate,
            AlertDescription::DecryptError => Self::NotTheKey,
            _ => return None,
        })
    }

    /// The error by which rustls sends the alert of this refusal. It has a place for the reasons in one kind of
    /// error only; whoever had the verdict made has them in any case.
    pub(super) fn error(refused: &Refused) -> CertificateError {
        match Self::of(refused) {
            Self::Revoked => CertificateError::Revoked,
            Self::UnknownCa => CertificateError::UnknownIssuer,
            Self::Unsupported => CertificateError::InvalidPurpose,
            Self::Expired => CertificateError::Expired,
            Self::NotLogged => CertificateError::Other(OtherError(Arc::new(refused.clone()))),
            Self::Status => CertificateError::InvalidOcspResponse,
            Self::Denied => CertificateError::ApplicationVerificationFailure,
            Self::NotTheKey => CertificateError::BadSignature,
            Self::BadCertificate | Self::NoCertificate => CertificateError::BadEncoding,
        }
    }

    /// Its name in RFC 8446.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revoked => "certificate_revoked",
            Self::UnknownCa => "unknown_ca",
            Self::BadCertificate => "bad_certificate",
            Self::Unsupported => "unsupported_certificate",
            Self::Expired => "certificate_expired",
            Self::NotLogged => "certificate_unknown",
            Self::Status => "bad_certificate_status_response",
            Self::Denied => "access_denied",
            Self::NoCertificate => "certificate_required",
            Self::NotTheKey => "decrypt_error",
        }
    }

    /// What would help the agent that received it.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Revoked => "the authority of this agent, or of one above it, was taken back: enrol or delegate anew",
            Self::UnknownCa => "the peer does not trust this agent's domain or its CA; its operator has to pin them",
            Self::BadCertificate => {
                "the certificates, or their order, are not as the protocol says: present cert.pem and parents.pem as \
                 they were written"
            }
            Self::Unsupported => "the peer takes neither this key nor this signature's algorithm",
            Self::Expired => "the certificate, or one above it, is not valid now: renew it, and look at the clock",
            Self::NotLogged => "the certificate has too few timestamps of logs that the peer trusts",
            Self::Status => "the peer needs newer word of revocation: staple an OCSP answer of now",
            Self::Denied => {
                "the peer knows who this agent is, and does not let it do this: score, capabilities, delegation or the \
                 list of peers"
            }
            Self::NoCertificate => "the peer wants a certificate, and none was presented",
            Self::NotTheKey => "the key that signed the handshake is not that of the certificate",
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.help())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;
    use crate::verify::relying::{Reason, Subject, Verdict};

    fn refused(codes: &[Code]) -> Box<Refused> {
        let reason = |code| Reason::new(code, Subject::Agent, "x");
        let first = Box::new(Refused::unread(reason(codes[0]), UnixMillis::new(0)));
        codes[1..].iter().fold(first, |refused, code| Verdict::Refused(refused).against(reason(*code)))
    }

    #[test]
    fn each_code_has_an_alert_that_rustls_sends() {
        for code in Code::ALL {
            let refused = refused(&[*code]);
            let alert = Alert::of(&refused);
            let sent = AlertDescription::from(Alert::error(&refused));
            assert_eq!(Alert::received(sent), Some(alert), "{}", code.as_str());
        }
    }

    #[test]
    fn the_alert_is_of_the_gravest_reason() {
        let of = |codes: &[Code]| Alert::of(&refused(codes)).name();
        assert_eq!(of(&[Code::ScoreTooLow, Code::Revoked, Code::Expired]), "certificate_revoked");
        assert_eq!(of(&[Code::Tool, Code::UnknownDomain]), "unknown_ca");
        assert_eq!(of(&[Code::Tool, Code::NoSat]), "certificate_unknown");
        assert_eq!(of(&[Code::Peer]), "access_denied");
        assert_eq!(of(&[Code::StatusStale, Code::NoParent]), "bad_certificate_status_response");
        assert_eq!(of(&[Code::Precertificate]), "bad_certificate");
        assert_eq!(of(&[Code::KeyAlgorithm]), "unsupported_certificate");
    }

    #[test]
    fn other_alerts_say_nothing_of_a_certificate() {
        for other in [AlertDescription::CloseNotify, AlertDescription::NoApplicationProtocol] {
            assert_eq!(Alert::received(other), None);
        }
    }
}
