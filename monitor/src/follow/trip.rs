//! On the way to a head: a walk, and what it has found that is not written down yet.

use std::sync::Arc;

use atl::merkle::{Hash, LeafIndex, TreeSize};
use tokio::task::spawn_blocking;

use super::Follower;
use super::bounds::{Bounds, Dated};
use super::bundle::Bundle;
use super::position::{Pending, Position};
use super::round::Halt;
use super::walk::Walk;
use crate::head::SignedHead;
use crate::state::StateError;

/// A walk on its way to a head.
pub(super) struct Trip {
    /// `None` after a step broke off.
    walk: Option<Walk>,
    found: Vec<(LeafIndex, Pending)>,
    bundles: usize,
    /// Rows that are written down and wait to be told.
    written: usize,
    /// Heads whose time bounds entries, by size.
    known: Vec<Dated>,
}

impl Trip {
    /// Goes on from `position` to `head`.
    pub(super) fn new(follower: &Follower, position: Position, head: &SignedHead) -> Result<Self, StateError> {
        let verified = follower.ledger.verified()?.head;
        let mut known = follower.parts.heads.dated(&follower.log.origin)?;
        known.extend(verified.iter().chain([head]).filter_map(Dated::of));
        known.sort_unstable_by_key(|head| (head.size, head.timestamp));
        let walk = Walk::resume(Arc::clone(&follower.log), Arc::clone(&follower.parts.rules), position);
        let written = follower.ledger.pending(follower.parts.pace.pending)?;
        Ok(Self { walk: Some(walk), found: Vec::new(), bundles: 0, written, known })
    }

    /// What was found and waits to be told, written down or not.
    pub(super) fn pending(&self) -> usize {
        self.written.saturating_add(self.found.len())
    }

    /// All that was written down has been told.
    pub(super) const fn settled(&mut self) {
        self.written = 0;
    }

    /// Whether it is time to write down how far it came.
    pub(super) fn is_long(&self, bundles: usize, found: usize) -> bool {
        self.bundles >= bundles || self.found.len() >= found
    }

    /// Entries walked over.
    pub(super) fn size(&self) -> TreeSize {
        self.walk.as_ref().map(Walk::size).unwrap_or_default()
    }

    /// The root over them.
    pub(super) fn root(&self) -> Hash {
        self.walk.as_ref().map_or_else(atl::merkle::empty_root, Walk::root)
    }

    /// Walks over one bundle, away from the threads that wait for the network.
    pub(super) async fn take(&mut self, follower: &Follower, bundle: Bundle) -> Result<(), Halt> {
        let broken = || Halt::unreadable("walking over a bundle broke off");
        let mut walk = self.walk.take().ok_or_else(broken)?;
        let bounds = Bounds::of(bundle.shape.entries(), &self.known);
        let now = follower.parts.clock.now();
        let step = spawn_blocking(move || {
            let found = walk.take(&bundle, &bounds, now);
            (walk, found)
        });
        let (walk, found) = step.await.map_err(|_| broken())?;
        self.found.extend(found.map_err(Halt::unreadable)?);
        self.walk = Some(walk);
        self.bundles += 1;
        Ok(())
    }

    /// Writes down how far it came and what was found.
    pub(super) async fn commit(&mut self, follower: &Follower) -> Result<(), StateError> {
        let Some(walk) = self.walk.as_ref().filter(|_| self.bundles > 0) else { return Ok(()) };
        let (position, found) = (walk.position(), std::mem::take(&mut self.found));
        let (size, number) = (position.size(), found.len());
        follower.write(move |ledger| ledger.commit(&position, &found)).await?;
        self.bundles = 0;
        self.written = self.written.saturating_add(number);
        follower.parts.board.log(follower.log.origin.as_str(), |status| status.downloaded = size.get());
        Ok(())
    }
}
