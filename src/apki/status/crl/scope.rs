//! issuingDistributionPoint: which certificates a list is about (RFC 5280 section 5.2.5).

use thiserror::Error;

use crate::apki::extension::AsciiText;
use crate::apki::tlv::DerError;

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
