//! Holds `/openapi.json` to the routes, to the types of the API, and to what a server answers.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "openapi/ca.rs"]
mod ca;
#[path = "common/ca_process.rs"]
mod ca_process;
#[path = "common/raw_http.rs"]
mod raw_http;
#[path = "openapi/samples.rs"]
mod samples;
#[path = "common/server.rs"]
mod server;

use std::collections::BTreeSet;

use atl::api::*;
use atl::http::openapi;
use serde_json::{Map, Value, json};

use self::samples::{ca_samples, samples, trust_samples};

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
    describes(&described_ca(), atl::http::ca::paths().collect(), 29);
    describes(&described_trust(), atl::http::trust::paths().collect(), 20);
}

fn describes(document: &Value, mut routes: BTreeSet<&str>, count: usize) {
    let operations = operations(document);
    assert_eq!(operations.len(), count);
    let mut ids = BTreeSet::new();
    let mut met = BTreeSet::new();
    for (_, path, operation) in &operations {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}: its id is taken");
        let route = match path.as_str() {
            path if path.starts_with("/tile/") => "/tile/{*path}",
            // Base64 in a path may have a slash in it.
            "/ocsp/{request}" => "/ocsp/{*request}",
            path => path,
        };
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
    // A gateway speaks to proxies, by what the README says, and has no description for machines.
    named.extend([Token::AgentRefused, Token::Undecided].map(Token::as_str));
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
