//! What a client sends to a witness: a checkpoint, and the proof that it continues what the witness knows.

use atl::log::checkpoint::{Checkpoint, CheckpointError};
use atl::log::note::{Note, NoteError};
use atl::merkle::{Hash, TreeSize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// Hashes that a client may send: no proof between trees of 64 bits has more.
const MAX_PROOF: usize = 63;

/// Why octets are no submission.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSubmission {
    /// What stands before the checkpoint is not text, or no empty line ends it.
    #[error("the body is a line `old` with a size, lines of a consistency proof, an empty line and a checkpoint")]
    Form,
    /// The first line.
    #[error("the first line is `old`, a space, and a size in decimal without leading zeros")]
    Old,
    /// A line of the proof, counted from 1.
    #[error("line {0} of the consistency proof is not a hash of 32 octets in base64 with padding")]
    Hash(usize),
    /// More lines than a proof has.
    #[error("the consistency proof has more than {MAX_PROOF} lines")]
    TooLong,
    /// What follows is no note.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The note is no checkpoint.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
}

/// A body of `add-checkpoint` (C2SP tlog-witness). No signature is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The size of the tree that the proof begins at.
    pub old: TreeSize,
    /// The consistency proof.
    pub proof: Vec<Hash>,
    /// The checkpoint as it was signed.
    pub note: Note,
}

impl Submission {
    /// Reads the body of a request.
    pub fn parse(body: &[u8]) -> Result<Self, BadSubmission> {
        let end = body.windows(2).position(|two| two == b"\n\n").ok_or(BadSubmission::Form)?;
        let (lines, note) = body.split_at(end + 2);
        let lines = lines.get(..end).and_then(|lines| str::from_utf8(lines).ok()).ok_or(BadSubmission::Form)?;
        let mut lines = lines.split('\n');
        let old = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?)).ok_or(BadSubmission::Old)?;
        let mut proof = Vec::new();
        for (n, line) in lines.enumerate() {
            if n == MAX_PROOF {
                return Err(BadSubmission::TooLong);
            }
            proof.push(hash(line).ok_or(BadSubmission::Hash(n + 1))?);
        }
        Ok(Self { old: TreeSize::new(old), proof, note: Note::parse(note)? })
    }

    /// The first line of the checkpoint, whatever stands there.
    pub fn origin(&self) -> &str {
        self.note.text().split('\n').next().unwrap_or_default()
    }

    /// What the note says.
    pub fn checkpoint(&self) -> Result<Checkpoint, BadSubmission> {
        Ok(Checkpoint::parse(self.note.text())?)
    }
}

fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn hash(text: &str) -> Option<Hash> {
    Hash::from_slice(&STANDARD.decode(text).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of C2SP tlog-witness.
    const EXAMPLE: &str = "old 20852014\n\
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
\n\
example.com/behind-the-sofa\n\
20852163\n\
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
\n\
\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
\u{2014} example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let submission = Submission::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((submission.old.get(), submission.proof.len()), (20_852_014, 4));
        assert_eq!(hex::encode(&submission.proof[0].as_bytes()[..4]), "3e544d0a");
        assert_eq!(submission.origin(), "example.com/behind-the-sofa");
        let checkpoint = submission.checkpoint().unwrap();
        assert_eq!((checkpoint.size.get(), checkpoint.extensions().len()), (20_852_163, 0));
        assert_eq!(submission.note.signatures().len(), 2);
    }

    #[test]
    fn malformations_have_their_reasons() {
        let parse = |text: &str| Submission::parse(text.as_bytes()).and_then(|read| read.checkpoint()).unwrap_err();
        let first = |line: &str| parse(&EXAMPLE.replacen("old 20852014", line, 1));
        for bad in
            ["", "old", "old ", "old  1", "old 01", "old -1", "old +1", "OLD 1", " old 1", "old 1 ", "old 1\r", "new 1"]
        {
            assert_eq!(first(bad), BadSubmission::Old, "{bad:?}");
        }
        assert_eq!(first("old 18446744073709551616"), BadSubmission::Old);
        let hash = "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=";
        for bad in [&hash[..43], &hash.replace("k=", "l="), " ", &hash[..40], &format!("{hash}\r"), &hash.repeat(2)] {
            assert_eq!(parse(&EXAMPLE.replacen(hash, bad, 1)), BadSubmission::Hash(2), "{bad:?}");
        }
        let lines = |n: usize| EXAMPLE.replacen(hash, &vec![hash; n].join("\n"), 1);
        assert!(Submission::parse(lines(60).as_bytes()).is_ok());
        assert_eq!(parse(&lines(61)), BadSubmission::TooLong);
        assert_eq!(parse("old 1\n"), BadSubmission::Form);
        assert_eq!(Submission::parse(b"old 1\n\xff\n\nx"), Err(BadSubmission::Form));
        let after = |note: &str| parse(&format!("old 0\n\n{note}"));
        assert_eq!(after(""), NoteError::NoFinalNewline.into());
        assert_eq!(after("x\n"), NoteError::NoBlankLine.into());
        let (_, note) = EXAMPLE.split_once("\n\n").unwrap();
        assert_eq!(after(&note.replacen("20852163", "020852163", 1)), CheckpointError::Size.into());
        assert_eq!(after(&note.replacen("CsU", "Cs", 1)), CheckpointError::Root.into());
        assert_eq!(after(&note.replacen("20852163\n", "", 1)), CheckpointError::Lines.into());
        assert!(matches!(after(note.trim_end()), BadSubmission::Note(NoteError::NoFinalNewline)));
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in prop::collection::vec(prop::sample::select(b"old 0159\nA=\xe2".to_vec()), 0..60)) {
            let _ = Submission::parse(&octets);
        }
    }
}
