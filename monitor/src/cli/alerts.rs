//! `atl-monitor alerts`: what was found, and whom it has reached.

mod show;

use std::io::{self, Write};
use std::path::PathBuf;

use atl::time::{Clock, SystemClock};
use clap::{Args, Subcommand};

use super::output::CliError;
use super::test_alert::chosen;
use crate::alert::message::Letterhead;
use crate::alert::routing::{Route, Routing};
use crate::alert::{self, Alert};
use crate::config::MonitorConfig;
use crate::finding::FindingId;
use crate::state::{State, StateError};
use crate::text::excerpt;

/// Alerts read in one step.
const AT_ONCE: usize = 256;

/// Alerts that are listed where digits name several.
const MOST_NAMED: usize = 10;

const EXAMPLES: &str = "\
Examples:
  atl-monitor alerts --config monitor.toml
  atl-monitor alerts --config monitor.toml show 5f2a
  atl-monitor alerts --config monitor.toml resend 5f2a --sink mail
  atl-monitor alerts --config monitor.toml resend --all-unsent";

/// List alerts, show one, acknowledge one, or have some sent again.
///
/// The database belongs to one process at a time: while the monitor runs, its page shows the same, and this command
/// says so. Without an action it lists. An alert is named by its 32 hex digits, or by the first of them, at least 4,
/// where no other alert begins with the same.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub struct AlertsArgs {
    /// The monitor's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON: of a list an object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// List alerts, the newest first.
    List {
        /// How many at most.
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
    },
    /// Show one, and how it stands with each sink.
    Show {
        /// The alert: its hex digits, or the first of them.
        #[arg(value_parser = digits)]
        id: Digits,
    },
    /// Note that somebody takes care of it: Alertmanager is told that it is over.
    Ack {
        /// The alert: its hex digits, or the first of them.
        #[arg(value_parser = digits)]
        id: Digits,
    },
    /// Have one sent again, or all that nobody has got, when the monitor runs.
    ///
    /// One alert goes to all sinks or to some, whatever severity they want and whatever is silenced. With --all-unsent
    /// all that none of these sinks has got go out as if they were found now: each sink gets the severities that it wants, and
    /// what is silenced or acknowledged goes nowhere. That is for alerts from before there was a sink, or from before
    /// one given with --sink. All go out under the identifiers that they have, by which receivers know what they have
    /// already.
    Resend {
        /// The alert: its hex digits, or the first of them.
        #[arg(value_parser = digits, required_unless_present = "all_unsent")]
        id: Option<Digits>,
        /// All that none of the sinks has got.
        #[arg(long, conflicts_with = "id")]
        all_unsent: bool,
        /// Only to this sink, by its name; may be given more than once.
        #[arg(long, value_name = "NAME")]
        sink: Vec<String>,
    },
}

/// The first digits of an alert's name, or all.
#[derive(Clone, Debug)]
struct Digits(String);

/// Runs the command.
pub fn run(args: &AlertsArgs) -> Result<(), CliError> {
    let config = MonitorConfig::load(&args.config).map_err(|e| CliError::new(e.to_string()))?;
    let letterhead = Letterhead { monitor: config.name.to_string(), public_url: config.public_url.clone() };
    let state = open(&config)?;
    let failed = |e: StateError| CliError::new(e.to_string());
    let text = match &args.action {
        None => list(&state, 100, args.json)?,
        Some(Action::List { limit }) => list(&state, *limit, args.json)?,
        Some(Action::Show { id }) => show::one(&resolve(&state, id)?, &letterhead, args.json)?,
        Some(Action::Ack { id }) => {
            let (id, now) = (resolve(&state, id)?.finding.id(), SystemClock.now());
            there(id, state.write(|write| alert::acknowledge(write, id, now)).map_err(failed)?)?;
            format!("{id} is acknowledged.\n")
        }
        Some(Action::Resend { id, sink, .. }) => {
            let sinks = chosen(&config.alerts.sinks, sink)?;
            let names: Vec<_> = sinks.iter().map(|sink| sink.route.sink.clone()).collect();
            if names.is_empty() {
                return Err(CliError::new(format!("{}: there is no sink in it to send to", args.config.display())));
            }
            let what = match id {
                Some(id) => again(&state, id, &names)?,
                None => unsent(&state, sinks.iter().map(|sink| sink.route.clone()).collect())?,
            };
            match what {
                Some(what) => format!("{what} to {} when the monitor runs: atl-monitor run\n", names.join(", ")),
                None => "There is nothing that they want and none of them has got.\n".into(),
            }
        }
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(|e| CliError::unwritten(&e))
}

/// Has one alert sent again; what is to be said of it.
fn again(state: &State, id: &Digits, sinks: &[String]) -> Result<Option<String>, CliError> {
    let (id, now) = (resolve(state, id)?.finding.id(), SystemClock.now());
    let found = state.write(|write| alert::resend(write, id, sinks, now));
    there(id, found.map_err(|e: StateError| CliError::new(e.to_string()))?)?;
    Ok(Some(format!("{id} goes")))
}

/// Has all sent that nobody has got; what is to be said of it, if there was something.
fn unsent(state: &State, routes: Vec<Route>) -> Result<Option<String>, CliError> {
    let (routing, now) = (Routing { routes, silences: Vec::new() }, SystemClock.now());
    let (mut sent, mut next) = (0, Some(0));
    while let Some(start) = next {
        let step = state.write(|write| alert::send_unsent(write, &routing, now, start, AT_ONCE));
        let (some, more) = step.map_err(|e: StateError| CliError::new(e.to_string()))?;
        (sent, next) = (sent + some, more);
    }
    Ok(match sent {
        0 => None,
        1 => Some("1 alert goes".into()),
        many => Some(format!("{many} alerts go")),
    })
}

/// The alert that these digits name.
fn resolve(state: &State, Digits(digits): &Digits) -> Result<Alert, CliError> {
    let found = state.read(|read| alert::named(read, digits, MOST_NAMED + 1));
    let mut found: Vec<Alert> = found.map_err(|e: StateError| CliError::new(e.to_string()))?;
    match (found.pop(), found.len()) {
        (None, _) => Err(none(digits)),
        (Some(one), 0) => Ok(one),
        (Some(last), others) => {
            let mut lines = String::new();
            for alert in found.iter().chain((others < MOST_NAMED).then_some(&last)) {
                let finding = &alert.finding;
                lines += &format!("\n  {}  {}  {}", finding.id(), finding.class, excerpt(&finding.summary, 80));
            }
            let more = if others < MOST_NAMED { "" } else { "\n  and more" };
            Err(CliError::new(format!("{digits} begins the names of several alerts; give more digits:{lines}{more}")))
        }
    }
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
    if found { Ok(()) } else { Err(none(&id.to_string())) }
}

fn none(digits: &str) -> CliError {
    CliError::no(format!("there is no alert {digits}; atl-monitor alerts lists those that there are"))
}

fn digits(text: &str) -> Result<Digits, String> {
    let is_hex = text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
    match text.len() {
        4..=32 if is_hex => Ok(Digits(text.to_owned())),
        _ => Err("the name of an alert is 32 hex digits in lower case, of which the first 4 or more will do".into()),
    }
}
