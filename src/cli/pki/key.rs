//! Keys of the throw-away PKI: P-256 or Ed25519, in memory.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use clap::ValueEnum;
use der::pem;

use super::PkiError;
use crate::cli::files::pem_blocks;
use crate::keys::{
    EcdsaP256Signer, Ed25519Signer, KeyError, PublicKey, RandomSource, SignatureAlgorithm, Signer,
    signer_from_pkcs8_der,
};

/// The kinds of key that a log admits signatures of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// Ed25519.
    Ed25519,
}

/// A private key that signs certificates, or that an agent has.
pub struct SigningKey(Box<dyn Signer>);

impl SigningKey {
    /// A new key.
    pub fn generate(kind: KeyKind) -> Result<Self, PkiError> {
        let random = SystemRandom::new();
        match kind {
            KeyKind::P256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
                let pair = pair.map_err(|_| PkiError::Crypto("no key could be made"))?;
                of(EcdsaP256Signer::from_key_pair(pair, Arc::new(random)))
            }
            KeyKind::Ed25519 => {
                let mut seed = [0; 32];
                random.fill(&mut seed).map_err(|_| PkiError::Crypto("no key could be made"))?;
                of(Ed25519Signer::from_seed(&seed))
            }
        }
    }

    /// Reads PKCS#8, as `openssl genpkey` writes it, or SEC 1, as `openssl ecparam -genkey` does.
    /// Other PEM blocks in front of it, such as curve parameters, are passed over.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        let random: RandomSource = Arc::new(SystemRandom::new());
        for block in pem_blocks(text) {
            let (label, der) = pem::decode_vec(block.as_bytes()).map_err(|e| PkiError::Key(e.to_string()))?;
            match label {
                "PRIVATE KEY" => {
                    return signer_from_pkcs8_der(&der, random).map(Self).map_err(|e| PkiError::Key(e.to_string()));
                }
                "EC PRIVATE KEY" => {
                    let key = EcdsaP256Signer::from_sec1_der(&der, random);
                    return of(key.map_err(|_| KeyError::Malformed("it is no SEC 1 key on P-256".into())));
                }
                _ => {}
            }
        }
        Err(PkiError::Key("there is no unencrypted PEM private key (PKCS#8 or SEC 1) in it".into()))
    }

    /// The key that verifies what this one signs.
    pub fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// The algorithm of the signatures.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.public_key().algorithm()
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiError> {
        self.0.sign(message).map_err(|_| PkiError::Crypto("the key did not sign"))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public_key().algorithm()).finish()
    }
}

fn of(key: Result<impl Signer + 'static, KeyError>) -> Result<SigningKey, PkiError> {
    key.map(|key| SigningKey(Box::new(key))).map_err(|e| PkiError::Key(e.to_string()))
}
