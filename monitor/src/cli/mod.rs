//! The command line: one file per subcommand.
#![allow(clippy::print_stdout, reason = "this is the floor that speaks to people")]

mod alerts;
mod check_sat;
mod keygen;
pub(crate) mod lines;
mod lookalike;
pub(crate) mod output;
mod run;
mod test_alert;
mod verify_evidence;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Watches agent transparency logs, and what stands around them.
///
/// To make a key:            atl-monitor keygen monitor-key.pem --name monitor.example
/// To follow logs:           atl-monitor run --config monitor.toml
/// To explain one pair:      atl-monitor lookalike bank.example bamk.example
/// To check a promise:      atl-monitor check-sat --url LOG --vkey KEY cert.pem
/// To watch a stream:        atl-monitor lookalike --watched mine.txt --candidates new.txt --json
/// To check evidence offline: atl-monitor verify-evidence evidence/<sha256>/
#[derive(Parser)]
#[command(name = "atl-monitor", version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Alerts(alerts::AlertsArgs),
    CheckSat(check_sat::CheckSatArgs),
    Keygen(keygen::KeygenArgs),
    Lookalike(lookalike::LookalikeArgs),
    Once(run::OnceArgs),
    Run(run::RunArgs),
    TestAlert(test_alert::TestAlertArgs),
    VerifyEvidence(verify_evidence::VerifyEvidenceArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Alerts(args) => alerts::run(&args),
        Command::CheckSat(args) => check_sat::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Lookalike(args) => lookalike::run(&args),
        Command::Once(args) => run::once(&args),
        Command::Run(args) => run::run(&args),
        Command::TestAlert(args) => test_alert::run(&args),
        Command::VerifyEvidence(args) => verify_evidence::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A reader that has seen enough closes the pipe, as `head` does: that is no fault of ours.
            if !error.is_closed_pipe() && !error.is_quiet() {
                eprintln!("atl-monitor: {}", output::clean_lines(&error.to_string()));
            }
            ExitCode::from(error.code())
        }
    }
}
