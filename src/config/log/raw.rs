//! The file as it is written: kinds of values and defaults, no ranges yet.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::raw::{RawMetrics, RawTls, Whole};

/// The file, key for key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) origin: String,
    #[serde(default)]
    pub(super) operator: String,
    #[serde(default = "default::listen")]
    pub(super) listen: String,
    #[serde(default = "default::data_dir")]
    pub(super) data_dir: PathBuf,
    #[serde(default = "default::key_file")]
    pub(super) key_file: PathBuf,
    #[serde(default = "default::anchors_dir")]
    pub(super) anchors_dir: PathBuf,
    #[serde(default = "default::sth_interval_seconds")]
    pub(super) sth_interval_seconds: Whole,
    #[serde(default = "default::not_after_start")]
    pub(super) not_after_start: String,
    #[serde(default = "default::not_after_limit")]
    pub(super) not_after_limit: String,
    #[serde(default)]
    pub(super) retention_seconds: Whole,
    #[serde(default = "default::max_chain_length")]
    pub(super) max_chain_length: Whole,
    #[serde(default = "default::max_body_bytes")]
    pub(super) max_body_bytes: Whole,
    #[serde(default = "default::queue_limit")]
    pub(super) queue_limit: Whole,
    #[serde(default = "default::disk_low_watermark_bytes")]
    pub(super) disk_low_watermark_bytes: Whole,
    #[serde(default)]
    pub(super) rate_limit: RawRateLimit,
    #[serde(default)]
    pub(super) witnesses: Vec<RawWitness>,
    pub(super) tls: Option<RawTls>,
    #[serde(default)]
    pub(super) metrics: RawMetrics,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWitness {
    pub(super) url: String,
    pub(super) vkey: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRateLimit {
    pub(super) per_source_per_second: Whole,
    pub(super) per_source_burst: Whole,
    pub(super) per_anchor_per_second: Whole,
    pub(super) per_anchor_burst: Whole,
}

impl Default for RawRateLimit {
    fn default() -> Self {
        let n = Whole(20_000);
        Self { per_source_per_second: n, per_source_burst: n, per_anchor_per_second: n, per_anchor_burst: n }
    }
}

impl Raw {
    /// What a file with nothing but `origin` says.
    pub(super) fn defaults(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            operator: String::new(),
            listen: default::listen(),
            data_dir: default::data_dir(),
            key_file: default::key_file(),
            anchors_dir: default::anchors_dir(),
            sth_interval_seconds: default::sth_interval_seconds(),
            not_after_start: default::not_after_start(),
            not_after_limit: default::not_after_limit(),
            retention_seconds: Whole(0),
            max_chain_length: default::max_chain_length(),
            max_body_bytes: default::max_body_bytes(),
            queue_limit: default::queue_limit(),
            disk_low_watermark_bytes: default::disk_low_watermark_bytes(),
            rate_limit: RawRateLimit::default(),
            witnesses: Vec::new(),
            tls: None,
            metrics: RawMetrics::default(),
        }
    }
}

/// The value of each key that a file leaves out.
mod default {
    use std::path::PathBuf;

    use super::Whole;

    macro_rules! defaults {
        ($($key:ident: $kind:ty = $value:expr;)*) => { $(pub(super) fn $key() -> $kind { $value.into() })* };
    }

    defaults! {
        listen: String = "127.0.0.1:8080";
        data_dir: PathBuf = "data";
        key_file: PathBuf = "log-key.pem";
        anchors_dir: PathBuf = "anchors";
        sth_interval_seconds: Whole = Whole(60);
        not_after_start: String = "1970-01-01T00:00:00Z";
        not_after_limit: String = "9999-01-01T00:00:00Z";
        max_chain_length: Whole = Whole(4);
        max_body_bytes: Whole = Whole(256 << 10);
        queue_limit: Whole = Whole(4096);
        disk_low_watermark_bytes: Whole = Whole(1 << 30);
    }
}
