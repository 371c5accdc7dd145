//! The configuration of a gateway. Every key but `relying_party`, `proxy` and the routes has a default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use super::check::Check;
use crate::apki::capabilities::{Amount, Currency, MAX_TOOL_URI};
use crate::apki::extension::{AsciiText, Text};

mod check;
mod raw;

/// A checked configuration of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// The file that says whose agents are taken and what is wanted of them. Mandatory.
    pub relying_party: PathBuf,
    /// CAs (PEM) that agents need not bring along. Default: none.
    pub issuers: Option<PathBuf>,
    /// A directory of audit statements about logs, where the relying party wants logs to be audited. Default: none.
    pub audits: Option<PathBuf>,
    /// Which proxy asks. Mandatory.
    pub proxy: Proxy,
    /// Where the proxy asks. Default: `127.0.0.1:8446`.
    pub listen: Listen,
    /// SHA-256 of the secret that the proxy shows. Mandatory where others than this machine reach `listen`.
    pub secret_sha256: Option<[u8; 32]>,
    /// Which request is which operation, at least one.
    pub routes: Vec<Route>,
    /// Where spending and calls are counted.
    pub ledger: Ledger,
    /// How often is looked for something new.
    pub refresh: Refresh,
    /// Where metrics are served; `None` for `listen`. Default: `None`.
    pub metrics_listen: Option<SocketAddr>,
}

/// Which proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// nginx with `auth_request`.
    Nginx,
    /// Envoy with `ext_authz`.
    Envoy,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On an address.
    Tcp(SocketAddr),
    /// On a socket in the file system.
    Unix(PathBuf),
}

/// A table of `routes`: requests that are one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The host, without a port; every route names one, or none does, and then any host will do.
    pub host: Option<String>,
    /// The path, and all below it. Mandatory.
    pub path: String,
    /// The methods. Default: all.
    pub methods: Vec<String>,
    /// The tool, as capabilities name it. Mandatory.
    pub tool_uri: AsciiText<MAX_TOOL_URI>,
    /// What of it. Mandatory.
    pub scope: Text,
    /// What it spends. Default: nothing.
    pub spend: Option<Spend>,
}

/// Table `routes.spend`: money in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// Where the amount is.
    pub amount: AmountFrom,
    /// Of what.
    pub currency: Currency,
}

/// Where the amount of a request is, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmountFrom {
    /// It is always this (`amount`).
    Fixed(Amount),
    /// In a header of this name (`amount_header`).
    Header(String),
    /// In a parameter of this name of the query (`amount_query`).
    Query(String),
}

/// Table `ledger`: where spending and calls are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Where it is kept. Default: `ledger`.
    pub kept: Kept,
    /// Most counters, one for the calls of an account and one for each currency that it spends. Default: 100 000.
    pub counters: usize,
}

/// Where a ledger is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In a database in this directory.
    Dir(PathBuf),
    /// In memory, so that a new start gives every limit anew.
    Memory,
}

/// Table `refresh`: how often is looked for something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Seconds between two looks at the files, 1 to 3600. Default: 10.
    pub files_seconds: u32,
    /// Seconds between two fetches of revocation lists from where the relying party's configuration says, 1 to
    /// 86 400. Default: 300.
    pub lists_seconds: u32,
    /// Seconds for which an OCSP answer that was fetched is used, however long it may be kept, 0 to 86 400.
    /// Default: 60.
    pub ocsp_seconds: u32,
}

impl GatewayConfig {
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
        Check { file }.gateway(super::raw::read(text, file)?, base)
    }
}

#[cfg(test)]
#[path = "gateway/tests.rs"]
mod tests;
