//! Holds `/openapi.json` to the routes, to the types of the API, and to what a server answers.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "common/ca_process.rs"]
mod ca_process;
#[path = "common/raw_http.rs"]
mod raw_http;
#[path = "common/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use atl::api::ca::*;
use atl::api::*;
use atl::config::ca::ManualApproval;
use atl::http::openapi;
use atl::keys::LogId;
use atl::log::entry::EntryType;
use atl::merkle::{Hash, LeafIndex, TreeSize};
use atl::time::UnixMillis;
use serde_json::{Map, Value, json};

use self::ca_process::{CaOptions, CaRig, Response, Signal, good};

/// The log's API.
fn described() -> Value {
    serde_json::to_value(openapi::log::document()).unwrap()
}

/// The trust engine's API.
fn described_trust() -> Value {
    serde_json::to_value(openapi::trust::document()).unwrap()
}

/// The CA's API.
fn described_ca() -> Value {
    serde_json::to_value(openapi::ca::document()).unwrap()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// Every operation: method, path, description.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let operations = |(path, item): (&String, &Value)| {
        let each = |(method, operation): (&String, &Value)| (method.to_uppercase(), path.clone(), operation.clone());
        object(item).iter().map(each).collect::<Vec<_>>()
    };
    object(&document["paths"]).iter().flat_map(operations).collect()
}

/// What is wrong with `value` as the schema says it; only the keywords that the document uses.
fn faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let fault = |what: String| vec![format!("{place}: {what}")];
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        let schema = document.pointer(pointer).unwrap_or_else(|| panic!("{name} is not there"));
        return faults(document, schema, value, place);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| faults(document, choice, value, place).is_empty()).count();
        return if fitting == 1 { vec![] } else { fault(format!("{fitting} of the choices fit")) };
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        return fault(format!("{value} is not in {}", schema["enum"]));
    }
    match schema["type"].as_str().unwrap() {
        "string" if value.is_string() => {
            let text = value.as_str().unwrap();
            let hash = schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("{43}"));
            if hash && text.len() != 44 { fault(format!("{text} is not a hash")) } else { vec![] }
        }
        "integer" if value.is_u64() => vec![],
        "integer" if value.is_i64() && schema["minimum"].is_null() => vec![],
        "boolean" if value.is_boolean() => vec![],
        "null" if value.is_null() => vec![],
        "array" if value.is_array() => {
            let each = |element| faults(document, &schema["items"], element, &format!("{place}[]"));
            value.as_array().unwrap().iter().flat_map(each).collect()
        }
        "object" if value.is_object() && schema["properties"].is_object() => {
            let (properties, members) = (object(&schema["properties"]), object(value));
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let missing = required.iter().filter_map(Value::as_str).filter(|name| !members.contains_key(*name));
            let mut found: Vec<_> = missing.map(|name| format!("{place}.{name} is missing")).collect();
            for (name, member) in members {
                match properties.get(name) {
                    Some(schema) => found.extend(faults(document, schema, member, &format!("{place}.{name}"))),
                    None => found.push(format!("{place}.{name} is not described")),
                }
            }
            found
        }
        "object" if value.is_object() => vec![],
        kind => fault(format!("{value} is no {kind}")),
    }
}

#[test]
fn describes_every_route_and_nothing_else() {
    describes(&described(), atl::http::log::paths().collect(), 22);
    describes(&described_ca(), atl::http::ca::paths().collect(), 28);
    describes(&described_trust(), atl::http::trust::paths().collect(), 20);
}

fn describes(document: &Value, mut routes: BTreeSet<&str>, count: usize) {
    let operations = operations(document);
    assert_eq!(operations.len(), count);
    let mut ids = BTreeSet::new();
    let mut met = BTreeSet::new();
    for (_, path, operation) in &operations {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}: its id is taken");
        let route = if path.starts_with("/tile/") { "/tile/{*path}" } else { path };
        assert!(routes.contains(route), "{path} is described, but no route leads there");
        met.insert(route.to_owned());
        let placeholders = path.matches('{').count();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let in_path = parameters.iter().filter(|p| p["in"] == "path").collect::<Vec<_>>();
        assert_eq!(in_path.len(), placeholders, "{path}");
        assert!(in_path.iter().all(|p| path.contains(&format!("{{{}}}", p["name"].as_str().unwrap()))), "{path}");
    }
    routes.retain(|route| !met.contains(*route));
    assert!(routes.is_empty(), "not described: {routes:?}");
}

#[test]
fn says_of_each_answer_how_long_it_holds() {
    for (method, path, operation) in [described(), described_ca(), described_trust()].iter().flat_map(operations) {
        for (status, response) in object(&operation["responses"]) {
            let place = format!("{method} {path} {status}");
            assert!(response["headers"]["Cache-Control"]["description"].is_string(), "{place}");
            let retry = matches!(status.as_str(), "429" | "503");
            let hash_unknown = response["description"].as_str().unwrap().contains("hashUnknown");
            // Of a request that is open a good answer says it too.
            let open = path.starts_with("/ca/v1/") && status.starts_with('2');
            let said = response["headers"]["Retry-After"].is_object();
            assert!(said == (retry || hash_unknown) || (said && open), "{place}");
            let challenge = response["headers"]["WWW-Authenticate"].is_object();
            assert_eq!(challenge, status == "401", "{place}");
            let problem = response["content"].get(PROBLEM_MEDIA_TYPE).is_some();
            let own = path == "/readyz" && status == "503";
            assert_eq!(problem, !status.starts_with('2') && !own, "{place}");
        }
    }
}

#[test]
fn names_every_token_and_points_at_nothing_missing() {
    let mut named = BTreeSet::new();
    for document in [described(), described_ca(), described_trust()] {
        let text = document.to_string();
        for token in Token::ALL {
            let kind = format!("\"{}{token}\"", token.prefix());
            let answers = text.contains(&format!("`{token}`"));
            assert_eq!(answers, text.contains(&kind), "{token} is in an answer or in Problem, but not in both");
            named.extend(answers.then_some(token.as_str()));
        }
        for part in text.split("\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        for name in object(&document["components"]["schemas"]).keys() {
            assert!(text.contains(&format!("#/components/schemas/{name}\"")), "{name} is used nowhere");
        }
    }
    assert_eq!(named, Token::ALL.iter().map(|token| token.as_str()).collect());
}

#[test]
fn says_who_has_to_show_what() {
    [described_ca(), described_trust()].iter().for_each(says_who);
    assert!(operations(&described()).iter().all(|(.., operation)| operation["security"].is_null()));
}

fn says_who(document: &Value) {
    let schemes = object(&document["components"]["securitySchemes"]);
    for (method, path, operation) in operations(document) {
        let all = operation["security"].as_array().cloned().unwrap_or_default();
        let shown: Vec<_> = all.iter().map(|one| object(one).keys().next().unwrap().clone()).collect();
        let refused = operation["responses"]["401"].is_object();
        assert_eq!(!shown.is_empty(), refused, "{method} {path}");
        assert!(shown.iter().all(|name| schemes.contains_key(name)), "{method} {path}");
        assert_eq!(shown.len() > 1, path == "/ca/v1/revoke", "{method} {path}");
    }
}

/// One value of each type, every optional member there.
fn samples() -> Vec<(&'static str, Value)> {
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

/// The same for the CA, read from JSON that has every member there is.
fn ca_samples() -> Vec<(&'static str, Value)> {
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

/// The same for the trust engine.
fn trust_samples() -> Vec<(&'static str, Value)> {
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

#[test]
fn the_schemas_are_those_of_the_types() {
    // Values inside of others, and what only a server makes: the test below has those.
    let inside = ["Octets", "Hash", "LeafIndex", "TreeSize", "EntryType", "Log"];
    fit(&described(), samples(), &inside);
    let inside = [
        "Octets",
        "AgentUri",
        "Hex",
        "Hex32",
        "Cursor",
        "Count",
        "Seconds",
        "Score",
        "TrustTier",
        "AttestationMethod",
        "RequestStatus",
        "RevocationReason",
        "Capabilities",
    ];
    fit(&described_ca(), ca_samples(), &inside);
    let inside = ["AgentUri", "Hex32", "Count", "Seconds", "Score", "HalfPoints", "Outcome"];
    fit(&described_trust(), trust_samples(), &inside);
}

fn fit(document: &Value, samples: Vec<(&'static str, Value)>, inside: &[&'static str]) {
    let mut named = BTreeSet::new();
    for (name, value) in samples {
        let schema = &document["components"]["schemas"][name];
        let found = faults(document, schema, &value, name);
        assert!(found.is_empty(), "{found:?}");
        let members: BTreeSet<_> = object(&value).keys().collect();
        let properties: BTreeSet<_> = object(&schema["properties"]).keys().collect();
        assert_eq!(members, properties, "{name}");
        named.insert(name);
    }
    named.extend(["Moment", "Subproblem", "Check", "Readiness"]);
    named.extend(inside);
    assert_eq!(named, object(&document["components"]["schemas"]).keys().map(String::as_str).collect());
}

#[test]
fn a_value_that_does_not_fit_is_seen() {
    let document = described();
    let schema = &document["components"]["schemas"]["Consistency"];
    let good = json!({"first": 1, "second": 2, "consistency": []});
    assert!(faults(&document, schema, &good, "").is_empty());
    for (member, value) in
        [("first", json!(-1)), ("first", json!("1")), ("consistency", json!(["AA=="])), ("more", json!(1))]
    {
        let mut bad = good.clone();
        bad[member] = value;
        assert!(!faults(&document, schema, &bad, "").is_empty(), "{bad}");
    }
    assert!(!faults(&document, schema, &json!({"first": 1, "second": 2}), "").is_empty());
}

#[test]
fn a_server_answers_as_described() {
    let dir = tempfile::tempdir().unwrap();
    let log = server::LogDir::init(dir.path(), None);
    let _server = log.serve();
    let ask = |method: &str, target: &str| {
        let mut connection = raw_http::Connection::open(log.address).unwrap();
        connection.request(method, target, "", b"").unwrap()
    };
    let document: Value = serde_json::from_slice(&ask("GET", "/openapi.json").body).unwrap();
    assert_eq!(document, described());
    let mut statuses = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";
        let filled = path
            .replace("{level}", "0")
            .replace("{index}", "000")
            .replace("{width}", "1")
            .replace("{fingerprint}", &"0".repeat(64));
        // Once as it stands, once with every parameter.
        let each = operation["parameters"].as_array().cloned().unwrap_or_default();
        let parameters = each.iter().filter(|p| p["in"] == "query").map(|p| {
            let hash = p["schema"]["$ref"].as_str().is_some_and(|name| name.ends_with("/Hash"));
            format!("{}={}", p["name"].as_str().unwrap(), if hash { zero } else { "0" })
        });
        let query = parameters.collect::<Vec<_>>().join("&");
        for target in [filled.clone(), format!("{filled}?{query}")] {
            let answer = ask(&method, &target);
            let place = format!("{method} {target}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
            let response = &operation["responses"][answer.status.to_string()];
            assert!(response.is_object(), "not described: {place}");
            let media = answer.header("content-type").unwrap();
            let content = &response["content"][media];
            assert!(content.is_object(), "{media}: {place}");
            if media.ends_with("json") {
                let body = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!(faults(&document, &content["schema"], &body, &place), Vec::<String>::new());
            }
            let cache = answer.header("cache-control").unwrap();
            let described = response["headers"]["Cache-Control"]["description"].as_str().unwrap();
            let kind = cache.split('=').next().unwrap();
            assert!(described.contains(kind), "{cache} is not {described}: {place}");
            statuses.insert(answer.status);
        }
        let other = if method == "GET" { "POST" } else { "GET" };
        assert_eq!(ask(other, &filled).status, 405, "{other} {path}");
    }
    assert!(statuses.is_superset(&[200, 400, 404].into()), "{statuses:?}");
    assert_eq!(ask("GET", "/atl/v2/log").status, 404);
}

/// For curl: a body that is no JSON.
const PLAIN: [&str; 4] = ["--header", "Content-Type: text/plain", "--data", "{}"];

/// A CA that was asked, and the statuses that each of its calls answered with.
struct AskedCa {
    rig: CaRig,
    document: Value,
    met: BTreeMap<String, BTreeSet<u16>>,
}

impl AskedCa {
    /// Holds an answer of curl's to what is described of the call `operation`, such as `POST /ca/v1/enroll`.
    #[track_caller]
    fn fits(&mut self, operation: &str, answer: Response) -> Response {
        let (method, path) = operation.split_once(' ').unwrap();
        let described = &self.document["paths"][path][method.to_lowercase()];
        let place = format!("{operation}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        let response = &described["responses"][answer.status.to_string()];
        assert!(response.is_object(), "not described: {place}");
        match answer.header("content-type") {
            Some(media) => {
                let content = &response["content"][media];
                assert!(content.is_object(), "{media}: {place}");
                if media.ends_with("json") {
                    assert_eq!(
                        faults(&self.document, &content["schema"], &answer.json(), &place),
                        Vec::<String>::new()
                    );
                }
            }
            None => assert!(answer.body.is_empty() && response["content"].is_null(), "{place}"),
        }
        let cache = answer.header("cache-control").unwrap_or_else(|| panic!("no cache-control: {place}"));
        let held = response["headers"]["Cache-Control"]["description"].as_str().unwrap();
        assert!(held.contains(cache.split('=').next().unwrap()), "{cache} is not {held}: {place}");
        for name in ["location", "retry-after", "www-authenticate", "vary"] {
            let said = object(&response["headers"]).keys().any(|known| known.to_lowercase() == name);
            assert!(said || answer.header(name).is_none(), "{name} is not described: {place}");
        }
        self.met.entry(operation.to_owned()).or_default().insert(answer.status);
        answer
    }

    fn get(&mut self, operation: &str, target: &str, more: &[&str]) -> Response {
        let answer = self.rig.curl(target, more);
        self.fits(operation, answer)
    }

    fn operate(&mut self, operation: &str, target: &str, more: &[&str]) -> Response {
        let method = operation.split(' ').next().unwrap();
        let answer = self.rig.curl_operator(target, &[&["--request", method], more].concat());
        self.fits(operation, answer)
    }

    fn post(&mut self, path: &str, token: &str, body: &Value, more: &[&str]) -> Response {
        let answer = self.rig.post(path, token, body, more);
        self.fits(&format!("POST {path}"), answer)
    }

    /// A request for a certificate, with the key of the file `agent.key`.
    fn application(&self, name: &str) -> Value {
        let name = format!("subjectAltName=URI:{}", ca_process::agent(name));
        let new = ["req", "-new", "-key", "agent.key", "-subj", "/", "-addext", &name];
        good(self.rig.run("openssl", &[&new[..], &["-outform", "DER", "-out", "agent.csr"]].concat()));
        let csr = B64(std::fs::read(self.rig.path("agent.csr")).unwrap());
        let evidence = json!({
            "model_family": "claude", "model_version": "5", "framework": "mcp-sdk", "organization": "bank",
            "build_hash": "00".repeat(32), "attestation": "AA==", "evidence_uri": "https://bank.example.com/e",
        });
        json!({
            "csr": csr, "evidence": evidence, "validity_seconds": 600, "principal": {"human": "Jo", "max_depth": 1},
            "capabilities": [{
                "tool_uri": "https://api.bank.example.com", "scope": "read",
                "spend_limit": {"max_per_transaction": 5, "currency": "EUR"},
                "rate_limit": {"max_requests": 1, "period_seconds": 1},
            }],
        })
    }
}

#[test]
fn a_ca_answers_as_described() {
    // Every enrolment waits for an operator.
    let rig = CaRig::new(CaOptions::default(), |config| config.policy.manual_approval = ManualApproval::Always);
    good(rig.run("openssl", &["genpkey", "-algorithm", "ed25519", "-out", "agent.key"]));
    let document = rig.curl("/openapi.json", &[]).json();
    assert_eq!(document, described_ca());
    let mut ca = AskedCa { rig, document, met: BTreeMap::new() };
    ca_tokens(&mut ca);
    let sha256 = ca_enrolments(&mut ca);
    ca_renewals(&mut ca);
    ca_records(&mut ca, &sha256);
    ca_authority(&mut ca);
    let bundle = "/.well-known/apki-trust-bundle";
    let [jws, spiffe] = ["jws", "spiffe"].map(|form| format!("{bundle}.{form}"));
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/ca/v1/ca", bundle, &jws, &spiffe] {
        assert_eq!(ca.get(&format!("GET {path}"), path, &[]).status, 200);
    }
    // Without its logs it is not ready, and says so.
    for log in &mut ca.rig.logs {
        log.stop(Signal::KILL);
    }
    let renewal = ca_renewal(&ca, 900);
    let answer = ca.post("/ca/v1/renew", "", &renewal, &IDENTITY);
    assert_eq!((answer.status, answer.problem().as_str()), (503, "logsUnavailable"), "{answer:?}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while ca.get("GET /readyz", "/readyz", &[]).status != 503 {
        assert!(Instant::now() < deadline, "it is ready without logs");
        std::thread::sleep(Duration::from_millis(200));
    }
    let calls = operations(&ca.document).into_iter().map(|(method, path, _)| format!("{method} {path}"));
    assert_eq!(calls.collect::<BTreeSet<_>>(), ca.met.keys().cloned().collect(), "not every call was tried");
}

fn ca_tokens(ca: &mut AskedCa) {
    let operator = ca.rig.operator_token();
    let asked = json!({"agents": ca_process::agent("retail/*/*"), "ttl_seconds": 60});
    let minted = ca.post("/ca/v1/tokens", &operator, &asked, &[]);
    assert_eq!(minted.status, 201);
    assert_eq!(ca.post("/ca/v1/tokens", "", &asked, &[]).status, 401);
    assert_eq!(ca.post("/ca/v1/tokens", &operator, &json!({"agents": "x"}), &[]).status, 400);
    assert_eq!(ca.operate("POST /ca/v1/tokens", "/ca/v1/tokens", &PLAIN).status, 415);
    let path = format!("/ca/v1/tokens/{}", minted.json()["id"].as_str().unwrap());
    // Also a second time.
    for _ in 0..2 {
        assert_eq!(ca.operate("DELETE /ca/v1/tokens/{id}", &path, &[]).status, 204);
    }
    assert_eq!(ca.operate("DELETE /ca/v1/tokens/{id}", "/ca/v1/tokens/x", &[]).status, 404);
}

/// Pending, approved, denied, refused; the SHA-256 of the certificate.
fn ca_enrolments(ca: &mut AskedCa) -> String {
    let (mut approved, mut denied) = (String::new(), String::new());
    for (name, id) in [("retail/teller/1", &mut approved), ("retail/teller/2", &mut denied)] {
        let (token, asked) = (ca.rig.token(name, &[]), ca.application(name));
        let answer = ca.post("/ca/v1/enroll", &token, &asked, &[]);
        assert_eq!((answer.status, answer.json()["status"].as_str()), (202, Some("pending")));
        *id = answer.json()["id"].as_str().unwrap().to_owned();
    }
    let list = ca.operate("GET /ca/v1/requests", "/ca/v1/requests?limit=1", &[]).json();
    assert!(list["next"].is_string() && list["requests"][0]["evidence"].is_object(), "{list}");
    assert_eq!(ca.operate("GET /ca/v1/requests", "/ca/v1/requests?limit=0", &[]).status, 400);
    assert_eq!(ca.get("GET /ca/v1/requests", "/ca/v1/requests", &[]).status, 401);
    let request = "GET /ca/v1/requests/{id}";
    assert_eq!(ca.get(request, &format!("/ca/v1/requests/{approved}"), &[]).json()["status"], "pending");
    assert_eq!(ca.get(request, "/ca/v1/requests/x", &[]).status, 404);
    let approve = format!("/ca/v1/requests/{approved}/approve");
    let answer = ca.operate("POST /ca/v1/requests/{id}/approve", &approve, &[]);
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("valid")));
    let deny = format!("/ca/v1/requests/{denied}/deny");
    let why = ["--header", "Content-Type: application/json", "--data", r#"{"why":"who is that?"}"#];
    assert_eq!(ca.operate("POST /ca/v1/requests/{id}/deny", &deny, &why).json()["status"], "invalid");
    for (operation, path) in
        [("approve", &deny.replace("/deny", "/approve")), ("deny", &approve.replace("/approve", "/deny"))]
    {
        let operation = format!("POST /ca/v1/requests/{{id}}/{operation}");
        assert_eq!(ca.operate(&operation, path, &why[..2]).status, 409, "{operation}");
        assert_eq!(ca.operate(&operation, &path.replace("requests/", "requests/x"), &why[..2]).status, 404);
    }
    assert_eq!(ca.get(request, &format!("/ca/v1/requests/{denied}"), &[]).json()["status"], "invalid");
    let valid = ca.get(request, &format!("/ca/v1/requests/{approved}"), &[]).json();
    std::fs::write(ca.rig.path("agent.pem"), valid["certificate"]["chain_pem"].as_str().unwrap()).unwrap();
    ca_refusals(ca);
    valid["certificate"]["sha256"].as_str().unwrap().to_owned()
}

fn ca_refusals(ca: &mut AskedCa) {
    let (token, good_one) = (ca.rig.token("retail/shopper/*", &[]), ca.application("retail/shopper/1"));
    let with = |name: &str, value: Value| {
        let mut changed = good_one.clone();
        changed[name] = value;
        changed
    };
    for (asked, status) in [
        (with("csr", json!("AA==")), 400),
        (with("csr", json!(1)), 400),
        (with("validity_seconds", json!(86_401)), 403),
        (ca.application("retail/teller/3"), 403),
    ] {
        assert_eq!(ca.post("/ca/v1/enroll", &token, &asked, &[]).status, status, "{asked}");
    }
    assert_eq!(ca.post("/ca/v1/enroll", "no-token", &good_one, &[]).status, 401);
    let header = format!("Authorization: Bearer {token}");
    let plain = ca.get("POST /ca/v1/enroll", "/ca/v1/enroll", &[&PLAIN[..], &["--header", &header]].concat());
    assert_eq!(plain.status, 415);
    let long = with("validity_seconds", json!("1".repeat(70_000)));
    assert_eq!(ca.post("/ca/v1/enroll", &token, &long, &[]).status, 413);
}

/// For curl: the agent that was enrolled.
const IDENTITY: [&str; 4] = ["--cert", "agent.pem", "--key", "agent.key"];

fn ca_renewal(ca: &AskedCa, seconds: u32) -> Value {
    let mut asked = ca.application("retail/teller/1");
    for member in ["capabilities", "principal"] {
        asked.as_object_mut().unwrap().remove(member);
    }
    asked["validity_seconds"] = json!(seconds);
    asked
}

fn ca_renewals(ca: &mut AskedCa) {
    let asked = ca_renewal(ca, 600);
    assert_eq!(ca.post("/ca/v1/renew", "", &asked, &[]).status, 401);
    let (long, mut other) = (ca_renewal(ca, 86_401), asked.clone());
    other["csr"] = json!("AA==");
    assert_eq!(ca.post("/ca/v1/renew", "", &long, &IDENTITY).status, 403);
    assert_eq!(ca.post("/ca/v1/renew", "", &other, &IDENTITY).status, 400);
    assert_eq!(ca.post("/ca/v1/renew", "", &asked, &IDENTITY).status, 201);
}

/// Handed on, looked at, and taken back.
fn ca_authority(ca: &mut AskedCa) {
    let operator = ca.rig.operator_token();
    let mut asked = ca.application("retail/teller/child");
    for member in ["principal", "evidence"] {
        asked.as_object_mut().unwrap().remove(member);
    }
    // The parent may have all of that, and a child less.
    let whole = ca.post("/ca/v1/delegate", "", &asked, &IDENTITY);
    assert_eq!((whole.status, whole.problem().as_str()), (403, "policy"), "{whole:?}");
    asked["capabilities"][0]["spend_limit"]["max_per_transaction"] = json!(4);
    asked["validity_seconds"] = json!(300);
    assert_eq!(ca.post("/ca/v1/delegate", "", &asked, &[]).status, 401);
    assert_eq!(ca.post("/ca/v1/delegate", "", &json!({"csr": "AA=="}), &IDENTITY).status, 400);
    let waits = ca.post("/ca/v1/delegate", "", &asked, &IDENTITY);
    assert!(matches!(waits.status, 201 | 202), "{waits:?}");
    if waits.status == 202 {
        let approve = format!("/ca/v1/requests/{}/approve", waits.json()["id"].as_str().unwrap());
        assert_eq!(ca.operate("POST /ca/v1/requests/{id}/approve", &approve, &[]).json()["status"], "valid");
    }
    let (standing, lineage) = ("GET /ca/v1/standing", "GET /ca/v1/lineage");
    assert_eq!(ca.get(standing, "/ca/v1/standing", &IDENTITY).json()["status"], "valid");
    assert_eq!(ca.get(standing, "/ca/v1/standing", &[]).status, 401);
    let of = |name: &str| format!("/ca/v1/lineage?agent={}", ca_process::agent(name));
    let tree = ca.operate(lineage, &of("retail/teller/child"), &[]).json();
    assert_eq!(tree["above"][0]["agent"], ca_process::agent("retail/teller/1"), "{tree}");
    assert_eq!(ca.operate(lineage, &of("retail/teller/none"), &[]).status, 404);
    assert_eq!(ca.operate(lineage, "/ca/v1/lineage?agent=x", &[]).status, 400);
    assert_eq!(ca.get(lineage, "/ca/v1/lineage", &[]).status, 401);
    let child = json!({"agent": ca_process::agent("retail/teller/child"), "reason": "superseded"});
    assert_eq!(ca.post("/ca/v1/revoke", "", &child, &[]).status, 401);
    assert_eq!(ca.post("/ca/v1/revoke", "nobody", &child, &[]).status, 401);
    assert_eq!(ca.post("/ca/v1/revoke", &operator, &json!({"reason": "superseded"}), &[]).status, 400);
    let unknown = json!({"agent": ca_process::agent("retail/teller/none")});
    assert_eq!(ca.post("/ca/v1/revoke", &operator, &unknown, &[]).status, 404);
    let by_parent = ca.post("/ca/v1/revoke", "", &child, &IDENTITY);
    assert_eq!((by_parent.status, by_parent.json()["agents_total"].as_u64()), (200, Some(1)), "{by_parent:?}");
}

fn ca_records(ca: &mut AskedCa, sha256: &str) {
    let certificate = "GET /ca/v1/certificates/{sha256}";
    let path = format!("/ca/v1/certificates/{sha256}");
    let der = ca.get(certificate, &path, &[]);
    assert_eq!(der.header("content-type"), Some("application/pkix-cert"));
    let pem = ca.get(certificate, &path, &["--header", "Accept: application/pem-certificate-chain"]);
    assert!(pem.body.starts_with(b"-----BEGIN CERTIFICATE-----"));
    assert_eq!(ca.get(certificate, &path.replace(sha256, &"0".repeat(64)), &[]).status, 404);
    let list = "GET /ca/v1/certificates";
    let first = ca.operate(list, "/ca/v1/certificates?limit=1", &[]).json();
    let next = format!("/ca/v1/certificates?after={}", first["next"].as_str().unwrap());
    let second = ca.operate(list, &next, &[]).json();
    assert_eq!(second["certificates"][0]["sha256"], sha256);
    let agent = format!("/ca/v1/certificates?agent={}&since=1", ca_process::agent("retail/teller/1"));
    assert_eq!(ca.operate(list, &agent, &[]).json()["certificates"].as_array().unwrap().len(), 2);
    let serial = format!("/ca/v1/certificates?serial={}", second["certificates"][0]["serial"].as_str().unwrap());
    assert_eq!(ca.operate(list, &serial, &[]).json()["certificates"].as_array().unwrap().len(), 1);
    assert_eq!(ca.operate(list, "/ca/v1/certificates?agent=x", &[]).status, 400);
    assert_eq!(ca.get(list, "/ca/v1/certificates", &[]).status, 401);
    let audit = ca.operate("GET /ca/v1/audit", "/ca/v1/audit?start=1&limit=2", &[]).json();
    assert_eq!(audit["rows"].as_array().unwrap().len(), 2);
    assert_eq!(ca.operate("GET /ca/v1/audit", "/ca/v1/audit?limit=x", &[]).status, 400);
    assert_eq!(ca.get("GET /ca/v1/audit", "/ca/v1/audit", &[]).status, 401);
}
