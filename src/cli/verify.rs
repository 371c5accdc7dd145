//! `atl verify`: may this agent do this, now? The relying party at the command line.

mod input;
mod show;
mod start;

use std::path::PathBuf;

use clap::Args;

use self::input::Given;
pub use self::input::operation;
use self::start::StartArgs;
use super::output::{CliError, print_json};
use super::relying::material::Material;
use super::relying::online::{Online, Question};
use super::{runtime, words};
use crate::apki::capabilities::{Amount, Currency};
use crate::apki::extension::{AsciiText, Text};
use crate::config::RelyingConfig;
use crate::time::{Clock, SystemClock, UnixMillis};
use crate::verify::relying::{Facts, Operation, Presented, Refused, Spend, Verdict};

/// Check an agent: who it is, whether it is to be trusted, and whether it may do what it asks for.
///
/// The certificates come in PEM or DER: the agent's first, and behind it, or in further files, those
/// of its CAs and of the agents above it, in any sensible order. What is wanted stands in a file, the
/// policy: whose agents, with how many points, which logs, how revocation is known of. The sample
/// config/relying-party.toml has every key, and so has what --print-policy prints.
///
/// One broken rule refuses. A refusal tells every rule that is broken, with a code for programs, what
/// exactly is wrong, where the rule stands, and what would help. An acceptance tells until when it
/// holds.
///
/// What was not presented is asked for where the policy's [fetch] says so: revocation, by OCSP and
/// lists, from where the certificates say; parents and proofs from the logs. With --offline nobody is
/// asked, and what is needed is given in files.
///
/// It ends with 0 for an agent that is accepted, 1 for one that is refused, and 2 where nothing could
/// be decided: a file that cannot be read, or a policy that does not hold together.
///
/// To start, let a policy be written:
///   atl verify --print-policy --domain bank.example.com --root root.pem \
///     --log 'https://log.example.com/2026h2+MCow...,operator=Log Ltd' > relying-party.toml
/// Who is it, and is it to be trusted?
///   atl verify --policy relying-party.toml cert.pem
/// May it pay 25.00 GBP? Amounts are in minor units, here pence, as in certificates:
///   atl verify --policy relying-party.toml cert.pem parent.pem \
///     --operation 'https://api.bank.example.com/payments pay/eu 2500 GBP'
/// Was it to be trusted yesterday? What was found out since counts too:
///   atl verify --policy relying-party.toml cert.pem --at 2026-04-10T12:30:00Z
/// Without a network:
///   atl verify --policy relying-party.toml cert.pem --offline --staple cert.ocsp
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct VerifyArgs {
    /// PEM or DER: the agent's certificate first, its CAs and the agents above it behind it
    #[arg(value_name = "CERT", required_unless_present = "print_policy")]
    certificates: Vec<PathBuf>,
    /// What is wanted of agents, TOML
    #[arg(long, value_name = "FILE", required_unless_present = "print_policy")]
    policy: Option<PathBuf>,
    /// What the agent wants to do; the amount is in minor units
    #[arg(long, value_name = "'TOOL SCOPE [AMOUNT CURRENCY]'", value_parser = operation)]
    operation: Option<Operation>,
    #[command(flatten)]
    parts: PartsArgs,
    /// The moment that is asked about, RFC 3339 or milliseconds since 1970, rather than now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<UnixMillis>,
    /// Ask nobody over the network, whatever the policy says
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    start: StartArgs,
}

/// The operation in parts, for a scope with blanks in it.
#[derive(Args)]
struct PartsArgs {
    /// The tool that the agent wants to call
    #[arg(long, value_name = "URI", requires = "scope", conflicts_with = "operation")]
    tool: Option<String>,
    /// What of it
    #[arg(long, requires = "tool")]
    scope: Option<String>,
    /// The money in it, in minor units
    #[arg(long, requires_all = ["tool", "currency"])]
    amount: Option<u64>,
    /// Of what, such as GBP
    #[arg(long, requires = "amount")]
    currency: Option<String>,
}

impl PartsArgs {
    fn operation(&self) -> Result<Option<Operation>, String> {
        let (Some(tool), Some(scope)) = (&self.tool, &self.scope) else { return Ok(None) };
        let spend = self.amount.zip(self.currency.as_deref()).map(|(amount, currency)| spend(amount, currency));
        of_parts(tool, scope, spend.transpose()?).map(Some)
    }
}

fn of_parts(tool: &str, scope: &str, spend: Option<Spend>) -> Result<Operation, String> {
    let tool_uri = AsciiText::new(tool).map_err(|e| format!("the tool {tool:?}: {e}"))?;
    let scope = Text::new(scope).map_err(|e| format!("the scope {scope:?}: {e}"))?;
    Ok(Operation { tool_uri, scope, spend })
}

fn spend(amount: u64, currency: &str) -> Result<Spend, String> {
    let amount = Amount::new(amount).map_err(|e| format!("the amount {amount}: {e}"))?;
    let currency = Currency::new(currency).map_err(|e| format!("the currency {currency:?}: {e}"))?;
    Ok(Spend { amount, currency })
}

/// A moment in words, or in milliseconds.
pub fn moment(text: &str) -> Result<UnixMillis, String> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    match text.parse() {
        Ok(millis) if digits => Ok(UnixMillis::new(millis)),
        _ => words::moment(text).map_err(|why| format!("{why}, or milliseconds since 1970")),
    }
}

/// Runs it.
pub fn run(args: &VerifyArgs) -> Result<(), CliError> {
    if args.start.print_policy {
        return start::run(&args.start);
    }
    let Some(file) = &args.policy else { return Err(CliError::new("--policy names what is wanted of agents")) };
    let operation = args.parts.operation().map_err(CliError::new)?.or_else(|| args.operation.clone());
    let (config, material) = Material::read(file)?;
    let present = SystemClock.now();
    let at = args.at.unwrap_or(present);
    let question = Question { operation: operation.as_ref(), at, past: at < present };
    let verdict = match input::read(&args.certificates, &args.given)? {
        Ok(presented) => decide(args, &config, &material, presented, question, present)?,
        // Nothing of it can be believed, so nobody is asked about it.
        Err(reason) => Verdict::Refused(Box::new(Refused::unread(*reason, at))),
    };
    for note in &material.notes {
        eprintln!("{}: {}", file.display(), words::clean(note));
    }
    match args.json {
        true => print_json(&verdict)?,
        false => show::print(&verdict, &question),
    }
    match &verdict {
        Verdict::Accepted(_) => Ok(()),
        Verdict::Refused(refused) => Err(CliError::negative(match refused.reasons() {
            [only] => format!("refused: {}", only.code.as_str()),
            reasons => format!("refused, for {} reasons", reasons.len()),
        })),
    }
}

fn decide(
    args: &VerifyArgs,
    config: &RelyingConfig,
    material: &Material,
    presented: Presented,
    question: Question<'_>,
    present: UnixMillis,
) -> Result<Verdict, CliError> {
    let mut facts = Facts::default();
    let Some(rules) = config.fetch.as_ref().filter(|_| !args.offline) else {
        let examination = material.party.examine(presented);
        args.given.learn(material, &examination, question.at, present, &mut facts)?;
        return Ok(material.party.judge(&examination, &question.with(&facts)));
    };
    let online = Online::new(material, rules)?;
    let examination = runtime()?.block_on(async {
        let examination = online.line(presented, &mut facts).await;
        // What is given need not be asked for.
        args.given.learn(material, &examination, question.at, present, &mut facts)?;
        online.learn(&examination, question, present, &mut facts).await;
        Ok::<_, CliError>(examination)
    })?;
    Ok(material.party.judge(&examination, &question.with(&facts)))
}
