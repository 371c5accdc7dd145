//! `atl trust incidents`: what an operator confirms or dismisses.

use clap::{Args, Subcommand};

use super::access::{Engine, EngineArgs, failed};
use super::points;
use crate::api::trust::{AssessAnswer, IncidentEntry, MAX_LISTED, PageQuery};
use crate::cli::output::{CliError, print_json, print_rows};
use crate::cli::{runtime, words};

/// The subcommands of `atl trust incidents`.
#[derive(Subcommand)]
pub enum IncidentsCommand {
    List(ListArgs),
    Confirm(ConfirmArgs),
    Dismiss(DismissArgs),
}

/// List the incidents that nobody has decided, oldest first.
///
/// Until somebody decides, an incident counts as a signal of 25 points down, within the caps.
///
/// Example:
///   atl trust incidents list --dir mytrust
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ListArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Confirm an incident: the agent's score is 0 from now on, whatever the caps say.
///
/// It is final. The CA hears of it within a second and revokes the agent, with all that it has handed on.
/// Operators of the engine decide, and those of the CA (role "ca"), but no reporter.
///
/// Examples:
///   atl trust incidents confirm --dir mytrust 17
///   atl trust incidents confirm --engine https://trust.example.com --token alice.token 17
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ConfirmArgs {
    #[command(flatten)]
    decision: DecisionArgs,
}

/// Dismiss an incident: what it took is given back, its penalty with it. Decay goes on.
///
/// It raises a score, so it takes an operator with the role "engine".
///
/// Example:
///   atl trust incidents dismiss --dir mytrust 17
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct DismissArgs {
    #[command(flatten)]
    decision: DecisionArgs,
}

/// What a decision is about.
#[derive(Args)]
pub struct DecisionArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Its number, as `list` shows it
    #[arg(value_name = "ID")]
    pub id: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs one.
pub fn run(command: &IncidentsCommand) -> Result<(), CliError> {
    match command {
        IncidentsCommand::List(args) => list(args),
        IncidentsCommand::Confirm(ConfirmArgs { decision }) => {
            let engine = decision.engine.open()?;
            say(decision, &runtime()?.block_on(engine.client.confirm(engine.token(), decision.id)).map_err(failed)?)
        }
        IncidentsCommand::Dismiss(DismissArgs { decision }) => {
            let engine = decision.engine.open()?;
            say(decision, &runtime()?.block_on(engine.client.dismiss(engine.token(), decision.id)).map_err(failed)?)
        }
    }
}

/// What an agent's score is behind a decision.
pub fn say(args: &DecisionArgs, answer: &AssessAnswer) -> Result<(), CliError> {
    if args.json {
        return print_json(answer);
    }
    print_score(answer);
    Ok(())
}

/// An agent's score.
pub fn print_score(answer: &AssessAnswer) {
    print_rows([
        ("agent", answer.agent.to_string()),
        ("score", format!("{} ({})", points(answer.half_points), answer.score.tier().name())),
        ("cap", points(answer.cap)),
        ("waits for an operator", points(answer.held)),
        ("row", answer.row.to_string()),
    ]);
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let engine = args.engine.open()?;
    let incidents = runtime()?.block_on(all(&engine))?;
    if args.json {
        return print_json(&incidents);
    }
    if incidents.is_empty() {
        println!("No incident waits.");
        return Ok(());
    }
    let head = ["ID", "AGENT", "REPORTER", "OBSERVED", "DETAIL"].map(str::to_owned);
    let row = |incident: &IncidentEntry| {
        [
            incident.id.to_string(),
            incident.agent.to_string(),
            words::clean(&incident.reporter),
            incident.observed_at.to_string(),
            words::clean(incident.detail.as_deref().unwrap_or_default()),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(incidents.iter().map(row)).collect();
    words::columns(&rows).iter().for_each(|line| println!("{line}"));
    Ok(())
}

async fn all(engine: &Engine) -> Result<Vec<IncidentEntry>, CliError> {
    let mut incidents = Vec::new();
    let mut query = PageQuery { after: None, limit: MAX_LISTED };
    loop {
        let page = engine.client.incidents(engine.token(), query).await.map_err(failed)?;
        incidents.extend(page.incidents);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(incidents),
        }
    }
}
