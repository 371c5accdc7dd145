//! `atl trust ledger`: the ledger exported, followed, and every account recomputed from it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::access::{EngineArgs, failed};
use crate::api::trust::LedgerQuery;
use crate::cli::ca::audit::Noted;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::runtime;
use crate::config::TrustConfig;
use crate::journal::JournalHead;
use crate::storage::ca::journal_file::JournalFile;
use crate::storage::trust::rocks::RocksTrustStore;
use crate::trust::ports::TrustStore;
use crate::trust::replay::Replay;

/// Rows that are asked for at a time.
const PAGE: usize = 256;

/// The subcommands of `atl trust ledger`.
#[derive(Subcommand)]
pub enum LedgerCommand {
    Export(ExportArgs),
    Verify(VerifyArgs),
    Accept(AcceptArgs),
}

/// Write the ledger of a running engine to standard output, a row a line, checked as it comes.
///
/// The rows are as the engine keeps them: the SHA-256 of each line, without its newline, is the `previous`
/// of the next. What is exported can be verified later with `atl trust ledger verify --file`.
///
/// Example:
///   atl trust ledger export --dir mytrust > ledger.jsonl
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ExportArgs {
    #[command(flatten)]
    engine: EngineArgs,
}

/// Follow the ledger's chain from its first row, and recompute every account from it.
///
/// With --config it reads the database of an engine that is not running, and compares what follows from the
/// ledger with what is kept: accounts, incidents, reviews, reporters, receipts. With --file it reads an
/// export. It ends with 0 where everything follows, with 1 where something does not.
///
/// The chain alone cannot show that its newest rows were cut off, or that all of it was written anew. Note
/// the head that this prints; --expect checks that an earlier one is still part of the chain.
///
/// Examples:
///   atl trust ledger verify --config mytrust/trust.toml
///   atl trust ledger verify --file ledger.jsonl --expect 1200:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct VerifyArgs {
    /// The configuration of an engine that is stopped
    #[arg(long, value_name = "FILE", required_unless_present = "file")]
    config: Option<PathBuf>,
    /// A ledger that was exported
    #[arg(long, conflicts_with = "config")]
    file: Option<PathBuf>,
    /// A head that was printed before: number of rows and hash of the last; may be given more than once
    #[arg(long = "expect", value_name = "ROWS:HASH")]
    expected: Vec<Noted>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Let an engine go on with a database that was put back from an older copy.
///
/// An engine does not start with a database that does not go on from the ledger's head kept beside it
/// (DATA_DIR.head). Where the newest state is lost for good, this accepts what is there, once its chain was
/// followed. What was reported since is then unknown to the engine, and agents have their earlier scores.
#[derive(Args)]
pub struct AcceptArgs {
    /// The configuration of an engine that is stopped
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs one.
pub fn run(command: &LedgerCommand) -> Result<(), CliError> {
    match command {
        LedgerCommand::Export(args) => export(args),
        LedgerCommand::Verify(args) => verify(args),
        LedgerCommand::Accept(args) => accept(args),
    }
}

fn export(args: &ExportArgs) -> Result<(), CliError> {
    let engine = args.engine.open()?;
    let mut out = std::io::stdout().lock();
    let mut followed = Followed::new(&[]);
    let runtime = runtime()?;
    loop {
        let query = LedgerQuery { start: followed.replay.head().rows, limit: PAGE };
        let page = runtime.block_on(engine.client.ledger(engine.token(), query)).map_err(failed)?;
        for row in &page.rows {
            followed.row(row.as_bytes())?;
            writeln!(out, "{row}").context("standard output")?;
        }
        if page.rows.is_empty() || followed.replay.head().rows >= page.rows_total {
            break;
        }
    }
    let head = followed.replay.head();
    eprintln!("{} rows, head {}", head.rows, shown(&head));
    Ok(())
}

/// What following a ledger came to.
struct Followed {
    replay: Replay,
    events: BTreeMap<&'static str, u64>,
    missing: Vec<JournalHead>,
}

impl Followed {
    fn new(expected: &[Noted]) -> Self {
        let missing = expected.iter().map(|noted| noted.0).collect();
        Self { replay: Replay::default(), events: BTreeMap::new(), missing }
    }

    fn row(&mut self, octets: &[u8]) -> Result<(), CliError> {
        let row = self.replay.follow(octets).map_err(|e| CliError::negative(e.to_string()))?;
        let head = self.replay.head();
        self.missing.retain(|noted| *noted != head);
        *self.events.entry(row.event.name()).or_default() += 1;
        Ok(())
    }

    fn store(&mut self, store: &dyn TrustStore) -> Result<(), CliError> {
        loop {
            let rows = store.rows(self.replay.head().rows, PAGE).context("the database")?;
            if rows.is_empty() {
                break;
            }
            rows.iter().try_for_each(|row| self.row(row))?;
        }
        let (head, followed) = (store.head().context("the database")?, self.replay.head());
        if head == followed {
            return Ok(());
        }
        let (kept, found) = (head.rows, followed.rows);
        Err(CliError::negative(format!("the database speaks of {kept} rows, and its ledger has {found}")))
    }
}

fn verify(args: &VerifyArgs) -> Result<(), CliError> {
    let mut followed = Followed::new(&args.expected);
    match (&args.config, &args.file) {
        (Some(config), _) => {
            let store = open(config)?.1;
            followed.store(&store)?;
            if let Some(difference) = store.difference(followed.replay.entities()).context("the database")? {
                return Err(CliError::negative(difference));
            }
        }
        (None, Some(file)) => {
            for line in BufReader::new(File::open(file).context(file.display())?).split(b'\n') {
                followed.row(&line.context(file.display())?)?;
            }
        }
        (None, None) => return Err(CliError::new("name the engine with --config or an export with --file")),
    }
    if let Some(noted) = followed.missing.first() {
        return Err(CliError::negative(format!(
            "the head {} is not part of this ledger: rows were cut off or written anew",
            shown(noted)
        )));
    }
    report(args, &followed)
}

fn report(args: &VerifyArgs, followed: &Followed) -> Result<(), CliError> {
    let head = shown(&followed.replay.head());
    let entities = followed.replay.entities().count();
    if args.json {
        return print_json(&serde_json::json!({ "head": head, "events": followed.events, "entities": entities }));
    }
    println!("The ledger holds: every row follows from the ones before it, and so does every score.");
    if args.config.is_some() {
        println!("What the database keeps is what follows from the ledger, and nothing else.");
    }
    println!();
    print_rows(followed.events.iter().map(|(name, count)| (*name, count.to_string())));
    println!("\nhead  {head}\n\nNote the head: --expect {head} checks later that it is still part of the chain.");
    Ok(())
}

fn accept(args: &AcceptArgs) -> Result<(), CliError> {
    let (config, store) = open(&args.config)?;
    let mut followed = Followed::new(&[]);
    followed.store(&store)?;
    let file = JournalFile::beside_trust(&config.data_dir);
    let kept = match file.load() {
        Ok(Some(kept)) => shown(&kept),
        Ok(None) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    };
    let head = followed.replay.head();
    file.keep(&head).context("the ledger's head")?;
    print_rows([("was", kept), ("accepted", shown(&head)), ("kept in", file.path().display().to_string())]);
    Ok(())
}

fn open(config: &std::path::Path) -> Result<(TrustConfig, RocksTrustStore), CliError> {
    let config = TrustConfig::load(config).map_err(|e| CliError::new(e.to_string()))?;
    let store = RocksTrustStore::open_read_only(&config.data_dir).map_err(|e| CliError::new(e.to_string()))?;
    Ok((config, store))
}

fn shown(head: &JournalHead) -> String {
    format!("{}:{}", head.rows, hex::encode(head.hash))
}
