//! Logs that do as they are told, and a clock that goes when it is moved.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::ca::ports::{Answer, EntryType, JournalHead, KeptHead, KeptList, LogSubmitter, StoreError, SubmitError};
use crate::ca::service::Observer;
use crate::keys::{Ed25519Signer, PublicKey, Signer};
use crate::log::entry::CertHash;
use crate::log::sat::SignedAgentTimestamp;
use crate::time::{Clock, UnixMillis};

pub(super) struct TestClock(AtomicU64);

impl TestClock {
    pub(super) fn at(now: UnixMillis) -> Self {
        Self(AtomicU64::new(now.get()))
    }

    pub(super) fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    pub(super) fn set(&self, now: UnixMillis) {
        self.0.store(now.get(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::Relaxed))
    }
}

pub(super) struct Silent;

impl Observer for Silent {
    fn answered(&self, _: &'static str, _: &'static str) {}
    fn phase(&self, _: &'static str, _: Duration) {}
    fn log(&self, _: &str, _: &'static str, _: Duration) {}
}

/// What lies beside the store.
#[derive(Default)]
pub(super) struct FakeKept {
    /// The newest list, which is what a test finds there, or puts there.
    pub(super) list: Mutex<Option<Vec<u8>>>,
    /// Every list that was kept.
    pub(super) rounds: AtomicU64,
    /// The newest head.
    pub(super) head: Mutex<Option<JournalHead>>,
    /// Nothing can be written.
    pub(super) full: AtomicBool,
}

impl FakeKept {
    fn check(&self) -> Result<(), StoreError> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(StoreError::Failed("injected: no room".into())),
            false => Ok(()),
        }
    }
}

impl KeptList for FakeKept {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.list.lock().clone())
    }

    fn keep(&self, der: &[u8]) -> Result<(), StoreError> {
        self.check()?;
        *self.list.lock() = Some(der.to_vec());
        self.rounds.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl KeptHead for FakeKept {
    fn keep(&self, head: &JournalHead) -> Result<(), StoreError> {
        self.check()?;
        *self.head.lock() = Some(*head);
        Ok(())
    }
}

/// How a log behaves.
#[derive(Clone, Debug)]
pub(super) enum Mood {
    Honest,
    Down,
    /// Down for so many tries more, then honest.
    Busy(u32),
    Refuses,
    Hangs,
    Garbage,
    /// A good signature over another certificate.
    OtherHash,
    /// Its name, another's signature.
    OtherKey,
    /// Another log altogether.
    OtherLog,
    Future,
    Past,
    /// Whatever it answered for this certificate.
    Replays(Vec<u8>),
}

pub(super) struct FakeLog {
    signer: Ed25519Signer,
    clock: Arc<TestClock>,
    mood: Mutex<Mood>,
    seen: Mutex<Vec<Vec<u8>>>,
    /// The first answer to each certificate, which is the only one.
    given: Mutex<HashMap<CertHash, Vec<u8>>>,
}

impl FakeLog {
    pub(super) fn new(seed: u8, clock: Arc<TestClock>) -> Self {
        let signer = Ed25519Signer::from_seed(&[seed; 32]).unwrap();
        let (mood, seen, given) = (Mutex::new(Mood::Honest), Mutex::default(), Mutex::default());
        Self { signer, clock, mood, seen, given }
    }

    pub(super) fn key(&self) -> PublicKey {
        self.signer.public_key().clone()
    }

    pub(super) fn become_(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// What was submitted, each time.
    pub(super) fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().clone()
    }

    /// The answer of a log that keeps its word.
    fn honest(&self, precertificate: &[u8]) -> Vec<u8> {
        let hash = CertHash::of_certificate(precertificate);
        let sign = || SignedAgentTimestamp::sign(&self.signer, self.clock.now(), hash).unwrap().to_der();
        self.given.lock().entry(hash).or_insert_with(sign).clone()
    }

    fn answer(&self, precertificate: &[u8]) -> Result<Vec<u8>, SubmitError> {
        let (now, hash) = (self.clock.now(), CertHash::of_certificate(precertificate));
        let stranger = Ed25519Signer::from_seed(&[99; 32]).unwrap();
        let signed = |signer: &Ed25519Signer, at, hash| SignedAgentTimestamp::sign(signer, at, hash).unwrap();
        let retry = || Err(SubmitError::Retry { reason: "out of order".into(), after: None });
        let mut mood = self.mood.lock();
        Ok(match &mut *mood {
            Mood::Honest | Mood::Hangs => self.honest(precertificate),
            Mood::Down => return retry(),
            Mood::Busy(0) => self.honest(precertificate),
            Mood::Busy(left) => {
                *left -= 1;
                return retry();
            }
            Mood::Refuses => return Err(SubmitError::Refused("unknownAnchor".into())),
            Mood::Garbage => vec![0x30, 0x80, 0x00],
            Mood::OtherHash => signed(&self.signer, now, CertHash::new([5; 32])).to_der(),
            Mood::OtherKey => {
                let log_id = self.signer.public_key().log_id();
                SignedAgentTimestamp { log_id, ..signed(&stranger, now, hash) }.to_der()
            }
            Mood::OtherLog => signed(&stranger, now, hash).to_der(),
            Mood::Future => signed(&self.signer, now.saturating_add(60_001), hash).to_der(),
            Mood::Past => signed(&self.signer, now.saturating_sub(60_001), hash).to_der(),
            Mood::Replays(of) => self.honest(of),
        })
    }
}

impl LogSubmitter for FakeLog {
    fn submit<'a>(
        &'a self,
        _: EntryType,
        precertificate: &'a [u8],
        _: &'a [Vec<u8>],
    ) -> Answer<'a, Result<Vec<u8>, SubmitError>> {
        self.seen.lock().push(precertificate.to_vec());
        let (answer, hangs) = (self.answer(precertificate), matches!(*self.mood.lock(), Mood::Hangs));
        Box::pin(async move { if hangs { std::future::pending().await } else { answer } })
    }

    fn probe(&self) -> Answer<'_, Result<(), String>> {
        let up = !matches!(*self.mood.lock(), Mood::Down | Mood::Hangs);
        Box::pin(async move { if up { Ok(()) } else { Err("out of order".into()) } })
    }
}
