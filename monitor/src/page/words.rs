//! Times and numbers for people.

use atl::time::UnixMillis;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A span of so many milliseconds in its largest whole unit: `4 min`.
pub fn span(millis: u64) -> String {
    let (count, unit) = match millis {
        0..MINUTE => (millis / SECOND, "s"),
        MINUTE..HOUR => (millis / MINUTE, "min"),
        HOUR..DAY => (millis / HOUR, "h"),
        _ => (millis / DAY, if millis < 2 * DAY { "day" } else { "days" }),
    };
    format!("{count} {unit}")
}

/// How long ago `at` is: `4 min ago`; `in 4 min` where it is yet to come.
pub fn ago(at: UnixMillis, now: UnixMillis) -> String {
    match (now.since(at), at.since(now)) {
        (0, 0..SECOND) | (1..SECOND, _) => "just now".into(),
        (0, ahead) => format!("in {}", span(ahead)),
        (past, _) => format!("{} ago", span(past)),
    }
}

/// The first digits of something in hex or base64, to tell it apart at a glance.
pub fn short(text: &str) -> String {
    text.chars().take(12).chain(text.chars().nth(12).map(|_| '…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_largest_unit() {
        let now = UnixMillis::new(10 * DAY);
        let cases = [
            (0, "just now"),
            (999, "just now"),
            (1000, "1 s ago"),
            (59_999, "59 s ago"),
            (MINUTE, "1 min ago"),
            (HOUR - 1, "59 min ago"),
            (5 * HOUR, "5 h ago"),
            (DAY, "1 day ago"),
            (3 * DAY, "3 days ago"),
        ];
        for (millis, words) in cases {
            assert_eq!(ago(now.saturating_sub(millis), now), words);
        }
        assert_eq!(ago(now.saturating_add(500), now), "just now");
        assert_eq!(ago(now.saturating_add(2 * MINUTE), now), "in 2 min");
    }

    #[test]
    fn long_hashes_are_cut() {
        assert_eq!((short("abc"), short("0123456789ab")), ("abc".into(), "0123456789ab".into()));
        assert_eq!(short("0123456789abc"), "0123456789ab…");
    }
}
