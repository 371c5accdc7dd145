//! The three agents of the demo, and how they come by their certificates: through the code of
//! `atl agent` and `atl ca`.

use std::path::PathBuf;

use super::setup::{Home, TRUST_DOMAIN, parsed};
use crate::api::ca::{MintTokenAnswer, MintTokenRequest};
use crate::apki::capabilities::Capabilities;
use crate::apki::{AgentUri, Certificate, precertificate};
use crate::cli::agent::enroll::{Enrolment, enroll};
use crate::cli::agent::files::{AgentDir, Generation};
use crate::cli::agent::inspect::certificates_of;
use crate::cli::agent::renew;
use crate::cli::ca::operator::{Operator, failed};
use crate::cli::output::{CliError, Context};
use crate::log::entry::CertHash;
use crate::log::sat::{SatList, SignedAgentTimestamp};
use crate::time::{Clock, SystemClock};

/// Seconds that a token of the demo is good.
const TOKEN_SECONDS: u32 = 600;

/// One of the three.
pub struct Role {
    /// What it is called here.
    pub name: &'static str,
    /// In words, what speaks for it.
    pub about: &'static str,
    instance: &'static str,
    /// The most that it may do, as JSON.
    capabilities: &'static str,
    /// What it says of itself, as arguments of `atl agent enroll`.
    says: &'static [&'static str],
    /// Whether its build is the one that the registry knows.
    registered: bool,
}

/// The one whose way is told in full.
pub const SHOPPER: Role = Role {
    name: "shopper",
    about: "says how it was built, and the registry knows that build",
    instance: "s-1",
    capabilities: r#"[{"tool_uri": "https://shop.example/orders", "scope": "orders/create",
        "spend_limit": {"max_per_transaction": 5000, "max_per_period": 50000, "period_seconds": 86400, "currency": "EUR"},
        "rate_limit": {"max_requests": 6, "period_seconds": 60}},
      {"tool_uri": "https://shop.example/catalogue", "scope": "catalogue/read"}]"#,
    says: &[
        "--model-family",
        "demo-model",
        "--model-version",
        "1",
        "--framework",
        "demo-framework",
        "--organization",
        "demo",
        "--human",
        "Ada Example",
    ],
    registered: true,
};

/// Those who wait for an operator.
pub const OTHERS: [Role; 2] = [
    Role {
        name: "courier",
        about: "says how it was built, and nobody vouches for that",
        instance: "c-1",
        capabilities: r#"[{"tool_uri": "https://parcels.example/labels", "scope": "labels/print"}]"#,
        says: &[
            "--model-family",
            "demo-model",
            "--model-version",
            "1",
            "--framework",
            "demo-framework",
            "--organization",
            "demo",
            "--build-hash",
            "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0",
        ],
        registered: false,
    },
    Role {
        name: "notes",
        about: "says nothing of how it was built",
        instance: "n-1",
        capabilities: r#"[{"tool_uri": "https://notes.example", "scope": "notes/read"}]"#,
        says: &["--algorithm", "ed25519"],
        registered: false,
    },
];

impl Role {
    /// Its name in certificates.
    pub fn agent(&self) -> Result<AgentUri, CliError> {
        let text = format!("agent://{TRUST_DOMAIN}/demo/{}/{}", self.name, self.instance);
        AgentUri::parse(&text).context("an agent's name")
    }

    /// Its directory.
    pub fn dir(&self, home: &Home) -> PathBuf {
        home.join(&format!("agents/{}", self.name))
    }

    /// The certificate from a run before, where it is still good.
    pub fn current(&self, home: &Home) -> Result<Option<Generation>, CliError> {
        let dir = self.dir(home);
        if !dir.exists() {
            return Ok(None);
        }
        let current = AgentDir::open(&dir)?.current()?;
        Ok(current.filter(|current| SystemClock.now() < current.settings.not_after))
    }

    /// What an operator lets it do.
    pub fn ceiling(&self) -> Result<Capabilities, CliError> {
        serde_json::from_str(self.capabilities).context("the demo's capabilities")
    }

    /// A token for this agent and no other, as `atl ca token mint` gets one.
    pub async fn token(&self, operator: &Operator) -> Result<MintTokenAnswer, CliError> {
        let request = MintTokenRequest {
            agents: self.agent()?.to_string(),
            capabilities: Some(self.ceiling()?),
            max_validity_seconds: None,
            replaces: false,
            ttl_seconds: TOKEN_SECONDS,
        };
        operator.ca.mint_token(operator.token(), &request).await.map_err(failed)
    }

    /// What `atl agent enroll` does. Asked again with the same token, it is the same request.
    pub async fn enrol(&self, home: &Home, ca: &str, token: &str, again: bool) -> Result<Enrolment, CliError> {
        let agent = self.agent()?;
        let mut paths = vec![("--dir", self.dir(home)), ("--root", home.root_file())];
        if self.registered {
            paths.push(("--build", home.build_file()));
        }
        let mut words = vec!["--ca", ca, "--token", token, "--agent", agent.as_str()];
        words.extend(self.says);
        if !again {
            // What an earlier run asked for and did not wait for is given up.
            words.push("--anew");
        }
        enroll(&parsed(&paths, &words)?, |_| {}).await
    }

    /// What `atl agent renew` does.
    pub async fn renew(&self, home: &Home, ca: &str) -> Result<Generation, CliError> {
        let dir = self.dir(home);
        let args = parsed(&[("--dir", dir.clone())], &["--ca", ca])?;
        renew::once(&args, &AgentDir::open(&dir)?).await
    }
}

/// A certificate taken apart as anybody can who has nothing but it.
pub struct Apart {
    /// The certificate.
    pub certificate: Certificate,
    /// The precertificate behind it, recovered.
    pub precertificate: Vec<u8>,
    /// The hash of that: what the logs have.
    pub hash: CertHash,
    /// The timestamps in it.
    pub sats: Vec<SignedAgentTimestamp>,
}

impl Apart {
    /// The agent's certificate of this generation.
    pub fn of(generation: &Generation) -> Result<Self, CliError> {
        let certificates = certificates_of(&generation.chain_pem).context("the chain")?;
        let certificate = certificates.into_iter().next().ok_or_else(|| CliError::new("the chain is empty"))?;
        let recovered = precertificate::recover(&certificate).context("the certificate")?;
        let recovered = recovered.ok_or_else(|| CliError::new("the certificate has no timestamps in it"))?;
        let sats = SatList::from_der(recovered.sat_list_der).context("the timestamps")?.sats().to_vec();
        let precertificate = recovered.precertificate_der;
        let hash = CertHash::of_certificate(&precertificate);
        Ok(Self { certificate, precertificate, hash, sats })
    }
}
