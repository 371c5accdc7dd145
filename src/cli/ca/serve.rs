//! `atl ca serve`: where the parts of a CA are put together.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::bundle;
use super::certificate::{certificate_pem, read_certificate};
use super::engine::engine;
use super::keyfile::PrivateKey;
use super::policy::{policy, read_registry, read_salt};
use super::root_keeper::{RootKeeper, former_issuers};
use super::service_tls::OwnCertificate;
use super::status;
use super::submitter::HttpLog;
use super::tls::{ClientChainCheck, accepted_issuers};
use crate::api::B64;
use crate::api::ca::{CaDescriptor, LogAnswer};
use crate::apki::federation::publish::BundlePublisher;
use crate::apki::{AgentUri, Certificate};
use crate::ca::issuance::{IssuingCa, KnownLog, SatRule};
use crate::ca::lint::Linter;
use crate::ca::ports::{CaStore, LogSubmitter, StoreError, TrustScores};
use crate::ca::service::{CaService, Parts, Settings, StatusSettings, SystemRandom};
use crate::cli::federation::keep::keep;
use crate::cli::output::{CliError, Context};
use crate::cli::pki::KeyKind;
use crate::cli::server::{
    MIN_CONNECTIONS, Running, keep_journal_head, listen, random_source, rate, read_tls_files, room_for_connections,
    run_until_stopped,
};
use crate::cli::{runtime, start_tracing};
use crate::config::CaConfig;
use crate::config::ca::HumanPrincipal;
use crate::http::ca::metrics::CaMetrics;
use crate::http::ca::status::StatusApi;
use crate::http::ca::{CaApi, CaParts, Operator};
use crate::http::serve::{serve, stopped};
use crate::http::tls::acceptor;
use crate::http::wellknown::BundleHolder;
use crate::keys::{KeyError, PublicKey, SignatureAlgorithm, Signer, signer_from_pkcs8_pem};
use crate::storage::ca::crl_file::CrlFile;
use crate::storage::ca::journal_file::JournalFile;
use crate::storage::ca::rocks::RocksCaStore;
use crate::storage::disk;
use crate::time::{Clock, SystemClock};

/// How long a log that failed is left alone, where there is none in its place.
const FAILURE_PAUSE_MS: u64 = 1_000;
/// How long one question may take the trust engine.
const ENGINE_TIMEOUT_MS: u64 = 2_000;
/// Requests that may wait for the writer.
const QUEUE_LIMIT: usize = 4096;
/// Issuances at a time; more are asked to come again.
const MAX_ISSUANCES: usize = 512;
/// How old a precertificate may be that is taken to the logs again after a start.
const RESUME_WINDOW_MS: u64 = 600_000;
/// How often the disk is looked at and idle rate limits are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How long requests under way have to hear that the CA has failed.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Serve a CA over HTTPS until it is told to stop (SIGTERM or Ctrl-C).
///
/// It never reads the root's key. It stops by itself, with the reason, when a write fails: what it
/// cannot record it does not issue.
#[derive(Args)]
pub struct ServeArgs {
    /// The configuration that `atl ca init` wrote
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs it.
pub fn run(args: &ServeArgs) -> Result<(), CliError> {
    start_tracing();
    let opened = OpenedCa::read(&args.config)?;
    runtime()?.block_on(async {
        let running = RunningCa::start(opened).await?;
        let serving = |ca: &RunningCa| {
            tracing::info!(
                trust_domain = %ca.trust_domain, listen = %ca.address, status = ?ca.status_address, "serving"
            );
        };
        run_until_stopped(running, serving, "issuances under way are finished").await
    })
}

/// A CA's files, read and held against each other.
pub struct OpenedCa {
    /// The configuration.
    pub config: CaConfig,
    issuing: IssuingCa,
    linter: Linter,
    bundle: Option<BundlePublisher>,
}

impl OpenedCa {
    /// Reads what `config` names.
    pub fn read(config: &Path) -> Result<Self, CliError> {
        let config = CaConfig::load(config).map_err(|e| CliError::new(e.to_string()))?;
        let certificate = read_certificate(&config.issuer_certificate)?;
        let root = read_certificate(&config.root_certificate)?;
        let files = format!(
            "{}, {} and {}",
            config.issuer_certificate.display(),
            config.issuer_key.display(),
            config.root_certificate.display()
        );
        let key_file = config.issuer_key.display();
        let pem = Zeroizing::new(std::fs::read_to_string(&config.issuer_key).context(&key_file)?);
        let signer: Arc<dyn Signer> = signer(&pem).context(key_file)?;
        let linter = linter(&config, certificate.clone()).context(config.issuer_certificate.display())?;
        let bundle = bundle::publisher(&config, root.clone())?;
        let issuing = IssuingCa::new(certificate, vec![root], signer).context(files)?;
        Ok(Self { config, issuing, linter, bundle })
    }
}

fn signer(pem: &str) -> Result<Arc<dyn Signer>, KeyError> {
    signer_from_pkcs8_pem(pem, random_source()).map(Arc::from)
}

/// The linter's key is made here and goes with the process: nobody ever certifies it.
fn linter(config: &CaConfig, issuer: Certificate) -> Result<Linter, CliError> {
    let key = PublicKey::from_spki_der(issuer.spki_der()).context("its key")?;
    let kind = match key.algorithm() {
        SignatureAlgorithm::Ed25519 => KeyKind::Ed25519,
        SignatureAlgorithm::EcdsaP256Sha256 => KeyKind::P256,
    };
    let throw_away = signer(&PrivateKey::generate(kind)?.to_pem()?).context("the throw-away key")?;
    let any = AgentUri::parse(&format!("agent://{}/a/b/c", config.trust_domain)).context("trust_domain")?;
    issuer.permits_agent(&any).context(format_args!("it may not vouch for agents of {}", config.trust_domain))?;
    Linter::new(issuer, throw_away, &config.trust_domain, config.name_constraint).context("it cannot issue")
}

/// A CA that serves.
pub struct RunningCa {
    /// Whom it issues for.
    pub trust_domain: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where lists and OCSP are over plain HTTP, if they are.
    pub status_address: Option<SocketAddr>,
    /// The CA itself.
    pub service: Arc<CaService>,
    store: Arc<RocksCaStore>,
    journal: JournalFile,
    stop: watch::Sender<bool>,
    servers: Vec<tokio::task::JoinHandle<()>>,
}

impl RunningCa {
    /// Opens the store, takes up what was interrupted and begins to serve.
    pub async fn start(opened: OpenedCa) -> Result<Self, CliError> {
        let OpenedCa { config, issuing, linter, bundle } = opened;
        let room = room_for_connections()?;
        let listener = listen(config.listen).await?;
        let metrics_listener = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let address = listener.local_addr().context("the listener")?;
        let status_listener = match config.status.listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let status_address = status_listener.as_ref().map(|listener| listener.local_addr().context("its listener"));
        let status_address = status_address.transpose()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let root = issuing.chain().last().unwrap_or(issuing.certificate()).clone();
        let issuers = accepted_issuers(&issuing).context("the issuing certificate")?;
        let descriptor = descriptor(&config, &issuing)?;
        let metrics = Arc::new(CaMetrics::new().context("the metrics")?);
        let store = Arc::new(RocksCaStore::open(&config.data_dir).map_err(|e| CliError::new(e.to_string()))?);
        let journal = JournalFile::beside(&config.data_dir);
        journal.check(&*store).map_err(|e| rolled_back(&e, &config.data_dir))?;
        let parts = Parts {
            store: Arc::clone(&store) as Arc<dyn CaStore>,
            kept_head: Some(Arc::new(journal.clone())),
            kept_list: Some(Arc::new(CrlFile::beside(&config.data_dir))),
            former_issuers: former_issuers(&config.issuer_certificate, &root),
            logs: logs(&config)?,
            trust: trust_engine(&config)?,
            ca: issuing,
            linter,
            policy: rules(&config)?,
            clock: Arc::clone(&clock),
            random: Arc::new(SystemRandom),
            observer: Arc::clone(&metrics) as _,
        };
        let service = CaService::start(parts, settings(&config, status::settings(&config, address, status_address)))
            .map_err(|e| CliError::new(e.to_string()))?;
        let (stop, stopping) = watch::channel(false);
        let mut servers = Vec::new();
        // Before anybody can ask for a certificate.
        let keeper = RootKeeper::start(Arc::clone(&service), root, &config, Arc::clone(&clock))?;
        servers.push(tokio::spawn(keeper.keep(stopping.clone())));
        let certificate: Arc<dyn rustls::server::ResolvesServerCert> = match &config.tls {
            Some(files) => read_tls_files(files)?,
            None => {
                let own = OwnCertificate::new(&service, &config.public_names).await?;
                servers.push(tokio::spawn(Arc::clone(&own).keep(Arc::clone(&service), stopping.clone())));
                own
            }
        };
        let clients = ClientChainCheck::new(issuers, Arc::clone(&clock)).verifier();
        let tls = acceptor(certificate, Some(clients)).context("TLS")?;
        let api = Arc::new(CaApi::new(CaParts {
            service: Arc::clone(&service),
            descriptor,
            operators: config.operators.iter().map(operator).collect(),
            per_source: rate(config.per_source),
            per_token: rate(config.per_token),
            metrics: Arc::clone(&metrics),
        }));
        let status_api = Arc::new(StatusApi::new(Arc::clone(&service), rate(config.status.per_source), metrics));
        service.prepare_ocsp().await.map_err(|e| CliError::new(format!("the OCSP responder: {e}")))?;
        let holder = Arc::new(BundleHolder::default());
        if let Some(publisher) = bundle {
            // The first one before anybody can ask.
            holder.set(Some(bundle::published(publisher.publish(clock.now()).context("the trust bundle")?)));
            let (holder, clock) = (Arc::clone(&holder), Arc::clone(&clock));
            servers.push(tokio::spawn(bundle::publish(publisher, holder, clock, stopping.clone())));
        }
        if let Some(dir) = config.federation.dir.clone() {
            servers.push(tokio::spawn(keep(dir, clock, stopping.clone())));
        }
        let router = Arc::clone(&api)
            .router(config.metrics_listen.is_none())
            .merge(holder.router())
            .merge(Arc::clone(&status_api).router());
        servers.push(tokio::spawn(serve(listener, room, Some(tls), router, stopping.clone())));
        if let Some(listener) = status_listener {
            let router = Arc::clone(&status_api).router();
            servers.push(tokio::spawn(serve(listener, room, None, router, stopping.clone())));
        }
        if let Some(listener) = metrics_listener {
            let router = Arc::clone(&api).metrics_router();
            servers.push(tokio::spawn(serve(listener, MIN_CONNECTIONS, None, router, stopping.clone())));
        }
        servers.push(tokio::spawn(housekeeping(
            (api, status_api),
            Arc::clone(&service),
            config.clone(),
            stopping.clone(),
        )));
        let kept = Arc::clone(&store);
        servers.push(tokio::spawn(keep_journal_head(journal.clone(), move || kept.head(), stopping)));
        Ok(Self { trust_domain: config.trust_domain, address, status_address, service, store, journal, stop, servers })
    }

    /// Resolves only if the CA ends by itself, with the reason.
    pub async fn ended(&self) -> CliError {
        CliError::new(format!(
            "the CA stopped, because it could not record what it does: {}",
            self.service.ended().await
        ))
    }

    /// Ends a CA that has failed: whoever waits hears that it stopped.
    pub async fn abandon(self) {
        self.stop.send_replace(true);
        let answered = async {
            for server in self.servers {
                let _ = server.await;
            }
        };
        let _ = tokio::time::timeout(LAST_ANSWERS, answered).await;
        self.service.stop().await;
    }

    /// Finishes what is under way and closes the store.
    pub async fn stop(self) -> Result<(), CliError> {
        self.stop.send_replace(true);
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
    (api, status): (Arc<CaApi>, Arc<StatusApi>),
    service: Arc<CaService>,
    config: CaConfig,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        match disk::available(&config.data_dir) {
            Ok(available) => service.set_disk_low(available < config.disk_low_watermark_bytes),
            Err(error) => tracing::warn!(%error, "the room on the disk cannot be read"),
        }
        api.forget_idle();
        status.forget_idle();
        tokio::select! {
            () = tokio::time::sleep(HOUSEKEEPING) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// A database from the past is not gone on with unasked: tokens spent since would be good once more.
fn rolled_back(error: &StoreError, data_dir: &Path) -> CliError {
    CliError::new(format!(
        "{}: {error}\nPut the newest copy of the database back. If there is none, look at what is lost and accept it: \
         atl ca audit accept --help",
        data_dir.display()
    ))
}

impl Running for RunningCa {
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

type Logs = Vec<(KnownLog, Arc<dyn LogSubmitter>)>;

fn logs(config: &CaConfig) -> Result<Logs, CliError> {
    if config.logs.is_empty() {
        return Err(CliError::new(
            "no certificate can be issued without a transparency log: name one under [[logs]] in ca.toml",
        ));
    }
    let log = |log: &crate::config::ca::TrustedLog| {
        let submitter: Arc<dyn LogSubmitter> = Arc::new(HttpLog::new(&log.url).context(&log.url)?);
        Ok((KnownLog::new(log.url.clone(), log.operator.clone(), log.key.clone()), submitter))
    };
    config.logs.iter().map(log).collect()
}

fn trust_engine(config: &CaConfig) -> Result<Option<Arc<dyn TrustScores>>, CliError> {
    let Some(named) = &config.trust.engine else { return Ok(None) };
    engine(&named.url, named.ca_file.as_deref(), named.token_file.as_deref()).map(Some)
}

fn rules(config: &CaConfig) -> Result<crate::ca::policy::Policy, CliError> {
    let rules = &config.certificates;
    let hashed = rules.human_principal == HumanPrincipal::Hashed;
    let salt = hashed.then(|| read_salt(&rules.principal_salt_file)).transpose()?;
    policy(config, salt, read_registry(config)?)
}

fn settings(config: &CaConfig, status: StatusSettings) -> Settings {
    let issuance = &config.issuance;
    Settings {
        sat_rule: SatRule { min_sats: NonZeroUsize::from(issuance.min_sats), ..SatRule::default() },
        backdate_ms: u64::from(config.certificates.backdate_seconds) * 1000,
        log_timeout_ms: issuance.log_timeout_ms.into(),
        attempts: issuance.attempts.get(),
        straggler_ms: issuance.straggler_ms.into(),
        failure_pause_ms: FAILURE_PAUSE_MS,
        engine_timeout_ms: ENGINE_TIMEOUT_MS,
        queue_limit: QUEUE_LIMIT,
        max_issuances: MAX_ISSUANCES,
        resume_window_ms: RESUME_WINDOW_MS,
        status,
    }
}

fn operator(operator: &crate::config::ca::Operator) -> Operator {
    Operator { name: operator.name.clone(), token_sha256: operator.token_sha256 }
}

fn descriptor(config: &CaConfig, issuing: &IssuingCa) -> Result<CaDescriptor, CliError> {
    let chain = std::iter::once(issuing.certificate()).chain(issuing.chain());
    let log = |log: &crate::config::ca::TrustedLog| LogAnswer {
        url: log.url.clone(),
        operator: log.operator.clone(),
        key: B64(log.key.spki_der().to_vec()),
    };
    Ok(CaDescriptor {
        trust_domain: config.trust_domain.clone(),
        organization: config.organization.clone(),
        chain_pem: chain.map(certificate_pem).collect::<Result<String, _>>()?,
        logs: config.logs.iter().map(log).collect(),
        min_validity_seconds: config.certificates.min_validity_seconds,
        default_validity_seconds: config.certificates.default_validity_seconds,
        max_validity_seconds: config.certificates.max_validity_seconds,
        oid_arc: crate::apki::oid::ARC.into(),
    })
}
