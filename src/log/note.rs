//! Signed notes (C2SP signed-note): a text and the lines of those who signed it.
//!
//! What a line signs follows from the *signature type* of its key, an octet that is part of the verifier
//! key and of the key identifier: a [`VerifierKey`] (0x01) signs the text as it is, the key of a witness
//! ([`WitnessKey`](super::cosignature::WitnessKey), 0x04) a message that is made of the text. The compiler
//! tells the two apart, so that neither can stand in for the other.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::keys::{KeyError, PublicKey, SignError, Signer};

/// Octets of a note that we look at; a checkpoint has some hundred.
pub const MAX_NOTE_OCTETS: usize = 64 * 1024;

/// Signature lines that we look at; C2SP asks for 16 at least.
const MAX_SIGNATURES: usize = 64;

/// What a signature line begins with: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// Why octets are not a signed note, or not one that a key signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Longer than anybody needs.
    #[error("a note of {0} octets is more than the {MAX_NOTE_OCTETS} that we read")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// A control character other than the newline.
    #[error("the note has a control character in it")]
    Control,
    /// The last line does not end.
    #[error("the note does not end with a newline")]
    NoFinalNewline,
    /// Nothing separates the text from the signatures.
    #[error("no blank line separates the note's text from its signatures")]
    NoBlankLine,
    /// No signature line.
    #[error("the note has no signature line")]
    NoSignature,
    /// More signature lines than we look at.
    #[error("the note has more than {MAX_SIGNATURES} signature lines")]
    TooManySignatures,
    /// A line behind the blank one that is no signature line.
    #[error("signature line {0} is not of the form: em dash, space, name, space, base64")]
    SignatureLine(usize),
    /// The key has no line on the note.
    #[error("the note is not signed by the expected key")]
    Unsigned,
    /// A line by the key does not verify, which refuses the note even beside good ones (R26).
    #[error("a signature by the expected key does not verify")]
    Signature,
}

/// Why a text is not a verifier key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadVerifierKey {
    /// The name is empty or has white space or a plus sign in it.
    #[error("a key name is not empty and has neither white space nor a plus sign in it")]
    Name,
    /// The key identifier is not eight lower-case hex digits, or not that of the name and key.
    #[error("the key identifier is not the one of this name and key, as eight lower-case hex digits")]
    KeyId,
    /// The key is not base64.
    #[error("the key is not base64 with padding")]
    Base64,
    /// Not an Ed25519 key, or one for signatures of another type.
    #[error(
        "not an Ed25519 key of the signature type that is asked for here: 0x01 for whoever signs a note's text (a log, a \
         monitor), 0x04 for a witness"
    )]
    Type,
    /// Not a key of 32 octets that Ed25519 accepts.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The name of a key: not empty, neither white space nor `+` nor control characters in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = BadVerifierKey;

    fn from_str(name: &str) -> Result<Self, BadVerifierKey> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.contains(bad) { Err(BadVerifierKey::Name) } else { Ok(Self(name.to_owned())) }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first octets of a hash over a key's name, type and octets: tells lines apart, proves nothing.
pub type KeyId = [u8; 4];

/// Who signs in notes, as `name+hash+base64`: an Ed25519 key, the name it signs under, and with the
/// signature type `TYPE` what it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey<const TYPE: u8> {
    name: KeyName,
    id: KeyId,
    key: PublicKey,
}

/// Who signs the text of notes as it is (signature type 0x01): a log, a monitor.
pub type VerifierKey = NoteKey<0x01>;

impl<const TYPE: u8> NoteKey<TYPE> {
    /// The verifier key of `key` under `name`; an error where it is no Ed25519 key.
    pub fn new(name: KeyName, key: PublicKey) -> Result<Self, BadVerifierKey> {
        let octets = key.ed25519_octets().ok_or(BadVerifierKey::Type)?;
        let hash = Sha256::new().chain_update(name.as_str()).chain_update([b'\n', TYPE]).chain_update(octets);
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        Ok(Self { name, id: [a, b, c, d], key })
    }

    /// The name that the key signs under.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What tells this key's lines from others under the same name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }
}

impl<const TYPE: u8> fmt::Display for NoteKey<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.key.ed25519_octets().map_or(&[][..], |key| key.as_slice());
        let key = STANDARD.encode([&[TYPE], octets].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.id))
    }
}

impl<const TYPE: u8> FromStr for NoteKey<TYPE> {
    type Err = BadVerifierKey;

    fn from_str(text: &str) -> Result<Self, BadVerifierKey> {
        let (name, rest) = text.split_once('+').ok_or(BadVerifierKey::KeyId)?;
        let name = name.parse()?;
        let (id, key) = rest.split_once('+').ok_or(BadVerifierKey::KeyId)?;
        if id.len() != 8 || !id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(BadVerifierKey::KeyId);
        }
        let key = STANDARD.decode(key).map_err(|_| BadVerifierKey::Base64)?;
        let (_, octets) = key.split_first().filter(|(found, _)| **found == TYPE).ok_or(BadVerifierKey::Type)?;
        let key = PublicKey::from_ed25519_octets(octets)?;
        let parsed = Self::new(name, key)?;
        if hex::encode(parsed.id) == id { Ok(parsed) } else { Err(BadVerifierKey::KeyId) }
    }
}

/// One signature line. Of keys that we do not know it is kept as it is: a witness's cosignature
/// has a timestamp inside its octets, for instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name that it was made under.
    pub name: KeyName,
    /// The identifier of the key.
    pub key_id: KeyId,
    /// What the signature's type makes of it; for Ed25519 the 64 octets of the signature.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    fn from_line(line: &str) -> Option<Self> {
        let (name, octets) = line.strip_prefix(LINE_START)?.split_once(' ')?;
        let octets = STANDARD.decode(octets).ok()?;
        let (key_id, signature) = octets.split_first_chunk()?;
        let name = name.parse().ok()?;
        (!signature.is_empty()).then(|| Self { name, key_id: *key_id, signature: signature.to_vec() })
    }
}

/// The line without its newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = STANDARD.encode([&self.key_id, self.signature.as_slice()].concat());
        write!(f, "{LINE_START}{} {octets}", self.name)
    }
}

/// A text with at least one signature line, none of which is checked yet.
///
/// [`Display`](fmt::Display) writes it as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads a note. Every signature line must be well-formed, also those of keys that nobody
    /// here knows.
    pub fn parse(octets: &[u8]) -> Result<Self, NoteError> {
        if octets.len() > MAX_NOTE_OCTETS {
            return Err(NoteError::TooLong(octets.len()));
        }
        let note = str::from_utf8(octets).map_err(|_| NoteError::NotUtf8)?;
        if note.bytes().any(|octet| octet < 0x20 && octet != b'\n') {
            return Err(NoteError::Control);
        }
        let body = note.strip_suffix('\n').ok_or(NoteError::NoFinalNewline)?;
        let Some(blank) = note.rfind("\n\n") else { return Err(NoteError::NoBlankLine) };
        let lines = body.get(blank + 2..).ok_or(NoteError::NoSignature)?;
        let mut signatures = Vec::new();
        for (i, line) in lines.split('\n').enumerate() {
            if i == MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(NoteSignature::from_line(line).ok_or(NoteError::SignatureLine(i + 1))?);
        }
        Ok(Self { text: note[..=blank].to_owned(), signatures })
    }

    /// What is signed: the text with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in their order, not checked.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The lines that `key` is named in, by its name and its identifier both; not checked.
    pub fn lines_of<const TYPE: u8>(&self, key: &NoteKey<TYPE>) -> impl Iterator<Item = &NoteSignature> {
        self.signatures.iter().filter(|line| line.name == key.name && line.key_id == key.id)
    }

    /// This note with one more line behind those that it has, such as a witness's; the line is not
    /// checked, but a note that nobody would read is an error.
    pub fn with_line(mut self, line: NoteSignature) -> Result<Self, NoteError> {
        if self.signatures.len() == MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        if line.signature.is_empty() {
            return Err(NoteError::SignatureLine(self.signatures.len() + 1));
        }
        self.signatures.push(line);
        let octets = self.to_string().len();
        if octets > MAX_NOTE_OCTETS { Err(NoteError::TooLong(octets)) } else { Ok(self) }
    }

    /// A note with the one line of `signer` under `name`. Only those who know what `text` means may
    /// have it signed, so that no text of theirs can be another's: it stays on this floor.
    pub(super) fn sign(text: String, name: &KeyName, signer: &dyn Signer) -> Result<Self, SignError> {
        let key = VerifierKey::new(name.clone(), signer.public_key().clone()).map_err(|e| SignError(e.to_string()))?;
        let signature = signer.sign(text.as_bytes())?;
        Ok(Self { text, signatures: vec![NoteSignature { name: key.name, key_id: key.id, signature }] })
    }

    /// Checks that `key` signed this note: it has a line, and each of its lines verifies (R26).
    /// Lines of other keys are not looked at.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut found = false;
        for line in self.lines_of(key) {
            key.key.verify(self.text.as_bytes(), &line.signature).map_err(|_| NoteError::Signature)?;
            found = true;
        }
        if found { Ok(()) } else { Err(NoteError::Unsigned) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "\u{2014} a AAAAAAA=\n";

    fn parse(note: &str) -> Result<Note, NoteError> {
        Note::parse(note.as_bytes())
    }

    #[test]
    fn bounds_hold() {
        assert!(parse(&format!("x\n\n{}", LINE.repeat(MAX_SIGNATURES))).is_ok());
        let many = format!("x\n\n{}", LINE.repeat(MAX_SIGNATURES + 1));
        assert_eq!(parse(&many), Err(NoteError::TooManySignatures));
        let long = "x".repeat(MAX_NOTE_OCTETS + 1);
        assert_eq!(parse(&long), Err(NoteError::TooLong(MAX_NOTE_OCTETS + 1)));
    }

    #[test]
    fn a_line_is_added_within_the_bounds() {
        let octets = format!("x\n\n{}", LINE.repeat(MAX_SIGNATURES - 1));
        let note = parse(&octets).unwrap();
        let line = note.signatures()[0].clone();
        let full = note.clone().with_line(line.clone()).unwrap();
        assert_eq!(full.to_string(), format!("{octets}{LINE}"));
        assert_eq!(parse(&full.to_string()).as_ref(), Ok(&full));
        assert_eq!(full.with_line(line.clone()), Err(NoteError::TooManySignatures));
        let empty = NoteSignature { signature: Vec::new(), ..line.clone() };
        assert_eq!(note.clone().with_line(empty), Err(NoteError::SignatureLine(MAX_SIGNATURES)));
        let long = NoteSignature { signature: vec![0; MAX_NOTE_OCTETS], ..line };
        assert!(matches!(note.with_line(long), Err(NoteError::TooLong(_))));
    }

    #[test]
    fn a_line_without_signature_octets_is_none() {
        assert_eq!(parse("x\n\n\u{2014} a AAAAAA==\n"), Err(NoteError::SignatureLine(1)));
        assert_eq!(parse(&format!("x\n\n{LINE}\u{2014} a\n")), Err(NoteError::SignatureLine(2)));
        assert_eq!(parse(&format!("x\n\n{LINE}\u{2014} a+b AAAAAAA=\n")), Err(NoteError::SignatureLine(2)));
    }

    #[test]
    fn a_blank_line_in_the_text_belongs_to_it() {
        let note = parse(&format!("x\n\ny\n\n{LINE}")).unwrap();
        assert_eq!((note.text(), note.signatures().len()), ("x\n\ny\n", 1));
        assert_eq!(note.to_string(), format!("x\n\ny\n\n{LINE}"));
    }

    #[test]
    fn names_have_no_space_of_any_kind() {
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\u{7f}b"] {
            assert_eq!(name.parse::<KeyName>(), Err(BadVerifierKey::Name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_written_back(text in "[ -~\n\u{2014}]{0,20}(\n\n)?", lines in prop::collection::vec("(\u{2014} [a-c+ ]{1,3} AAAAAAA=?\n){0,3}", 0..3)) {
            let octets = format!("{text}{}", lines.concat()).into_bytes();
            if let Ok(note) = Note::parse(&octets) {
                prop_assert_eq!(note.to_string().into_bytes(), octets);
            }
        }

        #[test]
        fn no_octets_make_the_parsers_panic(octets in prop::collection::vec(any::<u8>(), 0..100), text: String) {
            let _ = (Note::parse(&octets), text.parse::<VerifierKey>());
        }
    }
}
