//! `atl log serve`: where the parts of a log are put together.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::open::{OpenedLog, read_anchors};
use super::witness::{Asked, Collector, witnesses};
use crate::api::{B64, LogDescriptor};
use crate::cli::output::{CliError, Context};
use crate::cli::server::{
    MIN_CONNECTIONS, Running, listen, rate, read_tls_files, room_for_connections, run_until_stopped,
};
use crate::cli::{runtime, start_tracing};
use crate::config::{LogConfig, TlsFiles};
use crate::http::log::{LogParts, LogService};
use crate::http::metrics::Metrics;
use crate::http::serve::{serve, stopped};
use crate::http::tls::acceptor;
use crate::keys::Signer;
use crate::log::admission::Rules;
use crate::log::store::LogStore;
use crate::sequencer::task::{Parts, Sequencer, Settings};
use crate::storage::disk;
use crate::storage::head_file::HeadFile;
use crate::storage::rocks::RocksStore;
use crate::time::{Clock, WatchedClock};

/// How long requests under way have to hear that the log has failed.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How often the disk is looked at and idle rate limits are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(2);

/// Serve a log over HTTP until it is told to stop (SIGTERM or Ctrl-C).
///
/// It stops by itself, with the reason, rather than contradict what it has signed: when a write
/// fails, the database is an older copy, or the clock goes back.
#[derive(Args)]
pub struct ServeArgs {
    /// The configuration that `atl log init` wrote
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs it.
pub fn run(args: &ServeArgs) -> Result<(), CliError> {
    start_tracing();
    let opened = OpenedLog::read(&args.config)?;
    runtime()?.block_on(async {
        let running = RunningLog::start(opened).await?;
        let serving = |log: &RunningLog| tracing::info!(origin = %log.origin, listen = %log.address, "serving");
        run_until_stopped(running, serving, "requests under way and the queue are finished").await
    })
}

/// A log that serves.
pub struct RunningLog {
    /// Its name.
    pub origin: String,
    /// Where it listens.
    pub address: SocketAddr,
    sequencer: Arc<Sequencer>,
    store: Arc<RocksStore>,
    service: Arc<LogService>,
    stop: watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<()>>,
}

impl RunningLog {
    /// Opens the store, checks its history and begins to serve.
    pub async fn start(opened: OpenedLog) -> Result<Self, CliError> {
        let anchors = read_anchors(&opened.config.anchors_dir)?;
        if anchors.iter().len() == 0 {
            tracing::warn!(dir = %opened.config.anchors_dir.display(), "no anchors: every submission will be refused");
        }
        let tls = opened.config.tls.as_ref().map(tls_acceptor).transpose()?;
        let room = room_for_connections()?;
        let listener = listen(opened.config.listen).await?;
        let metrics_listener = match opened.config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let address = listener.local_addr().context("the listener")?;
        let store = Arc::new(RocksStore::open(&opened.config.data_dir).map_err(|e| CliError::new(e.to_string()))?);
        let metrics = Arc::new(Metrics::new().context("the metrics")?);
        let head_file = HeadFile::new(opened.head_file());
        let OpenedLog { config, origin, signer } = opened;
        let (signer, clock): (Arc<dyn Signer>, Arc<dyn Clock>) = (Arc::new(signer), Arc::new(WatchedClock::start()));
        let parts = Parts {
            store: Arc::clone(&store) as Arc<dyn LogStore>,
            keeper: Arc::new(head_file),
            signer: Arc::clone(&signer),
            clock: Arc::clone(&clock),
            observer: Arc::clone(&metrics) as _,
        };
        let asked = witnesses(&config, signer.public_key())?;
        let descriptor = descriptor(&config, &*signer, &asked)?;
        let settings = Settings {
            origin,
            sth_interval_ms: u64::from(config.sth_interval_seconds) * 1000,
            queue_limit: config.queue_limit,
            retention_ms: config.retention_seconds.saturating_mul(1000),
        };
        let sequencer = tokio::task::spawn_blocking(move || Sequencer::start(parts, settings)).await;
        let sequencer = Arc::new(sequencer.context("the sequencer")?.map_err(|e| CliError::new(e.to_string()))?);
        let service = Arc::new(LogService::new(LogParts {
            sequencer: Arc::clone(&sequencer),
            store: Arc::clone(&store) as Arc<dyn LogStore>,
            signer,
            clock: Arc::clone(&clock),
            anchors,
            rules: Rules {
                not_after_start: config.not_after_start,
                not_after_limit: config.not_after_limit,
                max_chain_length: config.max_chain_length as usize,
            },
            descriptor,
            per_source: rate(config.per_source),
            per_anchor: rate(config.per_anchor),
            max_body_bytes: config.max_body_bytes,
            max_batch_body_bytes: config.max_batch_body_bytes(),
            metrics: Arc::clone(&metrics),
        }));
        let (stop, stopping) = watch::channel(false);
        let router = Arc::clone(&service).router(config.metrics_listen.is_none());
        let mut servers = vec![tokio::spawn(serve(listener, room, tls, router, stopping.clone()))];
        if let Some(listener) = metrics_listener {
            let router = Arc::clone(&service).metrics_router();
            servers.push(tokio::spawn(serve(listener, MIN_CONNECTIONS, None, router, stopping.clone())));
        }
        let collector = Collector {
            sequencer: Arc::clone(&sequencer),
            store: Arc::clone(&store) as Arc<dyn LogStore>,
            service: Arc::clone(&service),
            metrics,
            clock,
        };
        for (place, asked) in asked.into_iter().enumerate() {
            servers.push(tokio::spawn(collector.clone().collect(place, asked, stopping.clone())));
        }
        servers.push(tokio::spawn(housekeeping(Arc::clone(&service), config.clone(), stopping)));
        Ok(Self { origin: config.origin, address, sequencer, store, service, stop, servers })
    }

    /// Resolves only if the log ends by itself, with the reason.
    pub async fn ended(&self) -> CliError {
        let why = tokio::select! {
            end = self.sequencer.ended() => end.map_or_else(|fatal| fatal.to_string(), |()| "it was asked to".into()),
            what = self.service.damaged() => {
                format!("the database is damaged: {what}; put an undamaged copy back, and look at the disk")
            }
        };
        CliError::new(format!("the log stopped to keep its promises: {why}"))
    }

    /// Ends a log that has failed: whoever waits hears that it stopped, and nothing is written or
    /// signed any more.
    pub async fn abandon(self) {
        self.service.close();
        self.stop.send_replace(true);
        let sequencer = self.sequencer;
        let ended = tokio::task::spawn_blocking(move || sequencer.abandon());
        let answered = async {
            for server in self.servers {
                let _ = server.await;
            }
        };
        let _ = tokio::time::timeout(LAST_ANSWERS, answered).await;
        let _ = ended.await;
    }

    /// Finishes what is under way, signs a last head and closes the store.
    pub async fn stop(self) -> Result<(), CliError> {
        self.service.close();
        self.stop.send_replace(true);
        for server in self.servers {
            server.await.context("a server task")?;
        }
        let (sequencer, store) = (self.sequencer, self.store);
        let last = tokio::task::spawn_blocking(move || {
            sequencer.shutdown().map_err(|e| CliError::new(e.to_string()))?;
            store.flush().map_err(|e| CliError::new(e.to_string()))
        });
        last.await.context("the sequencer")?
    }
}

impl Running for RunningLog {
    async fn ended(&self) -> CliError {
        Self::ended(self).await
    }

    async fn abandon(self) {
        Self::abandon(self).await;
    }

    async fn stop(self) -> Result<(), CliError> {
        Self::stop(self).await
    }
}

async fn housekeeping(service: Arc<LogService>, config: LogConfig, mut stop: watch::Receiver<bool>) {
    let low_watermark = NonZeroU64::new(config.disk_low_watermark_bytes);
    loop {
        match disk::available(&config.data_dir) {
            Ok(available) => service.set_disk(available, low_watermark),
            Err(error) => tracing::warn!(%error, "the room on the disk cannot be read"),
        }
        service.forget_idle();
        tokio::select! {
            () = tokio::time::sleep(HOUSEKEEPING) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

fn tls_acceptor(files: &TlsFiles) -> Result<TlsAcceptor, CliError> {
    acceptor(read_tls_files(files)?, None).context("TLS")
}

fn descriptor(config: &LogConfig, signer: &dyn Signer, witnesses: &[Asked]) -> Result<LogDescriptor, CliError> {
    let key = signer.public_key();
    let origin: crate::log::checkpoint::Origin = config.origin.parse().context("`origin`")?;
    Ok(LogDescriptor {
        origin: config.origin.clone(),
        log_id: key.log_id(),
        key: B64(key.spki_der().to_vec()),
        vkey: origin.verifier_key(key).context("`key_file`")?.to_string(),
        operator: config.operator.clone(),
        sth_interval_seconds: u64::from(config.sth_interval_seconds),
        mmd_seconds: u64::from(config.sth_interval_seconds),
        not_after_start: config.not_after_start,
        not_after_limit: config.not_after_limit,
        retention_seconds: config.retention_seconds,
        witnesses: witnesses.iter().map(|asked| asked.key.to_string()).collect(),
        hash: "SHA-256".into(),
        signature_algorithm: "Ed25519".into(),
        oid_arc: crate::apki::oid::ARC.into(),
    })
}
