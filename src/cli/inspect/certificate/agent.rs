//! An agent's certificate.

use serde_json::{Value, json};

use super::structure::judge;
use super::{Form, common_rows, status_rows};
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::Capabilities;
use crate::apki::trust_score::TrustScore;
use crate::apki::{AgentUri, Certificate};
use crate::cli::agent::inspect::{Logged, SatFinding, timestamps};
use crate::cli::inspect::report::Report;
use crate::cli::inspect::sth::ago;
use crate::cli::words::certificate::{
    attestation_json, attestation_rows, capability_lines, computed, delegation_json, delegation_rows, fading, falls,
    provenance_json, provenance_rows, score, trust_json, well_formed,
};
use crate::cli::words::exact_table;
use crate::log::entry::CertHash;
use crate::time::UnixMillis;

/// Explains one.
pub fn report(certificate: &Certificate, form: Form, now: UnixMillis) -> Report {
    let agent = certificate.agent_uri();
    let (logged, sats) = timestamps(certificate, &[], now);
    let of = agent.as_ref().map_or_else(|_| "an agent that it does not name".into(), ToString::to_string);
    let mut report = Report::new(match form {
        Form::Precertificate => format!("precertificate of {of}: for logs, and for nobody to accept"),
        Form::Final => format!("certificate of {of}, final: with {} in it", count(sats.len(), "timestamp")),
        _ => format!("certificate of {of}, without timestamps in it: they travel beside it"),
    });
    match &agent {
        Ok(agent) => agent_rows(agent, &mut report),
        Err(error) => report.row("agent", format!("none: {error}")),
    }
    let spiffe: Vec<String> = spiffe_ids(certificate);
    spiffe.iter().for_each(|id| report.row("SPIFFE ID", id));
    common_rows(certificate, now, &mut report);
    status_rows(certificate, &mut report);
    hash_rows(certificate, &logged, &mut report);
    report.section("Trust", trust_lines(certificate, now));
    report.section("Capabilities", capability_lines(certificate, exact_table));
    report.section("Delegated", delegation_lines(certificate));
    report.section("Built", provenance_rows(certificate));
    report.section("Attested", attestation_lines(certificate));
    report.section("Timestamps (not verified here: atl verify)", sat_lines(&sats, now));
    let found = judge(certificate, form, now);
    report.section("Remarks", found.remarks.clone());
    report.malformed.extend(found.malformed);
    report.warnings.extend(found.refused.iter().map(|why| format!("a relying party refuses it: {why}")));
    report.facts(facts(certificate, &logged, &sats, now));
    report.facts(json!({ "spiffe": spiffe, "refused_for": found.refused, "remarks": found.remarks }));
    report
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn agent_rows(agent: &AgentUri, report: &mut Report) {
    report.row("agent", agent);
    report.row("  trust domain", agent.trust_domain());
    report.row("  org", agent.org());
    report.row("  type", agent.agent_type());
    report.row("  instance", agent.instance());
}

fn spiffe_ids(certificate: &Certificate) -> Vec<String> {
    let names = certificate.uri_names().unwrap_or_default();
    let spiffe = names.into_iter().filter(|name| name.starts_with(b"spiffe:"));
    spiffe.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// What logs and children know it by.
fn hash_rows(certificate: &Certificate, logged: &Logged, report: &mut Report) {
    let own = CertHash::of_certificate(certificate.der());
    report.row("certHash", format!("{own} (SHA-256 of it; what a child's parentCertHash names)"));
    match logged {
        Logged::Precertificate(hash) => {
            report.row("  of its precertificate", format!("{hash} (recovered; what its timestamps are over)"));
            report.row("  leaf hash in logs", format!("{} (of the precertificate)", hash.leaf_hash()));
            report.row("  own leaf hash", format!("{} (where it was submitted itself)", own.leaf_hash()));
        }
        Logged::Beside | Logged::Fault(_) => report.row("  leaf hash in logs", own.leaf_hash()),
    }
}

fn trust_lines(certificate: &Certificate, now: UnixMillis) -> Vec<String> {
    let Some(trust) = well_formed(certificate.trust_score()) else { return Vec::new() };
    let mut lines = vec![format!("{} at {}", score(trust.score), trust.last_updated.millis())];
    if let Ok(left) = trust.effective(now) {
        lines.push(format!("{} at {now}; {}", score(left), fading(trust.decay_rate)));
    }
    lines.extend(falls(&trust, now).map(|fall| fall.words(now, certificate.not_after())));
    lines.extend(computed(&trust));
    lines
}

fn delegation_lines(certificate: &Certificate) -> Vec<String> {
    let mut lines = delegation_rows(certificate);
    if let Some(line) = well_formed(certificate.delegation()) {
        let place = match (line.depth, line.max_depth) {
            (0, 0) => "it was given its rights by a human, and may hand nothing on",
            (0, _) => "it was given its rights by a human, and may hand them on",
            (depth, most) if depth >= most => "it was given its rights by its parent, and may hand nothing on",
            _ => "it was given its rights by its parent, and may hand them on",
        };
        lines.insert(1.min(lines.len()), place.to_owned());
    }
    lines
}

fn attestation_lines(certificate: &Certificate) -> Vec<String> {
    let mut lines = attestation_rows(certificate);
    if let Some(attested) = well_formed(certificate.attestation()) {
        let words = match attested.method {
            AttestationMethod::SelfDeclared => "the agent's own word: nobody looked",
            AttestationMethod::CaVerified => "the CA looked",
            AttestationMethod::ThirdParty => "somebody else looked",
            AttestationMethod::HardwareBound => "hardware measured it",
        };
        lines.insert(1.min(lines.len()), format!("that is: {words}"));
    }
    lines
}

fn sat_lines(sats: &[SatFinding], now: UnixMillis) -> Vec<String> {
    let line = |sat: &SatFinding| format!("log {}: since {} ({})", sat.log_id, sat.timestamp, ago(sat.timestamp, now));
    sats.iter().map(line).collect()
}

fn facts(certificate: &Certificate, logged: &Logged, sats: &[SatFinding], now: UnixMillis) -> Value {
    let own = CertHash::of_certificate(certificate.der());
    let recovered = match logged {
        Logged::Precertificate(hash) => Some(*hash),
        Logged::Beside | Logged::Fault(_) => None,
    };
    let agent = certificate.agent_uri().ok().map(|agent| {
        json!({
            "uri": agent,
            "trust_domain": agent.trust_domain(),
            "org": agent.org(),
            "type": agent.agent_type(),
            "instance": agent.instance(),
        })
    });
    json!({
        "agent": agent,
        "cert_hash": own.to_string(),
        "leaf_hash": own.leaf_hash().to_string(),
        "precertificate_cert_hash": recovered.map(|hash| hash.to_string()),
        "precertificate_leaf_hash": recovered.map(|hash| hash.leaf_hash().to_string()),
        "trust": well_formed(certificate.trust_score()).map(|trust| trust_facts(&trust, now)),
        "capabilities": well_formed::<Capabilities, _>(certificate.capabilities()),
        "delegation": well_formed(certificate.delegation()).map(|line| delegation_json(&line)),
        "provenance": well_formed(certificate.provenance()).map(|built| provenance_json(&built)),
        "attestation": well_formed(certificate.attestation()).map(|attested| attestation_json(&attested)),
        "timestamps": sats.iter().map(|sat| json!({
            "log_id": sat.log_id.to_string(), "timestamp": sat.timestamp, "verified": false,
        })).collect::<Vec<_>>(),
    })
}

fn trust_facts(trust: &TrustScore, now: UnixMillis) -> Value {
    let mut facts = trust_json(trust, now);
    facts["falls"] = falls(trust, now).map(|fall| json!({ "tier": fall.tier, "at": fall.at })).collect();
    facts
}
