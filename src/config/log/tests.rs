use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<LogConfig, ConfigError> {
    LogConfig::parse(text, Path::new("/etc/atl"), "log.toml")
}

#[test]
fn only_the_origin_is_needed() {
    let config = parse("origin = \"atl.example.com/2026h2\"").unwrap();
    assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.data_dir, Path::new("/etc/atl/data"));
    assert_eq!(config.key_file, Path::new("/etc/atl/log-key.pem"));
    assert_eq!(config.anchors_dir, Path::new("/etc/atl/anchors"));
    assert_eq!((config.sth_interval_seconds, config.retention_seconds, config.max_chain_length), (60, 0, 4));
    assert_eq!((config.not_after_start.get(), config.not_after_limit.get()), (0, 253_370_764_800_000));
    assert_eq!((config.max_body_bytes, config.max_batch_body_bytes(), config.queue_limit), (262_144, 4 << 20, 4096));
    assert_eq!((config.per_source.per_second.get(), config.per_anchor.burst.get()), (20_000, 20_000));
    assert_eq!(config.disk_low_watermark_bytes, 1 << 30);
    assert_eq!((config.tls, config.metrics_listen, config.witnesses), (None, None, Vec::new()));
}

#[test]
fn every_key_is_read() {
    let text = r#"
        origin = "log.example"
        operator = "Example \"Ltd\""
        listen = "[::]:443"
        data_dir = "/var/lib/atl"
        key_file = "../key.pem"
        anchors_dir = "roots"
        sth_interval_seconds = 1
        not_after_start = "2026-07-01T00:00:00Z"
        not_after_limit = "2027-01-01T00:00:00Z"
        retention_seconds = 86400
        max_chain_length = 3
        max_body_bytes = 2048
        queue_limit = 1
        disk_low_watermark_bytes = 0
        rate_limit.per_source_per_second = 1
        rate_limit.per_source_burst = 2
        rate_limit.per_anchor_per_second = 3
        rate_limit.per_anchor_burst = 4
        tls.cert_file = "c.pem"
        tls.key_file = "/k.pem"
        metrics.listen = "127.0.0.1:9"
        [[witnesses]]
        url = "https://w.example/a/"
        vkey = "w1+00000000+AAAA"
        [[witnesses]]
        url = "http://127.0.0.1:7"
        vkey = "w2+00000000+AAAA"
    "#;
    let config = parse(text).unwrap();
    assert_eq!(config.operator, "Example \"Ltd\"");
    assert_eq!(config.listen.port(), 443);
    assert_eq!(config.data_dir, Path::new("/var/lib/atl"));
    assert_eq!(config.key_file, Path::new("/etc/atl/../key.pem"));
    assert_eq!(config.not_after_start.get(), 1_782_864_000_000);
    assert_eq!(config.not_after_limit.get(), 1_798_761_600_000);
    let rates = [config.per_source, config.per_anchor].map(|r| (r.per_second.get(), r.burst.get()));
    assert_eq!(rates, [(1, 2), (3, 4)]);
    let tls = config.tls.clone().unwrap();
    assert_eq!((tls.cert_file, tls.key_file), ("/etc/atl/c.pem".into(), "/k.pem".into()));
    assert_eq!(config.metrics_listen.unwrap().port(), 9);
    let witnesses: Vec<_> = config.witnesses.iter().map(|w| (w.url.as_str(), w.vkey.as_str())).collect();
    assert_eq!(witnesses, [("https://w.example/a", "w1+00000000+AAAA"), ("http://127.0.0.1:7", "w2+00000000+AAAA")]);
    assert_eq!((config.sth_interval_seconds, config.max_chain_length, config.queue_limit), (1, 3, 1));
    assert_eq!((config.max_body_bytes, config.disk_low_watermark_bytes, config.retention_seconds), (2048, 0, 86400));
    let again = LogConfig::parse(&config.render().unwrap(), Path::new("/elsewhere"), "again").unwrap();
    assert_eq!(again.anchors_dir, Path::new("/etc/atl/roots"));
    assert_eq!(again, config);
}

#[test]
fn complaints_name_file_key_and_what_is_allowed() {
    let cases = [
        ("sth_interval_seconds = 0", "sth_interval_seconds", "1 to 3600"),
        ("sth_interval_seconds = 3601", "sth_interval_seconds", "1 to 3600"),
        ("sth_interval_seconds = -5", "sth_interval_seconds", "1 to 3600"),
        ("sth_interval_seconds = 1.5", "sth_interval_seconds", "expected a whole number"),
        ("sth_interval_seconds = \"60\"", "sth_interval_seconds", "expected a whole number"),
        ("sth_intervall_seconds = 60", "sth_intervall_seconds", "unknown field"),
        ("listen = \"localhost\"", "listen", "IP address with a port"),
        ("listen = 8080", "listen", "string"),
        ("listen = \"127.0.0.1\"", "listen", "IP address with a port"),
        ("data_dir = \"\"", "data_dir", "path"),
        ("not_after_start = \"2026-07-01\"", "not_after_start", "2026-07-01T00:00:00Z"),
        ("not_after_start = \"2026-07-01T00:00:00+02:00\"", "not_after_start", "UTC"),
        ("not_after_start = \"2026-02-30T00:00:00Z\"", "not_after_start", "moment"),
        ("not_after_start = 2026-07-01T00:00:00Z", "not_after_start", "string"),
        ("not_after_limit = \"1970-01-01T00:00:00Z\"", "not_after_limit", "later than `not_after_start`"),
        ("retention_seconds = -1", "retention_seconds", "0 to"),
        ("max_chain_length = 17", "max_chain_length", "1 to 16"),
        ("max_body_bytes = 1023", "max_body_bytes", "1024 to"),
        ("queue_limit = 0", "queue_limit", "1 to"),
        ("disk_low_watermark_bytes = -1", "disk_low_watermark_bytes", "0 to"),
        ("rate_limit.per_source_burst = 0", "rate_limit.per_source_burst", "1 to"),
        ("rate_limit.per_anchor_per_second = 5000000000", "rate_limit.per_anchor_per_second", "1 to"),
        ("rate_limit.burst = 1", "burst", "unknown field"),
        ("tls.cert_file = \"x\"", "key_file", "missing field"),
        ("tls.cert = \"x\"", "cert", "unknown field"),
        ("tls = { cert_file = \"\", key_file = \"x\" }", "tls.cert_file", "path"),
        ("metrics.listen = \":9\"", "metrics.listen", "IP address with a port"),
        ("metrics.port = 9", "port", "unknown field"),
        ("[[witnesses]]\nurl = \"https://w.example\"", "vkey", "missing field"),
        ("[[witnesses]]\nurl = \"w.example\"\nvkey = \"x\"", "witnesses[0].url", "base URL"),
        (
            "witnesses = [{ url = \"http://w\", vkey = \"x\" }, { url = \"http://v\", vkey = \"x\" }]",
            "witnesses[1].vkey",
            "once",
        ),
        ("witnesses = [{ url = \"http://w\", vkey = \"x\", key = 1 }]", "key", "unknown field"),
        ("origin = \"b.example\"", "origin", "duplicate"),
        ("operator = ", "operator", "expected"),
    ];
    for (line, key, allowed) in cases {
        let message = parse(&format!("origin = \"a.example\"\n{line}")).unwrap_err().to_string();
        assert!(message.starts_with("log.toml: "), "{message}");
        assert!(message.contains(key), "{line}: {message}");
        assert!(message.contains(allowed), "{line}: {message}");
    }
    assert!(parse("").unwrap_err().to_string().contains("missing field `origin`"));
    let missing = LogConfig::load(Path::new("/nonexistent/log.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/log.toml: cannot be read"), "{missing}");
}

#[test]
fn origins() {
    for good in [
        "a",
        "atl.example.com",
        "atl.example.com/2026h2",
        "localhost:8080/a/b",
        "x-1.example/A_b".replace('_', "~").as_str(),
    ] {
        assert_eq!(LogConfig::new(good).unwrap().origin, good);
    }
    let long = "a".repeat(256);
    for bad in
        ["", "A.example", "1.example", "https://a.example", "a b", "a+b", "a\n", "é.example", "a/", "a//b", "/a", &long]
    {
        let message = LogConfig::new(bad).unwrap_err().to_string();
        assert!(message.contains("`origin`") && message.contains("atl.example.com/2026h2"), "{message}");
    }
}

#[test]
fn the_sample_is_what_init_writes() {
    let mut config = LogConfig::new("atl.example.com/2026h2").unwrap();
    config.operator = "Example Ltd".to_owned();
    config.not_after_start = UnixMillis::new(1_782_864_000_000);
    config.not_after_limit = UnixMillis::new(1_798_761_600_000);
    let sample = include_str!("../../../config/log.toml");
    assert_eq!(config.render().unwrap(), sample);
    assert_eq!(LogConfig::parse(sample, Path::new(""), "sample").unwrap(), config);
}

#[test]
fn a_file_s_paths_are_relative_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log.toml");
    std::fs::write(&file, "origin = \"a.example\"").unwrap();
    assert_eq!(LogConfig::load(&file).unwrap().data_dir, dir.path().join("data"));
}

proptest! {
    #[test]
    fn what_is_rendered_is_read(
        operator in ".*", dir in "[^\0]{1,40}", interval in 1_u32..=3600, start in 0_u64..4_000_000_000, tls: bool, metrics: bool,
    ) {
        let mut config = LogConfig::new("a.example/x").unwrap();
        config.operator = operator;
        config.data_dir = dir.clone().into();
        config.sth_interval_seconds = interval;
        config.not_after_start = UnixMillis::new(start * 1000);
        config.tls = tls.then(|| TlsFiles { cert_file: dir.clone().into(), key_file: dir.into() });
        config.metrics_listen = metrics.then_some(config.listen);
        prop_assert_eq!(LogConfig::parse(&config.render().unwrap(), Path::new(""), "x").unwrap(), config);
    }
}
