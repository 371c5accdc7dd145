//! Whether the CA could issue now, part by part.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::logs::Health;
use super::{CaError, Check};
use crate::apki::trust_score::Score;
use crate::ca::issuance::SatRule;

impl Health {
    /// Whether these logs could give a certificate with this score its timestamps.
    pub(super) fn suffices(&self, rule: &SatRule, score: Score) -> bool {
        let operators = if score >= rule.elevated_score { rule.operators_when_elevated.get() } else { 1 };
        self.up >= rule.min_sats.get() && self.operators >= operators
    }

    /// What to say where they could not.
    pub(super) fn shortage(&self) -> CaError {
        CaError::Logs { detail: self.down.join("; "), retry_after: Duration::from_secs(5) }
    }
}

impl Core {
    /// Looks at each part.
    pub(super) async fn checks(self: &Arc<Self>) -> Vec<Check> {
        let (kept, timestamps) = (self.kept().await, self.timestamps().await);
        let mut checks = vec![self.writer(), self.key(), kept, timestamps, self.issuer(), self.disk(), self.listing()];
        checks.extend(self.trust().await);
        checks
    }

    fn writer(&self) -> Check {
        match self.queue.failure() {
            Some(why) => failed("writer", why),
            None if self.is_stopping() => failed("writer", "the CA is shutting down".into()),
            None => fine("writer", "it writes".into()),
        }
    }

    fn disk(&self) -> Check {
        match self.disk_low.load(std::sync::atomic::Ordering::Relaxed) {
            false => fine("disk", "there is room".into()),
            true => failed("disk", "below the low watermark: nothing is issued".into()),
        }
    }

    fn key(&self) -> Check {
        match self.check_key() {
            Ok(()) => fine("key", "it signs, and the signature verifies".into()),
            Err(error) => failed("key", error.to_string()),
        }
    }

    async fn kept(&self) -> Check {
        match self.read(|store| store.head()).await {
            Ok(head) => fine("store", format!("{} rows", head.rows)),
            Err(error) => failed("store", error.to_string()),
        }
    }

    async fn timestamps(&self) -> Check {
        let rule = &self.settings.sat_rule;
        let health = self.logs.health().await;
        let Health { up, operators, down } = &health;
        let mut detail = format!("{up} of {} logs answer, of {operators} operators", self.logs.known().len());
        down.iter().for_each(|why| detail.push_str(&format!("; {why}")));
        // Agents below that score can have theirs, so this alone does not take the CA away from them.
        if !health.suffices(rule, Score::MAX) {
            detail.push_str(&format!("; agents with a score of {} and more wait", rule.elevated_score.get()));
        }
        Check { name: "logs", ok: *up >= rule.min_sats.get(), detail }
    }

    fn issuer(&self) -> Check {
        if let Err(error) = self.may_issue() {
            return failed("issuer", error.to_string());
        }
        let (issuer, now) = (self.ca.certificate(), self.clock.now());
        let (not_before, not_after) = (issuer.not_before(), issuer.not_after());
        let least = u64::from(self.policy.validity.min) * 1000;
        if now < not_before {
            return failed("issuer", format!("the issuing certificate is valid from {not_before} on"));
        }
        match not_after.since(now) {
            left if left < least => failed("issuer", format!("the issuing certificate ends at {not_after}: renew it")),
            left => fine("issuer", format!("valid until {not_after}, for {} days more", left / 86_400_000)),
        }
    }
}

const fn fine(name: &'static str, detail: String) -> Check {
    Check { name, ok: true, detail }
}

const fn failed(name: &'static str, detail: String) -> Check {
    Check { name, ok: false, detail }
}
