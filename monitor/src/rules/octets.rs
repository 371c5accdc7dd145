//! The few structures of DER that rules look into and the library next door does not: names and key purposes. What
//! comes here is part of a certificate that was found to be strict DER; anything else ends the reading.

/// The first element: its tag, its content, and what follows it. Tags of one octet and lengths below 2^32 only.
pub(super) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The elements one behind the other, up to the first that does not read.
pub(super) fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(der)?;
        der = rest;
        Some((tag, content))
    })
}

/// Whether an extKeyUsage (RFC 5280 section 4.2.1.12) names this purpose, of which the content of the OID is given.
pub(super) fn has_purpose(extended_key_usage: &[u8], purpose: &[u8]) -> bool {
    let list = element(extended_key_usage).filter(|(tag, ..)| *tag == 0x30).map_or(&[][..], |(_, list, _)| list);
    elements(list).any(|(tag, oid)| tag == 0x06 && oid == purpose)
}

/// A Name in words, the way people write it: `CN=CA 1, O=Bank`. Values are shown as UTF-8 and cut when long;
/// attributes without a short name are left out.
pub(super) fn name(der: &[u8]) -> String {
    const SHORT: [(&[u8], &str); 5] = [
        (&[0x55, 4, 3], "CN"),
        (&[0x55, 4, 10], "O"),
        (&[0x55, 4, 11], "OU"),
        (&[0x55, 4, 6], "C"),
        (&[0x55, 4, 5], "serialNumber"),
    ];
    let names = element(der).map_or(&[][..], |(_, names, _)| names);
    let attributes = elements(names).flat_map(|(_, set)| elements(set));
    let words = attributes.filter_map(|(_, attribute)| {
        let mut parts = elements(attribute);
        let ((_, oid), (_, value)) = (parts.next()?, parts.next()?);
        let (_, short) = SHORT.iter().find(|(known, _)| *known == oid)?;
        let value: String = String::from_utf8_lossy(value).chars().take(100).collect();
        Some(format!("{short}={}", value.escape_debug()))
    });
    let words: Vec<String> = words.take(10).collect();
    if words.is_empty() { "a name without words".into() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_shown_as_people_write_it() {
        let bank = [0x31, 0x0b, 0x30, 0x09, 6, 3, 0x55, 4, 10, 0x0c, 2, b'B', b'\n'];
        let ca = [0x31, 0x0b, 0x30, 0x09, 6, 3, 0x55, 4, 3, 0x0c, 2, b'C', b'1'];
        let der = [&[0x30, 26][..], &bank, &ca].concat();
        assert_eq!(name(&der), "O=B\\n, CN=C1");
        assert_eq!(name(&[0x30, 0]), "a name without words");
    }

    #[test]
    fn purposes_are_found() {
        let usage = [0x30, 8, 6, 2, 1, 2, 6, 2, 1, 3];
        assert!(has_purpose(&usage, &[1, 2]) && has_purpose(&usage, &[1, 3]));
        assert!(!has_purpose(&usage, &[1, 4]) && !has_purpose(&[], &[1, 2]) && !has_purpose(&usage[2..], &[1, 2]));
    }

    proptest! {
        #[test]
        fn no_octets_are_too_strange(der in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (name(&der), has_purpose(&der, &[1]), elements(&der).count());
        }
    }
}
