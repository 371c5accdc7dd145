//! The CA at work: the one place of `ca` with a clock, randomness and threads.

mod view;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;

pub use self::view::{Answered, AuditPage, CertificateView, IssuedView, OpenView, SatView};
pub use super::application::{Evidence, Octets, Principal};
pub use super::authority::Refusal;
pub use super::ports::{CertificateSearch, Place};
pub use super::record::{Reason, ReasonCode, Refusals};
pub use super::request::{Credential, RequestId};
pub use super::serial::Serial;
pub use super::token::{TokenId, TokenScope, TokenSecret, UriPattern};
use crate::apki::capabilities::Capabilities;
use crate::time::UnixMillis;

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
    /// The CA has too much to do.
    #[error("the CA has too much to do at the moment; try again")]
    Overloaded,
    /// The CA does not take anything in any more.
    #[error("the CA is shutting down")]
    Stopped,
    /// The CA is at fault, and issued nothing.
    #[error("{0}")]
    Internal(String),
}

/// What is wrong with a certification request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrFault {
    /// It does not parse, or its signature does not verify: nothing is proven by it.
    Malformed,
    /// Its key is of a kind that is not certified.
    PublicKey,
    /// It names somebody whom no certificate can name.
    Identifier,
}

/// How one part of the CA is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which part: `writer`, `key`, `store`, `logs`, or `issuer`.
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
    /// A phase of an issuance took so long: `decide`, `sign`, `record`, `logs`, `finish`, `total`.
    fn phase(&self, phase: &'static str, took: Duration);
    /// A log answered, or did not: `sat`, `retry`, `refused`, `timeout`, `bad_sat`.
    fn log(&self, url: &str, result: &'static str, took: Duration);
}

/// A certification authority that runs.
pub struct CaService {}

impl CaService {
    /// An agent asks for its first certificate with an enrolment token. Where policy allows it, the
    /// answer has the certificate.
    pub async fn enrol(&self, _secret: TokenSecret, _form: Form, _source: IpAddr) -> Result<Answered, CaError> {
        unimplemented!()
    }

    /// An agent asks for its next certificate; `current` is the certificate (DER) whose key it proved to
    /// hold in the TLS handshake.
    pub async fn renew(&self, _current: &[u8], _form: Form, _source: IpAddr) -> Result<Answered, CaError> {
        unimplemented!()
    }

    /// Where a request stands.
    pub async fn request(&self, _id: RequestId) -> Result<Answered, CaError> {
        unimplemented!()
    }

    /// Mints an enrolment token that is good for so many milliseconds.
    pub async fn mint_token(
        &self,
        _operator: &str,
        _scope: TokenScope,
        _ttl_ms: u64,
    ) -> Result<(TokenSecret, UnixMillis), CaError> {
        unimplemented!()
    }

    /// Takes a token back.
    pub async fn withdraw_token(&self, _operator: &str, _token: TokenId) -> Result<(), CaError> {
        unimplemented!()
    }

    /// Approves a request that waits; the certificate is issued at once if logs allow it, or else as soon
    /// as they do.
    pub async fn approve(&self, _operator: &str, _id: RequestId) -> Result<Answered, CaError> {
        unimplemented!()
    }

    /// Denies a request.
    pub async fn deny(&self, _operator: &str, _id: RequestId, _why: String) -> Result<Answered, CaError> {
        unimplemented!()
    }

    /// Requests that are not answered yet, oldest first.
    pub async fn open_requests(
        &self,
        _after: Option<(UnixMillis, RequestId)>,
        _limit: usize,
    ) -> Result<Vec<OpenView>, CaError> {
        unimplemented!()
    }

    /// Certificates, newest first.
    pub async fn certificates(&self, _search: CertificateSearch) -> Result<Vec<CertificateView>, CaError> {
        unimplemented!()
    }

    /// The certificate of this number.
    pub async fn certificate(&self, _serial: Serial) -> Result<CertificateView, CaError> {
        unimplemented!()
    }

    /// The final certificate with this SHA-256, and its issuers behind it without the root, in DER.
    pub async fn final_certificate(&self, _sha256: [u8; 32]) -> Result<Vec<Vec<u8>>, CaError> {
        unimplemented!()
    }

    /// Rows of the journal, octet for octet.
    pub async fn audit(&self, _start: u64, _limit: usize) -> Result<AuditPage, CaError> {
        unimplemented!()
    }

    /// Whether the CA could issue a certificate now, part by part.
    pub async fn checks(&self) -> Vec<Check> {
        unimplemented!()
    }

    /// Resolves when the CA has stopped by itself, with the reason: a write that failed, a store that is
    /// damaged.
    pub async fn ended(&self) -> String {
        unimplemented!()
    }

    /// Takes nothing in any more, finishes what is under way and closes the store.
    pub async fn stop(&self) {
        unimplemented!()
    }
}

/// Holds the seam of the skeleton.
pub type Stop = Arc<watch::Sender<bool>>;
