//! `atl evidence verify`: what a bundle comes to, offline.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{read, words};
use crate::cli::agent::sign::digest;
use crate::cli::ca::policy::read_salt;
use crate::cli::output::{CliError, Context, print_json};
use crate::cli::relying::material::Material;
use crate::cli::verify::{moment, operation};
use crate::cli::words::clean;
use crate::time::UnixMillis;
use crate::verify::evidence::{Principal, Question, verify};
use crate::verify::relying::{Audited, Facts, Operation};

/// Say who authorised an action, under what limits, on whose behalf, and whether it was in the public log.
///
/// Nobody is asked over the network, and nothing in the bundle is trusted for what it says of itself: roots,
/// logs and limits are those of the policy, as atl verify reads it. Everything is judged as of the moment at
/// which the agent says that it signed, or better, at which you had the action (--received). Years later the
/// policy has to name what was trusted then: roots as files, and logs that were closed since with `until`.
///
/// The command ends with 0 where every link holds, with 1 where one fails, which is named with its reason,
/// and with 2 where nothing can be said: the file was damaged, or the policy cannot be read.
///
/// Examples:
///   atl evidence verify payment.evidence.json --policy relying-party.toml
///   atl evidence verify payment.evidence.json --policy relying-party.toml --action payment.json \
///     --received 2026-07-01T09:30:00Z --principal 'Ann Example' --salt-file principal-salt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct VerifyArgs {
    /// The bundle, from atl evidence make
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What you trust and want: relying-party.toml
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The action's octets as you have them. Default: those in the bundle
    #[arg(long, value_name = "FILE")]
    action: Option<PathBuf>,
    /// What the action is; the amount is in minor units. Default: what the agent says
    #[arg(long, value_name = "'TOOL SCOPE [AMOUNT CURRENCY]'", value_parser = operation)]
    operation: Option<Operation>,
    /// When you had the action, RFC 3339 or milliseconds since 1970: then all is judged at that moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    received: Option<UnixMillis>,
    /// The name of the human who is said to answer for the agent
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// The CA's salt for such names, in hex, from its operator
    #[arg(long, value_name = "HEX", value_parser = salt, requires = "principal")]
    salt: Option<Salt>,
    /// The same from a file, as atl ca init writes it
    #[arg(long, value_name = "FILE", requires = "principal", conflicts_with = "salt")]
    salt_file: Option<PathBuf>,
    /// A monitor's audit statement about a log, of any time since; may be given more than once
    #[arg(long, value_name = "FILE")]
    audit: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Octets of a salt.
#[derive(Clone, Debug)]
struct Salt(Vec<u8>);

fn salt(text: &str) -> Result<Salt, String> {
    hex::decode(text).map(Salt).map_err(|e| format!("it must be hex: {e}"))
}

/// Runs it.
pub fn run(args: &VerifyArgs) -> Result<(), CliError> {
    let (_, material) = Material::read(&args.policy)?;
    for note in &material.notes {
        eprintln!("{}: {}", args.policy.display(), clean(note));
    }
    let evidence = read(&args.file)?;
    let mut facts = Facts::default();
    facts.revocations.lists = Arc::clone(&material.lists);
    for file in &args.audit {
        let place = format!("{} (--audit)", file.display());
        let octets = fs::read(file).context(&place)?;
        let audited = Audited::from_statement(&octets, &material.monitors, &material.party.logs);
        facts.audits.push(audited.context(&place)?);
    }
    let salt = match (&args.salt, &args.salt_file) {
        (Some(salt), _) => Some(salt.0.clone()),
        (None, Some(file)) => Some(read_salt(file)?.to_vec()),
        (None, None) => None,
    };
    let principal = args.principal.as_deref().map(|name| Principal { name, salt: salt.as_deref() });
    let question = Question {
        action: args.action.as_deref().map(digest).transpose()?,
        operation: args.operation.as_ref(),
        received_at: args.received,
        principal,
        facts: Some(&facts),
    };
    let finding = verify(&evidence, &material.party, &question);
    if args.json {
        print_json(&finding)?;
    } else {
        words::print(&finding);
    }
    match finding.holds() {
        true => Ok(()),
        false => Err(CliError::negative(format!("{}: {finding}", args.file.display()))),
    }
}
