use std::path::Path;

use super::*;

const LOGS: &str = r#"
name = "monitor.example/m"
"#;

fn parse(text: &str) -> Result<MonitorConfig, ConfigError> {
    MonitorConfig::parse(&format!("{LOGS}{text}"), Path::new("/etc/atl"), "monitor.toml")
}

/// Two logs that are followed, as tables behind all others.
fn with_logs(text: &str) -> Result<MonitorConfig, ConfigError> {
    use atl::keys::{Ed25519Signer, Signer};
    let log = |name: &str, seed| {
        let key = Ed25519Signer::from_seed(&[seed; 32]).unwrap();
        let key = VerifierKey::new(name.parse().unwrap(), key.public_key().clone()).unwrap();
        format!("[[logs]]\nurl = \"https://{name}\"\nvkey = \"{key}\"\n")
    };
    parse(&format!("{text}\n{}{}", log("a.log.example", 1), log("b.log.example", 2)))
}

#[test]
fn without_an_owner_the_rules_for_all_are_on() {
    let config = parse("").unwrap();
    assert_eq!((config.owner, config.feed, config.rules), (Owner::default(), None, Settings::default()));
    assert!(config.lookalike.enabled);
}

#[test]
fn all_that_may_stand_there_is_taken() {
    let config = with_logs(
        r#"
        [owner]
        domains = ["bank.example", "pay.example"]
        organizations = ["payments"]
        demand_delegation = true
        max_score = 70
        max_scores = { "agents.pay.example" = 40 }
        allow = ["bank-labs.example"]
        [feed]
        dir = "authorised"
        ca = [{ url = "https://ca.bank.example", token_file = "token", roots_file = "/etc/roots.pem" }]
        grace_seconds = 60
        poll_seconds = 5
        [rules]
        profile = false
        bulk_new_ca = 7
        merge_delay_seconds = 2
        expect_in = [["a.log.example", "b.log.example"]]
        expect_within_seconds = 30
        [lookalike]
        watched_file = "watched.txt"
        alert = 35
        "#,
    )
    .unwrap();
    assert_eq!(config.owner.max_scores[0].1.get(), 40);
    assert_eq!(config.owner.domains.len(), 2);
    let feed = config.feed.unwrap();
    assert_eq!(feed.dir.as_deref(), Some(Path::new("/etc/atl/authorised")));
    assert_eq!(feed.cas[0].token_file, Path::new("/etc/atl/token"));
    assert_eq!(feed.cas[0].roots_file.as_deref(), Some(Path::new("/etc/roots.pem")));
    assert_eq!((feed.grace_seconds, feed.poll_seconds, config.rules.grace), (60, 5, 60_000));
    assert!(!config.rules.profile && config.rules.validity);
    assert_eq!(config.rules.bulk.unwrap().new_ca, 7);
    assert_eq!((config.rules.merge_delay, config.rules.expect_within), (2000, 30_000));
    assert_eq!(config.rules.expect_in[0].len(), 2);
    assert_eq!((config.lookalike.alert.get(), config.lookalike.digest.get()), (35, 35));
    let quiet = parse("[rules]\nbulk = false").unwrap();
    assert_eq!(quiet.rules.bulk, None);
}

#[test]
fn a_complaint_names_the_key() {
    for (text, key) in [
        ("[owner]\ndomains = [\"a.example\", \"B.example\"]", "owner.domains[1]"),
        ("[owner]\ndomains = [\"a.example\", \"co.uk\"]", "owner.domains[1]"),
        ("[owner]\norganizations = [\" x\"]", "owner.organizations[0]"),
        ("[owner]\nallow = [\"example\"]", "owner.allow[0]"),
        ("[owner]\ndomains = [\"a.example\"]\nmax_score = 101", "owner.max_score"),
        ("[owner]\nmax_score = 50", "owner.max_score"),
        ("[owner]\ndemand_delegation = true", "owner.demand_delegation"),
        ("[owner]\ndomains = [\"a.example\"]\nmax_scores = { \"b.example\" = 5 }", "owner.max_scores.\"b.example\""),
        ("[owner]\ndomains = [\"a.example\"]\nmax_scores = { \"xa.example\" = 5 }", "owner.max_scores.\"xa.example\""),
        ("[owner]\ndomains = [\"a.example\"]\nmax_scores = { \"a.example\" = -5 }", "owner.max_scores.\"a.example\""),
        ("[owner]\ndomains = [\"a.example\"]\n[feed]", "feed"),
        ("[feed]\ndir = \"x\"", "feed"),
        ("[owner]\ndomains = [\"a.example\"]\n[feed]\ndir = \"x\"\npoll_seconds = 0", "feed.poll_seconds"),
        ("[owner]\ndomains = [\"a.example\"]\n[feed]\ndir = \"x\"\ngrace_seconds = -1", "feed.grace_seconds"),
        (
            "[owner]\ndomains = [\"a.example\"]\n[feed]\nca = [{ url = \"ftp://x\", token_file = \"t\" }]",
            "feed.ca[0].url",
        ),
        ("[rules]\nbulk_factor = 0", "rules.bulk_factor"),
        ("[rules]\nmost_per_hour = 0", "rules.most_per_hour"),
        ("[rules]\nexpect_in = [[\"a.log.example\", \"c.log.example\"]]", "rules.expect_in[0][1]"),
        ("[rules]\nexpect_in = [[\"a.log.example\"]]", "rules.expect_in[0]"),
        ("[rules]\nexpect_in = [[\"a.log.example\", \"a.log.example\"]]", "rules.expect_in[0]"),
        ("[lookalike]\nalert = 0", "lookalike.alert"),
        ("[lookalike]\nalert = 30\ndigest = 31", "lookalike.digest"),
    ] {
        let error = with_logs(text).unwrap_err();
        assert!(matches!(&error, ConfigError::Key { key: found, .. } if found == key), "{text}: {error}");
    }
    for text in ["[owner]\nx = 1", "[feed]\nx = 1", "[rules]\nx = 1", "[lookalike]\nx = 1"] {
        assert!(matches!(parse(text), Err(ConfigError::Unreadable { .. })), "{text}");
    }
}
