//! Mail: the text form, to people.
//!
//! The `Message-ID` is made of the message's identifier, so mail programs show one that came twice once.

mod session;

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use atl::time::UnixMillis;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls as Transport, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use self::session::{Failure, Server, part};
use super::http::read_roots;
use super::{OpenError, SinkError, tls_advice};
use crate::alert::message::Message;
use crate::alert::secret::{Secret, Source};
use crate::text::excerpt;

/// Whether, and how, the way to the server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It begins in plain text and goes over to TLS, or ends (RFC 3207).
    StartTls,
    /// It is TLS from the start (RFC 8314).
    Implicit,
    /// It is not: for a server on this machine.
    None,
}

/// A mail server, and who is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpConfig {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way to it is encrypted.
    pub tls: Tls,
    /// PEM certificates that are trusted instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Who we are to it, and where the password is.
    pub login: Option<(String, Source)>,
    /// Who writes.
    pub from: Mailbox,
    /// Who is written to, at least one.
    pub to: Vec<Mailbox>,
    /// How long it may take to answer a command.
    pub timeout: Duration,
}

/// A mail server that is ready.
#[derive(Debug)]
pub struct Smtp {
    server: Server,
    place: String,
    /// The password, plain and as it travels (RFC 4954).
    hidden: Vec<Secret>,
    template: MessageBuilder,
    domain: String,
    /// How long a whole message may take.
    deadline: Duration,
}

impl Smtp {
    /// Makes it ready.
    ///
    /// # Errors
    /// Where the password or the certificates are missing.
    pub fn open(config: &SmtpConfig) -> Result<Self, OpenError> {
        let domain = config.from.email.domain().to_owned();
        let mut server = Server {
            host: config.host.clone(),
            port: config.port,
            tls: transport(config)?,
            hello: ClientId::Domain(domain.clone()),
            credentials: None,
            timeout: config.timeout,
        };
        let mut hidden = Vec::new();
        if let Some((user, source)) = &config.login {
            let secret = source.read()?;
            server.credentials = Some(Credentials::new(user.clone(), secret.expose().to_owned()));
            hidden.push(STANDARD.encode(secret.expose()).into());
            hidden.push(STANDARD.encode(format!("\0{user}\0{}", secret.expose())).into());
            hidden.push(secret);
        }
        let template = lettre::Message::builder().from(config.from.clone());
        Ok(Self {
            server,
            place: format!("{}:{}", config.host, config.port),
            hidden,
            template: config.to.iter().cloned().fold(template, MessageBuilder::to),
            domain,
            deadline: config.timeout.saturating_mul(3),
        })
    }

    /// Hands it to the server.
    ///
    /// # Errors
    /// Where the server did not take it.
    pub async fn send(&self, message: &Message, now: UnixMillis) -> Result<(), SinkError> {
        let mail = self
            .template
            .clone()
            .message_id(Some(format!("<{}@{}>", message.id(), self.domain)))
            .date(UNIX_EPOCH + Duration::from_millis(now.get().min(1 << 47)))
            .subject(message.subject())
            .header(ContentType::TEXT_PLAIN)
            .body(message.text())
            .map_err(|e| SinkError::refused(format!("{}: no mail can be made of it: {e}", self.place)))?;
        match tokio::time::timeout(self.deadline, self.server.hand_over(&mail)).await {
            Ok(Ok(session)) => {
                part(session).await;
                Ok(())
            }
            Ok(Err(failure)) => Err(self.failed(&failure)),
            Err(_) => {
                let seconds = self.deadline.as_secs();
                Err(SinkError::trouble(format!("{}: the mail was not taken within {seconds} s", self.place)))
            }
        }
    }

    fn failed(&self, error: &Failure) -> SinkError {
        let text = self.hidden.iter().fold(error.to_string(), |text, secret| secret.redact(&text));
        let advice = if error.is_answer() { "" } else { tls_advice(&text) };
        SinkError {
            refused: error.is_permanent(),
            ..SinkError::trouble(format!("{}: {}{advice}", self.place, excerpt(&text, 300)))
        }
    }
}

fn transport(config: &SmtpConfig) -> Result<Transport, OpenError> {
    if config.tls == Tls::None {
        return Ok(Transport::None);
    }
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(file) = &config.ca_file {
        let failed = |e: &dyn std::fmt::Display| OpenError::Other(format!("{}: {e}", file.display()));
        let roots = Certificate::from_pem(&read_roots(file)?.0).map_err(|e| failed(&e))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(roots);
    }
    let parameters = builder.build_rustls().map_err(|e| OpenError::Other(format!("TLS does not start: {e}")))?;
    Ok(if config.tls == Tls::Implicit { Transport::Wrapper(parameters) } else { Transport::Required(parameters) })
}
