//! Does an agent's certificate hold? The pure part of what `atl agent` accepts and shows: `now`, roots and
//! logs' keys are arguments.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::pem::{self, LineEnding};
use thiserror::Error;

use super::files::SavedLog;
use crate::api::B64;
use crate::api::ca::CertificateAnswer;
use crate::apki::chain::{Anchors, IssuerPath};
use crate::apki::{AgentUri, Certificate, oid, precertificate};
use crate::cli::files::pem_blocks;
use crate::keys::{LogId, PublicKey};
use crate::log::entry::CertHash;
use crate::log::note::VerifierKey;
use crate::log::sat::SatList;
use crate::time::UnixMillis;

/// How far two honest clocks may be apart (protocol section 6, R30).
const SKEW_MS: u64 = 60_000;

/// Most certificates from the agent's to the root, both included (R9).
const MAX_CHAIN: usize = 4;

/// A log whose timestamps can be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLog {
    /// Its URL, or the name of its verifier key.
    pub name: String,
    /// Who runs it, where that is known.
    pub operator: Option<String>,
    /// Its key.
    pub key: PublicKey,
    /// Whether the key is from the user, and not the CA's word.
    pub pinned: bool,
}

/// `URL+KEY`, where KEY is the base64 of a SubjectPublicKeyInfo, or the log's verifier key as it prints it.
impl FromStr for KnownLog {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of = |name: &str, key| Self { name: name.to_owned(), operator: None, key, pinned: true };
        if !text.starts_with("http://") && !text.starts_with("https://") {
            let vkey: VerifierKey = text.parse().map_err(|e| {
                format!("it must be URL+KEY, such as https://log.example.com/2026h2+MCow..., or a verifier key: {e}")
            })?;
            return Ok(of(vkey.name().as_str(), vkey.key().clone()));
        }
        // A key may hold a `+`, the URL of a log does not.
        let (url, key) = text.split_once('+').ok_or("the key is missing: it must be URL+KEY")?;
        let der = STANDARD.decode(key).map_err(|e| format!("the key behind {url} is not base64: {e}"))?;
        let key = PublicKey::from_spki_der(&der).map_err(|e| format!("the key behind {url}: {e}"))?;
        Ok(of(url.trim_end_matches('/'), key))
    }
}

impl KnownLog {
    /// As it is kept.
    pub fn saved(&self) -> SavedLog {
        let key = B64(self.key.spki_der().to_vec());
        SavedLog { log: self.name.clone(), operator: self.operator.clone(), key, pinned: self.pinned }
    }

    /// As it was kept.
    pub fn restore(saved: &SavedLog) -> Result<Self, String> {
        let key = PublicKey::from_spki_der(&saved.key.0).map_err(|e| format!("the key of {}: {e}", saved.log))?;
        Ok(Self { name: saved.log.clone(), operator: saved.operator.clone(), key, pinned: saved.pinned })
    }
}

/// What is to be said of one timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SatState {
    /// A log that we know signed it, for this certificate.
    Verified,
    /// Of a log whose key is not at hand: it does not count (R12).
    UnknownLog,
    /// It does not hold.
    Fault(String),
}

/// One timestamp of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SatFinding {
    /// The log that it names.
    pub log_id: LogId,
    /// That log, where it is known.
    pub log: Option<KnownLog>,
    /// Since when the log has the certificate.
    pub timestamp: UnixMillis,
    /// Whether it holds.
    pub state: SatState,
}

/// Whether a certificate corresponds to what the logs have (protocol section 3, step 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logged {
    /// The hash of the recovered precertificate.
    Precertificate(CertHash),
    /// Neither timestamps nor a precertificate's signature are in it.
    Beside,
    /// It cannot be recovered.
    Fault(String),
}

/// What is to be said of a certificate.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Whose it is.
    pub agent: Result<AgentUri, String>,
    /// Up to the root, where one was given: the root's SHA-256.
    pub chain: Option<Result<[u8; 32], String>>,
    /// What the logs have of it.
    pub logged: Logged,
    /// Its timestamps.
    pub sats: Vec<SatFinding>,
    /// All that does not hold, in sentences. What cannot be looked at is no fault.
    pub faults: Vec<String>,
}

impl Inspection {
    /// How many timestamps count.
    pub fn verified(&self) -> usize {
        self.sats.iter().filter(|sat| sat.state == SatState::Verified).count()
    }
}

/// Looks at the first of `certificates`, which the others are the issuers of.
pub fn inspect(
    certificate: &Certificate,
    issuers: &[Certificate],
    anchors: Option<&Anchors>,
    logs: &[KnownLog],
    now: UnixMillis,
) -> Inspection {
    let mut faults = Vec::new();
    let agent = certificate.agent_uri().map_err(|e| e.to_string());
    faults.extend(agent.as_ref().err().cloned());
    faults.extend(validity_fault("the certificate", certificate, now));
    let chain = anchors.map(|anchors| {
        let path = IssuerPath::find(certificate, issuers.to_vec(), anchors, MAX_CHAIN);
        let path = path.map_err(|e| format!("the chain to the root does not verify: {e}"));
        for (n, issuer) in path.iter().flat_map(IssuerPath::iter).enumerate() {
            faults.extend(validity_fault(&format!("issuer {}", n + 1), issuer.certificate(), now));
        }
        path.map(|path| *path.anchor().fingerprint())
    });
    faults.extend(chain.iter().filter_map(|c| c.as_ref().err().cloned()));
    let (logged, sats) = timestamps(certificate, logs, now);
    if let Logged::Fault(why) = &logged {
        faults.push(why.clone());
    }
    faults.extend(sats.iter().filter_map(|sat| match &sat.state {
        SatState::Fault(why) => Some(why.clone()),
        _ => None,
    }));
    faults.extend(extension_faults(certificate, now));
    Inspection { agent, chain, logged, sats, faults }
}

fn validity_fault(what: &str, certificate: &Certificate, now: UnixMillis) -> Option<String> {
    // Our clock may be behind the CA's by as much as is forgiven elsewhere.
    if certificate.not_before().since(now) > SKEW_MS {
        return Some(format!("{what} is not valid before {}", certificate.not_before()));
    }
    (now > certificate.not_after()).then(|| format!("{what} ended at {}", certificate.not_after()))
}

/// What the logs have of a certificate, and its timestamps.
pub fn timestamps(certificate: &Certificate, logs: &[KnownLog], now: UnixMillis) -> (Logged, Vec<SatFinding>) {
    if certificate.extension(&oid::PRECERTIFICATE_POISON).is_some() {
        return (Logged::Fault("it is a precertificate, which nobody may accept".into()), Vec::new());
    }
    let recovered = match precertificate::recover(certificate) {
        Ok(Some(recovered)) => recovered,
        Ok(None) => return (Logged::Beside, Vec::new()),
        Err(error) => return (Logged::Fault(error.to_string()), Vec::new()),
    };
    let cert_hash = CertHash::of_certificate(&recovered.precertificate_der);
    let list = match SatList::from_der(recovered.sat_list_der) {
        Ok(list) => list,
        Err(error) => return (Logged::Fault(format!("signedAgentTimestampList: {error}")), Vec::new()),
    };
    let findings = list.sats().iter().map(|sat| {
        let log = logs.iter().find(|log| log.key.log_id() == sat.log_id).cloned();
        let name = log.as_ref().map_or_else(|| format!("log {}", sat.log_id), |log| log.name.clone());
        let fault = |why: &dyn std::fmt::Display| SatState::Fault(format!("the timestamp of {name}: {why}"));
        let state = if sat.cert_hash != cert_hash {
            // It refuses also where the log is not known (R12).
            fault(&format_args!("it is over {}, not over this certificate's {cert_hash}", sat.cert_hash))
        } else if let Some(log) = &log {
            match sat.verify(&log.key, cert_hash) {
                Err(error) => fault(&error),
                Ok(()) if sat.timestamp.since(now) > SKEW_MS => fault(&format_args!("{} is not yet", sat.timestamp)),
                Ok(()) if sat.timestamp > certificate.not_after() => fault(&"it is from after the certificate's end"),
                Ok(()) => SatState::Verified,
            }
        } else {
            SatState::UnknownLog
        };
        SatFinding { log_id: sat.log_id, log, timestamp: sat.timestamp, state }
    });
    (Logged::Precertificate(cert_hash), findings.collect())
}

/// What is malformed in the five extensions, or missing of them (R24, R27).
fn extension_faults(certificate: &Certificate, now: UnixMillis) -> Vec<String> {
    let mut faults = Vec::new();
    let mut note = |name: &str, error: &dyn std::fmt::Display| faults.push(format!("{name}: {error}"));
    match certificate.trust_score() {
        Ok(Some(score)) => {
            if let Err(error) = score.effective(now) {
                note("agentTrustScore", &error);
            }
        }
        Ok(None) => note("agentTrustScore", &"missing"),
        Err(error) => note("agentTrustScore", &error),
    }
    match certificate.capabilities() {
        Ok(Some(_)) => {}
        Ok(None) => note("agentCapabilities", &"missing"),
        Err(error) => note("agentCapabilities", &error),
    }
    match certificate.delegation() {
        Ok(Some(delegation)) if delegation.depth > delegation.max_depth => {
            note("agentDelegation", &format_args!("depth {} of at most {}", delegation.depth, delegation.max_depth));
        }
        Ok(_) => {}
        Err(error) => note("agentDelegation", &error),
    }
    if let Err(error) = certificate.provenance() {
        note("agentProvenance", &error);
    }
    match certificate.attestation() {
        Ok(Some(attestation)) if certificate.capabilities_hash() != Some(attestation.declared_capabilities_hash) => {
            note("agentBehaviouralAttestation", &"declaredCapabilitiesHash is not that of the capabilities");
        }
        Ok(_) => {}
        Err(error) => note("agentBehaviouralAttestation", &error),
    }
    faults
}

/// What a CA's answer must be.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Who asked.
    pub agent: &'a AgentUri,
    /// With which key: a SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    /// The root that we trust.
    pub anchors: &'a Anchors,
    /// The logs' keys.
    pub logs: &'a [KnownLog],
    /// The present.
    pub now: UnixMillis,
}

/// Why a CA's answer is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// It has no certificates, or none that parse.
    #[error("its chain: {0}")]
    Chain(String),
    /// Not for our key.
    #[error("the certificate is for another key than the one that it was asked for with")]
    Key,
    /// Not for our name.
    #[error("the certificate is for {0}, which did not ask for it")]
    Agent(AgentUri),
    /// The words beside the certificate are not about it.
    #[error("it says {0} of the certificate, which is not so")]
    Words(&'static str),
    /// No log that we know vouches for it.
    #[error(
        "none of its {0} timestamps is by a log whose key is known here: give the keys with --log, or leave --log out \
         to take the CA's word for them"
    )]
    NoTimestamp(usize),
    /// It does not hold.
    #[error("{}", .0.join("; "))]
    Faults(Vec<String>),
}

/// Verifies a CA's answer; gives the certificate and its issuers.
pub fn accept(answer: &CertificateAnswer, expected: Expected<'_>) -> Result<Vec<Certificate>, AnswerError> {
    let certificates = certificates_of(&answer.chain_pem).map_err(AnswerError::Chain)?;
    let (certificate, issuers) = certificates.split_first().ok_or(AnswerError::Chain("it is empty".into()))?;
    if certificate.spki_der() != expected.spki {
        return Err(AnswerError::Key);
    }
    let found = inspect(certificate, issuers, Some(expected.anchors), expected.logs, expected.now);
    if !found.faults.is_empty() {
        return Err(AnswerError::Faults(found.faults));
    }
    if let Ok(agent) = &found.agent
        && agent != expected.agent
    {
        return Err(AnswerError::Agent(agent.clone()));
    }
    if answer.sha256.0 != certificate.fingerprint() {
        return Err(AnswerError::Words("a SHA-256"));
    }
    if found.verified() == 0 {
        return Err(AnswerError::NoTimestamp(found.sats.len()));
    }
    Ok(certificates)
}

/// The certificates of a PEM text, in their order.
pub fn certificates_of(text: &str) -> Result<Vec<Certificate>, String> {
    let mut found = Vec::new();
    for block in pem_blocks(text) {
        let (label, der) = pem::decode_vec(block.as_bytes()).map_err(|e| e.to_string())?;
        if label == "CERTIFICATE" {
            found.push(Certificate::parse(der).map_err(|e| format!("certificate {}: {e}", found.len()))?);
        }
    }
    Ok(found)
}

/// Certificates as PEM, one behind the other.
pub fn pem_of<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Result<String, pem::Error> {
    certificates.into_iter().map(|c| pem::encode_string("CERTIFICATE", LineEnding::LF, c.der())).collect()
}

#[cfg(test)]
#[path = "inspect/tests.rs"]
pub(super) mod tests;
