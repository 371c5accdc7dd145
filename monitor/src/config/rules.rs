//! Which rules are on, and their measures: `[rules]`.

use atl::log::checkpoint::Origin;
use serde::Deserialize;

use super::{Check, ConfigError, FollowedLog};
use crate::feed::FeedConfig;
use crate::rules::settings::{Bulk, Settings};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRules {
    extensions: Option<bool>,
    validity: Option<bool>,
    profile: Option<bool>,
    delegation: Option<bool>,
    timestamps: Option<bool>,
    bulk: Option<bool>,
    bulk_new_ca: Option<i64>,
    bulk_new_hours: Option<i64>,
    bulk_least: Option<i64>,
    bulk_factor: Option<i64>,
    most_per_hour: Option<i64>,
    merge_delay_seconds: Option<i64>,
    expect_in: Vec<Vec<String>>,
    expect_within_seconds: Option<i64>,
}

impl Check<'_> {
    pub(super) fn rules(
        &self,
        raw: RawRules,
        logs: &[FollowedLog],
        feed: Option<&FeedConfig>,
    ) -> Result<Settings, ConfigError> {
        let bulk = Bulk {
            new_ca: self.number("rules.bulk_new_ca", raw.bulk_new_ca, 100, (1, 1_000_000))?.into(),
            new_for: self.number("rules.bulk_new_hours", raw.bulk_new_hours, 24, (0, 8760))?.into(),
            least: self.number("rules.bulk_least", raw.bulk_least, 100, (1, 1_000_000))?.into(),
            factor: self.number("rules.bulk_factor", raw.bulk_factor, 4, (1, 1000))?.into(),
            ..Bulk::default()
        };
        let millis = |seconds: u32| u64::from(seconds) * 1000;
        let within = self.number("rules.expect_within_seconds", raw.expect_within_seconds, 3600, (1, 604_800))?;
        let delay = self.number("rules.merge_delay_seconds", raw.merge_delay_seconds, 300, (1, 604_800))?;
        Ok(Settings {
            extensions: raw.extensions.unwrap_or(true),
            validity: raw.validity.unwrap_or(true),
            profile: raw.profile.unwrap_or(true),
            delegation: raw.delegation.unwrap_or(true),
            timestamps: raw.timestamps.unwrap_or(true),
            bulk: raw.bulk.unwrap_or(true).then_some(bulk),
            most_per_hour: self.number("rules.most_per_hour", raw.most_per_hour, 100, (1, 1_000_000))?.into(),
            merge_delay: millis(delay),
            expect_in: self.expect_in(&raw.expect_in, logs)?,
            expect_within: millis(within),
            grace: millis(feed.map_or(300, |feed| feed.grace_seconds)),
        })
    }

    /// Groups of logs that are followed, each of two or more.
    fn expect_in(&self, groups: &[Vec<String>], logs: &[FollowedLog]) -> Result<Vec<Vec<Origin>>, ConfigError> {
        let followed = |group: usize, n: usize, name: &str| {
            let origins = logs.iter().map(|followed| &followed.log.origin);
            origins.clone().find(|origin| origin.as_str() == name).cloned().ok_or_else(|| {
                let names: Vec<_> = origins.map(|origin| origin.as_str()).collect();
                let key = format!("rules.expect_in[{group}][{n}]");
                self.refuse(key, format!("{name:?} is no log that is followed: {}", names.join(", ")))
            })
        };
        let mut all = Vec::new();
        for (group, names) in groups.iter().enumerate() {
            let origins: Result<Vec<_>, _> =
                names.iter().enumerate().map(|(n, name)| followed(group, n, name)).collect();
            let origins = origins?;
            let is_twice = |(n, origin): (usize, &Origin)| origins.iter().take(n).any(|other| other == origin);
            if origins.len() < 2 || origins.iter().enumerate().any(is_twice) {
                return Err(
                    self.refuse(format!("rules.expect_in[{group}]"), "the origins of two different logs or more")
                );
            }
            all.push(origins);
        }
        Ok(all)
    }
}
