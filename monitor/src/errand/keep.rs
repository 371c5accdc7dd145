//! Keeps the evidence of what errands have found, before anybody is told.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::warn;

use super::decide::{Again, Outcome, Proven};
use super::queue::Kept;
use super::run::Runner;
use crate::alert::ALERTS;
use crate::evidence::{Case, Exhibit, Verdict, judge as judge_case};
use crate::finding::{Class, Finding};
use crate::heads::book;
use crate::quota;
use crate::state::{Read, StateError};

/// For how long a finding waits for its evidence before it is told without, in milliseconds.
const EVIDENCE_MS: u64 = 3_600_000;
/// When to try again to keep evidence, in milliseconds.
const KEEP_AGAIN_MS: u64 = 30_000;

/// Findings of one batch by log and class, which are not counted in the database yet.
pub(super) type Ahead = HashMap<(String, Class), u64>;

impl Runner {
    /// Keeps the evidence of what was found, unless it was told before. Where that fails the errand is asked again,
    /// and after an hour told without.
    /// `ahead` counts what was found in this batch before.
    pub(super) async fn keep(
        &self,
        kept: &Kept,
        mut outcome: Outcome,
        ahead: &mut Ahead,
    ) -> Result<Outcome, StateError> {
        let mut told = Vec::with_capacity(outcome.findings.len());
        for mut found in std::mem::take(&mut outcome.findings) {
            let known = self.state.get(&ALERTS, found.finding.id().to_string().as_bytes())?.is_some();
            if known || self.is_condemned(&found.finding)? {
                continue;
            }
            if let Some(exhibit) = found.exhibit.take() {
                let before = ahead.entry((found.finding.log.clone(), found.finding.class)).or_default();
                let room = |read: &Read| quota::has_room(read, &found.finding, self.most_per_hour, *before);
                let has_room = self.state.read(room)?;
                *before = before.saturating_add(1);
                match self.keep_one(*exhibit, has_room).await {
                    Ok(Some((name, proves))) => {
                        if proves {
                            outcome.proven.extend(self.proven(&found.finding, &name));
                        }
                        found.finding.evidence = Some(name);
                    }
                    Ok(None) => {
                        let why = "it would prove nothing to others, and there is enough of the kind";
                        found.finding = found.finding.with("no evidence is kept of it", why);
                    }
                    Err(why) if self.tries(kept).age() >= EVIDENCE_MS => {
                        found.finding = found.finding.with("no evidence is kept of it", why);
                    }
                    Err(why) => {
                        warn!(class = found.finding.class.code(), why, "evidence cannot be kept; trying again");
                        let at = self.clock.now().saturating_add(KEEP_AGAIN_MS);
                        outcome.again = Some(Again { at, asked: true, why });
                        continue;
                    }
                }
            }
            told.push(found);
        }
        outcome.findings = told;
        Ok(outcome)
    }

    /// Keeps it; its name, and whether it proves what it is about. Where there is no room for what proves nothing, such a
    /// thing is not kept: `None`.
    async fn keep_one(&self, exhibit: Exhibit, has_room: bool) -> Result<Option<(String, bool)>, String> {
        let (keeper, now) = (Arc::clone(&self.keeper), self.clock.now());
        let kept = tokio::task::spawn_blocking(move || {
            let proves = Case::of(&exhibit).is_ok_and(|case| judge_case(&case).verdict() == Verdict::Proven);
            if !proves && !has_room {
                return Ok(None);
            }
            keeper.keep(&exhibit, now).map(|name| Some((name, proves))).map_err(|error| error.to_string())
        });
        kept.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Whether so much is proven against the log that the finding accuses that more of it says nothing new: a log that
    /// is dishonest all the same could have us fill our disk with what it has signed.
    fn is_condemned(&self, finding: &Finding) -> Result<bool, StateError> {
        let Some(log) = self.log(&finding.log).filter(|_| finding.class.accuses_log()) else { return Ok(false) };
        Ok(book::proofs(&self.state, &log.log.origin)?.len() >= book::MAX_PROOFS)
    }

    /// The log that evidence of this finding is proven against, if it is about a log.
    fn proven(&self, finding: &Finding, evidence: &str) -> Option<Proven> {
        let log = self.log(&finding.log).filter(|_| finding.class.accuses_log())?;
        Some(Proven { log: log.log.origin.clone(), evidence: evidence.to_owned(), class: finding.class })
    }
}
