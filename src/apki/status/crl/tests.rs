//! Lists that are written read back as themselves, and each departure has its own refusal.

use der::asn1::ObjectIdentifier;
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::apki::extension::AsciiText;
use crate::apki::oid;
use crate::apki::precertificate::extension_der;
use crate::apki::status::{ReasonFault, RevocationReason, UnknownReason};
use crate::apki::testing::{ECDSA_SHA256, ED25519, RSA_SHA256, key, name};
use crate::apki::tlv::encode;
use crate::keys::{SignatureAlgorithm, Signer};

const NOON: u64 = 1_775_822_400_000;

fn at(millis: u64) -> Moment {
    Moment::floor(UnixMillis::new(millis)).unwrap()
}

fn scope(indirect: bool) -> Scope {
    let url = AsciiText::new("http://ca.example.com/crl/7").unwrap();
    Scope { url, only_user_certificates: !indirect, indirect }
}

fn template(issuer: &[u8], scope: Option<Scope>) -> CrlTemplate<'_> {
    CrlTemplate {
        issuer_der: issuer,
        algorithm: SignatureAlgorithm::Ed25519,
        this_update: at(NOON),
        next_update: at(NOON + 60_000),
        number: 7,
        authority_key_identifier: &[1, 2, 3],
        scope,
    }
}

fn revoked(serial: &[u8], reason: RevocationReason) -> RevokedCertificate<'_> {
    RevokedCertificate { serial, at: at(NOON - 5000), reason, certificate_issuer: None }
}

fn finish(tbs: &[u8]) -> Vec<u8> {
    signed(tbs, SignatureAlgorithm::Ed25519, &key(1).sign(tbs).unwrap())
}

#[test]
fn a_list_says_what_was_written() {
    let issuer = name("CA");
    let tbs = template(&issuer, Some(scope(false)))
        .tbs([revoked(&[5], RevocationReason::KeyCompromise), revoked(&[0x00, 0x80], RevocationReason::Unspecified)])
        .unwrap();
    let crl = Crl::parse(finish(&tbs)).unwrap();
    assert_eq!(crl.issuer_der(), issuer);
    assert_eq!((crl.this_update(), crl.next_update()), (at(NOON), at(NOON + 60_000)));
    assert_eq!((crl.number(), crl.number_octets()), (Some(7), &[7][..]));
    assert_eq!(crl.authority_key_identifier(), [1, 2, 3]);
    assert_eq!(crl.scope(), Some(&scope(false)));
    let found = crl.find(&[5]).unwrap();
    assert_eq!((found.at, found.reason), (at(NOON - 5000), RevocationReason::KeyCompromise));
    assert_eq!(crl.find(&[0x00, 0x80]).unwrap().reason, RevocationReason::Unspecified);
    assert_eq!((crl.find(&[6]), crl.find(&[])), (None, None));
    assert_eq!(crl.find_issued_by(&name("Other"), &[5]), None);
    assert_eq!(crl.verify(key(1).public_key()), Ok(()));
    assert_eq!(crl.verify(key(2).public_key()), Err(CrlError::Signature(BadSignature)));
    // No reasonCode for unspecified: serial number, time, and nothing else.
    let bare = [&[0x30, 0x13, 0x02, 0x02, 0x00, 0x80, 0x17, 0x0d][..], b"260410115955Z"].concat();
    assert!(tbs.windows(bare.len()).any(|window| window == bare));
}

#[test]
fn an_empty_list_has_no_list() {
    let issuer = name("CA");
    let tbs = template(&issuer, None).tbs([]).unwrap();
    let crl = Crl::parse(finish(&tbs)).unwrap();
    assert_eq!((crl.entries().len(), crl.scope()), (0, None));
    let head = [&[0x30, 0x0d][..], b""].concat();
    assert!(!tbs.windows(4).any(|window| window == [&head[..], &[0x30, 0x00]].concat()));
}

#[test]
fn time_is_told_with_a_minute_either_way() {
    let issuer = name("CA");
    let crl = Crl::parse(finish(&template(&issuer, None).tbs([]).unwrap())).unwrap();
    let judge = |millis| crl.check_current(UnixMillis::new(millis));
    assert_eq!((judge(NOON - 60_000), judge(NOON + 120_000)), (Ok(()), Ok(())));
    assert!(matches!(judge(NOON - 60_001), Err(CrlError::Early { .. })));
    assert!(matches!(judge(NOON + 120_001), Err(CrlError::Stale { .. })));
}

#[test]
fn the_form_of_time_changes_with_2050() {
    let issuer = name("CA");
    // 2049-12-31T23:59:30Z
    let eve = 2_524_607_970_000;
    let mut late = template(&issuer, None);
    (late.this_update, late.next_update) = (at(eve), at(eve + 60_000));
    let tbs = late.tbs([]).unwrap();
    let times = [&[0x17, 0x0d][..], b"491231235930Z", &[0x18, 0x0f], b"20500101000030Z"].concat();
    assert!(tbs.windows(times.len()).any(|window| window == times));
    assert_eq!(Crl::parse(finish(&tbs)).unwrap().next_update(), at(eve + 60_000));
}

#[test]
fn an_indirect_list_says_whose_certificate_each_is() {
    let (signer, root, other) = (name("Signer"), name("Root"), name("Other"));
    let of = |serial, issuer| RevokedCertificate {
        certificate_issuer: issuer,
        ..revoked(serial, RevocationReason::CaCompromise)
    };
    let entries =
        [of(&[1], Some(&root[..])), of(&[2], Some(&root)), of(&[2], None), of(&[3], None), of(&[2], Some(&other))];
    let crl = Crl::parse(finish(&template(&signer, Some(scope(true))).tbs(entries).unwrap())).unwrap();
    let issuers: Vec<_> = crl.entries().map(|entry| entry.certificate_issuer.to_vec()).collect();
    assert_eq!(issuers, [&root, &root, &signer, &signer, &other].map(Clone::clone));
    assert!(crl.find_issued_by(&root, &[1]).is_some() && crl.find(&[1]).is_none());
    assert!(crl.find(&[2]).is_some() && crl.find_issued_by(&root, &[3]).is_none());

    let refused = template(&signer, Some(scope(false))).tbs([of(&[1], Some(&root))]);
    assert_eq!(refused, Err(CrlTemplateError::NotIndirect("01".into())));
    // Its own name needs no indirection.
    assert!(template(&signer, None).tbs([of(&[1], Some(&signer))]).is_ok());
    assert!(matches!(template(&signer, Some(scope(true))).tbs([of(&[1], Some(&[]))]), Err(CrlTemplateError::Name(_))));
}

#[test]
fn refuses_to_write_what_nobody_could_rely_on() {
    let issuer = name("CA");
    let with = |change: fn(&mut CrlTemplate<'_>)| {
        let mut template = template(&issuer, Some(scope(false)));
        change(&mut template);
        template.tbs([]).unwrap_err()
    };
    assert!(matches!(with(|t| t.next_update = t.this_update), CrlTemplateError::Period { .. }));
    assert!(matches!(with(|t| t.issuer_der = &[0x30, 0x00]), CrlTemplateError::Name(_)));
    assert_eq!(with(|t| t.authority_key_identifier = &[]), CrlTemplateError::KeyIdentifier);
    let url = |t: &mut CrlTemplate<'_>, url| t.scope.as_mut().unwrap().url = AsciiText::new(url).unwrap();
    for bad in ["", "http://a b"] {
        let mut template = template(&issuer, Some(scope(false)));
        url(&mut template, bad);
        assert_eq!(template.tbs([]), Err(CrlTemplateError::Url(bad.into())));
    }
    for bad in [&[][..], &[0x00, 0x7f], &[0xff, 0x80]] {
        let refused = template(&issuer, None).tbs([revoked(bad, RevocationReason::Superseded)]);
        assert_eq!(refused, Err(CrlTemplateError::Serial(hex::encode(bad))));
    }
}

/// The parts of a TBSCertList, each as it will stand in the DER.
struct Parts {
    version: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    times: Vec<Vec<u8>>,
    /// The content of revokedCertificates.
    entries: Option<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
    behind: Vec<u8>,
    outer: Vec<u8>,
}

fn entry(serial: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let list = if extensions.is_empty() { Vec::new() } else { encode(tlv::SEQUENCE, &[&extensions.concat()]) };
    let time = encode(tlv::UTC_TIME, &[b"260410115955Z"]);
    encode(tlv::SEQUENCE, &[&encode(tlv::INTEGER, &[serial]), &time, &list])
}

impl Parts {
    fn new() -> Self {
        let time = |text: &[u8]| encode(tlv::UTC_TIME, &[text]);
        Self {
            version: VERSION_2.to_vec(),
            algorithm: ED25519.to_vec(),
            issuer: name("CA"),
            times: vec![time(b"260410120000Z"), time(b"260410120100Z")],
            entries: Some(entry(&[5], &[])),
            extensions: vec![
                extension_der(&oid::AUTHORITY_KEY_IDENTIFIER, false, &[0x30, 0x03, 0x80, 0x01, 0x09]),
                extension_der(&oid::CRL_NUMBER, false, &[0x02, 0x01, 0x07]),
            ],
            behind: Vec::new(),
            outer: ED25519.to_vec(),
        }
    }

    fn der(&self) -> Vec<u8> {
        let entries = self.entries.as_ref().map(|entries| encode(tlv::SEQUENCE, &[entries]));
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => encode(EXTENSIONS, &[&encode(tlv::SEQUENCE, &[&self.extensions.concat()])]),
        };
        let times = self.times.concat();
        let head = [&self.version[..], &self.algorithm, &self.issuer, &times].concat();
        let tbs = encode(tlv::SEQUENCE, &[&head, entries.as_deref().unwrap_or_default(), &extensions, &self.behind]);
        let signature = encode(tlv::BIT_STRING, &[&[0], &key(1).sign(&tbs).unwrap()]);
        encode(tlv::SEQUENCE, &[&tbs, &self.outer, &signature])
    }
}

fn parse(change: impl FnOnce(&mut Parts)) -> Result<Crl, CrlError> {
    let mut parts = Parts::new();
    change(&mut parts);
    Crl::parse(parts.der())
}

fn scoped(critical: bool, value: &[u8]) -> Result<Option<Scope>, CrlError> {
    let extension = extension_der(&oid::ISSUING_DISTRIBUTION_POINT, critical, value);
    parse(|p| p.extensions.push(extension)).map(|crl| crl.scope().cloned())
}

type Departure = (fn(&mut Parts), CrlError);

#[test]
fn refuses_each_departure() {
    let tag = |expected, found| CrlError::Der(DerError::Tag { expected, found });
    let cases: Vec<Departure> = vec![
        (|p| p.version.clear(), CrlError::NotVersion2),
        (|p| p.version[2] = 0, CrlError::NotVersion2),
        (|p| p.version[2] = 2, CrlError::NotVersion2),
        (|p| p.algorithm = ECDSA_SHA256.to_vec(), CrlError::AlgorithmMismatch),
        (|p| p.issuer = vec![0x30, 0x00], CrlError::NoIssuer),
        (|p| p.issuer = vec![0x30, 0x02, 0x31, 0x00], DerError::Empty.into()),
        (|p| p.times.truncate(1), CrlError::Missing("nextUpdate")),
        (|p| p.times.swap(0, 1), CrlError::Period { this_update: at(NOON + 60_000), next_update: at(NOON) }),
        (|p| p.times[1] = p.times[0].clone(), CrlError::Period { this_update: at(NOON), next_update: at(NOON) }),
        (|p| p.times[0] = encode(tlv::GENERALIZED_TIME, &[b"20260410120000Z"]), DerError::Time.into()),
        (|p| p.times[0] = encode(tlv::UTC_TIME, &[b"2604101200Z"]), DerError::Time.into()),
        (|p| p.entries = Some(Vec::new()), DerError::Empty.into()),
        (|p| p.entries = Some(vec![0x05, 0x00]), tag(tlv::SEQUENCE, tlv::NULL)),
        (|p| p.entries = Some(encode(tlv::SEQUENCE, &[&[0x02, 0x01, 0x05]])), DerError::Truncated.into()),
        (|p| p.entries = Some(entry(&[0, 5], &[])), DerError::Integer.into()),
        (
            |p| p.entries = Some([entry(&[5], &[]), entry(&[6], &[]), entry(&[5], &[])].concat()),
            CrlError::Duplicate("05".into()),
        ),
        (|p| p.extensions.clear(), CrlError::Missing("extensions")),
        (|p| drop(p.extensions.remove(0)), CrlError::Missing("keyIdentifier in an authorityKeyIdentifier")),
        (
            |p| p.extensions[0] = extension_der(&oid::AUTHORITY_KEY_IDENTIFIER, false, &[0x30, 0x00]),
            CrlError::Missing("keyIdentifier in an authorityKeyIdentifier"),
        ),
        (|p| drop(p.extensions.remove(1)), CrlError::Missing("cRLNumber")),
        (|p| p.extensions[1] = extension_der(&oid::CRL_NUMBER, false, &[0x02, 0x01, 0x80]), CrlError::Number),
        (|p| p.extensions[1] = extension_der(&oid::CRL_NUMBER, false, &[0x04, 0x01, 0x07]), CrlError::Number),
        (
            |p| p.extensions[1] = extension_der(&oid::CRL_NUMBER, false, &encode(tlv::INTEGER, &[&[1; 21]])),
            CrlError::Number,
        ),
        (
            |p| p.extensions.push(p.extensions[1].clone()),
            CrlError::Extensions(ExtensionFault::Duplicate("2.5.29.20".into())),
        ),
        // A list of changes (deltaCRLIndicator).
        (
            |p| p.extensions.push(extension_der(&ObjectIdentifier::new_unwrap("2.5.29.27"), true, &[0x02, 0x01, 0x01])),
            CrlError::Extensions(ExtensionFault::UnknownCritical("2.5.29.27".into())),
        ),
        (|p| p.behind = vec![0x05, 0x00], DerError::Trailing(2).into()),
    ];
    for (index, (change, error)) in cases.into_iter().enumerate() {
        assert_eq!(parse(change).err(), Some(error), "case {index}");
    }
    assert!(parse(|_| {}).is_ok());
    assert_eq!(Crl::parse([Parts::new().der(), vec![0]].concat()).err(), Some(DerError::Trailing(1).into()));
    let mut unused_bits = Parts::new().der();
    let place = unused_bits.len() - 65;
    unused_bits[place] = 1;
    assert_eq!(Crl::parse(unused_bits).err(), Some(DerError::BitString.into()));
    // Whose algorithm is unknown can be read, and not verified.
    let rsa = parse(|p| (p.algorithm, p.outer) = (RSA_SHA256.to_vec(), RSA_SHA256.to_vec())).unwrap();
    assert_eq!(rsa.verify(key(1).public_key()), Err(CrlError::Algorithm));
    // Not critical and unknown, such as freshestCRL.
    assert!(
        parse(|p| p.extensions.push(extension_der(&ObjectIdentifier::new_unwrap("2.5.29.46"), false, &[]))).is_ok()
    );
}

#[test]
fn numbers_have_up_to_20_octets() {
    let number = |octets: &[u8]| {
        let value = encode(tlv::INTEGER, &[octets]);
        parse(|p| p.extensions[1] = extension_der(&oid::CRL_NUMBER, false, &value)).unwrap().number()
    };
    assert_eq!((number(&[0]), number(&[0, 0xff])), (Some(0), Some(255)));
    assert_eq!(number(&[&[0][..], &[0xff; 8]].concat()), Some(u64::MAX));
    assert_eq!(number(&[0x7f; 20]), None);
}

#[test]
fn refuses_each_departure_in_an_entry() {
    let fault = |indirect: bool, extensions: &[Vec<u8>]| {
        let der = entry(&[5], extensions);
        let scope = extension_der(&oid::ISSUING_DISTRIBUTION_POINT, true, &scope(indirect).to_der().unwrap());
        let refused = parse(|p| {
            p.extensions.push(scope);
            p.entries = Some([entry(&[4], &[]), der].concat());
        });
        match refused {
            Err(CrlError::Entry { index: 1, serial, fault }) if serial == "05" => Some(fault),
            Ok(_) => None,
            other => panic!("{other:?}"),
        }
    };
    let reason = |value: &[u8]| extension_der(&oid::REASON_CODE, false, value);
    let issuer =
        |critical, names: &[u8]| extension_der(&oid::CERTIFICATE_ISSUER, critical, &encode(tlv::SEQUENCE, &[names]));
    let root = encode(DIRECTORY_NAME, &[&name("Root")]);
    let ca_issuer = |text| Some(EntryFault::CertificateIssuer(text));
    assert_eq!(fault(false, &[reason(&[0x0a, 0x01, 0x00])]), None);
    assert_eq!(fault(false, &[reason(&[0x0a, 0x01, 0x01])]), None);
    for code in [6, 7, 8, 11] {
        let unknown = UnknownReason(code.to_string()).into();
        assert_eq!(fault(false, &[reason(&[0x0a, 0x01, code])]), Some(EntryFault::Reason(unknown)));
    }
    let wrong = ReasonFault::Der(DerError::Tag { expected: tlv::ENUMERATED, found: tlv::INTEGER });
    assert_eq!(fault(false, &[reason(&[0x02, 0x01, 0x01])]), Some(EntryFault::Reason(wrong)));
    let twice = ExtensionFault::Duplicate("2.5.29.21".into());
    assert_eq!(fault(false, &[reason(&[0x0a, 1, 1]), reason(&[0x0a, 1, 1])]), Some(EntryFault::Extensions(twice)));
    let unknown = ObjectIdentifier::new_unwrap("2.5.29.24");
    let critical = ExtensionFault::UnknownCritical("2.5.29.24".into());
    assert_eq!(fault(false, &[extension_der(&unknown, true, &[])]), Some(EntryFault::Extensions(critical)));
    assert_eq!(fault(false, &[extension_der(&unknown, false, &[])]), None);
    assert_eq!(fault(true, &[issuer(true, &root)]), None);
    assert_eq!(fault(false, &[issuer(true, &root)]), ca_issuer("stands in a list that is not said to be indirect"));
    assert_eq!(fault(true, &[issuer(false, &root)]), ca_issuer("is not critical"));
    assert_eq!(fault(true, &[issuer(true, &[])]), ca_issuer("is not one directoryName"));
    assert_eq!(fault(true, &[issuer(true, &[&root[..], &root].concat())]), ca_issuer("is not one directoryName"));
    assert_eq!(fault(true, &[issuer(true, &[0x82, 0x01, b'x'])]), ca_issuer("is not one directoryName"));
    assert!(matches!(parse(|p| p.entries = Some(entry(&[5], &[vec![0x30, 0x00]]))), Err(CrlError::Entry { .. })));
}

#[test]
fn refuses_each_departure_in_the_scope() {
    let uri = encode(0x86, &[b"http://a/"]);
    let point = |names: &[u8]| encode(0xa0, &[&encode(0xa0, &[names])]);
    let value = |parts: &[&[u8]]| encode(tlv::SEQUENCE, parts);
    let good = point(&uri);
    let read = |parts: &[&[u8]]| scoped(true, &value(parts));
    assert_eq!(read(&[&good]).unwrap().map(|s| (s.only_user_certificates, s.indirect)), Some((false, false)));
    assert_eq!(scoped(false, &value(&[&good])), Err(ScopeFault::NotCritical.into()));
    assert_eq!(read(&[]), Err(ScopeFault::Point.into()));
    assert_eq!(read(&[&point(&[])]), Err(ScopeFault::Point.into()));
    assert_eq!(read(&[&point(&[&uri[..], &uri].concat())]), Err(ScopeFault::Point.into()));
    assert_eq!(read(&[&point(&encode(0x86, &[b"http://a b"]))]), Err(ScopeFault::Point.into()));
    assert_eq!(read(&[&point(&encode(0x86, &[&[b'a'; 513]]))]), Err(ScopeFault::Point.into()));
    assert_eq!(read(&[&encode(0xa0, &[&encode(0xa1, &[&uri])])]), Err(ScopeFault::Point.into()));
    assert_eq!(read(&[&good, &[0x81, 0x01, 0x00]]), Err(ScopeFault::Der(DerError::ExplicitDefault).into()));
    assert_eq!(read(&[&good, &[0x84, 0x01, 0x01]]), Err(ScopeFault::Der(DerError::Boolean).into()));
    // Only CA certificates; only some reasons; only attribute certificates; out of order.
    for other in [&[0x82, 0x01, 0xff][..], &[0x83, 0x02, 0x01, 0x06], &[0x85, 0x01, 0xff]] {
        assert_eq!(read(&[&good, other]), Err(ScopeFault::Unsupported.into()));
    }
    assert_eq!(read(&[&good, &[0x84, 0x01, 0xff], &[0x81, 0x01, 0xff]]), Err(ScopeFault::Unsupported.into()));
    assert!(matches!(scoped(true, &[0x30, 0x80]), Err(CrlError::Scope(ScopeFault::Der(_)))));
}

#[test]
fn a_hundred_thousand_entries_are_written_and_found_at_once() {
    let issuer = name("CA");
    let serials: Vec<[u8; 20]> = (0..100_000u32)
        .map(|n| {
            let mut serial = [0x55; 20];
            serial[1..5].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
            serial
        })
        .collect();
    let entries = serials.iter().map(|serial| revoked(serial, RevocationReason::KeyCompromise));
    let crl = Crl::parse(finish(&template(&issuer, None).tbs(entries).unwrap())).unwrap();
    assert!(serials.iter().all(|serial| crl.find(serial).is_some()));
    assert_eq!(crl.entries().len(), 100_000);
    assert_eq!(crl.find(&[0x56; 20]), None);
}

fn serial() -> impl Strategy<Value = Vec<u8>> {
    // A first octet that needs no sign and is not 0.
    (1..0x80u8, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(first, rest)| [vec![first], rest].concat())
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        number in any::<u64>(), indirect in any::<bool>(), bare in any::<bool>(),
        seconds in 0..5_000_000_000u64, length in 1..100_000u64,
        entries in btree_map(serial(), (0..8usize, 0..5_000_000_000u64, option::of(any::<bool>())), 0..40),
    ) {
        let (issuer, others) = (name("CA"), [name("Root"), name("Other")]);
        let mut template = template(&issuer, (indirect || !bare).then(|| scope(indirect)));
        template.number = number;
        (template.this_update, template.next_update) = (at(seconds * 1000), at((seconds + length) * 1000));
        let written: Vec<_> = entries.iter().map(|(serial, (reason, moment, other))| RevokedCertificate {
            serial,
            at: at(moment * 1000),
            reason: RevocationReason::ALL[*reason],
            certificate_issuer: other.filter(|_| indirect).map(|which| &others[usize::from(which)][..]),
        }).collect();
        let crl = Crl::parse(finish(&template.tbs(written.iter().copied()).unwrap())).unwrap();
        prop_assert_eq!(crl.verify(key(1).public_key()), Ok(()));
        prop_assert_eq!(crl.number(), Some(number));
        prop_assert_eq!((crl.this_update(), crl.next_update()), (template.this_update, template.next_update));
        prop_assert_eq!(crl.scope(), template.scope.as_ref());
        let read: Vec<_> = crl.entries().collect();
        prop_assert_eq!(read.len(), written.len());
        for (read, written) in read.iter().zip(&written) {
            let certificate_issuer = written.certificate_issuer.unwrap_or(&issuer);
            let expected = Entry { serial: written.serial, at: written.at, reason: written.reason, certificate_issuer };
            prop_assert_eq!(*read, expected);
            prop_assert_eq!(crl.find_issued_by(certificate_issuer, written.serial), Some(expected));
        }
    }

    #[test]
    fn never_panics(octets in prop::collection::vec(any::<u8>(), 0..200), flip in any::<usize>()) {
        let _ = Crl::parse(octets);
        let mut der = Parts::new().der();
        let bit = flip % (8 * der.len());
        der[bit / 8] ^= 1 << (bit % 8);
        if let Ok(crl) = Crl::parse(der) {
            prop_assert!(crl.verify(key(1).public_key()).is_err());
        }
    }
}
