//! Sinks with a real TLS server at the other end: whom they trust, what they say where they do not, and what nobody
//! on the way may read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::mail::MailServer;
use super::receiver::Mode;
use super::tls::{Fault, Front};
use super::*;
use crate::alert::Delivery;
use crate::alert::sink::{Sink, SmtpConfig, Tls};

/// How a sink comes to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Webhook,
    Mail(Tls),
}

const WAYS: [Way; 3] = [Way::Webhook, Way::Mail(Tls::Implicit), Way::Mail(Tls::StartTls)];

/// A sink, the front that it comes to, and the receivers behind that, of which it means one.
struct Line {
    office: Office,
    courier: Arc<Courier>,
    front: Front,
    web: Receiver,
    mail: MailServer,
}

impl Line {
    /// With everything secret that there may be.
    async fn start(way: Way, fault: Fault) -> Self {
        let (office, web) = (Office::new(), Receiver::start(Mode::Status(200)).await);
        let mail = MailServer::start("250 well").await;
        let backend = if way == Way::Webhook { web.port() } else { mail.port };
        let front = Front::start(backend, way == Way::Mail(Tls::StartTls), fault).await;
        let file = office.dir.path().join("root.pem");
        std::fs::write(&file, front.root()).unwrap();
        let mut kind = mail.sink(&office).kind;
        if let (Way::Mail(tls), KindConfig::Smtp(smtp)) = (way, &mut kind) {
            (smtp.tls, smtp.port, smtp.ca_file) = (tls, front.port, Some(file));
        } else {
            let url = format!("https://127.0.0.1:{}/services/T0KEN-in-the-path", front.port);
            let (place, secret) = (Place::Url(url.parse().unwrap()), Some(office.secret(SECRET)));
            let timeout = Duration::from_secs(30);
            let http = HttpConfig { place, token: secret.clone(), ca_file: Some(file), timeout };
            kind = KindConfig::Webhook(WebhookConfig { http, secret });
        }
        let courier = office.courier(&[sink("ops", kind)]);
        Self { office, courier, front, web, mail }
    }

    async fn deliver(&self, id: FindingId) -> Delivery {
        self.courier.round().await.unwrap();
        self.office.alert(id).deliveries["ops"].clone()
    }

    /// How many alerts have arrived.
    fn taken(&self) -> usize {
        self.web.sent().len() + self.mail.told.lock().mails.len()
    }

    /// Whether all that went over the wire in plain text holds something that only the server may read.
    async fn leaks(&self) -> bool {
        tells(&self.front.plain().await)
    }
}

fn tells(text: &str) -> bool {
    let login = STANDARD.encode(format!("\0monitor\0{SECRET}"));
    let secrets = [SECRET, &STANDARD.encode(SECRET), &login, "T0KEN"];
    secrets.iter().chain(&["AUTH", "MAIL", "About a"]).any(|part| text.contains(part))
}

/// The server with its fault is told nothing, and the alert once it is mended.
async fn refuses(way: Way, fault: Fault, cause: &str) {
    let line = Line::start(way, fault).await;
    let id = line.office.raise(Class::SplitView, "a");
    let delivery = line.deliver(id).await;
    let error = delivery.last_error.unwrap_or_default();
    let context = format!("{way:?}, {fault:?}: {error}");
    assert!(delivery.delivered_at.is_none(), "{context}");
    assert!(error.contains(&format!("127.0.0.1:{}: ", line.front.port)) && error.contains(cause), "{context}");
    assert!(!tells(&error) && !line.leaks().await && line.taken() == 0, "{context}");
    assert!(!tells(&line.mail.told.lock().commands.join("\n")), "{context}");
    // Not the alert is at fault, so it does not wait like one that was refused.
    assert!(!delivery.refused, "{context}");
    line.front.mend();
    line.office.pass(delivery.next_attempt_at.unwrap().since(line.office.clock.now()));
    assert!(line.deliver(id).await.delivered_at.is_some() && line.taken() == 1, "{context}");
    assert!(!line.leaks().await, "{context}");
}

#[tokio::test]
async fn a_server_below_the_configured_root_gets_the_alert_and_nobody_on_the_way() {
    for way in WAYS {
        let line = Line::start(way, Fault::Nothing).await;
        let id = line.office.raise(Class::SplitView, "a");
        assert!(line.deliver(id).await.delivered_at.is_some(), "{way:?}");
        assert_eq!((line.taken(), line.leaks().await), (1, false), "{way:?}");
    }
}

#[tokio::test]
async fn one_that_cannot_be_trusted_is_told_nothing_and_everything_once_it_can() {
    for way in WAYS {
        for (fault, cause) in [
            (Fault::OtherCa, "UnknownIssuer: its certificate leads to no CA that we trust; name its CA in ca_file"),
            (Fault::OtherName, "certificate not valid for name \"127.0.0.1\""),
            (Fault::Expired, "certificate expired"),
            (Fault::NoTls, "InvalidContentType: it does not speak TLS there; look at the port"),
        ] {
            refuses(way, fault, cause).await;
        }
    }
}

#[tokio::test]
async fn a_mail_server_without_starttls_is_told_nothing() {
    refuses(Way::Mail(Tls::StartTls), Fault::NoStartTls, "STARTTLS is not supported").await;
}

#[tokio::test]
async fn answers_in_plain_text_are_none_to_what_is_sent_under_tls() {
    refuses(Way::Mail(Tls::StartTls), Fault::Injected, "InvalidContentType").await;
}

#[test]
fn a_ca_file_that_trusts_nobody_is_refused_by_name() {
    let office = Office::new();
    let file = office.dir.path().join("root.pem");
    let http = HttpConfig {
        place: Place::Url("https://a.example/".parse().unwrap()),
        token: None,
        ca_file: Some(file.clone()),
        timeout: Duration::from_secs(1),
    };
    let mailbox = || "a@a.example".parse().unwrap();
    let smtp = SmtpConfig {
        host: "a.example".into(),
        port: 465,
        tls: Tls::Implicit,
        ca_file: Some(file.clone()),
        login: None,
        from: mailbox(),
        to: vec![mailbox()],
        timeout: Duration::from_secs(1),
    };
    let kinds = [KindConfig::Webhook(WebhookConfig { http, secret: None }), KindConfig::Smtp(smtp)];
    for text in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\n"), Some("a.example")] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        for kind in &kinds {
            let error = Sink::open(kind, "m").unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}: ", file.display())), "{text:?}, {kind:?}: {error}");
        }
    }
}
