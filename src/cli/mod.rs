//! The command line: one file per subcommand. `serve` is where the parts are put together.
#![allow(clippy::print_stdout, reason = "this is the floor that speaks to people")]

mod agent;
mod ca;
mod dev;
mod evidence;
mod federation;
mod files;
mod gateway;
mod inspect;
mod log;
mod output;
pub mod pki;
mod relying;
mod server;
mod trust;
mod verify;
mod words;

use std::process::ExitCode;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use clap::{Parser, Subcommand};

use output::CliError;

/// The Agent Transparency Log.
///
/// A public, append-only record of AI agent certificates. Certification authorities submit every
/// certificate before it counts; the log answers with a signed timestamp once the entry is on
/// disk; anybody can prove what the log did.
///
/// To see it work:          atl dev
/// To run a log:            atl log init --dir mylog --origin log.example.com/2026h2
///                          atl log serve --config mylog/log.toml
/// To set a CA up:          atl ca init --dir myca --trust-domain agents.example.com \
///                            --organization "Example Bank"
/// To run a trust engine:   atl trust init --dir mytrust --domain agents.example.com
/// To be an agent:          atl agent enroll --help
/// To take others' agents:  atl federation add --help
/// To check an agent:       atl verify --help
/// To know who did what:    atl evidence make --help
/// To guard an API:         atl gateway serve --help
/// To read any of it:       atl inspect FILE
#[derive(Parser)]
#[command(name = "atl", version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a log, look into one, or load one.
    #[command(subcommand)]
    Log(Box<log::LogCommand>),
    /// Set a CA up, and keep its certificates.
    #[command(subcommand)]
    Ca(Box<ca::CaCommand>),
    /// Run a trust engine, operate one, or report to one.
    #[command(subcommand)]
    Trust(Box<trust::TrustCommand>),
    /// Get an agent its certificate, keep it valid, or look into one.
    #[command(subcommand)]
    Agent(Box<agent::AgentCommand>),
    /// Other trust domains: pin them, and take their agents.
    #[command(subcommand)]
    Federation(Box<federation::FederationCommand>),
    Verify(Box<verify::VerifyArgs>),
    /// Signed actions: collect what stands behind one, and judge it years later.
    #[command(subcommand)]
    Evidence(Box<evidence::EvidenceCommand>),
    /// Let agents through a reverse proxy (nginx, Envoy), or not.
    #[command(subcommand)]
    Gateway(Box<gateway::GatewayCommand>),
    Inspect(inspect::InspectArgs),
    Dev(dev::DevArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    end_quietly_where_nobody_reads();
    let outcome = match Cli::parse().command {
        Command::Log(command) => log::run(*command),
        Command::Ca(command) => ca::run(*command),
        Command::Trust(command) => trust::run(*command),
        Command::Agent(command) => agent::run(*command),
        Command::Federation(command) => federation::run(*command),
        Command::Verify(args) => verify::run(&args),
        Command::Evidence(command) => evidence::run(*command),
        Command::Gateway(command) => gateway::run(&command),
        Command::Inspect(args) => inspect::run(&args),
        Command::Dev(args) => dev::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Part of it may be what a server said.
            let lines = error.to_string();
            eprintln!("atl: {}", lines.lines().map(words::clean).collect::<Vec<_>>().join("\n"));
            ExitCode::from(error.code())
        }
    }
}

/// A reader that has seen enough closes the pipe, as `head` does: that is no fault of ours. The process
/// ends as one that the signal of a closed pipe ends.
fn end_quietly_where_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>();
        if said.is_some_and(|said| said.starts_with("failed printing to stdout") && said.contains("Broken pipe")) {
            std::process::exit(141);
        }
        usual(panic);
    }));
}

/// The runtime of commands that wait for the network.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Readers' work: bounded, so that a flood of them costs no flood of stacks.
        .max_blocking_threads(16)
        .build()
        .map_err(|e| CliError::new(format!("the async runtime does not start: {e}")))
}

/// Octets that nobody can guess.
fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut octets = [0; N];
    let filled = SystemRandom::new().fill(&mut octets);
    filled.map(|()| octets).map_err(|_| CliError::new("the system has no randomness to give"))
}

/// Log lines on standard error, for programs that keep running. `RUST_LOG` sets how much.
fn start_tracing() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr);
    let _ = lines.try_init();
}
