//! At least once, in spite of everything.

use sha2::{Digest, Sha256};

use super::receiver::{Mode, Sent};
use super::*;
use crate::alert::{acknowledge, resend};

/// HMAC-SHA256 by its definition (RFC 2104), from another library than the one that signs.
fn hmac(key: &[u8], text: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |octet: u8| block.map(|b| b ^ octet);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    hex::encode(Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize())
}

fn id_of(sent: &Sent) -> String {
    sent.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_webhook_is_sent_what_its_receiver_can_check() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(204)).await;
    let courier = office.courier(&[office.webhook("ops", &receiver)]);
    let id = office.raise(Class::SplitView, "a");
    courier.round().await.unwrap();
    let [sent] = &receiver.sent()[..] else { panic!() };
    assert_eq!((sent.path.as_str(), sent.header("content-type")), ("/alerts", "application/json"));
    assert_eq!((sent.header("idempotency-key"), id_of(sent)), (id.to_string().as_str(), id.to_string()));
    let seconds = START / 1_000;
    let signed = [format!("{seconds}.").as_bytes(), &sent.body].concat();
    let expected = format!("t={seconds},v1={}", hmac(SECRET.as_bytes(), &signed));
    assert_eq!(sent.header("atl-signature"), expected);
    assert!(office.alert(id).deliveries["ops"].delivered_at.is_some());
    // It is not sent again.
    office.pass(24 * HOUR);
    courier.round().await.unwrap();
    assert_eq!(receiver.sent().len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_up_no_alert() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Down).await;
    let sinks = [office.webhook("ops", &receiver)];
    office.pass(24 * HOUR);
    office.raise(Class::StaleHead, "a");
    office.courier(&sinks).round().await.unwrap();
    // It was a day ahead when it was put off.
    office.clock.0.store(START, Ordering::SeqCst);
    receiver.set(Mode::Status(200));
    office.courier(&sinks).round().await.unwrap();
    assert_eq!(receiver.summaries(), ["About a."]);
}

#[tokio::test]
async fn a_digest_that_was_planned_under_a_clock_that_was_far_ahead_goes_out() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(200)).await;
    let mut config = office.webhook("ops", &receiver);
    config.route.digest = Some(24 * HOUR);
    office.pass(9_000 * HOUR);
    office.raise(Class::LookalikeDigest, "a");
    office.courier(&[config.clone()]).round().await.unwrap();
    assert_eq!(receiver.sent().len(), 0);
    // What is found once the clock is right again does not wait for a year either.
    office.clock.0.store(START, Ordering::SeqCst);
    office.raise(Class::LookalikeDigest, "b");
    office.courier(&[config.clone()]).round().await.unwrap();
    let sent = receiver.sent();
    let tells = |n: usize, text: &str| String::from_utf8_lossy(&sent[n].body).contains(text);
    assert!(sent.len() == 2 && tells(0, "About a.") && tells(1, "About b."));
    // And the next one waits for its day.
    office.raise(Class::LookalikeDigest, "c");
    let courier = office.courier(&[config]);
    for (hours, messages) in [(0, 2), (23, 2), (1, 3)] {
        office.pass(hours * HOUR);
        courier.round().await.unwrap();
        assert_eq!(receiver.sent().len(), messages);
    }
}

#[tokio::test]
async fn nothing_is_forgotten_by_a_clock_that_is_far_ahead_of_all_logs() {
    let office = Office::new();
    let id = office.raise(Class::StaleHead, "a");
    let courier = office.courier(&[]);
    courier.round().await.unwrap();
    let is_kept = || office.read(|read| find(read, id)).is_some();
    office.board.log("log.example/1", |log| log.head_timestamp = Some(office.clock.now()));
    office.pass(400 * 24 * HOUR);
    courier.prune(office.clock.now()).await.unwrap();
    assert!(is_kept());
    // A log has signed something of that time.
    office.board.log("log.example/2", |log| log.head_timestamp = Some(office.clock.now()));
    courier.prune(office.clock.now()).await.unwrap();
    assert!(!is_kept());
}

#[tokio::test]
async fn alerts_go_out_in_the_order_in_which_they_were_raised() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(200)).await;
    let courier = office.courier(&[office.webhook("ops", &receiver)]);
    let names = ["e", "d", "c", "b", "a"];
    let _ids = names.map(|name| office.raise(Class::StaleHead, name));
    courier.round().await.unwrap();
    assert_eq!(receiver.summaries(), names.map(|name| format!("About {name}.")));
}

#[tokio::test]
async fn one_that_is_down_is_tried_again_and_again_and_gets_all_of_it() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Down).await;
    let courier = office.courier(&[office.webhook("ops", &receiver)]);
    let ids = ["a", "b", "c"].map(|name| office.raise(Class::StaleHead, name));
    // The waits double: it is left alone as a whole, and not asked for each alert.
    let mut waits = Vec::new();
    for _ in 0..5 {
        let before = receiver.connections();
        let next = courier.round().await.unwrap();
        assert!(receiver.connections() > before);
        let asked = receiver.connections();
        courier.round().await.unwrap();
        assert_eq!(receiver.connections(), asked);
        waits.push(next.since(office.clock.now()));
        office.pass(waits.last().copied().unwrap());
    }
    assert_eq!(waits, [1_000, 1_000, 2_000, 4_000, 8_000]);
    assert_eq!(office.board.standing().undelivered, 3);
    let tried: Vec<_> = ids.iter().map(|id| office.alert(*id).deliveries["ops"].clone()).collect();
    assert!(tried.iter().all(|delivery| delivery.attempts > 0), "{tried:?}");
    assert!(tried[0].last_error.as_deref().unwrap().starts_with(&receiver.url()), "{tried:?}");
    // Back again, it gets at once what would not be due for a while.
    receiver.set(Mode::Status(200));
    courier.round().await.unwrap();
    let mut had = receiver.summaries();
    had.sort();
    assert_eq!(had, ["About a.", "About b.", "About c."]);
    assert_eq!(office.board.standing().undelivered, 0);
}

#[tokio::test]
async fn the_waits_outlive_the_process() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(500)).await;
    let sinks = [office.webhook("ops", &receiver)];
    let id = office.raise(Class::StaleHead, "a");
    for (attempts, expected) in [(1, 1_000), (2, 1_000), (3, 2_000), (4, 4_000)] {
        office.courier(&sinks).round().await.unwrap();
        assert_eq!(receiver.sent().len(), attempts);
        // Another process does not ask before the time either.
        office.courier(&sinks).round().await.unwrap();
        assert_eq!(receiver.sent().len(), attempts);
        let delivery = office.alert(id).deliveries["ops"].clone();
        let wait = delivery.next_attempt_at.unwrap().since(office.clock.now());
        assert_eq!((u64::from(delivery.attempts), wait), (attempts as u64, expected));
        assert!(delivery.last_error.unwrap().ends_with("status 500: said the receiver"));
        office.pass(wait);
    }
    receiver.set(Mode::Status(200));
    office.courier(&sinks).round().await.unwrap();
    assert!(!office.alert(id).is_pending());
    assert!(receiver.sent().iter().all(|sent| id_of(sent) == id.to_string()));
}

#[tokio::test]
async fn what_is_refused_waits_longer_and_holds_up_nothing() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(200)).await;
    receiver.poison("About poison.");
    let courier = office.courier(&[office.webhook("ops", &receiver)]);
    let ids = ["a", "poison", "b"].map(|name| office.raise(Class::StaleHead, name));
    courier.round().await.unwrap();
    assert_eq!(receiver.summaries(), ["About a.", "About poison.", "About b."]);
    let delivery = office.alert(ids[1]).deliveries["ops"].clone();
    assert!(delivery.refused && delivery.last_error.unwrap().contains("status 400"));
    assert_eq!(delivery.next_attempt_at.unwrap().since(office.clock.now()), 60_000);
    assert_eq!(office.board.standing().undelivered, 1);
    office.pass(59_999);
    courier.round().await.unwrap();
    assert_eq!(receiver.sent().len(), 3);
    office.pass(1);
    courier.round().await.unwrap();
    assert_eq!(receiver.sent().len(), 4);
}

#[tokio::test]
async fn one_that_asks_to_be_left_alone_is() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Later(429, 120)).await;
    let courier = office.courier(&[office.webhook("ops", &receiver)]);
    let _ids = ["a", "b"].map(|name| office.raise(Class::StaleHead, name));
    courier.round().await.unwrap();
    office.pass(119_999);
    courier.round().await.unwrap();
    assert_eq!(receiver.sent().len(), 1);
    receiver.set(Mode::Status(200));
    office.pass(1);
    courier.round().await.unwrap();
    assert_eq!(receiver.sent().len(), 3);
}

#[tokio::test]
async fn a_silent_one_holds_up_no_other() {
    let office = Office::new();
    let (good, silent) = (Receiver::start(Mode::Status(200)).await, Receiver::start(Mode::Silent).await);
    let mut slow = office.webhook("slow", &silent);
    let KindConfig::Webhook(config) = &mut slow.kind else { panic!() };
    config.http.timeout = Duration::from_millis(200);
    let courier = office.courier(&[slow, office.webhook("good", &good)]);
    let ids = ["a", "b"].map(|name| office.raise(Class::StaleHead, name));
    courier.round().await.unwrap();
    assert_eq!((good.sent().len(), silent.sent().len()), (2, 1));
    let alert = office.alert(ids[0]);
    assert!(alert.deliveries["good"].delivered_at.is_some() && alert.deliveries["slow"].attempts == 1);
}

#[tokio::test]
async fn a_crash_between_the_yes_and_its_record_repeats_one_delivery_under_its_name() {
    let office = Office::new();
    // It takes the message; the process ends before it learns of it.
    let receiver = Receiver::start(Mode::Silent).await;
    let sinks = [office.webhook("ops", &receiver)];
    let ids = ["a", "b"].map(|name| office.raise(Class::StaleHead, name));
    let courier = office.courier(&sinks);
    let process = tokio::spawn(async move { courier.round().await });
    receiver.wait_for(1).await;
    process.abort();
    assert!(process.await.unwrap_err().is_cancelled());
    receiver.set(Mode::Status(200));
    office.courier(&sinks).round().await.unwrap();
    office.courier(&sinks).round().await.unwrap();
    let had: Vec<_> = receiver.sent().iter().map(id_of).collect();
    assert_eq!(had, [ids[0], ids[0], ids[1]].map(|id| id.to_string()));
}

#[tokio::test]
async fn digests_are_one_message_at_their_time_and_the_same_one_after_a_crash() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(200)).await;
    let mut config = office.webhook("ops", &receiver);
    config.route.digest = Some(24 * HOUR);
    let courier = office.courier(&[config.clone()]);
    for name in ["a", "b", "c"] {
        office.raise(Class::Test, name);
        courier.round().await.unwrap();
        office.pass(HOUR);
    }
    assert_eq!((receiver.sent().len(), office.board.standing().undelivered), (0, 0));
    receiver.set(Mode::Silent);
    office.pass(21 * HOUR);
    let process = tokio::spawn(async move { courier.round().await });
    receiver.wait_for(1).await;
    process.abort();
    let _ = process.await;
    receiver.set(Mode::Status(200));
    office.courier(&[config]).round().await.unwrap();
    let [first, again] = &receiver.sent()[..] else { panic!() };
    assert_eq!((&first.body, first.json()["kind"].as_str()), (&again.body, Some("digest")));
    assert_eq!(again.header("idempotency-key"), id_of(again));
    let summaries: Vec<_> =
        again.json()["alerts"].as_array().unwrap().iter().map(|alert| alert["summary"].to_string()).collect();
    assert_eq!(summaries, ["\"About a.\"", "\"About b.\"", "\"About c.\""]);
}

#[tokio::test]
async fn a_running_courier_is_woken_and_stopped() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(200)).await;
    let courier = office.courier(&[office.webhook("ops", &receiver)]);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (wake, running) = (Arc::clone(courier.wake()), tokio::spawn(courier.run(stopped)));
    let id = office.raise(Class::StaleHead, "a");
    wake.notify_one();
    receiver.wait_for(1).await;
    // Asked for again, as the page may, perhaps before it is written down that it was taken.
    office.pass(1);
    office.write(|write| resend(write, id, &["ops".into()], office.clock.now()));
    wake.notify_one();
    receiver.wait_for(2).await;
    // What is raised by somebody who wakes nobody is seen as well.
    office.raise(Class::StaleHead, "b");
    receiver.wait_for(3).await;
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
    assert!(!office.alert(id).is_pending());
}

#[tokio::test]
async fn what_is_still_so_is_told_again_until_somebody_takes_care() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(200)).await;
    let config = crate::alert::sink::AlertmanagerConfig {
        http: office.http(&receiver, "/am"),
        resend_every: Duration::from_secs(60),
        active_for: Duration::from_secs(3_600),
    };
    let courier = office.courier(&[sink("am", KindConfig::Alertmanager(config))]);
    let taken = office.raise(Class::SplitView, "a");
    courier.round().await.unwrap();
    office.raise(Class::StaleHead, "b");
    courier.round().await.unwrap();
    let sent = receiver.sent();
    assert_eq!((sent.len(), sent[0].path.as_str()), (2, "/am/api/v2/alerts"));
    let alert = sent[0].json()[0].clone();
    let labels = serde_json::json!({
        "alertname": "log.split-view", "severity": "critical", "log": "log.example/1",
        "instance": "monitor.example/1", "id": taken.to_string(),
    });
    assert_eq!((&alert["labels"], alert["annotations"]["summary"].as_str()), (&labels, Some("About a.")));
    assert_eq!(alert["annotations"]["advice"], Class::SplitView.advice());
    assert_eq!(
        (alert["startsAt"].as_str(), alert["endsAt"].as_str()),
        (Some("2026-04-10T12:00:00.000Z"), Some("2026-04-10T12:04:00.000Z"))
    );
    // Both at once, with an end that is further away.
    office.pass(60_000);
    courier.round().await.unwrap();
    let ends = |n: usize| -> Vec<String> {
        let sent = receiver.sent()[n].json();
        sent.as_array().unwrap().iter().map(|alert| alert["endsAt"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((receiver.sent().len(), ends(2)), (3, vec!["2026-04-10T12:05:00.000Z".to_owned(); 2]));
    office.write(|write| acknowledge(write, taken, office.clock.now()));
    office.pass(60_000);
    courier.round().await.unwrap();
    assert_eq!(ends(3), ["2026-04-10T12:06:00.000Z", "2026-04-10T12:02:00.000Z"]);
    office.pass(60_000);
    courier.round().await.unwrap();
    assert_eq!(ends(4).len(), 1);
    // Nobody takes care of the other one, which is over after an hour.
    office.pass(HOUR);
    courier.round().await.unwrap();
    assert_eq!(ends(5), ["2026-04-10T13:03:00.000Z"]);
    office.pass(HOUR);
    courier.round().await.unwrap();
    assert_eq!(receiver.sent().len(), 6);
}
