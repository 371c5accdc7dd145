//! What a sink needs, and what it never shows.

use super::receiver::Mode;
use super::*;
use crate::alert::sink::{AlertmanagerConfig, CommandConfig, Sink, SmtpConfig, Tls};

#[tokio::test]
async fn no_secret_is_in_what_is_shown() {
    let office = Office::new();
    let receiver = Receiver::start(Mode::Status(401)).await;
    let token = Some(office.secret(SECRET));
    let http = HttpConfig { token, ..office.http(&receiver, "/hook/T0KEN-in-the-path?key=K3Y-in-the-query") };
    let mailbox = || "a@a.example".parse().unwrap();
    let smtp = SmtpConfig {
        host: "127.0.0.1".into(),
        port: 1,
        tls: Tls::None,
        ca_file: None,
        login: Some(("monitor".into(), office.secret(SECRET))),
        from: mailbox(),
        to: vec![mailbox()],
        timeout: Duration::from_secs(1),
    };
    let [minute, day] = [60, 86_400].map(Duration::from_secs);
    let kinds = [
        KindConfig::Webhook(WebhookConfig { http: http.clone(), secret: Some(office.secret(SECRET)) }),
        KindConfig::Smtp(smtp),
        KindConfig::Alertmanager(AlertmanagerConfig { http, resend_every: minute, active_for: day }),
    ];
    let letterhead = Letterhead { monitor: "m".into(), public_url: None };
    let message = letterhead.message(&Finding::new(Class::Test, None, "x", "x".into(), office.clock.now()));
    for kind in kinds {
        let opened = Sink::open(&kind, "m").unwrap();
        let error = opened.send(&message, office.clock.now()).await.unwrap_err();
        let shown = format!("{kind:?} {opened:?} {error} {error:?}");
        for secret in [SECRET, "T0KEN", "K3Y"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
    assert_eq!(receiver.sent()[0].header("authorization"), format!("Bearer {SECRET}"));
}

#[test]
fn a_secret_that_is_missing_or_too_short_is_named_with_what_to_do() {
    let office = Office::new();
    let open = |secret: Source| {
        let place = Place::Url(Url::parse("https://a.example/").unwrap());
        let http = HttpConfig { place, token: None, ca_file: None, timeout: Duration::from_secs(1) };
        Sink::open(&KindConfig::Webhook(WebhookConfig { http, secret: Some(secret) }), "m").unwrap_err().to_string()
    };
    let short = open(office.secret("tooshort"));
    assert!(short.contains("at least 16 octets") && !short.contains("tooshort"), "{short}");
    let missing = open(Source::File("/no/such/secret".into()));
    assert!(missing.starts_with("/no/such/secret: "), "{missing}");
}

#[tokio::test]
async fn a_command_is_told_and_others_beside_it() {
    let office = Office::new();
    let file = office.dir.path().join("told");
    let args = vec!["-c".into(), format!("cat >> '{}'; echo >> '{0}'", file.display())];
    let command = CommandConfig { program: "sh".into(), args, timeout: Duration::from_secs(30) };
    let missing = CommandConfig { program: "/no/such/pager".into(), ..command.clone() };
    let sinks = [sink("file", KindConfig::Command(command)), sink("pager", KindConfig::Command(missing))];
    let courier = office.courier(&sinks);
    let ids = ["a", "b"].map(|name| office.raise(Class::StaleHead, name));
    courier.round().await.unwrap();
    let told = std::fs::read_to_string(file).unwrap();
    let had: Vec<_> = told
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(had, ids.map(|id| id.to_string()));
    let error = office.alert(ids[0]).deliveries["pager"].last_error.clone().unwrap();
    assert!(error.contains("/no/such/pager does not start"), "{error}");
}
