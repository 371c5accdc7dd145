//! A monitor of logs whose alerts come by webhook, and what is to be in each of them.

use std::collections::BTreeMap;

use atl::apki::Certificate;
use atl::log::entry::CertHash;
use atl::log::sth::TreeHead;
use atl::merkle::{Hash, LeafIndex, verify_inclusion};
use atl_monitor::finding::Class;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::log_server::TestLog;
use crate::process::{Monitor, MonitorDir, eventually};
use crate::webhook::{Webhook, detail, text};

/// A monitor, where it keeps things, and who is told.
pub struct Scene {
    pub hook: Webhook,
    pub dir: MonitorDir,
    pub monitor: Monitor,
}

impl Scene {
    /// A monitor of these logs with these tables in its configuration. `prepare` sees the directory before it starts.
    pub async fn new(logs: &[&TestLog], tables: &str, prepare: impl FnOnce(&MonitorDir)) -> Self {
        let hook = Webhook::start().await;
        let named: Vec<_> = logs.iter().map(|log| (log.watched.url.clone(), log.watched.key.to_string())).collect();
        let named: Vec<_> = named.iter().map(|(url, vkey)| (url.as_str(), vkey.as_str())).collect();
        let dir = MonitorDir::new("monitor.example", &named, &(tables.to_owned() + &hook.config()));
        hook.share_secret(dir.dir.path());
        prepare(&dir);
        let monitor = dir.start();
        Self { hook, dir, monitor }
    }

    /// Waits until so many entries of the log are verified; what was found in them is raised then.
    pub fn verified(&self, log: &TestLog, size: u64) {
        let line = format!("atl_monitor_verified_entries{{log=\"{}\"}}", log.watched.origin);
        eventually("the entries are verified", || (self.monitor.metric(&line)? == size as f64).then_some(()));
    }

    /// The alerts by class, once so many have come and every one that was raised is delivered.
    pub fn alerts(&self, many: usize) -> BTreeMap<String, Value> {
        eventually("the alerts are told", || {
            let raised: Value = serde_json::from_str(&self.monitor.get("/alerts").1).unwrap();
            let raised = raised.as_array().unwrap().len();
            let undelivered = self.monitor.metric("atl_monitor_undelivered_alerts")?;
            (raised >= many && self.hook.told().len() == raised && undelivered == 0.0).then_some(())
        });
        let told = self.hook.told();
        let by_class: BTreeMap<_, _> =
            told.iter().map(|alert| (text(alert, "class").to_owned(), alert.clone())).collect();
        assert_eq!((told.len(), by_class.len()), (many, many), "{told:#?}");
        by_class
    }
}

/// Asserts that an alert says which rule was broken, by which entry, and what to do.
fn names_rule_and_entry(alert: &Value, log: &TestLog, index: u64, cert_hash: CertHash) {
    let class = Class::from_code(text(alert, "class")).unwrap();
    assert_eq!((text(alert, "title"), text(alert, "advice")), (class.title(), class.advice()));
    assert_eq!((text(alert, "monitor"), text(alert, "severity")), ("monitor.example", class.severity().as_str()));
    assert!(text(alert, "summary").len() > 20, "{alert:#}");
    let entry = json!({"log": log.watched.origin.as_str(), "index": LeafIndex::new(index), "cert_hash": cert_hash});
    assert_eq!(alert["entry"], entry, "{alert:#}");
}

/// Asserts the same, and that it has the certificate in words, and the proof that it is in the tree of this head.
pub fn explains(alert: &Value, log: &TestLog, head: TreeHead, index: u64, certificate: &Certificate) {
    let cert_hash = CertHash::of_certificate(certificate.der());
    names_rule_and_entry(alert, log, index, cert_hash);
    let agent = certificate.agent_uri().unwrap().to_string();
    let words = [detail(alert, "agent"), detail(alert, "certificate")].concat();
    assert!(words.contains(&agent), "{alert:#}");
    let covered = format!("the head of {} entries, root {}, signed {}", head.size, head.root, head.timestamp);
    assert_eq!(detail(alert, "covered by"), covered);
    let proof = detail(alert, "inclusion proof").strip_prefix(&format!("leaf {index}: ")).unwrap();
    let path = proof.split_whitespace().map(|hash| Hash::from_slice(&STANDARD.decode(hash).unwrap()).unwrap());
    let path: Vec<Hash> = path.collect();
    verify_inclusion(&cert_hash.leaf_hash(), LeafIndex::new(index), head.size, &path, &head.root).unwrap();
}
