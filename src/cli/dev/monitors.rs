//! Two monitors beside the demo's logs: `atl-monitor` as two processes of their own, which exchange heads.
//!
//! ```text
//! DIR/monitor-x/, monitor-y/   monitor.toml, the key, what the monitor keeps, and what it says (monitor.log)
//! ```

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::{Child, Command};

use super::dishonest::Dishonest;
use super::setup::{Home, TRUST_DOMAIN};
use super::view::Log;
use crate::cli::files::{Staged, write_new};
use crate::cli::output::{CliError, Context};
use crate::cli::random;
use crate::keys::{Ed25519Signer, Signer};
use crate::log::note::{KeyName, VerifierKey};

/// How often a page is looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// Seconds that the owner's own list has to come to know a certificate.
const GRACE_SECONDS: u32 = 3;

/// The two of them.
pub struct Monitors {
    /// The first, and the one that it talks to.
    pub pair: [Monitor; 2],
    /// The program that they run.
    pub program: PathBuf,
}

/// A monitor that runs.
pub struct Monitor {
    /// Its name.
    pub name: String,
    /// Where its page is.
    pub url: String,
    /// Where it keeps everything.
    pub dir: PathBuf,
    http: reqwest::Client,
    child: Child,
}

/// An alert, as far as the story tells it.
#[derive(Deserialize)]
pub struct Alert {
    /// What was found.
    pub finding: Finding,
}

/// What a monitor found.
#[derive(Deserialize)]
pub struct Finding {
    /// The rule.
    pub class: String,
    /// One sentence.
    pub summary: String,
    /// More, each with its name.
    pub details: Vec<(String, String)>,
    /// The directory of evidence, where there is one.
    pub evidence: Option<String>,
}

/// What a monitor is to be started with.
struct Plan {
    name: String,
    dir: PathBuf,
    address: SocketAddr,
    vkey: String,
}

impl Plan {
    /// A monitor of this letter: its directory and key from before, or new ones, and a free port.
    fn new(home: &Home, letter: char) -> Result<Self, CliError> {
        let name = format!("monitor-{letter}.dev.example");
        let dir = home.join(&format!("monitor-{letter}"));
        fs::create_dir_all(&dir).context(dir.display())?;
        let file = dir.join("monitor-key.pem");
        if !file.exists() {
            let key = Ed25519Signer::from_seed(&random()?).context("a monitor's key")?;
            write_new(&file, 0o600, &key.to_pkcs8_pem().context("a monitor's key")?)?;
        }
        let pem = fs::read_to_string(&file).context(file.display())?;
        let key = Ed25519Signer::from_pkcs8_pem(&pem).context(file.display())?.public_key().clone();
        let key = VerifierKey::new(name.parse::<KeyName>().context("a monitor's name")?, key);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        Ok(Self { vkey: key.context("a monitor's key")?.to_string(), name, dir, address: free.context("a free port")? })
    }

    /// The configuration: what `config/monitor.toml` explains key by key.
    fn config(&self, other: &Self, logs: &[Log], face: Option<(&str, &VerifierKey)>, ca: &str, home: &Home) -> String {
        let Self { name, address, .. } = self;
        let logs = logs.iter().map(|log| (log.url.as_str(), log.key.to_string()));
        let logs = logs.chain(face.map(|(url, key)| (url, key.to_string())));
        let logs: String = logs
            .map(|(url, vkey)| format!("[[logs]]\nurl = \"{url}\"\nvkey = \"{vkey}\"\npoll_seconds = 1\n\n"))
            .collect();
        let (token, roots) = (home.join("ca/operator-admin.token"), home.root_file());
        format!(
            "name = \"{name}\"\nlisten = \"{address}\"\n\n{logs}[[peers]]\nurl = \"http://{}\"\nvkey = \"{}\"\n\n\
             [gossip]\ninterval_seconds = 2\n\n[owner]\ndomains = [\"{TRUST_DOMAIN}\"]\n\n\
             [feed]\ngrace_seconds = {GRACE_SECONDS}\npoll_seconds = 2\n\n[[feed.ca]]\nurl = \"{ca}\"\n\
             token_file = {token:?}\nroots_file = {roots:?}\n",
            other.address, other.vkey
        )
    }
}

impl Monitors {
    /// Starts both, where the program `atl-monitor` is beside this one: the first follows one face of the dishonest
    /// log, the second the other.
    pub async fn start(
        home: &Home,
        logs: &[Log],
        dishonest: Option<&Dishonest>,
        ca: &str,
    ) -> Result<Option<Self>, CliError> {
        let program = std::env::current_exe().context("this program")?.with_file_name("atl-monitor");
        if !program.exists() {
            return Ok(None);
        }
        let plans = [Plan::new(home, 'x')?, Plan::new(home, 'y')?];
        let start = |mine: usize, other: usize| -> Result<Monitor, CliError> {
            let (mine, other) = (&plans[mine], &plans[other]);
            let face = dishonest.map(|log| (log.urls[usize::from(mine.name == plans[1].name)].as_str(), &log.vkey));
            let config = mine.config(other, logs, face, ca, home);
            Staged::write(&mine.dir.join("monitor.toml"), 0o644, &config)?.commit()?;
            Monitor::start(&program, mine)
        };
        let pair = [start(0, 1)?, start(1, 0)?];
        for monitor in &pair {
            monitor.get("/healthz").await?;
        }
        Ok(Some(Self { pair, program }))
    }

    /// What the program says of evidence, and whether it calls it proven.
    pub async fn verify(&self, evidence: &Path, key: &VerifierKey) -> Result<(String, bool), CliError> {
        let mut command = Command::new(&self.program);
        command.arg("verify-evidence").arg(evidence).arg("--key").arg(key.to_string());
        let output = command.output().await.context(self.program.display())?;
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success()))
    }

    /// Ends both, as hard as a power cut does: what they keep is made for that.
    pub async fn stop(self) {
        for mut monitor in self.pair {
            // One that has ended by itself is as good.
            let _ = monitor.child.kill().await;
        }
    }
}

impl Monitor {
    fn start(program: &Path, plan: &Plan) -> Result<Self, CliError> {
        let said = plan.dir.join("monitor.log");
        let file = File::create(&said).context(said.display())?;
        let mut command = Command::new(program);
        command.args(["run", "--config"]).arg(plan.dir.join("monitor.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).kill_on_drop(true);
        let child = command.spawn().context(program.display())?;
        let http = crate::client::builder().no_proxy().tls_certs_only([]).build().context("the monitor's page")?;
        Ok(Self {
            name: plan.name.clone(),
            url: format!("http://{}", plan.address),
            dir: plan.dir.clone(),
            http,
            child,
        })
    }

    /// The body of an answer with any status, once there is one.
    async fn get(&self, path: &str) -> Result<(u16, Vec<u8>), CliError> {
        let ask = async {
            loop {
                if let Ok(answer) = self.http.get(format!("{}{path}", self.url)).send().await {
                    let status = answer.status().as_u16();
                    if let Ok(body) = answer.bytes().await {
                        return (status, body.to_vec());
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let late =
            |_| CliError::new(format!("{} does not answer; {}/monitor.log says why", self.name, self.dir.display()));
        tokio::time::timeout(Duration::from_secs(30), ask).await.map_err(late)
    }

    /// Its health: the status, and why it is red.
    pub async fn health(&self) -> Result<(u16, String), CliError> {
        let (status, body) = self.get("/healthz").await?;
        Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
    }

    /// Waits until it is ready: every log verified up to its newest head.
    pub async fn ready(&self, patience: Duration) -> Result<(), CliError> {
        let wait = async {
            while self.get("/readyz").await?.0 != 200 {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        let late = |_| CliError::negative(format!("{} has not verified all logs in time", self.name));
        tokio::time::timeout(patience, wait).await.map_err(late)?
    }

    /// The alert that `wanted` picks, once it is there.
    pub async fn alert(&self, patience: Duration, wanted: impl Fn(&Finding) -> bool) -> Result<Finding, CliError> {
        let wait = async {
            loop {
                let (_, body) = self.get("/alerts").await?;
                let alerts: Vec<Alert> = serde_json::from_slice(&body).context("the monitor's alerts")?;
                // The newest comes first, and the story begins with the oldest.
                if let Some(alert) = alerts.into_iter().rev().find(|alert| wanted(&alert.finding)) {
                    return Ok(alert.finding);
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let late = |_| CliError::negative(format!("{} has not alerted in time", self.name));
        tokio::time::timeout(patience, wait).await.map_err(late)?
    }
}
