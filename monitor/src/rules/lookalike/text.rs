//! A label as its reader sees it.

use super::glyphs::{light, looks_like};

/// Signs that a text may have; a longer one is compared as a whole only, and not sign by sign.
pub(super) const MAX_SIGNS: usize = 64;

/// What stands for a character that looks like no letter of ASCII. The character itself is compared beside it.
pub(super) const NO_LETTER: u8 = b'?';

/// One character of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    /// The character that is there.
    pub(super) seen: char,
    /// The letter or digit of ASCII that it looks like.
    pub(super) base: u8,
}

/// The characters of one label or of several in a row, without hyphens, and where hyphens were.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    signs: Vec<Sign>,
    /// Bit n: a hyphen stood before sign n.
    hyphens: u64,
    /// It had more than [`MAX_SIGNS`].
    is_cut: bool,
}

impl Text {
    /// The text of these labels in a row, A-labels as the characters that they stand for.
    pub(super) fn of<'a>(labels: impl Iterator<Item = &'a str>) -> Self {
        let mut text = Self::default();
        for label in labels {
            text.push_label(label);
        }
        text
    }

    fn push_label(&mut self, label: &str) {
        match label.strip_prefix("xn--").and_then(idna::punycode::decode_to_string) {
            Some(decoded) => decoded.chars().for_each(|c| self.push(c)),
            None => label.chars().for_each(|c| self.push(c)),
        }
    }

    fn push(&mut self, seen: char) {
        if seen == '-' {
            self.hyphens |= u32::try_from(self.signs.len()).ok().and_then(|n| 1_u64.checked_shl(n)).unwrap_or(0);
        } else if seen.is_ascii() {
            self.push_sign(Sign { seen, base: seen.to_ascii_lowercase() as u8 });
        } else {
            let looks = looks_like(seen);
            looks.bytes().for_each(|base| self.push_sign(Sign { seen, base }));
            if looks.is_empty() {
                self.push_sign(Sign { seen, base: NO_LETTER });
            }
        }
    }

    fn push_sign(&mut self, sign: Sign) {
        if self.signs.len() < MAX_SIGNS {
            self.signs.push(sign);
        } else {
            self.is_cut = true;
        }
    }

    /// All of it.
    pub(super) fn whole(&self) -> Part<'_> {
        Part { signs: &self.signs, hyphens: self.hyphens }
    }

    /// How many signs it has.
    pub(super) const fn len(&self) -> usize {
        self.signs.len()
    }

    /// Whether it has more signs than are kept, so that its end is not known.
    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The letters under which it is looked up.
    pub(super) fn light(&self) -> Vec<u8> {
        self.signs.iter().map(|sign| light(sign.base)).collect()
    }
}

/// A stretch of a [`Text`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// Its characters, without hyphens.
    pub(super) signs: &'a [Sign],
    /// Bit n: a hyphen stood before sign n. Bit 0 means nothing here.
    hyphens: u64,
}

impl<'a> Part<'a> {
    /// The signs from `start` up to `end`; nothing where it does not reach that far.
    pub(super) fn slice(&self, start: usize, end: usize) -> Self {
        let signs = self.signs.get(start..end).unwrap_or_default();
        let hyphens = u32::try_from(start).ok().and_then(|n| self.hyphens.checked_shr(n)).unwrap_or(0);
        Self { signs, hyphens }
    }

    /// Where hyphens are inside of it, as bits.
    pub(super) fn hyphens(&self) -> u64 {
        let inside = u32::try_from(self.signs.len()).ok().and_then(|n| 1_u64.checked_shl(n)).unwrap_or(0);
        self.hyphens & inside.wrapping_sub(1) & !1
    }

    /// Whether a word may begin or end before sign `n`: at a hyphen, and at either end.
    pub(super) fn is_boundary(&self, n: usize) -> bool {
        n == 0 || n >= self.signs.len() || u32::try_from(n).is_ok_and(|n| self.hyphens >> (n & 63) & 1 == 1)
    }

    /// The letters of ASCII that it looks like.
    pub(super) fn bases(&self) -> Vec<u8> {
        self.signs.iter().map(|sign| sign.base).collect()
    }

    /// Whether the two are looked up under the same letters.
    pub(super) fn is_light_as(&self, other: Self) -> bool {
        self.signs.iter().map(|sign| light(sign.base)).eq(other.signs.iter().map(|sign| light(sign.base)))
    }

    /// How it reads, with its hyphens.
    pub(super) fn shown(&self) -> String {
        let mut shown = String::with_capacity(self.signs.len());
        for (n, sign) in self.signs.iter().enumerate() {
            if n > 0 && self.is_boundary(n) {
                shown.push('-');
            }
            // Of a ligature, which is several signs, one.
            let again = n.checked_sub(1).and_then(|n| self.signs.get(n)).is_some_and(|before| before.seen == sign.seen);
            if sign.seen.is_ascii() || !again {
                shown.push(sign.seen);
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(label: &str) -> Text {
        Text::of(label.split('.'))
    }

    fn bases(text: &Text) -> String {
        String::from_utf8(text.whole().bases()).unwrap()
    }

    #[test]
    fn reads_labels() {
        for (label, read) in [
            ("paypal", "paypal"),
            ("pay-pal", "paypal"),
            ("xn--80aa0cbo65f", "paypal"),
            ("xn--fiqs8s", "??"),
            ("xn--nordjllands-e9a", "nordjaellands"),
            ("an.thropic", "anthropic"),
            // No punycode: it is what it is.
            ("xn--999999999", "xn999999999"),
        ] {
            assert_eq!(bases(&text(label)), read, "{label}");
        }
        assert_eq!(text("xn--80aa0cbo65f").whole().shown(), "раураӏ");
        assert_eq!(text("deutsche-bank").whole().shown(), "deutsche-bank");
    }

    #[test]
    fn knows_where_hyphens_were() {
        let text = text("my-deutsche-bank");
        assert_eq!(text.whole().hyphens(), 1 << 2 | 1 << 10);
        let part = text.whole().slice(2, 14);
        assert_eq!((part.hyphens(), part.shown().as_str()), (1 << 8, "deutsche-bank"));
        assert!(part.is_boundary(0) && part.is_boundary(8) && part.is_boundary(12) && !part.is_boundary(7));
        assert!(text.whole().slice(3, 99).signs.is_empty());
    }

    proptest! {
        #[test]
        fn no_label_is_too_strange(label in ".{0,80}", start in 0_usize..99, end in 0_usize..99) {
            let text = Text::of([label.as_str(), "xn--", &label].into_iter());
            prop_assert!(text.whole().signs.len() <= MAX_SIGNS);
            let part = text.whole().slice(start, end);
            let _ = (part.shown(), part.hyphens(), part.is_boundary(start), text.light());
        }
    }
}
