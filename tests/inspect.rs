//! `atl inspect` through the real binary: every certificate of the vectors, and what OpenSSL makes and says.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a tool that fails is a failed test

#[path = "common/server.rs"]
mod server;
#[path = "common/vectors.rs"]
mod vectors;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use atl::apki::Certificate;
use atl::apki::precertificate::{Precertificate, recover};
use atl::log::sat::SatList;
use base64::Engine;
use serde_json::Value;
use server::atl;
use tempfile::TempDir;

/// The present of the vectors.
const AT: &str = "2026-04-10T12:30:00Z";

fn inspect(expected: i32, args: &[&str]) -> Output {
    let output = atl(["inspect"].iter().chain(args));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(expected), "{args:?}: {said}");
    assert!(!said.contains("panicked"), "{args:?}: {said}");
    output
}

fn words(expected: i32, args: &[&str]) -> String {
    String::from_utf8(inspect(expected, args).stdout).unwrap()
}

fn document(expected: i32, args: &[&str]) -> Value {
    serde_json::from_slice(&inspect(expected, &[&["--json"], args].concat()).stdout).unwrap()
}

/// The only object of the document.
fn object(expected: i32, args: &[&str]) -> Value {
    let mut document = document(expected, args);
    assert_eq!(document["objects"].as_array().unwrap().len(), 1);
    document["objects"][0].take()
}

fn certificate_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/certs");
    let (mut files, mut todo) = (Vec::new(), vec![root]);
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Whether a certificate, and all that it has of this project, is in the encoding that it must be in.
fn is_well_formed(der: Vec<u8>) -> bool {
    let Ok(certificate) = Certificate::parse(der) else { return false };
    let names = certificate.uri_names().is_ok() && certificate.basic_constraints().is_ok();
    let extensions = certificate.trust_score().is_ok()
        && certificate.capabilities().is_ok()
        && certificate.delegation().is_ok()
        && certificate.provenance().is_ok()
        && certificate.attestation().is_ok();
    let sats = match recover(&certificate) {
        Ok(recovered) => recovered.is_none_or(|recovered| SatList::from_der(recovered.sat_list_der).is_ok()),
        // A precertificate that is in order has what no final one has, and is not one.
        Err(_) => false,
    };
    names && extensions && sats && Precertificate::of(&certificate).is_ok()
}

#[test]
fn every_certificate_of_the_vectors_is_explained() {
    let files = certificate_files();
    assert!(files.len() > 400, "{}", files.len());
    let octets = |file: &PathBuf| std::fs::read(file).unwrap();
    // Nothing, and a SEQUENCE of one INTEGER: nobody could say that these were meant as certificates.
    let is_strange = |octets: &[u8]| octets.is_empty() || octets == [0x30, 0x03, 0x02, 0x01, 0x01];
    let (strange, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| is_strange(&octets(file)));
    let (good, broken): (Vec<_>, Vec<_>) = files.iter().partition(|file| is_well_formed(octets(file)));
    assert!(strange.len() < 5 && broken.len() > 15 && broken.len() < 60, "{broken:#?}");

    // One that is broken would make it end with 1, and each of those does so alone.
    let mut told = Vec::new();
    for (code, files) in [(0, vec![good]), (1, broken.into_iter().map(|file| vec![file]).collect())] {
        for files in files {
            let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
            let mut document = document(code, &[&["--at", AT], &names[..]].concat());
            let objects = document["objects"].as_array_mut().unwrap();
            assert_eq!(objects.len(), files.len());
            assert!(objects.iter().all(|object| object["malformed"].as_array().unwrap().is_empty() == (code == 0)));
            told.append(objects);
        }
    }
    strange.iter().for_each(|file| drop(inspect(2, &[file.to_str().unwrap()])));
    let mut forms = HashMap::<&str, usize>::new();
    for object in &told {
        assert_eq!(object["kind"], "certificate", "{}", object["file"]);
        *forms.entry(object["form"].as_str().unwrap_or("none")).or_default() += 1;
    }
    for form in ["final", "precertificate", "without-timestamps", "ca"] {
        assert!(forms.get(form).is_some_and(|count| *count > 3), "{form}: {forms:?}");
    }
    // In words, all at once, and nothing steers a terminal.
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let words = words(1, &names);
    assert!(words.lines().all(|line| !line.contains(char::is_control)));
    assert_eq!(words.matches("No signature was verified").count(), 1);
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path.display().to_string()
    };
    let good = write("good.der", &vectors::octets("certs/p256/2sat/final.der"));
    let cut = write("cut.der", &vectors::octets("certs/p256/2sat/final.der")[..500]);
    let (text, empty) = (write("token", b"secret-4711"), write("empty", b"\n"));
    let missing = dir.path().join("missing").display().to_string();
    assert!(words(1, &[&good, &cut]).contains("octets are missing"));
    for (bad, why) in [(&text, "neither PEM"), (&empty, "nothing in it"), (&missing, "No such file")] {
        let output = inspect(2, &[bad, &cut, &good]);
        let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(why) && !said.contains("4711") && !told.contains("4711"), "{said}");
        // What can be explained is, all the same.
        assert!(told.contains("agent://agents.example.com/payments/bot/i000003"), "{told}");
    }
    let document = document(2, &[&missing, &text, &good]);
    assert_eq!((document["unread"].as_array().unwrap().len(), document["objects"].as_array().unwrap().len()), (1, 2));
    assert!(words(1, &["--kind", "sat", &good]).contains("a signed agent timestamp (SAT), malformed"));
    assert!(String::from_utf8_lossy(&inspect(2, &["--kind", "thing", &good]).stderr).contains("the kinds are"));
    let odd = write("\u{1b}[2J.der", &vectors::octets("certs/p256/org.der"));
    assert!(!words(0, &[&odd]).contains('\u{1b}') && !words(0, &["--json", &odd]).contains('\u{1b}'));
}

#[test]
fn standard_input_is_read() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_atl"))
        .args(["inspect", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let note = vectors::json("note.json");
    let text = vectors::text(&vectors::rows(&note, "checkpoints")[0], "note").as_bytes();
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["objects"][0]["kind"], "checkpoint");
    assert_eq!(document["objects"][0]["origin"], note["origin"]);
}

/// A directory in which OpenSSL works, with a CA that revoked a certificate.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let config = "[req]\nprompt=no\ndistinguished_name=dn\n[dn]\nCN=CA\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
            keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n[leaf]\nauthorityKeyIdentifier=keyid\n\
            keyUsage=critical,digitalSignature\n[lists]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n\
            default_crl_days=7\ncrl_extensions=list\n[list]\nauthorityKeyIdentifier=keyid\n";
        desk.write("c.cnf", config);
        desk.write("index", "");
        desk.write("number", "2A\n");
        desk.openssl("genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
        desk.openssl("genpkey -algorithm ed25519 -out leaf.key");
        desk.openssl("req -x509 -new -key ca.key -config c.cnf -extensions ca -subj /CN=CA -days 30 -out ca.pem");
        desk.openssl("req -new -key leaf.key -config c.cnf -subj /O=Bank/CN=leaf -out leaf.csr");
        let sign =
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 4660 -days 1 -extfile c.cnf -extensions leaf";
        desk.openssl(&format!("{sign} -out leaf.pem"));
        desk
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn openssl(&self, arguments: &str) -> String {
        let out = Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path()).output().unwrap();
        assert!(out.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// What stands behind `name=` in what OpenSSL says.
    fn field(&self, arguments: &str, name: &str) -> String {
        let said = self.openssl(arguments);
        let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {name} in {said}")).trim().to_owned()
    }
}

/// `Apr 10 12:00:00 2026 GMT` of milliseconds, as OpenSSL writes it.
fn openssl_time(value: &Value) -> String {
    let seconds = value.as_u64().unwrap() / 1000;
    let mut date = Command::new("date");
    date.args(["-u", "-d", &format!("@{seconds}"), "+%b %e %H:%M:%S %Y GMT"]).env("LC_ALL", "C");
    String::from_utf8(date.output().unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn openssl_says_the_same_of_certificates() {
    let desk = Desk::new();
    let vector =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name).display().to_string();
    for file in [vector("certs/p256/2sat/final.der"), vector("certs/ed25519/org.der"), desk.path("leaf.pem")] {
        let form = if file.ends_with(".der") { "DER" } else { "PEM" };
        let told = object(0, &[&file]);
        let field = |option: &str, name: &str| {
            desk.field(&format!("x509 -noout -in {file} -inform {form} -nameopt RFC2253 {option}"), name)
        };
        let hash = field("-fingerprint -sha256", "sha256 Fingerprint").replace(':', "").to_lowercase();
        assert_eq!(told["sha256"], hash);
        assert_eq!(told["serial"], field("-serial", "serial").to_lowercase());
        assert_eq!(told["issuer"], field("-issuer", "issuer"));
        assert_eq!(openssl_time(&told["not_before"]), field("-startdate", "notBefore"));
        assert_eq!(openssl_time(&told["not_after"]), field("-enddate", "notAfter"));
        assert!(words(0, &[&file]).contains(&hash));
    }
}

#[test]
fn openssl_says_the_same_of_requests_lists_and_answers() {
    let desk = Desk::new();
    let csr = object(0, &[&desk.path("leaf.csr")]);
    assert_eq!((&csr["kind"], &csr["possession_proven"]), (&Value::from("csr"), &Value::from(true)));
    assert_eq!(csr["subject"], desk.field("req -noout -in leaf.csr -nameopt RFC2253 -subject", "subject"));
    let spki = csr["key"]["spki"].as_str().unwrap();
    assert!(desk.openssl("req -noout -in leaf.csr -pubkey").contains(spki));
    assert!(csr["warnings"][0].as_str().unwrap().contains("a CA here refuses it"));

    desk.openssl(
        "ca -config c.cnf -name lists -keyfile ca.key -cert ca.pem -revoke leaf.pem -crl_reason keyCompromise",
    );
    desk.openssl("ca -config c.cnf -name lists -keyfile ca.key -cert ca.pem -gencrl -out list.pem");
    let list = object(0, &[&desk.path("list.pem")]);
    let field =
        |option: &str, name: &str| desk.field(&format!("crl -noout -in list.pem -nameopt RFC2253 {option}"), name);
    assert_eq!(list["issuer"], field("-issuer", "issuer"));
    assert_eq!(list["number"], "42");
    assert_eq!(field("-crlnumber", "crlNumber").trim_start_matches("0x"), "2A");
    assert_eq!(openssl_time(&list["this_update"]), field("-lastupdate", "lastUpdate"));
    assert_eq!(openssl_time(&list["next_update"]), field("-nextupdate", "nextUpdate"));
    assert_eq!(
        (&list["revoked"][0]["serial"], &list["revoked"][0]["reason"]),
        (&"1234".into(), &"keyCompromise".into())
    );

    desk.openssl("ocsp -issuer ca.pem -cert leaf.pem -reqout ask.der");
    let ask = object(0, &[&desk.path("ask.der")]);
    let said = desk.openssl("ocsp -reqin ask.der -req_text");
    let upper = |value: &Value| value.as_str().unwrap().to_uppercase();
    for member in ["serial", "issuer_name_hash", "issuer_key_hash"] {
        assert!(said.contains(&upper(&ask["cert_ids"][0][member])), "{member}: {said}");
    }
    assert!(said.contains(&upper(&ask["nonce"])[4..]), "{said}");

    desk.openssl(
        "ocsp -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin ask.der -ndays 1 -respout answer.der",
    );
    let answer = object(0, &[&desk.path("answer.der")]);
    let said = desk.openssl("ocsp -respin answer.der -resp_text -noverify");
    assert_eq!((&answer["kind"], &answer["answers"][0]["status"]), (&"ocsp-response".into(), &"revoked".into()));
    assert!(said.contains("Cert Status: revoked") && said.contains("keyCompromise"), "{said}");
    assert!(
        said.contains(&format!("Revocation Time: {}", openssl_time(&answer["answers"][0]["revoked_at"]))),
        "{said}"
    );
    assert!(said.contains(&format!("Produced At: {}", openssl_time(&answer["produced_at"]))), "{said}");
}

#[test]
fn keys_find_their_certificates_and_stay_secret() {
    let desk = Desk::new();
    desk.openssl("pkey -in leaf.key -pubout -out leaf.pub");
    desk.openssl("pkcs8 -topk8 -in ca.key -passout pass:twelve-letters -out locked.key");
    desk.openssl("ec -in ca.key -out old.key");
    let names = ["leaf.key", "leaf.pub", "locked.key", "old.key", "leaf.pem", "ca.pem"].map(|name| desk.path(name));
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let told = words(0, &files);
    for line in [
        format!("the key in {} is that of the certificate {}", names[0], names[4]),
        format!("the key in {} is that of the certificate {}", names[1], names[4]),
        format!("the key in {} is that of the certificate {}", names[3], names[5]),
        format!("{} names as its issuer {} (by name and key identifier)", names[4], names[5]),
        format!("{}: private key, PKCS#8, encrypted under a passphrase", names[2]),
    ] {
        assert!(told.contains(&line), "{line}: {told}");
    }
    let told = told + &document(0, &files).to_string();
    for key in ["leaf.key", "ca.key"] {
        let said = desk.openssl(&format!("pkey -in {key} -noout -text"));
        let digits = said.lines().skip_while(|line| !line.starts_with("priv:")).skip(1);
        let digits = digits.take_while(|line| line.starts_with(' ')).map(|line| line.trim().replace(':', ""));
        let secret = digits.collect::<String>();
        let octets = hex::decode(&secret).unwrap();
        assert!((32..=33).contains(&octets.len()) && !told.contains(&secret), "{key}: {told}");
        // In base64 it may begin at any of three places of a group: what is sure is in the middle.
        for start in 0..3 {
            let group = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&octets[start..start + 27]);
            assert!(!told.contains(&group), "{key}: {told}");
        }
    }
    let locked = std::fs::read_to_string(desk.path("locked.key")).unwrap();
    assert!(locked.lines().all(|line| !told.contains(line)), "{told}");
}
