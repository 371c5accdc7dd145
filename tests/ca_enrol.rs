//! Agents enrol through the real binary; openssl, webpki and the logs say what they got.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "common/ca_process.rs"]
mod ca_process;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atl::apki::precertificate::recover;
use atl::apki::{Certificate, oid};
use atl::log::entry::CertHash;
use atl::log::sat::SatList;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::ca_process::*;

const CAPABILITY: [&str; 2] = ["--capability", "https://api.bank.example.com read"];

/// An agent of each kind of key, in the directories `p256` and `ed25519`.
const AGENTS: [&str; 2] = ["p256", "ed25519"];

fn rig(algorithm: &'static str, name_constraint: bool) -> CaRig {
    let rig = CaRig::new(CaOptions { algorithm, name_constraint, ..CaOptions::default() }, |_| {});
    for key in AGENTS {
        good(rig.enroll(&format!("retail/teller/{key}"), key, &[&CAPABILITY[..], &["--algorithm", key]].concat()));
    }
    rig
}

#[test]
fn a_p256_ca_with_a_name_constraint() {
    let rig = rig("p256", true);
    holds_together(&rig, "ecdsa-with-SHA256");
    the_answer_says_what_the_certificate_is(&rig);
    what_is_asked_for_twice(&rig);
    openssl_shakes_hands(&rig, "p256", "ed25519");
    webpki_refuses_the_constraint(&rig);
}

#[test]
fn a_p256_ca_without_a_name_constraint() {
    let rig = rig("p256", false);
    holds_together(&rig, "ecdsa-with-SHA256");
    rustls_shakes_hands(&rig);
}

#[test]
fn an_ed25519_ca_with_a_name_constraint() {
    let rig = rig("ed25519", true);
    holds_together(&rig, "ED25519");
    openssl_shakes_hands(&rig, "ed25519", "p256");
    webpki_refuses_the_constraint(&rig);
}

#[test]
fn an_ed25519_ca_without_a_name_constraint() {
    let rig = rig("ed25519", false);
    holds_together(&rig, "ED25519");
    rustls_shakes_hands(&rig);
}

/// What holds of every CA's certificates.
fn holds_together(rig: &CaRig, signature: &str) {
    for key in AGENTS {
        files_are_where_they_belong(rig, key);
        openssl_verifies(rig, key);
        openssl_shows_the_profile(rig, key, signature);
        let shown = good(rig.atl(["agent", "show", "--dir", key]));
        assert!(shown.contains(&agent(&format!("retail/teller/{key}"))), "{shown}");
        assert_eq!(shown.matches("verified, with a key on the CA's word").count(), 2, "{shown}");
    }
    for key in AGENTS {
        the_logs_have_its_precertificate(rig, key);
    }
}

fn files_are_where_they_belong(rig: &CaRig, dir: &str) {
    let mode = |name: &str| fs::metadata(rig.path(&format!("{dir}/{name}"))).unwrap().permissions().mode() & 0o777;
    for (name, expected) in [("", 0o700), ("key.pem", 0o600), ("agent.json", 0o600), ("cert.pem", 0o644)] {
        assert_eq!(mode(name), expected, "{dir}/{name}");
    }
    assert!(!rig.path(dir).join("pending").exists());
    let root = fs::read_to_string(rig.path(&format!("{dir}/root.pem"))).unwrap();
    assert_eq!(root, fs::read_to_string(rig.path("ca/root.pem")).unwrap());
    let settings: Value = serde_json::from_slice(&fs::read(rig.path(&format!("{dir}/agent.json"))).unwrap()).unwrap();
    assert_eq!(settings["agent"], agent(&format!("retail/teller/{dir}")));
    assert_eq!(settings["sha256"], hex::encode(certificate(rig, dir).fingerprint()));
    assert_eq!(settings["ca"], rig.url());
}

fn openssl_verifies(rig: &CaRig, dir: &str) {
    let cert = format!("{dir}/cert.pem");
    for purpose in ["sslclient", "sslserver"] {
        let verify = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca/root.pem"];
        good(rig.run("openssl", &[&verify[..], &["-untrusted", &cert, &cert]].concat()));
    }
    // Without the intermediate there is no way to the root.
    let alone = rig.run("openssl", &["verify", "-CAfile", "ca/root.pem", &cert]);
    assert!(!alone.status.success(), "{}", said(&alone));
}

fn openssl_shows_the_profile(rig: &CaRig, dir: &str, signature: &str) {
    let text = good(rig.run("openssl", &["x509", "-in", &format!("{dir}/cert.pem"), "-noout", "-text"]));
    let issuer =
        good(rig.run("openssl", &["x509", "-in", "ca/intermediate.pem", "-noout", "-ext", "subjectKeyIdentifier"]));
    let uri = agent(&format!("retail/teller/{dir}"));
    let ours = ["1", "2", "5", "6", "8"].map(|suffix| format!("1.3.6.1.4.1.32473.1.{suffix}: \n"));
    for expected in [
        "Version: 3 (0x2)",
        "Subject: \n",
        &format!("Subject Alternative Name: critical\n                URI:{uri}\n"),
        "Key Usage: critical\n                Digital Signature\n",
        "Extended Key Usage: \n                TLS Web Client Authentication, TLS Web Server Authentication\n",
        &format!("Authority Key Identifier: \n                {}\n", issuer.lines().nth(1).unwrap().trim()),
        "Subject Key Identifier: \n",
        &format!("Signature Algorithm: {signature}"),
    ]
    .into_iter()
    .chain(ours.iter().map(String::as_str))
    {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert_eq!(text.matches("critical").count(), 2, "{text}");
    assert!(!text.contains("Basic Constraints"), "{text}");
    let certificate = certificate(rig, dir);
    assert!((16..=20).contains(&certificate.serial().len()) && certificate.serial()[0] < 0x80, "{text}");
    // An hour, and the 30 seconds that it is dated back.
    assert_eq!(certificate.not_after().since(certificate.not_before()), 3_630_000);
}

/// The precertificate recovered from the final certificate is, octet for octet, what each log stored; its
/// timestamps are the logs' own; and it is good for nothing.
fn the_logs_have_its_precertificate(rig: &CaRig, dir: &str) {
    let certificate = certificate(rig, dir);
    let recovered = recover(&certificate).unwrap().unwrap();
    let hash: [u8; 32] = Sha256::digest(&recovered.precertificate_der).into();
    let sats = SatList::from_der(recovered.sat_list_der).unwrap();
    let signers: BTreeSet<_> = sats.sats().iter().map(|sat| *sat.log_id.as_bytes()).collect();
    assert_eq!(signers, rig.log_keys.iter().map(|key| *key.log_id().as_bytes()).collect());
    for (log, key) in rig.logs.iter().zip(&rig.log_keys) {
        let sat = sats.sats().iter().find(|sat| sat.log_id == key.log_id()).unwrap();
        sat.verify(key, CertHash::new(hash)).unwrap();
        let entry = entry(&format!("http://{}", log.address()), &hash);
        let stored = STANDARD.decode(entry["submission"].as_str().unwrap()).unwrap();
        assert!(stored == recovered.precertificate_der, "{dir}: the log has another precertificate");
        assert_eq!((&entry["type"], entry["timestamp"].as_u64()), (&json!(2), Some(sat.timestamp.get())));
        // The issuer, and the root.
        assert_eq!(entry["chain"].as_array().unwrap().len(), 2);
    }
    a_precertificate_is_good_for_nothing(rig, &recovered.precertificate_der);
}

fn a_precertificate_is_good_for_nothing(rig: &CaRig, der: &[u8]) {
    fs::write(rig.path("pre.der"), der).unwrap();
    good(rig.run("openssl", &["x509", "-inform", "DER", "-in", "pre.der", "-out", "pre.pem"]));
    let verify = ["verify", "-CAfile", "ca/root.pem", "-untrusted", "ca/intermediate.pem", "pre.pem"];
    let refused = rig.run("openssl", &verify);
    assert!(!refused.status.success() && said(&refused).contains("unhandled critical extension"), "{}", said(&refused));
    let der = CertificateDer::from(der);
    let refused = webpki::EndEntityCert::try_from(&der).map(drop).unwrap_err();
    assert_eq!(refused, webpki::Error::UnsupportedCriticalExtension);
    // To rustls a certificate of a critical extension that it does not know is a bad one.
    assert!(ParsedCertificate::try_from(&der).is_err());
}

/// What a log has of this hash, once a signed head covers it.
fn entry(log: &str, hash: &[u8; 32]) -> Value {
    let hash = STANDARD.encode(hash).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let url = format!("{log}/atl/v1/get-entry-by-cert-hash?cert_hash={hash}");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let output = Command::new("curl").args(["--silent", "--fail", &url]).output().unwrap();
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
        assert!(Instant::now() < deadline, "{url}: {}", said(&output));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The answer to a request of openssl's, without `atl agent` in between.
fn the_answer_says_what_the_certificate_is(rig: &CaRig) {
    let answer = rig.post("/ca/v1/enroll", &rig.token("retail/teller/raw", &[]), &raw_request(rig), &[]);
    assert_eq!(answer.status, 201, "{answer:?}");
    let request = answer.json();
    let said = &request["certificate"];
    fs::write(rig.path("raw.pem"), said["chain_pem"].as_str().unwrap()).unwrap();
    let certificate = first_of(rig, "raw.pem");
    let sha256 = hex::encode(certificate.fingerprint());
    assert_eq!(answer.header("location"), Some(format!("certificates/{sha256}").as_str()));
    assert_eq!((&request["status"], &request["agent"]), (&json!("valid"), &json!(agent("retail/teller/raw"))));
    assert_eq!(request["id"].as_str().unwrap().len(), 32);
    assert_eq!((&said["sha256"], &said["serial"]), (&json!(sha256), &json!(hex::encode(certificate.serial()))));
    let (from, until) = (certificate.not_before().get(), certificate.not_after().get());
    assert_eq!((said["not_before"].as_u64(), said["not_after"].as_u64()), (Some(from), Some(until)));
    assert_eq!((until - from, said["renew_at"].as_u64()), (930_000, Some(from + 465_000)));
    assert_eq!((&said["tier"], &said["attestation"]), (&json!("restricted"), &json!("selfDeclared")));
    assert_eq!(said["chain_pem"].as_str().unwrap().matches("BEGIN CERTIFICATE").count(), 2);
    let sats = said["sats"].as_array().unwrap();
    let operators: BTreeSet<_> = sats.iter().map(|sat| sat["operator"].as_str().unwrap()).collect();
    assert_eq!(operators, ["Log 0", "Log 1"].into());
    let list = certificate.extension(&oid::SIGNED_AGENT_TIMESTAMP_LIST).unwrap().value;
    for (sat, held) in sats.iter().zip(SatList::from_der(list).unwrap().sats()) {
        assert_eq!(STANDARD.decode(sat["sat"].as_str().unwrap()).unwrap(), held.to_der());
        assert!(sat["log"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    }
    for path in [format!("requests/{}", request["id"].as_str().unwrap()), format!("certificates/{sha256}")] {
        assert_eq!(rig.curl(&format!("/ca/v1/{path}"), &[]).status, 200, "{path}");
    }
    let der = rig.curl(&format!("/ca/v1/certificates/{sha256}"), &[]).body;
    assert_eq!(hex::encode(Sha256::digest(&der)), sha256);
}

/// A request whose key is in `raw.key`.
fn raw_request(rig: &CaRig) -> Value {
    let name = format!("subjectAltName=URI:{}", agent("retail/teller/raw"));
    let new = ["req", "-new", "-newkey", "ed25519", "-nodes", "-keyout", "raw.key", "-subj", "/", "-addext", &name];
    good(rig.run("openssl", &[&new[..], &["-outform", "DER", "-out", "raw.csr"]].concat()));
    json!({
        "csr": STANDARD.encode(fs::read(rig.path("raw.csr")).unwrap()),
        "capabilities": [{"tool_uri": "https://api.bank.example.com", "scope": "read"}],
        "validity_seconds": 900,
    })
}

/// A token is good once: for the same request again it gets the same certificate, for another none.
fn what_is_asked_for_twice(rig: &CaRig) {
    let (token, request) = (rig.token("retail/teller/*", &["--replaces"]), raw_request(rig));
    let ask = |request: &Value| rig.post("/ca/v1/enroll", &token, request, &[]);
    let (first, again) = (ask(&request), ask(&request));
    assert_eq!((first.status, again.status), (201, 201), "{first:?}\n{again:?}");
    assert_eq!(first.json()["certificate"]["sha256"], again.json()["certificate"]["sha256"]);
    let other = ask(&raw_request(rig));
    assert_eq!((other.status, other.problem().as_str()), (401, "unauthorized"), "{other:?}");
    for token in ["", "atl-enrol-0000000000000000-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &rig.operator_token()] {
        let answer = rig.post("/ca/v1/enroll", token, &request, &[]);
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthorized"), "{answer:?}");
    }
}

/// A program that is ended where the test ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each of two agents verifies the other, as openssl does it.
fn openssl_shakes_hands(rig: &CaRig, server: &str, client: &str) {
    let openssl = |dir: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(rig.path(""));
        (command, [format!("{dir}/cert.pem"), format!("{dir}/key.pem")])
    };
    let out = rig.path("s_server.txt");
    let said_by_server = || fs::read_to_string(&out).unwrap();
    let until = |words: &str| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !said_by_server().contains(words) {
            assert!(Instant::now() < deadline, "{words:?} is not in {}", said_by_server());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let (mut listener, [cert, key]) = openssl(server);
    listener.args(["s_server", "-accept", "127.0.0.1:0", "-Verify", "3", "-verify_return_error", "-cert", &cert]);
    listener.args(["-key", &key, "-cert_chain", "ca/intermediate.pem", "-CAfile", "ca/root.pem"]);
    let output = File::create(&out).unwrap();
    listener.stdin(Stdio::piped()).stdout(output.try_clone().unwrap()).stderr(output);
    let _listener = Ended(listener.spawn().unwrap());
    until("ACCEPT 127.0.0.1:");
    let heard = said_by_server();
    let address = heard.lines().find_map(|line| line.strip_prefix("ACCEPT ")).unwrap().to_owned();
    let call = |more: &[&str]| {
        let (mut caller, _) = openssl(client);
        caller.args(["s_client", "-connect", &address, "-verify_return_error", "-CAfile", "ca/root.pem"]);
        caller.args(more).stdin(Stdio::null()).output().unwrap()
    };
    let (_, [cert, key]) = openssl(client);
    let met = call(&["-x509_strict", "-cert", &cert, "-key", &key, "-cert_chain", "ca/intermediate.pem"]);
    assert!(met.status.success() && said(&met).contains("Verify return code: 0 (ok)"), "{}", said(&met));
    until("CIPHER is");
    // Agents have no subject; the certificate that the server saw is the client's.
    let seen = said_by_server();
    let begin = seen.find("-----BEGIN CERTIFICATE-----").unwrap_or_else(|| panic!("{seen}"));
    let seen = CertificateDer::from_pem_slice(&seen.as_bytes()[begin..]).unwrap();
    assert_eq!(seen.as_ref(), certificate(rig, client).der());
    // Without one nobody gets in.
    call(&[]);
    until("peer did not return a certificate");
}

/// The chain of an agent and its key, for rustls.
fn identity(rig: &CaRig, dir: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(rig.path(&format!("{dir}/cert.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(rig.path(&format!("{dir}/key.pem"))).unwrap();
    (chain.collect::<Result<_, _>>().unwrap(), key)
}

fn roots(rig: &CaRig) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(rig.path("ca/root.pem")).unwrap()).unwrap();
    Arc::new(roots)
}

/// What webpki says of a server's chain, whatever it is called: an agent has no DNS name.
#[derive(Debug)]
struct AnyName(Arc<RootCertStore>, Arc<CryptoProvider>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.1.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.0, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.1.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.1.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

/// The two ends of a handshake between agents in which webpki judges both.
fn ends(rig: &CaRig) -> (ClientConnection, ServerConnection) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(rig), Arc::clone(&provider)).build().unwrap();
    let (chain, key) = identity(rig, "ed25519");
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let server = server.unwrap().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    let (chain, key) = identity(rig, "p256");
    let any = Arc::new(AnyName(roots(rig), Arc::clone(&provider)));
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.dangerous().with_custom_certificate_verifier(any).with_client_auth_cert(chain, key).unwrap();
    let name = ServerName::try_from("agent.invalid").unwrap();
    (ClientConnection::new(Arc::new(client), name).unwrap(), ServerConnection::new(Arc::new(server)).unwrap())
}

/// Carries records to and fro until both are content; what the first says that is not.
fn shake_hands(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), Error> {
    while client.is_handshaking() || server.is_handshaking() {
        let mut records = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut records).unwrap();
        }
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut records = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut records).unwrap();
        }
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(())
}

fn rustls_shakes_hands(rig: &CaRig) {
    let (mut client, mut server) = ends(rig);
    shake_hands(&mut client, &mut server).unwrap();
    let met = |seen: Option<&[CertificateDer<'_>]>, dir: &str| {
        assert_eq!(seen.unwrap()[0].as_ref(), certificate(rig, dir).der());
    };
    met(client.peer_certificates(), "ed25519");
    met(server.peer_certificates(), "p256");
}

/// A known limit: webpki 0.103 cannot judge a URI name constraint, and refuses what stands below one.
fn webpki_refuses_the_constraint(rig: &CaRig) {
    let (mut client, mut server) = ends(rig);
    let refused = shake_hands(&mut client, &mut server).unwrap_err();
    assert!(matches!(refused, Error::InvalidCertificate(CertificateError::Other(_))), "{refused:?}");
    assert!(format!("{refused:?}").contains("NameConstraintViolation"), "{refused:?}");
}

/// The agent's certificate.
fn certificate(rig: &CaRig, dir: &str) -> Certificate {
    first_of(rig, &format!("{dir}/cert.pem"))
}

fn first_of(rig: &CaRig, file: &str) -> Certificate {
    let der = CertificateDer::from_pem_file(rig.path(file)).unwrap();
    Certificate::parse(der.as_ref()).unwrap()
}
