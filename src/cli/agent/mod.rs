//! `atl agent ...`: the agent's side of a CA.

mod csr;
pub mod delegate;
pub mod enroll;
pub mod evidence;
pub mod exchange;
pub mod files;
pub mod inspect;
mod parents;
pub mod renew;
pub mod revoke;
mod show;
pub mod sign;
mod staple;
pub mod tls;
mod watch;

use std::fs;
use std::path::Path;

use clap::Subcommand;

use self::csr::AgentKey;
use self::evidence::Recipe;
use self::files::{AgentDir, Generation, Lock, Settings};
use self::inspect::{Expected, KnownLog, accept, certificates_of, pem_of};
use self::tls::Identity;
use crate::api::ca::CertificateAnswer;
use crate::apki::chain::Anchors;
use crate::apki::{AgentUri, Certificate};
use crate::cli::log::remote::polite;
use crate::cli::output::{CliError, Context};
use crate::client::CaClient;
use crate::keys::PublicKey;
use crate::time::{Clock, SystemClock, UnixMillis};

/// The subcommands of `atl agent`.
#[derive(Subcommand)]
pub enum AgentCommand {
    Enroll(Box<enroll::EnrollArgs>),
    Renew(renew::RenewArgs),
    Delegate(Box<delegate::DelegateArgs>),
    Revoke(revoke::RevokeArgs),
    Staple(staple::StapleArgs),
    Sign(sign::SignArgs),
    Show(show::ShowArgs),
}

/// Runs one.
pub fn run(command: AgentCommand) -> Result<(), CliError> {
    match command {
        AgentCommand::Enroll(args) => enroll::run(&args),
        AgentCommand::Renew(args) => renew::run(&args),
        AgentCommand::Delegate(args) => delegate::run(&args),
        AgentCommand::Revoke(args) => revoke::run(&args),
        AgentCommand::Staple(args) => staple::run(&args),
        AgentCommand::Sign(args) => sign::run(&args),
        AgentCommand::Show(args) => show::run(&args),
    }
}

/// Roots with the PEM that is kept of them.
#[derive(Clone, Debug)]
struct Roots {
    anchors: Anchors,
    pem: String,
}

impl Roots {
    /// The roots of a file, PEM; `what` names the file in errors.
    fn read(file: &Path, what: &str) -> Result<Self, CliError> {
        let place = format!("{} ({what})", file.display());
        let text = fs::read_to_string(file).context(&place)?;
        Self::parse(&text).map_err(|why| CliError::new(format!("{place}: {why}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let certificates = certificates_of(text)?;
        if certificates.is_empty() {
            return Err("there is no PEM certificate in it".into());
        }
        let pem = pem_of(&certificates).map_err(|e| e.to_string())?;
        let anchors = Anchors::new(certificates).map_err(|e| e.to_string())?;
        Ok(Self { anchors, pem })
    }
}

/// The logs to verify timestamps with: those that the user pinned, or on the CA's word those that it uses.
async fn known_logs(client: &CaClient, pinned: &[KnownLog]) -> Result<Vec<KnownLog>, CliError> {
    if !pinned.is_empty() {
        return Ok(pinned.to_vec());
    }
    let descriptor = polite(|| client.descriptor()).await.context("what the CA says of itself")?;
    let known = descriptor.logs.iter().map(|log| {
        let key = PublicKey::from_spki_der(&log.key.0);
        let key = key.context(format_args!("the key that the CA gives for {}", log.url))?;
        Ok(KnownLog { name: log.url.clone(), operator: Some(log.operator.clone()), key, pinned: false })
    });
    known.collect()
}

/// What a certificate is verified against before it is written, and what is written beside it.
struct Delivery<'a> {
    dir: &'a AgentDir,
    lock: &'a Lock,
    ca: &'a str,
    agent: &'a AgentUri,
    key: &'a AgentKey,
    roots: &'a Roots,
    ca_roots: Option<&'a Roots>,
    logs: &'a [KnownLog],
    /// The certificates of the agents above it.
    parents: &'a [Certificate],
    validity_seconds: Option<u32>,
    evidence: Option<&'a Recipe>,
}

impl Delivery<'_> {
    /// Verifies the answer and puts key and certificate into use.
    fn take(&self, answer: &CertificateAnswer, now: UnixMillis) -> Result<Generation, CliError> {
        let spki = self.key.spki();
        let expected = Expected { agent: self.agent, spki: &spki, anchors: &self.roots.anchors, logs: self.logs, now };
        let certificates = accept(answer, expected).map_err(|why| {
            CliError::negative(format!("the CA's answer does not hold, and nothing of it was written: {why}"))
        })?;
        let certificate = certificates.first().ok_or_else(|| CliError::new("the CA's answer is empty"))?;
        let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
        let half = not_before.saturating_add(not_after.since(not_before) / 2);
        // Half of the validity, unless the CA wants to see us sooner.
        let renew_at = answer.renew_at.clamp(not_before, half);
        let settings = Settings {
            ca: self.ca.to_owned(),
            agent: self.agent.clone(),
            sha256: answer.sha256,
            not_before,
            not_after,
            renew_at,
            validity_seconds: self.validity_seconds,
            evidence: self.evidence.cloned(),
            logs: self.logs.iter().map(KnownLog::saved).collect(),
        };
        let generation = Generation {
            key_pem: self.key.pem().clone(),
            chain_pem: pem_of(&certificates).context("the chain")?,
            parents_pem: (!self.parents.is_empty()).then(|| pem_of(self.parents)).transpose().context("the parents")?,
            root_pem: self.roots.pem.clone(),
            ca_roots_pem: self.ca_roots.map(|roots| roots.pem.clone()),
            settings,
        };
        self.dir.install(self.lock, &generation)?;
        self.dir.drop_pending(self.lock)?;
        Ok(generation)
    }
}

/// The key and certificate in use, which must still be valid: nothing else proves who asks. `place` is the
/// directory as the user named it.
fn require_valid(dir: &AgentDir, place: &Path) -> Result<Generation, CliError> {
    let missing = || CliError::new(format!("{}: no certificate in it; enrol first: atl agent enroll", place.display()));
    let current = dir.current()?.ok_or_else(missing)?;
    let settings = &current.settings;
    if SystemClock.now() > settings.not_after {
        return Err(CliError::new(format!(
            "the certificate of {} ended at {}, so it cannot ask for another; enrol again with a new token from the \
             CA's operator: atl agent enroll --ca {} --agent {} --dir {} --root {}",
            settings.agent,
            settings.not_after,
            settings.ca,
            settings.agent,
            place.display(),
            place.join("root.pem").display()
        )));
    }
    Ok(current)
}

/// The agent's CA, over mutual TLS with the certificate in use.
fn connect(current: &Generation, place: &Path) -> Result<CaClient, CliError> {
    let roots = current.ca_roots_pem.as_deref().map(Roots::parse).transpose();
    let roots = roots.context(place.join("ca-roots.pem").display())?;
    let identity = Identity { chain_pem: &current.chain_pem, key_pem: &current.key_pem };
    let ca = &current.settings.ca;
    let http = tls::http_client(roots.map(|roots| roots.anchors), Some(identity)).context(ca)?;
    CaClient::with_http(ca, http).context("the CA in agent.json")
}

/// A secret goes over TLS, or to this machine itself.
fn check_private(ca: &str) -> Result<(), CliError> {
    if tls::is_private(ca).context("--ca")? {
        return Ok(());
    }
    Err(CliError::new(format!("{ca}: without TLS anybody on the way could read what is sent; use https://")))
}

#[cfg(test)]
mod tests;
