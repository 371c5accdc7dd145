//! Who says a message: a signed note beside it.
//!
//! Heads are believed because their logs signed them, whoever brings them. But who has shown a head stands in evidence,
//! and how much one peer may bring is counted; so nobody may speak in a peer's name. Each message travels with the
//! header `Atl-Gossip`: in base64, a signed note (C2SP signed-note) by the key of the monitor that sends it, whose
//! text is
//!
//! ```text
//! atl-gossip/v1
//! from monitor.example.com
//! to monitor.example.org
//! time 1775822400007
//! body 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
//! ```
//!
//! with the sender's name, the receiver's, milliseconds since the Unix epoch, and the SHA-256 of the body. An answer has
//! one more line, `answers` and the SHA-256 of the body that it answers, so that none stands for another. A message
//! is taken within two minutes of its time; said again within them, it says nothing new. No such text is another that
//! the key may sign: it starts with a letter, and where a checkpoint has its size and an audit statement its origin,
//! the second line has the word `from` and a space.

use atl::keys::{SignError, Signer};
use atl::log::note::{KeyName, Note, NoteError, VerifierKey};
use atl::merkle::Hash;
use atl::time::UnixMillis;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderName;
use thiserror::Error;

use crate::signed::note;

/// The header.
pub const SEAL: HeaderName = HeaderName::from_static("atl-gossip");

/// How far the clocks of two monitors, and the way between them, may be apart, in milliseconds.
const MAX_APART_MS: u64 = 120_000;

/// Octets of a header that are looked at: a note of this kind has some hundreds.
const MAX_OCTETS: usize = 4096;

/// Why a message is not believed to be from a peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// There is no header, or more than one note fits into it.
    #[error("the message has no header Atl-Gossip with a signed note in base64")]
    Missing,
    /// The note is malformed, or not signed by the peer's key.
    #[error("the note in the header Atl-Gossip: {0}; compare the vkey under [[peers]] with that of the other monitor")]
    Note(#[from] NoteError),
    /// It is signed, and about another message.
    #[error("the note in the header Atl-Gossip is not about this message from {from} to {to}")]
    Other {
        /// Who should have sent it.
        from: KeyName,
        /// Who should receive it.
        to: KeyName,
    },
    /// It was signed too long ago, or is dated ahead.
    #[error("the message is dated {0} ms away from the time here, and {MAX_APART_MS} are allowed: look at the clocks")]
    Time(u64),
}

/// What is said.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The body of the message.
    pub body: &'a [u8],
    /// The body of the message that it answers, where it is an answer.
    pub answers: Option<&'a [u8]>,
}

fn text(from: &KeyName, to: &KeyName, at: UnixMillis, said: Said<'_>) -> String {
    let hash = |octets| STANDARD.encode(Hash::of(octets).as_bytes());
    let answers = said.answers.map(|asked| format!("answers {}\n", hash(asked))).unwrap_or_default();
    format!("atl-gossip/v1\nfrom {from}\nto {to}\ntime {}\nbody {}\n{answers}", at.get(), hash(said.body))
}

/// The header of this message by the monitor `from`. Fails where `signer` is not an Ed25519 key.
pub fn seal(
    signer: &dyn Signer,
    from: &KeyName,
    to: &KeyName,
    said: Said<'_>,
    now: UnixMillis,
) -> Result<String, SignError> {
    Ok(STANDARD.encode(note(&text(from, to, now, said), from, signer)?))
}

/// Checks that the monitor with the key `peer` has said this to `to`, about now.
pub fn check(
    header: Option<&str>,
    peer: &VerifierKey,
    to: &KeyName,
    said: Said<'_>,
    now: UnixMillis,
) -> Result<(), SealError> {
    let header = header.filter(|header| header.len() <= MAX_OCTETS).ok_or(SealError::Missing)?;
    let octets = STANDARD.decode(header).map_err(|_| SealError::Missing)?;
    let note = Note::parse(&octets)?;
    note.verify(peer)?;
    let other = || SealError::Other { from: peer.name().clone(), to: to.clone() };
    let at = note.text().lines().find_map(|line| line.strip_prefix("time ")?.parse().ok()).ok_or_else(other)?;
    let at = UnixMillis::new(at);
    // One text says this, and no other spelling of it.
    if note.text() != text(peer.name(), to, at, said) {
        return Err(other());
    }
    match now.since(at).max(at.since(now)) {
        apart if apart > MAX_APART_MS => Err(SealError::Time(apart)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use atl::keys::Ed25519Signer;
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_775_822_400_007);

    fn signer(seed: u8) -> Ed25519Signer {
        Ed25519Signer::from_seed(&[seed; 32]).unwrap()
    }

    fn name(text: &str) -> KeyName {
        text.parse().unwrap()
    }

    fn key(seed: u8, of: &str) -> VerifierKey {
        VerifierKey::new(name(of), signer(seed).public_key().clone()).unwrap()
    }

    fn said(body: &[u8]) -> Said<'_> {
        Said { body, answers: None }
    }

    fn sealed() -> String {
        seal(&signer(1), &name("a"), &name("b"), said(b"body"), NOW).unwrap()
    }

    fn checked(header: Option<&str>, to: &str, body: &[u8], now: UnixMillis) -> Result<(), SealError> {
        check(header, &key(1, "a"), &name(to), said(body), now)
    }

    #[test]
    fn only_the_peer_says_it_only_this_and_only_now() {
        let header = sealed();
        assert_eq!(checked(Some(&header), "b", b"body", NOW), Ok(()));
        let other = SealError::Other { from: name("a"), to: name("b") };
        assert_eq!(checked(Some(&header), "b", b"other", NOW), Err(other));
        assert!(matches!(checked(Some(&header), "c", b"body", NOW), Err(SealError::Other { .. })), "to somebody else");
        assert_eq!(check(Some(&header), &key(2, "a"), &name("b"), said(b"body"), NOW), Err(NoteError::Unsigned.into()));
        assert_eq!(check(Some(&header), &key(1, "z"), &name("b"), said(b"body"), NOW), Err(NoteError::Unsigned.into()));
        for (apart, good) in [(MAX_APART_MS, true), (MAX_APART_MS + 1, false)] {
            for now in [NOW.saturating_add(apart), NOW.saturating_sub(apart)] {
                let expected = if good { Ok(()) } else { Err(SealError::Time(apart)) };
                assert_eq!(checked(Some(&header), "b", b"body", now), expected);
            }
        }
    }

    #[test]
    fn an_answer_answers_one_message() {
        let answer = |asked| Said { body: b"body", answers: asked };
        let header = seal(&signer(1), &name("a"), &name("b"), answer(Some(b"asked")), NOW).unwrap();
        let checked = |header: &str, asked| check(Some(header), &key(1, "a"), &name("b"), answer(asked), NOW);
        assert_eq!(checked(&header, Some(b"asked")), Ok(()));
        for (header, asked) in [(&header, Some(&b"another"[..])), (&header, None), (&sealed(), Some(b"asked"))] {
            assert!(matches!(checked(header, asked), Err(SealError::Other { .. })), "{asked:?}");
        }
    }

    #[test]
    fn what_is_no_seal_is_none() {
        for header in [None, Some(""), Some("%"), Some("AAAA")] {
            assert!(checked(header, "b", b"body", NOW).is_err(), "{header:?}");
        }
        let long = STANDARD.encode(vec![b'a'; MAX_OCTETS]);
        assert_eq!(checked(Some(&long), "b", b"body", NOW), Err(SealError::Missing));
        // Signed by the peer, and another text.
        let good = text(&name("a"), &name("b"), NOW, said(b"body"));
        for text in [
            good.replace("v1", "v2"),
            good.replace("from a\n", ""),
            good.replace("time 1", "time 01"),
            good.replace("time 1775822400007", "time x"),
            format!("{good}more\n"),
        ] {
            let sealed = STANDARD.encode(note(&text, &name("a"), &signer(1)).unwrap());
            let found = checked(Some(&sealed), "b", b"body", NOW);
            assert!(matches!(found, Err(SealError::Other { .. })), "{text}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn no_changed_octet_passes(place: prop::sample::Index, bit in 0_usize..8) {
            let mut octets = STANDARD.decode(sealed()).unwrap();
            let place = place.index(octets.len());
            octets[place] ^= 1 << bit;
            prop_assert!(checked(Some(&STANDARD.encode(octets)), "b", b"body", NOW).is_err());
        }

        #[test]
        fn nothing_makes_it_panic(header in ".{0,200}", octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (checked(Some(&header), "b", b"", NOW), checked(Some(&STANDARD.encode(octets)), "b", b"", NOW));
        }
    }
}
