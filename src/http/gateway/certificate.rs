//! The certificate that a client showed the proxy, as the proxy hands it on: nginx in `X-Client-Cert`, Envoy in
//! `X-Forwarded-Client-Cert`. Which of the two is believed is configured; the other one is never looked at.
//!
//! What an agent brings along itself, the CAs and the agents above it, comes in `X-Agent-Chain`. Nobody vouches
//! for that, and nobody needs to: certificates are believed for their signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::api::percent;
use crate::verify::relying::{MAX_CERTIFICATE, MAX_CERTIFICATES};

/// Octets of a header that are looked at; the listener takes no longer head.
const MAX_HEADER: usize = 64 << 10;

const END: &str = "-----END CERTIFICATE-----";

/// Why a header has no certificate that could be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateHeaderError {
    /// Too long.
    #[error("the header has more than {MAX_HEADER} octets")]
    TooLong,
    /// Percent-encoding that is none.
    #[error("the certificate is not percent-encoded text")]
    Escape,
    /// Not PEM.
    #[error("the text is not one certificate or more in PEM")]
    Pem,
    /// More than are looked at.
    #[error("the header has more than {MAX_CERTIFICATES} certificates, or one of more than {MAX_CERTIFICATE} octets")]
    TooMany,
    /// Not base64.
    #[error("the certificates are not in base64 with commas between them")]
    Base64,
    /// Against the grammar of `X-Forwarded-Client-Cert`.
    #[error("the header is not elements of `Key=value` pairs: {0}")]
    Element(&'static str),
    /// An element without a certificate.
    #[error("the last element has no Cert and no Chain: let the proxy set them (set_current_client_cert_details)")]
    NoCert,
    /// An element that contradicts itself.
    #[error("in the last element, {0}")]
    Contradiction(&'static str),
}

type Certificates = Vec<Vec<u8>>;

/// What nginx has in `$ssl_client_escaped_cert`: one certificate in PEM, percent-encoded. In DER.
///
/// # Errors
/// [`CertificateHeaderError`]
pub fn from_nginx(value: &str) -> Result<Vec<u8>, CertificateHeaderError> {
    bounded(value)?;
    match <[Vec<u8>; 1]>::try_from(escaped_pem(value)?) {
        Ok([leaf]) => Ok(leaf),
        Err(_) => Err(CertificateHeaderError::Pem),
    }
}

/// The certificates that an agent brings along: DER in base64, separated by commas.
///
/// # Errors
/// [`CertificateHeaderError`]
pub fn from_agent(value: &str) -> Result<Certificates, CertificateHeaderError> {
    bounded(value)?;
    let parts = value.split(',').map(|part| part.trim_matches([' ', '\t']));
    let decoded = parts.map(|part| STANDARD.decode(part).ok().filter(|der| !der.is_empty()));
    few(decoded.collect::<Option<_>>().ok_or(CertificateHeaderError::Base64)?)
}

/// Certificates in percent-encoded PEM.
pub(super) fn escaped_pem(value: &str) -> Result<Certificates, CertificateHeaderError> {
    let octets = percent::decode(value).ok_or(CertificateHeaderError::Escape)?;
    let text = std::str::from_utf8(&octets).map_err(|_| CertificateHeaderError::Pem)?;
    let blocks = text.split_inclusive(END).map(str::trim_ascii).filter(|block| !block.is_empty());
    let found: Certificates = blocks.map(one).collect::<Option<_>>().ok_or(CertificateHeaderError::Pem)?;
    if found.is_empty() { Err(CertificateHeaderError::Pem) } else { few(found) }
}

fn one(block: &str) -> Option<Vec<u8>> {
    let (label, der) = der::pem::decode_vec(block.as_bytes()).ok()?;
    (label == "CERTIFICATE").then_some(der)
}

pub(super) fn bounded(value: &str) -> Result<(), CertificateHeaderError> {
    if value.len() > MAX_HEADER { Err(CertificateHeaderError::TooLong) } else { Ok(()) }
}

fn few(found: Certificates) -> Result<Certificates, CertificateHeaderError> {
    let fits = found.len() <= MAX_CERTIFICATES && found.iter().all(|der| der.len() <= MAX_CERTIFICATE);
    if fits { Ok(found) } else { Err(CertificateHeaderError::TooMany) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// As nginx and Envoy write it: what is unreserved stays, everything else is escaped.
    pub fn escape(text: &str) -> String {
        let kept = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
        let escape = |c: u8| if kept(c) { char::from(c).to_string() } else { format!("%{c:02X}") };
        text.bytes().map(escape).collect()
    }

    /// PEM of these octets.
    pub fn pem(der: &[u8]) -> String {
        der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der).unwrap()
    }

    #[test]
    fn nginx_escapes_one_certificate() {
        let der: Vec<u8> = (0..=255).collect();
        let text = pem(&der);
        // nginx leaves `/` as it is in some versions, and others escape it.
        for value in [escape(&text), text.replace('\n', "%0A").replace(' ', "%20"), text.replace('\n', "%0a")] {
            assert_eq!(from_nginx(&value).unwrap(), der);
        }
        // A `+` of base64 that was not escaped is no blank.
        assert!(text.contains('+'));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        use CertificateHeaderError::{Escape, Pem, TooLong};
        let good = pem(&[0x30, 0]);
        let other = good.replace("CERTIFICATE", "PRIVATE KEY");
        let cases = [
            (String::new(), Pem),
            ("%".into(), Escape),
            ("%4".into(), Escape),
            ("%zz".into(), Escape),
            ("hello".into(), Pem),
            (escape(&other), Pem),
            (escape(&format!("{good}{other}")), Pem),
            (escape(&format!("{other}{good}")), Pem),
            (escape(&format!("{good}{good}")), Pem),
            (escape(&format!("x{good}")), Pem),
            (escape(&good.replace("MAA=", "MA=A")), Pem),
            (escape(good.split("-----END").next().unwrap()), Pem),
            ("-----BEGIN%20CERTIFICATE-----%FF".into(), Pem),
            ("%41".repeat(MAX_HEADER), TooLong),
        ];
        for (value, error) in cases {
            assert_eq!(from_nginx(&value), Err(error), "{}", &value[..value.len().min(60)]);
        }
    }

    #[test]
    fn an_agent_brings_a_list() {
        assert_eq!(from_agent("MAA=").unwrap(), [[0x30, 0]]);
        assert_eq!(from_agent("MAA=, MAE=").unwrap(), [[0x30, 0], [0x30, 1]]);
        for bad in ["", ",", "MAA=,", "MAA", "MAA= MAA=", "MAA=;MAA=", "-_-_"] {
            assert_eq!(from_agent(bad), Err(CertificateHeaderError::Base64), "{bad}");
        }
        let many = vec!["MAA="; MAX_CERTIFICATES + 1].join(",");
        assert_eq!(from_agent(&many), Err(CertificateHeaderError::TooMany));
    }
}
