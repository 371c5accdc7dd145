//! The configuration of a relying party: whose agents it takes, and what it wants of them.
//!
//! It is a file of its own, so that `atl verify` and a gateway decide by the same one: a gateway's file names it,
//! or has the same tables beside its own (then its raw form lists them, and [`Check::relying`] checks them).
//!
//! What is of a kind that only the floors above know (origins, verifier keys, patterns of agents) stays text here
//! and is read with the files that are named beside it.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::check::Check;
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::MAX_TOOL_URI;
use crate::apki::extension::AsciiText;
use crate::apki::federation::{ScoreMapping, TrustDomain};
use crate::apki::trust_score::{Score, TrustTier};
use crate::keys::{PublicKey, SignatureAlgorithm};
use crate::time::UnixMillis;

mod check;
pub(in crate::config) mod raw;
mod render;

/// The least score that any policy may ask for: who has less is UNTRUSTED and refused (draft 6.1).
pub const LEAST_SCORE: Score = TrustTier::Restricted.floor();

/// A checked configuration of a relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingConfig {
    /// What is wanted of an agent.
    pub policy: Policy,
    /// The domains whose agents are taken, each once.
    pub domains: Vec<Domain>,
    /// The directory of `atl federation`, each of whose pinned domains is taken too. Default: none.
    pub federation_dir: Option<PathBuf>,
    /// The logs whose timestamps count, each once.
    pub logs: Vec<Log>,
    /// Revocation lists that are looked at whatever a certificate names. Default: none.
    pub revocation_lists: Vec<RevocationList>,
    /// Those whose audits of logs count. Default: none.
    pub monitors: Vec<Monitor>,
    /// What may be asked for over the network. Default: nothing.
    pub fetch: Option<Fetch>,
    /// How limits of spending and calls are kept.
    pub limits: Limits,
}

/// Table `policy`: what is wanted of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The least score after decay and mapping, [`LEAST_SCORE`] to 100. Mandatory, as a tier or a score.
    pub minimum: Score,
    /// The signature algorithms that are taken. Default: both.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// Whether revocation has to be known of. Mandatory.
    pub revocation: Revocation,
    /// The most agents above an agent, 0 to 16. Default: 5.
    pub max_delegation_depth: u8,
    /// Whether an agent for whom no human answers is refused. Default: no.
    pub require_delegation: bool,
    /// What is wanted of an agent's build. Default: nothing.
    pub provenance: Provenance,
    /// A proof of inclusion beside the timestamps. Default: none.
    pub inclusion: Option<Inclusion>,
    /// Seconds within which a log must have been audited, at least 60. Default: nobody audits.
    pub audited_within_seconds: Option<u32>,
    /// Patterns of the agents that are taken. Default: all of the trusted domains.
    pub peers: Option<Vec<String>>,
    /// Stricter rules for single tools, each once. Default: none.
    pub tools: Vec<ToolRule>,
}

/// Table `policy.revocation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What to do where nothing is known. Mandatory (draft 11.5).
    pub mode: RevocationMode,
    /// Most seconds since an answer or a list was true. Default: its own nextUpdate counts alone.
    pub max_age_seconds: Option<u32>,
    /// Whether the CAs on the way have to be known as not revoked as well. Default: no.
    pub issuers: bool,
}

/// What to do where nothing is known of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationMode {
    /// Refuse.
    Require,
    /// Accept; whoever is known to be revoked is refused.
    Prefer,
    /// Do not look.
    Off,
}

impl RevocationMode {
    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Prefer => "prefer",
            Self::Off => "off",
        }
    }
}

/// Table `policy.provenance`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The weakest method of attestation that is taken.
    pub minimum_method: Option<AttestationMethod>,
    /// SHA-256 of the builds that are taken.
    pub builds: Option<Vec<[u8; 32]>>,
    /// The families of models that are taken.
    pub models: Option<Vec<String>>,
}

/// Table `policy.inclusion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Most seconds since the head of the proof was seen, at least 60.
    pub max_age_seconds: u32,
    /// Who must have cosigned the head. Default: the log's own word is enough.
    pub witnesses: Option<Witnesses>,
}

/// Witnesses, of whom so many are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnesses {
    /// Their verifier keys.
    pub keys: Vec<String>,
    /// How many of them are needed, 1 to all.
    pub needed: usize,
}

/// A table of `policy.tools`: what one tool wants beyond the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRule {
    /// The tool, octet for octet.
    pub tool_uri: AsciiText<MAX_TOOL_URI>,
    /// The least score; `None` for the policy's.
    pub minimum: Option<Score>,
    /// The weakest method of attestation; `None` for the policy's.
    pub minimum_method: Option<AttestationMethod>,
    /// Most seconds since an OCSP answer about the agent was true; a list does not do then.
    pub ocsp_within_seconds: Option<u32>,
}

/// A table of `domains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its name in agent URIs.
    pub name: TrustDomain,
    /// What the certificates of its agents stand below.
    pub trusted: Trusted,
    /// What its scores are worth here. Default: what they say.
    pub mapping: ScoreMapping,
    /// The least score, after mapping, of its agents; the policy's counts where it is higher. Default: 0.
    pub minimum: Score,
}

/// Where a domain's anchors are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// A file with root certificates, PEM.
    Roots(PathBuf),
    /// A file with its trust bundle, JSON; it was verified by whoever put it there.
    Bundle(PathBuf),
}

/// A table of `logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// What people call it. Default: its URL, or else its operator.
    pub name: String,
    /// Its base URL, where proofs and parents' certificates may be asked for. Default: none.
    pub url: Option<String>,
    /// The key of its timestamps and heads.
    pub key: PublicKey,
    /// Who runs it: two logs of one operator are one opinion (protocol section 6).
    pub operator: String,
    /// Its origin, under which its checkpoints and audits name it. Default: unknown.
    pub origin: Option<String>,
    /// Timestamps from before do not count. Default: 1970.
    pub from: UnixMillis,
    /// Timestamps from then on do not count. Default: never.
    pub until: Option<UnixMillis>,
}

/// A table of `revocation_lists`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// Where the list is.
    pub source: ListSource,
    /// The certificate of whoever signs it, PEM.
    pub signer: PathBuf,
}

/// Where a revocation list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListSource {
    /// A file, DER or PEM.
    File(PathBuf),
    /// A URL, `http` or `https`.
    Url(String),
}

/// A table of `monitors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// Its verifier key.
    pub vkey: String,
    /// Its base URL, where its audit statements may be asked for. Default: none.
    pub url: Option<String>,
}

/// Table `fetch`: what may be asked for over the network, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// OCSP answers, from where a certificate says. Default: yes.
    pub ocsp: bool,
    /// Revocation lists, from where a certificate says, where there is no OCSP answer. Default: yes.
    pub lists: bool,
    /// The certificates of agents above one, from the logs. Default: yes.
    pub parents: bool,
    /// Proofs of inclusion, from the logs. Default: yes.
    pub proofs: bool,
    /// Audit statements, from the monitors, where the policy wants logs to be audited. Default: yes.
    pub audits: bool,
    /// The hosts that a certificate may name. Default: any.
    pub hosts: Option<Vec<String>>,
    /// Seconds for all of it together, 1 to 300. Default: 10.
    pub timeout_seconds: u32,
    /// Roots (PEM) for the TLS certificates of those servers, in place of the system's. Default: none.
    pub ca_roots: Option<PathBuf>,
}

/// Table `limits`: how a ledger keeps spending and calls; a verdict about a single moment has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether what an agent spends counts against the limits of those above it too. Default: yes.
    pub charge_ancestors: bool,
}

impl RelyingConfig {
    /// What to start from: agents of these domains in the tier STANDARD and above, whose revocation must be known
    /// of and is asked for over the network.
    pub fn new(domains: Vec<Domain>, logs: Vec<Log>) -> Self {
        let policy = Policy {
            minimum: TrustTier::Standard.floor(),
            algorithms: check::ALGORITHMS.to_vec(),
            revocation: Revocation { mode: RevocationMode::Require, max_age_seconds: None, issuers: false },
            max_delegation_depth: 5,
            require_delegation: false,
            provenance: Provenance::default(),
            inclusion: None,
            audited_within_seconds: None,
            peers: None,
            tools: Vec::new(),
        };
        Self {
            policy,
            domains,
            federation_dir: None,
            logs,
            revocation_lists: Vec::new(),
            monitors: Vec::new(),
            fetch: Some(Self::usual_fetch()),
            limits: Limits { charge_ancestors: true },
        }
    }

    /// What may be asked for where an empty table says so: everything, from everywhere.
    pub fn usual_fetch() -> Fetch {
        Fetch {
            ocsp: true,
            lists: true,
            parents: true,
            proofs: true,
            audits: true,
            hosts: None,
            timeout_seconds: 10,
            ca_roots: None,
        }
    }

    /// Reads the file at `path`. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// Where it cannot be read or does not pass.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (text, file) = super::raw::load(path)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")), &file)
    }

    /// Reads TOML `text`. Relative paths in it are relative to `base`; errors speak of `file`.
    ///
    /// # Errors
    /// Where it does not pass.
    pub fn parse(text: &str, base: &Path, file: &str) -> Result<Self, ConfigError> {
        Check { file }.relying(super::raw::read(text, file)?, base)
    }
}

#[cfg(test)]
#[path = "relying/tests.rs"]
mod tests;
