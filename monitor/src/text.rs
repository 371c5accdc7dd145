//! Text for people: what others wrote, so that it can be shown.

/// Text of others, so that it cannot steer a terminal.
pub fn clean(text: &str) -> String {
    let is_safe = |c: char| {
        !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_safe(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// The same, cut to at most `most` characters, and said to be cut.
pub fn excerpt(text: &str, most: usize) -> String {
    let cleaned = clean(text.trim());
    match cleaned.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &cleaned[..end]),
        None => cleaned,
    }
}

/// `text` in lines of at most `width` characters where its words allow, each behind `indent`; cleaned.
pub fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut used = width;
    for word in text.split_whitespace().map(clean) {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if used + 1 + length <= width => {
                line.push(' ');
                line.push_str(&word);
                used += 1 + length;
            }
            _ => {
                lines.push(format!("{indent}{word}"));
                used = indent.chars().count() + length;
            }
        }
    }
    lines.join("\n")
}

/// A number with its thousands set apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn text_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[2J\u{202e}é"), "a\\u{1b}[2J\\u{202e}é");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!((excerpt(" ab\n", 3), excerpt("äöü\u{7}", 2)), ("ab".to_owned(), "äö...".to_owned()));
    }

    #[test]
    fn words_are_wrapped_and_never_cut() {
        assert_eq!(wrap("one two  three fourteen", 9, "  "), "  one two\n  three\n  fourteen");
        assert_eq!(wrap(" ", 9, "  "), "");
    }
}
