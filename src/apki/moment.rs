//! The times that certificates can carry: whole seconds from 1970 to 9999.

use std::fmt;
use std::time::Duration;

use der::DateTime;
use der::asn1::GeneralizedTime;

use super::tlv::{self, DerError};
use crate::time::UnixMillis;

/// A moment in whole seconds between 1970-01-01 and 9999-12-31, both included (R35).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(DateTime);

impl Moment {
    /// The moment, cut to its whole second; `None` past the year 9999.
    pub fn floor(time: UnixMillis) -> Option<Self> {
        DateTime::from_unix_duration(Duration::from_secs(time.get() / 1000)).ok().map(Self)
    }

    /// This moment in milliseconds since 1970.
    pub fn millis(self) -> UnixMillis {
        UnixMillis::new(self.0.unix_duration().as_secs().saturating_mul(1000))
    }

    /// `YYMMDDHHMMSSZ`, where 50 to 99 are the years from 1950 and the rest those from 2000
    /// (RFC 5280 section 4.1.2.5.1).
    pub(super) fn from_utc_time(text: &[u8]) -> Result<Self, DerError> {
        let (year, rest) = text.split_at_checked(2).ok_or(DerError::Time)?;
        let year = two_digits(year)?;
        Self::assemble(if year >= 50 { 1900 } else { 2000 } + u16::from(year), rest)
    }

    /// `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5.2).
    pub(super) fn from_generalized_time(text: &[u8]) -> Result<Self, DerError> {
        let (year, rest) = text.split_at_checked(4).ok_or(DerError::Time)?;
        let century = u16::from(two_digits(&year[..2])?);
        Self::assemble(century * 100 + u16::from(two_digits(&year[2..])?), rest)
    }

    /// The year is a year that UTCTime cannot say, so that GeneralizedTime must.
    pub(super) fn is_past_utc_time(self) -> bool {
        self.0.year() >= 2050
    }

    /// This moment as a Time of a certificate's validity, in DER: UTCTime through 2049,
    /// GeneralizedTime from then on (RFC 5280 section 4.1.2.5).
    pub fn to_validity_der(self) -> Vec<u8> {
        if self.is_past_utc_time() {
            self.to_generalized_der()
        } else {
            tlv::encode(tlv::UTC_TIME, &[&self.digits()[2..]])
        }
    }

    /// This moment as a GeneralizedTime in DER, whatever the year.
    pub(super) fn to_generalized_der(self) -> Vec<u8> {
        tlv::encode(tlv::GENERALIZED_TIME, &[&self.digits()])
    }

    /// `YYYYMMDDHHMMSSZ`
    fn digits(self) -> [u8; 15] {
        let t = &self.0;
        let mut digits = *b"00000000000000Z";
        let (century, year) = ((t.year() / 100) as u8, (t.year() % 100) as u8);
        let pairs = [century, year, t.month(), t.day(), t.hour(), t.minutes(), t.seconds()];
        for (place, pair) in digits.chunks_exact_mut(2).zip(pairs) {
            place.copy_from_slice(&[b'0' + pair / 10, b'0' + pair % 10]);
        }
        digits
    }

    fn assemble(year: u16, rest: &[u8]) -> Result<Self, DerError> {
        let [digits @ .., b'Z'] = rest else { return Err(DerError::Time) };
        let digits: &[u8; 10] = digits.try_into().map_err(|_| DerError::Time)?;
        let mut pairs = [0; 5];
        for (pair, text) in pairs.iter_mut().zip(digits.chunks_exact(2)) {
            *pair = two_digits(text)?;
        }
        let [month, day, hour, minute, second] = pairs;
        DateTime::new(year, month, day, hour, minute, second).map(Self).map_err(|_| DerError::Time)
    }
}

fn two_digits(text: &[u8]) -> Result<u8, DerError> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Ok((tens - b'0') * 10 + (ones - b'0')),
        _ => Err(DerError::Time),
    }
}

impl From<Moment> for UnixMillis {
    fn from(moment: Moment) -> Self {
        moment.millis()
    }
}

impl From<GeneralizedTime> for Moment {
    fn from(time: GeneralizedTime) -> Self {
        Self(time.to_date_time())
    }
}

impl From<Moment> for GeneralizedTime {
    fn from(moment: Moment) -> Self {
        Self::from_date_time(moment.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Moment({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let utc = Moment::from_utc_time(b"260410120000Z").unwrap();
        assert_eq!(utc.millis(), UnixMillis::new(1_775_822_400_000));
        assert_eq!(Moment::from_generalized_time(b"20260410120000Z"), Ok(utc));
        assert_eq!(Moment::floor(UnixMillis::new(1_775_822_400_999)), Some(utc));
        assert_eq!(Moment::from_utc_time(b"700101000000Z").unwrap().millis(), UnixMillis::new(0));
        let last = Moment::from_generalized_time(b"99991231235959Z").unwrap();
        assert_eq!(Moment::floor(last.millis()), Some(last));
        assert_eq!(Moment::floor(last.millis().saturating_add(1000)), None);
    }

    #[test]
    fn validity_changes_its_form_with_the_year_2050() {
        let written = |text: &[u8]| Moment::from_generalized_time(text).unwrap().to_validity_der();
        assert_eq!(written(b"19700102030405Z"), [&[0x17, 13][..], b"700102030405Z"].concat());
        assert_eq!(written(b"20491231235959Z"), [&[0x17, 13][..], b"491231235959Z"].concat());
        assert_eq!(written(b"20500101000000Z"), [&[0x18, 15][..], b"20500101000000Z"].concat());
    }

    #[test]
    fn refuses_what_is_no_moment() {
        let utc: &[&[u8]] = &[
            b"",
            b"2604101200Z",
            b"260410120000",
            b"260410120000z",
            b"260410120000+0000",
            b"260410120000.5Z",
            b"26041012000 Z",
            b"691231235959Z",
            b"260229120000Z",
            b"261301120000Z",
            b"260410240000Z",
            b"260410126000Z",
            b"260410120060Z",
            b"260410120000ZZ",
        ];
        for text in utc {
            assert_eq!(Moment::from_utc_time(text), Err(DerError::Time), "{}", text.escape_ascii());
        }
        assert_eq!(Moment::from_generalized_time(b"19691231235959Z"), Err(DerError::Time));
        assert_eq!(Moment::from_generalized_time(b"260410120000Z"), Err(DerError::Time));
    }
}
