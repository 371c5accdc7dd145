//! How authority shrinks and is taken back, as it is configured: the tables `delegation` and `trust`.

use std::path::Path;

use super::raw::{RawDelegation, RawTrust};
use super::{CaConfig, Delegation, Trust, TrustEngine};
use crate::apki::trust_score::Score;
use crate::config::ConfigError;
use crate::config::check::Check;
use crate::config::raw::Whole;
use crate::config::render::{path, quoted};

impl Check<'_> {
    pub(super) fn delegation(&self, raw: &RawDelegation) -> Result<Delegation, ConfigError> {
        Ok(Delegation {
            min_score: self.score("delegation.min_score", raw.min_score)?,
            strict_subset: raw.strict_subset,
            same_org: raw.same_org,
            max_children: self.number("delegation.max_children", raw.max_children, 1, 100_000)?,
        })
    }

    pub(super) fn trust_rules(&self, raw: RawTrust, base: &Path) -> Result<Trust, ConfigError> {
        let engine = match raw.url {
            Some(url) => Some(TrustEngine {
                url: self.engine_url(&url)?,
                ca_file: raw.ca_file.map(|file| self.path("trust.ca_file", base, file)).transpose()?,
                token_file: raw.token_file.map(|file| self.path("trust.token_file", base, file)).transpose()?,
            }),
            None if raw.ca_file.is_some() => return self.refuse("trust.url", "missing", "`ca_file` is for it alone"),
            None if raw.token_file.is_some() => {
                return self.refuse("trust.url", "missing", "`token_file` is for it alone");
            }
            None => None,
        };
        Ok(Trust {
            reissue_change: self.number("trust.reissue_change", raw.reissue_change, 0, 100)?,
            revoke_below: self.score("trust.revoke_below", raw.revoke_below)?,
            engine,
        })
    }

    /// Scores decide who is certified and who is revoked: nobody on the way may write them.
    fn engine_url(&self, text: &str) -> Result<String, ConfigError> {
        let url = self.base_url("trust.url", text, "https://trust.example.com")?;
        let host = url.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
        let here = host.is_none_or(|host| {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        });
        if here {
            return Ok(url);
        }
        self.refuse("trust.url", format!("{text:?}"), "`http` is for an engine on this machine; use `https`")
    }

    fn score(&self, key: &str, n: Whole) -> Result<Score, ConfigError> {
        let points = self.number(key, n, 0, 100)?;
        self.value(key, points, Score::new(points))
    }
}

impl CaConfig {
    pub(super) fn authority(&self) -> Result<String, ConfigError> {
        let (delegation, trust) = (&self.delegation, &self.trust);
        let engine = trust.engine.as_ref().map(TrustEngine::render).transpose()?;
        let example = "# url = \"https://trust.example.com\"\n# ca_file = \"trust-root.pem\"\n\
            # token_file = \"trust.token\"\n";
        Ok(format!(
            "
[delegation]
# The least effective score that an agent hands rights on with, 0 to 100.
min_score = {}

# Whether a child has to have less than its parent; otherwise it may have as much, and never more.
strict_subset = {}

# Whether a child is of its parent's organisation, by the org segment of its URI.
same_org = {}

# The most children of one agent.
max_children = {}

[trust]
# An agent whose score moves by more points than this from the one in its certificate is to renew at
# once, and one whose score falls below the other is revoked, with all that it has handed on.
reissue_change = {}
revoke_below = {}

# The trust engine: its base URL, the root of its TLS certificate (PEM) where the system does not
# trust it, and the file with the token that it knows this CA by. While it does not answer nothing is
# issued. Without an engine a score is what the agent's evidence is worth.
{}",
            delegation.min_score.get(),
            delegation.strict_subset,
            delegation.same_org,
            delegation.max_children,
            trust.reissue_change,
            trust.revoke_below.get(),
            engine.as_deref().unwrap_or(example),
        ))
    }
}

impl TrustEngine {
    fn render(&self) -> Result<String, ConfigError> {
        let file = |key: &str, file: &Option<std::path::PathBuf>| match file {
            Some(file) => path(&format!("trust.{key}"), file).map(|text| format!("{key} = {text}\n")),
            None => Ok(String::new()),
        };
        let (ca_file, token_file) = (file("ca_file", &self.ca_file)?, file("token_file", &self.token_file)?);
        Ok(format!("url = {}\n{ca_file}{token_file}", quoted(&self.url)))
    }
}
