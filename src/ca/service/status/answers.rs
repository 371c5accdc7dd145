//! OCSP (RFC 6960): questions about certificates, answered.
//!
//! What the board knows is looked up before anything that was signed earlier, and once more behind the
//! signature: whoever asks after a revocation was recorded is never told that the certificate is good.

use std::sync::Arc;

use super::cache::{Cache, Cached};
use super::responder::Responders;
use crate::apki::Certificate;
use crate::apki::moment::Moment;
use crate::apki::status::ocsp::{
    CertId, CertIdError, CertStatus, IssuerIds, Nonce, OcspRequest, OcspRequestError, ResponseTemplate, SingleResponse,
    Unsuccessful,
};
use crate::ca::ports::{Entity, Key};
use crate::ca::record::{CertificateState, RevocationRecord};
use crate::ca::serial::Serial;
use crate::ca::service::core::Core;
use crate::ca::service::{CaError, CaService};
use crate::time::UnixMillis;

/// An OCSPResponse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspAnswer {
    /// Its octets, in DER.
    pub der: Arc<[u8]>,
    /// For how many seconds more it may be shown to others who ask the same; 0 where it may not.
    pub max_age_seconds: u64,
}

/// What answering takes.
pub(in crate::ca::service) struct Ocsp {
    pub(super) responders: Responders,
    issuer: IssuerIds,
    cache: Cache,
    /// The answers that nobody signs, by what they say.
    unsuccessful: [Arc<[u8]>; 4],
}

const UNSUCCESSFUL: [Unsuccessful; 4] =
    [Unsuccessful::MalformedRequest, Unsuccessful::InternalError, Unsuccessful::TryLater, Unsuccessful::Unauthorized];

impl Ocsp {
    /// For certificates of this issuer.
    pub(in crate::ca::service) fn new(issuer: &Certificate) -> Result<Self, CertIdError> {
        Ok(Self {
            responders: Responders::default(),
            issuer: IssuerIds::of(issuer)?,
            cache: Cache::default(),
            unsuccessful: UNSUCCESSFUL.map(|what| Arc::from(what.to_der())),
        })
    }

    fn no(&self, what: Unsuccessful) -> OcspAnswer {
        let place = UNSUCCESSFUL.iter().position(|one| *one == what).unwrap_or(1);
        OcspAnswer { der: Arc::clone(&self.unsuccessful[place]), max_age_seconds: 0 }
    }
}

impl CaService {
    /// Answers the OCSPRequest, in DER, of a POST. There is always an answer; one that the CA cannot give says
    /// so itself.
    pub async fn ocsp(&self, request_der: &[u8]) -> OcspAnswer {
        self.answered_request(OcspRequest::parse(request_der)).await
    }

    /// Answers the request in the path of a GET: base64 whose percent-encoding is undone (RFC 6960 appendix A.1).
    pub async fn ocsp_by_path(&self, base64: &str) -> OcspAnswer {
        self.answered_request(OcspRequest::from_base64_path(base64)).await
    }

    async fn answered_request(&self, request: Result<OcspRequest, OcspRequestError>) -> OcspAnswer {
        let Ok(request) = request else { return self.core.ocsp.no(Unsuccessful::MalformedRequest) };
        let core = &self.core;
        let answer = match (request.cert_ids(), request.nonce()) {
            ([id], None) => core.shared_answer(id).await,
            (ids, nonce) => core.answer_once(ids, nonce).await,
        };
        answer.unwrap_or_else(|error| match error {
            Failed::Stranger => core.ocsp.no(Unsuccessful::Unauthorized),
            Failed::Ours(CaError::Overloaded | CaError::Stopped | CaError::ReadOnly) => {
                core.ocsp.no(Unsuccessful::TryLater)
            }
            Failed::Ours(error) => {
                tracing::error!(%error, "a question by OCSP was not answered");
                core.ocsp.no(Unsuccessful::InternalError)
            }
        })
    }

    /// Makes the OCSP responder's key and certificate now, and not when the first one asks.
    ///
    /// # Errors
    /// Where the certificate cannot be signed or recorded.
    pub async fn prepare_ocsp(&self) -> Result<(), CaError> {
        self.core.responder().await.map(drop)
    }
}

/// Why there is no signed answer.
enum Failed {
    /// It is about a certificate of another issuer.
    Stranger,
    /// The fault is here.
    Ours(CaError),
}

impl From<CaError> for Failed {
    fn from(error: CaError) -> Self {
        Self::Ours(error)
    }
}

/// A signed answer about some certificates.
struct Signed {
    der: Arc<[u8]>,
    statuses: Vec<CertStatus>,
    this_update: UnixMillis,
    next_update: UnixMillis,
}

impl Core {
    /// The answer about one certificate that everybody gets who asks.
    async fn shared_answer(&self, id: &CertId) -> Result<OcspAnswer, Failed> {
        let revoked = serial_of(id).is_some_and(|serial| self.status.find(&serial).is_some());
        let now = self.clock.now();
        if let Some(Cached { der, next_update, .. }) = self.ocsp.cache.get(id.der(), revoked, now) {
            return Ok(OcspAnswer { der, max_age_seconds: next_update.since(now) / 1000 });
        }
        let ids = std::slice::from_ref(id);
        let Signed { der, statuses, this_update, next_update } = self.signed(ids, None).await?;
        let revoked = match statuses.first() {
            Some(CertStatus::Good) => false,
            Some(CertStatus::Revoked { .. }) => true,
            // There is no end of numbers that nobody issued, and each may be issued any moment.
            _ => return Ok(OcspAnswer { der, max_age_seconds: 0 }),
        };
        let stale = this_update.saturating_add(next_update.since(this_update) / 2);
        let answer = Cached { der: Arc::clone(&der), revoked, this_update, stale, next_update };
        self.ocsp.cache.put(id.der(), answer);
        Ok(OcspAnswer { der, max_age_seconds: next_update.since(self.clock.now()) / 1000 })
    }

    /// An answer for whoever asks alone.
    async fn answer_once(&self, ids: &[CertId], nonce: Option<&Nonce>) -> Result<OcspAnswer, Failed> {
        Ok(OcspAnswer { der: self.signed(ids, nonce).await?.der, max_age_seconds: 0 })
    }

    async fn signed(&self, ids: &[CertId], nonce: Option<&Nonce>) -> Result<Signed, Failed> {
        if !ids.iter().all(|id| self.ocsp.issuer.issued(id)) {
            return Err(Failed::Stranger);
        }
        let responder = self.responder().await?;
        loop {
            let now = self.clock.now();
            let generation = self.status.generation();
            let statuses = self.statuses(ids).await?;
            let dated = |at| Moment::floor(at).ok_or_else(|| CaError::Internal(format!("no answer can be dated {at}")));
            let this_update = dated(now)?;
            let validity = self.settings.status.ocsp_validity_ms;
            let next_update = dated(this_update.millis().saturating_add(validity).min(responder.not_after()))?;
            let single = |(cert_id, status): (_, &CertStatus)| SingleResponse {
                cert_id,
                status: *status,
                this_update,
                next_update,
            };
            let responses: Vec<SingleResponse<'_>> = ids.iter().zip(&statuses).map(single).collect();
            let template = ResponseTemplate {
                responder_key_hash: [0; 20],
                produced_at: this_update,
                responses: &responses,
                nonce,
            };
            let der = responder.sign(template)?.into();
            // What was recorded meanwhile, be it of another certificate, is looked up once more.
            if self.status.generation() == generation || !self.turned(ids, &statuses) {
                let (this_update, next_update) = (this_update.millis(), next_update.millis());
                return Ok(Signed { der, statuses, this_update, next_update });
            }
        }
    }

    /// Whether one of these was revoked since its status was looked up.
    fn turned(&self, ids: &[CertId], statuses: &[CertStatus]) -> bool {
        let revoked = |id| serial_of(id).is_some_and(|serial| self.status.find(&serial).is_some());
        ids.iter().zip(statuses).any(|(id, status)| !matches!(status, CertStatus::Revoked { .. }) && revoked(id))
    }

    /// How these certificates stand, whose issuer is ours.
    async fn statuses(&self, ids: &[CertId]) -> Result<Vec<CertStatus>, CaError> {
        let mut statuses = Vec::with_capacity(ids.len());
        for id in ids {
            statuses.push(match serial_of(id) {
                Some(serial) => match self.status.find(&serial) {
                    Some(record) => revoked(&record)?,
                    None => self.status_of(serial).await?,
                },
                // This CA gives no such numbers.
                None => CertStatus::Unknown,
            });
        }
        Ok(statuses)
    }

    /// What the store knows: of certificates that were revoked and have ended, too.
    async fn status_of(&self, serial: Serial) -> Result<CertStatus, CaError> {
        let keys = [Key::Certificate(serial), Key::Revocation(serial)];
        let found = self.read(move |store| store.load(&keys)).await?;
        // One that was revoked while this was read is on the board by now.
        if let Some(record) = self.status.find(&serial) {
            return revoked(&record);
        }
        let mut status = CertStatus::Unknown;
        for entity in found.into_iter().flatten() {
            match entity {
                Entity::Revocation(record) => return revoked(&record),
                // There is a precertificate in logs, so it is ours and nothing speaks against it.
                Entity::Certificate(record) if !matches!(record.state, CertificateState::Abandoned { .. }) => {
                    status = CertStatus::Good;
                }
                _ => {}
            }
        }
        Ok(status)
    }
}

fn serial_of(id: &CertId) -> Option<Serial> {
    Serial::from_bytes(id.serial()).ok()
}

fn revoked(record: &RevocationRecord) -> Result<CertStatus, CaError> {
    let at = Moment::floor(record.at).ok_or_else(|| CaError::Internal("a revocation past the year 9999".into()))?;
    Ok(CertStatus::Revoked { at, reason: record.reason })
}
