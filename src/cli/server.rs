//! What servers have in common: files to open, addresses to listen on, TLS, and when to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::ResolvesServerCert;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::output::{CliError, Context};
use crate::config::{RateLimit, TlsFiles};
use crate::http::limits::Rate;
use crate::http::serve::MAX_CONNECTIONS;
use crate::keys::RandomSource;

/// Files that the database and everything else but connections may have open.
const OWN_FILES: u64 = 768;
/// Fewer connections than this are no service.
pub const MIN_CONNECTIONS: usize = 64;

/// Lets this process open all the files that it may; how many connections that leaves room for.
/// Connections are files too, and a server must always be able to open its own.
pub fn room_for_connections() -> Result<usize, CliError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let Some(files) = getrlimit(Resource::Nofile).current else { return Ok(MAX_CONNECTIONS) };
    match usize::try_from(files.saturating_sub(OWN_FILES)).unwrap_or(MAX_CONNECTIONS) {
        room if room < MIN_CONNECTIONS => Err(CliError::new(format!(
            "this process may open {files} files, and a server needs {OWN_FILES} for itself and one more for each \
             connection: raise the limit (`ulimit -n`, or LimitNOFILE= in systemd)"
        ))),
        room => Ok(room.min(MAX_CONNECTIONS)),
    }
}

/// Listens on `address`.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.context(format_args!("{address} cannot be listened on"))
}

/// A limit as the servers take it.
pub const fn rate(limit: RateLimit) -> Rate {
    Rate { per_second: limit.per_second, burst: limit.burst }
}

/// What a server shows who connects, and asks of them.
pub struct Tls {
    /// Its certificate and key, which may change while it runs.
    pub certificate: Arc<dyn ResolvesServerCert>,
    /// Judges certificates of clients; `None` asks for none.
    pub clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Tls {
    /// Ready to accept connections, HTTP/2 preferred.
    pub fn acceptor(self) -> Result<TlsAcceptor, CliError> {
        let builder = rustls::ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().context("TLS")?;
        let builder = match self.clients {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_cert_resolver(self.certificate);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(server)))
    }
}

/// The machine's randomness, for keys that need some to sign.
pub fn random_source() -> RandomSource {
    Arc::new(aws_lc_rs::rand::SystemRandom::new())
}

/// The cryptography of every TLS connection here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificate and key in these files, read once.
pub fn read_tls_files(files: &TlsFiles) -> Result<Arc<dyn ResolvesServerCert>, CliError> {
    let (cert_file, key_file) = (files.cert_file.display(), files.key_file.display());
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect)
        .context(format_args!("{cert_file} (`tls.cert_file`)"))?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file).context(format_args!("{key_file} (`tls.key_file`)"))?;
    let certified = CertifiedKey::from_der(certificates, key, &provider());
    Ok(Arc::new(SingleCertAndKey::from(certified.context(format_args!("{cert_file} and {key_file}"))?)))
}

/// Resolves on SIGTERM or Ctrl-C.
pub fn shutdown_signal() -> Result<impl Future<Output = ()>, CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
