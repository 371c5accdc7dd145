//! Who may answer, and how long the answer holds.

use super::super::testing::{NOON, ObjectIdentifier, at, cert_id, issuer, purpose, responder, response, single, tbs};
use super::super::{CertIdHash, CertStatus, ResponseTemplate, basic_response, responder_key_hash};
use super::*;
use crate::apki::precertificate::extension_der;
use crate::apki::status::RevocationReason;
use crate::apki::testing::{Draft, ECDSA_SHA256, key, name, validity};
use crate::keys::{SignatureAlgorithm, Signer};

fn answer(responder: &Draft, by: u8, now: u64) -> Result<CertStatus, OcspVerifyError> {
    let id = cert_id(5);
    let tbs = tbs(&[single(&cert_id(4), CertStatus::Unknown), single(&id, CertStatus::Good)], None);
    let read = OcspResponse::parse(&response(&tbs, Some(&responder.sign(&key(by))))).unwrap();
    read.verify(&id, &issuer(), UnixMillis::new(now), None).map(|answer| answer.status)
}

fn fault(change: impl FnOnce(&mut Draft)) -> OcspVerifyError {
    let mut draft = responder();
    change(&mut draft);
    answer(&draft, 1, NOON).unwrap_err()
}

#[test]
fn a_responder_of_the_issuer_is_believed_and_no_other() {
    assert_eq!(answer(&responder(), 1, NOON), Ok(CertStatus::Good));
    let fault = |change: fn(&mut Draft)| fault(change);
    assert_eq!(answer(&responder(), 3, NOON), Err(ResponderFault::NotIssued.into()));
    assert_eq!(fault(|d| d.issuer = name("Other")), ResponderFault::NotIssued.into());
    let ecdsa = |d: &mut Draft| (d.inner_algorithm, d.outer_algorithm) = (ECDSA_SHA256.to_vec(), ECDSA_SHA256.to_vec());
    assert_eq!(fault(ecdsa), ResponderFault::NotIssued.into());
    assert_eq!(fault(|d| drop(d.extensions.remove(1))), ResponderFault::Purpose.into());
    // clientAuth; anyExtendedKeyUsage.
    for other in ["1.3.6.1.5.5.7.3.2", "2.5.29.37.0"] {
        let mut draft = responder();
        draft.extensions[1] = purpose(&ObjectIdentifier::new_unwrap(other));
        assert_eq!(answer(&draft, 1, NOON), Err(ResponderFault::Purpose.into()));
    }
    assert_eq!(
        fault(|d| d.extensions[1] = extension_der(&oid::EXTENDED_KEY_USAGE, false, &[])),
        ResponderFault::Purpose.into()
    );
    let crl_sign = |d: &mut Draft| d.extensions[0] = extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x02]);
    assert_eq!(fault(crl_sign), ResponderFault::KeyUsage.into());
    let constrained = |d: &mut Draft| d.extensions.push(extension_der(&oid::NAME_CONSTRAINTS, true, &[0x30, 0x00]));
    assert_eq!(fault(constrained), ResponderFault::UnknownCritical.into());
    let past = |d: &mut Draft| d.validity = validity(&[(0x17, b"260410110000Z"), (0x17, b"260410115959Z")]);
    assert_eq!(fault(past), ResponderFault::Validity.into());
    let future = |d: &mut Draft| d.validity = validity(&[(0x17, b"260410120001Z"), (0x17, b"260410130000Z")]);
    assert_eq!(fault(future), ResponderFault::Validity.into());
    assert_eq!(fault(|d| d.spki = key(3).public_key().spki_der().to_vec()), ResponderFault::NotFound.into());
    // Without a keyUsage everything may be signed.
    let mut draft = responder();
    draft.extensions.remove(0);
    assert_eq!(answer(&draft, 1, NOON), Ok(CertStatus::Good));
}

#[test]
fn the_issuer_itself_is_believed() {
    let id = cert_id(5);
    let status = CertStatus::Revoked { at: at(NOON - 1000), reason: RevocationReason::PrivilegeWithdrawn };
    let responses = [single(&id, status)];
    let responder_key_hash = responder_key_hash(key(1).public_key()).unwrap();
    let template = ResponseTemplate { responder_key_hash, produced_at: at(NOON), responses: &responses, nonce: None };
    let tbs = template.tbs();
    let signed = |by: u8, algorithm| {
        let der = basic_response(&tbs, algorithm, &key(by).sign(&tbs).unwrap(), None);
        let read = OcspResponse::parse(&der).unwrap();
        read.verify(&id, &issuer(), UnixMillis::new(NOON), None).map(|answer| answer.status)
    };
    assert_eq!(signed(1, SignatureAlgorithm::Ed25519), Ok(status));
    assert_eq!(signed(2, SignatureAlgorithm::Ed25519), Err(ResponderFault::Signature.into()));
    assert_eq!(signed(1, SignatureAlgorithm::EcdsaP256Sha256), Err(ResponderFault::Signature.into()));
}

#[test]
fn an_answer_holds_from_this_to_next_update_with_a_minute_either_way() {
    let judge = |now| answer(&responder(), 1, now);
    assert_eq!(judge(NOON + 300_000 + 60_000), Ok(CertStatus::Good));
    assert!(matches!(judge(NOON + 300_000 + 60_001), Err(OcspVerifyError::Stale { .. })));
    // The responder's certificate becomes valid at noon, so one that is valid before.
    let mut early = responder();
    early.validity = validity(&[(0x17, b"260410110000Z"), (0x17, b"260410130000Z")]);
    assert_eq!(answer(&early, 1, NOON - 60_000), Ok(CertStatus::Good));
    assert!(matches!(answer(&early, 1, NOON - 60_001), Err(OcspVerifyError::Early { .. })));
}

#[test]
fn the_answer_is_to_this_question() {
    let (id, nonce) = (cert_id(5), Nonce::new([7; 32]).unwrap());
    let certificate = responder().sign(&key(1));
    let now = UnixMillis::new(NOON);
    let read = |nonce| {
        let tbs = tbs(&[single(&id, CertStatus::Good)], nonce);
        OcspResponse::parse(&response(&tbs, Some(&certificate))).unwrap()
    };
    let with = read(Some(&nonce));
    assert!(with.verify(&id, &issuer(), now, Some(&nonce)).is_ok() && with.verify(&id, &issuer(), now, None).is_ok());
    let other = Nonce::new([8; 32]).unwrap();
    assert_eq!(with.verify(&id, &issuer(), now, Some(&other)), Err(OcspVerifyError::Nonce));
    assert_eq!(read(None).verify(&id, &issuer(), now, Some(&nonce)), Err(OcspVerifyError::Nonce));
    assert_eq!(with.verify(&cert_id(6), &issuer(), now, None), Err(OcspVerifyError::OtherCertificate));
    // Another hash is another question.
    let sha256 = CertId::of(&issuer(), &[5], CertIdHash::Sha256).unwrap();
    assert_eq!(with.verify(&sha256, &issuer(), now, None), Err(OcspVerifyError::OtherCertificate));
    let stranger = Draft::ca("Root", "Stranger", &key(1), None).certificate(&key(9));
    assert_eq!(with.verify(&id, &stranger, now, None), Err(OcspVerifyError::OtherIssuer));
}

#[test]
fn nothing_holds_without_an_end_or_with_another_signature() {
    let id = cert_id(5);
    let tbs = tbs(&[single(&id, CertStatus::Good)], None);
    let der = response(&tbs, Some(&responder().sign(&key(1))));
    let mut read = OcspResponse::parse(&der).unwrap();
    read.answers[0].next_update = None;
    let now = UnixMillis::new(NOON);
    assert_eq!(read.verify(&id, &issuer(), now, None), Err(OcspVerifyError::NoNextUpdate));
    let place = der.windows(tbs.len()).position(|window| window == tbs).unwrap();
    let mut forged = der.clone();
    forged[place + tbs.len() - 3] ^= 1;
    let refused = OcspResponse::parse(&forged).unwrap().verify(&id, &issuer(), now, None).map(|_| ());
    assert_eq!(refused, Err(ResponderFault::Signature.into()));
}
