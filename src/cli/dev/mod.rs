//! `atl dev`: two logs on this machine, and a certificate's way through them told step by step.

mod setup;
mod story;

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::setup::{Home, Pki, open_log};
use self::story::{Story, Told};
use super::log::serve::RunningLog;
use super::output::{CliError, Context};
use super::{runtime, start_tracing};

/// Where the two logs listen unless told otherwise.
const PORTS: [u16; 2] = [8080, 8081];

/// See a transparency log work: two logs on this machine, and one certificate's way through them.
///
/// It starts two logs with different keys and operators and a small CA that both accept, submits
/// certificates of agents, and verifies in front of your eyes what comes back. Then it keeps
/// serving, so that you can look around with curl and openssl, until you press Ctrl-C.
///
/// Nothing is kept: the logs live in a temporary directory, unless you name one with --dir, which
/// the next `atl dev --dir` goes on with.
///
/// Examples:
///   atl dev
///   atl dev --dir /tmp/atl --ports 9000,9001
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct DevArgs {
    /// Keep logs, keys and certificates in this directory, and go on with what is in it
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the logs listen; 8080,8081 or free ports without it
    #[arg(long, value_name = "A,B", value_parser = ports)]
    ports: Option<Ports>,
    /// Seconds between signed tree heads
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    sth_interval_seconds: u32,
    /// Stop once the story is told
    #[arg(long)]
    once: bool,
}

#[derive(Clone, Copy)]
struct Ports([u16; 2]);

fn ports(text: &str) -> Result<Ports, String> {
    let (first, second) = text.split_once(',').ok_or("two ports with a comma between, such as 9000,9001")?;
    let port = |text: &str| text.trim().parse().map_err(|_| format!("{text:?} is no port (0 takes a free one)"));
    let ports = [port(first)?, port(second)?];
    if ports[0] == ports[1] && ports[0] != 0 {
        return Err("the two logs need different ports".into());
    }
    Ok(Ports(ports))
}

/// Runs it.
pub fn run(args: &DevArgs) -> Result<(), CliError> {
    // The story is for reading; what the servers have to say is for those who ask.
    if std::env::var_os("RUST_LOG").is_some() {
        start_tracing();
    }
    let home = Home::at(args.dir.as_deref())?;
    runtime()?.block_on(dev(args, &home))
}

async fn dev(args: &DevArgs, home: &Home) -> Result<(), CliError> {
    let pki = Pki::at(home.path())?;
    let mut logs = Vec::new();
    let mut running = Vec::new();
    for (name, port) in [("A", 0), ("B", 1)] {
        let mut opened = open_log(home.path(), name, &pki, args.sth_interval_seconds)?;
        opened.config.listen = listen(args.ports, port);
        let log = story::Log::new(name, &opened)?;
        let server = RunningLog::start(opened).await?;
        logs.push(log.at(server.address)?);
        running.push(server);
    }
    let told = tokio::select! {
        told = tell(&pki, &logs, args, home) => told,
        stopped = stopped() => stopped,
        failure = ended(&running) => Err(failure),
    };
    for server in running {
        server.stop().await?;
    }
    told
}

async fn tell(pki: &Pki, logs: &[story::Log], args: &DevArgs, home: &Home) -> Result<(), CliError> {
    let bold = std::io::stdout().is_terminal();
    let told = Story { pki, logs, bold, interval_seconds: args.sth_interval_seconds }.tell().await?;
    let agent = told.save(home.path())?;
    if args.once {
        return Ok(());
    }
    if let [log, ..] = logs {
        try_it(log, &told, &agent, home.path());
    }
    std::future::pending().await
}

fn try_it(log: &story::Log, told: &Told, agent: &Path, home: &Path) {
    let (url, home, agent) = (log.url(), home.display(), agent.display());
    println!(
        "\nBoth logs keep running. Look around in log {name}:
  curl -s {url}/atl/v1/log
  curl -s {url}/atl/v1/get-sth
  curl -s {url}/checkpoint
  curl -s '{url}/atl/v1/get-proof-by-hash?{proof}'
  curl -s '{url}/atl/v1/get-entries?start=0&end=0'
  curl -s {url}/{tile} | xxd -c 32 -p
  curl -s {url}/openapi.json
  curl -s {url}/readyz

The certificate, before and after:
  openssl x509 -noout -text -in {agent}/precertificate.pem
  openssl x509 -noout -text -in {agent}/final.pem

Load the log with certificates of the demo CA, whose files are in {home}/ca:
  atl log hammer --url {url} --ca-key {home}/ca/org-ca-key.pem --ca-cert {home}/ca/org-ca.pem --seconds 5

Ctrl-C stops both logs.",
        name = log.name(),
        proof = told.proof_query,
        tile = told.tile_path,
    );
}

/// Resolves on Ctrl-C or SIGTERM.
async fn stopped() -> Result<(), CliError> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("SIGINT"),
        _ = terminate.recv() => Ok(()),
    }
}

/// Resolves only if a log ends by itself.
async fn ended(running: &[RunningLog]) -> CliError {
    match running {
        [a, b] => tokio::select! { failure = a.ended() => failure, failure = b.ended() => failure },
        _ => std::future::pending().await,
    }
}

/// The address asked for, or the usual one, or a free one where the usual one is taken.
fn listen(asked: Option<Ports>, which: usize) -> SocketAddr {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match asked {
        Some(Ports(ports)) => local(ports[which]),
        None if TcpListener::bind(local(PORTS[which])).is_ok() => local(PORTS[which]),
        None => local(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_two_and_differ() {
        assert_eq!(ports("9000, 9001").unwrap().0, [9000, 9001]);
        assert_eq!(ports("0,0").unwrap().0, [0, 0]);
        for wrong in ["", "9000", "9000,9000", "1,2,3", "a,b", "1,65536"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
