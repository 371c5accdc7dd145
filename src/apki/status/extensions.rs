//! What the extensions of lists, questions and answers have in common.

use der::asn1::ObjectIdentifier;
use thiserror::Error;

use crate::apki::certificate::Extension;
use crate::apki::certificate::parse;
use crate::apki::tlv::{self, DerError, Element, Reader};

/// Why a list of extensions is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExtensionFault {
    /// Not strict DER, or another structure.
    #[error("the extensions are not strict DER: {0}")]
    Der(#[from] DerError),
    /// One extension twice.
    #[error("the extension {0} is there twice")]
    Duplicate(String),
    /// One that must be understood, and is not.
    #[error("the extension {0} is critical, and nobody here knows what it means")]
    UnknownCritical(String),
}

/// Reads `Extensions ::= SEQUENCE SIZE (1..MAX) OF Extension`, the element `list` of `input`. Whatever is
/// critical must be among the `known`.
pub(super) fn read<'a>(
    input: &'a [u8],
    list: Element,
    known: &[ObjectIdentifier],
) -> Result<Vec<Extension<'a>>, ExtensionFault> {
    let mut elements = Reader::within(input, list.content);
    if elements.is_empty() {
        return Err(DerError::Empty.into());
    }
    let mut found: Vec<Extension<'a>> = Vec::with_capacity(4);
    while !elements.is_empty() {
        let extension = parse::extension(input, elements.expect(tlv::SEQUENCE)?)?.of(input);
        if extension.critical && !known.iter().any(|oid| extension.is(oid)) {
            return Err(ExtensionFault::UnknownCritical(parse::name_of(extension.oid)));
        }
        found.push(extension);
    }
    let mut oids: Vec<&[u8]> = found.iter().map(|extension| extension.oid).collect();
    oids.sort_unstable();
    match oids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ExtensionFault::Duplicate(parse::name_of(pair[0]))),
        None => Ok(found),
    }
}

/// The value of the extension `oid`, where it is in the list.
pub(super) fn value<'a>(extensions: &[Extension<'a>], oid: &ObjectIdentifier) -> Option<&'a [u8]> {
    extensions.iter().find(|extension| extension.is(oid)).map(|extension| extension.value)
}
