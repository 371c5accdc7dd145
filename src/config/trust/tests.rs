use proptest::prelude::*;

use super::*;

const KEY: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER_KEY: &str = "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
const NEEDED: &str = "trust_domain = \"agents.example.com\"\n";

fn parse(text: &str) -> Result<TrustConfig, ConfigError> {
    TrustConfig::parse(text, Path::new("/etc/atl"), "trust.toml")
}

/// Every key, none with its default.
fn everything() -> String {
    let (one, two, three) = ("11".repeat(32), "22".repeat(32), "33".repeat(32));
    format!(
        r#"trust_domain = "agents.example.com"
        listen = "[::]:444"
        data_dir = "/var/lib/trust"
        disk_low_watermark_bytes = 7
        metrics.listen = "127.0.0.1:9"
        tls = {{ cert_file = "c.pem", key_file = "/k.pem" }}
        [policy]
        decay_rate = 5
        active_seconds = 60
        swing_points = 50
        reporter_cap = 10
        rise_limit = 30
        incident_points = 40
        penalty_lapse_days = 90
        signals_per_hour = 4
        max_ahead_seconds = 5
        max_age_seconds = 30
        [baseline]
        min_signals = 5
        min_others = 2
        deviations = 9
        [[reporters]]
        name = "shop.example"
        public_key = "{KEY}"
        [[reporters]]
        name = "bank_2"
        public_key = "{OTHER_KEY}"
        [[readers]]
        name = "ca"
        token_sha256 = "{one}"
        [[operators]]
        name = "ana"
        role = "engine"
        token_sha256 = "{two}"
        [[operators]]
        name = "bo"
        role = "ca"
        token_sha256 = "{three}"
        [rate_limit]
        per_source_per_second = 1
        per_source_burst = 2
        per_reporter_per_second = 3
        per_reporter_burst = 4
        "#
    )
}

#[test]
fn what_a_file_leaves_out_has_its_default() {
    let config = parse(NEEDED).unwrap();
    assert_eq!((config.trust_domain.as_str(), config.listen.port()), ("agents.example.com", 8444));
    assert_eq!((config.data_dir.as_path(), config.disk_low_watermark_bytes), (Path::new("/etc/atl/data"), 1 << 30));
    assert_eq!(config.tls.cert_file, Path::new("/etc/atl/tls.pem"));
    assert_eq!(config.tls.key_file, Path::new("/etc/atl/tls-key.pem"));
    let policy = config.policy;
    assert_eq!((policy.decay_rate.get(), policy.active_seconds, policy.swing_points), (2, 3600, 40));
    assert_eq!((policy.reporter_cap, policy.rise_limit, policy.incident_points), (15, 20, 25));
    assert_eq!((policy.penalty_lapse_days, policy.signals_per_hour), (0, 10));
    assert_eq!((policy.max_ahead_seconds, policy.max_age_seconds), (60, 300));
    let baseline = config.baseline;
    assert_eq!((baseline.min_signals, baseline.min_others, baseline.deviations), (20, 3, 5));
    assert!(config.reporters.is_empty() && config.readers.is_empty() && config.operators.is_empty());
    let rates = [config.per_source, config.per_reporter].map(|r| (r.per_second.get(), r.burst.get()));
    assert_eq!((rates, config.metrics_listen), ([(1000, 1000), (1000, 2000)], None));
}

#[test]
fn every_key_is_read_and_rendered() {
    let config = parse(&everything()).unwrap();
    let defaults = parse(NEEDED).unwrap();
    assert_eq!((config.listen.port(), config.metrics_listen.unwrap().port()), (444, 9));
    assert_eq!((config.tls.cert_file.as_path(), config.disk_low_watermark_bytes), (Path::new("/etc/atl/c.pem"), 7));
    assert_ne!((config.policy.decay_rate, config.baseline), (defaults.policy.decay_rate, defaults.baseline));
    assert_eq!((config.policy.active_seconds, config.policy.penalty_lapse_days), (60, 90));
    assert_eq!((config.reporters.len(), config.reporters[1].name.as_str()), (2, "bank_2"));
    assert_eq!((config.readers[0].name.as_str(), config.readers[0].token_sha256), ("ca", [0x11; 32]));
    assert_eq!((config.operators[0].role, config.operators[1].role), (Role::Engine, Role::Ca));
    assert_eq!((config.per_reporter.per_second.get(), config.per_reporter.burst.get()), (3, 4));
    let again = TrustConfig::parse(&config.render().unwrap(), Path::new("/elsewhere"), "again").unwrap();
    assert_eq!(again, config);
}

#[test]
fn complaints_name_file_key_and_what_is_allowed() {
    let reporter = |name: &str, key: &str| format!("{{ name = \"{name}\", public_key = \"{key}\" }}");
    let hash = "11".repeat(32);
    let cases = [
        ("trust_domain = \"b.example\"".to_owned(), "trust_domain", "duplicate"),
        ("listen = \"localhost:1\"".to_owned(), "listen", "IP address with a port"),
        ("data_dir = \"\"".to_owned(), "data_dir", "path"),
        ("disk_low_watermark_bytes = -1".to_owned(), "disk_low_watermark_bytes", "0 to"),
        ("tls.cert_file = \"x\"".to_owned(), "key_file", "missing field"),
        ("public_names = []".to_owned(), "public_names", "unknown field"),
        ("policy.decay_rate = 101".to_owned(), "policy.decay_rate", "0 to 100"),
        ("policy.active_seconds = -1".to_owned(), "policy.active_seconds", "0 to 604800"),
        ("policy.swing_points = 0".to_owned(), "policy.swing_points", "1 to 1000"),
        ("policy.reporter_cap = 0".to_owned(), "policy.reporter_cap", "1 to 100"),
        ("policy.rise_limit = 101".to_owned(), "policy.rise_limit", "1 to 100"),
        ("policy.incident_points = 101".to_owned(), "policy.incident_points", "0 to 100"),
        ("policy.penalty_lapse_days = 36501".to_owned(), "policy.penalty_lapse_days", "0 to 36500"),
        ("policy.signals_per_hour = 0".to_owned(), "policy.signals_per_hour", "1 to 1000"),
        ("policy.max_ahead_seconds = 3601".to_owned(), "policy.max_ahead_seconds", "0 to 3600"),
        ("policy.max_age_seconds = 9".to_owned(), "policy.max_age_seconds", "10 to 86400"),
        ("policy.cap = 9".to_owned(), "cap", "unknown field"),
        ("policy.rise_limit = 1.5".to_owned(), "rise_limit", "whole number"),
        ("baseline.min_signals = 0".to_owned(), "baseline.min_signals", "1 to"),
        ("baseline.min_others = 0".to_owned(), "baseline.min_others", "1 to"),
        ("baseline.deviations = 0".to_owned(), "baseline.deviations", "1 to"),
        (format!("reporters = [{}]", reporter("A", KEY)), "reporters[0].name", "lower-case"),
        (format!("reporters = [{}]", reporter("", KEY)), "reporters[0].name", "1 to 64"),
        (format!("reporters = [{}]", reporter("a", "AAAA")), "reporters[0].public_key", "SubjectPublicKeyInfo"),
        (format!("reporters = [{}, {}]", reporter("a", KEY), reporter("a", OTHER_KEY)), "reporters[1].name", "once"),
        (format!("reporters = [{}, {}]", reporter("a", KEY), reporter("b", KEY)), "reporters[1].public_key", "once"),
        ("readers = [{ name = \"ca\", token_sha256 = \"secret\" }]".to_owned(), "readers[0]", "6 characters"),
        (format!("readers = [{{ name = \"ca\", role = \"ca\", token_sha256 = \"{hash}\" }}]"), "role", "unknown field"),
        (format!("operators = [{{ name = \"a\", token_sha256 = \"{hash}\" }}]"), "role", "missing field"),
        (
            format!("operators = [{{ name = \"a\", role = \"admin\", token_sha256 = \"{hash}\" }}]"),
            "role",
            "`ca` or `engine`",
        ),
        (
            format!(
                "readers = [{{ name = \"ca\", token_sha256 = \"{hash}\" }}]\n\
                 operators = [{{ name = \"a\", role = \"ca\", token_sha256 = \"{hash}\" }}]"
            ),
            "operators[0].token_sha256",
            "a token of its own",
        ),
        ("rate_limit.per_source_burst = 0".to_owned(), "rate_limit.per_source_burst", "1 to"),
        ("rate_limit.per_reporter_per_second = 0".to_owned(), "rate_limit.per_reporter_per_second", "1 to"),
        ("metrics.listen = \":9\"".to_owned(), "metrics.listen", "IP address with a port"),
    ];
    for (line, key, allowed) in cases {
        let message = parse(&format!("{NEEDED}{line}")).unwrap_err().to_string();
        assert!(message.starts_with("trust.toml: "), "{message}");
        assert!(message.contains(key) && message.contains(allowed), "{line}: {message}");
    }
    assert!(parse("").unwrap_err().to_string().contains("missing field `trust_domain`"));
    assert!(TrustConfig::new("localhost").unwrap_err().to_string().contains("`trust_domain`"));
}

/// The sample, and every example that stands in it as a comment.
#[test]
fn the_sample_is_what_init_writes() {
    let config = TrustConfig::new("agents.example.com").unwrap();
    let sample = include_str!("../../../config/trust.toml");
    assert_eq!(config.render().unwrap(), sample);
    assert_eq!(TrustConfig::parse(sample, Path::new(""), "sample").unwrap(), config);
    let is_example = |line: &str| {
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', ':', '`']))
    };
    let shown = |line: &str| line.strip_prefix("# ").filter(|l| is_example(l)).unwrap_or(line).to_owned();
    let text = sample.lines().map(shown).collect::<Vec<_>>().join("\n");
    let all = TrustConfig::parse(&text, Path::new(""), "examples").unwrap();
    assert_eq!((all.reporters.len(), all.readers.len(), all.operators.len()), (1, 1, 1));
    assert!(all.metrics_listen.is_some());
}

proptest! {
    #[test]
    fn what_is_rendered_is_read(
        reader in "[^\\p{Cc} ]{1,64}", dir in "[^\0]{1,40}", reporter in "[a-z0-9._-]{1,64}", hash: [u8; 32],
        cap in 1_u8..=100, days in 0_u16..=36_500, active in 0_u32..=604_800,
    ) {
        let mut config = TrustConfig::new("a.example").unwrap();
        config.data_dir = dir.into();
        config.policy.reporter_cap = cap;
        config.policy.penalty_lapse_days = days;
        config.policy.active_seconds = active;
        let public_key = parse(&everything()).unwrap().reporters[0].public_key.clone();
        config.reporters = vec![Reporter { name: reporter, public_key }];
        config.readers = vec![Reader { name: reader, token_sha256: hash }];
        prop_assume!(config.readers[0].name.trim() == config.readers[0].name);
        prop_assert_eq!(TrustConfig::parse(&config.render().unwrap(), Path::new(""), "x").unwrap(), config);
    }
}
