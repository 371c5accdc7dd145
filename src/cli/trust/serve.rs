//! `atl trust serve`: where the parts of a trust engine are put together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;

use super::clients::KnownReporters;
use crate::api::trust::{MAX_SIGNALS, MAX_WAIT_SECONDS};
use crate::cli::output::{CliError, Context};
use crate::cli::server::{
    MIN_CONNECTIONS, Running, keep_journal_head, listen, rate, read_tls_files, room_for_connections, run_until_stopped,
};
use crate::cli::{runtime, start_tracing};
use crate::config::TrustConfig;
use crate::config::trust::{Reporter, Role};
use crate::http::serve::{serve, stopped};
use crate::http::tls::{acceptor, client_verifier};
use crate::http::trust::metrics::TrustMetrics;
use crate::http::trust::{Holder, TokenHolder, TrustApi, TrustParts};
use crate::log::store::StoreError;
use crate::storage::ca::journal_file::JournalFile;
use crate::storage::disk;
use crate::storage::trust::rocks::RocksTrustStore;
use crate::time::{Clock, SystemClock};
use crate::trust::half_points::HalfPoints;
use crate::trust::policy::{BaselineRule, Policy};
use crate::trust::ports::TrustStore;
use crate::trust::reporter::Reporters;
use crate::trust::service::{self, Parts, ReporterId, Settings, TrustService};

/// Commands that may wait for the writer: some reports of the greatest size.
const QUEUE_LIMIT: usize = 4096;
/// How often the disk is looked at and idle rate limits are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How long requests under way have to hear that the engine has failed.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Serve a trust engine over HTTPS until it is told to stop (SIGTERM or Ctrl-C).
///
/// Reporters are known by the key of their TLS client certificate, the CA and operators by a token. It
/// stops by itself, with the reason, when a write fails; and it does not start on a database that is older
/// than what it had come to. Reporters, readers and operators are read at the start.
///
/// Example:
///   atl trust serve --config mytrust/trust.toml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ServeArgs {
    /// The configuration that `atl trust init` wrote
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs it.
pub fn run(args: &ServeArgs) -> Result<(), CliError> {
    start_tracing();
    let config = TrustConfig::load(&args.config).map_err(|e| CliError::new(e.to_string()))?;
    runtime()?.block_on(async {
        let running = RunningTrust::start(config).await?;
        let serving = |engine: &RunningTrust| {
            tracing::info!(trust_domain = %engine.trust_domain, listen = %engine.address, "serving");
        };
        run_until_stopped(running, serving, "requests under way are finished").await
    })
}

/// A trust engine that serves.
pub struct RunningTrust {
    /// Whose agents' scores it keeps.
    pub trust_domain: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The engine itself.
    pub service: Arc<TrustService>,
    store: Arc<RocksTrustStore>,
    journal: JournalFile,
    stop: watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<()>>,
}

impl RunningTrust {
    /// Opens the store, checks its history and begins to serve.
    pub async fn start(config: TrustConfig) -> Result<Self, CliError> {
        let room = room_for_connections()?;
        let certificate = read_tls_files(&config.tls)?;
        let listener = listen(config.listen).await?;
        let metrics_listener = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let address = listener.local_addr().context("the listener")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(TrustMetrics::new().context("the metrics")?);
        let reporters = reporters(&config)?;
        if reporters.is_empty() {
            tracing::warn!("nobody is registered under [[reporters]]: no signal will be taken in");
        }
        let store = Arc::new(RocksTrustStore::open(&config.data_dir).map_err(|e| CliError::new(e.to_string()))?);
        let journal = JournalFile::beside_trust(&config.data_dir);
        journal.check_trust(&*store).map_err(|e| rolled_back(&e, &config.data_dir))?;
        // Before the first row: whatever kills the process from then on finds a head beside the rows.
        store.head().and_then(|head| journal.keep(&head)).context("the ledger's head")?;
        let parts = Parts {
            store: Arc::clone(&store) as Arc<dyn TrustStore>,
            policy: policy(&config, &reporters)?,
            clock: Arc::clone(&clock),
            observer: Arc::clone(&metrics) as _,
        };
        let service = TrustService::start(parts, settings()).map_err(|e| CliError::new(e.to_string()))?;
        // Any certificate connects: whose key it is, each request asks, and says what is wrong with it.
        let tls = acceptor(certificate, Some(client_verifier(Arc::new(|_, _| Ok(())), Vec::new()))).context("TLS")?;
        let known = KnownReporters::new(reporters, clock);
        let api = Arc::new(TrustApi::new(TrustParts {
            service: Arc::clone(&service),
            identify: Arc::new(move |der: &[u8]| known.identify(der)),
            holders: holders(&config),
            per_source: rate(config.per_source),
            per_reporter: rate(config.per_reporter),
            metrics,
        }));
        let (stop, stopping) = watch::channel(false);
        let router = Arc::clone(&api).router(config.metrics_listen.is_none());
        let mut servers = vec![tokio::spawn(serve(listener, room, Some(tls), router, stopping.clone()))];
        if let Some(listener) = metrics_listener {
            let router = Arc::clone(&api).metrics_router();
            servers.push(tokio::spawn(serve(listener, MIN_CONNECTIONS, None, router, stopping.clone())));
        }
        servers.push(tokio::spawn(housekeeping(api, Arc::clone(&service), config.clone(), stopping.clone())));
        let kept = Arc::clone(&store);
        servers.push(tokio::spawn(keep_journal_head(journal.clone(), move || kept.head(), stopping)));
        Ok(Self { trust_domain: config.trust_domain, address, service, store, journal, stop, servers })
    }
}

impl Running for RunningTrust {
    async fn ended(&self) -> CliError {
        CliError::new(format!(
            "the trust engine stopped, because it could not record what it does: {}",
            self.service.ended().await
        ))
    }

    async fn abandon(self) {
        self.stop.send_replace(true);
        self.service.let_go();
        let answered = async {
            for server in self.servers {
                let _ = server.await;
            }
        };
        let _ = tokio::time::timeout(LAST_ANSWERS, answered).await;
        self.service.stop().await;
    }

    async fn stop(self) -> Result<(), CliError> {
        self.stop.send_replace(true);
        self.service.let_go();
        for server in self.servers {
            server.await.context("a server task")?;
        }
        self.service.stop().await;
        let (store, journal) = (self.store, self.journal);
        let last = tokio::task::spawn_blocking(move || {
            store.flush()?;
            journal.keep(&store.head()?)
        });
        last.await.context("the store")?.context("the store")
    }
}

async fn housekeeping(
    api: Arc<TrustApi>,
    service: Arc<TrustService>,
    config: TrustConfig,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        match disk::available(&config.data_dir) {
            Ok(available) => service.set_disk_low(available < config.disk_low_watermark_bytes),
            Err(error) => tracing::warn!(%error, "the room on the disk cannot be read"),
        }
        api.forget_idle();
        tokio::select! {
            () = tokio::time::sleep(HOUSEKEEPING) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// A database from the past is not gone on with unasked: bad agents would have their scores back.
fn rolled_back(error: &StoreError, data_dir: &Path) -> CliError {
    CliError::new(format!(
        "{}: {error}\nPut the newest copy of the database back. If there is none, look at what is lost and accept it: \
         atl trust ledger accept --help",
        data_dir.display()
    ))
}

fn settings() -> Settings {
    let max_wait = Duration::from_secs(MAX_WAIT_SECONDS);
    Settings { queue_limit: QUEUE_LIMIT, max_signals: MAX_SIGNALS, max_wait }
}

fn reporters(config: &TrustConfig) -> Result<Vec<(ReporterId, Reporter)>, CliError> {
    let named = |reporter: &Reporter| Ok((reporter.name.parse().context("[[reporters]]")?, reporter.clone()));
    config.reporters.iter().map(named).collect()
}

fn holders(config: &TrustConfig) -> Vec<TokenHolder> {
    let readers =
        config.readers.iter().map(|reader| TokenHolder { token_sha256: reader.token_sha256, who: Holder::Reader });
    let operators = config.operators.iter().map(|operator| {
        let role = match operator.role {
            Role::Ca => service::Role::Ca,
            Role::Engine => service::Role::Engine,
        };
        let who = Holder::Operator(service::Operator { name: operator.name.clone(), role });
        TokenHolder { token_sha256: operator.token_sha256, who }
    });
    readers.chain(operators).collect()
}

fn policy(config: &TrustConfig, reporters: &[(ReporterId, Reporter)]) -> Result<Policy, CliError> {
    let keys = reporters.iter().map(|(id, reporter)| (id.clone(), reporter.public_key.clone()));
    let rules = &config.policy;
    let points = |points: u16| HalfPoints::new(i32::from(points) * 2);
    Ok(Policy {
        audience: config.trust_domain.clone(),
        reporters: Reporters::new(keys).context("[[reporters]]")?,
        decay_rate: rules.decay_rate,
        active_ms: u64::from(rules.active_seconds) * 1000,
        swing: points(rules.swing_points),
        reporter_cap: points(rules.reporter_cap.into()),
        rise_limit: points(rules.rise_limit.into()),
        incident: HalfPoints::ZERO.minus(points(rules.incident_points.into())),
        penalty_lapse_days: rules.penalty_lapse_days,
        signals_per_hour: rules.signals_per_hour.into(),
        ahead_ms: u64::from(rules.max_ahead_seconds) * 1000,
        age_ms: u64::from(rules.max_age_seconds) * 1000,
        baseline: BaselineRule {
            min_signals: config.baseline.min_signals,
            min_others: config.baseline.min_others,
            deviations: config.baseline.deviations,
        },
    })
}
