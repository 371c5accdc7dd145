//! `atl-monitor alerts`: what was found, and whom it has reached.

mod show;

use std::io::{self, Write};
use std::path::PathBuf;

use atl::time::{Clock, SystemClock};
use clap::{Args, Subcommand};

use super::output::CliError;
use super::test_alert::chosen;
use crate::alert::message::Letterhead;
use crate::alert::{self, Alert};
use crate::config::MonitorConfig;
use crate::finding::FindingId;
use crate::state::{State, StateError};

/// List alerts, show one, acknowledge one, or have one sent again.
///
/// The database belongs to one process at a time: while the monitor runs, its page shows the same, and this command
/// says so. Without an action it lists.
///
/// Examples:
///   atl-monitor alerts --config monitor.toml
///   atl-monitor alerts --config monitor.toml show 5f2a...
///   atl-monitor alerts --config monitor.toml resend 5f2a... --sink mail
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct AlertsArgs {
    /// The monitor's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON: of a list an object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List alerts, the newest first
    List {
        /// How many at most
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
    },
    /// Show one, and how it stands with each sink
    Show {
        /// The alert: its 32 hex digits
        #[arg(value_parser = id)]
        id: FindingId,
    },
    /// Note that somebody takes care of it: Alertmanager is told that it is over
    Ack {
        /// The alert: its 32 hex digits
        #[arg(value_parser = id)]
        id: FindingId,
    },
    /// Have it sent again when the monitor runs, to all sinks or to some, whatever is silenced; under the same
    /// identifier, by which receivers may know that they have it
    Resend {
        /// The alert: its 32 hex digits
        #[arg(value_parser = id)]
        id: FindingId,
        /// Only to this sink, by its name; may be given more than once
        #[arg(long, value_name = "NAME")]
        sink: Vec<String>,
    },
}

/// Runs the command.
pub fn run(args: &AlertsArgs) -> Result<(), CliError> {
    let config = MonitorConfig::load(&args.config).map_err(|e| CliError::new(e.to_string()))?;
    let letterhead = Letterhead { monitor: config.name.to_string(), public_url: config.public_url.clone() };
    let state = open(&config)?;
    let failed = |e: StateError| CliError::new(e.to_string());
    let text = match &args.action {
        None => list(&state, 100, args.json)?,
        Some(Action::List { limit }) => list(&state, *limit, args.json)?,
        Some(Action::Show { id }) => {
            let alert = state.read(|read| alert::find(read, *id)).map_err(failed)?.ok_or_else(|| none(*id))?;
            show::one(&alert, &letterhead, args.json)?
        }
        Some(Action::Ack { id }) => {
            let now = SystemClock.now();
            there(*id, state.write(|write| alert::acknowledge(write, *id, now)).map_err(failed)?)?;
            format!("{id} is acknowledged.\n")
        }
        Some(Action::Resend { id, sink }) => {
            let sinks = chosen(&config.alerts.sinks, sink)?;
            let names: Vec<_> = sinks.iter().map(|sink| sink.route.sink.clone()).collect();
            if names.is_empty() {
                return Err(CliError::new(format!("{}: there is no sink in it to send to", args.config.display())));
            }
            let now = SystemClock.now();
            there(*id, state.write(|write| alert::resend(write, *id, &names, now)).map_err(failed)?)?;
            format!("{id} goes to {} when the monitor runs: atl-monitor run\n", names.join(", "))
        }
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(|e| CliError::unwritten(&e))
}

fn list(state: &State, limit: usize, json: bool) -> Result<String, CliError> {
    let alerts: Vec<Alert> =
        state.read(|read| alert::newest(read, limit)).map_err(|e: StateError| CliError::new(e.to_string()))?;
    show::list(&alerts, json)
}

fn open(config: &MonitorConfig) -> Result<State, CliError> {
    let file = config.state_file();
    if !file.exists() {
        return Err(CliError::new(format!(
            "{}: there is no database yet; the monitor makes it when it first runs: atl-monitor run",
            file.display()
        )));
    }
    State::open(&file).map_err(|error| match error {
        StateError::Database(redb::Error::DatabaseAlreadyOpen) => {
            let page = match (&config.public_url, config.listen) {
                (Some(url), _) => format!("look at its page, {url}/alerts"),
                (None, Some(listen)) => format!("look at its page, http://{listen}/alerts"),
                (None, None) => "set `listen` in the configuration to see its page".into(),
            };
            CliError::new(format!(
                "{}: the monitor is running and has it open; {page}, or stop it first",
                file.display()
            ))
        }
        error => CliError::new(format!("{}: {error}", file.display())),
    })
}

fn there(id: FindingId, found: bool) -> Result<(), CliError> {
    if found { Ok(()) } else { Err(none(id)) }
}

fn none(id: FindingId) -> CliError {
    CliError::no(format!("there is no alert {id}; atl-monitor alerts lists those that there are"))
}

fn id(text: &str) -> Result<FindingId, String> {
    FindingId::parse(text).ok_or_else(|| "an alert has 32 hex digits in lower case".into())
}
