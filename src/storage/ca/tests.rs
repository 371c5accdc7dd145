//! One suite for both stores, and what only a disk can do.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use rocksdb::{ColumnFamilyDescriptor, DB, Options};
use tempfile::TempDir;

use super::super::journalled::{FORMAT_KEY, HEAD_KEY};
use super::memory::{Call, Fault, MemoryCaStore};
use super::rocks::RocksCaStore;
use super::schema::{Family, child_key, moment_key, open_key, place_key};
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::Capabilities;
use crate::apki::status::RevocationReason;
use crate::apki::trust_score::Score;
use crate::ca::application::{Application, Octets};
use crate::ca::event::{Actor, Event};
use crate::ca::ports::*;
use crate::ca::record::{CertificateState, Issued};
use crate::ca::request::{Credential, Grant, HoldReason, RequestState};
use crate::ca::token::{TokenScope, TokenUse, UriPattern};
use crate::ca::trust::initial::ScoreInputs;
use crate::keys::{Ed25519Signer, Signer};
use crate::storage::rocks::RocksStore;
use crate::time::UnixMillis;

/// A store that can be started anew.
trait Subject {
    type Store: CaStore;
    fn new() -> Self;
    fn store(&self) -> &Self::Store;
    fn restart(self) -> Self;
}

struct InMemory(MemoryCaStore);

impl Subject for InMemory {
    type Store = MemoryCaStore;
    fn new() -> Self {
        Self(MemoryCaStore::default())
    }
    fn store(&self) -> &MemoryCaStore {
        &self.0
    }
    fn restart(self) -> Self {
        Self(self.0.copy())
    }
}

struct OnDisk {
    store: RocksCaStore,
    dir: TempDir,
}

impl Subject for OnDisk {
    type Store = RocksCaStore;
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: RocksCaStore::open(dir.path()).unwrap(), dir }
    }
    fn store(&self) -> &RocksCaStore {
        &self.store
    }
    fn restart(self) -> Self {
        let dir = self.stop();
        Self { store: RocksCaStore::open(dir.path()).unwrap(), dir }
    }
}

impl OnDisk {
    fn stop(self) -> TempDir {
        let Self { store, dir } = self;
        drop(store);
        dir
    }
}

macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[test] fn $name() { super::$name::<super::InMemory>(); })*
        }
        mod in_rocks {
            $(#[test] fn $name() { super::$name::<super::OnDisk>(); })*
        }
    };
}

suite!(
    what_was_committed_is_loaded,
    a_commit_must_follow_from_what_is_there,
    rows_come_in_their_order,
    open_requests_follow_their_state,
    a_fingerprint_is_found_once_the_certificate_is_issued,
    pages_are_what_a_filter_finds,
    no_page_has_more_than_the_most,
    children_follow_their_parents,
    children_are_what_a_filter_finds,
    revocations_come_by_their_end,
    many_agents_and_their_children_load_at_once,
    a_commit_that_fails_moves_nobody,
);

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis)
}

fn uri(name: &str) -> AgentUri {
    AgentUri::parse(&format!("agent://bank.example.com/payments/bot/{name}")).unwrap()
}

fn serial(n: u8) -> Serial {
    // Of every length there is, so that order by octets is not order by number.
    let mut octets = vec![n | 1; 16 + usize::from(n % 5)];
    octets[0] = 1 + n % 0x7f;
    Serial::from_bytes(&octets).unwrap()
}

fn token(n: u8) -> Token {
    Token {
        id: TokenId::new([n; 8]),
        secret_hash: [n; 32],
        scope: TokenScope {
            agents: UriPattern::parse("agent://bank.example.com/payments/*/*").unwrap(),
            capabilities: None,
            max_validity_seconds: Some(3600),
            replaces: false,
        },
        minted_by: "alice".into(),
        minted_at: at(1),
        expires_at: at(2),
        used: TokenUse::Unused,
        refused: 0,
    }
}

fn grant() -> Box<Grant> {
    Box::new(Grant {
        capabilities: Capabilities::default(),
        validity_seconds: 3600,
        score: Score::new(60).unwrap(),
        inputs: ScoreInputs { attestation: 20, organization: 10, provenance: 10, code: 10, history: 10 },
        scored_at: at(3),
        method: AttestationMethod::CaVerified,
        delegation: None,
        parent: None,
        ends_by: None,
        engine: None,
    })
}

fn request(n: u8, received_at: u64, state: RequestState) -> Request {
    let application = Application {
        agent: uri("1"),
        spiffe: None,
        public_key: Ed25519Signer::from_seed(&[n; 32]).unwrap().public_key().clone(),
        evidence: None,
        capabilities: None,
        validity_seconds: None,
        principal: None,
        terms: None,
    };
    let credential = Credential::Token(TokenId::new([n; 8]));
    let (id, received_at) = (RequestId::new([n; 16]), at(received_at));
    Request { id, application, credential, received_at, agent_enrolment: None, state }
}

fn certificate(n: u8, agent: &str, signed_at: u64, state: CertificateState) -> CertificateRecord {
    CertificateRecord {
        serial: serial(n),
        request: RequestId::new([n; 16]),
        agent: uri(agent),
        score: Score::new(60).unwrap(),
        enrolment: RequestId::new([n; 16]),
        precertificate: Octets(vec![n; 40]),
        signed_at: at(signed_at),
        not_after: at(signed_at + 1),
        parent: None,
        published_at: None,
        delegation: None,
        renewal: None,
        refused: 0,
        state,
    }
}

fn issued(n: u8) -> CertificateState {
    CertificateState::Issued(Issued { issued_at: at(9), fingerprint: [n; 32], certificate: Octets(vec![n; 50]) })
}

fn agent(name: &str) -> Agent {
    Agent {
        uri: uri(name),
        first_issued_at: at(5),
        enrolment: RequestId::new([1; 16]),
        certificates: 1,
        current: serial(1),
        current_not_after: at(6),
        peak_score: Score::new(60).unwrap(),
        parent: None,
        children: 0,
        live: Vec::new(),
        revoked: None,
        last_revoked_at: None,
        reissue: None,
    }
}

fn below(name: &str, parent: Option<&str>) -> Entity {
    Entity::Agent(Agent { parent: parent.map(uri), ..agent(name) })
}

fn children(store: &impl CaStore, parent: &str) -> Vec<String> {
    let found = store.load(&[Key::Children(uri(parent))]).unwrap();
    let [Some(Entity::Children(Children { parent: whose, agents }))] = &found[..] else { panic!("{found:?}") };
    assert_eq!(*whose, uri(parent));
    agents.iter().map(|agent| agent.as_str().rsplit('/').next().unwrap().to_owned()).collect()
}

fn revocation(n: u8, not_after: u64) -> RevocationRecord {
    RevocationRecord {
        serial: serial(n),
        agent: n.is_multiple_of(2).then(|| uri("1")),
        at: at(5),
        reason: RevocationReason::KeyCompromise,
        signed_at: at(4),
        not_after: at(not_after),
    }
}

/// A commit of so many rows behind what the store holds.
fn commit(store: &impl CaStore, rows: usize, entities: Vec<Entity>) -> Commit {
    let base = store.head().unwrap();
    let mut head = base;
    let event = || Event::TokenWithdrawn { token: TokenId::new([1; 8]) };
    let rows = (0..rows).map(|_| head.append(at(7), Actor::Authority, event()).unwrap()).collect();
    Commit { base, rows, head, entities }
}

fn put(store: &impl CaStore, entities: Vec<Entity>) {
    store.commit(commit(store, 1, entities)).unwrap();
}

fn what_was_committed_is_loaded<S: Subject>() {
    let subject = S::new();
    assert_eq!(subject.store().head(), Ok(JournalHead::default()));
    assert_eq!(subject.store().load(&[Key::Token(TokenId::new([1; 8]))]), Ok(vec![None]));
    let entities = vec![
        Entity::Token(token(1)),
        Entity::Token(token(2)),
        Entity::Request(request(1, 5, RequestState::Ready { grant: grant() })),
        Entity::Agent(agent("1")),
        Entity::Certificate(certificate(1, "1", 8, issued(4))),
    ];
    let first = commit(subject.store(), 3, entities.clone());
    subject.store().commit(first.clone()).unwrap();
    // Later ones replace earlier ones.
    let spent = Token { used: TokenUse::Spent(RequestId::new([1; 16])), ..token(2) };
    put(subject.store(), vec![Entity::Token(spent.clone())]);

    let subject = subject.restart();
    let store = subject.store();
    assert_eq!(store.head().unwrap().rows, 4);
    // Any order, any mixture, some twice, some unknown.
    let keys = [4, 0, 3, 0, 2].map(|i: usize| entities[i].key());
    let found: Vec<_> = store.load(&keys).unwrap().into_iter().map(Option::unwrap).collect();
    assert_eq!(found, [4, 0, 3, 0, 2].map(|i: usize| entities[i].clone()));
    let keys =
        [Key::Agent(uri("2")), entities[1].key(), Key::Certificate(serial(2)), Key::Request(RequestId::new([2; 16]))];
    assert_eq!(store.load(&keys), Ok(vec![None, Some(Entity::Token(spent)), None, None]));
    assert_eq!(store.load(&[]), Ok(vec![]));
    // It goes on from there.
    put(store, vec![Entity::Token(token(3))]);
    assert_eq!(store.head().unwrap().rows, 5);
}

fn a_commit_must_follow_from_what_is_there<S: Subject>() {
    let subject = S::new();
    let store = subject.store();
    let first = commit(store, 2, vec![Entity::Token(token(1))]);
    let other = commit(store, 1, vec![Entity::Token(token(2))]);
    store.commit(first.clone()).unwrap();
    assert_eq!(store.commit(other.clone()), Err(CommitError::Fenced { expected: 0, found: 2 }));
    // As many rows, but others.
    let good = commit(store, 1, vec![Entity::Token(token(2))]);
    let forked = Commit { base: JournalHead { hash: [9; 32], ..good.base }, ..good.clone() };
    assert_eq!(store.commit(forked), Err(CommitError::Fenced { expected: 2, found: 2 }));
    // A head that the rows do not lead to.
    for head in [
        JournalHead { rows: 4, ..good.head },
        JournalHead { hash: [9; 32], ..good.head },
        good.base,
        JournalHead { rows: u64::MAX, ..good.head },
    ] {
        let wrong = store.commit(Commit { head, ..good.clone() });
        assert!(matches!(wrong, Err(CommitError::NotWritten(_))), "{wrong:?}");
    }
    // None of it left anything behind.
    assert_eq!(store.load(&[Key::Token(TokenId::new([2; 8]))]), Ok(vec![None]));
    let subject = subject.restart();
    assert_eq!(subject.store().head(), Ok(first.head));
    assert_eq!(subject.store().journal(0, 10), Ok(first.rows));
    subject.store().commit(good).unwrap();
}

fn rows_come_in_their_order<S: Subject>() {
    let subject = S::new();
    // Numbers of more than one octet.
    let mut rows = Vec::new();
    for count in [1, 0, 250, 10, 3] {
        let commit = commit(subject.store(), count, vec![]);
        rows.extend(commit.rows.clone());
        subject.store().commit(commit).unwrap();
    }
    let subject = subject.restart();
    let store = subject.store();
    for (from, limit) in [(0, 1000), (0, usize::MAX), (5, 3), (250, 10), (263, 5), (264, 5), (9, 0), (u64::MAX, 5)] {
        let start = usize::try_from(from).unwrap().min(rows.len());
        let end = start.saturating_add(limit).min(rows.len());
        assert_eq!(store.journal(from, limit).unwrap(), rows[start..end], "{from}, {limit}");
    }
    let mut head = JournalHead::default();
    store.journal(0, 1000).unwrap().iter().for_each(|row| drop(head.follow::<Actor, Event>(row).unwrap()));
    assert_eq!(store.head(), Ok(head));
}

fn open_requests_follow_their_state<S: Subject>() {
    let subject = S::new();
    let store = subject.store();
    let ready = || RequestState::Ready { grant: grant() };
    let reasons = vec![HoldReason::Policy];
    let pending = RequestState::Pending { reasons, grant: grant(), expires_at: at(99) };
    let processing = RequestState::Processing { grant: grant(), serial: serial(1) };
    // 3 and 2 came at the same moment; 1 came later than 300 ms, in more than one octet.
    let all =
        [request(4, 200, pending), request(2, 256, ready()), request(3, 256, processing), request(1, 300, ready())];
    put(store, [3, 1, 0, 2].map(|i: usize| Entity::Request(all[i].clone())).into());
    assert_eq!(store.open_requests(None, 10).unwrap(), all);
    assert_eq!(store.open_requests(None, usize::MAX).unwrap(), all);
    assert_eq!(store.open_requests(None, 2).unwrap(), all[..2]);
    assert_eq!(store.open_requests(None, 0).unwrap(), []);
    for (i, last) in all.iter().enumerate() {
        let found = store.open_requests(Some((last.received_at, last.id)), 10).unwrap();
        assert_eq!(found, all[i + 1..], "behind {i}");
    }
    // A place where nothing is, or is no more, is as good.
    assert_eq!(store.open_requests(Some((at(256), RequestId::new([0; 16]))), 1).unwrap(), all[1..2]);
    let closed = |i: usize, state| Entity::Request(Request { state, ..all[i].clone() });
    put(store, vec![closed(0, ready()), closed(1, RequestState::Valid { serial: serial(1) })]);
    put(store, vec![closed(3, RequestState::Invalid { why: "no".into() })]);
    let subject = subject.restart();
    let found = subject.store().open_requests(None, 10).unwrap();
    assert_eq!(found, [Request { state: ready(), ..all[0].clone() }, all[2].clone()]);
    let found = subject.store().open_requests(Some((all[1].received_at, all[1].id)), 10).unwrap();
    assert_eq!(found, all[2..3]);
}

fn a_fingerprint_is_found_once_the_certificate_is_issued<S: Subject>() {
    let subject = S::new();
    let store = subject.store();
    let find = |store: &S::Store, n: u8| store.serial_of(&[n; 32]).unwrap();
    put(store, vec![Entity::Certificate(certificate(1, "1", 8, CertificateState::Precertified))]);
    put(store, vec![Entity::Certificate(certificate(2, "1", 8, CertificateState::Precertified))]);
    assert_eq!((find(store, 1), find(store, 2)), (None, None));
    put(store, vec![Entity::Certificate(certificate(1, "1", 8, issued(1)))]);
    put(store, vec![Entity::Certificate(certificate(2, "1", 8, CertificateState::Abandoned { why: "no".into() }))]);
    let subject = subject.restart();
    assert_eq!((find(subject.store(), 1), find(subject.store(), 2)), (Some(serial(1)), None));
    // Each is listed once, however often it changed.
    let listed = subject.store().certificates(&CertificateSearch { limit: 10, ..Default::default() }).unwrap();
    assert_eq!(listed.len(), 2);
}

/// What a search finds, told as plainly as possible.
fn filtered(all: &[CertificateRecord], search: &CertificateSearch) -> Vec<CertificateRecord> {
    let place = |c: &CertificateRecord| Place { signed_at: c.signed_at, serial: c.serial };
    let mut found = all.to_vec();
    found.sort_by_key(place);
    found.reverse();
    found.retain(|c| search.agent.as_ref().is_none_or(|agent| *agent == c.agent));
    found.retain(|c| search.since.is_none_or(|since| since <= c.signed_at));
    found.retain(|c| search.until.is_none_or(|until| c.signed_at < until));
    found.retain(|c| search.after.is_none_or(|after| place(c) < after));
    found.truncate(search.limit);
    found
}

fn any_search() -> impl Strategy<Value = CertificateSearch> {
    let moment = || proptest::option::of((250u64..262).prop_map(at));
    let agent = proptest::option::of(prop::sample::select(vec!["1", "11", "1-", "2", "none"]));
    let after = proptest::option::of((250u64..262, 0u8..40));
    (agent, moment(), moment(), after, 0usize..12).prop_map(|(agent, since, until, after, limit)| CertificateSearch {
        agent: agent.map(uri),
        since,
        until,
        after: after.map(|(signed_at, n)| Place { signed_at: at(signed_at), serial: serial(n) }),
        limit,
    })
}

fn pages_are_what_a_filter_finds<S: Subject>() {
    let subject = S::new();
    // Names of which one begins another, moments around a change of length, serials of all lengths.
    let name = |n: u8| ["1", "11", "1-", "2"][usize::from(n / 3 % 4)];
    let all: Vec<_> = (0..40).map(|n| certificate(n, name(n), 252 + u64::from(n) * 7 % 9, issued(n))).collect();
    all.chunks(7).for_each(|some| put(subject.store(), some.iter().cloned().map(Entity::Certificate).collect()));
    let subject = subject.restart();
    let store = subject.store();
    proptest!(ProptestConfig::with_cases(2000), |(search in any_search())| {
        prop_assert_eq!(store.certificates(&search).unwrap(), filtered(&all, &search));
    });
    // Page behind page is the whole, without gap or repetition.
    proptest!(ProptestConfig::with_cases(100), |(search in any_search(), size in 1usize..5)| {
        let whole = CertificateSearch { limit: MAX_LISTED, ..search };
        let mut pages = Vec::new();
        let mut next = CertificateSearch { limit: size, ..whole.clone() };
        loop {
            let page = store.certificates(&next).unwrap();
            let Some(last) = page.last() else { break };
            next.after = Some(Place { signed_at: last.signed_at, serial: last.serial });
            pages.extend(page);
        }
        prop_assert_eq!(pages, filtered(&all, &whole));
    });
}

fn no_page_has_more_than_the_most<S: Subject>() {
    let subject = S::new();
    let numbered = |n: u16| {
        let octets = [&[1; 14][..], &n.to_be_bytes()].concat();
        CertificateRecord { serial: Serial::from_bytes(&octets).unwrap(), ..certificate(1, "1", 8, issued(1)) }
    };
    let more = u16::try_from(MAX_LISTED).unwrap() + 1;
    put(subject.store(), (0..more).map(|n| Entity::Certificate(numbered(n))).collect());
    for agent in [None, Some(uri("1"))] {
        let search = CertificateSearch { agent, limit: usize::MAX, ..Default::default() };
        let found = subject.store().certificates(&search).unwrap();
        assert_eq!((found.len(), &found[0]), (MAX_LISTED, &numbered(more - 1)));
    }
}

fn children_follow_their_parents<S: Subject>() {
    let subject = S::new();
    let store = subject.store();
    assert_eq!(children(store, "1"), [""; 0]);
    // Names of which one begins another are told apart.
    put(store, vec![below("2", Some("1")), below("3", Some("1")), below("4", Some("11")), below("5", Some("1-"))]);
    assert_eq!((children(store, "1"), children(store, "11")), (vec!["2".into(), "3".into()], vec!["4".to_string()]));
    // What is committed as children is never kept: it follows from the agents.
    let lie = Children { parent: uri("1"), agents: [uri("9")].into() };
    put(store, vec![Entity::Children(lie.clone()), below("6", Some("1"))]);
    put(store, vec![Entity::Children(Children { agents: Default::default(), ..lie })]);
    assert_eq!(children(store, "1"), ["2", "3", "6"]);
    // An agent moves, loses its parent, gets it back, stays where it is, and all that within one commit too.
    put(store, vec![below("2", Some("11")), below("3", None)]);
    assert_eq!((children(store, "1"), children(store, "11")), (vec!["6".to_string()], vec!["2".into(), "4".into()]));
    put(store, vec![below("3", Some("1")), below("6", Some("1")), below("4", Some("11")), below("4", None)]);
    put(store, vec![below("5", Some("1")), below("5", Some("11")), below("5", Some("2")), below("5", Some("11"))]);
    let subject = subject.restart();
    let store = subject.store();
    assert_eq!(
        (children(store, "1"), children(store, "11")),
        (vec!["3".into(), "6".into()], vec!["2".into(), "5".into()])
    );
    assert_eq!((children(store, "1-"), children(store, "2")), (vec![], vec![]));
    // With others, in any order, some twice.
    let [one, two] = [Key::Children(uri("1")), Key::Children(uri("2"))];
    let keys = [two.clone(), Key::Agent(uri("9")), one.clone(), Key::Agent(uri("5")), one];
    let found = store.load(&keys).unwrap();
    let keyed: Vec<_> = found.iter().map(|entity| entity.as_ref().map(Entity::key)).collect();
    let known = |i: usize| Some(keys[i].clone());
    assert_eq!(keyed, [known(0), None, known(2), known(3), known(4)]);
    assert_eq!((&found[2], &found[3]), (&found[4], &Some(below("5", Some("11")))));
}

fn children_are_what_a_filter_finds<S: Subject>() {
    let name = || prop::sample::select(vec!["1", "11", "1-", "1_", "2", "3"]);
    let commits = prop::collection::vec(prop::collection::vec((name(), prop::option::of(name())), 1..5), 1..6);
    proptest!(ProptestConfig::with_cases(12), |(commits in commits)| {
        let mut subject = S::new();
        let mut parents = BTreeMap::new();
        for (i, moves) in commits.iter().enumerate() {
            put(subject.store(), moves.iter().map(|(agent, parent)| below(agent, *parent)).collect());
            parents.extend(moves.iter().copied());
            if i == 1 {
                subject = subject.restart();
            }
        }
        for parent in ["1", "11", "1-", "1_", "2", "3"] {
            let below = parents.iter().filter(|(_, of)| **of == Some(parent)).map(|(agent, _)| uri(agent));
            let expected = Children { parent: uri(parent), agents: below.collect() };
            let found = subject.store().load(&[Key::Children(uri(parent))]).unwrap();
            prop_assert_eq!(found, vec![Some(Entity::Children(expected))]);
        }
    });
}

fn revocations_come_by_their_end<S: Subject>() {
    let subject = S::new();
    // Ends around a change of length, two at the same moment, numbers of all lengths.
    let mut all: Vec<_> = (0..12).map(|n| revocation(n, 250 + u64::from(n) * 5 % 9)).collect();
    all.chunks(5).for_each(|some| put(subject.store(), some.iter().cloned().map(Entity::Revocation).collect()));
    all.sort_by_key(|r| (r.not_after, r.serial));
    let subject = subject.restart();
    let store = subject.store();
    for (i, one) in all.iter().enumerate() {
        assert_eq!(store.load(&[Key::Revocation(one.serial)]), Ok(vec![Some(Entity::Revocation(one.clone()))]));
        let place = Some((one.not_after, one.serial));
        assert_eq!(store.revocations(at(0), place, 100).unwrap(), all[i + 1..], "behind {i}");
        assert_eq!(store.revocations(at(0), place, 2).unwrap(), all[i + 1..(i + 3).min(all.len())]);
    }
    assert_eq!(store.load(&[Key::Revocation(serial(99))]), Ok(vec![None]));
    for ends in 248..262 {
        let expected: Vec<_> = all.iter().filter(|r| r.not_after >= at(ends)).cloned().collect();
        assert_eq!(store.revocations(at(ends), None, usize::MAX).unwrap(), expected, "{ends}");
        // Whichever of both lies further on counts.
        let place = Some((all[3].not_after, all[3].serial));
        let expected: Vec<_> = all[4..].iter().filter(|r| r.not_after >= at(ends)).cloned().collect();
        assert_eq!(store.revocations(at(ends), place, 100).unwrap(), expected, "{ends}");
    }
    assert_eq!(store.revocations(at(0), None, 0), Ok(vec![]));
    assert_eq!(store.revocations(at(u64::MAX), None, 5), Ok(vec![]));
    // Should an end ever change, it is listed once, where it belongs.
    let later = RevocationRecord { not_after: at(900), ..all[0].clone() };
    put(store, vec![Entity::Revocation(later.clone())]);
    let expected: Vec<_> = all[1..].iter().cloned().chain([later]).collect();
    assert_eq!(store.revocations(at(0), None, 100), Ok(expected));
}

fn many_agents_and_their_children_load_at_once<S: Subject>() {
    let subject = S::new();
    let name = |n: u32| format!("a{n}");
    let all: Vec<_> = (1..10_000).map(|n| below(&name(n), Some(&name(n / 8)))).collect();
    put(subject.store(), all.clone());
    // Everybody again, unchanged: what is read back for that is one question too.
    put(subject.store(), all);
    let keys = (0..10_000).flat_map(|n| [Key::Agent(uri(&name(n))), Key::Children(uri(&name(n)))]);
    let keys: Vec<_> = keys.collect();
    let watch = crate::time::Stopwatch::start();
    let found = subject.store().load(&keys).unwrap();
    // Some tens of milliseconds; a snapshot or a scan of everything for each takes many times as long.
    assert!(watch.elapsed().as_millis() < 3_000, "{:?}", watch.elapsed());
    let sizes = found.iter().flatten().map(|entity| match entity {
        Entity::Children(children) => children.agents.len(),
        _ => 0,
    });
    assert_eq!((found.iter().flatten().count(), sizes.sum::<usize>()), (19_999, 9_999));
}

fn a_commit_that_fails_moves_nobody<S: Subject>() {
    let subject = S::new();
    let store = subject.store();
    put(store, vec![below("2", Some("1"))]);
    let good = commit(store, 1, vec![below("2", Some("3")), Entity::Revocation(revocation(1, 9))]);
    let fenced = Commit { base: JournalHead { hash: [9; 32], ..good.base }, ..good.clone() };
    let misled = Commit { head: good.base, ..good.clone() };
    assert!(store.commit(fenced).is_err() && store.commit(misled).is_err());
    assert_eq!((children(store, "1"), children(store, "3")), (vec!["2".to_string()], vec![]));
    assert_eq!(store.revocations(at(0), None, 9), Ok(vec![]));
    store.commit(good).unwrap();
    let subject = subject.restart();
    assert_eq!((children(subject.store(), "1"), children(subject.store(), "3")), (vec![], vec!["2".to_string()]));
    assert_eq!(subject.store().revocations(at(0), None, 9), Ok(vec![revocation(1, 9)]));
}

#[test]
fn a_fault_in_a_move_leaves_all_of_it_or_nothing() {
    for (fault, parent) in [(Fault::Unavailable, "1"), (Fault::Lost, "1"), (Fault::Persisted, "3")] {
        let store = MemoryCaStore::default();
        put(&store, vec![below("2", Some("1"))]);
        store.fail(Call::Commit, 0, fault);
        let moved = commit(&store, 1, vec![below("2", Some("3")), Entity::Revocation(revocation(1, 9))]);
        assert!(store.commit(moved).is_err());
        let found = store.copy();
        let expected = if parent == "3" { (vec![], vec!["2".to_string()]) } else { (vec!["2".to_string()], vec![]) };
        assert_eq!((children(&found, "1"), children(&found, "3")), expected, "{fault:?}");
        assert_eq!(found.revocations(at(0), None, 9).unwrap().len(), usize::from(parent == "3"), "{fault:?}");
    }
}

/// What the audit compares: a store that holds other children or revocations than follow is found out.
#[test]
fn what_does_not_follow_from_the_journal_is_found() {
    let entities = [below("2", Some("1")), below("1", None), Entity::Revocation(revocation(1, 9))];
    let derived = Children { parent: uri("1"), agents: Default::default() };
    let all = || entities.iter().cloned().chain([Entity::Children(derived.clone())]).collect::<Vec<_>>();
    let kept = || {
        let subject = OnDisk::new();
        put(&subject.store, vec![below("2", Some("3"))]);
        put(&subject.store, all());
        subject.stop()
    };
    let difference = |dir: &TempDir, entities: &[Entity]| {
        RocksCaStore::open_read_only(dir.path()).unwrap().difference(entities.iter()).unwrap()
    };
    let dir = kept();
    assert_eq!(difference(&dir, &all()), None);
    let unrevoked = difference(&dir, &entities[..2]).unwrap();
    assert!(unrevoked.contains("revocations"), "{unrevoked}");
    let moved = difference(&dir, &[below("2", Some("3")), below("1", None), entities[2].clone()]).unwrap();
    assert!(moved.contains("is not kept as the journal tells"), "{moved}");
    let (child, end) = (child_key(&uri("1"), &uri("2")), moment_key(at(9), &serial(1)));
    for (family, key, value, words) in [
        (Family::Children, &child, None, "not in its place in children"),
        (Family::Children, &child_key(&uri("3"), &uri("2")), Some(&b""[..]), "2 entries are kept in children, and 1"),
        (Family::ByEnd, &end, None, "not in its place in revocations_by_end"),
        (Family::ByEnd, &moment_key(at(8), &serial(1)), Some(b""), "2 entries are kept in revocations_by_end, and 1"),
        (Family::Revocations, &serial(1).as_bytes().to_vec(), None, "is not kept as the journal tells"),
    ] {
        let dir = kept();
        damage(dir.path(), family, key, value);
        let found = difference(&dir, &all()).unwrap();
        assert!(found.contains(words), "{found}");
    }
}

#[test]
fn faults_hit_the_call_that_they_are_meant_for() {
    let store = MemoryCaStore::default();
    let token_at = |n| vec![Entity::Token(token(n))];
    store.fail(Call::Commit, 1, Fault::Unavailable);
    put(&store, token_at(1));
    assert!(matches!(store.commit(commit(&store, 1, token_at(2))), Err(CommitError::NotWritten(_))));
    for (fault, rows) in [(Fault::Lost, 1), (Fault::Persisted, 2)] {
        store.fail(Call::Commit, 0, fault);
        assert!(matches!(store.commit(commit(&store, 1, token_at(2))), Err(CommitError::Unknown(_))));
        assert_eq!((store.copy().head().unwrap().rows, store.commits() as u64), (rows, rows), "{fault:?}");
    }
    store.fail(Call::Load, 0, Fault::Unavailable);
    store.fail(Call::Journal, 0, Fault::Lost);
    assert!(store.copy().load(&[]).is_ok());
    assert!(matches!(store.load(&[]), Err(StoreError::Unavailable(_))));
    assert!(matches!(store.journal(0, 1), Err(StoreError::Corrupt(_))));
    assert!(store.load(&[]).is_ok() && store.journal(0, 1).is_ok());
    let search = CertificateSearch::default();
    for call in [Call::Head, Call::OpenRequests, Call::Certificates, Call::SerialOf, Call::Revocations] {
        store.fail(call, 0, Fault::Lost);
    }
    assert!(store.head().is_err() && store.open_requests(None, 1).is_err());
    assert!(store.revocations(at(0), None, 1).is_err());
    assert!(store.certificates(&search).is_err() && store.serial_of(&[0; 32]).is_err());
    assert!(store.tamper(0, |row| row.clear()) && !store.tamper(9, Vec::clear));
    assert_eq!(store.journal(0, 1), Ok(vec![vec![]]));
}

/// Writes behind the store's back; no value removes the key.
fn damage(dir: &Path, family: Family, key: &[u8], value: Option<&[u8]>) {
    let families = Family::ALL.map(|f| ColumnFamilyDescriptor::new(f.name(), Options::default()));
    let db = DB::open_cf_descriptors(&Options::default(), dir, families).unwrap();
    let family = db.cf_handle(family.name()).unwrap();
    match value {
        Some(value) => db.put_cf(family, key, value).unwrap(),
        None => db.delete_cf(family, key).unwrap(),
    }
}

/// A store on the disk with one entity of each kind and three rows, stopped.
fn filled() -> TempDir {
    let subject = OnDisk::new();
    let entities = vec![
        Entity::Token(token(1)),
        Entity::Request(request(1, 5, RequestState::Ready { grant: grant() })),
        Entity::Agent(agent("1")),
        Entity::Certificate(certificate(1, "1", 8, issued(4))),
        Entity::Revocation(revocation(1, 9)),
    ];
    subject.store.commit(commit(&subject.store, 3, entities)).unwrap();
    subject.stop()
}

fn corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>, words: &[&str]) {
    let Err(StoreError::Corrupt(text)) = result else { panic!("{result:?}") };
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn damaged_entities_are_named() {
    let dir = filled();
    let other = serde_json::to_vec(&token(2)).unwrap();
    let keys = [
        (Key::Token(TokenId::new([1; 8])), "tokens", hex::encode([1; 8])),
        (Key::Request(RequestId::new([1; 16])), "requests", hex::encode([1; 16])),
        (Key::Agent(uri("1")), "agents", uri("1").to_string()),
        (Key::Certificate(serial(1)), "certificates", serial(1).to_string()),
        (Key::Revocation(serial(1)), "revocations", serial(1).to_string()),
    ];
    for (key, family, name) in &keys {
        let (place, octets) = super::schema::entity_key(key).unwrap();
        for wrong in [&b"{"[..], b"", b"{\"id\":7}", &other] {
            damage(dir.path(), place, &octets, Some(wrong));
            let store = RocksCaStore::open(dir.path()).unwrap();
            corrupt(store.load(std::slice::from_ref(key)), &[family, name]);
        }
    }
    let store = RocksCaStore::open(dir.path()).unwrap();
    corrupt(store.open_requests(None, 5), &["requests", &keys[1].2]);
    corrupt(store.revocations(at(0), None, 5), &["revocations", &keys[4].2]);
    // What replaces an entity that does not read must not leave its old places behind.
    let replacement = commit(&store, 1, vec![Entity::Agent(agent("1"))]);
    assert!(matches!(store.commit(replacement), Err(CommitError::NotWritten(why)) if why.contains("agents")));
    corrupt(store.certificates(&CertificateSearch { limit: 5, ..Default::default() }), &["certificates", &keys[3].2]);
}

#[test]
fn damaged_indexes_are_named() {
    let dir = filled();
    damage(dir.path(), Family::Certificates, serial(1).as_bytes(), None);
    damage(dir.path(), Family::Requests, &[1; 16], None);
    damage(dir.path(), Family::ByFingerprint, &[4; 32], Some(b"x"));
    damage(dir.path(), Family::Revocations, serial(1).as_bytes(), None);
    damage(dir.path(), Family::Children, &[uri("1").as_str().as_bytes(), b"\0agent://?"].concat(), Some(b""));
    let store = RocksCaStore::open(dir.path()).unwrap();
    let search = CertificateSearch { limit: 5, ..Default::default() };
    let of_agent = CertificateSearch { agent: Some(uri("1")), ..search.clone() };
    corrupt(store.certificates(&search), &["missing", "certificates_by_time", &serial(1).to_string()]);
    corrupt(store.certificates(&of_agent), &["missing", "certificates_by_agent", &serial(1).to_string()]);
    corrupt(store.open_requests(None, 1), &["missing", "open_requests", &hex::encode([1; 16])]);
    corrupt(store.serial_of(&[4; 32]), &["certificates_by_fingerprint", &hex::encode([4; 32])]);
    corrupt(store.revocations(at(0), None, 5), &["missing", "revocations_by_end", &serial(1).to_string()]);
    corrupt(store.load(&[Key::Children(uri("1"))]), &["children", "no key"]);
    drop(store);

    let cut = |key: Vec<u8>| key[..key.len() - 1].to_vec();
    let place = place_key(&Place { signed_at: at(8), serial: serial(1) });
    damage(dir.path(), Family::ByTime, &cut(place.clone()), Some(b""));
    damage(dir.path(), Family::ByTime, &place, None);
    damage(dir.path(), Family::OpenRequests, &cut(open_key(at(4), &RequestId::new([1; 16]))), Some(b""));
    let store = RocksCaStore::open(dir.path()).unwrap();
    corrupt(store.certificates(&search), &["certificates_by_time", "no key"]);
    corrupt(store.open_requests(None, 1), &["open_requests", "no key"]);
}

#[test]
fn a_journal_with_a_hole_is_damaged() {
    let dir = filled();
    damage(dir.path(), Family::Journal, &1u64.to_be_bytes(), None);
    let store = RocksCaStore::open(dir.path()).unwrap();
    assert_eq!(store.journal(0, 1).unwrap().len(), 1);
    assert_eq!(store.journal(2, 5).unwrap().len(), 1);
    corrupt(store.journal(0, 2), &["row 1"]);
    corrupt(store.journal(1, 1), &["row 1"]);
    drop(store);
    // Without its last row the CA would not know what to go on from; who only reads may look at the rest.
    damage(dir.path(), Family::Journal, &2u64.to_be_bytes(), None);
    let error = RocksCaStore::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("row 2"), "{error}");
    damage(dir.path(), Family::Journal, &2u64.to_be_bytes(), Some(b"{}"));
    let error = RocksCaStore::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("state") && error.contains("head") && error.contains("last row"), "{error}");
    assert_eq!(RocksCaStore::open_read_only(dir.path()).unwrap().journal(2, 1), Ok(vec![b"{}".to_vec()]));
    damage(dir.path(), Family::State, HEAD_KEY, Some(b"{\"rows\":3}"));
    let error = RocksCaStore::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("state") && error.contains("head") && error.contains("does not read"), "{error}");
    corrupt(RocksCaStore::open_read_only(dir.path()).unwrap().head(), &["state", "head"]);
}

#[test]
fn other_databases_are_refused_and_left_as_they_are() {
    let (ca, log) = (filled(), tempfile::tempdir().unwrap());
    drop(RocksStore::open(log.path()).unwrap());
    let errors = [
        (RocksCaStore::open(log.path()).err(), "database of a CA"),
        (RocksCaStore::open_read_only(log.path()).err(), "database of a CA"),
        (RocksStore::open(ca.path()).err(), "database of a log"),
        (RocksStore::open_read_only(ca.path()).err(), "database of a log"),
    ];
    for (error, words) in errors {
        let error = error.unwrap().to_string();
        assert!(error.contains(words) && error.contains("it is not the"), "{error}");
    }
    drop(RocksStore::open(log.path()).unwrap());
    drop(RocksCaStore::open(ca.path()).unwrap());

    damage(ca.path(), Family::State, FORMAT_KEY, Some(b"atl ca 3"));
    for error in [RocksCaStore::open(ca.path()).err(), RocksCaStore::open_read_only(ca.path()).err()] {
        let error = error.unwrap().to_string();
        assert!(error.contains("`atl ca 3`") && error.contains("`atl ca 2`"), "{error}");
    }
    damage(ca.path(), Family::State, FORMAT_KEY, None);
    assert!(RocksCaStore::open(ca.path()).is_err());
}

#[test]
fn a_database_of_an_earlier_layout_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let families = ["state", "journal", "tokens", "requests", "agents"];
    let older = |format: Option<&[u8]>| {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let database = DB::open_cf(&options, dir.path(), families).unwrap();
        let state = database.cf_handle("state").unwrap();
        format.into_iter().for_each(|format| database.put_cf(state, FORMAT_KEY, format).unwrap());
    };
    older(Some(b"atl ca 1"));
    for error in [RocksCaStore::open(dir.path()).err(), RocksCaStore::open_read_only(dir.path()).err()] {
        let error = error.unwrap().to_string();
        assert!(error.contains("`atl ca 1`") && error.contains("use the one that wrote it"), "{error}");
    }
    // It has the families that it had, so the program that wrote it opens it.
    assert_eq!(DB::list_cf(&Options::default(), dir.path()).unwrap().len(), families.len() + 1);
    older(None);

    // One that was only begun is finished.
    let begun = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    drop(DB::open_cf(&options, begun.path(), ["state", "journal"]).unwrap());
    assert_eq!(RocksCaStore::open(begun.path()).unwrap().head(), Ok(JournalHead::default()));
}

#[test]
fn who_only_reads_changes_nothing() {
    let dir = filled();
    let store = RocksCaStore::open_read_only(dir.path()).unwrap();
    assert_eq!(store.journal(0, 10).unwrap().len(), 3);
    assert_eq!(store.open_requests(None, 10).unwrap().len(), 1);
    assert_eq!(store.serial_of(&[4; 32]), Ok(Some(serial(1))));
    let search = CertificateSearch { agent: Some(uri("1")), limit: 5, ..Default::default() };
    assert_eq!(store.certificates(&search).unwrap().len(), 1);
    let refused = store.commit(commit(&store, 1, vec![Entity::Token(token(2))]));
    assert!(matches!(refused, Err(CommitError::NotWritten(_))), "{refused:?}");
    drop(store);
    let store = RocksCaStore::open(dir.path()).unwrap();
    assert_eq!(store.head().unwrap().rows, 3);
    store.flush().unwrap();

    let empty = tempfile::tempdir().unwrap();
    let error = RocksCaStore::open_read_only(empty.path()).err().unwrap().to_string();
    assert!(error.contains("there is no database of a CA"), "{error}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn a_new_database_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/data");
    RocksCaStore::open(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}
