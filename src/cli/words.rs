//! Times, money and limits in words.

pub mod certificate;

use crate::apki::capabilities::{Amount, Capability, Currency, RateLimit, SpendLimit};
use crate::time::UnixMillis;

/// Currencies whose minor unit is not a hundredth (ISO 4217).
const NO_MINOR: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
const THOUSANDTHS: &str = "BHD IQD JOD KWD LYD OMR TND";
const TEN_THOUSANDTHS: &str = "CLF UYW";

/// A length of time by its two largest units: `2 d 3 h`, `12 min 3 s`, `0 s`.
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    let units = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let told: Vec<String> = units.iter().skip(first).take(2).map(|(n, unit)| format!("{n} {unit}")).collect();
    // `3 h 0 min` says no more than `3 h`.
    match told.as_slice() {
        [one, two] if two.starts_with("0 ") => one.clone(),
        _ => told.join(" "),
    }
}

/// Reads `90s`, `5m`, `1h`, `1d` or a number of seconds.
pub fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || "it must be a time such as 90s, 5m, 1h or 1d".to_owned();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    if !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let seconds: Option<u32> = digits.parse::<u32>().map_err(|_| wrong())?.checked_mul(unit);
    seconds.filter(|s| *s > 0).ok_or_else(wrong)
}

/// Reads a moment as RFC 3339 writes it, to the millisecond, or a date, which is its first moment in UTC.
pub fn moment(text: &str) -> Result<UnixMillis, String> {
    parse_moment(&text.to_ascii_uppercase())
        .ok_or_else(|| "it must be a moment such as 2026-07-01T09:30:00Z, or a date".to_owned())
}

fn parse_moment(text: &str) -> Option<UnixMillis> {
    let (date, time) = if text.len() == 10 { (text, "T00:00:00Z") } else { text.split_at_checked(10)? };
    let (to_second, rest) = time.split_at_checked(9)?;
    let seconds = format!("{date}{to_second}Z").parse::<der::DateTime>().ok()?.unix_duration().as_secs();
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        None => ("0", rest),
    };
    // A digit at least, and the first three of them count.
    let millis: u64 = if fraction.is_empty() { None } else { format!("{fraction:0<3}").get(..3)?.parse().ok() }?;
    let moment = UnixMillis::from_secs(seconds)?.saturating_add(millis);
    if zone == "Z" {
        return Some(moment);
    }
    let ahead = zone.starts_with('+');
    let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
    let number = |digits: &str, most: u64| {
        let fine = digits.len() == 2 && digits.bytes().all(|c| c.is_ascii_digit());
        digits.parse().ok().filter(|n: &u64| fine && *n <= most)
    };
    let offset = (number(hours, 23)? * 60 + number(minutes, 59)?) * 60_000;
    // Nothing here is from before 1970.
    let millis = if ahead { moment.get().checked_sub(offset) } else { moment.get().checked_add(offset) };
    millis.map(UnixMillis::new)
}

/// An amount in its currency's major unit: `50.00 EUR`, `500 JPY`.
pub fn money(amount: Amount, currency: Currency) -> String {
    let minor = amount.get();
    let is_in = |list: &str| list.split(' ').any(|code| code == currency.as_str());
    let digits = if is_in(NO_MINOR) {
        0
    } else if is_in(THOUSANDTHS) {
        3
    } else if is_in(TEN_THOUSANDTHS) {
        4
    } else {
        2
    };
    let scale = 10_u64.pow(digits);
    match digits as usize {
        0 => format!("{minor} {currency}"),
        width => format!("{}.{:0width$} {currency}", minor / scale, minor % scale),
    }
}

/// An amount as it stands in a certificate, and in its currency's major unit: `5000 minor units (50.00 EUR)`.
fn minor_units(amount: Amount, currency: Currency) -> String {
    format!("{} minor units ({})", amount.get(), money(amount, currency))
}

/// `per hour`, `per 90 s`.
fn per(seconds: u32) -> String {
    match seconds {
        1 => "per second".into(),
        60 => "per minute".into(),
        3600 => "per hour".into(),
        86_400 => "per day".into(),
        604_800 => "per week".into(),
        other => format!("per {}", duration(u64::from(other) * 1000)),
    }
}

/// What may be spent, amounts as `tell` has them. Without a limit no money may be spent at all (protocol section 6).
pub fn spend(limit: Option<&SpendLimit>, tell: fn(Amount, Currency) -> String) -> String {
    let Some(limit) = limit else { return "no money".into() };
    let period = limit.period_seconds.map_or_else(|| "per period without length".into(), |s| per(s.get()));
    let each = limit.max_per_transaction.map(|amount| format!("{} at once", tell(amount, limit.currency)));
    let sum = limit.max_per_period.map(|amount| format!("{} {period}", tell(amount, limit.currency)));
    match (each, sum) {
        (None, None) => format!("{}, without an amount", limit.currency),
        (each, sum) => each.into_iter().chain(sum).collect::<Vec<_>>().join(", "),
    }
}

/// How often it may be called.
pub fn rate(limit: Option<&RateLimit>) -> String {
    limit.map_or_else(
        || "any number of calls".into(),
        |limit| {
            let calls = if limit.max_requests == 1 { "call" } else { "calls" };
            format!("{} {calls} {}", limit.max_requests, per(limit.period_seconds.get()))
        },
    )
}

/// Text of others, so that it cannot steer a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if is_safe(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// JSON, so that no text of others in it can: what it means stays the same.
pub fn clean_json(text: &str) -> String {
    // Written JSON has a newline between values only, and nothing that is not safe outside of strings.
    let escaped = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    text.chars().map(|c| if is_safe(c) || c == '\n' { c.to_string() } else { escaped(c) }).collect()
}

fn is_safe(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Capabilities as lines of a table, its head first.
pub fn table(capabilities: &[Capability]) -> Vec<String> {
    table_told(capabilities, ["TOOL", "SCOPE", "MONEY", "CALLS"], money)
}

/// The same with amounts as they stand in the certificate beside those that people know.
pub fn exact_table(capabilities: &[Capability]) -> Vec<String> {
    table_told(capabilities, ["TOOL", "SCOPE", "MONEY, AT MOST", "CALLS, AT MOST"], minor_units)
}

fn table_told(capabilities: &[Capability], head: [&str; 4], tell: fn(Amount, Currency) -> String) -> Vec<String> {
    let head = head.map(str::to_owned);
    let row = |c: &Capability| {
        let (tool, scope) = (clean(c.tool_uri.as_str()), clean(c.scope.as_str()));
        [tool, scope, spend(c.spend_limit.as_ref(), tell), rate(c.rate_limit.as_ref())]
    };
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(capabilities.iter().map(row)).collect();
    columns(&rows)
}

/// Rows as lines whose columns stand below each other.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::extension::{AsciiText, Text};
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    #[test]
    fn times() {
        for (millis, told) in [
            (0, "0 s"),
            (999, "0 s"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h"),
            (3_660_000, "1 h 1 min"),
            (3_601_000, "1 h"),
            (183_600_000, "2 d 3 h"),
        ] {
            assert_eq!(duration(millis), told);
        }
        for (text, read) in [("90s", 90), ("90", 90), ("5m", 300), ("5min", 300), ("1h", 3600), ("1d", 86_400)] {
            assert_eq!(seconds(text), Ok(read));
        }
        for text in ["", "h", "0", "0h", "-1h", "1w", "1.5h", "1h1", "99999999999", "4294967295d", "１h"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-02", 86_400_000),
            ("2026-07-01T09:30:00Z", 1_782_898_200_000),
            ("2026-07-01t09:30:00.5z", 1_782_898_200_500),
            ("2026-07-01T11:30:00.123999+02:00", 1_782_898_200_123),
            ("2026-07-01T04:00:00-05:30", 1_782_898_200_000),
        ] {
            assert_eq!(moment(text), Ok(UnixMillis::new(millis)), "{text}");
            assert!(moment(&text[1..]).is_err() && moment(&format!("{text}0")).is_err(), "{text}");
        }
        for text in [
            "",
            "now",
            "1782898200",
            "2026-13-01",
            "2026-07-01T09:30Z",
            "2026-07-01T09:30:00",
            "2026-07-01T09:30:00.Z",
            "2026-07-01T09:30:00+24:00",
            "2026-07-01T09:30:00+2:00",
            "2026-07-01T09:30:00+-2:00",
            "1970-01-01T00:00:00+00:01",
            "1969-12-31",
            "２026-07-01",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        for (minor, code, told) in [
            (5_000, "EUR", "50.00 EUR"),
            (7, "EUR", "0.07 EUR"),
            (500, "JPY", "500 JPY"),
            (1_005, "KWD", "1.005 KWD"),
            (10_001, "CLF", "1.0001 CLF"),
            (i64::MAX as u64, "USD", "92233720368547758.07 USD"),
        ] {
            assert_eq!(money(Amount::new(minor).unwrap(), Currency::new(code).unwrap()), told);
        }
    }

    #[test]
    fn limits() {
        let mut limit = SpendLimit {
            max_per_transaction: Some(Amount::new(5_000).unwrap()),
            max_per_period: Some(Amount::new(50_000).unwrap()),
            period_seconds: NonZeroU32::new(86_400),
            currency: Currency::new("EUR").unwrap(),
        };
        assert_eq!(spend(Some(&limit), money), "50.00 EUR at once, 500.00 EUR per day");
        assert_eq!(
            spend(Some(&limit), minor_units),
            "5000 minor units (50.00 EUR) at once, 50000 minor units (500.00 EUR) per day"
        );
        limit.max_per_period = None;
        assert_eq!(spend(Some(&limit), money), "50.00 EUR at once");
        limit.max_per_transaction = None;
        assert_eq!(spend(Some(&limit), money), "EUR, without an amount");
        assert_eq!(spend(None, money), "no money");
        let calls = |n, s| rate(Some(&RateLimit { max_requests: n, period_seconds: NonZeroU32::new(s).unwrap() }));
        assert_eq!((calls(6, 60), calls(1, 90)), ("6 calls per minute".into(), "1 call per 1 min 30 s".into()));
        assert_eq!(rate(None), "any number of calls");
    }

    #[test]
    fn tables_line_up() {
        let capability = |tool: &str, scope: &str| Capability {
            tool_uri: AsciiText::new(tool).unwrap(),
            scope: Text::new(scope).unwrap(),
            spend_limit: None,
            rate_limit: None,
        };
        assert_eq!(
            table(&[capability("https://a.example/orders", "é"), capability("x", "a\u{1b}[2J\u{202e}")]),
            [
                "TOOL                      SCOPE               MONEY     CALLS",
                "https://a.example/orders  é                   no money  any number of calls",
                "x                         a\\u{1b}[2J\\u{202e}  no money  any number of calls",
            ]
        );
    }

    #[test]
    fn json_means_the_same_when_it_is_clean() {
        let value = serde_json::json!({ "a\u{9b}": ["x\u{7f}\u{202e}\n\u{1b}[2J", "\u{1f600}é"] });
        let clean = clean_json(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&clean).unwrap(), value);
        assert!(clean.lines().all(|line| line.chars().all(is_safe)), "{clean}");
        assert!(clean.contains("\u{1f600}é") && clean.contains("\\u202e") && clean.contains("\\u009b"), "{clean}");
    }

    proptest! {
        #[test]
        fn a_moment_that_is_told_is_read(millis in 0..253_402_300_800_000_u64) {
            let told = UnixMillis::new(millis);
            prop_assert_eq!(moment(&told.to_string()), Ok(told));
        }

        #[test]
        fn nothing_read_or_told_panics(text in ".{0,30}", millis in any::<u64>()) {
            let _ = (seconds(&text), moment(&text), clean(&text), duration(millis));
        }
    }
}
