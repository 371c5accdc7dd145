//! Which client certificates the CA's listener takes (draft 7.3): its own, and while they are valid.

use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;

use crate::apki::chain::{AnchorError, Anchors, IssuerPath};
use crate::apki::{Certificate, oid};
use crate::ca::issuance::IssuingCa;
use crate::http::tls::client_verifier;
use crate::time::Clock;

/// Most certificates from a client's to the CA's issuer, both included.
const MAX_PATH: usize = 3;

/// Judges certificates of clients: strictly parsed, issued below one of these issuers, valid now, and
/// no precertificate. Whether the CA still stands by one is for its service to say.
pub struct ClientChainCheck {
    issuers: Anchors,
    clock: Arc<dyn Clock>,
}

/// What a client's certificate may stand below: the issuing certificate, and those above it. Agents show the
/// issuer that they got with their certificate, and that is another one once the intermediate was renewed.
///
/// # Errors
/// Where one of them may not issue certificates.
pub fn accepted_issuers(ca: &IssuingCa) -> Result<Anchors, AnchorError> {
    Anchors::new(std::iter::once(ca.certificate()).chain(ca.chain()).cloned())
}

impl ClientChainCheck {
    /// A check against the CA's own issuing certificates, at the time of this clock.
    pub fn new(issuers: Anchors, clock: Arc<dyn Clock>) -> Self {
        Self { issuers, clock }
    }

    /// Judges a certificate and those that were sent behind it, issuer first, all in DER.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn check(&self, der: &[u8], sent: &[Vec<u8>]) -> Result<(), String> {
        let certificate = Certificate::parse(der).map_err(|e| e.to_string())?;
        if certificate.extension(&oid::PRECERTIFICATE_POISON).is_some() {
            return Err("it is a precertificate, which proves nothing but that a certificate was to come".into());
        }
        let now = self.clock.now();
        if now < certificate.not_before() {
            return Err(format!("it is not valid before {}", certificate.not_before()));
        }
        if now > certificate.not_after() {
            return Err(format!("it ended at {}", certificate.not_after()));
        }
        IssuerPath::find(&certificate, self.way(sent)?, &self.issuers, MAX_PATH).map_err(|e| e.to_string())?;
        Ok(())
    }

    /// What was sent, as far as the first issuer of ours: clients also send what is above it.
    fn way(&self, sent: &[Vec<u8>]) -> Result<Vec<Certificate>, String> {
        let ours = |der: &Vec<u8>| self.issuers.iter().any(|issuer| issuer.certificate().der() == der.as_slice());
        let end = sent.iter().position(ours).map_or(sent.len(), |place| place + 1);
        // Before they are parsed: strangers may send as many as a handshake holds.
        if end >= MAX_PATH {
            return Err(format!(
                "{end} certificates were sent behind it, and none of the first is an issuer of this CA"
            ));
        }
        sent[..end].iter().map(|der| Certificate::parse(der.as_slice()).map_err(|e| e.to_string())).collect()
    }

    /// The verifier that applies this check in a TLS handshake.
    pub fn verifier(self) -> Arc<dyn ClientCertVerifier> {
        let names = self.issuers.iter().map(|issuer| issuer.certificate().subject_der().to_vec()).collect();
        client_verifier(Arc::new(move |der: &[u8], sent: &[Vec<u8>]| self.check(der, sent)), names)
    }
}

#[cfg(test)]
mod tests;
