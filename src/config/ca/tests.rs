use proptest::prelude::*;

use super::*;

const KEY: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER_KEY: &str = "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
const NEEDED: &str = "trust_domain = \"agents.example.com\"\norganization = \"Example Bank\"\n";

fn parse(text: &str) -> Result<CaConfig, ConfigError> {
    CaConfig::parse(text, Path::new("/etc/atl"), "ca.toml")
}

fn log(url: &str, key: &str) -> String {
    format!("[[logs]]\nurl = \"{url}\"\nkey = \"{key}\"\noperator = \"op\"\n")
}

/// Every key, none with its default.
fn everything() -> String {
    let head = r#"
        listen = "[::]:443"
        data_dir = "/var/lib/ca"
        issuer_certificate = "i.pem"
        issuer_key = "/keys/i.pem"
        root_certificate = "../r.pem"
        name_constraint = false
        public_names = ["ca.example.com", "::1", "10.0.0.1"]
        disk_low_watermark_bytes = 0
        metrics.listen = "127.0.0.1:9"
        tls = { cert_file = "c.pem", key_file = "/k.pem" }
        [certificates]
        default_validity_seconds = 1200
        min_validity_seconds = 600
        max_validity_seconds = 1800
        backdate_seconds = 0
        decay_rate = 5
        computation_method = "ours \"2\""
        human_principal = "plain"
        principal_salt_file = "/keys/salt"
        max_delegation_depth = 0
        max_live = 3
        renewal_key = "new"
        spiffe = true
        [policy]
        manual_approval = "unregistered"
        min_score = 40
        default_reputation = 0
        known_models = ["claude", "gpt"]
        known_frameworks = ["mcp"]
        require_known_provenance = true
        registry_file = "registry.json"
    "#;
    let tail = r#"
        [[organizations]]
        name = "payments"
        reputation = 20
        [[organizations]]
        name = "lab"
        reputation = 0
        [delegation]
        min_score = 60
        strict_subset = false
        same_org = false
        max_children = 7
        [trust]
        reissue_change = 5
        revoke_below = 30
        url = "https://trust.example.com/"
        ca_file = "trust.pem"
        token_file = "/keys/trust.token"
        [[capability_ceiling]]
        tool_uri = "mcp://payments.example.com"
        scope = "transfers"
        [capability_ceiling.spend_limit]
        max_per_transaction = 10000
        max_per_period = 100000
        period_seconds = 86400
        currency = "EUR"
        [capability_ceiling.rate_limit]
        max_requests = 100
        period_seconds = 60
        [[capability_ceiling]]
        tool_uri = "mcp://read.example.com"
        scope = "all"
        [issuance]
        min_sats = 2
        log_timeout_ms = 100
        attempts = 10
        straggler_ms = 0
        pending_ttl_seconds = 60
        [[operators]]
        name = "Ana"
        token_sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        [status]
        listen = "127.0.0.1:80"
        base_url = "http://status.example.com/"
        crl_refresh_seconds = 5
        crl_shard_seconds = 300
        ocsp_validity_seconds = 10
        per_source_per_second = 7
        per_source_burst = 8
        root_crl_file = "/srv/root.crl"
        [rate_limit]
        per_source_per_second = 1
        per_source_burst = 2
        per_token_per_second = 3
        per_token_burst = 4
        [federation]
        bundle_key = "/keys/b.pem"
        minimum_trust_score = 0
        bundle_lifetime_seconds = 604800
        dir = "others"
    "#;
    let logs = log("https://a.example/2026/", KEY) + &log("http://127.0.0.1:8080", OTHER_KEY);
    format!("{NEEDED}{head}\nregistry_key = \"{KEY}\"\n{tail}\n{logs}")
}

#[test]
fn two_keys_are_needed() {
    let config = parse(NEEDED).unwrap();
    assert_eq!((config.trust_domain.as_str(), config.organization.as_str()), ("agents.example.com", "Example Bank"));
    assert_eq!(config.listen, "127.0.0.1:8443".parse().unwrap());
    assert_eq!(config.data_dir, Path::new("/etc/atl/data"));
    assert_eq!(config.issuer_certificate, Path::new("/etc/atl/intermediate.pem"));
    assert_eq!(config.issuer_key, Path::new("/etc/atl/intermediate-key.pem"));
    assert_eq!(config.root_certificate, Path::new("/etc/atl/root.pem"));
    assert!(config.name_constraint);
    assert_eq!(config.public_names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["localhost", "127.0.0.1"]);
    assert_eq!(config.disk_low_watermark_bytes, 1 << 30);
    let rules = &config.certificates;
    let seconds = [
        rules.default_validity_seconds,
        rules.min_validity_seconds,
        rules.max_validity_seconds,
        rules.backdate_seconds,
    ];
    assert_eq!(seconds, [3600, 300, 86_400, 30]);
    assert_eq!((rules.decay_rate.get(), rules.computation_method.as_str(), rules.spiffe), (2, "atl-initial-1", false));
    assert_eq!((rules.human_principal, rules.renewal_key), (HumanPrincipal::Hashed, RenewalKey::Any));
    assert_eq!(rules.principal_salt_file, Path::new("/etc/atl/principal-salt"));
    assert_eq!((rules.max_delegation_depth, rules.max_live), (5, 64));
    let delegation = config.delegation;
    assert_eq!((delegation.min_score.get(), delegation.max_children), (40, 1000));
    assert!(delegation.strict_subset && delegation.same_org);
    assert_eq!((config.trust.reissue_change, config.trust.revoke_below.get()), (10, 20));
    assert_eq!(config.trust.engine, None);
    let policy = &config.policy;
    assert_eq!((policy.manual_approval, policy.min_score.get()), (ManualApproval::Never, 20));
    assert_eq!((policy.default_reputation, policy.require_known_provenance), (10, false));
    assert!(policy.known_models.is_empty() && policy.known_frameworks.is_empty() && policy.registry.is_none());
    assert!(config.organizations.is_empty() && config.logs.is_empty() && config.operators.is_empty());
    assert_eq!((config.capability_ceiling, config.tls, config.metrics_listen), (None, None, None));
    let status = &config.status;
    assert_eq!((status.listen, status.base_url.as_ref()), (None, None));
    let seconds = [status.crl_refresh_seconds, status.crl_shard_seconds, status.ocsp_validity_seconds];
    assert_eq!(seconds, [60, 3600, 60]);
    assert_eq!(status.root_crl_file, Path::new("/etc/atl/root.crl"));
    let issuance = config.issuance;
    assert_eq!((issuance.min_sats.get(), issuance.attempts.get()), (1, 3));
    assert_eq!((issuance.log_timeout_ms, issuance.straggler_ms, issuance.pending_ttl_seconds), (2000, 50, 604_800));
    let federation = &config.federation;
    assert_eq!((federation.minimum_trust_score.get(), federation.bundle_lifetime_seconds), (40, 86_400));
    assert_eq!((&federation.bundle_key, &federation.dir), (&None, &None));
    let rates = [config.per_source, config.per_token].map(|r| (r.per_second.get(), r.burst.get()));
    assert_eq!(rates, [(1000, 1000), (10, 20)]);
}

#[test]
fn every_key_is_read_and_rendered() {
    let config = parse(&everything()).unwrap();
    assert_eq!(config.listen.port(), 443);
    assert_eq!(config.root_certificate, Path::new("/etc/atl/../r.pem"));
    assert_eq!(config.issuer_key, Path::new("/keys/i.pem"));
    assert!(!config.name_constraint);
    assert_eq!(config.public_names[1], PublicName::Ip("::1".parse().unwrap()));
    assert_eq!((config.certificates.renewal_key, config.certificates.spiffe), (RenewalKey::New, true));
    assert_eq!(config.policy.registry.as_ref().unwrap().file, Path::new("/etc/atl/registry.json"));
    assert_eq!(config.certificates.principal_salt_file, Path::new("/keys/salt"));
    assert_eq!((config.certificates.max_delegation_depth, config.certificates.max_live), (0, 3));
    let delegation = config.delegation;
    assert_eq!((delegation.min_score.get(), delegation.max_children), (60, 7));
    assert!(!delegation.strict_subset && !delegation.same_org);
    assert_eq!((config.trust.reissue_change, config.trust.revoke_below.get()), (5, 30));
    let engine = config.trust.engine.as_ref().unwrap();
    assert_eq!(engine.url, "https://trust.example.com");
    assert_eq!(engine.ca_file.as_deref(), Some(Path::new("/etc/atl/trust.pem")));
    assert_eq!(engine.token_file.as_deref(), Some(Path::new("/keys/trust.token")));
    assert_eq!(config.federation.bundle_key.as_deref(), Some(Path::new("/keys/b.pem")));
    assert_eq!(config.federation.dir.as_deref(), Some(Path::new("/etc/atl/others")));
    assert_eq!(config.federation.bundle_lifetime_seconds, 604_800);
    assert_eq!((config.organizations[1].name.as_str(), config.organizations[1].reputation), ("lab", 0));
    let ceiling = config.capability_ceiling.as_ref().unwrap().as_slice();
    assert_eq!(ceiling[0].spend_limit.unwrap().max_per_period.unwrap().get(), 100_000);
    assert_eq!((ceiling.len(), ceiling[1].rate_limit), (2, None));
    assert_eq!(config.logs[0].url, "https://a.example/2026");
    assert_eq!(config.operators[0].token_sha256[0], 0x9f);
    assert_eq!(config.issuance.min_sats.get(), 2);
    assert_eq!(config.metrics_listen.unwrap().port(), 9);
    assert_eq!(config.status.base_url.as_deref(), Some("http://status.example.com"));
    assert_eq!(config.status.root_crl_file, Path::new("/srv/root.crl"));
    assert_eq!(config.tls.as_ref().unwrap().key_file, Path::new("/k.pem"));
    let again = CaConfig::parse(&config.render().unwrap(), Path::new("/elsewhere"), "again").unwrap();
    assert_eq!(again, config);
}

#[test]
fn complaints_name_file_key_and_what_is_allowed() {
    let cases = [
        ("trust_domain = \"b.example\"", "trust_domain", "duplicate"),
        ("listen = \"localhost:8443\"", "listen", "IP address with a port"),
        ("data_dir = \"\"", "data_dir", "path"),
        ("issuer_certificate = \"\"", "issuer_certificate", "path"),
        ("issuer_key = \"\"", "issuer_key", "path"),
        ("root_certificate = \"\"", "root_certificate", "path"),
        ("root_key = \"root/root-key.pem\"", "root_key", "unknown field"),
        ("name_constraint = 1", "name_constraint", "boolean"),
        ("public_names = []", "public_names", "at least one"),
        ("public_names = [\"ok\", \"a_b\"]", "public_names[1]", "DNS name"),
        ("public_names = [\"10.0.0.256\"]", "public_names[0]", "IP address"),
        ("public_names = [\"*.example.com\"]", "public_names[0]", "DNS name"),
        ("disk_low_watermark_bytes = -1", "disk_low_watermark_bytes", "0 to"),
        ("certificates.default_validity_seconds = 299", "certificates.default_validity_seconds", "300 to 86400"),
        ("certificates.default_validity_seconds = 86401", "certificates.default_validity_seconds", "300 to 86400"),
        ("certificates.min_validity_seconds = 299", "certificates.min_validity_seconds", "300 to 86400"),
        ("certificates.min_validity_seconds = 7200", "certificates.default_validity_seconds", "7200 to 86400"),
        ("certificates.max_validity_seconds = 86401", "certificates.max_validity_seconds", "300 to 86400"),
        ("certificates.max_validity_seconds = 1800", "certificates.default_validity_seconds", "300 to 1800"),
        ("certificates.backdate_seconds = 301", "certificates.backdate_seconds", "0 to 300"),
        ("certificates.decay_rate = 101", "certificates.decay_rate", "0 to 100"),
        ("certificates.computation_method = \"\"", "certificates.computation_method", "empty"),
        ("certificates.human_principal = \"salted\"", "human_principal", "`hashed` or `plain`"),
        ("certificates.principal_salt_file = \"\"", "certificates.principal_salt_file", "path"),
        ("certificates.max_delegation_depth = -1", "certificates.max_delegation_depth", "0 to 255"),
        ("certificates.max_delegation_depth = 256", "certificates.max_delegation_depth", "0 to 255"),
        ("certificates.max_live = 0", "certificates.max_live", "1 to 1024"),
        ("certificates.max_live = 1025", "certificates.max_live", "1 to 1024"),
        ("delegation.min_score = 101", "delegation.min_score", "0 to 100"),
        ("delegation.strict_subset = 1", "strict_subset", "boolean"),
        ("delegation.same_org = \"no\"", "same_org", "boolean"),
        ("delegation.max_children = 0", "delegation.max_children", "1 to 100000"),
        ("delegation.max_depth = 5", "max_depth", "unknown field"),
        ("trust.reissue_change = 101", "trust.reissue_change", "0 to 100"),
        ("trust.revoke_below = -1", "trust.revoke_below", "0 to 100"),
        ("trust.url = \"trust.example.com\"", "trust.url", "base URL"),
        ("trust.url = \"http://trust.example.com\"", "trust.url", "`https`"),
        ("trust.url = \"http://127.0.0.1.example.com:1\"", "trust.url", "`https`"),
        ("trust.ca_file = \"t.pem\"", "trust.url", "`ca_file` is for it alone"),
        ("trust.token_file = \"t\"", "trust.url", "`token_file` is for it alone"),
        ("trust = { url = \"http://[::1]:1\", ca_file = \"\" }", "trust.ca_file", "path"),
        ("certificates.renewal_key = \"old\"", "renewal_key", "`any`, `new`, `same`"),
        ("certificates.spiffe = \"yes\"", "spiffe", "boolean"),
        ("certificates.validity = 1", "validity", "unknown field"),
        ("status.listen = \"localhost:80\"", "status.listen", "IP address with a port"),
        ("status.base_url = \"ftp://a\"", "status.base_url", "base URL"),
        ("status.crl_refresh_seconds = 61", "status.crl_refresh_seconds", "5 to 60"),
        ("status.crl_shard_seconds = 299", "status.crl_shard_seconds", "300 to 86400"),
        ("status.ocsp_validity_seconds = 9", "status.ocsp_validity_seconds", "10 to 3600"),
        ("status.root_crl_file = \"\"", "status.root_crl_file", "path"),
        ("policy.manual_approval = \"yes\"", "manual_approval", "`never`, `always`, `unregistered`"),
        ("policy.min_score = 101", "policy.min_score", "0 to 100"),
        ("policy.default_reputation = 21", "policy.default_reputation", "0 to 20"),
        ("policy.known_models = [\"\"]", "policy.known_models[0]", "empty"),
        ("policy.known_frameworks = [1]", "known_frameworks", "string"),
        ("policy.registry_file = \"r\"", "policy.registry_key", "`registry_file` needs it"),
        ("policy.registry_key = \"r\"", "policy.registry_file", "missing"),
        ("policy = { registry_file = \"r\", registry_key = \"AAAA\" }", "policy.registry_key", "SubjectPublicKeyInfo"),
        ("organizations = [{ name = \"a\", reputation = 21 }]", "organizations[0].reputation", "0 to 20"),
        ("organizations = [{ name = \"a\" }]", "reputation", "missing field"),
        (
            "organizations = [{ name = \"a\", reputation = 1 }, { name = \"a\", reputation = 2 }]",
            "organizations[1].name",
            "once",
        ),
        ("capability_ceiling = [{ tool_uri = \"\", scope = \"s\" }]", "capability_ceiling[0].tool_uri", "URI"),
        ("capability_ceiling = [{ tool_uri = \"é\", scope = \"s\" }]", "capability_ceiling[0].tool_uri", "ASCII"),
        ("capability_ceiling = [{ tool_uri = \"t\", scope = \"\" }]", "capability_ceiling[0].scope", "empty"),
        (
            "capability_ceiling = [{ tool_uri = \"t\", scope = \"s\", spend_limit = { currency = \"euro\" } }]",
            "capability_ceiling[0].spend_limit.currency",
            "three upper-case letters",
        ),
        (
            "capability_ceiling = [{ tool_uri = \"t\", scope = \"s\", spend_limit = { max_per_transaction = -1, currency = \"EUR\" } }]",
            "capability_ceiling[0].spend_limit.max_per_transaction",
            "0 to",
        ),
        (
            "capability_ceiling = [{ tool_uri = \"t\", scope = \"s\", spend_limit = { max_per_period = 1, currency = \"EUR\" } }]",
            "capability_ceiling[0].spend_limit",
            "belong together",
        ),
        (
            "capability_ceiling = [{ tool_uri = \"t\", scope = \"s\", rate_limit = { max_requests = 1, period_seconds = 0 } }]",
            "capability_ceiling[0].rate_limit.period_seconds",
            "1 to",
        ),
        ("issuance.min_sats = 0", "issuance.min_sats", "1 to 8"),
        ("issuance.min_sats = 9", "issuance.min_sats", "1 to 8"),
        ("issuance.log_timeout_ms = 99", "issuance.log_timeout_ms", "100 to 60000"),
        ("issuance.attempts = 0", "issuance.attempts", "1 to 10"),
        ("issuance.straggler_ms = 10001", "issuance.straggler_ms", "0 to 10000"),
        ("issuance.pending_ttl_seconds = 59", "issuance.pending_ttl_seconds", "60 to"),
        (
            "operators = [{ name = \"a\", token_sha256 = \"secret\" }]",
            "`operators[0].token_sha256` is 6 char",
            "64 hexa",
        ),
        ("operators = [{ name = \"a\", token = \"00\" }]", "token", "unknown field"),
        ("rate_limit.per_source_per_second = 0", "rate_limit.per_source_per_second", "1 to"),
        ("rate_limit.per_source_burst = 0", "rate_limit.per_source_burst", "1 to"),
        ("rate_limit.per_token_per_second = 0", "rate_limit.per_token_per_second", "1 to"),
        ("rate_limit.per_token_burst = 0", "rate_limit.per_token_burst", "1 to"),
        ("tls.cert_file = \"x\"", "key_file", "missing field"),
        ("metrics.listen = \":9\"", "metrics.listen", "IP address with a port"),
        ("federation.bundle_key = \"\"", "federation.bundle_key", "path"),
        ("federation.minimum_trust_score = 101", "federation.minimum_trust_score", "0 to 100"),
        ("federation.bundle_lifetime_seconds = 59", "federation.bundle_lifetime_seconds", "60 to 604800"),
        ("federation.bundle_lifetime_seconds = 604801", "federation.bundle_lifetime_seconds", "60 to 604800"),
        ("federation.dir = \"\"", "federation.dir", "path"),
        ("federation.key = \"x\"", "key", "unknown field"),
    ];
    for (line, key, allowed) in cases {
        let message = parse(&format!("{NEEDED}{line}")).unwrap_err().to_string();
        assert!(message.starts_with("ca.toml: "), "{message}");
        assert!(message.contains(key), "{line}: {message}");
        assert!(message.contains(allowed), "{line}: {message}");
    }
    for (text, missing) in [("organization = \"a\"", "trust_domain"), ("trust_domain = \"a.b\"", "organization")] {
        assert!(parse(text).unwrap_err().to_string().contains(&format!("missing field `{missing}`")));
    }
}

#[test]
fn logs_are_told_apart() {
    let refused = |logs: &str| parse(&format!("{NEEDED}{logs}")).unwrap_err().to_string();
    for bad in ["ftp://a.example", "a.example", "https://", "https:///x", "https://a b", "https://a?x", "https://u@a"] {
        let message = refused(&log(bad, KEY));
        assert!(message.contains("`logs[0].url`") && message.contains("https://log.example.com"), "{message}");
    }
    for bad in ["", "AAAA", "not base64", &KEY[4..]] {
        let message = refused(&log("https://a.example", bad));
        assert!(message.contains("`logs[0].key`") && message.contains("SubjectPublicKeyInfo"), "{message}");
    }
    let twice = refused(&(log("https://a.example", KEY) + &log("https://b.example", KEY)));
    assert!(twice.contains("`logs[1].key` is that of logs[0] again"), "{twice}");
    let twice = refused(&(log("https://a.example", KEY) + &log("https://a.example/", OTHER_KEY)));
    assert!(twice.contains("`logs[1].url`"), "{twice}");
    let message = refused(&("issuance.min_sats = 2\n".to_owned() + &log("https://a.example", KEY)));
    assert!(message.contains("`issuance.min_sats` is 2: no more than the 1 logs"), "{message}");
    // Before the logs are known, any number may be wished for.
    assert_eq!(parse(&format!("{NEEDED}issuance.min_sats = 8")).unwrap().issuance.min_sats.get(), 8);
}

#[test]
fn names_that_certificates_can_hold() {
    for bad in ["", "localhost", "A.example", "a.example.", "a.example/x", "a.example:1", "ä.example", "a b.example"] {
        let message = CaConfig::new(bad, "Bank").unwrap_err().to_string();
        assert!(message.contains("`trust_domain`") && message.contains("agents.example.com"), "{bad}: {message}");
    }
    for bad in ["", " Bank", "Bank\n", "Ba\u{7}nk", &"a".repeat(65)] {
        let message = CaConfig::new("a.example", bad).unwrap_err().to_string();
        assert!(message.contains("`organization`") && message.contains("1 to 64"), "{bad}: {message}");
    }
    assert_eq!(CaConfig::new("a.example", &"ä".repeat(64)).unwrap().organization.chars().count(), 64);
}

#[test]
fn an_organisation_is_named_by_its_segment_of_the_uri() {
    let organization = |name: &str| {
        let table = toml::Value::Table(
            [("name".to_owned(), name.into()), ("reputation".to_owned(), 1.into())].into_iter().collect(),
        );
        parse(&format!("{NEEDED}organizations = [{table}]"))
    };
    for bad in ["", "Example Bank", "a/b", "a.b", "a?", "ä", "a\n", &"a".repeat(65)] {
        let message = organization(bad).unwrap_err().to_string();
        assert!(message.contains("`organizations[0].name`"), "{bad}: {message}");
        assert!(message.contains("org segment") && message.contains("1 to 64 letters"), "{bad}: {message}");
    }
    for good in ["payments", "A-1_b", "-", &"a".repeat(64)] {
        assert_eq!(organization(good).unwrap().organizations[0].name, good);
    }
}

#[test]
fn a_change_is_checked() {
    let mut config = CaConfig::new("a.example", "Bank").unwrap();
    assert!(config.check().is_ok());
    config.certificates.backdate_seconds = 301;
    assert!(config.check().unwrap_err().to_string().contains("certificates.backdate_seconds"));
}

/// The sample, and every example that stands in it as a comment.
#[test]
fn the_sample_is_what_init_writes() {
    let config = CaConfig::new("agents.example.com", "Example Bank").unwrap();
    let sample = include_str!("../../../config/ca.toml");
    assert_eq!(config.render().unwrap(), sample);
    assert_eq!(CaConfig::parse(sample, Path::new(""), "sample").unwrap(), config);
    let is_example = |line: &str| {
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', ':', '`']))
    };
    let shown = |line: &str| line.strip_prefix("# ").filter(|l| is_example(l)).unwrap_or(line).to_owned();
    let text = sample.lines().map(shown).collect::<Vec<_>>().join("\n");
    let all = CaConfig::parse(&text, Path::new(""), "examples").unwrap();
    let counts = (all.organizations.len(), all.logs.len(), all.operators.len());
    assert_eq!(counts, (1, 1, 1));
    assert!(all.tls.is_some() && all.metrics_listen.is_some() && all.policy.registry.is_some());
    let ceiling = all.capability_ceiling.unwrap();
    assert!(ceiling.as_slice()[0].spend_limit.is_some() && ceiling.as_slice()[0].rate_limit.is_some());
}

proptest! {
    #[test]
    fn what_is_rendered_is_read(
        organization in "[^\\p{Cc} ]{1,64}", dir in "[^\0]{1,40}", model in ".{1,40}", min in 300_u32..=3600,
        host in "[a-z]{1,9}", port: u16,
    ) {
        let config = CaConfig::new("a.example", &organization);
        prop_assume!(config.is_ok());
        let mut config = config.unwrap();
        config.data_dir = dir.clone().into();
        config.certificates.min_validity_seconds = min;
        config.policy.known_models = vec![Text::new(model).unwrap()];
        let key = config_key();
        config.logs = vec![TrustedLog { url: format!("https://{host}:{port}"), key: key.clone(), operator: host.clone() }];
        config.policy.registry = Some(Registry { file: dir.into(), key });
        config.public_names = vec![PublicName::Dns(host)];
        prop_assert_eq!(CaConfig::parse(&config.render().unwrap(), Path::new(""), "x").unwrap(), config);
    }
}

fn config_key() -> PublicKey {
    parse(&(NEEDED.to_owned() + &log("https://a.example", KEY))).unwrap().logs[0].key.clone()
}
