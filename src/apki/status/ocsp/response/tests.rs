//! Answers read back as they were written, and each departure has its own refusal.

use proptest::prelude::*;

use super::super::testing::{NOON, at, cert_id, responder, response, single as answer_to, tbs};
use super::super::{NonceLength, Unsuccessful};
use super::*;
use crate::apki::precertificate::extension_der;
use crate::apki::status::UnknownReason;
use crate::apki::testing::{key, name};
use crate::apki::tlv::encode;

fn generalized(text: &[u8]) -> Vec<u8> {
    encode(tlv::GENERALIZED_TIME, &[text])
}

const TIME: &[u8] = b"20260410120000Z";

/// The ResponseData with these parts.
fn data(parts: &[&[u8]]) -> Result<OcspResponse, OcspResponseError> {
    OcspResponse::parse(&response(&encode(tlv::SEQUENCE, parts), None))
}

fn by_key() -> Vec<u8> {
    encode(BY_KEY, &[&encode(tlv::OCTET_STRING, &[&[7; 20]])])
}

/// A SingleResponse of these parts behind the CertID.
fn said(parts: &[&[u8]]) -> Result<CertStatus, OcspResponseError> {
    let single = encode(tlv::SEQUENCE, &[cert_id(5).der(), &parts.concat()]);
    let read = data(&[&by_key(), &generalized(TIME), &encode(tlv::SEQUENCE, &[&single])])?;
    Ok(read.answers()[0].status)
}

#[test]
fn what_is_said_of_a_certificate_is_read_strictly() {
    let time = generalized(TIME);
    assert_eq!(said(&[&[GOOD, 0], &time]), Ok(CertStatus::Good));
    assert_eq!(said(&[&[UNKNOWN, 0], &time]), Ok(CertStatus::Unknown));
    assert_eq!(said(&[&[GOOD, 1, 0], &time]), Err(DerError::Null.into()));
    assert_eq!(said(&[&[0x83, 0], &time]), Err(DerError::Tag { expected: GOOD, found: 0x83 }.into()));
    let revoked = |parts: &[&[u8]]| said(&[&encode(REVOKED, parts), &time]);
    let status = |reason| Ok(CertStatus::Revoked { at: at(NOON), reason });
    assert_eq!(revoked(&[&time]), status(RevocationReason::Unspecified));
    assert_eq!(revoked(&[&time, &[REASON, 3, 0x0a, 1, 1]]), status(RevocationReason::KeyCompromise));
    let unknown = ReasonFault::Unknown(UnknownReason("6".into()));
    assert_eq!(revoked(&[&time, &[REASON, 3, 0x0a, 1, 6]]), Err(OcspResponseError::Reason(unknown)));
    assert_eq!(revoked(&[]), Err(DerError::Truncated.into()));
    assert_eq!(revoked(&[&time, &[5, 0]]), Err(DerError::Trailing(2).into()));
    assert!(said(&[&[GOOD, 0], &encode(tlv::UTC_TIME, &[&TIME[2..]])]).is_err());
    assert_eq!(said(&[&[GOOD, 0], &generalized(b"20260410120000.5Z")]), Err(DerError::Time.into()));
    assert_eq!(said(&[&[GOOD, 0], &time, &encode(NEXT_UPDATE, &[&time])]), Ok(CertStatus::Good));
    assert_eq!(said(&[&[GOOD, 0], &time, &encode(NEXT_UPDATE, &[&time, &time])]), Err(DerError::Trailing(17).into()));
    assert_eq!(said(&[&[GOOD, 0], &time, &[5, 0]]), Err(DerError::Trailing(2).into()));
    let critical = extension_der(&oid::CRL_NUMBER, true, &[]);
    let critical = encode(SINGLE_EXTENSIONS, &[&encode(tlv::SEQUENCE, &[&critical])]);
    let fault = ExtensionFault::UnknownCritical("2.5.29.20".into());
    assert_eq!(said(&[&[GOOD, 0], &time, &critical]), Err(OcspResponseError::Extensions(fault)));
}

#[test]
fn refuses_each_departure_around_the_answers() {
    let (time, none) = (generalized(TIME), encode(tlv::SEQUENCE, &[]));
    let error = |parts: &[&[u8]]| data(parts).unwrap_err();
    assert!(data(&[&by_key(), &time, &none]).is_ok());
    assert_eq!(error(&[&[VERSION, 3, 2, 1, 0], &by_key(), &time, &none]), DerError::ExplicitDefault.into());
    assert_eq!(error(&[&[VERSION, 3, 2, 1, 1], &by_key(), &time, &none]), OcspResponseError::Version);
    let short = encode(BY_KEY, &[&encode(tlv::OCTET_STRING, &[&[7; 19]])]);
    assert_eq!(error(&[&short, &time, &none]), DerError::Truncated.into());
    let named = data(&[&encode(BY_NAME, &[&name("CA")]), &time, &none]).unwrap();
    assert_eq!(named.responder(), &ResponderId::Name(name("CA").into()));
    assert_eq!(
        error(&[&encode(0xa3, &[&name("CA")]), &time, &none]),
        DerError::Tag { expected: BY_KEY, found: 0xa3 }.into()
    );
    assert_eq!(error(&[&by_key(), &time, &none, &[5, 0]]), DerError::Trailing(2).into());
    let extension = |der: &[u8]| encode(RESPONSE_EXTENSIONS, &[&encode(tlv::SEQUENCE, &[der])]);
    let critical = extension(&extension_der(&oid::CRL_NUMBER, true, &[]));
    assert!(matches!(
        error(&[&by_key(), &time, &none, &critical]),
        OcspResponseError::Nonce(NonceFault::Extensions(_))
    ));
    let empty = extension(&extension_der(&oid::OCSP_NONCE, false, &[0x04, 0x00]));
    let fault = NonceFault::Length(NonceLength(0));
    assert_eq!(error(&[&by_key(), &time, &none, &empty]), OcspResponseError::Nonce(fault));
}

#[test]
fn refuses_each_departure_outside() {
    let good = response(&tbs(&[], None), None);
    assert!(OcspResponse::parse(&good).is_ok());
    assert_eq!(OcspResponse::parse(&[&good[..], &[0]].concat()).unwrap_err(), DerError::Trailing(1).into());
    assert_eq!(
        OcspResponse::parse(&vec![0x30; MAX_RESPONSE + 1]).unwrap_err(),
        OcspResponseError::TooLong(MAX_RESPONSE + 1)
    );
    assert_eq!(OcspResponse::parse(&[0x30, 3, 0x0a, 1, 0]).unwrap_err(), DerError::Truncated.into());
    let replies = [
        (Unsuccessful::MalformedRequest, "malformedRequest"),
        (Unsuccessful::InternalError, "internalError"),
        (Unsuccessful::TryLater, "tryLater"),
        (Unsuccessful::Unauthorized, "unauthorized"),
    ];
    for (reply, text) in replies {
        assert_eq!(OcspResponse::parse(&reply.to_der()).unwrap_err(), OcspResponseError::Unsuccessful(text));
    }
    assert_eq!(
        OcspResponse::parse(&[0x30, 3, 0x0a, 1, 9]).unwrap_err(),
        OcspResponseError::Unsuccessful("an unknown status")
    );
    let place = good.windows(9).position(|w| w == oid::OCSP_BASIC.as_bytes()).unwrap();
    let mut other = good.clone();
    other[place + 8] = 9;
    assert_eq!(OcspResponse::parse(&other).unwrap_err(), OcspResponseError::Type);

    let responder = responder().sign(&key(1));
    let with = |der: &[u8]| OcspResponse::parse(&response(&tbs(&[], None), Some(der)));
    assert_eq!(with(&responder).unwrap().certificates()[0].der(), responder);
    assert_eq!(with(&responder.repeat(9)).unwrap_err(), OcspResponseError::Certificates(9));
    assert!(matches!(with(&[0x30, 0x00]), Err(OcspResponseError::Certificate(_))));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        serials in prop::collection::vec((1..0x80u8, 0..10usize), 1..17), seconds in 0..5_000_000_000u64,
        nonce in proptest::option::of(prop::collection::vec(any::<u8>(), 1..=128)),
    ) {
        let nonce = nonce.map(|octets| Nonce::new(octets).unwrap());
        let ids: Vec<_> = serials.iter().map(|(serial, _)| cert_id(*serial)).collect();
        let singles: Vec<_> = ids.iter().zip(&serials).map(|(id, (_, kind))| {
            let status = match kind {
                8 => CertStatus::Good,
                9 => CertStatus::Unknown,
                reason => CertStatus::Revoked { at: at(seconds * 1000), reason: RevocationReason::ALL[*reason] },
            };
            answer_to(id, status)
        }).collect();
        let tbs = tbs(&singles, nonce.as_ref());
        let read = OcspResponse::parse(&response(&tbs, None)).unwrap();
        prop_assert_eq!(&read.tbs[..], &tbs[..]);
        prop_assert_eq!((read.produced_at(), read.nonce()), (at(NOON), nonce.as_ref()));
        prop_assert_eq!(read.answers().len(), singles.len());
        for (read, written) in read.answers().iter().zip(&singles) {
            prop_assert_eq!((&read.cert_id, read.status), (written.cert_id, written.status));
            prop_assert_eq!((read.this_update, read.next_update), (written.this_update, Some(written.next_update)));
        }
    }

    #[test]
    fn never_panics(octets in prop::collection::vec(any::<u8>(), 0..200), flip in any::<usize>()) {
        let _ = OcspResponse::parse(&octets);
        let id = cert_id(5);
        let mut der = response(&tbs(&[answer_to(&id, CertStatus::Good)], None), Some(&responder().sign(&key(1))));
        let bit = flip % (8 * der.len());
        der[bit / 8] ^= 1 << (bit % 8);
        let _ = OcspResponse::parse(&der);
    }
}
