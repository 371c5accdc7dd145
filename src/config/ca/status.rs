//! Table `status`: how the world learns what became of certificates.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::check::Check;
use crate::config::raw::Whole;
use crate::config::render::{path, quoted};
use crate::config::{ConfigError, RateLimit};

/// Revocation lists and OCSP (RFC 5280 section 5, RFC 6960).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where plain HTTP serves them, beside the CA's own HTTPS; `None` for HTTPS alone. Default: `None`.
    pub listen: Option<SocketAddr>,
    /// What stands in front of `/ocsp` and `/crl` in the URLs in certificates; `None` for the first public name
    /// with the port of `listen`. Default: `None`.
    pub base_url: Option<String>,
    /// Seconds between two lists, at most 60 (draft 7.4). Default: 60.
    pub crl_refresh_seconds: u32,
    /// Certificates issued in the same stretch of so many seconds are listed together, 300 to 86 400. It can never
    /// change while a certificate is valid that names a list. Default: 3600.
    pub crl_shard_seconds: u32,
    /// Seconds that an OCSP answer may be shown to others, 10 to 3600. Default: 60.
    pub ocsp_validity_seconds: u32,
    /// Limit of each source address. Default: 20 000 and 20 000.
    pub per_source: RateLimit,
    /// What the root's signer of revocation lists published of the intermediates. Default: `root.crl`.
    pub root_crl_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStatus {
    listen: Option<String>,
    base_url: Option<String>,
    crl_refresh_seconds: Whole,
    crl_shard_seconds: Whole,
    ocsp_validity_seconds: Whole,
    per_source_per_second: Whole,
    per_source_burst: Whole,
    root_crl_file: PathBuf,
}

impl Default for RawStatus {
    fn default() -> Self {
        Self {
            listen: None,
            base_url: None,
            crl_refresh_seconds: Whole(60),
            crl_shard_seconds: Whole(3600),
            ocsp_validity_seconds: Whole(60),
            per_source_per_second: Whole(20_000),
            per_source_burst: Whole(20_000),
            root_crl_file: PathBuf::from("root.crl"),
        }
    }
}

impl Check<'_> {
    pub(super) fn status(&self, raw: RawStatus, base: &Path) -> Result<Status, ConfigError> {
        Ok(Status {
            listen: raw.listen.map(|text| self.address("status.listen", &text)).transpose()?,
            base_url: raw
                .base_url
                .map(|url| self.base_url("status.base_url", &url, "http://status.example.com"))
                .transpose()?,
            crl_refresh_seconds: self.number("status.crl_refresh_seconds", raw.crl_refresh_seconds, 5, 60)?,
            crl_shard_seconds: self.number("status.crl_shard_seconds", raw.crl_shard_seconds, 300, 86_400)?,
            ocsp_validity_seconds: self.number("status.ocsp_validity_seconds", raw.ocsp_validity_seconds, 10, 3600)?,
            per_source: RateLimit {
                per_second: self.rate("status.per_source_per_second", raw.per_source_per_second)?,
                burst: self.rate("status.per_source_burst", raw.per_source_burst)?,
            },
            root_crl_file: self.path("status.root_crl_file", base, raw.root_crl_file)?,
        })
    }
}

impl Status {
    pub(super) fn render(&self) -> Result<String, ConfigError> {
        let listen = match &self.listen {
            Some(address) => format!("listen = {}", quoted(&address.to_string())),
            None => "# listen = \"127.0.0.1:8080\"".to_owned(),
        };
        let base_url = match &self.base_url {
            Some(url) => format!("base_url = {}", quoted(url)),
            None => "# base_url = \"http://status.example.com\"".to_owned(),
        };
        Ok(format!(
            "
# Revocation lists and OCSP. They are signed, so that plain HTTP is as good as HTTPS for them, and it is
# what most clients know: `listen` serves them there too, beside the CA's HTTPS.
[status]
{listen}

# What stands in front of /ocsp and /crl in certificates. Left out it is made of the first of
# `public_names` and the port of `listen`, over HTTPS where there is no `listen`. It has to stay reachable for
# as long as certificates that name it are valid.
{base_url}

# Seconds between two lists, 5 to 60; a revocation is listed at once. Certificates issued within the same
# `crl_shard_seconds` (300 to 86400) are in one list. Wait until all certificates have ended to change that.
crl_refresh_seconds = {}
crl_shard_seconds = {}

# Seconds that an answer of OCSP may be shown to others, 10 to 3600: a staple is believed for so long.
ocsp_validity_seconds = {}

# Questions per second from each address, and how many at once after a quiet time.
per_source_per_second = {}
per_source_burst = {}

# What the root's signer of lists says of intermediates. It is read again whenever it changes:
# atl ca root revoke-intermediate --help
root_crl_file = {}
",
            self.crl_refresh_seconds,
            self.crl_shard_seconds,
            self.ocsp_validity_seconds,
            self.per_source.per_second,
            self.per_source.burst,
            path("status.root_crl_file", &self.root_crl_file)?,
        ))
    }
}
