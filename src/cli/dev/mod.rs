//! `atl dev`: a CA, two logs and a trust engine on this machine, an agent's way to its certificate told step by
//! step, and how an agent loses what it was given.

mod around;
mod cast;
mod dishonest;
mod engine;
mod load;
mod monitors;
mod setup;
mod story;
mod view;

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::around::{Around, try_it};
use self::dishonest::Dishonest;
use self::engine::TrustSide;
use self::monitors::Monitors;
use self::setup::{Home, LOW_WATERMARK_OCTETS, parsed};
use self::story::Story;
use self::view::{Log, Unserved};
use super::ca::operator::{Operator, OperatorArgs};
use super::ca::serve::{OpenedCa, RunningCa};
use super::log::serve::RunningLog;
use super::output::{CliError, Context};
use super::server::Running;
use super::{runtime, start_tracing};

/// Where the two logs, the CA, the trust engine, and revocation lists and OCSP listen unless told otherwise.
const PORTS: [u16; 5] = [8080, 8081, 8443, 8444, 8445];

/// See the whole of it work: a CA, two logs, a trust engine and some agents, told step by step.
///
/// It starts two logs with different keys and operators, a CA whose certificates both record, and a trust
/// engine whose scores the CA follows. Three agents enrol, and what comes back is verified in front of your
/// eyes. Then an agent hands on a part of its rights, is accused, and falls, with everybody below it. After
/// that it all keeps serving, so that you can look around with atl, curl and openssl, until you press Ctrl-C.
///
/// Nothing is kept: it all lives in a temporary directory, unless you name one with --dir, which the
/// next `atl dev --dir` goes on with.
///
/// Examples:
///   atl dev
///   atl dev --dishonest
///   atl dev --dir /tmp/atl --ports 9000,9001,9443,9444,9445
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct DevArgs {
    /// Keep CA, logs, trust engine, keys and certificates in this directory, and go on with what is in it
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the logs listen, the CA, the trust engine, and revocation lists and OCSP (plain HTTP);
    /// 8080,8081,8443,8444,8445 or free ports without it
    #[arg(long, value_name = "A,B[,C[,T[,S]]]", value_parser = ports)]
    ports: Option<Ports>,
    /// Seconds between signed tree heads
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    sth_interval_seconds: u32,
    /// Start a third log beside, which is dishonest: two trees under one key, on two free ports, so that some see
    /// another log than the rest (a split view). For monitors to find
    #[arg(long)]
    dishonest: bool,
    /// Stop once the story is told
    #[arg(long)]
    once: bool,
}

/// Two logs' ports, and those of CA, trust engine and status where they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports([Option<u16>; 5]);

fn ports(text: &str) -> Result<Ports, String> {
    let parts: Vec<&str> = text.split(',').collect();
    if !(2..=5).contains(&parts.len()) {
        return Err("two to five ports with commas between, such as 9000,9001,9443,9444,9445".into());
    }
    let mut ports = [None; 5];
    for (port, text) in ports.iter_mut().zip(&parts) {
        let read = text.trim().parse::<u16>();
        *port = Some(read.map_err(|_| format!("{text:?} is no port (0 takes a free one)"))?);
    }
    for (n, port) in ports.iter().enumerate() {
        if port.is_some_and(|port| port != 0) && ports[..n].contains(port) {
            return Err("each server needs a port of its own".into());
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
    let dishonest = match args.dishonest {
        true => Some(Dishonest::start(home, args.sth_interval_seconds).await?),
        false => None,
    };
    let engine = TrustSide::start(home, listen(args.ports, 3)).await?;
    let (ca, operator) = start_ca(args, home, &logs, &engine).await?;
    let url = format!("https://{}", ca.address);
    // Where a listener for it alone is missing, the CA's own serves it too.
    let status = ca.status_address.map_or_else(|| url.clone(), |address| format!("http://{address}"));
    let bold = std::io::stdout().is_terminal();
    let interval_seconds = args.sth_interval_seconds;
    let (engine_url, status) = (&engine.url, &status);
    let story =
        Story { home, logs: &logs, ca: &url, engine: engine_url, status, operator: &operator, bold, interval_seconds };
    let monitors = Monitors::start(home, &logs, dishonest.as_ref(), &url).await?;
    let told = tokio::select! {
        told = tell(args, &story, dishonest.as_ref(), monitors.as_ref()) => told,
        stopped = stopped() => stopped,
        failure = ended(&running) => Err(failure),
        failure = grown(dishonest.as_ref()) => Err(failure),
        failure = engine.running.ended() => Err(failure),
        failure = ca.ended() => Err(failure),
    };
    // First whoever asks, then whoever is asked.
    if let Some(monitors) = monitors {
        monitors.stop().await;
    }
    ca.stop().await?;
    engine.running.stop().await?;
    for server in running {
        server.stop().await?;
    }
    if let Some(dishonest) = dishonest {
        dishonest.stop().await?;
    }
    told
}

/// The CA, told of logs and trust engine where they are now, and its operator. Its configuration says where it is, so
/// that `atl ca ...` finds it.
async fn start_ca(
    args: &DevArgs,
    home: &Home,
    logs: &[Log],
    engine: &TrustSide,
) -> Result<(RunningCa, Operator), CliError> {
    home.name_registry()?;
    let address = listen(args.ports, 2);
    home.configure(|config| {
        config.logs = logs.iter().map(Log::trusted).collect();
        config.disk_low_watermark_bytes = LOW_WATERMARK_OCTETS;
        config.trust.engine = Some(engine.trusted());
    })?;
    let mut opened = OpenedCa::read(&home.join("ca/ca.toml"))?;
    opened.config.listen = address;
    opened.config.status.listen = Some(listen(args.ports, 4));
    let running = RunningCa::start(opened).await?;
    home.configure(|config| {
        config.listen = running.address;
        config.status.listen = running.status_address;
    })?;
    let operator = parsed::<OperatorArgs>(&[("--dir", home.join("ca"))], &[])?.open()?;
    Ok((running, operator))
}

async fn tell(
    args: &DevArgs,
    story: &Story<'_>,
    dishonest: Option<&Dishonest>,
    monitors: Option<&Monitors>,
) -> Result<(), CliError> {
    if let Some(dishonest) = dishonest {
        dishonest.introduce();
    }
    let told = story.tell().await?;
    match (monitors, dishonest) {
        (Some(monitors), _) => story.watch(monitors, dishonest).await?,
        (None, Some(dishonest)) => dishonest.show().await?,
        (None, None) => {}
    }
    if monitors.is_none() {
        println!("\nNobody watches the logs here: build atl-monitor beside this program, and the story goes on.");
    }
    if args.once {
        return Ok(());
    }
    if let [log, ..] = story.logs {
        let Story { home, ca, engine, status, .. } = *story;
        try_it(&Around { home, log, ca, engine, status }, &told);
    }
    std::future::pending().await
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

/// Lets the dishonest log grow, where there is one; resolves only if that fails or it ends by itself.
async fn grown(dishonest: Option<&Dishonest>) -> CliError {
    match dishonest {
        Some(dishonest) => tokio::select! {
            failure = dishonest.grow() => failure,
            failure = dishonest.ended() => failure,
        },
        None => std::future::pending().await,
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
    fn ports_are_two_to_five_and_differ() {
        assert_eq!(ports("9000, 9001").unwrap().0, [Some(9000), Some(9001), None, None, None]);
        assert_eq!(ports("0,0,0,0,0").unwrap().0, [Some(0); 5]);
        assert_eq!(ports("1,2,3").unwrap().0, [Some(1), Some(2), Some(3), None, None]);
        for wrong in ["", "9000", "9000,9000", "1,2,1", "1,2,3,4,3", "1,2,3,4,5,6", "a,b", "1,65536", "1,2,"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
