//! Timestamps and the times of heads.

use std::sync::Arc;

use atl::api::B64;
use atl::log::entry::CertHash;
use atl::merkle::LeafIndex;

use super::agents::NOW;
use super::included::{hash, included, rig, sat_of};
use super::rig::{HOUR, Rig, is_proven};
use super::test_log::{Lies, MMD};
use crate::errand::{Errand, KnownHeads};
use crate::evidence::{Case, Verdict, judge};
use crate::finding::{Class, EntryRef};
use crate::head::{RawHead, SignedHead};
use crate::heads::book;
use crate::watched::WatchedLog;

#[tokio::test]
async fn an_entry_is_dated_as_its_timestamp_is() {
    let (rig, sat) = rig(true).await;
    rig.logs[0].lie(|lies| _ = lies.dated.insert(hash(), sat.timestamp.saturating_add(1)));
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.timestamp-out-of-bounds"], 0));
    assert!(is_proven(&rig.exhibits()[0]) && rig.exhibits()[0].certificates.len() == 1);
}

#[tokio::test]
async fn a_timestamp_is_not_after_a_head_that_has_its_entry() {
    let rig = Rig::new().await;
    rig.logs[0].add(b"in question", NOW, &[]);
    rig.logs[0].sign(NOW.saturating_sub(1));
    rig.post(&included(&sat_of(11, NOW), None));
    rig.once().await;
    assert_eq!(rig.codes(), ["log.entry-newer-than-head"]);
    assert!(is_proven(&rig.exhibits()[0]));
}

struct Seen(SignedHead);

impl KnownHeads for Seen {
    fn around(&self, _: &WatchedLog, _: LeafIndex) -> Vec<SignedHead> {
        vec![self.0.clone()]
    }
}

/// The log has signed newer heads since, which say nothing of the kind; so the proof has to lead to the old one.
#[tokio::test]
async fn what_is_kept_of_a_misdated_entry_proves_it_or_says_that_it_does_not() {
    type Lie = (fn(&mut Lies), Verdict, usize, usize);
    let lies: [Lie; 4] = [
        (|_| {}, Verdict::Proven, 1, 0),
        (|lies| lies.old_proofs = true, Verdict::Proven, 1, 0),
        (|lies| lies.pruned = true, Verdict::Proven, 0, 2),
        (|lies| (lies.pruned, lies.leaves) = (true, true), Verdict::SuspicionOnly, 0, 0),
    ];
    for (n, (lie, verdict, certificates, leaves)) in lies.into_iter().enumerate() {
        let rig = Rig::new().await;
        rig.logs[0].lie(lie);
        rig.logs[0].add(b"another", NOW.saturating_sub(HOUR), &[]);
        rig.logs[0].add(b"in question", NOW, &[]);
        rig.logs[0].sign(NOW.saturating_sub(1));
        let old = SignedHead::open(RawHead::from(rig.logs[0].head()), &rig.watched(0)).unwrap();
        rig.logs[0].add(b"a third", NOW, &[]);
        rig.logs[0].sign(NOW.saturating_add(MMD));
        rig.post(&included(&sat_of(11, NOW), None));
        rig.runner().with_heads(Arc::new(Seen(old))).once().await.unwrap();
        assert_eq!(rig.codes(), ["log.entry-newer-than-head"], "{n}");
        let exhibit = rig.exhibits().remove(0);
        assert_eq!((exhibit.certificates.len(), exhibit.leaves.len()), (certificates, leaves), "{n}");
        let outcome = judge(&Case::of(&exhibit).unwrap());
        assert_eq!(outcome.verdict(), verdict, "{n}: {outcome:?}");
        let frozen = book::frozen(&rig.state, &rig.watched(0).origin).unwrap();
        assert_eq!(frozen.is_some(), verdict == Verdict::Proven, "{n}");
    }
}

#[tokio::test]
async fn a_timestamp_is_not_before_a_head_that_lacks_its_entry() {
    for (lateness, codes) in [(0, vec![]), (1, vec!["log.timestamp-out-of-bounds"])] {
        let rig = Rig::new().await;
        rig.logs[0].add(b"another", NOW.saturating_sub(HOUR), &[]);
        rig.logs[0].sign(NOW.saturating_add(lateness));
        let before = SignedHead::open(RawHead::from(rig.logs[0].head()), &rig.watched(0)).unwrap();
        rig.logs[0].add(b"in question", NOW, &[]);
        rig.logs[0].sign(NOW.saturating_add(MMD));
        rig.post(&included(&sat_of(11, NOW), None));
        rig.runner().with_heads(Arc::new(Seen(before))).once().await.unwrap();
        assert_eq!(rig.codes(), codes);
    }
}

#[tokio::test]
async fn a_timestamp_that_nobody_signed_speaks_against_no_log() {
    let (rig, sat) = rig(false).await;
    rig.state.write(|write| crate::errand::finish(write, &rig.waiting()[0]).map(drop)).unwrap();
    let mut forged = sat.clone();
    forged.timestamp = forged.timestamp.saturating_add(1);
    rig.post(&included(&forged, None));
    rig.post(&included(&sat_of(99, NOW), None));
    rig.post(&Errand::Included { entry: None, sat: B64(vec![1, 2, 3]), cert_hash: hash(), due: NOW });
    assert_eq!(rig.once().await, 3);
    assert_eq!((rig.codes(), rig.waiting().len()), (vec![], 0));
    // In a certificate that is logged it speaks against the CA.
    let entry = EntryRef { log: "two.example/1".into(), index: LeafIndex::new(5), cert_hash: CertHash::new([3; 32]) };
    rig.post(&included(&forged, Some(entry.clone())));
    rig.once().await;
    let told = rig.told().remove(0);
    assert_eq!((told.class, &*told.log, told.entry), (Class::MalformedExtension, "two.example/1", Some(entry)));
    // Nobody is asked about the timestamp; the log of the certificate is, for what the alert shows of that.
    assert_eq!((rig.logs[0].asked(""), rig.logs[1].asked("get-proof")), (0, 0));
    assert_eq!(rig.logs[1].asked(""), rig.logs[1].asked("get-entry"));
}
