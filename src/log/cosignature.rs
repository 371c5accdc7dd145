//! Cosignatures (C2SP tlog-cosignature, version 1 with Ed25519): what witnesses say of a checkpoint.
//!
//! A witness keeps, for each log that it knows, the largest tree that it has seen, and cosigns a
//! checkpoint only where that tree continues to this one. A cosignature of time *t* says: at *t* this
//! was the largest tree of the log that I had seen, and it continued all before. Whoever demands some of
//! them cannot be shown another log than everybody else, unless so many witnesses help.
//!
//! What is signed is
//!
//! ```text
//! cosignature/v1
//! time 1679315147
//! ```
//!
//! and behind these two lines the text of the checkpoint; the signature in the line of the note is the
//! time in 8 octets, big-endian, and the 64 of Ed25519. The key is of signature type 0x04, a type of its
//! own ([`WitnessKey`]).
//!
//! No such message is another that the same key may sign, should somebody use one key twice (C2SP advises
//! against it; protocol section 4). It starts with a letter, unlike what is signed for a SAT (0x30) and a
//! tree head (0x00); and where a checkpoint has its size and an [audit statement](super::audit) its
//! origin, the second line, it has the word `time` and a space, which is neither.

use std::collections::HashSet;
use std::fmt;

use thiserror::Error;

use super::MAX_AHEAD_MS;
use super::checkpoint::Checkpoint;
use super::note::{KeyName, Note, NoteKey, NoteSignature};
use crate::keys::{SignError, Signer};
use crate::time::UnixMillis;

/// Who cosigns checkpoints (signature type 0x04): a witness.
pub type WitnessKey = NoteKey<0x04>;

/// When a witness cosigned: seconds since 1970-01-01T00:00:00Z, leap seconds not counted, 0 to 2^63 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CosignatureTime(u64);

impl CosignatureTime {
    /// The moment `seconds` seconds after the epoch, or `None` past 2^63 - 1.
    pub const fn new(seconds: u64) -> Option<Self> {
        if seconds <= i64::MAX as u64 { Some(Self(seconds)) } else { None }
    }

    /// Seconds since the epoch.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The same moment in milliseconds, stopping at the end of their time.
    pub const fn to_millis(self) -> UnixMillis {
        UnixMillis::new(self.0.saturating_mul(1000))
    }
}

/// The last whole second that has begun.
impl From<UnixMillis> for CosignatureTime {
    fn from(moment: UnixMillis) -> Self {
        Self(moment.get() / 1000)
    }
}

impl fmt::Display for CosignatureTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A cosignature by a witness that we know is not in order, which refuses the note even beside good
/// ones, as R26 has it for the log's own line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CosignatureError {
    /// Not the octets of a time and a signature.
    #[error("the cosignature by {0} is not of 72 octets: a time in 8, an Ed25519 signature in 64")]
    Length(KeyName),
    /// The time is past 2^63 - 1.
    #[error("the cosignature by {0} is of a time past 2^63 - 1 seconds")]
    Time(KeyName),
    /// The signature does not verify.
    #[error("the cosignature by {0} does not verify with the key that we know")]
    Signature(KeyName),
}

/// What a witness signs.
fn message(text: &str, at: CosignatureTime) -> Vec<u8> {
    format!("cosignature/v1\ntime {at}\n{text}").into_bytes()
}

/// The line by which the witness `name` cosigns `checkpoint` at the moment `at`. Whether it may, the tree
/// being the largest that it has seen and continuing all before, is for the caller to know. Fails where
/// `signer` is not an Ed25519 key.
pub fn cosign(
    signer: &dyn Signer,
    name: &KeyName,
    checkpoint: &Checkpoint,
    at: CosignatureTime,
) -> Result<NoteSignature, SignError> {
    let key = WitnessKey::new(name.clone(), signer.public_key().clone()).map_err(|e| SignError(e.to_string()))?;
    let signature = signer.sign(&message(&checkpoint.to_string(), at))?;
    let signature = [&at.get().to_be_bytes(), signature.as_slice()].concat();
    Ok(NoteSignature { name: key.name().clone(), key_id: key.id(), signature })
}

/// When one line of `witness` was signed.
pub(super) fn line_time(
    note: &Note,
    line: &NoteSignature,
    witness: &WitnessKey,
) -> Result<CosignatureTime, CosignatureError> {
    let name = || witness.name().clone();
    let length = || CosignatureError::Length(name());
    let (seconds, signature) = line.signature.split_first_chunk().ok_or_else(length)?;
    if signature.len() != 64 {
        return Err(length());
    }
    let at = CosignatureTime::new(u64::from_be_bytes(*seconds)).ok_or_else(|| CosignatureError::Time(name()))?;
    let verdict = witness.key().verify(&message(note.text(), at), signature);
    verdict.map_err(|_| CosignatureError::Signature(name()))?;
    Ok(at)
}

/// When `witness` cosigned the note, once for each of its lines.
fn times(note: &Note, witness: &WitnessKey) -> Result<Vec<CosignatureTime>, CosignatureError> {
    note.lines_of(witness).map(|line| line_time(note, line, witness)).collect()
}

/// When each of `witnesses` last cosigned the note, in their order; `None` for one without a line. Lines of
/// other keys are not looked at; one of a witness that does not verify refuses the whole.
pub fn cosigned_at(note: &Note, witnesses: &[WitnessKey]) -> Result<Vec<Option<CosignatureTime>>, CosignatureError> {
    witnesses.iter().map(|witness| Ok(times(note, witness)?.into_iter().max())).collect()
}

/// Witnesses that cannot be counted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadQuorum {
    /// Nobody is needed, or more than there are.
    #[error("{needed} of {witnesses} witnesses cannot be demanded: at least one, at most all")]
    Needed {
        /// How many are demanded.
        needed: usize,
        /// How many there are.
        witnesses: usize,
    },
    /// Two keys under one name: one witness, who would count as two.
    #[error("the witness {0} is there twice; leave one of its keys out")]
    Name(KeyName),
    /// One key under two names. A cosignature does not cover the name, so each would count as two.
    #[error("the key of the witness {0} is there under another name already; leave one of the two out")]
    Key(KeyName),
}

/// Why not enough witnesses stand behind a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuorumError {
    /// A cosignature of a witness that we know is not in order.
    #[error(transparent)]
    Cosignature(#[from] CosignatureError),
    /// Too few have cosigned.
    #[error(
        "{found} of the {needed} witnesses needed have cosigned the checkpoint, not counting {ahead} whose times are yet \
         to come"
    )]
    TooFew {
        /// Witnesses whose cosignature counts.
        found: usize,
        /// Witnesses needed.
        needed: usize,
        /// Witnesses who have signed nothing but times more than [`MAX_AHEAD_MS`] ahead.
        ahead: usize,
    },
}

/// A demand: so many of these witnesses, each counted once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessQuorum {
    witnesses: Vec<WitnessKey>,
    needed: usize,
}

/// What a checkpoint's cosignatures come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The newest moment *t* such that as many witnesses as needed have cosigned at *t* or later. So many
    /// of them knew no larger tree then.
    pub seen_at: CosignatureTime,
    /// Every witness that counts and when it last cosigned, the newest first.
    pub cosigned: Vec<(KeyName, CosignatureTime)>,
}

impl Quorum {
    /// Milliseconds since as many witnesses as needed stood behind the checkpoint: what a relying party
    /// bounds. 0 where that is `now`, or ahead of it by no more than what [`WitnessQuorum::check`] lets pass.
    pub const fn age(&self, now: UnixMillis) -> u64 {
        now.since(self.seen_at.to_millis())
    }
}

impl WitnessQuorum {
    /// The demand of `needed` out of `witnesses`.
    pub fn new(witnesses: Vec<WitnessKey>, needed: usize) -> Result<Self, BadQuorum> {
        if needed == 0 || needed > witnesses.len() {
            return Err(BadQuorum::Needed { needed, witnesses: witnesses.len() });
        }
        let (mut names, mut keys) = (HashSet::new(), HashSet::new());
        for witness in &witnesses {
            if !names.insert(witness.name()) {
                return Err(BadQuorum::Name(witness.name().clone()));
            }
            if !keys.insert(witness.key().spki_der()) {
                return Err(BadQuorum::Key(witness.name().clone()));
            }
        }
        Ok(Self { witnesses, needed })
    }

    /// The witnesses, in the order given.
    pub fn witnesses(&self) -> &[WitnessKey] {
        &self.witnesses
    }

    /// How many of them are needed.
    pub const fn needed(&self) -> usize {
        self.needed
    }

    /// Checks that as many witnesses as needed have cosigned the note, and since when. A cosignature
    /// dated more than [`MAX_AHEAD_MS`] after `now` does not count, or it would stay fresh for ever; one
    /// that does not verify refuses the whole. That the note is a checkpoint of the log asked for is not
    /// checked: witnesses cosign for many logs
    /// ([`checkpoint_of`](super::checkpoint::checkpoint_of), [`TlogProof`](super::proof::TlogProof)).
    pub fn check(&self, note: &Note, now: UnixMillis) -> Result<Quorum, QuorumError> {
        let latest = now.saturating_add(MAX_AHEAD_MS);
        let (mut cosigned, mut ahead) = (Vec::new(), 0);
        for witness in &self.witnesses {
            let times = times(note, witness)?;
            match times.iter().filter(|at| at.to_millis() <= latest).max() {
                Some(at) => cosigned.push((witness.name().clone(), *at)),
                None if times.is_empty() => {}
                None => ahead += 1,
            }
        }
        cosigned.sort_by(|(_, one), (_, other)| other.cmp(one));
        match cosigned.get(self.needed - 1) {
            Some((_, at)) => Ok(Quorum { seen_at: *at, cosigned }),
            None => Err(QuorumError::TooFew { found: cosigned.len(), needed: self.needed, ahead }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::Ed25519Signer;
    use crate::log::checkpoint::{Origin, checkpoint_of};
    use crate::log::note::{BadVerifierKey, VerifierKey};
    use crate::log::testing::{LOG, PROOF, WITNESSED_AT, WITNESSES};
    use crate::merkle::{Hash, TreeSize};

    /// A checkpoint of a public log, as the log and two public witnesses signed it in May 2026. Of one we
    /// know the key; the first line is of signature type 0x05.
    const PUBLIC: &str = "\
arche2025h1.staging.ct.transparency.dev\n\
1432088532\n\
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\
\n\
\u{2014} arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n\
\u{2014} arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
\u{2014} remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n\
\u{2014} witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==\n\
";
    const PUBLIC_LOG: &str =
        "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
    const PUBLIC_WITNESS: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";

    fn at(seconds: u64) -> CosignatureTime {
        CosignatureTime::new(seconds).unwrap()
    }

    fn signer(number: u8) -> Ed25519Signer {
        Ed25519Signer::from_seed(&[number; 32]).unwrap()
    }

    fn key(number: u8) -> WitnessKey {
        WitnessKey::new(format!("w{number}").parse().unwrap(), signer(number).public_key().clone()).unwrap()
    }

    /// The known checkpoint, with the known cosignatures or without.
    fn known(cosigned: bool) -> Note {
        let (_, note) = PROOF.split_once("\n\n").unwrap();
        let bare = &note[..note.find("\u{2014} witness1").unwrap()];
        Note::parse(if cosigned { note } else { bare }.as_bytes()).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        checkpoint_of(&known(false), &LOG.parse().unwrap()).unwrap()
    }

    /// The line of witness `number`.
    fn line(number: u8, seconds: u64) -> NoteSignature {
        cosign(&signer(number), key(number).name(), &checkpoint(), at(seconds)).unwrap()
    }

    /// The known checkpoint, cosigned by these witnesses at these times.
    fn cosigned(lines: &[(u8, u64)]) -> Note {
        lines.iter().fold(known(false), |note, (number, seconds)| note.with_line(line(*number, *seconds)).unwrap())
    }

    #[test]
    fn a_public_log_and_its_witness_are_understood() {
        let note = Note::parse(PUBLIC.as_bytes()).unwrap();
        let (log, witness) =
            (PUBLIC_LOG.parse::<VerifierKey>().unwrap(), PUBLIC_WITNESS.parse::<WitnessKey>().unwrap());
        assert_eq!(witness.to_string(), PUBLIC_WITNESS);
        assert_eq!(checkpoint_of(&note, &log).unwrap().size, TreeSize::new(1_432_088_532));
        assert_eq!(cosigned_at(&note, &[key(1), witness.clone()]), Ok(vec![None, Some(at(1_779_573_024))]));
        let larger = Note::parse(PUBLIC.replace("\n1432088532", "\n1432088533").as_bytes()).unwrap();
        let bad = CosignatureError::Signature(witness.name().clone());
        assert_eq!(cosigned_at(&larger, &[witness]), Err(bad));
    }

    #[test]
    fn known_cosignatures_are_read_and_made_again() {
        let witnesses = WITNESSES.map(|vkey| vkey.parse::<WitnessKey>().unwrap());
        assert_eq!(cosigned_at(&known(true), &witnesses), Ok(WITNESSED_AT.map(|seconds| Some(at(seconds))).to_vec()));
        let mut made = known(false);
        for ((witness, seed), seconds) in witnesses.iter().zip(21..).zip(WITNESSED_AT) {
            assert_eq!(
                WitnessKey::new(witness.name().clone(), signer(seed).public_key().clone()).as_ref(),
                Ok(witness)
            );
            made = made.with_line(cosign(&signer(seed), witness.name(), &checkpoint(), at(seconds)).unwrap()).unwrap();
        }
        assert_eq!(made, known(true));
    }

    #[test]
    fn a_log_s_key_is_no_witness_s() {
        assert_eq!(LOG.parse::<WitnessKey>(), Err(BadVerifierKey::Type));
        assert_eq!(WITNESSES[0].parse::<VerifierKey>(), Err(BadVerifierKey::Type));
        let plain = VerifierKey::new(key(1).name().clone(), key(1).key().clone()).unwrap();
        assert_ne!(plain.id(), key(1).id());
        // The identifier is over the type too: that of the other type does not do.
        let swapped = key(1).to_string().replace(&hex::encode(key(1).id()), &hex::encode(plain.id()));
        assert_eq!(swapped.parse::<WitnessKey>(), Err(BadVerifierKey::KeyId));
        // A cosignature is no signature of the text, whoever asks for it.
        assert!(cosigned(&[(1, 5)]).verify(&plain).is_err());
    }

    #[test]
    fn a_line_of_a_known_witness_that_is_not_in_order_refuses_the_note() {
        let good = line(1, 5);
        let octets = |signature: Vec<u8>| NoteSignature { signature, ..good.clone() };
        let mut flipped = good.signature.clone();
        flipped[71] ^= 1;
        let mut later = good.signature.clone();
        later[7] += 1;
        let name = || key(1).name().clone();
        let cases = [
            (octets(vec![1]), CosignatureError::Length(name())),
            (octets(good.signature[..8].to_vec()), CosignatureError::Length(name())),
            // What a key of type 0x01 would have: a signature without a time.
            (octets(good.signature[8..].to_vec()), CosignatureError::Length(name())),
            (octets(good.signature[..71].to_vec()), CosignatureError::Length(name())),
            (octets([&good.signature[..], &[0]].concat()), CosignatureError::Length(name())),
            (octets([&[0x80, 0, 0, 0, 0, 0, 0, 0], &good.signature[8..]].concat()), CosignatureError::Time(name())),
            (octets(flipped), CosignatureError::Signature(name())),
            (octets(later), CosignatureError::Signature(name())),
        ];
        for (bad, error) in cases {
            // Beside a good line of its own and of others.
            let note = cosigned(&[(1, 5), (2, 5)]).with_line(bad.clone()).unwrap();
            assert_eq!(cosigned_at(&note, &[key(2), key(1)]), Err(error.clone()), "{bad}");
            let quorum = WitnessQuorum::new(vec![key(2), key(1)], 1).unwrap();
            assert_eq!(quorum.check(&note, UnixMillis::new(9_000)), Err(error.into()));
            // Whoever does not know the witness does not look.
            assert_eq!(cosigned_at(&note, &[key(2)]), Ok(vec![Some(at(5))]));
        }
        // The name alone or the identifier alone is somebody else.
        for stranger in [
            NoteSignature { name: key(3).name().clone(), signature: vec![1], ..good.clone() },
            NoteSignature { key_id: key(3).id(), signature: vec![1], ..good.clone() },
        ] {
            let note = known(false).with_line(stranger).unwrap();
            assert_eq!(cosigned_at(&note, &[key(1)]), Ok(vec![None]));
        }
    }

    #[test]
    fn a_cosignature_is_over_the_whole_text() {
        let text = format!("{}one line more\n", checkpoint());
        let extended = Checkpoint::parse(&text).unwrap();
        let line = cosign(&signer(1), key(1).name(), &extended, at(5)).unwrap();
        let note = Note::sign(text, &"log.example".parse().unwrap(), &signer(9)).unwrap();
        assert_eq!(cosigned_at(&note.with_line(line.clone()).unwrap(), &[key(1)]), Ok(vec![Some(at(5))]));
        assert!(cosigned_at(&known(false).with_line(line).unwrap(), &[key(1)]).is_err());
    }

    #[test]
    fn a_witness_counts_once() {
        let note = cosigned(&[(1, 50), (1, 80), (1, 20), (2, 60)]);
        assert_eq!(cosigned_at(&note, &[key(1), key(2)]), Ok(vec![Some(at(80)), Some(at(60))]));
        let all = |needed| WitnessQuorum::new(vec![key(1), key(2), key(3)], needed).unwrap();
        let now = UnixMillis::new(100_000);
        let cosigned = vec![(key(1).name().clone(), at(80)), (key(2).name().clone(), at(60))];
        assert_eq!(all(1).check(&note, now), Ok(Quorum { seen_at: at(80), cosigned: cosigned.clone() }));
        let two = all(2).check(&note, now).unwrap();
        assert_eq!((two.seen_at, two.age(now), &two.cosigned), (at(60), 40_000, &cosigned));
        assert_eq!(all(3).check(&note, now), Err(QuorumError::TooFew { found: 2, needed: 3, ahead: 0 }));

        let twice = |witnesses: Vec<WitnessKey>| WitnessQuorum::new(witnesses, 2);
        assert_eq!(twice(vec![key(1), key(1)]), Err(BadQuorum::Name(key(1).name().clone())));
        let named =
            |name: &str, number| WitnessKey::new(name.parse().unwrap(), signer(number).public_key().clone()).unwrap();
        assert_eq!(twice(vec![named("x", 1), named("x", 2)]), Err(BadQuorum::Name("x".parse().unwrap())));
        assert_eq!(twice(vec![named("x", 1), named("y", 1)]), Err(BadQuorum::Key("y".parse().unwrap())));
        for (witnesses, needed) in [(vec![], 0), (vec![key(1)], 0), (vec![key(1)], 2)] {
            let error = BadQuorum::Needed { needed, witnesses: witnesses.len() };
            assert_eq!(WitnessQuorum::new(witnesses, needed), Err(error));
        }
    }

    #[test]
    fn what_is_dated_ahead_does_not_count() {
        let two = WitnessQuorum::new(vec![key(1), key(2)], 2).unwrap();
        let note = cosigned(&[(1, 100), (2, 161)]);
        let few = |ahead| Err(QuorumError::TooFew { found: 2 - ahead, needed: 2, ahead });
        assert_eq!(two.check(&note, UnixMillis::new(100_999)), few(1));
        let seen = two.check(&note, UnixMillis::new(101_000)).unwrap();
        assert_eq!((seen.seen_at, seen.age(UnixMillis::new(99_000))), (at(100), 0));
        assert_eq!(two.check(&note, UnixMillis::new(0)), few(2));
        // An older line of the same witness counts in its place.
        let note = cosigned(&[(1, 100), (2, i64::MAX as u64), (2, 90)]);
        assert_eq!(two.check(&note, UnixMillis::new(101_000)).unwrap().seen_at, at(90));
        assert_eq!(at(i64::MAX as u64).to_millis().get(), u64::MAX);
        assert_eq!(CosignatureTime::new(1 << 63), None);
        assert_eq!(CosignatureTime::from(UnixMillis::new(u64::MAX)).get(), u64::MAX / 1000);
    }

    #[test]
    fn only_ed25519_cosigns() {
        struct Other(crate::keys::PublicKey);
        impl Signer for Other {
            fn public_key(&self) -> &crate::keys::PublicKey {
                &self.0
            }
            fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
                unreachable!("no such key signs notes")
            }
        }
        // A P-256 key; its point is the base point of the curve.
        let spki = "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let other = Other(crate::keys::PublicKey::from_spki_der(&hex::decode(spki).unwrap()).unwrap());
        assert!(cosign(&other, key(1).name(), &checkpoint(), at(1)).is_err());
    }

    proptest! {
        #[test]
        fn seen_at_is_the_newest_moment_that_enough_stand_behind(
            lines in prop::collection::vec((1_u8..6, 0_u64..40), 0..12),
            known in 1_u8..6,
            needed: prop::sample::Index,
            now in 0_u64..40,
        ) {
            let note = cosigned(&lines);
            let (witnesses, needed) = ((1..=known).map(key).collect(), needed.index(usize::from(known)) + 1);
            let quorum = WitnessQuorum::new(witnesses, needed).unwrap();
            // MAX_AHEAD_MS lets all of these pass.
            let found = quorum.check(&note, UnixMillis::new(now * 1000));
            // By its definition: how many witnesses have a line at `t` or later?
            let behind = |t| (1..=known).filter(|w| lines.iter().any(|(by, at)| by == w && *at >= t)).count();
            let newest = (0..40).filter(|t| behind(*t) >= needed).max();
            match newest {
                Some(t) => prop_assert_eq!(found.unwrap().seen_at, at(t)),
                None => prop_assert_eq!(found, Err(QuorumError::TooFew { found: behind(0), needed, ahead: 0 })),
            }
        }

        #[test]
        fn what_is_cosigned_is_read_and_no_other_time_or_tree(
            seconds in 0..=i64::MAX as u64,
            other in 0..=i64::MAX as u64,
            size: u64,
            root: [u8; 32],
        ) {
            let origin: Origin = "log.example/1".parse().unwrap();
            let tree = |size| Checkpoint::new(origin.clone(), TreeSize::new(size), Hash::new(root));
            let line = cosign(&signer(1), key(1).name(), &tree(size), at(seconds)).unwrap();
            let cosigned = |size, line: &NoteSignature| {
                let note = Note::sign(tree(size).to_string(), &"log.example/1".parse().unwrap(), &signer(9)).unwrap();
                cosigned_at(&note.with_line(line.clone()).unwrap(), &[key(1)])
            };
            prop_assert_eq!(cosigned(size, &line), Ok(vec![Some(at(seconds))]));
            let bad = Err(CosignatureError::Signature(key(1).name().clone()));
            prop_assert_eq!(cosigned(size ^ 1, &line), bad.clone());
            if other != seconds {
                let signature = [&other.to_be_bytes(), &line.signature[8..]].concat();
                prop_assert_eq!(cosigned(size, &NoteSignature { signature, ..line }), bad);
            }
        }

        #[test]
        fn no_octets_make_the_reader_panic(signature in prop::collection::vec(any::<u8>(), 1..100), text: String) {
            let note = known(false).with_line(NoteSignature { signature, ..line(1, 5) }).unwrap();
            prop_assert!(cosigned_at(&note, &[key(1)]).is_err());
            let _ = text.parse::<WitnessKey>();
        }
    }
}
