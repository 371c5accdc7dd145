//! Credentials that callers show: bearer tokens, known by their hashes, and what happens to those who
//! show bad ones.

use std::net::IpAddr;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::limits::{Buckets, Rate, source};
use super::problem::Failure;
use crate::api::Token;

/// Bad credentials that a source may show: one a second, and some at once.
pub(super) const FAILURES: Rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN.saturating_add(19) };

/// The token of an `Authorization: Bearer` header (RFC 6750 section 2.1), of which there is one.
pub fn bearer<'a>(headers: &'a HeaderMap, what: &str) -> Result<&'a str, Failure> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(Failure::new(Token::Unauthorized, format!("send {what} as `Authorization: Bearer <token>`, once")));
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
    });
    token.ok_or_else(|| Failure::new(Token::Unauthorized, "the Authorization header does not read `Bearer <token>`"))
}

/// Who has which token. Nobody's token is kept, only SHA-256 of it.
pub struct Holders<T>(Vec<([u8; 32], T)>);

impl<T> Holders<T> {
    /// These, each with the hash of the token.
    pub fn new(holders: impl IntoIterator<Item = ([u8; 32], T)>) -> Self {
        Self(holders.into_iter().collect())
    }

    /// The holder of this token. All are compared with, each in a time that says nothing.
    pub fn of(&self, token: &str) -> Option<&T> {
        let hash = Sha256::digest(token);
        self.0.iter().fold(None, |found, (known, holder)| {
            let same = verify_slices_are_equal(known, &hash).is_ok();
            if same { Some(holder) } else { found }
        })
    }
}

/// Counts bad credentials against their sources.
pub struct Failures(Buckets<IpAddr>);

impl Failures {
    /// None so far.
    pub fn new() -> Self {
        Self(Buckets::new(FAILURES, "this source address shows bad credentials and"))
    }

    /// Counts a bad credential against its source; once there were too many, all that it hears is to
    /// wait, and `waits` is told. Who has a good one is not held up by others behind the same address.
    pub fn settle<T>(&self, peer: IpAddr, outcome: Result<T, Failure>, waits: impl FnOnce()) -> Result<T, Failure> {
        if let Err(Failure(problem)) = &outcome
            && problem.token() == Some(Token::Unauthorized)
        {
            self.0.take(&source(peer), 1).inspect_err(|_| waits())?;
        }
        outcome
    }

    /// Forgets sources that are at rest.
    pub fn forget_idle(&self) {
        self.0.forget_idle();
    }
}

/// A refusal that asks for a client certificate where it asks for a credential.
pub fn wants_certificate(failure: Failure) -> Response {
    let mut response = failure.into_response();
    if let Some(challenge) = response.headers_mut().get_mut(header::WWW_AUTHENTICATE) {
        *challenge = HeaderValue::from_static("ClientCertificate");
    }
    response
}
