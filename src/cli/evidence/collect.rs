//! What is fetched for a bundle, as octets that somebody else will verify: the agents above, proofs of inclusion,
//! answers about revocation. Each is verified here as well before it is taken.

use reqwest::Client;

use crate::api::CertHashQuery;
use crate::api::ca::Hex32;
use crate::apki::Certificate;
use crate::apki::status::crl::Crl;
use crate::apki::status::ocsp::{CertId, CertIdHash, Nonce, OcspRequest};
use crate::cli::agent::inspect::KnownLog;
use crate::cli::log::proof::{Wanted, find};
use crate::cli::log::remote::{connect, polite};
use crate::cli::output::{CliError, Context};
use crate::cli::random;
use crate::client::{self, CaClient, LogClient};
use crate::log::entry::CertHash;
use crate::log::proof::TlogProof;
use crate::merkle::{Hash, verify_inclusion};
use crate::time::{Clock, SystemClock};
use crate::verify::evidence::{About, HeadProof, List};
use crate::verify::relying::{Examination, MAX_DEPTH, Questionable, RelyingParty, RevocationLists, Standing};

/// Whom to ask.
pub struct Sources<'a> {
    /// The logs, those with a URL.
    pub logs: &'a [KnownLog],
    /// The agent's CA, which has every certificate that it issued.
    pub ca: Option<&'a CaClient>,
    /// The way to responders and lists.
    pub http: &'a Client,
    /// Those who sign revocation lists for others.
    pub list_signers: &'a [Certificate],
}

/// What came of it.
#[derive(Default)]
pub struct Collected {
    /// Proofs up to signed heads.
    pub proofs: Vec<About<HeadProof>>,
    /// Proofs up to checkpoints that somebody cosigned.
    pub tlog_proofs: Vec<About<TlogProof>>,
    /// OCSP responses.
    pub answers: Vec<About<Vec<u8>>>,
    /// Revocation lists.
    pub lists: Vec<List>,
    /// What could not be had.
    pub missing: Vec<String>,
}

impl Sources<'_> {
    /// The certificates and behind them those of the agents above that are not among them, each with its CAs.
    pub async fn line(&self, mut all: Vec<Certificate>) -> Result<Vec<Certificate>, CliError> {
        let mut place = 0;
        for _ in 0..MAX_DEPTH {
            let delegation = all.get(place).and_then(|certificate| certificate.delegation().ok().flatten());
            let Some(delegation) = delegation.filter(|delegation| delegation.depth > 0) else { break };
            let wanted = delegation.parent_cert_hash;
            let known = all.iter().position(|certificate| certificate.fingerprint() == wanted);
            place = match known {
                Some(place) => place,
                None => {
                    let (parent, issuers) = self.parent(wanted).await?;
                    all.push(parent);
                    let parent = all.len() - 1;
                    let new: Vec<_> = issuers.into_iter().filter(|issuer| !all.contains(issuer)).collect();
                    all.extend(new);
                    parent
                }
            };
        }
        Ok(all)
    }

    /// The certificate with this hash, and its CAs but the anchor.
    async fn parent(&self, sha256: [u8; 32]) -> Result<(Certificate, Vec<Certificate>), CliError> {
        let name = hex::encode(sha256);
        let mut why = Vec::new();
        for log in self.logs.iter().filter(|log| is_url(&log.name)) {
            match entry(log, sha256).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => why.push(format!("{} does not have it", log.name)),
                Err(error) => why.push(error.to_string()),
            }
        }
        if let Some(ca) = self.ca {
            match polite(|| ca.certificate(Hex32(sha256))).await {
                Ok(der) => return Ok((checked(der, sha256).context(ca.base_url())?, Vec::new())),
                Err(error) => why.push(error.to_string()),
            }
        }
        let hint = "bring the certificates of the agents above with --chain";
        Err(CliError::new(format!("the parent with the certificate {name} was not found; {hint}: {}", why.join("; "))))
    }

    /// Proofs for every agent of the line, of each log that gave it a timestamp; and answers about every certificate.
    pub async fn facts(&self, party: &RelyingParty, examination: &Examination) -> Result<Collected, CliError> {
        let mut collected = Collected::default();
        for member in examination.members() {
            for (log, _) in party.stamps(member) {
                let known = self.logs.iter().find(|known| known.key == log.key);
                let Some(known) = known.filter(|known| is_url(&known.name)) else {
                    collected.missing.push(format!("a proof of {}: its URL is not known here", log.name));
                    continue;
                };
                let certificate = member.fingerprint();
                match prove(known, member.cert_hash()).await {
                    Ok((proof, file)) => {
                        collected.proofs.push(About { certificate, fact: proof });
                        collected.tlog_proofs.extend(file.map(|fact| About { certificate, fact }));
                    }
                    Err(error) => collected.missing.push(format!("a proof of {}: {error}", log.name)),
                }
            }
        }
        for asked in examination.questionable() {
            if let Err(why) = self.status(&asked, party, &mut collected).await {
                let what = if asked.is_ca { "a CA's certificate" } else { "an agent's certificate" };
                let name = hex::encode(asked.certificate.fingerprint());
                collected.missing.push(format!("whether {what} was revoked ({name}): {why}"));
            }
        }
        Ok(collected)
    }

    /// An OCSP answer, or else a list.
    async fn status(
        &self,
        asked: &Questionable<'_>,
        party: &RelyingParty,
        collected: &mut Collected,
    ) -> Result<(), CliError> {
        let told = |e: &dyn std::fmt::Display| CliError::new(e.to_string());
        let url = asked.certificate.ocsp_url().map_err(|e| told(&e))?;
        let no_answer = match url {
            Some(url) => match self.ocsp(url, asked).await {
                Ok(fact) => {
                    collected.answers.push(About { certificate: asked.certificate.fingerprint(), fact });
                    return Ok(());
                }
                Err(error) => error,
            },
            None => CliError::new("the certificate names no OCSP responder"),
        };
        let point = asked.certificate.crl_distribution_point().map_err(|e| told(&e))?;
        let Some(point) = point else { return Err(no_answer) };
        let signer = match point.crl_issuer {
            None => Some(asked.issuer),
            Some(name) => self.list_signers.iter().find(|signer| signer.subject_der() == name),
        };
        let signer = signer.ok_or_else(|| {
            CliError::new(format!("{}: the certificate of whoever signs this list is needed: --list-signer", point.url))
        })?;
        let crl = polite(|| client::crl(self.http, point.url)).await.map_err(|e| told(&e))?;
        if collected.lists.iter().any(|known| known.crl == crl) {
            return Ok(());
        }
        let parsed = Crl::parse(crl.as_slice()).context(point.url)?;
        RevocationLists::default().add(parsed, signer, &party.domains).context(point.url)?;
        collected.lists.push(List { signer: signer.clone(), crl });
        Ok(())
    }

    /// An answer of now: with a nonce, so that it is none that was signed earlier.
    async fn ocsp(&self, url: &str, asked: &Questionable<'_>) -> Result<Vec<u8>, CliError> {
        let id = CertId::of(asked.issuer, asked.certificate.serial(), CertIdHash::Sha1).context(url)?;
        let nonce = Nonce::new(random::<32>()?).context(url)?;
        let request = OcspRequest::new(vec![id], Some(nonce.clone())).context(url)?.to_der();
        let der = polite(|| client::ocsp(self.http, url, request.clone())).await.context(url)?;
        let now = SystemClock.now();
        let fresh = Standing::from_ocsp(&der, asked.certificate, asked.issuer, now, Some(&nonce));
        // A responder that signs its answers in advance repeats no nonce (RFC 8954); then the answer has a date.
        fresh.or_else(|_| Standing::from_ocsp(&der, asked.certificate, asked.issuer, now, None)).context(url)?;
        Ok(der)
    }
}

/// Whether a log was named by its URL, and not by its key's name.
fn is_url(name: &str) -> bool {
    name.starts_with("http://") || name.starts_with("https://")
}

fn checked(der: Vec<u8>, sha256: [u8; 32]) -> Result<Certificate, String> {
    let certificate = Certificate::parse(der).map_err(|e| e.to_string())?;
    if certificate.fingerprint() == sha256 {
        return Ok(certificate);
    }
    Err("what was given is another certificate than the one that was asked for".to_owned())
}

/// The final certificate with this hash as a log has it, with its CAs; `None` where the log does not.
async fn entry(log: &KnownLog, sha256: [u8; 32]) -> Result<Option<(Certificate, Vec<Certificate>)>, CliError> {
    let client = LogClient::new(&log.name).context(&log.name)?;
    let query = CertHashQuery { cert_hash: Hash::new(sha256) };
    let entry = loop {
        match polite(|| client.entry_by_cert_hash(query)).await {
            Ok(entry) => break entry,
            Err(error) if error.status() == Some(404) => {
                let Some(next) = error.retry_after() else { return Ok(None) };
                waiting(&log.name, next);
                tokio::time::sleep(next).await;
            }
            Err(error) => return Err(CliError::new(error.to_string())),
        }
    };
    let Some(submission) = entry.submission else { return Ok(None) };
    let certificate = checked(submission.0, sha256).context(&log.name)?;
    let mut issuers = entry.chain.into_iter().map(|der| Certificate::parse(der.0));
    // The anchor is the verifier's own.
    issuers.next_back();
    Ok(Some((certificate, issuers.collect::<Result<_, _>>().context(&log.name)?)))
}

/// The proof that the log has this entry, and the same as a file where somebody cosigned the checkpoint.
async fn prove(log: &KnownLog, cert_hash: CertHash) -> Result<(HeadProof, Option<TlogProof>), CliError> {
    let remote = connect(&log.name, None).await?;
    if *remote.key() != log.key {
        return Err(CliError::negative("the log says that its key is another one than is known here"));
    }
    let wanted = Wanted { leaf: cert_hash.leaf_hash(), what: "the certificate of an agent" };
    let shown = find(&remote, vec![wanted], true).await?;
    let (index, size, root) = (shown.proof.leaf_index, shown.sth.head.size, &shown.sth.head.root);
    verify_inclusion(&shown.wanted.leaf, index, size, &shown.proof.inclusion, root)
        .map_err(|e| CliError::negative(format!("the log's proof does not hold: {e}")))?;
    let file = TlogProof::new(index, size, shown.proof.inclusion.clone(), shown.checkpoint.as_bytes());
    let file = file.ok().filter(|file| file.checkpoint().signatures().len() > 1);
    Ok((HeadProof { index, inclusion: shown.proof.inclusion, head: shown.sth }, file))
}

fn waiting(log: &str, next: std::time::Duration) {
    eprintln!("{log}: logged, but not covered yet; the next head is due in {} s", next.as_secs());
}
