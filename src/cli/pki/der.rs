//! DER written by hand: what a certificate needs, without a type for each of its structures.

use der::asn1::ObjectIdentifier;

const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;

/// The element of this tag whose content is `parts`, one behind the other.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let zeros = length.leading_zeros() as usize / 8;
        out.push(0x80 | (octets.len() - zeros) as u8);
        out.extend_from_slice(&octets[zeros..]);
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// A SEQUENCE of elements.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// A whole number in its shortest form, under INTEGER or a tag that stands for it.
pub(super) fn number(tag: u8, value: u64) -> Vec<u8> {
    let mut octets = [0; 9];
    octets[1..].copy_from_slice(&value.to_be_bytes());
    let needless = octets.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    element(tag, &[&octets[needless..]])
}

/// Text under a string tag whose characters the caller has seen to.
fn text(tag: u8, text: &str) -> Vec<u8> {
    element(tag, &[text.as_bytes()])
}

/// `YYYYMMDDHHMMSSZ`, as GeneralizedTime writes it.
fn digits(moment: &der::DateTime) -> String {
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        moment.year(),
        moment.month(),
        moment.day(),
        moment.hour(),
        moment.minutes(),
        moment.seconds()
    )
}

/// A Time of a certificate's validity: two digits of the year until 2049 (RFC 5280 section 4.1.2.5).
pub(super) fn validity_time(moment: &der::DateTime) -> Vec<u8> {
    let digits = digits(moment);
    if moment.year() < 2050 { text(UTC_TIME, &digits[2..]) } else { text(GENERALIZED_TIME, &digits) }
}

/// An Extension.
pub(super) fn extension(oid: &ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[BOOLEAN, 0x01, 0xff] } else { &[] };
    sequence(&[&element(OID, &[oid.as_bytes()]), critical, &element(OCTET_STRING, &[value])])
}
