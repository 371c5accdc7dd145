//! What the extensions of lists, questions and answers have in common.

use der::asn1::ObjectIdentifier;
use thiserror::Error;

use crate::apki::certificate::{ExtensionLayout, parse};
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
pub(super) fn layouts(
    input: &[u8],
    list: Element,
    known: &[ObjectIdentifier],
) -> Result<Vec<ExtensionLayout>, ExtensionFault> {
    let mut elements = Reader::within(input, list.content);
    if elements.is_empty() {
        return Err(DerError::Empty.into());
    }
    let mut found = Vec::with_capacity(2);
    while !elements.is_empty() {
        let layout = parse::extension(input, elements.expect(tlv::SEQUENCE)?)?;
        let extension = layout.of(input);
        if extension.critical && !known.iter().any(|oid| extension.is(oid)) {
            return Err(ExtensionFault::UnknownCritical(parse::name_of(extension.oid)));
        }
        found.push(layout);
    }
    // Sorted and not each against each: whoever wrote the list chose how many there are.
    let mut oids: Vec<&[u8]> = found.iter().map(|layout| layout.of(input).oid).collect();
    oids.sort_unstable();
    match oids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ExtensionFault::Duplicate(parse::name_of(pair[0]))),
        None => Ok(found),
    }
}

/// The value of the extension `oid` in a list of which nothing else is known, where it is there.
pub(super) fn only_known<'a>(
    input: &'a [u8],
    list: Element,
    oid: &ObjectIdentifier,
) -> Result<Option<&'a [u8]>, ExtensionFault> {
    let found = layouts(input, list, &[*oid])?;
    Ok(found.into_iter().map(|layout| layout.of(input)).find(|extension| extension.is(oid)).map(|found| found.value))
}
