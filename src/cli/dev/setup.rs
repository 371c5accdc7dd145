//! The demo's directory: a CA as `atl ca init` makes it, two logs that accept its root, a registry of
//! good builds, and a small CA of its own for those who want to load the logs.
//!
//! ```text
//! DIR/ca/         as `atl ca init --insecure-dev` makes it, with both logs and the registry in ca.toml
//! DIR/log-a/, log-b/
//! DIR/registry/   registry.json, the key that signs it, and a build that is in it
//! DIR/agents/     a directory for each agent, as `atl agent enroll` makes it
//! DIR/load/       the CA of `atl log hammer`
//! DIR/runs        how often the story was told
//! ```

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::{Args, FromArgMatches};
use sha2::{Digest, Sha256};

use crate::ca::registry;
use crate::cli::ca::init as ca_init;
use crate::cli::files::{Staged, write_new};
use crate::cli::log::init as log_init;
use crate::cli::log::open::OpenedLog;
use crate::cli::output::{CliError, Context};
use crate::cli::pki::{DemoPki, KeyKind};
use crate::cli::random;
use crate::config::CaConfig;
use crate::config::ca::{ManualApproval, Registry};
use crate::keys::{Ed25519Signer, Signer};
use crate::time::{Clock, SystemClock};

/// Whose agents the demo's CA issues for.
pub const TRUST_DOMAIN: &str = "agents.dev.example";

/// The demo takes what a developer's disk has left.
pub const LOW_WATERMARK_OCTETS: u64 = 64 << 20;

/// What stands for a build, in a file of its own.
const BUILD: &str = "This file stands for the build of the demo's shopper, version 1.0.\n";

/// Where everything is. A directory that nobody named is removed at the end.
pub struct Home {
    path: PathBuf,
    temporary: bool,
}

impl Home {
    /// The directory named, or a new one.
    pub fn at(named: Option<&Path>) -> Result<Self, CliError> {
        let temporary = named.is_none();
        let path = match named {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("atl-dev-{}", hex::encode(random::<4>()?))),
        };
        // There are private keys in it.
        let made = DirBuilder::new().recursive(!temporary).mode(0o700).create(&path);
        made.context(path.display())?;
        let path = path.canonicalize().context(path.display())?;
        Ok(Self { path, temporary })
    }

    /// A place in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The root of agents' certificates.
    pub fn root_file(&self) -> PathBuf {
        self.join("ca/root.pem")
    }

    /// A build that the registry knows.
    pub fn build_file(&self) -> PathBuf {
        self.join("registry/shopper-1.0.build")
    }

    /// Makes what is missing of CA, registry and the CA for load.
    pub fn furnish(&self) -> Result<(), CliError> {
        if !self.join("registry").exists() {
            self.make_registry()?;
        }
        if !self.join("load").exists() {
            self.make_load()?;
        }
        if !self.join("ca").exists() {
            let words = [
                "--trust-domain",
                TRUST_DOMAIN,
                "--organization",
                "Demo Ltd",
                "--listen",
                "127.0.0.1:0",
                "--insecure-dev",
            ];
            ca_init::make(&parsed(&[("--dir", self.join("ca"))], &words)?)?;
        }
        Ok(())
    }

    /// The demo's registry has one build, good for shoppers.
    fn make_registry(&self) -> Result<(), CliError> {
        let new = self.join(".registry.new");
        fs::create_dir_all(&new).context(new.display())?;
        let key = Ed25519Signer::from_seed(&random()?).context("the registry's key")?;
        let entry = serde_json::json!({
            "build_hash": hex::encode(Sha256::digest(BUILD)),
            "name": "shopper",
            "version": "1.0",
            "agents": format!("agent://{TRUST_DOMAIN}/demo/shopper/*"),
        });
        let entries = serde_json::json!({ "entries": [entry] }).to_string();
        let signed = registry::sign(entries.as_bytes(), &key).context("the registry")?;
        let replace = |name: &str, mode, text: &str| Staged::write(&new.join(name), mode, text)?.commit();
        replace("registry-key.pem", 0o600, &key.to_pkcs8_pem().context("the registry's key")?)?;
        replace("registry.json", 0o644, &signed)?;
        replace("shopper-1.0.build", 0o644, BUILD)?;
        fs::rename(&new, self.join("registry")).context(new.display())
    }

    /// Certificates for load are nobody's: the CA's own key has no part in them.
    fn make_load(&self) -> Result<(), CliError> {
        let dir = self.join("load");
        let pki = DemoPki::new(KeyKind::P256, SystemClock.now()).context("the CA for load")?;
        fs::create_dir_all(&dir).context(dir.display())?;
        write_new(&dir.join("root-ca.pem"), 0o644, &pki.root.certificate_pem)?;
        write_new(&dir.join("org-ca-key.pem"), 0o600, &pki.org.key_pem)?;
        write_new(&dir.join("org-ca.pem"), 0o644, &pki.org.certificate_pem)
    }

    /// The log of this name, made as `atl log init` makes it unless it is there.
    pub fn open_log(&self, name: &str, sth_interval_seconds: u32) -> Result<OpenedLog, CliError> {
        let dir = self.join(&format!("log-{}", name.to_lowercase()));
        let config = dir.join("log.toml");
        if !config.exists() {
            let origin = format!("log-{}.dev.example/1", name.to_lowercase());
            let operator = format!("Demo operator {name}");
            let paths = [("--dir", dir), ("--anchor", self.root_file()), ("--anchor", self.join("load/root-ca.pem"))];
            log_init::make(&parsed(&paths, &["--origin", &origin, "--operator", &operator])?)?;
        }
        let mut opened = OpenedLog::read(&config)?;
        opened.config.sth_interval_seconds = sth_interval_seconds;
        opened.config.disk_low_watermark_bytes = LOW_WATERMARK_OCTETS;
        Ok(opened)
    }

    /// Which time this is that the story is told here, the first being 1.
    pub fn count_run(&self) -> Result<u32, CliError> {
        let file = self.join("runs");
        let before: u32 = match fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().context(file.display())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).context(file.display()),
        };
        let run = before.saturating_add(1);
        Staged::write(&file, 0o644, &format!("{run}\n"))?.commit()?;
        Ok(run)
    }

    /// Changes the CA's configuration, where it is not so already.
    pub fn configure(&self, change: impl FnOnce(&mut CaConfig)) -> Result<(), CliError> {
        let file = self.join("ca/ca.toml");
        let text = fs::read_to_string(&file).context(file.display())?;
        // Without a base paths stay as they are written.
        let read = CaConfig::parse(&text, Path::new(""), &file.display().to_string());
        let config = read.map_err(|e| CliError::new(e.to_string()))?;
        let mut changed = config.clone();
        change(&mut changed);
        match changed == config {
            true => Ok(()),
            false => Staged::write(&file, 0o644, &changed.render().context(file.display())?)?.commit(),
        }
    }

    /// Lets the CA know the registry, unless it has one; other builds then wait for its operator.
    pub fn name_registry(&self) -> Result<(), CliError> {
        let file = self.join("registry/registry-key.pem");
        let pem = fs::read_to_string(&file).context(file.display())?;
        let key = Ed25519Signer::from_pkcs8_pem(&pem).context(file.display())?.public_key().clone();
        self.configure(|config| {
            if config.policy.registry.is_none() {
                config.policy.registry = Some(Registry { file: "../registry/registry.json".into(), key });
                config.policy.manual_approval = ManualApproval::Unregistered;
            }
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            eprintln!("atl: {} is left behind: {error}", self.path.display());
        }
    }
}

/// The arguments of a command as its user would give them: what the demo does, its commands do.
pub fn parsed<T: Args + FromArgMatches>(paths: &[(&str, PathBuf)], words: &[&str]) -> Result<T, CliError> {
    let paths = paths.iter().flat_map(|(name, path)| [OsString::from(name), path.clone().into()]);
    let line = std::iter::once("atl".into()).chain(paths).chain(words.iter().map(OsString::from));
    let command = T::augment_args(clap::Command::new("atl"));
    let matches = command.try_get_matches_from(line).context("the demo")?;
    T::from_arg_matches(&matches).context("the demo")
}
