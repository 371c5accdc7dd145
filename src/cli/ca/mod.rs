//! `atl ca ...`

mod authority;
mod certificate;
pub mod init;
pub mod keyfile;
#[cfg_attr(not(test), expect(dead_code, reason = "the server decides by it"))]
pub mod policy;
pub mod root;

use clap::Subcommand;

use super::output::CliError;

/// The subcommands of `atl ca`.
#[derive(Subcommand)]
pub enum CaCommand {
    Init(init::InitArgs),
    /// The ceremonies of the offline root key.
    #[command(subcommand)]
    Root(root::RootCommand),
}

/// Runs one.
pub fn run(command: CaCommand) -> Result<(), CliError> {
    match command {
        CaCommand::Init(args) => init::run(&args),
        CaCommand::Root(command) => root::run(command),
    }
}
