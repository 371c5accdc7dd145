//! A finding in words.

use super::case::{Case, Change, Outcome};
use super::finding::{Class, Finding, Step, Trick};
use super::score::Bits;

impl Case<'_> {
    /// The finding that it comes to, step by step.
    pub(super) fn finding(&self, outcome: &Outcome) -> Finding {
        let step = |trick, tenths, words| Step { trick, bits: Bits::tenths(tenths), words };
        let (text, seen) = (self.text.whole(), self.view.part);
        let letters = text.signs.len();
        let held = format!("\"{}\" is held against \"{}\", of {letters} letters", seen.shown(), text.shown());
        let mut steps = vec![step(None, outcome.gain, held)];
        steps.extend(outcome.changes.iter().map(|change| step(Some(change.trick), -change.bits, self.changed(change))));
        steps.extend(outcome.around.iter().map(|(trick, bits)| step(Some(*trick), -bits, self.placed(*trick))));
        if outcome.together > 0 {
            steps.push(step(
                None,
                -outcome.together,
                "tricks of several kinds, which are seldom played together".into(),
            ));
        }
        steps.extend(outcome.of_its_own.map(|(bits, why)| step(None, -bits, why.into())));
        Finding {
            watched: self.watched.text.to_owned(),
            class: Class::of(outcome.tricks()),
            bits: Bits::tenths(outcome.bits),
            steps,
        }
    }

    /// A change of the text.
    fn changed(&self, change: &Change) -> String {
        let was = self.text.whole().slice(change.watched.0, change.watched.1);
        let is = self.view.part.slice(change.seen.0, change.seen.1);
        let (was_hyphens, is_hyphens) = (was.hyphens().count_ones(), is.hyphens().count_ones());
        let (was, is) = (was.shown(), is.shown());
        match change.trick {
            Trick::Foreign => format!("\"{is}\", which is not ASCII, for \"{was}\""),
            Trick::Glyph => format!("\"{is}\", which hardly differs, for \"{was}\""),
            Trick::Shape => format!("\"{is}\", which looks like it, for \"{was}\""),
            Trick::Transposition => format!("\"{was}\" turned to \"{is}\""),
            Trick::Repetition if is.is_empty() => format!("a doubled \"{was}\" made single"),
            Trick::Repetition => format!("\"{is}\" doubled"),
            Trick::Omission => format!("\"{was}\" left out"),
            Trick::Insertion => format!("\"{is}\" put in, whose key is beside that of its neighbour"),
            Trick::Appended => format!("\"{is}\" put behind it"),
            Trick::Addition => format!("\"{is}\" put in"),
            Trick::Key => format!("\"{is}\", the key beside it, for \"{was}\""),
            Trick::Vowel => format!("the vowel \"{is}\" for \"{was}\""),
            Trick::Sound => format!("\"{is}\", which is said alike, for \"{was}\""),
            Trick::Bit => format!("\"{is}\", one bit away, for \"{was}\""),
            Trick::Turned => format!("\"{is}\" has the end of \"{was}\" in front"),
            Trick::SoundsAlike => format!("\"{is}\" is said like \"{was}\""),
            Trick::Hyphen if is_hyphens > was_hyphens => format!("hyphens put in: \"{is}\""),
            Trick::Hyphen if is_hyphens < was_hyphens => format!("hyphens left out: \"{is}\""),
            Trick::Hyphen => format!("hyphens in other places: \"{is}\""),
            _ => format!("\"{is}\" for \"{was}\""),
        }
    }

    /// What is around the text.
    fn placed(&self, trick: Trick) -> String {
        let (name, registrable) = (self.name.text, self.name.registrable());
        match trick {
            Trick::Word => format!("a word that pretends to belong, in \"{name}\""),
            Trick::AmongWords => format!("between hyphens, among other words, in \"{name}\""),
            Trick::Inside => format!("inside of other text, in \"{name}\""),
            Trick::Dot => format!("a dot put in, left out or moved, in \"{name}\""),
            Trick::Flat => format!("the suffix drawn into the label, in \"{name}\""),
            Trick::Hack => format!("its end is the suffix of \"{name}\""),
            Trick::InFront => format!("the whole name in front of \"{registrable}\""),
            Trick::Label => format!("a label in front of \"{registrable}\""),
            Trick::LabelAmongWords => format!("a label in front of \"{registrable}\", which pretends too"),
            Trick::LabelWithSuffix => format!("a label, followed by a suffix, in front of \"{registrable}\""),
            Trick::SameSuffix => {
                format!("the same suffix, \"{}\", which is not as common as \"com\"", self.name.suffix())
            }
            Trick::NoSubdomain => format!("without the subdomain \"{}\"", self.watched.subdomain()),
            _ => format!("the suffix \"{}\" for \"{}\"", self.name.suffix(), self.watched.suffix()),
        }
    }
}
