//! Who may ask the CA what, how often, and with how much: all that can be said before the CA is asked.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;

use super::forms;
use super::metrics::CaMetrics;
use crate::api::Token;
use crate::api::ca::EnrolRequest;
use crate::ca::service::{Form, TokenId, TokenSecret, holder};
use crate::http::body::{Held, Intake};
use crate::http::credentials::{Failures, Holders, bearer};
use crate::http::limits::{Buckets, Rate, source};
use crate::http::problem::Failure;
use crate::http::serve::PeerCertificate;

/// Octets that a body may have: a CSR, the most evidence and some hundred capabilities fit in.
const MAX_BODY: usize = 64 << 10;

/// Somebody who may operate the CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The name in the journal.
    pub name: String,
    /// SHA-256 of the token's text.
    pub token_sha256: [u8; 32],
}

/// What every request passes first.
pub struct Gate {
    operators: Holders<String>,
    per_source: Buckets<IpAddr>,
    /// By the whole token: who knows no more than its public half cannot use up what it may do.
    per_token: Buckets<(TokenId, [u8; 32])>,
    /// By the agent, as each certificate is good for any number of others.
    per_agent: Buckets<String>,
    failures: Failures,
    intake: Intake,
    metrics: Arc<CaMetrics>,
}

impl Gate {
    /// A gate that nobody has passed yet.
    pub fn new(operators: Vec<Operator>, per_source: Rate, per_token: Rate, metrics: Arc<CaMetrics>) -> Self {
        Self {
            operators: Holders::new(operators.into_iter().map(|operator| (operator.token_sha256, operator.name))),
            per_source: Buckets::new(per_source, "this source address"),
            per_token: Buckets::new(per_token, "the holder of this token"),
            per_agent: Buckets::new(per_token, "this agent"),
            failures: Failures::new(),
            intake: Intake::new(),
            metrics,
        }
    }

    /// Lets a request in that needs no credential.
    pub fn enter(&self, peer: IpAddr) -> Result<(), Failure> {
        self.per_source.take(&source(peer), 1).inspect_err(|_| self.metrics.turned_away("source"))
    }

    /// Lets an operator in; who it is.
    pub fn operator(&self, peer: IpAddr, headers: &HeaderMap) -> Result<&str, Failure> {
        self.enter(peer)?;
        self.settle(peer, bearer(headers, "an operator's token").and_then(|token| self.known(token)))
    }

    /// Reads an application that comes with an enrolment token. Whether a token has the form of one is seen
    /// before the body is read, and how often it comes; whether it is good, the CA says behind it.
    pub async fn enrolment(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(TokenSecret, Form), Failure> {
        self.enter(peer)?;
        let secret = bearer(headers, "an enrolment token")
            .and_then(|text| text.parse::<TokenSecret>().map_err(|e| Failure::new(Token::Unauthorized, e.to_string())));
        let secret = self.settle(peer, secret)?;
        let bucket = (secret.id, secret.secret_hash());
        self.per_token.take(&bucket, 1).inspect_err(|_| self.metrics.turned_away("token"))?;
        Ok((secret, self.form(peer, headers, body).await?))
    }

    /// Reads an application that comes over a connection with a client certificate.
    pub async fn renewal(
        &self,
        peer: IpAddr,
        certificate: Option<PeerCertificate>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(PeerCertificate, Form), Failure> {
        let certificate = self.agent(peer, certificate, "a renewal comes")?;
        Ok((certificate, self.form(peer, headers, body).await?))
    }

    /// Lets an agent in, by the certificate of its connection. Whether that is good for anything, the CA says
    /// behind it. `what` comes over such a connection, in words.
    pub fn agent(
        &self,
        peer: IpAddr,
        certificate: Option<PeerCertificate>,
        what: &str,
    ) -> Result<PeerCertificate, Failure> {
        self.enter(peer)?;
        let missing = || {
            let detail = format!(
                "{what} over TLS with the agent's current certificate as the client's; one whose certificate has ended \
                 enrols again with a token"
            );
            Failure::new(Token::Unauthorized, detail)
        };
        let certificate = self.settle(peer, certificate.ok_or_else(missing))?;
        let agent = holder(&certificate.0).ok_or_else(|| {
            let detail = format!("the certificate of this connection is no agent's, and {what} with one only");
            Failure::new(Token::Unauthorized, detail)
        });
        let agent = self.settle(peer, agent)?;
        self.per_agent.take(&agent, 1).inspect_err(|_| self.metrics.turned_away("agent"))?;
        Ok(certificate)
    }

    /// Reads a body of JSON.
    pub async fn body(&self, peer: IpAddr, headers: &HeaderMap, body: Body) -> Result<Held, Failure> {
        self.intake.json(peer, headers, body, MAX_BODY).await
    }

    /// Counts a bad credential against its source; once there were too many, all that it hears is to
    /// wait. Who has a good one is not held up by others behind the same address.
    pub fn settle<T>(&self, peer: IpAddr, outcome: Result<T, Failure>) -> Result<T, Failure> {
        self.failures.settle(peer, outcome, || self.metrics.turned_away("failures"))
    }

    /// Forgets buckets that are full again.
    pub fn forget_idle(&self) {
        self.per_source.forget_idle();
        self.per_token.forget_idle();
        self.per_agent.forget_idle();
        self.failures.forget_idle();
    }

    async fn form(&self, peer: IpAddr, headers: &HeaderMap, body: Body) -> Result<Form, Failure> {
        let body = self.body(peer, headers, body).await?;
        Ok(forms::form(EnrolRequest::from_json(&body)?))
    }

    /// The operator with this token.
    fn known(&self, token: &str) -> Result<&str, Failure> {
        let unknown = || Failure::new(Token::Unauthorized, "the token is not that of an operator of this CA");
        self.operators.of(token).map(String::as_str).ok_or_else(unknown)
    }
}

#[cfg(test)]
#[path = "gate/tests.rs"]
mod tests;
