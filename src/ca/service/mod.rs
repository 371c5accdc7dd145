//! The CA at work: the one place of `ca` with a clock, randomness and threads.
//!
//! - `queue`, `writer`: one thread decides every command and makes what follows durable
//! - `issuing`, `logs`: from a request that is ready, by way of the logs, to a certificate
//! - `publishing`: a parent's final certificate in the logs, before its first child
//! - `authority`, `lineage`: rights handed on and taken back, and who has whose
//! - `trust`: what the trust engine says, asked and unasked
//! - `recovery`: takes up what a crash or silent logs interrupted
//! - `status`: revocation lists and OCSP
//! - `checks`: whether all of that would work now; `show`: how what is kept is shown

mod authority;
mod checks;
mod core;
mod flights;
mod form;
mod issuing;
mod lineage;
mod logs;
mod own;
mod parts;
mod profile;
mod publishing;
mod queue;
mod recovery;
mod show;
mod status;
#[cfg(test)]
mod tests;
mod trust;
mod view;
mod writer;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::task::JoinHandle;

pub use self::authority::{DelegateForm, RevokedBy, Target};
use self::core::Core;
pub use self::form::holder;
pub use self::parts::{NoRandomness, Parts, Random, Settings, StartError, SystemRandom};
pub use self::status::{OcspAnswer, StatusSettings};
pub use self::view::{
    Answered, AuditPage, CertificateView, IssuedView, LineageNode, LineageView, OpenView, RevokedAgent, RevokedView,
    SatView, Standing, StandingView,
};
use self::writer::Told;
pub use super::application::{DelegationTerms, Evidence, Octets, Principal};
pub use super::authority::Refusal;
pub use super::csr::CsrFault;
pub use super::ports::{CertificateSearch, Place};
pub use super::record::{AgentRevocation, Reason, ReasonCode, Refusals, Reissue};
pub use super::request::{Credential, RequestId};
pub use super::root_list::{IssuerRevocation, RootList};
pub use super::serial::Serial;
pub use super::token::{TokenId, TokenScope, TokenSecret, UriPattern};
use crate::apki::capabilities::Capabilities;
use crate::ca::command::Command;
use crate::ca::request::Request;
use crate::time::{Stopwatch, UnixMillis};

/// What an agent sends: its certification request and what it says of itself.
#[derive(Clone, Debug)]
pub struct Form {
    /// A PKCS#10 certification request in DER.
    pub csr: Vec<u8>,
    /// How the agent was built.
    pub evidence: Option<Evidence>,
    /// What it asks to be allowed to do.
    pub capabilities: Option<Capabilities>,
    /// For how long.
    pub validity_seconds: Option<u32>,
    /// The human behind it.
    pub principal: Option<Principal>,
}

/// Why the CA does not do what it was asked.
#[derive(Debug, Error)]
pub enum CaError {
    /// The certification request is not acceptable.
    #[error("{detail}")]
    Csr {
        /// What kind of fault it has, for programs.
        fault: CsrFault,
        /// What is wrong with it, for people.
        detail: String,
    },
    /// It was decided against.
    #[error("{0}")]
    Refusal(#[from] Refusal),
    /// Too few logs vouch for the certificate at the moment. Nothing was issued, and the same request
    /// may be sent again.
    #[error("{detail}")]
    Logs {
        /// Which log said what.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The trust engine gives no score. Nothing was issued, and the same request may be sent again.
    #[error("{detail}")]
    Engine {
        /// What it said, if anything.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The CA has too much to do.
    #[error("the CA has too much to do at the moment; try again")]
    Overloaded,
    /// The root took back the certificate that issues. Whoever asks again hears the same, until the CA has another
    /// one.
    #[error("{0}; nothing is issued any more. Once the CA has a new certificate, enrol there anew")]
    IssuerRevoked(IssuerRevocation),
    /// The disk has too little room left. What was issued is still answered for.
    #[error("the CA's disk is nearly full, and it issues nothing until there is room")]
    ReadOnly,
    /// The CA does not take anything in any more.
    #[error("the CA is shutting down")]
    Stopped,
    /// The CA is at fault, and issued nothing.
    #[error("{0}")]
    Internal(String),
}

/// How one part of the CA is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which part: `writer`, `key`, `store`, `logs`, `issuer`, `disk`, `lists`, or `trust`.
    pub name: &'static str,
    /// Whether it could do its part in an issuance now.
    pub ok: bool,
    /// In words.
    pub detail: String,
}

/// Where measurements go.
pub trait Observer: Send + Sync {
    /// An application was answered: `valid`, `pending`, `refused`, `unauthorized`, `logs`, `internal`...
    fn answered(&self, kind: &'static str, result: &'static str);
    /// A phase of an issuance took so long: `decide`, `publish`, `sign`, `record`, `logs`, `finish`,
    /// `total`.
    fn phase(&self, phase: &'static str, took: Duration);
    /// A log answered, or did not: `sat`, `retry`, `refused`, `timeout`, `bad_sat`.
    fn log(&self, url: &str, result: &'static str, took: Duration);
    /// What is kept, at the start and behind each commit: rows of the journal, and requests that are
    /// pending, ready or processing.
    fn kept(&self, _rows: u64, _open_requests: u64) {}
}

/// Most rows, requests or certificates in one answer.
const MAX_PAGE: usize = 1_000;

/// A certification authority that runs.
pub struct CaService {
    core: Arc<Core>,
    /// What goes on beside the answers, until it is stopped.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Where nobody stopped it, it stops where it stands: what is under way is taken up by the next start.
impl Drop for CaService {
    fn drop(&mut self) {
        self.core.stopping.send_replace(true);
        self.core.queue.close();
    }
}

impl CaService {
    /// Looks at the parts, starts the writer, and takes up what was interrupted. Blocks while it reads;
    /// to be called within a tokio runtime, which its tasks run on.
    ///
    /// # Errors
    /// [`StartError`] where the journal does not end where the store says, the issuing certificate is
    /// not valid now or without a root above, its key does not sign, or there are too few logs.
    pub fn start(parts: Parts, settings: Settings) -> Result<Arc<Self>, StartError> {
        let core = Arc::new(Core::start(parts, settings)?);
        let tasks = vec![
            tokio::spawn(recovery::keep_house(Arc::clone(&core), core.stopping.subscribe())),
            tokio::spawn(trust::follow(Arc::clone(&core), core.stopping.subscribe())),
            tokio::spawn(status::keep_listed(Arc::clone(&core), core.stopping.subscribe())),
        ];
        Ok(Arc::new(Self { core, tasks: Mutex::new(tasks) }))
    }

    /// An agent asks for its first certificate with an enrolment token. Where policy allows it, the
    /// answer has the certificate.
    pub async fn enrol(&self, secret: TokenSecret, form: Form, source: IpAddr) -> Result<Answered, CaError> {
        let answer = async {
            let application = Box::new(form.into_application()?);
            let engine = self.core.assessed_newcomer(&secret, &application).await?;
            let (request, source) = (self.request_id()?, source.to_string());
            self.apply(Command::Enrol { request, secret, application, engine, source }).await
        };
        self.observed("enrol", answer.await)
    }

    /// An agent asks for its next certificate; `current` is the certificate (DER) whose key it proved to
    /// hold in the TLS handshake.
    pub async fn renew(&self, current: &[u8], form: Form, source: IpAddr) -> Result<Answered, CaError> {
        let answer = async {
            let (serial, fingerprint) = form::presented(current)?;
            let application = Box::new(form.into_application()?);
            let engine = self.core.assessed_holder((serial, fingerprint), &application).await?;
            let (request, source) = (self.request_id()?, source.to_string());
            self.apply(Command::Renew { request, serial, fingerprint, application, engine, source }).await
        };
        self.observed("renew", answer.await)
    }

    /// Where a request stands.
    pub async fn request(&self, id: RequestId) -> Result<Answered, CaError> {
        self.core.answered(self.core.find(id).await?).await
    }

    /// Mints an enrolment token that is good for so many milliseconds.
    pub async fn mint_token(
        &self,
        operator: &str,
        scope: TokenScope,
        ttl_ms: u64,
    ) -> Result<(TokenSecret, UnixMillis), CaError> {
        let secret = TokenSecret::new(TokenId::new(self.core.octets()?), self.core.octets()?);
        let expires_at = self.core.clock.now().saturating_add(ttl_ms);
        let operator = operator.to_owned();
        self.told(Command::MintToken { secret: secret.clone(), scope, expires_at, operator }).await?;
        Ok((secret, expires_at))
    }

    /// Takes a token back.
    pub async fn withdraw_token(&self, operator: &str, token: TokenId) -> Result<(), CaError> {
        self.told(Command::WithdrawToken { token, operator: operator.to_owned() }).await.map(drop)
    }

    /// Approves a request that waits; the certificate is issued at once if logs allow it, or else as soon
    /// as they do. Where the trust engine has heard worse of the agent meanwhile, that is a conflict.
    pub async fn approve(&self, operator: &str, id: RequestId) -> Result<Answered, CaError> {
        let answer = async {
            self.core.still_deserved(&self.core.find(id).await?).await?;
            let request = self.decided(Command::Approve { request: id, operator: operator.to_owned() }).await?;
            match self.core.issue(request).await {
                Ok(request) => self.core.answered(request).await,
                // It is approved, whatever the logs say.
                Err(CaError::Logs { .. } | CaError::Overloaded) => self.request(id).await,
                Err(error) => Err(error),
            }
        };
        self.observed("approve", answer.await)
    }

    /// Denies a request.
    pub async fn deny(&self, operator: &str, id: RequestId, why: String) -> Result<Answered, CaError> {
        let request = self.decided(Command::Deny { request: id, operator: operator.to_owned(), why }).await?;
        self.core.answered(request).await
    }

    /// Requests that are not answered yet, oldest first: at most `limit`, and never more than 1000.
    pub async fn open_requests(
        &self,
        after: Option<(UnixMillis, RequestId)>,
        limit: usize,
    ) -> Result<Vec<OpenView>, CaError> {
        let requests = self.core.read(move |store| store.open_requests(after, limit.min(MAX_PAGE))).await?;
        Ok(requests.into_iter().filter_map(show::open_view).collect())
    }

    /// Certificates, newest first, never more than 1000.
    pub async fn certificates(&self, mut search: CertificateSearch) -> Result<Vec<CertificateView>, CaError> {
        search.limit = search.limit.min(MAX_PAGE);
        let records = self.core.read(move |store| store.certificates(&search)).await?;
        Ok(records.into_iter().map(show::certificate_view).collect())
    }

    /// The certificate of this number.
    pub async fn certificate(&self, serial: Serial) -> Result<CertificateView, CaError> {
        self.core.certificate(serial).await.map(show::certificate_view)
    }

    /// The final certificate with this SHA-256, and its issuers behind it without the root, in DER.
    pub async fn final_certificate(&self, sha256: [u8; 32]) -> Result<Vec<Vec<u8>>, CaError> {
        let unknown = || CaError::Refusal(Refusal::NotFound("certificate with this SHA-256"));
        let serial = self.core.read(move |store| store.serial_of(&sha256)).await?.ok_or_else(unknown)?;
        let record = self.core.certificate(serial).await?;
        let issued = record.issued().filter(|issued| issued.fingerprint == sha256).ok_or_else(unknown)?;
        Ok(self.core.with_issuers(&issued.certificate.0))
    }

    /// Rows of the journal, octet for octet: at most `limit`, and never more than 1000.
    pub async fn audit(&self, start: u64, limit: usize) -> Result<AuditPage, CaError> {
        let page = self.core.read(move |store| {
            let head = store.head()?;
            let behind = usize::try_from(head.rows.saturating_sub(start)).unwrap_or(usize::MAX);
            // A row that was written since the head was read is not under it.
            let rows = store.journal(start, limit.min(MAX_PAGE).min(behind))?;
            Ok(AuditPage { total: head.rows, head: head.hash, start, rows })
        });
        page.await
    }

    /// Whether the CA could issue a certificate now, part by part.
    pub async fn checks(&self) -> Vec<Check> {
        self.core.checks().await
    }

    /// Takes in no new request while the disk has too little room.
    pub fn set_disk_low(&self, low: bool) {
        if self.core.disk_low.swap(low, Relaxed) != low {
            tracing::warn!(read_only = low, "the disk crossed its low watermark");
        }
    }

    /// Resolves when the CA has stopped by itself, with the reason: a write that failed, a store that is
    /// damaged.
    pub async fn ended(&self) -> String {
        self.core.queue.ended().await
    }

    /// Takes nothing in any more, finishes what is under way and ends the writer. The store is closed
    /// when the last of those who hold it lets go.
    pub async fn stop(&self) {
        self.core.stopping.send_replace(true);
        let all = u32::try_from(self.core.settings.max_issuances).unwrap_or(u32::MAX);
        // Whoever has a place gives it back when the issuance has ended.
        drop(self.core.issuances.acquire_many(all).await);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            let _ = task.await;
        }
        let core = Arc::clone(&self.core);
        let _ = tokio::task::spawn_blocking(move || core.queue.close()).await;
    }

    /// Decides an application, and issues where that is what follows.
    async fn apply(&self, command: Command) -> Result<Answered, CaError> {
        let watch = Stopwatch::start();
        let request = self.decided(command).await;
        self.core.observer.phase("decide", watch.elapsed());
        let request = self.core.issue(request?).await?;
        self.core.answered(request).await
    }

    /// Has a command decided that is about a request.
    async fn decided(&self, command: Command) -> Result<Request, CaError> {
        let about = self.told(command).await?.request;
        about.ok_or_else(|| CaError::Internal("a request was decided on, and is not there".into()))
    }

    /// Has a command decided.
    async fn told(&self, command: Command) -> Result<Told, CaError> {
        if !self.has_room_for(&command) {
            return Err(CaError::ReadOnly);
        }
        self.check_issues(&command)?;
        if self.core.is_stopping() { Err(CaError::Stopped) } else { self.core.queue.ask(command).await }
    }

    fn request_id(&self) -> Result<RequestId, CaError> {
        self.core.octets().map(RequestId::new)
    }

    fn observed(&self, kind: &'static str, answer: Result<Answered, CaError>) -> Result<Answered, CaError> {
        let result = answer.as_ref().map_or_else(CaError::name, |answered| answered.status);
        self.core.observer.answered(kind, result);
        answer
    }
}

impl CaError {
    /// What measurements call it.
    const fn name(&self) -> &'static str {
        match self {
            Self::Csr { .. } => "csr",
            Self::Refusal(Refusal::Unauthorized(_)) => "unauthorized",
            Self::Refusal(Refusal::Refused(_)) => "refused",
            Self::Refusal(Refusal::NotFound(_)) => "not_found",
            Self::Refusal(Refusal::Conflict(_)) => "conflict",
            Self::Logs { .. } => "logs",
            Self::Engine { .. } => "engine",
            Self::Overloaded => "overloaded",
            Self::IssuerRevoked(_) => "issuer_revoked",
            Self::ReadOnly => "read_only",
            Self::Stopped => "stopped",
            Self::Internal(_) => "internal",
        }
    }
}
