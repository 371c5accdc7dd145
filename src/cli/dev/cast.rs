//! The agents of the demo, and how they come by their certificates: through the code of
//! `atl agent` and `atl ca`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::setup::{Home, TRUST_DOMAIN, parsed};
use crate::api::ca::{MintTokenAnswer, MintTokenRequest};
use crate::apki::capabilities::Capabilities;
use crate::apki::{AgentUri, Certificate, precertificate};
use crate::cli::agent::delegate::delegate;
use crate::cli::agent::enroll::{Enrolment, enroll};
use crate::cli::agent::files::{AgentDir, Generation};
use crate::cli::agent::inspect::certificates_of;
use crate::cli::agent::renew;
use crate::cli::ca::operator::{Operator, failed};
use crate::cli::files::Staged;
use crate::cli::output::{CliError, Context};
use crate::log::entry::CertHash;
use crate::log::sat::{SatList, SignedAgentTimestamp};
use crate::time::{Clock, SystemClock};

/// Seconds that a token of the demo is good.
const TOKEN_SECONDS: u32 = 600;

/// What shoppers say of how they were built.
const BUILT: [&str; 8] =
    ["--model-family", "demo-model", "--model-version", "1", "--framework", "demo-framework", "--organization", "demo"];

/// One who enrols.
pub struct Role {
    /// What it is called here.
    pub name: &'static str,
    /// In words, what speaks for it.
    pub about: &'static str,
    /// The last part of its name in certificates.
    instance: Cow<'static, str>,
    /// The directory of its own.
    place: Cow<'static, str>,
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
    instance: Cow::Borrowed("s-1"),
    place: Cow::Borrowed("shopper"),
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
        instance: Cow::Borrowed("c-1"),
        place: Cow::Borrowed("courier"),
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
        instance: Cow::Borrowed("n-1"),
        place: Cow::Borrowed("notes"),
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

    /// Another shopper, which hands on what it may do. It ends badly, so each run has one of its own.
    pub fn delegating(run: u32) -> Self {
        Self { instance: format!("run-{run}-a").into(), place: format!("run-{run}-a").into(), ..SHOPPER }
    }

    /// Its directory.
    pub fn dir(&self, home: &Home) -> PathBuf {
        home.join(&format!("agents/{}", self.place))
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
        renewed(&self.dir(home), ca).await
    }
}

/// What `atl agent renew` does in an agent's directory.
pub async fn renewed(dir: &Path, ca: &str) -> Result<Generation, CliError> {
    let args = parsed(&[("--dir", dir.to_owned())], &["--ca", ca])?;
    renew::once(&args, &AgentDir::open(dir)?).await
}

/// An agent of a line of delegation.
pub struct Member {
    /// A, B or C.
    pub letter: char,
    /// Its name in certificates.
    pub agent: AgentUri,
    /// Its directory.
    pub dir: PathBuf,
    /// Its certificate.
    pub certificate: Certificate,
    /// The certificate that issued that.
    pub issuer: Certificate,
}

impl Member {
    /// Who holds this generation, in this directory.
    pub fn of(letter: char, dir: PathBuf, generation: &Generation) -> Result<Self, CliError> {
        let mut chain = certificates_of(&generation.chain_pem).context("the chain")?.into_iter();
        let (Some(certificate), Some(issuer)) = (chain.next(), chain.next()) else {
            return Err(CliError::new("the chain has no issuer"));
        };
        Ok(Self { letter, agent: generation.settings.agent.clone(), dir, certificate, issuer })
    }

    /// What `atl agent delegate` does: a child of this name, with these capabilities as JSON, on these terms.
    pub async fn delegate(
        &self,
        home: &Home,
        letter: char,
        capabilities: &str,
        terms: &[&str],
    ) -> Result<Self, CliError> {
        let name = self.agent.instance();
        let name = format!("{}{}", name.trim_end_matches(|c: char| c != '-'), letter.to_ascii_lowercase());
        let agent = format!("agent://{TRUST_DOMAIN}/demo/{}/{name}", SHOPPER.name);
        let dir = home.join(&format!("agents/{name}"));
        let file = home.join(&format!("agents/{name}.capabilities.json"));
        Staged::write(&file, 0o644, &format!("{}\n", capabilities.trim()))?.commit()?;
        let paths = [
            ("--dir", self.dir.clone()),
            ("--child-dir", dir.clone()),
            ("--capabilities", file),
            ("--build", home.build_file()),
        ];
        let words = [&["--agent", &agent], &BUILT[..], terms].concat();
        let (_, generation) = delegate(&parsed(&paths, &words)?, |_| {}).await?;
        Self::of(letter, dir, &generation)
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
