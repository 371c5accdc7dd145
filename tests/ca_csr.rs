//! Certification requests that openssl makes, sent with curl to a CA that runs: what is accepted, and in
//! which words the rest is refused.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]

#[path = "common/ca_process.rs"]
mod ca_process;

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use self::ca_process::*;

const KEYS: [(&str, &[&str]); 4] = [
    ("p256", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("rsa", &["rsa", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("ed25519", &["ed25519"]),
];

/// A CA, and keys that openssl made.
struct Desk(CaRig);

impl Desk {
    fn new() -> Self {
        let rig = CaRig::new(CaOptions::default(), |_| {});
        for (name, algorithm) in KEYS {
            good(rig.run("openssl", &[&["genpkey", "-out", &format!("{name}.key"), "-algorithm"], algorithm].concat()));
        }
        Self(rig)
    }

    /// A request with this key for these names, in DER.
    fn csr(&self, key: &str, names: &str, more: &[&str]) -> Vec<u8> {
        let (key, names) = (format!("{key}.key"), format!("subjectAltName={names}"));
        let named = if names.ends_with('=') { vec![] } else { vec!["-addext", &names] };
        let req = ["req", "-new", "-key", &key, "-subj", "/CN=somebody", "-outform", "DER", "-out", "csr.der"];
        good(self.0.run("openssl", &[&req[..], &named, more].concat()));
        fs::read(self.0.path("csr.der")).unwrap()
    }

    /// Sends a request with a new token for all agents of the type.
    fn send(&self, csr: &[u8]) -> Response {
        self.send_with(&self.0.token("retail/shopper/*", &[]), csr)
    }

    fn send_with(&self, token: &str, csr: &[u8]) -> Response {
        let capability = json!({"tool_uri": "https://api.bank.example.com", "scope": "read"});
        let body = json!({"csr": STANDARD.encode(csr), "capabilities": [capability]});
        self.0.post("/ca/v1/enroll", token, &body, &[])
    }

    #[track_caller]
    fn accepted(&self, csr: &[u8], name: &str) -> String {
        let answer = self.send(csr);
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        let certificate = &answer.json()["certificate"];
        assert_eq!(certificate["agent"], agent(name));
        fs::write(self.0.path("cert.pem"), certificate["chain_pem"].as_str().unwrap()).unwrap();
        good(self.0.run("openssl", &["x509", "-in", "cert.pem", "-noout", "-text"]))
    }

    #[track_caller]
    fn refused(&self, csr: &[u8], status: u16, token: &str, words: &[&str]) {
        let answer = self.send(csr);
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!((answer.status, answer.problem().as_str()), (status, token), "{said}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        for words in words {
            assert!(answer.detail().contains(words), "{words:?} is not in the detail of {said}");
        }
    }
}

/// The request with the last octet of its signature changed.
fn spoilt(mut csr: Vec<u8>) -> Vec<u8> {
    *csr.last_mut().unwrap() ^= 1;
    csr
}

#[test]
fn requests_of_openssl() {
    let desk = Desk::new();
    both_kinds_of_key(&desk);
    what_else_is_asked_for_is_passed_over(&desk);
    requests_that_prove_nothing(&desk);
    keys_of_other_kinds(&desk);
    names_that_no_certificate_has(&desk);
    agents_that_are_somebody_elses(&desk);
    the_service_s_own_certificate(&desk);
}

fn both_kinds_of_key(desk: &Desk) {
    for (key, shown) in [("p256", "ASN1 OID: prime256v1"), ("ed25519", "Public Key Algorithm: ED25519")] {
        let name = format!("retail/shopper/{key}");
        let text = desk.accepted(&desk.csr(key, &format!("URI:{}", agent(&name)), &[]), &name);
        assert!(text.contains(shown) && text.contains(&format!("URI:{}\n", agent(&name))), "{text}");
        // The subject that was asked for is nobody's.
        assert!(text.contains("Subject: \n") && !text.contains("somebody"), "{text}");
        good(desk.0.run("openssl", &["pkey", "-in", &format!("{key}.key"), "-pubout", "-out", "key.pub"]));
        let certified = good(desk.0.run("openssl", &["x509", "-in", "cert.pem", "-noout", "-pubkey"]));
        assert_eq!(certified, fs::read_to_string(desk.0.path("key.pub")).unwrap());
    }
}

fn what_else_is_asked_for_is_passed_over(desk: &Desk) {
    let config = format!(
        "[req]\nprompt=no\ndistinguished_name=dn\nattributes=extra\nreq_extensions=asked\n[dn]\nO=Bank\nCN=One\n[extra]\n\
         challengePassword=secret12\nunstructuredName=One\n[asked]\nbasicConstraints=critical,CA:TRUE\n\
         keyUsage=keyCertSign\nextendedKeyUsage=codeSigning\n1.3.6.1.4.1.32473.1.1=ASN1:NULL\nsubjectAltName=URI:{}\n",
        agent("retail/shopper/extra")
    );
    fs::write(desk.0.path("req.cnf"), config).unwrap();
    let text = desk.accepted(&desk.csr("p256", "", &["-config", "req.cnf"]), "retail/shopper/extra");
    for absent in ["CA:TRUE", "Certificate Sign", "Code Signing", "secret12"] {
        assert!(!text.contains(absent), "{absent} is in {text}");
    }
    assert!(text.contains("Digital Signature\n") && text.contains("TLS Web Client Authentication"), "{text}");
}

fn requests_that_prove_nothing(desk: &Desk) {
    let name = format!("URI:{}", agent("retail/shopper/proof"));
    for key in ["p256", "ed25519"] {
        let csr = spoilt(desk.csr(key, &name, &[]));
        desk.refused(&csr, 400, "badCSR", &["the request is not signed by its own key"]);
    }
    let sha384 = desk.csr("p256", &name, &["-sha384"]);
    desk.refused(&sha384, 400, "badCSR", &["1.2.840.10045.4.3.3", "ecdsa-with-SHA256"]);
    let csr = desk.csr("p256", &name, &[]);
    desk.refused(&csr[..csr.len() - 1], 400, "badCSR", &["PKCS#10"]);
    desk.refused(&[&csr[..], b"\0"].concat(), 400, "badCSR", &["PKCS#10"]);
    desk.refused(b"", 400, "badCSR", &["PKCS#10"]);
    // A certificate is no request for one.
    let root = good(desk.0.run("openssl", &["x509", "-in", "ca/root.pem", "-outform", "DER", "-out", "root.der"]));
    assert!(root.is_empty());
    desk.refused(&fs::read(desk.0.path("root.der")).unwrap(), 400, "badCSR", &["PKCS#10"]);
}

fn keys_of_other_kinds(desk: &Desk) {
    let name = format!("URI:{}", agent("retail/shopper/key"));
    for (key, oid) in [("p384", "1.3.132.0.34"), ("rsa", "1.2.840.113549.1.1.1")] {
        desk.refused(&desk.csr(key, &name, &[]), 400, "badPublicKey", &[oid]);
    }
}

fn names_that_no_certificate_has(desk: &Desk) {
    let one = format!("URI:{}", agent("retail/shopper/one"));
    let refused = |names: &str, words: &[&str]| {
        desk.refused(&desk.csr("p256", names, &[]), 403, "rejectedIdentifier", words);
    };
    refused("", &["subjectAltName", "there is none"]);
    refused("DNS:bank.example.com", &["`bank.example.com`", "ask without it"]);
    refused(&format!("{one},URI:{}", agent("retail/shopper/two")), &["2 agent:// URIs where exactly one belongs"]);
    refused(&format!("{one},DNS:bank.example.com"), &["`bank.example.com`", "ask without it"]);
    refused(&format!("{one},email:one@bank.example.com"), &["`one@bank.example.com`"]);
    refused(&format!("{one},IP:192.0.2.1"), &["192.0.2.1"]);
    refused(&format!("{one},URI:https://bank.example.com/"), &["`https://bank.example.com/`"]);
    refused("URI:agent://Bank.example.com/retail/shopper/one", &["`agent://Bank.example.com/retail/shopper/one`"]);
    refused(&format!("URI:{}", agent("retail/shopper")), &["`agent://bank.example.com/retail/shopper`"]);
}

/// These are names that certificates may have, but not from this CA, or not for this token.
fn agents_that_are_somebody_elses(desk: &Desk) {
    let foreign = "agent://other.example.com/retail/shopper/one";
    let token = desk.0.token("retail/shopper/*", &[]);
    let answer = desk.send_with(&token, &desk.csr("p256", &format!("URI:{foreign}"), &[]));
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!((answer.status, answer.problem().as_str()), (403, "policy"), "{said}");
    assert!(said.contains("other.example.com") && said.contains(DOMAIN), "{said}");
    let answer = desk.send_with(&token, &desk.csr("p256", &format!("URI:{}", agent("retail/teller/one")), &[]));
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!((answer.status, answer.problem().as_str()), (403, "policy"), "{said}");
    assert!(said.contains("retail/shopper/*"), "{said}");
    // What was refused has not used the token up.
    let answer = desk.send_with(&token, &desk.csr("p256", &format!("URI:{}", agent("retail/shopper/at-last")), &[]));
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
}

/// The CA's TLS certificate stands below its root, and names what it is told to.
fn the_service_s_own_certificate(desk: &Desk) {
    let (url, port) = (desk.0.url(), desk.0.ca.address().port());
    let of = |url: &str, more: &[&str]| desk.0.run("curl", &[&["--silent", "--show-error"], more, &[url]].concat());
    let trusting = ["--cacert", "ca/root.pem"];
    assert!(good(of(&format!("{url}/healthz"), &trusting)).len() < 100);
    let by_name = format!("https://localhost:{port}/ca/v1/ca");
    assert!(good(of(&by_name, &trusting)).contains(DOMAIN));
    for (url, more) in [
        (format!("{url}/healthz"), vec![]),
        (
            format!("https://elsewhere.example:{port}/healthz"),
            vec!["--cacert", "ca/root.pem", "--resolve", "elsewhere.example:*:127.0.0.1"],
        ),
    ] {
        let more: Vec<String> = more.iter().map(|text| text.replace(":*:", &format!(":{port}:"))).collect();
        let output = of(&url, &more.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(60), "{}", said(&output));
    }
}
