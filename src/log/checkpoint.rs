//! Checkpoints (C2SP tlog-checkpoint, protocol section 4): a tree head as a signed note.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::line::{base64_hash, decimal, hash};
use super::note::{BadVerifierKey, KeyName, Note, NoteError, VerifierKey};
use super::sth::TreeHead;
use crate::keys::{PublicKey, SignError, Signer};
use crate::merkle::{Hash, TreeSize};

/// Octets that an origin may have.
const MAX_ORIGIN_OCTETS: usize = 255;

/// A text that cannot be a log's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "an origin is a URL without its scheme, such as atl.example.com/2026h2: it starts with a lower-case letter and has \
     at most 255 printable ASCII characters, neither space nor plus sign"
)]
pub struct BadOrigin;

/// The name of a log in its checkpoints: a URL without scheme (protocol section 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(KeyName);

impl Origin {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The verifier key of a log of this origin with `key`; an error where it is no Ed25519 key
    /// (ruling R21).
    pub fn verifier_key(&self, key: &PublicKey) -> Result<VerifierKey, BadVerifierKey> {
        VerifierKey::new(self.0.clone(), key.clone())
    }
}

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let good = text.len() <= MAX_ORIGIN_OCTETS
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_graphic())
            && !text.contains("://");
        let name = text.parse().map_err(|_| BadOrigin)?;
        if good { Ok(Self(name)) } else { Err(BadOrigin) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why octets are not a checkpoint of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Not a signed note, or not signed by the log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Fewer than three lines, or an empty one.
    #[error("a checkpoint has at least three lines, and none is empty")]
    Lines,
    /// The origin line is no origin.
    #[error(transparent)]
    BadOrigin(#[from] BadOrigin),
    /// The log signed a checkpoint of another origin than its own.
    #[error("the checkpoint's origin is not the name of the key that signed it")]
    OtherOrigin,
    /// The size line is not a decimal number of 64 bits without leading zeros.
    #[error("the checkpoint's size is not a decimal number of 64 bits without leading zeros")]
    Size,
    /// The root line is not a hash in base64.
    #[error("the checkpoint's root is not 32 octets in base64 with padding")]
    Root,
}

/// What a checkpoint says: a log's tree at a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// The number of leaves.
    pub size: TreeSize,
    /// The root of the tree of that size.
    pub root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint without extension lines, as our logs sign it.
    pub const fn new(origin: Origin, size: TreeSize, root: Hash) -> Self {
        Self { origin, size, root, extensions: Vec::new() }
    }

    /// The lines behind the root, which nothing of ours gives a meaning.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Reads the text of a note as a checkpoint.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<_> = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(CheckpointError::Lines);
        };
        if lines.iter().any(|line| line.is_empty()) {
            return Err(CheckpointError::Lines);
        }
        let size = decimal(size).ok_or(CheckpointError::Size)?;
        let root = hash(root).ok_or(CheckpointError::Root)?;
        Ok(Self {
            origin: origin.parse()?,
            size: TreeSize::new(size),
            root,
            extensions: extensions.iter().copied().map(str::to_owned).collect(),
        })
    }
}

/// The text of the note, which is what is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, base64_hash(&self.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Signs `head` as a checkpoint of `origin`: a note with the one line of the log. Whether the
/// head may be signed is for the caller to know. Fails where `signer` is not an Ed25519 key.
pub fn sign_checkpoint(signer: &dyn Signer, origin: &Origin, head: &TreeHead) -> Result<String, SignError> {
    let text = Checkpoint::new(origin.clone(), head.size, head.root).to_string();
    Ok(Note::sign(text, &origin.0, signer)?.to_string())
}

/// Reads a checkpoint that the log with `key` signed, under its own name as origin. A line by
/// that key that does not verify refuses the whole (R26); lines of others are ignored.
pub fn open_checkpoint(octets: &[u8], key: &VerifierKey) -> Result<Checkpoint, CheckpointError> {
    checkpoint_of(&Note::parse(octets)?, key)
}

/// The checkpoint that a note is, as [`open_checkpoint`] has it, where the lines of others are of
/// interest too.
pub fn checkpoint_of(note: &Note, key: &VerifierKey) -> Result<Checkpoint, CheckpointError> {
    note.verify(key)?;
    let checkpoint = Checkpoint::parse(note.text())?;
    match checkpoint.origin.as_str() == key.name().as_str() {
        true => Ok(checkpoint),
        false => Err(CheckpointError::OtherOrigin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Ed25519Signer;
    use crate::time::UnixMillis;

    fn origin() -> Origin {
        "atl.example.com/2026h2".parse().unwrap()
    }

    #[test]
    fn what_is_signed_opens() {
        let signer = Ed25519Signer::from_seed(&[1; 32]).unwrap();
        let head = TreeHead { size: TreeSize::new(7), timestamp: UnixMillis::new(1), root: Hash::new([2; 32]) };
        let note = sign_checkpoint(&signer, &origin(), &head).unwrap();
        let key = origin().verifier_key(signer.public_key()).unwrap();
        let opened = open_checkpoint(note.as_bytes(), &key).unwrap();
        assert_eq!(opened, Checkpoint::new(origin(), head.size, head.root));

        let stranger = Ed25519Signer::from_seed(&[2; 32]).unwrap();
        let stranger = origin().verifier_key(stranger.public_key()).unwrap();
        assert_eq!(open_checkpoint(note.as_bytes(), &stranger), Err(NoteError::Unsigned.into()));
    }

    #[test]
    fn origins_are_urls_without_scheme() {
        for good in ["atl.example.com/2026h2", "a", "log.example:8443/x"] {
            assert_eq!(good.parse::<Origin>().unwrap().as_str(), good);
        }
        let long = "a".repeat(256);
        for bad in ["", "A.example", "1.example", "https://a.example", "a b", "a+b", "a\n", "ä.example", "a.ä", &long]
        {
            assert_eq!(bad.parse::<Origin>(), Err(BadOrigin), "{bad:?}");
        }
    }

    #[test]
    fn a_text_without_last_newline_is_no_checkpoint() {
        let text = Checkpoint::new(origin(), TreeSize::EMPTY, Hash::new([0; 32])).to_string();
        assert!(Checkpoint::parse(&text).is_ok());
        assert_eq!(Checkpoint::parse(text.trim_end()), Err(CheckpointError::Lines));
    }
}
