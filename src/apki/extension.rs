//! What the five agent extensions have in common: strict decoding, and the value types that keep
//! their bounds (protocol section 2).

use std::fmt;

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use thiserror::Error;

/// Longest of most strings, in octets.
pub const MAX_TEXT: usize = 512;

/// Why the value of an extension is malformed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExtensionError {
    /// Not DER, or another structure.
    #[error("the extension does not decode: {0}")]
    Der(#[from] der::Error),
    /// It decodes, but re-encodes to other octets.
    #[error("the extension is not in its one DER encoding")]
    NotCanonical,
    /// A field has a value that it may not have.
    #[error("{field}: {cause}")]
    Field {
        /// The field's name in the ASN.1 module.
        field: &'static str,
        /// What is wrong with its value.
        cause: ValueError,
    },
    /// trustTier is not the tier of score.
    #[error("a score of {score} is not in the tier {tier}")]
    Tier {
        /// The score.
        score: u8,
        /// The tier beside it.
        tier: &'static str,
    },
}

/// Why a value cannot stand in an extension.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// A number out of its range.
    #[error("{value} is outside {min}..={max}")]
    Range {
        /// The number.
        value: i128,
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
    /// A string or octets beyond the bound.
    #[error("{length} octets are more than {limit}")]
    TooLong {
        /// How many octets there are.
        length: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More elements than the bound.
    #[error("{count} are more than {limit}")]
    TooMany {
        /// How many elements there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Not 32 octets.
    #[error("a SHA-256 value has 32 octets, not {0}")]
    HashLength(usize),
    /// An IA5String with other characters.
    #[error("only ASCII characters may stand here")]
    NotAscii,
    /// Not an ISO 4217 code.
    #[error("a currency is three upper-case letters")]
    Currency,
}

impl ValueError {
    /// This fault, of the field with this name.
    pub(super) const fn of(self, field: &'static str) -> ExtensionError {
        ExtensionError::Field { field, cause: self }
    }
}

/// One of the five extensions.
pub trait AgentExtension: Sized {
    /// Its extnID.
    const OID: ObjectIdentifier;

    /// Reads the content of the extnValue: strict DER, every range and bound kept.
    fn from_der(der: &[u8]) -> Result<Self, ExtensionError>;

    /// Writes the content of the extnValue.
    fn to_der(&self) -> Result<Vec<u8>, ExtensionError>;
}

/// Decodes and re-encodes: the DER library takes some encodings for another's, such as a default
/// that is written out.
pub(super) fn decode_strict<'a, T>(der: &'a [u8]) -> Result<T, ExtensionError>
where
    T: Decode<'a, Error = der::Error> + Encode,
{
    let value = T::from_der(der)?;
    if value.to_der()? == der { Ok(value) } else { Err(ExtensionError::NotCanonical) }
}

/// The 32 octets of a hash.
pub(super) fn hash(octets: &[u8]) -> Result<[u8; 32], ValueError> {
    octets.try_into().map_err(|_| ValueError::HashLength(octets.len()))
}

/// `value` as the narrower type, where it is in `min..=max`.
pub(super) fn ranged<T: TryFrom<i64>>(value: i64, min: i64, max: i64) -> Result<T, ValueError> {
    let fault = ValueError::Range { value: value.into(), min, max };
    if (min..=max).contains(&value) { T::try_from(value).map_err(|_| fault) } else { Err(fault) }
}

/// A UTF8String of at most `MAX` octets; it may be empty (R20).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize = MAX_TEXT>(String);

impl<const MAX: usize> Text<MAX> {
    /// `text`, where it is not too long.
    pub fn new(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        if text.len() <= MAX { Ok(Self(text)) } else { Err(ValueError::TooLong { length: text.len(), limit: MAX }) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An IA5String of at most `MAX` octets; it may be empty (R20).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsciiText<const MAX: usize = MAX_TEXT>(Text<MAX>);

impl<const MAX: usize> AsciiText<MAX> {
    /// `text`, where it is ASCII and not too long.
    pub fn new(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = Text::new(text)?;
        if text.as_str().is_ascii() { Ok(Self(text)) } else { Err(ValueError::NotAscii) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> fmt::Debug for AsciiText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::apki::capabilities::{Amount, Capabilities, Currency};
    use crate::apki::provenance::Evidence;
    use crate::apki::testing::values::{attestation, capability, delegation, provenance, trust_score};
    use crate::apki::trust_score::{DecayRate, Score};

    /// A value reads back as itself, and one flipped bit gives another value or none.
    fn check<E: AgentExtension + PartialEq + Debug>(value: &E, flip: usize) {
        let mut der = value.to_der().unwrap();
        assert_eq!(E::from_der(&der).as_ref(), Ok(value));
        let bit = flip % (8 * der.len());
        der[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = E::from_der(&der) {
            assert_ne!(&other, value);
            assert_eq!(other.to_der().unwrap(), der);
        }
    }

    proptest! {
        #[test]
        fn values_read_back_as_themselves(
            score in trust_score(), capabilities in vec(capability(), 0..6), delegation in delegation(),
            provenance in provenance(), attestation in attestation(), flip in any::<usize>(),
        ) {
            check(&score, flip);
            check(&Capabilities::new(capabilities).unwrap(), flip);
            check(&delegation, flip);
            check(&provenance, flip);
            check(&attestation, flip);
        }
    }

    #[test]
    fn values_out_of_bounds_cannot_be_held() {
        assert_eq!(Score::new(101), Err(ValueError::Range { value: 101, min: 0, max: 100 }));
        assert_eq!(DecayRate::new(101), Err(ValueError::Range { value: 101, min: 0, max: 100 }));
        assert!(Amount::new(1 << 63).is_err() && Amount::new((1 << 63) - 1).is_ok());
        assert_eq!(Text::<4>::new("éé!"), Err(ValueError::TooLong { length: 5, limit: 4 }));
        assert_eq!(AsciiText::<4>::new("é"), Err(ValueError::NotAscii));
        assert_eq!(Evidence::new(vec![0; 16_385]), Err(ValueError::TooLong { length: 16_385, limit: 16_384 }));
        assert_eq!(Currency::new("gbp"), Err(ValueError::Currency));
    }
}
