use std::path::Path;

use super::MonitorConfig;

/// The sample that the README sends people to is read as it stands, and with everything in it that is commented out.
#[test]
fn the_sample_is_read_as_it_stands_and_in_full() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/monitor.toml");
    let sample = MonitorConfig::load(&path).unwrap();
    assert_eq!(sample.logs.len(), 1);
    let text = std::fs::read_to_string(&path).unwrap();
    // A comment that is a key or a table, and not a sentence.
    let uncomment = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    let full: Vec<String> = text.lines().map(uncomment).collect();
    // The second log of `expect_in` is not there.
    let full = full.join("\n").replace(
        "[[peers]]",
        "[[logs]]\nurl = \"https://other.example.org\"\nvkey = \"other.example.org/2026h2+VKEY\"\n[[peers]]",
    );
    let other = sample.logs[0].log.key.key().clone();
    let origin: atl::log::checkpoint::Origin = "other.example.org/2026h2".parse().unwrap();
    let vkey = origin.verifier_key(&other).unwrap().to_string();
    let full = full.replace("other.example.org/2026h2+VKEY", &vkey);
    let config = MonitorConfig::parse(&full, Path::new("/etc/atl"), "monitor.toml").unwrap();
    assert_eq!((config.gossip.peers.len(), config.alerts.sinks.len(), config.witnesses.len()), (1, 4, 1));
    assert!(config.witness.is_some() && config.feed.is_some());
}
