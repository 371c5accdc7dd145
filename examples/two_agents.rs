//! Two agents, one channel: processes of their own that know each other by their certificates alone.
//!
//! ```text
//! cargo run --example two_agents --no-default-features --features tls
//!     a little PKI in a temporary directory, a bank, and two agents that come to it: one may, one may not
//!
//! two_agents serve DIR [CONNECTIONS]       the agent of this directory, from atl agent enroll, is the bank
//! two_agents connect DIR ADDRESS AGENT     the agent of this directory asks the bank, which is AGENT, at ADDRESS
//! ```
//! An agent is whatever `atl agent enroll` or `atl agent delegate` wrote: `cert.pem`, `parents.pem` where others
//! are above it, `key.pem`; and it trusts `root.pem` for its own domain, and the logs in `agent.json`.
#![allow(clippy::print_stdout)]

#[path = "two_agents/pki.rs"]
mod pki;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use atl::apki::chain::Anchors;
use atl::apki::extension::{AsciiText, Text};
use atl::apki::federation::TrustDomain;
use atl::apki::trust_score::Score;
use atl::apki::{AgentUri, Certificate};
use atl::keys::PublicKey;
use atl::time::{SystemClock, UnixMillis};
use atl::tls::{Endpoint, Expected, Identity, Material, TlsError};
use atl::verify::relying::{
    Domain, Domains, LogList, Operation, Policy, RelyingParty, RevocationMode, RevocationPolicy, Trusted, TrustedLog,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// What the bank's callers want to do.
const TOOL: &str = "https://bank.agents.example/accounts";
const SCOPE: &str = "accounts/read";
/// What the bank says before where it listens.
const LISTENS: &str = "listens at ";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let ended = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => env::current_exe().map_err(Into::into).and_then(|program| {
            demo(&|args| {
                let mut command = Command::new(&program);
                command.args(args);
                command
            })
        }),
        _ => run(&args),
    };
    match ended {
        Ok(told) => {
            print!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// One agent's process; gives what is to be told at its end.
pub fn run(args: &[String]) -> Outcome<String> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", dir] => serve(Path::new(dir), usize::MAX),
        ["serve", dir, connections] => serve(Path::new(dir), connections.parse()?),
        ["connect", dir, address, agent] => connect(Path::new(dir), address, &agent.parse()?),
        _ => Err("usage: two_agents [serve DIR [CONNECTIONS] | connect DIR ADDRESS AGENT]".into()),
    }
}

/// The bank: answers whoever may read accounts, and tells the others why they may not.
fn serve(dir: &Path, connections: usize) -> Outcome<String> {
    let endpoint = endpoint(dir)?;
    let operation = Operation { tool_uri: AsciiText::new(TOOL)?, scope: Text::new(SCOPE)?, spend: None };
    let caller = Expected::anyone().allowed_to(operation);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{LISTENS}{}", listener.local_addr()?);
    for stream in listener.incoming().take(connections) {
        match endpoint.accept(patient(stream?)?, &caller) {
            Ok(mut channel) => {
                let peer = channel.peer();
                println!("took {}, {} ({})", peer.agent(), peer.tier().name(), peer.accepted().score.get());
                let answer = format!("Your balance is 4711 EUR, {}.\n", peer.agent());
                channel.write_all(answer.as_bytes())?;
                channel.close()?;
            }
            Err(error) if error.is_verdict() => println!("{error}"),
            // One peer that went away is no reason to stop.
            Err(error) => println!("no connection: {error}"),
        }
    }
    Ok(String::new())
}

/// An agent: asks the bank, and no other agent that may stand there.
fn connect(dir: &Path, address: &str, bank: &AgentUri) -> Outcome<String> {
    let endpoint = endpoint(dir)?;
    match endpoint.connect(patient(TcpStream::connect(address)?)?, &Expected::agent(bank)) {
        Ok(mut channel) => {
            let mut answer = String::new();
            channel.read_to_string(&mut answer)?;
            Ok(format!("{} says: {answer}", channel.peer().agent()))
        }
        Err(TlsError::TurnedAway(told)) => {
            let reasons =
                told.reasons.iter().map(|r| format!("  {}: {}\n    {} ({})\n", r.code, r.detail, r.help, r.rule));
            Ok(format!("{bank} refuses {}:\n{}", own_name(dir)?, reasons.collect::<String>()))
        }
        Err(other) => Err(other.into()),
    }
}

/// The agent of a directory, which explains its refusals and wants to have them explained.
fn endpoint(dir: &Path) -> Outcome<Endpoint> {
    let text = |name: &str| fs::read_to_string(dir.join(name));
    let identity = Identity::from_pem(&text("cert.pem")?, &text("parents.pem").unwrap_or_default(), &text("key.pem")?)?;
    let material = Material::new(trust(dir, identity.agent())?);
    Ok(Endpoint::new(identity, material, Arc::new(SystemClock)).explaining())
}

/// Trusts the agents of one's own domain below its root, from 40 points on, and the logs that the directory has.
fn trust(dir: &Path, own: &AgentUri) -> Outcome<RelyingParty> {
    let roots = fs::read(dir.join("root.pem"))?;
    let roots = CertificateDer::pem_slice_iter(&roots).map(|der| Ok(Certificate::parse(der?.to_vec())?));
    let anchors = Anchors::new(roots.collect::<Outcome<Vec<_>>>()?)?;
    let domain = (TrustDomain::parse(own.trust_domain())?, Domain::own(Trusted::Roots(anchors)));
    let settings: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("agent.json"))?)?;
    let logs = settings["logs"].as_array().ok_or("agent.json names no logs")?.iter().map(trusted_log);
    // Nobody here fetches revocation lists; who does hands them to the endpoint (`replace_facts`).
    let revocation = RevocationPolicy { mode: RevocationMode::SoftFail, max_age: None, issuers: false };
    let policy = Policy::new(Score::new(40)?, revocation);
    Ok(RelyingParty { policy, domains: Domains::new([domain]), logs: LogList::new(logs.collect::<Outcome<_>>()?)? })
}

fn trusted_log(log: &serde_json::Value) -> Outcome<TrustedLog> {
    let text = |name: &str| log[name].as_str().unwrap_or_default().to_owned();
    let key = PublicKey::from_spki_der(&STANDARD.decode(text("key"))?)?;
    // A log whose operator is not known is nobody else's witness.
    Ok(TrustedLog {
        name: text("log"),
        origin: None,
        key,
        operator: text("operator"),
        from: UnixMillis::new(0),
        until: None,
    })
}

fn own_name(dir: &Path) -> Outcome<AgentUri> {
    let der = CertificateDer::from_pem_file(dir.join("cert.pem"))?;
    Ok(Certificate::parse(der.to_vec())?.agent_uri()?)
}

/// Nobody waits for a peer for ever.
fn patient(stream: TcpStream) -> Outcome<TcpStream> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// The bank and its two callers, each a process that `program` makes of its arguments; gives what each of them said.
pub fn demo(program: &dyn Fn(&[&str]) -> Command) -> Outcome<String> {
    let temp = tempfile::tempdir()?;
    let cast = pki::write(temp.path(), TOOL, SCOPE)?;
    let path = |name: &str| temp.path().join(name).display().to_string();
    let start = |args: &[&str]| program(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();

    let mut bank = Ended(start(&["serve", &path("bank"), "2"])?);
    let mut said = BufReader::new(bank.0.stdout.take().ok_or("the bank has no output")?);
    let mut line = String::new();
    let address = loop {
        line.clear();
        if said.read_line(&mut line)? == 0 {
            return Err("the bank ended before it listened".into());
        }
        if let Some((_, address)) = line.split_once(LISTENS) {
            break address.trim().to_owned();
        }
    };
    let mut told = String::new();
    for caller in ["teller", "intern"] {
        let output = start(&["connect", &path(caller), &address, &cast.bank])?.wait_with_output()?;
        told.push_str(&format!("--- {caller}\n{}", String::from_utf8_lossy(&output.stdout)));
    }
    let mut of_bank = String::new();
    said.read_to_string(&mut of_bank)?;
    Ok(format!("{told}--- bank\n{of_bank}"))
}

/// A process that does not outlive its parent.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
