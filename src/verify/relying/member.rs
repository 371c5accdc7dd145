//! One agent of a line, read: what its certificate says, and what speaks against the certificate whoever
//! signed it and whatever time it is (draft 5.1, protocol sections 2 and 3). No signature is looked at here.

use super::code::Code;
use super::policy::Policy;
use super::presented::{Link, MAX_CERTIFICATE};
use super::reason::{Findings, Subject};
use crate::apki::attenuation::Party;
use crate::apki::extension::ExtensionError;
use crate::apki::precertificate::recover;
use crate::apki::{AgentExtension, AgentUri, Certificate, oid};
use crate::apki::{attestation::Attestation, capabilities::Capabilities, delegation::Delegation};
use crate::apki::{provenance::Provenance, trust_score::TrustScore};
use crate::keys::PublicKey;
use crate::log::entry::CertHash;
use crate::log::sat::{SatList, SignedAgentTimestamp};

/// The longest validity that is taken (R10).
const MAX_VALIDITY_MS: u64 = 86_400_000;
/// The shortest that is usual (draft 5.1): a shorter one is worth a note.
const USUAL_VALIDITY_MS: u64 = 300_000;
/// Most timestamps of one certificate that are looked at.
const MAX_SATS: usize = 16;
/// Octets of the content of a serial number: 20, and one where the first has its top bit set.
const MAX_SERIAL: usize = 21;

/// The critical extensions that are understood (R22 has those of an agent).
const UNDERSTOOD: [der::asn1::ObjectIdentifier; 6] = [
    oid::SUBJECT_ALT_NAME,
    oid::KEY_USAGE,
    oid::EXTENDED_KEY_USAGE,
    oid::BASIC_CONSTRAINTS,
    oid::AGENT_CAPABILITIES,
    oid::AGENT_DELEGATION,
];
/// Those that may not be critical (R22).
const NEVER_CRITICAL: [der::asn1::ObjectIdentifier; 5] = [
    oid::AGENT_TRUST_SCORE,
    oid::AGENT_PROVENANCE,
    oid::AGENT_BEHAVIOURAL_ATTESTATION,
    oid::SIGNED_AGENT_TIMESTAMP_LIST,
    oid::PRECERTIFICATE_SIGNATURE,
];

/// An extension as a check needs it: missing and malformed are two things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    Missing,
    Malformed,
    There(T),
}

impl<T> Found<T> {
    pub(super) const fn get(&self) -> Option<&T> {
        match self {
            Self::There(value) => Some(value),
            Self::Missing | Self::Malformed => None,
        }
    }

    pub(super) const fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed)
    }
}

/// What one certificate of the line says.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) link: Link,
    /// SHA-256 of the certificate, which is what a child's parentCertHash is of.
    pub(super) fingerprint: [u8; 32],
    pub(super) uri: Option<AgentUri>,
    pub(super) score: Found<TrustScore>,
    pub(super) capabilities: Found<Capabilities>,
    pub(super) delegation: Found<Delegation>,
    pub(super) provenance: Found<Provenance>,
    pub(super) attestation: Found<Attestation>,
    /// What the timestamps are over: the recovered precertificate, or the certificate itself.
    pub(super) cert_hash: CertHash,
    /// The timestamps over it.
    pub(super) sats: Vec<SignedAgentTimestamp>,
    /// Whether the timestamps as such were refused already, so that too few of them is no news.
    pub(super) sats_refused: bool,
}

impl Member {
    /// Reads the certificate of `link`, and adds what speaks against it.
    pub(super) fn read(link: Link, subject: Subject, policy: &Policy, found: &mut Findings) -> Self {
        let certificate = &link.certificate;
        size(certificate, subject, found);
        kind(certificate, subject, found);
        let uri = names(certificate, subject, found);
        criticality(certificate, subject, found);
        algorithms(certificate, subject, policy, found);
        validity(certificate, subject, found);
        let score = read(certificate, Code::ScoreMalformed, subject, found);
        let capabilities = read(certificate, Code::CapabilitiesMalformed, subject, found);
        if score == Found::Missing {
            found.against(Code::NoScore, subject, "the certificate has no agentTrustScore");
        }
        if capabilities == Found::Missing {
            found.against(Code::NoCapabilities, subject, "the certificate has no agentCapabilities");
        }
        let attestation = read(certificate, Code::ExtensionMalformed, subject, found);
        declared(certificate, &attestation, subject, found);
        let delegation = read(certificate, Code::ExtensionMalformed, subject, found);
        let provenance = read(certificate, Code::ExtensionMalformed, subject, found);
        let fingerprint = certificate.fingerprint();
        let before = found.reasons.len();
        let (cert_hash, sats) = timestamps(&link, fingerprint, subject, found);
        let sats_refused = found.reasons.len() > before;
        Self {
            fingerprint,
            uri,
            score,
            capabilities,
            delegation,
            provenance,
            attestation,
            cert_hash,
            sats,
            sats_refused,
            link,
        }
    }

    /// What a delegation is judged by; `None` where something of it was refused already.
    pub(super) fn party(&self) -> Option<Party> {
        if self.score.is_malformed() || self.capabilities.is_malformed() || self.delegation.is_malformed() {
            return None;
        }
        Some(Party {
            uri: self.uri.clone()?,
            not_after: self.link.certificate.not_after(),
            trust_score: self.score.get().cloned(),
            capabilities: self.capabilities.get().cloned(),
            delegation: self.delegation.get().cloned(),
        })
    }
}

fn read<E: AgentExtension>(certificate: &Certificate, code: Code, subject: Subject, found: &mut Findings) -> Found<E> {
    match certificate.agent_extension() {
        Ok(Some(value)) => Found::There(value),
        Ok(None) => Found::Missing,
        Err(error) => {
            found.against(code, subject, malformed::<E>(&error));
            Found::Malformed
        }
    }
}

fn malformed<E: AgentExtension>(error: &ExtensionError) -> String {
    let name = match E::OID {
        oid::AGENT_TRUST_SCORE => "agentTrustScore",
        oid::AGENT_CAPABILITIES => "agentCapabilities",
        oid::AGENT_DELEGATION => "agentDelegation",
        oid::AGENT_PROVENANCE => "agentProvenance",
        _ => "agentBehaviouralAttestation",
    };
    format!("{name} is malformed: {error}")
}

fn size(certificate: &Certificate, subject: Subject, found: &mut Findings) {
    let octets = certificate.der().len();
    if octets > MAX_CERTIFICATE {
        let detail = format!("the certificate has {octets} octets, and {MAX_CERTIFICATE} are the most");
        found.against(Code::ProfileSize, subject, detail);
    }
}

/// It is an agent's final certificate.
fn kind(certificate: &Certificate, subject: Subject, found: &mut Findings) {
    if certificate.extension(&oid::PRECERTIFICATE_POISON).is_some() {
        found.against(Code::Precertificate, subject, "the certificate has the poison of a precertificate");
    }
    match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.ca => found.against(Code::IsCa, subject, "the certificate is a CA's"),
        Ok(_) => {}
        Err(error) => found.against(Code::ExtensionMalformed, subject, format!("basicConstraints: {error}")),
    }
    match certificate.key_usage() {
        Ok(usage) if usage.is_none_or(|usage| usage.digital_signature()) => {}
        Ok(_) => found.against(Code::KeyUsage, subject, "keyUsage does not let the key sign"),
        Err(error) => found.against(Code::ExtensionMalformed, subject, format!("keyUsage: {error}")),
    }
    let serial = certificate.serial();
    let positive = serial.first().is_some_and(|first| *first < 0x80) && serial.iter().any(|octet| *octet != 0);
    if !positive || serial.len() > MAX_SERIAL {
        found.against(Code::Serial, subject, format!("the serial number is {}", hex::encode(serial)));
    }
}

/// One agent URI, one spiffe:// URI beside it at most, and no other (R18).
fn names(certificate: &Certificate, subject: Subject, found: &mut Findings) -> Option<AgentUri> {
    let uri = certificate.agent_uri().map_err(|error| found.against(Code::AgentName, subject, error)).ok()?;
    let mut spiffe = 0;
    for name in certificate.uri_names().unwrap_or_default() {
        if name == uri.as_str().as_bytes() {
            continue;
        }
        spiffe += usize::from(name.starts_with(b"spiffe://"));
        if spiffe > 1 || !name.starts_with(b"spiffe://") {
            let detail = format!("the URI `{}` stands beside the agent's", name.escape_ascii());
            found.against(Code::OtherUri, subject, detail);
            break;
        }
    }
    let san_critical = certificate.extension(&oid::SUBJECT_ALT_NAME).is_some_and(|san| san.critical);
    if certificate.subject_der() == [0x30, 0x00] && !san_critical {
        found.note(subject, "the subject is empty and the subjectAltName not critical (RFC 5280 4.2.1.6)");
    }
    Some(uri)
}

fn criticality(certificate: &Certificate, subject: Subject, found: &mut Findings) {
    for extension in certificate.extensions().filter(|extension| extension.critical) {
        let is = |oids: &[der::asn1::ObjectIdentifier]| oids.iter().any(|oid| extension.is(oid));
        let name = || dotted(extension.oid);
        if is(&NEVER_CRITICAL) {
            found.against(Code::Criticality, subject, format!("the extension {} is critical", name()));
        } else if !is(&UNDERSTOOD) && !extension.is(&oid::PRECERTIFICATE_POISON) {
            found.against(Code::UnknownCritical, subject, format!("the critical extension {} is not known", name()));
        }
    }
}

/// An OID for people; one with arcs beyond what the library holds in hex.
pub(super) fn dotted(content: &[u8]) -> String {
    let known = der::asn1::ObjectIdentifier::from_bytes(content);
    known.map_or_else(|_| format!("with the OID {}", hex::encode(content)), |oid| oid.to_string())
}

fn algorithms(certificate: &Certificate, subject: Subject, policy: &Policy, found: &mut Findings) {
    match certificate.signature_algorithm() {
        Some(algorithm) if policy.algorithms.contains(&algorithm) => {}
        Some(algorithm) => {
            let detail = format!("the certificate is signed with {algorithm:?}, which is not on the local list");
            found.against(Code::SignatureAlgorithm, subject, detail);
        }
        None => {
            let detail = "the certificate is signed with neither Ed25519 nor ECDSA P-256 with SHA-256";
            found.against(Code::SignatureAlgorithm, subject, detail);
        }
    }
    match PublicKey::from_spki_der(certificate.spki_der()) {
        Ok(key) if policy.algorithms.contains(&key.algorithm()) => {}
        Ok(key) => {
            let detail = format!("the agent's key is for {:?}, which is not on the local list", key.algorithm());
            found.against(Code::KeyAlgorithm, subject, detail);
        }
        Err(error) => found.against(Code::KeyAlgorithm, subject, format!("the agent's key: {error}")),
    }
}

fn validity(certificate: &Certificate, subject: Subject, found: &mut Findings) {
    let length = certificate.not_after().since(certificate.not_before());
    if length > MAX_VALIDITY_MS {
        let detail = format!("the certificate is valid for {} s, which is more than a day", length / 1000);
        found.against(Code::ValidityTooLong, subject, detail);
    }
    if length < USUAL_VALIDITY_MS {
        found.note(subject, format!("the certificate is valid for {} s, less than the usual 5 minutes", length / 1000));
    }
}

/// What was attested are the capabilities that stand here (R27).
fn declared(certificate: &Certificate, attestation: &Found<Attestation>, subject: Subject, found: &mut Findings) {
    let (Some(attestation), Some(hash)) = (attestation.get(), certificate.capabilities_hash()) else { return };
    if attestation.declared_capabilities_hash != hash {
        let detail = "declaredCapabilitiesHash is not the hash of the certificate's own agentCapabilities";
        found.against(Code::CapabilitiesHash, subject, detail);
    }
}

/// What the timestamps are over, and those of them that are over it (protocol section 3, R12).
fn timestamps(
    link: &Link,
    fingerprint: [u8; 32],
    subject: Subject,
    found: &mut Findings,
) -> (CertHash, Vec<SignedAgentTimestamp>) {
    let (cert_hash, sats) = match recover(&link.certificate) {
        Ok(None) => (CertHash::new(fingerprint), link.detached.clone()),
        Ok(Some(recovered)) => {
            let list = SatList::from_der(recovered.sat_list_der);
            let list = list.map_err(|error| found.against(Code::SatMalformed, subject, error));
            let sats = list.map_or_else(|()| Vec::new(), |list| list.sats().to_vec());
            (CertHash::of_certificate(&recovered.precertificate_der), sats)
        }
        Err(error) => {
            found.against(Code::SatMalformed, subject, error);
            (CertHash::new(fingerprint), Vec::new())
        }
    };
    if sats.len() > MAX_SATS {
        let detail = format!("the certificate has {} timestamps, and {MAX_SATS} are looked at", sats.len());
        found.against(Code::ChainBudget, subject, detail);
        return (cert_hash, Vec::new());
    }
    for sat in sats.iter().filter(|sat| sat.cert_hash != cert_hash) {
        let detail = format!("a timestamp is over the certificate {}, and not over {cert_hash}", sat.cert_hash);
        found.against(Code::SatOtherCertificate, subject, detail);
    }
    (cert_hash, sats.into_iter().filter(|sat| sat.cert_hash == cert_hash).collect())
}
