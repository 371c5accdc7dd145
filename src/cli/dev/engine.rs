//! The demo's trust engine, made as `atl trust init` makes one, and those who tell it of agents.
//!
//! ```text
//! DIR/trust/      as `atl trust init` makes it, with the reporters and the CA's operator in trust.toml
//! DIR/reporters/  shop and bank, as `atl trust reporter-key` makes them
//! ```

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::setup::{Home, LOW_WATERMARK_OCTETS, TRUST_DOMAIN, parsed};
use crate::api::trust::SignalOutcome;
use crate::apki::AgentUri;
use crate::apki::trust_score::DecayRate;
use crate::cli::files::Staged;
use crate::cli::output::{CliError, Context};
use crate::cli::server::random_source;
use crate::cli::trust::access::{Engine, EngineArgs, read_token};
use crate::cli::trust::report::{self, report};
use crate::cli::trust::reporter_key;
use crate::cli::trust::{init, serve::RunningTrust};
use crate::config::TrustConfig;
use crate::config::ca::TrustEngine;
use crate::config::trust::{Operator, Reporter, Role};
use crate::keys::{PublicKey, signer_from_pkcs8_pem};

/// Relying parties that report.
pub const REPORTERS: [&str; 2] = ["shop", "bank"];

/// The operator of the CA's side, who confirms incidents and does nothing else.
pub const CA_OPERATOR: &str = "ca-desk";

/// The file of that operator's token.
const CA_OPERATOR_TOKEN: &str = "trust/operator-ca.token";

/// Points an hour that a score loses here: none, so that a directory can be gone on with after days in which
/// nobody had anything good to say of its agents.
const DECAY_RATE: u8 = 0;

/// The engine, and where it is.
pub struct TrustSide {
    /// Its base URL.
    pub url: String,
    /// Serves.
    pub running: RunningTrust,
}

impl TrustSide {
    /// Starts it at this address, and writes where it is into its configuration, so that `atl trust ...`
    /// finds it.
    pub async fn start(home: &Home, address: SocketAddr) -> Result<Self, CliError> {
        furnish(home)?;
        let mut config = TrustConfig::load(&home.join("trust/trust.toml")).map_err(refused)?;
        config.listen = address;
        let running = RunningTrust::start(config).await?;
        configure(home, |config| config.listen = running.address)?;
        Ok(Self { url: format!("https://{}", running.address), running })
    }

    /// The engine as a CA is told of it, in files beside ca.toml.
    pub fn trusted(&self) -> TrustEngine {
        TrustEngine {
            url: self.url.clone(),
            ca_file: Some("../trust/tls.pem".into()),
            token_file: Some("../trust/reader-ca.token".into()),
        }
    }
}

/// The engine as the operator of the CA's side calls it.
pub fn at_the_ca_desk(home: &Home) -> Result<Engine, CliError> {
    let paths = [("--dir", home.join("trust")), ("--token", home.join(CA_OPERATOR_TOKEN))];
    parsed::<EngineArgs>(&paths, &[])?.open()
}

/// What `atl trust report` does, for the reporter of this name.
pub async fn tell(
    home: &Home,
    engine: &str,
    reporter: &str,
    agent: &AgentUri,
    what: &[&str],
) -> Result<SignalOutcome, CliError> {
    let paths = [
        ("--ca-file", home.join("trust/tls.pem")),
        ("--key", key_file(home, reporter)),
        ("--cert", home.join(&format!("reporters/{reporter}.pem"))),
    ];
    let words = [&["--engine", engine, "--agent", agent.as_str()], what].concat();
    let outcome = report(&parsed::<report::ReportArgs>(&paths, &words)?).await?;
    match &outcome.problem {
        None => Ok(outcome),
        Some(why) => Err(CliError::negative(format!("{reporter}'s signal was refused, {}: {}", why.kind, why.detail))),
    }
}

fn key_file(home: &Home, reporter: &str) -> PathBuf {
    home.join(&format!("reporters/{reporter}-key.pem"))
}

/// Makes what is missing of engine, reporters and the CA's operator.
fn furnish(home: &Home) -> Result<(), CliError> {
    if !home.join("reporters").exists() {
        make_reporters(home)?;
    }
    if !home.join("trust/trust.toml").exists() {
        init::make(&parsed(&[("--dir", home.join("trust"))], &["--domain", TRUST_DOMAIN])?)?;
        let rate = DecayRate::new(DECAY_RATE).context("the demo's decay")?;
        configure(home, |config| config.policy.decay_rate = rate)?;
    }
    let reporters: Vec<Reporter> = REPORTERS
        .iter()
        .map(|name| Ok(Reporter { name: (*name).to_owned(), public_key: public_key(&key_file(home, name))? }))
        .collect::<Result<_, CliError>>()?;
    let token = home.join(CA_OPERATOR_TOKEN);
    if !token.exists() {
        Staged::write(&token, 0o600, init::token()?.as_str())?.commit()?;
    }
    let token_sha256 = init::hash(&read_token(&token)?);
    configure(home, |config| {
        config.disk_low_watermark_bytes = LOW_WATERMARK_OCTETS;
        for reporter in reporters {
            if config.reporters.iter().all(|known| known.name != reporter.name) {
                config.reporters.push(reporter);
            }
        }
        if config.operators.iter().all(|known| known.name != CA_OPERATOR) {
            config.operators.push(Operator { name: CA_OPERATOR.to_owned(), role: Role::Ca, token_sha256 });
        }
    })
}

/// Both or none: the directory is there once they are.
fn make_reporters(home: &Home) -> Result<(), CliError> {
    let new = home.join(".reporters.new");
    if new.exists() {
        fs::remove_dir_all(&new).context(new.display())?;
    }
    for name in REPORTERS {
        reporter_key::make(&parsed(&[("--dir", new.clone())], &["--name", name])?)?;
    }
    fs::rename(&new, home.join("reporters")).context(new.display())
}

fn public_key(file: &Path) -> Result<PublicKey, CliError> {
    let pem = zeroize::Zeroizing::new(fs::read_to_string(file).context(file.display())?);
    Ok(signer_from_pkcs8_pem(&pem, random_source()).context(file.display())?.public_key().clone())
}

/// Changes the engine's configuration, where it is not so already.
fn configure(home: &Home, change: impl FnOnce(&mut TrustConfig)) -> Result<(), CliError> {
    let file = home.join("trust/trust.toml");
    let text = fs::read_to_string(&file).context(file.display())?;
    // Without a base paths stay as they are written.
    let config = TrustConfig::parse(&text, Path::new(""), &file.display().to_string()).map_err(refused)?;
    let mut changed = config.clone();
    change(&mut changed);
    match changed == config {
        true => Ok(()),
        false => Staged::write(&file, 0o644, &changed.render().context(file.display())?)?.commit(),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: crate::config::ConfigError) -> CliError {
    CliError::new(error.to_string())
}
