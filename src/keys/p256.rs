//! ECDSA P-256 keys in memory, and private keys of whichever kind a PKCS#8 file holds.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING as P256_SIGNING, EcdsaKeyPair, KeyPair as _};
use ed25519_dalek::pkcs8::{PrivateKeyInfoRef, SecretDocument};

use super::{Ed25519Signer, KeyError, PublicKey, SignError, SignatureAlgorithm, Signer};

/// DER of a P-256 SubjectPublicKeyInfo up to the 65 octets of the uncompressed point (RFC 5480
/// section 2).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Where ECDSA takes its nonces from. It is an argument because this floor has no randomness.
///
/// The library of today hands a source on and draws from its own; one that uses what it is given,
/// or a device, needs no other interface.
pub type RandomSource = Arc<dyn SecureRandom + Send + Sync>;

/// An ECDSA P-256 key in memory; it signs with SHA-256, as DER `ECDSA-Sig-Value` (RFC 5758
/// section 3.2).
pub struct EcdsaP256Signer {
    key: EcdsaKeyPair,
    public: PublicKey,
    random: RandomSource,
}

impl EcdsaP256Signer {
    /// Reads a DER PKCS#8 private key (RFC 5958) on P-256.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] where it does not parse, [`KeyError::Unsupported`] with the OID of
    /// the algorithm or curve where it is another.
    pub fn from_pkcs8_der(der: &[u8], random: RandomSource) -> Result<Self, KeyError> {
        match private_key_algorithm(der)? {
            SignatureAlgorithm::EcdsaP256Sha256 => {
                let key = EcdsaKeyPair::from_pkcs8(&P256_SIGNING, der);
                Self::new(key.map_err(|e| KeyError::Malformed(e.to_string()))?, random)
            }
            SignatureAlgorithm::Ed25519 => Err(KeyError::Unsupported(super::ID_ED25519)),
        }
    }

    /// Reads a PEM PKCS#8 private key, as `openssl genpkey -algorithm ec` writes it.
    ///
    /// # Errors
    /// Those of [`from_pkcs8_der`](Self::from_pkcs8_der), and [`KeyError::Malformed`] where the text
    /// is not one PEM block `PRIVATE KEY`.
    pub fn from_pkcs8_pem(pem: &str, random: RandomSource) -> Result<Self, KeyError> {
        Self::from_pkcs8_der(pkcs8_of_pem(pem)?.as_bytes(), random)
    }

    /// Reads a DER `ECPrivateKey` on P-256 (RFC 5915), as `openssl ecparam -genkey` writes it.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] where it does not parse or is on another curve.
    pub fn from_sec1_der(der: &[u8], random: RandomSource) -> Result<Self, KeyError> {
        let key = EcdsaKeyPair::from_private_key_der(&P256_SIGNING, der);
        Self::new(key.map_err(|e| KeyError::Malformed(e.to_string()))?, random)
    }

    /// The signer with this key pair, which must be one for P-256, SHA-256 and DER signatures.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] where it is for anything else.
    pub fn from_key_pair(key: EcdsaKeyPair, random: RandomSource) -> Result<Self, KeyError> {
        if *key.algorithm() != P256_SIGNING {
            return Err(KeyError::Malformed("the key pair is not for P-256 with SHA-256 and DER signatures".into()));
        }
        Self::new(key, random)
    }

    fn new(key: EcdsaKeyPair, random: RandomSource) -> Result<Self, KeyError> {
        let public = PublicKey::from_spki_der(&[&P256_SPKI_PREFIX[..], key.public_key().as_ref()].concat())?;
        Ok(Self { key, public, random })
    }
}

impl fmt::Debug for EcdsaP256Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcdsaP256Signer").field("log_id", &self.public.log_id()).finish_non_exhaustive()
    }
}

impl Signer for EcdsaP256Signer {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.key.sign(&*self.random, message).map_err(|e| SignError(e.to_string()))?;
        Ok(signature.as_ref().to_vec())
    }
}

/// Reads a PEM PKCS#8 private key, Ed25519 (RFC 8410) or ECDSA P-256.
///
/// # Errors
/// [`KeyError::Malformed`] where the text is not one PEM block `PRIVATE KEY` with a key in it, and
/// [`KeyError::Unsupported`] with the OID of the algorithm or curve where it is neither of the two.
pub fn signer_from_pkcs8_pem(pem: &str, random: RandomSource) -> Result<Box<dyn Signer>, KeyError> {
    signer_from_pkcs8_der(pkcs8_of_pem(pem)?.as_bytes(), random)
}

/// Reads a DER PKCS#8 private key, Ed25519 (RFC 8410) or ECDSA P-256.
///
/// # Errors
/// Those of [`signer_from_pkcs8_pem`].
pub fn signer_from_pkcs8_der(der: &[u8], random: RandomSource) -> Result<Box<dyn Signer>, KeyError> {
    Ok(match private_key_algorithm(der)? {
        SignatureAlgorithm::Ed25519 => Box::new(Ed25519Signer::from_pkcs8_der(der)?),
        SignatureAlgorithm::EcdsaP256Sha256 => Box::new(EcdsaP256Signer::from_pkcs8_der(der, random)?),
    })
}

/// What the key signs with, from its PrivateKeyInfo.
fn private_key_algorithm(der: &[u8]) -> Result<SignatureAlgorithm, KeyError> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(|e| KeyError::Malformed(e.to_string()))?;
    PublicKey::algorithm_of(&info.algorithm)
}

/// The octets of the PEM block, which are wiped when they go.
fn pkcs8_of_pem(pem: &str) -> Result<SecretDocument, KeyError> {
    let (label, der) = SecretDocument::from_pem(pem).map_err(|e| KeyError::Malformed(e.to_string()))?;
    match label {
        "PRIVATE KEY" => Ok(der),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Malformed("it is encrypted, and must be decrypted first".into())),
        other => Err(KeyError::Malformed(format!("the PEM block is `{other}` where `PRIVATE KEY` (PKCS#8) belongs"))),
    }
}

#[cfg(test)]
mod tests;
