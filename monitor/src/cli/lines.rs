//! Files with a domain name a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::output::CliError;
use crate::rules::lookalike::{Name, OpenSuffixError};

/// Octets of a line that are looked at. A name has 253 at most, in Unicode some more.
const MAX_LINE: usize = 2048;

/// What a line holds.
#[derive(Debug)]
pub enum Line {
    /// A domain name.
    Name(Name),
    /// Nothing, or a comment.
    Empty,
    /// Something else, and why that is no name.
    NoName(String),
}

impl Line {
    /// Reads a line. Written otherwise than in an agent URI a name is taken too: in capitals, with a dot at its
    /// end, with characters beyond ASCII, with `*.` in front, as certificates have them.
    pub fn read(line: &[u8]) -> Self {
        let Ok(text) = str::from_utf8(line) else { return Self::NoName("it is not UTF-8".into()) };
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Self::Empty;
        }
        let plain = text.strip_prefix("*.").unwrap_or(text);
        let plain = plain.strip_suffix('.').unwrap_or(plain);
        let name = match plain.is_ascii() {
            true => Name::parse(&plain.to_ascii_lowercase()).map_err(|e| e.to_string()),
            false => idna::domain_to_ascii(plain)
                .map_err(|_| format!("{plain:?} is no name in Unicode either (UTS #46)"))
                .and_then(|ascii| Name::parse(&ascii).map_err(|e| e.to_string())),
        };
        name.map_or_else(Self::NoName, Self::Name)
    }
}

/// Lines of a file or of another stream, one at a time and none longer in memory than it may be.
pub struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
}

impl Lines<Box<dyn BufRead>> {
    /// Those of a file, or with `-` of the standard input.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let reader: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(path).map_err(|e| CliError::new(format!("{}: {e}", path.display())))?;
            Box::new(BufReader::with_capacity(1 << 16, file))
        };
        Ok(Self::new(reader))
    }
}

impl<R: BufRead> Lines<R> {
    /// Those of this reader.
    pub const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0 }
    }

    /// The number of the line that was read last, from 1 on.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The next line, without its end; `None` behind the last one.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let most = MAX_LINE as u64 + 1;
        if self.reader.by_ref().take(most).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() != Some(&b'\n') && self.line.len() > MAX_LINE {
            // The rest is of no use, and need not be in memory at once.
            self.reader.skip_until(b'\n')?;
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        Ok(Some(&self.line))
    }
}

/// All names of a file that must hold nothing else.
pub fn names(path: &Path) -> Result<Vec<Name>, CliError> {
    names_that(path, |_| Ok(()))
}

/// The same, each of which is to be watched.
pub fn names_to_watch(path: &Path) -> Result<Vec<Name>, CliError> {
    names_that(path, Name::check_watchable)
}

fn names_that(path: &Path, check: impl Fn(&Name) -> Result<(), OpenSuffixError>) -> Result<Vec<Name>, CliError> {
    let mut lines = Lines::open(path)?;
    let mut names = Vec::new();
    loop {
        let number = lines.number() + 1;
        let at = |what: &dyn std::fmt::Display| CliError::new(format!("{}, line {number}: {what}", path.display()));
        match lines.next().map_err(|e| at(&e))?.map(Line::read) {
            None => return Ok(names),
            Some(Line::Name(name)) => {
                check(&name).map_err(|e| at(&e))?;
                names.push(name);
            }
            Some(Line::Empty) => (),
            Some(Line::NoName(why)) => return Err(at(&why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Option<String> {
        match Line::read(line.as_bytes()) {
            Line::Name(name) => Some(name.as_str().to_owned()),
            _ => None,
        }
    }

    #[test]
    fn takes_a_name_as_it_is_written() {
        for (line, name) in [
            ("bank.example", "bank.example"),
            (" Bank.Example.\r", "bank.example"),
            ("*.bank.example", "bank.example"),
            ("bänk.example", "xn--bnk-qla.example"),
        ] {
            assert_eq!(read(line).as_deref(), Some(name), "{line}");
        }
        assert!(["", "  ", "# mine"].iter().all(|line| matches!(Line::read(line.as_bytes()), Line::Empty)));
        for line in ["example", "a b.example", "bank..example", "*.*.example", "bank.example..", "https://bank.example"]
        {
            assert!(matches!(Line::read(line.as_bytes()), Line::NoName(_)), "{line}");
        }
        assert!(matches!(Line::read(b"b\xffnk.example"), Line::NoName(_)));
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let text = [&[b'a'; 10_000][..], b"\nbank.example\n\nlast.example"].concat();
        let mut lines = Lines::new(&text[..]);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            assert!(line.len() <= MAX_LINE + 1);
            found.push(matches!(Line::read(line), Line::Name(_)));
        }
        assert_eq!((found, lines.number()), (vec![false, true, false, true], 4));
    }

    #[test]
    fn a_line_that_just_fits_does_not_take_the_next_one_with_it() {
        let line = [&[b'a'; MAX_LINE][..], b"\nbank.example\n"].concat();
        let mut lines = Lines::new(&line[..]);
        assert_eq!(lines.next().unwrap().map(<[u8]>::len), Some(MAX_LINE));
        assert_eq!(lines.next().unwrap(), Some(&b"bank.example"[..]));
    }

    proptest! {
        #[test]
        fn no_octets_are_too_strange(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Line::read(&line);
        }

        #[test]
        fn no_text_is_too_strange(line in ".{0,300}") {
            let _ = Line::read(line.as_bytes());
        }
    }
}
