//! `atl ca audit`: the journal read, exported, and its chain of hashes followed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::operator::{OperatorArgs, failed};
use crate::api::ca::Hex32;
use crate::ca::journal::{JournalHead, Row};
use crate::ca::ports::CaStore;
use crate::ca::state::State;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::runtime;
use crate::client::AuditQuery;
use crate::config::CaConfig;
use crate::storage::ca::journal_file::JournalFile;
use crate::storage::ca::rocks::RocksCaStore;

/// Rows that are asked for at a time.
const PAGE: u32 = 500;

/// The subcommands of `atl ca audit`.
#[derive(Subcommand)]
pub enum AuditCommand {
    Export(ExportArgs),
    Verify(VerifyArgs),
    Accept(AcceptArgs),
}

/// Write the journal of a running CA to standard output, a row a line, checked as it comes.
///
/// The rows are as the CA keeps them: the SHA-256 of each line, without its newline, is the `previous` of
/// the next. What is exported can be verified later with `atl ca audit verify --file`.
///
/// Example:
///   atl ca audit export --dir myca > journal.jsonl
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ExportArgs {
    #[command(flatten)]
    operator: OperatorArgs,
}

/// Follow the journal's chain from its first row, and re-derive from it everything that the CA keeps.
///
/// With --config it reads the database of a CA that is not running and compares what follows from the
/// journal with what is kept: tokens, requests, agents, certificates. With --file it reads an export. It
/// ends with 0 where everything follows, with 1 where something does not. A row that tells what cannot have
/// happened, such as a request with a token that nobody minted, is found either way; that something is kept
/// beside what the journal tells, and was not used yet, is not.
///
/// The chain alone cannot show that its newest rows were cut off, or that all of it was written anew. Note
/// the head that this prints; --expect checks that an earlier one is still part of the chain.
///
/// Examples:
///   atl ca audit verify --config myca/ca.toml
///   atl ca audit verify --file journal.jsonl --expect 1200:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct VerifyArgs {
    /// The configuration of a CA that is stopped
    #[arg(long, value_name = "FILE", required_unless_present = "file")]
    config: Option<PathBuf>,
    /// A journal that was exported
    #[arg(long, conflicts_with = "config")]
    file: Option<PathBuf>,
    /// A head that was printed before: number of rows and hash of the last; may be given more than once
    #[arg(long = "expect", value_name = "ROWS:HASH")]
    expected: Vec<Noted>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Let a CA go on with a database that was put back from an older copy.
///
/// A CA does not start with a database that does not go on from the journal's head kept beside it
/// (DATA_DIR.head). Where the newest state is lost for good, this accepts what is there. What happened
/// since is then unknown to the CA: enrolment tokens spent since are good once more (withdraw them), and
/// certificates issued since are in the logs, but not in its repository.
#[derive(Args)]
pub struct AcceptArgs {
    /// The configuration of a CA that is stopped
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// A head that somebody noted down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted(pub JournalHead);

impl FromStr for Noted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rows, hash) = text.split_once(':').ok_or("a head reads ROWS:HASH")?;
        let rows = rows.parse().map_err(|_| format!("{rows:?} is no number of rows"))?;
        let hash: Hex32 = hash.parse().map_err(|e| format!("the hash: {e}"))?;
        Ok(Self(JournalHead { rows, hash: hash.0 }))
    }
}

/// Runs one.
pub fn run(command: &AuditCommand) -> Result<(), CliError> {
    match command {
        AuditCommand::Export(args) => export(args),
        AuditCommand::Verify(args) => verify(args),
        AuditCommand::Accept(args) => accept(args),
    }
}

fn export(args: &ExportArgs) -> Result<(), CliError> {
    let operator = args.operator.open()?;
    let mut out = std::io::stdout().lock();
    let mut head = JournalHead::default();
    let runtime = runtime()?;
    loop {
        let query = AuditQuery { start: head.rows, limit: Some(PAGE) };
        let page = runtime.block_on(operator.ca.audit(operator.token(), query)).map_err(failed)?;
        for row in &page.rows {
            let _: Row = head.follow(row.as_bytes()).map_err(|e| CliError::negative(e.to_string()))?;
            writeln!(out, "{row}").context("standard output")?;
        }
        if page.rows.is_empty() || head.rows >= page.rows_total {
            break;
        }
    }
    eprintln!("{} rows, head {}:{}", head.rows, head.rows, hex::encode(head.hash));
    Ok(())
}

/// What following a journal came to.
struct Followed {
    head: JournalHead,
    state: State,
    events: BTreeMap<String, u64>,
    missing: Vec<JournalHead>,
}

impl Followed {
    fn new(expected: &[Noted]) -> Self {
        Self {
            head: JournalHead::default(),
            state: State::default(),
            events: BTreeMap::new(),
            missing: expected.iter().map(|noted| noted.0).collect(),
        }
    }

    fn row(&mut self, octets: &[u8]) -> Result<(), CliError> {
        let row: Row = self.head.follow(octets).map_err(|e| CliError::negative(e.to_string()))?;
        if let Some(why) = self.state.contradiction(&row.event) {
            let (number, name) = (row.row, row.event.name());
            return Err(CliError::negative(format!("row {number} ({name}) tells what cannot have happened: {why}")));
        }
        self.state.apply(row.at, &row.event);
        self.missing.retain(|noted| *noted != self.head);
        *self.events.entry(row.event.name().to_owned()).or_default() += 1;
        Ok(())
    }
}

fn verify(args: &VerifyArgs) -> Result<(), CliError> {
    let mut followed = Followed::new(&args.expected);
    match (&args.config, &args.file) {
        (Some(config), _) => {
            let config = CaConfig::load(config).map_err(|e| CliError::new(e.to_string()))?;
            let store = RocksCaStore::open_read_only(&config.data_dir).map_err(|e| CliError::new(e.to_string()))?;
            follow_store(&store, &mut followed)?;
            compare(&store, &followed)?;
        }
        (None, Some(file)) => {
            for line in BufReader::new(File::open(file).context(file.display())?).split(b'\n') {
                followed.row(&line.context(file.display())?)?;
            }
        }
        (None, None) => return Err(CliError::new("name the CA with --config or an export with --file")),
    }
    if let Some(noted) = followed.missing.first() {
        return Err(CliError::negative(format!(
            "the head {}:{} is not part of this journal: rows were cut off or written anew",
            noted.rows,
            hex::encode(noted.hash)
        )));
    }
    report(args, &followed)
}

fn accept(args: &AcceptArgs) -> Result<(), CliError> {
    let config = CaConfig::load(&args.config).map_err(|e| CliError::new(e.to_string()))?;
    let store = RocksCaStore::open_read_only(&config.data_dir).map_err(|e| CliError::new(e.to_string()))?;
    let mut followed = Followed::new(&[]);
    follow_store(&store, &mut followed)?;
    let file = JournalFile::beside(&config.data_dir);
    let in_words = |head: &JournalHead| format!("{} rows, {}:{}", head.rows, head.rows, hex::encode(head.hash));
    let kept = match file.load() {
        Ok(Some(kept)) => in_words(&kept),
        Ok(None) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    };
    file.keep(&followed.head).context("the journal's head")?;
    print_rows([("was", kept), ("accepted", in_words(&followed.head)), ("kept in", file.path().display().to_string())]);
    Ok(())
}

fn follow_store(store: &dyn CaStore, followed: &mut Followed) -> Result<(), CliError> {
    loop {
        let rows = store.journal(followed.head.rows, PAGE as usize).context("the database")?;
        if rows.is_empty() {
            break;
        }
        rows.iter().try_for_each(|row| followed.row(row))?;
    }
    let head = store.head().context("the database")?;
    if head != followed.head {
        return Err(CliError::negative(format!(
            "the database speaks of {} rows, and its journal has {}",
            head.rows, followed.head.rows
        )));
    }
    Ok(())
}

/// What is kept must be what follows from the journal, and no more: a token that nobody minted would be as
/// good as any.
fn compare(store: &RocksCaStore, followed: &Followed) -> Result<(), CliError> {
    match store.difference(followed.state.entities()).context("the database")? {
        Some(difference) => Err(CliError::negative(difference)),
        None => Ok(()),
    }
}

fn report(args: &VerifyArgs, followed: &Followed) -> Result<(), CliError> {
    let head = format!("{}:{}", followed.head.rows, hex::encode(followed.head.hash));
    if args.json {
        let entities = followed.state.entities().count();
        return print_json(&serde_json::json!({ "head": head, "events": followed.events, "entities": entities }));
    }
    println!("The journal holds: every row follows from the ones before it.");
    if args.config.is_some() {
        println!("What the database keeps is what follows from the journal, and nothing else.");
    }
    println!();
    print_rows(followed.events.iter().map(|(name, count)| (name.as_str(), count.to_string())));
    println!("\nhead  {head}\n\nNote the head: --expect {head} checks later that it is still part of the chain.");
    Ok(())
}
