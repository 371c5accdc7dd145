//! `atl evidence ...`: what stood behind a signed action, collected in one file and judged by it.

mod collect;
mod make;
pub mod show;
mod verify;
mod words;

use std::fs;
use std::path::Path;

use clap::Subcommand;

use crate::cli::output::{CliError, Context};
use crate::verify::evidence::{Evidence, MAX_EVIDENCE};

/// The subcommands of `atl evidence`.
#[derive(Subcommand)]
pub enum EvidenceCommand {
    Make(make::MakeArgs),
    Verify(verify::VerifyArgs),
    Show(show::ShowArgs),
}

/// Runs one.
pub fn run(command: EvidenceCommand) -> Result<(), CliError> {
    match command {
        EvidenceCommand::Make(args) => make::run(&args),
        EvidenceCommand::Verify(args) => verify::run(&args),
        EvidenceCommand::Show(args) => show::run(&args),
    }
}

/// The bundle in `file`.
fn read(file: &Path) -> Result<Evidence, CliError> {
    let metadata = fs::metadata(file).context(file.display())?;
    if metadata.len() > MAX_EVIDENCE as u64 {
        return Err(CliError::new(format!("{}: longer than the {MAX_EVIDENCE} octets of any bundle", file.display())));
    }
    Evidence::parse(&fs::read(file).context(file.display())?).context(file.display())
}
