//! The unit for systemd starts the program with arguments that it has.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::process::Command;

const UNIT: &str = include_str!("../../config/atl-monitor@.service");

#[test]
fn the_unit_starts_the_program_and_lets_it_finish() {
    let value = |key: &str| UNIT.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).expect(key);
    let mut command = value("ExecStart").split(' ');
    assert_eq!(command.next(), Some("/usr/local/bin/atl-monitor"));
    // The arguments are read: what fails is the file, which is not there.
    let arguments = command.map(|word| word.replace("%i", "none"));
    let run = Command::new(env!("CARGO_BIN_EXE_atl-monitor")).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(error.contains("/var/lib/atl/none/monitor.toml: No such file"), "{error}");
    assert!(value("ExecStart").contains(value("ReadWritePaths")));
    assert_eq!(value("Restart"), "on-failure");
    let number = |key| value(key).parse::<u64>().unwrap();
    assert!(number("TimeoutStopSec") > 60);
    assert!(number("StartLimitIntervalSec") > number("StartLimitBurst") * number("RestartSec"));
}
