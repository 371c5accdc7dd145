//! From octets to the places of the fields.

use der::asn1::ObjectIdentifier;

use super::{CertificateError, ExtensionLayout, Layout, Moment, Span};
use crate::apki::tlv::{self, DerError, Element, Reader};
use crate::keys::SignatureAlgorithm;

const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;
const V3: &[u8] = &[2];

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }`
pub(super) fn layout(der: &[u8]) -> Result<Layout, CertificateError> {
    tlv::check(der)?;
    let mut certificate = Reader::new(der).enter(tlv::SEQUENCE)?;
    let tbs = certificate.expect(tlv::SEQUENCE)?;
    let algorithm = certificate.expect(tlv::SEQUENCE)?;
    let signature = certificate.expect(tlv::BIT_STRING)?;
    certificate.finish()?;
    tlv::whole_octets(signature.content.of(der))?;

    let mut fields = Reader::within(der, tbs.content);
    version(der, &mut fields)?;
    let serial = fields.expect(tlv::INTEGER)?;
    let inner_algorithm = fields.expect(tlv::SEQUENCE)?;
    if inner_algorithm.whole.of(der) != algorithm.whole.of(der) {
        return Err(CertificateError::AlgorithmMismatch);
    }
    let signature_algorithm = signature_algorithm(der, algorithm)?;
    let issuer = name(der, &mut fields)?;
    let (not_before, not_after) = validity(der, fields.expect(tlv::SEQUENCE)?)?;
    let subject = name(der, &mut fields)?;
    let spki = subject_public_key_info(der, &mut fields)?;
    if matches!(fields.peek(), Some(ISSUER_UNIQUE_ID | SUBJECT_UNIQUE_ID)) {
        return Err(CertificateError::UniqueIdentifier);
    }
    let extensions = fields.optional(EXTENSIONS)?;
    fields.finish()?;
    Ok(Layout {
        tbs: tbs.whole,
        tbs_head: extensions.map_or(tbs.content, |extensions| tbs.content.until(extensions.whole)),
        serial: serial.content,
        issuer,
        not_before,
        not_after,
        subject,
        spki,
        extensions: extensions.map_or_else(|| Ok(Box::default()), |found| read_extensions(der, found))?,
        algorithm: algorithm.whole,
        signature_algorithm,
        signature: signature.content.without_first(),
    })
}

/// `[0] EXPLICIT INTEGER DEFAULT v1`; of the three versions only v3 has extensions.
fn version(der: &[u8], fields: &mut Reader<'_>) -> Result<(), CertificateError> {
    let Some(tagged) = fields.optional(VERSION)? else { return Err(CertificateError::NotVersion3) };
    let version = tlv::only(tagged.content.of(der), tlv::INTEGER)?;
    if version == V3 { Ok(()) } else { Err(CertificateError::NotVersion3) }
}

/// `AlgorithmIdentifier ::= SEQUENCE { OBJECT IDENTIFIER, parameters ANY OPTIONAL }`
pub(in crate::apki) fn signature_algorithm(
    der: &[u8],
    identifier: Element,
) -> Result<Option<SignatureAlgorithm>, DerError> {
    let mut fields = Reader::within(der, identifier.content);
    let oid = fields.expect(tlv::OID)?.content.of(der);
    let has_parameters = !fields.is_empty();
    if has_parameters {
        fields.any()?;
    }
    fields.finish()?;
    // An identifier that the library cannot hold is one that we do not admit either.
    let oid = ObjectIdentifier::from_bytes(oid).ok();
    Ok(oid.and_then(|oid| SignatureAlgorithm::from_identifier(&oid, has_parameters)))
}

/// `Name ::= SEQUENCE OF SET SIZE (1..MAX) OF SEQUENCE { OBJECT IDENTIFIER, ANY }`
pub(in crate::apki) fn name(der: &[u8], fields: &mut Reader<'_>) -> Result<Span, DerError> {
    let name = fields.expect(tlv::SEQUENCE)?;
    let mut relative_names = Reader::within(der, name.content);
    while !relative_names.is_empty() {
        let mut attributes = relative_names.enter(tlv::SET)?;
        if attributes.is_empty() {
            return Err(DerError::Empty);
        }
        while !attributes.is_empty() {
            let mut attribute = attributes.enter(tlv::SEQUENCE)?;
            attribute.expect(tlv::OID)?;
            attribute.any()?;
            attribute.finish()?;
        }
    }
    Ok(name.whole)
}

/// `Validity ::= SEQUENCE { notBefore Time, notAfter Time }`
fn validity(der: &[u8], validity: Element) -> Result<(Moment, Moment), DerError> {
    let mut times = Reader::within(der, validity.content);
    let both = (time(der, times.any()?)?, time(der, times.any()?)?);
    times.finish()?;
    Ok(both)
}

/// UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5).
pub(in crate::apki) fn time(der: &[u8], element: Element) -> Result<Moment, DerError> {
    let text = element.content.of(der);
    match element.tag {
        tlv::UTC_TIME => Moment::from_utc_time(text),
        tlv::GENERALIZED_TIME => Moment::from_generalized_time(text)
            .and_then(|t| if t.is_past_utc_time() { Ok(t) } else { Err(DerError::Time) }),
        found => Err(DerError::Tag { expected: tlv::UTC_TIME, found }),
    }
}

/// `SubjectPublicKeyInfo ::= SEQUENCE { AlgorithmIdentifier, BIT STRING }`; the key is not looked
/// at, it may be of any kind (R14).
fn subject_public_key_info(der: &[u8], fields: &mut Reader<'_>) -> Result<Span, DerError> {
    let spki = fields.expect(tlv::SEQUENCE)?;
    let mut parts = Reader::within(der, spki.content);
    let mut algorithm = parts.enter(tlv::SEQUENCE)?;
    algorithm.expect(tlv::OID)?;
    if !algorithm.is_empty() {
        algorithm.any()?;
    }
    algorithm.finish()?;
    parts.expect(tlv::BIT_STRING)?;
    parts.finish()?;
    Ok(spki.whole)
}

/// `[3] EXPLICIT SEQUENCE SIZE (1..MAX) OF Extension`
fn read_extensions(der: &[u8], tagged: Element) -> Result<Box<[ExtensionLayout]>, CertificateError> {
    let mut tagged = Reader::within(der, tagged.content);
    let mut list = tagged.enter(tlv::SEQUENCE)?;
    tagged.finish()?;
    if list.is_empty() {
        return Err(DerError::Empty.into());
    }
    let mut extensions = Vec::with_capacity(16);
    while !list.is_empty() {
        extensions.push(extension(der, list.expect(tlv::SEQUENCE)?)?);
    }
    // Sorted and not each against each: the submitter chooses how many there are.
    let mut oids: Vec<&[u8]> = extensions.iter().map(|extension| extension.oid.of(der)).collect();
    oids.sort_unstable();
    match oids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(CertificateError::DuplicateExtension(name_of(pair[0]))),
        None => Ok(extensions.into_boxed_slice()),
    }
}

/// `Extension ::= SEQUENCE { OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, OCTET STRING }`
pub(in crate::apki) fn extension(der: &[u8], element: Element) -> Result<ExtensionLayout, DerError> {
    let mut fields = Reader::within(der, element.content);
    let oid = fields.expect(tlv::OID)?;
    let critical = match fields.optional(tlv::BOOLEAN)?.map(|critical| critical.content.of(der)) {
        None => false,
        Some([0xff]) => true,
        Some(_) => return Err(DerError::ExplicitDefault),
    };
    let value = fields.expect(tlv::OCTET_STRING)?;
    fields.finish()?;
    Ok(ExtensionLayout { whole: element.whole, oid: oid.content, critical, value: value.content })
}

/// The dotted form of an OID, or its octets in hex where it has arcs beyond 32 bits.
pub(in crate::apki) fn name_of(oid: &[u8]) -> String {
    ObjectIdentifier::from_bytes(oid).map_or_else(|_| hex::encode(oid), |oid| oid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::certificate::Certificate;
    use crate::apki::oid;
    use crate::apki::precertificate::extension_der;
    use crate::apki::testing::{Draft, RSA_SHA256, key, validity};
    use crate::time::UnixMillis;

    type Breakage = fn(&mut Draft);

    fn parse(break_it: Breakage) -> Result<Certificate, CertificateError> {
        let mut draft = Draft::leaf("CA");
        break_it(&mut draft);
        Certificate::parse(draft.sign(&key(1)))
    }

    #[test]
    fn finds_every_field() {
        let draft = Draft::leaf("CA");
        let der = draft.sign(&key(1));
        let certificate = Certificate::parse(&der[..]).unwrap();
        assert_eq!(certificate.der(), der);
        assert_eq!(certificate.serial(), [7]);
        assert_eq!((certificate.issuer_der(), certificate.subject_der()), (&draft.issuer[..], &draft.subject[..]));
        assert_eq!(certificate.spki_der(), draft.spki);
        assert_eq!(certificate.not_before(), UnixMillis::new(1_775_822_400_000));
        assert_eq!(certificate.not_after(), UnixMillis::new(1_775_826_000_000));
        assert_eq!(certificate.signature_algorithm(), Some(SignatureAlgorithm::Ed25519));
        assert_eq!(certificate.extensions().map(|e| e.der.to_vec()).collect::<Vec<_>>(), draft.extensions);
        assert_eq!(certificate.signature().len(), 64);
        assert!(der.ends_with(certificate.signature()));
    }

    #[test]
    fn accepts_what_the_log_does_not_judge() {
        let good: &[Breakage] = &[
            |d| d.serial = vec![0x02, 0x01, 0x00],
            |d| d.serial = vec![0x02, 0x01, 0xff],
            |d| d.subject = vec![0x30, 0x00],
            |d| d.validity = validity(&[(0x17, b"491231235959Z"), (0x18, b"20500101000000Z")]),
            |d| d.validity = validity(&[(0x17, b"260410130000Z"), (0x17, b"260410120000Z")]),
            |d| d.extensions.push(extension_der(&oid::NAME_CONSTRAINTS, true, b"not DER")),
            // An OID with an arc of 35 bits.
            |d| d.extensions.push(vec![0x30, 0x0a, 0x06, 0x06, 0x2a, 0x81, 0x80, 0x80, 0x80, 0x00, 0x04, 0x00]),
        ];
        for (index, break_it) in good.iter().enumerate() {
            assert!(parse(*break_it).is_ok(), "{index}: {:?}", parse(*break_it));
        }
        let rsa = parse(|d| (d.inner_algorithm, d.outer_algorithm) = (RSA_SHA256.to_vec(), RSA_SHA256.to_vec()));
        assert_eq!(rsa.unwrap().signature_algorithm(), None);
    }

    #[test]
    fn refuses_each_departure() {
        let tag = |expected, found| CertificateError::Der(DerError::Tag { expected, found });
        let cases: Vec<(Breakage, CertificateError)> = vec![
            (|d| d.version.clear(), CertificateError::NotVersion3),
            (|d| d.version[4] = 0, CertificateError::NotVersion3),
            (|d| d.version[4] = 1, CertificateError::NotVersion3),
            (|d| d.version[4] = 3, CertificateError::NotVersion3),
            (|d| d.serial = vec![0x02, 0x02, 0x00, 0x07], DerError::Integer.into()),
            (|d| d.serial.clear(), tag(tlv::INTEGER, tlv::SEQUENCE)),
            (|d| d.inner_algorithm = RSA_SHA256.to_vec(), CertificateError::AlgorithmMismatch),
            (|d| d.issuer = vec![0x30, 0x02, 0x31, 0x00], DerError::Empty.into()),
            (|d| d.issuer = vec![0x30, 0x02, 0x30, 0x00], tag(tlv::SET, tlv::SEQUENCE)),
            (|d| d.validity = validity(&[(0x17, b"260410120000Z")]), DerError::Truncated.into()),
            (|d| d.validity = validity(&[(0x17, &b"260410120000Z"[..]); 3]), DerError::Trailing(15).into()),
            (|d| d.validity = validity(&[(0x17, b"2604101200Z"), (0x17, b"260410130000Z")]), DerError::Time.into()),
            (|d| d.validity = validity(&[(0x17, b"260410120000Z"), (0x18, b"20491231235959Z")]), DerError::Time.into()),
            (|d| d.validity = validity(&[(0x17, b"691231235959Z"), (0x17, b"260410130000Z")]), DerError::Time.into()),
            (|d| d.validity = validity(&[(0x0c, &b"260410120000Z"[..]); 2]), tag(tlv::UTC_TIME, 0x0c)),
            (|d| d.spki = vec![0x30, 0x00], DerError::Truncated.into()),
            (|d| d.unique_ids = vec![0x81, 0x02, 0x00, 0x01], CertificateError::UniqueIdentifier),
            (|d| d.unique_ids = vec![0x82, 0x02, 0x00, 0x01], CertificateError::UniqueIdentifier),
            (|d| d.unique_ids = vec![0x05, 0x00], DerError::Trailing(44).into()),
            (|d| d.extensions.clear(), DerError::Empty.into()),
            (|d| d.extensions.push(d.extensions[0].clone()), CertificateError::DuplicateExtension("2.5.29.17".into())),
            (
                |d| d.extensions.push(vec![0x30, 0x08, 0x06, 0x01, 0x2a, 0x01, 0x01, 0x00, 0x04, 0x00]),
                DerError::ExplicitDefault.into(),
            ),
            (
                |d| d.extensions.push(vec![0x30, 0x08, 0x06, 0x01, 0x2a, 0x01, 0x01, 0x01, 0x04, 0x00]),
                DerError::Boolean.into(),
            ),
            (|d| d.extensions.push(vec![0x30, 0x03, 0x06, 0x01, 0x2a]), DerError::Truncated.into()),
        ];
        for (index, (break_it, error)) in cases.into_iter().enumerate() {
            assert_eq!(parse(break_it), Err(error), "case {index}");
        }
    }

    #[test]
    fn refuses_signatures_that_are_not_whole_octets() {
        let mut der = Draft::leaf("CA").sign(&key(1));
        let unused_bits = der.len() - 65;
        der[unused_bits] = 1;
        let last = der.len() - 1;
        der[last] &= 0xfe;
        assert_eq!(Certificate::parse(der), Err(DerError::BitString.into()));
    }

    #[test]
    fn twenty_thousand_extensions_are_read_and_one_repetition_is_found() {
        let mut draft = Draft::leaf("CA");
        for n in 0..20_000u32 {
            let arc = [0xc0 | (n >> 14) as u8, 0x80 | (n >> 7) as u8, n as u8 & 0x7f];
            draft.extensions.push(extension_of(&[&[0x2a][..], &arc].concat()));
        }
        assert_eq!(Certificate::parse(draft.sign(&key(1))).map(|c| c.extensions().len()), Ok(20_001));
        draft.extensions.push(draft.extensions[10_000].clone());
        assert!(matches!(Certificate::parse(draft.sign(&key(1))), Err(CertificateError::DuplicateExtension(_))));
    }

    fn extension_of(oid: &[u8]) -> Vec<u8> {
        tlv::encode(tlv::SEQUENCE, &[&tlv::encode(tlv::OID, &[oid]), &[0x04, 0x00]])
    }
}
