//! One watched name held against one view of another: what that comes to.

use super::align::align;
use super::common::is_common;
use super::finding::{Family, Trick};
use super::glyphs::light;
use super::hashes::{Kind, least_rotation};
use super::name::Parts;
use super::sound::sound;
use super::text::{Part, Text};
use super::watchlist::Watchlist;

/// What each letter that the two agree in speaks for: names are no random letters, of which one has 4.7 bits.
const LETTER: i32 = 45;

/// What it speaks for that the suffix too is there, in a place where it does not belong.
const SUFFIX_AGREES: i32 = 40;

/// What it speaks for on top where it does so with all its dots, in front of another's name.
const SUFFIX_WITH_DOTS: i32 = 10;

/// What a word says at most that anybody might use (`cloud`), where it is not the whole label.
const COMMON_WORD: i32 = 120;

/// What each further kind of trick takes on top: few names need several to look like somebody else.
const ANOTHER_KIND: i32 = 20;

/// What tricks take on top that do not go well together: looks are for who reads, slips for who types.
const MIXED_AIMS: i32 = 80;

/// What a slip takes on top beside a word that no hyphen sets apart: the two may be another word.
const SLIP_AND_JOINED_WORD: i32 = 80;

/// What an unlike letter takes on top beside another slip: of two names that differ so, each has its own meaning.
const UNLIKE_AND_SLIP: i32 = 80;

/// What an unlike letter takes on top in a name of few letters, of which most have an owner.
const UNLIKE_IN_SHORT: i32 = 20;

/// A name of so many letters has few.
const MOST_IN_SHORT: usize = 5;

/// What it takes on top that the name is a word that everybody knows, and had not to be made from another.
const WORD_OF_ITS_OWN: i32 = 150;

/// What two slips take on top under another suffix.
const SLIPS_AND_SUFFIX: i32 = 60;

/// What a word around the name takes on top under another suffix.
const WORD_AND_SUFFIX: i32 = 20;

/// What each word around a name takes after the first.
const ANOTHER_WORD: i32 = 25;

/// What each hyphen takes after the first.
const ANOTHER_HYPHEN: i32 = 10;

/// From so many letters on a name is known by its sound, or by its parts in another order.
const LEAST_AS_A_WHOLE: usize = 4;

/// A stretch of a name in the light of one way to refer to another.
#[derive(Clone, Copy)]
pub(super) struct View<'t> {
    /// The stretch.
    pub(super) part: Part<'t>,
    /// What is needed to see it so.
    pub(super) tricks: &'t [Trick],
    /// Whether the suffix stands behind it, so that it may be the same or another one.
    pub(super) has_suffix: bool,
    /// Whether hyphens set it apart from what is around it.
    pub(super) is_apart: bool,
}

impl<'t> View<'t> {
    /// A whole text, without a suffix.
    pub(super) fn alone(text: &'t Text) -> Self {
        Self { part: text.whole(), tricks: &[], has_suffix: false, is_apart: true }
    }
}

/// A watched name, and a view of the one that may imitate it.
pub(super) struct Case<'c> {
    pub(super) list: &'c Watchlist,
    /// By what the watched name was found.
    pub(super) kind: Kind,
    pub(super) watched: Parts<'c>,
    /// The text of the watched name that is referred to.
    pub(super) text: &'c Text,
    /// The same without the suffix, as it is written.
    pub(super) referred: &'c str,
    /// The whole name that may imitate it.
    pub(super) name: Parts<'c>,
    pub(super) view: View<'c>,
}

/// A change of the text, and what it takes.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) trick: Trick,
    pub(super) bits: i32,
    /// Which signs of the watched text it is about.
    pub(super) watched: (usize, usize),
    /// Which signs of the other.
    pub(super) seen: (usize, usize),
}

/// What a case comes to, in tenths of a bit.
pub(super) struct Outcome {
    /// What is left.
    pub(super) bits: i32,
    /// What the agreement speaks for.
    pub(super) gain: i32,
    /// What was done to the text.
    pub(super) changes: Vec<Change>,
    /// What is around it, and takes what. What speaks for the likeness is negative.
    pub(super) around: Vec<(Trick, i32)>,
    /// What these take on top, being together.
    pub(super) together: i32,
    /// What it takes on top that such a name may well be somebody's own, and why.
    pub(super) of_its_own: Option<(i32, &'static str)>,
}

impl Outcome {
    /// Everything that was done.
    pub(super) fn tricks(&self) -> impl Iterator<Item = Trick> {
        self.changes.iter().map(|change| change.trick).chain(self.around.iter().map(|(trick, _)| *trick))
    }
}

impl Case<'_> {
    /// What it comes to, if to `floor` or more.
    pub(super) fn weigh(&self, floor: i32) -> Option<Outcome> {
        let (gain, around) = (self.gain(), self.around());
        let left = gain - around.iter().map(|(_, bits)| bits).sum::<i32>();
        if left < floor {
            return None;
        }
        let changes = self.changes(left - floor)?;
        let mut outcome = Outcome { bits: left, gain, changes, around, together: 0, of_its_own: None };
        let tricks: Vec<Trick> = outcome.tricks().collect();
        outcome.together = self.together(&tricks);
        outcome.of_its_own = self.of_its_own(&tricks);
        outcome.bits -= outcome.of_its_own.map_or(0, |(bits, _)| bits);
        outcome.bits -= outcome.together + outcome.changes.iter().map(|change| change.bits).sum::<i32>();
        (outcome.bits >= floor).then_some(outcome)
    }

    /// What agreement in the watched text speaks for.
    fn gain(&self) -> i32 {
        let letters = self.referred.bytes().filter(|octet| octet.is_ascii_alphanumeric()).count();
        let letters = if self.kind == Kind::Full { letters } else { self.text.whole().signs.len() };
        let gain = LETTER.saturating_mul(i32::try_from(letters).unwrap_or(i32::MAX));
        let is_common = || self.list.words.has(&self.referred.bytes().map(light).collect::<Vec<_>>());
        let gain = if self.view.tricks.is_empty() || !is_common() { gain } else { gain.min(COMMON_WORD) };
        if self.kind != Kind::Full {
            return gain;
        }
        // A single letter is a label too often to say anything.
        let is_in_front = letters > 1 && self.view.tricks.contains(&Trick::InFront);
        gain + SUFFIX_AGREES + if is_in_front { SUFFIX_WITH_DOTS + rarity(self.watched.suffix()) } else { 0 }
    }

    /// What is around the text.
    fn around(&self) -> Vec<(Trick, i32)> {
        let mut around: Vec<(Trick, i32)> = self.view.tricks.iter().map(|trick| (*trick, trick.bits())).collect();
        let words = around.iter_mut().filter(|(trick, _)| *trick == Trick::Word);
        words.skip(1).for_each(|(_, bits)| *bits = ANOTHER_WORD);
        if !self.view.has_suffix {
            return around;
        }
        if self.watched.suffix() != self.name.suffix() {
            around.push((Trick::Suffix, Trick::Suffix.bits()));
        } else if rarity(self.name.suffix()) > 0 {
            around.push((Trick::SameSuffix, -rarity(self.name.suffix())));
        }
        let subdomain = self.watched.subdomain();
        if !subdomain.is_empty() && subdomain != self.name.subdomain() && self.kind != Kind::Host {
            around.push((Trick::NoSubdomain, Trick::NoSubdomain.bits()));
        }
        around
    }

    /// How the text was changed: as a whole where it was found by that, or else letter by letter. `None` where it
    /// takes more than `limit`, or was not changed so.
    fn changes(&self, limit: i32) -> Option<Vec<Change>> {
        let (watched, seen) = (self.text.whole(), self.view.part);
        if matches!(self.kind, Kind::Sound | Kind::Turned) {
            let trick = self.changed_as_a_whole().filter(|trick| trick.bits() <= limit)?;
            let (watched, seen) = ((0, watched.signs.len()), (0, seen.signs.len()));
            return Some(vec![Change { trick, bits: trick.bits(), watched, seen }]);
        }
        let way = align(watched, seen, limit)?;
        let edits = way.edits.iter().zip(way.costs());
        let changes =
            edits.map(|(edit, bits)| Change { trick: edit.trick, bits, watched: edit.watched, seen: edit.seen });
        Some(changes.chain(self.hyphens()).collect())
    }

    fn changed_as_a_whole(&self) -> Option<Trick> {
        let (watched, seen) = (self.text.whole().bases(), self.view.part.bases());
        let turned = |bases: &[u8]| least_rotation(&bases.iter().copied().map(light).collect::<Vec<_>>());
        let (same, trick) = match self.kind {
            Kind::Sound => (sound(&watched) == sound(&seen), Trick::SoundsAlike),
            _ => (turned(&watched) == turned(&seen), Trick::Turned),
        };
        (same && watched.len() >= LEAST_AS_A_WHOLE).then_some(trick)
    }

    /// Hyphens that the two do not have in the same places.
    fn hyphens(&self) -> Option<Change> {
        let (watched, seen) = (self.text.whole(), self.view.part);
        let (few, many) = (watched.hyphens().count_ones(), seen.hyphens().count_ones());
        // Where letters were put in or left out, those behind them are in other places too. And where a whole name
        // is drawn together, hyphens are its dots.
        let moved = few == many && watched.signs.len() != seen.signs.len();
        if watched.hyphens() == seen.hyphens() || moved || self.kind == Kind::Full {
            return None;
        }
        let more = i32::try_from(few.abs_diff(many)).unwrap_or(0).saturating_sub(1).max(0);
        let bits = Trick::Hyphen.bits() + ANOTHER_HYPHEN * more;
        Some(Change { trick: Trick::Hyphen, bits, watched: (0, watched.signs.len()), seen: (0, seen.signs.len()) })
    }

    /// What several tricks take together, on top of what each takes.
    fn together(&self, tricks: &[Trick]) -> i32 {
        // The very name, as it is read, set apart from a word beside it, is what it is under whichever suffix.
        let is_plain = |trick: &Trick| {
            use Trick::{Foreign, Glyph, NoSubdomain, SameSuffix, Suffix, Word};
            matches!(trick, Word | Glyph | Foreign | Suffix | SameSuffix | NoSubdomain)
        };
        if self.view.is_apart && self.view.part.signs.len() >= LEAST_AS_A_WHOLE && tricks.iter().all(is_plain) {
            return 0;
        }
        let count = |family: Family| tricks.iter().filter(|trick| trick.family() == family).count();
        let has = |family: Family| count(family) > 0;
        let kinds = [Family::Look, Family::Typing, Family::Around, Family::Dots, Family::Suffix];
        let kinds = kinds.into_iter().filter(|kind| has(*kind)).count();
        let looks = tricks.iter().any(|trick| matches!(trick, Trick::Glyph | Trick::Shape));
        let unlike = tricks.iter().any(|trick| matches!(trick, Trick::Replacement | Trick::Addition | Trick::Bit));
        let rules = [
            (looks && has(Family::Typing), MIXED_AIMS),
            (has(Family::Typing) && has(Family::Around) && !self.view.is_apart, SLIP_AND_JOINED_WORD),
            (count(Family::Typing) > 1 && unlike, UNLIKE_AND_SLIP),
            (count(Family::Typing) > 1 && has(Family::Suffix), SLIPS_AND_SUFFIX),
            (has(Family::Around) && has(Family::Suffix), WORD_AND_SUFFIX),
        ];
        let rules: i32 = rules.iter().filter(|(applies, _)| *applies).map(|(_, bits)| bits).sum();
        rules + ANOTHER_KIND * i32::try_from(kinds.saturating_sub(1)).unwrap_or(0)
    }
}

impl Case<'_> {
    /// What it takes on top that such a name may well be somebody's own.
    fn of_its_own(&self, tricks: &[Trick]) -> Option<(i32, &'static str)> {
        let is_slip = |trick: &Trick| trick.family() == Family::Typing || *trick == Trick::Shape;
        if tricks.iter().any(is_slip) && self.is_word_of_its_own() {
            return Some((WORD_OF_ITS_OWN, "a word of everyday language, which need not come of another"));
        }
        let is_unlike = tricks.contains(&Trick::Replacement) && self.text.len() <= MOST_IN_SHORT;
        is_unlike.then_some((UNLIKE_IN_SHORT, "of names that short, most have an owner"))
    }

    /// Whether the whole label is a word of everyday language, and no other form of the watched one.
    fn is_word_of_its_own(&self) -> bool {
        let seen: String = self.view.part.signs.iter().map(|sign| sign.seen).collect();
        matches!(self.kind, Kind::Label | Kind::Sound) && self.view.tricks.is_empty() && is_common(&seen, self.referred)
    }
}

/// What agreement in a suffix speaks for, beyond `com`, under which about every other name is: the more, the fewer
/// names have it.
fn rarity(suffix: &str) -> i32 {
    match suffix {
        "com" => 0,
        "cn" | "de" | "net" => 35,
        "co.uk" | "org" => 40,
        _ => 50,
    }
}
