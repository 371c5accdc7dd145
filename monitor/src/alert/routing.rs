//! Who is told of a finding, when, and what the owner does not want to hear.

use std::str::FromStr;

use atl::time::UnixMillis;

use crate::finding::{Finding, FindingId, Severity};

/// The name of the detail of a finding ([`Finding::details`]) that is the trust domain it is about.
pub const DOMAIN_DETAIL: &str = "trust domain";

/// A pattern for a whole text: `*` is any characters or none, `?` is one, all others are themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty; * is for everything".into()),
            _ => Ok(Self(text.chars().collect())),
        }
    }
}

impl Glob {
    /// Whether all of `text` is so.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        // Where the last star was, and how much of the text it takes so far.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match self.0.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(c) if *c == '?' || text.get(t) == Some(c) => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((at, taken)) = star else { return false };
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
            }
        }
        self.0.iter().skip(p).all(|c| *c == '*')
    }
}

/// What is not sent, until when and why. All that is said of a finding must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The code of its class.
    pub class: Option<Glob>,
    /// The origin of its log.
    pub log: Option<Glob>,
    /// Its subject.
    pub subject: Option<Glob>,
    /// The trust domain that it is about: the detail of that name, or else the subject.
    pub domain: Option<Glob>,
    /// Its name.
    pub id: Option<FindingId>,
    /// From when on it is sent again.
    pub until: UnixMillis,
    /// Why; shown with what is silenced.
    pub reason: String,
}

impl Silence {
    /// Whether this rule keeps quiet about `finding`.
    ///
    /// That a log is proven to have misbehaved takes the finding's own name. Such an alert comes once in a log's
    /// life, and it takes back everything that this log has vouched for; a pattern was written about something
    /// else, months ago, by somebody who could not know of it.
    pub fn covers(&self, finding: &Finding, now: UnixMillis) -> bool {
        if now >= self.until || (finding.class.freezes_log() && self.id.is_none()) {
            return false;
        }
        let is = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.matches(text));
        is(&self.class, finding.class.code())
            && is(&self.log, &finding.log)
            && is(&self.subject, &finding.subject)
            && self.domain.as_ref().is_none_or(|glob| about(finding, glob))
            && self.id.is_none_or(|id| id == finding.id())
    }
}

fn about(finding: &Finding, domain: &Glob) -> bool {
    let mut named = finding.details.iter().filter(|(name, _)| name == DOMAIN_DETAIL).peekable();
    match named.peek() {
        Some(_) => named.any(|(_, value)| domain.matches(value)),
        None => domain.matches(&finding.subject),
    }
}

/// What one sink wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The sink's name.
    pub sink: String,
    /// The least severity that it is told of.
    pub min_severity: Severity,
    /// Milliseconds for which findings of severity info are gathered into one message, or `None` where each is a
    /// message of its own.
    pub digest: Option<u64>,
}

/// When a sink is told of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now, in a message of its own.
    Now,
    /// Together with others, in a message at most every so many milliseconds.
    Gathered(u64),
    /// Never.
    Never,
}

impl Route {
    /// When this sink is told of something of this severity.
    pub fn when(&self, severity: Severity) -> When {
        match self.digest {
            _ if severity < self.min_severity => When::Never,
            Some(period) if severity == Severity::Info => When::Gathered(period),
            _ => When::Now,
        }
    }
}

/// All that decides who is told what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The sinks.
    pub routes: Vec<Route>,
    /// What is not sent.
    pub silences: Vec<Silence>,
}

impl Routing {
    /// The reason why nobody is told of `finding`, if there is one.
    pub fn silenced(&self, finding: &Finding, now: UnixMillis) -> Option<&str> {
        self.silences.iter().find(|silence| silence.covers(finding, now)).map(|silence| silence.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::finding::Class;

    const NOW: UnixMillis = UnixMillis::new(1_000);

    fn glob(text: &str) -> Option<Glob> {
        Some(text.parse().unwrap())
    }

    fn finding(class: Class, log: &str, subject: &str) -> Finding {
        Finding::new(class, Some(&log.parse().unwrap()), subject, "x".into(), NOW)
    }

    #[test]
    fn patterns_hold_for_the_whole_text() {
        for (pattern, text, expected) in [
            ("log.*", "log.stale-head", true),
            ("log.*", "blog.stale-head", false),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "aßc", true),
            ("*.example", "a.b.example", true),
            ("*.example", "a.example.org", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("[a]", "a", false),
        ] {
            assert_eq!(glob(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert!("".parse::<Glob>().is_err());
    }

    /// The definition, slow and plain.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| plainly(rest, &text[n..])),
            Some((c, rest)) => text.split_first().is_some_and(|(t, tail)| (*c == '?' || c == t) && plainly(rest, tail)),
        }
    }

    proptest! {
        #[test]
        fn patterns_are_what_they_are_defined_to_be(pattern in "[ab*?]{1,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(glob(&pattern).unwrap().matches(&text), plainly(&chars(&pattern), &chars(&text)));
        }
    }

    #[test]
    fn a_silence_holds_where_all_that_it_says_is_so() {
        let rule = || Silence {
            class: None,
            log: None,
            subject: None,
            domain: None,
            id: None,
            until: UnixMillis::new(2_000),
            reason: "known".into(),
        };
        let stale = finding(Class::StaleHead, "log.example/1", "head");
        let split = finding(Class::SplitView, "log.example/1", "roots");
        let lookalike = finding(Class::Lookalike, "log.example/1", "shop.example");
        let named = finding(Class::Unauthorised, "log.example/1", "c0ffee").with(DOMAIN_DETAIL, "bank.example");
        for (silence, finding, expected) in [
            (Silence { class: glob("log.*"), ..rule() }, &stale, true),
            (Silence { class: glob("log.*"), log: glob("log.example/*"), ..rule() }, &stale, true),
            (Silence { class: glob("log.*"), log: glob("log.example/2"), ..rule() }, &stale, false),
            (Silence { class: glob("entry.*"), ..rule() }, &stale, false),
            (Silence { class: glob("log.*"), until: NOW, ..rule() }, &stale, false),
            (Silence { subject: glob("he*"), ..rule() }, &stale, true),
            (Silence { subject: glob("x"), ..rule() }, &stale, false),
            (Silence { id: Some(stale.id()), ..rule() }, &stale, true),
            (Silence { id: Some(split.id()), ..rule() }, &stale, false),
            // A domain is the detail of that name, or else the subject.
            (Silence { domain: glob("*.example"), ..rule() }, &lookalike, true),
            (Silence { domain: glob("bank.*"), ..rule() }, &named, true),
            (Silence { domain: glob("c0*"), ..rule() }, &named, false),
            // Proof against a log takes its own name.
            (Silence { class: glob("*"), ..rule() }, &split, false),
            (Silence { class: glob("log.split-view"), log: glob("log.example/1"), ..rule() }, &split, false),
            (Silence { id: Some(split.id()), ..rule() }, &split, true),
            (Silence { id: Some(split.id()), log: glob("other.example/1"), ..rule() }, &split, false),
        ] {
            assert_eq!(silence.covers(finding, NOW), expected, "{silence:?} {finding:?}");
        }
    }

    #[test]
    fn a_sink_is_told_what_it_wants() {
        let route = |min_severity, digest| Route { sink: "a".into(), min_severity, digest };
        let all = |route: Route| [Severity::Info, Severity::Warning, Severity::Critical].map(|s| route.when(s));
        assert_eq!(all(route(Severity::Info, Some(5))), [When::Gathered(5), When::Now, When::Now]);
        assert_eq!(all(route(Severity::Info, None)), [When::Now; 3]);
        assert_eq!(all(route(Severity::Critical, Some(5))), [When::Never, When::Never, When::Now]);
    }
}
