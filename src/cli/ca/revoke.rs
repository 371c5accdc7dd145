//! `atl ca revoke`: an operator takes an agent's authority back.

use clap::Args;

use super::operator::{OperatorArgs, failed};
use crate::api::ca::{Hex32, RevokeRequest};
use crate::apki::AgentUri;
use crate::apki::status::RevocationReason;
use crate::ca::serial::Serial;
use crate::cli::agent::revoke::told;
use crate::cli::output::{CliError, print_json};
use crate::cli::runtime;
use crate::time::Stopwatch;

/// Take an agent's authority back, with that of everybody below it, at once and for good.
///
/// A certificate names the agent whose it is: all of the agent's certificates are revoked. Look first
/// who is below it: atl ca lineage. Whoever is revoked by mistake enrols anew, with a token that replaces.
///
/// Reasons are those of RFC 5280: unspecified, keyCompromise, cACompromise, affiliationChanged, superseded,
/// cessationOfOperation, privilegeWithdrawn, aACompromise.
///
/// Examples:
///   atl ca revoke --dir myca --agent agent://agents.example.com/payments/bot/7 --reason keyCompromise
///   atl ca revoke --dir myca --serial 6f1c0d3e5a7b9d2f4c6e8a0b1d3f5a7c9e0b2d4f --comment 'ticket 4711'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RevokeArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// The agent
    #[arg(long, value_name = "URI", required_unless_present_any = ["serial", "sha256"])]
    agent: Option<AgentUri>,
    /// The serial number of one of its certificates, in hex
    #[arg(long, value_name = "HEX", conflicts_with = "agent")]
    serial: Option<Serial>,
    /// The SHA-256 of one of its certificates, in hex
    #[arg(long, value_name = "HEX", conflicts_with_all = ["agent", "serial"])]
    sha256: Option<Hex32>,
    /// Why, as RFC 5280 names it
    #[arg(long, default_value = "unspecified")]
    reason: RevocationReason,
    /// Why, in words, for the journal
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &RevokeArgs) -> Result<(), CliError> {
    let operator = args.operator.open()?;
    let request = RevokeRequest {
        agent: args.agent.clone(),
        serial: args.serial.map(|serial| serial.to_string()),
        sha256: args.sha256,
        reason: args.reason,
        comment: args.comment.clone(),
    };
    let watch = Stopwatch::start();
    let answer = runtime()?.block_on(operator.ca.revoke(Some(operator.token()), &request)).map_err(failed)?;
    let took = watch.elapsed();
    if args.json {
        return print_json(&answer);
    }
    told(&answer, took).iter().for_each(|line| println!("{line}"));
    Ok(())
}
