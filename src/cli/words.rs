//! Times, money and limits in words.

use crate::apki::capabilities::{Amount, Capability, Currency, RateLimit, SpendLimit};

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

/// What may be spent. Without a limit no money may be spent at all (protocol section 6).
pub fn spend(limit: Option<&SpendLimit>) -> String {
    let Some(limit) = limit else { return "no money".into() };
    let period = limit.period_seconds.map_or_else(|| "per period without length".into(), |s| per(s.get()));
    let each = limit.max_per_transaction.map(|amount| format!("{} at once", money(amount, limit.currency)));
    let sum = limit.max_per_period.map(|amount| format!("{} {period}", money(amount, limit.currency)));
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
    let is_safe = |c: char| {
        !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_safe(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// Capabilities as lines of a table, its head first.
pub fn table(capabilities: &[Capability]) -> Vec<String> {
    let head = ["TOOL", "SCOPE", "MONEY", "CALLS"].map(str::to_owned);
    let row = |c: &Capability| {
        let (tool, scope) = (clean(c.tool_uri.as_str()), clean(c.scope.as_str()));
        [tool, scope, spend(c.spend_limit.as_ref()), rate(c.rate_limit.as_ref())]
    };
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(capabilities.iter().map(row)).collect();
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 4]| {
        let [tool, scope, money, calls] = row;
        let [a, b, c] = widths;
        format!("{tool:a$}  {scope:b$}  {money:c$}  {calls}")
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
        assert_eq!(spend(Some(&limit)), "50.00 EUR at once, 500.00 EUR per day");
        limit.max_per_period = None;
        assert_eq!(spend(Some(&limit)), "50.00 EUR at once");
        limit.max_per_transaction = None;
        assert_eq!(spend(Some(&limit)), "EUR, without an amount");
        assert_eq!(spend(None), "no money");
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

    proptest! {
        #[test]
        fn nothing_read_or_told_panics(text in ".{0,12}", millis in any::<u64>()) {
            let _ = (seconds(&text), clean(&text), duration(millis));
        }
    }
}
