//! Precertificates and the final certificates made from them (protocol section 3).
//!
//! The two differ in their last extensions only: the poison in one, the timestamps and the
//! precertificate's signature in the other. So each can be written from the other's octets, and
//! what a log hashed can be recovered offline.

use der::asn1::ObjectIdentifier;
use thiserror::Error;

use super::certificate::{Certificate, CertificateError};
use super::oid;
use super::tlv::{self, DerError};

pub(crate) const EXTENSIONS: u8 = 0xa3;
const POISON_VALUE: &[u8] = &[0x05, 0x00];

/// A poison extension that is not as it must be. All of these are `badSubmission` (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PoisonError {
    /// An extension stands behind it.
    #[error("the precertificate poison is not the last extension")]
    NotLast,
    /// It is not critical, so that somebody might take the precertificate for a certificate.
    #[error("the precertificate poison is not critical")]
    NotCritical,
    /// Its value is not NULL.
    #[error("the value of the precertificate poison is not the two octets 05 00 of a DER NULL")]
    NotNull,
}

/// Why no precertificate can be recovered from a certificate that has part of what a final one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecoverError {
    /// signedAgentTimestampList and precertificateSignature are not both there, or not the last
    /// two in this order.
    #[error("signedAgentTimestampList and precertificateSignature are not the last two extensions, in this order")]
    Position,
    /// The poison is there as well: no final certificate has it.
    #[error("a final certificate has no precertificate poison")]
    Poisoned,
    /// precertificateSignature is not a BIT STRING of whole octets.
    #[error("precertificateSignature is malformed: {0}")]
    Signature(#[from] DerError),
}

/// A certificate with a well-formed poison as its last extension.
#[derive(Clone, Copy, Debug)]
pub struct Precertificate<'a>(&'a Certificate);

impl<'a> Precertificate<'a> {
    /// `certificate` as a precertificate; `None` where it has no poison. The poison is there at
    /// most once, as every extension.
    pub fn of(certificate: &'a Certificate) -> Result<Option<Self>, PoisonError> {
        let Some(poison) = certificate.extension(&oid::PRECERTIFICATE_POISON) else { return Ok(None) };
        if certificate.extensions().next_back() != Some(poison) {
            return Err(PoisonError::NotLast);
        }
        if !poison.critical {
            return Err(PoisonError::NotCritical);
        }
        if poison.value != POISON_VALUE {
            return Err(PoisonError::NotNull);
        }
        Ok(Some(Self(certificate)))
    }

    /// The certificate itself.
    pub const fn certificate(&self) -> &'a Certificate {
        self.0
    }

    /// The TBSCertificate of the final certificate: the poison gives way to `sat_list`, the DER of
    /// a SignedAgentTimestampList, and the precertificate's signature. It is for the same issuer
    /// to sign, with the same algorithm.
    pub fn final_tbs(&self, sat_list: &[u8]) -> Vec<u8> {
        let signature = tlv::encode(tlv::BIT_STRING, &[&[0], self.0.signature()]);
        let timestamps = extension_der(&oid::SIGNED_AGENT_TIMESTAMP_LIST, false, sat_list);
        let signature = extension_der(&oid::PRECERTIFICATE_SIGNATURE, false, &signature);
        with_last_extensions(self.0, 1, &[&timestamps, &signature])
    }

    /// The final certificate: what [`final_tbs`](Self::final_tbs) returned, with its `signature`.
    pub fn assemble(&self, final_tbs: &[u8], signature: &[u8]) -> Result<Certificate, CertificateError> {
        Certificate::parse(certificate_der(final_tbs, self.0.algorithm_der(), signature))
    }
}

/// What a final certificate was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered<'a> {
    /// The precertificate, octet for octet as it was submitted. Its SHA-256 is the certHash that
    /// every SAT must be for.
    pub precertificate_der: Vec<u8>,
    /// The value of signedAgentTimestampList, not looked into.
    pub sat_list_der: &'a [u8],
}

/// Recovers the precertificate behind a final certificate (protocol section 3, step 4); `None`
/// where it has neither of the two extensions, so that its timestamps travel beside it.
pub fn recover(certificate: &Certificate) -> Result<Option<Recovered<'_>>, RecoverError> {
    let has = |oid| certificate.extension(oid).is_some();
    if !has(&oid::SIGNED_AGENT_TIMESTAMP_LIST) && !has(&oid::PRECERTIFICATE_SIGNATURE) {
        return Ok(None);
    }
    if has(&oid::PRECERTIFICATE_POISON) {
        return Err(RecoverError::Poisoned);
    }
    let mut from_the_end = certificate.extensions().rev();
    let signature = from_the_end.next().filter(|e| e.is(&oid::PRECERTIFICATE_SIGNATURE));
    let timestamps = from_the_end.next().filter(|e| e.is(&oid::SIGNED_AGENT_TIMESTAMP_LIST));
    let (Some(signature), Some(timestamps)) = (signature, timestamps) else { return Err(RecoverError::Position) };
    let signature = tlv::whole_octets(tlv::only(signature.value, tlv::BIT_STRING)?)?;
    let tbs = with_last_extensions(certificate, 2, &[&poison_der()]);
    Ok(Some(Recovered {
        precertificate_der: certificate_der(&tbs, certificate.algorithm_der(), signature),
        sat_list_der: timestamps.value,
    }))
}

/// An Extension as DER.
pub fn extension_der(oid: &ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
    let oid = tlv::encode(tlv::OID, &[oid.as_bytes()]);
    let critical: &[u8] = if critical { &[tlv::BOOLEAN, 0x01, 0xff] } else { &[] };
    tlv::encode(tlv::SEQUENCE, &[&oid, critical, &tlv::encode(tlv::OCTET_STRING, &[value])])
}

/// The TBSCertificate with its last `dropped` extensions replaced by `added`.
fn with_last_extensions(certificate: &Certificate, dropped: usize, added: &[&[u8]]) -> Vec<u8> {
    let kept = certificate.extensions().len().saturating_sub(dropped);
    let mut extensions: Vec<&[u8]> = certificate.extensions().take(kept).map(|extension| extension.der).collect();
    extensions.extend_from_slice(added);
    let extensions = tlv::encode(EXTENSIONS, &[&tlv::encode(tlv::SEQUENCE, &extensions)]);
    tlv::encode(tlv::SEQUENCE, &[certificate.tbs_head(), &extensions])
}

/// A Certificate (RFC 5280 section 4.1) of its three parts: a TBSCertificate and an
/// AlgorithmIdentifier, both in DER, and the octets of the signature.
pub fn certificate_der(tbs: &[u8], algorithm_der: &[u8], signature: &[u8]) -> Vec<u8> {
    let signature = tlv::encode(tlv::BIT_STRING, &[&[0], signature]);
    tlv::encode(tlv::SEQUENCE, &[tbs, algorithm_der, &signature])
}

/// The poison, as the last extension of a precertificate.
pub fn poison_der() -> Vec<u8> {
    extension_der(&oid::PRECERTIFICATE_POISON, true, POISON_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::testing::{Draft, key};
    use crate::keys::Signer;
    use proptest::prelude::*;

    fn with(extensions: &[(ObjectIdentifier, bool, &[u8])]) -> Certificate {
        let mut draft = Draft::leaf("CA");
        draft.extensions.extend(extensions.iter().map(|(oid, critical, value)| extension_der(oid, *critical, value)));
        draft.certificate(&key(1))
    }

    const POISON: ObjectIdentifier = oid::PRECERTIFICATE_POISON;
    const LIST: ObjectIdentifier = oid::SIGNED_AGENT_TIMESTAMP_LIST;
    const SIGNATURE: ObjectIdentifier = oid::PRECERTIFICATE_SIGNATURE;

    #[test]
    fn the_poison_is_last_critical_and_null() {
        let kind = |extensions: &[_]| Precertificate::of(&with(extensions)).map(|found| found.is_some());
        assert_eq!(kind(&[]), Ok(false));
        assert_eq!(kind(&[(POISON, true, &[5, 0])]), Ok(true));
        assert_eq!(kind(&[(POISON, true, &[5, 0]), (LIST, false, &[])]), Err(PoisonError::NotLast));
        assert_eq!(kind(&[(POISON, false, &[5, 0])]), Err(PoisonError::NotCritical));
        for value in [&[][..], &[5], &[5, 0, 0], &[5, 1, 0], &[4, 0]] {
            assert_eq!(kind(&[(POISON, true, value)]), Err(PoisonError::NotNull));
        }
    }

    #[test]
    fn a_half_final_certificate_is_refused() {
        let bits: &[u8] = &[0x03, 0x02, 0x00, 0xff];
        let attempt = |extensions: &[_]| recover(&with(extensions)).map(|found| found.is_some());
        assert_eq!(attempt(&[]), Ok(false));
        assert_eq!(attempt(&[(LIST, false, &[1]), (SIGNATURE, false, bits)]), Ok(true));
        let misplaced: &[&[(ObjectIdentifier, bool, &[u8])]] = &[
            &[(LIST, false, &[1])],
            &[(SIGNATURE, false, bits)],
            &[(SIGNATURE, false, bits), (LIST, false, &[1])],
            &[(LIST, false, &[1]), (SIGNATURE, false, bits), (oid::KEY_USAGE, false, &[])],
            &[(LIST, false, &[1]), (oid::KEY_USAGE, false, &[]), (SIGNATURE, false, bits)],
        ];
        for extensions in misplaced {
            assert_eq!(attempt(extensions), Err(RecoverError::Position));
        }
        let poisoned: &[(ObjectIdentifier, bool, &[u8])] =
            &[(POISON, true, &[5, 0]), (LIST, false, &[1]), (SIGNATURE, false, bits)];
        assert_eq!(attempt(poisoned), Err(RecoverError::Poisoned));
        for value in [&[0x04, 0x02, 0x00, 0xff][..], &[0x03, 0x00], &[0x03, 0x02, 0x01, 0xfe], &[0x03, 0x02, 0x00]] {
            assert!(matches!(
                attempt(&[(LIST, false, &[1]), (SIGNATURE, false, value)]),
                Err(RecoverError::Signature(_))
            ));
        }
    }

    proptest! {
        #[test]
        fn the_final_certificate_gives_back_both(list in proptest::collection::vec(any::<u8>(), 0..600)) {
            let submitted = with(&[(POISON, true, &[5, 0])]);
            let precertificate = Precertificate::of(&submitted).unwrap().unwrap();
            let tbs = precertificate.final_tbs(&list);
            let fin = precertificate.assemble(&tbs, &key(1).sign(&tbs).unwrap()).unwrap();
            prop_assert_eq!(fin.tbs_der(), tbs);
            let recovered = recover(&fin).unwrap().unwrap();
            prop_assert_eq!(recovered.precertificate_der, submitted.der());
            prop_assert_eq!(recovered.sat_list_der, list);
        }
    }
}
