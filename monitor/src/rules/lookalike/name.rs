//! A domain name, split where its registrant begins.

use std::fmt;

use atl::apki::federation::{TrustDomain, TrustDomainError};
use thiserror::Error;

/// First labels of the suffixes that registries give out below to anybody: `co.uk`. Other suffixes of theirs have
/// one owner, who may well watch them: `nhs.uk`.
const OPEN: &[&str] = &[
    "adm", "art", "asn", "biz", "club", "co", "com", "firm", "gen", "id", "ind", "info", "ltd", "me", "name", "ne",
    "net", "nom", "or", "org", "plc", "press", "pro", "store", "tm", "web",
];

/// A name that cannot be watched, since it is nobody's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0} is a public suffix, below which anybody may register: name the domains below it that are to be watched")]
pub struct OpenSuffixError(String);

/// A trust domain (protocol section 1), split by the public suffix list into what its registrant chose and what
/// was there before: of `agents.bank.co.uk` the subdomain `agents`, the label `bank`, the suffix `co.uk`.
///
/// Suffixes that companies give out (`github.io`) are such too, for whoever registers below them is somebody
/// else. A name that is a suffix itself has its first label for a label.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    domain: TrustDomain,
    /// Where the label before the suffix begins.
    label: usize,
    /// Where the suffix begins.
    suffix: usize,
}

impl Name {
    /// Reads a name; nothing is normalised.
    ///
    /// # Errors
    /// [`TrustDomainError`] where an agent URI could not have it: not a DNS name in lower case of at least two
    /// labels, its characters beyond ASCII as A-labels.
    pub fn parse(text: &str) -> Result<Self, TrustDomainError> {
        let domain = TrustDomain::parse(text)?;
        let text = domain.as_str();
        let known = psl::suffix_str(text).filter(|suffix| suffix.len() < text.len());
        let suffix = match known {
            Some(suffix) => text.len() - suffix.len(),
            None => text.find('.').map_or(0, |dot| dot + 1),
        };
        let before = text.get(..suffix.saturating_sub(1)).unwrap_or_default();
        let label = before.rfind('.').map_or(0, |dot| dot + 1);
        Ok(Self { label, suffix, domain })
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        self.domain.as_str()
    }

    /// Its parts.
    pub(super) fn parts(&self) -> Parts<'_> {
        Parts { text: self.as_str(), label: self.label, suffix: self.suffix }
    }

    /// What one registers: the label and the suffix.
    pub fn registrable(&self) -> &str {
        self.parts().registrable()
    }

    /// The label right before the suffix.
    pub fn label(&self) -> &str {
        self.parts().label()
    }

    /// The public suffix.
    pub fn suffix(&self) -> &str {
        self.parts().suffix()
    }

    /// That it may be watched.
    ///
    /// # Errors
    /// [`OpenSuffixError`] where it is a suffix below which a registry takes anybody (`co.uk`). A suffix that has an
    /// owner (`github.io`, `nhs.uk`) may be watched; what is below it is not taken for the owner's.
    pub fn check_watchable(&self) -> Result<(), OpenSuffixError> {
        let is_registrys =
            psl::suffix(self.as_str().as_bytes()).and_then(|suffix| suffix.typ()) == Some(psl::Type::Icann);
        let is_open = self.subdomain().is_empty() && OPEN.contains(&self.label());
        match is_registrys && is_open && is_public_suffix(self.as_str()) {
            true => Err(OpenSuffixError(self.as_str().to_owned())),
            false => Ok(()),
        }
    }

    /// The labels before the registrable ones; empty where there are none.
    pub fn subdomain(&self) -> &str {
        self.parts().subdomain()
    }
}

/// Whether a name is on the public suffix list, or a label under a rule of it.
pub(super) fn is_public_suffix(name: &str) -> bool {
    psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() == name.len())
}

/// A name and where it is split, borrowed from wherever it is kept.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    /// The whole name.
    pub(super) text: &'a str,
    label: usize,
    suffix: usize,
}

impl<'a> Parts<'a> {
    /// A name that was split before, with the places where its label and its suffix begin.
    pub(super) const fn new(text: &'a str, (label, suffix): (usize, usize)) -> Self {
        Self { text, label, suffix }
    }

    /// Where its label and its suffix begin.
    pub(super) const fn places(&self) -> (usize, usize) {
        (self.label, self.suffix)
    }

    pub(super) fn registrable(&self) -> &'a str {
        self.text.get(self.label..).unwrap_or_default()
    }

    pub(super) fn label(&self) -> &'a str {
        self.text.get(self.label..self.suffix.saturating_sub(1)).unwrap_or_default()
    }

    pub(super) fn suffix(&self) -> &'a str {
        self.text.get(self.suffix..).unwrap_or_default()
    }

    pub(super) fn subdomain(&self) -> &'a str {
        self.text.get(..self.label.saturating_sub(1)).unwrap_or_default()
    }

    /// All before the suffix.
    pub(super) fn host(&self) -> &'a str {
        self.text.get(..self.suffix.saturating_sub(1)).unwrap_or_default()
    }

    /// It and every domain above it that has two labels or more, from the longest to the shortest.
    pub(super) fn with_those_above(&self) -> impl Iterator<Item = &'a str> {
        let above = |name: &&'a str| name.split_once('.').map(|(_, above)| above);
        std::iter::successors(Some(self.text), above).filter(|name| name.contains('.'))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_by_the_public_suffix_list() {
        for (text, parts) in [
            ("agents.bank.co.uk", ("agents", "bank", "co.uk")),
            ("a.b.bank.com", ("a.b", "bank", "com")),
            ("bank.com", ("", "bank", "com")),
            ("mybank.github.io", ("", "mybank", "github.io")),
            ("github.io", ("", "github", "io")),
            ("co.uk", ("", "co", "uk")),
            ("bank.no-such-suffix", ("", "bank", "no-such-suffix")),
            ("xn--80ak6aa92e.xn--p1ai", ("", "xn--80ak6aa92e", "xn--p1ai")),
            ("x.kawasaki.jp", ("", "x", "kawasaki.jp")),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!((name.subdomain(), name.label(), name.suffix()), parts);
        }
    }

    #[test]
    fn takes_no_other_spelling() {
        for wrong in ["", "com", "Bank.com", "bank.com.", "bänk.com", "*.bank.com", "ba_nk.com", "bank..com", "-a.com"]
        {
            assert!(Name::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_anybody_may_register_below_is_not_watched() {
        for open in ["co.uk", "com.br", "or.jp", "org.uk", "net.au"] {
            let error = Name::parse(open).unwrap().check_watchable().unwrap_err();
            assert!(error.to_string().contains(open));
        }
        // Somebody's, or no suffix at all, or no known one.
        for own in ["github.io", "nhs.uk", "gov.uk", "uk.com", "co.com", "a.co.uk", "co.example", "web.app", "me.com"] {
            assert_eq!(Name::parse(own).unwrap().check_watchable(), Ok(()), "{own}");
        }
    }

    #[test]
    fn knows_what_is_above_it() {
        let name = Name::parse("a.bank.co.uk").unwrap();
        assert_eq!(name.parts().with_those_above().collect::<Vec<_>>(), ["a.bank.co.uk", "bank.co.uk", "co.uk"]);
        assert_eq!((name.parts().host(), name.registrable()), ("a.bank", "bank.co.uk"));
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(text in "[a-z0-9-]{1,5}(\\.[a-z0-9-]{1,5}){0,3}(\\.co\\.uk|\\.com|\\.github\\.io)?") {
            if let Ok(name) = Name::parse(&text) {
                let parts = [name.subdomain(), name.label(), name.suffix()].map(str::to_owned);
                let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                prop_assert_eq!(parts.join("."), text.clone());
                prop_assert!(!name.label().is_empty() && !name.label().contains('.') && !name.suffix().is_empty());
                prop_assert!(name.parts().with_those_above().any(|above| above == name.registrable()));
            }
        }
    }
}
