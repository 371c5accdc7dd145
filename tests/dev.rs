//! `atl dev --once`, as a new user would run it.
#![cfg(feature = "server")]
#![allow(clippy::expect_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

fn dev(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atl"))
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

#[test]
fn tells_the_story_to_its_end() {
    let text = story(&dev(&["--ports", "0,0"]));
    let hash = value(&text, "certHash ");
    assert_eq!(hash.len(), 1, "{text}");
    assert_eq!(hash[0].len(), 64);
    assert_eq!(value(&text, "recovered "), hash, "the precertificate comes back");
    assert_eq!(value(&text, "trust score "), ["72 of 100, tier elevated"]);
    let uses = value(&text, "may use ");
    assert_eq!(uses.len(), 2, "{text}");
    assert!(uses[0].contains("orders/create") && uses[0].ends_with("50.00 EUR a call, 500.00 EUR a day"), "{text}");
    assert_eq!(text.matches("leaf 2, ").count(), 2, "one SAT of each log: {text}");
    let roots = value(&text, "signed root ");
    assert_eq!(roots.len(), 2);
    assert_eq!(value(&text, "computed "), roots[..1], "the proof leads to the signed root");
    assert!(text.contains("5 leaves, ") && text.contains("8 leaves, "), "{text}");
    assert!(text.contains("the tree of 8 begins with"), "{text}");
    assert!(text.contains("| log-a.dev.example/1\n   | 8\n"), "{text}");
    assert!(!text.contains('\x1b'), "no colours where nobody looks");
}

#[test]
fn a_directory_is_gone_on_with() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().join("demo");
    let dir = dir.to_str().expect("a name in UTF-8");
    story(&dev(&["--ports", "0,0", "--dir", dir]));
    let text = story(&dev(&["--ports", "0,0", "--dir", dir]));
    assert!(text.contains("13 leaves, ") && text.contains("16 leaves, "), "{text}");
    for file in ["ca/root-ca.pem", "ca/org-ca-key.pem", "log-a/log.toml", "log-b/log-key.pem"] {
        assert!(home.path().join("demo").join(file).exists(), "{file}");
    }
}

#[test]
fn wrong_ports_are_explained() {
    let output = dev(&["--ports", "80"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("two ports with a comma between"));
}

/// Reads the child's output up to the line that it ends its invitation with.
fn invitation(child: &mut Child) -> String {
    let mut text = String::new();
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    for line in output.lines() {
        text += &(line.expect("the story is text") + "\n");
        if text.ends_with("Ctrl-C stops both logs.\n") {
            return text;
        }
    }
    panic!("it ended before it should: {text}");
}

#[test]
fn a_log_that_keeps_running_can_be_loaded_and_stopped() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().to_str().expect("a name in UTF-8");
    let mut child = Command::new(env!("CARGO_BIN_EXE_atl"))
        .args(["dev", "--sth-interval-seconds", "1", "--ports", "0,0", "--dir", dir])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let text = invitation(&mut child);
    let pid = child.id().to_string();

    // The command that it prints, with less patience.
    let command = text.lines().find_map(|line| line.trim().strip_prefix("atl log hammer ")).expect("a command");
    let command = command.strip_suffix(" --seconds 5").expect("its end");
    let hammer = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_atl"))
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
        assert!(report["leaves"].as_u64() >= Some(8) && report["tree_size"].as_u64() >= Some(8), "{report}");
    }

    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it can be told to stop");
    assert!(child.wait().expect("it ends").success());
}
