//! Agents renew through the real binary, and those who may not are turned away.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "common/ca_process.rs"]
mod ca_process;

use std::fs;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use atl::apki::extension::Text;
use atl::apki::precertificate::recover;
use atl::apki::{Certificate, oid};
use atl::config::CaConfig;
use atl::config::ca::RenewalKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData};
use rustix::process::{Pid, kill_process};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::ca_process::*;

const CAPABILITY: [&str; 2] = ["--capability", "https://api.bank.example.com read"];
const EVIDENCE: [&str; 8] =
    ["--model-family", "claude", "--model-version", "5", "--framework", "mcp-sdk", "--organization", "bank"];

#[test]
fn renewals() {
    let mut rig = CaRig::new(CaOptions::default(), |config| {
        // Half of such a certificate is over a second after it is issued.
        config.certificates.backdate_seconds = 298;
        config.certificates.default_validity_seconds = 300;
        config.policy.known_models = vec![Text::new("claude").unwrap()];
    });
    a_watch_renews_until_it_is_told_to_stop(&rig);
    keys_and_builds_as_the_agent_says(&rig);
    fresh_evidence_is_a_fresh_score(&rig);
    the_same_renewal_again_is_the_same_certificate(&rig);
    nobody_else_renews(&rig);
    keys_as_the_ca_says(&mut rig);
}

/// The agent's certificate, and its key's SubjectPublicKeyInfo: of one generation.
fn pair(dir: &Path) -> (Certificate, Vec<u8>) {
    let current = fs::canonicalize(dir.join("current")).unwrap();
    let der = CertificateDer::from_pem_file(current.join("cert.pem")).unwrap();
    let key = KeyPair::from_pem(&fs::read_to_string(current.join("key.pem")).unwrap()).unwrap();
    (Certificate::parse(der.as_ref()).unwrap(), key.subject_public_key_info())
}

fn certificate(rig: &CaRig, dir: &str) -> Certificate {
    pair(&rig.path(dir)).0
}

struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_watch_renews_until_it_is_told_to_stop(rig: &CaRig) {
    good(rig.enroll("retail/teller/watch", "watch", &CAPABILITY));
    let mut command = rig.command();
    command.args(["agent", "renew", "--watch", "--jitter", "0", "--dir", "watch"]);
    command.args(["--hook", "echo \"$ATL_CERT\" >> \"$ATL_AGENT_DIR/renewed\""]);
    command.stdout(fs::File::create(rig.path("watch.txt")).unwrap()).stderr(Stdio::null());
    let mut watch = Watch(command.spawn().unwrap());
    let dir = rig.path("watch");
    let mut seen = vec![pair(&dir)];
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen.len() < 3 {
        assert!(Instant::now() < deadline, "{}", fs::read_to_string(rig.path("watch.txt")).unwrap());
        let now = pair(&dir);
        // Whoever looks at any moment sees a certificate with its own key.
        assert_eq!(now.0.spki_der(), now.1);
        if now.0.der() != seen.last().unwrap().0.der() {
            seen.push(now);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(seen.windows(2).all(|two| two[0].1 != two[1].1), "each has a new key");
    std::thread::sleep(Duration::from_millis(100));
    kill_process(Pid::from_child(&watch.0), Signal::TERM).unwrap();
    assert!(watch.0.wait().unwrap().success());
    let told = fs::read_to_string(rig.path("watch.txt")).unwrap();
    assert!(told.trim_end().ends_with("ended by a signal"), "{told}");
    let hooks = fs::read_to_string(dir.join("renewed")).unwrap();
    let cert = dir.canonicalize().unwrap().join("cert.pem").display().to_string();
    assert!(hooks.lines().count() >= 2 && hooks.lines().all(|line| line == cert), "{hooks}");
    assert!(!dir.join("pending").exists());
}

fn keys_and_builds_as_the_agent_says(rig: &CaRig) {
    fs::write(rig.path("build"), "one").unwrap();
    let more = [&CAPABILITY[..], &EVIDENCE, &["--build", "build"]].concat();
    good(rig.enroll("retail/teller/build", "build-dir", &more));
    let (first, key) = pair(&rig.path("build-dir"));
    let provenance = |certificate: &Certificate, build: &str| {
        let value = certificate.extension(&oid::AGENT_PROVENANCE).unwrap().value.to_vec();
        let hash = Sha256::digest(build);
        assert!(value.windows(32).any(|window| window == hash.as_slice()), "not the hash of {build:?}");
    };
    provenance(&first, "one");
    fs::write(rig.path("build"), "two").unwrap();
    good(rig.atl(["agent", "renew", "--dir", "build-dir", "--same-key"]));
    let (second, same) = pair(&rig.path("build-dir"));
    assert_eq!((second.spki_der(), &same), (key.as_slice(), &key));
    assert!(second.serial() != first.serial() && second.not_after() >= first.not_after());
    provenance(&second, "two");
    good(rig.atl(["agent", "renew", "--dir", "build-dir"]));
    assert_ne!(pair(&rig.path("build-dir")).1, key);
    good(rig.run(
        "openssl",
        &["verify", "-x509_strict", "-CAfile", "ca/root.pem", "-untrusted", "build-dir/cert.pem", "build-dir/cert.pem"],
    ));
}

/// A renewal's body for the key of this file.
fn body(rig: &CaRig, key: &str, name: &str) -> Value {
    let name = format!("subjectAltName=URI:{}", agent(name));
    let new = ["req", "-new", "-key", key, "-subj", "/", "-addext", &name, "-outform", "DER", "-out", "renew.csr"];
    good(rig.run("openssl", &new));
    json!({"csr": STANDARD.encode(fs::read(rig.path("renew.csr")).unwrap())})
}

/// What curl shows itself with.
fn with(cert: &str, key: &str) -> [String; 4] {
    ["--cert", cert, "--key", key].map(str::to_owned)
}

fn renew(rig: &CaRig, identity: &[String], body: &Value) -> Response {
    rig.post("/ca/v1/renew", "", body, &identity.iter().map(String::as_str).collect::<Vec<_>>())
}

fn fresh_evidence_is_a_fresh_score(rig: &CaRig) {
    good(rig.enroll("retail/teller/score", "score", &CAPABILITY));
    let identity = with("score/cert.pem", "score/key.pem");
    let mut asked = body(rig, "score/key.pem", "retail/teller/score");
    let score = |asked: &Value| {
        let answer = renew(rig, &identity, asked);
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["certificate"]["score"].as_u64().unwrap()
    };
    let without = score(&asked);
    let mut with_family = |family: &str| {
        asked["evidence"] =
            json!({"model_family": family, "model_version": "5", "framework": "mcp-sdk", "organization": "bank"});
        score(&asked)
    };
    let (known, unknown) = (with_family("claude"), with_family("unheard-of"));
    assert!(without < unknown && unknown < known, "{without}, {unknown}, {known}");
}

fn the_same_renewal_again_is_the_same_certificate(rig: &CaRig) {
    good(rig.enroll("retail/teller/again", "again", &CAPABILITY));
    let identity = with("again/cert.pem", "again/key.pem");
    let asked = body(rig, "again/key.pem", "retail/teller/again");
    let answers = [(); 2].map(|()| renew(rig, &identity, &asked));
    for answer in &answers {
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(answers[0].json(), answers[1].json());
    // With the certificate that it brought it is the next renewal.
    fs::write(rig.path("next.pem"), answers[0].json()["certificate"]["chain_pem"].as_str().unwrap()).unwrap();
    let next = renew(rig, &with("next.pem", "again/key.pem"), &asked);
    assert_eq!(next.status, 201, "{}", String::from_utf8_lossy(&next.body));
    assert_ne!(next.json()["certificate"]["serial"], answers[0].json()["certificate"]["serial"]);
}

fn nobody_else_renews(rig: &CaRig) {
    good(rig.enroll("retail/teller/mine", "mine", &CAPABILITY));
    let asked = body(rig, "mine/key.pem", "retail/teller/mine");
    let none = renew(rig, &[], &asked);
    assert_eq!((none.status, none.problem().as_str()), (401, "unauthorized"), "{none:?}");
    assert_eq!(none.header("www-authenticate"), Some("ClientCertificate"));
    assert!(none.detail().contains("current certificate"), "{none:?}");
    // A token is no certificate.
    let token = rig.post("/ca/v1/renew", &rig.token("retail/teller/mine", &[]), &asked, &[]);
    assert_eq!(token.status, 401, "{token:?}");
    // For somebody else.
    let other = renew(rig, &with("mine/cert.pem", "mine/key.pem"), &body(rig, "mine/key.pem", "retail/teller/yours"));
    assert_eq!((other.status, other.problem().as_str()), (403, "policy"), "{other:?}");
    assert!(other.detail().contains("renews for no other agent"), "{other:?}");
    // These do not get as far as HTTP.
    foreign(rig);
    forged(rig, "expired", "20260101000000Z", "20260101010000Z");
    for name in ["foreign", "expired"] {
        let turned_away = handshake(rig, &format!("{name}.pem"), "mine/key.pem");
        assert!(!turned_away.status.success(), "{name}: {}", said(&turned_away));
    }
    let recovered = recover(&certificate(rig, "mine")).unwrap().unwrap().precertificate_der;
    fs::write(rig.path("pre.der"), recovered).unwrap();
    good(rig.run("openssl", &["x509", "-inform", "DER", "-in", "pre.der", "-out", "pre.pem"]));
    let turned_away = handshake(rig, "pre.pem", "mine/key.pem");
    assert!(!turned_away.status.success(), "{}", said(&turned_away));
    // Signed by the CA's key, valid now, and yet not one that the CA knows of.
    forged(rig, "unknown", "20260101000000Z", "20450101000000Z");
    let unknown = renew(rig, &with("unknown.pem", "mine/key.pem"), &asked);
    assert_eq!((unknown.status, unknown.problem().as_str()), (401, "unauthorized"), "{unknown:?}");
    // It was none of these that the right one fails of.
    assert_eq!(renew(rig, &with("mine/cert.pem", "mine/key.pem"), &asked).status, 201);
}

/// curl with this certificate.
fn handshake(rig: &CaRig, cert: &str, key: &str) -> Output {
    let url = format!("{}/ca/v1/renew", rig.url());
    let args = ["--silent", "--show-error", "--cacert", "ca/root.pem", "--cert", cert, "--key", key, "--data", "{}"];
    rig.run("curl", &[&args[..], &[&url]].concat())
}

/// A certificate of another CA, for the same agent and key.
fn foreign(rig: &CaRig) {
    let name = format!("subjectAltName=critical,URI:{}", agent("retail/teller/mine"));
    let new = ["req", "-x509", "-new", "-key", "mine/key.pem", "-subj", "/", "-addext", &name, "-days", "1"];
    good(rig.run("openssl", &[&new[..], &["-out", "foreign.pem"]].concat()));
}

/// A certificate for the same agent and key that the issuing key signed behind the CA's back.
fn forged(rig: &CaRig, name: &str, from: &str, until: &str) {
    let config = format!(
        "[ca]\ndefault_ca=c\n[c]\ndatabase={name}.index\nserial={name}.serial\nnew_certs_dir=.\ndefault_md=sha256\n\
         policy=p\nunique_subject=no\nx509_extensions=x\n[p]\ncommonName=optional\n[x]\n\
         subjectAltName=critical,URI:{}\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\n\
         authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n",
        agent("retail/teller/mine")
    );
    fs::write(rig.path("forge.cnf"), config).unwrap();
    fs::write(rig.path(&format!("{name}.index")), "").unwrap();
    let file = format!("{name}.pem");
    let ca = ["ca", "-batch", "-config", "forge.cnf", "-cert", "ca/intermediate.pem", "-keyfile"];
    let what =
        ["ca/intermediate-key.pem", "-in", "forge.csr", "-inform", "DER", "-notext", "-rand_serial", "-out", &file];
    let new = ["req", "-new", "-key", "mine/key.pem", "-subj", "/CN=x", "-outform", "DER", "-out", "forge.csr"];
    good(rig.run("openssl", &new));
    good(rig.run("openssl", &[&ca[..], &what, &["-startdate", from, "-enddate", until]].concat()));
}

fn keys_as_the_ca_says(rig: &mut CaRig) {
    good(rig.enroll("retail/teller/keys", "keys", &CAPABILITY));
    for (rule, refused, allowed) in
        [(RenewalKey::New, Some("--same-key"), None), (RenewalKey::Same, None, Some("--same-key"))]
    {
        let mut config = CaConfig::load(&rig.ca.config()).unwrap();
        config.certificates.renewal_key = rule;
        fs::write(rig.ca.config(), config.render().unwrap()).unwrap();
        assert!(rig.ca.stop(Signal::TERM).success());
        rig.ca.start();
        let command = |more: Option<&str>| rig.atl(["agent", "renew", "--dir", "keys"].into_iter().chain(more));
        let before = certificate(rig, "keys");
        let no = command(refused);
        assert!(no.status.code() == Some(1) && said(&no).contains("key"), "{}", said(&no));
        assert_eq!(certificate(rig, "keys").der(), before.der());
        good(command(allowed));
        let after = certificate(rig, "keys");
        assert_eq!(after.spki_der() == before.spki_der(), rule == RenewalKey::Same);
    }
}
