//! What logs are asked for: the certificates of agents above one, by their hash, and proofs of inclusion.

use std::time::Duration;

use super::{Online, Question, note};
use crate::api::{CertHashQuery, EntryResponse, ProofQuery, ProofResponse, Token};
use crate::apki::Certificate;
use crate::cli::log::remote::signed;
use crate::cli::relying::material::LogSource;
use crate::client::{ClientError, LogClient};
use crate::log::checkpoint::Checkpoint;
use crate::log::cosignature::WitnessQuorum;
use crate::log::entry::CertHash;
use crate::log::note::Note as SignedNote;
use crate::log::proof::TlogProof;
use crate::merkle::{Hash, TreeSize};
use crate::time::UnixMillis;
use crate::verify::relying::{Examination, Facts, Inclusion, Link, Presented, Subject};

use super::net::ClientFailure;

/// Most certificates of the chain in an entry: more than R9 lets through.
const MAX_CHAIN: usize = 8;

/// How often a checkpoint is looked at that lacks cosignatures, and how long is waited in between: that of a log's
/// newest head has none for as long as its witnesses take.
const LOOKS: (u32, Duration) = (4, Duration::from_millis(500));

/// Why a log gave no proof.
enum NoProof {
    /// It could not be asked, or has none.
    Nothing(String),
    /// What it gave does not hold.
    Invalid(String),
}

impl From<ClientFailure> for NoProof {
    fn from(failure: ClientFailure) -> Self {
        Self::Nothing(failure.to_string())
    }
}

impl Online<'_> {
    /// Examines what was presented, and looks for the parents that are missing, one after the other: each is named
    /// by its hash in the certificate of the agent below it.
    pub(super) async fn parents(&self, presented: Presented, facts: &mut Facts) -> Examination {
        let mut presented = presented;
        let most = usize::from(self.material.party.policy.max_depth);
        loop {
            let examination = self.material.party.examine(presented.clone());
            let Some(missing) = missing_parent(&examination).filter(|_| presented.parents.len() < most) else {
                return examination;
            };
            match self.parent(missing).await {
                Ok(parent) => presented.parents.push(parent),
                Err(why) => {
                    note(facts, Subject::Agent, why);
                    return examination;
                }
            }
        }
    }

    /// The agent's certificate with this SHA-256, from the first log that has it.
    async fn parent(&self, fingerprint: [u8; 32]) -> Result<Link, String> {
        let query = CertHashQuery { cert_hash: Hash::new(fingerprint) };
        let mut failures = Vec::new();
        for source in &self.material.sources {
            let found = match LogClient::new(&source.url) {
                Ok(log) => self.net.within(log.entry_by_cert_hash(query)).await.map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match found.and_then(|entry| link(entry, fingerprint)) {
                Ok(link) => return Ok(link),
                Err(why) => failures.push(format!("{}: {why}", source.name)),
            }
        }
        let said = match failures.is_empty() {
            true => "no log has a `url`".to_owned(),
            false => failures.join("; "),
        };
        Err(format!("the parent, SHA-256 {}, is not to be had from the logs: {said}", hex::encode(fingerprint)))
    }

    /// Asks for a proof that the agent's certificate is in a log, where none is known that is recent enough: those
    /// that gave it a timestamp, until one is enough.
    pub(super) async fn proofs(
        &self,
        examination: &Examination,
        question: Question<'_>,
        present: UnixMillis,
        facts: &mut Facts,
    ) {
        let Some(wanted) = &self.material.party.policy.inclusion else { return };
        let Some(agent) = examination.members().next().filter(|agent| agent.path().is_some()) else { return };
        if self.material.party.is_included(agent, &question.with(facts)) {
            return;
        }
        let stamped: Vec<_> = self.material.party.stamps(agent).map(|(log, _)| log.key.log_id()).collect();
        for source in self.material.sources.iter().filter(|source| stamped.contains(&source.log)) {
            let cert_hash = agent.cert_hash();
            let found = match &wanted.witnesses {
                None => self.under_head(source, cert_hash).await,
                Some(quorum) => self.under_cosigned(source, cert_hash, quorum, present).await,
            };
            match found {
                Ok(inclusion) => {
                    let enough = wanted.witnesses.is_none() || inclusion.witnessed_at.is_some();
                    facts.inclusions.push(inclusion);
                    if enough {
                        return;
                    }
                }
                Err(NoProof::Nothing(why)) => {
                    note(facts, Subject::Agent, format!("proof of inclusion: {}: {why}", source.name));
                }
                Err(NoProof::Invalid(why)) => facts.invalid_proofs.push(format!("{}: {why}", source.name)),
            }
        }
    }

    async fn under_head(&self, source: &LogSource, cert_hash: CertHash) -> Result<Inclusion, NoProof> {
        let log = client(source)?;
        let head = signed(self.net.within(log.sth()).await?);
        let proof = self.proof(&log, cert_hash, head.head.size).await?;
        Inclusion::under_head(cert_hash, proof.leaf_index, &proof.inclusion, &head, &self.material.party.logs)
            .map_err(|e| NoProof::Invalid(e.to_string()))
    }

    /// Under the newest checkpoint, or one that follows it soon where that has too few cosignatures.
    async fn under_cosigned(
        &self,
        source: &LogSource,
        cert_hash: CertHash,
        quorum: &WitnessQuorum,
        present: UnixMillis,
    ) -> Result<Inclusion, NoProof> {
        let mut found = self.under_checkpoint(source, cert_hash, quorum, present).await;
        for _ in 1..LOOKS.0 {
            if !matches!(&found, Ok(inclusion) if inclusion.witnessed_at.is_none()) {
                break;
            }
            tokio::time::sleep(LOOKS.1).await;
            found = self.under_checkpoint(source, cert_hash, quorum, present).await;
        }
        found
    }

    async fn under_checkpoint(
        &self,
        source: &LogSource,
        cert_hash: CertHash,
        quorum: &WitnessQuorum,
        present: UnixMillis,
    ) -> Result<Inclusion, NoProof> {
        let invalid = |e: &dyn std::fmt::Display| NoProof::Invalid(e.to_string());
        let log = client(source)?;
        let note = self.net.within(log.checkpoint()).await?;
        let read = SignedNote::parse(note.as_bytes()).map_err(|e| invalid(&e))?;
        let size = Checkpoint::parse(read.text()).map_err(|e| invalid(&e))?.size;
        let ProofResponse { leaf_index, tree_size, inclusion } = self.proof(&log, cert_hash, size).await?;
        let file = TlogProof::new(leaf_index, tree_size, inclusion, note.as_bytes()).map_err(|e| invalid(&e))?;
        Inclusion::from_proof(&file, cert_hash, &self.material.party.logs, Some(quorum), present)
            .map_err(|e| invalid(&e))
    }

    async fn proof(&self, log: &LogClient, cert_hash: CertHash, size: TreeSize) -> Result<ProofResponse, NoProof> {
        let query = ProofQuery { hash: cert_hash.leaf_hash(), tree_size: Some(size) };
        self.net.within(log.proof_by_hash(query)).await.map_err(|failure| match &failure {
            ClientFailure::Client(error) if error.token() == Some(Token::HashUnknown) => not_covered(error),
            _ => failure.into(),
        })
    }
}

fn not_covered(error: &ClientError) -> NoProof {
    NoProof::Nothing(match error.retry_after() {
        Some(wait) => format!("no tree head covers the certificate yet; ask again in {} s", wait.as_secs()),
        None => "the certificate is not in its tree".to_owned(),
    })
}

fn client(source: &LogSource) -> Result<LogClient, NoProof> {
    LogClient::new(&source.url).map_err(|e| NoProof::Nothing(e.to_string()))
}

/// The agent's certificate in an entry, which has to be the one that was asked for, with the CAs behind it.
fn link(entry: EntryResponse, fingerprint: [u8; 32]) -> Result<Link, String> {
    let submission = entry.submission.ok_or("the log has dropped the certificate, and kept its hash")?;
    let certificate = Certificate::parse(submission.0).map_err(|e| format!("the entry: {e}"))?;
    if certificate.fingerprint() != fingerprint {
        return Err("the log answered with another certificate".into());
    }
    if entry.chain.len() > MAX_CHAIN {
        return Err(format!("the entry has {} certificates behind it", entry.chain.len()));
    }
    let issuers = entry.chain.into_iter().map(|der| Certificate::parse(der.0));
    let issuers = issuers.collect::<Result<_, _>>().map_err(|e| format!("the chain of the entry: {e}"))?;
    Ok(Link::new(certificate, issuers))
}

/// The hash of the first parent in the line that is not there. Only of a line whose chains all hold: nobody is
/// looked for on the word of a stranger.
fn missing_parent(examination: &Examination) -> Option<[u8; 32]> {
    let members: Vec<_> = examination.members().collect();
    if !members.iter().all(|member| member.path().is_some()) {
        return None;
    }
    members.iter().enumerate().find_map(|(depth, member)| {
        let delegation = member.delegation().filter(|delegation| delegation.depth > 0)?;
        let above = members.get(depth + 1).map(|above| above.fingerprint());
        (above != Some(delegation.parent_cert_hash)).then_some(delegation.parent_cert_hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::B64;
    use crate::apki::testing::{Draft, key};
    use crate::log::entry::EntryType;
    use crate::merkle::LeafIndex;

    #[test]
    fn a_log_gives_the_certificate_that_was_asked_for_or_nothing() {
        let certificate = Draft::leaf("Org").certificate(&key(2));
        let issuer = Draft::ca("Root", "Org", &key(2), None).certificate(&key(1));
        let entry = |submission: Option<&[u8]>, chain: usize| EntryResponse {
            leaf_index: LeafIndex::new(0),
            timestamp: UnixMillis::new(0),
            entry_type: EntryType::Certificate,
            submission: submission.map(|der| B64(der.to_vec())),
            cert_hash: Hash::new(certificate.fingerprint()),
            chain: vec![B64(issuer.der().to_vec()); chain],
        };
        let fingerprint = certificate.fingerprint();
        let good = link(entry(Some(certificate.der()), 1), fingerprint).unwrap();
        assert_eq!(good, Link::new(certificate.clone(), vec![issuer.clone()]));
        let refused = |submission, chain| link(entry(submission, chain), fingerprint).unwrap_err();
        assert!(refused(None, 1).contains("dropped"));
        assert!(refused(Some(issuer.der()), 1).contains("another certificate"));
        assert!(refused(Some(&certificate.der()[1..]), 1).contains("the entry"));
        assert!(refused(Some(certificate.der()), 9).contains("9 certificates"));
    }
}
