//! Scores above what the owner allows, and tiers that are not the score's (draft 6.1).

use atl::apki::extension::ExtensionError;

use super::Rulebook;
use super::seen::Seen;
use crate::finding::{Class, Finding};

impl Rulebook {
    /// A score above the owner's policy for a watched domain. One beside a wrong tier counts as well.
    pub(super) fn score_above_policy(&self, seen: &Seen<'_>) -> Option<Finding> {
        let score = match &seen.score {
            Ok(score) => score.as_ref()?.score.get(),
            Err(ExtensionError::Tier { score, .. }) => *score,
            Err(_) => return None,
        };
        let most = self.estate.max_score(seen.domain()?)?.get();
        if score <= most {
            return None;
        }
        let summary = format!("{} has a trust score of {score}, above the owner's limit of {most}", seen.agent());
        let rule = format!("scores in this trust domain are at most {most}");
        Some(seen.finding(Class::ScoreAbovePolicy, &rule, summary))
    }
}

/// A tier that does not match the score.
pub(super) fn tier_mismatch(seen: &Seen<'_>) -> Option<Finding> {
    let Err(ExtensionError::Tier { score, tier }) = &seen.score else { return None };
    let summary = format!("{} has a score of {score} and the tier {tier}, which is another score's", seen.agent());
    Some(seen.finding(Class::TierMismatch, "trustTier is the tier of score (draft 6.1, protocol section 2)", summary))
}
