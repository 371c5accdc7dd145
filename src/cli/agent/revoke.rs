//! `atl agent revoke`: an agent gives its authority up, or takes back what it has handed on.

use std::path::PathBuf;

use clap::Args;

use super::files::AgentDir;
use super::{connect, require_valid};
use crate::api::ca::{RevokeAnswer, RevokeRequest};
use crate::apki::AgentUri;
use crate::apki::status::RevocationReason;
use crate::cli::output::{CliError, print_json};
use crate::cli::{runtime, words};
use crate::time::Stopwatch;

/// Agents that are listed one by one.
const LISTED: usize = 50;

/// Give this agent's authority up, or take back what it has handed on to a descendant, at once.
///
/// Everything below whoever is revoked is revoked with it. There is no way back: a revoked agent is
/// enrolled or delegated to anew.
///
/// Reasons are those of RFC 5280: unspecified, keyCompromise, affiliationChanged, superseded,
/// cessationOfOperation, privilegeWithdrawn.
///
/// Examples:
///   atl agent revoke --dir teller7 --agent agent://bank.example.com/retail/clerk/1 --reason privilegeWithdrawn
///   atl agent revoke --dir teller7 --reason keyCompromise
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RevokeArgs {
    /// The agent's directory, from atl agent enroll or delegate
    #[arg(long)]
    dir: PathBuf,
    /// An agent below this one; this one itself where it is left out
    #[arg(long, value_name = "URI")]
    agent: Option<AgentUri>,
    /// Why, as RFC 5280 names it
    #[arg(long, default_value = "unspecified")]
    reason: RevocationReason,
    /// Why, in words, for the CA's journal
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &RevokeArgs) -> Result<(), CliError> {
    let current = require_valid(&AgentDir::open(&args.dir)?, &args.dir)?;
    let client = connect(&current, &args.dir)?;
    let request = RevokeRequest {
        agent: Some(args.agent.clone().unwrap_or_else(|| current.settings.agent.clone())),
        reason: args.reason,
        comment: args.comment.clone(),
        ..RevokeRequest::default()
    };
    let watch = Stopwatch::start();
    let answer = runtime()?.block_on(client.revoke(None, &request));
    let answer = answer.map_err(|e| match e.status() {
        Some(400..500) => CliError::negative(e.to_string()),
        _ => CliError::new(format!("{e}\nThe same command may be given again.")),
    })?;
    let took = watch.elapsed();
    if args.json {
        return print_json(&answer);
    }
    told(&answer, took).iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// What was revoked, as a table, and how long it took.
pub fn told(answer: &RevokeAnswer, took: std::time::Duration) -> Vec<String> {
    if answer.agents_total == 0 {
        return vec!["It was revoked before, with all below it: nothing was left to take back.".into()];
    }
    let head = ["AGENT", "CERTIFICATES", "WITH"].map(str::to_owned);
    let row = |one: &crate::api::ca::RevokedAgentAnswer| {
        let serials: Vec<_> = one.certificates.iter().map(|serial| words::clean(serial)).collect();
        let certificates = match serials.as_slice() {
            [] => "none that had not ended".to_owned(),
            [one] => one.clone(),
            [one, more @ ..] => format!("{one} and {} more", more.len()),
        };
        [one.agent.to_string(), certificates, one.with.as_ref().map(ToString::to_string).unwrap_or_default()]
    };
    let rows: Vec<_> = std::iter::once(head).chain(answer.agents.iter().take(LISTED).map(row)).collect();
    let mut lines = words::columns(&rows);
    let shown = answer.agents.len().min(LISTED) as u64;
    if answer.agents_total > shown {
        lines.push(format!("... and {} agents more", answer.agents_total - shown));
    }
    let list =
        if answer.listed { ", and the revocation list says so" } else { "; the next revocation list will say so" };
    lines.push(String::new());
    let count = |number, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    lines.push(format!(
        "{} and {} revoked at {}, in {} ms{list}.",
        count(answer.agents_total, "agent"),
        count(answer.certificates_total, "certificate"),
        answer.at,
        took.as_millis()
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn answer(agents: u64) -> RevokeAnswer {
        let one = |n: u64| {
            serde_json::json!({
                "agent": format!("agent://bank.example.com/a/b/{n}"), "certificates": ["40ab", "40ac"],
                "with": (n > 0).then_some("agent://bank.example.com/a/b/0"),
            })
        };
        let listed: Vec<_> = (0..agents.min(1000)).map(one).collect();
        serde_json::from_value(serde_json::json!({
            "at": 1_782_898_200_000_u64, "agents_total": agents, "certificates_total": 2 * agents, "listed": true,
            "agents": listed,
        }))
        .unwrap()
    }

    #[test]
    fn what_is_gone_is_told() {
        let few = told(&answer(2), Duration::from_millis(7));
        assert!(few[1].starts_with("agent://bank.example.com/a/b/0  40ab and 1 more"), "{few:?}");
        assert!(few[2].ends_with("agent://bank.example.com/a/b/0"), "{few:?}");
        assert!(few[4].starts_with("2 agents and 4 certificates revoked at 2026-07-01T09:30:00"), "{few:?}");
        assert!(few[4].ends_with("in 7 ms, and the revocation list says so."), "{few:?}");
        let many = told(&answer(5000), Duration::ZERO);
        assert!(many.len() < 60 && many.contains(&"... and 4950 agents more".to_owned()), "{many:?}");
        assert!(told(&answer(0), Duration::ZERO)[0].contains("before"));
    }
}
