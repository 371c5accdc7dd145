//! Who may ask the engine what, how often, and with how much. Reporters are known by the key of their TLS
//! certificate, readers and operators by a token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;

use super::metrics::TrustMetrics;
use crate::api::Token;
use crate::http::body::{Held, Intake};
use crate::http::credentials::{Failures, Holders, bearer};
use crate::http::limits::{Buckets, Rate, source};
use crate::http::problem::Failure;
use crate::http::serve::PeerCertificate;
use crate::trust::service::{Operator, ReporterId};

/// Octets of a report: a hundred signals of 8 KiB, and what JSON puts around them.
const MAX_REPORT: usize = 1 << 20;
/// Octets of any other body.
const MAX_BODY: usize = 16 << 10;

/// Says which reporter a client's certificate (DER) is of, whose key it proved to hold; or, in words, why
/// it is nobody's.
pub type Identify = dyn Fn(&[u8]) -> Result<ReporterId, String> + Send + Sync;

/// Somebody with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    /// SHA-256 of the token's text.
    pub token_sha256: [u8; 32],
    /// Who it is.
    pub who: Holder,
}

/// Who has a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A reader, such as the CA.
    Reader,
    /// An operator.
    Operator(Operator),
}

/// What every request passes first.
pub struct Gate {
    identify: Arc<Identify>,
    holders: Holders<Holder>,
    per_source: Buckets<IpAddr>,
    per_reporter: Buckets<ReporterId>,
    failures: Failures,
    intake: Intake,
    metrics: Arc<TrustMetrics>,
}

impl Gate {
    /// A gate that nobody has passed yet.
    pub fn new(
        identify: Arc<Identify>,
        holders: Vec<TokenHolder>,
        per_source: Rate,
        per_reporter: Rate,
        metrics: Arc<TrustMetrics>,
    ) -> Self {
        Self {
            identify,
            holders: Holders::new(holders.into_iter().map(|holder| (holder.token_sha256, holder.who))),
            per_source: Buckets::new(per_source, "this source address"),
            per_reporter: Buckets::new(per_reporter, "this reporter"),
            failures: Failures::new(),
            intake: Intake::new(),
            metrics,
        }
    }

    /// Lets a reporter in, by the certificate of its connection; who it is.
    pub fn reporter(
        &self,
        peer: IpAddr,
        certificate: Option<&PeerCertificate>,
        headers: &HeaderMap,
    ) -> Result<ReporterId, Failure> {
        self.enter(peer)?;
        let outcome = match certificate {
            Some(PeerCertificate(der)) => (self.identify)(der).map_err(|why| Failure::new(Token::Unauthorized, why)),
            // Who reads or decides is known here, and may not report.
            None => match bearer(headers, "").ok().and_then(|token| self.holders.of(token)) {
                Some(_) => {
                    return Err(Failure::new(
                        Token::Forbidden,
                        "a token reads or decides; signals come from \
                    registered reporters, each with a TLS client certificate for its key",
                    ));
                }
                None => Err(Failure::new(
                    Token::Unauthorized,
                    "signals come over TLS with a client certificate for the \
                    key that the reporter is registered with",
                )),
            },
        };
        self.settle(peer, outcome)
    }

    /// Takes so many signals from what a reporter may send.
    pub fn count(&self, reporter: &ReporterId, signals: usize) -> Result<(), Failure> {
        let signals = u32::try_from(signals).unwrap_or(u32::MAX);
        self.per_reporter.take(reporter, signals).inspect_err(|_| self.metrics.turned_away("reporter"))
    }

    /// Lets in who has a token, a reader's or an operator's.
    pub fn anyone(&self, peer: IpAddr, headers: &HeaderMap) -> Result<&Holder, Failure> {
        self.enter(peer)?;
        self.settle(peer, bearer(headers, "a reader's or an operator's token").and_then(|token| self.known(token)))
    }

    /// Lets a reader in.
    pub fn reader(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Failure> {
        match self.anyone(peer, headers)? {
            Holder::Reader => Ok(()),
            Holder::Operator(_) => {
                Err(Failure::new(Token::Forbidden, "scores are asked for with a reader's token, as the CA has one"))
            }
        }
    }

    /// Lets an operator in; who it is.
    pub fn operator(&self, peer: IpAddr, headers: &HeaderMap) -> Result<&Operator, Failure> {
        match self.anyone(peer, headers)? {
            Holder::Operator(operator) => Ok(operator),
            Holder::Reader => {
                Err(Failure::new(Token::Forbidden, "a reader reads scores and their changes, and nothing else"))
            }
        }
    }

    /// Reads a report.
    pub async fn report(&self, peer: IpAddr, headers: &HeaderMap, body: Body) -> Result<Held, Failure> {
        self.intake.json(peer, headers, body, MAX_REPORT).await
    }

    /// Reads any other body.
    pub async fn body(&self, peer: IpAddr, headers: &HeaderMap, body: Body) -> Result<Held, Failure> {
        self.intake.json(peer, headers, body, MAX_BODY).await
    }

    /// Forgets buckets that are full again.
    pub fn forget_idle(&self) {
        self.per_source.forget_idle();
        self.per_reporter.forget_idle();
        self.failures.forget_idle();
    }

    fn enter(&self, peer: IpAddr) -> Result<(), Failure> {
        self.per_source.take(&source(peer), 1).inspect_err(|_| self.metrics.turned_away("source"))
    }

    fn settle<T>(&self, peer: IpAddr, outcome: Result<T, Failure>) -> Result<T, Failure> {
        self.failures.settle(peer, outcome, || self.metrics.turned_away("failures"))
    }

    fn known(&self, token: &str) -> Result<&Holder, Failure> {
        let unknown = || Failure::new(Token::Unauthorized, "the token is nobody's whom this trust engine knows");
        self.holders.of(token).ok_or_else(unknown)
    }
}

#[cfg(test)]
#[path = "gate/tests.rs"]
mod tests;
