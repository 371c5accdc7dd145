//! Lists and OCSP: what was revoked is said at once and never taken back, whatever fails in between.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::apki::moment::Moment;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::Crl;
use crate::apki::status::ocsp::{CertId, CertIdHash, CertStatus, Nonce, OcspRequest, OcspResponse};
use crate::ca::command::Command;
use crate::ca::ports::{Entity, Key};
use crate::ca::record::{CertificateRecord, CertificateState, RevocationRecord};

use crate::time::Clock as _;

const HOUR: u64 = 3_600_000;

fn serial(n: u16) -> Serial {
    let mut octets = [1; 20];
    octets[18..].copy_from_slice(&n.to_be_bytes());
    Serial::from_random(octets)
}

/// The revocation of a certificate that was signed at noon and ends an hour later.
fn revocation(n: u16) -> RevocationRecord {
    RevocationRecord {
        serial: serial(n),
        agent: Some(crate::ca::tests::uri("agent://example.com/sales/shopper/1")),
        at: NOON,
        reason: RevocationReason::KeyCompromise,
        signed_at: NOON,
        not_after: NOON.saturating_add(HOUR),
    }
}

fn certificate(n: u16, state: CertificateState) -> CertificateRecord {
    CertificateRecord {
        serial: serial(n),
        request: RequestId::new([1; 16]),
        enrolment: RequestId::new([1; 16]),
        agent: crate::ca::tests::uri("agent://example.com/sales/shopper/1"),
        score: Score::new(60).unwrap(),
        precertificate: Octets(vec![1]),
        signed_at: NOON,
        not_after: NOON.saturating_add(HOUR),
        parent: None,
        published_at: None,
        delegation: None,
        renewal: None,
        refused: 0,
        state,
    }
}

fn ca_certificate() -> Certificate {
    issuer(ed25519(1).as_ref())
}

impl World {
    /// Puts entities into the store as a commit would have.
    fn keep(&self, entities: Vec<Entity>) {
        let base = self.store.head().unwrap();
        let mut head = base;
        let event = Event::TokenWithdrawn { token: TokenId::new([0; 8]) };
        let rows = vec![head.append(NOON, Actor::Authority, event).unwrap()];
        self.store.commit(Commit { base, rows, head, entities }).unwrap();
    }
}

/// A list, its signature checked, and the numbers on it.
fn read(der: &[u8]) -> (Crl, Vec<Serial>) {
    let list = Crl::parse(der).unwrap();
    list.verify(ed25519(1).public_key()).unwrap();
    let serials = list.entries().map(|entry| Serial::from_bytes(entry.serial).unwrap()).collect();
    (list, serials)
}

fn number(der: &[u8]) -> u64 {
    read(der).0.number().unwrap()
}

/// As the writer does behind a commit.
async fn record(service: &CaService, revocations: Vec<RevocationRecord>) {
    let board = &service.core.status;
    board.record(revocations);
    let listed = tokio::time::timeout(Duration::from_secs(5), board.listed(board.generation()));
    listed.await.expect("it is not listed");
}

/// A round of lists now.
fn publish(service: &CaService) -> Vec<Serial> {
    let core = &service.core;
    core.lists.publish(&core.ca, &core.status, core.clock.now()).unwrap();
    read(&service.crl()).1
}

fn request(serials: &[Serial], nonce: Option<Nonce>) -> Vec<u8> {
    let id = |serial: &Serial| CertId::of(&ca_certificate(), serial.as_bytes(), CertIdHash::Sha1).unwrap();
    OcspRequest::new(serials.iter().map(id).collect(), nonce).unwrap().to_der()
}

/// What OCSP says of one certificate, once its signature is seen to hold.
async fn status(service: &CaService, serial: Serial) -> CertStatus {
    let answer = service.ocsp(&request(&[serial], None)).await;
    let id = CertId::of(&ca_certificate(), serial.as_bytes(), CertIdHash::Sha1).unwrap();
    let response = OcspResponse::parse(&answer.der).unwrap();
    response.verify(&id, &ca_certificate(), service.core.clock.now(), None).unwrap().status
}

fn revoked() -> CertStatus {
    CertStatus::Revoked { at: Moment::floor(NOON).unwrap(), reason: RevocationReason::KeyCompromise }
}

#[tokio::test]
async fn numbers_rise_from_round_to_round_and_from_start_to_start() {
    let world = World::new();
    let service = world.start();
    let mut last = number(&service.crl());
    assert!(read(&service.crl()).1.is_empty());
    for _ in 0..3 {
        publish(&service);
        assert!(number(&service.crl()) > last, "the clock stands still");
        last = number(&service.crl());
    }
    assert_eq!(world.kept.list.lock().as_deref(), Some(&*service.crl()));
    drop(service);
    // A new start, an empty store, a clock that went back a little, and nothing that is kept.
    let worlds = [world.after_crash(), world.with_store(MemoryCaStore::default())];
    for world in worlds {
        let service = world.start();
        assert!(number(&service.crl()) > last);
        last = number(&service.crl());
    }
    world.clock.set(UnixMillis::new(NOON.get() - 30_000));
    let service = world.after_crash().start();
    assert!(number(&service.crl()) > last);
    drop(service);
    world.clock.set(UnixMillis::new(last + 1000));
    *world.kept.list.lock() = None;
    assert!(number(&world.after_crash().start().crl()) > last);
}

#[tokio::test]
async fn a_revocation_is_listed_soon_and_many_share_a_round() {
    let world = World::new();
    let service = world.start();
    let watch = Stopwatch::start();
    for n in 0..200 {
        service.core.status.record(vec![revocation(n)]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    record(&service, vec![revocation(200)]).await;
    let (list, serials) = read(&service.crl());
    assert_eq!(serials, (0..=200).map(serial).collect::<Vec<_>>());
    assert_eq!(list.entries().next().unwrap().reason, RevocationReason::KeyCompromise);
    let rounds = u128::from(world.kept.rounds.load(Relaxed));
    assert!(rounds <= 3 + watch.elapsed().as_millis() / 100, "{rounds} rounds in {:?}", watch.elapsed());
    assert!(watch.elapsed() < Duration::from_secs(3));
    service.stop().await;
}

#[tokio::test]
async fn a_restored_database_does_not_unrevoke() {
    let world = World::new();
    world.keep(vec![Entity::Revocation(revocation(1))]);
    let backup = world.store.copy();
    world.keep(vec![Entity::Revocation(revocation(2)), Entity::Revocation(revocation(3))]);
    let service = world.start();
    assert_eq!(read(&service.crl()).1, [serial(1), serial(2), serial(3)]);
    let last = number(&service.crl());
    drop(service);

    let world = world.with_store(backup);
    let service = world.start();
    assert!(number(&service.crl()) > last);
    assert_eq!(read(&service.crl()).1, [serial(1), serial(2), serial(3)]);
    assert_eq!(status(&service, serial(3)).await, revoked());
    let found = world.store.load(&[Key::Revocation(serial(3))]).unwrap();
    let Some(Entity::Revocation(restored)) = &found[0] else { panic!("{found:?}") };
    // Nobody knows when it ends: later than any certificate that was valid.
    assert_eq!((restored.agent.as_ref(), restored.not_after), (None, NOON.saturating_add(25 * HOUR)));
    let restored = |event: &&Event| matches!(event, Event::RevocationRestored { .. });
    assert_eq!(world.events().iter().filter(restored).count(), 2);
    assert!(world.kept.head.lock().is_some());
    drop(service);
    // Once is enough.
    let world = world.after_crash();
    let service = world.start();
    assert_eq!(world.events().iter().filter(restored).count(), 2);
    assert_eq!(read(&service.crl()).1, [serial(1), serial(2), serial(3)]);
}

#[tokio::test]
async fn a_kept_list_that_is_not_ours_or_is_damaged_stops_the_start() {
    let world = World::new();
    drop(world.start());
    let good = world.kept.list.lock().clone().unwrap();
    // The key was renewed: another one signed it, and the name is the same.
    let mut resigned = good.clone();
    *resigned.last_mut().unwrap() ^= 1;
    *world.kept.list.lock() = Some(resigned);
    drop(world.after_crash().start());
    // "Issuer" becomes another name.
    let mut other = good.clone();
    let place = other.windows(6).position(|octets| octets == b"Issuer").unwrap();
    other[place] = b'X';
    for (bad, words) in [(other, "another issuer"), (good[..good.len() - 1].to_vec(), "DER"), (Vec::new(), "DER")] {
        *world.kept.list.lock() = Some(bad);
        let world = world.after_crash();
        let Err(error) = CaService::start(world.parts(), world.settings.clone()) else { panic!("{words}") };
        assert!(matches!(error, StartError::KeptList(_)) && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn entries_drop_out_once_they_have_ended_and_were_listed_after_that() {
    let world = World::new();
    let grace = world.settings.status.grace_ms();
    world.keep(vec![Entity::Revocation(revocation(1))]);
    let service = world.start();
    for (advance, listed) in [(0, true), (HOUR - 1, true), (2, true), (grace, true), (1, false)] {
        world.clock.advance(advance);
        assert_eq!(publish(&service).contains(&serial(1)), listed, "{advance}");
    }
    drop(service);

    // One that ends while the CA is down is on one list more, though it ended long ago.
    let world = World::new();
    world.keep(vec![Entity::Revocation(revocation(1))]);
    drop(world.start());
    world.clock.advance(20 * HOUR);
    let world = world.after_crash();
    let service = world.start();
    assert_eq!(read(&service.crl()).1, [serial(1)]);
    assert_eq!((publish(&service).len(), publish(&service).len()), (1, 0));
    drop(service);
    let service = world.after_crash().start();
    assert_eq!(read(&service.crl()).1, []);
    assert_eq!(status(&service, serial(1)).await, revoked());
}

#[tokio::test]
async fn shards_have_what_certificates_that_name_them_look_for() {
    let mut world = World::new();
    world.settings.status.base_url = Some("http://status.example.com/ca/".into());
    let (secret, _) = world.seed(1, 40, Vec::new());
    // Noon is a boundary between two shards.
    world.clock.advance(600_000);
    let service = world.start();
    let answered = service.enrol(secret, form(1), SOURCE).await.unwrap();
    let leaf = Certificate::parse(answered.certificate.unwrap().chain[0].clone()).unwrap();
    assert_eq!(leaf.ocsp_url().unwrap(), Some("http://status.example.com/ca/ocsp"));
    let url = leaf.crl_url().unwrap().unwrap();
    let shard = url.strip_prefix("http://status.example.com/ca/crl/").unwrap().parse().unwrap();
    assert_eq!(shard, NOON.get() / HOUR);
    let (number_of_leaf, signed_at) = (Serial::from_bytes(leaf.serial()).unwrap(), world.clock.now());
    let named = RevocationRecord { serial: number_of_leaf, signed_at, ..revocation(0) };
    let before = NOON.saturating_sub(HOUR / 2);
    let earlier = RevocationRecord { signed_at: before, ..revocation(1) };
    // A minute from the boundary, the certificate may say either.
    let close = RevocationRecord { signed_at: NOON.saturating_sub(60_000), ..revocation(2) };
    let forgotten = RevocationRecord { agent: None, ..revocation(3) };
    let (a, b, c, d) = (named.serial, earlier.serial, close.serial, forgotten.serial);
    record(&service, vec![named, earlier, close, forgotten]).await;

    let sorted = |mut serials: Vec<Serial>| {
        serials.sort();
        serials
    };
    let entries = |shard| read(&service.crl_shard(shard).unwrap()).1;
    assert_eq!(read(&service.crl()).1, sorted(vec![a, b, c, d]));
    assert_eq!(entries(shard), sorted(vec![a, c, d]));
    assert_eq!(entries(shard - 1), sorted(vec![b, c, d]));
    let (list, _) = read(&service.crl_shard(shard).unwrap());
    let scope = list.scope().unwrap();
    assert_eq!((scope.url.as_str(), scope.only_user_certificates, scope.indirect), (url, true, false));
    assert!(read(&service.crl()).0.scope().is_none());
    // Every shard that a valid certificate may name, and no others: all of one round.
    for there in [shard - 24, shard - 2] {
        assert_eq!((entries(there), number(&service.crl_shard(there).unwrap())), (vec![d], number(&service.crl())));
    }
    assert!(service.crl_shard(shard - 30).is_none() && service.crl_shard(shard + 2).is_none());
    // The shard of certificates that are signed before the next round is there already.
    world.clock.advance(HOUR - 630_000);
    publish(&service);
    assert!(service.crl_shard(shard + 1).is_some());
    service.stop().await;
}

#[tokio::test]
async fn a_list_that_cannot_be_kept_is_not_published() {
    let world = World::new();
    let service = world.start();
    service.prepare_ocsp().await.unwrap();
    let before = service.crl();
    world.kept.full.store(true, Relaxed);
    let board = &service.core.status;
    board.record(vec![revocation(1)]);
    let generation = board.generation();
    assert!(tokio::time::timeout(Duration::from_millis(1500), board.listed(generation)).await.is_err());
    assert_eq!(service.crl(), before);
    let check = || async { service.checks().await.into_iter().find(|check| check.name == "lists").unwrap() };
    let failed = check().await;
    assert!(!failed.ok && failed.detail.contains("no room"), "{failed:?}");
    assert_eq!(status(&service, serial(1)).await, revoked(), "OCSP does not wait for the list");
    world.kept.full.store(false, Relaxed);
    tokio::time::timeout(Duration::from_secs(5), board.listed(generation)).await.unwrap();
    assert_eq!(read(&service.crl()).1, [serial(1)]);
    assert!(check().await.ok && number(&service.crl()) > number(&before));
    // Whose clock stands still has lists that get old.
    world.clock.advance(200_000);
    assert!(!check().await.ok);

    let world = World::new();
    world.kept.full.store(true, Relaxed);
    let Err(error) = CaService::start(world.parts(), world.settings.clone()) else { panic!("it starts") };
    assert!(matches!(error, StartError::Lists(_)), "{error}");
}

#[tokio::test]
async fn a_good_answer_never_outlives_the_revocation() {
    let world = World::new();
    world.keep(vec![Entity::Certificate(certificate(1, CertificateState::Precertified))]);
    let service = world.start();
    assert_eq!(status(&service, serial(1)).await, CertStatus::Good);
    let good = service.ocsp(&request(&[serial(1)], None)).await;
    assert_eq!(good.max_age_seconds, 60);
    world.clock.advance(20_000);
    let again = service.ocsp(&request(&[serial(1)], None)).await;
    assert!(Arc::ptr_eq(&good.der, &again.der) && again.max_age_seconds == 40, "{again:?}");
    world.clock.advance(10_000);
    let fresh = service.ocsp(&request(&[serial(1)], None)).await;
    assert!(fresh.der != good.der && fresh.max_age_seconds == 60, "half of its life is over");
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                for _ in 0..200 {
                    let recorded = service.core.status.find(&serial(1)).is_some();
                    let status = status(&service, serial(1)).await;
                    assert!(!recorded || status == revoked());
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    service.core.status.record(vec![revocation(1)]);
    assert_eq!(status(&service, serial(1)).await, revoked());
    for task in asking {
        task.await.unwrap();
    }
    let one = service.ocsp(&request(&[serial(1)], None)).await;
    assert!(Arc::ptr_eq(&one.der, &service.ocsp(&request(&[serial(1)], None)).await.der), "that is kept too");
}

#[tokio::test]
async fn questions_of_every_kind_are_answered() {
    let world = World::new();
    let abandoned = CertificateState::Abandoned { why: "no logs".into() };
    world.keep(vec![
        Entity::Certificate(certificate(1, CertificateState::Precertified)),
        Entity::Certificate(certificate(2, abandoned)),
        Entity::Certificate(certificate(3, CertificateState::Precertified)),
        Entity::Revocation(revocation(3)),
    ]);
    let service = world.start();
    assert_eq!(status(&service, serial(2)).await, CertStatus::Unknown);
    assert_eq!(status(&service, serial(9)).await, CertStatus::Unknown);
    assert_eq!(service.ocsp(&request(&[serial(9)], None)).await.max_age_seconds, 0);
    // Several at once, in their order.
    let all = service.ocsp(&request(&[1, 2, 3, 9].map(serial), None)).await;
    let response = OcspResponse::parse(&all.der).unwrap();
    let statuses: Vec<_> = response.answers().iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [CertStatus::Good, CertStatus::Unknown, revoked(), CertStatus::Unknown]);
    // A nonce comes back, and such an answer is for nobody else.
    let nonces = [1, 2].map(|n| Nonce::new(vec![n; 16]).unwrap());
    for nonce in &nonces {
        let answer = service.ocsp(&request(&[serial(1)], Some(nonce.clone()))).await;
        assert_eq!(OcspResponse::parse(&answer.der).unwrap().nonce(), Some(nonce));
        assert_eq!(answer.max_age_seconds, 0);
    }
    assert_eq!(OcspResponse::parse(&service.ocsp(&request(&[serial(1)], None)).await.der).unwrap().nonce(), None);
    // Another issuer's certificate, alone or among ours; and what is no question.
    let other = issuer(ed25519(9).as_ref());
    let strange = CertId::of(&other, serial(1).as_bytes(), CertIdHash::Sha256).unwrap();
    let ours = CertId::of(&ca_certificate(), serial(1).as_bytes(), CertIdHash::Sha256).unwrap();
    for ids in [vec![strange.clone()], vec![ours, strange]] {
        let answer = service.ocsp(&OcspRequest::new(ids, None).unwrap().to_der()).await;
        assert_eq!(*answer.der, [0x30, 0x03, 0x0a, 0x01, 6]);
    }
    assert_eq!(*service.ocsp(b"?").await.der, [0x30, 0x03, 0x0a, 0x01, 1]);
    // What has ended is answered as before.
    world.clock.advance(30 * HOUR);
    assert_eq!(status(&service, serial(1)).await, CertStatus::Good);
    assert_eq!(status(&service, serial(3)).await, revoked());
    // A store that does not answer is no reason to say anything.
    world.store.fail(crate::storage::ca::memory::Call::Load, 0, crate::storage::ca::memory::Fault::Unavailable);
    assert_eq!(*service.ocsp(&request(&[serial(8)], None)).await.der, [0x30, 0x03, 0x0a, 0x01, 3]);
}

#[tokio::test]
async fn the_responder_is_recorded_and_renewed_in_good_time() {
    let world = World::new();
    let service = world.start();
    let made = |world: &World| {
        let events = world.events();
        events.iter().filter(|event| matches!(event, Event::ServiceCertified { .. })).count()
    };
    service.core.renew_responder().await;
    assert_eq!(made(&world), 0, "nobody asked");
    for _ in 0..3 {
        assert_eq!(status(&service, serial(1)).await, CertStatus::Unknown);
        service.core.renew_responder().await;
    }
    assert_eq!(made(&world), 1);
    world.clock.advance(24 * HOUR);
    assert_eq!(status(&service, serial(1)).await, CertStatus::Unknown);
    service.core.renew_responder().await;
    service.core.renew_responder().await;
    assert_eq!(made(&world), 2);
    // Even where nobody renewed it in time, none signs beyond its end.
    world.clock.advance(48 * HOUR);
    assert_eq!(status(&service, serial(1)).await, CertStatus::Unknown);
    assert_eq!(made(&world), 3);
}

#[tokio::test]
async fn a_revocation_whose_head_cannot_be_kept_ends_the_service() {
    let world = World::new();
    let service = world.start();
    let restore = |n| Command::RestoreRevocation { revocation: Box::new(revocation(n)) };
    assert!(world.kept.head.lock().is_none());
    service.core.queue.record(restore(1)).await.unwrap();
    assert_eq!(*world.kept.head.lock(), Some(world.store.head().unwrap()), "before the answer leaves");
    // What revokes nothing does not wait for that.
    service.mint_token("olga", scope(), 1).await.unwrap();
    assert_ne!(*world.kept.head.lock(), Some(world.store.head().unwrap()));
    world.kept.full.store(true, Relaxed);
    assert!(matches!(service.core.queue.record(restore(2)).await, Err(CaError::Stopped)));
    assert!(service.ended().await.contains("head cannot be kept"));
    assert!(service.core.status.find(&serial(2)).is_some(), "OCSP says it nonetheless: it is on the disk");
}
