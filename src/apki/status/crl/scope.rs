//! issuingDistributionPoint: which certificates a list is about (RFC 5280 section 5.2.5).

use thiserror::Error;

use crate::apki::certificate::is_url_text;
use crate::apki::extension::AsciiText;
use crate::apki::tlv::{self, DerError, Reader, encode};

const POINT: u8 = 0xa0;
const FULL_NAME: u8 = 0xa0;
const URI_NAME: u8 = 0x86;
const ONLY_USER: u8 = 0x81;
const INDIRECT: u8 = 0x84;
/// Content of a BOOLEAN.
const TRUE: &[u8] = &[0xff];

/// Which certificates a list is about, where these are not simply all of its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Where the list is published: the URI that stands in the cRLDistributionPoints of the certificates
    /// that it is about, octet for octet.
    pub url: AsciiText,
    /// It says nothing of CA certificates.
    pub only_user_certificates: bool,
    /// It says something of other issuers' certificates.
    pub indirect: bool,
}

/// An issuingDistributionPoint that is not one that we know how to keep to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScopeFault {
    /// Not strict DER, or another structure.
    #[error("not strict DER: {0}")]
    Der(#[from] DerError),
    /// Not critical, as it must be.
    #[error("it is not critical")]
    NotCritical,
    /// A distributionPoint that is not one URI.
    #[error("its distribution point is not one URI of visible ASCII characters, at most 512")]
    Point,
    /// A limit that is not supported: to CA certificates, to some reasons, or to attribute certificates.
    #[error("it limits the list to CA certificates, attribute certificates or some reasons, which is not supported")]
    Unsupported,
}

impl Scope {
    /// The value of the extension; `None` where the URL is none.
    pub(super) fn to_der(&self) -> Option<Vec<u8>> {
        let url = self.url.as_str();
        let flag = |tag, set: bool| if set { encode(tag, &[TRUE]) } else { Vec::new() };
        let point = encode(POINT, &[&encode(FULL_NAME, &[&encode(URI_NAME, &[url.as_bytes()])])]);
        let (only_user, indirect) = (flag(ONLY_USER, self.only_user_certificates), flag(INDIRECT, self.indirect));
        is_url_text(url).then(|| encode(tlv::SEQUENCE, &[&point, &only_user, &indirect]))
    }

    /// Reads the value of the extension.
    pub(super) fn from_der(value: &[u8]) -> Result<Self, ScopeFault> {
        tlv::check(value)?;
        let mut reader = Reader::new(value);
        let mut fields = reader.enter(tlv::SEQUENCE)?;
        reader.finish()?;
        let point = fields.optional(POINT)?.ok_or(ScopeFault::Point)?;
        let url = url(point.content.of(value)).ok_or(ScopeFault::Point)?;
        let mut flag = |tag| match fields.optional(tag)?.map(|flag| flag.content.of(value)) {
            None => Ok(false),
            Some(TRUE) => Ok(true),
            Some([0x00]) => Err(DerError::ExplicitDefault),
            Some(_) => Err(DerError::Boolean),
        };
        let (only_user_certificates, indirect) = (flag(ONLY_USER)?, flag(INDIRECT)?);
        match fields.is_empty() {
            true => Ok(Self { url, only_user_certificates, indirect }),
            false => Err(ScopeFault::Unsupported),
        }
    }
}

/// The one URI of a DistributionPointName that is a fullName.
fn url(point: &[u8]) -> Option<AsciiText> {
    let uri = tlv::only(tlv::only(point, FULL_NAME).ok()?, URI_NAME).ok()?;
    let text = std::str::from_utf8(uri).ok().filter(|text| is_url_text(text))?;
    AsciiText::new(text).ok()
}
