//! `atl gateway serve`: where the parts of a gateway are put together.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::audits::{first_audits, keep_audits};
use super::knowledge::Known;
use super::ledger;
use super::lists::{first_lists, keep_lists};
use crate::cli::output::{CliError, Context};
use crate::cli::server::{MIN_CONNECTIONS, Running, listen, room_for_connections, run_until_stopped};
use crate::cli::{runtime, start_tracing};
use crate::config::gateway::{Listen, Proxy as ConfiguredProxy};
use crate::http::gateway::metrics::GatewayMetrics;
use crate::http::gateway::ports::Ledger;
use crate::http::gateway::{Caller, GatewayApi, GatewayParts, Proxy};
use crate::http::serve::{Listener, serve, stopped};
use crate::time::{Clock, SystemClock};

/// How often it is looked whether the ledger still counts.
const LEDGER: Duration = Duration::from_secs(1);

/// Serve a gateway until it is told to stop (SIGTERM or Ctrl-C).
///
/// A reverse proxy that ended an agent's TLS asks it with the client's certificate: nginx by auth_request, Envoy by
/// ext_authz over HTTP. It answers yes, with who the agent is, or no, with the reasons, and counts what it allows.
/// Whoever may ask it may say which certificate a client has, so it listens on the loopback or on a socket for the
/// proxy alone. config/nginx-gateway.conf and config/envoy-gateway.yaml have the proxies' side.
///
/// Files that changed are read anew every few seconds, and at once on SIGHUP. What cannot be used is said in the log,
/// and what was before stays in force.
///
/// Example:
///   atl gateway serve --config gateway.toml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ServeArgs {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs it.
pub fn run(args: &ServeArgs) -> Result<(), CliError> {
    start_tracing();
    runtime()?.block_on(async {
        let running = RunningGateway::start(&args.config).await?;
        let serving = |gateway: &RunningGateway| tracing::info!(listen = gateway.listen, "serving");
        run_until_stopped(running, serving, "requests under way are finished").await
    })
}

/// A gateway that serves.
pub struct RunningGateway {
    /// Where it listens.
    pub listen: String,
    ledger: Arc<dyn Ledger>,
    socket: Option<PathBuf>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

impl RunningGateway {
    /// Reads the files and begins to serve.
    pub async fn start(file: &Path) -> Result<Self, CliError> {
        let room = room_for_connections()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(GatewayMetrics::new().context("the metrics")?);
        let known = Known::open(file.to_owned(), Arc::clone(&clock), Arc::clone(&metrics))?;
        let config = known.snapshot().config.clone();
        let ledger = ledger::open(&config.ledger)?;
        let (listener, listen_name, socket) = bind(&config.listen).await?;
        let metrics_listener = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let hangup = signal(SignalKind::hangup()).context("SIGHUP")?;
        let known = Arc::new(known);
        let (all, audited) = tokio::join!(first_lists(&known, &metrics), first_audits(&known, &metrics));
        let proxy = match config.proxy {
            ConfiguredProxy::Nginx => Proxy::Nginx,
            ConfiguredProxy::Envoy => Proxy::Envoy,
        };
        let api = Arc::new(GatewayApi::new(GatewayParts {
            caller: Caller { proxy, secret_sha256: config.secret_sha256 },
            knowledge: Arc::clone(&known) as _,
            ledger: Arc::clone(&ledger),
            clock,
            standing_ms: u64::from(config.refresh.ocsp_seconds) * 1000,
            metrics: Arc::clone(&metrics),
        }));
        let (stop, stopping) = watch::channel(false);
        let router = Arc::clone(&api).router(config.metrics_listen.is_none());
        let mut servers = vec![tokio::spawn(serve(listener, room, None, router, stopping.clone()))];
        if let Some(listener) = metrics_listener {
            let router = api.metrics_router();
            servers.push(tokio::spawn(serve(listener, MIN_CONNECTIONS, None, router, stopping.clone())));
        }
        let every = Duration::from_secs(config.refresh.files_seconds.into());
        servers.push(tokio::spawn(keep_files(Arc::clone(&known), every, hangup, stopping.clone())));
        let (knows, counts) = (Arc::clone(&known), Arc::clone(&metrics));
        servers.push(tokio::spawn(keep_audits(knows, counts, audited, stopping.clone())));
        servers.push(tokio::spawn(keep_lists(known, metrics, all, stopping)));
        Ok(Self { listen: listen_name, ledger, socket, stop, servers })
    }
}

impl Running for RunningGateway {
    /// A ledger that could not write lets nobody in, and a new start reads what it wrote.
    async fn ended(&self) -> CliError {
        loop {
            if let Some(why) = self.ledger.failure() {
                return CliError::new(format!("the gateway stopped, because its ledger cannot count: {why}"));
            }
            tokio::time::sleep(LEDGER).await;
        }
    }

    async fn abandon(self) {
        let _ = self.stop().await;
    }

    async fn stop(self) -> Result<(), CliError> {
        self.stop.send_replace(true);
        if let Some(socket) = self.socket {
            // Whoever takes its place makes a new one.
            let _ = fs::remove_file(socket);
        }
        for server in self.servers {
            server.await.context("a server task")?;
        }
        Ok(())
    }
}

/// Looks at the files every now and then, and whenever somebody says so.
async fn keep_files(known: Arc<Known>, every: Duration, mut hangup: Signal, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = hangup.recv() => tracing::info!("reads its files again"),
            () = stopped(&mut stop) => return,
        }
        let known = Arc::clone(&known);
        if let Err(error) = tokio::task::spawn_blocking(move || known.look()).await {
            tracing::error!(%error, "the files could not be looked at");
        }
    }
}

async fn bind(to: &Listen) -> Result<(Listener, String, Option<PathBuf>), CliError> {
    match to {
        Listen::Tcp(address) => {
            let listener = listen(*address).await?;
            let name = listener.local_addr().context("the listener")?.to_string();
            Ok((listener.into(), name, None))
        }
        Listen::Unix(path) => {
            forget_socket(path)?;
            let listener =
                UnixListener::bind(path).context(format_args!("{} cannot be listened on", path.display()))?;
            // For the proxy, by a group that it is in.
            fs::set_permissions(path, Permissions::from_mode(0o660)).context(path.display())?;
            Ok((listener.into(), format!("unix:{}", path.display()), Some(path.clone())))
        }
    }
}

/// Removes the socket that a gateway left behind which was killed; not one where somebody answers, and no file of
/// another kind.
fn forget_socket(path: &Path) -> Result<(), CliError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context(path.display()),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(CliError::new(format!("{} is there, and no socket: choose another `listen`", path.display())));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(CliError::new(format!("somebody listens on {} already", path.display()))),
        Err(_) => fs::remove_file(path).context(path.display()),
    }
}
