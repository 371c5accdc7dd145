//! DER as far as it goes: which elements are there of something that may be broken or cut off.

use crate::apki::DerError;

/// One element. Its end may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Where it begins.
    pub at: usize,
    /// Its tag.
    pub tag: u8,
    /// Tag, length and content, as much as is there.
    pub whole: &'a [u8],
    /// Where its content begins.
    pub content_at: usize,
    /// The content, as much as is there.
    pub content: &'a [u8],
    /// How many octets it says that it has, and are not there.
    pub missing: usize,
}

/// The elements that fill some octets, one behind the other. The first that cannot be told is the last.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    at: usize,
    /// Whether lengths may be those of BER.
    lenient: bool,
}

impl<'a> Elements<'a> {
    /// Those of `octets`, which begin at `at` of the whole.
    pub const fn new(octets: &'a [u8], at: usize) -> Self {
        Self { rest: octets, at, lenient: false }
    }

    /// Those of `octets`, also with lengths that BER has and DER has not.
    const fn lenient(octets: &'a [u8]) -> Self {
        Self { rest: octets, at: 0, lenient: true }
    }

    /// Where the next one begins.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// How many octets are left.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The tag of the next one.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element; `None` at the end.
    ///
    /// # Errors
    /// [`DerError`] where tag or length are none.
    pub fn element(&mut self) -> Result<Option<Element<'a>>, DerError> {
        let Some((&tag, behind)) = self.rest.split_first() else { return Ok(None) };
        if tag & 0x1f == 0x1f {
            return Err(DerError::TagForm(tag));
        }
        let (length, octets) = match length(behind) {
            Err(_) if self.lenient => any_length(behind),
            strict => strict?,
        };
        let header = 1 + octets;
        let there = length.min(self.rest.len() - header);
        let (whole, rest) = self.rest.split_at(header + there);
        let content = whole.get(header..).unwrap_or_default();
        let (at, content_at) = (self.at, self.at + header);
        (self.rest, self.at) = (rest, content_at + there);
        Ok(Some(Element { at, tag, whole, content_at, content, missing: length - there }))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.element().ok().flatten()
    }
}

/// A length, and the octets that it has itself.
fn length(octets: &[u8]) -> Result<(usize, usize), DerError> {
    let (&first, behind) = octets.split_first().ok_or(DerError::Truncated)?;
    match first {
        short @ 0..=0x7f => Ok((usize::from(short), 1)),
        0x80 => Err(DerError::IndefiniteLength),
        form @ 0x81..=0x84 => {
            let count = usize::from(form & 0x7f);
            let digits = behind.get(..count).ok_or(DerError::Truncated)?;
            let length = digits.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
            let shortest = if count == 1 { 0x80 } else { 1 << (8 * (count - 1)) };
            if length < shortest { Err(DerError::LengthNotMinimal) } else { Ok((length, 1 + count)) }
        }
        _ => Err(DerError::LengthNotMinimal),
    }
}

/// What BER says by a length that is none in DER: an indefinite one is all that follows.
fn any_length(octets: &[u8]) -> (usize, usize) {
    match octets.split_first() {
        Some((form @ 0x81..=0x88, behind)) => {
            let digits = behind.get(..usize::from(form & 0x7f)).unwrap_or(behind);
            (digits.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), 1 + digits.len())
        }
        Some((_, behind)) => (behind.len(), 1),
        None => (0, 0),
    }
}

/// What stands in an element, by tags: enough to know an object by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape<'a>(&'a [u8]);

impl<'a> Shape<'a> {
    /// Tags that are looked at in one place.
    const LOOKED_AT: usize = 12;

    /// The shape of the SEQUENCE that `der` is; without one nothing is in it.
    pub fn of(der: &'a [u8]) -> Self {
        let first = Elements::lenient(der).next().filter(|element| element.tag == 0x30);
        Self(first.map_or(&[], |element| element.content))
    }

    /// The shape of the element at this place, from 0; without one nothing is in it.
    pub fn at(self, place: usize) -> Self {
        Self(Elements::lenient(self.0).nth(place).map_or(&[], |element| element.content))
    }

    /// The tags of the first elements.
    pub fn tags(self) -> Vec<u8> {
        Elements::lenient(self.0).take(Self::LOOKED_AT).map(|element| element.tag).collect()
    }

    /// Whether these are the tags of the first elements.
    pub fn begins(self, tags: &[u8]) -> bool {
        self.tags().starts_with(tags)
    }
}

/// A tag by its name in ASN.1.
pub fn tag_name(tag: u8) -> String {
    let name = match tag {
        0x01 => "BOOLEAN",
        0x02 => "INTEGER",
        0x03 => "BIT STRING",
        0x04 => "OCTET STRING",
        0x05 => "NULL",
        0x06 => "OBJECT IDENTIFIER",
        0x0a => "ENUMERATED",
        0x0c => "UTF8String",
        0x13 => "PrintableString",
        0x16 => "IA5String",
        0x17 => "UTCTime",
        0x18 => "GeneralizedTime",
        0x30 => "SEQUENCE",
        0x31 => "SET",
        0x80..=0xbf => return format!("[{}]", tag & 0x1f),
        _ => return format!("the tag {tag:#04x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_there_is_seen() {
        // SEQUENCE { INTEGER 1, OCTET STRING of 5 of which 2 are there }
        let der = [0x30, 0x0a, 0x02, 0x01, 0x01, 0x04, 0x05, 0xaa, 0xbb];
        let mut top = Elements::new(&der, 0);
        let sequence = top.next().unwrap();
        assert_eq!((sequence.at, sequence.content_at, sequence.missing, top.left()), (0, 2, 3, 0));
        let inner: Vec<_> = Elements::new(sequence.content, sequence.content_at).collect();
        assert_eq!(inner.iter().map(|e| (e.tag, e.at, e.missing)).collect::<Vec<_>>(), [(2, 2, 0), (4, 5, 3)]);
        assert_eq!(inner[1].content, [0xaa, 0xbb]);
        assert!(Shape::of(&der).begins(&[0x02, 0x04]) && !Shape::of(&der).begins(&[0x04]));
        assert!(Shape::of(&der[2..]).tags().is_empty());
    }

    #[test]
    fn lengths_are_those_of_der() {
        for (octets, fault) in [
            (&[0x30, 0x80, 0x00][..], DerError::IndefiniteLength),
            (&[0x30, 0x81, 0x7f], DerError::LengthNotMinimal),
            (&[0x30, 0x82, 0x00, 0xff], DerError::LengthNotMinimal),
            (&[0x30, 0x85, 1, 0, 0, 0, 0], DerError::LengthNotMinimal),
            (&[0x30, 0x82, 0x01], DerError::Truncated),
            (&[0x30], DerError::Truncated),
            (&[0x3f, 0x00], DerError::TagForm(0x3f)),
        ] {
            assert_eq!(Elements::new(octets, 0).element(), Err(fault), "{octets:x?}");
        }
        assert_eq!(Elements::new(&[], 0).element(), Ok(None));
        // A shape is seen all the same.
        for der in [&[0x30, 0x80, 0x02, 0x00, 0x04, 0x00][..], &[0x30, 0x82, 0x00, 0x04, 0x02, 0x00, 0x04, 0x00]] {
            assert_eq!(Shape::of(der).tags(), [0x02, 0x04]);
        }
    }

    proptest! {
        #[test]
        fn elements_never_overlap(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut end = 0;
            for element in Elements::new(&octets, 0) {
                prop_assert_eq!(element.at, end);
                end += element.whole.len();
                prop_assert!(element.content_at <= end && end <= octets.len());
            }
            prop_assert!(Shape::of(&octets).at(1).tags().into_iter().all(|tag| !tag_name(tag).is_empty()));
        }
    }
}
