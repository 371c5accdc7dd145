//! `atl trust ...`: a trust engine set up, run and operated, and reported to.

pub mod access;
mod agents;
mod certificate;
mod clients;
mod explain;
mod incidents;
pub mod init;
mod ledger;
mod rebase;
pub mod report;
pub mod reporter_key;
mod reporters;
mod reviews;
pub mod serve;

use clap::Subcommand;

use super::output::CliError;

/// The subcommands of `atl trust`.
#[derive(Subcommand)]
pub enum TrustCommand {
    Init(init::InitArgs),
    Serve(serve::ServeArgs),
    ReporterKey(reporter_key::ReporterKeyArgs),
    Report(Box<report::ReportArgs>),
    Explain(explain::ExplainArgs),
    Agents(agents::AgentsArgs),
    /// Security incidents that wait for an operator: list, confirm, dismiss.
    #[command(subcommand)]
    Incidents(incidents::IncidentsCommand),
    /// What is held until an operator has looked at it: list, approve, deny.
    #[command(subcommand)]
    Reviews(reviews::ReviewsCommand),
    /// Who reports, and who is flagged: list, clear.
    #[command(subcommand)]
    Reporters(reporters::ReportersCommand),
    Rebase(rebase::RebaseArgs),
    /// The ledger: export it, recompute every account from it.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
}

/// Runs one.
pub fn run(command: TrustCommand) -> Result<(), CliError> {
    match command {
        TrustCommand::Init(args) => init::run(&args),
        TrustCommand::Serve(args) => serve::run(&args),
        TrustCommand::ReporterKey(args) => reporter_key::run(&args),
        TrustCommand::Report(args) => report::run(&args),
        TrustCommand::Explain(args) => explain::run(&args),
        TrustCommand::Agents(args) => agents::run(&args),
        TrustCommand::Incidents(command) => incidents::run(&command),
        TrustCommand::Reviews(command) => reviews::run(&command),
        TrustCommand::Reporters(command) => reporters::run(&command),
        TrustCommand::Rebase(args) => rebase::run(&args),
        TrustCommand::Ledger(command) => ledger::run(&command),
    }
}

/// Half-points as people read them: `12.5`.
pub fn points(half_points: i32) -> String {
    let sign = if half_points < 0 { "-" } else { "" };
    let half = half_points.unsigned_abs();
    format!("{sign}{}{}", half / 2, if half % 2 == 1 { ".5" } else { "" })
}

/// A change with its sign; nothing where there is none.
pub fn change(half_points: i32) -> String {
    match half_points {
        0 => "-".to_owned(),
        1.. => format!("+{}", points(half_points)),
        _ => points(half_points),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_points() {
        assert_eq!([0, 1, -1, 3, -40, i32::MIN].map(points), ["0", "0.5", "-0.5", "1.5", "-20", "-1073741824"]);
        assert_eq!([0, 3, -3].map(change), ["-", "+1.5", "-1.5"]);
    }
}
