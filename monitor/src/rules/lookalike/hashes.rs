//! Hashes of a text, of its stretches, and of what is left when one or two of its letters are deleted.
//!
//! Two texts between which lie a few edits have a common rest after a few deletions from each: a replacement is
//! one deletion on both sides, a transposition too, an omission is one on one side. So a text is looked up under
//! all its rests, and found by whoever shares one.

use super::text::MAX_SIGNS;

/// Odd, without a pattern in its bits.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// Powers of [`BASE`].
static POWERS: [u64; MAX_SIGNS + 1] = {
    let mut powers = [1; MAX_SIGNS + 1];
    let mut n = 0;
    while n < MAX_SIGNS {
        powers[n + 1] = u64::wrapping_mul(powers[n], BASE);
        n += 1;
    }
    powers
};

/// Up to this length a text is known by its rests after two deletions as well: beyond it they are too many to
/// keep, and two slips in so long a name mostly share a shape or a sound.
const MOST_FOR_TWO: usize = 16;

/// From this length on two slips leave enough to be told from chance.
const LEAST_FOR_TWO: usize = 7;

/// What kind of text a key is of, so that the kinds do not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A label, in light letters.
    Label = 1,
    /// All before the suffix in a row, in light letters.
    Host,
    /// Label and suffix, or a whole name, in a row.
    Full,
    /// The shape of a label.
    Shape,
    /// The sound of a label.
    Sound,
    /// A label turned until its least rotation.
    Turned,
    /// What one registers.
    Registrable,
}

/// A text that is ready to be hashed in parts.
pub(super) struct Hashes {
    len: usize,
    /// Of the first n letters.
    heads: [u64; MAX_SIGNS + 1],
}

impl Hashes {
    /// Of this text, or of its first [`MAX_SIGNS`] letters.
    pub(super) fn new(text: &[u8]) -> Self {
        let mut heads = [0; MAX_SIGNS + 1];
        let (mut hash, mut len) = (0_u64, 0);
        for (letter, slot) in text.iter().zip(heads.iter_mut().skip(1)) {
            hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(*letter) + 1);
            *slot = hash;
            len += 1;
        }
        Self { len, heads }
    }

    fn head(&self, n: usize) -> u64 {
        self.heads.get(n).copied().unwrap_or_default()
    }

    /// The hash of the letters from `start` up to `end`.
    fn stretch(&self, start: usize, end: usize) -> u64 {
        let power = POWERS.get(end.saturating_sub(start)).copied().unwrap_or_default();
        self.head(end).wrapping_sub(self.head(start).wrapping_mul(power))
    }

    /// The key of the letters from `start` up to `end`.
    pub(super) fn key_of(&self, kind: Kind, start: usize, end: usize) -> u64 {
        key(kind, self.stretch(start, end), end.saturating_sub(start))
    }

    /// The key of the letters from `start` up to `end`, and of their rests after up to `most` deletions.
    pub(super) fn rests(&self, kind: Kind, (start, end): (usize, usize), most: usize, found: &mut impl FnMut(u64)) {
        let end = end.min(self.len);
        let Some(len) = end.checked_sub(start) else { return };
        found(self.key_of(kind, start, end));
        if most == 0 || len < 2 {
            return;
        }
        let join = |hash: u64, from: usize, to: usize| {
            let power = POWERS.get(to.saturating_sub(from)).copied().unwrap_or_default();
            hash.wrapping_mul(power).wrapping_add(self.stretch(from, to))
        };
        for first in start..end {
            let before = self.stretch(start, first);
            found(key(kind, join(before, first + 1, end), len - 1));
            if most < 2 || len < 3 {
                continue;
            }
            for second in first + 1..end {
                let between = join(before, first + 1, second);
                found(key(kind, join(between, second + 1, end), len - 2));
            }
        }
    }
}

/// How many deletions a watched text of this length is kept under.
pub(super) const fn kept_deletions(len: usize) -> usize {
    match len {
        0..=2 => 0,
        LEAST_FOR_TWO..=MOST_FOR_TWO => 2,
        _ => 1,
    }
}

/// How many deletions a text of this length is looked up under.
pub(super) const fn asked_deletions(len: usize) -> usize {
    match len {
        0..=1 => 0,
        // What it was made from may be two letters shorter.
        n if n >= LEAST_FOR_TWO && n <= MOST_FOR_TWO + 2 => 2,
        _ => 1,
    }
}

/// The key of a whole text, however long.
pub(super) fn key_of_all(kind: Kind, text: &[u8]) -> u64 {
    let hash = text.iter().fold(0_u64, |hash, letter| hash.wrapping_mul(BASE).wrapping_add(u64::from(*letter) + 1));
    key(kind, hash, text.len())
}

/// Kind and length stirred in, and every bit of the hash spread over all bits of the key.
const fn key(kind: Kind, hash: u64, len: usize) -> u64 {
    let mut key = hash ^ (kind as u64) << 56 ^ (len as u64) << 40;
    key = (key ^ key >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    key = (key ^ key >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    key ^ key >> 32
}

/// The rotation of a text that comes first in the alphabet: the same for all its rotations.
pub(super) fn least_rotation(text: &[u8]) -> Vec<u8> {
    let turned = |n: usize| text.iter().cycle().skip(n).take(text.len());
    let least = (0..text.len()).min_by(|a, b| turned(*a).cmp(turned(*b))).unwrap_or(0);
    turned(least).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn rests(text: &[u8], most: usize) -> HashSet<u64> {
        let mut found = HashSet::new();
        Hashes::new(text).rests(Kind::Label, (0, text.len()), most, &mut |key| {
            found.insert(key);
        });
        found
    }

    /// The same by deleting letters one by one.
    fn slowly(text: &[u8], most: usize) -> HashSet<u64> {
        let mut found = HashSet::from([key_of_all(Kind::Label, text)]);
        if most > 0 && text.len() > 1 {
            for n in 0..text.len() {
                found.extend(slowly(&[&text[..n], &text[n + 1..]].concat(), most - 1));
            }
        }
        found
    }

    proptest! {
        #[test]
        fn rests_are_those_of_deleting_by_hand(text in "[a-c]{0,9}", most in 0_usize..3) {
            prop_assert_eq!(rests(text.as_bytes(), most), slowly(text.as_bytes(), most));
        }

        #[test]
        fn a_stretch_has_the_key_that_it_has_alone(parts in ["[a-z]{0,20}", "[a-z]{0,20}", "[a-z]{0,20}"]) {
            let (text, start) = (parts.concat(), parts[0].len());
            let alone = key_of_all(Kind::Label, parts[1].as_bytes());
            let hashes = Hashes::new(text.as_bytes());
            prop_assert_eq!(hashes.key_of(Kind::Label, start, start + parts[1].len()), alone);
        }

        #[test]
        fn rotations_have_one_least(text in "[a-c]{0,9}", n in 0_usize..9) {
            let turned = [&text[n.min(text.len())..], &text[..n.min(text.len())]].concat();
            prop_assert_eq!(least_rotation(text.as_bytes()), least_rotation(turned.as_bytes()));
        }

        #[test]
        fn nothing_is_too_long(text in "[a-z]{0,90}", start in 0_usize..99, end in 0_usize..99, most in 0_usize..3) {
            let hashes = Hashes::new(text.as_bytes());
            let mut count = 0;
            hashes.rests(Kind::Host, (start, end), most, &mut |_| count += 1);
            prop_assert!(count <= 1 + MAX_SIGNS + MAX_SIGNS * (MAX_SIGNS - 1) / 2);
            let _ = hashes.key_of(Kind::Host, start, end);
        }
    }

    #[test]
    fn kinds_do_not_meet() {
        let keys = [Kind::Label, Kind::Host, Kind::Full, Kind::Shape, Kind::Sound, Kind::Turned, Kind::Registrable];
        let keys: HashSet<_> = keys.iter().map(|kind| key_of_all(*kind, b"paypal")).collect();
        assert_eq!(keys.len(), 7);
    }
}
