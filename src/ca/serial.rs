//! Serial numbers (RFC 5280 section 4.1.2.2, protocol section 6): positive, 16 to 20 octets, so many
//! of them random that nobody foresees one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Fewest octets.
pub const MIN_SERIAL: usize = 16;
/// Most octets.
pub const MAX_SERIAL: usize = 20;

/// Why octets are not a serial number that this CA gives out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SerialError {
    /// Too few octets or too many.
    #[error("a serial number has 16 to 20 octets, not {0}")]
    Length(usize),
    /// The top bit is set.
    #[error("a serial number is positive: the top bit of its first octet is 0")]
    Negative,
    /// A zero octet in front that the sign does not ask for.
    #[error("a serial number is in its shortest form: no zero octet in front unless the next one has its top bit set")]
    NotShortest,
    /// Text that is not hexadecimal digits in pairs.
    #[error("`{0}` is not a serial number in hexadecimal")]
    NotHex(String),
}

/// A serial number: the content octets of its INTEGER. They sort as the numbers do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial {
    // In the shortest form the longer of two numbers is the greater, so the length comes first.
    length: u8,
    octets: [u8; MAX_SERIAL],
}

impl Serial {
    /// A serial number of 20 octets, 158 bits of them as given: the topmost bit becomes 0, so that
    /// the number is positive, and the next one 1, so that no octet in front is zero.
    pub const fn from_random(mut octets: [u8; MAX_SERIAL]) -> Self {
        octets[0] = octets[0] & 0x7f | 0x40;
        Self { length: MAX_SERIAL as u8, octets }
    }

    /// The serial number with these content octets, which must be as DER has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SerialError> {
        if !(MIN_SERIAL..=MAX_SERIAL).contains(&bytes.len()) {
            return Err(SerialError::Length(bytes.len()));
        }
        match bytes {
            [0x80..=0xff, ..] => return Err(SerialError::Negative),
            [0x00, 0x00..=0x7f, ..] => return Err(SerialError::NotShortest),
            _ => {}
        }
        let mut octets = [0; MAX_SERIAL];
        octets[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { length: bytes.len() as u8, octets })
    }

    /// The content octets of the INTEGER, big-endian.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        // Twenty octets are forty digits; a longer text is not worth decoding, or repeating.
        if text.len() > 2 * MAX_SERIAL {
            return Err(SerialError::Length(text.len().div_ceil(2)));
        }
        Self::from_bytes(&hex::decode(text).map_err(|_| SerialError::NotHex(text.to_owned()))?)
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// As text in hexadecimal.
impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::tlv;
    use proptest::prelude::*;

    #[test]
    fn refuses_each_departure() {
        let of = |first: &[u8], length| {
            let mut bytes = vec![1; length];
            bytes[..first.len()].copy_from_slice(first);
            Serial::from_bytes(&bytes).map(|_| ())
        };
        assert_eq!(of(&[], 0), Err(SerialError::Length(0)));
        assert_eq!(of(&[], 15), Err(SerialError::Length(15)));
        assert_eq!(of(&[], 21), Err(SerialError::Length(21)));
        assert_eq!(of(&[0x80], 16), Err(SerialError::Negative));
        assert_eq!(of(&[0x00, 0x7f], 17), Err(SerialError::NotShortest));
        assert_eq!(of(&[0x00, 0x80], 17), Ok(()));
        assert_eq!((of(&[0x7f], 16), of(&[0x01], 20)), (Ok(()), Ok(())));
        assert_eq!("0x".parse::<Serial>(), Err(SerialError::NotHex("0x".into())));
        assert_eq!("01".repeat(21).parse::<Serial>(), Err(SerialError::Length(21)));
    }

    #[test]
    fn sorts_as_numbers_do() {
        let serial = |text: &str| text.parse::<Serial>().unwrap();
        let short = serial("7f000000000000000000000000000000");
        let long = serial("0100000000000000000000000000000000");
        let padded = serial("0080000000000000000000000000000000");
        assert!(short < padded && padded < long);
    }

    proptest! {
        #[test]
        fn whatever_is_random_is_a_serial_number(octets in any::<[u8; 20]>()) {
            let serial = Serial::from_random(octets);
            prop_assert_eq!(Serial::from_bytes(serial.as_bytes()), Ok(serial));
            prop_assert_eq!(tlv::check(&tlv::encode(tlv::INTEGER, &[serial.as_bytes()])), Ok(()));
            prop_assert!((0x40..0x80).contains(&serial.as_bytes()[0]));
            let json = serde_json::to_string(&serial).unwrap();
            prop_assert_eq!(&json, &format!("\"{}\"", hex::encode(serial.as_bytes())));
            prop_assert_eq!(serde_json::from_str::<Serial>(&json).unwrap(), serial);
        }

        #[test]
        fn is_strict_where_der_is(bytes in prop::collection::vec(prop_oneof![Just(0), Just(0x7f), Just(0x80), any::<u8>()], 14..22)) {
            let is_der = tlv::check(&tlv::encode(tlv::INTEGER, &[&bytes])).is_ok();
            let good = is_der && bytes[0] < 0x80 && (16..=20).contains(&bytes.len());
            prop_assert_eq!(Serial::from_bytes(&bytes).is_ok(), good);
        }
    }
}
