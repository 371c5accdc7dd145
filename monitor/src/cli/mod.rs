//! The command line: one file per subcommand.
#![allow(clippy::print_stdout, reason = "this is the floor that speaks to people")]

mod check_sat;
mod lines;
mod lookalike;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Watches agent transparency logs, and what stands around them.
///
/// To explain one pair:      atl-monitor lookalike bank.example bamk.example
/// To check a promise:      atl-monitor check-sat --url LOG --vkey KEY cert.pem
/// To watch a stream:        atl-monitor lookalike --watched mine.txt --candidates new.txt --json
#[derive(Parser)]
#[command(name = "atl-monitor", version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    CheckSat(check_sat::CheckSatArgs),
    Lookalike(lookalike::LookalikeArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::CheckSat(args) => check_sat::run(&args),
        Command::Lookalike(args) => lookalike::run(&args).map(|()| ExitCode::SUCCESS),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // A reader that has seen enough closes the pipe, as `head` does: that is no fault of ours.
            if !error.is_closed_pipe() {
                eprintln!("atl-monitor: {}", output::clean(&error.to_string()));
            }
            ExitCode::from(error.code())
        }
    }
}
