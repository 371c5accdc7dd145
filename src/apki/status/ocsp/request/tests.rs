//! Requests read back as themselves, and each departure has its own refusal.

use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use der::asn1::ObjectIdentifier;
use proptest::prelude::*;

use super::super::testing::{cert_id, issuer};
use super::super::{CertIdError, CertIdHash, IssuerIds, NonceLength};
use super::*;
use crate::apki::oid;
use crate::apki::precertificate::extension_der;
use crate::apki::testing::{Draft, key};

/// The request whose TBSRequest has this content, and what stands behind it.
fn request(tbs: &[&[u8]], behind: &[u8]) -> Result<OcspRequest, OcspRequestError> {
    OcspRequest::parse(&encode(tlv::SEQUENCE, &[&encode(tlv::SEQUENCE, tbs), behind]))
}

fn list(questions: &[&[u8]]) -> Vec<u8> {
    let questions: Vec<_> = questions.iter().map(|question| encode(tlv::SEQUENCE, &[question])).collect();
    encode(tlv::SEQUENCE, &[&questions.concat()])
}

fn extensions(list: &[Vec<u8>]) -> Vec<u8> {
    encode(EXTENSIONS, &[&encode(tlv::SEQUENCE, &[&list.concat()])])
}

fn nonce(octets: &[u8]) -> Vec<u8> {
    extension_der(&oid::OCSP_NONCE, false, &encode(tlv::OCTET_STRING, &[octets]))
}

#[test]
fn refuses_each_departure() {
    let id = cert_id(5);
    let one = list(&[id.der()]);
    assert_eq!(request(&[&one], &[]), OcspRequest::new(vec![id.clone()], None));
    assert_eq!(request(&[&encode(VERSION, &[&[2, 1, 0]]), &one], &[]), Err(DerError::ExplicitDefault.into()));
    assert_eq!(request(&[&encode(VERSION, &[&[2, 1, 1]]), &one], &[]), Err(OcspRequestError::Version));
    assert!(matches!(request(&[&encode(VERSION, &[&[5, 0]]), &one], &[]), Err(OcspRequestError::Der(_))));
    assert_eq!(request(&[&list(&[])], &[]), Err(OcspRequestError::Count(0)));
    assert_eq!(request(&[&list(&[id.der(); 17])], &[]), Err(OcspRequestError::Count(17)));
    assert_eq!(request(&[&list(&[id.der(); 16])], &[]).map(|r| r.cert_ids().len()), Ok(16));
    assert_eq!(request(&[&one, &[0x05, 0x00]], &[]), Err(DerError::Trailing(2).into()));
    assert_eq!(request(&[&one], &[0x05, 0x00]), Err(DerError::Trailing(2).into()));
    assert_eq!(OcspRequest::parse(&[]), Err(DerError::Truncated.into()));
    assert_eq!(OcspRequest::parse(&[0x30; MAX_REQUEST + 1]), Err(OcspRequestError::TooLong(MAX_REQUEST + 1)));
    let with = |list: &[Vec<u8>]| request(&[&one, &extensions(list)], &[]);
    assert_eq!(with(&[]), Err(OcspRequestError::Nonce(ExtensionFault::Der(DerError::Empty).into())));
    let unknown = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.99");
    assert!(with(&[extension_der(&unknown, false, &[])]).is_ok());
    let fault = ExtensionFault::UnknownCritical(unknown.to_string());
    assert_eq!(with(&[extension_der(&unknown, true, &[])]), Err(OcspRequestError::Nonce(fault.clone().into())));
    let twice = ExtensionFault::Duplicate(oid::OCSP_NONCE.to_string());
    assert_eq!(with(&[nonce(&[1]), nonce(&[2])]), Err(OcspRequestError::Nonce(twice.into())));
    let single = encode(SINGLE_EXTENSIONS, &[&encode(tlv::SEQUENCE, &[&extension_der(&unknown, true, &[])])]);
    let refused = request(&[&list(&[&[id.der(), &single].concat()])], &[]);
    assert_eq!(refused, Err(OcspRequestError::Extensions(fault)));
    assert!(request(&[&list(&[&[id.der(), &[0x05, 0x00]].concat()])], &[]).is_err());
}

#[test]
fn a_nonce_has_1_to_128_octets() {
    let one = list(&[cert_id(5).der()]);
    let read = |octets: &[u8]| request(&[&one, &extensions(&[nonce(octets)])], &[]).map(|r| r.nonce().cloned());
    for good in [1, 32, 128] {
        assert_eq!(read(&vec![7; good]), Ok(Some(Nonce::new(vec![7; good]).unwrap())));
    }
    for bad in [0, 129] {
        let fault = NonceFault::Length(NonceLength(bad));
        assert_eq!(read(&vec![7; bad]), Err(OcspRequestError::Nonce(fault)));
    }
    let bare = extensions(&[extension_der(&oid::OCSP_NONCE, false, &[7; 16])]);
    assert!(matches!(request(&[&one, &bare], &[]), Err(OcspRequestError::Nonce(NonceFault::Der(_)))));
}

#[test]
fn who_signed_makes_no_difference() {
    let one = list(&[cert_id(5).der()]);
    let name = encode(REQUESTOR_NAME, &[&[0x82, 0x01, b'x']]);
    let signature = encode(SIGNATURE, &[&encode(tlv::SEQUENCE, &[&[0x05, 0x00]])]);
    assert_eq!(request(&[&name, &one], &signature), request(&[&one], &[]));
}

#[test]
fn a_path_is_base64_with_or_without_padding() {
    for count in 1..4 {
        let ids = (0..count).map(|n| CertId::of(&issuer(), &[1; 20][n..], CertIdHash::Sha256).unwrap()).collect();
        let request = OcspRequest::new(ids, None).unwrap();
        for text in [STANDARD.encode(request.to_der()), STANDARD_NO_PAD.encode(request.to_der())] {
            assert_eq!(OcspRequest::from_base64_path(&text), Ok(request.clone()));
        }
    }
    for bad in ["!", "MAA A", "M"] {
        assert_eq!(OcspRequest::from_base64_path(bad), Err(OcspRequestError::Base64), "{bad}");
    }
    assert!(matches!(OcspRequest::from_base64_path(""), Err(OcspRequestError::Der(_))));
    assert!(matches!(OcspRequest::from_base64_path(&"A".repeat(30_000)), Err(OcspRequestError::TooLong(_))));
}

#[test]
fn an_issuer_knows_which_questions_are_about_it() {
    let ids = IssuerIds::of(&issuer()).unwrap();
    for hash in [CertIdHash::Sha1, CertIdHash::Sha256] {
        let id = CertId::of(&issuer(), &[5], hash).unwrap();
        assert_eq!((id.hash(), id.serial()), (Some(hash), &[5][..]));
        assert!(ids.issued(&id));
        // Same name, other key; same key, other name.
        for other in [Draft::ca("Root", "CA", &key(7), None), Draft::ca("Root", "Other", &key(1), None)] {
            let other = IssuerIds::of(&other.certificate(&key(9))).unwrap();
            assert!(!other.issued(&id) && other.cert_id(&[5], hash).as_ref() != Ok(&id));
        }
        assert_eq!(ids.cert_id(&[0, 5], hash), Err(CertIdError::Serial("0005".into())));
        // Without the NULL it is another octet string about the same certificate.
        let bare = without_null(id.der());
        let request = request(&[&list(&[&bare])], &[]).unwrap();
        let [same] = request.cert_ids() else { panic!() };
        assert!(same != &id && same.means_the_same_as(&id) && ids.issued(same));
        assert!(!same.means_the_same_as(&CertId::of(&issuer(), &[6], hash).unwrap()));
    }
    // A hash that nobody here computes.
    let mut der = cert_id(5).der().to_vec();
    der[10] ^= 1;
    let request = request(&[&list(&[&der])], &[]).unwrap();
    assert_eq!(request.cert_ids()[0].hash(), None);
    assert!(!ids.issued(&request.cert_ids()[0]) && request.cert_ids()[0].der() == der);
}

fn without_null(der: &[u8]) -> Vec<u8> {
    let mut fields = Reader::new(der).enter(tlv::SEQUENCE).unwrap();
    let algorithm = fields.any().unwrap().content.of(der);
    let rest = &der[der.len() - (0..3).map(|_| fields.any().unwrap().whole.of(der).len()).sum::<usize>()..];
    encode(tlv::SEQUENCE, &[&encode(tlv::SEQUENCE, &[&algorithm[..algorithm.len() - 2]]), rest])
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        serials in prop::collection::vec(1..0x80u8, 1..=16), sha1 in any::<bool>(),
        nonce in proptest::option::of(prop::collection::vec(any::<u8>(), 1..=128)),
    ) {
        let hash = if sha1 { CertIdHash::Sha1 } else { CertIdHash::Sha256 };
        let ids = serials.iter().map(|serial| CertId::of(&issuer(), &[*serial], hash).unwrap()).collect();
        let request = OcspRequest::new(ids, nonce.map(|octets| Nonce::new(octets).unwrap())).unwrap();
        prop_assert_eq!(OcspRequest::parse(&request.to_der()), Ok(request));
    }

    #[test]
    fn never_panics(octets in prop::collection::vec(any::<u8>(), 0..200), flip in any::<usize>()) {
        let _ = OcspRequest::parse(&octets);
        let mut der = OcspRequest::new(vec![cert_id(5)], Nonce::new(vec![1; 32]).ok()).unwrap().to_der();
        let bit = flip % (8 * der.len());
        der[bit / 8] ^= 1 << (bit % 8);
        let _ = OcspRequest::parse(&der);
    }
}
