//! `atl federation ...`: other trust domains, pinned one by one by a person, and what they say of
//! themselves (draft 10).

mod add;
mod check;
pub mod keep;
mod key;
mod refresh;
mod show;
pub mod state;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::output::{CliError, print_json};
use crate::apki::federation::TrustDomain;

use self::state::State;

/// The subcommands of `atl federation`.
#[derive(Subcommand)]
pub enum FederationCommand {
    Add(Box<add::AddArgs>),
    List(show::ListArgs),
    Show(show::ShowArgs),
    Refresh(refresh::RefreshArgs),
    Remove(RemoveArgs),
    Check(check::CheckArgs),
    Key(key::KeyArgs),
}

/// Runs one.
pub fn run(command: FederationCommand) -> Result<(), CliError> {
    match command {
        FederationCommand::Add(args) => add::run(&args),
        FederationCommand::List(args) => show::list(&args),
        FederationCommand::Show(args) => show::show(&args),
        FederationCommand::Refresh(args) => refresh::run(&args),
        FederationCommand::Remove(args) => remove(&args),
        FederationCommand::Check(args) => check::run(&args),
        FederationCommand::Key(args) => key::run(&args),
    }
}

/// Where the state is.
#[derive(Args)]
struct DirArgs {
    /// The directory with one file for each pinned domain
    #[arg(long, value_name = "DIR", default_value = "federation")]
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DirArgs {
    fn state(&self) -> State {
        State::at(&self.dir)
    }
}

/// End the federation with a domain: its pin and its cached bundle go away.
///
/// From then on no agent of the domain is taken. A server that keeps the directory fresh sees it by itself.
///
/// Example:
///   atl federation remove --dir myca/federation agents.example.com
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RemoveArgs {
    /// The trust domain
    #[arg(value_parser = domain)]
    domain: TrustDomain,
    #[command(flatten)]
    dir: DirArgs,
}

fn remove(args: &RemoveArgs) -> Result<(), CliError> {
    args.dir.state().remove(&args.domain)?;
    if args.dir.json {
        return print_json(&serde_json::json!({"domain": args.domain, "removed": true}));
    }
    println!("{} is not federated with any more", args.domain);
    Ok(())
}

/// Reads a trust domain from the command line.
fn domain(text: &str) -> Result<TrustDomain, String> {
    TrustDomain::parse(text).map_err(|e| e.to_string())
}
