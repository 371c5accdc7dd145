//! Query parameters of the reading calls (protocol section 5), read strictly and written in the
//! one spelling that is read.
//!
//! Integers are decimal without sign, blanks or leading zeros; hashes are canonical base64, in
//! which `+` and `=` are percent-encoded. A parameter of a call given twice is malformed, unknown
//! ones are ignored.

use std::borrow::Cow;

use super::base64;
use super::percent;
use super::problem::{Problem, Token};
use crate::merkle::{Hash, LeafIndex, TreeSize};

/// Entries of a page where the query does not say.
pub const DEFAULT_PAGE: usize = 100;
/// Most entries in one answer to `get-entries`.
pub const MAX_ENTRIES_PER_ANSWER: u64 = 1000;

/// Parameters of `get-sth-consistency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsistencyQuery {
    /// The smaller tree.
    pub first: TreeSize,
    /// The larger tree, not less than `first`; `None` for the last signed head's.
    pub second: Option<TreeSize>,
}

impl ConsistencyQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::SecondBeforeFirst`], else [`Token::Malformed`].
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [first, second] = parameters(raw, ["first", "second"])?;
        let query = Self {
            first: TreeSize::new(number("first", &required("first", first)?)?),
            second: second.map(|v| number("second", &v)).transpose()?.map(TreeSize::new),
        };
        match query.second {
            Some(second) if second < query.first => {
                let detail = format!("`second` {second} is less than `first` {}", query.first);
                Err(Problem::new(Token::SecondBeforeFirst, detail))
            }
            _ => Ok(query),
        }
    }

    /// The same parameters as text.
    pub fn to_query(self) -> String {
        let second = self.second.map(|n| format!("&second={n}")).unwrap_or_default();
        format!("first={}{second}", self.first)
    }
}

/// Parameters of `get-proof-by-hash` and `get-all-by-hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofQuery {
    /// The leaf hash.
    pub hash: Hash,
    /// The tree that the proof leads to; `None` for the last signed head's.
    pub tree_size: Option<TreeSize>,
}

impl ProofQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::Malformed`].
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [leaf, size] = parameters(raw, ["hash", "tree_size"])?;
        Ok(Self {
            hash: hash("hash", &required("hash", leaf)?)?,
            tree_size: size.map(|v| number("tree_size", &v)).transpose()?.map(TreeSize::new),
        })
    }

    /// The same parameters as text.
    pub fn to_query(self) -> String {
        let size = self.tree_size.map(|n| format!("&tree_size={n}")).unwrap_or_default();
        format!("hash={}{size}", escaped(&self.hash))
    }
}

/// Parameters of `get-entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntriesQuery {
    /// The first entry wanted.
    pub start: LeafIndex,
    /// The last entry wanted, not before `start`.
    pub end: LeafIndex,
}

impl EntriesQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::EndBeforeStart`], else [`Token::Malformed`].
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [start, end] = parameters(raw, ["start", "end"])?;
        let start = LeafIndex::new(number("start", &required("start", start)?)?);
        let end = LeafIndex::new(number("end", &required("end", end)?)?);
        if end < start {
            return Err(Problem::new(Token::EndBeforeStart, format!("`end` {end} is less than `start` {start}")));
        }
        Ok(Self { start, end })
    }

    /// The same parameters as text.
    pub fn to_query(self) -> String {
        format!("start={}&end={}", self.start, self.end)
    }
}

/// Parameters of `get-entry-by-cert-hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertHashQuery {
    /// SHA-256 of the submitted DER.
    pub cert_hash: Hash,
}

impl CertHashQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::Malformed`].
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [value] = parameters(raw, ["cert_hash"])?;
        Ok(Self { cert_hash: hash("cert_hash", &required("cert_hash", value)?)? })
    }

    /// The same parameters as text.
    pub fn to_query(self) -> String {
        format!("cert_hash={}", escaped(&self.cert_hash))
    }
}

/// The decoded values of the parameters `names`, in that order, from the part of a URL behind `?`.
///
/// # Errors
/// [`Token::Malformed`] where one is given twice or is not percent-encoded UTF-8.
pub fn parameters<'a, const N: usize>(raw: &'a str, names: [&str; N]) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    let mut values = [const { None }; N];
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (unescaped(name)?, unescaped(value)?);
        let slot = names.iter().zip(&mut values).find(|(known, _)| **known == name);
        if let Some((known, slot)) = slot
            && slot.replace(value).is_some()
        {
            return Err(Problem::malformed(format!("the parameter `{known}` is given twice")));
        }
    }
    Ok(values)
}

/// Undoes percent-encoding as in HTML forms, where `+` is a blank.
fn unescaped(text: &str) -> Result<Cow<'_, str>, Problem> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let bad = || Problem::malformed("a query parameter is not percent-encoded UTF-8");
    let octets = percent::decode(&text.replace('+', " ")).ok_or_else(bad)?;
    String::from_utf8(octets).map(Cow::Owned).map_err(|_| bad())
}

fn required<'a>(name: &str, value: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, Problem> {
    value.ok_or_else(|| Problem::malformed(format!("the parameter `{name}` is missing")))
}

/// A decimal integer in its one spelling, which is the value of the parameter `name`.
///
/// # Errors
/// [`Token::Malformed`].
pub fn number(name: &str, text: &str) -> Result<u64, Problem> {
    let canonical = text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let value = if canonical { text.parse().ok() } else { None };
    value.ok_or_else(|| {
        Problem::malformed(format!("`{name}` is not a decimal integer of 0 to 2^64-1 without sign or leading zeros"))
    })
}

/// A SHA-256 value in base64.
fn hash(name: &str, text: &str) -> Result<Hash, Problem> {
    base64::decode(text).ok().and_then(|octets| Hash::from_slice(&octets)).ok_or_else(|| {
        Problem::malformed(format!(
            "`{name}` is not 32 octets in base64 with padding (in a query, write %2B for + and %3D for =)"
        ))
    })
}

fn escaped(hash: &Hash) -> String {
    base64::encode(hash.as_bytes()).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// How many entries a page has: as many as asked for, but no more than `most`.
pub(super) fn page(limit: Option<&str>, most: usize) -> Result<usize, Problem> {
    let Some(text) = limit else { return Ok(DEFAULT_PAGE) };
    match number("limit", text)? {
        0 => Err(Problem::malformed("`limit` is 0: nothing would be left to answer")),
        limit => Ok(usize::try_from(limit).unwrap_or(most).min(most)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOT_NUMBERS: [&str; 25] = [
        "",
        "abc",
        "-1",
        "-0",
        "%2B1",
        "+1",
        "1.0",
        "1e3",
        "0x10",
        "%201",
        "1%20",
        "1_0",
        "%EF%BC%91",
        "18446744073709551616",
        "99999999999999999999999999",
        "-9223372036854775809",
        "true",
        "null",
        "[]",
        "1%2C2",
        "%00",
        "1%3B2",
        "NaN",
        "00",
        "01",
    ];

    fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, raw: &str) {
        let problem = result.expect_err(raw);
        assert_eq!(problem.token(), Some(Token::Malformed), "{raw}");
        assert!(problem.detail.len() < 200);
    }

    #[test]
    fn integers_in_another_spelling_are_malformed() {
        let h = escaped(&Hash::new([0; 32]));
        let nines = "9".repeat(4000);
        for v in NOT_NUMBERS.into_iter().chain([nines.as_str()]) {
            refused(ConsistencyQuery::parse(&format!("first={v}&second=2")), v);
            refused(ConsistencyQuery::parse(&format!("first=1&second={v}")), v);
            refused(EntriesQuery::parse(&format!("start={v}&end=5")), v);
            refused(EntriesQuery::parse(&format!("start=0&end={v}")), v);
            refused(ProofQuery::parse(&format!("hash={h}&tree_size={v}")), v);
        }
        for n in [0, 1, 1 << 32, u64::MAX] {
            assert_eq!(ConsistencyQuery::parse(&format!("first={n}&second={n}")).unwrap().first.get(), n);
        }
    }

    #[test]
    fn hashes_in_another_spelling_are_malformed() {
        let long = "A".repeat(4000);
        let plus = base64::encode(&[0xfb; 32]).replace('=', "%3D");
        assert!(plus.contains('+'));
        let bad = [
            "",
            "AAAA",
            &"00".repeat(32),
            &escaped(&Hash::new([9; 32])).replace("%3D", ""),
            &"!".repeat(44),
            &plus,
            &long,
            &base64::encode(&[0; 31]),
            &base64::encode(&[0; 33]),
            "%zz",
            "%",
            "%4",
            "%ff",
            &"++++".repeat(11),
        ];
        for v in bad {
            refused(ProofQuery::parse(&format!("hash={v}")), v);
            refused(CertHashQuery::parse(&format!("cert_hash={v}")), v);
        }
        let fine = plus.replace('+', "%2b");
        assert_eq!(ProofQuery::parse(&format!("hash={fine}")).unwrap().hash, Hash::new([0xfb; 32]));
        // `=` behind the first one belongs to the value.
        assert!(CertHashQuery::parse("cert_hash=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").is_ok());
    }

    #[test]
    fn missing_double_and_unknown_parameters() {
        for raw in ["", "&", "second=1", "first", "First=1", "x=y"] {
            refused(ConsistencyQuery::parse(raw), raw);
        }
        for raw in ["start=0", "end=0", ""] {
            refused(EntriesQuery::parse(raw), raw);
        }
        refused(ProofQuery::parse("tree_size=1"), "");
        refused(CertHashQuery::parse("hash=AA"), "");
        for raw in ["first=1&first=2&second=2", "first=1&first=1", "first=1&%66irst=1", "first=1&second=2&second=2"] {
            refused(ConsistencyQuery::parse(raw), raw);
        }
        for raw in ["first=%zz&second=2", "first=1&x=%", "first=1&%4=x", "first=1&x=%ff"] {
            refused(ConsistencyQuery::parse(raw), raw);
        }
        let one = ConsistencyQuery { first: TreeSize::new(1), second: Some(TreeSize::new(1)) };
        let long = format!("first=1&second=1&x={}", "y".repeat(30_000));
        for raw in ["first=1&second=1&x=y", "x&x&second=1&&first=1&x=+%20", "%66irst=%31&second=1", &long] {
            assert_eq!(ConsistencyQuery::parse(raw), Ok(one));
        }
    }

    #[test]
    fn the_order_of_two_numbers() {
        let token = |p: Problem| p.token().unwrap();
        assert_eq!(ConsistencyQuery::parse("first=3&second=2").map_err(token), Err(Token::SecondBeforeFirst));
        assert_eq!(EntriesQuery::parse("start=2&end=1").map_err(token), Err(Token::EndBeforeStart));
        assert!(EntriesQuery::parse("start=2&end=2").is_ok());
        assert_eq!(ConsistencyQuery::parse("first=3").unwrap().second, None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(octets: [u8; 32], a: u64, b: u64, some: bool) {
            let hash = Hash::new(octets);
            let (lo, hi) = (a.min(b), a.max(b));
            let proof = ProofQuery { hash, tree_size: some.then(|| TreeSize::new(a)) };
            prop_assert_eq!(ProofQuery::parse(&proof.to_query()), Ok(proof));
            let cert = CertHashQuery { cert_hash: hash };
            prop_assert_eq!(CertHashQuery::parse(&cert.to_query()), Ok(cert));
            let entries = EntriesQuery { start: LeafIndex::new(lo), end: LeafIndex::new(hi) };
            prop_assert_eq!(EntriesQuery::parse(&entries.to_query()), Ok(entries));
            let sizes = ConsistencyQuery { first: TreeSize::new(lo), second: some.then(|| TreeSize::new(hi)) };
            prop_assert_eq!(ConsistencyQuery::parse(&sizes.to_query()), Ok(sizes));
        }

        #[test]
        fn no_query_makes_it_panic(raw in ".{0,80}") {
            let _ = (ConsistencyQuery::parse(&raw), ProofQuery::parse(&raw), EntriesQuery::parse(&raw), CertHashQuery::parse(&raw));
        }
    }
}
