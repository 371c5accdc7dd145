//! What the world is told of certificates, asked as a relying party asks: over plain HTTP, where the
//! certificate says, believing nothing that is not signed.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Client;

use crate::apki::Certificate;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::Crl;
use crate::apki::status::ocsp::{CertId, CertIdHash, CertStatus, Nonce, OcspRequest, OcspResponse};
use crate::cli::dev::cast::Member;
use crate::cli::output::{CliError, Context};
use crate::cli::random;
use crate::client::{self, ClientError};
use crate::keys::PublicKey;
use crate::time::{Clock, Stopwatch, SystemClock};
use crate::verify::relying::Standing;

/// How long what follows from a decision may take before the story is given up.
pub const AT_MOST: Duration = Duration::from_secs(20);

/// Between two questions about the same certificate.
const PAUSE: Duration = Duration::from_millis(5);

/// Whom to ask.
pub struct Responder {
    http: Client,
}

/// When a certificate was seen to be revoked, and why it is.
pub struct Fallen {
    /// Since the watch was started.
    pub after: Duration,
    /// As RFC 5280 names it.
    pub reason: RevocationReason,
}

impl Responder {
    /// The demo's is on this machine, so no proxy is asked.
    pub fn new() -> Result<Self, CliError> {
        Ok(Self { http: client::builder().no_proxy().build().context("the HTTP client")? })
    }

    /// Checks that the certificate is good at the moment.
    pub async fn is_good(&self, member: &Member) -> Result<(), CliError> {
        match self.ask(member).await? {
            CertStatus::Good => Ok(()),
            other => Err(CliError::negative(format!("OCSP says of {}'s new certificate: {other:?}", member.letter))),
        }
    }

    /// Asks until the certificate is revoked.
    pub async fn fall(&self, member: &Member, watch: Stopwatch) -> Result<Fallen, CliError> {
        loop {
            if let CertStatus::Revoked { reason, .. } = self.ask(member).await? {
                return Ok(Fallen { after: watch.elapsed(), reason });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What is said of the certificate now, as a fact for a verdict.
    pub async fn standing(&self, member: &Member) -> Result<Standing, CliError> {
        let (octets, nonce) = self.question(member).await?;
        let Member { certificate, issuer, .. } = member;
        Standing::from_ocsp(&octets, certificate, issuer, SystemClock.now(), Some(&nonce)).context("the OCSP answer")
    }

    /// What is said of the certificate now, verified.
    async fn ask(&self, member: &Member) -> Result<CertStatus, CliError> {
        let (octets, nonce) = self.question(member).await?;
        let id = cert_id(member)?;
        let response = OcspResponse::parse(&octets).context("the OCSP answer")?;
        let answer = response.verify(&id, &member.issuer, SystemClock.now(), Some(&nonce));
        Ok(answer.context("the OCSP answer")?.status)
    }

    /// One question with a nonce of its own: the nonce, and the answer as it came.
    async fn question(&self, member: &Member) -> Result<(Vec<u8>, Nonce), CliError> {
        let url = member.certificate.ocsp_url().context("the certificate")?;
        let url = url.ok_or_else(|| CliError::new("the certificate does not say where to ask for its status"))?;
        let nonce = Nonce::new(random::<32>()?).context("the nonce")?;
        let request = OcspRequest::new(vec![cert_id(member)?], Some(nonce.clone())).context("the question")?;
        let octets = client::ocsp(&self.http, url, request.to_der()).await.map_err(failed)?;
        Ok((octets, nonce))
    }

    /// The number of the list that has all of them; of the lists, where they are in several.
    pub async fn listed(&self, members: &[&Member]) -> Result<String, CliError> {
        let mut numbers = BTreeSet::new();
        for member in members {
            let late = |_| CliError::negative(format!("the revocation list did not name {} in time", member.letter));
            numbers.insert(tokio::time::timeout(AT_MOST, self.list_with(member)).await.map_err(late)??);
        }
        Ok(numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" and "))
    }

    /// The number of the list that has this certificate, as soon as there is one.
    async fn list_with(&self, member: &Member) -> Result<u64, CliError> {
        let url = member.certificate.crl_url().context("the certificate")?;
        let url = url.ok_or_else(|| CliError::new("the certificate does not say where its revocation list is"))?;
        loop {
            let list = Crl::parse(client::crl(&self.http, url).await.map_err(failed)?).context(url)?;
            check(&list, &member.issuer).context(url)?;
            if list.find(member.certificate.serial()).is_some() {
                return list.number().ok_or_else(|| CliError::new("the number of the revocation list is too long"));
            }
            tokio::time::sleep(PAUSE * 10).await;
        }
    }
}

fn cert_id(member: &Member) -> Result<CertId, CliError> {
    CertId::of(&member.issuer, member.certificate.serial(), CertIdHash::Sha256).context("the CertID")
}

/// That the list is this issuer's, and of now.
fn check(list: &Crl, issuer: &Certificate) -> Result<(), String> {
    if list.issuer_der() != issuer.subject_der() {
        return Err("the revocation list is somebody else's".into());
    }
    let key = PublicKey::from_spki_der(issuer.spki_der()).map_err(|e| e.to_string())?;
    list.verify(&key).map_err(|e| e.to_string())?;
    list.check_current(SystemClock.now()).map_err(|e| e.to_string())
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: ClientError) -> CliError {
    CliError::new(error.to_string())
}
