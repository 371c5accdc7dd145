//! `atl trust reporters`: who reports, and who is unlike the others.

use clap::{Args, Subcommand};

use super::access::{EngineArgs, failed};
use crate::api::trust::ReporterEntry;
use crate::cli::output::{CliError, print_json};
use crate::cli::{runtime, words};

/// The subcommands of `atl trust reporters`.
#[derive(Subcommand)]
pub enum ReportersCommand {
    List(ListArgs),
    Clear(ClearArgs),
}

/// List the reporters that were heard of, with the flags of those that are unlike the others.
///
/// A flagged reporter's positive signals wait for `atl trust reviews`; its negative ones count. Reporters
/// are registered in trust.toml: atl trust reporter-key.
///
/// Example:
///   atl trust reporters list --dir mytrust
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ListArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lift a reporter's flag: its positive signals count again, and it is measured anew.
///
/// What was held stays held: decide it with atl trust reviews.
///
/// Example:
///   atl trust reporters clear --dir mytrust shop.example
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ClearArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// The reporter's name
    name: String,
}

/// Runs one.
pub fn run(command: &ReportersCommand) -> Result<(), CliError> {
    match command {
        ReportersCommand::List(args) => list(args),
        ReportersCommand::Clear(args) => {
            let engine = args.engine.open()?;
            runtime()?.block_on(engine.client.clear(engine.token(), &args.name)).map_err(failed)?;
            println!("{} is not flagged any more", args.name);
            Ok(())
        }
    }
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let engine = args.engine.open()?;
    let answer = runtime()?.block_on(engine.client.reporters(engine.token())).map_err(failed)?;
    if args.json {
        return print_json(&answer.reporters);
    }
    let head = ["REPORTER", "SIGNALS", "FLAGGED SINCE", "FOR"].map(str::to_owned);
    let row = |reporter: &ReporterEntry| {
        let flag = reporter.flag.as_ref();
        let why = flag.map(|flag| {
            format!("{} {}, others {} +- {}", words::clean(&flag.measure), flag.found, flag.median, flag.deviation)
        });
        [
            words::clean(&reporter.name),
            reporter.signals.to_string(),
            flag.map(|flag| flag.at.to_string()).unwrap_or_default(),
            why.unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(answer.reporters.iter().map(row)).collect();
    words::columns(&rows).iter().for_each(|line| println!("{line}"));
    Ok(())
}
