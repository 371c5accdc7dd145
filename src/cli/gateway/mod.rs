//! `atl gateway ...`: agents let through a reverse proxy, or not.

mod audits;
mod check;
mod digest;
mod knowledge;
mod ledger;
mod lists;
mod routes;
mod serve;
mod snapshot;
#[cfg(test)]
mod tests;

use clap::Subcommand;

use super::output::CliError;

/// The subcommands of `atl gateway`.
#[derive(Subcommand)]
pub enum GatewayCommand {
    Serve(serve::ServeArgs),
    Check(check::CheckArgs),
}

/// Runs one.
pub fn run(command: &GatewayCommand) -> Result<(), CliError> {
    match command {
        GatewayCommand::Serve(args) => serve::run(args),
        GatewayCommand::Check(args) => check::run(args),
    }
}
