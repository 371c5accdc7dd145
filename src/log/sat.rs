//! Signed agent timestamps: what a log promises for a certificate (protocol section 3).
//!
//! ```text
//! SignedAgentTimestamp ::= SEQUENCE { version INTEGER {v1(0)}, logId OCTET STRING (SIZE(32)),
//!     timestamp INTEGER, certHash OCTET STRING (SIZE(32)), signature OCTET STRING }
//! ```
//! The signature is over the DER of the same SEQUENCE without it.

use der::asn1::OctetStringRef;
use der::{Decode, Sequence};
use thiserror::Error;

use super::entry::CertHash;
use crate::keys::{LogId, PublicKey, SignError, Signer};
use crate::time::UnixMillis;

/// The latest timestamp of a SAT (ruling R30).
const MAX_TIMESTAMP: u64 = i64::MAX as u64;

const TAG_INTEGER: u8 = 0x02;
const TAG_OCTET_STRING: u8 = 0x04;
const TAG_SEQUENCE: u8 = 0x30;

/// Why octets are not a SAT or a list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadSat {
    /// Not the DER of the structure.
    #[error("not a signed agent timestamp in DER: {0}")]
    Der(#[from] der::Error),
    /// It decodes, but DER spells it otherwise.
    #[error("not strict DER: it decodes, and encodes to other octets")]
    NotStrict,
    /// Another version than v1, which is the integer 0.
    #[error("version {0} is not known; v1 is the integer 0")]
    Version(u8),
    /// A timestamp past 2^63 - 1.
    #[error("timestamp {0} is past 2^63 - 1")]
    Timestamp(u64),
    /// A logId or certHash that is not a SHA-256 value.
    #[error("{0} has {1} octets, not 32")]
    Size(&'static str, usize),
    /// A list without a SAT in it.
    #[error("a list of signed agent timestamps has at least one")]
    EmptyList,
}

/// Why a SAT does not count for a certificate, or even speaks against it (ruling R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SatError {
    /// The SAT is over another certificate: whoever presents it is to be refused.
    #[error("the SAT is over certificate hash {found}, not {expected}")]
    OtherCertificate {
        /// The hash that the SAT names.
        found: CertHash,
        /// The hash of the certificate at hand.
        expected: CertHash,
    },
    /// The SAT names another log than the one whose key is at hand: it does not count.
    #[error("the SAT is of log {found}, not of log {expected}")]
    OtherLog {
        /// The log that the SAT names.
        found: LogId,
        /// The log of the key.
        expected: LogId,
    },
    /// The signature does not verify: the SAT does not count.
    #[error("the SAT's signature does not verify with the log's key")]
    Signature,
}

/// A log's signed statement that a certificate is in its tree since a moment.
///
/// What is put together by hand is checked nowhere but in [`verify`](Self::verify); what comes
/// out of [`from_der`](Self::from_der) or [`sign`](Self::sign) is within the bounds of the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAgentTimestamp {
    /// Which log.
    pub log_id: LogId,
    /// Since when: 0 to 2^63 - 1.
    pub timestamp: UnixMillis,
    /// Which certificate, by the SHA-256 of what was submitted.
    pub cert_hash: CertHash,
    /// The log's signature over [`to_be_signed`](Self::to_be_signed).
    pub signature: Vec<u8>,
}

/// The structure as DER has it, before sizes and ranges are checked.
#[derive(Sequence)]
struct Fields<'a> {
    version: u8,
    log_id: &'a OctetStringRef,
    timestamp: u64,
    cert_hash: &'a OctetStringRef,
    signature: &'a OctetStringRef,
}

impl TryFrom<Fields<'_>> for SignedAgentTimestamp {
    type Error = BadSat;

    fn try_from(fields: Fields<'_>) -> Result<Self, BadSat> {
        if fields.version != 0 {
            return Err(BadSat::Version(fields.version));
        }
        if fields.timestamp > MAX_TIMESTAMP {
            return Err(BadSat::Timestamp(fields.timestamp));
        }
        let sized = |name, octets: &OctetStringRef| {
            let octets = octets.as_bytes();
            octets.try_into().map_err(|_| BadSat::Size(name, octets.len()))
        };
        Ok(Self {
            log_id: LogId::new(sized("logId", fields.log_id)?),
            timestamp: UnixMillis::new(fields.timestamp),
            cert_hash: CertHash::new(sized("certHash", fields.cert_hash)?),
            signature: fields.signature.as_bytes().to_vec(),
        })
    }
}

impl SignedAgentTimestamp {
    /// Reads a SAT in strict DER.
    pub fn from_der(der: &[u8]) -> Result<Self, BadSat> {
        let sat = Self::try_from(Fields::from_der(der)?)?;
        if sat.to_der() == der { Ok(sat) } else { Err(BadSat::NotStrict) }
    }

    /// The SAT in DER.
    pub fn to_der(&self) -> Vec<u8> {
        let mut content = signed_fields(self.log_id, self.timestamp, self.cert_hash);
        put(&mut content, TAG_OCTET_STRING, &self.signature);
        wrap(TAG_SEQUENCE, &content)
    }

    /// What is signed: the DER of `SEQUENCE { version, logId, timestamp, certHash }`.
    pub fn to_be_signed(log_id: LogId, timestamp: UnixMillis, cert_hash: CertHash) -> Vec<u8> {
        wrap(TAG_SEQUENCE, &signed_fields(log_id, timestamp, cert_hash))
    }

    /// Signs a SAT for a certificate that is in the durable tree; that it is there is for the
    /// caller to know. A timestamp past 2^63 - 1 is not signed.
    pub fn sign(signer: &dyn Signer, timestamp: UnixMillis, cert_hash: CertHash) -> Result<Self, SignError> {
        if timestamp.get() > MAX_TIMESTAMP {
            return Err(SignError(BadSat::Timestamp(timestamp.get()).to_string()));
        }
        let log_id = signer.public_key().log_id();
        let signature = signer.sign(&Self::to_be_signed(log_id, timestamp, cert_hash))?;
        Ok(Self { log_id, timestamp, cert_hash, signature })
    }

    /// Checks that the log with `key` signed this SAT for the certificate with `cert_hash`.
    pub fn verify(&self, key: &PublicKey, cert_hash: CertHash) -> Result<(), SatError> {
        if self.cert_hash != cert_hash {
            return Err(SatError::OtherCertificate { found: self.cert_hash, expected: cert_hash });
        }
        let expected = key.log_id();
        if self.log_id != expected {
            return Err(SatError::OtherLog { found: self.log_id, expected });
        }
        let message = Self::to_be_signed(self.log_id, self.timestamp, self.cert_hash);
        key.verify(&message, &self.signature).map_err(|_| SatError::Signature)
    }
}

/// `SignedAgentTimestampList`, the content of a certificate's extension: one SAT or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SatList(Vec<SignedAgentTimestamp>);

impl SatList {
    /// The list of these SATs, of which there is at least one.
    pub fn new(sats: Vec<SignedAgentTimestamp>) -> Result<Self, BadSat> {
        if sats.is_empty() { Err(BadSat::EmptyList) } else { Ok(Self(sats)) }
    }

    /// The SATs in their order.
    pub fn sats(&self) -> &[SignedAgentTimestamp] {
        &self.0
    }

    /// Reads a list in strict DER.
    pub fn from_der(der: &[u8]) -> Result<Self, BadSat> {
        let fields = Vec::<Fields<'_>>::from_der(der)?;
        let list = Self::new(fields.into_iter().map(SignedAgentTimestamp::try_from).collect::<Result<_, _>>()?)?;
        if list.to_der() == der { Ok(list) } else { Err(BadSat::NotStrict) }
    }

    /// The list in DER.
    pub fn to_der(&self) -> Vec<u8> {
        wrap(TAG_SEQUENCE, &self.0.iter().flat_map(SignedAgentTimestamp::to_der).collect::<Vec<_>>())
    }
}

// Writing this DER takes four lines and cannot fail; the library's writer can, and every SAT that
// a log gives out would have to carry that error along.

fn signed_fields(log_id: LogId, timestamp: UnixMillis, cert_hash: CertHash) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    put(&mut out, TAG_INTEGER, &[0]);
    put(&mut out, TAG_OCTET_STRING, log_id.as_bytes());
    // An INTEGER is signed: a set top bit needs a zero octet in front, nothing else may have one.
    let mut octets = [0; 9];
    octets[1..].copy_from_slice(&timestamp.get().to_be_bytes());
    let needless = octets.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    put(&mut out, TAG_INTEGER, &octets[needless..]);
    put(&mut out, TAG_OCTET_STRING, cert_hash.as_bytes());
    out
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 4);
    put(&mut out, tag, content);
    out
}

fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let octets = content.len().to_be_bytes();
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long => {
            let zeros = long.leading_zeros() as usize / 8;
            out.push(0x80 | (octets.len() - zeros) as u8);
            out.extend_from_slice(&octets[zeros..]);
        }
    }
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::Ed25519Signer;

    fn signer() -> Ed25519Signer {
        Ed25519Signer::from_seed(&[1; 32]).unwrap()
    }

    #[test]
    fn what_is_signed_verifies_for_its_certificate_and_log_alone() {
        let hash = CertHash::new([3; 32]);
        let sat = SignedAgentTimestamp::sign(&signer(), UnixMillis::new(5), hash).unwrap();
        assert_eq!(sat.verify(signer().public_key(), hash), Ok(()));
        let other = CertHash::new([4; 32]);
        assert!(matches!(sat.verify(signer().public_key(), other), Err(SatError::OtherCertificate { .. })));
        let stranger = Ed25519Signer::from_seed(&[2; 32]).unwrap();
        assert!(matches!(sat.verify(stranger.public_key(), hash), Err(SatError::OtherLog { .. })));
        let later = SignedAgentTimestamp { timestamp: UnixMillis::new(6), ..sat };
        assert_eq!(later.verify(signer().public_key(), hash), Err(SatError::Signature));
    }

    #[test]
    fn the_end_of_time_is_not_signed() {
        let at = |millis| SignedAgentTimestamp::sign(&signer(), UnixMillis::new(millis), CertHash::new([3; 32]));
        assert!(at(MAX_TIMESTAMP).is_ok());
        assert!(at(MAX_TIMESTAMP + 1).unwrap_err().0.contains("2^63"));
    }

    #[test]
    fn an_empty_list_is_none() {
        assert_eq!(SatList::new(Vec::new()), Err(BadSat::EmptyList));
        assert_eq!(SatList::from_der(&[0x30, 0]), Err(BadSat::EmptyList));
    }

    proptest! {
        #[test]
        fn der_comes_back(timestamp in prop_oneof![0..=MAX_TIMESTAMP, 0..300_u64, Just(MAX_TIMESTAMP)], len in prop_oneof![0_usize..300, 65_400..65_700_usize], count in 1_usize..4) {
            let sat = SignedAgentTimestamp {
                log_id: LogId::new([1; 32]),
                timestamp: UnixMillis::new(timestamp),
                cert_hash: CertHash::new([2; 32]),
                signature: vec![0x80; len],
            };
            prop_assert_eq!(SignedAgentTimestamp::from_der(&sat.to_der()), Ok(sat.clone()));
            let list = SatList::new(vec![sat; count]).unwrap();
            prop_assert_eq!(SatList::from_der(&list.to_der()), Ok(list));
        }

        #[test]
        fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (SignedAgentTimestamp::from_der(&octets), SatList::from_der(&octets));
        }
    }
}
