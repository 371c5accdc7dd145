//! Extensions that a relying party cannot read, or must refuse for what they say (protocol section 2, rulings R12,
//! R18, R22, R27).

use std::fmt::Display;

use atl::apki::extension::ExtensionError;
use atl::apki::oid;
use atl::log::sat::SatList;
use atl::time::UnixMillis;

use super::Entry;
use super::seen::{Form, Found, Seen, entry_ref};
use crate::finding::{Class, Finding};

const RULE: &str = "agent extensions are strict DER within their bounds (protocol section 2)";

/// What is malformed, in one finding, with a line for each fault.
pub(super) fn malformed(seen: &Seen<'_>) -> Option<Finding> {
    let mut faults = Vec::new();
    let mut add = |name: &'static str, why: Option<String>| faults.extend(why.map(|why| (name, why)));
    add("subjectAltName", seen.uri.as_ref().err().map(ToString::to_string));
    add("agentTrustScore", score(seen));
    add("agentCapabilities", fault(&seen.capabilities));
    add("agentDelegation", fault(&seen.delegation));
    add("agentProvenance", fault(&seen.provenance));
    add("agentBehaviouralAttestation", fault(&seen.attestation).or_else(|| declared(seen)));
    add("signedAgentTimestampList", timestamps(seen));
    add("form", if let Form::Misshapen(why) = &seen.form { Some(why.clone()) } else { None });
    add("criticality", criticality(seen));
    add("basicConstraints", basic_constraints(seen));
    let (first, why) = faults.first()?;
    let more = if faults.len() > 1 { format!(", and {} more", faults.len() - 1) } else { String::new() };
    let summary = format!("{} has a malformed certificate: {first}: {why}{more}", seen.agent());
    let finding = seen.finding(Class::MalformedExtension, RULE, summary);
    Some(faults.iter().fold(finding, |finding, (name, why)| finding.with(name, why)))
}

/// An entry that is no certificate at all: there is nothing that other rules could read.
pub(super) fn no_certificate(entry: &Entry<'_>, why: impl Display, now: UnixMillis) -> Finding {
    let index = entry.index.get();
    let summary = format!("leaf {index} of {} holds something that is no certificate: {why}", entry.log.origin);
    let class = Class::MalformedExtension;
    let finding = Finding::new(class, Some(&entry.log.origin), &entry.cert_hash.to_string(), summary, now)
        .with("rule", "entries are certificates in strict DER (protocol R8)")
        .with("certificate sha-256", entry.cert_hash)
        .with("entry", format!("leaf {index} of {}, logged at {}", entry.log.origin, entry.timestamp));
    Finding { entry: Some(entry_ref(entry)), ..finding }
}

fn fault<T>(found: &Found<T>) -> Option<String> {
    found.as_ref().err().map(ToString::to_string)
}

/// A wrong tier is a rule of its own. A score dated ahead of the log's clock is of the future.
fn score(seen: &Seen<'_>) -> Option<String> {
    match &seen.score {
        Err(ExtensionError::Tier { .. }) | Ok(None) => None,
        Err(error) => Some(error.to_string()),
        Ok(Some(score)) => score.effective(seen.entry.timestamp).err().map(|e| e.to_string()),
    }
}

/// declaredCapabilitiesHash is over the certificate's own agentCapabilities (R27).
fn declared(seen: &Seen<'_>) -> Option<String> {
    let attestation = seen.attestation.as_ref().ok()?.as_ref()?;
    match seen.certificate.capabilities_hash() {
        Some(hash) if hash == attestation.declared_capabilities_hash => None,
        Some(_) => Some("declaredCapabilitiesHash is not the hash of agentCapabilities".into()),
        None => Some("declaredCapabilitiesHash is there, and agentCapabilities is not".into()),
    }
}

/// The list reads, and each timestamp is over this certificate (R12).
fn timestamps(seen: &Seen<'_>) -> Option<String> {
    let Form::Final { precertificate, sat_list } = seen.form else { return None };
    match SatList::from_der(sat_list) {
        Err(error) => Some(error.to_string()),
        Ok(list) => {
            let other = list.sats().iter().find(|sat| sat.cert_hash != precertificate)?;
            Some(format!("a timestamp is over certificate hash {}, not {precertificate}", other.cert_hash))
        }
    }
}

/// Extensions that are never critical (R22).
fn criticality(seen: &Seen<'_>) -> Option<String> {
    const NEVER: [(&[u8], &str); 5] = [
        (oid::AGENT_TRUST_SCORE.as_bytes(), "agentTrustScore"),
        (oid::AGENT_PROVENANCE.as_bytes(), "agentProvenance"),
        (oid::AGENT_BEHAVIOURAL_ATTESTATION.as_bytes(), "agentBehaviouralAttestation"),
        (oid::SIGNED_AGENT_TIMESTAMP_LIST.as_bytes(), "signedAgentTimestampList"),
        (oid::PRECERTIFICATE_SIGNATURE.as_bytes(), "precertificateSignature"),
    ];
    let mut critical = seen.certificate.extensions().filter(|extension| extension.critical);
    let name = critical.find_map(|extension| NEVER.iter().find(|(oid, _)| *oid == extension.oid))?.1;
    Some(format!("{name} is critical, so that nobody may accept it"))
}

fn basic_constraints(seen: &Seen<'_>) -> Option<String> {
    match seen.certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.ca => Some("an agent's certificate is a CA's as well".into()),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}
