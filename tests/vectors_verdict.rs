//! The relying party against test vectors of an independent implementation (see `tests/vectors/README.md`):
//! every row of `certs.json` that asks what a relying party says, with the reason.
#![allow(clippy::unwrap_used)] // a vector file of another shape is a failed test

#[path = "common/vectors.rs"]
mod vectors;

use std::collections::BTreeSet;

use atl::apki::Certificate;
use atl::apki::chain::Anchors;
use atl::apki::federation::TrustDomain;
use atl::apki::trust_score::Score;
use atl::keys::PublicKey;
use atl::log::sat::SignedAgentTimestamp;
use atl::time::UnixMillis;
use atl::verify::relying::{
    Domain, Domains, Effort, Facts, Link, LogList, Policy, Presented, Reason, RelyingParty, Request, RevocationMode,
    RevocationPolicy, Subject, Trusted, TrustedLog, Verdict,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use vectors::{json, octets, rows, text};

fn certificate(path: &Value) -> Certificate {
    Certificate::parse(octets(path.as_str().unwrap())).unwrap()
}

/// The file says: "trusts atl-a, atl-b, atl-a2 (not rogue)".
fn logs(file: &Value) -> LogList {
    let trusted = rows(file, "logs").iter().filter(|log| log["trusted"] == true);
    let log = |row: &Value| TrustedLog {
        name: text(row, "name").to_owned(),
        origin: None,
        key: PublicKey::from_spki_der(&STANDARD.decode(text(&row["key"], "spki_b64")).unwrap()).unwrap(),
        operator: text(row, "operator").to_owned(),
        from: UnixMillis::default(),
        until: None,
    };
    LogList::new(trusted.map(log).collect()).unwrap()
}

fn party(file: &Value, row: &Value, domain: &str) -> RelyingParty {
    let kind = text(row, "name").split('/').next().unwrap();
    let root = Certificate::parse(octets(&format!("certs/{kind}/root.der"))).unwrap();
    let trusted = Trusted::Roots(Anchors::new([root]).unwrap());
    let policy = Policy::new(
        Score::new(row["min_score"].as_u64().unwrap().try_into().unwrap()).unwrap(),
        RevocationPolicy { mode: RevocationMode::Off, max_age: None, issuers: false },
    );
    RelyingParty {
        policy,
        domains: Domains::new([(TrustDomain::parse(domain).unwrap(), Domain::own(trusted))]),
        logs: logs(file),
    }
}

fn presented(row: &Value) -> Result<Presented, Box<Reason>> {
    let issuers = || rows(row, "rp_chain").iter().map(certificate).collect::<Vec<_>>();
    // What does not parse is refused by the reader of presentations.
    let agent = octets(text(row, "final"));
    let agent = Presented::from_der([agent.as_slice()])?.agent.certificate;
    let mut agent = Link::new(agent, issuers());
    let sats = row["detached_sats_b64"].as_array().into_iter().flatten();
    let sats =
        sats.map(|sat| SignedAgentTimestamp::from_der(&STANDARD.decode(sat.as_str().unwrap()).unwrap()).unwrap());
    agent.detached = sats.collect();
    let parents = row["parents"].as_array().into_iter().flatten();
    let parents = parents.map(|parent| Link::new(certificate(parent), issuers())).collect();
    Ok(Presented { agent, parents })
}

/// The codes of this project for a reason of the vectors.
fn codes(reason: &str) -> Vec<&'static str> {
    if let Some(code) = reason.strip_prefix("delegation:") {
        let all = atl::verify::relying::Code::ALL.iter().map(|code| code.as_str());
        return all.filter(|ours| ours.strip_prefix("delegation.") == Some(code)).collect();
    }
    if reason.starts_with("agent-uri") {
        return vec!["profile.agentUri"];
    }
    match reason {
        "no-capabilities" => vec!["capability.missing"],
        "no-trust-score" => vec!["trust.missing"],
        "sat-cert-hash" => vec!["sat.otherCertificate"],
        "no-valid-sat" => vec!["sat.missing"],
        "other-uri" => vec!["profile.otherUri"],
        "malformed:duplicate-extension" => vec!["profile.malformed"],
        "unknown-critical" => vec!["profile.unknownCritical"],
        "criticality" => vec!["profile.criticality"],
        "malformed:extension:range" | "malformed:extension:tier" => vec!["trust.malformed"],
        "malformed:extension:truncated" => vec!["profile.extension"],
        "capabilities-hash" => vec!["capability.hash"],
        // The agent's own or that of a CA on the way.
        "expired" => vec!["profile.expired", "chain.validity"],
        "not-yet-valid" => vec!["profile.notYetValid"],
        "validity-too-long" => vec!["profile.validityTooLong"],
        "signature" => vec!["chain.signature"],
        "chain-broken" => vec!["chain.broken"],
        "unknown-anchor" => vec!["chain.unknownAnchor"],
        "chain-too-long" => vec!["chain.tooLong"],
        "issuer-not-ca" => vec!["chain.notCa"],
        "issuer-key-usage" => vec!["chain.keyUsage"],
        "path-len" => vec!["chain.pathLength"],
        // Of the agent's certificate, of a CA's key.
        "algorithm" => vec!["algorithm.signature", "algorithm.key"],
        "subject-key" => vec!["algorithm.key"],
        "precertificate" => vec!["profile.precertificate"],
        "malformed:future" => vec!["trust.future"],
        "one-operator" => vec!["sat.operators"],
        "score" => vec!["trust.score"],
        "no-parent" => vec!["delegation.noParent"],
        other if other.starts_with("malformed:") => vec!["sat.malformed"],
        other => panic!("a reason that this test does not know: {other}"),
    }
}

fn decide(file: &Value, row: &Value, effort: Effort) -> Verdict {
    let facts = Facts::default();
    let now = UnixMillis::new(file["now_ms"].as_u64().unwrap());
    let request = Request { operation: None, facts: &facts, now, past: false };
    match presented(row) {
        Ok(presented) => party(file, row, "agents.example.com").decide(presented, &request, effort),
        Err(reason) => {
            assert_eq!(reason.subject, Subject::Agent);
            Verdict::Refused(Box::new(atl::verify::relying::Refused::unread(*reason, now)))
        }
    }
}

#[test]
fn every_final_certificate_has_its_verdict_and_its_reason() {
    let file = json("certs.json");
    let (mut accepted, mut refused) = (0, 0);
    let mut wrong = Vec::new();
    for row in rows(&file, "cases").iter().filter(|row| row["rp"].is_object()) {
        let name = text(row, "name");
        let verdict = decide(&file, row, Effort::Whole);
        let found: BTreeSet<&str> = verdict.reasons().iter().map(|reason| reason.code.as_str()).collect();
        match row["rp"]["reason"].as_str() {
            None if verdict.is_accepted() => accepted += 1,
            Some(reason) if codes(reason).iter().any(|code| found.contains(code)) => refused += 1,
            expected => wrong.push(format!("{name}: {expected:?}, and we say {found:?}")),
        }
        // Stopping early changes how much is found, and never the verdict.
        let bounded = decide(&file, row, Effort::Bounded);
        assert_eq!(bounded.is_accepted(), verdict.is_accepted(), "{name}");
        assert!(bounded.reasons().iter().all(|reason| verdict.reasons().contains(reason)), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((accepted, refused), (46, 146));
}

#[test]
fn nobody_is_accepted_for_a_domain_that_is_not_configured() {
    let file = json("certs.json");
    let (facts, now) = (Facts::default(), UnixMillis::new(file["now_ms"].as_u64().unwrap()));
    let request = Request { operation: None, facts: &facts, now, past: false };
    let good = rows(&file, "cases").iter().filter(|row| row["rp"]["accept"] == true);
    for row in good {
        let verdict = party(&file, row, "agents.example.org").decide(presented(row).unwrap(), &request, Effort::Whole);
        assert_eq!(verdict.reasons()[0].code.as_str(), "federation.unknownDomain", "{}", text(row, "name"));
    }
}
