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
use crate::log::MAX_AHEAD_MS;
use crate::log::entry::CertHash;
use crate::log::sat::SatList;
use crate::time::UnixMillis;
use crate::verify::relying::{Code, TWO_OPERATORS, structure};

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

/// Looks at `certificate` at `now`. What the relying party refuses by structure is its own word; where an encoding
/// is broken, it is said more exactly here.
pub fn judge(certificate: &Certificate, form: Form, now: UnixMillis) -> Judgement {
    let mut found = Judgement::default();
    let broken = |code| {
        matches!(
            code,
            Code::ExtensionMalformed | Code::ScoreMalformed | Code::CapabilitiesMalformed | Code::SatMalformed
        )
    };
    for reason in structure(certificate).into_iter().filter(|reason| !broken(reason.code)) {
        found.refuse(format_args!("{} ({})", reason.detail, reason.code.rule()));
    }
    found.encoding(certificate, form);
    found.score(certificate, now);
    found.delegation(certificate);
    found.timestamps(certificate, now);
    found.profile(certificate);
    found
}

impl Judgement {
    fn refuse(&mut self, why: impl Display) {
        self.refused.push(why.to_string());
    }

    /// In what it is not what it must be.
    fn encoding(&mut self, certificate: &Certificate, form: Form) {
        if form == Form::Precertificate {
            self.malformed.extend(Precertificate::of(certificate).err().map(|error| error.to_string()));
        }
        let constraints = certificate.basic_constraints().err().map(|error| format!("basicConstraints: {error}"));
        let usage = certificate.key_usage().err().map(|error| format!("keyUsage: {error}"));
        let names = certificate.uri_names().err().map(|error| format!("subjectAltName: {error}"));
        self.malformed.extend([constraints, usage, names].into_iter().flatten());
        if certificate.not_after() < certificate.not_before() {
            self.refuse("it ends before it begins");
        }
        self.decode::<TrustScore>(certificate);
        self.decode::<Capabilities>(certificate);
        self.decode::<Delegation>(certificate);
        self.decode::<Provenance>(certificate);
        self.decode::<Attestation>(certificate);
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
                continue;
            }
            if sat.timestamp > certificate.not_after() || sat.timestamp.since(now) > MAX_AHEAD_MS {
                let why = if sat.timestamp > certificate.not_after() { "the certificate's end" } else { "the moment" };
                self.remarks.push(format!("the timestamp of log {log} is from after {why}, and does not count (R30)"));
            } else {
                counting.push(log);
            }
        }
        counting.sort_unstable();
        counting.dedup();
        let effective = certificate.trust_score().ok().flatten().and_then(|score| score.effective(now).ok());
        let wanted = if effective.is_some_and(|score| score >= TWO_OPERATORS) { 2 } else { 1 };
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
