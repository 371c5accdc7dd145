//! An agent's directory: its key and certificate, which change together or not at all.
//!
//! ```text
//! DIR/current -> generations/<sha256>    replaced by one rename: the step from one pair to the next
//! DIR/generations/<sha256>/              key.pem cert.pem root.pem agent.json [parents.pem] [ca-roots.pem]
//! DIR/key.pem -> current/key.pem         and so on: paths that stay
//! DIR/pending/                           key.pem request.json, while a request is unanswered
//! DIR/lock
//! ```
//! Each directory is written under another name, synced, and renamed into its place, so that a crash at
//! any point leaves either what was or what is to be. The generation before the current one stays, for who
//! is just reading it. A program that must not read a key and a certificate of two generations resolves
//! `current` once and reads below it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::evidence::Recipe;
use super::inspect::certificates_of;
use crate::api::B64;
use crate::api::ca::{EnrolRequest, Hex32};
use crate::apki::delegation::AttenuationRules;
use crate::apki::{AgentUri, Certificate};
use crate::cli::files::write_new;
use crate::cli::output::{CliError, Context};
use crate::time::UnixMillis;

const CURRENT: &str = "current";
const GENERATIONS: &str = "generations";
const PENDING: &str = "pending";
const KEY: &str = "key.pem";
const CERT: &str = "cert.pem";
const PARENTS: &str = "parents.pem";
const ROOT: &str = "root.pem";
const CA_ROOTS: &str = "ca-roots.pem";
const SETTINGS: &str = "agent.json";
const REQUEST: &str = "request.json";

/// An agent's directory.
#[derive(Clone, Debug)]
pub struct AgentDir(PathBuf);

/// While it lives, no other process changes the directory.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "the lock goes when the file is closed")] File);

/// What `agent.json` says: what a renewal needs, and what the certificate is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The CA's base URL.
    pub ca: String,
    /// The agent.
    pub agent: AgentUri,
    /// SHA-256 of the certificate.
    pub sha256: Hex32,
    /// Valid from.
    pub not_before: UnixMillis,
    /// Valid until.
    pub not_after: UnixMillis,
    /// When to renew.
    pub renew_at: UnixMillis,
    /// For how many seconds to ask; left out, the CA decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_seconds: Option<u32>,
    /// Where the evidence of each request comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Recipe>,
    /// The logs that timestamps are verified with.
    #[serde(default)]
    pub logs: Vec<SavedLog>,
}

/// A log and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLog {
    /// Its URL, or the name of its verifier key.
    pub log: String,
    /// Who runs it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Its SubjectPublicKeyInfo.
    pub key: B64,
    /// Whether the key is from the user, and not the CA's word.
    pub pinned: bool,
}

/// A key with its certificate, and all that belongs to the two.
#[derive(Clone, Debug)]
pub struct Generation {
    /// The private key, PEM.
    pub key_pem: Zeroizing<String>,
    /// The certificate and its issuers, the agent's first.
    pub chain_pem: String,
    /// Those of the agents above it, its parent's first, each with its issuers where these are others; `None`
    /// where nobody is above it.
    pub parents_pem: Option<String>,
    /// The root of agents' certificates.
    pub root_pem: String,
    /// The root of the CA's own TLS certificate, where it is not one that the system trusts.
    pub ca_roots_pem: Option<String>,
    /// The rest.
    pub settings: Settings,
}

impl Generation {
    /// The certificate with its issuers, and those of the agents above it; `place` is the directory as the user
    /// named it.
    pub fn certificates(&self, place: &Path) -> Result<Vec<Certificate>, CliError> {
        let read = |pem: &str, name: &str| certificates_of(pem).context(place.join(name).display());
        let mut all = read(&self.chain_pem, CERT)?;
        all.extend(read(self.parents_pem.as_deref().unwrap_or_default(), PARENTS)?);
        Ok(all)
    }
}

/// A request that has no answer yet, with its key.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The private key, PEM.
    pub key_pem: Zeroizing<String>,
    /// What was asked, and where.
    pub request: PendingRequest,
}

/// What was asked, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRequest {
    /// The CA's base URL.
    pub ca: String,
    /// For which agent.
    pub agent: AgentUri,
    /// `token <id>`, `certificate <sha256>` or `parent <agent>`: what the request came with.
    pub credential: String,
    /// What was sent, octet for octet the same each time.
    pub body: EnrolRequest,
    /// How far a child may hand rights on, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

/// How far a child may hand on what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// maxDelegationDepth; the parent's where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<u8>,
    /// What binds the child's descendants.
    #[serde(default)]
    pub rules: AttenuationRules,
}

impl PendingRequest {
    /// Whether the same is asked with the same credential; keys, and so the CSRs, may differ.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let without_csr = |body: &EnrolRequest| EnrolRequest { csr: B64(Vec::new()), ..body.clone() };
        let of = |request: &Self| (request.ca.clone(), request.agent.clone(), request.credential.clone());
        of(self) == of(other) && self.terms == other.terms && without_csr(&self.body) == without_csr(&other.body)
    }
}

impl AgentDir {
    /// The directory at `path`, which is made where it is not there, for its owner only.
    pub fn create(path: &Path) -> Result<Self, CliError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).context(path.display())?;
        Self::open(path)
    }

    /// The directory at `path`.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let found = fs::canonicalize(path).context(path.display())?;
        if found.is_dir() { Ok(Self(found)) } else { Err(CliError::new(format!("{}: no directory", path.display()))) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of the certificate, which stays the same through renewals.
    pub fn certificate_path(&self) -> PathBuf {
        self.0.join(CERT)
    }

    /// Keeps others from changing the directory.
    pub fn lock(&self) -> Result<Lock, CliError> {
        let path = self.0.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.context(path.display())?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(CliError::new(format!(
                "{}: another atl agent is enrolling or renewing here; wait for it, or end it",
                self.0.display()
            ))),
            Err(error) => Err(CliError::new(format!("{}: {error}", path.display()))),
        }
    }

    /// The key and certificate in use, where there are some. They are read of one generation.
    pub fn current(&self) -> Result<Option<Generation>, CliError> {
        let Some(target) = self.current_target()? else { return Ok(None) };
        let dir = self.0.join(target);
        let text = |name: &str| {
            let path = dir.join(name);
            fs::read_to_string(&path).context(path.display())
        };
        let optional = |name: &str| if dir.join(name).exists() { text(name).map(Some) } else { Ok(None) };
        let (parents_pem, ca_roots_pem) = (optional(PARENTS)?, optional(CA_ROOTS)?);
        let settings = serde_json::from_str(&text(SETTINGS)?).context(dir.join(SETTINGS).display())?;
        Ok(Some(Generation {
            key_pem: Zeroizing::new(text(KEY)?),
            chain_pem: text(CERT)?,
            parents_pem,
            root_pem: text(ROOT)?,
            ca_roots_pem,
            settings,
        }))
    }

    /// Puts a key and its certificate into use, at once.
    pub fn install(&self, _lock: &Lock, generation: &Generation) -> Result<(), CliError> {
        let name = &generation.settings.sha256.to_string()[..32];
        let target = Path::new(GENERATIONS).join(name);
        let before = self.current_target()?;
        if before.as_ref() != Some(&target) {
            let settings = serde_json::to_string_pretty(&generation.settings).context(SETTINGS)? + "\n";
            let mut files = vec![
                (KEY, 0o600, generation.key_pem.as_str()),
                (CERT, 0o644, &generation.chain_pem),
                (ROOT, 0o644, &generation.root_pem),
                (SETTINGS, 0o600, &settings),
            ];
            files.extend(generation.parents_pem.as_deref().map(|pem| (PARENTS, 0o644, pem)));
            files.extend(generation.ca_roots_pem.as_deref().map(|pem| (CA_ROOTS, 0o644, pem)));
            DirBuilder::new().recursive(true).mode(0o700).create(self.0.join(GENERATIONS)).context(GENERATIONS)?;
            self.check_paths()?;
            publish(&self.0.join(&target), &files)?;
            self.point(CURRENT, &target)?;
            self.sweep([Some(&target), before.as_ref()])?;
        }
        for name in [KEY, CERT, ROOT, SETTINGS] {
            self.point(name, &Path::new(CURRENT).join(name))?;
        }
        match generation.parents_pem {
            Some(_) => self.point(PARENTS, &Path::new(CURRENT).join(PARENTS))?,
            None => self.unpoint(PARENTS)?,
        }
        sync(&self.0)
    }

    /// The request that waits for an answer.
    pub fn pending(&self) -> Result<Option<Pending>, CliError> {
        let dir = self.0.join(PENDING);
        if !dir.exists() {
            return Ok(None);
        }
        let text = |name: &str| fs::read_to_string(dir.join(name)).context(dir.join(name).display());
        let request = serde_json::from_str(&text(REQUEST)?).context(dir.join(REQUEST).display())?;
        Ok(Some(Pending { key_pem: Zeroizing::new(text(KEY)?), request }))
    }

    /// Keeps a request until it is answered. It is on the disk before it may be sent.
    pub fn keep_pending(&self, lock: &Lock, pending: &Pending) -> Result<(), CliError> {
        self.drop_pending(lock)?;
        let request = serde_json::to_string_pretty(&pending.request).context(REQUEST)? + "\n";
        publish(&self.0.join(PENDING), &[(KEY, 0o600, pending.key_pem.as_str()), (REQUEST, 0o600, &request)])
    }

    /// Forgets the request that waited, and its key.
    pub fn drop_pending(&self, _lock: &Lock) -> Result<(), CliError> {
        let (dir, old) = (self.0.join(PENDING), self.0.join(".pending.old"));
        remove_dir(&old)?;
        match fs::rename(&dir, &old) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => result.context(dir.display())?,
        }
        remove_dir(&old)
    }

    /// Where `current` points to.
    fn current_target(&self) -> Result<Option<PathBuf>, CliError> {
        match fs::read_link(self.0.join(CURRENT)) {
            Ok(target) => Ok(Some(target)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CliError::new(format!("{}: {error}", self.0.join(CURRENT).display()))),
        }
    }

    /// The paths that will be links are not somebody's files.
    fn check_paths(&self) -> Result<(), CliError> {
        for path in [KEY, CERT, PARENTS, ROOT, SETTINGS].map(|name| self.0.join(name)) {
            if fs::symlink_metadata(&path).is_ok_and(|found| !found.file_type().is_symlink()) {
                return Err(CliError::new(format!(
                    "{}: this file is not from atl agent; move it away, or choose another --dir",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// Makes the link `name`, replacing what it was in one step.
    fn point(&self, name: &str, target: &Path) -> Result<(), CliError> {
        let path = self.0.join(name);
        if fs::read_link(&path).is_ok_and(|found| found == target) {
            return Ok(());
        }
        let new = self.0.join(format!(".{name}.new"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context(new.display()),
            _ => symlink(target, &new).context(new.display())?,
        }
        fs::rename(&new, &path).context(path.display())?;
        sync(&self.0)
    }

    /// Removes the link `name`, where it is one.
    fn unpoint(&self, name: &str) -> Result<(), CliError> {
        let path = self.0.join(name);
        match fs::read_link(&path) {
            Ok(_) => fs::remove_file(&path).context(path.display()),
            Err(_) => Ok(()),
        }
    }

    /// Removes the generations but these.
    fn sweep(&self, kept: [Option<&PathBuf>; 2]) -> Result<(), CliError> {
        let dir = self.0.join(GENERATIONS);
        for entry in fs::read_dir(&dir).context(dir.display())? {
            let name = Path::new(GENERATIONS).join(entry.context(dir.display())?.file_name());
            if !kept.contains(&Some(&name)) {
                remove_dir(&self.0.join(name))?;
            }
        }
        Ok(())
    }
}

/// A directory with these files, on the disk under its name, whole.
fn publish(path: &Path, files: &[(&str, u32, &str)]) -> Result<(), CliError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(CliError::new(format!("{}: no place for a directory", path.display())));
    };
    let new = parent.join(format!(".{}.new", name.display()));
    remove_dir(&new)?;
    DirBuilder::new().mode(0o700).create(&new).context(new.display())?;
    for (name, mode, text) in files {
        write_new(&new.join(name), *mode, text)?;
    }
    sync(&new)?;
    // One that is there already is of a run that ended before it was put into use.
    remove_dir(path)?;
    fs::rename(&new, path).context(path.display())?;
    sync(parent)
}

fn remove_dir(path: &Path) -> Result<(), CliError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.context(path.display()),
    }
}

fn sync(dir: &Path) -> Result<(), CliError> {
    File::open(dir).and_then(|dir| dir.sync_all()).context(dir.display())
}

#[cfg(test)]
#[path = "files/tests.rs"]
mod tests;
