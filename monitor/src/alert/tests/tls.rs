//! A front that speaks TLS, before a receiver that does not; with certificates of its own, and faults on demand.

use std::io::Result;
use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Answers for all that a sender of a mail waits for, in plain text.
const YES_TO_ALL: &str =
    "250-mail.example\r\n250 AUTH PLAIN\r\n235 hello\r\n250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n221 f\r\n";

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    OtherCa,
    OtherName,
    Expired,
    /// Where TLS should begin there is plain text.
    NoTls,
    /// It does not offer STARTTLS, and would take all in plain text.
    NoStartTls,
    /// Somebody on the way puts answers behind that to STARTTLS, and lets through nothing after the handshake.
    Injected,
}

/// A root and an authority below it, which issues.
struct Authority {
    root: String,
    chain: Vec<rcgen::Certificate>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let named = |name: String| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params, KeyPair::generate().unwrap())
        };
        let ((root, root_key), (params, key)) = (named(name.to_owned()), named(format!("{name}, below")));
        let pem = root.self_signed(&root_key).unwrap().pem();
        let chain = vec![params.signed_by(&key, &Issuer::new(root, root_key)).unwrap()];
        Self { root: pem, chain, issuer: Issuer::new(params, key) }
    }

    /// A server at `name` with a certificate of this authority that ends with the year.
    fn server(&self, name: &str, year: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 12, 31));
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let chain = std::iter::once(&leaf).chain(&self.chain).map(|certificate| certificate.der().clone()).collect();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()))
    }
}

struct Inner {
    backend: u16,
    /// Whether a mail server's plain text comes first (RFC 3207).
    starttls: bool,
    authority: Authority,
    fault: Mutex<Fault>,
    /// All that it was sent in plain text.
    plain: Mutex<Vec<u8>>,
    open: watch::Sender<usize>,
}

pub struct Front {
    pub port: u16,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    pub async fn start(backend: u16, starttls: bool, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (authority, open) = (Authority::new("ours"), watch::Sender::new(0));
        let (fault, plain) = (Mutex::new(fault), Mutex::default());
        let inner = Arc::new(Inner { backend, starttls, authority, fault, plain, open });
        let task = tokio::spawn(serve(listener, Arc::clone(&inner)));
        Self { port, inner, task }
    }

    /// The root below which its certificate should be.
    pub fn root(&self) -> &str {
        &self.inner.authority.root
    }

    pub fn mend(&self) {
        *self.inner.fault.lock() = Fault::Nothing;
    }

    /// All that it was sent in plain text, once nobody is connected any more.
    pub async fn plain(&self) -> String {
        self.inner.open.subscribe().wait_for(|open| *open == 0).await.unwrap();
        String::from_utf8_lossy(&self.inner.plain.lock()).into_owned()
    }
}

async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        inner.open.send_modify(|open| *open += 1);
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            // What goes wrong is seen at the other end.
            let _ = pass_on(stream, &inner).await;
            inner.open.send_modify(|open| *open -= 1);
        });
    }
}

async fn pass_on(stream: TcpStream, inner: &Inner) -> Result<()> {
    let fault = *inner.fault.lock();
    let mut stream = BufReader::new(stream);
    let mut backend = BufReader::new(TcpStream::connect(("127.0.0.1", inner.backend)).await?);
    if fault == Fault::NoStartTls {
        return copy_bidirectional(&mut stream, &mut backend).await.map(drop);
    }
    if inner.starttls {
        backend.read_line(&mut String::new()).await?;
        until_starttls(&mut stream, inner, fault).await?;
    }
    if fault == Fault::NoTls {
        stream.write_all(b"500 what is this?\r\n").await?;
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest).await;
        inner.plain.lock().extend(rest);
        return read.map(drop);
    }
    let acceptor = match fault {
        Fault::OtherCa => Authority::new("others").server("127.0.0.1", 2999),
        Fault::OtherName => inner.authority.server("other.example", 2999),
        Fault::Expired => inner.authority.server("127.0.0.1", 2021),
        _ => inner.authority.server("127.0.0.1", 2999),
    };
    let mut stream = acceptor.accept(stream).await?;
    if fault == Fault::Injected {
        return tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop);
    }
    copy_bidirectional(&mut stream, &mut backend).await.map(drop)
}

async fn until_starttls(stream: &mut BufReader<TcpStream>, inner: &Inner, fault: Fault) -> Result<()> {
    stream.write_all(b"220 mail.example\r\n").await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        inner.plain.lock().extend(line.as_bytes());
        let answer = match line.split_whitespace().next() {
            // A password would be welcome even now.
            Some("EHLO") => "250-mail.example\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n".to_owned(),
            Some("STARTTLS") if fault == Fault::Injected => format!("220 go on\r\n{YES_TO_ALL}"),
            Some("STARTTLS") => return stream.write_all(b"220 go on\r\n").await,
            _ => "250 well\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
        if answer.starts_with("220") {
            return Ok(());
        }
        line.clear();
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}
