//! Holds `/openapi.json` to the routes, to the types of the API, and to what a server answers.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]

#[path = "common/raw_http.rs"]
mod raw_http;
#[path = "common/server.rs"]
mod server;

use std::collections::BTreeSet;

use atl::api::ca::*;
use atl::api::*;
use atl::http::openapi;
use atl::keys::LogId;
use atl::log::entry::EntryType;
use atl::merkle::{Hash, LeafIndex, TreeSize};
use atl::time::UnixMillis;
use serde_json::{Map, Value, json};

/// The log's API.
fn described() -> Value {
    serde_json::to_value(openapi::log::document()).unwrap()
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
    describes(&described_ca(), atl::http::ca::paths().collect(), 16);
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
    for (method, path, operation) in operations(&described()).into_iter().chain(operations(&described_ca())) {
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
    for document in [described(), described_ca()] {
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
    let document = described_ca();
    let schemes = object(&document["components"]["securitySchemes"]);
    for (method, path, operation) in operations(&document) {
        let shown = operation["security"].as_array().map(|all| object(&all[0]).keys().next().unwrap().clone());
        let refused = operation["responses"]["401"].is_object();
        assert_eq!(shown.is_some(), refused, "{method} {path}");
        assert!(shown.is_none_or(|name| schemes.contains_key(&name)), "{method} {path}");
    }
    assert!(operations(&described()).iter().all(|(.., operation)| operation["security"].is_null()));
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
    let problem = Problem::new(Token::Policy, "x").of([Subproblem::reason("score", "too low")]);
    vec![
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

#[test]
fn the_schemas_are_those_of_the_types() {
    // Values inside of others, and what only a server makes: the test below has those.
    let inside = ["Hash", "LeafIndex", "TreeSize", "EntryType", "Log"];
    fit(&described(), samples(), &inside);
    let inside = [
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
        "Capabilities",
    ];
    fit(&described_ca(), ca_samples(), &inside);
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
    named.extend(["Octets", "Moment", "Subproblem", "Check", "Readiness"]);
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
