//! `atl dev`: a CA and two logs on this machine, and an agent's way to its certificate told step by step.

mod cast;
mod setup;
mod story;
mod view;

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::setup::{Home, LOW_WATERMARK_OCTETS, parsed};
use self::story::{Story, Told};
use self::view::{Log, Unserved};
use super::ca::operator::{Operator, OperatorArgs};
use super::ca::serve::{OpenedCa, RunningCa};
use super::log::serve::RunningLog;
use super::output::{CliError, Context};
use super::{runtime, start_tracing};

/// Where the two logs and the CA listen unless told otherwise.
const PORTS: [u16; 3] = [8080, 8081, 8443];

/// See the whole of it work: a CA, two logs, three agents, and one certificate's way told step by step.
///
/// It starts two logs with different keys and operators, and a CA whose certificates both record. Three
/// agents enrol, and what comes back is verified in front of your eyes. Then it keeps serving, so that you
/// can look around with atl, curl and openssl, until you press Ctrl-C.
///
/// Nothing is kept: it all lives in a temporary directory, unless you name one with --dir, which the
/// next `atl dev --dir` goes on with.
///
/// Examples:
///   atl dev
///   atl dev --dir /tmp/atl --ports 9000,9001,9443
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct DevArgs {
    /// Keep CA, logs, keys and certificates in this directory, and go on with what is in it
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the logs listen, and the CA; 8080,8081,8443 or free ports without it
    #[arg(long, value_name = "A,B[,C]", value_parser = ports)]
    ports: Option<Ports>,
    /// Seconds between signed tree heads
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    sth_interval_seconds: u32,
    /// Stop once the story is told
    #[arg(long)]
    once: bool,
}

/// Two logs' ports, and the CA's where it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports([Option<u16>; 3]);

fn ports(text: &str) -> Result<Ports, String> {
    let parts: Vec<&str> = text.split(',').collect();
    if !(2..=3).contains(&parts.len()) {
        return Err("two or three ports with commas between, such as 9000,9001,9443".into());
    }
    let mut ports = [None; 3];
    for (port, text) in ports.iter_mut().zip(&parts) {
        let read = text.trim().parse::<u16>();
        *port = Some(read.map_err(|_| format!("{text:?} is no port (0 takes a free one)"))?);
    }
    for (n, port) in ports.iter().enumerate() {
        if port.is_some_and(|port| port != 0) && ports[..n].contains(port) {
            return Err("logs and CA need different ports".into());
        }
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
    home.furnish()?;
    let (mut logs, mut running) = (Vec::new(), Vec::new());
    for (name, port) in [("A", 0), ("B", 1)] {
        let mut opened = home.open_log(name, args.sth_interval_seconds)?;
        opened.config.listen = listen(args.ports, port);
        let log = Unserved::new(name, &opened)?;
        let server = RunningLog::start(opened).await?;
        logs.push(log.at(server.address)?);
        running.push(server);
    }
    let (ca, operator) = start_ca(args, home, &logs).await?;
    let url = format!("https://{}", ca.address);
    let told = tokio::select! {
        told = tell(args, home, &logs, &url, &operator) => told,
        stopped = stopped() => stopped,
        failure = ended(&running) => Err(failure),
        failure = ca.ended() => Err(failure),
    };
    // First whoever asks, then whoever is asked.
    ca.stop().await?;
    for server in running {
        server.stop().await?;
    }
    told
}

/// The CA, told of the logs where they are now, and its operator. Its configuration says where it is, so
/// that `atl ca ...` finds it.
async fn start_ca(args: &DevArgs, home: &Home, logs: &[Log]) -> Result<(RunningCa, Operator), CliError> {
    home.name_registry()?;
    let address = listen(args.ports, 2);
    home.configure(|config| {
        config.logs = logs.iter().map(Log::trusted).collect();
        config.disk_low_watermark_bytes = LOW_WATERMARK_OCTETS;
    })?;
    let mut opened = OpenedCa::read(&home.join("ca/ca.toml"))?;
    opened.config.listen = address;
    let running = RunningCa::start(opened).await?;
    home.configure(|config| config.listen = running.address)?;
    let operator = parsed::<OperatorArgs>(&[("--dir", home.join("ca"))], &[])?.open()?;
    Ok((running, operator))
}

async fn tell(args: &DevArgs, home: &Home, logs: &[Log], ca: &str, operator: &Operator) -> Result<(), CliError> {
    let bold = std::io::stdout().is_terminal();
    let story = Story { home, logs, ca, operator, bold, interval_seconds: args.sth_interval_seconds };
    let told = story.tell().await?;
    if args.once {
        return Ok(());
    }
    if let [log, ..] = logs {
        try_it(home, log, ca, &told);
    }
    std::future::pending().await
}

fn try_it(home: &Home, log: &Log, ca: &str, told: &Told) {
    let shown = |name: &str| home.join(name).display().to_string();
    let (agents, dir, root) = (shown("agents"), shown("ca"), shown("ca/root.pem"));
    println!(
        "\nCA and logs keep running. Look at an agent's certificate:
  atl agent show --dir {agents}/shopper
  openssl x509 -noout -text -in {agents}/shopper/cert.pem
  openssl verify -CAfile {root} -untrusted {agents}/shopper/cert.pem {agents}/shopper/cert.pem
  atl agent renew --watch --dir {agents}/shopper

Ask the CA, and operate it:
  curl -s --cacert {root} {ca}/ca/v1/ca
  curl -s --cacert {root} {ca}/metrics
  atl ca token mint --dir {dir} --agents 'agent://{domain}/demo/mine/1'
  ATL_ENROL_TOKEN=... atl agent enroll --ca {ca} --root {root} --dir mine --wait \\
    --agent agent://{domain}/demo/mine/1 --capability 'https://tools.example tools/use'
  atl ca requests list --dir {dir}
  atl ca requests approve --dir {dir} ID
  atl ca audit export --dir {dir} > journal.jsonl && atl ca audit verify --file journal.jsonl

Look around in log {name}:
  curl -s {url}/atl/v1/get-sth
  curl -s {url}/checkpoint
  curl -s '{url}/atl/v1/get-proof-by-hash?{proof}'
  curl -s '{url}/atl/v1/get-entries?start=0&end=0'
  curl -s {url}/{tile} | xxd -c 32 -p
  curl -s {url}/openapi.json

Load it with certificates of a CA that is there for that only:
  atl log hammer --url {url} --ca-key {load}/org-ca-key.pem --ca-cert {load}/org-ca.pem --seconds 5

Ctrl-C stops the CA and both logs.",
        domain = setup::TRUST_DOMAIN,
        url = log.url,
        name = log.name,
        proof = told.proof_query,
        tile = told.tile_path,
        load = shown("load"),
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
    match asked.and_then(|Ports(ports)| ports[which]) {
        Some(port) => local(port),
        None if TcpListener::bind(local(PORTS[which])).is_ok() => local(PORTS[which]),
        None => local(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_two_or_three_and_differ() {
        assert_eq!(ports("9000, 9001").unwrap().0, [Some(9000), Some(9001), None]);
        assert_eq!(ports("0,0,0").unwrap().0, [Some(0); 3]);
        assert_eq!(ports("1,2,3").unwrap().0, [Some(1), Some(2), Some(3)]);
        for wrong in ["", "9000", "9000,9000", "1,2,1", "1,2,3,4", "a,b", "1,65536", "1,2,"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
