//! What servers have in common: files to open, addresses to listen on, TLS, and when to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;

use super::output::{CliError, Context};
use crate::config::{RateLimit, TlsFiles};
use crate::http::limits::Rate;
use crate::http::serve::MAX_CONNECTIONS;
use crate::http::tls::provider;
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

/// The machine's randomness, for keys that need some to sign.
pub fn random_source() -> RandomSource {
    Arc::new(aws_lc_rs::rand::SystemRandom::new())
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
