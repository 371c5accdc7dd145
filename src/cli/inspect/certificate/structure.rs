//! What speaks against an agent's certificate by its structure alone (protocol sections 2, 6 and 7): no other
//! certificate, no key and no log is asked.

use std::fmt::Display;

use super::Form;
use crate::apki::attestation::Attestation;
use crate::apki::capabilities::Capabilities;
use crate::apki::certificate::Extension;
use crate::apki::delegation::Delegation;
use crate::apki::extension::AgentExtension;
use crate::apki::precertificate::{Precertificate, recover};
use crate::apki::provenance::Provenance;
use crate::apki::trust_score::TrustScore;
use crate::apki::{Certificate, oid};
use crate::cli::inspect::report::extension_fault;
use crate::cli::inspect::schema;
use crate::cli::words::duration;
use crate::keys::PublicKey;
use crate::log::entry::CertHash;
use crate::log::sat::SatList;
use crate::time::UnixMillis;

/// The longest validity of an agent's certificate that is accepted (R10).
const MAX_VALIDITY_MS: u64 = 86_400_000;
/// How far the clocks of two parties may be apart (R30).
const SKEW_MS: u64 = 60_000;
/// From this effective score on, two logs of different operators must vouch (protocol section 6).
const TWO_LOGS_FROM: u8 = 60;

/// Extensions that refuse a certificate where they are critical (R22).
const NEVER_CRITICAL: [der::asn1::ObjectIdentifier; 5] = [
    oid::AGENT_TRUST_SCORE,
    oid::AGENT_PROVENANCE,
    oid::AGENT_BEHAVIOURAL_ATTESTATION,
    oid::SIGNED_AGENT_TIMESTAMP_LIST,
    oid::PRECERTIFICATE_SIGNATURE,
];

/// Extensions that a relying party understands, so that they may be critical.
const UNDERSTOOD: [der::asn1::ObjectIdentifier; 12] = [
    oid::SUBJECT_ALT_NAME,
    oid::KEY_USAGE,
    oid::EXTENDED_KEY_USAGE,
    oid::BASIC_CONSTRAINTS,
    oid::NAME_CONSTRAINTS,
    oid::AUTHORITY_KEY_IDENTIFIER,
    oid::SUBJECT_KEY_IDENTIFIER,
    oid::AUTHORITY_INFO_ACCESS,
    oid::CRL_DISTRIBUTION_POINTS,
    oid::AGENT_CAPABILITIES,
    oid::AGENT_DELEGATION,
    // A precertificate is refused with words of its own.
    oid::PRECERTIFICATE_POISON,
];

/// What was found.
#[derive(Debug, Default)]
pub struct Judgement {
    /// In what its encoding is not what it must be.
    pub malformed: Vec<String>,
    /// For what a relying party refuses it.
    pub refused: Vec<String>,
    /// What refuses nobody: what binds CAs only, which a monitor reports (R11), and timestamps that do not count.
    pub remarks: Vec<String>,
}

/// Looks at `certificate` at `now`.
pub fn judge(certificate: &Certificate, form: Form, now: UnixMillis) -> Judgement {
    let mut found = Judgement::default();
    found.kind(certificate, form);
    found.names(certificate);
    found.validity(certificate);
    found.keys(certificate);
    found.extensions(certificate);
    found.score(certificate, now);
    found.delegation(certificate);
    found.capabilities_hash(certificate);
    found.timestamps(certificate, now);
    found.profile(certificate);
    found
}

impl Judgement {
    fn refuse(&mut self, why: impl Display) {
        self.refused.push(why.to_string());
    }

    fn kind(&mut self, certificate: &Certificate, form: Form) {
        if form == Form::Precertificate {
            self.refuse("it is a precertificate, which is for logs alone");
            self.malformed.extend(Precertificate::of(certificate).err().map(|error| error.to_string()));
        }
        match certificate.basic_constraints() {
            Ok(Some(constraints)) if constraints.ca => self.refuse("it is a CA's and no agent's"),
            Ok(_) => {}
            Err(error) => self.malformed.push(format!("basicConstraints: {error}")),
        }
        self.malformed.extend(certificate.key_usage().err().map(|error| format!("keyUsage: {error}")));
    }

    /// Exactly one agent URI, and besides at most one SPIFFE ID (R18, protocol section 6).
    fn names(&mut self, certificate: &Certificate) {
        let names = match certificate.uri_names() {
            Ok(names) => names,
            Err(error) => return self.malformed.push(format!("subjectAltName: {error}")),
        };
        if let Err(error) = certificate.agent_uri() {
            self.refuse(error);
        }
        let has = |scheme: &[u8], name: &&&[u8]| {
            name.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        let spiffe = names.iter().filter(|name| has(b"spiffe:", name)).count();
        if spiffe > 1 {
            self.refuse(format_args!("the subjectAltName has {spiffe} spiffe:// URIs where at most one may be"));
        }
        for other in names.iter().filter(|name| !has(b"agent:", name) && !has(b"spiffe:", name)) {
            let text = String::from_utf8_lossy(other);
            self.refuse(format_args!("the subjectAltName has the URI {text}, which is neither agent:// nor spiffe://"));
        }
    }

    fn validity(&mut self, certificate: &Certificate) {
        let (from, until) = (certificate.not_before(), certificate.not_after());
        if until < from {
            self.refuse("it ends before it begins");
        }
        if until.since(from) > MAX_VALIDITY_MS {
            self.refuse(format_args!("it is valid for {}, and 24 h is the most (R10)", duration(until.since(from))));
        }
    }

    fn keys(&mut self, certificate: &Certificate) {
        if certificate.signature_algorithm().is_none() {
            self.refuse("it is signed with an algorithm that is not allowed: Ed25519 and ECDSA P-256 with SHA-256 are");
        }
        if let Err(error) = PublicKey::from_spki_der(certificate.spki_der()) {
            self.refuse(format_args!("its key: {error}"));
        }
    }

    fn extensions(&mut self, certificate: &Certificate) {
        for extension in certificate.extensions().filter(|extension| extension.critical) {
            let is_one = |oids: &[_]| oids.iter().any(|oid| extension.is(oid));
            let name = schema::name_of(extension.oid);
            if is_one(&NEVER_CRITICAL) {
                self.refuse(format_args!("{name} is critical, and must not be (R22)"));
            } else if !is_one(&UNDERSTOOD) {
                self.refuse(format_args!("{name} is critical, and nobody here knows what it means"));
            }
        }
        self.decode::<TrustScore>(certificate);
        self.decode::<Capabilities>(certificate);
        self.decode::<Delegation>(certificate);
        self.decode::<Provenance>(certificate);
        self.decode::<Attestation>(certificate);
        for oid in [oid::AGENT_TRUST_SCORE, oid::AGENT_CAPABILITIES] {
            if certificate.extension(&oid).is_none() {
                self.refuse(format_args!("{} is missing (R24)", schema::name_of(oid.as_bytes())));
            }
        }
    }

    fn decode<E: AgentExtension>(&mut self, certificate: &Certificate) {
        let Some(Extension { value, .. }) = certificate.extension(&E::OID) else { return };
        self.malformed.extend(E::from_der(value).err().map(|error| extension_fault(&E::OID, value, &error)));
    }

    fn score(&mut self, certificate: &Certificate, now: UnixMillis) {
        let ahead = certificate.trust_score().ok().flatten().and_then(|score| score.effective(now).err());
        if let Some(error) = ahead {
            self.refuse(format_args!("agentTrustScore: {error}"));
        }
    }

    /// What is wrong with a delegation whoever the parent is (R19, protocol section 6).
    fn delegation(&mut self, certificate: &Certificate) {
        let Some(line) = certificate.delegation().ok().flatten() else { return };
        if line.depth > line.max_depth {
            let (depth, most) = (line.depth, line.max_depth);
            self.refuse(format_args!("agentDelegation: depth {depth} is beyond its own maximum of {most} (R19)"));
        }
        if !line.rules.capabilities_subset {
            self.refuse("agentDelegation: capabilitiesSubset is FALSE, which nobody takes");
        }
        let has_parent = line.parent_cert_hash != [0; 32];
        if line.depth == 0 && has_parent {
            self.refuse("agentDelegation: it stands at depth 0, and names a parent");
        }
        if line.depth == 0 && line.human_principal.is_none() {
            self.refuse("agentDelegation: it stands at depth 0, and no humanPrincipal answers for it");
        }
        if line.depth > 0 && !has_parent {
            self.refuse(format_args!("agentDelegation: it stands at depth {}, and names no parent", line.depth));
        }
    }

    fn capabilities_hash(&mut self, certificate: &Certificate) {
        let Some(attested) = certificate.attestation().ok().flatten() else { return };
        if certificate.capabilities_hash() != Some(attested.declared_capabilities_hash) {
            self.refuse("agentBehaviouralAttestation: declaredCapabilitiesHash is not that of its capabilities (R27)");
        }
    }

    fn timestamps(&mut self, certificate: &Certificate, now: UnixMillis) {
        if certificate.extension(&oid::PRECERTIFICATE_POISON).is_some() {
            return;
        }
        let recovered = match recover(certificate) {
            Ok(None) => return,
            Ok(Some(recovered)) => recovered,
            Err(error) => return self.malformed.push(error.to_string()),
        };
        let list = match SatList::from_der(recovered.sat_list_der) {
            Ok(list) => list,
            Err(error) => {
                let fault = extension_fault(&oid::SIGNED_AGENT_TIMESTAMP_LIST, recovered.sat_list_der, &error);
                return self.malformed.push(fault);
            }
        };
        let hash = CertHash::of_certificate(&recovered.precertificate_der);
        let mut counting = Vec::new();
        for sat in list.sats() {
            let log = sat.log_id;
            if sat.cert_hash != hash {
                self.refuse(format_args!("the timestamp of log {log} is over another certificate (R12)"));
            } else if sat.timestamp > certificate.not_after() || sat.timestamp.since(now) > SKEW_MS {
                let why = if sat.timestamp > certificate.not_after() { "the certificate's end" } else { "the moment" };
                self.remarks.push(format!("the timestamp of log {log} is from after {why}, and does not count (R30)"));
            } else {
                counting.push(log);
            }
        }
        counting.sort_unstable();
        counting.dedup();
        let effective = certificate.trust_score().ok().flatten().and_then(|score| score.effective(now).ok());
        let wanted = if effective.is_some_and(|score| score.get() >= TWO_LOGS_FROM) { 2 } else { 1 };
        if counting.len() < wanted {
            let (logs, score) = (counting.len(), effective.map_or(0, |score| score.get()));
            self.refuse(format_args!("timestamps of {logs} logs can count, and a score of {score} needs {wanted}"));
        }
    }

    /// R11: CAs must, and nobody refuses.
    fn profile(&mut self, certificate: &Certificate) {
        for oid in [oid::AUTHORITY_KEY_IDENTIFIER, oid::SUBJECT_KEY_IDENTIFIER, oid::EXTENDED_KEY_USAGE] {
            if certificate.extension(&oid).is_none() {
                self.remarks.push(format!("{} is missing (R11)", schema::name_of(oid.as_bytes())));
            }
        }
        let names = certificate.extension(&oid::SUBJECT_ALT_NAME);
        if certificate.subject_der() == [0x30, 0x00] && names.is_some_and(|names| !names.critical) {
            self.remarks.push("subjectAltName is not critical although the subject is empty (R11)".into());
        }
    }
}
