//! Entries and certificates in bundles of up to 256, as they are served below the tiles (C2SP
//! tlog-tiles, protocol section 5).

use thiserror::Error;

use super::entry::CertHash;
use crate::merkle::{Hash, TILE_WIDTH};
use crate::time::UnixMillis;
use crate::wire::{Reader, WireError, Writer};

/// Octets of one entry with its length.
const ENTRY_LEN: usize = 2 + Hash::LEN;

/// Why octets or rows are not a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadBundle {
    /// Not 1 to 256 entries.
    #[error("a bundle has 1 to 256 entries, not {0}")]
    Count(usize),
    /// An entry is not a certificate hash.
    #[error("an entry is 32 octets, not {0}")]
    Entry(usize),
    /// Chain fingerprints do not divide into hashes.
    #[error("{0} octets are no whole number of 32-octet chain fingerprints")]
    Fingerprints(usize),
    /// A certificate of no octets, which on the wire would say that it was pruned.
    #[error("a certificate that was not pruned has no octets")]
    EmptyCertificate,
    /// The octets do not divide into fields, or a field is too long.
    #[error(transparent)]
    Wire(#[from] WireError),
}

const fn check_count(count: usize) -> Result<(), BadBundle> {
    match count {
        1..=TILE_WIDTH => Ok(()),
        _ => Err(BadBundle::Count(count)),
    }
}

/// Reads rows to the end of `octets`, giving up at the first that is too many.
fn read_rows<'a, T>(
    octets: &'a [u8],
    mut row: impl FnMut(&mut Reader<'a>) -> Result<T, BadBundle>,
) -> Result<Vec<T>, BadBundle> {
    let mut reader = Reader::new(octets);
    let mut rows = Vec::new();
    while !reader.is_empty() {
        check_count(rows.len() + 1)?;
        rows.push(row(&mut reader)?);
    }
    check_count(rows.len())?;
    Ok(rows)
}

/// The entries below one tile of level 0: `tile/entries/<N>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBundle(Vec<CertHash>);

impl EntryBundle {
    /// The bundle of these entries, 1 to 256.
    pub fn new(entries: Vec<CertHash>) -> Result<Self, BadBundle> {
        check_count(entries.len())?;
        Ok(Self(entries))
    }

    /// The entries in the order of their leaves.
    pub fn entries(&self) -> &[CertHash] {
        &self.0
    }

    /// Reads a bundle as it is served: each entry behind its length as `uint16`.
    pub fn from_octets(octets: &[u8]) -> Result<Self, BadBundle> {
        let entries = read_rows(octets, |reader| {
            let entry = reader.opaque16()?;
            CertHash::from_slice(entry).ok_or(BadBundle::Entry(entry.len()))
        })?;
        Ok(Self(entries))
    }

    /// The bundle as it is served.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.0.len() * ENTRY_LEN);
        for entry in &self.0 {
            writer.u16(Hash::LEN as u16).octets(entry.as_bytes());
        }
        writer.into_vec()
    }
}

/// What is served of one entry besides its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertRow {
    /// When the entry was logged: the timestamp of its SAT.
    pub timestamp: UnixMillis,
    /// The certificate as it was submitted, in DER; `None` once it is pruned.
    pub certificate: Option<Vec<u8>>,
    /// SHA-256 of each certificate of its chain, issuer first.
    pub chain: Vec<Hash>,
}

/// The certificates of the entries below one tile of level 0: `tile/certs/<N>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertBundle(Vec<CertRow>);

impl CertBundle {
    /// The bundle of these rows, 1 to 256.
    pub fn new(rows: Vec<CertRow>) -> Result<Self, BadBundle> {
        check_count(rows.len())?;
        match rows.iter().any(|row| row.certificate.as_ref().is_some_and(Vec::is_empty)) {
            true => Err(BadBundle::EmptyCertificate),
            false => Ok(Self(rows)),
        }
    }

    /// The rows in the order of their leaves.
    pub fn rows(&self) -> &[CertRow] {
        &self.0
    }

    /// The same, taken out of the bundle.
    pub fn into_rows(self) -> Vec<CertRow> {
        self.0
    }

    /// Reads a bundle as it is served.
    pub fn from_octets(octets: &[u8]) -> Result<Self, BadBundle> {
        let rows = read_rows(octets, |reader| {
            let timestamp = UnixMillis::new(reader.u64()?);
            let certificate = reader.opaque24()?;
            let chain = reader.opaque16()?;
            let (hashes, []) = chain.as_chunks::<{ Hash::LEN }>() else {
                return Err(BadBundle::Fingerprints(chain.len()));
            };
            Ok(CertRow {
                timestamp,
                certificate: (!certificate.is_empty()).then(|| certificate.to_vec()),
                chain: hashes.iter().copied().map(Hash::new).collect(),
            })
        })?;
        Ok(Self(rows))
    }

    /// The bundle as it is served. Fails where a certificate or a chain is longer than its length
    /// prefix can say: 2^24 - 1 octets, or 2047 certificates.
    pub fn to_octets(&self) -> Result<Vec<u8>, BadBundle> {
        let len = |row: &CertRow| 13 + row.certificate.as_ref().map_or(0, Vec::len) + row.chain.len() * Hash::LEN;
        let mut writer = Writer::with_capacity(self.0.iter().map(len).sum());
        for row in &self.0 {
            let chain: Vec<u8> = row.chain.iter().flat_map(Hash::as_bytes).copied().collect();
            writer.u64(row.timestamp.get());
            writer.opaque24(row.certificate.as_deref().unwrap_or_default())?.opaque16(&chain)?;
        }
        Ok(writer.into_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(certificate: Option<Vec<u8>>, chain: usize) -> CertRow {
        CertRow { timestamp: UnixMillis::new(1), certificate, chain: vec![Hash::new([3; 32]); chain] }
    }

    #[test]
    fn bundles_have_1_to_256_rows() {
        let entry = CertHash::new([1; 32]);
        assert_eq!(EntryBundle::new(Vec::new()), Err(BadBundle::Count(0)));
        assert_eq!(EntryBundle::new(vec![entry; 257]), Err(BadBundle::Count(257)));
        assert_eq!(EntryBundle::new(vec![entry; 256]).unwrap().to_octets().len(), 256 * ENTRY_LEN);
        assert_eq!(CertBundle::new(Vec::new()), Err(BadBundle::Count(0)));
        assert_eq!(CertBundle::from_octets(&[0; 13 * 257]), Err(BadBundle::Count(257)));
        assert_eq!(CertBundle::from_octets(&[]), Err(BadBundle::Count(0)));
    }

    #[test]
    fn each_malformation_has_its_error() {
        assert_eq!(EntryBundle::from_octets(&[0, 1, 9]), Err(BadBundle::Entry(1)));
        assert_eq!(EntryBundle::from_octets(&[0, 32, 9]), Err(BadBundle::Wire(WireError::Truncated)));
        assert_eq!(CertBundle::from_octets(&[0; 12]), Err(BadBundle::Wire(WireError::Truncated)));
        let mut fingerprints = vec![0; 12];
        fingerprints.extend([1, 7]);
        assert_eq!(CertBundle::from_octets(&fingerprints), Err(BadBundle::Fingerprints(1)));
    }

    #[test]
    fn what_cannot_be_said_is_not_written() {
        assert_eq!(CertBundle::new(vec![row(Some(Vec::new()), 0)]), Err(BadBundle::EmptyCertificate));
        let long = CertBundle::new(vec![row(Some(vec![1; 1 << 24]), 0)]).unwrap();
        assert_eq!(long.to_octets(), Err(BadBundle::Wire(WireError::TooLong(1 << 24))));
        let long = CertBundle::new(vec![row(None, 2048)]).unwrap();
        assert_eq!(long.to_octets(), Err(BadBundle::Wire(WireError::TooLong(1 << 16))));
    }

    #[test]
    fn pruned_and_kept_rows_come_back() {
        let bundle = CertBundle::new(vec![row(None, 2), row(Some(vec![0x30, 0]), 0)]).unwrap();
        assert_eq!(CertBundle::from_octets(&bundle.to_octets().unwrap()), Ok(bundle));
    }
}
