//! `atl verify` from outside, without a network: the verdict in exit codes, words and JSON, over the certificates
//! of an independent implementation (`tests/vectors/README.md`).
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/vectors.rs"]
mod vectors;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use vectors::{json, octets, rows, text};

/// A directory with policies, and the vectors.
struct Desk {
    home: tempfile::TempDir,
    file: Value,
}

/// What the program said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        Self { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }

    /// The codes of the reasons in a JSON verdict.
    fn codes(&self) -> Vec<String> {
        let answer = self.json();
        answer["reasons"].as_array().unwrap().iter().map(|reason| text(reason, "code").to_owned()).collect()
    }
}

fn pem(der: &[u8]) -> String {
    der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der).unwrap()
}

impl Desk {
    fn new() -> Self {
        let desk = Self { home: tempfile::tempdir().unwrap(), file: json("certs.json") };
        for kind in ["p256", "ed25519"] {
            desk.write(&format!("{kind}-root.pem"), pem(&octets(&format!("certs/{kind}/root.der"))));
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), contents).unwrap();
        self.path(name).display().to_string()
    }

    /// The policy of the vectors: trusts atl-a, atl-b, atl-a2 and asks nobody; `more` stands in it too.
    fn policy(&self, kind: &str, minimum: u64, more: &str) -> String {
        let logs = rows(&self.file, "logs").iter().filter(|log| log["trusted"] == true);
        let logs: String = logs
            .map(|log| {
                let (name, operator) = (text(log, "name"), text(log, "operator"));
                let key = text(&log["key"], "spki_b64");
                format!("[[logs]]\nname = \"{name}\"\noperator = \"{operator}\"\nkey = \"{key}\"\n")
            })
            .collect();
        let text = format!(
            "[policy]\nminimum_score = {minimum}\nrevocation = {{ mode = \"off\" }}\n\
             [[domains]]\nname = \"agents.example.com\"\nroots = \"{kind}-root.pem\"\n{logs}{more}"
        );
        self.write(&format!("{kind}-{minimum}.toml"), text)
    }

    /// The arguments of a case, at the moment of the vectors.
    fn presented(&self, row: &Value) -> Vec<String> {
        let name = text(row, "name").replace('/', "-");
        let mut chain = vec![octets(text(row, "final"))];
        chain.extend(rows(row, "rp_chain").iter().map(|path| octets(path.as_str().unwrap())));
        let parents = row["parents"].as_array().into_iter().flatten();
        chain.extend(parents.map(|path| octets(path.as_str().unwrap())));
        // A text around it, as people have it.
        let file = chain.iter().map(|der| format!("subject=...\n{}", pem(der))).collect::<String>();
        let mut arguments = vec![self.write(&format!("{name}.pem"), file)];
        arguments.extend(["--at".into(), self.now()]);
        for (place, sat) in row["detached_sats_b64"].as_array().into_iter().flatten().enumerate() {
            let sat = STANDARD.decode(sat.as_str().unwrap()).unwrap();
            arguments.extend(["--sat".into(), self.write(&format!("{name}-{place}.sat"), sat)]);
        }
        arguments
    }

    fn now(&self) -> String {
        self.file["now_ms"].to_string()
    }

    fn chain(&self, name: &str) -> Vec<String> {
        let row = rows(&self.file, "chains").iter().find(|row| row["name"] == name).unwrap();
        let file = pem(&octets(text(row, "final"))) + &pem(&octets(text(row, "org")));
        vec![self.write(&format!("{name}.pem"), file), "--at".into(), self.now()]
    }

    fn verify(&self, policy: &str, arguments: &[String], more: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        Said::of(&command.args(["verify", "--policy", policy]).args(arguments).args(more).output().unwrap())
    }
}

#[test]
fn the_exit_code_is_the_verdict() {
    let desk = Desk::new();
    let (mut accepted, mut refused) = (0, 0);
    let of_p256 = |row: &&Value| row["rp"].is_object() && text(row, "name").starts_with("p256/");
    for row in rows(&desk.file, "cases").iter().filter(of_p256) {
        let name = text(row, "name");
        let policy = desk.policy("p256", row["min_score"].as_u64().unwrap(), "");
        let said = desk.verify(&policy, &desk.presented(row), &[]);
        let first = said.out.lines().next().unwrap_or_default();
        match row["rp"]["accept"] == true {
            true => {
                assert!(said.code == 0 && first.starts_with("ACCEPTED  agent://"), "{name}: {}{}", said.out, said.err);
                accepted += 1;
            }
            false => {
                assert!(said.code == 1 && first.starts_with("REFUSED  "), "{name}: {}{}", said.out, said.err);
                assert!(
                    said.out.contains("\n  rule  ") && said.err.starts_with("atl: refused"),
                    "{name}: {}",
                    said.out
                );
                refused += 1;
            }
        }
    }
    assert!(accepted > 20 && refused > 60, "{accepted} {refused}");
}

#[test]
fn the_verdict_in_json_has_all_of_it() {
    let desk = Desk::new();
    let policy = desk.policy("p256", 40, "");
    let keys = |answer: &Value| answer.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
    let payment = ["--json", "--operation", "mcp://payments.example.com/charges/create payments/eu 2500 GBP"];
    let said = desk.verify(&policy, &desk.chain("p256-1sat"), &payment);
    let answer = said.json();
    assert_eq!(said.code, 0, "{answer}");
    let of_yes = [
        "verdict",
        "agent",
        "domain",
        "certificate",
        "tier",
        "score",
        "effective_score",
        "minimum_score",
        "capabilities",
        "parents",
        "human_principal",
        "operation",
        "at",
        "good_until",
        "notes",
    ];
    assert_eq!(keys(&answer), named(&of_yes));
    assert_eq!(
        (text(&answer, "verdict"), text(&answer, "tier"), text(&answer, "domain")),
        ("accept", "standard", "agents.example.com")
    );
    assert_eq!(answer["operation"]["spend"], json!({"amount": 2500, "currency": "GBP"}));
    assert_eq!((&answer["at"], &answer["minimum_score"]), (&desk.file["now_ms"], &json!(40)));
    assert!(answer["good_until"].as_u64() > answer["at"].as_u64());

    let said = desk.verify(&desk.policy("p256", 60, ""), &desk.chain("p256-1sat"), &["--json"]);
    let answer = said.json();
    assert_eq!((said.code, said.codes()), (1, vec!["trust.score".to_owned()]));
    assert_eq!(keys(&answer), named(&["verdict", "claims", "reasons", "at", "notes"]));
    assert_eq!(keys(&answer["reasons"][0]), named(&["code", "certificate", "detail", "rule", "help"]));
    assert!(text(&answer, "claims").starts_with("agent://agents.example.com/"));
    assert!(said.err.contains("atl: refused: trust.score"), "{}", said.err);
}

#[test]
fn an_operation_is_granted_or_what_is_missing_is_said() {
    let desk = Desk::new();
    let (policy, chain) = (desk.policy("p256", 20, ""), desk.chain("p256-1sat"));
    let tool = "mcp://payments.example.com/charges/create";
    let asked = |what: &[&str]| desk.verify(&policy, &chain, what);
    let good = asked(&["--operation", &format!("{tool} payments/eu/sepa 2500 GBP")]);
    assert_eq!(good.code, 0, "{}", good.out);
    assert!(good.out.contains("25.00 GBP") && good.out.contains("by its right"), "{}", good.out);
    let parts = ["--tool", tool, "--scope", "payments/eu", "--amount", "2500", "--currency", "GBP"];
    assert_eq!(asked(&parts).code, 0);
    for (operation, code) in [
        (format!("{tool}/ payments/eu"), "capability.tool"),
        (format!("{tool} payments"), "capability.scope"),
        (format!("{tool} payments/eu 2500 EUR"), "capability.currency"),
        (format!("{tool} payments/eu 100001 GBP"), "capability.perTransaction"),
        ("mcp://screening.example.com/screen aml-screening 1 GBP".to_owned(), "capability.spend"),
    ] {
        let said = asked(&["--json", "--operation", &operation]);
        assert_eq!((said.code, said.codes()), (1, vec![code.to_owned()]), "{operation}");
    }
    for wrong in ["x", "a b c", "a b 1.5 GBP", "a b 1 gbp", "a b 1 GBP x"] {
        assert_eq!(asked(&["--operation", wrong]).code, 2, "{wrong}");
    }
    // Half of an operation is none.
    for wrong in [&["--tool", tool][..], &["--scope", "x"], &["--tool", tool, "--scope", "x", "--amount", "1"]] {
        assert_eq!(asked(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn the_moment_that_is_asked_about_decides() {
    let desk = Desk::new();
    let (policy, chain) = (desk.policy("p256", 20, ""), desk.chain("p256-1sat"));
    let at = |when: &str| desk.verify(&policy, &chain[..1], &["--json", "--at", when]);
    assert_eq!(at("2026-04-10T12:30:00Z").json()["at"], desk.file["now_ms"]);
    assert_eq!(at("2026-04-10T14:30:00+02:00").json(), at(&desk.now()).json());
    assert!(at("2026-04-09T12:30:00Z").codes().contains(&"profile.notYetValid".to_owned()));
    assert!(at("2026-04-12T12:30:00Z").codes().contains(&"profile.expired".to_owned()));
    // Without a moment it is the present, when these certificates are over.
    let now = desk.verify(&policy, &chain[..1], &["--json"]);
    assert!(now.code == 1 && now.codes().contains(&"profile.expired".to_owned()));
    for wrong in ["yesterday", "2026-04-10T12:30Z", "-1", ""] {
        assert_eq!(at(wrong).code, 2, "{wrong}");
    }
}

#[test]
fn what_is_presented_is_refused_and_what_cannot_be_read_is_a_failure() {
    let desk = Desk::new();
    let (policy, chain) = (desk.policy("p256", 20, ""), desk.chain("p256-1sat"));
    let whole = fs::read_to_string(&chain[0]).unwrap();
    let broken = whole.replacen("MII", "!II", 1);
    let other = fs::read(&chain[0]).unwrap().iter().map(|c| c.rotate_left(1)).collect::<Vec<u8>>();
    for (name, contents) in [("broken.pem", broken.into_bytes()), ("none.der", other), ("empty", Vec::new())] {
        let said = desk.verify(&policy, &[desk.write(name, contents)], &["--json"]);
        assert_eq!((said.code, said.codes()), (1, vec!["profile.malformed".to_owned()]), "{name}");
        assert_eq!(said.json()["claims"], Value::Null);
    }
    let second = whole.rfind("MII").unwrap();
    let said = desk.verify(
        &policy,
        &[desk.write("ca.pem", [&whole[..second], "!", &whole[second + 1..]].concat())],
        &["--json"],
    );
    assert_eq!((said.code, said.codes()), (1, vec!["chain.malformed".to_owned()]));
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for unreadable in ["missing.pem".to_owned(), desk.write("key.pem", key)] {
        let said = desk.verify(&policy, std::slice::from_ref(&unreadable), &[]);
        assert_eq!(said.code, 2, "{unreadable}: {}", said.out);
        assert!(said.err.contains(&unreadable) && said.out.is_empty(), "{}", said.err);
    }
    // The same in DER, its CA in a file of its own; a key beside a certificate is passed over.
    let row = rows(&desk.file, "chains").iter().find(|row| row["name"] == "p256-1sat").unwrap();
    let leaf = desk.write("leaf.der", octets(text(row, "final")));
    let ca = desk.write("org.pem", key.to_owned() + &pem(&octets(text(row, "org"))));
    let arguments = [leaf, ca, "--at".into(), desk.now()];
    let said = desk.verify(&policy, &arguments, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[test]
fn a_policy_that_does_not_hold_together_decides_nothing() {
    let desk = Desk::new();
    let chain = desk.chain("p256-1sat");
    let good = fs::read_to_string(desk.policy("p256", 20, "")).unwrap();
    for (name, text, why) in [
        ("low.toml", good.replace("minimum_score = 20", "minimum_score = 19"), "policy.minimum_score"),
        ("mode.toml", good.replace("revocation = { mode = \"off\" }\n", ""), "revocation"),
        ("roots.toml", good.replace("p256-root.pem", "none.pem"), "domains[0].roots"),
        ("more.toml", good.clone() + "[listen]\n", "listen"),
    ] {
        let said = desk.verify(&desk.write(name, text), &chain, &[]);
        assert_eq!(said.code, 2, "{}", said.out);
        assert!(said.err.contains(name) && said.err.contains(why) && said.out.is_empty(), "{}", said.err);
    }
    // One who hears of no domain refuses, and says which.
    let other = good.replace("agents.example.com", "agents.example.org");
    let said = desk.verify(&desk.write("other.toml", other), &chain, &["--json"]);
    assert_eq!((said.code, said.codes()), (1, vec!["federation.unknownDomain".to_owned()]));
}

/// A policy that wants to know of revocation is satisfied with files alone, or says what is missing.
#[test]
fn without_a_network_what_is_not_known_refuses() {
    let desk = Desk::new();
    let chain = desk.chain("p256-1sat");
    let off = fs::read_to_string(desk.policy("p256", 20, "")).unwrap();
    let require = desk.write("require.toml", off.replace("\"off\"", "\"require\""));
    let said = desk.verify(&require, &chain, &["--json", "--offline"]);
    assert_eq!((said.code, said.codes()), (1, vec!["revocation.unavailable".to_owned()]));
    let prefer = desk.write("prefer.toml", off.replace("\"off\"", "\"prefer\""));
    let said = desk.verify(&prefer, &chain, &["--json"]);
    assert_eq!(said.code, 0);
    assert!(text(&said.json()["notes"][0], "detail").contains("nothing is known"), "{}", said.out);
    // Octets that are no OCSP answer prove nothing, of whomever.
    let noise = desk.write("noise.ocsp", [0x30, 0x03, 0x0a, 0x01, 0x00]);
    let said = desk.verify(&require, &chain, &["--json", "--staple", &noise]);
    assert_eq!((said.code, said.codes()), (1, vec!["revocation.invalid".to_owned()]));
    for (option, file) in [("--crl", &noise), ("--proof", &noise), ("--audit", &noise), ("--sat", &noise)] {
        let said = desk.verify(&require, &chain, &[option, file]);
        assert_eq!(said.code, 2, "{option}: {}", said.out);
        assert!(said.err.contains("noise.ocsp"), "{}", said.err);
    }
    let inclusion = desk.write("inclusion.toml", off + "[policy.inclusion]\nmax_age_seconds = 60\n");
    let said = desk.verify(&inclusion, &chain, &["--json"]);
    assert_eq!((said.code, said.codes()), (1, vec!["sat.inclusion".to_owned()]));
}

#[test]
fn a_policy_is_printed_to_start_from() {
    let desk = Desk::new();
    let log = |n: usize| {
        let log = &rows(&desk.file, "logs")[n];
        format!(
            "https://{}.example+{},operator={}",
            text(log, "name"),
            text(&log["key"], "spki_b64"),
            text(log, "operator")
        )
    };
    let print = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.current_dir(desk.home.path()).args(["verify", "--print-policy"]).args(more);
        Said::of(&command.output().unwrap())
    };
    let (a, b) = (log(0), log(1));
    let common = ["--domain", "agents.example.com", "--root", "p256-root.pem", "--log", &a, "--log", &b];
    let said = print(&common);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("# A relying party") && said.out.contains("minimum_tier = \"standard\""));
    let policy = desk.write("printed.toml", said.out.replace("mode = \"require\"", "mode = \"off\""));
    let said = desk.verify(&policy, &desk.chain("p256-1sat"), &["--offline"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    for wrong in [&common[..4], &common[4..], &["--domain", "agents.example.com", "--root", "none.pem", "--log", &a]] {
        let said = print(wrong);
        assert!(said.code == 2 && said.out.is_empty(), "{wrong:?}: {}", said.out);
    }
    assert_eq!(desk.verify(&policy, &[], &["--print-policy"]).code, 2, "to print one, and to decide by one");
}
