//! Registration in bulk.

use super::make::*;
use crate::finding::{Class, Finding};
use crate::rules::settings::{Bulk, Owner, Settings};
use crate::rules::{Memory, Rulebook};
use atl::time::UnixMillis;

/// Hour 0 of these tests; the entries' times alone matter.
const START: u64 = 490_000;

struct Stream {
    book: Rulebook,
    memory: Memory,
}

impl Stream {
    fn new() -> Self {
        let bulk = Bulk { new_ca: 30, least: 30, ..Bulk::default() };
        let settings = Settings { bulk: Some(bulk), ..Settings::none() };
        Self { book: Rulebook::new(settings, Owner::default(), &[], None, None), memory: Memory::default() }
    }

    /// So many agents of this CA in this hour; what was found.
    fn hour(&mut self, hour: u64, ca: u16, agents: std::ops::Range<u32>) -> Vec<Finding> {
        let found = agents.flat_map(|n| {
            let at = UnixMillis::new((START + hour) * HOUR + u64::from(n));
            let bare = AGENTS.with(|agents| agents.of(n));
            judge_as(&self.book, &mut self.memory, &bare, at, ca).findings
        });
        found.collect()
    }
}

/// Signing takes its time, and the signature is not looked at.
struct Agents(std::cell::RefCell<std::collections::HashMap<u32, Vec<u8>>>);

thread_local! {
    static AGENTS: Agents = Agents(Default::default());
}

impl Agents {
    fn of(&self, n: u32) -> Vec<u8> {
        let make = || draft(&format!("agent://crowd.example/a/b/{n}")).bare().der().to_vec();
        self.0.borrow_mut().entry(n).or_insert_with(make).clone()
    }
}

#[test]
fn a_new_ca_is_held_to_an_absolute_number() {
    let mut stream = Stream::new();
    assert_eq!(stream.hour(0, 1, 0..20), []);
    assert_eq!(stream.hour(0, 1, 0..20), [], "the same agents again");
    let found = stream.hour(0, 1, 20..60);
    let [finding] = found.as_slice() else { panic!("{} findings", found.len()) };
    assert_eq!(finding.class, Class::BulkRegistration);
    assert!(finding.subject.ends_with(&format!(":{START}")) && finding.entry.is_some());
    assert!(finding.summary.contains("new to this log"), "{}", finding.summary);
    assert_eq!(stream.hour(0, 2, 0..20), [], "another CA is counted apart");
}

#[test]
fn a_burst_is_told_once_and_the_next_again() {
    let mut stream = Stream::new();
    assert_eq!(stream.hour(0, 1, 0..60).len(), 1);
    assert_eq!(stream.hour(1, 1, 0..60).len(), 0, "it goes on");
    assert_eq!(stream.hour(2, 1, 0..5).len(), 0, "it ends");
    assert_eq!(stream.hour(3, 1, 0..60).len(), 1, "another one");
    assert_eq!(stream.hour(5, 1, 0..60).len(), 1, "an hour without entries ends it too");
}

#[test]
fn an_old_ca_is_held_to_its_own_past() {
    let mut stream = Stream::new();
    for hour in 0..48 {
        assert_eq!(stream.hour(hour, 1, 0..25), [], "hour {hour}");
    }
    assert_eq!(stream.hour(48, 1, 0..60), [], "less than four times as many as usual");
    let found = stream.hour(49, 1, 0..160);
    let [finding] = found.as_slice() else { panic!("{} findings", found.len()) };
    assert!(finding.summary.contains("an hour are usual"), "{}", finding.summary);
    // After a month without it nothing of its past is left.
    assert_eq!(stream.hour(49 + 720, 1, 0..60).len(), 1);
}

#[test]
fn a_clock_that_was_ahead_does_not_stop_the_counting() {
    let mut stream = Stream::new();
    assert_eq!(stream.hour(u64::MAX / HOUR - START - 1, 1, 0..5), []);
    assert_eq!(stream.hour(0, 1, 0..60).len(), 1);
    assert_eq!(stream.hour(1, 1, 0..5), []);
}

#[test]
fn cas_without_number_take_bounded_memory() {
    let mut stream = Stream::new();
    let mut told = 0;
    for ca in 0..600 {
        let agent = u32::from(ca) % 100;
        told += stream.hour(0, ca, agent..agent + 1).len();
    }
    assert_eq!(stream.memory.cas.len(), 201);
    assert_eq!(told, 1, "together those without a place are many");
    let json = serde_json::to_string(&stream.memory).unwrap();
    assert!(json.len() < 100_000, "{}", json.len());
    assert_eq!(serde_json::from_str::<Memory>(&json).unwrap(), stream.memory);
    stream.hour(1000, 700, 0..1);
    assert_eq!(stream.memory.cas.len(), 201, "one that was idle for a month made room");
    assert_eq!(stream.hour(1000, 700, 0..60).len(), 1, "and the new one is told apart");
}

#[test]
fn nobody_who_lacks_the_key_can_choose_names_that_count_as_one() {
    let memory = |key| {
        let mut stream = Stream::new();
        let settings = Settings { bulk: Some(Bulk { key, ..Bulk::default() }), ..Settings::none() };
        stream.book = Rulebook::new(settings, Owner::default(), &[], None, None);
        stream.hour(0, 1, 0..5);
        stream.memory
    };
    assert_eq!(memory([0; 32]), memory([0; 32]));
    assert_ne!(memory([0; 32]), memory([1; 32]));
}
