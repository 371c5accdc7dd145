//! Following logs: download, verification, and what contradicts what.
//!
//! A [`Follower`] reads one log. Each of its rounds asks for the newest heads, hands them to whoever holds heads against
//! heads ([`HeadJudge`]), and reads the entries up to them. What an entry is comes from [`bundle`]; what it makes of
//! the tree, and what the rules make of it, from [`walk`]; both are pure. Only when the root of what was read is the one
//! that the log signed, is anybody told of what was found ([`position`] says how that survives a crash).
//!
//! Memory does not depend on the length of the log: a few bundles are on their way at once, and what was found is
//! written down every few thousand entries. Nor does it matter what size a log puts its name to: what waits to be told
//! is bounded by a proof on the way that what was read begins the signed tree, and no round reads for long before the
//! log is asked for its heads again ([`Pace`]).

pub mod bounds;
pub mod bundle;
mod fault;
mod fetch;
pub mod history;
mod judge;
mod outage;
mod pace;
pub mod position;
mod prove;
mod round;
mod trip;
pub mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use atl::client::LogClient;
use atl::merkle::{Hash, TreeSize};
use atl::time::{Clock, UnixMillis};
use tokio::sync::watch;

pub use self::bounds::Dated;
pub use self::judge::{EntryJudge, HeadJudge, JudgeError, Observing};
pub use self::pace::Pace;
use self::pace::Stretch;
use self::position::Ledger;
use crate::board::Board;
use crate::config::FollowedLog;
use crate::finding::{Class, FindingId};
use crate::pause::{pause, random, stopped};
use crate::state::{State, StateError};
use crate::watched::WatchedLog;

/// What following a log needs.
#[derive(Clone)]
pub struct Parts {
    /// The log, and how often it is asked.
    pub followed: FollowedLog,
    /// The way to it.
    pub client: LogClient,
    /// The database.
    pub state: Arc<State>,
    /// How things stand.
    pub board: Arc<Board>,
    /// What entries are judged by.
    pub rules: Arc<dyn EntryJudge>,
    /// Whoever holds heads against heads.
    pub heads: Arc<dyn HeadJudge>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// How hard the log is read.
    pub pace: Pace,
}

/// Why a round did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What went wrong, for people.
    pub reason: String,
    /// How long the log asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether the log could not be read, rather than read and found wrong.
    pub unreadable: bool,
}

/// What a round came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Entries of the newest head that the log showed; `None` where it showed none.
    pub head: Option<TreeSize>,
    /// Entries downloaded.
    pub downloaded: TreeSize,
    /// Entries whose root a signed head has.
    pub verified: TreeSize,
    /// Alerts that are new, by class.
    pub raised: BTreeMap<Class, u64>,
    /// The evidence for which the log is frozen, if it is.
    pub frozen: Option<String>,
    /// What went wrong, if anything did.
    pub trouble: Option<Trouble>,
    /// Whether it ended only because it took long: the next one reads on.
    pub is_cut_short: bool,
}

impl Round {
    /// Whether the log was read up to its newest head, and is not known to have misbehaved.
    pub fn is_complete(&self) -> bool {
        self.trouble.is_none() && self.frozen.is_none() && self.head.is_some_and(|head| head <= self.verified)
    }

    fn raised(&mut self, classes: Vec<Class>) {
        for class in classes {
            *self.raised.entry(class).or_default() += 1;
        }
    }
}

/// Reads one log.
pub struct Follower {
    parts: Parts,
    log: Arc<WatchedLog>,
    ledger: Ledger,
    /// Downloads in a row whose root was not the signed one.
    mismatches: Mismatches,
    /// The verified size from which a root came out that was not the signed one, and that root: once more, and it is told.
    /// The second reading may take many rounds.
    first_wrong: Option<(TreeSize, Hash)>,
    /// The minute for which the size was noted.
    noted: u64,
    /// Findings about the log as a whole that were raised last; it would be a write with each round.
    told: VecDeque<FindingId>,
    /// Rounds in a row in which the log showed a head that was overtaken on the way to another.
    overtaken: u32,
    /// How long this round may read; `None` for one that reads to the end.
    stretch: Option<Stretch>,
}

/// Downloads in a row whose root was not the signed one, and how long there is no other.
#[derive(Clone, Copy, Default)]
struct Mismatches {
    count: u32,
    last: UnixMillis,
    wait: u64,
}

impl Mismatches {
    /// Whether it is too early for another. That the last one was in the future says that the clock has been set back.
    fn hold_up(&self, now: UnixMillis) -> bool {
        self.last <= now && now.since(self.last) < self.wait
    }
}

impl Follower {
    /// A follower that goes on from where the database says.
    pub fn new(parts: Parts) -> Self {
        let log = Arc::new(parts.followed.log.clone());
        let ledger = Ledger::new(Arc::clone(&parts.state), Arc::clone(&log));
        parts.board.log(log.origin.as_str(), |status| {
            status.url.clone_from(&log.url);
            status.operator.clone_from(&log.operator);
        });
        Self {
            parts,
            log,
            ledger,
            mismatches: Mismatches::default(),
            first_wrong: None,
            noted: 0,
            told: VecDeque::new(),
            overtaken: 0,
            stretch: None,
        }
    }

    /// One round: up to the newest head, whatever there was before.
    ///
    /// # Errors
    /// Where the database fails. What goes wrong with the log is in [`Round::trouble`].
    pub async fn once(&mut self) -> Result<Round, StateError> {
        self.mismatches = Mismatches::default();
        // Nobody knows when the next round is.
        (self.overtaken, self.stretch) = (self.parts.pace.overtaken, None);
        self.round().await
    }

    /// Round after round until `stop` says so. A round that is cut off loses nothing.
    ///
    /// # Errors
    /// Where the database fails: what cannot be kept must not be told, so there is no going on.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), StateError> {
        let mut failures = 0_u32;
        loop {
            self.stretch = Some(Stretch::start(self.parts.pace.stretch));
            let round = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                round = self.round() => round,
            };
            let round = match round {
                Ok(round) => round,
                Err(error) => {
                    self.parts.board.update(|standing| standing.broken = Some(error.to_string()));
                    return Err(error);
                }
            };
            if round.is_cut_short {
                continue;
            }
            let unreadable = round.trouble.as_ref().filter(|trouble| trouble.unreadable);
            failures = if unreadable.is_some() { failures.saturating_add(1) } else { 0 };
            let interval = Duration::from_secs(self.parts.followed.poll_seconds.into());
            let asked = round.trouble.as_ref().and_then(|trouble| trouble.retry_after);
            let pause = pause(interval, failures, asked, random());
            tokio::select! {
                () = stopped(&mut stop) => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}
