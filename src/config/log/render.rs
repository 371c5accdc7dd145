//! Writes a configuration as the commented file that an operator starts from.

use super::LogConfig;
use crate::config::ConfigError;
use crate::config::render::{metrics, moment, path, quoted, tables_or, tls};

impl LogConfig {
    /// This configuration as commented TOML; [`LogConfig::parse`] reads the same values back.
    ///
    /// # Errors
    /// Where a path is not UTF-8, which TOML cannot hold.
    pub fn render(&self) -> Result<String, ConfigError> {
        Ok([self.identity(), self.files()?, self.shard(), self.limits(), self.asked(), self.network()?].concat())
    }

    fn identity(&self) -> String {
        format!(
            "# Configuration of one log. Paths are relative to the directory of this file. Every key but
# `origin` may be left out; an unknown key is refused.

# The log's name in checkpoints, a URL without schema. It can never change.
origin = {}

# Who runs the log, for people.
operator = {}

# Where HTTP is served. Plain HTTP on another address than loopback belongs behind a proxy that
# speaks TLS; or see [tls] below.
listen = {}
",
            quoted(&self.origin),
            quoted(&self.operator),
            quoted(&self.listen.to_string()),
        )
    }

    fn files(&self) -> Result<String, ConfigError> {
        Ok(format!(
            "
# The database. Only one server may run on it.
data_dir = {}

# The Ed25519 key that signs (PEM, PKCS#8). Keep a copy, and keep it secret.
key_file = {}

# PEM certificates of the authorities whose certificates are recorded.
anchors_dir = {}
",
            path("data_dir", &self.data_dir)?,
            path("key_file", &self.key_file)?,
            path("anchors_dir", &self.anchors_dir)?,
        ))
    }

    fn shard(&self) -> String {
        format!(
            "
# Seconds between signed tree heads, 1 to 3600: readers see an entry after at most so long.
sth_interval_seconds = {}

# The shard: certificates with not_after_start <= notAfter < not_after_limit are recorded.
not_after_start = {}
not_after_limit = {}

# Seconds after which certificate bodies are dropped; their hashes stay. 0 keeps them for ever.
retention_seconds = {}

# Most certificates from a submission to its anchor, both counted, 1 to 16.
max_chain_length = {}
",
            self.sth_interval_seconds,
            quoted(&moment(self.not_after_start)),
            quoted(&moment(self.not_after_limit)),
            self.retention_seconds,
            self.max_chain_length,
        )
    }

    fn limits(&self) -> String {
        format!(
            "
# Octets of a submission's body; a batch may have sixteen times as many.
max_body_bytes = {}

# Submissions that wait to be sequenced; beyond them the log says that it is overloaded.
queue_limit = {}

# Free octets of the data disk below which the log takes nothing in.
disk_low_watermark_bytes = {}

# Submissions per second, and how many at once after a quiet time: from each address, and under
# each anchor.
[rate_limit]
per_source_per_second = {}
per_source_burst = {}
per_anchor_per_second = {}
per_anchor_burst = {}
",
            self.max_body_bytes,
            self.queue_limit,
            self.disk_low_watermark_bytes,
            self.per_source.per_second,
            self.per_source.burst,
            self.per_anchor.per_second,
            self.per_anchor.burst,
        )
    }

    fn asked(&self) -> String {
        let what =
            "Who is asked to cosign each signed head (C2SP tlog-witness): the URL in front of `add-checkpoint`, and the
# verifier key (signature type 0x04). The cosignatures are on /checkpoint as soon as they are in; nothing waits
# for them. Heads should be further apart than a witness takes, or a growing log's never has any.";
        let tables = self.witnesses.iter().map(|witness| {
            format!("\n[[witnesses]]\nurl = {}\nvkey = {}\n", quoted(&witness.url), quoted(&witness.vkey))
        });
        let example = "# [[witnesses]]
# url = \"https://witness.example.com\"
# vkey = \"witness.example.com+94947cf1+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea\"
";
        tables_or(what, tables, example)
    }

    fn network(&self) -> Result<String, ConfigError> {
        let (tls, metrics) = (tls(self.tls.as_ref())?, metrics(self.metrics_listen));
        Ok(format!(
            "
# The server's own TLS (PEM files). Without it the log speaks plain HTTP.
{tls}
# An address of its own for /metrics. Without it metrics are served on `listen`.
{metrics}"
        ))
    }
}
