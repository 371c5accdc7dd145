//! `atl log ...`

pub mod hammer;
pub mod init;
pub mod open;
pub mod serve;

use clap::Subcommand;

use super::output::CliError;

/// The subcommands of `atl log`.
#[derive(Subcommand)]
pub enum LogCommand {
    Init(init::InitArgs),
    Serve(serve::ServeArgs),
    Hammer(hammer::HammerArgs),
}

/// Runs one.
pub fn run(command: LogCommand) -> Result<(), CliError> {
    match command {
        LogCommand::Init(args) => init::run(&args),
        LogCommand::Serve(args) => serve::run(&args),
        LogCommand::Hammer(args) => hammer::run(&args),
    }
}
