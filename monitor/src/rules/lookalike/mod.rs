//! Names made to be taken for a watched trust domain (draft 11.2.7, T7: a monitor should alert on new trust domains
//! that are typographically similar to those it watches).
//!
//! A [`Watchlist`] holds the watched domains and judges one [`Name`] after the other. Of each it says which watched
//! domain it imitates best, by which tricks, and with what [`Score`]; or that it is nobody's look-alike.
//!
//! # How a score comes about
//!
//! Of two names that are near each other, the question is whether they are so by chance. So evidence is counted in
//! bits, and a bit is what halves the odds of chance ([`Bits`], kept in tenths):
//!
//! 1. **Agreement speaks for the likeness**: 4.5 bits for each letter of the watched label, whole as it is. A label
//!    of three letters so begins with 13.5 bits and one of ten with 45, which is why next to nothing of short names
//!    may be changed, and more of long ones. The suffix adds up to 5 bits if it is the same, none for `com`, under
//!    which every other name is. A word that anybody might use (`cloud`) says no more than 12 bits where it is not
//!    the whole label.
//! 2. **Each [`Trick`] takes from it**, the more the more such names there are and the more often names are so by
//!    chance: 1.5 for a Cyrillic letter that looks the same, 3 for `0` for `o` or a hyphen, 3.5 for `login` behind
//!    the name, 6 for the key beside the right one, 11 for any other letter. To exchange one letter or all for what
//!    looks like them is one idea: further ones take less. Slips are not: a second takes 12 more, or 7 where both
//!    leave the sound, 8 on top where one puts an unlike letter, and a third takes 20.
//! 3. **Tricks of several kinds** take on top, 2 for each further kind, and more where they do not go together: a
//!    look-alike letter is for who reads, a slip for who types, and a name with both is more likely another name.
//!    And a slip that makes a word of everyday language takes 15, for `cooking` was not made from `booking`.
//! 4. With `b` bits left **the score is `100 b / (b + 10)`**: 50 at ten bits, which is where an alert begins
//!    ([`Score::ALERT`]), 40 at 6.7, where a digest does ([`Score::DIGEST`]).
//!
//! Of all ways to get from one name to the other that are found, the one with the most bits left counts. Every step
//! is in the [`Finding`], and the steps add up to its bits. The numbers are in `finding.rs` (what a trick takes) and
//! `case.rs` (all else); they were set by hand, from how many names each trick can make, and held against the data
//! in `tests/data/lookalike`.
//!
//! # What is looked at
//!
//! The public suffix list says which label is the registrant's. A-labels are read as the characters that they stand
//! for, those as the letters of ASCII that they look like (UTS #39, and a table of what passes at a glance). The
//! label is held against watched labels changed letter by letter, by shape (`rn` for `m`), by sound, with its parts
//! turned; then what is left of it without [words](`Trick::Word`) and numbers that pretend to belong, and each stretch;
//! then the whole name with its dots elsewhere, and the labels in front of it.
//!
//! Who is near is found without looking at the others: each watched label is indexed under itself and under all
//! that is left when one or two of its letters are deleted (one if it is longer than 16), and a name is looked up
//! under the same of its own. Texts that are an edit or two apart have a rest in common; what was found is then
//! compared exactly, so the index decides nothing.
//!
//! # What is not seen
//!
//! More than two slips; two slips in names of more than 16 letters, unless shape or sound remain; names of the same
//! meaning (`agent-identity` for `agentpass`); a watched name among other text where it is shorter than eight letters
//! and no hyphen sets it apart (that is chance too often); and of a name in several words, one of them exchanged.

mod align;
mod case;
mod common;
mod explain;
mod finding;
mod glyphs;
mod hashes;
mod keyboard;
mod name;
mod postings;
mod score;
mod search;
mod sound;
mod text;
mod watchlist;
mod words;

pub use self::finding::{Class, Finding, Step, Trick};
pub use self::name::{Name, OpenSuffixError};
pub use self::score::{Bits, Score};
pub use self::watchlist::{Verdict, Watchlist, WatchlistError};

#[cfg(test)]
mod tests;
