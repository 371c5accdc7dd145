//! An entry's certificate, read once for all rules.

use std::cell::OnceCell;

use atl::apki::attestation::Attestation;
use atl::apki::capabilities::Capabilities;
use atl::apki::certificate::AgentNameError;
use atl::apki::delegation::Delegation;
use atl::apki::extension::ExtensionError;
use atl::apki::precertificate::{PoisonError, Precertificate, RecoverError, Recovered, recover};
use atl::apki::provenance::Provenance;
use atl::apki::trust_score::TrustScore;
use atl::apki::{AgentUri, Certificate};
use atl::log::entry::CertHash;
use atl::time::UnixMillis;

use super::Entry;
use super::words;
use crate::finding::{Class, EntryRef, Finding};

/// An extension as it was found.
pub(super) type Found<T> = Result<Option<T>, ExtensionError>;

/// What was submitted (protocol section 3).
pub(super) enum Form<'a> {
    /// A certificate as it is, whose timestamps travel beside it.
    Bare,
    /// A precertificate.
    Precertificate,
    /// A final certificate: its precertificate's hash, and the timestamps in it, not looked into.
    Final { precertificate: CertHash, sat_list: &'a [u8] },
    /// Something between these, and in words what is wrong with it.
    Misshapen(String),
}

impl<'a> Form<'a> {
    fn of(certificate: &'a Certificate) -> Self {
        let wrong_poison = |e: PoisonError| Self::Misshapen(e.to_string());
        let wrong_end = |e: RecoverError| Self::Misshapen(e.to_string());
        match (recover(certificate), Precertificate::of(certificate)) {
            (Err(e), _) => wrong_end(e),
            (_, Err(e)) => wrong_poison(e),
            (Ok(Some(Recovered { precertificate_der, sat_list_der })), _) => {
                Self::Final { precertificate: CertHash::of_certificate(&precertificate_der), sat_list: sat_list_der }
            }
            (Ok(None), Ok(Some(_))) => Self::Precertificate,
            (Ok(None), Ok(None)) => Self::Bare,
        }
    }
}

/// The certificate with all that rules ask of it.
pub(super) struct Seen<'a> {
    pub(super) entry: &'a Entry<'a>,
    pub(super) certificate: &'a Certificate,
    pub(super) uri: Result<AgentUri, AgentNameError>,
    pub(super) form: Form<'a>,
    pub(super) score: Found<TrustScore>,
    pub(super) capabilities: Found<Capabilities>,
    pub(super) delegation: Found<Delegation>,
    pub(super) provenance: Found<Provenance>,
    pub(super) attestation: Found<Attestation>,
    now: UnixMillis,
    words: OnceCell<Vec<(String, String)>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(entry: &'a Entry<'a>, certificate: &'a Certificate, now: UnixMillis) -> Self {
        Self {
            entry,
            certificate,
            uri: certificate.agent_uri(),
            form: Form::of(certificate),
            score: certificate.trust_score(),
            capabilities: certificate.capabilities(),
            delegation: certificate.delegation(),
            provenance: certificate.provenance(),
            attestation: certificate.attestation(),
            now,
            words: OnceCell::new(),
        }
    }

    /// The trust domain, where there is a valid agent URI.
    pub(super) fn domain(&self) -> Option<&str> {
        self.uri.as_ref().ok().map(AgentUri::trust_domain)
    }

    /// The agent in a sentence.
    pub(super) fn agent(&self) -> &str {
        self.uri.as_ref().map_or("an agent without a name", AgentUri::as_str)
    }

    /// What names the certificate in whatever form it is logged: a final certificate that repeats a precertificate
    /// is the same certificate, and is told once.
    pub(super) const fn identity(&self) -> CertHash {
        match self.form {
            Form::Final { precertificate, .. } => precertificate,
            _ => self.entry.cert_hash,
        }
    }

    /// The entry.
    pub(super) fn entry_ref(&self) -> EntryRef {
        entry_ref(self.entry)
    }

    /// A finding about this certificate: of which rule, and in one sentence.
    pub(super) fn finding(&self, class: Class, rule: &str, summary: String) -> Finding {
        self.finding_about(class, &self.identity().to_string(), rule, summary)
    }

    /// A finding about something else, found with this certificate.
    pub(super) fn finding_about(&self, class: Class, subject: &str, rule: &str, summary: String) -> Finding {
        let mut finding =
            Finding::new(class, Some(&self.entry.log.origin), subject, summary, self.now).with("rule", rule);
        finding.details.extend(self.words.get_or_init(|| words::certificate(self)).iter().cloned());
        finding.entry = Some(self.entry_ref());
        finding
    }
}

/// The name of an entry.
pub(super) fn entry_ref(entry: &Entry<'_>) -> EntryRef {
    EntryRef { log: entry.log.origin.as_str().to_owned(), index: entry.index, cert_hash: entry.cert_hash }
}
