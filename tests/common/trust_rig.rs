//! `atl trust serve` as a process of its own, with reporters, a reader and operators.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use atl::api::trust::{AssessAnswer, AssessRequest, SignalOutcome, SignalsAnswer, SignalsRequest};
use atl::apki::AgentUri;
use atl::apki::trust_score::{DecayRate, Score};
use atl::client::{ClientError, TrustClient, builder};
use atl::config::TrustConfig;
use atl::config::trust::{Operator, Role};
use atl::keys::Ed25519Signer;
use atl::time::{Clock, SystemClock};
use atl::trust::half_points::HalfPoints;
use atl::trust::signal::{Kind, Signal, SignalId};
use sha2::{Digest, Sha256};

use crate::ca_process::{DOMAIN, Service, agent, atl, good};

/// The token of `bo`, an operator of the CA.
pub const CA_OPERATOR: &str = "token-of-bo";
/// The token of `cy`, a second operator of the engine.
pub const SECOND_OPERATOR: &str = "token-of-cy";

/// An engine that serves, and who talks to it.
pub struct TrustRig {
    // Before the directory: fields are dropped in this order.
    pub engine: Service,
    pub dir: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
}

impl TrustRig {
    /// An engine by `atl trust init`, and reporters of these names; nothing decays in it.
    pub fn new(reporters: &[&str], change: impl FnOnce(&mut TrustConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("trust");
        let mut init = atl();
        init.args(["trust", "init", "--domain", DOMAIN, "--listen", "127.0.0.1:0", "--dir"]).arg(&home);
        let said = good(init.output().unwrap());
        let token = fs::read_to_string(home.join("reader-ca.token")).unwrap();
        assert!(said.contains(token.trim()), "{said}");
        let mut config = TrustConfig::load(&home.join("trust.toml")).unwrap();
        config.disk_low_watermark_bytes = 0;
        config.policy.decay_rate = DecayRate::new(0).unwrap();
        for (name, role, token) in [("bo", Role::Ca, CA_OPERATOR), ("cy", Role::Engine, SECOND_OPERATOR)] {
            let token_sha256 = Sha256::digest(token).into();
            config.operators.push(Operator { name: name.into(), role, token_sha256 });
        }
        change(&mut config);
        let mut text = config.render().unwrap();
        let keys = dir.path().join("keys");
        for name in reporters {
            let mut make = atl();
            make.args(["trust", "reporter-key", "--name", name, "--dir"]).arg(&keys);
            text += &good(make.output().unwrap());
        }
        fs::write(home.join("trust.toml"), text).unwrap();
        let mut engine = Service::new(&home, "trust");
        engine.start();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { engine, dir, runtime }
    }

    /// A path below the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The engine's base URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.engine.address())
    }

    /// A client that pins the engine's certificate, and shows this reporter's.
    pub fn client(&self, reporter: Option<&str>) -> TrustClient {
        let pin = fs::read(self.path("trust/tls.pem")).unwrap();
        let mut http = builder().no_proxy().tls_certs_only(reqwest::Certificate::from_pem_bundle(&pin).unwrap());
        if let Some(name) = reporter {
            let file = |end: &str| fs::read_to_string(self.path(&format!("keys/{name}{end}"))).unwrap();
            let pem = file("-key.pem") + &file(".pem");
            http = http.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        TrustClient::with_http(&self.url(), http.build().unwrap()).unwrap()
    }

    /// The token in a file of the engine's directory.
    pub fn token(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("trust/{name}.token"))).unwrap().trim().to_owned()
    }

    /// The key of a reporter.
    pub fn signer(&self, name: &str) -> Ed25519Signer {
        let pem = fs::read_to_string(self.path(&format!("keys/{name}-key.pem"))).unwrap();
        Ed25519Signer::from_pkcs8_pem(&pem).unwrap()
    }

    /// The CA asks for an agent's score.
    pub fn assess(&self, name: &str, base: u8) -> AssessAnswer {
        let request = AssessRequest { agent: uri(name), base: Score::new(base).unwrap() };
        let token = self.token("reader-ca");
        self.runtime.block_on(self.client(None).assess(&token, &request)).unwrap()
    }

    /// A reporter sends signals that it signed.
    pub fn send(&self, reporter: &str, signals: &[Signal]) -> Vec<SignalOutcome> {
        let signer = self.signer(reporter);
        self.post(reporter, signals.iter().map(|signal| signal.sign(&signer).unwrap()).collect()).unwrap().outcomes
    }

    /// The same with what it signed, or somebody else.
    pub fn post(&self, reporter: &str, signals: Vec<String>) -> Result<SignalsAnswer, ClientError> {
        self.runtime.block_on(self.client(Some(reporter)).signals(&SignalsRequest { signals }))
    }

    /// The binary, in the directory, to its end.
    pub fn atl(&self, args: &[&str]) -> Output {
        atl().current_dir(self.dir.path()).args(args).output().unwrap()
    }
}

/// An agent below the trust domain.
pub fn uri(name: &str) -> AgentUri {
    AgentUri::parse(&agent(name)).unwrap()
}

/// A signal of this moment; `number` makes its id.
pub fn signal(name: &str, kind: Kind, half_points: i32, number: u64) -> Signal {
    let now = SystemClock.now();
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    Signal {
        aud: DOMAIN.into(),
        agent: uri(name),
        kind,
        half_points: (kind != Kind::SecurityIncident).then(|| HalfPoints::new(half_points)),
        observed_at: now,
        issued_at: now,
        id: SignalId::new(id),
        detail: Some(format!("number {number}")),
    }
}

/// The status of a call that failed.
#[track_caller]
pub fn status<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> u16 {
    match outcome.unwrap_err() {
        ClientError::Problem { status, .. } => status,
        other => panic!("{other}"),
    }
}
