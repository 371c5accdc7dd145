//! Look-alike trust domains in the stream.

use super::make::*;
use crate::finding::{Class, Severity};
use crate::rules::lookalike::{Name, Score, Watchlist};
use crate::rules::settings::{Owner, Settings};
use crate::rules::{Imitations, Judged, Memory, Rulebook};

fn book(alert: u8) -> Rulebook {
    let name = |name| Name::parse(name).unwrap();
    let list = Watchlist::new([name("cybersecai.co.uk")], [name("cybersecal.co.uk")]).unwrap();
    let imitations = Imitations::new(list, Score::new(alert).unwrap(), Score::DIGEST);
    Rulebook::new(Settings::none(), Owner::default(), &[], Some(imitations), None)
}

fn seen(book: &Rulebook, memory: &mut Memory, domain: &str) -> Judged {
    let bare = draft(&format!("agent://{domain}/a/b/c")).bare();
    judge_as(book, memory, bare.der(), NOW, 1)
}

#[test]
fn a_lookalike_is_told_once_with_its_reasons() {
    let (book, mut memory) = (book(50), Memory::default());
    let judged = seen(&book, &mut memory, "cybersec-ai.co.uk");
    let [finding] = judged.findings.as_slice() else { panic!("{judged:?}") };
    assert_eq!((finding.class, finding.subject.as_str()), (Class::Lookalike, "cybersec-ai.co.uk"));
    assert_eq!((finding.log.as_str(), finding.entry.is_some()), ("", true));
    assert_eq!(detail(finding, "watched domain"), "cybersecai.co.uk");
    assert!(detail(finding, "why").contains("hyphens put in"), "{finding:?}");
    assert_eq!(seen(&book, &mut memory, "cybersec-ai.co.uk"), Judged::default(), "once");
    let again = seen(&book, &mut Memory::default(), "cybersec-ai.co.uk");
    assert_eq!(again, judged, "who goes back is told the same, whatever was judged meanwhile");
    for innocent in ["cybersecai.co.uk", "agents.cybersecai.co.uk", "cybersecal.co.uk", "weather.example"] {
        assert_eq!(seen(&book, &mut memory, innocent), Judged::default(), "{innocent}");
    }
}

#[test]
fn a_little_likeness_goes_into_the_digest() {
    let judged = seen(&book(100), &mut Memory::default(), "cybersec-ai.co.uk");
    assert_eq!(classes(&judged), [Class::LookalikeDigest]);
    assert_eq!(Class::LookalikeDigest.severity(), Severity::Info);
}

#[test]
fn many_lookalikes_take_bounded_memory() {
    let (book, mut memory) = (book(50), Memory::default());
    let mut told = 0;
    for n in 0..200 {
        told += seen(&book, &mut memory, &format!("a{n}.cybersec-ai.co.uk")).findings.len();
    }
    assert_eq!((told, memory.told.len()), (200, 128));
}
