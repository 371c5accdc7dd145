//! Issuer, responder and answers for the tests of this module.

use super::*;
use crate::apki::certificate::Certificate;
use crate::apki::moment::Moment;
use crate::apki::oid;
use crate::apki::precertificate::extension_der;
use crate::apki::testing::{Draft, key};
use crate::apki::tlv::{self, encode};
use crate::keys::{SignatureAlgorithm, Signer};
use crate::time::UnixMillis;

/// 2026-04-10T12:00:00Z, when the certificates of [`Draft`] become valid.
pub(super) const NOON: u64 = 1_775_822_400_000;

pub(super) fn at(millis: u64) -> Moment {
    Moment::floor(UnixMillis::new(millis)).unwrap()
}

pub(super) fn issuer() -> Certificate {
    Draft::ca("Root", "CA", &key(1), None).certificate(&key(9))
}

pub(super) fn cert_id(serial: u8) -> CertId {
    CertId::of(&issuer(), &[serial], CertIdHash::Sha1).unwrap()
}

pub(super) fn purpose(content: &ObjectIdentifier) -> Vec<u8> {
    extension_der(&oid::EXTENDED_KEY_USAGE, false, &encode(tlv::SEQUENCE, &[&encode(tlv::OID, &[content.as_bytes()])]))
}

pub(super) use der::asn1::ObjectIdentifier;

/// The responder's certificate, with key 2, before the issuer signs it.
pub(super) fn responder() -> Draft {
    let mut draft = Draft::new("CA", "Responder", &key(2));
    draft.extensions.push(extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x07, 0x80]));
    draft.extensions.push(purpose(&oid::OCSP_SIGNING));
    draft.extensions.push(extension_der(&oid::OCSP_NO_CHECK, false, &[0x05, 0x00]));
    draft
}

pub(super) fn single(cert_id: &CertId, status: CertStatus) -> SingleResponse<'_> {
    SingleResponse { cert_id, status, this_update: at(NOON), next_update: at(NOON + 300_000) }
}

/// The ResponseData of key 2.
pub(super) fn tbs(responses: &[SingleResponse<'_>], nonce: Option<&Nonce>) -> Vec<u8> {
    let responder_key_hash = responder_key_hash(key(2).public_key()).unwrap();
    ResponseTemplate { responder_key_hash, produced_at: at(NOON), responses, nonce }.tbs()
}

/// The OCSPResponse of this ResponseData, signed by key 2.
pub(super) fn response(tbs: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
    basic_response(tbs, SignatureAlgorithm::Ed25519, &key(2).sign(tbs).unwrap(), certificate)
}
