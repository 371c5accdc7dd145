//! The TLS presentation language (RFC 8446 section 3), bounded both ways: a reader that never
//! trusts a length and a writer that never truncates one.

use thiserror::Error;

/// Why octets are not the structure they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The input ends before the field does.
    #[error("the input ends inside a field")]
    Truncated,
    /// Octets are left behind the structure.
    #[error("{0} octets are left behind the structure")]
    Trailing(usize),
    /// A vector is longer than its length prefix can say.
    #[error("a vector of {0} octets does not fit its length prefix")]
    TooLong(usize),
}

/// Reads fields from the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// Whether every octet was read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` octets.
    pub fn octets(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` octets as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// A `uint8`.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    /// A `uint16`.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A `uint64`.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    /// An `opaque<0..2^8-1>`.
    pub fn opaque8(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u8()?;
        self.octets(usize::from(n))
    }

    /// An `opaque<0..2^16-1>`.
    pub fn opaque16(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u16()?;
        self.octets(usize::from(n))
    }

    /// An `opaque<0..2^24-1>`.
    pub fn opaque24(&mut self) -> Result<&'a [u8], WireError> {
        let [a, b, c] = self.array()?;
        self.octets(u32::from_be_bytes([0, a, b, c]) as usize)
    }

    /// Ends the structure: nothing may be left.
    pub const fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            n => Err(WireError::Trailing(n)),
        }
    }
}

/// Appends fields to a buffer.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer with room for `capacity` octets.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity) }
    }

    /// The octets written.
    pub fn into_vec(self) -> Vec<u8> {
        self.out
    }

    /// Octets of a length that the reader knows.
    pub fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.out.extend_from_slice(octets);
        self
    }

    /// A `uint8`.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.octets(&[value])
    }

    /// A `uint16`.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.octets(&value.to_be_bytes())
    }

    /// A `uint64`.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.octets(&value.to_be_bytes())
    }

    /// An `opaque<0..2^8-1>`.
    pub fn opaque8(&mut self, value: &[u8]) -> Result<&mut Self, WireError> {
        let n = u8::try_from(value.len()).map_err(|_| WireError::TooLong(value.len()))?;
        Ok(self.u8(n).octets(value))
    }

    /// An `opaque<0..2^16-1>`.
    pub fn opaque16(&mut self, value: &[u8]) -> Result<&mut Self, WireError> {
        let n = u16::try_from(value.len()).map_err(|_| WireError::TooLong(value.len()))?;
        Ok(self.u16(n).octets(value))
    }

    /// An `opaque<0..2^24-1>`.
    pub fn opaque24(&mut self, value: &[u8]) -> Result<&mut Self, WireError> {
        let n = u32::try_from(value.len()).ok().filter(|n| *n < 1 << 24).ok_or(WireError::TooLong(value.len()))?;
        Ok(self.octets(&n.to_be_bytes()[1..]).octets(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_written() {
        let mut w = Writer::default();
        w.u8(7).u16(300).u64(u64::MAX);
        w.opaque8(b"a").unwrap().opaque16(b"bc").unwrap().opaque24(b"").unwrap();
        let octets = w.into_vec();
        let mut r = Reader::new(&octets);
        assert_eq!((r.u8(), r.u16(), r.u64()), (Ok(7), Ok(300), Ok(u64::MAX)));
        assert_eq!((r.opaque8(), r.opaque16(), r.opaque24()), (Ok(&b"a"[..]), Ok(&b"bc"[..]), Ok(&b""[..])));
        assert_eq!(r.finish(), Ok(()));
    }

    #[test]
    fn refuses_short_and_long_input() {
        assert_eq!(Reader::new(&[0, 5, 1]).opaque16(), Err(WireError::Truncated));
        assert_eq!(Reader::new(&[0]).u16(), Err(WireError::Truncated));
        assert_eq!(Reader::new(&[0, 0]).finish(), Err(WireError::Trailing(2)));
        assert_eq!(Writer::default().opaque8(&[0; 256]).unwrap_err(), WireError::TooLong(256));
        assert_eq!(Writer::default().opaque24(&vec![0; 1 << 24]).unwrap_err(), WireError::TooLong(1 << 24));
    }
}
