//! The heads of a log as they are kept.
//!
//! Heads that are proven to fit each other are the *history*: each is the beginning of the largest of them, which is
//! the *tip*. A head that anybody shows goes into the *inbox* first, as it is signed and before anything is asked, so
//! that no crash and no silence of the log makes us forget it; from there it joins the history, or is kept as one
//! that contradicts it.

use atl::log::checkpoint::Origin;
use atl::log::note::Note;
use atl::log::sth::TreeHead;
use atl::merkle::TreeSize;
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::compare::{HeadId, Shown};
use crate::finding::Class;
use crate::head::{RawHead, SignedHead};
use crate::state::{Read, Row, State, StateError, Table, Write, key};
use crate::watched::WatchedLog;

/// Who shows a head where the log itself does.
pub const BY_LOG: &str = "log";

/// Heads of a history, beyond those that evidence names; the older, the sparser.
pub const MAX_HISTORY: usize = 512;

/// Heads that are taken out of a history at once when it is too long.
const THINNED_AT_ONCE: usize = 32;

/// Heads of one log that wait in the inbox.
pub const MAX_INBOX: usize = 256;

/// Heads of one log that wait and were shown by one source.
pub const MAX_INBOX_OF_ONE: usize = 64;

/// Heads of one size that are looked at together; keys have the root before the time, so this finds other roots.
const OF_ONE_SIZE: usize = 64;

/// The most time between two questions about a head, in milliseconds.
pub(super) const MAX_WAIT_MILLIS: u64 = 3_600_000;

/// Cases proven against one log that are kept; once it is frozen, more say nothing new.
pub const MAX_PROOFS: usize = 16;

/// History, and what is proven to contradict it; by origin and what the head states.
const HEADS: Table<Known> = Table::new("heads");

/// Not proven either way yet.
const INBOX: Table<Known> = Table::new("heads-inbox");

/// Logs that are trusted no more: origin to the name of the first evidence.
const FROZEN: Table<String> = Table::new("heads-frozen");

/// All that is proven against logs: origin and evidence to what it proves.
const PROOFS: Table<Class> = Table::new("heads-proofs");

/// How a head stands to the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is part of it.
    Fits,
    /// It is proven that both cannot be.
    Contradicts,
    /// Not known yet.
    Waiting {
        /// How often the log was asked.
        tries: u32,
        /// When it may be asked again.
        not_before: UnixMillis,
    },
}

/// A head, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What it states.
    pub id: HeadId,
    /// As the log signed it.
    pub raw: RawHead,
    /// Who showed it first: [`BY_LOG`], or the name of a monitor.
    pub shown_by: String,
    /// Whether the log has shown it to us, first or later.
    pub to_us: bool,
    /// When it was shown first.
    pub first_seen_at: UnixMillis,
    /// How it stands to the history.
    pub standing: Standing,
    /// Evidence that names it.
    pub evidence: Vec<String>,
    /// That the log refuses to prove it, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// That a log refuses a proof: it may be one of its nodes that is behind the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Since when.
    pub since: UnixMillis,
    /// How often.
    pub times: u32,
}

impl Refused {
    /// The same, refused once more at `now`. What began in the future began under a clock that has been set back since.
    pub(super) fn again(before: Option<Self>, now: UnixMillis) -> Self {
        let before = before.filter(|before| before.since <= now);
        let Self { since, times } = before.unwrap_or(Self { since: now, times: 0 });
        Self { since, times: times.saturating_add(1) }
    }
}

impl Known {
    fn new(head: &SignedHead, log: &WatchedLog, by: &str, now: UnixMillis) -> Self {
        Self {
            id: head.into(),
            raw: trimmed(head.raw(), log),
            shown_by: by.to_owned(),
            to_us: by == BY_LOG,
            first_seen_at: now,
            standing: Standing::Waiting { tries: 0, not_before: now },
            evidence: Vec::new(),
            refused: None,
        }
    }

    /// Who is to be named as its source: the log, wherever it has shown it to us.
    pub fn source(&self) -> &str {
        if self.to_us { BY_LOG } else { &self.shown_by }
    }

    /// For comparing.
    pub const fn shown(&self) -> Shown {
        Shown { id: self.id, to_us: self.to_us }
    }
}

/// The head without what is not the log's own: the lines of witnesses on a checkpoint come and go.
pub(crate) fn trimmed(raw: &RawHead, log: &WatchedLog) -> RawHead {
    let RawHead::Checkpoint(text) = raw else { return raw.clone() };
    let Ok(note) = Note::parse(text.as_bytes()) else { return raw.clone() };
    let lines: String = note.lines_of(&log.key).map(|line| format!("{line}\n")).collect();
    RawHead::Checkpoint(format!("{}\n{lines}", note.text()))
}

/// What came of showing a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It waits in the inbox now.
    New,
    /// It waits there already.
    Waiting,
    /// It was known, and how it stands too.
    Known(Standing),
    /// Too many heads from this source wait already: it was not kept.
    Full,
}

impl From<Standing> for Received {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Waiting { .. } => Self::Waiting,
            standing => Self::Known(standing),
        }
    }
}

/// A head with all that is known of it, if it is known.
pub(super) fn recall(read: &Read, origin: &Origin, id: &HeadId) -> Result<Option<Known>, StateError> {
    let row = key_of(origin, id);
    read.get(&HEADS, &row)?.map_or_else(|| read.get(&INBOX, &row), |known| Ok(Some(known)))
}

/// A few of the heads of this size, if any are known: more than one where the log has shown two trees.
pub fn of_size(state: &State, origin: &Origin, size: TreeSize) -> Result<Vec<Known>, StateError> {
    let prefix = key(origin.as_str(), &size.get().to_be_bytes());
    let rows = state.read(|read| {
        let rows = |table| read.first::<Known>(table, &prefix, OF_ONE_SIZE);
        Ok::<_, StateError>([rows(&HEADS)?, rows(&INBOX)?].concat())
    })?;
    Ok(rows.into_iter().map(|(_, known)| known).collect())
}

/// When the newest head of all logs that is known was signed, as far as `now` is not before that.
pub(super) fn newest_signed(state: &State, now: UnixMillis) -> Result<Option<UnixMillis>, StateError> {
    let rows = state.read(|read| read.first(&HEADS, b"", usize::MAX))?;
    Ok(rows.into_iter().filter_map(|(_, known)| known.id.timestamp).filter(|signed| *signed <= now).max())
}

/// The octets that stand for a head in keys.
fn octets_of(id: &HeadId) -> Vec<u8> {
    let timestamp = id.timestamp.map_or([0; 9], |timestamp| {
        let mut octets = [1; 9];
        octets[1..].copy_from_slice(&timestamp.get().to_be_bytes());
        octets
    });
    [&id.size.get().to_be_bytes()[..], id.root.as_bytes(), &timestamp].concat()
}

fn key_of(origin: &Origin, id: &HeadId) -> Vec<u8> {
    key(origin.as_str(), &octets_of(id))
}

/// Takes a head into the inbox as part of a step, unless it is known.
pub fn receive(
    write: &mut Write,
    log: &WatchedLog,
    head: &SignedHead,
    by: &str,
    now: UnixMillis,
) -> Result<Received, StateError> {
    let new = Known::new(head, log, by, now);
    let row = key_of(&log.origin, &new.id);
    for table in [&HEADS, &INBOX] {
        let Some(mut known) = write.get(table, &row)? else { continue };
        if new.to_us && !known.to_us {
            known.to_us = true;
            write.put(table, &row, &known)?;
        }
        return Ok(known.standing.into());
    }
    let waiting = write.first(&INBOX, &key(log.origin.as_str(), &[]), MAX_INBOX)?;
    if !make_room(write, &waiting, &new)? {
        return Ok(Received::Full);
    }
    write.put(&INBOX, &row, &new)?;
    Ok(Received::New)
}

/// Whether there is room for `new`. What the log itself shows always has room: for it, one of the log's heads between
/// the oldest and the newest that wait gives way.
fn make_room(write: &mut Write, waiting: &[Row<Known>], new: &Known) -> Result<bool, StateError> {
    let of_source = || waiting.iter().filter(|(_, known)| known.source() == new.source());
    if of_source().count() < MAX_INBOX_OF_ONE && waiting.len() < MAX_INBOX {
        return Ok(true);
    }
    if !new.to_us {
        return Ok(false);
    }
    let mut unnamed: Vec<_> = of_source().filter(|(_, known)| known.evidence.is_empty()).collect();
    unnamed.sort_by_key(|(_, known)| known.first_seen_at);
    let newest = waiting.iter().max_by_key(|(_, known)| known.first_seen_at);
    if let Some((row, _)) = unnamed.get(unnamed.len() / 2).copied().or(newest) {
        write.remove(&INBOX, row)?;
    }
    Ok(true)
}

/// What is known of one log's heads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// The history, and what contradicts it.
    pub heads: Vec<Known>,
    /// What waits.
    pub inbox: Vec<Known>,
}

impl Book {
    /// The book of the log with this origin.
    pub fn load(read: &Read, origin: &Origin) -> Result<Self, StateError> {
        let prefix = key(origin.as_str(), &[]);
        let rows = |table| -> Result<Vec<Known>, StateError> {
            Ok(read.first(table, &prefix, usize::MAX)?.into_iter().map(|(_, known)| known).collect())
        };
        Ok(Self { heads: rows(&HEADS)?, inbox: rows(&INBOX)? })
    }

    /// The heads that fit each other.
    pub fn history(&self) -> impl Iterator<Item = &Known> {
        self.heads.iter().filter(|known| known.standing == Standing::Fits)
    }

    /// The largest head of the history, of which every other one is the beginning.
    pub fn tip(&self) -> Option<&Known> {
        self.history().max_by_key(|known| (known.id.size, known.id.timestamp))
    }

    /// The head with this identity, wherever it is.
    pub fn find(&self, id: &HeadId) -> Option<&Known> {
        self.heads.iter().chain(&self.inbox).find(|known| known.id == *id)
    }

    /// Whether this monitor was the first to show a head that cannot be beside the history.
    pub fn contradicted_by(&self, monitor: &str) -> bool {
        self.heads.iter().any(|known| known.standing == Standing::Contradicts && known.shown_by == monitor)
    }

    /// The largest tree head and the largest checkpoint of the history and of what the log itself has shown us.
    pub fn latest(&self) -> Latest {
        let told = || self.history().chain(self.inbox.iter().filter(|known| known.to_us));
        let largest = |is_sth: bool| {
            told()
                .filter(|known| known.id.timestamp.is_some() == is_sth)
                .max_by_key(|known| (known.id.size, known.id.timestamp))
                .cloned()
        };
        Latest { tree_head: largest(true), checkpoint: largest(false) }
    }

    /// The tree heads of the history on both sides of `size`: the last signed one that is not larger, and the first
    /// signed one that is not smaller.
    pub fn around(&self, size: TreeSize) -> Around {
        let heads = || {
            self.history().filter_map(|known| {
                let HeadId { size, root, timestamp } = known.id;
                Some(TreeHead { size, root, timestamp: timestamp? })
            })
        };
        Around {
            below: heads().filter(|head| head.size <= size).max_by_key(|head| (head.size, head.timestamp)),
            above: heads().filter(|head| head.size >= size).min_by_key(|head| (head.size, head.timestamp)),
        }
    }

    /// What the history can do without, where it is too long: of the heads that are neither the largest of their form
    /// nor named by evidence, those that leave the smallest gaps for their age. So the time between heads that are
    /// kept grows with their age, and the newest of them are all there.
    pub fn spare(&self) -> Vec<HeadId> {
        let latest = self.latest();
        let is_latest =
            |known: &Known| [&latest.tree_head, &latest.checkpoint].iter().any(|l| l.as_ref() == Some(known));
        let plain = |known: &&Known| known.evidence.is_empty() && !is_latest(known);
        let mut left: Vec<_> = self.history().filter(plain).map(|known| (known.first_seen_at, known.id)).collect();
        if left.len() <= MAX_HISTORY {
            return Vec::new();
        }
        left.sort();
        let newest = left.last().map_or(UnixMillis::default(), |(seen, _)| *seen);
        let mut spare = Vec::new();
        // Some more than must be, so that this is not done again with the next head.
        while left.len() > MAX_HISTORY - THINNED_AT_ONCE {
            let gap = |around: &[(UnixMillis, HeadId)]| match around {
                [before, this, after] => {
                    (u128::from(after.0.since(before.0)) << 64) / (u128::from(newest.since(this.0)) + 1)
                }
                _ => u128::MAX,
            };
            let Some((before, _)) = left.windows(3).enumerate().min_by_key(|(_, around)| gap(around)) else { break };
            spare.push(left.remove(before + 1).1);
        }
        spare
    }
}

/// The largest heads of a log, in both forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    /// The largest tree head.
    pub tree_head: Option<Known>,
    /// The largest checkpoint.
    pub checkpoint: Option<Known>,
}

/// The tree heads on both sides of a size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Of the largest ones that are not larger, the one signed last.
    pub below: Option<TreeHead>,
    /// Of the smallest ones that are not smaller, the one signed first.
    pub above: Option<TreeHead>,
}

/// Whether heads of this log wait whose time has come, without reading all that is known.
pub fn is_due(state: &State, origin: &Origin, now: UnixMillis) -> Result<bool, StateError> {
    let waiting = state.read(|read| read.first(&INBOX, &key(origin.as_str(), &[]), usize::MAX))?;
    Ok(waiting.iter().any(|(_, known)| due(known, now)))
}

/// Whether this head's time has come. Further away than any pause is, it was put off under a clock that has been set
/// back since.
pub(super) const fn due(known: &Known, now: UnixMillis) -> bool {
    let Standing::Waiting { not_before, .. } = known.standing else { return false };
    let wait = not_before.since(now);
    wait == 0 || wait > MAX_WAIT_MILLIS
}

/// The first evidence against the log with this origin, where it is frozen.
pub fn frozen(state: &State, origin: &Origin) -> Result<Option<String>, StateError> {
    state.get(&FROZEN, origin.as_str().as_bytes())
}

/// Every frozen log, by origin, with the first evidence against it.
pub fn all_frozen(state: &State) -> Result<Vec<(String, String)>, StateError> {
    let rows = state.read(|read| read.first(&FROZEN, b"", usize::MAX))?;
    Ok(rows.into_iter().map(|(origin, evidence)| (String::from_utf8_lossy(&origin).into_owned(), evidence)).collect())
}

/// What is proven against the log with this origin: evidence, and what it proves; at most [`MAX_PROOFS`].
pub fn proofs(state: &State, origin: &Origin) -> Result<Vec<(String, Class)>, StateError> {
    let prefix = key(origin.as_str(), &[]);
    let rows = state.read(|read| read.first(&PROOFS, &prefix, MAX_PROOFS))?;
    let name = |row: &[u8]| String::from_utf8_lossy(row.get(prefix.len()..).unwrap_or(&[])).into_owned();
    Ok(rows.into_iter().map(|(row, class)| (name(&row), class)).collect())
}

/// Freezes a log as part of a step, unless it is frozen already; the proof is kept beside those that are there.
pub fn freeze(write: &mut Write, origin: &Origin, evidence: &str, class: Class) -> Result<(), StateError> {
    write.put(&PROOFS, &key(origin.as_str(), evidence.as_bytes()), &class)?;
    match write.get(&FROZEN, origin.as_str().as_bytes())? {
        Some(_) => Ok(()),
        None => write.put(&FROZEN, origin.as_str().as_bytes(), &evidence.to_owned()),
    }
}

/// Gives a head its standing as part of a step, and with it its place.
pub(super) fn settle(
    write: &mut Write,
    origin: &Origin,
    id: &HeadId,
    change: impl FnOnce(&mut Known),
) -> Result<(), StateError> {
    let row = key_of(origin, id);
    let waiting = write.get(&INBOX, &row)?;
    let (waited, known) =
        (waiting.is_some(), waiting.map_or_else(|| write.get(&HEADS, &row), |known| Ok(Some(known)))?);
    let Some(mut known) = known else { return Ok(()) };
    change(&mut known);
    match (waited, known.standing) {
        (_, Standing::Waiting { .. }) => return write.put(&INBOX, &row, &known),
        (true, _) => write.remove(&INBOX, &row)?,
        (false, _) => false,
    };
    // What contradicts and is named by no evidence is one case too many of a log that is frozen.
    match known.standing == Standing::Contradicts && known.evidence.is_empty() {
        true => write.remove(&HEADS, &row).map(|_| ()),
        false => write.put(&HEADS, &row, &known),
    }
}

/// Takes a head out as part of a step.
pub(super) fn forget(write: &mut Write, origin: &Origin, id: &HeadId) -> Result<(), StateError> {
    let row = key_of(origin, id);
    write.remove(&INBOX, &row)?;
    write.remove(&HEADS, &row)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use atl::merkle::Hash;

    use super::*;

    /// A head that was seen in that minute.
    fn head(timestamp: Option<u64>, seen: u64) -> Known {
        let size = TreeSize::new(seen / 10);
        Known {
            id: HeadId { size, root: Hash::of(&size.get().to_be_bytes()), timestamp: timestamp.map(UnixMillis::new) },
            raw: RawHead::Checkpoint(String::new()),
            shown_by: BY_LOG.to_owned(),
            to_us: true,
            first_seen_at: UnixMillis::new(60_000 * seen),
            standing: Standing::Fits,
            evidence: Vec::new(),
            refused: None,
        }
    }

    #[test]
    fn a_long_history_is_thinned_towards_its_beginning() {
        let mut book = Book::default();
        // The largest checkpoint comes early, and evidence names a head in the middle: both stay.
        let mut checkpoint = head(None, 5);
        checkpoint.id.size = TreeSize::new(1);
        book.heads.push(checkpoint.clone());
        let total = 10 * MAX_HISTORY as u64;
        for at in 0..total {
            let mut new = head(Some(at), at);
            if at == 77 {
                new.evidence.push("aa".into());
            }
            book.heads.push(new);
            let spare = book.spare();
            book.heads.retain(|known| !spare.contains(&known.id));
            assert!(book.heads.len() <= MAX_HISTORY + 3, "{}", book.heads.len());
        }
        let times: Vec<u64> = book.history().filter_map(|known| known.id.timestamp.map(UnixMillis::get)).collect();
        assert!(book.find(&checkpoint.id).is_some());
        assert!([0, 77, total - 1].iter().all(|time| times.contains(time)), "{times:?}");
        // All of the newest, and the gaps before them grow with their age and not faster.
        assert!((total - 64..total).all(|time| times.contains(&time)), "{times:?}");
        let is_even = |pair: &[u64]| pair[1] - pair[0] <= 2 + (total - pair[0]) / 10;
        assert!(times.windows(2).all(is_even), "{times:?}");
    }

    #[test]
    fn a_head_waits_for_its_time_and_not_for_a_clock_that_was_wrong() {
        let now = UnixMillis::new(1_000_000_000);
        let waits = |not_before: UnixMillis| {
            let standing = Standing::Waiting { tries: 1, not_before };
            !due(&Known { standing, ..head(None, 1) }, now)
        };
        assert!(!waits(now) && waits(now.saturating_add(1)) && waits(now.saturating_add(MAX_WAIT_MILLIS)));
        assert!(!waits(now.saturating_add(MAX_WAIT_MILLIS + 1)));
        assert!(!due(&head(None, 1), now));
    }

    #[test]
    fn a_key_tells_heads_apart_and_sorts_by_size() {
        let (sth, note, later) = (head(Some(0), 10), head(None, 10), head(Some(1), 10));
        let keys = [&sth, &note, &later, &head(Some(0), 30), &head(Some(0), 3000)].map(|known| octets_of(&known.id));
        for (n, key) in keys.iter().enumerate() {
            assert!(!keys[..n].contains(key));
        }
        assert!(keys[2] < keys[3] && keys[3] < keys[4]);
    }

    #[test]
    fn one_source_does_not_take_the_room_of_others_and_evidence_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.redb")).unwrap();
        let waiting: Vec<Row<Known>> = (0..MAX_INBOX_OF_ONE as u64)
            .map(|n| {
                let mut known = head(Some(n), n);
                known.evidence.extend((n == MAX_INBOX_OF_ONE as u64 / 2).then(|| "aa".to_owned()));
                (octets_of(&known.id), known)
            })
            .collect();
        let mut theirs = head(Some(900), 900);
        (theirs.to_us, theirs.shown_by) = (false, "peer.example".into());
        let rows = || state.read(|read| read.first(&INBOX, b"", usize::MAX)).unwrap();
        let room = |new: &Known, waiting: &[Row<Known>]| state.write(|write| make_room(write, waiting, new)).unwrap();
        state.write(|write| waiting.iter().try_for_each(|(row, known)| write.put(&INBOX, row, known))).unwrap();

        assert!(room(&theirs, &waiting));
        assert_eq!(rows().len(), waiting.len());
        assert!(room(&head(Some(901), 901), &waiting));
        let left = rows();
        assert_eq!(left.len() + 1, waiting.len());
        let has = |n: usize| left.iter().any(|(row, _)| *row == waiting[n].0);
        assert!(has(0) && has(waiting.len() - 1) && has(waiting.len() / 2));
    }
}
