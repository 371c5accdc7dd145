//! Ranges and shapes of a relying party's configuration.

use std::path::Path;

use super::raw::{
    RawDomain, RawFetch, RawInclusion, RawLog, RawMonitor, RawPolicy, RawProvenance, RawRelying, RawRevocation,
    RawRevocationList, RawToolRule,
};
use super::{
    Domain, Fetch, Inclusion, LEAST_SCORE, Limits, ListSource, Log, Monitor, Policy, Provenance, RelyingConfig,
    Revocation, RevocationList, RevocationMode, ToolRule, Trusted, Witnesses,
};
use crate::apki::extension::AsciiText;
use crate::apki::federation::TrustDomain;
use crate::apki::federation::bundle::algorithm_name;
use crate::apki::trust_score::{Score, TrustTier};
use crate::config::ConfigError;
use crate::config::check::Check;
use crate::config::raw::Whole;
use crate::keys::SignatureAlgorithm;
use crate::time::UnixMillis;

/// The algorithms that can be named, as trust bundles name them (draft 10.1).
pub(super) const ALGORITHMS: [SignatureAlgorithm; 2] =
    [SignatureAlgorithm::EcdsaP256Sha256, SignatureAlgorithm::Ed25519];
/// The longest time that anything may be old, a year in seconds.
const YEAR: i64 = 31_536_000;
/// The shortest time that asks for something newer without refusing what is as new as can be.
const MINUTE: i64 = 60;

impl Check<'_> {
    /// The configuration of a relying party.
    pub(in crate::config) fn relying(&self, raw: RawRelying, base: &Path) -> Result<RelyingConfig, ConfigError> {
        let domains = self.each("domains", raw.domains, |check, at, raw| check.domain(at, raw, base))?;
        self.once("domains", "name", &domains, |a, b| a.name == b.name)?;
        let federation_dir = raw.federation.dir.map(|dir| self.path("federation.dir", base, dir)).transpose()?;
        if domains.is_empty() && federation_dir.is_none() {
            let allowed = "at least one [[domains]], or `federation.dir`: without a domain every agent is refused";
            return self.refuse("domains", "missing", allowed);
        }
        let logs = self.each("logs", raw.logs, Self::relied_log)?;
        if logs.is_empty() {
            let allowed = "at least one [[logs]]: without a timestamp of a trusted log every agent is refused";
            return self.refuse("logs", "missing", allowed);
        }
        self.once("logs", "key", &logs, |a, b| a.key == b.key)?;
        self.once("logs", "origin", &logs, |a, b| a.origin.is_some() && a.origin == b.origin)?;
        let policy = self.relying_policy(raw.policy)?;
        let monitors = self.each("monitors", raw.monitors, |check, at, raw: RawMonitor| {
            let base_url = |url: String| check.base_url(&format!("{at}.url"), &url, "https://monitor.example.com");
            Ok(Monitor { vkey: raw.vkey, url: raw.url.map(base_url).transpose()? })
        })?;
        self.once("monitors", "vkey", &monitors, |a, b| a.vkey == b.vkey)?;
        if policy.audited_within_seconds.is_some() && monitors.is_empty() {
            let allowed = "`policy.audited_within_seconds` needs the [[monitors]] whose audits count";
            return self.refuse("monitors", "missing", allowed);
        }
        Ok(RelyingConfig {
            policy,
            domains,
            federation_dir,
            logs,
            revocation_lists: self.each("revocation_lists", raw.revocation_lists, |check, at, raw| {
                check.revocation_list(at, raw, base)
            })?,
            monitors,
            fetch: raw.fetch.map(|raw| self.fetch(raw, base)).transpose()?,
            limits: Limits { charge_ancestors: raw.limits.charge_ancestors },
        })
    }

    fn relying_policy(&self, raw: RawPolicy) -> Result<Policy, ConfigError> {
        let minimum = self.minimum("policy", raw.minimum_tier, raw.minimum_score)?;
        let Some(minimum) = minimum else {
            let allowed =
                "a relying party says what it takes: `minimum_tier`, such as \"standard\", or `minimum_score`";
            return self.refuse("policy.minimum_tier", "missing", allowed);
        };
        let tools = self.each("policy.tools", raw.tools, Self::tool_rule)?;
        self.once("policy.tools", "tool_uri", &tools, |a, b| a.tool_uri == b.tool_uri)?;
        let revocation = self.revocation(&raw.revocation)?;
        if revocation.mode == RevocationMode::Off
            && let Some(place) = tools.iter().position(|rule| rule.ocsp_within_seconds.is_some())
        {
            let allowed = "`policy.revocation.mode` is \"off\", so nothing is asked for";
            return self.refuse(&format!("policy.tools[{place}].ocsp_within_seconds"), "set", allowed);
        }
        if raw.peers.as_ref().is_some_and(Vec::is_empty) {
            let allowed = "a list without a pattern takes nobody; leave `peers` out to take all of the trusted domains";
            return self.refuse("policy.peers", "[]", allowed);
        }
        Ok(Policy {
            minimum,
            algorithms: self.algorithms(raw.algorithms)?,
            revocation,
            max_delegation_depth: self.number(
                "policy.max_delegation_depth",
                raw.max_delegation_depth.unwrap_or(Whole(5)),
                0,
                16,
            )?,
            require_delegation: raw.require_delegation,
            provenance: self.provenance(raw.provenance)?,
            inclusion: raw.inclusion.map(|raw| self.inclusion(raw)).transpose()?,
            audited_within_seconds: self.age("policy.audited_within_seconds", raw.audited_within_seconds, MINUTE)?,
            peers: raw.peers,
            tools,
        })
    }

    /// A tier or a score, not below [`LEAST_SCORE`]; `None` where there is neither.
    fn minimum(&self, at: &str, tier: Option<TrustTier>, score: Option<Whole>) -> Result<Option<Score>, ConfigError> {
        let least = i64::from(LEAST_SCORE.get());
        match (tier, score) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                self.refuse(&format!("{at}.minimum_score"), "set beside `minimum_tier`", "one of the two is enough")
            }
            (Some(tier), None) if tier.floor() < LEAST_SCORE => {
                let allowed = "the lowest tier that anybody may take is \"restricted\" (draft 6.1)";
                self.refuse(&format!("{at}.minimum_tier"), format!("{:?}", tier.name()), allowed)
            }
            (Some(tier), None) => Ok(Some(tier.floor())),
            (None, Some(score)) => {
                let key = format!("{at}.minimum_score");
                let score = self.number(&key, score, least, 100)?;
                self.value(&key, score, Score::new(score)).map(Some)
            }
        }
    }

    fn algorithms(&self, raw: Option<Vec<String>>) -> Result<Vec<SignatureAlgorithm>, ConfigError> {
        let Some(raw) = raw else { return Ok(ALGORITHMS.to_vec()) };
        if raw.is_empty() {
            return self.refuse("policy.algorithms", "[]", "at least one of \"ES256\" and \"Ed25519\"");
        }
        let algorithms = self.each("policy.algorithms", raw, |check, at, text: String| {
            let known = ALGORITHMS.into_iter().find(|known| algorithm_name(*known) == text);
            known.map_or_else(|| check.refuse(at, format!("{text:?}"), "\"ES256\" or \"Ed25519\""), Ok)
        })?;
        self.distinct("policy.algorithms", &algorithms)?;
        Ok(algorithms)
    }

    /// Refuses a list that has one thing twice.
    fn distinct<T: PartialEq>(&self, key: &str, list: &[T]) -> Result<(), ConfigError> {
        for (place, one) in list.iter().enumerate() {
            if let Some(first) = list[..place].iter().position(|earlier| earlier == one) {
                let found = format!("{key}[{first}] again");
                return self.refuse(&format!("{key}[{place}]"), found, "each may stand there once");
            }
        }
        Ok(())
    }

    fn revocation(&self, raw: &RawRevocation) -> Result<Revocation, ConfigError> {
        let max_age_seconds = self.age("policy.revocation.max_age_seconds", raw.max_age_seconds, 1)?;
        Ok(Revocation { mode: raw.mode, max_age_seconds, issuers: raw.issuers })
    }

    fn age(&self, key: &str, raw: Option<Whole>, least: i64) -> Result<Option<u32>, ConfigError> {
        raw.map(|seconds| self.number(key, seconds, least, YEAR)).transpose()
    }

    fn provenance(&self, raw: RawProvenance) -> Result<Provenance, ConfigError> {
        let builds = raw.builds.map(|builds| {
            self.each("policy.provenance.builds", builds, |check, at, text: String| {
                let mut hash = [0; 32];
                match hex::decode_to_slice(&text, &mut hash) {
                    Ok(()) => Ok(hash),
                    Err(_) => check.refuse(at, format!("{text:?}"), "it must be a SHA-256, 64 hexadecimal digits"),
                }
            })
        });
        let (builds, models) = (builds.transpose()?, raw.models);
        for (key, empty) in [
            ("policy.provenance.builds", builds.as_ref().is_some_and(Vec::is_empty)),
            ("policy.provenance.models", models.as_ref().is_some_and(Vec::is_empty)),
        ] {
            if empty {
                return self.refuse(key, "[]", "an empty list takes nobody; leave it out to take any");
            }
        }
        Ok(Provenance { minimum_method: raw.minimum_method, builds, models })
    }

    fn inclusion(&self, raw: RawInclusion) -> Result<Inclusion, ConfigError> {
        let max_age_seconds = self.number("policy.inclusion.max_age_seconds", raw.max_age_seconds, MINUTE, YEAR)?;
        let witnesses = match (raw.witnesses, raw.needed) {
            (None, None) => None,
            (Some(keys), Some(needed)) => {
                self.distinct("policy.inclusion.witnesses", &keys)?;
                let most = i64::try_from(keys.len()).unwrap_or(i64::MAX);
                if keys.is_empty() {
                    return self.refuse("policy.inclusion.witnesses", "[]", "at least one verifier key");
                }
                Some(Witnesses { needed: self.number("policy.inclusion.needed", needed, 1, most)?, keys })
            }
            (Some(_), None) => {
                return self.refuse("policy.inclusion.needed", "missing", "say how many of the `witnesses` are needed");
            }
            (None, Some(_)) => {
                return self.refuse("policy.inclusion.witnesses", "missing", "`needed` is a number of them");
            }
        };
        Ok(Inclusion { max_age_seconds, witnesses })
    }

    fn tool_rule(&self, at: &str, raw: RawToolRule) -> Result<ToolRule, ConfigError> {
        let minimum = self.minimum(at, raw.minimum_tier, raw.minimum_score)?;
        let ocsp_within_seconds = self.age(&format!("{at}.ocsp_within_seconds"), raw.ocsp_within_seconds, 1)?;
        if minimum.is_none() && raw.minimum_method.is_none() && ocsp_within_seconds.is_none() {
            let allowed = "it must ask for something: a minimum, `minimum_method` or `ocsp_within_seconds`";
            return self.refuse(at, "a rule without a rule", allowed);
        }
        let (key, tool) = (format!("{at}.tool_uri"), raw.tool_uri);
        if tool.is_empty() {
            return self.refuse(&key, "\"\"", "it must be the URI of a tool");
        }
        let tool_uri = self.value(&key, format!("{tool:?}"), AsciiText::new(tool))?;
        Ok(ToolRule { tool_uri, minimum, minimum_method: raw.minimum_method, ocsp_within_seconds })
    }

    fn domain(&self, at: &str, raw: RawDomain, base: &Path) -> Result<Domain, ConfigError> {
        let name = TrustDomain::parse(&raw.name);
        let name = name.or_else(|e| self.refuse(&format!("{at}.name"), format!("{:?}", raw.name), &e.to_string()))?;
        let trusted = match (raw.roots, raw.bundle) {
            (Some(roots), None) => Trusted::Roots(self.path(&format!("{at}.roots"), base, roots)?),
            (None, Some(bundle)) => Trusted::Bundle(self.path(&format!("{at}.bundle"), base, bundle)?),
            (None, None) => {
                let allowed = "`roots` or `bundle` must name a file, or pin the domain with `atl federation add`";
                return self.refuse(&format!("{at}.roots"), "missing", allowed);
            }
            (Some(_), Some(_)) => {
                return self.refuse(&format!("{at}.bundle"), "set beside `roots`", "one of the two is enough");
            }
        };
        let key = format!("{at}.minimum_score");
        let minimum = self.number(&key, raw.minimum_score, 0, 100)?;
        Ok(Domain { name, trusted, mapping: raw.mapping, minimum: self.value(&key, minimum, Score::new(minimum))? })
    }

    fn relied_log(&self, at: &str, raw: RawLog) -> Result<Log, ConfigError> {
        let operator = self.name(&format!("{at}.operator"), raw.operator)?;
        let example = "https://log.example.com/2026h2";
        let url = raw.url.map(|url| self.base_url(&format!("{at}.url"), &url, example)).transpose()?;
        let name = match raw.name {
            Some(name) => self.name(&format!("{at}.name"), name)?,
            None => url.clone().unwrap_or_else(|| operator.clone()),
        };
        let moment =
            |key: &str, text: Option<String>| text.map(|text| self.moment(&format!("{at}.{key}"), &text)).transpose();
        let (from, until) = (moment("from", raw.from)?.unwrap_or(UnixMillis::new(0)), moment("until", raw.until)?);
        if let Some(until) = until.filter(|until| *until <= from) {
            return self.refuse(&format!("{at}.until"), until, "it must be later than `from`");
        }
        Ok(Log { name, url, key: self.key(&format!("{at}.key"), &raw.key)?, operator, origin: raw.origin, from, until })
    }

    fn revocation_list(&self, at: &str, raw: RawRevocationList, base: &Path) -> Result<RevocationList, ConfigError> {
        let source = match (raw.file, raw.url) {
            (Some(file), None) => ListSource::File(self.path(&format!("{at}.file"), base, file)?),
            (None, Some(url)) => {
                let example = "http://ca.example.com/crl/root";
                ListSource::Url(self.base_url(&format!("{at}.url"), &url, example)?)
            }
            (None, None) => return self.refuse(&format!("{at}.file"), "missing", "`file` or `url` says where it is"),
            (Some(_), Some(_)) => {
                return self.refuse(&format!("{at}.url"), "set beside `file`", "one of the two is enough");
            }
        };
        Ok(RevocationList { source, signer: self.path(&format!("{at}.signer"), base, raw.signer)? })
    }

    fn fetch(&self, raw: RawFetch, base: &Path) -> Result<Fetch, ConfigError> {
        let hosts = raw.hosts.map(|hosts| {
            self.each("fetch.hosts", hosts, |check, at, host: String| {
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
                match !host.is_empty() && host.chars().all(plain) {
                    true => Ok(host),
                    false => {
                        let allowed = "it must be a host in lower case such as \"ca.example.com\", without a port";
                        check.refuse(at, format!("{host:?}"), allowed)
                    }
                }
            })
        });
        Ok(Fetch {
            ocsp: raw.ocsp,
            lists: raw.lists,
            parents: raw.parents,
            proofs: raw.proofs,
            audits: raw.audits,
            hosts: hosts.transpose()?,
            timeout_seconds: self.number("fetch.timeout_seconds", raw.timeout_seconds, 1, 300)?,
            ca_roots: raw.ca_roots.map(|path| self.path("fetch.ca_roots", base, path)).transpose()?,
        })
    }
}
