//! One round of following a log.

use std::sync::Arc;

use atl::api::ConsistencyQuery;
use atl::client::ClientError;
use atl::merkle::{Hash, LeafIndex, TreeSize, verify_consistency};
use tokio::task::spawn_blocking;

use super::bounds::Dated;
use super::bundle::{Shape, WIDTH};
use super::fetch::{FetchError, Fetcher, Stream};
use super::judge::JudgeError;
use super::pace::{Progress, Stretch};
use super::position::{Ledger, Verified};
use super::trip::Trip;
use super::{Follower, Mismatches, Round, Trouble, fault, history, outage, prove};
use crate::clock;
use crate::finding::{Class, Finding};
use crate::head::{RawHead, SignedHead};
use crate::pause::{pause, random};
use crate::state::StateError;

/// Rows that are settled at once, and pending findings after which a position is written down early.
const BATCH: usize = 256;

/// Findings remembered as raised.
const MOST_TOLD: usize = 8;

/// Why a round ends before its end.
pub(super) enum Halt {
    State(StateError),
    Trouble(Trouble),
    /// It has taken its time, and there is more to read.
    Later,
}

impl Halt {
    pub(super) fn unreadable(reason: impl ToString) -> Self {
        Self::Trouble(Trouble { reason: reason.to_string(), retry_after: None, unreadable: true })
    }

    /// The log was read, and what was read is wrong.
    fn wrong(reason: impl ToString) -> Self {
        Self::Trouble(trouble(reason.to_string()))
    }
}

impl From<StateError> for Halt {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<ClientError> for Halt {
    fn from(error: ClientError) -> Self {
        let retry_after = error.retry_after();
        Self::Trouble(Trouble { reason: error.to_string(), retry_after, unreadable: true })
    }
}

impl Follower {
    /// One round, with what came of it on the board.
    pub(super) async fn round(&mut self) -> Result<Round, StateError> {
        let mut round = Round::default();
        match self.steps(&mut round).await {
            Ok(()) => {}
            Err(Halt::State(error)) => return Err(error),
            Err(Halt::Trouble(trouble)) => round.trouble = round.trouble.take().or(Some(trouble)),
            Err(Halt::Later) => round.is_cut_short = true,
        }
        round.downloaded = self.ledger.downloaded()?.size();
        round.verified = self.ledger.verified()?.position.size();
        self.outage(&mut round).await?;
        self.note_size(&round).await?;
        let error = round.trouble.as_ref().map(|trouble| trouble.reason.clone());
        if let Some(reason) = &error {
            tracing::warn!(log = self.log.origin.as_str(), reason, "a round did not come to its end");
        }
        let now = self.parts.clock.now();
        self.parts.board.log(self.log.origin.as_str(), |status| {
            (status.downloaded, status.verified) = (round.downloaded.get(), round.verified.get());
            status.error = error;
            status.frozen = round.frozen.clone().or_else(|| status.frozen.take());
            if round.is_complete() {
                status.last_verified_at = Some(now);
            }
        });
        Ok(round)
    }

    async fn steps(&mut self, round: &mut Round) -> Result<(), Halt> {
        // What a crash left behind, first: nothing of it waits for the log.
        self.settle(round).await?;
        round.frozen = self.parts.heads.frozen(&self.log.origin)?;
        let mut heads = self.heads(round).await?;
        heads.sort_by_key(SignedHead::size);
        for head in &heads {
            match self.parts.heads.observe(&self.log, &self.parts.client, head.clone()).await {
                Ok(()) => {}
                Err(JudgeError::State(error)) => return Err(error.into()),
                // The entries themselves say more than a proof does, so they are read all the same.
                Err(JudgeError::Unjudged(reason)) => round.trouble = Some(trouble(reason)),
            }
        }
        round.frozen = self.parts.heads.frozen(&self.log.origin)?;
        self.stale(&heads, round).await?;
        if round.frozen.is_some() {
            return Ok(());
        }
        self.turn_back(&heads).await?;
        for head in &heads {
            self.reach(head, round).await?;
        }
        Ok(())
    }

    /// Goes back to what is verified where more was read, on the way to another head, than a head that the log shows by
    /// now has. A copy of the log that is behind shows such heads for a moment; but where it goes on, it may be that the
    /// other head is never reached.
    async fn turn_back(&mut self, heads: &[SignedHead]) -> Result<(), StateError> {
        let (verified, downloaded) = (self.ledger.verified()?.position.size(), self.ledger.downloaded()?.size());
        if !heads.iter().any(|head| head.size() > verified && head.size() < downloaded) {
            self.overtaken = 0;
            return Ok(());
        }
        self.overtaken = self.overtaken.saturating_add(1);
        if self.overtaken >= self.parts.pace.overtaken {
            self.overtaken = 0;
            let log = self.log.origin.as_str();
            tracing::warn!(log, %verified, %downloaded, "more was read than newer heads have: reading on from what is verified");
            self.write(|ledger| ledger.rewind(&[], false)).await?;
        }
        Ok(())
    }

    /// The newest tree head and the newest checkpoint, their signatures verified. One of them is enough to go on with.
    async fn heads(&self, round: &mut Round) -> Result<Vec<SignedHead>, Halt> {
        let client = &self.parts.client;
        let (sth, checkpoint) = tokio::join!(client.sth(), client.checkpoint());
        let raw = [sth.map(RawHead::Sth), checkpoint.map(RawHead::Checkpoint)];
        let mut heads = Vec::new();
        let mut halt = None;
        for raw in raw {
            match raw.map(|raw| SignedHead::open(raw, &self.log)) {
                Ok(Ok(head)) => heads.push(head),
                Ok(Err(bad)) => halt = halt.or(Some(Halt::unreadable(format!("{}: {bad}", self.log.url)))),
                Err(error) => halt = halt.or(Some(error.into())),
            }
        }
        let now = self.parts.clock.now();
        let newest = heads.iter().max_by_key(|head| head.size()).cloned();
        let signed = heads.iter().filter_map(SignedHead::timestamp).max();
        round.head = newest.as_ref().map(SignedHead::size);
        self.parts.board.log(self.log.origin.as_str(), |status| {
            status.last_polled_at = Some(now);
            if let Some(head) = &newest {
                (status.head_size, status.head_root) = (head.size().get(), Some(head.root()));
                status.head_timestamp = signed.or(status.head_timestamp);
            }
        });
        match (halt, heads.is_empty()) {
            (Some(halt), true) => Err(halt),
            (Some(Halt::Trouble(trouble)), false) => {
                round.trouble = Some(trouble);
                Ok(heads)
            }
            _ => Ok(heads),
        }
    }

    async fn stale(&mut self, heads: &[SignedHead], round: &mut Round) -> Result<(), Halt> {
        let most = u64::from(self.parts.followed.max_head_age_seconds) * 1000;
        let signed = heads.iter().filter_map(SignedHead::timestamp).max();
        let now = self.parts.clock.now();
        let newest = self.parts.board.newest_head(now);
        let finding = signed.and_then(|at| outage::stale(&self.log.origin, at, newest, most, now));
        Ok(self.tell(finding, round).await?)
    }

    /// Raises a finding, unless this follower has done so before.
    async fn tell(&mut self, finding: Option<Finding>, round: &mut Round) -> Result<(), StateError> {
        let Some(finding) = finding.filter(|finding| !self.told.contains(&finding.id())) else { return Ok(()) };
        let id = finding.id();
        round.raised(self.write(move |ledger| ledger.raise(&[finding])).await?);
        self.told.push_front(id);
        self.told.truncate(MOST_TOLD);
        Ok(())
    }

    /// Reads up to a head and holds its root against what was read; where they differ, reads once more from where it
    /// was last right.
    async fn reach(&mut self, head: &SignedHead, round: &mut Round) -> Result<(), Halt> {
        let covered = self.ledger.verified()?;
        if head.size() == covered.position.size() {
            return self.stand(head, &covered, round).await;
        }
        let verified = covered.position;
        // Smaller than what was read on the way to another: there is nothing left to learn from it.
        if head.size() < self.ledger.downloaded()?.size().max(verified.size()) {
            return Ok(());
        }
        if self.mismatches.hold_up(self.parts.clock.now()) {
            return Err(Halt::wrong("the entries served do not have the signed root; waiting to read them once more"));
        }
        let from = verified.size();
        loop {
            let read = self.download(head, round).await?;
            if read == head.root() {
                return self.verify(head, round).await;
            }
            if let Some((_, first)) = self.first_wrong.take_if(|(size, _)| *size == from) {
                return self.give_up(head, [first, read], from, round).await;
            }
            self.first_wrong = Some((from, read));
            let size = head.size().get();
            tracing::warn!(log = self.log.origin.as_str(), size, "another root than signed: once more");
            self.write(|ledger| ledger.rewind(&[], false)).await?;
        }
    }

    /// A head of the tree that is verified already.
    async fn stand(&mut self, head: &SignedHead, covered: &Verified, round: &mut Round) -> Result<(), Halt> {
        let Verified { position, head: first } = covered;
        if head.root() != position.edge.root() {
            let reason = format!("the head of {} entries has another root than these entries", head.size());
            return Err(Halt::wrong(reason));
        }
        // A checkpoint covered these entries first, and could not say when.
        let undated = first.as_ref().is_some_and(|first| first.timestamp().is_none());
        if let Some(dated) = Dated::of(head).filter(|dated| undated && position.newest > dated.timestamp) {
            let last = LeafIndex::new(head.size().get().saturating_sub(1));
            let found = (Class::EntryNewerThanHead, dated);
            let now = self.parts.clock.now();
            let finding = fault::out_of_bounds(&self.log.origin, (last, None), position.newest, found, now);
            self.tell(Some(finding), round).await?;
        }
        Ok(())
    }

    /// The head covers what was downloaded: that is verified now, and what was found on the way is told.
    async fn verify(&mut self, head: &SignedHead, round: &mut Round) -> Result<(), Halt> {
        let covering = head.clone();
        self.write(move |ledger| ledger.verify(&ledger.downloaded()?, &covering)).await?;
        (self.mismatches, self.first_wrong) = (Mismatches::default(), None);
        self.settle(round).await
    }

    /// Raises and posts all that is pending below the verified position.
    async fn settle(&self, round: &mut Round) -> Result<(), Halt> {
        match self.ledger.verified()?.head {
            Some(head) => self.settle_below(head.size(), &head, round).await,
            None => Ok(()),
        }
    }

    /// Raises and posts all that is pending below `size`, which is proven to be in the tree of `head`.
    async fn settle_below(&self, size: TreeSize, head: &SignedHead, round: &mut Round) -> Result<(), Halt> {
        loop {
            let due = self.ledger.due(size, BATCH)?;
            if due.is_empty() {
                return Ok(());
            }
            let (log, now) = (&self.log.origin, self.parts.clock.now());
            let asking = prove::Asking { client: &self.parts.client, log, head, patience: self.parts.pace.proofs };
            let due = asking.attach(due, now).await;
            round.raised(self.write(move |ledger| ledger.settle(&due)).await?);
        }
    }

    /// Twice the entries did not have the signed root.
    async fn give_up(
        &mut self,
        head: &SignedHead,
        derived: [Hash; 2],
        verified: TreeSize,
        round: &mut Round,
    ) -> Result<(), Halt> {
        let origin = &self.log.origin;
        let size = head.size();
        let summary = format!("{origin} serves {size} entries that do not have the root it signed for them");
        // Named by where it was last right, so that it is told once, however many heads go by meanwhile.
        let finding = Finding::new(
            Class::RootMismatch,
            Some(origin),
            &format!("after {verified}"),
            summary,
            self.parts.clock.now(),
        )
        .with("signed root", head.root())
        .with("root of the entries", derived[0])
        .with("root of the entries, read again", derived[1])
        .with("entries that were right", verified)
        .with("head", serde_json::to_string(head.raw()).unwrap_or_default());
        round.raised(self.write(move |ledger| ledger.rewind(&[finding], true)).await?);
        let count = self.mismatches.count.saturating_add(1);
        let interval = std::time::Duration::from_secs(self.parts.followed.poll_seconds.into());
        let wait = u64::try_from(pause(interval, count, None, random()).as_millis()).unwrap_or(u64::MAX);
        self.mismatches = Mismatches { count, last: self.parts.clock.now(), wait };
        Err(Halt::wrong(format!("the {size} entries served do not have the root that was signed for them")))
    }

    /// Whether the log proves that what was read begins the tree of `head`. A head may be of any size, and its log may
    /// serve entries without end: so when too much is pending it is told on the strength of that proof, long before
    /// the head itself is reached.
    async fn begins(&self, read: (TreeSize, Hash), head: &SignedHead, round: &mut Round) -> Result<bool, Halt> {
        let (size, root) = read;
        let query = ConsistencyQuery { first: size, second: Some(head.size()) };
        let answer = self.parts.client.consistency(query).await?;
        if verify_consistency(size, head.size(), &root, &head.root(), &answer.consistency).is_err() {
            return Ok(false);
        }
        self.settle_below(size, head, round).await?;
        Ok(true)
    }

    /// Downloads up to a head, writing down the position now and then; the root over it all, or over as much of it as is
    /// not the beginning of the head's tree.
    async fn download(&mut self, head: &SignedHead, round: &mut Round) -> Result<Hash, Halt> {
        let size = head.size();
        let position = self.ledger.downloaded()?;
        let from = position.size().get();
        let mut progress = Progress::start(from, self.parts.pace.progress);
        let mut trip = Trip::new(self, position, head)?;
        let shapes = (from / WIDTH..size.get().div_ceil(WIDTH)).filter_map(move |index| Shape::at(index, size));
        let shapes = shapes.filter(move |shape| shape.entries().end > from);
        let fetcher = Fetcher { client: self.parts.client.clone(), patience: self.parts.pace.patience };
        let mut stream = Stream::new(fetcher, shapes, &self.parts.pace);
        loop {
            if trip.pending() >= self.parts.pace.pending && trip.size() < size {
                trip.commit(self).await?;
                if !self.begins((trip.size(), trip.root()), head, round).await? {
                    return Ok(trip.root());
                }
                trip.settled();
            }
            let Some(fetched) = stream.next().await else { break };
            let bundle = match fetched {
                Ok(bundle) => bundle,
                Err(error) => {
                    // What was read before is not read again.
                    trip.commit(self).await?;
                    return Err(self.unfetched(error).await?);
                }
            };
            trip.take(self, bundle).await?;
            if trip.is_long(self.parts.pace.chunk, BATCH) {
                trip.commit(self).await?;
            }
            progress.tell(self.log.origin.as_str(), trip.size().get(), size.get());
            if trip.size() < size && self.stretch.as_ref().is_some_and(Stretch::is_over) {
                trip.commit(self).await?;
                return Err(Halt::Later);
            }
        }
        trip.commit(self).await?;
        Ok(trip.root())
    }

    /// What to do about a bundle that could not be had. Entries that cannot be read are told at once: no head will ever
    /// be reached that covers them.
    async fn unfetched(&self, error: FetchError) -> Result<Halt, Halt> {
        match error {
            FetchError::Client(error) => Ok(error.into()),
            FetchError::Broken(error) => Ok(Halt::unreadable(error)),
            FetchError::Unread(ref unread) => {
                let found = fault::of_bundle(&self.log.origin, &unread.faults, self.parts.clock.now());
                self.write(move |ledger| ledger.raise(&found)).await?;
                Ok(Halt::unreadable(error))
            }
        }
    }

    async fn outage(&mut self, round: &mut Round) -> Result<(), StateError> {
        let failed = round.trouble.as_ref().filter(|trouble| trouble.unreadable).map(|trouble| trouble.reason.clone());
        let patience = u64::from(self.parts.followed.max_head_age_seconds) * 1000;
        let (log, now) = (Arc::clone(&self.log), self.parts.clock.now());
        let note = move |ledger: &Ledger| outage::note(ledger, &log.origin, failed.as_deref(), patience, now);
        let finding = self.write(note).await?;
        self.tell(finding, round).await
    }

    /// Once a minute, the size of the log's newest head, for whoever plots it.
    async fn note_size(&mut self, round: &Round) -> Result<(), StateError> {
        let now = self.parts.clock.now();
        let minute = history::minute(now);
        // Under a clock that is ahead all that was noted would be old, and thinned out for good.
        let is_ahead = clock::ahead(self.parts.board.newest_head(now), now).is_some();
        let Some(size) = round.head.filter(|_| minute != self.noted && !is_ahead) else { return Ok(()) };
        self.noted = minute;
        let log = Arc::clone(&self.log);
        self.write(move |ledger| ledger.state().write(|write| history::note(write, &log.origin, now, size.get()))).await
    }

    /// Runs a write where it may wait for the disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Ledger) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let ledger = self.ledger.clone();
        let broken =
            |e: tokio::task::JoinError| StateError::Row { table: "follow", reason: format!("a write broke off: {e}") };
        spawn_blocking(move || step(&ledger)).await.map_err(broken)?
    }
}

fn trouble(reason: String) -> Trouble {
    Trouble { reason, retry_after: None, unreadable: false }
}
