//! Times as people write them: 90s, 30m, 12h, 7d.

/// Seconds in `text`: a whole number with `s`, `m`, `h` or `d` behind it.
pub fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no time: write a whole number with s, m, h or d behind it, such as 30m");
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    count.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

/// Seconds in words, in the largest unit and the one below it.
pub fn in_words(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let units = [(d, "d"), (h, "h"), (m, "min"), (s, "s")];
    let first = units.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = units[first..].iter().take(2).filter(|(count, _)| *count > 0 || seconds == 0);
    shown.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_said() {
        for (text, expected) in [("90s", 90), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for wrong in ["", "h", "0s", "-1s", "1.5h", "10", "1w", "99999999d", "é"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        for (count, words) in [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_061, "1 d 1 h")] {
            assert_eq!(in_words(count), words);
        }
    }
}
