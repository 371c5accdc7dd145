//! `atl trust reviews`: what is held until an operator of the engine has looked at it.

use clap::{Args, Subcommand};

use super::access::{Engine, EngineArgs, failed};
use super::change;
use super::incidents::{DecisionArgs, say};
use crate::api::trust::{MAX_LISTED, PageQuery, ReviewEntry};
use crate::cli::output::{CliError, print_json};
use crate::cli::{runtime, words};

/// The subcommands of `atl trust reviews`.
#[derive(Subcommand)]
pub enum ReviewsCommand {
    List(ListArgs),
    Approve(ApproveArgs),
    Deny(DenyArgs),
}

/// List what is held and not decided, oldest first: rises beyond the limit, and praise by flagged reporters.
///
/// Example:
///   atl trust reviews list --dir mytrust
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ListArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Apply what a review holds. Whoever changed a base does not approve what that held.
///
/// Look first why the score would rise: atl trust explain.
///
/// Example:
///   atl trust reviews approve --dir mytrust 4
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ApproveArgs {
    #[command(flatten)]
    decision: DecisionArgs,
}

/// Drop what a review holds.
///
/// Example:
///   atl trust reviews deny --dir mytrust 4
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct DenyArgs {
    #[command(flatten)]
    decision: DecisionArgs,
}

/// Runs one.
pub fn run(command: &ReviewsCommand) -> Result<(), CliError> {
    match command {
        ReviewsCommand::List(args) => list(args),
        ReviewsCommand::Approve(ApproveArgs { decision }) => {
            let engine = decision.engine.open()?;
            say(decision, &runtime()?.block_on(engine.client.approve(engine.token(), decision.id)).map_err(failed)?)
        }
        ReviewsCommand::Deny(DenyArgs { decision }) => {
            let engine = decision.engine.open()?;
            say(decision, &runtime()?.block_on(engine.client.deny(engine.token(), decision.id)).map_err(failed)?)
        }
    }
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let engine = args.engine.open()?;
    let reviews = runtime()?.block_on(all(&engine))?;
    if args.json {
        return print_json(&reviews);
    }
    if reviews.is_empty() {
        println!("Nothing is held.");
        return Ok(());
    }
    let head = ["ID", "AGENT", "HOLDS", "WHY", "FROM", "SINCE"].map(str::to_owned);
    let row = |review: &ReviewEntry| {
        let (why, source) = (words::clean(&review.why), words::clean(&review.source));
        [
            review.id.to_string(),
            review.agent.to_string(),
            change(review.half_points),
            why,
            source,
            review.at.to_string(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(reviews.iter().map(row)).collect();
    words::columns(&rows).iter().for_each(|line| println!("{line}"));
    Ok(())
}

async fn all(engine: &Engine) -> Result<Vec<ReviewEntry>, CliError> {
    let mut reviews = Vec::new();
    let mut query = PageQuery { after: None, limit: MAX_LISTED };
    loop {
        let page = engine.client.reviews(engine.token(), query).await.map_err(failed)?;
        reviews.extend(page.reviews);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(reviews),
        }
    }
}
