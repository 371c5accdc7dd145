//! The example `two_agents`: three agents as processes of their own, of which one comes in and one does not.
#![cfg(feature = "tls")]
#![allow(clippy::print_stdout)] // the processes tell of themselves there

#[allow(dead_code, reason = "its main is not run here")]
#[path = "../examples/two_agents.rs"]
mod example;

use std::env;
use std::process::Command;

/// The arguments of the process that a test binary is started again as.
const ROLE: &str = "ATL_TEST_TWO_AGENTS_ROLE";

/// Not a test by itself: what a process of the example does.
#[test]
fn role() {
    let Ok(args) = env::var(ROLE) else { return };
    let args: Vec<String> = args.split('\n').map(str::to_owned).collect();
    println!("{}", example::run(&args).unwrap());
}

#[test]
fn one_agent_comes_in_and_the_other_learns_why_not() {
    let program = env::current_exe().unwrap();
    let told = example::demo(&|args| {
        let mut command = Command::new(&program);
        command.args(["--exact", "role", "--nocapture"]).env(ROLE, args.join("\n"));
        command
    });
    let told = told.unwrap();
    let (teller, rest) = told.split_once("--- intern").unwrap();
    let (intern, bank) = rest.split_once("--- bank").unwrap();
    assert!(teller.contains("says: Your balance is 4711 EUR, agent://agents.example/org/worker/teller."), "{told}");
    // The refused side has the reasons, each with what would help.
    for text in ["refuses agent://agents.example/org/worker/intern", "trust.score: ", "capability.scope: ", "draft 6.1"]
    {
        assert!(intern.contains(text), "{text} in {told}");
    }
    assert!(!intern.contains("4711"), "{told}");
    for text in ["took agent://agents.example/org/worker/teller", "the peer is refused: trust.score: "] {
        assert!(bank.contains(text), "{text} in {told}");
    }
}

/// The README's lines are those of the module's documentation, which are compiled.
#[test]
fn the_readme_has_the_ten_lines_as_they_compile() {
    let lines = include_str!("../src/tls/mod.rs").lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.skip_while(|line| !line.starts_with(" ```no_run")).skip(1);
    let lines = lines.take_while(|line| *line != " ```").map(|line| line.trim_start_matches(' '));
    let shown: Vec<&str> = lines.filter(|line| !line.starts_with('#') && !line.starts_with("use ")).collect();
    assert!(shown.len() > 4, "{shown:?}");
    assert!(include_str!("../README.md").contains(&format!("```rust\n{}\n```\n", shown.join("\n"))), "{shown:?}");
}
