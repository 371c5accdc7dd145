use proptest::prelude::*;

use super::*;

const KEY: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER_KEY: &str = "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

fn parse(text: &str) -> Result<RelyingConfig, ConfigError> {
    RelyingConfig::parse(text, Path::new("/etc/atl"), "relying-party.toml")
}

/// What no file can leave out, the keys of `policy` first so that lines can be put in front of it.
fn needed() -> String {
    format!(
        "[policy]\nminimum_tier = \"standard\"\n[policy.revocation]\nmode = \"require\"\n\
         [[domains]]\nname = \"bank.example.com\"\nroots = \"root.pem\"\n\
         [[logs]]\nkey = \"{KEY}\"\noperator = \"Log Ltd\"\n"
    )
}

/// Every key, none with its default.
fn everything() -> String {
    let (one, two) = ("11".repeat(32), "22".repeat(32));
    format!(
        r#"[policy]
        minimum_score = 55
        algorithms = ["Ed25519"]
        max_delegation_depth = 2
        require_delegation = true
        audited_within_seconds = 86400
        peers = ["agent://bank.example.com/retail"]
        [policy.revocation]
        mode = "prefer"
        max_age_seconds = 600
        issuers = true
        [policy.provenance]
        minimum_method = "caVerified"
        builds = ["{one}", "{two}"]
        models = ["claude"]
        [policy.inclusion]
        max_age_seconds = 3600
        witnesses = ["w1+00000000+AAAA", "w2+00000000+AAAA"]
        needed = 1
        [[policy.tools]]
        tool_uri = "https://api.example.com/payments"
        minimum_tier = "elevated"
        minimum_method = "thirdParty"
        ocsp_within_seconds = 30
        [[policy.tools]]
        tool_uri = "mcp://ledger"
        minimum_score = 61
        [[domains]]
        name = "agents.example.com"
        roots = "/keys/root.pem"
        [[domains]]
        name = "bank.example.com"
        bundle = "bank.json"
        mapping = {{ table = [{{ from = 40, to = 30 }}, {{ from = 60, to = 60 }}], offset = 5, cap = 80, allow_raise = true }}
        minimum_score = 50
        [federation]
        dir = "federation"
        [[logs]]
        name = "first"
        url = "https://log.example.com/2026h2/"
        key = "{KEY}"
        operator = "Log Ltd"
        origin = "log.example.com/2026h2"
        from = "2026-01-01T00:00:00Z"
        until = "2026-07-01T00:00:00Z"
        [[logs]]
        key = "{OTHER_KEY}"
        operator = "Other Ltd"
        [[revocation_lists]]
        file = "lists/root.crl"
        signer = "signer.pem"
        [[revocation_lists]]
        url = "http://ca.example.com/crl/root"
        signer = "signer.pem"
        [[monitors]]
        vkey = "m+00000000+AAAA"
        [[monitors]]
        vkey = "n+00000000+AAAA"
        url = "http://monitor.example:8/x/"
        [fetch]
        ocsp = false
        lists = false
        parents = false
        proofs = false
        audits = false
        hosts = ["ca.example.com", "[::1]"]
        timeout_seconds = 3
        ca_roots = "ca.pem"
        [limits]
        charge_ancestors = false
        "#
    )
}

#[test]
fn what_a_file_leaves_out_has_its_default() {
    let config = parse(&needed()).unwrap();
    let policy = &config.policy;
    assert_eq!((policy.minimum.get(), policy.max_delegation_depth, policy.require_delegation), (40, 5, false));
    assert_eq!(policy.algorithms, [SignatureAlgorithm::EcdsaP256Sha256, SignatureAlgorithm::Ed25519]);
    let revocation = Revocation { mode: RevocationMode::Require, max_age_seconds: None, issuers: false };
    assert_eq!((policy.revocation, &policy.provenance), (revocation, &Provenance::default()));
    assert!(policy.inclusion.is_none() && policy.audited_within_seconds.is_none() && policy.peers.is_none());
    assert!(policy.tools.is_empty() && config.revocation_lists.is_empty() && config.monitors.is_empty());
    let domain = &config.domains[0];
    assert_eq!(domain.trusted, Trusted::Roots("/etc/atl/root.pem".into()));
    assert!(domain.mapping.is_identity() && domain.minimum.get() == 0);
    let log = &config.logs[0];
    assert_eq!((log.name.as_str(), log.url.as_deref(), log.origin.as_deref()), ("Log Ltd", None, None));
    assert_eq!((log.from, log.until), (UnixMillis::new(0), None));
    assert_eq!((config.fetch, config.federation_dir), (None, None));
    assert!(config.limits.charge_ancestors);
    let fetch = parse(&(needed() + "[fetch]\n")).unwrap().fetch;
    assert_eq!(fetch, RelyingConfig::new(Vec::new(), Vec::new()).fetch);
    assert_eq!(fetch.map(|fetch| (fetch.ocsp, fetch.timeout_seconds, fetch.hosts)), Some((true, 10, None)));
}

#[test]
fn every_key_is_read_and_rendered() {
    let config = parse(&everything()).unwrap();
    let policy = &config.policy;
    assert_eq!((policy.minimum.get(), policy.max_delegation_depth, policy.require_delegation), (55, 2, true));
    assert_eq!(policy.algorithms, [SignatureAlgorithm::Ed25519]);
    let revocation = Revocation { mode: RevocationMode::Prefer, max_age_seconds: Some(600), issuers: true };
    assert_eq!((policy.revocation, policy.audited_within_seconds), (revocation, Some(86_400)));
    assert_eq!(policy.provenance.minimum_method, Some(AttestationMethod::CaVerified));
    assert_eq!(policy.provenance.builds.as_ref().unwrap()[1], [0x22; 32]);
    assert_eq!(policy.inclusion.as_ref().unwrap().witnesses.as_ref().unwrap().needed, 1);
    assert_eq!((policy.tools[0].minimum.unwrap().get(), policy.tools[1].minimum.unwrap().get()), (60, 61));
    assert_eq!(policy.tools[0].ocsp_within_seconds, Some(30));
    assert_eq!(config.domains[1].trusted, Trusted::Bundle("/etc/atl/bank.json".into()));
    let mapped = |points| config.domains[1].mapping.apply(Score::new(points).unwrap()).get();
    assert_eq!((config.domains[1].minimum.get(), [39, 40, 70, 100].map(mapped)), (50, [5, 35, 65, 65]));
    assert_eq!(config.federation_dir.as_deref(), Some(Path::new("/etc/atl/federation")));
    assert_eq!(config.logs[0].url.as_deref(), Some("https://log.example.com/2026h2"));
    assert_eq!(config.logs[0].until, Some(UnixMillis::new(1_782_864_000_000)));
    assert_eq!(config.revocation_lists[0].source, ListSource::File("/etc/atl/lists/root.crl".into()));
    assert_eq!(config.fetch.as_ref().unwrap().hosts.as_ref().unwrap()[1], "[::1]");
    let urls: Vec<_> = config.monitors.iter().map(|monitor| monitor.url.as_deref()).collect();
    assert_eq!((urls, config.fetch.as_ref().unwrap().audits), (vec![None, Some("http://monitor.example:8/x")], false));
    let again = RelyingConfig::parse(&config.render().unwrap(), Path::new("/elsewhere"), "again").unwrap();
    assert_eq!(again, config);
}

/// A file with something else in place of a line, or with lines behind `[policy]` or at the end.
enum Change {
    Instead(&'static str, &'static str),
    Policy(&'static str),
    End(String),
}

#[test]
fn complaints_name_file_key_and_what_is_allowed() {
    use Change::{End, Instead, Policy};
    let tier = "minimum_tier = \"standard\"\n";
    let end = |text: &str| End(text.to_owned());
    let domain = "[[domains]]\nname = \"shop.example.com\"\n";
    let log = format!("[[logs]]\nkey = \"{OTHER_KEY}\"\noperator = \"Other Ltd\"\n");
    let cases = [
        (Instead(tier, ""), "policy.minimum_tier", "minimum_score"),
        (Instead(tier, "minimum_tier = \"untrusted\"\n"), "policy.minimum_tier", "\"restricted\""),
        (Instead(tier, "minimum_tier = \"high\"\n"), "minimum_tier", "unknown variant"),
        (Instead(tier, "minimum_score = 19\n"), "policy.minimum_score", "20 to 100"),
        (Instead(tier, "minimum_score = 101\n"), "policy.minimum_score", "20 to 100"),
        (Policy("minimum_score = 60"), "policy.minimum_score", "one of the two"),
        (Policy("minimum = 60"), "minimum", "unknown field"),
        (Policy("algorithms = []"), "policy.algorithms", "at least one"),
        (Policy("algorithms = [\"Ed25519\", \"RS256\"]"), "policy.algorithms[1]", "\"ES256\" or"),
        (Policy("algorithms = [\"ES256\", \"ES256\"]"), "policy.algorithms[1]", "once"),
        (Policy("max_delegation_depth = 17"), "policy.max_delegation_depth", "0 to 16"),
        (Policy("audited_within_seconds = 59"), "policy.audited_within_seconds", "60 to"),
        (Policy("audited_within_seconds = 60"), "monitors", "[[monitors]]"),
        (Policy("peers = []"), "policy.peers", "takes nobody"),
        (Instead("[policy.revocation]\nmode = \"require\"\n", ""), "revocation", "missing field"),
        (Instead("mode = \"require\"\n", ""), "mode", "missing field"),
        (Instead("mode = \"require\"\n", "mode = \"hard\"\n"), "mode", "unknown variant"),
        (Instead("mode = \"require\"\n", "mode = \"off\"\nmax_age = 1\n"), "max_age", "unknown field"),
        (end("[policy.provenance]\nminimum_method = \"oath\""), "minimum_method", "unknown variant"),
        (end("[policy.provenance]\nbuilds = [\"11\"]"), "policy.provenance.builds[0]", "64 hexadecimal"),
        (end("[policy.provenance]\nbuilds = []"), "policy.provenance.builds", "takes nobody"),
        (end("[policy.provenance]\nmodels = []"), "policy.provenance.models", "takes nobody"),
        (end("[policy.provenance]\nmodel = []"), "model", "unknown field"),
        (end("[policy.inclusion]"), "max_age_seconds", "missing field"),
        (end("[policy.inclusion]\nmax_age_seconds = 59"), "policy.inclusion.max_age_seconds", "60 to"),
        (end("[policy.inclusion]\nmax_age_seconds = 60\nneeded = 1"), "policy.inclusion.witnesses", "missing"),
        (end("[policy.inclusion]\nmax_age_seconds = 60\nwitnesses = [\"a\"]"), "policy.inclusion.needed", "how many"),
        (
            end("[policy.inclusion]\nmax_age_seconds = 60\nwitnesses = [\"a\"]\nneeded = 2"),
            "policy.inclusion.needed",
            "1 to 1",
        ),
        (
            end("[policy.inclusion]\nmax_age_seconds = 60\nwitnesses = []\nneeded = 0"),
            "policy.inclusion.witnesses",
            "at least one",
        ),
        (
            end("[policy.inclusion]\nmax_age_seconds = 60\nwitnesses = [\"a\", \"a\"]\nneeded = 1"),
            "policy.inclusion.witnesses[1]",
            "once",
        ),
        (end("[[policy.tools]]\ntool_uri = \"a\""), "policy.tools[0]", "ask for something"),
        (end("[[policy.tools]]\ntool_uri = \"\"\nminimum_score = 60"), "policy.tools[0].tool_uri", "URI of a tool"),
        (end("[[policy.tools]]\ntool_uri = \"é\"\nminimum_score = 60"), "policy.tools[0].tool_uri", "ASCII"),
        (end("[[policy.tools]]\ntool_uri = \"a\"\nminimum_score = 10"), "policy.tools[0].minimum_score", "20 to 100"),
        (
            end("[[policy.tools]]\ntool_uri = \"a\"\nocsp_within_seconds = 0"),
            "policy.tools[0].ocsp_within_seconds",
            "1 to",
        ),
        (end("[[policy.tools]]\ntool_uri = \"a\"\nminimum_tier = \"full\"\nscope = \"b\""), "scope", "unknown field"),
        (
            end(
                "[[policy.tools]]\ntool_uri = \"a\"\nminimum_score = 60\n[[policy.tools]]\ntool_uri = \"a\"\nminimum_score = 70",
            ),
            "policy.tools[1].tool_uri",
            "once",
        ),
        (end(domain), "domains[1].roots", "atl federation add"),
        (end(&format!("{domain}roots = \"a\"\nbundle = \"b\"")), "domains[1].bundle", "one of the two"),
        (end(&format!("{domain}roots = \"\"")), "domains[1].roots", "path"),
        (end("[[domains]]\nname = \"Shop\"\nroots = \"a\""), "domains[1].name", "lower case"),
        (end("[[domains]]\nname = \"bank.example.com\"\nbundle = \"a\""), "domains[1].name", "once"),
        (end(&format!("{domain}roots = \"a\"\nminimum_score = 101")), "domains[1].minimum_score", "0 to 100"),
        (end(&format!("{domain}roots = \"a\"\nmapping = {{ offset = 5 }}")), "mapping", "allow_raise"),
        (end(&format!("{domain}roots = \"a\"\nscore = 5")), "score", "unknown field"),
        (end("[federation]\ndir = \"\""), "federation.dir", "path"),
        (end("[[logs]]\nkey = \"AAAA\"\noperator = \"x\""), "logs[1].key", "SubjectPublicKeyInfo"),
        (end(&format!("[[logs]]\nkey = \"{OTHER_KEY}\"\noperator = \" x\"")), "logs[1].operator", "1 to 64"),
        (end(&format!("[[logs]]\nkey = \"{OTHER_KEY}\"")), "operator", "missing field"),
        (end(&format!("[[logs]]\nkey = \"{KEY}\"\noperator = \"x\"")), "logs[1].key", "once"),
        (end(&format!("{log}name = \"\"")), "logs[1].name", "1 to 64"),
        (end(&format!("{log}url = \"log.example.com\"")), "logs[1].url", "base URL"),
        (end(&format!("{log}from = \"2026\"")), "logs[1].from", "moment"),
        (
            end(&format!("{log}from = \"2026-01-01T00:00:00Z\"\nuntil = \"2026-01-01T00:00:00Z\"")),
            "logs[1].until",
            "later",
        ),
        (end("[[revocation_lists]]\nsigner = \"a\""), "revocation_lists[0].file", "where it is"),
        (end("[[revocation_lists]]\nfile = \"a\""), "signer", "missing field"),
        (end("[[revocation_lists]]\nfile = \"a\"\nsigner = \"\""), "revocation_lists[0].signer", "path"),
        (end("[[revocation_lists]]\nfile = \"a\"\nurl = \"b\"\nsigner = \"c\""), "revocation_lists[0].url", "one of"),
        (end("[[revocation_lists]]\nurl = \"ftp://b\"\nsigner = \"c\""), "revocation_lists[0].url", "base URL"),
        (end("[[monitors]]\nvkey = \"a\"\n[[monitors]]\nvkey = \"a\""), "monitors[1].vkey", "once"),
        (end("[[monitors]]\nkey = \"a\""), "key", "unknown field"),
        (end("[[monitors]]\nvkey = \"a\"\nurl = \"a\""), "monitors[0].url", "base URL"),
        (end("[fetch]\nhosts = [\"https://a\"]"), "fetch.hosts[0]", "host in lower case"),
        (end("[fetch]\ntimeout_seconds = 0"), "fetch.timeout_seconds", "1 to 300"),
        (end("[fetch]\nca_roots = \"\""), "fetch.ca_roots", "path"),
        (end("[fetch]\ncrl = true"), "crl", "unknown field"),
        (end("[limits]\ncharge = true"), "charge", "unknown field"),
        (end("[listen]"), "listen", "unknown field"),
    ];
    for (change, key, allowed) in cases {
        let text = match change {
            Instead(line, other) => {
                assert!(needed().contains(line), "{line}");
                needed().replacen(line, other, 1)
            }
            Policy(line) => needed().replacen("[policy]\n", &format!("[policy]\n{line}\n"), 1),
            End(lines) => needed() + &lines,
        };
        let message = parse(&text).unwrap_err().to_string();
        assert!(message.starts_with("relying-party.toml: "), "{message}");
        assert!(message.contains(key) && message.contains(allowed), "{text}: {message}");
    }
    assert!(parse("").unwrap_err().to_string().contains("missing field `policy`"));
    let without = |table: &str| {
        let text = needed();
        let (before, rest) = text.split_once(table).unwrap();
        let rest = rest.find("[[").map_or("", |next| &rest[next..]);
        parse(&format!("{before}{rest}")).unwrap_err().to_string()
    };
    assert!(without("[[domains]]").contains("`domains` is missing: at least one"), "{}", without("[[domains]]"));
    assert!(without("[[logs]]").contains("`logs` is missing: at least one"), "{}", without("[[logs]]"));
}

/// What is off cannot be asked about at once.
#[test]
fn a_tool_asks_for_no_more_than_the_policy_looks_at() {
    let rule = "[[policy.tools]]\ntool_uri = \"a\"\nocsp_within_seconds = 5\n";
    let message = parse(&(needed().replace("require", "off") + rule)).unwrap_err().to_string();
    assert!(message.contains("policy.tools[0].ocsp_within_seconds") && message.contains("\"off\""), "{message}");
    assert!(parse(&(needed().replace("require", "prefer") + rule)).is_ok());
}

/// The sample, and every example that stands in it as a comment.
#[test]
fn the_sample_is_what_is_printed_to_start_from() {
    let key = |text: &str| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        PublicKey::from_spki_der(&STANDARD.decode(text).unwrap()).unwrap()
    };
    let log = |url: &str, text: &str, operator: &str| Log {
        name: url.to_owned(),
        url: Some(url.to_owned()),
        key: key(text),
        operator: operator.to_owned(),
        origin: None,
        from: UnixMillis::new(0),
        until: None,
    };
    let domain = Domain {
        name: TrustDomain::parse("agents.example.com").unwrap(),
        trusted: Trusted::Roots("root.pem".into()),
        mapping: ScoreMapping::default(),
        minimum: TrustTier::Untrusted.floor(),
    };
    let logs = vec![
        log("https://log-a.example.com/2026h2", KEY, "Log A Ltd"),
        log("https://log-b.example.com/2026h2", OTHER_KEY, "Log B Ltd"),
    ];
    let config = RelyingConfig::new(vec![domain], logs);
    let sample = include_str!("../../../config/relying-party.toml");
    assert_eq!(config.render().unwrap(), sample);
    assert_eq!(RelyingConfig::parse(sample, Path::new(""), "sample").unwrap(), config);
    let is_example = |line: &str| {
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', ':', '`']))
    };
    let shown = |line: &str| line.strip_prefix("# ").filter(|l| is_example(l)).unwrap_or(line).to_owned();
    let text = sample.lines().map(shown).collect::<Vec<_>>().join("\n");
    let all = RelyingConfig::parse(&text, Path::new(""), "examples").unwrap();
    let policy = &all.policy;
    assert!(policy.audited_within_seconds.is_some() && policy.peers.is_some() && policy.inclusion.is_some());
    assert!(policy.revocation.max_age_seconds.is_some() && policy.provenance.builds.is_some());
    assert_eq!((policy.tools.len(), all.domains.len(), all.logs.len()), (1, 1, 2));
    assert_eq!((all.revocation_lists.len(), all.monitors.len()), (1, 1));
    assert!(all.federation_dir.is_some() && all.fetch.unwrap().ca_roots.is_some());
}

proptest! {
    #[test]
    fn what_is_rendered_is_read(
        name in "[^\\p{Cc} ]{1,64}", dir in "[^\0]{1,40}", model in "[^\0]{0,20}", build: [u8; 32],
        score in 20_u8..=100, age in 60_u32..=31_536_000, from in 0..4_000_000_000_u64, issuers: bool,
    ) {
        let mut config = parse(&everything()).unwrap();
        prop_assume!(name.trim() == name);
        config.policy.minimum = Score::new(score).unwrap();
        config.policy.revocation.issuers = issuers;
        config.policy.revocation.max_age_seconds = Some(age);
        config.policy.provenance.builds = Some(vec![build]);
        config.policy.provenance.models = Some(vec![model]);
        config.domains[0].trusted = Trusted::Roots(dir.clone().into());
        config.federation_dir = Some(dir.into());
        config.logs[1].name = name.clone();
        config.logs[1].operator = name;
        config.logs[1].from = UnixMillis::new(from * 1000);
        config.logs[1].until = None;
        prop_assert_eq!(RelyingConfig::parse(&config.render().unwrap(), Path::new(""), "x").unwrap(), config);
    }
}
