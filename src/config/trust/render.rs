//! Writes a configuration as the commented file that an operator starts from. What an engine does not
//! have stands in it as an example.

use super::TrustConfig;
use crate::config::ConfigError;
use crate::config::render::{metrics, path, quoted, spki, tables_or, tls};

impl TrustConfig {
    /// This configuration as commented TOML; [`TrustConfig::parse`] reads the same values back.
    ///
    /// # Errors
    /// Where a path is not UTF-8, which TOML cannot hold.
    pub fn render(&self) -> Result<String, ConfigError> {
        Ok([
            self.identity()?,
            self.policy(),
            self.baseline(),
            self.reporters(),
            self.readers(),
            self.operators(),
            self.network()?,
        ]
        .concat())
    }

    fn identity(&self) -> Result<String, ConfigError> {
        Ok(format!(
            "# Configuration of one trust engine. Paths are relative to the directory of this file. Every key
# but `trust_domain` may be left out; an unknown key is refused.

# The trust domain whose agents' scores it keeps: agent://<trust_domain>/org/type/instance. Signals
# name it as their `aud`. It can never change.
trust_domain = {}

# Where HTTPS is served.
listen = {}

# The database. Only one server may run on it.
data_dir = {}

# Free octets of the data disk below which no signal is taken in.
disk_low_watermark_bytes = {}
",
            quoted(&self.trust_domain),
            quoted(&self.listen.to_string()),
            path("data_dir", &self.data_dir)?,
            self.disk_low_watermark_bytes,
        ))
    }

    fn policy(&self) -> String {
        let policy = &self.policy;
        format!(
            "
[policy]
# Points an hour that a score loses while nothing good is heard of its agent, 0 to 100, and seconds
# behind a positive signal in which it loses nothing, at most 604800.
decay_rate = {}
active_seconds = {}

# Points, up and down together, that a score may move within 24 hours; beyond it decays twice as fast
# for the next 24. 1 to 1000.
swing_points = {}

# Points that one reporter alone moves a score by within 24 hours, in each direction; the rest waits
# until another reporter agrees. 1 to 100.
reporter_cap = {}

# Points that a score rises by within 24 hours; the rest waits for `atl trust reviews`. 1 to 100.
rise_limit = {}

# Points that a security incident takes until it is confirmed (then the score is 0) or dismissed (then
# it gets them back), 0 to 100.
incident_points = {}

# Days after which a penalty no longer lowers the highest score to be had, 0 to 36500; 0 is never.
penalty_lapse_days = {}

# Signals that one reporter may send of one agent within an hour, 1 to 1000.
signals_per_hour = {}

# Seconds that a signal may be dated ahead, 0 to 3600, and how old it may be, 10 to 86400.
max_ahead_seconds = {}
max_age_seconds = {}
",
            policy.decay_rate.get(),
            policy.active_seconds,
            policy.swing_points,
            policy.reporter_cap,
            policy.rise_limit,
            policy.incident_points,
            policy.penalty_lapse_days,
            policy.signals_per_hour,
            policy.max_ahead_seconds,
            policy.max_age_seconds,
        )
    }

    fn baseline(&self) -> String {
        format!(
            "
# When a reporter is unlike the others and is flagged: its positive signals then wait for an operator.
# Signals within 7 days below which nobody is judged or compared with, other reporters with as many
# that there must be, and median absolute deviations from their median.
[baseline]
min_signals = {}
min_others = {}
deviations = {}
",
            self.baseline.min_signals, self.baseline.min_others, self.baseline.deviations,
        )
    }

    fn reporters(&self) -> String {
        let tables = self.reporters.iter().map(|reporter| {
            let key = spki(reporter.public_key.spki_der());
            format!("\n[[reporters]]\nname = {}\npublic_key = {key}\n", quoted(&reporter.name))
        });
        let what = "The relying parties that may report: a name for the ledger (lower-case letters, digits, `.`, `_`,
# `-`), and the public key (Ed25519 or P-256, base64 of the DER SubjectPublicKeyInfo) of their signals
# and of their TLS client certificate. `atl trust reporter-key` makes one and prints this table.";
        let example = "# [[reporters]]\n# name = \"shop.example\"\n\
            # public_key = \"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n";
        tables_or(what, tables, example)
    }

    fn readers(&self) -> String {
        let tables = self.readers.iter().map(|reader| {
            let hash = hex::encode(reader.token_sha256);
            format!("\n[[readers]]\nname = {}\ntoken_sha256 = \"{hash}\"\n", quoted(&reader.name))
        });
        let what = "Who may read scores and follow their changes, as the CA does; a reader writes nothing. A name, and
# the SHA-256 of a token: head -c 32 /dev/urandom | base64 | tr -d '\\n' | tee NAME.token | sha256sum";
        let example = "# [[readers]]\n# name = \"ca\"\n\
            # token_sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n";
        tables_or(what, tables, example)
    }

    fn operators(&self) -> String {
        let tables = self.operators.iter().map(|operator| {
            let (name, role) = (quoted(&operator.name), operator.role.name());
            let hash = hex::encode(operator.token_sha256);
            format!("\n[[operators]]\nname = {name}\nrole = \"{role}\"\ntoken_sha256 = \"{hash}\"\n")
        });
        let what = "Who may decide: a name for the ledger, a role and the SHA-256 of a token that only this person has.
# \"ca\" confirms incidents, which only lowers; \"engine\" dismisses them too, decides reviews, changes bases and
# clears reporters' flags.";
        let example = "# [[operators]]\n# name = \"ana\"\n# role = \"engine\"\n\
            # token_sha256 = \"60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752\"\n";
        tables_or(what, tables, example)
    }

    fn network(&self) -> Result<String, ConfigError> {
        Ok(format!(
            "
# Requests per second of each address, and signals per second of each reporter; and how many at once
# after a quiet time.
[rate_limit]
per_source_per_second = {}
per_source_burst = {}
per_reporter_per_second = {}
per_reporter_burst = {}

# The certificate of the service and its key (PEM files). One that `atl trust init` made is nobody
# else's word: whoever calls pins it.
{}
# An address of its own for /metrics. Without it metrics are served on `listen`.
{}",
            self.per_source.per_second,
            self.per_source.burst,
            self.per_reporter.per_second,
            self.per_reporter.burst,
            tls(Some(&self.tls))?,
            metrics(self.metrics_listen),
        ))
    }
}
