//! `atl-monitor lookalike` through the real binary.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
    command.arg("lookalike");
    command
}

fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

/// The two streams and the exit code.
fn said(output: &Output) -> (String, String, i32) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

/// Judges files, with more arguments; the lines of JSON, and what was said beside them.
fn judge(watched: &Path, candidates: &Path, more: &[&str]) -> (Vec<Value>, String) {
    let mut command = command();
    command.arg("--watched").arg(watched).arg("--candidates").arg(candidates).arg("--json").args(more);
    let (out, err, code) = said(&command.output().unwrap());
    assert_eq!(code, 0, "{err}");
    (out.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), err)
}

#[test]
fn explains_a_pair() {
    let (out, err, code) = said(&run(&["cybersecai.co.uk", "cybersec-ai.co.uk"]));
    assert_eq!((err.as_str(), code), ("", 0));
    for part in [
        "cybersec-ai.co.uk imitates cybersecai.co.uk: hyphenation, score 82 of 100.",
        "That is an alert, which it is from 50 on.",
        "45.0  \"cybersec-ai\" is held against \"cybersecai\", of 10 letters",
        "-   3.0  hyphens put in: \"cybersec-ai\"",
        "+   4.0  the same suffix, \"co.uk\"",
        "=  46.0  and 100 * 46.0 / (46.0 + 10) = 82",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn the_readme_shows_what_is_said() {
    let readme = include_str!("../../README.md");
    let (out, ..) = said(&run(&["cybersecai.co.uk", "cybersec-ai.co.uk"]));
    let shown: Vec<_> =
        out.lines().map(|line| if line.is_empty() { String::new() } else { format!("    {line}") }).collect();
    let shown = format!("    $ atl-monitor lookalike cybersecai.co.uk cybersec-ai.co.uk\n{}\n", shown.join("\n"));
    assert!(readme.contains(&shown), "{shown}");
    let files = Files::new();
    let watched = files.write("watched", "cybersecai.co.uk\n");
    let candidates = files.write("candidates", "cybersecai-login.co.uk\n");
    let mut command = command();
    command.arg("--watched").arg(watched).arg("--candidates").arg(candidates).arg("--json");
    let (out, ..) = said(&command.output().unwrap());
    assert!(out.ends_with("}\n") && readme.contains(&format!("    {out}")), "{out}");
}

#[test]
fn explains_why_a_pair_is_none() {
    for (args, words) in [
        (&["paypal.com", "www.paypal.com"][..], "whoever registered the one has the other too"),
        (&["paypal.com", "github.com"], "no trick leads from the one to the other"),
        (&["hsbc.co.uk", "sbc.com"], "for the digest, where it is from 40 on"),
        (&["hsbc.co.uk", "sbc.com", "--digest", "45"], "too little to be told, which it is from 45 on"),
        (&["hsbc.co.uk", "sbc.com", "--threshold", "44"], "an alert, which it is from 44 on"),
    ] {
        let (out, err, code) = said(&run(args));
        assert!(out.contains(words) && code == 0, "{words}: {out}{err}");
    }
}

#[test]
fn explains_a_pair_to_machines() {
    let (out, _, _) = said(&run(&["paypal.com", "PayPa1.com.", "--json"]));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["candidate"], "paypa1.com");
    assert_eq!(
        (&report["class"], &report["score"], &report["level"]),
        (&json!("homoglyph"), &json!(70), &json!("alert"))
    );
    let steps = report["steps"].as_array().unwrap();
    let sum: i64 = steps.iter().map(|step| step["tenths_of_bits"].as_i64().unwrap()).sum();
    assert_eq!((steps.len(), sum), (2, 240));
    let (out, _, _) = said(&run(&["paypal.com", "github.com", "--json"]));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["class"], &report["score"], &report["level"]), (&Value::Null, &json!(0), &json!("none")));
}

#[test]
fn prints_an_object_for_each_alert() {
    let files = Files::new();
    let watched = files.write("watched", "# ours\npaypal.com\n\nhsbc.co.uk\n");
    let candidates = "unrelated.org\npaypa1.com\nwww.paypal.com\nsbc.com\n*.PAYPAL-login.com\npäypal.com\nno name\n";
    let candidates = files.write("candidates", candidates);
    let (found, said) = judge(&watched, &candidates, &[]);
    let expected = [
        json!({"candidate": "paypa1.com", "watched": "paypal.com", "class": "homoglyph", "score": 70, "level": "alert"}),
        json!({"candidate": "*.PAYPAL-login.com", "watched": "paypal.com", "class": "combosquat", "score": 68, "level": "alert"}),
        json!({"candidate": "päypal.com", "watched": "paypal.com", "class": "homoglyph", "score": 71, "level": "alert"}),
    ];
    let fields = |value: &Value| {
        let fields = ["candidate", "watched", "class", "level"].map(|field| value[field].clone());
        assert!(value["score"].as_u64().is_some_and(|score| (50..100).contains(&score)), "{value}");
        fields
    };
    assert_eq!(found.iter().map(fields).collect::<Vec<_>>(), expected.iter().map(fields).collect::<Vec<_>>());
    assert!(said.contains("6 names: 3 alerts, 1 more for the digest"), "{said}");
    assert!(said.contains("1 lines hold no domain name and were passed over, the first is line 7"), "{said}");
}

#[test]
fn thresholds_and_allowed_names() {
    let files = Files::new();
    let watched = files.write("watched", "hsbc.co.uk\n");
    let candidates = files.write("candidates", "sbc.com\nhsbc.com\nshop.hsbc.com\nhsbc-login.co.uk\n");
    let names = |more: &[&str]| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (found, _) = judge(&watched, &candidates, more);
        found.iter().map(|found| (text(&found["candidate"]), text(&found["level"]))).collect()
    };
    let pair = |name: &str, level: &str| (name.to_owned(), level.to_owned());
    let usual = [pair("hsbc.com", "alert"), pair("shop.hsbc.com", "alert"), pair("hsbc-login.co.uk", "alert")];
    assert_eq!(names(&[]), usual);
    assert_eq!(names(&["--digest", "40"]), [&[pair("sbc.com", "digest")][..], &usual].concat());
    assert_eq!(names(&["--threshold", "99"]), []);
    let allowed = files.write("allowed", "hsbc.com\n");
    assert_eq!(names(&["--allow", allowed.to_str().unwrap()]), [pair("hsbc-login.co.uk", "alert")]);
}

#[test]
fn judges_what_comes_by_a_pipe() {
    let files = Files::new();
    let watched = files.write("watched", "paypal.com\n");
    let mut child = command();
    child.arg("--watched").arg(watched).args(["--candidates", "-"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"paypa1.com\n\xff\xfe\nzebra.org").unwrap();
    let (out, err, code) = said(&child.wait_with_output().unwrap());
    assert_eq!(out, "alert   70  homoglyph        paypa1.com  imitates  paypal.com\n");
    assert!(err.contains("2 names: 1 alerts") && code == 0, "{err}");
}

#[test]
fn says_what_is_wrong_with_its_input() {
    let files = Files::new();
    let (good, bad) = (files.write("good", "paypal.com\n"), files.write("bad", "paypal.com\nnot a name\n"));
    let empty = files.write("empty", "# nothing\n");
    let [good, bad, empty] = [&good, &bad, &empty].map(|path| path.to_str().unwrap());
    let missing = files.0.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (args, words) in [
        (&["--watched", bad, "--candidates", good][..], "bad, line 2: "),
        (&["--watched", empty, "--candidates", good], "no name to watch is in it"),
        (&["--watched", good, "--candidates", missing], "missing: No such file"),
        (&["--watched", good, "--candidates", good, "--allow", bad], "bad, line 2: "),
        (&["--watched", good], "--candidates"),
        (&["paypal.com"], "CANDIDATE"),
        (&[], "required"),
        (&["paypal.com", "x"], "at least two labels"),
        (&["paypal.com", "github.com", "--threshold", "101"], "101 is not in 1..=100"),
    ] {
        let (out, err, code) = said(&run(args));
        assert!(err.contains(words), "{words}: {err}");
        assert_eq!((out.as_str(), code), ("", 2), "{args:?}");
    }
}

#[test]
fn a_suffix_of_everybodys_is_not_watched() {
    let files = Files::new();
    let (watched, candidates) = (files.write("watched", "github.com\nco.uk\n"), files.write("candidates", ""));
    let mut command = command();
    command.arg("--watched").arg(&watched).arg("--candidates").arg(&candidates);
    let (out, err, code) = said(&command.output().unwrap());
    assert!(out.is_empty() && code != 0, "{out}");
    assert!(err.contains("watched, line 2: co.uk is a public suffix"), "{err}");
    let watched = files.write("watched", "github.com\ngithub.io\n");
    let candidates = files.write("candidates", "github-login.github.io\nmybank.github.io\ngithub-login.co.uk\n");
    let (found, _) = judge(&watched, &candidates, &[]);
    let found: Vec<_> = found.iter().map(|line| line["candidate"].as_str().unwrap()).collect();
    assert_eq!(found, ["github-login.github.io", "github-login.co.uk"]);
}
