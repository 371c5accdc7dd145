//! What a client asked the proxy for: a request target (RFC 9112 section 3.2.1), read so that no proxy, gateway
//! and backend can take it for different things.
//!
//! A path that two programs may normalise to two paths is refused, not guessed at: `.` and `..`, empty segments,
//! `;`, escapes of what may stand as it is or would be a `/`, a `\`, a `%`, a `;` or a control, and escapes that are no
//! UTF-8.

use thiserror::Error;

/// Octets of a target that are looked at.
const MAX_TARGET: usize = 8 << 10;

/// Why a target is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not a path with a query, or too much of it.
    #[error("the request target is not a path of at most {MAX_TARGET} octets that begins with `/`")]
    NotAPath,
    /// A character that stands in no path.
    #[error("the path has the character U+{0:04X}, which a path may only have escaped, or not at all")]
    Character(u32),
    /// An escape of something that must not hide.
    #[error(
        "the path has an escape that is none, or not UTF-8, or that stands for `/`, `\\`, `%`, `;`, a control, or for what \
         needs no escape"
    )]
    Escape,
    /// A segment that is not one.
    #[error("the path has an empty segment, or one that is `.` or `..`")]
    Segment,
}

/// A path and its query, as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads a target.
    ///
    /// # Errors
    /// [`TargetError`]
    pub fn parse(text: &'a str) -> Result<Self, TargetError> {
        if text.len() > MAX_TARGET || !text.starts_with('/') {
            return Err(TargetError::NotAPath);
        }
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        check(path)?;
        Ok(Self { path, query })
    }

    /// The path, which means the same to everybody.
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// What stands behind the `?`, of which nothing is known.
    pub const fn query(&self) -> Option<&'a str> {
        self.query
    }
}

/// Checks that a path is in the one spelling that it has.
///
/// # Errors
/// [`TargetError`]
pub fn check(path: &str) -> Result<(), TargetError> {
    let behind = path.strip_prefix('/').ok_or(TargetError::NotAPath)?;
    if let Some(other) = path.chars().find(|c| !(allowed(*c) || matches!(c, '/' | '%'))) {
        return Err(TargetError::Character(other.into()));
    }
    let mut parts = path.split('%');
    parts.next();
    if !parts.all(|part| part.as_bytes().first_chunk::<2>().is_some_and(may_be_escaped)) || !is_utf8(path) {
        return Err(TargetError::Escape);
    }
    // A `/` at the end is no segment, and the root has none.
    let whole = behind.strip_suffix('/').unwrap_or(behind);
    if !behind.is_empty() && whole.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(TargetError::Segment);
    }
    Ok(())
}

/// What stands in a segment as it is (RFC 3986 section 3.3), but for `;`, behind which some programs see no path.
const fn allowed(c: char) -> bool {
    unreserved(c as u32) || matches!(c, '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | '=' | ':' | '@')
}

const fn unreserved(c: u32) -> bool {
    c < 128 && ((c as u8).is_ascii_alphanumeric() || matches!(c as u8, b'-' | b'.' | b'_' | b'~'))
}

/// Whether the octet of these hexadecimal digits may stand escaped.
fn may_be_escaped(digits: &[u8; 2]) -> bool {
    let mut octet = [0];
    hex::decode_to_slice(digits, &mut octet).is_ok()
        && !(allowed(char::from(octet[0]))
            || octet[0].is_ascii_control()
            || matches!(octet[0], b'/' | b'\\' | b'%' | b';'))
}

/// Whether the escapes of a path, which are escapes, make UTF-8: an octet that is none is a dot to some.
fn is_utf8(path: &str) -> bool {
    let mut octets = Vec::with_capacity(path.len());
    for (place, part) in path.split('%').enumerate() {
        let escaped = if place == 0 { None } else { part.get(..2) };
        octets.extend(escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()));
        octets.extend_from_slice(part.get(escaped.map_or(0, str::len)..).unwrap_or_default().as_bytes());
    }
    std::str::from_utf8(&octets).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_normal_passes() {
        for path in ["/", "/a", "/a/", "/a/b.c/d-e_f~g", "/a/%C3%A9%20x", "/...", "/a..b", "/a:b@c!$&'()*+,="] {
            let target = Target::parse(path).unwrap();
            assert_eq!((target.path(), target.query()), (path, None), "{path}");
            assert!(check(path).is_ok());
        }
        let target = Target::parse("/a?x=../%2e?y#").unwrap();
        assert_eq!((target.path(), target.query()), ("/a", Some("x=../%2e?y#")));
        assert_eq!(Target::parse("/?").unwrap().query(), Some(""));
    }

    #[test]
    fn what_two_programs_may_read_in_two_ways_is_refused() {
        use TargetError::{Character, Escape, NotAPath, Segment};
        let cases: [(&str, TargetError); 40] = [
            ("/a%3Adelete", Escape),
            ("/a%40", Escape),
            ("/a%2B", Escape),
            ("/a%3Bx=1", Escape),
            ("/a/%c3", Escape),
            ("/%c0%ae%c0%ae/b", Escape),
            ("", NotAPath),
            ("a", NotAPath),
            ("*", NotAPath),
            ("http://a/b", NotAPath),
            ("?/", NotAPath),
            ("//", Segment),
            ("//a", Segment),
            ("/a//b", Segment),
            ("/a//", Segment),
            ("/.", Segment),
            ("/..", Segment),
            ("/a/../b", Segment),
            ("/a/./b", Segment),
            ("/a/..", Segment),
            ("/a/../", Segment),
            ("/a/..;/b", Character(0x3b)),
            ("/a;x=1", Character(0x3b)),
            ("/a\\b", Character(0x5c)),
            ("/a b", Character(0x20)),
            ("/a#b", Character(0x23)),
            ("/a\"", Character(0x22)),
            ("/a\u{e9}", Character(0xe9)),
            ("/a\0", Character(0)),
            ("/a\r\n", Character(0x0d)),
            ("/%2e%2e/b", Escape),
            ("/%2E/b", Escape),
            ("/a%2fb", Escape),
            ("/a%5Cb", Escape),
            ("/a%00", Escape),
            ("/a%0d%0a", Escape),
            ("/a%252e", Escape),
            ("/%61", Escape),
            ("/a%2", Escape),
            ("/a%zz", Escape),
        ];
        for (text, error) in cases {
            assert_eq!(Target::parse(text), Err(error), "{text:?}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET));
        assert_eq!(Target::parse(&long), Err(NotAPath));
    }
}
