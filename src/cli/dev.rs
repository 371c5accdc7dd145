//! `atl dev`

use clap::Args;

use super::output::CliError;

/// Dev.
#[derive(Args)]
pub struct DevArgs {}

pub fn run(_args: &DevArgs) -> Result<(), CliError> {
    Ok(())
}
