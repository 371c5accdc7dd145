//! `atl trust agents`: every account.

use clap::Args;

use super::access::{Engine, EngineArgs, failed};
use super::{change, points};
use crate::api::trust::{AccountAnswer, AccountsQuery, MAX_LISTED};
use crate::cli::output::{CliError, print_json};
use crate::cli::{runtime, words};

/// List the agents that the engine keeps accounts of, with their scores as they are now.
///
/// WAITING is what was reported and not given: withheld until a second reporter agrees, or held for
/// `atl trust reviews`. An agent is here from the CA's first question about it on.
///
/// Example:
///   atl trust agents --dir mytrust
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct AgentsArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &AgentsArgs) -> Result<(), CliError> {
    let engine = args.engine.open()?;
    let accounts = runtime()?.block_on(all(&engine))?;
    if args.json {
        return print_json(&accounts);
    }
    let head = ["AGENT", "SCORE", "CAP", "BALANCE", "DECAY", "WAITING", "OPEN INCIDENTS"].map(str::to_owned);
    let row = |account: &AccountAnswer| {
        let score = &account.score;
        let waiting = score.withheld_up + score.withheld_down + score.held;
        let incidents: Vec<_> = score.incidents.iter().map(ToString::to_string).collect();
        [
            score.agent.to_string(),
            points(score.half_points),
            points(score.cap),
            points(account.balance),
            points(account.decayed),
            change(waiting),
            incidents.join(" "),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(accounts.iter().map(row)).collect();
    words::columns(&rows).iter().for_each(|line| println!("{line}"));
    Ok(())
}

async fn all(engine: &Engine) -> Result<Vec<AccountAnswer>, CliError> {
    let mut accounts = Vec::new();
    let mut query = AccountsQuery { after: None, limit: MAX_LISTED };
    loop {
        let page = engine.client.accounts(engine.token(), &query).await.map_err(failed)?;
        accounts.extend(page.accounts);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(accounts),
        }
    }
}
