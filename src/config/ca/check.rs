//! Ranges and shapes of a CA's configuration.

use std::num::{NonZeroU8, NonZeroU32};
use std::path::Path;

use super::raw::{
    Raw, RawCallLimit, RawCapability, RawCertificates, RawFederation, RawIssuance, RawLog, RawOperator,
    RawOrganization, RawPolicy, RawSpendLimit,
};
use super::{CaConfig, CertificateRules, Federation, Issuance, Operator, Organization, Policy, Registry, TrustedLog};
use crate::apki::AgentUri;
use crate::apki::capabilities::{self, Amount, Capabilities, Capability, Currency, SpendLimit};
use crate::apki::extension::{AsciiText, Text};
use crate::apki::trust_score::{DecayRate, Score};
use crate::config::check::Check;
use crate::config::raw::Whole;
use crate::config::{ConfigError, RateLimit};

impl Check<'_> {
    /// The configuration of a CA.
    pub(super) fn ca(&self, raw: Raw, base: &Path) -> Result<CaConfig, ConfigError> {
        let limit = raw.rate_limit;
        let logs = self.each("logs", raw.logs, Self::trusted_log)?;
        self.once("logs", "key", &logs, |a, b| a.key == b.key)?;
        self.once("logs", "url", &logs, |a, b| a.url == b.url)?;
        let organizations = self.each("organizations", raw.organizations, Self::known_organization)?;
        self.once("organizations", "name", &organizations, |a, b| a.name == b.name)?;
        let operators = self.each("operators", raw.operators, Self::operator)?;
        self.once("operators", "name", &operators, |a, b| a.name == b.name)?;
        self.once("operators", "token_sha256", &operators, |a, b| a.token_sha256 == b.token_sha256)?;
        let metrics = raw.metrics.listen.map(|text| self.address("metrics.listen", &text));
        Ok(CaConfig {
            trust_domain: self.trust_domain(raw.trust_domain)?,
            organization: self.name("organization", raw.organization)?,
            listen: self.address("listen", &raw.listen)?,
            data_dir: self.path("data_dir", base, raw.data_dir)?,
            issuer_certificate: self.path("issuer_certificate", base, raw.issuer_certificate)?,
            issuer_key: self.path("issuer_key", base, raw.issuer_key)?,
            root_certificate: self.path("root_certificate", base, raw.root_certificate)?,
            name_constraint: raw.name_constraint,
            public_names: self.public_names(raw.public_names)?,
            disk_low_watermark_bytes: self.number(
                "disk_low_watermark_bytes",
                raw.disk_low_watermark_bytes,
                0,
                i64::MAX,
            )?,
            certificates: self.certificates(raw.certificates, base)?,
            policy: self.policy(raw.policy, base)?,
            organizations,
            delegation: self.delegation(&raw.delegation)?,
            trust: self.trust_rules(raw.trust, base)?,
            capability_ceiling: self.ceiling(raw.capability_ceiling)?,
            issuance: self.issuance(&raw.issuance, logs.len())?,
            logs,
            operators,
            per_source: RateLimit {
                per_second: self.rate("rate_limit.per_source_per_second", limit.per_source_per_second)?,
                burst: self.rate("rate_limit.per_source_burst", limit.per_source_burst)?,
            },
            per_token: RateLimit {
                per_second: self.rate("rate_limit.per_token_per_second", limit.per_token_per_second)?,
                burst: self.rate("rate_limit.per_token_burst", limit.per_token_burst)?,
            },
            tls: raw.tls.map(|tls| self.tls(base, tls)).transpose()?,
            metrics_listen: metrics.transpose()?,
            status: self.status(raw.status, base)?,
            federation: self.federation(raw.federation, base)?,
        })
    }

    fn federation(&self, raw: RawFederation, base: &Path) -> Result<Federation, ConfigError> {
        let path = |key: &str, path: Option<_>| path.map(|path| self.path(key, base, path)).transpose();
        let minimum = self.number("federation.minimum_trust_score", raw.minimum_trust_score, 0, 100)?;
        let seconds = raw.bundle_lifetime_seconds;
        Ok(Federation {
            bundle_key: path("federation.bundle_key", raw.bundle_key)?,
            minimum_trust_score: self.value("federation.minimum_trust_score", minimum, Score::new(minimum))?,
            bundle_lifetime_seconds: self.number("federation.bundle_lifetime_seconds", seconds, 60, 604_800)?,
            dir: path("federation.dir", raw.dir)?,
        })
    }

    fn certificates(&self, raw: RawCertificates, base: &Path) -> Result<CertificateRules, ConfigError> {
        let validity = |key: &str, n, least, most| self.number::<u32>(&format!("certificates.{key}"), n, least, most);
        let least = validity("min_validity_seconds", raw.min_validity_seconds, 300, 86_400)?;
        let most = validity("max_validity_seconds", raw.max_validity_seconds, least.into(), 86_400)?;
        let usual = validity("default_validity_seconds", raw.default_validity_seconds, least.into(), most.into())?;
        let decay_rate = self.number("certificates.decay_rate", raw.decay_rate, 0, 100)?;
        let method = raw.computation_method;
        Ok(CertificateRules {
            default_validity_seconds: usual,
            min_validity_seconds: least,
            max_validity_seconds: most,
            backdate_seconds: validity("backdate_seconds", raw.backdate_seconds, 0, 300)?,
            decay_rate: self.value("certificates.decay_rate", decay_rate, DecayRate::new(decay_rate))?,
            computation_method: self.text("certificates.computation_method", method)?,
            human_principal: raw.human_principal,
            principal_salt_file: self.path("certificates.principal_salt_file", base, raw.principal_salt_file)?,
            max_delegation_depth: self.number("certificates.max_delegation_depth", raw.max_delegation_depth, 0, 255)?,
            max_live: self.number("certificates.max_live", raw.max_live, 1, 1024)?,
            renewal_key: raw.renewal_key,
            spiffe: raw.spiffe,
        })
    }

    fn policy(&self, raw: RawPolicy, base: &Path) -> Result<Policy, ConfigError> {
        let min_score = self.number("policy.min_score", raw.min_score, 0, 100)?;
        let texts = |key: &str, texts: Vec<String>| {
            let text = |(place, text)| self.text(&format!("policy.{key}[{place}]"), text);
            texts.into_iter().enumerate().map(text).collect::<Result<Vec<_>, _>>()
        };
        let registry = match (raw.registry_file, raw.registry_key) {
            (None, None) => None,
            (Some(file), Some(key)) => Some(Registry {
                file: self.path("policy.registry_file", base, file)?,
                key: self.key("policy.registry_key", &key)?,
            }),
            (Some(_), None) => return self.refuse("policy.registry_key", "missing", "`registry_file` needs it"),
            (None, Some(_)) => return self.refuse("policy.registry_file", "missing", "`registry_key` is for it alone"),
        };
        Ok(Policy {
            manual_approval: raw.manual_approval,
            min_score: self.value("policy.min_score", min_score, Score::new(min_score))?,
            default_reputation: self.number("policy.default_reputation", raw.default_reputation, 0, 20)?,
            known_models: texts("known_models", raw.known_models)?,
            known_frameworks: texts("known_frameworks", raw.known_frameworks)?,
            require_known_provenance: raw.require_known_provenance,
            registry,
        })
    }

    fn issuance(&self, raw: &RawIssuance, logs: usize) -> Result<Issuance, ConfigError> {
        let sats: u8 = self.number("issuance.min_sats", raw.min_sats, 1, 8)?;
        if logs > 0 && usize::from(sats) > logs {
            return self.refuse("issuance.min_sats", sats, &format!("no more than the {logs} logs under `logs`"));
        }
        let attempts = self.number("issuance.attempts", raw.attempts, 1, 10)?;
        Ok(Issuance {
            min_sats: NonZeroU8::new(sats).map_or_else(|| self.refuse("issuance.min_sats", sats, "1 and more"), Ok)?,
            log_timeout_ms: self.number("issuance.log_timeout_ms", raw.log_timeout_ms, 100, 60_000)?,
            attempts: self.positive("issuance.attempts", attempts)?,
            straggler_ms: self.number("issuance.straggler_ms", raw.straggler_ms, 0, 10_000)?,
            pending_ttl_seconds: self.number("issuance.pending_ttl_seconds", raw.pending_ttl_seconds, 60, 7_776_000)?,
        })
    }

    fn known_organization(&self, at: &str, raw: RawOrganization) -> Result<Organization, ConfigError> {
        Ok(Organization {
            name: self.org_segment(&format!("{at}.name"), raw.name)?,
            reputation: self.number(&format!("{at}.reputation"), raw.reputation, 0, 20)?,
        })
    }

    fn trusted_log(&self, at: &str, raw: RawLog) -> Result<TrustedLog, ConfigError> {
        let url = self.base_url(&format!("{at}.url"), &raw.url, "https://log.example.com/2026h2")?;
        let operator = self.name(&format!("{at}.operator"), raw.operator)?;
        Ok(TrustedLog { url, key: self.key(&format!("{at}.key"), &raw.key)?, operator })
    }

    fn operator(&self, at: &str, raw: RawOperator) -> Result<Operator, ConfigError> {
        let token_sha256 = self.token_sha256(&format!("{at}.token_sha256"), &raw.token_sha256)?;
        Ok(Operator { name: self.name(&format!("{at}.name"), raw.name)?, token_sha256 })
    }

    fn ceiling(&self, raw: Vec<RawCapability>) -> Result<Option<Capabilities>, ConfigError> {
        if raw.is_empty() {
            return Ok(None);
        }
        let count = format!("{} tools", raw.len());
        let capabilities = Capabilities::new(self.each("capability_ceiling", raw, Self::capability)?);
        self.value("capability_ceiling", count, capabilities).map(Some)
    }

    fn capability(&self, at: &str, raw: RawCapability) -> Result<Capability, ConfigError> {
        let tool = raw.tool_uri;
        if tool.is_empty() {
            return self.refuse(&format!("{at}.tool_uri"), "\"\"", "it must be the URI of a tool");
        }
        Ok(Capability {
            tool_uri: self.value(&format!("{at}.tool_uri"), format!("{tool:?}"), AsciiText::new(tool))?,
            scope: self.text(&format!("{at}.scope"), raw.scope)?,
            spend_limit: raw.spend_limit.map(|raw| self.spend_limit(&format!("{at}.spend_limit"), &raw)).transpose()?,
            rate_limit: raw.rate_limit.map(|raw| self.call_limit(&format!("{at}.rate_limit"), &raw)).transpose()?,
        })
    }

    fn spend_limit(&self, at: &str, raw: &RawSpendLimit) -> Result<SpendLimit, ConfigError> {
        let amount = |key: &str, amount: Option<Whole>| {
            let key = format!("{at}.{key}");
            amount.map(|n| self.value(&key, n.0, Amount::new(self.number(&key, n, 0, i64::MAX)?))).transpose()
        };
        // An agent could keep to neither half alone (R3).
        if raw.max_per_period.is_some() != raw.period_seconds.is_some() {
            return self.refuse(at, "half a limit", "`max_per_period` and `period_seconds` belong together");
        }
        let currency = Currency::new(&raw.currency);
        Ok(SpendLimit {
            max_per_transaction: amount("max_per_transaction", raw.max_per_transaction)?,
            max_per_period: amount("max_per_period", raw.max_per_period)?,
            period_seconds: raw.period_seconds.map(|n| self.period(at, n)).transpose()?,
            currency: self.value(&format!("{at}.currency"), format!("{:?}", raw.currency), currency)?,
        })
    }

    fn call_limit(&self, at: &str, raw: &RawCallLimit) -> Result<capabilities::RateLimit, ConfigError> {
        let max_requests = self.number(&format!("{at}.max_requests"), raw.max_requests, 0, u32::MAX.into())?;
        Ok(capabilities::RateLimit { max_requests, period_seconds: self.period(at, raw.period_seconds)? })
    }

    fn period(&self, at: &str, n: Whole) -> Result<NonZeroU32, ConfigError> {
        let key = format!("{at}.period_seconds");
        self.positive(&key, self.number(&key, n, 1, u32::MAX.into())?)
    }

    fn org_segment(&self, key: &str, org: String) -> Result<String, ConfigError> {
        let reason = match AgentUri::parse(&format!("agent://agents.example.com/{org}/x/y")) {
            Ok(uri) if uri.org() == org => return Ok(org),
            Ok(_) => "it is one segment alone".to_owned(),
            Err(e) => e.to_string(),
        };
        let allowed = "it must be the org segment of agent URIs (agent://<trust_domain>/org/type/instance), 1 to 64 \
            letters, digits, `_` and `-`";
        self.refuse(key, format!("{org:?}"), &format!("{allowed}: {reason}"))
    }

    fn text(&self, key: &str, text: String) -> Result<Text, ConfigError> {
        if text.is_empty() {
            return self.refuse(key, "\"\"", "it must not be empty");
        }
        self.value(key, format!("{text:?}"), Text::new(text))
    }
}
