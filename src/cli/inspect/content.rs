//! From the octets of a file to the objects in it, before anybody knows what they are.
//!
//! A text is PEM, JSON, base64 of DER, or something of its own such as a signed note; octets that are no text are
//! DER. What is broken is read as far as it goes, and the fault noted.

use std::collections::HashMap;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use der::pem;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::log::note::VerifierKey;

/// Base64 whose end may be missing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// What an object is written in. DER may be a private key, and is wiped when it goes.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Octets.
    Der(Zeroizing<Vec<u8>>),
    /// A JSON object, whole or not.
    Json(String),
    /// Other text.
    Text(Zeroizing<String>),
}

impl Content {
    /// The octets; an error in words where it is a text.
    pub fn der(&self) -> Result<&[u8], String> {
        match self {
            Self::Der(der) => Ok(der),
            Self::Json(_) => Err("it is JSON, and DER belongs here".into()),
            Self::Text(_) => Err("it is neither DER nor the base64 of it".into()),
        }
    }

    /// The JSON; an error in words where it is something else.
    pub fn json(&self) -> Result<&str, String> {
        match self {
            Self::Json(text) => Ok(text),
            _ => Err(format!("it is {}, and a JSON object belongs here", self.what())),
        }
    }

    /// The text; an error in words where it is something else.
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(format!("it is {}, and a text belongs here", self.what())),
        }
    }

    /// What it is written in, in words.
    pub const fn what(&self) -> &'static str {
        match self {
            Self::Der(_) => "DER",
            Self::Json(_) => "JSON",
            Self::Text(_) => "text",
        }
    }

    /// Whether it is a JSON object with all these members; where it is broken, whether one of them is named in it.
    pub fn has_members(&self, names: &[&str]) -> bool {
        let Self::Json(text) = self else { return false };
        match serde_json::from_str::<HashMap<String, IgnoredAny>>(text) {
            Ok(members) => names.iter().all(|name| members.contains_key(*name)),
            Err(_) => names.iter().any(|name| text.contains(&format!("\"{name}\""))),
        }
    }
}

/// One object of a file.
pub struct Piece {
    /// The label of its PEM block.
    pub label: Option<String>,
    /// What it is written in.
    pub content: Content,
    /// What is wrong with the PEM or base64 around it.
    pub fault: Option<String>,
}

impl Piece {
    const fn bare(content: Content) -> Self {
        Self { label: None, content, fault: None }
    }
}

/// The objects in these octets; none where there is nothing but white space.
pub fn pieces(octets: &[u8]) -> Vec<Piece> {
    let der = || vec![Piece::bare(Content::Der(Zeroizing::new(octets.to_vec())))];
    let Some(text) = as_text(octets) else {
        // A stray octet in a text makes no DER of PEM.
        return match std::str::from_utf8(octets) {
            Ok(text) if text.contains(BEGIN) && octets.first() != Some(&0x30) => pem_pieces(text),
            _ => der(),
        };
    };
    if text.contains(BEGIN) {
        return pem_pieces(text);
    }
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() {
        return Vec::new();
    }
    if trimmed.starts_with('{') {
        return vec![Piece::bare(Content::Json(text.to_owned()))];
    }
    let is_key = trimmed.parse::<VerifierKey>().is_ok();
    base64_piece(trimmed)
        .filter(|_| !is_key)
        .map_or_else(|| vec![Piece::bare(Content::Text(Zeroizing::new(text.to_owned())))], |piece| vec![piece])
}

/// A text: UTF-8, and no control characters but those that part lines and columns.
fn as_text(octets: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(octets).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.bytes().all(|c| c >= 0x20 && c != 0x7f || matches!(c, b'\n' | b'\r' | b'\t')).then_some(text)
}

/// The blocks of a PEM text, also one that does not end.
fn pem_pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let block = &rest[start..];
        let behind = &block[BEGIN.len()..];
        let until = behind.find(BEGIN).map_or(block.len(), |next| BEGIN.len() + next);
        let block = &block[..until];
        rest = &rest[start + until..];
        pieces.push(pem_piece(block));
    }
    // OpenSSL writes the curve in front of a key that names its curve itself.
    pieces.retain(|piece| piece.label.as_deref() != Some("EC PARAMETERS"));
    pieces
}

/// One block, from its first line to where the next begins.
fn pem_piece(block: &str) -> Piece {
    let end = block.find(END);
    let line = |at: usize| block[at..].find('\n').map_or(block.len(), |n| at + n + 1);
    let whole = end.map_or(block, |end| &block[..line(end)]);
    let head = block[BEGIN.len()..].lines().next().unwrap_or_default();
    let label = head.split(DASHES).next().unwrap_or_default().to_owned();
    match pem::decode_vec(whole.as_bytes()) {
        Ok((_, der)) => Piece { label: Some(label), content: Content::Der(Zeroizing::new(der)), fault: None },
        Err(error) => {
            let body = &block[line(0)..end.unwrap_or(block.len()).max(line(0))];
            let why = if end.is_none() { "it has no last line, -----END ...".to_owned() } else { error.to_string() };
            // Lines with a colon are headers of the older kind.
            let base64: Zeroizing<String> = Zeroizing::new(body.lines().filter(|line| !line.contains(':')).collect());
            let fault = Some(format!("the PEM around it: {why}"));
            Piece { label: Some(label), content: Content::Der(beginning(&base64)), fault }
        }
    }
}

/// A text that is base64 of DER, whole or not; `None` where it is something else.
fn base64_piece(text: &str) -> Option<Piece> {
    let compact: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    match STANDARD.decode(compact.as_bytes()).map(Zeroizing::new) {
        Ok(der) if der.first() == Some(&0x30) => Some(Piece::bare(Content::Der(der))),
        Ok(_) => None,
        Err(error) => {
            // Two octets of DER and their base64 are enough to know what was meant.
            let der = beginning(&compact);
            let meant = matches!(der.as_slice(), [0x30, ..]) && compact.len() > 8 && compact.bytes().all(is_base64);
            let fault = Some(format!("the base64 around it: {error}"));
            meant.then(|| Piece { label: None, content: Content::Der(der), fault })
        }
    }
}

const fn is_base64(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=')
}

/// What base64 stands for, up to the first character that does not belong in it.
fn beginning(text: &str) -> Zeroizing<Vec<u8>> {
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(
        text.bytes().filter(|c| !c.is_ascii_whitespace()).take_while(|c| is_base64(*c) && *c != b'=').collect(),
    );
    // A single character stands for less than an octet.
    let most = digits.len() - usize::from(digits.len() % 4 == 1);
    Zeroizing::new(LENIENT.decode(digits.get(..most).unwrap_or_default()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn der(content: &Content) -> &[u8] {
        content.der().unwrap()
    }

    #[test]
    fn the_ways_to_write_der() {
        let octets = [0x30, 0x03, 0x02, 0x01, 0x07];
        let base64 = STANDARD.encode(octets);
        let pem = format!("note\n-----BEGIN THING-----\n{base64}\n-----END THING-----\n");
        for (text, label) in [(pem.as_str(), Some("THING")), (&base64, None), (&format!(" {base64}\n"), None)] {
            let found = pieces(text.as_bytes());
            assert_eq!((found.len(), found[0].label.as_deref()), (1, label), "{text}");
            assert_eq!((der(&found[0].content), &found[0].fault), (&octets[..], &None), "{text}");
        }
        assert_eq!(der(&pieces(&octets)[0].content), octets);
        assert_eq!(pieces(format!("{pem}{pem}").as_bytes()).len(), 2);
    }

    #[test]
    fn what_is_broken_is_read_as_far_as_it_goes() {
        let octets: Vec<u8> = [&[0x30, 0x26][..], &[7; 0x26]].concat();
        let base64 = STANDARD.encode(&octets);
        let open = format!("-----BEGIN THING-----\n{base64}\n");
        let wide = format!("-----BEGIN THING-----\n{}\n{}\n-----END THING-----\n", &base64[..10], &base64[10..]);
        let headers = format!("-----BEGIN THING-----\nProc-Type: 4,ENCRYPTED\n\n{base64}\n-----END THING-----\n");
        for text in [open, wide, headers] {
            let found = pieces(text.as_bytes());
            assert_eq!((found.len(), der(&found[0].content)), (1, octets.as_slice()), "{text}");
            assert!(found[0].fault.as_deref().unwrap().contains("PEM"), "{text}");
        }
        let cut = pieces(&base64.as_bytes()[..21]);
        assert_eq!(der(&cut[0].content), &octets[..15]);
        assert!(cut[0].fault.as_deref().unwrap().contains("base64"));
        // A block that does not end takes nothing of the next one.
        let two = format!("-----BEGIN A-----\n{base64}\n-----BEGIN B-----\n{base64}\n-----END B-----\n");
        let two = pieces(two.as_bytes());
        assert_eq!(two.iter().map(|p| p.label.as_deref().unwrap()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(two.iter().map(|p| p.fault.is_some()).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn other_texts() {
        assert!(pieces(b" \n").is_empty() && pieces(b"").is_empty());
        assert!(matches!(pieces(b" {\"a\":")[0].content, Content::Json(_)));
        for text in ["hello", "AAAA", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"] {
            assert!(matches!(pieces(text.as_bytes())[0].content, Content::Text(_)), "{text}");
        }
        assert!(matches!(pieces(b"\x00\x01")[0].content, Content::Der(_)));
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            let text = format!("{text}{BEGIN}{text}{END}{text}");
            let _ = (pieces(&octets), pieces(text.as_bytes()), pieces(&text.as_bytes()[3..]));
        }
    }
}
