//! `atl-monitor run` and `atl-monitor once`: where the parts of a monitor are put together.

mod bridge;
mod cosigned;
mod once;
mod pages;
mod parts;
mod recall;
mod summary;

use std::path::PathBuf;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::parts::{Monitor, routes};
use super::output::CliError;
use crate::config::MonitorConfig;
use crate::http::Server;

pub use self::once::{OnceArgs, once};

const EXAMPLE: &str = "\
Example:
  atl-monitor keygen monitor-key.pem --name monitor.example
  atl-monitor run --config monitor.toml";

/// Follow logs and keep following them, until it is told to stop (SIGTERM or Ctrl-C).
///
/// It reads every entry of the logs in its configuration, derives their roots again, holds heads against heads, also
/// those of other monitors, and tells whoever is configured what was found. Its page, metrics and health are at
/// `listen`. It ends by itself, with the reason, when its database fails: what it cannot keep it must not tell.
#[derive(Args)]
#[command(after_long_help = EXAMPLE)]
pub struct RunArgs {
    /// The configuration; the sample config/monitor.toml explains each key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs it.
pub fn run(args: &RunArgs) -> Result<(), CliError> {
    start_tracing();
    let config = MonitorConfig::load(&args.config).map_err(|e| CliError::new(e.to_string()))?;
    runtime()?.block_on(serve(&config))
}

async fn serve(config: &MonitorConfig) -> Result<(), CliError> {
    // Whoever reads that it serves may tell it to stop at once.
    let told_to_stop = told_to_stop()?;
    let listener = match config.listen {
        Some(address) => Some(bound(address).await?),
        None => None,
    };
    let monitor = Monitor::open(config)?;
    for line in summary::lines(config, &monitor) {
        tracing::info!("{line}");
    }
    let (stop, stopping) = watch::channel(false);
    let mut tasks: JoinSet<Result<(), CliError>> = JoinSet::new();
    if let Some(listener) = listener {
        let address = listener.local_addr().map_err(|e| CliError::new(format!("the listener: {e}")))?;
        let server = Server { listener, router: routes(config, &monitor)?, limits: config.server.limits };
        tracing::info!(name = %config.name, listen = %address, "watching; the page is at http://{address}/");
        tasks.spawn(ending(server.run(stopping.clone())));
    } else {
        tracing::info!(name = %config.name, "watching; there is no page, since `listen` is not set");
    }
    monitor.start(&mut tasks, &stopping);
    let ended = tokio::select! {
        () = told_to_stop => Ok(()),
        Some(ended) = tasks.join_next() => Err(why(ended)),
    };
    stop.send_replace(true);
    let mut outcome = ended;
    while let Some(ended) = tasks.join_next().await {
        if let (Ok(()), Ok(Err(error))) = (&outcome, ended) {
            outcome = Err(error);
        }
    }
    outcome
}

async fn ending(part: impl Future<Output = ()>) -> Result<(), CliError> {
    part.await;
    Ok(())
}

/// Why the monitor ends that was not told to.
fn why(ended: Result<Result<(), CliError>, tokio::task::JoinError>) -> CliError {
    let reason = match ended {
        Ok(Ok(())) => "a part of it ended".into(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => format!("a part of it failed: {error}"),
    };
    CliError::new(format!("the monitor stopped: {reason}"))
}

async fn bound(address: std::net::SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|e| CliError::new(format!("`listen`: {address}: {e}")))
}

/// Resolves on Ctrl-C or SIGTERM.
fn told_to_stop() -> Result<impl Future<Output = ()>, CliError> {
    let listen = |kind| signal(kind).map_err(|e| CliError::new(format!("signals cannot be listened to: {e}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::new(format!("the async runtime does not start: {e}")))
}

/// Lines of what happens on standard error. `RUST_LOG` sets how much.
fn start_tracing() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr);
    let _ = lines.try_init();
}
