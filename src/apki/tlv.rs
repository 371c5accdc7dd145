//! DER read and written without copies (X.690 sections 8, 10 and 11).
//!
//! A certificate is hashed and signed as octets, so the reader remembers where things are rather
//! than what they decode to, and refuses every encoding that is not the only one.

use thiserror::Error;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
const CONSTRUCTED: u8 = 0x20;

/// Deeper than any certificate nests; it bounds the recursion.
const MAX_DEPTH: usize = 32;

/// Why octets are not strict DER, or not the structure expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DerError {
    /// The input ends inside an element.
    #[error("the input ends inside an element")]
    Truncated,
    /// Octets are left behind the structure.
    #[error("{0} octets are left behind the structure")]
    Trailing(usize),
    /// A length in the indefinite form.
    #[error("a length is indefinite, which is BER and not DER")]
    IndefiniteLength,
    /// A length that fits fewer octets, or does not fit four.
    #[error("a length is not in its shortest form")]
    LengthNotMinimal,
    /// Another tag than the structure has at this place.
    #[error("found tag {found:#04x} where {expected:#04x} belongs")]
    Tag {
        /// The tag that belongs here.
        expected: u8,
        /// The tag that is here.
        found: u8,
    },
    /// A tag in the long form, or a universal type in the wrong form (constructed or primitive).
    #[error("tag {0:#04x} has no place in a certificate")]
    TagForm(u8),
    /// An INTEGER or ENUMERATED of no octets, with needless octets, or out of range here.
    #[error("an integer is not in its shortest form, or out of range")]
    Integer,
    /// A BOOLEAN that is neither 00 nor FF.
    #[error("a boolean is neither 00 nor FF")]
    Boolean,
    /// A BIT STRING with more than seven, set, or (where octets are meant) any unused bits.
    #[error("a bit string has unused bits that it may not have")]
    BitString,
    /// A NULL with content.
    #[error("a null has content")]
    Null,
    /// An OBJECT IDENTIFIER that is empty, cut off or has padded arcs.
    #[error("an object identifier is not in its shortest form")]
    ObjectIdentifier,
    /// A UTF8String that is not UTF-8.
    #[error("a UTF8String is not UTF-8")]
    Utf8,
    /// A SET OF that is not in ascending order.
    #[error("a set is not in ascending order")]
    SetOrder,
    /// A value at its default, which DER leaves out.
    #[error("a value is written out although it is the default")]
    ExplicitDefault,
    /// Something that must have at least one element has none.
    #[error("a list that needs an element is empty")]
    Empty,
    /// More nesting than any certificate has.
    #[error("more than 32 structures are nested")]
    TooDeep,
    /// A time that is not in the one form RFC 5280 section 4.1.2.5 allows, or before 1970.
    #[error("a time is not a real moment since 1970 in the form YYMMDDHHMMSSZ, or YYYYMMDDHHMMSSZ from 2050 on")]
    Time,
}

/// A range of the input, kept where a slice would borrow from its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Result<Self, DerError> {
        let fit = |n: usize| u32::try_from(n).map_err(|_| DerError::LengthNotMinimal);
        Ok(Self { start: fit(start)?, end: fit(end)? })
    }

    /// The octets of `input`, which must be the one that this span was read from.
    pub(crate) fn of(self, input: &[u8]) -> &[u8] {
        &input[self.start as usize..self.end as usize]
    }

    /// This span without its first octet.
    pub(crate) const fn without_first(self) -> Self {
        Self { start: if self.start < self.end { self.start + 1 } else { self.end }, end: self.end }
    }

    /// From the start of this span to the start of the later `other`.
    pub(crate) const fn until(self, other: Self) -> Self {
        Self { start: self.start, end: other.start }
    }
}

/// One element: its tag, its content, and the whole of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub(crate) tag: u8,
    pub(crate) content: Span,
    pub(crate) whole: Span,
}

/// Reads the elements that fill a range of the input.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self { input, position: 0, end: input.len() }
    }

    /// A reader of what `span` covers.
    pub(crate) const fn within(input: &'a [u8], span: Span) -> Self {
        Self { input, position: span.start as usize, end: span.end as usize }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.position == self.end
    }

    /// The tag of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        if self.is_empty() { None } else { self.input.get(self.position).copied() }
    }

    fn octet(&mut self) -> Result<u8, DerError> {
        let octet = self.peek().ok_or(DerError::Truncated)?;
        self.position += 1;
        Ok(octet)
    }

    fn length(&mut self) -> Result<usize, DerError> {
        match self.octet()? {
            short @ 0..=0x7f => Ok(usize::from(short)),
            0x80 => Err(DerError::IndefiniteLength),
            form @ 0x81..=0x84 => {
                let octets = form & 0x7f;
                let mut length = 0;
                for _ in 0..octets {
                    length = length << 8 | usize::from(self.octet()?);
                }
                let shortest = if octets == 1 { 0x80 } else { 1 << (8 * (octets - 1)) };
                if length < shortest { Err(DerError::LengthNotMinimal) } else { Ok(length) }
            }
            _ => Err(DerError::LengthNotMinimal),
        }
    }

    /// The next element, whatever it is.
    pub(crate) fn any(&mut self) -> Result<Element, DerError> {
        let start = self.position;
        let tag = self.octet()?;
        if tag & 0x1f == 0x1f {
            return Err(DerError::TagForm(tag));
        }
        let length = self.length()?;
        if length > self.end - self.position {
            return Err(DerError::Truncated);
        }
        let content = Span::new(self.position, self.position + length)?;
        self.position += length;
        Ok(Element { tag, content, whole: Span::new(start, self.position)? })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element, DerError> {
        let element = self.any()?;
        if element.tag == tag { Ok(element) } else { Err(DerError::Tag { expected: tag, found: element.tag }) }
    }

    /// The next element where it has this tag; otherwise nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element>, DerError> {
        if self.peek() == Some(tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// A reader of the content of the next element, which must have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Self, DerError> {
        let element = self.expect(tag)?;
        Ok(Self::within(self.input, element.content))
    }

    /// Ends the range: nothing may be left.
    pub(crate) const fn finish(self) -> Result<(), DerError> {
        match self.end - self.position {
            0 => Ok(()),
            n => Err(DerError::Trailing(n)),
        }
    }
}

/// The content of the one element of this tag that `input` must be.
pub(crate) fn only(input: &[u8], tag: u8) -> Result<&[u8], DerError> {
    let mut reader = Reader::new(input);
    let element = reader.expect(tag)?;
    reader.finish()?;
    Ok(element.content.of(input))
}

/// The octets of a BIT STRING's content that has no unused bits.
pub(crate) fn whole_octets(content: &[u8]) -> Result<&[u8], DerError> {
    match content.split_first() {
        Some((0, octets)) => Ok(octets),
        _ => Err(DerError::BitString),
    }
}

/// Checks that `input` is one element, strict DER all the way down: forms, lengths, shortest
/// integers, UTF-8, the order of sets. Times are left to whoever reads them, and so are the
/// alphabets of the older string types: CAs in use write an `&` into a PrintableString, which is
/// wrong, but only in one way.
pub(crate) fn check(input: &[u8]) -> Result<(), DerError> {
    let mut reader = Reader::new(input);
    check_element(&mut reader, 0)?;
    reader.finish()
}

fn check_element(reader: &mut Reader<'_>, depth: usize) -> Result<(), DerError> {
    if depth > MAX_DEPTH {
        return Err(DerError::TooDeep);
    }
    let element = reader.any()?;
    let (input, tag) = (reader.input, element.tag);
    let universal = tag & 0xc0 == 0;
    if universal && (tag & CONSTRUCTED != 0) != matches!(tag, SEQUENCE | SET) {
        return Err(DerError::TagForm(tag));
    }
    if tag & CONSTRUCTED == 0 {
        return if universal { check_primitive(tag, element.content.of(input)) } else { Ok(()) };
    }
    let mut children = Reader::within(input, element.content);
    let mut before: &[u8] = &[];
    while !children.is_empty() {
        let start = children.position;
        check_element(&mut children, depth + 1)?;
        let child = &input[start..children.position];
        if tag == SET && before > child {
            return Err(DerError::SetOrder);
        }
        before = child;
    }
    Ok(())
}

fn check_primitive(tag: u8, content: &[u8]) -> Result<(), DerError> {
    let good = |good: bool, error| if good { Ok(()) } else { Err(error) };
    match tag {
        0 | 0x10 | 0x11 => Err(DerError::TagForm(tag)),
        BOOLEAN => good(matches!(content, [0x00] | [0xff]), DerError::Boolean),
        INTEGER | ENUMERATED => good(is_shortest_integer(content), DerError::Integer),
        BIT_STRING => good(is_bit_string(content), DerError::BitString),
        NULL => good(content.is_empty(), DerError::Null),
        OID => good(is_oid(content), DerError::ObjectIdentifier),
        UTF8_STRING => good(std::str::from_utf8(content).is_ok(), DerError::Utf8),
        _ => Ok(()),
    }
}

fn is_shortest_integer(content: &[u8]) -> bool {
    match content {
        [] => false,
        [0x00, next, ..] => *next >= 0x80,
        [0xff, next, ..] => *next < 0x80,
        _ => true,
    }
}

fn is_bit_string(content: &[u8]) -> bool {
    match content {
        [] => false,
        [unused] => *unused == 0,
        [unused, .., last] => *unused < 8 && last.trailing_zeros() >= u32::from(*unused),
    }
}

fn is_oid(content: &[u8]) -> bool {
    let mut arc_starts = true;
    for octet in content {
        if arc_starts && *octet == 0x80 {
            return false;
        }
        arc_starts = octet & 0x80 == 0;
    }
    arc_starts && !content.is_empty()
}

/// The element of this tag whose content is `parts`, one behind the other.
pub(crate) fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let octets = length.to_be_bytes();
    let significant = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
    let mut out = Vec::with_capacity(2 + octets.len() + length);
    out.push(tag);
    match significant {
        [] => out.push(0),
        [short @ 0..=0x7f] => out.push(*short),
        long => {
            out.push(0x80 | long.len() as u8);
            out.extend_from_slice(long);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_each_departure_from_der() {
        let cases: &[(&[u8], DerError)] = &[
            (&[], DerError::Truncated),
            (&[0x30], DerError::Truncated),
            (&[0x30, 0x01], DerError::Truncated),
            (&[0x30, 0x80, 0x00, 0x00], DerError::IndefiniteLength),
            (&[0x04, 0x81, 0x01, 0x00], DerError::LengthNotMinimal),
            (&[0x04, 0x82, 0x00, 0x80], DerError::LengthNotMinimal),
            (&[0x04, 0x85, 0, 0, 0, 0, 1], DerError::LengthNotMinimal),
            (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], DerError::Truncated),
            (&[0x1f, 0x01, 0x00], DerError::TagForm(0x1f)),
            (&[0x24, 0x00], DerError::TagForm(0x24)),
            (&[0x10, 0x00], DerError::TagForm(0x10)),
            (&[0x00, 0x00], DerError::TagForm(0x00)),
            (&[0x05, 0x00, 0x00], DerError::Trailing(1)),
            (&[0x05, 0x01, 0x00], DerError::Null),
            (&[0x01, 0x01, 0x01], DerError::Boolean),
            (&[0x01, 0x00], DerError::Boolean),
            (&[0x02, 0x00], DerError::Integer),
            (&[0x02, 0x02, 0x00, 0x7f], DerError::Integer),
            (&[0x02, 0x02, 0xff, 0x80], DerError::Integer),
            (&[0x0a, 0x02, 0x00, 0x01], DerError::Integer),
            (&[0x03, 0x00], DerError::BitString),
            (&[0x03, 0x01, 0x01], DerError::BitString),
            (&[0x03, 0x02, 0x01, 0x01], DerError::BitString),
            (&[0x03, 0x02, 0x08, 0x00], DerError::BitString),
            (&[0x06, 0x00], DerError::ObjectIdentifier),
            (&[0x06, 0x02, 0x2a, 0x80], DerError::ObjectIdentifier),
            (&[0x06, 0x03, 0x2a, 0x80, 0x01], DerError::ObjectIdentifier),
            (&[0x0c, 0x01, 0xff], DerError::Utf8),
            (&[0x31, 0x06, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01], DerError::SetOrder),
        ];
        for (octets, error) in cases {
            assert_eq!(check(octets), Err(*error), "{octets:02x?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |n| (0..n).fold(vec![0x05, 0x00], |inner, _| encode(SEQUENCE, &[&inner]));
        assert_eq!(check(&nested(32)), Ok(()));
        assert_eq!(check(&nested(33)), Err(DerError::TooDeep));
        assert_eq!(check(&nested(5_000)), Err(DerError::TooDeep));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(tag in 0x80u8..0x9f, content in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let octets = encode(tag, &[&content]);
            prop_assert_eq!(only(&octets, tag), Ok(content.as_slice()));
            prop_assert_eq!(check(&octets), Ok(()));
        }

        #[test]
        fn never_panics(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = check(&octets);
        }
    }
}
