//! The file as it is written: kinds of values and defaults, no ranges yet.

use std::path::PathBuf;

use serde::Deserialize;

use super::Proxy;
use crate::config::raw::{RawMetrics, Whole};

/// The file, key for key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) relying_party: PathBuf,
    pub(super) issuers: Option<PathBuf>,
    pub(super) audits: Option<PathBuf>,
    pub(super) proxy: Proxy,
    #[serde(default = "default::listen")]
    pub(super) listen: String,
    pub(super) secret_sha256: Option<String>,
    #[serde(default)]
    pub(super) routes: Vec<RawRoute>,
    #[serde(default)]
    pub(super) ledger: RawLedger,
    #[serde(default)]
    pub(super) refresh: RawRefresh,
    #[serde(default)]
    pub(super) metrics: RawMetrics,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    pub(super) host: Option<String>,
    pub(super) path: String,
    #[serde(default)]
    pub(super) methods: Vec<String>,
    pub(super) tool_uri: String,
    pub(super) scope: String,
    pub(super) spend: Option<RawSpend>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpend {
    pub(super) amount: Option<Whole>,
    pub(super) amount_header: Option<String>,
    pub(super) amount_query: Option<String>,
    pub(super) currency: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLedger {
    pub(super) dir: Option<PathBuf>,
    pub(super) memory: bool,
    pub(super) counters: Whole,
}

impl Default for RawLedger {
    fn default() -> Self {
        Self { dir: None, memory: false, counters: Whole(100_000) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRefresh {
    pub(super) files_seconds: Whole,
    pub(super) lists_seconds: Whole,
    pub(super) ocsp_seconds: Whole,
}

impl Default for RawRefresh {
    fn default() -> Self {
        Self { files_seconds: Whole(10), lists_seconds: Whole(300), ocsp_seconds: Whole(60) }
    }
}

mod default {
    pub(super) fn listen() -> String {
        "127.0.0.1:8446".to_owned()
    }
}
