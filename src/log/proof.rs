//! Proof files (C2SP tlog-proof): that a certificate is in a log, to be checked offline.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra (base64; the line is left out where there is nothing)
//! index 73894
//! (the hashes of the inclusion proof in base64, a line each, from the leaf upwards)
//!
//! (the checkpoint, with the lines of the log and of its witnesses)
//! ```
//!
//! Such a file is kept under a name that ends with `.tlog-proof`. Nobody signs it as a whole: what it says is
//! proven by the log's signature on the checkpoint, by the hashes that lead from the leaf to the checkpoint's
//! root, and, for whoever demands witnesses, by their cosignatures; nothing proves the extra octets.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::checkpoint::{Checkpoint, CheckpointError, checkpoint_of};
use super::cosignature::{Quorum, QuorumError, WitnessQuorum};
use super::entry::CertHash;
use super::line::{base64_hash, decimal, hash};
use super::note::{MAX_NOTE_OCTETS, Note, VerifierKey};
use crate::merkle::{Hash, LeafIndex, ProofError, TreeSize, verify_inclusion};
use crate::time::UnixMillis;

/// The first line.
const FORMAT: &str = "c2sp.org/tlog-proof@v1";

/// Hashes that a proof may have: a tree of less than 2^64 leaves has no leaf deeper than this.
const MAX_HASHES: usize = 64;

/// Extra octets that a proof may have.
pub const MAX_EXTRA_OCTETS: usize = 64 * 1024;

/// Octets of a proof file that we look at: the most that its parts come to.
pub const MAX_PROOF_OCTETS: usize = 128 + MAX_EXTRA_OCTETS.div_ceil(3) * 4 + MAX_HASHES * 45 + MAX_NOTE_OCTETS;

/// Why octets, or the parts of a proof, are no proof file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadTlogProof {
    /// Longer than anybody needs.
    #[error("a proof file of {0} octets is more than the {MAX_PROOF_OCTETS} that we read")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the proof file is not UTF-8")]
    NotUtf8,
    /// The first line is not that of the format.
    #[error("a proof file starts with the line {FORMAT}")]
    Format,
    /// No empty line before the checkpoint.
    #[error("no empty line separates the proof's hashes from the checkpoint")]
    NoBlankLine,
    /// An `extra` line that is not base64, has nothing in it or too much.
    #[error(
        "the proof's extra octets are not 1 to {MAX_EXTRA_OCTETS} in base64 with padding; a proof without any has no such line"
    )]
    Extra,
    /// No index where it must be.
    #[error(
        "the proof's index is not a line of the word index, a space, and a decimal number of 64 bits without leading zeros"
    )]
    Index,
    /// A hash is none; counted from 1.
    #[error("hash {0} of the proof is not 32 octets in base64 with padding")]
    Hash(usize),
    /// More hashes than any tree asks for.
    #[error("the proof has more than {MAX_HASHES} hashes")]
    TooManyHashes,
    /// What follows is not a checkpoint, signed by whomever.
    #[error("the proof's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// An inclusion proof in another tree than that of the checkpoint.
    #[error(
        "the inclusion proof is for a tree of {proof} leaves and the checkpoint is of {checkpoint}; ask the log for the \
         proof in the checkpoint's tree"
    )]
    OtherSize {
        /// The tree of the inclusion proof.
        proof: TreeSize,
        /// The tree of the checkpoint.
        checkpoint: TreeSize,
    },
}

/// Which step of the verification says no.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TlogProofError {
    /// The checkpoint is not the log's.
    #[error("the proof's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Not enough witnesses stand behind the checkpoint.
    #[error("the witnesses of the proof's checkpoint: {0}")]
    Witnesses(#[from] QuorumError),
    /// The hashes do not lead from the leaf to the checkpoint's root.
    #[error("the inclusion proof in the checkpoint's tree: {0}")]
    Inclusion(#[from] ProofError),
}

/// A proof file. It has the form of one; what it says holds once it is [verified](Self::verify).
///
/// [`Display`](fmt::Display) writes it as it is kept and travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    index: LeafIndex,
    inclusion: Vec<Hash>,
    extra: Option<Vec<u8>>,
    checkpoint: Note,
}

impl TlogProof {
    /// Puts together what a log answers: to `get-proof-by-hash` the `index` of the leaf, the `size` of the tree
    /// and the `inclusion` proof in it, from the leaf upwards; and its `checkpoint`, which must be that of the
    /// same tree. No signature and no hash is checked.
    pub fn new(
        index: LeafIndex,
        size: TreeSize,
        inclusion: Vec<Hash>,
        checkpoint: &[u8],
    ) -> Result<Self, BadTlogProof> {
        if inclusion.len() > MAX_HASHES {
            return Err(BadTlogProof::TooManyHashes);
        }
        let (note, covered) = read_checkpoint(checkpoint)?;
        if covered != size {
            return Err(BadTlogProof::OtherSize { proof: size, checkpoint: covered });
        }
        Ok(Self { index, inclusion, extra: None, checkpoint: note })
    }

    /// The same proof with extra octets, 1 to [`MAX_EXTRA_OCTETS`], which nothing authenticates.
    pub fn with_extra(self, extra: Vec<u8>) -> Result<Self, BadTlogProof> {
        match extra.len() {
            1..=MAX_EXTRA_OCTETS => Ok(Self { extra: Some(extra), ..self }),
            _ => Err(BadTlogProof::Extra),
        }
    }

    /// Reads a proof file.
    pub fn parse(octets: &[u8]) -> Result<Self, BadTlogProof> {
        if octets.len() > MAX_PROOF_OCTETS {
            return Err(BadTlogProof::TooLong(octets.len()));
        }
        let text = str::from_utf8(octets).map_err(|_| BadTlogProof::NotUtf8)?;
        let text = text.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix('\n')).ok_or(BadTlogProof::Format)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(BadTlogProof::NoBlankLine)?;
        let (extra, head) = match head.strip_prefix("extra ") {
            Some(rest) => rest.split_once('\n').map(|(extra, head)| (Some(extra), head)).ok_or(BadTlogProof::Index)?,
            None => (None, head),
        };
        let mut lines = head.split('\n');
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?)).ok_or(BadTlogProof::Index)?;
        let mut inclusion = Vec::new();
        for (i, line) in lines.enumerate() {
            if i == MAX_HASHES {
                return Err(BadTlogProof::TooManyHashes);
            }
            inclusion.push(hash(line).ok_or(BadTlogProof::Hash(i + 1))?);
        }
        let (checkpoint, _) = read_checkpoint(checkpoint.as_bytes())?;
        let proof = Self { index: LeafIndex::new(index), inclusion, extra: None, checkpoint };
        match extra {
            Some(extra) => proof.with_extra(STANDARD.decode(extra).map_err(|_| BadTlogProof::Extra)?),
            None => Ok(proof),
        }
    }

    /// The leaf that the file is about.
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// The hashes from the leaf's sibling up to a child of the root.
    pub fn inclusion(&self) -> &[Hash] {
        &self.inclusion
    }

    /// Octets beside the proof. Nothing authenticates them, whatever comes out of the verification.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// The checkpoint with its signature lines, among them the cosignatures, as they came.
    pub const fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }

    /// Checks that the log with the key `log` signed the checkpoint, under its own name as origin, and that
    /// the tree of the checkpoint has `cert_hash` at the index. Cosignatures are not looked at.
    pub fn verify(&self, cert_hash: &CertHash, log: &VerifierKey) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = checkpoint_of(&self.checkpoint, log)?;
        let leaf = cert_hash.leaf_hash();
        verify_inclusion(&leaf, self.index, checkpoint.size, &self.inclusion, &checkpoint.root)?;
        Ok(checkpoint)
    }

    /// Checks the same, and that as many `witnesses` as needed stand behind the checkpoint
    /// ([`WitnessQuorum::check`]). How long ago, the [`Quorum`] says.
    pub fn verify_witnessed(
        &self,
        cert_hash: &CertHash,
        log: &VerifierKey,
        witnesses: &WitnessQuorum,
        now: UnixMillis,
    ) -> Result<(Checkpoint, Quorum), TlogProofError> {
        let checkpoint = self.verify(cert_hash, log)?;
        Ok((checkpoint, witnesses.check(&self.checkpoint, now)?))
    }
}

/// A note whose text is a checkpoint, and the size of its tree; on nobody's word yet.
fn read_checkpoint(octets: &[u8]) -> Result<(Note, TreeSize), CheckpointError> {
    let note = Note::parse(octets)?;
    let size = Checkpoint::parse(note.text())?.size;
    Ok((note, size))
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.inclusion.iter().try_for_each(|hash| writeln!(f, "{}", base64_hash(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::{Ed25519Signer, Signer};
    use crate::log::checkpoint::{Origin, sign_checkpoint};
    use crate::log::cosignature::{CosignatureError, WitnessKey};
    use crate::log::note::NoteError;
    use crate::log::sth::TreeHead;
    use crate::log::testing::{CERT_HASH, LOG, PROOF, SIZE, WITNESSED_AT, WITNESSES, change_line, tree};

    fn good() -> TlogProof {
        TlogProof::parse(PROOF.as_bytes()).unwrap()
    }

    fn cert_hash() -> CertHash {
        CertHash::from_slice(&hex::decode(CERT_HASH).unwrap()).unwrap()
    }

    fn quorum(needed: usize) -> WitnessQuorum {
        let witnesses: Vec<WitnessKey> = WITNESSES.iter().map(|vkey| vkey.parse().unwrap()).collect();
        WitnessQuorum::new(witnesses, needed).unwrap()
    }

    #[test]
    fn the_known_file_is_read_verified_and_written() {
        let (proof, log) = (good(), LOG.parse().unwrap());
        assert_eq!((proof.index().get(), proof.inclusion().len(), proof.extra()), (4, 3, Some(&b"atl"[..])));
        assert_eq!(proof.checkpoint().signatures().len(), 4);
        assert_eq!(proof.to_string(), PROOF);

        let checkpoint = proof.verify(&cert_hash(), &log).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size.get()), (log.name().as_str(), SIZE));
        let now = UnixMillis::from_secs(WITNESSED_AT[0] + 60).unwrap();
        let (again, seen) = proof.verify_witnessed(&cert_hash(), &log, &quorum(2), now).unwrap();
        assert_eq!((again, seen.seen_at.get(), seen.age(now)), (checkpoint, WITNESSED_AT[0], 60_000));
    }

    #[test]
    fn the_parts_that_a_log_serves_make_the_same_file() {
        let (_, checkpoint) = PROOF.split_once("\n\n").unwrap();
        let build = |size| {
            TlogProof::new(LeafIndex::new(4), TreeSize::new(size), good().inclusion().to_vec(), checkpoint.as_bytes())
        };
        assert_eq!(build(SIZE).unwrap().with_extra(b"atl".to_vec()), Ok(good()));
        let (proof, checkpoint) = (TreeSize::new(SIZE + 1), TreeSize::new(SIZE));
        assert_eq!(build(SIZE + 1), Err(BadTlogProof::OtherSize { proof, checkpoint }));
    }

    #[test]
    fn each_step_that_fails_is_named() {
        let log: VerifierKey = LOG.parse().unwrap();
        let stranger = Ed25519Signer::from_seed(&[9; 32]).unwrap();
        let stranger = VerifierKey::new(log.name().clone(), stranger.public_key().clone()).unwrap();
        let unsigned = TlogProofError::Checkpoint(NoteError::Unsigned.into());
        assert_eq!(good().verify(&cert_hash(), &stranger), Err(unsigned));
        assert_eq!(good().verify(&CertHash::new([1; 32]), &log), Err(TlogProofError::Inclusion(ProofError::Root)));
        let other = TlogProof { index: LeafIndex::new(5), ..good() };
        assert_eq!(other.verify(&cert_hash(), &log), Err(TlogProofError::Inclusion(ProofError::Root)));
        let short = TlogProof { inclusion: good().inclusion[1..].to_vec(), ..good() };
        assert_eq!(short.verify(&cert_hash(), &log), Err(TlogProofError::Inclusion(ProofError::Length(2))));
        let (index, size) = (LeafIndex::new(SIZE), TreeSize::new(SIZE));
        let outside = TlogProof { index, ..good() }.verify(&cert_hash(), &log);
        assert_eq!(outside, Err(TlogProofError::Inclusion(ProofError::NotInTree { index, size })));

        let now = UnixMillis::from_secs(WITNESSED_AT[0]).unwrap();
        let refusal = |file: &str, needed| {
            let proof = TlogProof::parse(file.as_bytes()).unwrap();
            proof.verify_witnessed(&cert_hash(), &log, &quorum(needed), now).unwrap_err()
        };
        let larger = change_line(PROOF, 9, "8\n");
        assert_eq!(refusal(&larger, 1), TlogProofError::Checkpoint(NoteError::Signature.into()));
        let without = change_line(PROOF, 13, "");
        let few = QuorumError::TooFew { found: 2, needed: 3, ahead: 0 };
        assert_eq!(refusal(&without, 3), TlogProofError::Witnesses(few));
        let bad = CosignatureError::Signature("witness1.example/w".parse().unwrap());
        assert_eq!(refusal(&PROOF.replace("DegsXAA", "DegsYAA"), 1), TlogProofError::Witnesses(bad.into()));
    }

    #[test]
    fn malformations_have_their_reasons() {
        let line = |number, text: &str| change_line(PROOF, number, text);
        let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        let extra = |octets: usize| line(2, &format!("extra {}\n", STANDARD.encode(vec![0; octets])));
        let note = |error: NoteError| BadTlogProof::Checkpoint(error.into());
        let cases = [
            (String::new(), BadTlogProof::Format),
            ("c2sp.org/tlog-proof@v1".to_owned(), BadTlogProof::Format),
            (line(1, "c2sp.org/tlog-proof@v2\n"), BadTlogProof::Format),
            (line(1, "c2sp.org/tlog-proof@v1 \n"), BadTlogProof::Format),
            (format!("\n{PROOF}"), BadTlogProof::Format),
            (PROOF.replace('\n', "\r\n"), BadTlogProof::Format),
            (PROOF.replace("\n\n", "\n"), BadTlogProof::NoBlankLine),
            (line(2, "extra \n"), BadTlogProof::Extra),
            (line(2, "extra YXR\n"), BadTlogProof::Extra),
            (line(2, "extra  YXRs\n"), BadTlogProof::Extra),
            (extra(MAX_EXTRA_OCTETS + 1), BadTlogProof::Extra),
            (line(2, "extra YXRs\nextra YXRs\n"), BadTlogProof::Index),
            (line(2, "Extra YXRs\n"), BadTlogProof::Index),
            (line(2, "extra\n"), BadTlogProof::Index),
            (line(3, ""), BadTlogProof::Index),
            (line(3, "index 04\n"), BadTlogProof::Index),
            (line(3, "index -4\n"), BadTlogProof::Index),
            (line(3, "index  4\n"), BadTlogProof::Index),
            (line(3, "index 18446744073709551616\n"), BadTlogProof::Index),
            (line(3, "index 4\nextra YXRs\n"), BadTlogProof::Hash(1)),
            (line(5, &hash[1..]), BadTlogProof::Hash(2)),
            (line(5, &hash.replace('\n', " \n")), BadTlogProof::Hash(2)),
            (line(5, &hash.repeat(MAX_HASHES - 1)), BadTlogProof::TooManyHashes),
            (line(7, "\n\n"), BadTlogProof::Checkpoint(CheckpointError::Lines)),
            (line(9, "07\n"), BadTlogProof::Checkpoint(CheckpointError::Size)),
            (line(11, ""), note(NoteError::NoBlankLine)),
            (PROOF.trim_end().to_owned(), note(NoteError::NoFinalNewline)),
            (PROOF.replace("YgsazUw", "?"), note(NoteError::SignatureLine(1))),
            (format!("{PROOF}\n"), note(NoteError::NoSignature)),
            (format!("{PROOF}{}", "x".repeat(MAX_PROOF_OCTETS)), BadTlogProof::TooLong(PROOF.len() + MAX_PROOF_OCTETS)),
        ];
        for (file, error) in cases {
            assert_eq!(TlogProof::parse(file.as_bytes()), Err(error), "{}", file.chars().take(400).collect::<String>());
        }
        assert_eq!(TlogProof::parse(&[PROOF.as_bytes(), &[0xff]].concat()), Err(BadTlogProof::NotUtf8));
        assert_eq!(good().with_extra(Vec::new()), Err(BadTlogProof::Extra));
    }

    #[test]
    fn what_is_at_the_bounds_is_read() {
        let note = format!("a\n1\n{}\n\n", base64_hash(&Hash::new([0; 32])));
        let line = |octets: usize| format!("\u{2014} a {}\n", STANDARD.encode(vec![0; octets]));
        let rest = (MAX_NOTE_OCTETS - note.len() - line(0).len()) / 4 * 3;
        let checkpoint = format!("{note}{}", line(rest));
        assert!(checkpoint.len() > MAX_NOTE_OCTETS - 4);
        let hashes = vec![Hash::new([0; 32]); MAX_HASHES];
        let build = |hashes| TlogProof::new(LeafIndex::new(u64::MAX), TreeSize::new(1), hashes, checkpoint.as_bytes());
        let proof = build(hashes.clone()).unwrap().with_extra(vec![0; MAX_EXTRA_OCTETS]).unwrap();
        let file = proof.to_string();
        assert!(file.len() <= MAX_PROOF_OCTETS);
        assert_eq!(TlogProof::parse(file.as_bytes()), Ok(proof));
        assert_eq!(build([&hashes[..], &hashes[..1]].concat()), Err(BadTlogProof::TooManyHashes));
    }

    proptest! {
        #[test]
        fn every_leaf_of_a_log_has_a_file(
            size in 1_usize..80,
            index: prop::sample::Index,
            extra in prop::option::of(prop::collection::vec(any::<u8>(), 1..40)),
            bit in 0_usize..8,
            at: prop::sample::Index,
        ) {
            let signer = Ed25519Signer::from_seed(&[1; 32]).unwrap();
            let origin: Origin = "log.example/1".parse().unwrap();
            let key = origin.verifier_key(signer.public_key()).unwrap();
            let hashes: Vec<_> = (0..size).map(|i| CertHash::of_certificate(&i.to_be_bytes())).collect();
            let leaves: Vec<_> = hashes.iter().map(CertHash::leaf_hash).collect();
            let (index, size) = (index.index(size), TreeSize::new(size as u64));
            let (root, inclusion) = tree(&leaves, index as u64);
            let head = TreeHead { size, timestamp: UnixMillis::new(1), root };
            let checkpoint = sign_checkpoint(&signer, &origin, &head).unwrap();
            let proof = TlogProof::new(LeafIndex::new(index as u64), size, inclusion, checkpoint.as_bytes()).unwrap();
            let proof = match extra {
                Some(extra) => proof.with_extra(extra).unwrap(),
                None => proof,
            };
            let file = proof.to_string();
            let read = TlogProof::parse(file.as_bytes()).unwrap();
            prop_assert_eq!(&read, &proof);
            prop_assert_eq!(read.verify(&hashes[index], &key).unwrap().root, head.root);

            // Whatever octet is changed: it is refused, or it still says what is true.
            let mut changed = file.into_bytes();
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
            if let Ok(read) = TlogProof::parse(&changed) {
                prop_assert_eq!(read.to_string().into_bytes(), changed);
                if read.verify(&hashes[index], &key).is_ok() {
                    prop_assert_eq!((read.index, &read.inclusion, read.checkpoint.text()), (proof.index, &proof.inclusion, proof.checkpoint.text()));
                }
            }
        }

        #[test]
        fn what_parses_is_written_back(head in "(extra [ -~]{0,8}\n)?(index [0-9]{0,3}\n)?(A{43}=\n){0,2}", tail in "(a\n1\nA{43}=\n)?\n(\u{2014} a AAAAAAA=\n){0,2}") {
            let octets = format!("{FORMAT}\n{head}\n{tail}").into_bytes();
            if let Ok(proof) = TlogProof::parse(&octets) {
                prop_assert_eq!(proof.to_string().into_bytes(), octets);
            }
        }

        #[test]
        fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (TlogProof::parse(&octets), TlogProof::parse(&[FORMAT.as_bytes(), b"\n", &octets].concat()));
        }
    }
}
