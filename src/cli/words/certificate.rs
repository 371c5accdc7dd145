//! What a certificate says, in words and in JSON, extension by extension.

use der::Decode;
use serde_json::{Value, json};

use super::{clean, duration};
use crate::apki::Certificate;
use crate::apki::attestation::Attestation;
use crate::apki::capabilities::Capability;
use crate::apki::delegation::Delegation;
use crate::apki::provenance::Provenance;
use crate::apki::trust_score::{DecayRate, Score, TrustScore};
use crate::time::UnixMillis;

/// A Name in DER, as RFC 4514 writes it.
pub fn name(der: &[u8]) -> String {
    match x509_cert::name::Name::from_der(der) {
        Ok(name) if name.is_empty() => "(empty)".into(),
        Ok(name) => clean(&name.to_string()),
        Err(_) => "(unreadable)".into(),
    }
}

/// The extension, where it is there and well-formed; what is malformed is told elsewhere.
pub fn well_formed<T, E>(extension: Result<Option<T>, E>) -> Option<T> {
    extension.ok().flatten()
}

/// A score with its tier: `72 (elevated)`.
pub fn score(score: Score) -> String {
    format!("{} ({})", score.get(), score.tier().name())
}

/// How fast a score fades.
pub fn fading(rate: DecayRate) -> String {
    match rate.get() {
        0 => "it does not fade".to_owned(),
        1 => "a point fades each hour".to_owned(),
        n => format!("{n} points fade each hour"),
    }
}

/// A tier below, and from when on a score is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fall {
    /// The tier.
    pub tier: &'static str,
    /// The first moment.
    pub at: UnixMillis,
}

impl Fall {
    /// In words, at `now`, of a certificate that is valid until `end`.
    pub fn words(self, now: UnixMillis, end: UnixMillis) -> String {
        let late = if self.at > end { ", after the certificate's end" } else { "" };
        format!("{} from {} (in {}{late})", self.tier, self.at, duration(self.at.since(now)))
    }
}

/// The tiers that the score falls through after `now`, the nearest first.
pub fn falls(trust: &TrustScore, now: UnixMillis) -> impl Iterator<Item = Fall> {
    // A fall leads to a lower tier, and below the lowest there is none: it ends.
    std::iter::successors(next_fall(trust, now), |fall| next_fall(trust, fall.at))
}

fn next_fall(trust: &TrustScore, now: UnixMillis) -> Option<Fall> {
    let present = trust.effective(now).ok()?;
    let at = trust.falls_below(present.tier().floor())?;
    Some(Fall { tier: trust.effective(at).ok()?.tier().name(), at })
}

/// How it was computed, where that is said.
pub fn computed(trust: &TrustScore) -> Option<String> {
    trust.computation_method.as_ref().map(|method| format!("computed by: {}", clean(method.as_str())))
}

/// What it may do, as a table that `tell` makes; nothing where agentCapabilities is missing or malformed.
pub fn capability_lines(certificate: &Certificate, tell: fn(&[Capability]) -> Vec<String>) -> Vec<String> {
    match well_formed(certificate.capabilities()) {
        None => Vec::new(),
        Some(all) if all.as_slice().is_empty() => vec!["none: it may call nothing".into()],
        Some(all) => tell(all.as_slice()),
    }
}

/// What it was built from.
pub fn provenance_rows(certificate: &Certificate) -> Vec<String> {
    let Some(built) = well_formed(certificate.provenance()) else { return Vec::new() };
    let (family, version) = (clean(built.model_family.as_str()), clean(built.model_version.as_str()));
    let (framework, organization) = (clean(built.framework.as_str()), clean(built.organization_id.as_str()));
    let mut lines = vec![format!("{family} {version} in {framework}, by {organization}")];
    lines.extend(built.build_hash.map(|hash| format!("build {}", hex::encode(hash))));
    lines.extend(built.attest_evidence.map(|e| format!("evidence of {} octets", e.as_bytes().len())));
    lines
}

/// Who attests what it does.
pub fn attestation_rows(certificate: &Certificate) -> Vec<String> {
    let Some(attested) = well_formed(certificate.attestation()) else { return Vec::new() };
    let by = attested.attestor_identity.map_or_else(String::new, |by| format!(" by {}", clean(by.as_str())));
    let mut lines = vec![format!("{}{by} at {}", attested.method.name(), attested.time)];
    lines.extend(attested.evidence_uri.map(|uri| format!("evidence: {}", clean(uri.as_str()))));
    lines
}

/// On whose behalf, and what binds those below.
pub fn delegation_rows(certificate: &Certificate) -> Vec<String> {
    let Some(line) = well_formed(certificate.delegation()) else { return Vec::new() };
    let mut lines = vec![format!("depth {} of at most {}", line.depth, line.max_depth)];
    if line.parent_cert_hash != [0; 32] {
        lines.push(format!("parent {}", hex::encode(line.parent_cert_hash)));
    }
    lines.extend(line.human_principal.map(|human| format!("answers for it: {}", clean(human.as_str()))));
    let rules = line.rules;
    if !rules.capabilities_subset {
        lines.push("children's capabilities need not be among its own".into());
    }
    lines.extend(rules.max_trust_score.map(|score| format!("children's score at most {}", score.get())));
    lines.extend(rules.max_spend_limit.map(|m| format!("children's amounts at most {} minor units", m.get())));
    lines.extend(rules.scope_narrowing.map(|s| format!("children's scopes within {}", clean(s.as_str()))));
    lines
}

/// The score and what is left of it at `now`.
pub fn trust_json(trust: &TrustScore, now: UnixMillis) -> Value {
    let effective = trust.effective(now).ok();
    let fall = falls(trust, now).next();
    json!({
        "score": trust.score,
        "tier": trust.score.tier(),
        "last_updated": trust.last_updated.millis(),
        "decay_rate": trust.decay_rate.get(),
        "effective_score": effective,
        "effective_tier": effective.map(Score::tier),
        "next_tier": fall.map(|fall| fall.tier),
        "next_tier_at": fall.map(|fall| fall.at),
        "computation_method": trust.computation_method,
    })
}

/// What it was built from, without the evidence.
pub fn provenance_json(built: &Provenance) -> Value {
    json!({
        "model_family": built.model_family,
        "model_version": built.model_version,
        "framework": built.framework,
        "organization": built.organization_id,
        "build_hash": built.build_hash.map(hex::encode),
    })
}

/// Who attests.
pub fn attestation_json(attested: &Attestation) -> Value {
    json!({
        "method": attested.method,
        "attestor": attested.attestor_identity,
        "time": attested.time.millis(),
        "evidence_uri": attested.evidence_uri,
    })
}

/// On whose behalf.
pub fn delegation_json(line: &Delegation) -> Value {
    json!({
        "parent_cert_hash": hex::encode(line.parent_cert_hash),
        "depth": line.depth,
        "max_depth": line.max_depth,
        "rules": line.rules,
        "human_principal": line.human_principal,
    })
}
