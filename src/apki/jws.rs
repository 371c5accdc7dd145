//! JSON Web Signatures, as little of them as federation and tokens need: the compact serialization
//! of RFC 7515 section 7.1, with its payload or with the payload beside it (appendix F), signed with
//! EdDSA on Ed25519 (RFC 8037) or ES256 (RFC 7518 section 3.4).
//!
//! The header has `alg`, `kid` and `typ`, and nothing else. The algorithm is that of the key which the
//! reader already has; the header may only agree with it, so that no `none` and no other algorithm can
//! be talked in. `kid` is the key's JWK thumbprint (RFC 7638) and `typ` says what the payload is, so
//! that a signature made for one purpose is of no use for another (RFC 8725 section 3.11).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::asn1::UintRef;
use der::{Decode as _, Reader as _, SliceReader};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::tlv;
use crate::keys::{PublicKey, SignError, SignatureAlgorithm, Signer};

#[cfg(test)]
mod tests;

/// The longest header that is read, in characters of base64url.
const MAX_HEADER: usize = 1024;
/// Octets of a coordinate, and of each half of a signature, on P-256.
const FIELD: usize = 32;

/// What a header says besides its algorithm. Before the signature is verified, it is a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the payload is: a media type without its `application/` (RFC 7515 section 4.1.9).
    pub typ: String,
    /// The thumbprint of the signer's key (RFC 7638, SHA-256, base64url).
    pub kid: String,
}

/// Why a text is no signature that we accept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JwsError {
    /// Not three parts with dots between them.
    #[error("a JWS in compact form has three parts with a dot between each two, and this text has {parts}")]
    Parts {
        /// How many it has.
        parts: usize,
    },
    /// A part is not base64url as RFC 7515 has it.
    #[error("the {part} of the JWS is not canonical base64url without padding: {why}")]
    Base64 {
        /// Which part.
        part: &'static str,
        /// What the decoder says.
        why: String,
    },
    /// The header is no object with exactly `alg`, `kid` and `typ`.
    #[error("the header of the JWS must be a JSON object with exactly `alg`, `kid` and `typ`: {0}")]
    Header(String),
    /// The algorithm is another than the key's.
    #[error("the JWS says that it is signed with `{said}`, and the key expected signs with `{key}`")]
    Algorithm {
        /// What the header says.
        said: String,
        /// What the key signs with.
        key: &'static str,
    },
    /// The payload is of another type.
    #[error("the JWS is of type `{said}` where one of type `{expected}` belongs")]
    Type {
        /// What the header says.
        said: String,
        /// What the caller expects.
        expected: String,
    },
    /// It is signed with another key.
    #[error("the JWS names the key `{said}`, and the key expected is `{expected}`")]
    Key {
        /// What the header says.
        said: String,
        /// The thumbprint of the key that the caller has.
        expected: String,
    },
    /// A detached signature must not carry a payload of its own.
    #[error("the JWS has a payload of its own, where one with the payload beside it belongs")]
    Attached,
    /// The signature does not verify.
    #[error("the signature of the JWS does not verify with the key `{0}`")]
    Signature(String),
}

/// The name of `algorithm` in a header (RFC 8037 section 3.1, RFC 7518 section 3.1).
pub const fn algorithm_name(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::Ed25519 => "EdDSA",
        SignatureAlgorithm::EcdsaP256Sha256 => "ES256",
    }
}

/// The thumbprint of `key`: SHA-256 over the required members of its JWK, base64url (RFC 7638
/// section 3, RFC 8037 section 2).
pub fn thumbprint(key: &PublicKey) -> String {
    let jwk = match (key.ed25519_octets(), p256_coordinates(key)) {
        (Some(x), _) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(x)),
        (None, Some((x, y))) => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y)),
        (None, None) => String::new(),
    };
    encode(&Sha256::digest(jwk))
}

/// The coordinates x and y of a key on P-256; `None` for other kinds.
pub(super) fn p256_coordinates(key: &PublicKey) -> Option<(&[u8], &[u8])> {
    match key.algorithm() {
        SignatureAlgorithm::Ed25519 => None,
        SignatureAlgorithm::EcdsaP256Sha256 => {
            // A key that was read is DER with an uncompressed point at its end.
            let point = key.spki_der().len().checked_sub(2 * FIELD)?;
            key.spki_der().get(point..)?.split_at_checked(FIELD)
        }
    }
}

/// Signs `payload` as something of type `typ`, and carries it along.
///
/// # Errors
/// [`SignError`] where the key cannot sign.
pub fn sign(signer: &dyn Signer, typ: &str, payload: &[u8]) -> Result<String, SignError> {
    let payload = encode(payload);
    let header = write_header(signer.public_key(), typ)?;
    let signature = signature_over(signer, &header, &payload)?;
    Ok(format!("{header}.{payload}.{signature}"))
}

/// Signs `payload` as something of type `typ`; the payload goes another way, and the middle part of
/// the text is empty (RFC 7515 appendix F).
///
/// # Errors
/// [`SignError`] where the key cannot sign.
pub fn sign_detached(signer: &dyn Signer, typ: &str, payload: &[u8]) -> Result<String, SignError> {
    let header = write_header(signer.public_key(), typ)?;
    let signature = signature_over(signer, &header, &encode(payload))?;
    Ok(format!("{header}..{signature}"))
}

/// The payload of `text`, which `key` signed as something of type `typ`. Octets of a payload are
/// returned only when the signature over them holds.
///
/// # Errors
/// [`JwsError`], with what is wrong.
pub fn verify(text: &str, typ: &str, key: &PublicKey) -> Result<Vec<u8>, JwsError> {
    let parts = Parts::split(text)?;
    parts.read_header()?.fits(typ, key)?;
    parts.verify(parts.payload, key)?;
    decode("payload", parts.payload)
}

/// Checks that `key` signed `payload` as something of type `typ`, where `text` has the signature and
/// no payload.
///
/// # Errors
/// [`JwsError`], with what is wrong.
pub fn verify_detached(text: &str, payload: &[u8], typ: &str, key: &PublicKey) -> Result<(), JwsError> {
    let parts = Parts::split(text)?;
    if !parts.payload.is_empty() {
        return Err(JwsError::Attached);
    }
    parts.read_header()?.fits(typ, key)?;
    parts.verify(&encode(payload), key)
}

/// What the header says, before anything is verified: by it a reader picks one of the keys that it
/// trusts already, and believes nothing yet.
///
/// # Errors
/// [`JwsError::Parts`], [`JwsError::Base64`] and [`JwsError::Header`].
pub fn peek(text: &str) -> Result<Header, JwsError> {
    let header = Parts::split(text)?.read_header()?;
    Ok(Header { typ: header.typ, kid: header.kid })
}

/// The `kid` of [`peek`].
///
/// # Errors
/// Those of [`peek`].
pub fn peek_kid(text: &str) -> Result<String, JwsError> {
    peek(text).map(|header| header.kid)
}

/// The payload, before anything is verified: to find out whose key it is to be verified with, or what to tell of
/// a signature that fails. Believe nothing of it.
///
/// # Errors
/// [`JwsError::Parts`] and [`JwsError::Base64`].
pub fn peek_payload(text: &str) -> Result<Vec<u8>, JwsError> {
    decode("payload", Parts::split(text)?.payload)
}

/// The header as it stands in JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader {
    alg: String,
    kid: String,
    typ: String,
}

impl RawHeader {
    /// It is for this purpose, and made with this key.
    fn fits(&self, typ: &str, key: &PublicKey) -> Result<(), JwsError> {
        let algorithm = algorithm_name(key.algorithm());
        if self.alg != algorithm {
            return Err(JwsError::Algorithm { said: self.alg.clone(), key: algorithm });
        }
        if self.typ != typ {
            return Err(JwsError::Type { said: self.typ.clone(), expected: typ.to_owned() });
        }
        let expected = thumbprint(key);
        if self.kid != expected {
            return Err(JwsError::Key { said: self.kid.clone(), expected });
        }
        Ok(())
    }
}

/// The three parts, as they were sent.
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, JwsError> {
        let mut parts = text.split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(header), Some(payload), Some(signature), None) => Ok(Self { header, payload, signature }),
            _ => Err(JwsError::Parts { parts: text.split('.').count() }),
        }
    }

    fn read_header(&self) -> Result<RawHeader, JwsError> {
        if self.header.len() > MAX_HEADER {
            return Err(JwsError::Header(format!("it is longer than {MAX_HEADER} characters")));
        }
        let json = decode("header", self.header)?;
        // A derived struct would take an array of its members as well.
        if json.first() != Some(&b'{') {
            return Err(JwsError::Header("it does not begin with `{`".into()));
        }
        serde_json::from_slice(&json).map_err(|e| JwsError::Header(e.to_string().chars().take(200).collect()))
    }

    /// The signature is that of `key` over the header and `payload`, which is base64url.
    fn verify(&self, payload: &str, key: &PublicKey) -> Result<(), JwsError> {
        let signature = decode("signature", self.signature)?;
        let wrong = || JwsError::Signature(thumbprint(key));
        let signature = match key.algorithm() {
            SignatureAlgorithm::Ed25519 => signature,
            SignatureAlgorithm::EcdsaP256Sha256 => der_of_raw(&signature).ok_or_else(wrong)?,
        };
        key.verify(format!("{}.{payload}", self.header).as_bytes(), &signature).map_err(|_| wrong())
    }
}

fn write_header(key: &PublicKey, typ: &str) -> Result<String, SignError> {
    let alg = algorithm_name(key.algorithm()).to_owned();
    let header = RawHeader { alg, kid: thumbprint(key), typ: typ.to_owned() };
    serde_json::to_vec(&header).map(|json| encode(&json)).map_err(|e| SignError(e.to_string()))
}

fn signature_over(signer: &dyn Signer, header: &str, payload: &str) -> Result<String, SignError> {
    let signature = signer.sign(format!("{header}.{payload}").as_bytes())?;
    match signer.public_key().algorithm() {
        SignatureAlgorithm::Ed25519 => Ok(encode(&signature)),
        SignatureAlgorithm::EcdsaP256Sha256 => {
            let raw = raw_of_der(&signature).ok_or_else(|| SignError("it made no ECDSA-Sig-Value of P-256".into()))?;
            Ok(encode(&raw))
        }
    }
}

/// `ECDSA-Sig-Value` (RFC 5758 section 3.2) of the 64 octets r and s that JWS has (RFC 7518 section
/// 3.4); `None` where they are not 64, or one is zero.
fn der_of_raw(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() != 2 * FIELD {
        return None;
    }
    let (r, s) = raw.split_at_checked(FIELD)?;
    Some(tlv::encode(tlv::SEQUENCE, &[&integer(r)?, &integer(s)?]))
}

/// The DER INTEGER of an unsigned number; `None` for zero, which no signature has.
fn integer(octets: &[u8]) -> Option<Vec<u8>> {
    let first = octets.iter().position(|octet| *octet != 0)?;
    let digits = octets.get(first..)?;
    let sign: &[u8] = if digits.first()? & 0x80 == 0 { &[] } else { &[0] };
    Some(tlv::encode(tlv::INTEGER, &[sign, digits]))
}

/// The 64 octets of a strict `ECDSA-Sig-Value`; `None` where it is none, or its numbers do not fit.
fn raw_of_der(der: &[u8]) -> Option<[u8; 2 * FIELD]> {
    let mut reader = SliceReader::new(der).ok()?;
    let numbers = reader.sequence(|inner| Ok::<_, der::Error>([UintRef::decode(inner)?, UintRef::decode(inner)?]));
    reader.finish().ok()?;
    let mut raw = [0; 2 * FIELD];
    for (number, half) in numbers.ok()?.into_iter().zip(raw.chunks_exact_mut(FIELD)) {
        let digits = number.as_bytes();
        half.get_mut(FIELD.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    }
    // What reads back to the same octets was written canonically, and has no zero in it.
    (der_of_raw(&raw)? == der).then_some(raw)
}

pub(super) fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|e| JwsError::Base64 { part, why: e.to_string() })
}
