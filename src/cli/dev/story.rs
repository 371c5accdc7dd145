//! The story: an agent's way to a certificate that two logs vouch for, and an agent's fall that takes along
//! whom it gave rights to; everything verified on the way.

mod authority;
mod fall;
mod proof;
mod status;
mod verdict;
mod watching;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::iter::repeat;
use std::time::Duration;

use sha2::{Digest, Sha256};

use self::proof::print_inclusion;
use super::cast::{Apart, OTHERS, Role, SHOPPER};
use super::setup::Home;
use super::view::Log;
use crate::api::ca::RequestsAnswer;
use crate::api::{ConsistencyQuery, ProofQuery};
use crate::apki::AgentUri;
use crate::apki::capabilities::Capabilities;
use crate::ca::journal::{JournalHead, Row};
use crate::cli::agent::enroll::{Enrolled, Enrolment};
use crate::cli::agent::exchange::Waiting;
use crate::cli::agent::files::Generation;
use crate::cli::ca::operator::{Operator, failed};
use crate::cli::output::{CliError, Context};
use crate::cli::words::{duration, table};
use crate::client::AuditQuery;
use crate::log::checkpoint::open_checkpoint;
use crate::log::sth::TreeHead;
use crate::merkle::verify_consistency;

/// What is needed to tell it.
pub struct Story<'a> {
    /// Where everything is.
    pub home: &'a Home,
    /// The logs.
    pub logs: &'a [Log],
    /// The CA's base URL.
    pub ca: &'a str,
    /// The trust engine's base URL.
    pub engine: &'a str,
    /// Where revocation lists and OCSP are.
    pub status: &'a str,
    /// Who operates the CA.
    pub operator: &'a Operator,
    /// Whether headings are bold.
    pub bold: bool,
    /// Seconds between tree heads.
    pub interval_seconds: u32,
}

/// What is left when it is told.
pub struct Told {
    /// Parameters of `get-proof-by-hash` for the shopper's precertificate.
    pub proof_query: String,
    /// The path of a tile that exists.
    pub tile_path: String,
    /// The directory of the agent that fell.
    pub fallen: String,
    /// Its name.
    pub fallen_agent: AgentUri,
}

impl Story<'_> {
    /// Tells it.
    pub async fn tell(&self) -> Result<Told, CliError> {
        let log = self.logs.first().ok_or_else(|| CliError::new("there is no log"))?;
        self.introduce().await?;
        let shopper = match SHOPPER.current(self.home)? {
            None => self.enrol().await?,
            Some(before) => self.go_on(&before).await?,
        };
        let apart = self.verify(&shopper)?;
        let last = self.others().await?;
        let first = self.prove(log, &apart, &last).await?;
        let renewed = self.renew(&apart).await?;
        let second = self.grow(log, &first, &renewed).await?;
        self.checkpoint(log, &second).await?;
        self.journal().await?;
        let run = self.home.count_run()?;
        let line = self.hand_on(log, run).await?;
        self.orders(&line).await?;
        let incident = self.report(&line[0]).await?;
        self.fall(&line, incident).await?;
        let [fallen, ..] = line;
        let size = second.size.get();
        Ok(Told {
            proof_query: ProofQuery { hash: apart.hash.leaf_hash(), tree_size: None }.to_query(),
            tile_path: if size < 256 { format!("tile/0/000.p/{size}") } else { "tile/0/000".into() },
            fallen: fallen.dir.display().to_string(),
            fallen_agent: fallen.agent,
        })
    }

    async fn introduce(&self) -> Result<(), CliError> {
        let ca = self.operator.ca.descriptor().await.map_err(failed)?;
        println!("Two logs are running, with different keys and different operators:");
        for log in self.logs {
            println!("  log {}  {}  {}, run by {:?}", log.name, log.url, log.key.name(), log.operator);
        }
        println!(
            "And a CA, whose root both logs accept:\n  {:?}  {}  for the agents of {}",
            ca.organization, self.ca, ca.trust_domain
        );
        println!("  what became of its certificates (revocation lists, OCSP): {}", self.status);
        println!("And a trust engine, which keeps the agents' scores; the CA reads them:\n  {}", self.engine);
        Ok(())
    }

    /// The shopper's first certificate.
    async fn enrol(&self) -> Result<Generation, CliError> {
        self.heading("1. An operator of the CA lets an agent in: with a token that is good once");
        let minted = SHOPPER.token(self.operator).await?;
        row("agent", SHOPPER.agent()?);
        row("token", format_args!("atl-enrol-{}-..., good until {}", minted.id, minted.expires_at));
        capabilities("may use", &SHOPPER.ceiling()?);

        let enrolment = SHOPPER.enrol(self.home, self.ca, &minted.token, false).await?;
        let enrolled = match enrolment {
            Enrolment::Issued(enrolled) => enrolled,
            // Where ca.toml was changed, or the directory of an agent that is still valid was lost.
            Enrolment::Waiting(waiting) => {
                self.approve(&waiting).await?;
                self.ask_again(&SHOPPER, &minted.token).await?
            }
        };
        self.heading("2. The agent makes a key, and asks over TLS with the token and a CSR");
        let csr = &enrolled.request.csr.0;
        row("CSR", format_args!("{} octets, SHA-256 {}", csr.len(), hex::encode(Sha256::digest(csr))));
        if let Some(evidence) = &enrolled.request.evidence {
            let built = [&evidence.model_family, &evidence.model_version, &evidence.framework, &evidence.organization];
            row("built from", built.map(|text| text.as_str()).join(" / "));
            if let Some(hash) = evidence.build_hash {
                row("build", format_args!("{hash}, in the CA's signed registry"));
            }
        }
        println!(
            "   The CSR is signed with the agent's key: whoever asks holds it. The CA holds the rest against its\n   \
             rules and the token, and signs only what it has read back with other eyes."
        );
        self.heading("3. The CA logs a precertificate, and answers with a certificate that has both logs' SATs");
        Ok(enrolled.generation)
    }

    /// The shopper is known from a run before: its certificate is its credential.
    async fn go_on(&self, before: &Generation) -> Result<Generation, CliError> {
        self.heading("1. The agent is here from before, and renews: its certificate proves who asks (mutual TLS)");
        row("agent", &before.settings.agent);
        row("had", format_args!("a certificate until {}", before.settings.not_after));
        let generation = SHOPPER.renew(self.home, self.ca).await?;
        self.heading("2. The CA logs a precertificate, and answers with a certificate that has both logs' SATs");
        Ok(generation)
    }

    /// Takes the certificate apart, and trusts nobody but the logs' keys.
    fn verify(&self, generation: &Generation) -> Result<Apart, CliError> {
        let apart = Apart::of(generation)?;
        let certificate = &apart.certificate;
        if let Some(trust) = certificate.trust_score().context("the trust score")? {
            row("trust score", format_args!("{} of 100, tier {}", trust.score.get(), trust.score.tier().name()));
        }
        if let Some(attested) = certificate.attestation().context("the attestation")? {
            row("attested", attested.method.name());
        }
        row("valid", format_args!("{} to {}", certificate.not_before(), certificate.not_after()));
        row("certificate", format_args!("{} octets, SHA-256 {}", certificate.der().len(), generation.settings.sha256));
        row("recovered", format_args!("{} octets of precertificate", apart.precertificate.len()));
        row("certHash", apart.hash);
        let mut operators = BTreeSet::new();
        for sat in &apart.sats {
            let log = self.logs.iter().find(|log| log.key.key().log_id() == sat.log_id);
            let log = log.ok_or_else(|| CliError::negative(format!("a SAT is of the log {}", sat.log_id)))?;
            sat.verify(log.key.key(), apart.hash).context(format_args!("log {}'s SAT", log.name))?;
            row(&format!("SAT of {}", log.name), format_args!("{}, signature verified", sat.timestamp));
            operators.insert(&log.operator);
        }
        if operators.len() < 2 {
            return Err(CliError::negative("the certificate has no SATs of two operators"));
        }
        println!(
            "   A SAT says: the log with this key has this precertificate in its tree, on disk, since then. A\n   \
             precertificate is the certificate with a poison in the place of the SATs, so that nobody takes it\n   \
             for one. From the certificate alone, offline, anybody gets it back, octet for octet: the certHash\n   \
             is its SHA-256, and the SATs are over that. From a score of 60 on it takes two operators' SATs."
        );
        Ok(apart)
    }

    /// The other two, who wait for an operator where they come for the first time. The last certificate is returned.
    async fn others(&self) -> Result<Apart, CliError> {
        self.heading("4. Two more agents, whose builds nobody vouches for: the CA holds them for its operator");
        let (mut last, mut held) = (None, Vec::new());
        for role in &OTHERS {
            row(role.name, role.about);
            if role.current(self.home)?.is_some() {
                let generation = role.renew(self.home, self.ca).await?;
                row("", "it was approved before, and renews by itself");
                last = Some(self.short(&generation)?);
                continue;
            }
            let minted = role.token(self.operator).await?;
            match role.enrol(self.home, self.ca, &minted.token, false).await? {
                Enrolment::Issued(enrolled) => last = Some(self.short(&enrolled.generation)?),
                Enrolment::Waiting(waiting) => {
                    row("", waiting.told());
                    held.push((role, waiting, minted.token));
                }
            }
        }
        if !held.is_empty() {
            println!("   The operator looks at them (atl ca requests list), approves them, and they ask again:");
        }
        for (role, waiting, token) in &held {
            self.approve(waiting).await?;
            last = Some(self.short(&self.ask_again(role, token).await?.generation)?);
        }
        last.ok_or_else(|| CliError::new("there are no other agents"))
    }

    fn short(&self, generation: &Generation) -> Result<Apart, CliError> {
        let apart = Apart::of(generation)?;
        for sat in &apart.sats {
            let log = self.logs.iter().find(|log| log.key.key().log_id() == sat.log_id);
            let log = log.ok_or_else(|| CliError::negative(format!("a SAT is of the log {}", sat.log_id)))?;
            sat.verify(log.key.key(), apart.hash).context(format_args!("log {}'s SAT", log.name))?;
        }
        let trust = apart.certificate.trust_score().context("the trust score")?;
        let trust = trust.ok_or_else(|| CliError::new("the certificate has no trust score"))?;
        let (score, tier) = (trust.score.get(), trust.score.tier().name());
        let agent = generation.settings.agent.agent_type();
        row(agent, format_args!("score {score}, tier {tier}; {} SATs, verified", apart.sats.len()));
        Ok(apart)
    }

    async fn approve(&self, waiting: &Waiting) -> Result<(), CliError> {
        let token = self.operator.token();
        let RequestsAnswer { requests, .. } = self.operator.ca.open_requests(token, None).await.map_err(failed)?;
        if let Some(open) = requests.iter().find(|open| open.request.id == waiting.id) {
            let (id, score) = (&open.request.id[..open.request.id.len().min(8)], open.score.get());
            row("approved", format_args!("{id}... of {}, which will have {score} points", open.request.agent));
        }
        self.operator.ca.approve(token, &waiting.id).await.map_err(failed)?;
        Ok(())
    }

    /// The same request again, until it is answered: the CA issues as soon as it was approved.
    async fn ask_again(&self, role: &Role, token: &str) -> Result<Box<Enrolled>, CliError> {
        for _ in 0..100 {
            match role.enrol(self.home, self.ca, token, true).await? {
                Enrolment::Issued(enrolled) => return Ok(enrolled),
                Enrolment::Waiting(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        Err(CliError::new(format!("{} was approved, and got no certificate in time", role.name)))
    }

    async fn prove(&self, log: &Log, shopper: &Apart, last: &Apart) -> Result<TreeHead, CliError> {
        self.heading(&format!("5. Behind its next tree head, log {} proves that the shopper is in its tree", log.name));
        println!("   It signs one every {} s; waiting for it.", self.interval_seconds);
        // A head over the last of them is one over all of them.
        let (_, head) = log.proof_of(last.hash, self.patience()).await?;
        self.show_head(&head);
        let query = ProofQuery { hash: shopper.hash.leaf_hash(), tree_size: Some(head.size) };
        let proof = log.client.proof_by_hash(query).await.map_err(failed)?;
        print_inclusion(shopper.hash, proof.leaf_index, &head, &proof.inclusion)?;
        for log in self.logs {
            log.proof_of(shopper.hash, self.patience()).await?;
            let entry = log.entry(shopper.hash).await?;
            let kept = entry.submission.ok_or_else(|| CliError::new("the log does not have its entry any more"))?;
            if kept.0 != shopper.precertificate {
                return Err(CliError::negative("what was recovered is not what the log has"));
            }
            let what = format_args!("leaf {} is the recovered precertificate, octet for octet", entry.leaf_index);
            row(&format!("log {}", log.name), what);
        }
        Ok(head)
    }

    async fn renew(&self, before: &Apart) -> Result<Apart, CliError> {
        self.heading(
            "6. At half of its life a certificate is renewed: new key, fresh evidence, the score as it is now",
        );
        let generation = SHOPPER.renew(self.home, self.ca).await?;
        let apart = Apart::of(&generation)?;
        if apart.certificate.spki_der() == before.certificate.spki_der() {
            return Err(CliError::negative("the renewal has the key from before"));
        }
        let settings = &generation.settings;
        let length = duration(settings.not_after.since(settings.not_before));
        row("renewed", format_args!("for {length}, until {}", settings.not_after));
        row("certHash", apart.hash);
        row("SATs", format_args!("{}, verified before a file was replaced", apart.sats.len()));
        println!(
            "   The certificate from before was the credential, over mutual TLS; no token, no person. `atl agent\n   \
             renew --watch` does this each time when it is due (here at {}).",
            settings.renew_at
        );
        Ok(apart)
    }

    /// The log has grown by the renewal, and proves that nothing else has changed.
    async fn grow(&self, log: &Log, first: &TreeHead, renewed: &Apart) -> Result<TreeHead, CliError> {
        self.heading("7. The log has grown, and proves that it has only grown");
        let (_, second) = log.proof_of(renewed.hash, self.patience()).await?;
        self.show_head(&second);
        let query = ConsistencyQuery { first: first.size, second: Some(second.size) };
        let proof = log.client.consistency(query).await.map_err(failed)?.consistency;
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
        self.heading("8. The same head as a checkpoint, the signed note that witnesses cosign");
        let note = log.client.checkpoint().await.map_err(failed)?;
        let checkpoint = open_checkpoint(note.as_bytes(), &log.key).context("the checkpoint")?;
        if checkpoint.size == head.size && checkpoint.root != head.root {
            return Err(CliError::negative("checkpoint and tree head show two roots for one size"));
        }
        note.trim_end().lines().for_each(|line| println!("   | {line}"));
        println!("   Signed by {}. Verified.", log.key);
        Ok(())
    }

    /// Follows the CA's journal from its first row.
    async fn journal(&self) -> Result<(), CliError> {
        self.heading(
            "9. The CA's own journal: who asked, what was decided and why, each row chained to the one before",
        );
        let mut head = JournalHead::default();
        loop {
            let query = AuditQuery { start: head.rows, limit: None };
            let page = self.operator.ca.audit(self.operator.token(), query).await.map_err(failed)?;
            for text in &page.rows {
                let read: Row = head.follow(text.as_bytes()).map_err(|e| CliError::negative(e.to_string()))?;
                if read.row + 3 >= page.rows_total {
                    row(&format!("row {}", read.row), read.event.name());
                }
            }
            if page.rows.is_empty() || head.rows >= page.rows_total {
                break;
            }
        }
        row("head", format_args!("{}:{}", head.rows, hex::encode(head.hash)));
        println!("   Every row follows from the one before it: whoever noted this head sees if it is ever rewritten.");
        Ok(())
    }

    fn show_head(&self, head: &TreeHead) {
        row("tree head", format_args!("{} leaves, {}, signature verified", head.size, head.timestamp));
        row("signed root", head.root);
    }

    /// No honest log takes longer to sign its next head.
    fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_seconds) * 3 + 10)
    }

    fn heading(&self, text: &str) {
        if self.bold { println!("\n\x1b[1m{text}\x1b[0m") } else { println!("\n{text}") }
    }
}

/// A table of what may be used and how much.
fn capabilities(name: &str, all: &Capabilities) {
    for (line, name) in table(all.as_slice()).iter().zip(std::iter::once(name).chain(repeat(""))) {
        row(name, line);
    }
}

fn row(name: &str, value: impl Display) {
    println!("   {name:12} {value}");
}
