//! A CA through the real binary, each of its answers held to the description.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use atl::api::B64;
use atl::config::ca::ManualApproval;
use serde_json::{Value, json};

use crate::ca_process::{self, CaOptions, CaRig, Response, Signal, good};
use crate::{described_ca, faults, object, operations};

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
    ca_status(&mut ca);
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
    let renewed = ca.post("/ca/v1/renew", "", &asked, &IDENTITY);
    assert_eq!(renewed.status, 201);
    // From now on it acts with its newest certificate.
    let certificate = &renewed.json()["certificate"];
    std::fs::write(ca.rig.path("agent.pem"), certificate["chain_pem"].as_str().unwrap()).unwrap();
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

/// Asked by OCSP, and looked up in lists.
fn ca_status(ca: &mut AskedCa) {
    let request = ["ocsp", "-issuer", "ca/intermediate.pem", "-cert", "agent.pem", "-no_nonce", "-reqout", "ocsp.der"];
    good(ca.rig.run("openssl", &request));
    let typed = |media| ["--header", media, "--data-binary", "@ocsp.der"];
    let request = typed("Content-Type: application/ocsp-request");
    for body in [&request[..], &["--data-binary", "nonsense", "--header", "Content-Type: application/ocsp-request"]] {
        let answer = ca.get("POST /ocsp", "/ocsp", body);
        assert_eq!(answer.header("content-type"), Some("application/ocsp-response"));
    }
    assert_eq!(ca.get("POST /ocsp", "/ocsp", &typed("Content-Type: text/plain")).status, 415);
    let long = "0".repeat(20_000);
    assert_eq!(ca.get("POST /ocsp", "/ocsp", &[&request[..2], &["--data-binary", &long]].concat()).status, 413);
    let in_path = B64(std::fs::read(ca.rig.path("ocsp.der")).unwrap());
    let in_path = serde_json::to_value(in_path).unwrap().as_str().unwrap().replace('/', "%2F").replace('+', "%2B");
    assert_eq!(ca.get("GET /ocsp/{request}", &format!("/ocsp/{in_path}"), &[]).status, 200);
    let named = good(ca.rig.run("openssl", &["x509", "-in", "agent.pem", "-noout", "-ext", "crlDistributionPoints"]));
    let shard = named.split("/crl/").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(ca.get("GET /crl/{shard}", &format!("/crl/{shard}"), &[]).status, 200);
    assert_eq!(ca.get("GET /crl/{shard}", "/crl/0", &[]).status, 404);
    assert_eq!(ca.get("GET /crl", "/crl", &[]).status, 200);
    assert_eq!(ca.get("GET /crl/root", "/crl/root", &[]).status, 404);
    assert_eq!(ca.get("GET /crl/anchor", "/crl/anchor", &[]).status, 404);
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
