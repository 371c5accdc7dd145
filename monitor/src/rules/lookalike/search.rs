//! The ways in which a name may refer to a watched one: how it is looked at, and who is found by that.

use super::case::{Case, View};
use super::finding::{Finding, Trick};
use super::glyphs::{light, shape};
use super::hashes::{Hashes, Kind, asked_deletions, key_of_all, least_rotation};
use super::name::Parts;
use super::score::Score;
use super::sound::sound;
use super::text::Text;
use super::watchlist::Watchlist;

/// From so many letters on a stretch between hyphens, or without, is looked up.
const LEAST_AMONG_WORDS: usize = 4;
const LEAST_INSIDE: usize = 8;

/// From so many letters on a name may have a slip in it where it is not the whole label.
const LEAST_WITH_SLIP: usize = 5;

/// Longest stretch that is looked up inside of a label.
const MOST_INSIDE: usize = 32;

/// Labels of a subdomain, from its start, that are looked at, and how many in a row.
const MOST_LABELS: usize = 8;
const MOST_IN_A_ROW: usize = 5;

/// Looks for the watched domain that one name imitates best.
pub(super) struct Search<'a> {
    list: &'a Watchlist,
    name: Parts<'a>,
    /// What a finding must have.
    floor: i32,
    best: Option<Finding>,
    ids: Vec<u32>,
}

impl<'a> Search<'a> {
    pub(super) fn new(list: &'a Watchlist, name: Parts<'a>, least: Score) -> Self {
        let least = i32::from(least.get());
        // The fewest bits that have this score.
        let floor = if least >= 100 { i32::MAX } else { (100 * least + 99 - least) / (100 - least) };
        Self { list, name, floor: floor.max(1), best: None, ids: Vec::new() }
    }

    pub(super) fn run(mut self) -> Option<Finding> {
        let label = Text::of(std::iter::once(self.name.label()));
        if !label.is_cut() {
            self.look_at_label(&label);
        }
        if !self.name.subdomain().is_empty() {
            self.look_at_host();
            self.look_at_subdomain();
        }
        self.look_at_whole();
        self.best
    }

    /// The label before the suffix: is it the watched one, changed?
    fn look_at_label(&mut self, text: &Text) {
        let letters = text.light();
        let (hashes, whole) = (Hashes::new(&letters), (0, letters.len()));
        let view = View { has_suffix: true, ..View::alone(text) };
        hashes.rests(Kind::Label, whole, asked_deletions(letters.len()), &mut |key| self.note(key));
        self.note(key_of_all(Kind::Shape, &shape(&letters)));
        self.weigh(Kind::Label, view);
        self.note(key_of_all(Kind::Sound, &sound(&view.part.bases())));
        self.weigh(Kind::Sound, view);
        self.note(key_of_all(Kind::Turned, &least_rotation(&letters)));
        self.weigh(Kind::Turned, view);
        hashes.rests(Kind::Host, whole, asked_deletions(letters.len()).min(1), &mut |key| self.note(key));
        self.weigh(Kind::Host, View { tricks: &[Trick::Dot], ..view });
        self.note(key_of_all(Kind::Full, &letters));
        self.weigh(Kind::Full, View { tricks: &[Trick::Flat], has_suffix: false, ..view });
        self.look_among_words(view, &hashes, &letters, &[]);
        self.look_inside(view, &hashes, letters.len());
    }

    /// What is left of a text without the words at its edges.
    fn look_among_words(&mut self, view: View<'_>, hashes: &Hashes, letters: &[u8], tricks: &[Trick]) {
        for core in self.list.words.cores(letters, view.part) {
            let (start, end) = (core.start, core.end);
            let mut around = vec![Trick::Word; core.words.into()];
            around.extend_from_slice(tricks);
            let is_apart = view.part.is_boundary(start) && view.part.is_boundary(end);
            let inner = View { part: view.part.slice(start, end), tricks: &around, is_apart, ..view };
            let most = usize::from(end - start >= LEAST_WITH_SLIP);
            hashes.rests(Kind::Label, (start, end), most, &mut |key| self.note(key));
            self.note(key_of_all(Kind::Shape, &shape(letters.get(start..end).unwrap_or_default())));
            self.weigh(Kind::Label, inner);
            self.note(hashes.key_of(Kind::Full, start, end));
            let flat = [&around[..], &[Trick::Flat]].concat();
            self.weigh(Kind::Full, View { tricks: &flat, has_suffix: false, ..inner });
        }
    }

    /// Each stretch of a label: is it the whole watched one, among text that says nothing?
    fn look_inside(&mut self, view: View<'_>, hashes: &Hashes, len: usize) {
        for start in 0..len {
            for end in start + LEAST_AMONG_WORDS..=len.min(start + MOST_INSIDE) {
                let is_word = view.part.is_boundary(start) && view.part.is_boundary(end);
                if end - start == len || !(is_word || end - start >= LEAST_INSIDE) {
                    continue;
                }
                self.note(hashes.key_of(Kind::Label, start, end));
                if !self.ids.is_empty() {
                    let trick = if is_word { Trick::AmongWords } else { Trick::Inside };
                    self.weigh(Kind::Label, View { part: view.part.slice(start, end), tricks: &[trick], ..view });
                }
            }
        }
    }

    /// All before the suffix as if it had no dots: `pay.pal.com`.
    fn look_at_host(&mut self) {
        let text = Text::of(self.name.host().split('.'));
        if text.is_cut() {
            return;
        }
        let letters = text.light();
        let hashes = Hashes::new(&letters);
        let view = View { tricks: &[Trick::Dot], has_suffix: true, ..View::alone(&text) };
        for kind in [Kind::Label, Kind::Host] {
            hashes.rests(kind, (0, letters.len()), asked_deletions(letters.len()).min(1), &mut |key| self.note(key));
            self.weigh(kind, view);
        }
    }

    /// Labels in front of another's name: `paypal.com.secure.example`.
    fn look_at_subdomain(&mut self) {
        let labels: Vec<&str> = self.name.text.split('.').collect();
        // What reaches into the suffix is in front of nobody: that is another suffix, and seen as such.
        let before = self.name.host().split('.').count();
        for start in 0..before.min(MOST_LABELS) {
            for end in start + 1..=before.min(start + MOST_IN_A_ROW) {
                let row = labels.get(start..end).unwrap_or_default();
                self.look_at_row(Text::of(row.iter().copied()));
                // Of `bank.com-login.net` the row ends within a label.
                if let Some((last, others)) = row.split_last()
                    && let Some(suffix) = suffix_in_front(last)
                {
                    self.look_at_row(Text::of(others.iter().copied().chain([suffix])));
                }
            }
        }
        let (own, is_lure) = (self.name.subdomain().split('.').count(), self.is_lure());
        for (n, label) in labels.iter().enumerate().take(own.min(MOST_LABELS)) {
            let next = labels.get(n + 1).copied().unwrap_or_default();
            // Any word that is a suffix too (`my`, `app`) may begin a label; these begin it for the eye.
            let in_front = suffix_in_front(next).is_some_and(|suffix| matches!(suffix, "com" | "net" | "org" | "co"));
            let is_followed = n + 1 < own && is_suffix(next) || in_front;
            let trick = match (is_followed, is_lure) {
                (true, _) => Trick::LabelWithSuffix,
                (_, true) => Trick::LabelAmongWords,
                _ => Trick::Label,
            };
            self.look_at_label_in_front(&Text::of(std::iter::once(*label)), trick);
        }
    }

    /// Labels in a row: are they a whole watched name, suffix and all?
    fn look_at_row(&mut self, text: Text) {
        if !text.is_cut() {
            self.note(key_of_all(Kind::Full, &text.light()));
            self.weigh(Kind::Full, View { tricks: &[Trick::InFront], ..View::alone(&text) });
        }
    }

    fn look_at_label_in_front(&mut self, text: &Text, trick: Trick) {
        if text.is_cut() {
            return;
        }
        let letters = text.light();
        let hashes = Hashes::new(&letters);
        let view = View { tricks: &[trick], ..View::alone(text) };
        let most = usize::from(letters.len() >= LEAST_WITH_SLIP);
        hashes.rests(Kind::Label, (0, letters.len()), most, &mut |key| self.note(key));
        self.note(key_of_all(Kind::Shape, &shape(&letters)));
        self.weigh(Kind::Label, view);
        self.look_among_words(view, &hashes, &letters, &[trick]);
    }

    /// Whether what was registered is made of words that make it look real.
    fn is_lure(&self) -> bool {
        let label = self.name.label();
        let is_word = |part: &str| self.list.words.make_up(&part.bytes().map(light).collect::<Vec<_>>());
        label.split('-').any(is_word)
    }

    /// The whole name without its dots: `open.ai`, `bankco.uk`.
    fn look_at_whole(&mut self) {
        let text = Text::of(self.name.text.split('.'));
        if text.is_cut() {
            return;
        }
        let letters = text.light();
        let view = View { tricks: &[Trick::Hack], ..View::alone(&text) };
        self.note(key_of_all(Kind::Label, &letters));
        self.weigh(Kind::Label, view);
        self.note(key_of_all(Kind::Full, &letters));
        self.weigh(Kind::Full, View { tricks: &[Trick::Dot], ..view });
    }

    /// Takes note of who has this key.
    fn note(&mut self, key: u64) {
        self.ids.extend(self.list.ids(key));
    }

    /// Weighs the watched domains of whom note was taken against one view of the name, and forgets them.
    fn weigh(&mut self, kind: Kind, view: View<'_>) {
        if self.ids.is_empty() {
            return;
        }
        let mut ids = std::mem::take(&mut self.ids);
        ids.sort_unstable();
        ids.dedup();
        for id in ids.drain(..) {
            self.weigh_one(kind, view, id);
        }
        self.ids = ids;
    }

    fn weigh_one(&mut self, kind: Kind, view: View<'_>, id: u32) {
        let (list, name, watched) = (self.list, self.name, self.list.name(id));
        let mut settle = |text: &Text, referred: &str, watched: Parts<'_>| {
            self.settle(&Case { list, kind, watched, text, referred, name, view });
        };
        match kind {
            // With the dots where they are, nothing was done to them.
            Kind::Full if view.tricks == [Trick::Dot] && has_same_dots(watched.text, name.text) => (),
            Kind::Host if watched.subdomain() == name.subdomain() || has_same_dots(watched.host(), name.host()) => (),
            Kind::Full => {
                // All of it, or what was registered.
                let both = [(watched.text, watched.host()), (watched.registrable(), watched.label())];
                let texts = both.map(|(name, host)| (Text::of(name.split('.')), host));
                if let Some((text, host)) = texts.iter().find(|(text, _)| text.whole().is_light_as(view.part)) {
                    settle(text, host, watched);
                }
            }
            Kind::Host => settle(&Text::of(watched.host().split('.')), watched.host(), watched),
            _ => {
                let member = list.with_subdomain(id, name.subdomain());
                settle(&Text::of(std::iter::once(watched.label())), watched.label(), member);
            }
        }
    }

    /// Works out what a case comes to, and keeps it if it is the best so far.
    fn settle(&mut self, case: &Case<'_>) {
        let floor = self.best.as_ref().map_or(self.floor, |best| best.bits.get() + 1);
        if let Some(outcome) = case.weigh(floor) {
            self.best = Some(case.finding(&outcome));
        }
    }
}

/// Whether two names, of which one may have look-alikes of the other's letters, have their dots in the same places.
fn has_same_dots(one: &str, other: &str) -> bool {
    let lengths = |name: &str| name.split('.').map(|label| Text::of(std::iter::once(label)).len()).collect::<Vec<_>>();
    lengths(one) == lengths(other)
}

/// The public suffix with which a label begins that goes on behind a hyphen: `com` of `com-login`.
fn suffix_in_front(label: &str) -> Option<&str> {
    label.split_once('-').map(|(suffix, _)| suffix).filter(|suffix| is_suffix(suffix))
}

/// Whether a label alone is a public suffix that exists.
fn is_suffix(label: &str) -> bool {
    psl::suffix(label.as_bytes()).is_some_and(|suffix| suffix.is_known())
}
