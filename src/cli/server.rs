//! What servers have in common: files to open, addresses to listen on, TLS, and when to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::output::{CliError, Context};
use crate::config::{RateLimit, TlsFiles};
use crate::http::limits::Rate;
use crate::http::serve::{MAX_CONNECTIONS, stopped};
use crate::http::tls::provider;
use crate::journal::JournalHead;
use crate::keys::RandomSource;
use crate::log::store::StoreError;
use crate::storage::ca::journal_file::JournalFile;

/// Files that the database and everything else but connections may have open.
const OWN_FILES: u64 = 768;
/// How often a journal's head is kept beside its database.
const JOURNAL_HEAD: Duration = Duration::from_secs(1);
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

/// A server that runs.
pub trait Running {
    /// Resolves only if it ends by itself, with the reason.
    fn ended(&self) -> impl Future<Output = CliError>;

    /// Ends one that has failed: whoever waits hears that it stopped.
    fn abandon(self) -> impl Future<Output = ()>;

    /// Finishes what is under way and closes the store.
    fn stop(self) -> impl Future<Output = Result<(), CliError>>;
}

/// Waits until the process is told to stop, or the server ends by itself. `serving` says that it serves: only once a
/// signal is waited for, as whoever reads that may send one at once. `first` says what is finished before the process
/// ends.
pub async fn run_until_stopped<R: Running>(running: R, serving: impl FnOnce(&R), first: &str) -> Result<(), CliError> {
    let stop = shutdown_signal()?;
    serving(&running);
    tokio::select! {
        () = stop => {
            tracing::info!("stopping: {first} first");
            running.stop().await
        }
        failure = running.ended() => {
            running.abandon().await;
            Err(failure)
        }
    }
}

/// Keeps a journal's head beside its database, within a second of every change, until `stop` turns true.
pub async fn keep_journal_head(
    file: JournalFile,
    head: impl Fn() -> Result<JournalHead, StoreError> + Clone + Send + 'static,
    mut stop: watch::Receiver<bool>,
) {
    // Also of an empty journal: rows without a head beside them are refused.
    let mut kept = None;
    loop {
        let (file, head) = (file.clone(), head.clone());
        let keep = tokio::task::spawn_blocking(move || {
            let head = head()?;
            if kept != Some(head) {
                file.keep(&head)?;
            }
            Ok::<_, StoreError>(head)
        });
        match keep.await {
            Ok(Ok(head)) => kept = Some(head),
            Ok(Err(error)) => tracing::error!(%error, "the journal's head cannot be kept beside the database"),
            Err(error) => tracing::error!(%error, "the journal's head cannot be kept beside the database"),
        }
        tokio::select! {
            () = tokio::time::sleep(JOURNAL_HEAD) => {}
            () = stopped(&mut stop) => return,
        }
    }
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
