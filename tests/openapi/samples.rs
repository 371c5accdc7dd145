//! A value of each type of the APIs, every optional member there.

use atl::api::ca::*;
use atl::api::*;
use atl::keys::LogId;
use atl::log::entry::EntryType;
use atl::merkle::{Hash, LeafIndex, TreeSize};
use atl::time::UnixMillis;
use serde_json::{Value, json};

/// The log's.
pub fn samples() -> Vec<(&'static str, Value)> {
    let (hash, octets) = (Hash::of(b"x"), B64(vec![0x30, 0]));
    let (moment, size, index) = (UnixMillis::new(1_775_822_400_007), TreeSize::new(3), LeafIndex::new(2));
    let request = SubmitEntryRequest {
        submission: octets.clone(),
        entry_type: Some(EntryType::Precertificate),
        chain: vec![octets.clone()],
    };
    let logged = SubmitEntryResponse { sat: octets.clone(), leaf_index: index, cert_hash: hash, timestamp: moment };
    let problem = Problem::new(Token::RateLimited, "wait").of([Subproblem::reason("score", "too low")]);
    let results = vec![SubmitResult::Logged(logged.clone()), SubmitResult::Refused(problem.clone())];
    let sth = SthResponse {
        log_id: LogId::new([7; 32]),
        tree_size: size,
        timestamp: moment,
        root_hash: hash,
        signature: octets.clone(),
    };
    let proof = ProofResponse { leaf_index: index, tree_size: size, inclusion: vec![hash] };
    let entry = EntryResponse {
        leaf_index: index,
        timestamp: moment,
        entry_type: EntryType::Certificate,
        submission: Some(octets.clone()),
        cert_hash: hash,
        chain: vec![octets.clone()],
    };
    let pruned = EntryResponse { submission: None, ..entry.clone() };
    let all = ProofAndHeadResponse { proof: proof.clone(), sth: sth.clone(), consistency: vec![hash] };
    let consistency = ConsistencyResponse { first: size, second: size, consistency: vec![hash] };
    let anchors = AnchorsResponse { certificates: vec![octets.clone()], max_chain_length: 4 };
    fn of(value: impl serde::Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }
    vec![
        ("SubmitEntryRequest", of(&request)),
        ("SubmitEntriesRequest", of(SubmitEntriesRequest { entries: vec![request] })),
        ("SubmitEntryResponse", of(logged)),
        ("SubmitEntriesResponse", of(SubmitEntriesResponse { results })),
        ("Problem", of(problem)),
        ("Sth", of(sth)),
        ("Inclusion", of(proof)),
        ("InclusionAndHead", of(all)),
        ("Consistency", of(consistency)),
        ("Entry", of(&entry)),
        ("Entry", of(&pruned)),
        ("Entries", of(EntriesResponse { entries: vec![entry, pruned] })),
        ("Anchors", of(anchors)),
    ]
}

/// The CA's, read from JSON that has every member there is.
pub fn ca_samples() -> Vec<(&'static str, Value)> {
    fn read<T: serde::Serialize + serde::de::DeserializeOwned>(value: &Value) -> Value {
        let written = serde_json::to_value(serde_json::from_value::<T>(value.clone()).unwrap()).unwrap();
        assert_eq!(written, *value, "a member is lost on the way");
        written
    }
    let (agent, hash, octets) = ("agent://bank.example.com/payments/bot/1", "07".repeat(32), "MAA=");
    let capabilities = json!([{
        "tool_uri": "mcp://x", "scope": "a/b",
        "spend_limit": {"max_per_transaction": 1, "max_per_period": 2, "period_seconds": 3, "currency": "GBP"},
        "rate_limit": {"max_requests": 1, "period_seconds": 2},
    }]);
    let evidence = json!({
        "model_family": "m", "model_version": "1", "framework": "f", "organization": "o", "build_hash": hash,
        "attestation": octets, "evidence_uri": "https://example.com/",
    });
    let principal = json!({"human": "h", "max_depth": 2, "rules": {
        "capabilities_subset": true, "max_trust_score": 50, "max_spend_limit": 1, "scope_narrowing": "a",
    }});
    let enrol = json!({
        "csr": octets, "evidence": evidence, "capabilities": capabilities, "validity_seconds": 600,
        "principal": principal,
    });
    let certificate = json!({
        "serial": "40ab", "sha256": hash, "agent": agent, "score": 71, "tier": "elevated",
        "attestation": "caVerified", "not_before": 1, "not_after": 3, "renew_at": 2, "chain_pem": "x",
        "sats": [{"log": "https://log.example/", "operator": "o", "timestamp": 1, "sat": octets}],
    });
    let request = json!({
        "id": "07", "status": "valid", "agent": agent, "received_at": 1, "reasons": ["x"], "certificate": certificate,
    });
    let mut open = request.clone();
    for (name, value) in [
        ("credential", json!("token 07")),
        ("capabilities", capabilities.clone()),
        ("validity_seconds", json!(1)),
        ("score", json!(1)),
        ("evidence", evidence.clone()),
        ("human", json!("h")),
    ] {
        open[name] = value;
    }
    let mint = json!({
        "agents": "agent://bank.example.com/*/*/*", "capabilities": capabilities, "max_validity_seconds": 1,
        "replaces": true, "ttl_seconds": 1,
    });
    let entry = json!({
        "serial": "40ab", "status": "abandoned", "sha256": hash, "cert_hash": hash, "agent": agent, "score": 1,
        "signed_at": 1, "not_after": 2, "request": "07", "why": "x",
    });
    let log = json!({"url": "https://log.example/", "operator": "o", "key": octets});
    let ca = json!({
        "trust_domain": "bank.example.com", "organization": "Bank", "chain_pem": "x", "logs": [log],
        "min_validity_seconds": 1, "default_validity_seconds": 2, "max_validity_seconds": 3, "oid_arc": "1.2",
    });
    let broken = Subproblem::reason("attenuation", "too wide").by(Some("scope".into()));
    let problem = Problem::new(Token::Policy, "x").of([broken]);
    let delegate = json!({
        "csr": octets, "evidence": evidence, "capabilities": capabilities, "validity_seconds": 600, "max_depth": 2,
        "rules": principal["rules"],
    });
    let revoke = json!({
        "agent": agent, "serial": "40ab", "sha256": hash, "reason": "keyCompromise", "comment": "x",
    });
    let revoked = json!({
        "at": 1, "agents_total": 2, "certificates_total": 3, "listed": true,
        "agents": [{"agent": agent, "with": agent, "certificates": ["40ab"]}],
    });
    let standing = json!({
        "agent": agent, "serial": "40ab", "status": "revoked", "since": 1, "score": 1, "reason": "superseded",
        "with": agent,
    });
    let node = json!({
        "agent": agent, "parent": agent, "children": 1, "score": 1, "not_after": 2, "revoked_at": 1,
        "reason": "unspecified", "with": agent,
    });
    vec![
        ("DelegateRequest", read::<DelegateRequest>(&delegate)),
        ("RevokeRequest", read::<RevokeRequest>(&revoke)),
        ("Revoked", read::<RevokeAnswer>(&revoked)),
        ("RevokedAgent", read::<RevokedAgentAnswer>(&revoked["agents"][0])),
        ("Standing", read::<StandingAnswer>(&standing)),
        ("Lineage", read::<LineageAnswer>(&json!({"above": [node], "tree": [node], "truncated": true}))),
        ("LineageEntry", read::<LineageEntry>(&node)),
        ("EnrolRequest", read::<EnrolRequest>(&enrol)),
        ("Evidence", read::<EvidenceForm>(&evidence)),
        ("Principal", read::<PrincipalForm>(&principal)),
        ("Request", read::<RequestAnswer>(&request)),
        ("Certificate", read::<CertificateAnswer>(&certificate)),
        ("Sat", read::<SatAnswer>(&certificate["sats"][0])),
        ("MintTokenRequest", read::<MintTokenRequest>(&mint)),
        ("MintedToken", read::<MintTokenAnswer>(&json!({"id": "07", "token": "x", "expires_at": 1}))),
        ("OpenRequest", read::<OpenRequest>(&open)),
        ("Requests", read::<RequestsAnswer>(&json!({"requests": [open], "next": "1-07"}))),
        ("DenyRequest", read::<DenyRequest>(&json!({"why": "x"}))),
        ("CertificateEntry", read::<CertificateEntry>(&entry)),
        ("Certificates", read::<CertificatesAnswer>(&json!({"certificates": [entry], "next": "1-07"}))),
        ("Audit", read::<AuditAnswer>(&json!({"rows_total": 1, "head": hash, "start": 0, "rows": ["{}"]}))),
        ("Ca", read::<CaDescriptor>(&ca)),
        ("Log", read::<LogAnswer>(&log)),
        ("Capability", capabilities[0].clone()),
        ("SpendLimit", capabilities[0]["spend_limit"].clone()),
        ("RateLimit", capabilities[0]["rate_limit"].clone()),
        ("AttenuationRules", principal["rules"].clone()),
        ("Problem", serde_json::to_value(problem).unwrap()),
    ]
}

/// The trust engine's.
pub fn trust_samples() -> Vec<(&'static str, Value)> {
    use atl::api::trust as t;
    fn read<T: serde::Serialize + serde::de::DeserializeOwned>(value: &Value) -> Value {
        let written = serde_json::to_value(serde_json::from_value::<T>(value.clone()).unwrap()).unwrap();
        assert_eq!(written, *value, "a member is lost on the way");
        written
    }
    let (agent, hash) = ("agent://bank.example.com/payments/bot/1", "07".repeat(32));
    let outcome = json!({
        "outcome": "refused", "id": "07", "row": 1, "requested": -2, "applied": -1, "withheld": -1, "held": 0,
        "problem": {"type": "urn:ietf:params:trans:error:stale", "detail": "x"},
    });
    let assessment = json!({
        "agent": agent, "score": 1, "half_points": 3, "cap": 200, "base": 3, "decay_rate": 2, "as_of": 1,
        "withheld_up": 0, "withheld_down": -1, "held": 1, "incidents": [7], "row": 9,
    });
    let held = json!({"id": 1, "half_points": 4});
    let mut account = assessment.clone();
    for name in ["opened_at", "balance", "decayed", "peak", "penalties", "active_until", "fast_until", "rows"] {
        account[name] = json!(1);
    }
    account["reviews"] = json!([held]);
    let line = json!({
        "row": 1, "at": 1, "who": "x", "what": "x", "requested": -1, "applied": -1, "why": "", "decayed": 0,
        "balance": 1, "decay": 0, "cap": 1, "score": 1,
    });
    let stage = json!({"id": 1, "stage": "confirmed"});
    let change = json!({"row": 1, "agent": agent, "score": 1, "half_points": 3, "at": 1, "incident": stage});
    let incident = json!({"id": 1, "agent": agent, "reporter": "shop", "at": 1, "observed_at": 1, "detail": "x"});
    let review =
        json!({"id": 1, "agent": agent, "half_points": 4, "why": "riseLimit", "source": "operator ana", "at": 1});
    let flag = json!({
        "row": 1, "at": 1, "measure": "mean", "found": -1, "median": -1, "deviation": 1, "others": 3,
    });
    let reporter = json!({"name": "shop", "signals": 1, "flag": flag});
    let problem = Problem::new(Token::Forbidden, "x").of([Subproblem::reason("x", "x")]);
    vec![
        ("SignalsRequest", read::<t::SignalsRequest>(&json!({"signals": ["a.b.c"]}))),
        ("Signals", read::<t::SignalsAnswer>(&json!({"outcomes": [outcome]}))),
        ("SignalOutcome", read::<t::SignalOutcome>(&outcome)),
        ("AssessRequest", read::<t::AssessRequest>(&json!({"agent": agent, "base": 50}))),
        ("Assessment", read::<t::AssessAnswer>(&assessment)),
        ("Account", read::<t::AccountAnswer>(&account)),
        ("Accounts", read::<t::AccountsAnswer>(&json!({"accounts": [account], "next": agent}))),
        ("HeldReview", read::<t::HeldReview>(&held)),
        ("Explanation", read::<t::ExplainAnswer>(&json!({"agent": agent, "lines": [line]}))),
        ("ExplainLine", read::<t::ExplainLine>(&line)),
        ("Changes", read::<t::ChangesAnswer>(&json!({"changes": [change], "next": 2}))),
        ("Change", read::<t::ChangeEntry>(&change)),
        ("IncidentChange", read::<t::IncidentChange>(&stage)),
        ("Incidents", read::<t::IncidentsAnswer>(&json!({"incidents": [incident], "next": 1}))),
        ("Incident", read::<t::IncidentEntry>(&incident)),
        ("Reviews", read::<t::ReviewsAnswer>(&json!({"reviews": [review], "next": 1}))),
        ("Review", read::<t::ReviewEntry>(&review)),
        ("Reporters", read::<t::ReportersAnswer>(&json!({"reporters": [reporter]}))),
        ("Reporter", read::<t::ReporterEntry>(&reporter)),
        ("Flag", read::<t::FlagEntry>(&flag)),
        ("RebaseRequest", read::<t::RebaseRequest>(&json!({"agent": agent, "base": 50, "reason": "x"}))),
        ("Ledger", read::<t::LedgerAnswer>(&json!({"rows_total": 1, "head": hash, "start": 0, "rows": ["{}"]}))),
        ("Problem", serde_json::to_value(problem).unwrap()),
    ]
}
