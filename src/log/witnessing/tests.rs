use proptest::prelude::*;

use super::*;
use crate::keys::Ed25519Signer;
use crate::log::checkpoint::{Checkpoint, Origin, sign_checkpoint};
use crate::log::cosignature::{WitnessQuorum, cosign};

const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);

fn signer(number: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[number; 32]).unwrap()
}

fn witness(number: u8) -> WitnessKey {
    WitnessKey::new(format!("w{number}").parse().unwrap(), crate::keys::Signer::public_key(&signer(number)).clone())
        .unwrap()
}

fn origin() -> Origin {
    "atl.example.com/2026h2".parse().unwrap()
}

fn head(size: u64, at: u64) -> TreeHead {
    TreeHead { size: TreeSize::new(size), timestamp: UnixMillis::new(at), root: Hash::of(&size.to_be_bytes()) }
}

/// The log's own note of a tree.
fn note(size: u64) -> String {
    sign_checkpoint(&signer(9), &origin(), &head(size, 0)).unwrap()
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint::parse(Note::parse(note(size).as_bytes()).unwrap().text()).unwrap()
}

/// The body of the answer in which witness `number` cosigns the tree of `size` leaves at NOW and `later` seconds.
fn answer(number: u8, size: u64, later: u64) -> String {
    let at = CosignatureTime::new(NOW.get() / 1000 + later).unwrap();
    format!("{}\n", cosign(&signer(number), witness(number).name(), &checkpoint(size), at).unwrap())
}

fn read(body: &str, size: u64, number: u8) -> Result<Cosignature, BadCosignature> {
    Cosignature::read(body.as_bytes(), &Note::parse(note(size).as_bytes()).unwrap(), &witness(number), NOW)
}

#[test]
fn a_request_is_as_c2sp_has_it() {
    let proof = [Hash::new([0; 32]), Hash::new([0xff; 32])];
    let request = AddCheckpoint { old: TreeSize::new(5), consistency: &proof, checkpoint: &note(7) };
    let expected =
        "old 5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n//////////////////////////////////////////8=\n\n";
    assert_eq!(request.to_string(), format!("{expected}{}", note(7)));
    let first = AddCheckpoint { old: TreeSize::EMPTY, consistency: &[], checkpoint: "a\n" };
    assert_eq!(first.to_string(), "old 0\n\na\n");
}

#[test]
fn a_size_has_one_spelling() {
    assert_eq!(read_size(b"20852014\n"), Some(TreeSize::new(20_852_014)));
    assert_eq!(read_size(b"0\n"), Some(TreeSize::EMPTY));
    for bad in [&b""[..], b"5", b"05\n", b"5\n\n", b"-5\n", b" 5\n", b"5\r\n", b"18446744073709551616\n", b"\xff\n"] {
        assert_eq!(read_size(bad), None, "{bad:?}");
    }
}

#[test]
fn only_what_the_witness_signed_over_this_very_text_is_taken() {
    let good = answer(1, 7, 0);
    assert_eq!(read(&good, 7, 1).unwrap().at().get(), NOW.get() / 1000);
    // Of several lines the newest, and others' beside it do no harm.
    let lines = [answer(1, 7, 3), answer(2, 7, 9), answer(1, 7, 5), answer(1, 7, 4)].concat();
    assert_eq!(read(&lines, 7, 1).unwrap().at().get(), NOW.get() / 1000 + 5);

    assert_eq!(read(&answer(2, 7, 0), 7, 1), Err(BadCosignature::Missing));
    let other_tree = read(&answer(1, 8, 0), 7, 1);
    assert!(matches!(other_tree, Err(BadCosignature::Invalid(CosignatureError::Signature(_)))), "{other_tree:?}");
    // One that does not verify spoils those that do.
    assert!(matches!(read(&(good.clone() + &answer(1, 8, 0)), 7, 1), Err(BadCosignature::Invalid(_))));
    // Behind a blank line the text would be another, which the witness may well have signed for somebody else.
    let smuggled = format!("\u{2014} x AAAAAAA=\n\n{good}");
    assert_eq!(read(&smuggled, 7, 1), Err(BadCosignature::More));
    for bad in ["", "\n", "garbage\n", good.trim_end(), &good.replace('\u{2014}', "-"), &good.replace('\n', "\r\n")] {
        assert!(matches!(read(bad, 7, 1), Err(BadCosignature::Lines(_) | BadCosignature::More)), "{bad:?}");
    }
    assert!(read(&answer(1, 7, 60), 7, 1).is_ok());
    assert_eq!(read(&answer(1, 7, 61), 7, 1), Err(BadCosignature::Ahead { ahead_ms: 61_000 }));
}

#[test]
fn a_checkpoint_has_the_cosignatures_of_its_own_tree() {
    let take = |number, size, later| read(&answer(number, size, later), size, number).unwrap();
    let mut all = Cosignatures::of(2);
    assert_eq!((all.on(&note(7)), all.is_complete(&note(7))), (note(7), false));
    assert!(all.add(1, take(2, 7, 0), &note(7)));
    assert_eq!(all.on(&note(7)), note(7) + &answer(2, 7, 0));
    // In the order of the witnesses, whoever was first.
    assert!(all.add(0, take(1, 7, 2), &note(7)));
    assert_eq!(all.on(&note(7)), note(7) + &answer(1, 7, 2) + &answer(2, 7, 0));
    assert!(all.is_complete(&note(7)));
    // A newer one takes the place of an older one, and never the other way round.
    assert!(all.add(1, take(2, 7, 3), &note(7)) && !all.add(1, take(2, 7, 1), &note(7)));
    let served = all.on(&note(7));
    assert_eq!(served, note(7) + &answer(1, 7, 2) + &answer(2, 7, 3));
    let quorum = WitnessQuorum::new(vec![witness(1), witness(2)], 2).unwrap();
    let found = quorum.check(&Note::parse(served.as_bytes()).unwrap(), NOW).unwrap();
    assert_eq!(found.seen_at.get(), NOW.get() / 1000 + 2);

    // With another tree it begins anew; what comes too late is nobody's.
    assert_eq!((all.on(&note(8)), all.count(&note(8)), all.is_complete(&note(8))), (note(8), 0, false));
    assert!(!all.add(0, take(1, 7, 9), &note(8)));
    assert!(all.add(0, take(1, 8, 0), &note(8)));
    assert_eq!((all.on(&note(8)), all.count(&note(8))), (note(8) + &answer(1, 8, 0), 1));
    assert!(!all.add(2, take(1, 8, 0), &note(8)), "there is no such witness");
    assert!(Cosignatures::of(0).is_complete(&note(7)));
}

#[test]
fn the_text_of_one_size_is_not_that_of_another_that_begins_alike() {
    assert!(is_note_of("a\n1\nr\n\n\u{2014} x", "a\n1\nr\n"));
    assert!(!is_note_of("a\n1\nr\nextension\n\n\u{2014} x", "a\n1\nr\n"));
    assert!(!is_note_of("a\n12\nr\n\n", "a\n1"));
}

fn at(ms: u64) -> UnixMillis {
    UnixMillis::new(ms)
}

const fn ask(old: u64) -> Turn {
    Turn::Ask { old: TreeSize::new(old) }
}

#[test]
fn each_new_tree_is_asked_for_at_once_and_an_old_one_every_half_minute() {
    let mut turns = WitnessTurns::new();
    assert_eq!(turns.next(&head(0, 1), at(1)), Turn::Idle, "of nothing there is nothing to say");
    assert_eq!(turns.next(&head(3, 1), at(1)), ask(0));
    turns.cosigned(head(3, 1), at(10));
    assert_eq!(turns.next(&head(3, 1), at(1_000_000)), Turn::Idle, "no newer head");
    assert_eq!(turns.next(&head(3, 2), at(11)), Turn::At(at(30_010)));
    assert_eq!(turns.next(&head(3, 2), at(30_010)), ask(3));
    assert_eq!(turns.next(&head(5, 2), at(11)), ask(3), "a new tree waits for nothing");
}

#[test]
fn a_witness_that_remembers_another_tree_is_asked_from_there() {
    let mut turns = WitnessTurns::new();
    assert!(turns.conflicted(TreeSize::new(2), &head(3, 1), at(1)));
    assert_eq!(turns.next(&head(3, 1), at(1)), ask(2));
    // One that cannot decide is left alone.
    assert!(turns.conflicted(TreeSize::new(1), &head(3, 1), at(1)));
    assert!(!turns.conflicted(TreeSize::new(2), &head(3, 1), at(1)));
    assert_eq!(turns.next(&head(3, 1), at(1)), Turn::At(at(1001)));
    assert_eq!(turns.next(&head(3, 1), at(1001)), ask(2));
    turns.cosigned(head(3, 1), at(1002));
    // One that has seen more than there is: no proof can be made of it.
    assert!(!turns.conflicted(TreeSize::new(9), &head(4, 2), at(2000)));
    assert_eq!(turns.next(&head(4, 2), at(3000)), ask(4));
    assert_eq!(turns.next(&head(9, 2), at(3000)), ask(9));
}

#[test]
fn failures_are_followed_by_longer_and_longer_waits_within_bounds() {
    let mut turns = WitnessTurns::new();
    for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000] {
        turns.failed(at(0), 0);
        assert_eq!(turns.next(&head(3, 1), at(0)), Turn::At(at(wait)), "a new head changes nothing");
        assert_eq!(turns.next(&head(3, 1), at(wait)), ask(0));
    }
    turns.cosigned(head(3, 1), at(5));
    turns.failed(at(10), 7_000);
    assert_eq!(turns.next(&head(4, 2), at(10)), Turn::At(at(7_010)), "as long as it asks for");
    turns.failed(at(10), u64::MAX);
    assert_eq!(turns.next(&head(4, 2), at(10)), Turn::At(at(300_010)), "but not for ever");
    // What it has cosigned stands, and its refresh waits as well.
    assert_eq!(turns.next(&head(3, 2), at(300_009)), Turn::At(at(300_010)));
    for _ in 0..100 {
        turns.failed(at(u64::MAX), 0);
    }
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200), change in 0_usize..120, to: u8) {
        let checkpoint = Note::parse(note(7).as_bytes()).unwrap();
        let _ = (Cosignature::read(&body, &checkpoint, &witness(1), NOW), read_size(&body));
        let good = answer(1, 7, 0).into_bytes();
        let mut changed = good.clone();
        let place = change % good.len();
        changed[place] = to;
        let found = Cosignature::read(&changed, &checkpoint, &witness(1), NOW);
        prop_assert_eq!(found.is_ok(), changed == good);
    }
}
