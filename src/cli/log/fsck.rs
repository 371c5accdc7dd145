//! `atl log fsck`: everything that a log keeps, re-derived from its entries.

mod offline;
mod online;
mod report;

use std::path::{Path, PathBuf};

use clap::Args;

use self::report::Report;
use super::open::OpenedLog;
use super::remote::connect;
use crate::cli::output::CliError;
use crate::cli::runtime;
use crate::keys::Signer;
use crate::log::note::VerifierKey;
use crate::log::store::HeadKeeper;
use crate::storage::head_file::HeadFile;
use crate::storage::rocks::RocksStore;

/// Check a whole log: re-derive tiles, roots and heads from its entries.
///
/// With --config it reads the files of a log that is stopped, and writes nothing. Each certificate
/// is hashed, each hash is looked up, each tile is compared, and the state, both copies of the last
/// head and the chain certificates are held against that. It proves that the files belong together
/// and to the head file. It does not prove that they are the newest: an older copy of everything,
/// head file included, is clean.
///
/// With --url it downloads a log that runs and does the same with what it serves to you, under the
/// key that you give with --vkey. It does not prove that the log serves the same to others: compare
/// heads with them (atl log sth --since), or ask a monitor.
///
/// The process ends with 0 if the log is clean, with 1 and a line for each finding if it is not,
/// and with 2 if it could not be checked.
///
/// Example:
///   atl log fsck --config mylog/log.toml
///   atl log fsck --url https://log.example.com/2026h2 --vkey log.example.com/2026h2+1a2b3c4d+AbC...
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct FsckArgs {
    /// The configuration of a log that is stopped
    #[arg(long, value_name = "FILE", required_unless_present = "url", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// The base URL of a log that runs
    #[arg(long)]
    url: Option<String>,
    /// The log's verifier key, from somebody you trust; without it, the key is the log's own word
    #[arg(long, requires = "url")]
    vkey: Option<VerifierKey>,
    /// Requests under way at once
    #[arg(long, default_value_t = 8, requires = "url", value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &FsckArgs) -> Result<(), CliError> {
    let report = match (&args.config, &args.url) {
        (Some(config), _) => offline(config)?,
        (None, Some(url)) => runtime()?.block_on(async {
            let log = connect(url, args.vkey.clone()).await?;
            if !args.json {
                println!("{}", log.trust());
            }
            online::check(&log, usize::from(args.parallel)).await
        })?,
        (None, None) => return Err(CliError::new("say --config or --url")),
    };
    report.conclude(args.json)
}

fn offline(config: &Path) -> Result<Report, CliError> {
    let opened = OpenedLog::read(config)?;
    let store = RocksStore::open_read_only(&opened.config.data_dir).map_err(|e| CliError::new(e.to_string()))?;
    let head_file = HeadFile::new(opened.head_file());
    let files = offline::Files {
        store: &store,
        kept: head_file.load(),
        head_file: head_file.path().display().to_string(),
        key: opened.signer.public_key(),
    };
    let mut report = Report::new(config.display().to_string());
    offline::check(&files, &mut report).map_err(|e| CliError::new(e.to_string()))?;
    Ok(report)
}
