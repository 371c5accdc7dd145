//! The reader.

use std::fmt;

use super::{CrlError, DIRECTORY_NAME, EXTENSIONS, EntryFault, KEY_IDENTIFIER, Scope, ScopeFault, VERSION_2};
use crate::apki::certificate::{Extension, parse};
use crate::apki::moment::Moment;
use crate::apki::oid;
use crate::apki::status::{CLOCK_SKEW, RevocationReason, extensions};
use crate::apki::tlv::{self, DerError, Element, Reader, Span};
use crate::keys::{PublicKey, SignatureAlgorithm};
use crate::time::UnixMillis;

/// Most octets of a list: more than a million entries.
const MAX_CRL: usize = 64 << 20;
/// Most octets of a cRLNumber (RFC 5280 section 5.2.3).
const MAX_NUMBER: usize = 20;

/// A revocation list, strictly parsed. Its signature and its time are checked by calls of their own.
#[derive(Clone)]
pub struct Crl {
    der: Box<[u8]>,
    layout: Layout,
}

#[derive(Clone)]
struct Layout {
    tbs: Span,
    algorithm: Option<SignatureAlgorithm>,
    signature: Span,
    issuer: Span,
    this_update: Moment,
    next_update: Moment,
    number: Span,
    authority_key_identifier: Span,
    scope: Option<Scope>,
    entries: Vec<EntryLayout>,
    /// The places of the entries, in the order of issuer and serial number.
    sorted: Vec<u32>,
}

#[derive(Clone, Copy)]
struct EntryLayout {
    serial: Span,
    issuer: Span,
    at: Moment,
    reason: RevocationReason,
}

/// One revoked certificate of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The content octets of the serial number.
    pub serial: &'a [u8],
    /// When it was revoked.
    pub at: Moment,
    /// Why.
    pub reason: RevocationReason,
    /// The Name of whoever issued the certificate, in DER: the issuer of the list unless it is indirect.
    pub certificate_issuer: &'a [u8],
}

impl Crl {
    /// Reads a list.
    ///
    /// # Errors
    /// Any [`CrlError`] but those about signature and time.
    pub fn parse(der: impl Into<Box<[u8]>>) -> Result<Self, CrlError> {
        let der = der.into();
        if der.len() > MAX_CRL {
            return Err(CrlError::TooLong(der.len()));
        }
        let layout = layout(&der)?;
        Ok(Self { der, layout })
    }

    /// The octets that were read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The issuer's Name, in DER.
    pub fn issuer_der(&self) -> &[u8] {
        self.layout.issuer.of(&self.der)
    }

    /// The moment that the list is true for.
    pub const fn this_update(&self) -> Moment {
        self.layout.this_update
    }

    /// The moment at which the next one will be there at the latest.
    pub const fn next_update(&self) -> Moment {
        self.layout.next_update
    }

    /// The content octets of cRLNumber, which may be as many as 20.
    pub fn number_octets(&self) -> &[u8] {
        self.layout.number.of(&self.der)
    }

    /// cRLNumber, where it is a number of 64 bits.
    pub fn number(&self) -> Option<u64> {
        let octets = self.number_octets();
        let octets = octets.strip_prefix(&[0]).unwrap_or(octets);
        (octets.len() <= 8).then(|| octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    /// The keyIdentifier of the authorityKeyIdentifier.
    pub fn authority_key_identifier(&self) -> &[u8] {
        self.layout.authority_key_identifier.of(&self.der)
    }

    /// The issuingDistributionPoint.
    pub const fn scope(&self) -> Option<&Scope> {
        self.layout.scope.as_ref()
    }

    /// The entries, in their order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.layout.entries.iter().map(|entry| self.entry(entry))
    }

    /// The entry of the certificate with this serial number (content octets) that the list's own issuer
    /// issued.
    pub fn find(&self, serial: &[u8]) -> Option<Entry<'_>> {
        self.find_issued_by(self.issuer_der(), serial)
    }

    /// The entry of the certificate with this serial number that the issuer of this Name, in DER, issued.
    pub fn find_issued_by(&self, issuer_der: &[u8], serial: &[u8]) -> Option<Entry<'_>> {
        let Layout { entries, sorted, .. } = &self.layout;
        let wanted = (issuer_der, serial);
        let place = sorted.binary_search_by(|place| entries[*place as usize].key(&self.der).cmp(&wanted)).ok()?;
        Some(self.entry(&entries[sorted[place] as usize]))
    }

    fn entry(&self, entry: &EntryLayout) -> Entry<'_> {
        Entry {
            serial: entry.serial.of(&self.der),
            at: entry.at,
            reason: entry.reason,
            certificate_issuer: entry.issuer.of(&self.der),
        }
    }

    /// Checks the signature. Whether the key's certificate lets it sign lists (keyUsage cRLSign), and is of
    /// this issuer, is for the caller to know.
    ///
    /// # Errors
    /// [`CrlError::Algorithm`] and [`CrlError::Signature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), CrlError> {
        if self.layout.algorithm != Some(key.algorithm()) {
            return Err(CrlError::Algorithm);
        }
        Ok(key.verify(self.layout.tbs.of(&self.der), self.layout.signature.of(&self.der))?)
    }

    /// Checks that the list holds at `now`, with [`CLOCK_SKEW`] either way.
    ///
    /// # Errors
    /// [`CrlError::Early`] and [`CrlError::Stale`].
    pub fn check_current(&self, now: UnixMillis) -> Result<(), CrlError> {
        let (this_update, next_update) = (self.this_update(), self.next_update());
        if this_update.millis() > now.saturating_add(CLOCK_SKEW) {
            return Err(CrlError::Early { this_update, now });
        }
        if now > next_update.millis().saturating_add(CLOCK_SKEW) {
            return Err(CrlError::Stale { next_update, now });
        }
        Ok(())
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, entries) = (hex::encode(self.number_octets()), self.layout.entries.len());
        f.debug_struct("Crl").field("number", &number).field("entries", &entries).finish_non_exhaustive()
    }
}

impl EntryLayout {
    fn key(self, der: &[u8]) -> (&[u8], &[u8]) {
        (self.issuer.of(der), self.serial.of(der))
    }
}

/// `CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signatureValue }`
fn layout(der: &[u8]) -> Result<Layout, CrlError> {
    tlv::check(der)?;
    let mut list = Reader::new(der).enter(tlv::SEQUENCE)?;
    let tbs = list.expect(tlv::SEQUENCE)?;
    let algorithm = list.expect(tlv::SEQUENCE)?;
    let signature = list.expect(tlv::BIT_STRING)?;
    list.finish()?;
    tlv::whole_octets(signature.content.of(der)).map_err(CrlError::Der)?;

    let mut fields = Reader::within(der, tbs.content);
    let version = fields.optional(tlv::INTEGER)?;
    if version.is_none_or(|version| version.whole.of(der) != VERSION_2) {
        return Err(CrlError::NotVersion2);
    }
    if fields.expect(tlv::SEQUENCE)?.whole.of(der) != algorithm.whole.of(der) {
        return Err(CrlError::AlgorithmMismatch);
    }
    let issuer = parse::name(der, &mut fields)?;
    if issuer.of(der) == [tlv::SEQUENCE, 0x00] {
        return Err(CrlError::NoIssuer);
    }
    let this_update = parse::time(der, fields.any()?)?;
    let next_update = match fields.peek() {
        Some(tlv::UTC_TIME | tlv::GENERALIZED_TIME) => parse::time(der, fields.any()?)?,
        _ => return Err(CrlError::Missing("nextUpdate")),
    };
    if next_update <= this_update {
        return Err(CrlError::Period { this_update, next_update });
    }
    let revoked = fields.optional(tlv::SEQUENCE)?;
    let own = own_extensions(der, fields.optional(EXTENSIONS)?)?;
    fields.finish()?;
    let indirect = own.scope.as_ref().is_some_and(|scope| scope.indirect);
    let entries = revoked.map_or_else(|| Ok(Vec::new()), |revoked| entries(der, revoked, issuer, indirect))?;
    Ok(Layout {
        tbs: tbs.whole,
        algorithm: parse::signature_algorithm(der, algorithm)?,
        signature: signature.content.without_first(),
        issuer,
        this_update,
        next_update,
        number: own.number,
        authority_key_identifier: own.authority_key_identifier,
        scope: own.scope,
        sorted: sorted(der, &entries)?,
        entries,
    })
}

/// What the extensions of the list say.
struct Own {
    number: Span,
    authority_key_identifier: Span,
    scope: Option<Scope>,
}

/// `[0] EXPLICIT Extensions`; three of them are known, and two must be there.
fn own_extensions(der: &[u8], tagged: Option<Element>) -> Result<Own, CrlError> {
    let tagged = tagged.ok_or(CrlError::Missing("extensions"))?;
    let mut tagged = Reader::within(der, tagged.content);
    let list = tagged.expect(tlv::SEQUENCE)?;
    tagged.finish()?;
    let known = [oid::AUTHORITY_KEY_IDENTIFIER, oid::CRL_NUMBER, oid::ISSUING_DISTRIBUTION_POINT];
    let spans = extensions::layouts(der, list, &known).map_err(CrlError::Extensions)?;
    let find = |oid: &_| spans.iter().find(|layout| layout.of(der).is(oid));

    let number = find(&oid::CRL_NUMBER).ok_or(CrlError::Missing("cRLNumber"))?.value();
    let number = number_of(der, number)?;
    let missing = CrlError::Missing("keyIdentifier in an authorityKeyIdentifier");
    let authority = find(&oid::AUTHORITY_KEY_IDENTIFIER).ok_or_else(|| missing.clone())?.value();
    tlv::check(authority.of(der))?;
    let mut fields = Reader::within(der, authority).enter(tlv::SEQUENCE)?;
    let identifier = fields.optional(KEY_IDENTIFIER)?.map(|identifier| identifier.content);
    let identifier = identifier.filter(|identifier| !identifier.of(der).is_empty()).ok_or(missing)?;
    let scope = match find(&oid::ISSUING_DISTRIBUTION_POINT).map(|layout| layout.of(der)) {
        None => None,
        Some(Extension { critical: false, .. }) => return Err(ScopeFault::NotCritical.into()),
        Some(extension) => Some(Scope::from_der(extension.value)?),
    };
    Ok(Own { number, authority_key_identifier: identifier, scope })
}

/// The content of `CRLNumber ::= INTEGER (0..MAX)`.
fn number_of(der: &[u8], value: Span) -> Result<Span, CrlError> {
    tlv::check(value.of(der)).map_err(|_| CrlError::Number)?;
    let number = Reader::within(der, value).expect(tlv::INTEGER).map_err(|_| CrlError::Number)?.content;
    match number.of(der) {
        [0x80..=0xff, ..] => Err(CrlError::Number),
        octets if octets.len() > MAX_NUMBER => Err(CrlError::Number),
        _ => Ok(number),
    }
}

/// `revokedCertificates SEQUENCE OF SEQUENCE { userCertificate, revocationDate, crlEntryExtensions OPTIONAL }`
fn entries(der: &[u8], list: Element, list_issuer: Span, indirect: bool) -> Result<Vec<EntryLayout>, CrlError> {
    let mut elements = Reader::within(der, list.content);
    if elements.is_empty() {
        return Err(DerError::Empty.into());
    }
    let mut entries = Vec::with_capacity(list.content.of(der).len() / 32);
    // Where an entry does not say whose certificate it is, it is of the same issuer as the one before.
    let mut issuer = list_issuer;
    while !elements.is_empty() {
        let mut fields = elements.enter(tlv::SEQUENCE)?;
        let serial = fields.expect(tlv::INTEGER)?.content;
        let at = parse::time(der, fields.any()?)?;
        let mut reason = RevocationReason::Unspecified;
        if let Some(list) = fields.optional(tlv::SEQUENCE)? {
            let said = entry_extensions(der, list, indirect);
            let serial = || hex::encode(serial.of(der));
            let said = said.map_err(|fault| CrlError::Entry { index: entries.len(), serial: serial(), fault })?;
            reason = said.0.unwrap_or_default();
            issuer = said.1.unwrap_or(issuer);
        }
        fields.finish()?;
        entries.push(EntryLayout { serial, issuer, at, reason });
    }
    Ok(entries)
}

/// reasonCode and certificateIssuer.
fn entry_extensions(
    der: &[u8],
    list: Element,
    indirect: bool,
) -> Result<(Option<RevocationReason>, Option<Span>), EntryFault> {
    let mut said = (None, None);
    for layout in extensions::layouts(der, list, &[oid::REASON_CODE, oid::CERTIFICATE_ISSUER])? {
        let extension = layout.of(der);
        if extension.is(&oid::REASON_CODE) {
            said.0 = Some(RevocationReason::from_der(extension.value)?);
        }
        if extension.is(&oid::CERTIFICATE_ISSUER) {
            if !extension.critical {
                return Err(EntryFault::CertificateIssuer("is not critical"));
            }
            if !indirect {
                return Err(EntryFault::CertificateIssuer("stands in a list that is not said to be indirect"));
            }
            let name = directory_name(der, layout.value());
            said.1 = Some(name.ok_or(EntryFault::CertificateIssuer("is not one directoryName"))?);
        }
    }
    Ok(said)
}

/// The Name that is the one element of these GeneralNames.
fn directory_name(der: &[u8], value: Span) -> Option<Span> {
    tlv::check(value.of(der)).ok()?;
    let mut names = Reader::within(der, value).enter(tlv::SEQUENCE).ok()?;
    let tagged = names.expect(DIRECTORY_NAME).ok()?;
    names.finish().ok()?;
    let mut content = Reader::within(der, tagged.content);
    let name = parse::name(der, &mut content).ok()?;
    content.finish().ok()?;
    Some(name)
}

/// The places in the order of issuer and serial number, each certificate once.
fn sorted(der: &[u8], entries: &[EntryLayout]) -> Result<Vec<u32>, CrlError> {
    // A list has fewer entries than octets, and these fit 32 bits.
    let mut places: Vec<u32> = (0..entries.len() as u32).collect();
    let key = |place: u32| entries[place as usize].key(der);
    places.sort_unstable_by(|a, b| key(*a).cmp(&key(*b)));
    match places.windows(2).find(|pair| key(pair[0]) == key(pair[1])) {
        Some(pair) => Err(CrlError::Duplicate(hex::encode(key(pair[0]).1))),
        None => Ok(places),
    }
}
