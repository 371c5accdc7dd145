//! The configuration of a CA. Every key but `trust_domain` and `organization` has a default.

use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use super::PublicName;
use super::check::Check;
use super::{ConfigError, RateLimit, TlsFiles};
use crate::apki::capabilities::Capabilities;
use crate::apki::extension::Text;
use crate::apki::trust_score::{DecayRate, Score};
use crate::keys::PublicKey;

mod authority;
mod check;
mod raw;
mod render;
mod status;

pub use self::status::Status;

/// A checked configuration of one CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaConfig {
    /// The DNS name in the agent URIs that the CA issues for (draft 4.1). It never changes.
    pub trust_domain: String,
    /// The organisation's name in CA certificates, 1 to 64 characters (RFC 5280 appendix A.1).
    pub organization: String,
    /// Where HTTPS is served. Default: `127.0.0.1:8443`.
    pub listen: SocketAddr,
    /// The database's directory. Default: `data`.
    pub data_dir: PathBuf,
    /// PEM certificate of the intermediate that issues. Default: `intermediate.pem`.
    pub issuer_certificate: PathBuf,
    /// Its PEM PKCS#8 private key. Default: `intermediate-key.pem`.
    pub issuer_key: PathBuf,
    /// PEM certificate of the root; its key is elsewhere. Default: `root.pem`.
    pub root_certificate: PathBuf,
    /// Whether the intermediate has a critical name constraint for the trust domain (R38).
    /// Default: true.
    pub name_constraint: bool,
    /// The names in the service's own TLS certificate, at least one. Default: `localhost` and
    /// `127.0.0.1`.
    pub public_names: Vec<PublicName>,
    /// Free octets of the data disk below which nothing is issued. Default: 1 GiB.
    pub disk_low_watermark_bytes: u64,
    /// What certificates look like.
    pub certificates: CertificateRules,
    /// Who gets one.
    pub policy: Policy,
    /// What is known of organisations, each once. Default: none.
    pub organizations: Vec<Organization>,
    /// Who may hand rights on.
    pub delegation: Delegation,
    /// What a change of an agent's score leads to, and whose word a score is.
    pub trust: Trust,
    /// The most that any agent may be given; `None` is no ceiling. Default: `None`.
    pub capability_ceiling: Option<Capabilities>,
    /// The logs that every certificate is submitted to, each once. Default: none.
    pub logs: Vec<TrustedLog>,
    /// How certificates get through the logs.
    pub issuance: Issuance,
    /// Who may operate the CA over HTTP, each once. Default: nobody.
    pub operators: Vec<Operator>,
    /// Limit of each source address. Default: 1000 and 1000.
    pub per_source: RateLimit,
    /// Limit of each enrolment token, and of each agent's renewals. Default: 10 and 20.
    pub per_token: RateLimit,
    /// A TLS certificate in place of the one that the CA makes for its service. Default: none.
    pub tls: Option<TlsFiles>,
    /// Where metrics are served; `None` for `listen`. Default: `None`.
    pub metrics_listen: Option<SocketAddr>,
    /// Revocation lists and OCSP.
    pub status: Status,
    /// What other trust domains are told, and what is known of them.
    pub federation: Federation,
}

/// Table `federation`: trust bundles, our own and others' (draft 10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federation {
    /// PEM PKCS#8 private key that signs our trust bundle; `None` publishes none. Default: `None`.
    pub bundle_key: Option<PathBuf>,
    /// The minimum_trust_score of our bundle. Default: 40.
    pub minimum_trust_score: Score,
    /// How long a bundle holds, 60 to 604 800. Default: 86 400.
    pub bundle_lifetime_seconds: u32,
    /// The directory of `atl federation`, whose bundles the server keeps fresh. Default: `None`.
    pub dir: Option<PathBuf>,
}

/// Table `certificates`: what certificates look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRules {
    /// Seconds of validity where the request says nothing. Default: 3600.
    pub default_validity_seconds: u32,
    /// The least that is issued, 300 and more. Default: 300.
    pub min_validity_seconds: u32,
    /// The most that is issued, at most 86 400 (R10). Default: 86 400.
    pub max_validity_seconds: u32,
    /// Seconds that notBefore lies before the moment of issuance, 0 to 300. Default: 30.
    pub backdate_seconds: u32,
    /// Points an hour that a score loses (draft 6.2). Default: 2.
    pub decay_rate: DecayRate,
    /// The computationMethod of initial scores (draft 5.2). Default: `atl-initial-1`.
    pub computation_method: Text,
    /// How the humanPrincipal stands in a certificate. Default: hashed.
    pub human_principal: HumanPrincipal,
    /// The file of the salt, read only where `human_principal` is hashed. Default: `principal-salt`.
    pub principal_salt_file: PathBuf,
    /// The most delegations below an agent (maxDelegationDepth, draft 5.4). Default: 5.
    pub max_delegation_depth: u8,
    /// Certificates that an agent may have at a time which have not ended, 1 to 1024. Default: 64.
    pub max_live: u16,
    /// Which key a renewal may have. Default: any.
    pub renewal_key: RenewalKey,
    /// Whether the `spiffe://` name of the same agent may stand beside the agent URI (draft 4.3). Default:
    /// false.
    pub spiffe: bool,
}

/// How the humanPrincipal stands in a certificate, which everybody can read in the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HumanPrincipal {
    /// As a salted SHA-256 whose salt the CA keeps (protocol section 6).
    Hashed,
    /// As it is.
    Plain,
}

/// Which key a renewed certificate may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RenewalKey {
    /// The one before, or a new one.
    Any,
    /// A new one.
    New,
    /// The one before.
    Same,
}

/// Table `policy`: who gets a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which requests wait for a person. Default: never.
    pub manual_approval: ManualApproval,
    /// The least initial score that a certificate is issued for. Default: 20.
    pub min_score: Score,
    /// Points of an organisation that `organizations` does not name, 0 to 20. Default: 10.
    pub default_reputation: u8,
    /// Model families that are known; none is: all are. Default: none.
    pub known_models: Vec<Text>,
    /// Frameworks that are known; none is: all are. Default: none.
    pub known_frameworks: Vec<Text>,
    /// Whether an unknown model or framework is refused, not just scored less. Default: false.
    pub require_known_provenance: bool,
    /// The registry of known-good builds. Default: none.
    pub registry: Option<Registry>,
}

/// Which requests wait for an operator's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManualApproval {
    /// None.
    Never,
    /// All.
    Always,
    /// Those whose build the registry does not know.
    Unregistered,
}

/// Where known-good builds are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The file of signed entries.
    pub file: PathBuf,
    /// Who signs them.
    pub key: PublicKey,
}

/// What is known of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The `org` segment of its agents' URIs, 1 to 64 of `[A-Za-z0-9_-]`. An enrolment token vouches
    /// for the URI; what an agent's evidence says of its organisation is its own word and earns
    /// nothing here.
    pub name: String,
    /// Its points in the initial score, 0 to 20 (draft 7.1 step 5).
    pub reputation: u8,
}

/// Table `delegation`: who may hand rights on, and to whom (draft 5.4, 9.1, 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The least effective score of a parent. Default: 40.
    pub min_score: Score,
    /// Whether a child has to have less than its parent, rather than no more. Default: true.
    pub strict_subset: bool,
    /// Whether a child is of its parent's organisation, by the URI. Default: true.
    pub same_org: bool,
    /// Most children of one agent, 1 to 100 000. Default: 1000.
    pub max_children: u32,
}

/// Table `trust`: what a change of an agent's score leads to (draft 6.4), and whose word a score is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// By more points than this from the one in its certificate, and the agent is to renew, 0 to 100.
    /// Default: 10.
    pub reissue_change: u8,
    /// Below this it is revoked. Default: 20.
    pub revoke_below: Score,
    /// The trust engine; without one, scores are what evidence is worth. Default: none.
    pub engine: Option<TrustEngine>,
}

/// Where the trust engine is, and how the CA is known there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustEngine {
    /// Its base URL, `https`, or `http` on this machine.
    pub url: String,
    /// PEM of the root of its TLS certificate; `None` for those that the system trusts. Default: `None`.
    pub ca_file: Option<PathBuf>,
    /// The file with the token that it knows this CA by. Default: none.
    pub token_file: Option<PathBuf>,
}

/// A log whose timestamps count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedLog {
    /// Its base URL, `http` or `https`.
    pub url: String,
    /// The key of its timestamps.
    pub key: PublicKey,
    /// Who runs it: two logs of one operator are one opinion (protocol section 6).
    pub operator: String,
}

/// Table `issuance`: how certificates get through the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// Timestamps that a certificate has at least, 1 to 8. Default: 1.
    pub min_sats: NonZeroU8,
    /// Milliseconds that one log has to answer, 100 to 60 000. Default: 2000.
    pub log_timeout_ms: u32,
    /// How often each log is asked, 1 to 10. Default: 3.
    pub attempts: NonZeroU32,
    /// Milliseconds to wait for further timestamps once there are enough, 0 to 10 000. Default: 50.
    pub straggler_ms: u32,
    /// Seconds that a request waits for approval before it is void, 60 to 7 776 000.
    /// Default: 604 800, a week.
    pub pending_ttl_seconds: u32,
}

/// Who may operate the CA over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The name in the audit table.
    pub name: String,
    /// SHA-256 of the token's text.
    pub token_sha256: [u8; 32],
}

impl CaConfig {
    /// The defaults, for a CA of this trust domain and organisation. Paths are relative, as in a
    /// file that does not name them.
    ///
    /// # Errors
    /// Where the trust domain or the organisation's name is not one.
    pub fn new(trust_domain: &str, organization: &str) -> Result<Self, ConfigError> {
        let quoted = super::render::quoted;
        let text = format!("trust_domain = {}\norganization = {}\n", quoted(trust_domain), quoted(organization));
        Self::parse(&text, Path::new(""), "the new configuration")
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
        Check { file }.ca(super::raw::read(text, file)?, base)
    }

    /// Whether these values hold together, as [`CaConfig::parse`] would say of what
    /// [`CaConfig::render`] writes: for who changes fields.
    ///
    /// # Errors
    /// Where they do not.
    pub fn check(&self) -> Result<(), ConfigError> {
        Self::parse(&self.render()?, Path::new(""), "the new configuration").map(drop)
    }
}

#[cfg(test)]
#[path = "ca/tests.rs"]
mod tests;
