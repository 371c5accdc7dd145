//! The watched domains, so kept that those near a name are found without looking at the others.

use std::collections::HashSet;

use aho_corasick::BuildError;
use thiserror::Error;

use super::finding::Finding;
use super::glyphs::shape;
use super::hashes::{Hashes, Kind, kept_deletions, key_of_all, least_rotation};
use super::name::{Name, OpenSuffixError, Parts, is_public_suffix};
use super::postings::{MOST_IDS, Postings};
use super::score::Score;
use super::search::Search;
use super::sound::sound;
use super::text::Text;
use super::words::Words;

/// Why there is no watchlist.
#[derive(Debug, Error)]
pub enum WatchlistError {
    /// More domains than it takes.
    #[error("{0} watched domains are too many, {MOST_IDS} is the most: watch them in several runs")]
    TooMany(usize),
    /// A name that is nobody's.
    #[error(transparent)]
    OpenSuffix(#[from] OpenSuffixError),
    /// The words around names do not make an automaton.
    #[error("the automaton of words cannot be built: {0}")]
    Words(#[from] BuildError),
}

/// What a name is to the watched domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this watched domain, or below it, or registered together with it: its owner's.
    Watched(String),
    /// It is allowed by this entry.
    Allowed(String),
    /// It looks made to be taken for a watched domain.
    Lookalike(Finding),
    /// Nothing speaks against it, or not enough.
    Clear,
}

/// Watched domains, and those that are allowed to look like them.
pub struct Watchlist {
    pub(super) words: Words,
    names: Names,
    index: Postings,
    allowed: HashSet<String>,
}

impl Watchlist {
    /// Watches these domains. What is below one is its owner's, unless it is a public suffix (`github.io`), below
    /// which everybody else is. What is in `allowed`, and what is below it, is never reported: the owner's other
    /// domains, and those that are known and harmless.
    ///
    /// # Errors
    /// [`WatchlistError::TooMany`] above 2^20 domains, [`WatchlistError::OpenSuffix`] where one of them is a suffix
    /// below which a registry takes anybody.
    pub fn new(
        watched: impl IntoIterator<Item = Name>,
        allowed: impl IntoIterator<Item = Name>,
    ) -> Result<Self, WatchlistError> {
        let watched: Vec<Name> = watched.into_iter().collect();
        watched.iter().try_for_each(Name::check_watchable)?;
        let names = Names::new(watched);
        let too_many = || WatchlistError::TooMany(names.spans.len());
        let ids = u32::try_from(names.spans.len()).map_err(|_| too_many())?;
        let index = Postings::build(ids, |id, tell| keys(&names, id, tell)).ok_or_else(too_many)?;
        let allowed = allowed.into_iter().map(|name| name.as_str().to_owned()).collect();
        Ok(Self { words: Words::new()?, names, index, allowed })
    }

    /// How many different domains are watched.
    pub fn len(&self) -> usize {
        self.names.spans.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.names.spans.is_empty()
    }

    /// Says which watched domain a name imitates: the one with the highest score, if that is at least `least`
    /// and not zero.
    pub fn judge(&self, name: &Name, least: Score) -> Verdict {
        if let Some(by) = name.parts().with_those_above().find(|above| self.allowed.contains(*above)) {
            return Verdict::Allowed(by.to_owned());
        }
        // Below a suffix each registrant is another one. Those are few, and so looked at last.
        let is_own = |above: &str| above == name.as_str() || !is_public_suffix(above);
        let own = |above| self.own(above).filter(|_| is_own(above));
        if let Some(own) = name.parts().with_those_above().find_map(own) {
            return Verdict::Watched(own.to_owned());
        }
        Search::new(self, name.parts(), least).run().map_or(Verdict::Clear, Verdict::Lookalike)
    }

    /// A watched domain that was registered as this one.
    fn own(&self, registrable: &str) -> Option<&str> {
        let key = key_of_all(Kind::Registrable, registrable.as_bytes());
        let mut ids = self.index.get(key).map(|id| self.names.get(id));
        ids.find(|name| name.registrable() == registrable).map(|name| name.text)
    }

    /// Who has this key, and now and then somebody else.
    pub(super) fn ids(&self, key: u64) -> impl Iterator<Item = u32> {
        self.index.get(key)
    }

    /// A watched domain.
    pub(super) fn name(&self, id: u32) -> Parts<'_> {
        self.names.get(id)
    }

    /// Of the domains registered together with the one that stands for them, that with this subdomain, or else
    /// that one.
    pub(super) fn with_subdomain(&self, id: u32, subdomain: &str) -> Parts<'_> {
        self.names.with_subdomain(id, subdomain)
    }
}

/// Names in one piece of memory, sorted by what was registered, of those the shorter first.
struct Names {
    text: String,
    spans: Vec<Span>,
}

/// Where a name is in the text, and where in it label and suffix begin. No name has more than 253 octets.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u8,
    label: u8,
    suffix: u8,
    /// Whether another one follows that was registered together with it.
    has_more: bool,
}

impl Names {
    fn new(mut names: Vec<Name>) -> Self {
        fn order(name: &Name) -> (&str, usize, &str) {
            (name.registrable(), name.as_str().len(), name.as_str())
        }
        names.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        names.dedup();
        let mut kept = Self { text: String::new(), spans: Vec::with_capacity(names.len()) };
        for name in names {
            let (parts, octet) = (name.parts(), |n: usize| u8::try_from(n).unwrap_or(u8::MAX));
            let (label, suffix) = parts.places();
            // Where the text outgrows its addresses there are too many names anyway.
            let start = u32::try_from(kept.text.len()).unwrap_or(u32::MAX);
            kept.text.push_str(parts.text);
            let len = octet(parts.text.len());
            kept.spans.push(Span { start, len, label: octet(label), suffix: octet(suffix), has_more: false });
        }
        for id in 1..u32::try_from(kept.spans.len()).unwrap_or(0) {
            let has_more = !kept.is_first(id);
            if let Some(before) = kept.spans.get_mut(id as usize - 1) {
                before.has_more = has_more;
            }
        }
        kept.text.shrink_to_fit();
        kept
    }

    fn get(&self, id: u32) -> Parts<'_> {
        self.spans.get(id as usize).map_or(Parts::new("", (0, 0)), |span| self.at(span))
    }

    fn at(&self, span: &Span) -> Parts<'_> {
        let start = span.start as usize;
        let text = self.text.get(start..start + usize::from(span.len)).unwrap_or_default();
        Parts::new(text, (span.label.into(), span.suffix.into()))
    }

    /// Whether it stands for those that are registered together.
    fn is_first(&self, id: u32) -> bool {
        id.checked_sub(1).is_none_or(|before| self.get(before).registrable() != self.get(id).registrable())
    }

    fn with_subdomain(&self, id: u32, subdomain: &str) -> Parts<'_> {
        let first = self.get(id);
        let len = if subdomain.is_empty() { 0 } else { subdomain.len() + 1 } + first.registrable().len();
        let order = |name: Parts<'_>| {
            (name.registrable(), name.text.len(), name.subdomain()).cmp(&(first.registrable(), len, subdomain))
        };
        if !self.spans.get(id as usize).is_some_and(|span| span.has_more) {
            return first;
        }
        let found = self.spans.binary_search_by(|span| order(self.at(span)));
        found.ok().and_then(|id| u32::try_from(id).ok()).map_or(first, |id| self.get(id))
    }
}

/// Under which keys a watched domain is found.
fn keys(names: &Names, id: u32, tell: &mut dyn FnMut(u64)) {
    let name = names.get(id);
    if names.is_first(id) {
        tell(key_of_all(Kind::Registrable, name.registrable().as_bytes()));
        let text = Text::of(std::iter::once(name.label()));
        let light = text.light();
        Hashes::new(&light).rests(Kind::Label, (0, light.len()), kept_deletions(light.len()), &mut |key| tell(key));
        if !text.is_cut() {
            tell(key_of_all(Kind::Shape, &shape(&light)));
            tell(key_of_all(Kind::Sound, &sound(&text.whole().bases())));
            tell(key_of_all(Kind::Turned, &least_rotation(&light)));
        }
        tell(flat_key(name.registrable()));
    }
    if !name.subdomain().is_empty() {
        let light = Text::of(name.host().split('.')).light();
        Hashes::new(&light)
            .rests(Kind::Host, (0, light.len()), kept_deletions(light.len()).min(1), &mut |key| tell(key));
        tell(flat_key(name.text));
    }
}

/// The key of a whole name without its dots and hyphens.
fn flat_key(name: &str) -> u64 {
    key_of_all(Kind::Full, &Text::of(name.split('.')).light())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn names_are_kept_by_what_was_registered() {
        let texts = ["b.x.com", "a.y.com", "x.com", "a.x.com", "x.com", "x.org"];
        let names = Names::new(texts.map(name).into());
        let kept: Vec<_> = (0..5).map(|id| (names.get(id).text, names.is_first(id))).collect();
        assert_eq!(kept, [("x.com", true), ("a.x.com", false), ("b.x.com", false), ("x.org", true), ("a.y.com", true)]);
        assert_eq!(names.with_subdomain(0, "b").text, "b.x.com");
        assert_eq!(names.with_subdomain(0, "c").text, "x.com");
        assert_eq!(names.with_subdomain(4, "").text, "a.y.com");
        assert_eq!(names.get(99).text, "");
    }

    #[test]
    fn what_is_owned_or_allowed_is_not_judged() {
        let list = Watchlist::new(["bank.example.com", "github.io"].map(name), ["examp1e.com"].map(name)).unwrap();
        let judge = |text: &str| list.judge(&name(text), Score::ALERT);
        for own in ["bank.example.com", "a.bank.example.com", "example.com", "shop.example.com"] {
            assert_eq!(judge(own), Verdict::Watched("bank.example.com".into()), "{own}");
        }
        // Below a suffix everybody is.
        assert_eq!(judge("github.io"), Verdict::Watched("github.io".into()));
        assert_eq!(judge("mybank.github.io"), Verdict::Clear);
        for allowed in ["examp1e.com", "bank.examp1e.com"] {
            assert_eq!(judge(allowed), Verdict::Allowed("examp1e.com".into()));
        }
        assert!(matches!(judge("bank.exampIe.com".to_lowercase().as_str()), Verdict::Lookalike(_)));
        assert_eq!(judge("unrelated.org"), Verdict::Clear);
        assert_eq!((list.len(), list.is_empty()), (2, false));
    }

    #[test]
    fn a_watched_suffix_hides_nothing_below_it() {
        let list = Watchlist::new(["github.com", "github.io", "nhs.uk"].map(name), []).unwrap();
        for candidate in ["github-login.github.io", "github.nhs.uk", "github-login.nhs.uk", "github.io.zebra.nhs.uk"] {
            assert!(matches!(list.judge(&name(candidate), Score::ALERT), Verdict::Lookalike(_)), "{candidate}");
        }
        for candidate in ["mybank.github.io", "england.nhs.uk", "www.england.nhs.uk", "a.b.github.io"] {
            assert_eq!(list.judge(&name(candidate), Score::ALERT), Verdict::Clear, "{candidate}");
        }
        let refused = Watchlist::new(["github.com", "co.uk"].map(name), []);
        assert!(refused.err().unwrap().to_string().starts_with("co.uk is a public suffix"));
    }

    #[test]
    fn the_allowed_wins_over_the_watched() {
        let list = Watchlist::new(["paypal.com"].map(name), ["paypal.com", "paypa1.com"].map(name)).unwrap();
        assert_eq!(list.judge(&name("x.paypal.com"), Score::ALERT), Verdict::Allowed("paypal.com".into()));
        assert_eq!(list.judge(&name("paypa1.com"), Score::ALERT), Verdict::Allowed("paypa1.com".into()));
    }
}
