//! `atl log ...`

pub mod fsck;
pub mod hammer;
pub mod init;
pub mod open;
pub mod proof;
pub mod remote;
pub mod serve;
pub mod sth;
pub mod submit;
pub mod witness;

use clap::Subcommand;

use super::output::CliError;

/// The subcommands of `atl log`.
#[derive(Subcommand)]
pub enum LogCommand {
    Init(init::InitArgs),
    Serve(serve::ServeArgs),
    Submit(submit::SubmitArgs),
    Proof(proof::ProofArgs),
    Sth(sth::SthArgs),
    Fsck(fsck::FsckArgs),
    Hammer(hammer::HammerArgs),
}

/// Runs one.
pub fn run(command: LogCommand) -> Result<(), CliError> {
    match command {
        LogCommand::Init(args) => init::run(&args),
        LogCommand::Serve(args) => serve::run(&args),
        LogCommand::Submit(args) => submit::run(&args),
        LogCommand::Proof(args) => proof::run(&args),
        LogCommand::Sth(args) => sth::run(&args),
        LogCommand::Fsck(args) => fsck::run(&args),
        LogCommand::Hammer(args) => hammer::run(&args),
    }
}
