//! Where parts of the monitor that do not know each other meet: what each wants of whoever knows the heads.

use std::sync::{Arc, OnceLock};

use atl::client::LogClient;
use atl::log::checkpoint::{Checkpoint, Origin};
use atl::merkle::LeafIndex;
use atl::time::UnixMillis;

use super::cosigned::Cosigned;
use crate::board::Board;
use crate::errand::decide::Outcome;
use crate::errand::{KnownHeads, Owner};
use crate::evidence::{Archive, Exhibit, KeepError, Keeper};
use crate::follow::position::Ledger;
use crate::follow::{Dated, HeadJudge, JudgeError, Observing};
use crate::head::{RawHead, SignedHead};
use crate::heads::book::{self, Book};
use crate::heads::{BY_LOG, Heads, HeadsError, Known};
use crate::http::Shared;
use crate::rules::authorised::Newest;
use crate::rules::unauthorised::{Settled, settle};
use crate::state::{State, StateError};
use crate::watched::WatchedLog;
use crate::witness::audit::{Opinion, Opinions, Verified};
use crate::witness::{Heads as Witnessed, Witness};

/// Who shows a checkpoint that somebody has sent to the witness: not the log itself, as far as we know.
const BY_SUBMITTER: &str = "a submitter to the witness";

/// The heads, as the follower, the errands and the witness know them.
pub struct HeadsBridge {
    pub heads: Heads,
    pub shared: Arc<Shared>,
    pub cosigned: Cosigned,
    /// The witness that this monitor is, once it is there.
    pub witness: OnceLock<Arc<Witness>>,
}

impl HeadJudge for HeadsBridge {
    fn observe<'a>(&'a self, log: &'a WatchedLog, client: &'a LogClient, head: SignedHead) -> Observing<'a> {
        Box::pin(async move {
            self.cosigned.note(log, &head);
            self.recognise(log, &head);
            match self.heads.observe(log, client, head, BY_LOG).await {
                Ok(_) => Ok(()),
                Err(HeadsError::State(error)) => Err(JudgeError::State(error)),
                Err(error) => Err(JudgeError::Unjudged(error.to_string())),
            }
        })
    }

    fn frozen(&self, log: &Origin) -> Result<Option<String>, StateError> {
        book::frozen(self.state(), log)
    }

    fn dated(&self, log: &Origin) -> Result<Vec<Dated>, StateError> {
        let book = self.state().read(|read| Book::load(read, log))?;
        let dated = |known: &Known| Some(Dated { size: known.id.size, timestamp: known.id.timestamp? });
        Ok(book.history().filter_map(dated).collect())
    }
}

impl KnownHeads for HeadsBridge {
    fn around(&self, log: &WatchedLog, index: LeafIndex) -> Vec<SignedHead> {
        let Ok(book) = self.heads.book(&log.origin) else { return Vec::new() };
        let dated = || book.history().filter(|known| known.id.timestamp.is_some());
        let without = dated().filter(|known| !index.is_in(known.id.size)).max_by_key(|known| known.id.timestamp);
        let with = dated().filter(|known| index.is_in(known.id.size)).min_by_key(|known| known.id.timestamp);
        let opened = |known: &Known| SignedHead::open(known.raw.clone(), log).ok();
        without.into_iter().chain(with).filter_map(opened).collect()
    }
}

impl HeadsBridge {
    fn state(&self) -> &State {
        &self.shared.state
    }

    /// Lets the witness look for its own cosignature on what the log serves.
    fn recognise(&self, log: &WatchedLog, head: &SignedHead) {
        let (Some(witness), RawHead::Checkpoint(text)) = (self.witness.get(), head.raw()) else { return };
        if let Err(error) = witness.recognise(log, text) {
            tracing::error!(log = %log.origin, %error, "the witness could not keep what it has cosigned");
        }
    }

    /// Takes a checkpoint of somebody else's into what is known of heads, which is held against the rest of it.
    fn receive(&self, log: &WatchedLog, note: &str) {
        let head = match SignedHead::open(RawHead::Checkpoint(note.to_owned()), log) {
            Ok(head) => head,
            Err(error) => return tracing::warn!(log = %log.origin, %error, "a checkpoint was not kept"),
        };
        if let Err(error) = self.heads.receive(log, &head, BY_SUBMITTER) {
            tracing::warn!(log = %log.origin, %error, "a checkpoint was not kept");
        }
    }
}

impl Witnessed for HeadsBridge {
    fn frozen(&self, origin: &str) -> Option<String> {
        let log = self.shared.logs.iter().find(|log| log.origin.as_str() == origin)?;
        // A database that cannot be read ends the monitor; until then the log is not cosigned.
        HeadJudge::frozen(self, &log.origin).unwrap_or_else(|error| Some(error.to_string()))
    }

    fn contradicts(&self, log: &WatchedLog, checkpoint: &Checkpoint) -> Result<bool, StateError> {
        let verified = Ledger::new(Arc::clone(&self.shared.state), Arc::new(log.clone())).verified()?.head;
        let verified = verified.map(|head| (head.size(), head.root()));
        let known = book::of_size(self.state(), &log.origin, checkpoint.size)?;
        let known = known.into_iter().map(|known| (known.id.size, known.id.root));
        Ok(known.chain(verified).any(|(size, root)| size == checkpoint.size && root != checkpoint.root))
    }

    fn conflict(&self, log: &WatchedLog, known: &str, shown: &str) {
        self.receive(log, known);
        self.receive(log, shown);
    }

    fn refused(&self, log: &WatchedLog, shown: &str) {
        self.receive(log, shown);
    }
}

/// The archive of evidence, and on the board whether it keeps what it should.
pub struct Archived {
    pub archive: Archive,
    pub board: Arc<Board>,
}

impl Keeper for Archived {
    fn keep(&self, exhibit: &Exhibit, now: UnixMillis) -> Result<String, KeepError> {
        let kept = Keeper::keep(&self.archive, exhibit, now);
        let unkept = kept.as_ref().err().map(|KeepError(why)| why.clone());
        if let Some(why) = &unkept {
            tracing::error!(class = %exhibit.class, why, "evidence cannot be kept");
        }
        self.board.update(|standing| standing.unkept = unkept);
        kept
    }
}

/// What the monitor thinks of its logs, for audit statements.
pub fn opinions(shared: &Arc<Shared>, heads: &Heads) -> Opinions {
    let (shared, heads) = (Arc::clone(shared), heads.clone());
    Arc::new(move |log| {
        let verified = verified(&shared, log);
        match heads.frozen(&log.origin).ok()? {
            None => verified.map(Opinion::Consistent),
            // Where the evidence is of something else than heads, it is about what was verified; a log that was frozen
            // before this process began is not verified any more, and it is about what it has signed.
            Some(evidence) => {
                let condemned = condemned(&heads, log, &evidence).or(verified).or_else(|| largest(&heads, log));
                condemned.map(Opinion::Inconsistent)
            }
        }
    })
}

/// The head up to which the entries of a log are derived, since the process has done so.
fn verified(shared: &Shared, log: &WatchedLog) -> Option<Verified> {
    let at = shared.board.standing().logs.get(log.origin.as_str())?.last_verified_at?;
    let ledger = Ledger::new(Arc::clone(&shared.state), Arc::new(log.clone()));
    let head = ledger.verified().ok()?.head?;
    Some(Verified { size: head.size(), root: head.root(), at })
}

/// The largest head that the evidence names.
fn condemned(heads: &Heads, log: &WatchedLog, evidence: &str) -> Option<Verified> {
    let book = heads.book(&log.origin).ok()?;
    let named = book.history().chain(&book.inbox).filter(|known| known.evidence.iter().any(|name| name == evidence));
    named.max_by_key(|known| known.id.size).map(first_seen)
}

/// The largest head of the history, or else of those that wait for one.
fn largest(heads: &Heads, log: &WatchedLog) -> Option<Verified> {
    let book = heads.book(&log.origin).ok()?;
    book.tip().or_else(|| book.inbox.iter().max_by_key(|known| known.id)).map(first_seen)
}

fn first_seen(known: &Known) -> Verified {
    Verified { size: known.id.size, root: known.id.root, at: known.first_seen_at }
}

/// What the owner's feed says of certificates that are asked about.
pub fn owner(newest: Newest) -> Arc<Owner> {
    Arc::new(move |known_as, finding, due, now| match settle(known_as, finding, due, &newest.get(), now) {
        Settled::Authorised => Outcome::settled(),
        Settled::Wait(at) => Outcome::put_off(at, "the owner's feed may still come to know it"),
        Settled::Unauthorised(finding) => Outcome::found(*finding, None),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use atl::log::checkpoint::sign_checkpoint;
    use atl::log::sth::{SignedTreeHead, TreeHead};
    use atl::merkle::{Hash, TreeSize};

    use super::*;
    use crate::finding::Class;
    use crate::http::testing::{log, shared, signer};

    #[test]
    fn the_board_says_for_how_long_evidence_cannot_be_kept() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("evidence");
        let archive = Archive::open(&place, Arc::new(signer(1)), "monitor.example".parse().unwrap()).unwrap();
        let archived = Archived { archive, board: Arc::default() };
        let exhibit = Exhibit::new(Class::StaleHead, vec![log(1)], "old".into());
        let unkept = || archived.board.standing().unkept;
        fs::remove_dir(&place).unwrap();
        let error = archived.keep(&exhibit, UnixMillis::new(1)).unwrap_err();
        assert_eq!(unkept(), Some(error.0));
        fs::create_dir(&place).unwrap();
        archived.keep(&exhibit, UnixMillis::new(2)).unwrap();
        assert_eq!(unkept(), None);
    }

    fn bridge(dir: &Path) -> HeadsBridge {
        let shared = Arc::new(shared(dir).0);
        let archive = Archive::open(&shared.evidence_dir, Arc::clone(&shared.signer), shared.name.clone()).unwrap();
        let (state, board) = (Arc::clone(&shared.state), Arc::clone(&shared.board));
        let archive = Arc::new(Archived { archive, board: Arc::clone(&board) });
        let heads = Heads::open(state, Arc::clone(&board), archive, Arc::clone(&shared.clock)).unwrap();
        let cosigned = Cosigned { board, witnesses: Vec::new() };
        HeadsBridge { heads, shared, cosigned, witness: OnceLock::new() }
    }

    #[tokio::test]
    async fn the_witness_is_told_of_another_tree_of_one_size() {
        let dir = tempfile::tempdir().unwrap();
        let bridge = bridge(dir.path());
        let head = TreeHead { size: TreeSize::new(5), root: Hash::new([1; 32]), timestamp: UnixMillis::new(9) };
        let raw = RawHead::from(SignedTreeHead::sign(&signer(1), head).unwrap());
        bridge.heads.receive(&log(1), &SignedHead::open(raw, &log(1)).unwrap(), BY_LOG).unwrap();
        for (seed, size, root, other) in [(1, 5, 1, false), (1, 5, 2, true), (1, 6, 2, false), (2, 5, 2, false)] {
            let checkpoint = Checkpoint::new(log(seed).origin, TreeSize::new(size), Hash::new([root; 32]));
            assert_eq!(bridge.contradicts(&log(seed), &checkpoint).unwrap(), other, "{seed} {size} {root}");
        }
    }

    #[tokio::test]
    async fn the_witness_is_shown_what_the_log_serves() {
        let dir = tempfile::tempdir().unwrap();
        let bridge = Arc::new(bridge(dir.path()));
        let head = TreeHead { size: TreeSize::new(5), root: Hash::new([1; 32]), timestamp: UnixMillis::new(0) };
        let note = sign_checkpoint(&signer(1), &log(1).origin, &head).unwrap();
        let cosigner =
            |dir: &Path| Witness::new(&shared(dir).0, &dir.join("cosigned"), bridge.clone()).unwrap().unwrap();
        // The same witness, before all that it had was lost.
        let before = tempfile::tempdir().unwrap();
        let line = cosigner(before.path()).add_checkpoint(format!("old 0\n\n{note}").as_bytes()).unwrap();
        let after = tempfile::tempdir().unwrap();
        let witness = bridge.witness.get_or_init(|| Arc::new(cosigner(after.path())));
        let hash = hex::encode(Hash::of(log(1).origin.as_str().as_bytes()).as_bytes());
        assert_eq!(witness.latest(&hash).unwrap(), None);
        let served = format!("{note}{line}\n");
        let (log, client) = (log(1), LogClient::new("http://127.0.0.1:1").unwrap());
        let head = SignedHead::open(RawHead::Checkpoint(served.clone()), &log).unwrap();
        assert!(bridge.observe(&log, &client, head).await.is_ok());
        assert_eq!(witness.latest(&hash).unwrap(), Some(served));
    }
}
