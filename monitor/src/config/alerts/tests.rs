use std::path::Path;

use super::*;
use crate::alert::sink::KindConfig;
use crate::config::MonitorConfig;
use crate::finding::Finding;

fn parse(alerts: &str) -> Result<AlertsConfig, String> {
    let text = format!("name = \"monitor.example/1\"\n{alerts}");
    MonitorConfig::parse(&text, Path::new("/etc/atl"), "monitor.toml")
        .map(|config| config.alerts)
        .map_err(|e| e.to_string())
}

/// The example of this module's own documentation.
fn example() -> String {
    let lines = include_str!("../alerts.rs").lines().skip_while(|line| *line != "//! ```toml").skip(1);
    let lines = lines.take_while(|line| *line != "//! ```").map(|line| line.trim_start_matches("//!").trim());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_documented_example_passes() {
    let config = parse(&example()).unwrap();
    let names: Vec<_> = config.sinks.iter().map(|sink| sink.route.sink.as_str()).collect();
    assert_eq!((names, config.keep_days), (vec!["ops", "pager", "mail", "prometheus"], 365));
    let KindConfig::Webhook(webhook) = &config.sinks[0].kind else { panic!() };
    assert_eq!(webhook.secret.as_ref().unwrap().to_string(), "/etc/atl/webhook.secret");
    assert_eq!(config.sinks[0].route.digest, Some(86_400_000));
    // An Alertmanager gathers by itself.
    assert_eq!(config.sinks[3].route.digest, None);
    let KindConfig::Smtp(mail) = &config.sinks[2].kind else { panic!() };
    assert_eq!(mail.port, 587);
    let silence = &config.silences[0];
    assert_eq!(silence.until.to_string(), "2027-01-31T00:00:00.000Z");
    let finding = |domain| Finding::new(Class::Lookalike, None, domain, String::new(), UnixMillis::new(0));
    let now = UnixMillis::new(1_775_822_400_000);
    assert!(silence.covers(&finding("a.partner.example"), now) && !silence.covers(&finding("partner.example"), now));
    assert_eq!(parse("").unwrap(), AlertsConfig { keep_days: 365, sinks: vec![], silences: vec![] });
}

#[test]
fn what_does_not_pass_is_named() {
    let webhook = "[[alerts.webhook]]\nname = \"a\"\nurl = \"https://a.example/\"\n";
    let mail =
        "[[alerts.smtp]]\nname = \"m\"\nhost = \"mail.example\"\nfrom = \"m@a.example\"\nto = [\"o@a.example\"]\n";
    let quiet = "[[alerts.silence]]\nreason = \"x\"\nuntil = 2030-01-01\n";
    for (text, says) in [
        ("[alerts]\nkeep_days = 0\n".to_owned(), "`alerts.keep_days`"),
        ("[alerts]\nkeep_hours = 1\n".to_owned(), "keep_hours"),
        (format!("{webhook}{webhook}"), "`alerts.webhook[1].name`: a sink of this name"),
        (webhook.replace("\"a\"", "\"A b\""), "`alerts.webhook[0].name`"),
        (webhook.replace("https:", "ftp:"), "`alerts.webhook[0].url`"),
        (format!("{webhook}url_file = \"x\"\n"), "one of url, url_file and url_env"),
        (format!("{webhook}secret_file = \"x\"\nsecret_env = \"X\"\n"), "`alerts.webhook[0].secret_file`"),
        (format!("{webhook}secret_env = \"\"\n"), "`alerts.webhook[0].secret_env`"),
        (format!("{webhook}secret = \"inline\"\n"), "unknown field"),
        (format!("{webhook}min_severity = \"bad\"\n"), "critical"),
        (format!("{webhook}digest_hours = 745\n"), "`alerts.webhook[0].digest_hours`"),
        (format!("{webhook}timeout_seconds = 0\n"), "`alerts.webhook[0].timeout_seconds`: 1 to 300"),
        ("[[alerts.command]]\nname = \"c\"\nargv = []\n".to_owned(), "`alerts.command[0].argv`"),
        (mail.to_owned(), "tls"),
        (format!("{mail}tls = \"none\"\nusername = \"u\"\n"), "`alerts.smtp[0].username`"),
        (format!("{mail}tls = \"none\"\nusername = \"u\"\npassword_env = \"P\"\n"), "`alerts.smtp[0].tls`"),
        (format!("{mail}tls = \"implicit\"\n").replace("o@a.example", "o"), "`alerts.smtp[0].to`"),
        (format!("{mail}tls = \"implicit\"\n").replace("mail.example", "a b"), "`alerts.smtp[0].host`"),
        (quiet.to_owned(), "`alerts.silence[0]`: it would silence everything"),
        (format!("{quiet}class = \"log.stale-head\"\n").replace("\"x\"", "\" \""), "`alerts.silence[0].reason`"),
        (format!("{quiet}class = \"log.other\"\n"), "no class of findings"),
        (format!("{quiet}class = \"log.split-view\"\n"), "the alert's `id` only"),
        (format!("{quiet}id = \"0\"\n"), "`alerts.silence[0].id`"),
        (format!("{quiet}log = \"a\"\n").replace("2030-01-01", "12:00:00"), "`alerts.silence[0].until`"),
        ("[[alerts.silence]]\nreason = \"x\"\nlog = \"a\"\n".to_owned(), "until"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
    let split = format!("{quiet}class = \"log.split-view\"\nid = \"{}\"\n", "0".repeat(32));
    assert!(parse(&split).is_ok() && parse(&format!("{quiet}class = \"log.*\"\n")).is_ok());
}

#[test]
fn a_url_that_does_not_pass_is_not_repeated() {
    let error = parse("[[alerts.webhook]]\nname = \"a\"\nurl = \"https://user:hunter2@a.example/\"\n").unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
    let config = parse("[[alerts.webhook]]\nname = \"a\"\nurl = \"https://a.example/s3cret\"\n").unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn dates_are_moments_in_utc() {
    for (text, expected) in [
        ("1970-01-01", "1970-01-01T00:00:00.000Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z"),
        ("2100-03-01", "2100-03-01T00:00:00.000Z"),
        ("2000-12-31T23:59:59Z", "2000-12-31T23:59:59.000Z"),
        ("2026-04-10T12:00:00+02:00", "2026-04-10T10:00:00.000Z"),
    ] {
        assert_eq!(moment(&text.parse().unwrap()).unwrap().to_string(), expected, "{text}");
    }
    assert_eq!(moment(&"1969-12-31".parse().unwrap()), None);
}

#[test]
fn the_page_is_where_people_reach_it() {
    let public = |url: &str| {
        let text = format!("name = \"m.example/1\"\npublic_url = \"{url}\"\n");
        MonitorConfig::parse(&text, Path::new(""), "f").map(|config| config.public_url.unwrap())
    };
    assert_eq!(public("https://m.example/atl/").unwrap(), "https://m.example/atl");
    for bad in ["m.example", "https://", "https://m.example/?a", "https://m.example/<b>"] {
        assert!(public(bad).is_err(), "{bad}");
    }
}
