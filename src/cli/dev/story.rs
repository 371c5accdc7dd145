//! The story: a certificate from the CA to both logs and back, everything verified on the way.

mod proof;

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::der::pem::{LineEnding, encode_string};

use self::proof::print_inclusion;
use super::setup::{Pki, random_name};
use crate::api::{B64, ConsistencyQuery, ProofQuery, SubmitEntryRequest};
use crate::apki::capabilities::{Amount, Capability};
use crate::apki::precertificate::{Precertificate, recover};
use crate::apki::{AgentUri, Certificate};
use crate::cli::files::write_new;
use crate::cli::log::open::OpenedLog;
use crate::cli::log::remote::{failed, signed};
use crate::cli::output::{CliError, Context};
use crate::cli::pki::{Claims, KeyKind, SigningKey, Stamp};
use crate::client::LogClient;
use crate::keys::Signer;
use crate::log::checkpoint::open_checkpoint;
use crate::log::entry::{CertHash, EntryType};
use crate::log::note::VerifierKey;
use crate::log::sat::{SatList, SignedAgentTimestamp};
use crate::log::sth::TreeHead;
use crate::merkle::{LeafIndex, verify_consistency};
use crate::time::{Clock, SystemClock};

/// A log, as somebody sees it who knows its key.
pub struct Log {
    name: &'static str,
    operator: String,
    key: VerifierKey,
    address: SocketAddr,
    client: Option<LogClient>,
}

impl Log {
    /// The log that is about to be served.
    pub fn new(name: &'static str, opened: &OpenedLog) -> Result<Self, CliError> {
        let key = opened.origin.verifier_key(opened.signer.public_key()).context("the log's key")?;
        let operator = opened.config.operator.clone();
        Ok(Self { name, operator, key, address: opened.config.listen, client: None })
    }

    /// The same log, now served at this address.
    pub fn at(mut self, address: SocketAddr) -> Result<Self, CliError> {
        self.address = address;
        self.client = Some(LogClient::new(&self.url()).map_err(failed)?);
        Ok(self)
    }

    /// A or B.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Where it is served.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn client(&self) -> Result<&LogClient, CliError> {
        self.client.as_ref().ok_or_else(|| CliError::new(format!("log {} is not served yet", self.name)))
    }

    async fn submit(&self, der: &[u8], chain: &[B64]) -> Result<(SignedAgentTimestamp, LeafIndex), CliError> {
        let entry = SubmitEntryRequest {
            submission: B64(der.to_vec()),
            entry_type: Some(EntryType::Precertificate),
            chain: chain.to_vec(),
        };
        let answer = self.client()?.submit(&entry).await.map_err(failed)?;
        let sat = SignedAgentTimestamp::from_der(answer.sat.as_slice()).context("the SAT")?;
        sat.verify(self.key.key(), CertHash::of_certificate(der)).context(format_args!("log {}'s SAT", self.name))?;
        Ok((sat, answer.leaf_index))
    }

    /// The first head that covers this leaf, verified.
    async fn head_over(&self, leaf: LeafIndex, patience: Duration) -> Result<TreeHead, CliError> {
        let wait = async {
            loop {
                let sth = self.client()?.sth().await.map_err(failed)?;
                if leaf.is_in(sth.tree_size) {
                    let sth = signed(sth);
                    sth.verify(self.key.key()).context("the tree head")?;
                    return Ok(sth.head);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let late = |_| CliError::new(format!("log {} signed no head over leaf {leaf} in time", self.name));
        tokio::time::timeout(patience, wait).await.map_err(late)?
    }
}

/// What is needed to tell it.
pub struct Story<'a> {
    /// Who issues.
    pub pki: &'a Pki,
    /// The logs.
    pub logs: &'a [Log],
    /// Whether headings are bold.
    pub bold: bool,
    /// Seconds between tree heads.
    pub interval_seconds: u32,
}

/// What is left when it is told.
pub struct Told {
    /// The agent.
    agent: AgentUri,
    precertificate: Vec<u8>,
    certificate: Certificate,
    /// Parameters of `get-proof-by-hash` for it.
    pub proof_query: String,
    /// The path of a tile that exists.
    pub tile_path: String,
}

impl Told {
    /// Writes both certificates into a directory of their own; it is returned.
    pub fn save(&self, home: &Path) -> Result<PathBuf, CliError> {
        let dir = home.join(format!("agent-{}", self.agent.instance()));
        std::fs::create_dir_all(&dir).context(dir.display())?;
        let pem = |der| encode_string("CERTIFICATE", LineEnding::LF, der).context("the certificate");
        write_new(&dir.join("precertificate.pem"), 0o644, &pem(&self.precertificate)?)?;
        write_new(&dir.join("final.pem"), 0o644, &pem(self.certificate.der())?)?;
        Ok(dir)
    }
}

impl Story<'_> {
    /// Tells it.
    pub async fn tell(&self) -> Result<Told, CliError> {
        println!("Two logs are running, with different keys and different operators:");
        for log in self.logs {
            println!("  log {}  {}  {}, run by {:?}", log.name, log.url(), log.key.name(), log.operator);
        }
        let log = self.logs.first().ok_or_else(|| CliError::new("there is no log"))?;
        let agent = agent()?;
        let precertificate = self.issue(&agent, 72)?;
        let cert_hash = self.introduce(&precertificate)?;
        let (sats, leaf) = self.submit(&precertificate).await?;
        let certificate = self.assemble(&precertificate, cert_hash, sats)?;
        let first = self.prove(log, cert_hash, leaf).await?;
        let second = self.grow(log, &first).await?;
        self.checkpoint(log, &second).await?;
        let size = second.size.get();
        Ok(Told {
            agent,
            precertificate,
            certificate,
            proof_query: ProofQuery { hash: cert_hash.leaf_hash(), tree_size: None }.to_query(),
            tile_path: if size < 256 { format!("tile/0/000.p/{size}") } else { "tile/0/000".into() },
        })
    }

    fn issue(&self, agent: &AgentUri, score: u8) -> Result<Vec<u8>, CliError> {
        let claims = Claims::shopper(score).context("a precertificate")?;
        let stamp = Stamp::new(&self.pki.org, &claims, SystemClock.now()).context("a precertificate")?;
        let key = SigningKey::generate(KeyKind::P256).context("an agent's key")?;
        stamp.precertificate(agent, &key).context("a precertificate")
    }

    fn introduce(&self, precertificate: &[u8]) -> Result<CertHash, CliError> {
        let certificate = Certificate::parse(precertificate).context("the precertificate")?;
        let hash = CertHash::of_certificate(precertificate);
        self.heading("1. The CA signs a precertificate for an agent");
        row("agent", certificate.agent_uri().context("the agent's name")?);
        if let Some(trust) = certificate.trust_score().context("the trust score")? {
            row("trust score", format_args!("{} of 100, tier {}", trust.score.get(), trust.score.tier().name()));
        }
        let capabilities = certificate.capabilities().context("the capabilities")?.unwrap_or_default();
        capabilities.as_slice().iter().for_each(|capability| row("may use", may(capability)));
        row("valid", format_args!("{} to {}", certificate.not_before(), certificate.not_after()));
        row("certHash", hash);
        println!(
            "   The certHash is SHA-256 of its {} octets. A critical extension, the poison, keeps everybody\n   \
             from taking it for a certificate: it is only here to be logged.",
            precertificate.len()
        );
        Ok(hash)
    }

    /// Submits it to each log, among other agents'. The leaf is that in the first log.
    async fn submit(&self, precertificate: &[u8]) -> Result<(Vec<SignedAgentTimestamp>, LeafIndex), CliError> {
        self.heading("2. Both logs record it, and each answers with a signed agent timestamp (SAT)");
        let before = [self.other()?, self.other()?];
        let behind = [self.other()?, self.other()?];
        let (mut sats, mut leaf) = (Vec::new(), None);
        let chain = self.chain();
        for log in self.logs {
            for other in &before {
                log.submit(other, &chain).await?;
            }
            let (sat, index) = log.submit(precertificate, &chain).await?;
            for other in &behind {
                log.submit(other, &chain).await?;
            }
            row(&format!("log {}", log.name), format_args!("leaf {index}, {}, signature verified", sat.timestamp));
            sats.push(sat);
            leaf = leaf.or(Some(index));
        }
        println!(
            "   A SAT says: the log with this key has this certificate in its tree, on disk, since then.\n   \
             From a score of 60 on, relying parties ask for SATs of two operators."
        );
        Ok((sats, leaf.unwrap_or(LeafIndex::new(0))))
    }

    fn assemble(&self, der: &[u8], hash: CertHash, sats: Vec<SignedAgentTimestamp>) -> Result<Certificate, CliError> {
        self.heading("3. The CA puts both SATs in the place of the poison: the final certificate");
        let precertificate = Certificate::parse(der).context("the precertificate")?;
        let poisoned = Precertificate::of(&precertificate).context("the precertificate")?;
        let poisoned = poisoned.ok_or_else(|| CliError::new("the precertificate has no poison"))?;
        let tbs = poisoned.final_tbs(&SatList::new(sats).context("the SATs")?.to_der());
        let signature = self.pki.org.sign(&tbs).context("the final certificate")?;
        let certificate = poisoned.assemble(&tbs, &signature).context("the final certificate")?;
        row(
            "certificate",
            format_args!("{} octets, SHA-256 {}", certificate.der().len(), hex::encode(certificate.fingerprint())),
        );

        let recovered = recover(&certificate).context("the final certificate")?;
        let recovered = recovered.ok_or_else(|| CliError::new("the final certificate has no SATs in it"))?;
        let again = CertHash::of_certificate(&recovered.precertificate_der);
        if again != hash || recovered.precertificate_der != der {
            return Err(CliError::negative("what was recovered is not the precertificate"));
        }
        let list = SatList::from_der(recovered.sat_list_der).context("the SATs in it")?;
        for (sat, log) in list.sats().iter().zip(self.logs) {
            sat.verify(log.key.key(), again).context(format_args!("log {}'s SAT", log.name))?;
        }
        row("recovered", again);
        println!(
            "   From the final certificate alone, offline, anybody gets the precertificate back, octet for\n   \
             octet: its hash is the certHash again, and the {} SATs inside verify for it.",
            list.sats().len()
        );
        Ok(certificate)
    }

    async fn prove(&self, log: &Log, hash: CertHash, leaf: LeafIndex) -> Result<TreeHead, CliError> {
        self.heading(&format!("4. Behind the next tree head, log {} proves that the leaf is in its tree", log.name));
        println!("   It signs one every {} s; waiting for it.", self.interval_seconds);
        // The two entries behind ours are in that tree as well: they were committed before we asked.
        let head = log.head_over(LeafIndex::new(leaf.get().saturating_add(2)), self.patience()).await?;
        self.show_head(&head);
        let query = ProofQuery { hash: hash.leaf_hash(), tree_size: Some(head.size) };
        let proof = log.client()?.proof_by_hash(query).await.map_err(failed)?;
        if proof.leaf_index != leaf {
            return Err(CliError::negative("the log has moved the leaf"));
        }
        print_inclusion(hash, leaf, &head, &proof.inclusion)?;
        Ok(head)
    }

    /// More agents come, and the log proves that nothing else has changed.
    async fn grow(&self, log: &Log, first: &TreeHead) -> Result<TreeHead, CliError> {
        self.heading("5. The log grows, and proves that it has only grown");
        let mut last = LeafIndex::new(0);
        for _ in 0..3 {
            (_, last) = log.submit(&self.other()?, &self.chain()).await?;
        }
        let second = log.head_over(last, self.patience()).await?;
        self.show_head(&second);
        let query = ConsistencyQuery { first: first.size, second: Some(second.size) };
        let proof = log.client()?.consistency(query).await.map_err(failed)?.consistency;
        verify_consistency(first.size, second.size, &first.root, &second.root, &proof)
            .map_err(|e| CliError::negative(format!("the log's history does not hold: {e}")))?;
        println!(
            "   A proof of {} hashes leads from the first root to the second: the tree of {} begins with\n   \
             the tree of {}, leaf for leaf. Verified.",
            proof.len(),
            second.size,
            first.size
        );
        Ok(second)
    }

    async fn checkpoint(&self, log: &Log, head: &TreeHead) -> Result<(), CliError> {
        self.heading("6. The same head as a checkpoint, the signed note that witnesses cosign");
        let note = log.client()?.checkpoint().await.map_err(failed)?;
        let checkpoint = open_checkpoint(note.as_bytes(), &log.key).context("the checkpoint")?;
        if checkpoint.size == head.size && checkpoint.root != head.root {
            return Err(CliError::negative("checkpoint and tree head show two roots for one size"));
        }
        note.trim_end().lines().for_each(|line| println!("   | {line}"));
        println!("   Signed by {}. Verified.", log.key);
        Ok(())
    }

    fn show_head(&self, head: &TreeHead) {
        row("tree head", format_args!("{} leaves, {}, signature verified", head.size, head.timestamp));
        row("signed root", head.root);
    }

    fn other(&self) -> Result<Vec<u8>, CliError> {
        self.issue(&agent()?, 45)
    }

    fn chain(&self) -> Vec<B64> {
        vec![B64(self.pki.org.certificate().der().to_vec())]
    }

    /// No honest log takes longer to sign its next head.
    fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_seconds) * 3 + 10)
    }

    fn heading(&self, text: &str) {
        if self.bold { println!("\n\x1b[1m{text}\x1b[0m") } else { println!("\n{text}") }
    }
}

/// A new agent of the demo's organisation.
fn agent() -> Result<AgentUri, CliError> {
    AgentUri::parse(&format!("agent://agents.example/acme/shopper/{}", random_name()?)).context("an agent's name")
}

/// A capability in words.
fn may(capability: &Capability) -> String {
    let mut text = format!("{} for {}", capability.tool_uri.as_str(), capability.scope.as_str());
    if let Some(rate) = capability.rate_limit {
        text += &format!(", {} calls {}", rate.max_requests, per(rate.period_seconds));
    }
    let Some(limit) = capability.spend_limit else { return text };
    let money = |amount: Amount| format!("{}.{:02} {}", amount.get() / 100, amount.get() % 100, limit.currency);
    if let Some(amount) = limit.max_per_transaction {
        text += &format!(", {} a call", money(amount));
    }
    if let (Some(amount), Some(seconds)) = (limit.max_per_period, limit.period_seconds) {
        text += &format!(", {} {}", money(amount), per(seconds));
    }
    text
}

/// How often, in words.
fn per(seconds: NonZeroU32) -> String {
    match seconds.get() {
        60 => "a minute".to_owned(),
        86_400 => "a day".to_owned(),
        other => format!("in {other} s"),
    }
}

fn row(name: &str, value: impl Display) {
    println!("   {name:12} {value}");
}
