//! `atl-monitor test-alert`: does it reach you?

use std::io::{self, Write};
use std::path::PathBuf;

use atl::time::{Clock, Stopwatch, SystemClock};
use clap::Args;

use super::output::{CliError, clean};
use crate::alert::message::{Letterhead, Message};
use crate::alert::sink::{Sink, SinkConfig};
use crate::config::MonitorConfig;
use crate::finding::{Class, Finding};

const EXAMPLE: &str = "\
Example:
  atl-monitor test-alert --config monitor.toml --sink mail";

/// Send a test through each sink right now, and say what became of it.
///
/// It goes to every sink of the configuration, whatever severity it wants to be told of; class and severity are
/// monitor.test and info. Nothing is written to the database, so it may be run beside the monitor, and before it.
/// A line is printed for each sink. It ends with 0 if all took it, with 1 if one did not, with 2 on any other failure.
#[derive(Args)]
#[command(after_long_help = EXAMPLE)]
pub struct TestAlertArgs {
    /// The monitor's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this sink, by its name; may be given more than once.
    #[arg(long, value_name = "NAME")]
    sink: Vec<String>,
}

/// Runs the command.
pub fn run(args: &TestAlertArgs) -> Result<(), CliError> {
    let config = MonitorConfig::load(&args.config).map_err(|e| CliError::new(e.to_string()))?;
    let sinks = chosen(&config.alerts.sinks, &args.sink)?;
    if sinks.is_empty() {
        let file = args.config.display();
        return Err(CliError::new(format!(
            "{file}: there is no sink in it, so nobody is ever told; add one, such as [[alerts.webhook]]"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| CliError::new(format!("the runtime does not start: {e}")))?;
    let letterhead = Letterhead { monitor: config.name.to_string(), public_url: config.public_url };
    let message = letterhead.message(&test(&letterhead.monitor));
    let mut failures = 0;
    for sink in &sinks {
        let told = runtime.block_on(send(sink, &letterhead, &message));
        failures += usize::from(told.is_err());
        let line = match told {
            Ok(text) => format!("ok      {}: {text}", sink.route.sink),
            Err(text) => format!("failed  {}: {}", sink.route.sink, clean(&text)),
        };
        writeln!(io::stdout().lock(), "{line}").map_err(|e| CliError::unwritten(&e))?;
    }
    match failures {
        0 => Ok(()),
        _ => Err(CliError::no(format!("{failures} of {} sinks did not take the test", sinks.len()))),
    }
}

/// The sinks with these names, or all.
pub(super) fn chosen<'a>(sinks: &'a [SinkConfig], names: &[String]) -> Result<Vec<&'a SinkConfig>, CliError> {
    let known = |name: &&String| !sinks.iter().any(|sink| sink.route.sink == **name);
    if let Some(unknown) = names.iter().find(known) {
        let there: Vec<_> = sinks.iter().map(|sink| sink.route.sink.as_str()).collect();
        return Err(CliError::new(format!("no sink is called {unknown:?}; there are: {}", there.join(", "))));
    }
    Ok(sinks.iter().filter(|sink| names.is_empty() || names.contains(&sink.route.sink)).collect())
}

fn test(monitor: &str) -> Finding {
    let now = SystemClock.now();
    // Each test is another one: a receiver that drops what it has would hide the second one.
    let subject = now.get().to_string();
    Finding::new(Class::Test, None, &subject, format!("A test of the alerts of the monitor {monitor}."), now)
}

async fn send(sink: &SinkConfig, letterhead: &Letterhead, message: &Message) -> Result<String, String> {
    let opened = Sink::open(&sink.kind, &letterhead.monitor).map_err(|e| e.to_string())?;
    let watch = Stopwatch::start();
    opened.send(message, SystemClock.now()).await.map_err(|e| format!("({}) {e}", opened.kind()))?;
    Ok(format!("({}) took {} in {} ms", opened.kind(), message.id(), watch.elapsed().as_millis()))
}
