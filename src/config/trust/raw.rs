//! The file as it is written: kinds of values and defaults, no ranges yet.

use std::path::PathBuf;

use serde::Deserialize;

use super::Role;
use crate::config::raw::{RawMetrics, RawTls, Whole};

/// The file, key for key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) trust_domain: String,
    #[serde(default = "default::listen")]
    pub(super) listen: String,
    #[serde(default = "default::data_dir")]
    pub(super) data_dir: PathBuf,
    #[serde(default = "default::disk_low_watermark_bytes")]
    pub(super) disk_low_watermark_bytes: Whole,
    #[serde(default = "default::tls")]
    pub(super) tls: RawTls,
    #[serde(default)]
    pub(super) policy: RawPolicy,
    #[serde(default)]
    pub(super) baseline: RawBaseline,
    #[serde(default)]
    pub(super) reporters: Vec<RawReporter>,
    #[serde(default)]
    pub(super) readers: Vec<RawReader>,
    #[serde(default)]
    pub(super) operators: Vec<RawOperator>,
    #[serde(default)]
    pub(super) rate_limit: RawRateLimit,
    #[serde(default)]
    pub(super) metrics: RawMetrics,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPolicy {
    pub(super) decay_rate: Whole,
    pub(super) active_seconds: Whole,
    pub(super) swing_points: Whole,
    pub(super) reporter_cap: Whole,
    pub(super) rise_limit: Whole,
    pub(super) incident_points: Whole,
    pub(super) penalty_lapse_days: Whole,
    pub(super) signals_per_hour: Whole,
    pub(super) max_ahead_seconds: Whole,
    pub(super) max_age_seconds: Whole,
}

impl Default for RawPolicy {
    fn default() -> Self {
        Self {
            decay_rate: Whole(2),
            active_seconds: Whole(3600),
            swing_points: Whole(40),
            reporter_cap: Whole(15),
            rise_limit: Whole(20),
            incident_points: Whole(25),
            penalty_lapse_days: Whole(0),
            signals_per_hour: Whole(10),
            max_ahead_seconds: Whole(60),
            max_age_seconds: Whole(300),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBaseline {
    pub(super) min_signals: Whole,
    pub(super) min_others: Whole,
    pub(super) deviations: Whole,
}

impl Default for RawBaseline {
    fn default() -> Self {
        Self { min_signals: Whole(20), min_others: Whole(3), deviations: Whole(5) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReporter {
    pub(super) name: String,
    pub(super) public_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReader {
    pub(super) name: String,
    pub(super) token_sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOperator {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) token_sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRateLimit {
    pub(super) per_source_per_second: Whole,
    pub(super) per_source_burst: Whole,
    pub(super) per_reporter_per_second: Whole,
    pub(super) per_reporter_burst: Whole,
}

impl Default for RawRateLimit {
    fn default() -> Self {
        Self {
            per_source_per_second: Whole(1000),
            per_source_burst: Whole(1000),
            per_reporter_per_second: Whole(1000),
            per_reporter_burst: Whole(2000),
        }
    }
}

/// The value of each key at the top that a file leaves out.
mod default {
    use std::path::PathBuf;

    use super::{RawTls, Whole};

    pub(super) fn listen() -> String {
        "127.0.0.1:8444".into()
    }

    pub(super) fn data_dir() -> PathBuf {
        "data".into()
    }

    pub(super) fn disk_low_watermark_bytes() -> Whole {
        Whole(1 << 30)
    }

    pub(super) fn tls() -> RawTls {
        RawTls { cert_file: "tls.pem".into(), key_file: "tls-key.pem".into() }
    }
}
