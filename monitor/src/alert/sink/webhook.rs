//! A webhook: JSON, posted and signed.
//!
//! # What a receiver gets and checks
//!
//! `POST` with `Content-Type: application/json` and the body of [`crate::alert::message`], and these headers:
//!
//! * `Idempotency-Key`: the message's identifier. The same message may come more than once; take it the first time,
//!   and answer 200 each time.
//! * `Atl-Signature: t=SECONDS,v1=HEX`, where a secret is configured. `SECONDS` is when it was sent, in decimal,
//!   since 1970; `HEX` is HMAC-SHA256 (RFC 2104), in lower case, with the secret's octets as the key, over the octets
//!   of `SECONDS`, a full stop, and the body as it came. Compute it, compare in constant time, and refuse a time that
//!   is more than five minutes away: so nobody who has seen a message can send it again later. Pass over elements that
//!   you do not know.
//!
//! In a shell, with the body in a file:
//!
//! ```text
//! { printf '%s.' "$SECONDS_OF_HEADER"; cat body.json; } | openssl dgst -sha256 -hmac "$SECRET"
//! ```
//!
//! Any status of 200 to 299 is a yes. 408, 429 and 5xx are retried soon, others less soon; all of them for ever.

use atl::time::UnixMillis;
use aws_lc_rs::hmac;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::http::Target;
use super::{HttpConfig, OpenError, SinkError};
use crate::alert::message::Message;
use crate::alert::secret::Source;

/// The header with the signature.
pub const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("atl-signature");

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Least octets of a secret: shorter ones can be guessed from what was signed with them.
const LEAST_SECRET: usize = 16;

/// A webhook as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where it is.
    pub http: HttpConfig,
    /// Where the secret is that messages are signed with.
    pub secret: Option<Source>,
}

/// A webhook that is ready.
pub struct Webhook {
    target: Target,
    key: Option<hmac::Key>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("target", &self.target).field("signs", &self.key.is_some()).finish()
    }
}

impl Webhook {
    /// Makes it ready.
    ///
    /// # Errors
    /// Where a secret is missing or too short.
    pub fn open(config: &WebhookConfig) -> Result<Self, OpenError> {
        let mut target = Target::open(&config.http, "")?;
        let Some(source) = &config.secret else { return Ok(Self { target, key: None }) };
        let secret = source.read()?;
        if secret.expose().len() < LEAST_SECRET {
            let advice = "make one with: openssl rand -hex 32";
            return Err(OpenError::Other(format!("{source}: a secret has at least {LEAST_SECRET} octets; {advice}")));
        }
        target.hide(&secret);
        Ok(Self { target, key: Some(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())) })
    }

    /// Posts it.
    ///
    /// # Errors
    /// Where the receiver did not say yes.
    pub async fn send(&self, message: &Message, now: UnixMillis) -> Result<(), SinkError> {
        let body = message.json().map_err(|e| SinkError::refused(e.to_string()))?;
        let value = |text: String| HeaderValue::try_from(text).map_err(|e| SinkError::refused(e.to_string()));
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, value(message.id().to_owned())?);
        if let Some(key) = &self.key {
            headers.insert(SIGNATURE_HEADER, value(signature(key, now, &body))?);
        }
        self.target.post(headers, body).await
    }
}

fn signature(key: &hmac::Key, now: UnixMillis, body: &[u8]) -> String {
    let seconds = now.get() / 1_000;
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    format!("t={seconds},v1={}", hex::encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_openssl_does() {
        // { printf '1775822400.'; printf '{"a":1}'; } | openssl dgst -sha256 -hmac 0123456789abcdef
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef");
        let expected = "63df5a32ef4ca0cde12642ab0c3b99c11a655c039da5e58ebbdb1c2b0b1a97f2";
        let signed = signature(&key, UnixMillis::new(1_775_822_400_999), br#"{"a":1}"#);
        assert_eq!(signed, format!("t=1775822400,v1={expected}"));
    }
}
