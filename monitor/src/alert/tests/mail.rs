//! A mail server that speaks enough of RFC 5321 to take a mail.

use std::sync::Arc;

use lettre::message::Mailbox;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::alert::sink::{SmtpConfig, Tls};

/// What it was told: the commands, and the mails.
#[derive(Default)]
pub struct Told {
    pub commands: Vec<String>,
    pub mails: Vec<String>,
}

pub struct MailServer {
    pub port: u16,
    pub told: Arc<Mutex<Told>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MailServer {
    /// `reply` is the answer to the recipient.
    pub async fn start(reply: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(Mutex::new(Told::default()));
        let shared = Arc::clone(&told);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = converse(stream, reply, &shared).await;
            }
        });
        Self { port, told, task }
    }

    pub fn sink(&self, office: &Office) -> SinkConfig {
        let mailbox = |text: &str| -> Mailbox { text.parse().unwrap() };
        let config = SmtpConfig {
            host: "127.0.0.1".into(),
            port: self.port,
            tls: Tls::None,
            ca_file: None,
            login: Some(("monitor".into(), office.secret(SECRET))),
            from: mailbox("The monitor <monitor@a.example>"),
            to: vec![mailbox("ops@b.example"), mailbox("Second <second@b.example>")],
            timeout: Duration::from_secs(30),
        };
        sink("mail", KindConfig::Smtp(config))
    }
}

async fn converse(stream: TcpStream, reply: &str, told: &Mutex<Told>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.example\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        told.lock().commands.push(line.clone());
        let answer = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => "250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "AUTH" => "235 hello",
            "RCPT" => reply,
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    mail.push_str(&line);
                    mail.push('\n');
                }
                told.lock().mails.push(mail);
                "250 taken"
            }
            // It has what it wanted, and keeps the line.
            "QUIT" if reply == "251 forwarded" => continue,
            "QUIT" => return write.write_all(b"221 bye\r\n").await,
            _ => "250 well",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn people_are_written_to() {
    let office = Office::new();
    let server = MailServer::start("250 well").await;
    let courier = office.courier(&[server.sink(&office)]);
    let id = office.raise(Class::SplitView, "a");
    courier.round().await.unwrap();
    let told = server.told.lock();
    let has = |command: &str| assert!(told.commands.iter().any(|had| had == command), "{command}: {:?}", told.commands);
    has("EHLO a.example");
    has("RCPT TO:<ops@b.example>");
    has("RCPT TO:<second@b.example>");
    let [mail] = &told.mails[..] else { panic!() };
    for line in [
        &format!("Message-ID: <{id}@a.example>"),
        "Date: Fri, 10 Apr 2026 12:00:00 +0000",
        "From: \"The monitor\" <monitor@a.example>",
        "CRITICAL: the log shows different trees to different monitors",
        "About a.",
    ] {
        assert!(mail.lines().any(|had| had == line), "{line}: {mail}");
    }
    assert!(mail.contains("Subject: [atl critical] log.example/1: the log shows"), "{mail}");
    assert!(office.alert(id).deliveries["mail"].delivered_at.is_some());
}

#[tokio::test]
async fn a_refusal_is_told_from_a_server_that_is_busy_and_neither_tells_the_password() {
    use base64::Engine as _;
    let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0monitor\0{SECRET}"));
    let echo: &'static str = Box::leak(format!("550 no {plain} {SECRET} here").into_boxed_str());
    for (reply, refused) in [(echo, true), ("451 later", false)] {
        let office = Office::new();
        let server = MailServer::start(reply).await;
        let courier = office.courier(&[server.sink(&office)]);
        let id = office.raise(Class::StaleHead, "a");
        courier.round().await.unwrap();
        assert!(server.told.lock().commands.contains(&format!("AUTH PLAIN {plain}")));
        let delivery = office.alert(id).deliveries["mail"].clone();
        let error = delivery.last_error.unwrap();
        assert_eq!((delivery.refused, error.contains(SECRET) || error.contains(&plain)), (refused, false), "{error}");
        assert!(error.starts_with(&format!("127.0.0.1:{}: ", server.port)) && error.contains(&reply[..3]), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_starttls_is_sent_nothing() {
    let office = Office::new();
    let server = MailServer::start("250 well").await;
    let mut config = server.sink(&office);
    let KindConfig::Smtp(smtp) = &mut config.kind else { panic!() };
    smtp.tls = Tls::StartTls;
    let courier = office.courier(&[config]);
    let id = office.raise(Class::StaleHead, "a");
    courier.round().await.unwrap();
    assert!(office.alert(id).deliveries["mail"].delivered_at.is_none());
    let told = server.told.lock();
    assert!(told.mails.is_empty() && !told.commands.iter().any(|command| command.starts_with("AUTH")));
}

#[tokio::test]
async fn a_mail_that_was_taken_is_not_sent_again_for_want_of_a_goodbye() {
    let office = Office::new();
    let server = MailServer::start("251 forwarded").await;
    let courier = office.courier(&[server.sink(&office)]);
    let id = office.raise(Class::StaleHead, "a");
    courier.round().await.unwrap();
    assert!(office.alert(id).deliveries["mail"].delivered_at.is_some());
    assert_eq!(server.told.lock().mails.len(), 1);
}
