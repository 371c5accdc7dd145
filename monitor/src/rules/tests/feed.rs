//! Certificates that the owner has not ordered.

use super::make::*;
use crate::errand::Errand;
use crate::finding::Class;
use crate::rules::authorised::{Authorised, Newest, Source};
use crate::rules::settings::Settings;
use crate::rules::unauthorised::{PATIENCE, Settled, settle};
use crate::rules::{Judged, Rulebook};
use atl::apki::Certificate;
use atl::log::entry::CertHash;
use atl::time::UnixMillis;

fn feed(hashes: &[CertHash], as_of: Option<UnixMillis>) -> Authorised {
    let source = Source { hashes: hashes.iter().copied().collect(), as_of, ..Source::new("the list".into()) };
    Authorised { sources: vec![source] }
}

fn judged(known: &[CertHash], certificate: &Certificate) -> Judged {
    let newest = Newest::default();
    newest.set(feed(known, Some(NOW)));
    let logs = [log_a()];
    judge(&Rulebook::new(Settings::default(), owner(), &logs, None, Some(newest)), certificate)
}

#[test]
fn a_certificate_that_the_feed_does_not_know_is_asked_about() {
    let precertificate = draft(URI).precertificate();
    let certificate = finish(&precertificate, vec![sat(99, &precertificate)]);
    let (first, last) = (hash_of(&precertificate), hash_of(&certificate));
    let asked = judged(&[], &precertificate);
    let [Errand::Authorised { known_as, finding, due }] = asked.errands.as_slice() else { panic!("{asked:?}") };
    assert_eq!((known_as.as_slice(), *due), (&[first][..], NOW.saturating_add(300_000)));
    assert_eq!((finding.class, finding.found_at), (Class::Unauthorised, NOW));
    assert_eq!(asked.findings, [], "nothing is told yet");
    // The final certificate is the same certificate, known by either hash.
    let again = judged(&[], &certificate);
    let [Errand::Authorised { known_as, finding: same, .. }] = again.errands.as_slice() else { panic!("{again:?}") };
    assert_eq!((known_as.as_slice(), same.id()), (&[last, first][..], finding.id()));
    assert_eq!(judged(&[first], &certificate), Judged::default());
    assert_eq!(judged(&[last], &certificate), Judged::default());
    assert_eq!(judged(&[first], &precertificate), Judged::default());
}

#[test]
fn others_and_owners_without_a_feed_are_not_asked_about() {
    let other = draft("agent://somebody.example/a/b/c").bare();
    assert_eq!(judged(&[], &other), Judged::default());
    assert_eq!(judge(&rulebook(owner()), &draft(URI).bare()), Judged::default());
    let other =
        |id| draft("agent://somebody.example/a/b/c").with("san", san(true, &["agent://somebody.example/a/b/c", id]));
    assert_eq!(judged(&[], &other("spiffe://somebody.example/bank.example").bare()).errands, []);
    assert_eq!(judged(&[], &other("spiffe://bank.example/a/b/c").bare()).errands.len(), 1, "readers of SPIFFE IDs");
    let below = draft("agent://deep.agents.bank.example/a/b/c").bare();
    assert_eq!(judged(&[], &below).errands.len(), 1);
}

#[test]
fn the_errand_is_the_same_whenever_the_entry_is_judged() {
    use atl::log::entry::Fingerprint;
    use atl::merkle::LeafIndex;
    let newest = Newest::default();
    let (log, bare) = (log_a(), draft(URI).bare());
    let book = Rulebook::new(Settings::default(), owner(), std::slice::from_ref(&log), None, Some(newest));
    let chain = [Fingerprint::of_certificate(b"ca")];
    let entry = crate::rules::Entry {
        log: &log,
        index: LeafIndex::new(1),
        timestamp: NOW,
        cert_hash: hash_of(&bare),
        der: Some(bare.der()),
        chain: &chain,
    };
    let at = |now| book.judge(&entry, &mut Default::default(), now).errands;
    assert_eq!(at(NOW), at(NOW.saturating_add(HOUR)));
}

#[test]
fn an_errand_is_settled_by_a_feed_that_is_up_to_date() {
    let hash = CertHash::of_certificate(b"certificate");
    let errand = judged(&[], &draft(URI).bare()).errands.remove(0);
    let Errand::Authorised { finding, due, .. } = errand else { panic!("{errand:?}") };
    let decide = |known: &[CertHash], as_of, now| settle(&[hash], &finding, due, &feed(known, as_of), now);
    let later = due.saturating_add(MINUTE);
    assert_eq!(decide(&[hash], None, NOW), Settled::Authorised);
    assert_eq!(decide(&[], Some(later), NOW), Settled::Wait(due), "the feed has its time");
    let Settled::Unauthorised(told) = decide(&[], Some(due), later) else { panic!("it is told") };
    assert_eq!((told.id(), told.found_at), (finding.id(), later));
    for behind in [None, Some(NOW)] {
        let waits = decide(&[], behind, later);
        assert!(matches!(waits, Settled::Wait(at) if at > later), "{waits:?}");
        let end = due.saturating_add(PATIENCE);
        let Settled::Unauthorised(told) = decide(&[], behind, end) else { panic!("nobody waits for ever") };
        assert!(detail(&told, "the feed is not up to date").starts_with("the list was last read whole"));
        assert_eq!(told.id(), finding.id());
    }
    assert!(matches!(settle(&[hash], &finding, due, &Authorised::default(), later), Settled::Unauthorised(_)));
}
