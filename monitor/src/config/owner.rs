//! Whom the monitor watches for: `[owner]`, what he has ordered: `[feed]`, and what looks like him: `[lookalike]`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use atl::apki::federation::TrustDomain;
use atl::apki::trust_score::Score;
use atl::client::CaClient;
use serde::Deserialize;

use super::{Check, ConfigError};
use crate::feed::{CaFeed, FeedConfig};
use crate::rules::lookalike;
use crate::rules::settings::Owner;

/// Which look-alikes are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookalikeConfig {
    /// Whether they are looked for. Default: true.
    pub enabled: bool,
    /// A file of up to 100,000 names, one a line, that are watched besides the owner's domains.
    pub watched_file: Option<PathBuf>,
    /// A file of names that are known and harmless, besides those that the owner allows.
    pub allow_file: Option<PathBuf>,
    /// The score from which on somebody is told, 1 to 100. Default: 50.
    pub alert: lookalike::Score,
    /// The score from which on it is told in a digest. Default: 40.
    pub digest: lookalike::Score,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOwner {
    domains: Vec<String>,
    organizations: Vec<String>,
    demand_delegation: bool,
    max_score: Option<i64>,
    max_scores: BTreeMap<String, i64>,
    allow: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFeed {
    dir: Option<PathBuf>,
    ca: Vec<RawCa>,
    grace_seconds: Option<i64>,
    poll_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCa {
    url: String,
    token_file: PathBuf,
    roots_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLookalike {
    enabled: Option<bool>,
    watched_file: Option<PathBuf>,
    allow_file: Option<PathBuf>,
    alert: Option<i64>,
    digest: Option<i64>,
}

impl Check<'_> {
    pub(super) fn owner(&self, raw: RawOwner) -> Result<Owner, ConfigError> {
        let max_scores = raw.max_scores.into_iter().map(|(name, most)| {
            let key = format!("owner.max_scores.{name:?}");
            Ok((self.domain(&key, &name)?, self.score(&key, most)?))
        });
        let owner = Owner {
            domains: self.domains_to_watch("owner.domains", &raw.domains)?,
            organizations: self.organizations(raw.organizations)?,
            demand_delegation: raw.demand_delegation,
            max_score: raw.max_score.map(|most| self.score("owner.max_score", most)).transpose()?,
            max_scores: max_scores.collect::<Result<_, ConfigError>>()?,
            allow: self.domains("owner.allow", &raw.allow)?,
        };
        self.has_effect(&owner)?;
        Ok(owner)
    }

    /// What would silently do nothing is a mistake.
    fn has_effect(&self, owner: &Owner) -> Result<(), ConfigError> {
        let is_watched = |name: &TrustDomain| {
            let dotted = |domain: &TrustDomain| format!(".{domain}");
            owner.domains.iter().any(|domain| domain == name || dotted(name).ends_with(&dotted(domain)))
        };
        if let Some((name, _)) = owner.max_scores.iter().find(|(name, _)| !is_watched(name)) {
            let key = format!("owner.max_scores.{:?}", name.as_str());
            return Err(self.refuse(key, "it is no watched domain, nor below one: add it to owner.domains"));
        }
        if owner.demand_delegation && owner.organizations.is_empty() {
            return Err(self.refuse("owner.demand_delegation", "name the organisations in owner.organizations"));
        }
        if owner.max_score.is_some() && owner.domains.is_empty() {
            return Err(self.refuse("owner.max_score", "name the domains in owner.domains"));
        }
        Ok(())
    }

    pub(super) fn feed(&self, raw: Option<RawFeed>, owner: &Owner) -> Result<Option<FeedConfig>, ConfigError> {
        let Some(raw) = raw else { return Ok(None) };
        if raw.dir.is_none() && raw.ca.is_empty() {
            return Err(self.refuse("feed", "say where it comes from, with dir or with [[feed.ca]]"));
        }
        if owner.domains.is_empty() {
            return Err(self.refuse("feed", "no trust domain is watched that it could be of: name it in owner.domains"));
        }
        let cas: Vec<_> = raw.ca.into_iter().enumerate().map(|(n, ca)| self.ca(n, ca)).collect::<Result<_, _>>()?;
        for (n, ca) in cas.iter().enumerate() {
            if cas[..n].iter().any(|other: &CaFeed| other.url == ca.url) {
                return Err(self.refuse(format!("feed.ca[{n}].url"), "this CA is there already"));
            }
        }
        Ok(Some(FeedConfig {
            dir: raw.dir.map(|dir| self.path(&dir)),
            cas,
            grace_seconds: self.number("feed.grace_seconds", raw.grace_seconds, 300, (0, 86_400))?,
            poll_seconds: self.number("feed.poll_seconds", raw.poll_seconds, 30, (1, 3600))?,
        }))
    }

    fn ca(&self, n: usize, raw: RawCa) -> Result<CaFeed, ConfigError> {
        CaClient::new(&raw.url).map_err(|e| self.refuse(format!("feed.ca[{n}].url"), e))?;
        let roots_file = raw.roots_file.map(|file| self.path(&file));
        Ok(CaFeed { url: raw.url, token_file: self.path(&raw.token_file), roots_file })
    }

    pub(super) fn lookalike(&self, raw: RawLookalike) -> Result<LookalikeConfig, ConfigError> {
        let score = |key, value: Option<i64>, usual: lookalike::Score| {
            let number = self.number(key, value, usual.get().into(), (1, 100))?;
            let score = u8::try_from(number).ok().and_then(lookalike::Score::new);
            score.ok_or_else(|| self.refuse(key, "1 to 100"))
        };
        let alert = score("lookalike.alert", raw.alert, lookalike::Score::ALERT)?;
        // Who lowers the threshold of alerts alone need not lower that of the digest.
        let digest = score("lookalike.digest", raw.digest, lookalike::Score::DIGEST.min(alert))?;
        if digest > alert {
            return Err(self.refuse("lookalike.digest", format!("at most lookalike.alert, which is {alert}")));
        }
        Ok(LookalikeConfig {
            enabled: raw.enabled.unwrap_or(true),
            watched_file: raw.watched_file.map(|file| self.path(&file)),
            allow_file: raw.allow_file.map(|file| self.path(&file)),
            alert,
            digest,
        })
    }

    fn domains(&self, key: &str, names: &[String]) -> Result<Vec<TrustDomain>, ConfigError> {
        names.iter().enumerate().map(|(n, name)| self.domain(format!("{key}[{n}]"), name)).collect()
    }

    /// The same, none of which may be a suffix below which everybody is.
    fn domains_to_watch(&self, key: &str, names: &[String]) -> Result<Vec<TrustDomain>, ConfigError> {
        let domains = self.domains(key, names)?;
        for (n, name) in domains.iter().enumerate() {
            let key = format!("{key}[{n}]");
            let name = lookalike::Name::parse(name.as_str()).map_err(|e| self.refuse(&key, e))?;
            name.check_watchable().map_err(|e| self.refuse(&key, e))?;
        }
        Ok(domains)
    }

    fn domain(&self, key: impl Display, name: &str) -> Result<TrustDomain, ConfigError> {
        TrustDomain::parse(name).map_err(|e| self.refuse(key, e))
    }

    fn organizations(&self, names: Vec<String>) -> Result<Vec<String>, ConfigError> {
        match names.iter().position(|name| name.trim() != name || name.is_empty()) {
            Some(n) => Err(self.refuse(format!("owner.organizations[{n}]"), "a name, with nothing around it")),
            None => Ok(names),
        }
    }

    fn score(&self, key: &str, score: i64) -> Result<Score, ConfigError> {
        let score = u8::try_from(score).ok().and_then(|score| Score::new(score).ok());
        score.ok_or_else(|| self.refuse(key, "a trust score, 0 to 100"))
    }

    /// A number within bounds, or what it usually is.
    pub(super) fn number(
        &self,
        key: &str,
        value: Option<i64>,
        usual: u32,
        (least, most): (u32, u32),
    ) -> Result<u32, ConfigError> {
        let Some(value) = value else { return Ok(usual) };
        let number = u32::try_from(value).ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.refuse(key, format!("{least} to {most}")))
    }
}
