//! Holds `/openapi.json` to the routes, to the types of the API, and to what a server answers.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]

#[path = "common/raw_http.rs"]
mod raw_http;
#[path = "common/server.rs"]
mod server;

use std::collections::BTreeSet;

use atl::api::*;
use atl::http::log::paths;
use atl::http::openapi::document;
use atl::keys::LogId;
use atl::log::entry::EntryType;
use atl::merkle::{Hash, LeafIndex, TreeSize};
use atl::time::UnixMillis;
use serde_json::{Map, Value, json};

fn described() -> Value {
    serde_json::to_value(document()).unwrap()
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
    let document = described();
    let mut routes: BTreeSet<_> = paths().collect();
    let operations = operations(&document);
    assert_eq!(operations.len(), 22);
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
    for (method, path, operation) in operations(&described()) {
        for (status, response) in object(&operation["responses"]) {
            let place = format!("{method} {path} {status}");
            assert!(response["headers"]["Cache-Control"]["description"].is_string(), "{place}");
            let retry = matches!(status.as_str(), "429" | "503");
            let hash_unknown = response["description"].as_str().unwrap().contains("hashUnknown");
            assert_eq!(response["headers"]["Retry-After"].is_object(), retry || hash_unknown, "{place}");
            let problem = object(&response["content"]).contains_key(PROBLEM_MEDIA_TYPE);
            let own = path == "/readyz" && status == "503";
            assert_eq!(problem, status != "200" && !own, "{place}");
        }
    }
}

#[test]
fn names_every_token_and_points_at_nothing_missing() {
    let document = described();
    let text = document.to_string();
    for token in Token::ALL {
        assert!(text.contains(&format!("`{token}`")), "{token} is in no description of an answer");
        assert!(text.contains(&format!("\"{URN_PREFIX}{token}\"")), "{token} is not in Problem");
    }
    for part in text.split("\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    for name in object(&document["components"]["schemas"]).keys() {
        assert!(text.contains(&format!("#/components/schemas/{name}\"")), "{name} is used nowhere");
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
    let problem = Problem::new(Token::RateLimited, "wait");
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

#[test]
fn the_schemas_are_those_of_the_types() {
    let document = described();
    let mut named = BTreeSet::new();
    for (name, value) in samples() {
        let schema = &document["components"]["schemas"][name];
        let found = faults(&document, schema, &value, name);
        assert!(found.is_empty(), "{found:?}");
        let members: BTreeSet<_> = object(&value).keys().collect();
        let properties: BTreeSet<_> = object(&schema["properties"]).keys().collect();
        assert_eq!(members, properties, "{name}");
        named.insert(name);
    }
    // Values inside of others, and what only a server makes: the test below has those.
    named.extend(["Octets", "Hash", "Moment", "LeafIndex", "TreeSize", "EntryType", "Log", "Check", "Readiness"]);
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
