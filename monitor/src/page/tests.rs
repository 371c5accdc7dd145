use atl::merkle::Hash;

use super::*;
use crate::board::{CosignedBy, FeedStatus, LogStatus, PeerStatus};
use crate::finding::Class;

const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);

fn view() -> View {
    let mut view = View { name: "monitor.example".into(), now: NOW, ..View::default() };
    let log = LogStatus {
        url: "http://127.0.0.1:8080".into(),
        head_size: 1234,
        head_root: Some(Hash::new([7; 32])),
        head_timestamp: Some(NOW.saturating_sub(5_000)),
        downloaded: 1234,
        verified: 1234,
        last_verified_at: Some(NOW.saturating_sub(3_000)),
        ..LogStatus::default()
    };
    view.standing.logs.insert("log.example/1".into(), log);
    view.growth.insert("log.example/1".into(), vec![(NOW.saturating_sub(60_000), 1000), (NOW, 1234)]);
    view
}

fn shown(class: Class, summary: &str) -> ShownAlert {
    let mut finding = Finding::new(class, None, summary, summary.into(), NOW);
    finding.log = "log.example/1".into();
    ShownAlert {
        severity: class.severity(),
        finding,
        silenced: None,
        acknowledged_at: None,
        deliveries: vec![("mail".into(), "delivered".into())],
    }
}

#[test]
fn a_log_in_order_is_said_to_be() {
    let page = view().overview();
    for words in ["The log is in order", "1,234 entries", "5 s ago", "<svg", "none has cosigned", "Nothing was found"] {
        assert!(page.contains(words), "{words}\n{page}");
    }
}

#[test]
fn what_is_wrong_comes_first() {
    let mut view = view();
    let feed = FeedStatus { error: Some("refused".into()), ..FeedStatus::default() };
    view.standing.feeds.insert("the CA".into(), feed);
    assert!(view.overview().contains("feed cannot be read") && !view.overview().contains("The log is in order"));
    let log = view.standing.logs.get_mut("log.example/1").unwrap();
    log.error = Some("it does not answer".into());
    assert!(view.overview().contains("1 of 1 logs cannot be checked"));
    view.standing.logs.get_mut("log.example/1").unwrap().frozen = Some("ab".repeat(32));
    let page = view.overview();
    assert!(page.contains("One log is proven") && page.contains(&format!("/evidence/{}.tar", "ab".repeat(32))));
    view.standing.logs.get_mut("log.example/1").unwrap().frozen = None;
    view.standing.unkept = Some("read-only".into());
    assert!(view.overview().contains("Evidence cannot be kept"));
    view.standing.broken = Some("the disk is full".into());
    assert!(view.overview().contains("The monitor itself is broken: the disk is full"));
}

#[test]
fn a_feed_that_cannot_be_read_is_said() {
    let mut view = view();
    let feed = FeedStatus { last_read_at: Some(NOW.saturating_sub(60_000)), error: None, poll_seconds: 30 };
    view.standing.feeds.insert("https://ca.example".into(), feed);
    assert!(!view.overview().contains("ca.example"));
    view.standing.feeds.get_mut("https://ca.example").unwrap().error = Some("it refuses".into());
    let page = view.overview();
    let words = "The owner's feed https://ca.example cannot be read, and was last read 1 min ago: it refuses";
    assert!(page.contains(words), "{page}");
}

#[test]
fn peers_and_witnesses_are_held_against_us() {
    let mut view = view();
    let by = CosignedBy { witness: "w1".into(), size: 1230, at: NOW };
    view.standing.witnesses.insert("log.example/1".into(), vec![by]);
    let heads = [("a", Some(true)), ("b", Some(false)), ("c", None)];
    let heads = heads.map(|(origin, agrees)| (origin.to_owned(), (5, agrees))).into();
    view.standing.peers.insert("other".into(), PeerStatus { heads, ..PeerStatus::default() });
    let page = view.overview();
    for words in ["w1: 1,230 entries", "(4 behind)", "agrees", "contradicts", "not compared yet"] {
        assert!(page.contains(words), "{words}\n{page}");
    }
}

#[test]
fn what_others_wrote_is_text_and_nothing_else() {
    let mut view = view();
    let nasty = "<script>alert(1)</script>\"'&";
    let mut alert = shown(Class::Lookalike, nasty);
    alert.finding = alert.finding.with(nasty, nasty);
    alert.silenced = Some(nasty.into());
    view.alerts.push(alert.clone());
    view.watching.push(nasty.into());
    view.standing.logs.get_mut("log.example/1").unwrap().error = Some(nasty.into());
    for page in [view.overview(), view.alert(&alert), view.missing(nasty)] {
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    }
}

#[test]
fn an_alert_says_what_to_do_and_who_was_told() {
    let alert = shown(Class::SplitView, "two trees");
    let page = view().alert(&alert);
    for words in
        ["two trees", Class::SplitView.advice(), "It proves nothing without its", "mail", "delivered", "log.split-view"]
    {
        assert!(page.contains(words), "{words}\n{page}");
    }
}

#[test]
fn nothing_comes_from_elsewhere() {
    let page = view().overview();
    for attribute in ["href=\"", "src=\"", "action=\""] {
        for target in page.split(attribute).skip(1) {
            assert!(target.starts_with('/'), "{target:.40}");
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}
