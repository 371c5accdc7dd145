//! What was found, and why it is thought so.

use std::fmt;

use serde::Serialize;

use super::score::{Bits, Score};

/// One thing that was done to a name to get the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Trick {
    /// A character beyond ASCII that looks like the letter.
    Foreign,
    /// A character of ASCII that differs from the letter only to who looks closely: `0` for `o`, `rn` for `m`.
    Glyph,
    /// A letter of like shape: `c` for `e`, `nn` for `m`.
    Shape,
    /// Hyphens put in, left out or moved.
    Hyphen,
    /// Two neighbouring letters in the other order.
    Transposition,
    /// A letter doubled, or a doubled one single.
    Repetition,
    /// A letter left out.
    Omission,
    /// A letter put in that lies beside its neighbour on a keyboard.
    Insertion,
    /// A letter put behind it.
    Appended,
    /// Any other letter put in.
    Addition,
    /// The key beside the right one.
    Key,
    /// Another vowel.
    Vowel,
    /// A letter that is said alike.
    Sound,
    /// One bit of the letter flipped.
    Bit,
    /// Any other letter in its place.
    Replacement,
    /// Spelled otherwise, and said alike.
    SoundsAlike,
    /// Its end put in front.
    Turned,
    /// Another public suffix.
    Suffix,
    /// A word put before or behind it that makes it look like a part of an estate.
    Word,
    /// The name as a word of its own, between hyphens, among others.
    AmongWords,
    /// The name somewhere inside other text.
    Inside,
    /// A dot put in, left out or moved.
    Dot,
    /// The dots of the whole name, suffix and all, left out or made hyphens.
    Flat,
    /// The dot before the suffix moved into the name: `open.ai`.
    Hack,
    /// The whole name, suffix and all, in front of another's.
    InFront,
    /// The name as a label of another's subdomain.
    Label,
    /// The same, and before it or around it words that make it look real.
    LabelAmongWords,
    /// The same, and a suffix follows it as a label.
    LabelWithSuffix,
    /// The same public suffix, which is none: it speaks for the likeness.
    SameSuffix,
    /// The watched name's subdomain is missing.
    NoSubdomain,
}

/// Tricks of one kind, of which each further one says less than one of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// For the eye.
    Look,
    /// For who mistypes or mishears.
    Typing,
    /// What is around it.
    Around,
    /// Where dots are.
    Dots,
    /// What comes behind it.
    Suffix,
    /// Hardly one.
    None,
}

impl Trick {
    /// What it takes from the evidence, in tenths of a bit: about how many such names there are (a logarithm), and
    /// how often names are so by chance.
    pub(super) const fn bits(self) -> i32 {
        match self {
            Self::Foreign => 15,
            Self::Glyph | Self::Hyphen | Self::Dot => 30,
            Self::Suffix => 20,
            Self::Word => 35,
            Self::Shape | Self::Repetition | Self::Flat | Self::InFront => 40,
            Self::Sound => 45,
            Self::Transposition | Self::Vowel => 50,
            Self::Omission | Self::Insertion | Self::Key | Self::Hack | Self::LabelAmongWords => 60,
            Self::Bit => 70,
            Self::Appended => 75,
            Self::Turned => 100,
            Self::SoundsAlike => 120,
            Self::Addition => 85,
            Self::Replacement => 110,
            Self::AmongWords => 140,
            Self::LabelWithSuffix => 50,
            Self::Label => 150,
            Self::Inside => 270,
            Self::NoSubdomain => 10,
            Self::SameSuffix => 0,
        }
    }

    pub(super) const fn family(self) -> Family {
        match self {
            Self::Foreign | Self::Glyph | Self::Shape | Self::Hyphen => Family::Look,
            Self::Transposition
            | Self::Repetition
            | Self::Omission
            | Self::Insertion
            | Self::Appended
            | Self::Addition
            | Self::Key
            | Self::Vowel
            | Self::Sound
            | Self::Bit
            | Self::Replacement
            | Self::SoundsAlike
            | Self::Turned => Family::Typing,
            Self::Word | Self::AmongWords | Self::Inside => Family::Around,
            Self::Dot | Self::Flat | Self::Hack | Self::InFront => Family::Dots,
            Self::Label | Self::LabelAmongWords | Self::LabelWithSuffix => Family::Dots,
            Self::Suffix => Family::Suffix,
            Self::NoSubdomain | Self::SameSuffix => Family::None,
        }
    }

    const fn class(self) -> Class {
        match self {
            Self::Foreign | Self::Glyph | Self::Shape => Class::Homoglyph,
            Self::Hyphen => Class::Hyphenation,
            Self::Transposition => Class::Transposition,
            Self::Repetition => Class::Repetition,
            Self::Omission => Class::Omission,
            Self::Insertion | Self::Appended | Self::Addition => Class::Insertion,
            Self::Key | Self::Replacement => Class::Replacement,
            Self::Vowel => Class::VowelSwap,
            Self::Bit => Class::Bitsquatting,
            Self::Sound | Self::SoundsAlike => Class::SoundAlike,
            Self::Turned => Class::WordSwap,
            Self::Word | Self::AmongWords | Self::Inside => Class::Combosquat,
            Self::Dot | Self::Hack => Class::DotShift,
            Self::Flat => Class::SuffixInLabel,
            Self::InFront | Self::Label | Self::LabelAmongWords | Self::LabelWithSuffix => Class::BrandSubdomain,
            Self::Suffix | Self::SameSuffix | Self::NoSubdomain => Class::TldSwap,
        }
    }
}

/// What kind of look-alike it is; where several tricks were played, by the one that shows most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Class {
    /// The name as a label in front of another's name.
    BrandSubdomain,
    /// The name with its suffix inside of one label.
    SuffixInLabel,
    /// A dot put in, left out or moved.
    DotShift,
    /// The name among other words.
    Combosquat,
    /// Its parts in another order.
    WordSwap,
    /// Letters exchanged for what looks like them.
    Homoglyph,
    /// Spelled otherwise, and said alike.
    SoundAlike,
    /// Two letters in the other order.
    Transposition,
    /// Another vowel.
    VowelSwap,
    /// A letter doubled.
    Repetition,
    /// A letter left out.
    Omission,
    /// A letter put in.
    Insertion,
    /// A letter exchanged for another, mostly its neighbour on a keyboard.
    Replacement,
    /// A bit flipped.
    Bitsquatting,
    /// Hyphens put in, left out or moved.
    Hyphenation,
    /// The same under another public suffix.
    TldSwap,
}

impl Class {
    /// That of these tricks.
    pub(super) fn of(tricks: impl Iterator<Item = Trick>) -> Self {
        tricks.map(Trick::class).min().unwrap_or(Self::TldSwap)
    }

    /// Its name in JSON and in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BrandSubdomain => "brand-subdomain",
            Self::SuffixInLabel => "suffix-in-label",
            Self::DotShift => "dot-shift",
            Self::Combosquat => "combosquat",
            Self::WordSwap => "word-swap",
            Self::Homoglyph => "homoglyph",
            Self::SoundAlike => "sound-alike",
            Self::Transposition => "transposition",
            Self::VowelSwap => "vowel-swap",
            Self::Repetition => "repetition",
            Self::Omission => "omission",
            Self::Insertion => "insertion",
            Self::Replacement => "replacement",
            Self::Bitsquatting => "bitsquatting",
            Self::Hyphenation => "hyphenation",
            Self::TldSwap => "tld-swap",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step of the explanation: what agrees, or what was done, and what that does to the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done; `None` for what agrees.
    pub trick: Option<Trick>,
    /// Positive for what agrees, negative for what was done.
    pub bits: Bits,
    /// The step in words, as a clause without an end: `"o" is "0"`.
    pub words: String,
}

/// A name that looks made to be taken for a watched one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The watched domain.
    pub watched: String,
    /// What kind of look-alike it is.
    pub class: Class,
    /// What the steps come to.
    pub bits: Bits,
    /// How the score comes about; the sum of the steps is `bits`.
    pub steps: Vec<Step>,
}

impl Finding {
    /// The score of the evidence that is left.
    pub fn score(&self) -> Score {
        self.bits.into()
    }
}
