//! `atl ca registry`, through the real binary: a key, builds added, a file signed by hand's editor and
//! checked, with keys that openssl made, too.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

/// A place in which every command runs.
struct Place(tempfile::TempDir);

impl Place {
    /// With the build `bot` and the key `key.pem`.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("bot", "the bot");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, program: &str, args: &str) -> Output {
        let args = args.split_whitespace();
        Command::new(program).args(args).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    fn atl(&self, args: &str) -> Output {
        self.run(env!("CARGO_BIN_EXE_atl"), &format!("ca registry {args}"))
    }

    /// What it says on standard output.
    fn good(&self, args: &str) -> String {
        let output = self.atl(args);
        assert!(output.status.success(), "{args}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, code: i32, args: &str, words: &[&str]) {
        let output = self.atl(args);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(code), "{args}: {told}");
        for word in words {
            assert!(told.contains(word), "{word} is not in: {told}");
        }
    }

    fn openssl(&self, args: &str) {
        let output = self.run("openssl", args);
        assert!(output.status.success(), "openssl {args}: {}", told(&output));
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

const ADD: &str = "add --key key.pem --file registry.json --name bot --version 1";

#[test]
fn builds_are_added_and_checked() {
    let place = Place::new();
    let key = place.good("key --out key.pem");
    let key = key.trim();
    assert!(key.starts_with("MCowBQYDK2VwAyEA") && key.len() == 60, "{key}");
    assert_eq!(place.mode("key.pem"), 0o600);
    place.openssl("pkey -in key.pem -pubout -out pub.pem");
    assert!(place.read("pub.pem").contains(key));

    let hash = hex::encode(Sha256::digest("the bot"));
    let said = place.good(&format!("{ADD} --build bot --agents agent://bank.example.com/payments/*/*"));
    assert!(said.contains(&format!("`bot` 1 ({}...) is added", &hash[..8])), "{said}");
    let first = place.read("registry.json");
    assert!(first.contains(&hash), "{first}");
    fs::set_permissions(place.path("registry.json"), fs::Permissions::from_mode(0o640)).unwrap();
    let other = "ab".repeat(32);
    place.good(&format!("{ADD} --build-hash {other} --organization kyc --not-after 2020-01-01T00:00:00Z"));
    assert_eq!(place.mode("registry.json"), 0o640);
    assert!(place.read("registry.json").contains("\"not_after\": 1577836800000"));

    for known in [key, "pub.pem", "key.pem"] {
        let said = place.good(&format!("check --key {known} registry.json"));
        for word in [&hash[..16], "agent://bank.example.com/payments/*/*", "(over)", "all entries: 2"] {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
    }
    let json: serde_json::Value =
        serde_json::from_str(&place.good(&format!("check --json --key {key} registry.json"))).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["build_hash"]), (2, &hash.clone().into()));

    place.fails(
        2,
        &format!("{ADD} --build-hash {other} --organization kyc"),
        &["registry.json: entry 2", "as entry 1"],
    );
    place.fails(2, "key --out key.pem", &["key.pem: "]);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 4, "nothing is left lying about");
}

#[test]
fn a_file_written_by_hand_is_signed() {
    for algorithm in ["ed25519", "ec -pkeyopt ec_paramgen_curve:P-256"] {
        let place = Place::new();
        place.openssl(&format!("genpkey -algorithm {algorithm} -out key.pem"));
        place.openssl("pkey -in key.pem -pubout -out pub.pem");
        let hash = "cd".repeat(32);
        let text = format!(r#"{{"entries":[{{"build_hash":"{hash}","name":"bot","version":"1"}}]}}"#);
        place.write("registry.json", &text);
        place.fails(1, "check --key pub.pem registry.json", &["registry.json: entry 0", "has no signature"]);
        place.fails(2, &format!("{ADD} --build bot"), &["entry 0", "has no signature"]);

        place.good("sign --key key.pem --out signed.json registry.json");
        assert_eq!(place.read("registry.json"), text);
        place.good("check --key pub.pem signed.json");
        place.good("sign --key key.pem registry.json");
        place.good("check --key pub.pem registry.json");
        place.good(&format!("{ADD} --build bot"));

        // A change needs to be signed again.
        let changed = place.read("registry.json").replace("\"version\": \"1\"", "\"version\": \"2\"");
        place.write("registry.json", &changed);
        place.fails(1, "check --key pub.pem registry.json", &["`bot` 2 (cdcdcdcd...)", "does not verify"]);
        place.good("sign --key key.pem registry.json");
        assert!(place.good("check --key pub.pem registry.json").contains("all entries: 2"));
    }
}

#[test]
fn what_cannot_be_is_said() {
    let place = Place::new();
    place.good("key --out key.pem");
    place.openssl("genpkey -algorithm ed25519 -out other.pem");
    place.openssl("genpkey -algorithm ed25519 -aes256 -pass pass:secret -out sealed.pem");
    place.good(&format!("{ADD} --build bot"));
    let before = place.read("registry.json");
    let with = |key: &str| ADD.replace("key.pem", key) + " --build-hash " + &"ab".repeat(32);
    for (args, words) in [
        (format!("{ADD} --build nowhere"), &["nowhere (--build): "][..]),
        (format!("{ADD} --build bot --build-hash {}", "ab".repeat(32)), &["cannot be used with"]),
        (ADD.to_owned(), &["--build"]),
        (format!("{ADD} --build-hash ab"), &["64 lower-case hex digits"]),
        (format!("{ADD} --build bot --agents agent://bank.example.com/x"), &["--agents: "]),
        (format!("{ADD} --build bot --organization="), &["--organization: it must not be empty"]),
        (format!("{ADD} --build bot --not-after tomorrow"), &["it must be a moment such as"]),
        (with("nowhere.pem"), &["nowhere.pem (--key): "]),
        (with("sealed.pem"), &["sealed.pem (--key): ", "encrypted"]),
        (with("other.pem"), &["registry.json: the signature of entry 0", "does not verify"]),
        ("check --key MCow registry.json".to_owned(), &["--key: it is no file"]),
        ("check --key nowhere registry.json".to_owned(), &["nowhere (--key): "]),
        ("check --key bot registry.json".to_owned(), &["no PEM block PUBLIC KEY"]),
        ("check --key key.pem nowhere".to_owned(), &["nowhere: "]),
        ("sign --key key.pem bot".to_owned(), &["bot: the registry does not read"]),
    ] {
        place.fails(2, &args, words);
    }
    place.fails(1, "check --key other.pem registry.json", &["another key signed it"]);
    place.fails(1, "check --key key.pem bot", &["bot: the registry does not read"]);
    assert_eq!(place.read("registry.json"), before);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let place = Place::new();
    let mut key = Command::new(env!("CARGO_BIN_EXE_atl"));
    key.args(["ca", "registry", "key", "--out", "key.pem"]).current_dir(place.0.path());
    let mut child = key.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"), "{ended:?}");
    assert_eq!(ended.status.code(), Some(141));
}
