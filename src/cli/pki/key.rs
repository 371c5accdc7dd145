//! Keys of the throw-away PKI: P-256 or Ed25519, in memory.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING as P256_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use clap::ValueEnum;
use der::pem;

use super::PkiError;
use crate::cli::files::pem_blocks;
use crate::keys::{ED25519_SPKI_PREFIX, SignatureAlgorithm};

const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The kinds of key that a log admits signatures of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// Ed25519.
    Ed25519,
}

/// A private key that signs certificates, or that an agent has.
#[derive(Debug)]
pub enum SigningKey {
    /// ECDSA on P-256 with SHA-256.
    P256(EcdsaKeyPair),
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key.
    pub fn generate(kind: KeyKind) -> Result<Self, PkiError> {
        let key = match kind {
            KeyKind::P256 => EcdsaKeyPair::generate(&P256_SIGNING).map(Self::P256),
            KeyKind::Ed25519 => Ed25519KeyPair::generate().map(Self::Ed25519),
        };
        key.map_err(|_| PkiError::Crypto("no key could be made"))
    }

    /// Reads PKCS#8, as `openssl genpkey` writes it, or SEC 1, as `openssl ecparam -genkey` does.
    /// Other PEM blocks in front of it, such as curve parameters, are passed over.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        for block in pem_blocks(text) {
            let (label, der) = pem::decode_vec(block.as_bytes()).map_err(|e| PkiError::Key(e.to_string()))?;
            match label {
                "PRIVATE KEY" => {
                    let p256 = EcdsaKeyPair::from_pkcs8(&P256_SIGNING, &der).map(Self::P256);
                    let key = p256.or_else(|_| Ed25519KeyPair::from_pkcs8(&der).map(Self::Ed25519));
                    return key.map_err(|_| PkiError::Key("it is neither P-256 nor Ed25519".into()));
                }
                "EC PRIVATE KEY" => {
                    let key = EcdsaKeyPair::from_private_key_der(&P256_SIGNING, &der);
                    return key.map(Self::P256).map_err(|_| PkiError::Key("it is not on P-256".into()));
                }
                _ => {}
            }
        }
        Err(PkiError::Key("there is no unencrypted PEM private key (PKCS#8 or SEC 1) in it".into()))
    }

    /// DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => [&P256_SPKI[..], key.public_key().as_ref()].concat(),
            Self::Ed25519(key) => [&ED25519_SPKI_PREFIX[..], key.public_key().as_ref()].concat(),
        }
    }

    /// The algorithm of the signatures.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::P256(_) => SignatureAlgorithm::EcdsaP256Sha256,
            Self::Ed25519(_) => SignatureAlgorithm::Ed25519,
        }
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        let signature = match self {
            Self::P256(key) => key.sign(&SystemRandom::new(), message),
            Self::Ed25519(key) => key.try_sign(message),
        };
        signature.map(|s| s.as_ref().to_vec()).map_err(|_| PkiError::Crypto("the key did not sign"))
    }
}
