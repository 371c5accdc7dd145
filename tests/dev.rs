//! `atl dev --once`, as a new user would run it.
#![cfg(feature = "server")]
#![allow(clippy::expect_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const ATL: &str = env!("CARGO_BIN_EXE_atl");

fn dev(arguments: &[&str]) -> Output {
    Command::new(ATL)
        .args(["dev", "--once", "--sth-interval-seconds", "1"])
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// The value behind a name at the start of a line.
fn value<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix(name)).map(str::trim).collect()
}

fn story(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).expect("the story is text");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A command of the program that must succeed; what it prints.
fn atl(arguments: &[&str]) -> String {
    let output = Command::new(ATL).args(arguments).output().expect("the program starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

/// What every telling has in common.
fn check(text: &str, leaves: [u64; 2]) {
    let hashes = value(text, "certHash ");
    assert_eq!(hashes.len(), 2, "the first certificate's and the renewed one's: {text}");
    assert!(hashes.iter().all(|hash| hash.len() == 64) && hashes[0] != hashes[1], "{text}");
    assert!(value(text, "trust score ")[0].ends_with("of 100, tier elevated"), "{text}");
    assert_eq!(value(text, "attested "), ["caVerified"], "{text}");
    assert_eq!((value(text, "SAT of A ").len(), value(text, "SAT of B ").len()), (1, 1), "{text}");
    assert_eq!(text.matches("is the recovered precertificate, octet for octet").count(), 2, "{text}");
    let roots = value(text, "signed root ");
    assert_eq!(roots.len(), 2, "{text}");
    assert_eq!(value(text, "computed "), roots[..1], "the proof leads to the signed root: {text}");
    let [first, second] = leaves;
    assert!(text.contains(&format!("{first} leaves, ")) && text.contains(&format!("{second} leaves, ")), "{text}");
    assert!(text.contains(&format!("the tree of {second} begins with")), "{text}");
    assert!(text.contains(&format!("| log-a.dev.example/1\n   | {second}\n")), "{text}");
    let head = value(text, "head ");
    assert!(head.last().is_some_and(|head| head.len() > 65), "the journal's head: {text}");
    assert!(!text.contains('\x1b'), "no colours where nobody looks");
}

/// What every telling says of authority handed on and taken back.
#[track_caller]
fn falls(text: &str, run: u32) {
    for letter in ["A", "B", "C"] {
        let name = value(text, &format!("agent {letter} "));
        let agent = format!("agent://agents.dev.example/demo/shopper/run-{run}-{}", letter.to_lowercase());
        assert_eq!(name, [agent], "{text}");
        let fallen = value(text, &format!("OCSP on {letter} "));
        assert_eq!(fallen.len(), 1, "{text}");
        let after = fallen[0].strip_prefix("revoked, ").and_then(|rest| rest.split_once(" ms after the decision"));
        let (millis, _) = after.expect("how long it took");
        assert!(millis.parse::<u64>().expect("milliseconds") < 10_000, "{text}");
    }
    let refused = value(text, "refused ");
    assert_eq!(refused.len(), 2, "{text}");
    assert!(refused.iter().any(|rule| rule.starts_with("attenuation (toolUri): ")), "{text}");
    assert!(refused.iter().any(|rule| rule.starts_with("attenuation (perTransaction): ")), "{text}");
    let depths: Vec<_> = text.lines().map(str::trim).filter(|line| line.starts_with("depth ")).collect();
    assert!(depths[0].starts_with("depth 0 of at most 5") && depths[2].starts_with("depth 2 of at most 2"), "{text}");
    assert_eq!((value(text, "parent of B ").len(), value(text, "parent of C ").len()), (1, 1), "{text}");
    assert!(text.contains(&format!("+- agent://agents.dev.example/demo/shopper/run-{run}-c ")), "{text}");
    assert!(
        value(text, "shop ")[0].ends_with("+16 asked, +15 given, +1 until another reporter agrees; score 80"),
        "{text}"
    );
    let [rule, key] = value(text, "bank ")[..] else { panic!("{text}") };
    assert!(rule.ends_with("-20 asked, -15 given, -5 until another reporter agrees; score 65"), "{text}");
    assert!(key.ends_with("-25 asked, nothing given, -25 until another reporter agrees; score 65"), "{text}");
    assert!(value(text, "confirmed ")[0].ends_with("the score of A is 0"), "{text}");
    assert!(value(text, "CRL ")[0].ends_with(" lists A, B and C, signature verified"), "{text}");
    let [orders, too_much, fallen] = value(text, "the shop ")[..] else { panic!("three orders: {text}") };
    assert!(orders.starts_with("C orders for 4.00 EUR: yes, until 2"), "{text}");
    assert_eq!((too_much, fallen), ("C orders for 9.00 EUR: no", "C orders for 4.00 EUR: no"), "{text}");
    assert_eq!(text.matches("capability.perTransaction: 900 EUR").count(), 1, "{text}");
    for who in ["revocation.revoked: ", "revocation.revoked (parent): ", "revocation.revoked (parent 2): "] {
        assert_eq!(text.matches(who).count(), 1, "{who}: {text}");
    }
    assert!(value(text, "C renews ")[0].starts_with("refused: C was revoked at 2"), "{text}");
    assert!(text.contains("confirmed: reset to 0") && text.contains("policyViolation: paid twice"), "{text}");
}

#[test]
fn tells_the_story_to_its_end() {
    let text = story(&dev(&["--ports", "0,0,0,0,0"]));
    check(&text, [3, 4]);
    falls(&text, 1);
    let uses = value(&text, "https://shop.example/orders ");
    assert_eq!(uses.len(), 4, "the shopper's, and those of A, B and C: {text}");
    assert!(
        uses[0].starts_with("orders/create") && uses[0].contains("50.00 EUR at once, 500.00 EUR per day"),
        "{text}"
    );
    assert!(uses[2].contains("20.00 EUR at once, 100.00 EUR per day  3 calls per minute"), "{text}");
    assert!(uses[3].contains("5.00 EUR at once, 25.00 EUR per day  1 call per minute"), "{text}");
    assert!(value(&text, "token ")[0].starts_with("atl-enrol-"), "{text}");
    assert!(value(&text, "build ")[0].ends_with("in the CA's signed registry"), "{text}");
    assert_eq!(text.matches(" is pending: ").count(), 2, "{text}");
    assert_eq!(value(&text, "approved ").len(), 2, "{text}");
    assert!(text.contains("tier standard") && text.contains("tier restricted"), "{text}");
    // No secret of a token in what may end up in a terminal's history.
    let digits = |word: &str| word.len() == 64 && word.bytes().all(|c| c.is_ascii_hexdigit());
    assert!(!text.lines().any(|line| line.contains("atl-enrol-") && line.split(['-', ' ', ',']).any(digits)), "{text}");
}

#[test]
fn a_dishonest_log_shows_two_trees_under_one_key() {
    let text = story(&dev(&["--ports", "0,0,0,0,0", "--dishonest"]));
    check(&text, [3, 4]);
    let [one, other] = value(&text, "dishonest ")[..] else { panic!("two addresses: {text}") };
    assert!(one.starts_with("http://127.0.0.1:") && other.starts_with("http://127.0.0.1:") && one != other, "{text}");
    let [key] = value(&text, "its key ")[..] else { panic!("one key: {text}") };
    assert!(key.starts_with("log-dishonest.dev.example/1+"), "{text}");
    assert!(text.contains("a split view") && text.contains("The dishonest log has signed two trees of "), "{text}");
    let [first, second] = value(&text, "root ")[..] else { panic!("two roots: {text}") };
    assert!(first.contains(one) && second.contains(other), "{text}");
    assert!(first.contains("signature verified") && second.contains("signature verified"), "{text}");
    let root = |line: &str| line.split(' ').next().map(str::to_owned);
    assert_ne!(root(first), root(second), "{text}");
    // With the monitors' program beside this one, which a build of the workspace puts there, the story goes on.
    if Path::new(ATL).with_file_name("atl-monitor").exists() {
        for part in ["(entry.lookalike)", "(entry.unauthorised)", "| PROVEN: ", "health       503"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn a_directory_is_gone_on_with() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().join("demo");
    let name = dir.to_str().expect("a name in UTF-8");
    story(&dev(&["--ports", "0,0,0,0,0", "--dir", name]));
    let first = std::fs::read(dir.join("agents/shopper/cert.pem")).expect("a certificate");
    let (ca, root) = (dir.join("ca").display().to_string(), dir.join("ca/root").display().to_string());
    let renewed = ["ca", "root", "renew-intermediate", "--dir", &ca, "--root-dir", &root];
    atl(&renewed);
    // Every server is somewhere else the second time.
    let text = story(&dev(&["--ports", "0,0,0,0,0", "--dir", name]));
    // In between: an agent and two below it, and the certificates of the two that are above another.
    check(&text, [12, 13]);
    falls(&text, 2);

    assert!(text.contains("The agent is here from before"), "{text}");
    assert_eq!(text.matches("renews by itself").count(), 2, "{text}");
    assert_eq!(value(&text, "approved ").len(), 0, "{text}");
    assert_ne!(std::fs::read(dir.join("agents/shopper/cert.pem")).expect("a certificate"), first);
    for file in ["ca/root/root-key.pem", "load/org-ca-key.pem", "log-a/log.toml", "log-b/log-key.pem"] {
        assert!(dir.join(file).exists(), "{file}");
    }
    let journal = atl(&["ca", "audit", "verify", "--config", dir.join("ca/ca.toml").to_str().expect("UTF-8")]);
    assert!(
        journal.contains("What the database keeps is what follows from the journal, and nothing else."),
        "{journal}"
    );

    // Agents go on where the intermediate has another key. One whose directory was lost has to come with a new key: somebody has to look at that.
    atl(&[&renewed[..], &["--new-key"]].concat());
    std::fs::remove_dir_all(dir.join("agents/shopper")).expect("it goes");
    let text = story(&dev(&["--ports", "0,0,0,0,0", "--dir", name]));
    check(&text, [21, 22]);
    falls(&text, 3);
    assert_eq!(value(&text, "approved ").len(), 1, "{text}");
    assert_eq!(text.matches("renews by itself").count(), 2, "{text}");
}

#[test]
fn wrong_ports_are_explained() {
    let output = dev(&["--ports", "80"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("two to five ports with commas between"));
}

/// Reads the child's output up to the line that it ends its invitation with.
fn invitation(child: &mut Child) -> String {
    let mut text = String::new();
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    for line in output.lines() {
        text += &(line.expect("the story is text") + "\n");
        if text.ends_with("Ctrl-C stops all of it.\n") {
            return text;
        }
    }
    panic!("it ended before it should: {text}");
}

/// Runs the commands that the invitation prints for its CA, as they stand, in one shell.
fn try_the_ca(text: &str, dir: &Path) {
    let starts = [
        "atl agent show",
        "atl agent delegate",
        "openssl",
        "curl -s --cacert",
        "atl ca token",
        "atl ca requests list",
        "atl ca audit",
        "atl ca lineage",
        "atl ca revoke",
        "curl -s http",
        "atl trust agents",
        "atl trust explain",
        "atl trust report",
        "atl trust incidents list",
    ];
    // Some go on in the next line.
    let text = text.replace("\\\n", " ");
    // The first commands are the CA's and the engine's; what follows is the log's.
    let (text, _) = text.split_once("Look around in log").expect("the log's commands");
    let commands: Vec<_> =
        text.lines().map(str::trim).filter(|line| starts.iter().any(|start| line.starts_with(start))).collect();
    assert_eq!(commands.len(), 19, "{text}");
    let bin = Path::new(ATL).parent().expect("a directory").display().to_string();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands.join("\n")])
        .current_dir(dir)
        .env("PATH", format!("{bin}:{}", std::env::var("PATH").expect("a PATH")))
        .env("no_proxy", "127.0.0.1")
        .output()
        .expect("bash");
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{error}");
    for part in [
        "agent://agents.dev.example/demo/shopper/s-1",
        "cert.pem: OK",
        "verified up to the root",
        "\"trust_domain\"",
        "atl_ca_applications_total{kind=\"renew\",result=\"valid\"}",
        "atl-enrol-",
        "Nothing waits.",
        "The journal holds",
        "agent://agents.dev.example/demo/shopper/reader",
        "REVOKED at",
        "shopper/cert.pem: good",
        "run-1-a/cert.pem: revoked",
        "Response verify OK",
        "X509v3 CRL Number",
        "1 agent and 1 certificate revoked at",
        "reset to 0",
        "securityIncident",
    ] {
        // What openssl finds of an answer's signature it says on standard error.
        assert!(out.contains(part) || error.contains(part), "{part}: {out}\n{error}");
    }
}

#[test]
fn what_keeps_running_can_be_asked_loaded_and_stopped() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().to_str().expect("a name in UTF-8");
    let mut child = Command::new(ATL)
        .args(["dev", "--sth-interval-seconds", "1", "--ports", "0,0,0,0,0", "--dir", dir])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let text = invitation(&mut child);
    let pid = child.id().to_string();
    try_the_ca(&text, home.path());

    // The command that it prints, with less patience.
    let command = text.lines().find_map(|line| line.trim().strip_prefix("atl log hammer ")).expect("a command");
    let command = command.strip_suffix(" --seconds 5").expect("its end");
    let hammer = |arguments: &[&str]| {
        let output = Command::new(ATL)
            .args(["log", "hammer", "--seconds", "1", "--connections", "4", "--json", "--server-pid", &pid])
            .args(arguments)
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert!(report["verified"].as_u64() >= Some(100), "{report}");
        assert_eq!(report["verified"], report["sent"], "{report}");
        assert!(report["bad"].as_object().is_some_and(serde_json::Map::is_empty), "{report}");
        assert!(report["server"]["peak_memory_octets"].as_u64() > Some(1 << 20), "{report}");
        report
    };
    let command: Vec<&str> = command.split(' ').collect();
    for more in [&["--batch", "16"][..], &["--rate", "200", "--size", "2000"]] {
        let report = hammer(&[&command[..], &["--prepare", "512"], more].concat());
        assert_eq!(report["load"], "submissions", "{report}");
    }

    // What was just logged, asked for.
    for more in [&[][..], &["--rate", "200"]] {
        let report = hammer(&[&command[..2], &["--proofs"], more].concat());
        assert_eq!(report["load"], "proofs", "{report}");
        assert!(report["leaves"].as_u64() >= Some(8) && report["tree_size"].as_u64() >= Some(4), "{report}");
    }

    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it can be told to stop");
    assert!(child.wait().expect("it ends").success());
}
