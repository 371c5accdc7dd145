//! Revocation: OCSP, and lists for what OCSP did not answer (RFC 6960, RFC 5280 section 6.3).

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::net::ClientFailure;
use super::{Online, Question, Unknown, note};
use crate::apki::Certificate;
use crate::apki::status::crl::Crl;
use crate::apki::status::ocsp::{CertId, CertIdHash, Nonce, OcspRequest};
use crate::cli::random;
use crate::client;
use crate::time::UnixMillis;
use crate::verify::relying::{Domains, Examination, Facts, RevocationLists, Standing, Subject};

/// Most octets of a list that a certificate names. Those of the configuration may be longer.
const MAX_NAMED: usize = 8 << 20;

/// An answer under way, and what it is about.
struct Asked<'e> {
    about: Unknown<'e>,
    url: String,
    nonce: Nonce,
    answer: JoinHandle<Result<Vec<u8>, ClientFailure>>,
}

/// A list under way, and who signs it.
struct Wanted<'e> {
    subject: Subject,
    url: String,
    signer: &'e Certificate,
    /// The certificate that names it, and its issuer, where it is not the configuration that does.
    named_by: Option<(&'e Certificate, &'e Certificate)>,
    answer: JoinHandle<Result<Vec<u8>, ClientFailure>>,
}

impl Wanted<'_> {
    /// What these octets are to the relying party. Whoever has a certificate names a place for its list, where
    /// there may be any number of others: only what is about the certificate is taken.
    fn read(&self, octets: Vec<u8>, domains: &Domains) -> Result<RevocationLists, String> {
        let mut taken = RevocationLists::default();
        let crl = Crl::parse(octets).map_err(|e| format!("{}: {e}", self.url))?;
        taken.add(crl, self.signer, domains).map_err(|e| format!("{}: {e}", self.url))?;
        match self.named_by {
            Some((certificate, issuer)) if !taken.are_about(certificate, issuer) => {
                Err(format!("{}: it says nothing of the certificate that names it", self.url))
            }
            _ => Ok(taken),
        }
    }
}

impl Online<'_> {
    /// Asks about every certificate of which too little is known, all at once, each with a nonce of its own.
    pub(super) async fn ocsp(
        &self,
        examination: &Examination,
        question: Question<'_>,
        present: UnixMillis,
        facts: &mut Facts,
    ) {
        let mut asked = Vec::new();
        for about in self.unknown(examination, question, facts) {
            let subject = about.subject;
            match self.ask(about) {
                Ok(call) => asked.extend(call),
                Err(why) => note(facts, subject, why),
            }
        }
        for Asked { about, url, nonce, answer } in asked {
            let Unknown { certificate, issuer, subject } = about;
            let octets = match answer.await {
                Ok(Ok(octets)) => octets,
                Ok(Err(failure)) => {
                    note(facts, subject, format!("OCSP: {}", named(&url, &failure)));
                    continue;
                }
                Err(error) => {
                    note(facts, subject, format!("OCSP: {url}: {error}"));
                    continue;
                }
            };
            match Standing::from_ocsp(&octets, certificate, issuer, present, Some(&nonce)) {
                Ok(standing) => facts.revocations.answers.push(standing),
                Err(error) => facts.revocations.invalid.push((certificate.fingerprint(), format!("{url}: {error}"))),
            }
        }
    }

    /// Starts a call, where the certificate says whom to ask.
    fn ask<'e>(&self, about: Unknown<'e>) -> Result<Option<Asked<'e>>, String> {
        let url = about.certificate.ocsp_url().map_err(|e| format!("whom to ask by OCSP: {e}"))?;
        let Some(url) = url.map(str::to_owned) else { return Ok(None) };
        self.net.admit(&url)?;
        let id = CertId::of(about.issuer, about.certificate.serial(), CertIdHash::Sha1);
        let id = id.map_err(|e| format!("the issuer cannot be asked: {e}"))?;
        let nonce = random::<32>().map_err(|e| e.to_string())?;
        let nonce = Nonce::new(nonce).map_err(|e| e.to_string())?;
        let request = OcspRequest::new(vec![id], Some(nonce.clone())).map_err(|e| e.to_string())?;
        let (net, place, body) = (self.net.clone(), url.clone(), request.to_der());
        let answer = tokio::spawn(async move { net.within(client::ocsp(&net.http, &place, body)).await });
        Ok(Some(Asked { about, url, nonce, answer }))
    }

    /// Fetches the lists of the configuration, and those that certificates name of which too little is known still.
    pub(super) async fn lists(&self, examination: &Examination, question: Question<'_>, facts: &mut Facts) {
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        for list in &self.material.remote_lists {
            wanted.push(self.fetch(Subject::Agent, list.url.clone(), &list.signer, None));
        }
        for about in self.unknown(examination, question, facts) {
            let subject = about.subject;
            match self.place(&about) {
                Ok(Some((url, signer))) if wanted.iter().all(|known| known.url != url) => {
                    wanted.push(self.fetch(subject, url, signer, Some((about.certificate, about.issuer))));
                }
                Ok(_) => {}
                Err(why) => note(facts, subject, why),
            }
        }
        if wanted.is_empty() {
            return;
        }
        let mut lists = RevocationLists::clone(&facts.revocations.lists);
        for mut list in wanted {
            let said = match (&mut list.answer).await {
                Ok(Ok(octets)) => list.read(octets, &self.material.party.domains).map(|taken| lists.merge(&taken)),
                Ok(Err(failure)) => Err(named(&list.url, &failure)),
                Err(error) => Err(format!("{}: {error}", list.url)),
            };
            if let Err(why) = said {
                note(facts, list.subject, format!("revocation list: {why}"));
            }
        }
        facts.revocations.lists = Arc::new(lists);
    }

    fn fetch<'e>(
        &self,
        subject: Subject,
        url: String,
        signer: &'e Certificate,
        named_by: Option<(&'e Certificate, &'e Certificate)>,
    ) -> Wanted<'e> {
        let (net, place, is_named) = (self.net.clone(), url.clone(), named_by.is_some());
        let answer = tokio::spawn(async move {
            match is_named {
                true => net.within(client::crl_within(&net.http, &place, MAX_NAMED)).await,
                false => net.within(client::crl(&net.http, &place)).await,
            }
        });
        Wanted { subject, url, signer, named_by, answer }
    }

    /// Where the list of a certificate is, and the certificate of whoever signs it.
    fn place<'e>(&'e self, about: &Unknown<'e>) -> Result<Option<(String, &'e Certificate)>, String> {
        let point = about.certificate.crl_distribution_point();
        let Some(point) = point.map_err(|e| format!("where the revocation list is: {e}"))? else { return Ok(None) };
        self.net.admit(point.url)?;
        let signer = match point.crl_issuer {
            None => about.issuer,
            Some(name) => {
                let known = self.material.list_signers.iter().find(|signer| signer.subject_der() == name);
                known.ok_or_else(|| {
                    format!(
                        "revocation list: {} is signed by somebody else than the issuer; name the certificate as a \
                         `signer` in `revocation_lists`",
                        point.url
                    )
                })?
            }
        };
        Ok(Some((point.url.to_owned(), signer)))
    }
}

/// The failure with the URL, which that of a call has in front already.
fn named(url: &str, failure: &ClientFailure) -> String {
    match failure {
        ClientFailure::Client(error) => error.to_string(),
        ClientFailure::Late(_) => format!("{url}: {failure}"),
    }
}
