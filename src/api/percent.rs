//! Percent-encoding (RFC 3986 section 2.1).

/// Undoes it; `+` is a plus, which base64 needs. `None` where a `%` has no two hexadecimal digits behind it.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        octets.push(match octet {
            b'%' => {
                let (digits, behind) = rest.split_first_chunk::<2>()?;
                rest = behind;
                let mut octet = [0];
                hex::decode_to_slice(digits, &mut octet).ok()?;
                octet[0]
            }
            other => other,
        });
    }
    Some(octets)
}
