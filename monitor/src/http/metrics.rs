//! What the monitor tells Prometheus: the board, as it is when it is asked.

use atl::api::{Problem, Token};
use atl::time::UnixMillis;
use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};

use super::{Response, reply};
use crate::board::{LogStatus, PeerStatus, Standing};

/// The answer to `/metrics`.
pub fn answer(standing: &Standing, disk_free: Option<u64>, now: UnixMillis) -> Response {
    match render(standing, disk_free, now) {
        Ok(text) => reply::of("text/plain; version=0.0.4; charset=utf-8", text),
        Err(error) => reply::problem(&Problem::new(Token::Internal, error.to_string())),
    }
}

/// The board in Prometheus' text format, and the octets that are free for evidence. A level that is not known has no line, rather than one that says 0.
///
/// # Errors
/// Where a name is none that Prometheus takes, which is a fault of ours.
pub fn render(standing: &Standing, disk_free: Option<u64>, now: UnixMillis) -> Result<Vec<u8>, prometheus::Error> {
    let gauges = Gauges(Registry::new_custom(Some("atl_monitor".into()), None)?);
    gauges.one("build_info", "1, and the version that runs", &["version"])?(&[env!("CARGO_PKG_VERSION")], Some(1.0));
    gauges.one("undelivered_alerts", "Alerts not yet brought to each sink", &[])?(&[], level(standing.undelivered));
    let open = gauges.one("alerts", "Alerts kept that nobody has acknowledged", &["severity"])?;
    standing.alerts.iter().for_each(|(severity, count)| open(&[severity.as_str()], level(*count)));
    let errands = &standing.errands;
    gauges.one("errands_waiting", "Questions to logs and feed not answered yet", &[])?(&[], level(errands.waiting));
    gauges.one("errands_dropped", "Questions given up because too many waited", &[])?(&[], level(errands.dropped));
    gauges.one("broken", "1 where the monitor does not do its work", &[])?(&[], flag(standing.broken.is_some()));
    let unkept = "1 where evidence could not be kept the last time";
    gauges.one("evidence_failing", unkept, &[])?(&[], flag(standing.unkept.is_some()));
    gauges.one("disk_free_bytes", "Octets free on the disk of the evidence", &[])?(&[], disk_free.and_then(level));
    logs(&gauges, standing, now)?;
    peers(&gauges, standing)?;
    witnesses(&gauges, standing)?;
    feeds(&gauges, standing)?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&gauges.0.gather(), &mut text)?;
    Ok(text)
}

/// A metric of a log: its name, what it is, and its level.
type LogMetric = (&'static str, &'static str, fn(&LogStatus, UnixMillis) -> Option<f64>);

const LOGS: &[LogMetric] = &[
    ("head_age_seconds", "Seconds since the log signed its newest head", |log, now| age(log.head_timestamp?, now)),
    ("head_size", "Entries that the newest head covers", |log, _| {
        log.head_timestamp.or(log.last_polled_at).and_then(|_| level(log.head_size))
    }),
    ("downloaded_entries", "Entries downloaded", |log, _| level(log.downloaded)),
    ("verified_entries", "Entries whose root a signed head has", |log, _| level(log.verified)),
    ("backlog_entries", "Entries of the newest head not yet verified", |log, _| {
        level(log.head_size.saturating_sub(log.verified))
    }),
    ("last_verified_timestamp_seconds", "When the log was last verified up to its newest head", |log, _| {
        moment(log.last_verified_at)
    }),
    ("last_polled_timestamp_seconds", "When the log was last asked", |log, _| moment(log.last_polled_at)),
    ("log_failing", "1 where the log was last asked in vain", |log, _| flag(log.error.is_some())),
    ("log_frozen", "1 where the log is proven to have misbehaved", |log, _| flag(log.frozen.is_some())),
];

fn logs(gauges: &Gauges, standing: &Standing, now: UnixMillis) -> Result<(), prometheus::Error> {
    LOGS.iter().try_for_each(|(name, help, read)| {
        let set = gauges.one(name, help, &["log"])?;
        standing.logs.iter().for_each(|(origin, log)| set(&[origin], read(log, now)));
        Ok(())
    })
}

fn peers(gauges: &Gauges, standing: &Standing) -> Result<(), prometheus::Error> {
    let each = |set: Set, read: fn(&PeerStatus) -> Option<f64>| {
        standing.peers.iter().for_each(|(name, peer)| set(&[name], read(peer)));
    };
    let exchanged = "When heads were last exchanged with the peer";
    each(gauges.one("peer_last_exchange_timestamp_seconds", exchanged, &["peer"])?, |peer| {
        moment(peer.last_exchange_at)
    });
    let failing = "1 where the last exchange with the peer failed";
    each(gauges.one("peer_failing", failing, &["peer"])?, |peer| flag(peer.error.is_some()));
    let size = gauges.one("peer_head_size", "Leaves of the largest head that the peer has shown", &["peer", "log"])?;
    let agrees = "1 where that head fits what we have, 0 where it does not";
    let agrees = gauges.one("peer_agrees", agrees, &["peer", "log"])?;
    for (name, peer) in &standing.peers {
        for (origin, (leaves, fits)) in &peer.heads {
            size(&[name, origin], level(*leaves));
            agrees(&[name, origin], fits.and_then(flag));
        }
    }
    Ok(())
}

fn witnesses(gauges: &Gauges, standing: &Standing) -> Result<(), prometheus::Error> {
    let size = "The largest size that the witness has cosigned, as the log shows it";
    let size = gauges.one("cosigned_size", size, &["log", "witness"])?;
    let at = gauges.one("cosigned_timestamp_seconds", "When the witness cosigned that", &["log", "witness"])?;
    for (origin, cosigned) in &standing.witnesses {
        for by in cosigned {
            size(&[origin, &by.witness], level(by.size));
            at(&[origin, &by.witness], moment(Some(by.at)));
        }
    }
    Ok(())
}

fn feeds(gauges: &Gauges, standing: &Standing) -> Result<(), prometheus::Error> {
    let failing = "1 where the source of the owner's feed could not be read the last time";
    let failing = gauges.one("feed_failing", failing, &["source"])?;
    let read = "When the source of the owner's feed was last read whole";
    let read = gauges.one("feed_last_read_timestamp_seconds", read, &["source"])?;
    for (name, feed) in &standing.feeds {
        failing(&[name], flag(feed.error.is_some()));
        read(&[name], moment(feed.last_read_at));
    }
    Ok(())
}

/// Sets the level with these labels, where it is known.
type Set = Box<dyn Fn(&[&str], Option<f64>)>;

struct Gauges(Registry);

impl Gauges {
    fn one(&self, name: &str, help: &str, labels: &[&str]) -> Result<Set, prometheus::Error> {
        let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(Box::new(move |labels, level| {
            // To ask for a gauge is to make it, with the level 0.
            if let Some(level) = level
                && let Ok(gauge) = gauge.get_metric_with_label_values(labels)
            {
                gauge.set(level);
            }
        }))
    }
}

const fn level(number: u64) -> Option<f64> {
    Some(number as f64)
}

fn flag(on: bool) -> Option<f64> {
    Some(f64::from(u8::from(on)))
}

fn moment(at: Option<UnixMillis>) -> Option<f64> {
    at.map(|at| at.get() as f64 / 1000.0)
}

fn age(at: UnixMillis, now: UnixMillis) -> Option<f64> {
    Some(now.since(at) as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::board::{CosignedBy, FeedStatus};

    /// A name of Prometheus' at the beginning of `text`, and the rest.
    fn name(text: &str) -> (&str, &str) {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap();
        assert!(end > 0 && !text.starts_with(|c: char| c.is_ascii_digit()), "{text}");
        text.split_at(end)
    }

    /// Reads the text format (version 0.0.4), stricter than Prometheus does: each metric has its help and its type
    /// once, in this order, before its samples, and no sample is there twice.
    fn parse(text: &str) -> BTreeMap<String, f64> {
        let (mut samples, mut seen, mut metric) = (BTreeMap::new(), HashSet::new(), String::new());
        let mut lines = text.strip_suffix('\n').unwrap().split('\n');
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (named, help) = name(help);
                assert!(help.len() > 5 && seen.insert(named.to_owned()), "{line}");
                assert_eq!(lines.next(), Some(format!("# TYPE {named} gauge").as_str()));
                metric = named.to_owned();
                continue;
            }
            let (named, rest) = name(line);
            assert_eq!(named, metric);
            let (labels, value) = rest.rsplit_once(' ').unwrap();
            if !labels.is_empty() {
                let mut left = labels.strip_prefix('{').unwrap();
                loop {
                    let (_, value) = name(left);
                    let value = value.strip_prefix("=\"").unwrap();
                    let end = value.match_indices('"').find(|(n, _)| !value[..*n].ends_with('\\')).unwrap().0;
                    assert!(!value[..end].contains('\n'));
                    left = &value[end + 1..];
                    match left.strip_prefix(',') {
                        Some(more) => left = more,
                        None => break assert_eq!(left, "}"),
                    }
                }
            }
            assert!(samples.insert(format!("{named}{labels}"), value.parse().unwrap()).is_none(), "{line}");
        }
        samples
    }

    #[test]
    fn the_board_is_rendered_and_what_is_unknown_is_not() {
        let mut standing = Standing { undelivered: 3, ..Standing::default() };
        let log = LogStatus {
            head_size: 100,
            head_timestamp: Some(UnixMillis::new(10_000)),
            downloaded: 90,
            verified: 80,
            last_verified_at: Some(UnixMillis::new(9_500)),
            frozen: Some("abc".into()),
            ..LogStatus::default()
        };
        standing.logs.insert("log.example/1".into(), log);
        standing.logs.insert("odd\"\\\nname".into(), LogStatus::default());
        let heads = [("log.example/1", Some(true)), ("log.example/2", Some(false)), ("log.example/3", None)];
        let heads = heads.map(|(origin, fits)| (origin.to_owned(), (7, fits))).into();
        standing.peers.insert("peer".into(), PeerStatus { heads, error: Some("x".into()), ..PeerStatus::default() });
        let cosigned = CosignedBy { witness: "w".into(), size: 5, at: UnixMillis::new(2000) };
        standing.witnesses.insert("log.example/1".into(), vec![cosigned]);
        let feed = |at: Option<u64>, error: Option<&str>| FeedStatus {
            last_read_at: at.map(UnixMillis::new),
            error: error.map(str::to_owned),
            poll_seconds: 30,
        };
        let feeds = [("https://ca.example", feed(None, Some("x"))), ("orders", feed(Some(3000), None))];
        standing.feeds = feeds.map(|(name, feed)| (name.to_owned(), feed)).into();
        standing.alerts.insert(crate::finding::Severity::Critical, 2);
        let text = String::from_utf8(render(&standing, Some(7), UnixMillis::new(12_500)).unwrap()).unwrap();
        let samples = parse(&text);
        let expected = [
            (format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), Some(1.0)),
            ("undelivered_alerts".into(), Some(3.0)),
            ("alerts{severity=\"critical\"}".into(), Some(2.0)),
            ("alerts{severity=\"info\"}".into(), None),
            ("broken".into(), Some(0.0)),
            ("disk_free_bytes".into(), Some(7.0)),
            ("head_age_seconds{log=\"log.example/1\"}".into(), Some(2.5)),
            ("head_size{log=\"log.example/1\"}".into(), Some(100.0)),
            ("downloaded_entries{log=\"log.example/1\"}".into(), Some(90.0)),
            ("verified_entries{log=\"log.example/1\"}".into(), Some(80.0)),
            ("backlog_entries{log=\"log.example/1\"}".into(), Some(20.0)),
            ("last_verified_timestamp_seconds{log=\"log.example/1\"}".into(), Some(9.5)),
            ("last_polled_timestamp_seconds{log=\"log.example/1\"}".into(), None),
            ("log_failing{log=\"log.example/1\"}".into(), Some(0.0)),
            ("log_frozen{log=\"log.example/1\"}".into(), Some(1.0)),
            ("log_frozen{log=\"odd\\\"\\\\\\nname\"}".into(), Some(0.0)),
            ("head_size{log=\"odd\\\"\\\\\\nname\"}".into(), None),
            ("peer_failing{peer=\"peer\"}".into(), Some(1.0)),
            ("peer_last_exchange_timestamp_seconds{peer=\"peer\"}".into(), None),
            ("peer_head_size{log=\"log.example/3\",peer=\"peer\"}".into(), Some(7.0)),
            ("peer_agrees{log=\"log.example/1\",peer=\"peer\"}".into(), Some(1.0)),
            ("peer_agrees{log=\"log.example/2\",peer=\"peer\"}".into(), Some(0.0)),
            ("peer_agrees{log=\"log.example/3\",peer=\"peer\"}".into(), None),
            ("cosigned_size{log=\"log.example/1\",witness=\"w\"}".into(), Some(5.0)),
            ("cosigned_timestamp_seconds{log=\"log.example/1\",witness=\"w\"}".into(), Some(2.0)),
            ("feed_failing{source=\"https://ca.example\"}".into(), Some(1.0)),
            ("feed_last_read_timestamp_seconds{source=\"https://ca.example\"}".into(), None),
            ("feed_failing{source=\"orders\"}".into(), Some(0.0)),
            ("feed_last_read_timestamp_seconds{source=\"orders\"}".into(), Some(3.0)),
        ];
        for (sample, value) in expected {
            assert_eq!(samples.get(&format!("atl_monitor_{sample}")).copied(), value, "{sample}\n{text}");
        }
        parse(&String::from_utf8(render(&Standing::default(), Some(7), UnixMillis::new(0)).unwrap()).unwrap());
    }
}
