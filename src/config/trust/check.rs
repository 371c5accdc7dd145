//! Ranges and shapes of a trust engine's configuration.

use std::path::Path;

use super::raw::{Raw, RawBaseline, RawOperator, RawPolicy, RawReader, RawReporter};
use super::{Baseline, Operator, Policy, Reader, Reporter, TrustConfig};
use crate::apki::trust_score::DecayRate;
use crate::config::check::Check;
use crate::config::{ConfigError, RateLimit};

/// Characters of a reporter's name, as the ledger has it.
const MAX_REPORTER: usize = 64;

impl Check<'_> {
    /// The configuration of a trust engine.
    pub(super) fn trust(&self, raw: Raw, base: &Path) -> Result<TrustConfig, ConfigError> {
        let limit = raw.rate_limit;
        let reporters = self.each("reporters", raw.reporters, Self::reporter)?;
        self.once("reporters", "name", &reporters, |a, b| a.name == b.name)?;
        // Two names for one key would be two opinions of one reporter.
        self.once("reporters", "public_key", &reporters, |a, b| a.public_key == b.public_key)?;
        let readers = self.each("readers", raw.readers, Self::reader)?;
        self.once("readers", "name", &readers, |a, b| a.name == b.name)?;
        self.once("readers", "token_sha256", &readers, |a, b| a.token_sha256 == b.token_sha256)?;
        let operators = self.each("operators", raw.operators, Self::trust_operator)?;
        self.once("operators", "name", &operators, |a, b| a.name == b.name)?;
        self.once("operators", "token_sha256", &operators, |a, b| a.token_sha256 == b.token_sha256)?;
        self.apart(&readers, &operators)?;
        let metrics = raw.metrics.listen.map(|text| self.address("metrics.listen", &text));
        Ok(TrustConfig {
            trust_domain: self.trust_domain(raw.trust_domain)?,
            listen: self.address("listen", &raw.listen)?,
            data_dir: self.path("data_dir", base, raw.data_dir)?,
            disk_low_watermark_bytes: self.number(
                "disk_low_watermark_bytes",
                raw.disk_low_watermark_bytes,
                0,
                i64::MAX,
            )?,
            tls: self.tls(base, raw.tls)?,
            policy: self.trust_policy(&raw.policy)?,
            baseline: self.baseline(&raw.baseline)?,
            reporters,
            readers,
            operators,
            per_source: RateLimit {
                per_second: self.rate("rate_limit.per_source_per_second", limit.per_source_per_second)?,
                burst: self.rate("rate_limit.per_source_burst", limit.per_source_burst)?,
            },
            per_reporter: RateLimit {
                per_second: self.rate("rate_limit.per_reporter_per_second", limit.per_reporter_per_second)?,
                burst: self.rate("rate_limit.per_reporter_burst", limit.per_reporter_burst)?,
            },
            metrics_listen: metrics.transpose()?,
        })
    }

    fn trust_policy(&self, raw: &RawPolicy) -> Result<Policy, ConfigError> {
        let rate = self.number("policy.decay_rate", raw.decay_rate, 0, 100)?;
        let decay_rate = DecayRate::new(rate).or_else(|e| self.refuse("policy.decay_rate", rate, &e.to_string()))?;
        Ok(Policy {
            decay_rate,
            active_seconds: self.number("policy.active_seconds", raw.active_seconds, 0, 604_800)?,
            swing_points: self.number("policy.swing_points", raw.swing_points, 1, 1000)?,
            reporter_cap: self.number("policy.reporter_cap", raw.reporter_cap, 1, 100)?,
            rise_limit: self.number("policy.rise_limit", raw.rise_limit, 1, 100)?,
            incident_points: self.number("policy.incident_points", raw.incident_points, 0, 100)?,
            penalty_lapse_days: self.number("policy.penalty_lapse_days", raw.penalty_lapse_days, 0, 36_500)?,
            signals_per_hour: self.number("policy.signals_per_hour", raw.signals_per_hour, 1, 1000)?,
            max_ahead_seconds: self.number("policy.max_ahead_seconds", raw.max_ahead_seconds, 0, 3600)?,
            max_age_seconds: self.number("policy.max_age_seconds", raw.max_age_seconds, 10, 86_400)?,
        })
    }

    fn baseline(&self, raw: &RawBaseline) -> Result<Baseline, ConfigError> {
        Ok(Baseline {
            min_signals: self.number("baseline.min_signals", raw.min_signals, 1, 1_000_000)?,
            min_others: self.number("baseline.min_others", raw.min_others, 1, 1000)?,
            deviations: self.number("baseline.deviations", raw.deviations, 1, 1000)?,
        })
    }

    fn reporter(&self, at: &str, raw: RawReporter) -> Result<Reporter, ConfigError> {
        let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_' | b'-');
        if !(1..=MAX_REPORTER).contains(&raw.name.len()) || !raw.name.bytes().all(letter) {
            let allowed = "it must be 1 to 64 lower-case letters, digits, `.`, `_` and `-`, such as \"shop.example\"";
            return self.refuse(&format!("{at}.name"), format!("{:?}", raw.name), allowed);
        }
        Ok(Reporter { name: raw.name, public_key: self.key(&format!("{at}.public_key"), &raw.public_key)? })
    }

    fn reader(&self, at: &str, raw: RawReader) -> Result<Reader, ConfigError> {
        let token_sha256 = self.token_sha256(&format!("{at}.token_sha256"), &raw.token_sha256)?;
        Ok(Reader { name: self.name(&format!("{at}.name"), raw.name)?, token_sha256 })
    }

    fn trust_operator(&self, at: &str, raw: RawOperator) -> Result<Operator, ConfigError> {
        let token_sha256 = self.token_sha256(&format!("{at}.token_sha256"), &raw.token_sha256)?;
        Ok(Operator { name: self.name(&format!("{at}.name"), raw.name)?, role: raw.role, token_sha256 })
    }

    /// A reader with an operator's token would be no mere reader.
    fn apart(&self, readers: &[Reader], operators: &[Operator]) -> Result<(), ConfigError> {
        for (place, operator) in operators.iter().enumerate() {
            if let Some(reader) = readers.iter().position(|reader| reader.token_sha256 == operator.token_sha256) {
                let found = format!("that of readers[{reader}]");
                let allowed = "who reads does not decide: give each a token of its own";
                return self.refuse(&format!("operators[{place}].token_sha256"), found, allowed);
            }
        }
        Ok(())
    }
}
