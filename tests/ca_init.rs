//! `atl ca init` and the ceremonies of the root, through the real binary, with openssl as the
//! second opinion.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use atl::config::CaConfig;
use sha2::{Digest, Sha256};

const DOMAIN: &str = "agents.example.com";
const PASSPHRASE: &str = "correct horse battery";
const SPKI: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER_SPKI: &str = "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

/// A place with a file for the passphrase, in which every command runs.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("pass"), format!("{PASSPHRASE}\n")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    fn atl(&self, args: &[&str]) -> Output {
        self.run(env!("CARGO_BIN_EXE_atl"), &[&["ca"], args].concat())
    }

    fn good(&self, args: &[&str]) -> String {
        let output = self.atl(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }

    fn refused(&self, args: &[&str]) -> String {
        let output = self.atl(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output));
        text(&output)
    }

    fn openssl(&self, args: &[&str]) -> String {
        let output = self.run("openssl", args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    }

    /// A CA in `ca`, its root's key encrypted.
    fn init(&self, more: &[&str]) -> String {
        let common = ["init", "--dir", "ca", "--trust-domain", DOMAIN, "--organization", "Example Bank"];
        self.good(&[&common[..], &["--passphrase-file", "pass"], more].concat())
    }

    /// The arguments of a ceremony on `issuing.csr`.
    fn sign<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        let files = ["root", "sign-intermediate", "--root-dir", "ca/root", "--root-certificate", "ca/root.pem"];
        let names = ["--csr", "issuing.csr", "--trust-domain", DOMAIN, "--organization", "Example Bank"];
        [&files[..], &names, &["--passphrase-file", "pass"], more].concat()
    }

    fn csr(&self, key: &[&str]) {
        self.openssl(&[&["genpkey", "-out", "issuing.key", "-algorithm"], key].concat());
        self.openssl(&["req", "-new", "-key", "issuing.key", "-subj", "/CN=whoever", "-out", "issuing.csr"]);
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    /// What openssl says of a certificate for this URI that `ca/intermediate.pem` issues.
    fn verify_agent(&self, uri: &str) -> Output {
        fs::write(self.path("agent.ext"), format!("subjectAltName=critical,URI:{uri}\nkeyUsage=digitalSignature\n"))
            .unwrap();
        self.openssl(&["genpkey", "-algorithm", "ed25519", "-out", "agent.key"]);
        self.openssl(&["req", "-new", "-key", "agent.key", "-subj", "/", "-out", "agent.csr"]);
        let issuer = ["-CA", "ca/intermediate.pem", "-CAkey", "ca/intermediate-key.pem", "-extfile", "agent.ext"];
        self.openssl(&[&["x509", "-req", "-in", "agent.csr", "-days", "1", "-out", "agent.pem"][..], &issuer].concat());
        let chain = ["-CAfile", "ca/root.pem", "-untrusted", "ca/intermediate.pem", "agent.pem"];
        self.run("openssl", &[&["verify", "-x509_strict"][..], &chain].concat())
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn shows(place: &Place, certificate: &str) -> String {
    place.openssl(&["x509", "-in", certificate, "-noout", "-text"])
}

#[test]
fn openssl_agrees_with_both_algorithms_with_and_without_constraint() {
    for algorithm in ["p256", "ed25519"] {
        for constraint in [true, false] {
            let place = Place::new();
            let more = if constraint { &[][..] } else { &["--no-name-constraint"] };
            let said = place.init(&[&["--algorithm", algorithm], more].concat());
            assert_eq!(said.contains("URIs of agents.example.com only"), constraint, "{said}");
            place.openssl(&["verify", "-x509_strict", "-CAfile", "ca/root.pem", "ca/intermediate.pem"]);

            let root = shows(&place, "ca/root.pem");
            let intermediate = shows(&place, "ca/intermediate.pem");
            assert!(root.contains("Subject: O = Example Bank, CN = Example Bank Agent Root CA"), "{root}");
            assert!(root.contains("Key Usage: critical\n                Certificate Sign, CRL Sign\n"), "{root}");
            assert!(root.contains("CA:TRUE, pathlen:1") && intermediate.contains("CA:TRUE, pathlen:0"));
            assert!(intermediate.contains("CN = Example Bank Agent Issuing CA "), "{intermediate}");
            assert!(intermediate.contains("Digital Signature, Certificate Sign, CRL Sign\n"), "{intermediate}");
            let critical =
                "Name Constraints: critical\n                Permitted:\n                  URI:agents.example.com\n";
            assert_eq!(intermediate.contains(critical), constraint, "{intermediate}");
            assert_eq!(intermediate.contains("Name Constraints"), constraint);
            let kind = if algorithm == "p256" { "ecdsa-with-SHA256" } else { "ED25519" };
            assert_eq!(intermediate.matches(&format!("Signature Algorithm: {kind}")).count(), 2, "{intermediate}");

            let at_home = place.verify_agent("agent://agents.example.com/payments/worker/1");
            assert!(at_home.status.success(), "{}", text(&at_home));
            let abroad = place.verify_agent("agent://agents.example.org/payments/worker/1");
            assert_eq!(abroad.status.success(), !constraint, "{}", text(&abroad));
            let below = place.verify_agent("agent://sub.agents.example.com/payments/worker/1");
            assert_eq!(below.status.success(), !constraint, "{}", text(&below));
        }
    }
}

#[test]
fn openssl_opens_the_root_key_with_its_passphrase_only() {
    let place = Place::new();
    place.init(&[]);
    let key = "ca/root/root-key.pem";
    assert!(place.read(key).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let public = place.openssl(&["pkey", "-in", key, "-passin", "file:pass", "-pubout"]);
    assert_eq!(public, place.openssl(&["x509", "-in", "ca/root.pem", "-noout", "-pubkey"]));
    for wrong in ["pass:correct house battery", "pass:"] {
        assert!(!place.run("openssl", &["pkey", "-in", key, "-passin", wrong, "-noout"]).status.success());
    }
    let issuing = place.openssl(&["pkey", "-in", "ca/intermediate-key.pem", "-pubout"]);
    assert_eq!(issuing, place.openssl(&["x509", "-in", "ca/intermediate.pem", "-noout", "-pubkey"]));
}

#[test]
fn an_unencrypted_root_is_said_aloud() {
    let place = Place::new();
    let args = ["init", "--dir", "ca", "--trust-domain", DOMAIN, "--organization", "Example Bank", "--insecure-dev"];
    let said = place.good(&args);
    assert!(said.contains("WARNING: the root key is NOT ENCRYPTED"), "{said}");
    assert!(place.read("ca/root/root-key.pem").starts_with("-----BEGIN PRIVATE KEY-----"));
    // And nobody asks for a passphrase then.
    place.good(&["root", "renew-intermediate", "--dir", "ca", "--root-dir", "ca/root"]);
}

#[test]
fn files_configuration_and_token() {
    let place = Place::new();
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let (first, second) =
        (format!("https://a.example/2026h2+{SPKI}"), format!("http://127.0.0.1:8081+{vkey},operator=Log Ltd"));
    let logs = ["--log", &first, "--log", &second];
    let names = ["--public-name", "ca.example.com", "--public-name", "::1", "--listen", "[::]:443"];
    let years = ["--root-years", "20", "--intermediate-years", "5"];
    let said = place.init(&[&logs[..], &names, &years].concat());
    assert!(said.contains("Next: move ca/root"), "{said}");

    for (name, mode) in [
        ("ca", 0o700),
        ("ca/root", 0o700),
        ("ca/root/root-key.pem", 0o600),
        ("ca/intermediate-key.pem", 0o600),
        ("ca/bundle-key.pem", 0o600),
        ("ca/operator-admin.token", 0o600),
        ("ca/principal-salt", 0o600),
        ("ca/intermediate.pem", 0o644),
        ("ca/root.pem", 0o644),
        ("ca/ca.toml", 0o644),
    ] {
        assert_eq!(place.mode(name), mode, "{name}");
    }

    let config = CaConfig::load(&place.path("ca/ca.toml")).unwrap();
    assert_eq!((config.trust_domain.as_str(), config.listen.port()), (DOMAIN, 443));
    assert_eq!(config.issuer_key, place.path("ca/intermediate-key.pem"));
    assert!(config.name_constraint);
    assert_eq!(config.certificates.principal_salt_file, place.path("ca/principal-salt"));
    assert_eq!(config.federation.bundle_key, Some(place.path("ca/bundle-key.pem")));
    let pin = place.openssl(&["pkey", "-in", "ca/bundle-key.pem", "-pubout"]);
    let pin: String = pin.lines().filter(|line| !line.is_empty() && !line.starts_with('-')).collect();
    assert!(said.contains(&pin), "{pin}: {said}");
    let salt = place.read("ca/principal-salt");
    let digits = salt.strip_suffix('\n').unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')), "{salt:?}");
    assert!(!said.contains(digits) && said.contains("principal-salt"), "{said}");
    let logs: Vec<_> = config.logs.iter().map(|log| (log.url.as_str(), log.operator.as_str())).collect();
    assert_eq!(logs, [("https://a.example/2026h2", "a.example"), ("http://127.0.0.1:8081", "Log Ltd")]);
    assert_eq!(config.public_names.len(), 2);
    let token = place.read("ca/operator-admin.token");
    assert_eq!((token.trim().len(), config.operators[0].name.as_str()), (43, "admin"));
    let hash: [u8; 32] = Sha256::digest(token.trim()).into();
    assert_eq!(config.operators[0].token_sha256, hash);
    // The server has no word for where the root's key is.
    assert!(!place.read("ca/ca.toml").contains("root-key.pem"));

    fs::write(place.path("ca/ca.toml"), place.read("ca/ca.toml").replace("spiffe = ", "spife = ")).unwrap();
    let renew = ["root", "renew-intermediate", "--dir", "ca", "--root-dir", "ca/root"];
    let refused = place.refused(&renew);
    assert!(refused.contains("ca/ca.toml: ") && refused.contains("unknown field `spife`"), "{refused}");
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let place = Place::new();
    place.init(&[]);
    let before = place.read("ca/root/root-key.pem");
    let again = ["init", "--dir", "ca", "--trust-domain", DOMAIN, "--organization", "B", "--passphrase-file", "pass"];
    let refused = place.refused(&again);
    assert!(refused.contains("ca exists and is not empty"), "{refused}");
    assert_eq!(place.read("ca/root/root-key.pem"), before);
    // An empty directory is taken, and closed to others.
    fs::create_dir(place.path("empty")).unwrap();
    fs::set_permissions(place.path("empty"), fs::Permissions::from_mode(0o755)).unwrap();
    place.good(&[&["init", "--dir", "empty"], &again[3..]].concat());
    assert_eq!(place.mode("empty"), 0o700);

    place.csr(&["ed25519"]);
    fs::write(place.path("out.pem"), "mine").unwrap();
    let refused = place.refused(&place.sign(&["--out", "out.pem"]));
    assert!(refused.contains("out.pem exists already"), "{refused}");
    assert_eq!(place.read("out.pem"), "mine");
}

#[test]
fn bad_arguments_are_refused_by_name_and_leave_nothing() {
    let place = Place::new();
    fs::write(place.path("short"), "11 letters!\n").unwrap();
    let log = |url: &str, key: &str| format!("--log={url}+{key}");
    let cases: Vec<(Vec<String>, &str)> = vec![
        (vec!["--trust-domain=Agents.example".into()], "`trust_domain`"),
        (vec!["--trust-domain=localhost".into()], "two labels"),
        (vec!["--trust-domain=a.example/x".into()], "`trust_domain`"),
        (vec!["--organization=".into()], "`organization`"),
        (vec![format!("--organization={}", "x".repeat(65))], "1 to 64 characters"),
        (vec!["--root-years=9".into()], "10..=20"),
        (vec!["--root-years=21".into()], "10..=20"),
        (vec!["--intermediate-years=0".into()], "1..=5"),
        (vec!["--intermediate-years=6".into()], "1..=5"),
        (vec!["--algorithm=rsa".into()], "p256, ed25519"),
        (vec!["--listen=localhost".into()], "--listen"),
        (vec!["--public-name=a_b".into()], "`public_names[0]`"),
        (vec!["--log=https://a.example".into()], "URL+KEY"),
        (vec![log("https://a.example", "AAAA")], "verifier key"),
        (vec![log("ftp://a.example", SPKI)], "`logs[0].url`"),
        (vec![log("https://a.example", SPKI), log("https://b.example", SPKI)], "`logs[1].key`"),
        (vec![log("https://a.example", SPKI), log("https://a.example", OTHER_SPKI)], "`logs[1].url`"),
        (vec!["--passphrase-file=short".into()], "12 characters or more"),
        (vec!["--passphrase-file=nowhere".into()], "nowhere: "),
        (vec!["--passphrase-file=pass".into(), "--insecure-dev".into()], "cannot be used with"),
        (vec![], "there is no terminal"),
    ];
    for (given, expected) in cases {
        let has = |name: &str| given.iter().any(|g| g.starts_with(name));
        let mut args = vec!["init", "--dir", "new/ca"];
        if !has("--trust-domain") {
            args.extend(["--trust-domain", DOMAIN]);
        }
        if !has("--organization") {
            args.extend(["--organization", "Example Bank"]);
        }
        if !has("--passphrase-file") && !given.is_empty() {
            args.extend(["--passphrase-file", "pass"]);
        }
        args.extend(given.iter().map(String::as_str));
        let refused = place.refused(&args);
        assert!(refused.contains(expected), "{args:?}: {refused}");
        assert!(!place.path("new/ca").exists(), "{args:?}");
    }
}

#[test]
fn a_request_made_by_openssl_is_signed() {
    let place = Place::new();
    place.init(&[]);
    for (key, more, constraint) in [
        (&["EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], &["--years", "5"][..], true),
        (&["ed25519"], &["--no-name-constraint"], false),
    ] {
        place.csr(key);
        let out = format!("{}.pem", key[0]);
        let said = place.good(&place.sign(&[more, &["--out", &out]].concat()));
        assert!(said.contains("Agent Issuing CA") && !said.contains("whoever"), "{said}");
        assert!(said.contains("Next: carry"), "{said}");
        place.openssl(&["verify", "-x509_strict", "-CAfile", "ca/root.pem", &out]);
        let public = place.openssl(&["pkey", "-in", "issuing.key", "-pubout"]);
        assert_eq!(public, place.openssl(&["x509", "-in", &out, "-noout", "-pubkey"]));
        assert_eq!(shows(&place, &out).contains("URI:agents.example.com"), constraint);
        let printed = place.openssl(&["x509", "-in", &out, "-noout", "-fingerprint", "-sha256"]);
        let fingerprint = printed.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
        assert!(said.contains(&fingerprint), "{said}");
    }
}

#[test]
fn a_root_made_by_openssl_signs() {
    let place = Place::new();
    fs::create_dir_all(place.path("ca/root")).unwrap();
    let key = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass", "file:pass"];
    place.openssl(&[&key[..], &["-out", "ca/root/root-key.pem"]].concat());
    let root = |subject: &str, extra: &[&str]| {
        let usage = "keyUsage=critical,keyCertSign,cRLSign";
        let args = ["req", "-x509", "-key", "ca/root/root-key.pem", "-passin", "file:pass", "-days", "900"];
        let out = ["-out", "ca/root.pem", "-subj", subject, "-addext", usage];
        place.openssl(&[&args[..], &out, extra].concat());
    };
    place.csr(&["ed25519"]);
    // The country is a PrintableString, the rest are UTF8Strings: the issuer's name is copied as it is.
    root("/C=DE/O=Bank/OU=PKI/CN=Root", &[]);
    let said = place.good(&place.sign(&["--years", "5", "--out", "out.pem"]));
    place.openssl(&["verify", "-x509_strict", "-CAfile", "ca/root.pem", "out.pem"]);
    // No later than the root, which ends after 900 days.
    let end = |file| place.openssl(&["x509", "-in", file, "-noout", "-enddate"]);
    assert_eq!(end("out.pem"), end("ca/root.pem"), "{said}");

    let refused = |out: &str| place.refused(&place.sign(&["--out", out]));
    root("/O=Bank/OU=A/OU=B/CN=Root", &[]);
    assert!(refused("x.pem").contains("parts that this command cannot copy"));
    root("/CN=Root", &["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"]);
    let message = refused("x.pem");
    assert!(message.contains("ca/root.pem: ") && message.contains("pathLenConstraint is 0"), "{message}");
    assert!(!place.path("x.pem").exists());
}

#[test]
fn requests_and_roots_that_do_not_hold_are_refused() {
    let place = Place::new();
    place.init(&[]);
    let refused = |more: &[&str]| {
        let message = place.refused(&place.sign(&[&["--out", "x.pem"], more].concat()));
        assert!(!place.path("x.pem").exists());
        message
    };
    place.csr(&["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    assert!(refused(&[]).contains("issuing.csr: the public key cannot be certified"));
    place.csr(&["RSA"]);
    assert!(refused(&[]).contains("neither Ed25519 nor EC P-256"));
    assert!(refused(&["--years", "6"]).contains("1..=5"));

    place.csr(&["ed25519"]);
    // One octet of the signature, in the last but one line of base64.
    place.openssl(&["req", "-in", "issuing.csr", "-outform", "DER", "-out", "issuing.der"]);
    let mut der = fs::read(place.path("issuing.der")).unwrap();
    *der.last_mut().unwrap() ^= 1;
    fs::write(
        place.path("issuing.csr"),
        der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, &der).unwrap(),
    )
    .unwrap();
    assert!(refused(&[]).contains("issuing.csr: the request is not signed by its own key"));
    fs::write(place.path("issuing.csr"), place.read("ca/root.pem")).unwrap();
    assert!(refused(&[]).contains("issuing.csr: the PEM block is `CERTIFICATE` where"));

    place.csr(&["ed25519"]);
    fs::write(place.path("wrong"), "correct house battery\n").unwrap();
    let with = |from: &str, to: &'static str| {
        place.sign(&["--out", "x.pem"]).into_iter().map(|arg| if arg == from { to } else { arg }).collect::<Vec<_>>()
    };
    let message = place.refused(&with("pass", "wrong"));
    assert!(message.contains("ca/root/root-key.pem: the passphrase does not open it"), "{message}");
    let message = place.refused(&with("ca/root.pem", "ca/intermediate.pem"));
    assert!(message.contains("ca/root/root-key.pem is not the key of ca/intermediate.pem"), "{message}");
    let message = place.refused(&with(DOMAIN, "nodots"));
    assert!(message.contains("`trust_domain`"), "{message}");
    let message = place.refused(&with("ca/root", "nowhere"));
    assert!(message.contains("nowhere/root-key.pem: "), "{message}");
}

#[test]
fn a_renewal_with_the_same_key_keeps_name_and_chains() {
    let place = Place::new();
    place.init(&[]);
    let agent = "agent://agents.example.com/payments/worker/1";
    assert!(place.verify_agent(agent).status.success());
    let (old, key) = (place.read("ca/intermediate.pem"), place.read("ca/intermediate-key.pem"));
    let serial = place.openssl(&["x509", "-in", "ca/intermediate.pem", "-noout", "-serial"]);
    let serial8 = serial.trim().trim_start_matches("serial=")[..8].to_lowercase();
    let renew = ["root", "renew-intermediate", "--dir", "ca", "--root-dir", "ca/root", "--passphrase-file", "pass"];
    let said = place.good(&[&renew[..], &["--years", "1"]].concat());
    assert!(said.contains("restart `atl ca serve --config ca/ca.toml`"), "{said}");
    assert!(said.contains(&format!("ca/intermediate-{serial8}.pem")), "{said}");

    assert_eq!(place.read(&format!("ca/intermediate-{serial8}.pem")), old);
    assert_eq!(place.read("ca/intermediate-key.pem"), key);
    assert_ne!(place.read("ca/intermediate.pem"), old);
    let subject = |file| place.openssl(&["x509", "-in", file, "-noout", "-subject", "-ext", "subjectKeyIdentifier"]);
    assert_eq!(subject("ca/intermediate.pem"), subject(&format!("ca/intermediate-{serial8}.pem")));
    // What was issued before the renewal verifies below the new intermediate.
    place.openssl(&["verify", "-CAfile", "ca/root.pem", "-untrusted", "ca/intermediate.pem", "agent.pem"]);
    assert_eq!(files(&place.path("ca")).len(), 13);
}

#[test]
fn a_renewal_with_a_new_key_keeps_the_old_files() {
    let place = Place::new();
    place.init(&["--algorithm", "ed25519"]);
    let (old, old_key) = (place.read("ca/intermediate.pem"), place.read("ca/intermediate-key.pem"));
    let renew = [
        "root",
        "renew-intermediate",
        "--new-key",
        "--dir",
        "ca",
        "--root-dir",
        "ca/root",
        "--passphrase-file",
        "pass",
    ];
    // The configuration decides about the constraint.
    let config = place.read("ca/ca.toml").replace("name_constraint = true", "name_constraint = false");
    fs::write(place.path("ca/ca.toml"), config).unwrap();
    let said = place.good(&renew);
    assert!(said.contains("name constraint  none") && said.contains("until they end"), "{said}");
    let kept = files(&place.path("ca")).into_iter().find(|name| name.starts_with("intermediate-key-")).unwrap();
    let serial8 = kept.trim_start_matches("intermediate-key-").trim_end_matches(".pem");
    assert_eq!(place.read(&format!("ca/intermediate-{serial8}.pem")), old);
    assert_eq!(place.read(&format!("ca/{kept}")), old_key);
    assert_eq!((place.mode(&format!("ca/{kept}")), place.mode("ca/intermediate-key.pem")), (0o600, 0o600));
    let public = place.openssl(&["pkey", "-in", "ca/intermediate-key.pem", "-pubout"]);
    assert_eq!(public, place.openssl(&["x509", "-in", "ca/intermediate.pem", "-noout", "-pubkey"]));
    assert!(shows(&place, "ca/intermediate.pem").contains("ED25519"));
    place.openssl(&["verify", "-x509_strict", "-CAfile", "ca/root.pem", "ca/intermediate.pem"]);
    assert!(files(&place.path("ca")).iter().all(|name| !name.contains(".new-")));

    // Interrupted between the two names: the key is the new one, the certificate is not.
    fs::write(place.path("ca/intermediate.pem"), &old).unwrap();
    let refused = place.refused(&renew);
    assert!(refused.contains("ca/intermediate-key.pem is not the key of ca/intermediate.pem"), "{refused}");
    assert!(refused.contains(&format!("ca/{kept}")), "{refused}");
    fs::copy(place.path(&format!("ca/{kept}")), place.path("ca/intermediate-key.pem")).unwrap();
    place.good(&renew);
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
