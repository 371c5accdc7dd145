//! `atl agent renew`: the next certificate, with the current one as the credential.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::csr::AgentKey;
use super::exchange::{Outcome, settle};
use super::files::{AgentDir, Generation, Lock, Pending, PendingRequest};
use super::inspect::KnownLog;
use super::{Delivery, Roots, check_private, connect, known_logs, parents, require_valid, watch};
use crate::api::B64;
use crate::api::ca::EnrolRequest;
use crate::cli::output::{CliError, Context};
use crate::cli::runtime;
use crate::cli::words;
use crate::time::{Clock, SystemClock};

/// Renew an agent's certificate, once or for as long as this runs.
///
/// The current certificate and its key prove who asks (mutual TLS); evidence is gathered anew, the
/// build file hashed again. The answer is verified before anything is replaced, and key and
/// certificate are replaced together.
///
/// With --watch it renews at half of the validity, later by a random part of --jitter percent of
/// it, so that a fleet does not renew at once. Where the CA or a log is down it tries again until
/// the certificate ends. It also asks the CA every --check seconds how the certificate stands, and
/// renews at once where the agent's score has moved. SIGTERM ends it cleanly. It ends with 1 where the
/// certificate was revoked, and with 2 where it has ended: enrol again.
///
/// Example:
///   atl agent renew --watch --dir teller7 --hook 'systemctl reload teller'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RenewArgs {
    /// The agent's directory, from atl agent enroll
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// The CA's base URL, where it is not any more where it was
    #[arg(long, value_name = "URL")]
    pub(super) ca: Option<String>,
    /// Keep the key, where the CA allows it, rather than making a new one
    #[arg(long)]
    same_key: bool,
    /// Keep running, and renew each time when it is due
    #[arg(long)]
    watch: bool,
    /// Run with `sh -c` after each renewal; ATL_AGENT_DIR and ATL_CERT are in its environment
    #[arg(long, value_name = "CMD")]
    pub(super) hook: Option<String>,
    /// With --watch, by how many percent of the validity a renewal may be late, at random
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=25))]
    pub(super) jitter: u8,
    /// With --watch, how often to ask the CA whether the certificate is still good, such as 10s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = words::seconds)]
    pub(super) check: u32,
    /// Wait until there is an answer that is final
    #[arg(long, conflicts_with = "watch")]
    wait: bool,
}

/// Why there was no renewal.
pub(super) struct Missed {
    /// In words.
    pub(super) error: CliError,
    /// How long the CA asks to wait.
    pub(super) retry_after: Option<Duration>,
}

impl From<CliError> for Missed {
    fn from(error: CliError) -> Self {
        Self { error, retry_after: None }
    }
}

/// Runs it.
pub fn run(args: &RenewArgs) -> Result<(), CliError> {
    let dir = AgentDir::open(&args.dir)?;
    let runtime = runtime()?;
    if args.watch {
        return runtime.block_on(watch::run(args, &dir));
    }
    runtime.block_on(async {
        let generation = once(args, &dir).await?;
        println!("{}", told(&generation));
        match &args.hook {
            Some(hook) => watch::run_hook(hook, &dir).await.map_err(CliError::new),
            None => Ok(()),
        }
    })
}

/// Renews once, and writes what holds.
pub async fn once(args: &RenewArgs, dir: &AgentDir) -> Result<Generation, CliError> {
    renew(args, dir).await.map_err(|missed| missed.error)
}

/// A renewal in a line.
pub(super) fn told(generation: &Generation) -> String {
    let settings = &generation.settings;
    let length = words::duration(settings.not_after.since(settings.not_before));
    format!(
        "{} renewed: certificate {} for {length}, until {}",
        settings.agent,
        &settings.sha256.to_string()[..16],
        settings.not_after
    )
}

/// Renews once.
pub(super) async fn renew(args: &RenewArgs, dir: &AgentDir) -> Result<Generation, Missed> {
    let lock = dir.lock()?;
    let mut current = require_valid(dir, &args.dir)?;
    if let Some(ca) = &args.ca {
        check_private(ca)?;
        ca.trim_end_matches('/').clone_into(&mut current.settings.ca);
    }
    let settings = &current.settings;
    let parse = |pem: &str, name: &str| Roots::parse(pem).context(args.dir.join(name).display());
    let roots = parse(&current.root_pem, "root.pem")?;
    let ca_roots = current.ca_roots_pem.as_deref().map(|pem| parse(pem, "ca-roots.pem")).transpose()?;
    let client = connect(&current, &args.dir)?;
    let (pending, key) = prepare(args, dir, &lock, &current)?;
    let send = || client.renew(&pending.request.body);
    let outcome = settle(&client, send, args.wait, |text| eprintln!("{}: {text}", SystemClock.now())).await;
    let answer = match outcome {
        Outcome::Issued(answer) => answer,
        Outcome::Refused(why) => {
            dir.drop_pending(&lock)?;
            return Err(CliError::negative(why).into());
        }
        Outcome::Waiting(waiting) => {
            return Err(Missed { error: CliError::negative(waiting.told()), retry_after: waiting.retry_after });
        }
        Outcome::Unanswered { why, retry_after } => return Err(Missed { error: CliError::new(why), retry_after }),
        Outcome::Failed(why) => return Err(CliError::new(why).into()),
    };
    let pinned = settings.logs.iter().filter(|log| log.pinned).map(KnownLog::restore);
    let pinned: Vec<_> = pinned.collect::<Result<_, _>>().context("agent.json")?;
    let logs = known_logs(&client, &pinned).await?;
    let parents = parents::above(&client, &answer, &current.certificates(&args.dir)?).await;
    let delivery = Delivery {
        dir,
        lock: &lock,
        ca: &settings.ca,
        agent: &settings.agent,
        key: &key,
        roots: &roots,
        ca_roots: ca_roots.as_ref(),
        logs: &logs,
        parents: &parents,
        validity_seconds: settings.validity_seconds,
        evidence: settings.evidence.as_ref(),
    };
    let taken = delivery.take(&answer, SystemClock.now());
    if taken.as_ref().is_err_and(|error| error.code() == 1) {
        // To the same request the CA would give the same answer.
        dir.drop_pending(&lock)?;
    }
    Ok(taken?)
}

/// The request that is kept, where it asks what we ask now with the same certificate, or a new one.
fn prepare(
    args: &RenewArgs,
    dir: &AgentDir,
    lock: &Lock,
    current: &Generation,
) -> Result<(Pending, AgentKey), CliError> {
    let settings = &current.settings;
    let body = EnrolRequest {
        csr: B64(Vec::new()),
        evidence: settings.evidence.as_ref().map(|recipe| recipe.gather()).transpose()?,
        // What it may do, and for whom, stays.
        capabilities: None,
        validity_seconds: settings.validity_seconds,
        principal: None,
    };
    let credential = format!("certificate {}", settings.sha256);
    let (ca, agent) = (settings.ca.clone(), settings.agent.clone());
    let mut asked = PendingRequest { ca, agent, credential, body, terms: None };
    let own = AgentKey::from_pem(&current.key_pem).context("key.pem")?;
    if let Some(pending) = dir.pending()?.filter(|pending| pending.request.asks_the_same(&asked)) {
        let key = AgentKey::from_pem(&pending.key_pem).context("the key of the request that is kept")?;
        if args.same_key == (key.spki() == own.spki()) {
            return Ok((pending, key));
        }
    }
    let key = if args.same_key { own } else { AgentKey::generate(own.kind()).context("a new key")? };
    asked.body.csr = B64(key.request(&settings.agent).context("the certification request")?);
    let pending = Pending { key_pem: key.pem().clone(), request: asked };
    dir.keep_pending(lock, &pending)?;
    Ok((pending, key))
}
