//! The file as it is written: kinds of values and defaults, no ranges yet.

use std::path::PathBuf;

use serde::Deserialize;

use super::status::RawStatus;
use super::{HumanPrincipal, ManualApproval, RenewalKey};
use crate::config::raw::{RawMetrics, RawTls, Whole};

/// The file, key for key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) trust_domain: String,
    pub(super) organization: String,
    #[serde(default = "default::listen")]
    pub(super) listen: String,
    #[serde(default = "default::data_dir")]
    pub(super) data_dir: PathBuf,
    #[serde(default = "default::issuer_certificate")]
    pub(super) issuer_certificate: PathBuf,
    #[serde(default = "default::issuer_key")]
    pub(super) issuer_key: PathBuf,
    #[serde(default = "default::root_certificate")]
    pub(super) root_certificate: PathBuf,
    #[serde(default = "default::name_constraint")]
    pub(super) name_constraint: bool,
    #[serde(default = "default::public_names")]
    pub(super) public_names: Vec<String>,
    #[serde(default = "default::disk_low_watermark_bytes")]
    pub(super) disk_low_watermark_bytes: Whole,
    #[serde(default)]
    pub(super) certificates: RawCertificates,
    #[serde(default)]
    pub(super) policy: RawPolicy,
    #[serde(default)]
    pub(super) organizations: Vec<RawOrganization>,
    #[serde(default)]
    pub(super) delegation: RawDelegation,
    #[serde(default)]
    pub(super) trust: RawTrust,
    #[serde(default)]
    pub(super) capability_ceiling: Vec<RawCapability>,
    #[serde(default)]
    pub(super) logs: Vec<RawLog>,
    #[serde(default)]
    pub(super) issuance: RawIssuance,
    #[serde(default)]
    pub(super) operators: Vec<RawOperator>,
    #[serde(default)]
    pub(super) status: RawStatus,
    #[serde(default)]
    pub(super) rate_limit: RawRateLimit,
    pub(super) tls: Option<RawTls>,
    #[serde(default)]
    pub(super) metrics: RawMetrics,
    #[serde(default)]
    pub(super) federation: RawFederation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCertificates {
    pub(super) default_validity_seconds: Whole,
    pub(super) min_validity_seconds: Whole,
    pub(super) max_validity_seconds: Whole,
    pub(super) backdate_seconds: Whole,
    pub(super) decay_rate: Whole,
    pub(super) computation_method: String,
    pub(super) human_principal: HumanPrincipal,
    pub(super) principal_salt_file: PathBuf,
    pub(super) max_delegation_depth: Whole,
    pub(super) max_live: Whole,
    pub(super) renewal_key: RenewalKey,
    pub(super) spiffe: bool,
}

impl Default for RawCertificates {
    fn default() -> Self {
        Self {
            default_validity_seconds: Whole(3600),
            min_validity_seconds: Whole(300),
            max_validity_seconds: Whole(86_400),
            backdate_seconds: Whole(30),
            decay_rate: Whole(2),
            computation_method: "atl-initial-1".to_owned(),
            human_principal: HumanPrincipal::Hashed,
            principal_salt_file: PathBuf::from("principal-salt"),
            max_delegation_depth: Whole(5),
            max_live: Whole(64),
            renewal_key: RenewalKey::Any,
            spiffe: false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPolicy {
    pub(super) manual_approval: ManualApproval,
    pub(super) min_score: Whole,
    pub(super) default_reputation: Whole,
    pub(super) known_models: Vec<String>,
    pub(super) known_frameworks: Vec<String>,
    pub(super) require_known_provenance: bool,
    pub(super) registry_file: Option<PathBuf>,
    pub(super) registry_key: Option<String>,
}

impl Default for RawPolicy {
    fn default() -> Self {
        Self {
            manual_approval: ManualApproval::Never,
            min_score: Whole(20),
            default_reputation: Whole(10),
            known_models: Vec::new(),
            known_frameworks: Vec::new(),
            require_known_provenance: false,
            registry_file: None,
            registry_key: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOrganization {
    pub(super) name: String,
    pub(super) reputation: Whole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDelegation {
    pub(super) min_score: Whole,
    pub(super) strict_subset: bool,
    pub(super) same_org: bool,
    pub(super) max_children: Whole,
}

impl Default for RawDelegation {
    fn default() -> Self {
        Self { min_score: Whole(40), strict_subset: true, same_org: true, max_children: Whole(1000) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTrust {
    pub(super) reissue_change: Whole,
    pub(super) revoke_below: Whole,
    pub(super) url: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
}

impl Default for RawTrust {
    fn default() -> Self {
        Self { reissue_change: Whole(10), revoke_below: Whole(20), url: None, ca_file: None, token_file: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCapability {
    pub(super) tool_uri: String,
    pub(super) scope: String,
    pub(super) spend_limit: Option<RawSpendLimit>,
    pub(super) rate_limit: Option<RawCallLimit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpendLimit {
    pub(super) max_per_transaction: Option<Whole>,
    pub(super) max_per_period: Option<Whole>,
    pub(super) period_seconds: Option<Whole>,
    pub(super) currency: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCallLimit {
    pub(super) max_requests: Whole,
    pub(super) period_seconds: Whole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) url: String,
    pub(super) key: String,
    pub(super) operator: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIssuance {
    pub(super) min_sats: Whole,
    pub(super) log_timeout_ms: Whole,
    pub(super) attempts: Whole,
    pub(super) straggler_ms: Whole,
    pub(super) pending_ttl_seconds: Whole,
}

impl Default for RawIssuance {
    fn default() -> Self {
        Self {
            min_sats: Whole(1),
            log_timeout_ms: Whole(2000),
            attempts: Whole(3),
            straggler_ms: Whole(50),
            pending_ttl_seconds: Whole(604_800),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOperator {
    pub(super) name: String,
    pub(super) token_sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRateLimit {
    pub(super) per_source_per_second: Whole,
    pub(super) per_source_burst: Whole,
    pub(super) per_token_per_second: Whole,
    pub(super) per_token_burst: Whole,
}

impl Default for RawRateLimit {
    fn default() -> Self {
        Self {
            per_source_per_second: Whole(1000),
            per_source_burst: Whole(1000),
            per_token_per_second: Whole(10),
            per_token_burst: Whole(20),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFederation {
    pub(super) bundle_key: Option<PathBuf>,
    pub(super) minimum_trust_score: Whole,
    pub(super) bundle_lifetime_seconds: Whole,
    pub(super) dir: Option<PathBuf>,
}

impl Default for RawFederation {
    fn default() -> Self {
        Self { bundle_key: None, minimum_trust_score: Whole(40), bundle_lifetime_seconds: Whole(86_400), dir: None }
    }
}

/// The value of each key at the top that a file leaves out.
mod default {
    use std::path::PathBuf;

    use super::Whole;

    macro_rules! defaults {
        ($($key:ident: $kind:ty = $value:expr;)*) => { $(pub(super) fn $key() -> $kind { $value.into() })* };
    }

    defaults! {
        listen: String = "127.0.0.1:8443";
        data_dir: PathBuf = "data";
        issuer_certificate: PathBuf = "intermediate.pem";
        issuer_key: PathBuf = "intermediate-key.pem";
        root_certificate: PathBuf = "root.pem";
        name_constraint: bool = true;
        public_names: Vec<String> = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        disk_low_watermark_bytes: Whole = Whole(1 << 30);
    }
}
