//! The signature of an action: what an agent says when it signs a file (`atl agent sign`).
//!
//! It is a JWS in compact form ([`jws`]) with the key of the agent's certificate, EdDSA or ES256, of the type
//! [`ACTION_TYP`]. Its payload is a JSON object:
//!
//! ```json
//! {
//!   "version": 1,
//!   "sha256": "<64 hex digits: SHA-256 of the action's octets>",
//!   "length": 118,
//!   "signed_at": 1775822400000,
//!   "certificate": "<64 hex digits: SHA-256 of the agent's final certificate, DER>",
//!   "operation": {
//!     "tool_uri": "https://pay.example.com",
//!     "scope": "payments/sepa",
//!     "spend": { "amount": 1000, "currency": "EUR" }
//!   }
//! }
//! ```
//!
//! `operation` and, in it, `spend` may be left out. Members may stand in any order; there are no others. What an
//! action is, nobody here says: its octets are those of a file, or for example the signature base of an HTTP
//! message (RFC 9421 section 2.5), which is then the file to be signed.
//!
//! # What else the key signs
//! An agent's key also signs TLS handshakes, certification requests and perhaps certificates below it. What is
//! signed here are the two parts of the JWS in base64url: they begin with the letters `eyJ`, for a JSON object, and
//! have base64url and one dot in them. The handshake of TLS 1.3 begins with 64 spaces (RFC 8446 section 4.4.3),
//! that of TLS 1.2 is a hash over binary messages or has a curve's number in it, requests and certificates are DER
//! and begin with 0x30, and so do timestamps; tree heads begin with 0x00, checkpoints and what witnesses sign have
//! line ends, and a signature base of HTTP begins with a quotation mark. Another JWS with the same key, such as a
//! token, has another `typ`, which the signature covers.
//!
//! # What it does not say
//! `signed_at` is the agent's own word, and `operation` is what the agent says that the octets mean. Whoever holds
//! the key can state another time within the validity of the certificate, and another meaning; see
//! [`Question`](super::Question) for what a verifier can hold against both.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::encoding::Hex32;
use crate::apki::jws::{self, JwsError};
use crate::keys::{PublicKey, SignError, Signer};
use crate::time::UnixMillis;
use crate::verify::relying::Operation;

/// The `typ` of the signature of an action.
pub const ACTION_TYP: &str = "atl-action+jws";
/// The edition of the payload.
const VERSION: u64 = 1;
/// Most characters of a signature.
pub const MAX_SIGNATURE: usize = 16 << 10;

/// Which octets: their hash and how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// SHA-256.
    pub sha256: [u8; 32],
    /// Octets.
    pub length: u64,
}

impl Digest {
    /// Of these octets.
    pub fn of(octets: &[u8]) -> Self {
        Self { sha256: Sha256::digest(octets).into(), length: octets.len() as u64 }
    }
}

/// What an agent says of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The action's octets.
    pub digest: Digest,
    /// When it was signed, by the agent's clock.
    pub signed_at: UnixMillis,
    /// SHA-256 of the certificate under which the agent acts: another one of the same key may have other rights.
    pub certificate: [u8; 32],
    /// What the octets mean, in the terms of a capability.
    pub operation: Option<Operation>,
}

/// Why a text is no signature of an action, or not that of this key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ActionError {
    /// Longer than any is.
    #[error("the signature has {0} characters, and {MAX_SIGNATURE} are the most")]
    TooLong(usize),
    /// The JWS, of which the signature is a part.
    #[error("{0}")]
    Jws(#[from] JwsError),
    /// The payload is no statement.
    #[error("what was signed is no statement about an action: {0}")]
    Payload(String),
    /// An edition that is not known.
    #[error("the statement is of version {0}, and only version {VERSION} is known here: a newer program may read it")]
    Version(u64),
}

/// The payload, member for member.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u64,
    sha256: Hex32,
    length: u64,
    signed_at: UnixMillis,
    certificate: Hex32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<Operation>,
}

/// The version alone, which decides whether the rest can be read.
#[derive(Deserialize)]
struct Edition {
    version: u64,
}

impl Statement {
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Raw {
            version: VERSION,
            sha256: Hex32(self.digest.sha256),
            length: self.digest.length,
            signed_at: self.signed_at,
            certificate: Hex32(self.certificate),
            operation: self.operation.clone(),
        })
    }

    fn from_json(json: &[u8]) -> Result<Self, ActionError> {
        let unread = |e: serde_json::Error| ActionError::Payload(e.to_string().chars().take(200).collect());
        let Edition { version } = serde_json::from_slice(json).map_err(unread)?;
        if version != VERSION {
            return Err(ActionError::Version(version));
        }
        let raw: Raw = serde_json::from_slice(json).map_err(unread)?;
        // A derived struct would take an array of its members as well, at every depth.
        let as_written: Value = serde_json::from_slice(json).map_err(unread)?;
        if serde_json::to_value(&raw).map_err(unread)? != as_written {
            return Err(ActionError::Payload("a member has another form than the documented one".into()));
        }
        Ok(Self {
            digest: Digest { sha256: raw.sha256.0, length: raw.length },
            signed_at: raw.signed_at,
            certificate: raw.certificate.0,
            operation: raw.operation,
        })
    }
}

/// A signature of an action: in its form, and not verified until [`verify`](Self::verify) was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAction {
    text: String,
    statement: Statement,
}

impl SignedAction {
    /// Signs `statement` with the key of the certificate that it names.
    ///
    /// # Errors
    /// [`SignError`] where the key cannot sign.
    pub fn sign(signer: &dyn Signer, statement: Statement) -> Result<Self, SignError> {
        let payload = statement.to_json().map_err(|e| SignError(e.to_string()))?;
        Ok(Self { text: jws::sign(signer, ACTION_TYP, &payload)?, statement })
    }

    /// Reads a signature. Whose it is, is not looked at.
    ///
    /// # Errors
    /// [`ActionError`] where it has not the form of one.
    pub fn parse(text: &str) -> Result<Self, ActionError> {
        if text.len() > MAX_SIGNATURE {
            return Err(ActionError::TooLong(text.len()));
        }
        let said = jws::peek(text)?.typ;
        if said != ACTION_TYP {
            return Err(JwsError::Type { said, expected: ACTION_TYP.to_owned() }.into());
        }
        let statement = Statement::from_json(&jws::peek_payload(text)?)?;
        Ok(Self { text: text.to_owned(), statement })
    }

    /// Checks that `key` signed the statement.
    ///
    /// # Errors
    /// [`ActionError::Jws`] where it did not.
    pub fn verify(&self, key: &PublicKey) -> Result<(), ActionError> {
        jws::verify(&self.text, ACTION_TYP, key)?;
        Ok(())
    }

    /// What is said. Nobody has said it before the signature is verified.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The JWS.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    use proptest::prelude::*;

    use super::*;
    use crate::apki::testing::{key, values};
    use crate::keys::EcdsaP256Signer;
    use crate::verify::relying::Spend;

    fn statement() -> Statement {
        let operation = r#"{"tool_uri":"mcp://pay","scope":"sepa","spend":{"amount":1000,"currency":"EUR"}}"#;
        Statement {
            digest: Digest::of(b"pay Ann 10 EUR"),
            signed_at: UnixMillis::new(1_775_822_400_000),
            certificate: [7; 32],
            operation: Some(serde_json::from_str(operation).unwrap()),
        }
    }

    fn signed(payload: &str) -> Result<Statement, ActionError> {
        let text = jws::sign(&key(1), ACTION_TYP, payload.as_bytes()).unwrap();
        SignedAction::parse(&text).map(|action| action.statement)
    }

    #[test]
    fn the_payload_is_the_documented_one() {
        let json = String::from_utf8(statement().to_json().unwrap()).unwrap();
        let digest = hex::encode(Sha256::digest(b"pay Ann 10 EUR"));
        let expected = format!(
            r#"{{"version":1,"sha256":"{digest}","length":14,"signed_at":1775822400000,"certificate":"{}","operation":{{"tool_uri":"mcp://pay","scope":"sepa","spend":{{"amount":1000,"currency":"EUR"}}}}}}"#,
            "07".repeat(32)
        );
        assert_eq!(json, expected);
        assert_eq!(signed(&json), Ok(statement()));
        // The order and white space are the signer's.
        let spaced = format!(r#" {{ "length": 14, {} "#, json[1..].replace(r#""length":14,"#, ""));
        assert_eq!(signed(&spaced), Ok(statement()));
    }

    #[test]
    fn what_is_signed_begins_like_nothing_else_that_the_key_signs() {
        let action = SignedAction::sign(&key(1), statement()).unwrap();
        let (signed, _) = action.as_str().rsplit_once('.').unwrap();
        assert!(signed.starts_with("eyJ"));
        assert!(signed.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.')));
        assert_eq!(signed.matches('.').count(), 1);
        // The same payload signed for another purpose is no action.
        let token = jws::sign(&key(1), "JWT", &statement().to_json().unwrap()).unwrap();
        assert!(matches!(SignedAction::parse(&token), Err(ActionError::Jws(JwsError::Type { .. }))));
    }

    #[test]
    fn both_kinds_of_keys_sign_and_no_other_key_verifies() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let p256 = EcdsaP256Signer::from_key_pair(pair, Arc::new(SystemRandom::new())).unwrap();
        for signer in [&key(1) as &dyn Signer, &p256] {
            let action = SignedAction::sign(signer, statement()).unwrap();
            let read = SignedAction::parse(action.as_str()).unwrap();
            assert_eq!(read, action);
            assert_eq!(read.verify(signer.public_key()), Ok(()));
            assert!(matches!(read.verify(key(2).public_key()), Err(ActionError::Jws(_))));
        }
    }

    #[test]
    fn each_malformation_has_its_reason() {
        let good = String::from_utf8(statement().to_json().unwrap()).unwrap();
        assert!(matches!(SignedAction::parse("a.b"), Err(ActionError::Jws(JwsError::Parts { parts: 2 }))));
        let long = MAX_SIGNATURE + 1;
        assert_eq!(SignedAction::parse(&"a".repeat(long)), Err(ActionError::TooLong(long)));
        assert_eq!(signed(&good.replace(r#""version":1"#, r#""version":2"#)), Err(ActionError::Version(2)));
        let changes = [
            ("{\"version\"", "[{\"version\""),
            (r#""length":14,"#, ""),
            (r#""length":14"#, r#""length":-14"#),
            (r#""length":14"#, r#""length":14.0"#),
            (r#""length":14"#, r#""length":14,"length":15"#),
            (r#""length":14"#, r#""length":14,"more":0"#),
            ("0707", "07"),
            (r#""certificate":"07"#, r#""certificate":"0A"#),
            (r#"{"amount":1000,"currency":"EUR"}"#, r#"[1000,"EUR"]"#),
            (r#""spend":"#, r#""send":"#),
            ("EUR", "eur"),
        ];
        for (from, to) in changes {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            assert!(matches!(signed(&changed), Err(ActionError::Payload(_))), "{changed}");
        }
        assert!(matches!(signed(r#"[1]"#), Err(ActionError::Payload(_))));
    }

    proptest! {
        #[test]
        fn every_statement_comes_back(octets in prop::collection::vec(any::<u8>(), 0..40), at: u64, certificate: [u8; 32], tool_uri in values::ascii(), scope in values::text(), amount in prop::option::of(values::amount())) {
            let currency = crate::apki::capabilities::Currency::new("EUR").unwrap();
            let spend = amount.map(|amount| Spend { amount, currency });
            let operation = Some(Operation { tool_uri, scope, spend });
            let statement = Statement { digest: Digest::of(&octets), signed_at: UnixMillis::new(at), certificate, operation };
            let action = SignedAction::sign(&key(1), statement).unwrap();
            prop_assert_eq!(SignedAction::parse(action.as_str()), Ok(action));
        }

        #[test]
        fn no_changed_octet_verifies(at: prop::sample::Index, bit in 0..8_u8) {
            let action = SignedAction::sign(&key(1), statement()).unwrap();
            let mut octets = action.as_str().as_bytes().to_vec();
            let at = at.index(octets.len());
            octets[at] ^= 1 << bit;
            if let Ok(read) = std::str::from_utf8(&octets).map_err(drop).and_then(|text| SignedAction::parse(text).map_err(drop)) {
                prop_assert!(read.verify(key(1).public_key()).is_err());
            }
        }
    }
}
