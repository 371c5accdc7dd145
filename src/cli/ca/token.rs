//! `atl ca token`: enrolment tokens, minted and taken back.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::operator::{OperatorArgs, failed};
use crate::api::ca::MintTokenRequest;
use crate::apki::capabilities::Capabilities;
use crate::ca::token::UriPattern;
use crate::cli::output::{CliError, Context, print_json};
use crate::cli::runtime;
use crate::cli::words::{self, clean};

/// The subcommands of `atl ca token`.
#[derive(Subcommand)]
pub enum TokenCommand {
    Mint(MintArgs),
    Withdraw(WithdrawArgs),
}

/// Mint an enrolment token: what an agent shows to get its first certificate, once.
///
/// The token is printed on standard output alone, so that a script can take it; it is shown only here,
/// and the CA keeps no more than its hash. Give it to one agent, over a channel that you trust.
///
/// Examples:
///   atl ca token mint --dir myca --agents 'agent://agents.example.com/payments/bot/7' --ttl 1h
///   atl ca token mint --dir myca --agents 'agent://agents.example.com/kyc/*/*' --capabilities ceiling.json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct MintArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// Which agents it is for: an agent URI in which whole path segments may be `*`
    #[arg(long, value_name = "PATTERN")]
    agents: String,
    /// JSON file with the most that they may be allowed to do: a list of {"tool_uri", "scope", "spend_limit",
    /// "rate_limit"}. Without it the CA's own ceiling holds, and the agent has to name what it wants
    #[arg(long, value_name = "FILE")]
    capabilities: Option<PathBuf>,
    /// The longest validity of the first certificate, such as 30m or 12h; renewals go by the CA's own bounds
    #[arg(long, value_name = "TIME", value_parser = words::seconds)]
    max_validity: Option<u32>,
    /// Let it enrol, with a new key, an agent whose certificate is still valid; older certificates of that
    /// agent then do not renew any more
    #[arg(long)]
    replaces: bool,
    /// For how long the token is good, such as 30m, 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = words::seconds)]
    ttl: u32,
    /// Print JSON with the token's name and expiry
    #[arg(long)]
    json: bool,
}

/// Take back a token that nobody has used.
///
/// Which tokens there are, by name, is in the journal: minted, spent on a request, withdrawn.
///
/// Example:
///   atl ca audit export --dir myca | grep token_minted
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct WithdrawArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// The token's name: the 16 hex digits in it
    id: String,
}

/// Runs one.
pub fn run(command: &TokenCommand) -> Result<(), CliError> {
    match command {
        TokenCommand::Mint(args) => mint(args),
        TokenCommand::Withdraw(args) => withdraw(args),
    }
}

fn mint(args: &MintArgs) -> Result<(), CliError> {
    check_pattern(&args.agents, &args.operator.config()?.trust_domain)?;
    let capabilities = args.capabilities.as_ref().map(|file| {
        let text = fs::read(file).context(file.display())?;
        serde_json::from_slice::<Capabilities>(&text).context(file.display())
    });
    let request = MintTokenRequest {
        agents: args.agents.clone(),
        capabilities: capabilities.transpose()?,
        max_validity_seconds: args.max_validity,
        replaces: args.replaces,
        ttl_seconds: args.ttl,
    };
    let operator = args.operator.open()?;
    let answer = runtime()?.block_on(operator.ca.mint_token(operator.token(), &request)).map_err(failed)?;
    if args.json {
        return print_json(&answer);
    }
    println!("{}", answer.token);
    eprintln!("token {} for {}, good until {}", answer.id, args.agents, answer.expires_at);
    Ok(())
}

/// That the pattern is one, and of the CA's trust domain: the CA would say the same, but only once asked.
fn check_pattern(agents: &str, ours: &str) -> Result<(), CliError> {
    let example = format!("such as agent://{ours}/payments/*/*");
    let pattern = UriPattern::parse(agents);
    let pattern = pattern.map_err(|e| {
        CliError::new(format!(
            "--agents: `{}` is no agent URI with `*` for whole segments, {example}: {e}",
            clean(agents)
        ))
    })?;
    if pattern.trust_domain() == ours {
        return Ok(());
    }
    Err(CliError::new(format!(
        "--agents: `{agents}` is in the trust domain {}, and this CA issues for {ours} only: name agents there, {example}",
        pattern.trust_domain()
    )))
}

fn withdraw(args: &WithdrawArgs) -> Result<(), CliError> {
    let operator = args.operator.open()?;
    runtime()?.block_on(operator.ca.withdraw_token(operator.token(), &args.id)).map_err(failed)?;
    println!("token {} is withdrawn", args.id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_the_cas_own_domain() {
        let check = |agents: &str| check_pattern(agents, "bank.example.com").map_err(|e| e.to_string());
        for good in ["agent://bank.example.com/a/b/c", "agent://bank.example.com/a/*/*"] {
            assert_eq!(check(good), Ok(()));
        }
        let other = check("agent://bank.example.org/a/b/*").unwrap_err();
        assert!(
            other.contains("in the trust domain bank.example.org") && other.contains("bank.example.com only"),
            "{other}"
        );
        for wrong in ["", "*", "agent://bank.example.com/a/b", "agent://bank.example.com/a/b*/c", "\u{1b}[2J"] {
            let refused = check(wrong).unwrap_err();
            assert!(
                refused.contains("--agents") && refused.contains("agent://bank.example.com/payments/*/*"),
                "{refused}"
            );
            assert!(!refused.contains('\u{1b}'));
        }
    }
}
