//! The money in a request. What a client states is taken at its word here, and held against its limits; whoever
//! does the payment has to check that it is the amount that was authorised (`X-Agent-Amount`).

use axum::http::{HeaderMap, HeaderName};
use thiserror::Error;

use crate::apki::capabilities::Amount;

/// Where the amount is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmountFrom {
    /// It is always this.
    Fixed(Amount),
    /// In this header.
    Header(HeaderName),
    /// In this parameter of the query, which is written without escapes.
    Query(String),
}

/// Why a request has no amount that everybody reads alike.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Not there, or more than once.
    #[error("{0} has to be there once")]
    NotOnce(String),
    /// Not a number.
    #[error("{0} is not a whole number of minor units without sign, blanks or leading zeros, of at most 2^63-1")]
    NotANumber(String),
}

impl AmountFrom {
    /// The amount in minor units of a request with these headers and this query.
    ///
    /// # Errors
    /// [`AmountError`]
    pub fn read(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Amount, AmountError> {
        match self {
            Self::Fixed(amount) => Ok(*amount),
            Self::Header(name) => {
                let what = || format!("the header {name}");
                let mut given = headers.get_all(name).iter();
                match (given.next(), given.next()) {
                    (Some(value), None) => number(value.as_bytes()).ok_or_else(|| AmountError::NotANumber(what())),
                    _ => Err(AmountError::NotOnce(what())),
                }
            }
            Self::Query(name) => {
                let what = || format!("the parameter {name} of the query");
                let value = only(name, query.unwrap_or_default()).ok_or_else(|| AmountError::NotOnce(what()))?;
                number(value.as_bytes()).ok_or_else(|| AmountError::NotANumber(what()))
            }
        }
    }
}

/// A decimal number in its one spelling.
fn number(digits: &[u8]) -> Option<Amount> {
    let canonical = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || digits.first() != Some(&b'0'));
    let text = std::str::from_utf8(digits).ok().filter(|_| canonical)?;
    Amount::new(text.parse().ok()?).ok()
}

/// The value of the only parameter of this name. Programs differ in what they take for the same name and for the
/// end of a parameter, so whatever one of them may take for it counts as a second one.
fn only<'a>(name: &str, query: &'a str) -> Option<&'a str> {
    let mut found = None;
    for pair in query.split(['&', ';']) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key == name && found.is_none() {
            found = Some(value);
        } else if plain(key) == plain(name) {
            return None;
        }
    }
    found
}

/// What is left of a name when all is gone that some program does away with or takes for another: escapes, case,
/// blanks and punctuation, and what stands in brackets.
fn plain(key: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        let mut escaped = [0];
        let digits = behind.get(..2).filter(|_| octet == b'%');
        if digits.is_some_and(|digits| hex::decode_to_slice(digits, &mut escaped).is_ok()) {
            rest = behind.get(2..).unwrap_or_default();
            octets.push(escaped[0]);
        } else {
            octets.push(octet);
        }
    }
    let end = octets.iter().position(|octet| matches!(octet, b'[' | 0)).unwrap_or(octets.len());
    let kept = |octet: &&u8| octet.is_ascii_alphanumeric() || !octet.is_ascii();
    octets.iter().take(end).filter(kept).map(u8::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn amount(minor_units: u64) -> Amount {
        Amount::new(minor_units).unwrap()
    }

    #[test]
    fn an_amount_has_one_spelling() {
        for (text, value) in [("0", 0), ("1", 1), ("500", 500), ("9223372036854775807", i64::MAX as u64)] {
            assert_eq!(number(text.as_bytes()), Some(amount(value)));
        }
        let bad = ["", "00", "05", "+5", "-5", " 5", "5 ", "5.0", "5,0", "0x5", "1e3", "9223372036854775808"];
        for text in bad.into_iter().chain(["99999999999999999999", "\u{665}"]) {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_header_stands_there_once() {
        let from = AmountFrom::Header(HeaderName::from_static("x-amount"));
        let mut headers = HeaderMap::new();
        assert!(matches!(from.read(&headers, None), Err(AmountError::NotOnce(_))));
        headers.append("X-Amount", HeaderValue::from_static("500"));
        assert_eq!(from.read(&headers, None), Ok(amount(500)));
        headers.append("X-Amount", HeaderValue::from_static("500"));
        assert!(matches!(from.read(&headers, None), Err(AmountError::NotOnce(_))));
        headers.insert("X-Amount", HeaderValue::from_static("500, 1"));
        assert!(matches!(from.read(&headers, None), Err(AmountError::NotANumber(_))));
        assert_eq!(AmountFrom::Fixed(amount(7)).read(&headers, Some("x")), Ok(amount(7)));
    }

    #[test]
    fn a_parameter_stands_there_once_however_it_is_read() {
        let read = |query: &'static str| AmountFrom::Query("amount".into()).read(&HeaderMap::new(), Some(query));
        for query in ["amount=500", "x=1&amount=500&to=7", "amount=500&amounts=9", "total-amount=1&amount=500"] {
            assert_eq!(read(query), Ok(amount(500)), "{query}");
        }
        for query in [
            "",
            "x=1",
            "amount=1&amount=500",
            "amount=1&Amount=500",
            "%61mount=500",
            "amount=1&amoun%74=500",
            "amount=1;amount=500",
            "amount=1&amount[]=500",
            "amount=1&amount%5B0%5D=500",
            "amount=1&amount%00=500",
            "amount=1&+amount=500",
            "amount=1&%20amount=500",
            "amount=1&amount.=500",
            "amount=1&amount",
        ] {
            assert!(matches!(read(query), Err(AmountError::NotOnce(_))), "{query}");
        }
        for query in ["amount=", "amount", "amount=%35", "amount=5%20", "amount=5=6", "amount=5#", "amount=-5"] {
            assert!(matches!(read(query), Err(AmountError::NotANumber(_))), "{query}");
        }
        assert!(AmountFrom::Query("amount".into()).read(&HeaderMap::new(), None).is_err());
    }
}
