//! Keys and signature algorithms in words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::asn1::ObjectIdentifier;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::outline::{Elements, Shape};
use crate::apki::jws::thumbprint;
use crate::apki::tlv;
use crate::keys::{KeyError, PublicKey, SignatureAlgorithm};

/// Algorithms that are met and not used here, with the OID of a key or a signature.
const OTHERS: [(&str, &str); 12] = [
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.2.1", "elliptic curve"),
    ("1.3.132.0.34", "elliptic curve P-384"),
    ("1.3.132.0.35", "elliptic curve P-521"),
    ("1.3.101.113", "Ed448"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
];

/// The kind of a key by the algorithm of its signatures.
pub const fn kind(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::Ed25519 => "Ed25519",
        SignatureAlgorithm::EcdsaP256Sha256 => "elliptic curve P-256",
    }
}

/// An algorithm that is not used here.
pub fn other(oid: &ObjectIdentifier) -> String {
    let digits = oid.to_string();
    match OTHERS.iter().find(|(known, _)| *known == digits) {
        Some((_, name)) => format!("{name} ({digits})"),
        None => digits,
    }
}

/// The key in a SubjectPublicKeyInfo: its kind and the hash by which people compare it.
pub fn key(spki_der: &[u8]) -> String {
    let kind = match PublicKey::from_spki_der(spki_der) {
        Ok(key) => kind(key.algorithm()).to_owned(),
        Err(KeyError::Unsupported(oid)) => format!("{}, which is not used here", other(&oid)),
        Err(KeyError::Malformed(_)) => "malformed".to_owned(),
    };
    format!("{kind}, SHA-256 {}", hex::encode(Sha256::digest(spki_der)))
}

/// The same for machines.
pub fn key_json(spki_der: &[u8]) -> Value {
    let key = PublicKey::from_spki_der(spki_der).ok();
    json!({
        "algorithm": key.as_ref().map(|key| kind(key.algorithm())),
        "sha256": hex::encode(Sha256::digest(spki_der)),
        "thumbprint": key.as_ref().map(thumbprint),
        "spki": STANDARD.encode(spki_der),
    })
}

/// The algorithm by which something of the form `SEQUENCE { signed, AlgorithmIdentifier, signature }` is signed.
pub fn signature(algorithm: Option<SignatureAlgorithm>, der: &[u8]) -> String {
    match algorithm {
        Some(SignatureAlgorithm::Ed25519) => "Ed25519".into(),
        Some(SignatureAlgorithm::EcdsaP256Sha256) => "ECDSA on P-256 with SHA-256".into(),
        None => {
            let oid = algorithm_oid(der).map_or_else(|| "unreadable".to_owned(), |oid| other(&oid));
            format!("{oid}, which is not allowed here")
        }
    }
}

fn algorithm_oid(der: &[u8]) -> Option<ObjectIdentifier> {
    let sequence = Elements::new(der, 0).next()?;
    let algorithm = Elements::new(sequence.content, 0).nth(1)?;
    let oid = Elements::new(algorithm.content, 0).next().filter(|oid| oid.tag == tlv::OID)?;
    ObjectIdentifier::from_bytes(oid.content).ok()
}

/// Whether this begins like `SEQUENCE { OBJECT IDENTIFIER, ... }`.
pub fn is_algorithm(shape: Shape<'_>) -> bool {
    shape.begins(&[tlv::OID])
}
