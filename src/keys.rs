//! Signing keys behind a trait, verifying keys with strict parsing, log identifiers.
//!
//! A log signs with Ed25519; certificates may also be signed with ECDSA P-256 (protocol
//! section 5, the allow-list). A hardware key later is one more [`Signer`].

mod p256;

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey, UnparsedPublicKey};
use der::{Decode, Encode};
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes, spki::der::pem::LineEnding};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};
use thiserror::Error;

pub use self::p256::{EcdsaP256Signer, RandomSource, signer_from_pkcs8_der, signer_from_pkcs8_pem};

const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// DER of an Ed25519 SubjectPublicKeyInfo up to the key's 32 octets (RFC 8410 section 4).
pub(crate) const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The first octet of a point with both its coordinates (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not a strict DER SubjectPublicKeyInfo or not a PKCS#8 key.
    #[error("the key does not parse: {0}")]
    Malformed(String),
    /// An algorithm, or the curve of one, that we do not verify with.
    #[error("the key algorithm or curve {0} is neither Ed25519 nor EC P-256")]
    Unsupported(ObjectIdentifier),
}

/// A signature that does not verify, for whatever reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// The signing device refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the key cannot sign: {0}")]
pub struct SignError(pub String);

/// The signature algorithms that the log admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// ECDSA on P-256 with SHA-256, signature as `ECDSA-Sig-Value` (RFC 5758).
    EcdsaP256Sha256,
}

impl SignatureAlgorithm {
    /// The algorithm that an X.509 `AlgorithmIdentifier` names, or `None` where we do not admit
    /// it; both of ours have absent parameters.
    pub fn from_identifier(oid: &ObjectIdentifier, has_parameters: bool) -> Option<Self> {
        match *oid {
            ID_ED25519 if !has_parameters => Some(Self::Ed25519),
            ECDSA_WITH_SHA256 if !has_parameters => Some(Self::EcdsaP256Sha256),
            _ => None,
        }
    }

    /// The DER AlgorithmIdentifier of these signatures, parameters absent (RFC 5758 section 3.2,
    /// RFC 8410 section 3).
    pub const fn algorithm_identifier_der(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
            Self::EcdsaP256Sha256 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
        }
    }
}

/// `SHA-256` of a log key's DER SubjectPublicKeyInfo (protocol section 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId([u8; 32]);

impl LogId {
    /// The identifier with these octets.
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// The subjectKeyIdentifier of certificates for the key in this DER SubjectPublicKeyInfo, of whatever
/// algorithm: the leftmost 160 bits of SHA-256 over the octets of the key itself (RFC 7093 section 2,
/// method 1).
///
/// # Errors
/// [`KeyError::Malformed`] where `spki_der` is not a SubjectPublicKeyInfo.
pub fn key_identifier(spki_der: &[u8]) -> Result<[u8; 20], KeyError> {
    let malformed = |e: der::Error| KeyError::Malformed(e.to_string());
    let info = SubjectPublicKeyInfoRef::from_der(spki_der).map_err(malformed)?;
    let hash = Sha256::digest(key_octets(&info)?);
    let mut identifier = [0; 20];
    identifier.copy_from_slice(&hash[..20]);
    Ok(identifier)
}

fn key_octets<'a>(info: &SubjectPublicKeyInfoRef<'a>) -> Result<&'a [u8], KeyError> {
    info.subject_public_key.as_bytes().ok_or_else(|| KeyError::Malformed("the key has unused bits".into()))
}

/// A public key that signatures are checked with, parsed once.
#[derive(Clone, Debug)]
pub struct PublicKey {
    spki: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Ed25519(Box<VerifyingKey>),
    P256(Box<ParsedPublicKey>),
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo; anything but the canonical octets is refused.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = |e: der::Error| KeyError::Malformed(e.to_string());
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(malformed)?;
        if info.to_der().map_err(malformed)? != der {
            return Err(KeyError::Malformed("not strict DER".into()));
        }
        let octets = key_octets(&info)?;
        let kind = match Self::algorithm_of(&info.algorithm)? {
            SignatureAlgorithm::Ed25519 => {
                let point = octets.try_into().map_err(|_| KeyError::Malformed("an Ed25519 key is 32 octets".into()))?;
                let key = VerifyingKey::from_bytes(point).map_err(|e| KeyError::Malformed(e.to_string()))?;
                Kind::Ed25519(Box::new(key))
            }
            SignatureAlgorithm::EcdsaP256Sha256 => {
                // The library also takes compressed points and whole keys in the place of a point.
                if !matches!(octets, [UNCOMPRESSED, point @ ..] if point.len() == 64) {
                    return Err(KeyError::Malformed("a P-256 key is an uncompressed point of 65 octets".into()));
                }
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, octets).parse();
                Kind::P256(Box::new(key.map_err(|e| KeyError::Malformed(e.to_string()))?))
            }
        };
        Ok(Self { spki: der.to_vec(), kind })
    }

    /// The Ed25519 key with these octets, as C2SP verifier keys carry them.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] where they are not 32, or no point of the curve.
    pub fn from_ed25519_octets(octets: &[u8]) -> Result<Self, KeyError> {
        // With another number of octets the DER is none, and says so.
        Self::from_spki_der(&[&ED25519_SPKI_PREFIX, octets].concat())
    }

    fn algorithm_of(id: &AlgorithmIdentifierRef<'_>) -> Result<SignatureAlgorithm, KeyError> {
        match (id.oid, id.parameters) {
            (ID_ED25519, None) => Ok(SignatureAlgorithm::Ed25519),
            (ID_EC_PUBLIC_KEY, Some(curve)) => match curve.decode_as() {
                Ok(SECP256R1) => Ok(SignatureAlgorithm::EcdsaP256Sha256),
                other => Err(KeyError::Unsupported(other.unwrap_or(ID_EC_PUBLIC_KEY))),
            },
            (oid, _) => Err(KeyError::Unsupported(oid)),
        }
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The algorithm of signatures by this key.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match self.kind {
            Kind::Ed25519(_) => SignatureAlgorithm::Ed25519,
            Kind::P256(_) => SignatureAlgorithm::EcdsaP256Sha256,
        }
    }

    /// The 32 octets of an Ed25519 key, as C2SP verifier keys carry them; `None` for other kinds.
    pub fn ed25519_octets(&self) -> Option<&[u8; 32]> {
        match &self.kind {
            Kind::Ed25519(key) => Some(key.as_bytes()),
            Kind::P256(_) => None,
        }
    }

    /// The identifier of a log with this key.
    pub fn log_id(&self) -> LogId {
        LogId(Sha256::digest(&self.spki).into())
    }

    /// Checks `signature` over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match &self.kind {
            Kind::Ed25519(key) => {
                let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
                key.verify_strict(message, &signature).map_err(|_| BadSignature)
            }
            Kind::P256(key) => key.verify_sig(message, signature).map_err(|_| BadSignature),
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

/// A private key, wherever it lives.
pub trait Signer: Send + Sync {
    /// The key that verifies what this one signs.
    fn public_key(&self) -> &PublicKey;
    /// Signs `message`.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// An Ed25519 key in memory, as read from a PKCS#8 file.
pub struct Ed25519Signer {
    key: SigningKey,
    public: PublicKey,
}

impl Ed25519Signer {
    /// The key with this 32-octet seed (RFC 8032). The seed comes from the caller: this floor
    /// has no randomness.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(SigningKey::from_bytes(seed))
    }

    /// Reads a PEM PKCS#8 private key (RFC 8410), as `openssl genpkey -algorithm ed25519` writes it.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        Self::new(SigningKey::from_pkcs8_pem(pem).map_err(|e| KeyError::Malformed(e.to_string()))?)
    }

    /// Reads a DER PKCS#8 private key (RFC 8410).
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::new(SigningKey::from_pkcs8_der(der).map_err(|e| KeyError::Malformed(e.to_string()))?)
    }

    /// This key as PEM PKCS#8. The caller owns the secret.
    pub fn to_pkcs8_pem(&self) -> Result<String, KeyError> {
        // Without the public key beside it: OpenSSL 3.0 reads no other version than the first.
        let octets = KeypairBytes { secret_key: self.key.to_bytes(), public_key: None };
        let pem = octets.to_pkcs8_pem(LineEnding::LF).map_err(|e| KeyError::Malformed(e.to_string()))?;
        Ok(pem.as_str().to_owned())
    }

    fn new(key: SigningKey) -> Result<Self, KeyError> {
        Ok(Self { public: PublicKey::from_ed25519_octets(key.verifying_key().as_bytes())?, key })
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Signer").field("log_id", &self.public.log_id()).finish_non_exhaustive()
    }
}

impl Signer for Ed25519Signer {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.key.try_sign(message).map_err(|e| SignError(e.to_string()))?;
        Ok(signature.to_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_rfc_8032_test_1() {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let signer = Ed25519Signer::from_seed(&seed.try_into().unwrap()).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(hex::encode(signer.public_key().ed25519_octets().unwrap()), public);
        let signature = signer.sign(b"").unwrap();
        assert_eq!(
            hex::encode(&signature),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        );
        assert_eq!(signer.public_key().verify(b"", &signature), Ok(()));
        assert_eq!(signer.public_key().verify(b"x", &signature), Err(BadSignature));
    }

    #[test]
    fn pkcs8_round_trip_keeps_the_key() {
        let signer = Ed25519Signer::from_seed(&[7; 32]).unwrap();
        let again = Ed25519Signer::from_pkcs8_pem(&signer.to_pkcs8_pem().unwrap()).unwrap();
        assert_eq!(again.public_key(), signer.public_key());
        assert!(!format!("{again:?}").contains("0707"));
    }

    #[test]
    fn only_a_public_key_has_an_identifier() {
        let spki = Ed25519Signer::from_seed(&[7; 32]).unwrap().public_key().spki_der().to_vec();
        // X25519 (RFC 8410): nobody verifies with it, but whoever certified it named it so.
        let other = [&spki[..8], &[0x6e], &spki[9..]].concat();
        assert_eq!(key_identifier(&other), key_identifier(&spki));
        let unused_bits = [&spki[..11], &[0x01], &spki[12..43], &[0x02]].concat();
        let longer = [&spki[..], &[0]].concat();
        for bad in [&[][..], &[0x30, 0x00], &spki[..43], &longer, &unused_bits] {
            assert!(matches!(key_identifier(bad), Err(KeyError::Malformed(_))), "{}", hex::encode(bad));
        }
    }

    #[test]
    fn identifiers_are_those_of_the_rfcs() {
        let signer = Ed25519Signer::from_seed(&[7; 32]).unwrap();
        let octets = signer.public_key().ed25519_octets().unwrap();
        assert_eq!(key_identifier(signer.public_key().spki_der()).unwrap()[..], Sha256::digest(octets)[..20]);
        for algorithm in [SignatureAlgorithm::Ed25519, SignatureAlgorithm::EcdsaP256Sha256] {
            let der = algorithm.algorithm_identifier_der();
            let read = AlgorithmIdentifierRef::from_der(der).unwrap();
            assert_eq!(read.to_der().unwrap(), der);
            let again = SignatureAlgorithm::from_identifier(&read.oid, read.parameters.is_some());
            assert_eq!(again, Some(algorithm));
        }
    }

    #[test]
    fn refuses_keys_that_are_not_canonical() {
        let good = Ed25519Signer::from_seed(&[7; 32]).unwrap().public_key().spki_der().to_vec();
        let mut trailing = good.clone();
        trailing.push(0);
        let mut other_algorithm = good.clone();
        other_algorithm[8] = 0x71; // 1.3.101.113, Ed448
        assert!(matches!(PublicKey::from_spki_der(&trailing), Err(KeyError::Malformed(_))));
        assert!(matches!(PublicKey::from_spki_der(&good[..40]), Err(KeyError::Malformed(_))));
        assert!(matches!(PublicKey::from_spki_der(&other_algorithm), Err(KeyError::Unsupported(_))));
        assert_eq!(PublicKey::from_ed25519_octets(&good[12..]).unwrap().spki_der(), good);
        for length in [0, 31, 33, 256] {
            assert!(matches!(PublicKey::from_ed25519_octets(&vec![1; length]), Err(KeyError::Malformed(_))));
        }
    }
}
