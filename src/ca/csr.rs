//! Certification requests (PKCS#10, RFC 2986): who asks for a certificate, for which key, with the
//! proof that the key is theirs.
//!
//! A request decides no more than the key and the names. The CA writes the profile, so whatever
//! else is asked for (other extensions, a challenge password, the subject) is passed over. A name
//! that the CA would not write is refused instead: nobody is to find out later that it is missing.

mod names;

use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Header, Reader as _, SliceReader, pem};
use thiserror::Error;
use x509_cert::attr::Attributes;
use x509_cert::ext::Extension;
use x509_cert::request::CertReq;

pub use self::names::{AgentName, NameFault};
use crate::apki::oid;
use crate::keys::{BadSignature, KeyError, PublicKey, SignatureAlgorithm};

/// Most octets of a request in DER.
pub const MAX_REQUEST: usize = 16 * 1024;
/// Most octets of a request in PEM: base64 with its lines, and room for a short preamble.
const MAX_PEM: usize = 24 * 1024;
/// The PEM labels in use (RFC 7468 section 7).
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
/// extensionRequest (RFC 2985 section 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CsrError {
    /// More octets than any request needs.
    #[error("the request has {length} octets, and at most {limit} are read")]
    TooLong {
        /// How many octets there are.
        length: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Not PEM.
    #[error("the request is not PEM: {0}")]
    Pem(pem::Error),
    /// PEM of something else.
    #[error("the PEM block is `{0}` where `CERTIFICATE REQUEST` belongs")]
    Label(String),
    /// Not a PKCS#10 request.
    #[error("the request is not a PKCS#10 structure in DER: {0}")]
    Der(der::Error),
    /// It decodes, but re-encodes to other octets.
    #[error("the {0} is not in its one DER encoding")]
    NotCanonical(&'static str),
    /// A version that does not exist: there is v1, written as 0.
    #[error("the request says version {0}, and 0 (v1) is the only one (RFC 2986 section 4.1)")]
    Version(i64),
    /// A key that we do not certify.
    #[error("the public key cannot be certified: {0}")]
    PublicKey(#[from] KeyError),
    /// An algorithm other than the one that belongs to the key.
    #[error("the request is signed with {found}, and this kind of key signs with {expected}")]
    Algorithm {
        /// The OID of the signature algorithm.
        found: ObjectIdentifier,
        /// What it has to be.
        expected: &'static str,
    },
    /// No proof that the requester has the private key.
    #[error("the request is not signed by its own key: {0}")]
    Signature(BadSignature),
    /// Several extensionRequest attributes, or one with several values or none.
    #[error("the request has {0} lists of extensions, and at most one can be meant")]
    ExtensionRequests(usize),
    /// An extensionRequest that does not decode.
    #[error("the requested extensions do not decode: {0}")]
    ExtensionRequest(der::Error),
    /// Several subjectAltName extensions.
    #[error("the request has the extension subjectAltName {0} times")]
    DuplicateNames(usize),
    /// A subjectAltName that does not decode.
    #[error("the requested subjectAltName does not decode: {0}")]
    Names(der::Error),
    /// Names that are not those of one agent.
    #[error("the requested subjectAltName is refused: {0}")]
    Identifier(#[from] NameFault),
}

/// What is wrong with a request, as an ACME-like client is told (RFC 8555 section 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrFault {
    /// It is no request: `badCSR`.
    Malformed,
    /// Its key is of a kind that is not certified, or no key: `badPublicKey`.
    PublicKey,
    /// It does not prove possession of the key: `badCSR`.
    Signature,
    /// It names somebody whom no certificate can name: `rejectedIdentifier`.
    Identifier,
}

impl CsrError {
    /// The kind of fault, for whoever answers the request.
    pub const fn fault(&self) -> CsrFault {
        match self {
            Self::TooLong { .. }
            | Self::Pem(_)
            | Self::Label(_)
            | Self::Der(_)
            | Self::NotCanonical(_)
            | Self::Version(_)
            | Self::ExtensionRequests(_)
            | Self::ExtensionRequest(_)
            | Self::DuplicateNames(_)
            | Self::Names(_) => CsrFault::Malformed,
            Self::PublicKey(_) => CsrFault::PublicKey,
            Self::Algorithm { .. } | Self::Signature(_) => CsrFault::Signature,
            Self::Identifier(_) => CsrFault::Identifier,
        }
    }
}

/// A certification request whose requester has proven to hold the private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRequest {
    public_key: PublicKey,
    subject: Vec<u8>,
    /// The content of the requested subjectAltName's extnValue.
    names: Option<Vec<u8>>,
}

impl SigningRequest {
    /// Reads a request in PEM, labelled `CERTIFICATE REQUEST` or `NEW CERTIFICATE REQUEST`.
    ///
    /// # Errors
    /// Those of [`from_der`](Self::from_der), and [`CsrError::Pem`] and [`CsrError::Label`].
    pub fn from_pem(text: &str) -> Result<Self, CsrError> {
        bounded(text.len(), MAX_PEM)?;
        let (label, der) = pem::decode_vec(text.as_bytes()).map_err(CsrError::Pem)?;
        if !LABELS.contains(&label) {
            return Err(CsrError::Label(label.to_owned()));
        }
        Self::from_der(&der)
    }

    /// Reads a request in DER, at most [`MAX_REQUEST`] octets, and verifies its signature. The
    /// signature algorithm must be the key's: ecdsa-with-SHA256 for P-256, or Ed25519.
    ///
    /// # Errors
    /// Any [`CsrError`] but those about PEM and [`CsrError::Identifier`].
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        bounded(der.len(), MAX_REQUEST)?;
        let request = decode(der)?;
        let spki = request.info.public_key.to_der().map_err(CsrError::Der)?;
        let public_key = PublicKey::from_spki_der(&spki)?;
        verify(&request, &public_key)?;
        Ok(Self {
            public_key,
            subject: request.info.subject.to_der().map_err(CsrError::Der)?,
            names: requested_names(&request.info.attributes)?,
        })
    }

    /// The key to be certified; the requester holds its private half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The subject's Name. Agents are not named by it.
    pub fn subject_der(&self) -> &[u8] {
        &self.subject
    }

    /// The agent that the requested subjectAltName names: one `agent://` URI, at most one
    /// `spiffe://` URI, and no other name (draft 4.1 and 4.3, R18).
    ///
    /// # Errors
    /// [`CsrError::Identifier`] where it names something else or nothing, and [`CsrError::Names`]
    /// or [`CsrError::NotCanonical`] where it does not decode.
    pub fn agent_name(&self) -> Result<AgentName, CsrError> {
        AgentName::from_subject_alt_name(self.names.as_deref())
    }
}

fn bounded(length: usize, limit: usize) -> Result<(), CsrError> {
    if length <= limit { Ok(()) } else { Err(CsrError::TooLong { length, limit }) }
}

/// Decodes and re-encodes: the signature is over the octets that came, and these must be the ones
/// that we understood.
fn decode(der: &[u8]) -> Result<CertReq, CsrError> {
    let request = CertReq::from_der(der).map_err(|e| match stated_version(der) {
        Ok(version) if version != 0 => CsrError::Version(version),
        _ => CsrError::Der(e),
    })?;
    match request.to_der() {
        Ok(again) if again == der => Ok(request),
        _ => Err(CsrError::NotCanonical("request")),
    }
}

/// The version of something that begins like a request.
fn stated_version(der: &[u8]) -> der::Result<i64> {
    let mut reader = SliceReader::new(der)?;
    Header::decode(&mut reader)?.tag().assert_eq(der::Tag::Sequence)?;
    Header::decode(&mut reader)?.tag().assert_eq(der::Tag::Sequence)?;
    reader.decode()
}

/// The proof of possession (RFC 2986 section 3).
fn verify(request: &CertReq, key: &PublicKey) -> Result<(), CsrError> {
    let identifier = &request.algorithm;
    let found = SignatureAlgorithm::from_identifier(&identifier.oid, identifier.parameters.is_some());
    if found != Some(key.algorithm()) {
        let expected = match key.algorithm() {
            SignatureAlgorithm::Ed25519 => "Ed25519, without parameters",
            SignatureAlgorithm::EcdsaP256Sha256 => "ecdsa-with-SHA256, without parameters",
        };
        return Err(CsrError::Algorithm { found: identifier.oid, expected });
    }
    let signed = request.info.to_der().map_err(CsrError::Der)?;
    // Octets that do not fill a BIT STRING are no signature either.
    let signature = request.signature.as_bytes().unwrap_or_default();
    key.verify(&signed, signature).map_err(CsrError::Signature)
}

/// The content of the subjectAltName that the extensionRequest asks for.
fn requested_names(attributes: &Attributes) -> Result<Option<Vec<u8>>, CsrError> {
    let requests = attributes.iter().filter(|attribute| attribute.oid == EXTENSION_REQUEST);
    let lists: Vec<_> = requests.flat_map(|attribute| attribute.values.iter()).collect();
    let count = attributes.iter().filter(|attribute| attribute.oid == EXTENSION_REQUEST).count();
    let list = match (count, lists.as_slice()) {
        (0, _) => return Ok(None),
        (1, [list]) => list.to_der().map_err(CsrError::ExtensionRequest)?,
        (count, lists) => return Err(CsrError::ExtensionRequests(if count == 1 { lists.len() } else { count })),
    };
    let extensions = Vec::<Extension>::from_der(&list).map_err(CsrError::ExtensionRequest)?;
    if extensions.to_der().map_err(CsrError::ExtensionRequest)? != list {
        return Err(CsrError::NotCanonical("list of requested extensions"));
    }
    let mut names = extensions.into_iter().filter(|extension| extension.extn_id == oid::SUBJECT_ALT_NAME);
    let first = names.next();
    match names.count() {
        0 => Ok(first.map(|extension| extension.extn_value.into_bytes().into())),
        more => Err(CsrError::DuplicateNames(more + 1)),
    }
}

#[cfg(test)]
mod tests;
