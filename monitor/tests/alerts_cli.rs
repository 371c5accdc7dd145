//! `atl-monitor test-alert` and `atl-monitor alerts` through the real binary.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;

use atl::time::UnixMillis;
use atl_monitor::alert::raise;
use atl_monitor::finding::{Class, Finding};
use atl_monitor::state::{State, StateError};
use serde_json::Value;
use tempfile::TempDir;

struct Place {
    dir: TempDir,
}

impl Place {
    /// A configuration with a sink that works, and with one that does not where `broken`.
    fn new(broken: bool) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        let mut config = format!(
            "name = \"monitor.example/1\"\nlisten = \"127.0.0.1:9\"\ndata_dir = \".\"\n\
             [[alerts.command]]\nname = \"file\"\nargv = [\"sh\", \"-c\", \"cat > '{}'\"]\n",
            place.file("told").display()
        );
        if broken {
            config.push_str("[[alerts.command]]\nname = \"pager\"\nargv = [\"sh\", \"-c\", \"echo no >&2; exit 4\"]\n");
            config.push_str(
                "[[alerts.webhook]]\nname = \"hook\"\nurl = \"https://a.example/\"\nsecret_file = \"gone\"\n",
            );
        }
        std::fs::write(place.file("monitor.toml"), config).unwrap();
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What it wrote to its two streams, and its exit code.
    fn run(&self, command: &str, args: &[&str]) -> (String, String, i32) {
        let mut process = Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
        let output = process.arg(command).arg("--config").arg(self.file("monitor.toml")).args(args).output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code().unwrap())
    }
}

#[test]
fn a_test_reaches_its_sink() {
    let place = Place::new(false);
    let (out, err, code) = place.run("test-alert", &[]);
    assert_eq!((err.as_str(), code), ("", 0));
    assert!(out.starts_with("ok      file: (command) took "), "{out}");
    let told: Value = serde_json::from_slice(&std::fs::read(place.file("told")).unwrap()).unwrap();
    assert_eq!((told["class"].as_str(), told["monitor"].as_str()), (Some("monitor.test"), Some("monitor.example/1")));
    assert!(out.contains(told["id"].as_str().unwrap()));
    // The database is not touched.
    assert!(!place.file("state.redb").exists());
}

#[test]
fn a_test_that_does_not_reach_its_sink_says_so() {
    let place = Place::new(true);
    let (out, err, code) = place.run("test-alert", &[]);
    let lines: Vec<_> = out.lines().collect();
    let [hook, file, pager]: [&str; 3] = lines.try_into().unwrap();
    assert!(file.starts_with("ok      file") && pager == "failed  pager: (command) sh ended with 4: no", "{pager}");
    assert!(hook.starts_with("failed  hook: ") && hook.contains("gone: No such file"), "{hook}");
    assert_eq!((err.as_str(), code), ("atl-monitor: 2 of 3 sinks did not take the test\n", 1));
    assert_eq!(place.run("test-alert", &["--sink", "file"]).2, 0);
    let (_, err, code) = place.run("test-alert", &["--sink", "other"]);
    assert_eq!((err.contains("no sink is called"), err.contains("pager"), code), (true, true, 2), "{err}");
}

#[test]
fn alerts_are_listed_shown_acknowledged_and_asked_for() {
    let place = Place::new(false);
    let (_, err, code) = place.run("alerts", &[]);
    assert_eq!((err.contains("there is no database yet"), code), (true, 2), "{err}");
    let log = "log.example/1".parse().unwrap();
    let finding = |class, subject: &str| {
        Finding::new(class, Some(&log), subject, format!("About {subject}\u{1b}."), UnixMillis::new(1_775_822_400_000))
    };
    let (stale, split) = (finding(Class::StaleHead, "a"), finding(Class::SplitView, "b"));
    let state = State::open(&place.file("state.redb")).unwrap();
    state.write(|write| -> Result<_, StateError> { Ok((raise(write, &stale)?, raise(write, &split)?)) }).unwrap();
    // As long as somebody has it open, nobody else does.
    let (_, err, code) = place.run("alerts", &[]);
    assert_eq!(code, 2);
    assert!(err.contains("the monitor is running") && err.contains("http://127.0.0.1:9/alerts"), "{err}");
    drop(state);
    let (out, ..) = place.run("alerts", &[]);
    let (split, stale) = (split.id().to_string(), stale.id().to_string());
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], format!("{split}  2026-04-10T12:00:00.000Z  critical  log.split-view  [sent to nobody]"));
    assert_eq!((lines[1], lines.len()), ("    About b\\u{1b}.", 4));
    assert_eq!(place.run("alerts", &["ack", &stale]).2, 0);
    let (out, ..) = place.run("alerts", &["--json", "list"]);
    let states: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((states[1]["id"].as_str(), states[1]["state"].as_str()), (Some(&*stale), Some("acknowledged")));
    let (out, _, code) = place.run("alerts", &["resend", &split, "--sink", "file"]);
    assert_eq!((out, code), (format!("{split} goes to file when the monitor runs: atl-monitor run\n"), 0));
    let (out, ..) = place.run("alerts", &["show", &split]);
    assert!(out.starts_with("CRITICAL: ") && out.contains("\nfile: to be sent at 20"), "{out}");
    let (out, ..) = place.run("alerts", &["show", &split, "--json"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((shown["alert"]["id"].as_str(), shown["seq"].as_u64()), (Some(&*split), Some(2)));
    // The first digits will do where they are one alert's alone.
    let (out, _, code) = place.run("alerts", &["show", &split[..4]]);
    assert!(code == 0 && out.starts_with("CRITICAL: "), "{out}");
    assert_eq!(place.run("alerts", &["show", &split[..3]]).2, 2);
    for action in ["show", "ack", "resend"] {
        let (_, err, code) = place.run("alerts", &[action, &"0".repeat(32)]);
        assert_eq!((err.contains("there is no alert 000"), code), (true, 1), "{action} {err}");
    }
    assert_eq!(place.run("alerts", &["show", "xyz"]).2, 2);
}

#[test]
fn digits_that_name_several_alerts_name_none() {
    let place = Place::new(false);
    let finding =
        |n: u32| Finding::new(Class::StaleHead, None, &n.to_string(), format!("No. {n}."), UnixMillis::new(1));
    // Two whose names begin alike, which some hundreds of 65,536 do.
    let mut seen = std::collections::HashMap::new();
    let (one, other) =
        (0..).find_map(|n| Some((seen.insert(finding(n).id().to_string()[..4].to_owned(), n)?, n))).unwrap();
    let state = State::open(&place.file("state.redb")).unwrap();
    let (one, other) = (finding(one), finding(other));
    state.write(|write| -> Result<_, StateError> { Ok((raise(write, &one)?, raise(write, &other)?)) }).unwrap();
    drop(state);
    let digits = one.id().to_string()[..4].to_owned();
    for action in ["show", "ack", "resend"] {
        let (_, err, code) = place.run("alerts", &[action, &digits]);
        assert_eq!(code, 2);
        assert!([&one, &other].iter().all(|finding| err.contains(&finding.id().to_string())), "{action}: {err}");
        assert!(err.contains("give more digits"), "{err}");
    }
    assert_eq!(place.run("alerts", &["ack", &one.id().to_string()]).2, 0);
}

#[test]
fn what_was_found_before_there_was_a_sink_is_sent_to_one_on_demand() {
    let place = Place::new(false);
    let finding =
        |n: u32| Finding::new(Class::StaleHead, None, &n.to_string(), format!("No. {n}."), UnixMillis::new(1));
    let state = State::open(&place.file("state.redb")).unwrap();
    let found: Result<(), StateError> = state.write(|write| {
        (0..3).try_for_each(|n| raise(write, &finding(n)).map(drop))?;
        // The courier has seen them, and there was nobody to tell.
        atl_monitor::alert::book::plan(write, &Default::default(), UnixMillis::new(2), 9).map(drop)
    });
    found.unwrap();
    drop(state);
    assert!(place.run("alerts", &[]).0.contains("[sent to nobody]"));
    assert_eq!(place.run("alerts", &["resend"]).2, 2);
    assert_eq!(place.run("alerts", &["resend", "0000", "--all-unsent"]).2, 2);
    let (out, err, code) = place.run("alerts", &["resend", "--all-unsent", "--sink", "file"]);
    assert_eq!((out.as_str(), code), ("3 alerts go to file when the monitor runs: atl-monitor run\n", 0), "{err}");
    assert_eq!(place.run("alerts", &[]).0.matches("[undelivered]").count(), 3);
    let (out, _, code) = place.run("alerts", &["resend", "--all-unsent"]);
    assert_eq!((out.as_str(), code), ("There is nothing that they want and none of them has got.\n", 0));
}

#[test]
fn a_data_directory_belongs_to_one_name() {
    let place = Place::new(false);
    let key = place.file("monitor-key.pem");
    let keygen = |file: &PathBuf| {
        let mut process = Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
        let made = process.arg("keygen").arg(file).args(["--name", "monitor.example/1"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    };
    keygen(&key);
    assert_eq!(place.run("once", &[]).2, 0);
    let config = std::fs::read_to_string(place.file("monitor.toml")).unwrap();
    std::fs::write(place.file("monitor.toml"), config.replace("monitor.example/1", "monitor.example/2")).unwrap();
    let (_, err, code) = place.run("once", &[]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("`name`: ") && err.contains("\"monitor.example/1\"") && err.contains("`data_dir`"), "{err}");
    // Another key under the same name is taken, and said.
    std::fs::write(place.file("monitor.toml"), config).unwrap();
    std::fs::remove_file(&key).unwrap();
    keygen(&key);
    let (_, err, code) = place.run("once", &[]);
    assert!(code == 0 && err.contains("signs with another key than before"), "{err}");
}
