//! Who signs OCSP answers: a key of its own, made in this process and never written anywhere, with a
//! certificate of the issuing CA that lets it do that and nothing else (RFC 6960 section 4.2.2.2).

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING as P256, EcdsaKeyPair};
use parking_lot::RwLock;
use sha2::{Digest, Sha256};

use crate::apki::Certificate;
use crate::apki::moment::Moment;
use crate::apki::precertificate::certificate_der;
use crate::apki::status::ocsp::{ResponseTemplate, basic_response, responder_key_hash};
use crate::ca::application::Octets;
use crate::ca::command::Command;
use crate::ca::profile::{HelperProfile, HelperRole};
use crate::ca::serial::{MAX_SERIAL, Serial};
use crate::ca::service::CaError;
use crate::ca::service::core::Core;
use crate::keys::{EcdsaP256Signer, Ed25519Signer, SignatureAlgorithm, Signer};
use crate::time::UnixMillis;

/// How long a responder's certificate is valid. Nobody asks whether it still is, so this is how long a key
/// that was stolen out of memory would be of use.
const VALIDITY_MS: u64 = 48 * 3_600_000;
/// From when on there is a new one, so that answers never outlive whoever signed them.
const RENEWED_AFTER_MS: u64 = 24 * 3_600_000;
/// Its subject.
const COMMON_NAME: &str = "OCSP responder";

/// A key and its certificate.
pub(super) struct Responder {
    signer: Box<dyn Signer>,
    key_hash: [u8; 20],
    certificate: Vec<u8>,
    renew_at: UnixMillis,
    not_after: UnixMillis,
}

/// The responder at work, once somebody asked: a CA that nobody asks has none.
#[derive(Default)]
pub(super) struct Responders {
    current: RwLock<Option<Arc<Responder>>>,
    /// Held by whoever makes one.
    making: tokio::sync::Mutex<()>,
}

impl Responder {
    /// An answer, signed.
    pub(super) fn sign(&self, mut template: ResponseTemplate<'_>) -> Result<Vec<u8>, CaError> {
        template.responder_key_hash = self.key_hash;
        let tbs = template.tbs();
        let signature = self.signer.sign(&tbs).map_err(|e| CaError::Internal(format!("the OCSP responder: {e}")))?;
        Ok(basic_response(&tbs, self.signer.public_key().algorithm(), &signature, Some(&self.certificate)))
    }

    /// Until when it may sign.
    pub(super) const fn not_after(&self) -> UnixMillis {
        self.not_after
    }
}

impl Core {
    /// The responder at work, made if there is none.
    pub(super) async fn responder(&self) -> Result<Arc<Responder>, CaError> {
        if let Some(current) = self.current_responder(|responder, now| now < responder.not_after) {
            return Ok(current);
        }
        let _making = self.ocsp.responders.making.lock().await;
        match self.current_responder(|responder, now| now < responder.not_after) {
            Some(made) => Ok(made),
            None => self.make_responder().await,
        }
    }

    /// Makes a new one where the one at work has come into the second half of its time. Where that does not
    /// succeed, that one goes on.
    pub(in crate::ca::service) async fn renew_responder(&self) {
        if self.ocsp.responders.current.read().is_none() {
            return;
        }
        let _making = self.ocsp.responders.making.lock().await;
        if self.current_responder(|responder, now| now < responder.renew_at).is_none()
            && let Err(error) = self.make_responder().await
        {
            tracing::error!(%error, "the OCSP responder has no new certificate");
        }
    }

    fn current_responder(&self, good: impl FnOnce(&Responder, UnixMillis) -> bool) -> Option<Arc<Responder>> {
        let current = self.ocsp.responders.current.read();
        current.as_ref().filter(|responder| good(responder, self.clock.now())).cloned()
    }

    /// A new key with a new certificate. The journal has it before anybody else does.
    async fn make_responder(&self) -> Result<Arc<Responder>, CaError> {
        let signer = new_key(self.ca.algorithm(), self.octets()?)?;
        let key_hash = responder_key_hash(signer.public_key()).map_err(|e| internal(&e))?;
        let (serial, now) = (Serial::from_random(self.octets::<MAX_SERIAL>()?), self.clock.now());
        let (issuer, algorithm) = (self.ca.certificate(), self.ca.algorithm());
        let moment = |at| Moment::floor(at).ok_or_else(|| internal(&format_args!("it cannot be dated {at}")));
        let not_after = moment(now.saturating_add(VALIDITY_MS).min(issuer.not_after()))?;
        let profile = HelperProfile {
            role: HelperRole::OcspResponder,
            serial,
            not_before: moment(now.saturating_sub(self.settings.backdate_ms).max(issuer.not_before()))?,
            not_after,
            common_name: COMMON_NAME,
            crl_url: None,
            public_key: signer.public_key(),
        };
        let tbs = profile.tbs(issuer, algorithm).map_err(|e| internal(&e))?;
        let signature = self.ca.sign(&tbs).map_err(|e| internal(&e))?;
        let certificate = certificate_der(&tbs, algorithm.algorithm_identifier_der(), &signature);
        Certificate::parse(certificate.clone()).map_err(|e| internal(&e))?;
        let (fingerprint, octets) = (Sha256::digest(&certificate).into(), Octets(certificate.clone()));
        self.queue.record(Command::CertifyService { serial, fingerprint, certificate: octets }).await?;
        let renew_at = now.saturating_add(RENEWED_AFTER_MS);
        let made = Responder { signer, key_hash, certificate, renew_at, not_after: not_after.millis() };
        let made = Arc::new(made);
        *self.ocsp.responders.current.write() = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// A key of the kind that the issuing one is: who verifies the one can verify the other.
fn new_key(algorithm: SignatureAlgorithm, seed: [u8; 32]) -> Result<Box<dyn Signer>, CaError> {
    match algorithm {
        SignatureAlgorithm::Ed25519 => Ok(Box::new(Ed25519Signer::from_seed(&seed).map_err(|e| internal(&e))?)),
        SignatureAlgorithm::EcdsaP256Sha256 => {
            let pair = EcdsaKeyPair::generate(&P256).map_err(|_| internal(&"no key can be made"))?;
            let random = Arc::new(SystemRandom::new());
            Ok(Box::new(EcdsaP256Signer::from_key_pair(pair, random).map_err(|e| internal(&e))?))
        }
    }
}

fn internal(why: &dyn std::fmt::Display) -> CaError {
    CaError::Internal(format!("the certificate of the OCSP responder: {why}"))
}
