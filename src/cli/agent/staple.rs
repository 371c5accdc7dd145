//! `atl agent staple`: the OCSP answer for an agent's certificate, as a file for the server that shows it
//! (RFC 6066 section 8).

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use thiserror::Error;

use super::files::{AgentDir, Generation};
use super::watch::Stop;
use super::{Roots, certificates_of, require_valid, tls};
use crate::api::ca::Hex32;
use crate::apki::Certificate;
use crate::apki::status::RevocationReason;
use crate::apki::status::ocsp::{CertId, CertIdHash, CertStatus, OcspRequest, OcspResponse};
use crate::cli::files::Staged;
use crate::cli::output::{CliError, print_rows};
use crate::cli::{runtime, words};
use crate::client::{self, ClientError};
use crate::time::{Clock, SystemClock, UnixMillis};

/// How often a watch looks whether the certificate was renewed.
const LOOK: Duration = Duration::from_secs(10);
/// The wait after a first failure; it doubles.
const FIRST_PAUSE_MS: u64 = 2_000;
/// The longest wait after a failure.
const LONGEST_PAUSE_MS: u64 = 60_000;

/// Fetch what the CA says of the agent's certificate by OCSP, and write it where a server staples it from.
///
/// The answer is verified before it is written: its signature, whoever signed, and its times. It is
/// replaced in one step, so that a server never reads half of one. An answer of `revoked` is written as
/// well, so that nobody goes on showing the one before; then the command ends with 1.
///
/// With --watch it fetches the next answer at half of the time that this one holds, and at once where the
/// certificate was renewed.
///
/// Example:
///   atl agent staple --dir teller7 --out /run/teller7.ocsp --watch
///   nginx: ssl_stapling on; ssl_stapling_file /run/teller7.ocsp;
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct StapleArgs {
    /// The agent's directory, from atl agent enroll or delegate
    #[arg(long)]
    dir: PathBuf,
    /// The file to write, in DER
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where to ask, rather than where the certificate says
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Keep running, and replace the file in time
    #[arg(long)]
    watch: bool,
}

/// Why there is no staple that says that the certificate is good.
#[derive(Debug, Error)]
enum NoStaple {
    /// The certificate holds no more.
    #[error("{0}")]
    Revoked(String),
    /// It cannot be had at the moment.
    #[error("{0}")]
    Failed(String),
}

/// An answer that is the issuer's.
struct Staple {
    sha256: Hex32,
    /// Since when the certificate is revoked and why, if it is.
    revoked: Option<(UnixMillis, RevocationReason)>,
    this_update: UnixMillis,
    next_update: UnixMillis,
}

impl Staple {
    /// Half of the time that it holds.
    fn due_at(&self) -> UnixMillis {
        self.this_update.saturating_add(self.next_update.since(self.this_update) / 2)
    }
}

/// Runs it.
pub fn run(args: &StapleArgs) -> Result<(), CliError> {
    let dir = AgentDir::open(&args.dir)?;
    let runtime = runtime()?;
    if args.watch {
        return runtime.block_on(watch(args, &dir));
    }
    let current = require_valid(&dir, &args.dir)?;
    let staple = runtime.block_on(fetch(args, &current)).map_err(ended)?;
    print_rows([
        ("good", current.settings.agent.to_string()),
        ("as of", staple.this_update.to_string()),
        ("until", staple.next_update.to_string()),
        ("file", args.out.display().to_string()),
    ]);
    Ok(())
}

fn ended(why: NoStaple) -> CliError {
    match why {
        NoStaple::Revoked(why) => CliError::negative(why),
        NoStaple::Failed(why) => CliError::new(why),
    }
}

async fn watch(args: &StapleArgs, dir: &AgentDir) -> Result<(), CliError> {
    let mut stop = Stop::new()?;
    let (mut last, mut failures): (Option<Staple>, u32) = (None, 0);
    loop {
        let current = require_valid(dir, &args.dir)?;
        let now = SystemClock.now();
        let fresh = last.as_ref().filter(|staple| staple.sha256 == current.settings.sha256 && now < staple.due_at());
        let nap = match fresh {
            Some(staple) => Duration::from_millis(staple.due_at().since(now)).min(LOOK),
            None => match fetch(args, &current).await {
                Ok(staple) => {
                    let held = words::duration(staple.next_update.since(now));
                    println!("{now} {}: good, for {held}: {}", current.settings.agent, args.out.display());
                    (last, failures) = (Some(staple), 0);
                    continue;
                }
                Err(NoStaple::Revoked(why)) => return Err(CliError::negative(why)),
                Err(NoStaple::Failed(why)) => {
                    let pause = Duration::from_millis((FIRST_PAUSE_MS << failures.min(5)).min(LONGEST_PAUSE_MS));
                    failures += 1;
                    println!("{now} not replaced: {why}; again in {} s", pause.as_secs());
                    pause
                }
            },
        };
        tokio::select! {
            () = tokio::time::sleep(nap) => {}
            () = stop.wait() => break,
        }
    }
    println!("{} ended by a signal", SystemClock.now());
    Ok(())
}

/// Asks, verifies and writes.
async fn fetch(args: &StapleArgs, current: &Generation) -> Result<Staple, NoStaple> {
    let failed = |e: String| NoStaple::Failed(e);
    let chain = certificates_of(&current.chain_pem).map_err(|e| failed(format!("cert.pem: {e}")))?;
    let [certificate, issuer, ..] = chain.as_slice() else {
        return Err(failed("cert.pem: the issuer is missing behind the certificate".into()));
    };
    let url = url(args, certificate)?;
    let octets = ask(current, &args.dir, &url, certificate, issuer).await?;
    let staple = read(&octets, certificate, issuer, &url, current, SystemClock.now())?;
    // Whatever it says: a server that went on showing the answer before would deceive its peers until that ends.
    let written = Staged::octets(&args.out, 0o644, &octets).and_then(Staged::commit);
    let Some((at, reason)) = staple.revoked else {
        return written.map(|()| staple).map_err(|e| failed(e.to_string()));
    };
    let shown = match written {
        Ok(()) => format!("{} says so", args.out.display()),
        Err(e) => format!("this could not be written, so a server may still show an earlier answer: {e}"),
    };
    let agent = &current.settings.agent;
    Err(NoStaple::Revoked(format!("the certificate of {agent} is revoked since {at} ({reason}); {shown}")))
}

fn url(args: &StapleArgs, certificate: &Certificate) -> Result<String, NoStaple> {
    let missing = "the certificate does not say where to ask for its status; name the CA's responder with --url";
    match (&args.url, certificate.ocsp_url()) {
        (Some(url), _) => Ok(url.clone()),
        (None, Ok(Some(url))) => Ok(url.to_owned()),
        (None, Ok(None)) => Err(NoStaple::Failed(missing.into())),
        (None, Err(e)) => Err(NoStaple::Failed(format!("{missing}: {e}"))),
    }
}

/// The answer as it came. There is no nonce in the question: what is stapled is for many handshakes.
async fn ask(
    current: &Generation,
    dir: &Path,
    url: &str,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Result<Vec<u8>, NoStaple> {
    let failed = |e: &dyn std::fmt::Display| NoStaple::Failed(format!("{url}: {e}"));
    let id = CertId::of(issuer, certificate.serial(), CertIdHash::Sha1).map_err(|e| failed(&e))?;
    let request = OcspRequest::new(vec![id], None).map_err(|e| failed(&e))?;
    let roots = match &current.ca_roots_pem {
        Some(pem) => {
            Some(Roots::parse(pem).map_err(|e| failed(&format_args!("{}: {e}", dir.join("ca-roots.pem").display())))?)
        }
        None => None,
    };
    let http = tls::http_client(roots.map(|roots| roots.anchors), None).map_err(|e| failed(&e))?;
    client::ocsp(&http, url, request.to_der()).await.map_err(|e: ClientError| NoStaple::Failed(e.to_string()))
}

/// What the answer says, once it is seen to be the issuer's.
fn read(
    octets: &[u8],
    certificate: &Certificate,
    issuer: &Certificate,
    url: &str,
    current: &Generation,
    now: UnixMillis,
) -> Result<Staple, NoStaple> {
    let failed = |e: &dyn std::fmt::Display| NoStaple::Failed(format!("{url}: {e}"));
    let response = OcspResponse::parse(octets).map_err(|e| failed(&e))?;
    let id = CertId::of(issuer, certificate.serial(), CertIdHash::Sha1).map_err(|e| failed(&e))?;
    let answer = response.verify(&id, issuer, now, None).map_err(|e| failed(&e))?;
    let revoked = match answer.status {
        CertStatus::Good => None,
        CertStatus::Revoked { at, reason } => Some((at.millis(), reason)),
        CertStatus::Unknown => return Err(failed(&"the responder does not know the certificate")),
    };
    let next_update = answer.next_update.ok_or_else(|| failed(&"the answer does not say until when it holds"))?;
    Ok(Staple {
        sha256: current.settings.sha256,
        revoked,
        this_update: answer.this_update.millis(),
        next_update: next_update.millis(),
    })
}
