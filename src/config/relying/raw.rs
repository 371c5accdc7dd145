//! The file as it is written: kinds of values and defaults, no ranges yet.

use std::path::PathBuf;

use serde::Deserialize;

use super::RevocationMode;
use crate::apki::attestation::AttestationMethod;
use crate::apki::federation::ScoreMapping;
use crate::apki::trust_score::TrustTier;
use crate::config::raw::Whole;

/// The file, key for key. A configuration that has these tables among its own lists them in its raw form and
/// makes this of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawRelying {
    pub(in crate::config) policy: RawPolicy,
    #[serde(default)]
    pub(in crate::config) domains: Vec<RawDomain>,
    #[serde(default)]
    pub(in crate::config) federation: RawFederation,
    #[serde(default)]
    pub(in crate::config) logs: Vec<RawLog>,
    #[serde(default)]
    pub(in crate::config) revocation_lists: Vec<RawRevocationList>,
    #[serde(default)]
    pub(in crate::config) monitors: Vec<RawMonitor>,
    pub(in crate::config) fetch: Option<RawFetch>,
    #[serde(default)]
    pub(in crate::config) limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawPolicy {
    pub(super) minimum_tier: Option<TrustTier>,
    pub(super) minimum_score: Option<Whole>,
    pub(super) algorithms: Option<Vec<String>>,
    pub(super) max_delegation_depth: Option<Whole>,
    #[serde(default)]
    pub(super) require_delegation: bool,
    pub(super) audited_within_seconds: Option<Whole>,
    pub(super) peers: Option<Vec<String>>,
    pub(super) revocation: RawRevocation,
    #[serde(default)]
    pub(super) provenance: RawProvenance,
    pub(super) inclusion: Option<RawInclusion>,
    #[serde(default)]
    pub(super) tools: Vec<RawToolRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRevocation {
    pub(super) mode: RevocationMode,
    pub(super) max_age_seconds: Option<Whole>,
    #[serde(default)]
    pub(super) issuers: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvenance {
    pub(super) minimum_method: Option<AttestationMethod>,
    pub(super) builds: Option<Vec<String>>,
    pub(super) models: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInclusion {
    pub(super) max_age_seconds: Whole,
    pub(super) witnesses: Option<Vec<String>>,
    pub(super) needed: Option<Whole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawToolRule {
    pub(super) tool_uri: String,
    pub(super) minimum_tier: Option<TrustTier>,
    pub(super) minimum_score: Option<Whole>,
    pub(super) minimum_method: Option<AttestationMethod>,
    pub(super) ocsp_within_seconds: Option<Whole>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawDomain {
    pub(super) name: String,
    pub(super) roots: Option<PathBuf>,
    pub(super) bundle: Option<PathBuf>,
    #[serde(default)]
    pub(super) mapping: ScoreMapping,
    #[serde(default)]
    pub(super) minimum_score: Whole,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawFederation {
    pub(super) dir: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawLog {
    pub(super) name: Option<String>,
    pub(super) url: Option<String>,
    pub(super) key: String,
    pub(super) operator: String,
    pub(super) origin: Option<String>,
    pub(super) from: Option<String>,
    pub(super) until: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawRevocationList {
    pub(super) file: Option<PathBuf>,
    pub(super) url: Option<String>,
    pub(super) signer: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawMonitor {
    pub(super) vkey: String,
    pub(super) url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawFetch {
    pub(super) ocsp: bool,
    pub(super) lists: bool,
    pub(super) parents: bool,
    pub(super) proofs: bool,
    pub(super) audits: bool,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) timeout_seconds: Whole,
    pub(super) ca_roots: Option<PathBuf>,
}

impl Default for RawFetch {
    fn default() -> Self {
        Self {
            ocsp: true,
            lists: true,
            parents: true,
            proofs: true,
            audits: true,
            hosts: None,
            timeout_seconds: Whole(10),
            ca_roots: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawLimits {
    pub(super) charge_ancestors: bool,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self { charge_ancestors: true }
    }
}
