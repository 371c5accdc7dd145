//! A certificate in a watched trust domain that its owner did not order.
//!
//! An entry can be in the log moments before the owner's feed has it, so nothing is told at once: an errand asks the
//! feed again when it has had its time. A final certificate that repeats a precertificate is the same certificate;
//! it is asked about too, for it may be the only form that was logged, and what is told of both has one name.

use atl::log::entry::CertHash;
use atl::time::UnixMillis;

use super::Rulebook;
use super::authorised::Authorised;
use super::seen::{Form, Seen};
use crate::errand::Errand;
use crate::finding::{Class, Finding};

/// For how long after its due time a certificate may wait for a feed that cannot be read: after that it is told.
/// Who keeps the feed from being read must not keep a certificate from being seen.
pub const PATIENCE: u64 = 3_600_000;

/// What became of a certificate that the feed did not know at first.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// The owner has ordered it.
    Authorised,
    /// It is too early to tell: ask again at this moment.
    Wait(UnixMillis),
    /// The owner has not ordered it, as far as the feed says.
    Unauthorised(Box<Finding>),
}

/// Decides an [`Errand::Authorised`] by what the feed knows at `now`.
///
/// The answer is final where the feed is known as of the due time or later; otherwise it is waited for, an hour
/// ([`PATIENCE`]) at most.
pub fn settle(
    known_as: &[CertHash],
    finding: &Finding,
    due: UnixMillis,
    feed: &Authorised,
    now: UnixMillis,
) -> Settled {
    const AGAIN: u64 = 15_000;
    if feed.knows(known_as) {
        return Settled::Authorised;
    }
    if now < due {
        return Settled::Wait(due);
    }
    let mut finding = finding.clone();
    finding.found_at = now;
    match feed.behind(due) {
        None => Settled::Unauthorised(Box::new(finding)),
        Some(_) if now < due.saturating_add(PATIENCE) => Settled::Wait(now.saturating_add(AGAIN)),
        Some(source) => {
            let as_of = source.as_of.map_or("never".into(), |as_of| as_of.to_string());
            let fault = source.fault.as_deref().unwrap_or("no reason known");
            let words = format!("{} was last read whole: {as_of} ({fault}); the certificate may be in it", source.name);
            Settled::Unauthorised(Box::new(finding.with("the feed is not up to date", words)))
        }
    }
}

impl Rulebook {
    /// What the owner's feed has to be asked about this certificate, if anything.
    pub(super) fn ask_the_feed(&self, seen: &Seen<'_>) -> Option<Errand> {
        let feed = self.feed.as_ref()?;
        let watched = self.claimed(seen)?;
        let mut known_as = vec![seen.entry.cert_hash];
        if let Form::Final { precertificate, .. } = seen.form {
            known_as.push(precertificate);
        }
        if feed.get().knows(&known_as) {
            return None;
        }
        let summary = format!("{} has a certificate in {watched} that is not in the owner's feed", seen.agent());
        let rule = "certificates in watched trust domains are in the owner's feed";
        let mut finding = seen.finding(Class::Unauthorised, rule, summary);
        // So that the same entry judged again makes the same errand.
        finding.found_at = seen.entry.timestamp;
        let due = seen.entry.timestamp.saturating_add(self.settings.grace);
        Some(Errand::Authorised { known_as, finding: Box::new(finding), due })
    }

    /// The watched domain that the certificate is in: that of its agent URI, or of a SPIFFE ID beside it, which other
    /// readers than ours go by (draft 4.3).
    fn claimed(&self, seen: &Seen<'_>) -> Option<String> {
        if let Some(watched) = seen.domain().and_then(|domain| self.estate.watched(domain)) {
            return Some(watched.to_owned());
        }
        let names = seen.certificate.uri_names().ok()?;
        names.into_iter().find_map(|name| {
            let id = str::from_utf8(name).ok()?.to_ascii_lowercase();
            let (domain, _) = id.strip_prefix("spiffe://")?.split_once('/')?;
            self.estate.watched(domain).map(str::to_owned)
        })
    }
}
