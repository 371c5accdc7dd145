//! Certification requests as OpenSSL makes them, and signatures that OpenSSL judges.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // a tool that fails is a failed test

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use atl::ca::csr::{CsrError, CsrFault, NameFault, SigningRequest};
use atl::keys::{KeyError, SignatureAlgorithm, signer_from_pkcs8_pem};
use aws_lc_rs::rand::SystemRandom;
use tempfile::TempDir;

const AGENT: &str = "agent://bank.example.com/retail/shopper/one";

/// A directory in which OpenSSL works.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn openssl(&self, arguments: &str) {
        let out = Command::new("openssl").args(arguments.split(' ')).current_dir(self.path()).output().unwrap();
        assert!(out.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&out.stderr));
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn octets(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    fn key(&self, kind: &str) {
        let options = match kind {
            "p256" => "ec -pkeyopt ec_paramgen_curve:P-256",
            "p384" => "ec -pkeyopt ec_paramgen_curve:P-384",
            "rsa" => "rsa -pkeyopt rsa_keygen_bits:2048",
            other => other,
        };
        self.openssl(&format!("genpkey -out {kind}.pem -algorithm {options}"));
    }

    /// A request for these names, with further arguments for `openssl req`.
    fn request(&self, kind: &str, names: &str, more: &str) -> String {
        self.key(kind);
        let names = if names.is_empty() { String::new() } else { format!(" -addext subjectAltName={names}") };
        self.openssl(&format!("req -new -key {kind}.pem -subj /CN=somebody -out csr.pem{names}{more}"));
        self.text("csr.pem")
    }
}

fn uri(text: &str) -> String {
    format!("URI:{text}")
}

#[test]
fn both_kinds_of_key_are_read() {
    for (kind, algorithm) in [("p256", SignatureAlgorithm::EcdsaP256Sha256), ("ed25519", SignatureAlgorithm::Ed25519)] {
        let desk = Desk::new();
        let request = SigningRequest::from_pem(&desk.request(kind, &uri(AGENT), "")).unwrap();
        assert_eq!(request.public_key().algorithm(), algorithm);
        assert_eq!(request.agent_name().unwrap().uri.as_str(), AGENT);
        desk.openssl(&format!("pkey -in {kind}.pem -pubout -outform DER -out spki.der"));
        assert_eq!(request.public_key().spki_der(), desk.octets("spki.der"));
        desk.openssl("req -in csr.pem -outform DER -out csr.der");
        assert_eq!(SigningRequest::from_der(&desk.octets("csr.der")), Ok(request.clone()));
        desk.openssl("req -in csr.pem -newhdr -out new.pem");
        assert!(desk.text("new.pem").contains("NEW CERTIFICATE REQUEST"));
        assert_eq!(SigningRequest::from_pem(&desk.text("new.pem")), Ok(request));
    }
}

#[test]
fn other_attributes_and_extensions_are_passed_over() {
    let desk = Desk::new();
    let config = format!(
        "[req]\nprompt=no\ndistinguished_name=dn\nattributes=extra\nreq_extensions=asked\n[dn]\nO=Bank\nCN=One\n[extra]\n\
         challengePassword=secret12\nunstructuredName=One\n[asked]\nbasicConstraints=critical,CA:TRUE\n\
         keyUsage=keyCertSign\nextendedKeyUsage=codeSigning\nsubjectAltName=URI:{AGENT},URI:spiffe://bank.example.com/a/b\n"
    );
    std::fs::write(desk.path().join("req.cnf"), config).unwrap();
    for kind in ["p256", "ed25519"] {
        desk.key(kind);
        desk.openssl(&format!("req -new -config req.cnf -key {kind}.pem -out csr.pem"));
        let name = SigningRequest::from_pem(&desk.text("csr.pem")).unwrap().agent_name().unwrap();
        assert_eq!((name.uri.as_str(), name.spiffe.as_deref()), (AGENT, Some("spiffe://bank.example.com/a/b")));
    }
}

#[test]
fn a_request_without_names_is_one_for_a_ca() {
    let desk = Desk::new();
    let request = SigningRequest::from_pem(&desk.request("p256", "", "")).unwrap();
    assert_ne!(request.subject_der(), [0x30, 0x00]);
    assert_eq!(request.agent_name(), Err(CsrError::Identifier(NameFault::Missing)));
}

#[test]
fn other_keys_are_refused_as_keys() {
    for (kind, oid) in [("p384", "1.3.132.0.34"), ("rsa", "1.2.840.113549.1.1.1"), ("ed448", "1.3.101.113")] {
        let desk = Desk::new();
        let refused = SigningRequest::from_pem(&desk.request(kind, &uri(AGENT), "")).unwrap_err();
        assert_eq!(refused, CsrError::PublicKey(KeyError::Unsupported(oid.parse().unwrap())));
        assert_eq!(refused.fault(), CsrFault::PublicKey);
    }
}

#[test]
fn the_hash_of_the_signature_is_the_key_s() {
    let desk = Desk::new();
    let refused = SigningRequest::from_pem(&desk.request("p256", &uri(AGENT), " -sha384")).unwrap_err();
    assert!(matches!(refused, CsrError::Algorithm { .. }));
    assert_eq!(refused.fault(), CsrFault::Signature);
}

#[test]
fn a_changed_request_does_not_verify() {
    for kind in ["p256", "ed25519"] {
        let desk = Desk::new();
        desk.request(kind, &uri(AGENT), "");
        desk.openssl("req -in csr.pem -outform DER -out csr.der");
        let der = desk.octets("csr.der");
        let flipped = |at: usize| {
            let mut der = der.clone();
            der[at] ^= 1;
            SigningRequest::from_der(&der).unwrap_err()
        };
        let name = der.windows(7).position(|window| window == b"shopper").unwrap();
        assert_eq!(flipped(name).fault(), CsrFault::Signature);
        assert_eq!(flipped(der.len() - 1).fault(), CsrFault::Signature);
        assert_eq!(flipped(der.len() - 20).fault(), CsrFault::Signature);
        assert!(SigningRequest::from_der(&[&der[..], &[0]].concat()).is_err());
    }
}

#[test]
fn names_beside_the_agent_are_refused_by_name() {
    let refusal = |names: &str| {
        let request = SigningRequest::from_pem(&Desk::new().request("ed25519", names, "")).unwrap();
        let refused = request.agent_name().unwrap_err();
        assert_eq!(refused.fault(), CsrFault::Identifier);
        refused.to_string()
    };
    let agent = uri(AGENT);
    assert!(refusal(&format!("{agent},{agent}2")).contains("2 agent:// URIs"));
    assert!(refusal(&format!("{agent},DNS:www.example.com")).contains("the DNS name `www.example.com`"));
    assert!(refusal(&format!("{agent},email:a@example.com")).contains("the e-mail address `a@example.com`"));
    assert!(refusal(&format!("{agent},IP:192.0.2.1")).contains("the IP address `192.0.2.1`"));
    assert!(refusal(&format!("{agent},URI:https://example.com/")).contains("the URI `https://example.com/`"));
    assert!(refusal(&uri("agent://bank/a/b/c")).contains("at least two labels"));
}

#[test]
fn openssl_and_we_verify_each_other_s_signatures() {
    for kind in ["p256", "ed25519"] {
        let desk = Desk::new();
        desk.key(kind);
        let signer = signer_from_pkcs8_pem(&desk.text(&format!("{kind}.pem")), Arc::new(SystemRandom::new())).unwrap();
        std::fs::write(desk.path().join("message"), "a message").unwrap();
        let digest = if kind == "p256" { " -digest sha256" } else { "" };
        desk.openssl(&format!("pkeyutl -sign -rawin -in message -inkey {kind}.pem -out theirs{digest}"));
        assert_eq!(signer.public_key().verify(b"a message", &desk.octets("theirs")), Ok(()));
        std::fs::write(desk.path().join("ours"), signer.sign(b"a message").unwrap()).unwrap();
        desk.openssl(&format!("pkeyutl -verify -rawin -in message -inkey {kind}.pem -sigfile ours{digest}"));
    }
}
