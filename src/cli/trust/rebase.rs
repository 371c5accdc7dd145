//! `atl trust rebase`: another attestation result for an agent.

use clap::Args;

use super::access::{EngineArgs, failed};
use super::incidents::print_score;
use crate::api::trust::RebaseRequest;
use crate::apki::AgentUri;
use crate::apki::trust_score::Score;
use crate::cli::output::{CliError, print_json};
use crate::cli::runtime;

/// Change what an agent's evidence is worth, where the CA's own lower bound is wrong or evidence is new.
///
/// A CA lowers a base by what it finds, and never raises one: that is for a person, who says why. A rise of
/// more than 20 points in a day waits for another operator (`atl trust reviews`).
///
/// Example:
///   atl trust rebase --dir mytrust --base 65 --reason 'build reviewed, ticket 4711' \
///     agent://agents.example.com/payments/bot/7
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RebaseArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// The agent
    #[arg(value_name = "AGENT")]
    agent: AgentUri,
    /// What its evidence is worth, 0 to 100
    #[arg(long, value_name = "POINTS", value_parser = score)]
    base: Score,
    /// Why, for the ledger
    #[arg(long)]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &RebaseArgs) -> Result<(), CliError> {
    let engine = args.engine.open()?;
    let request = RebaseRequest { agent: args.agent.clone(), base: args.base, reason: args.reason.clone() };
    let answer = runtime()?.block_on(engine.client.rebase(engine.token(), &request)).map_err(failed)?;
    if args.json {
        return print_json(&answer);
    }
    print_score(&answer);
    Ok(())
}

fn score(text: &str) -> Result<Score, String> {
    let points = text.parse().map_err(|_| "a score is a whole number, 0 to 100".to_owned())?;
    Score::new(points).map_err(|e| e.to_string())
}
