//! Where the reading of a log stands, and the rows in which that is kept.
//!
//! There are two positions in a log. *Downloaded* is how far its entries were read; *verified* is how far a head that
//! the log signed has the root of what was read. What was found between the two is kept as pending, and told to
//! nobody: it may be about entries that are not in the log.
//!
//! Each change is one write. Verified moves first; what is pending below it is then raised and taken out row by row,
//! a batch in one write. A crash between the two leaves rows that are pending below the verified position, which the
//! next start finds and raises. So nothing is lost, and a finding's name keeps it from being told twice.

use std::sync::Arc;

use atl::api::B64;
use atl::merkle::{Edge, LeafIndex, Tile, TreeSize};
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::alert;
use crate::errand::{self, Errand};
use crate::finding::{Class, Finding};
use crate::head::{RawHead, SignedHead};
use crate::quota;
use crate::rules::Memory;
use crate::state::{State, StateError, Table, Write, key};
use crate::watched::WatchedLog;

const DOWNLOADED: Table<Position> = Table::new("follow-downloaded");
const VERIFIED: Table<VerifiedRow> = Table::new("follow-verified");
const PENDING: Table<Pending> = Table::new("follow-pending");

/// Rows taken out in one go where many are.
const BATCH: usize = 1024;

/// A position in a log: all that reading on from there needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PositionRow", into = "PositionRow")]
pub struct Position {
    /// The right edge of the tree up to there, and with it its size and root.
    pub edge: Edge,
    /// The timestamp of the last entry before it; the epoch where there is none.
    pub newest: UnixMillis,
    /// What the rules remember.
    pub memory: Memory,
}

impl Position {
    /// The number of entries before it.
    pub fn size(&self) -> TreeSize {
        self.edge.size()
    }
}

/// A position as it is written: the edge as its tiles, each its hashes one behind the other.
#[derive(Serialize, Deserialize)]
struct PositionRow {
    size: TreeSize,
    tiles: Vec<B64>,
    newest: UnixMillis,
    memory: Memory,
}

impl From<Position> for PositionRow {
    fn from(position: Position) -> Self {
        let tiles = position.edge.tiles().into_iter().map(|(_, tile)| B64(tile.to_octets())).collect();
        Self { size: position.size(), tiles, newest: position.newest, memory: position.memory }
    }
}

impl TryFrom<PositionRow> for Position {
    type Error = String;

    fn try_from(row: PositionRow) -> Result<Self, String> {
        let tiles: Result<Vec<_>, _> = row.tiles.iter().map(|octets| Tile::from_octets(&octets.0)).collect();
        let tiles = tiles.map_err(|e| e.to_string())?;
        let edge = Edge::from_tiles(row.size, &tiles).map_err(|e| e.to_string())?;
        Ok(Self { edge, newest: row.newest, memory: row.memory })
    }
}

/// The verified position, and the head whose root it has; no head before the first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// The position.
    pub position: Position,
    /// The head.
    pub head: Option<SignedHead>,
}

#[derive(Serialize, Deserialize)]
struct VerifiedRow {
    position: Position,
    head: Option<RawHead>,
}

/// What was found on the way to a position that is not verified yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pending {
    /// What is worth telling somebody.
    Finding(Box<Finding>),
    /// What has to be asked before it is known.
    Errand(Errand),
}

/// A pending row that is due: its key, and what it holds.
pub type Due = (Vec<u8>, Pending);

/// The rows of one log.
#[derive(Clone)]
pub struct Ledger {
    state: Arc<State>,
    log: Arc<WatchedLog>,
}

impl Ledger {
    /// The rows of `log` in `state`.
    pub const fn new(state: Arc<State>, log: Arc<WatchedLog>) -> Self {
        Self { state, log }
    }

    /// The database.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The position downloaded, never behind the verified one.
    pub fn downloaded(&self) -> Result<Position, StateError> {
        Ok(self.state.get(&DOWNLOADED, self.name())?.unwrap_or_default())
    }

    /// The position verified. A row whose head is not signed by the log, or has another root than the row's edge, does
    /// not read: the file was damaged or is another log's.
    pub fn verified(&self) -> Result<Verified, StateError> {
        let Some(row) = self.state.get(&VERIFIED, self.name())? else { return Ok(Verified::default()) };
        let bad = |reason: String| StateError::Row { table: "follow-verified", reason };
        let head = row.head.map(|raw| SignedHead::open(raw, &self.log)).transpose().map_err(|e| bad(e.to_string()))?;
        let fits = |head: &SignedHead| head.root() == row.position.edge.root() && head.size() == row.position.size();
        match &head {
            Some(head) if !fits(head) => Err(bad("the head's root is not that of the edge".into())),
            _ => Ok(Verified { position: row.position, head }),
        }
    }

    /// Moves the downloaded position, and keeps what was found on the way, in this order.
    pub fn commit(&self, position: &Position, found: &[(LeafIndex, Pending)]) -> Result<(), StateError> {
        self.state.write(|write| {
            // An entry is read once on the way to a position, so index and number within this step name the row.
            for ((index, pending), number) in found.iter().zip(0_u32..) {
                let rest = [&index.get().to_be_bytes()[..], &number.to_be_bytes()].concat();
                write.put(&PENDING, &key(self.log.origin.as_str(), &rest), pending)?;
            }
            write.put(&DOWNLOADED, self.name(), position)
        })
    }

    /// Moves the verified position to `position`, which a head of the log was found to cover.
    pub fn verify(&self, position: &Position, head: &SignedHead) -> Result<(), StateError> {
        let row = VerifiedRow { position: position.clone(), head: Some(head.raw().clone()) };
        self.state.write(|write| write.put(&VERIFIED, self.name(), &row))
    }

    /// Goes back from the downloaded position to the verified one, forgets what is pending in between, and raises
    /// `found`. With `tell`, what the log served wrongly on the way is raised too: that it was served is true whatever
    /// the entries are. How many alerts are new.
    pub fn rewind(&self, found: &[Finding], tell: bool) -> Result<Vec<Class>, StateError> {
        let verified = self.state.get(&VERIFIED, self.name())?.map(|row| row.position).unwrap_or_default();
        self.state.write(|write| {
            let mut raised = Vec::new();
            loop {
                let rows = write.first(&PENDING, &key(self.log.origin.as_str(), &[]), BATCH)?;
                for (key, pending) in &rows {
                    if let Pending::Finding(finding) = pending
                        && tell
                        && finding.class == Class::BadTile
                    {
                        raise(write, finding, &mut raised)?;
                    }
                    write.remove(&PENDING, key)?;
                }
                if rows.len() < BATCH {
                    break;
                }
            }
            found.iter().try_for_each(|finding| raise(write, finding, &mut raised))?;
            write.put(&DOWNLOADED, self.name(), &verified)?;
            Ok(raised)
        })
    }

    /// How many rows are pending, up to `limit`.
    pub fn pending(&self, limit: usize) -> Result<usize, StateError> {
        let prefix = key(self.log.origin.as_str(), &[]);
        Ok(self.state.read(|read| read.first(&PENDING, &prefix, limit))?.len())
    }

    /// The first rows, at most `limit`, that are pending before `verified`: due to be raised and posted.
    pub fn due(&self, verified: TreeSize, limit: usize) -> Result<Vec<Due>, StateError> {
        let prefix = key(self.log.origin.as_str(), &[]);
        let end = key(self.log.origin.as_str(), &verified.get().to_be_bytes());
        let rows = self.state.read(|read| read.first(&PENDING, &prefix, limit))?;
        Ok(rows.into_iter().take_while(|(key, _)| *key < end).collect())
    }

    /// Raises and posts what was due, and takes it out, in one write. The classes of the alerts that are new.
    pub fn settle(&self, due: &[Due]) -> Result<Vec<Class>, StateError> {
        self.state.write(|write| {
            let mut raised = Vec::new();
            for (key, pending) in due {
                match pending {
                    Pending::Finding(finding) => raise(write, finding, &mut raised)?,
                    Pending::Errand(errand) => errand::post(write, errand)?,
                }
                write.remove(&PENDING, key)?;
            }
            Ok(raised)
        })
    }

    /// Raises findings that do not wait for a head. The classes of those that are new.
    pub fn raise(&self, found: &[Finding]) -> Result<Vec<Class>, StateError> {
        let mut raised = Vec::new();
        if found.is_empty() {
            return Ok(raised);
        }
        self.state.write(|write| {
            found.iter().try_for_each(|finding| raise(write, finding, &mut raised))?;
            Ok(raised)
        })
    }

    fn name(&self) -> &[u8] {
        self.log.origin.as_str().as_bytes()
    }
}

fn raise(write: &mut Write, finding: &Finding, raised: &mut Vec<Class>) -> Result<(), StateError> {
    let Some(told) = quota::admit(write, finding.clone(), quota::MOST_PER_HOUR)? else { return Ok(()) };
    if alert::raise(write, &told)? {
        raised.push(told.class);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use atl::log::entry::CertHash;
    use atl::merkle::integrate;

    use super::*;

    #[test]
    fn a_position_comes_back() {
        let leaves: Vec<_> = (0..600_u64).map(|n| CertHash::of_certificate(&n.to_be_bytes()).leaf_hash()).collect();
        for size in [0, 1, 2, 255, 256, 257, 511, 512, 600] {
            let edge = integrate(&Edge::empty(), &leaves[..size]).unwrap().edge;
            let position = Position { edge, newest: UnixMillis::new(u64::MAX), memory: Memory::default() };
            let json = serde_json::to_vec(&position).unwrap();
            assert_eq!(serde_json::from_slice::<Position>(&json).unwrap(), position);
        }
    }

    #[test]
    fn what_a_log_does_wrong_in_every_bundle_is_not_told_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&dir.path().join("state.redb")).unwrap());
        let log = Arc::new(crate::http::testing::log(1));
        let ledger = Ledger::new(Arc::clone(&state), Arc::clone(&log));
        let most = quota::MOST_PER_HOUR;
        let finding = |n: u64| {
            let at = UnixMillis::new(1);
            Finding::new(Class::BadTile, Some(&log.origin), &format!("tile 0/{n} missing"), "missing".into(), at)
        };
        let position = Position::default();
        let pending: Vec<_> =
            (0..2 * most).map(|n| (LeafIndex::new(n), Pending::Finding(Box::new(finding(n))))).collect();
        ledger.commit(&position, &pending).unwrap();
        let due = ledger.due(TreeSize::new(u64::MAX), usize::MAX).unwrap();
        assert_eq!(ledger.settle(&due).unwrap().len() as u64, most + 1);
        assert_eq!((ledger.pending(usize::MAX).unwrap(), ledger.raise(&[finding(2 * most)]).unwrap().len()), (0, 0));
    }

    #[test]
    fn a_position_without_its_tiles_does_not_read() {
        let leaf = CertHash::of_certificate(b"x").leaf_hash();
        let edge = integrate(&Edge::empty(), &[leaf, leaf]).unwrap().edge;
        let good = serde_json::to_value(Position { edge, ..Position::default() }).unwrap();
        for (member, value) in
            [("size", 3.into()), ("tiles", serde_json::json!([])), ("tiles", serde_json::json!(["AA=="]))]
        {
            let mut bad = good.clone();
            bad[member] = value;
            assert!(serde_json::from_value::<Position>(bad).is_err(), "{member}");
        }
    }
}
