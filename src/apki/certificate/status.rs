//! Where to ask whether a certificate still holds: authorityInfoAccess and cRLDistributionPoints
//! (RFC 5280 sections 4.2.2.1 and 4.2.1.13).

use thiserror::Error;

use super::Certificate;
use crate::apki::oid;
use crate::apki::tlv::{self, DerError, Reader, encode};

const URI_NAME: u8 = 0x86;
const DIRECTORY_NAME: u8 = 0xa4;
const POINT: u8 = 0xa0;
const FULL_NAME: u8 = 0xa0;
const RELATIVE_NAME: u8 = 0xa1;
const REASONS: u8 = 0x81;
const CRL_ISSUER: u8 = 0xa2;

/// Why the places for asking about a certificate cannot be read out of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StatusUrlError {
    /// Not strict DER, or another structure.
    #[error("the {0} is not strict DER: {1}")]
    Der(&'static str, DerError),
    /// A URL that cannot be one.
    #[error("the {0} has a URL of other characters than visible ASCII")]
    Url(&'static str),
    /// A cRLIssuer that is not one directoryName.
    #[error("the cRLIssuer in the cRLDistributionPoints is not one directoryName")]
    CrlIssuer,
}

/// Where a revocation list is, and who signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistributionPoint<'a> {
    /// The URL.
    pub url: &'a str,
    /// The Name of the list's issuer, in DER, where that is not the issuer of the certificate: the list is
    /// then an indirect one.
    pub crl_issuer: Option<&'a [u8]>,
}

const AIA: &str = "authorityInfoAccess";
const CDP: &str = "cRLDistributionPoints";

impl Certificate {
    /// Where to ask by OCSP: the first HTTP URL with the access method id-ad-ocsp.
    ///
    /// # Errors
    /// [`StatusUrlError`] where authorityInfoAccess is there and malformed.
    pub fn ocsp_url(&self) -> Result<Option<&str>, StatusUrlError> {
        let Some(extension) = self.extension(&oid::AUTHORITY_INFO_ACCESS) else { return Ok(None) };
        let value = extension.value;
        let found = ocsp_urls(value).map_err(|e| StatusUrlError::Der(AIA, e))?;
        first_url(&found, AIA)
    }

    /// Where the revocation list is: the URL of [`crl_distribution_point`](Self::crl_distribution_point).
    ///
    /// # Errors
    /// [`StatusUrlError`] where cRLDistributionPoints is there and malformed.
    pub fn crl_url(&self) -> Result<Option<&str>, StatusUrlError> {
        Ok(self.crl_distribution_point()?.map(|point| point.url))
    }

    /// The first distribution point with an HTTP URL whose list is for all reasons.
    ///
    /// # Errors
    /// [`StatusUrlError`] where cRLDistributionPoints is there and malformed.
    pub fn crl_distribution_point(&self) -> Result<Option<DistributionPoint<'_>>, StatusUrlError> {
        let Some(extension) = self.extension(&oid::CRL_DISTRIBUTION_POINTS) else { return Ok(None) };
        let value = extension.value;
        let points = points(value).map_err(|e| StatusUrlError::Der(CDP, e))?;
        for point in points.iter().filter(|point| !point.some_reasons) {
            let Some(url) = first_url(&point.urls, CDP)? else { continue };
            let crl_issuer = point.crl_issuer.map(only_directory_name).transpose()?;
            return Ok(Some(DistributionPoint { url, crl_issuer }));
        }
        Ok(None)
    }
}

fn first_url<'a>(found: &[&'a [u8]], extension: &'static str) -> Result<Option<&'a str>, StatusUrlError> {
    for url in found {
        let text = std::str::from_utf8(url).ok().filter(|text| is_url_text(text));
        let text = text.ok_or(StatusUrlError::Url(extension))?;
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// Whether `text` has the characters of a URL, and has some.
pub(crate) fn is_url_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// `AuthorityInfoAccessSyntax ::= SEQUENCE SIZE (1..MAX) OF AccessDescription`
fn ocsp_urls(value: &[u8]) -> Result<Vec<&[u8]>, DerError> {
    tlv::check(value)?;
    let mut reader = Reader::new(value);
    let mut descriptions = reader.enter(tlv::SEQUENCE)?;
    reader.finish()?;
    if descriptions.is_empty() {
        return Err(DerError::Empty);
    }
    let mut urls = Vec::with_capacity(1);
    while !descriptions.is_empty() {
        let mut description = descriptions.enter(tlv::SEQUENCE)?;
        let method = description.expect(tlv::OID)?.content.of(value);
        let location = description.any()?;
        description.finish()?;
        if method == oid::OCSP.as_bytes() && location.tag == URI_NAME {
            urls.push(location.content.of(value));
        }
    }
    Ok(urls)
}

struct Point<'a> {
    urls: Vec<&'a [u8]>,
    some_reasons: bool,
    /// The content of cRLIssuer: GeneralNames.
    crl_issuer: Option<&'a [u8]>,
}

/// `CRLDistributionPoints ::= SEQUENCE SIZE (1..MAX) OF DistributionPoint`
fn points(value: &[u8]) -> Result<Vec<Point<'_>>, DerError> {
    tlv::check(value)?;
    let mut reader = Reader::new(value);
    let mut list = reader.enter(tlv::SEQUENCE)?;
    reader.finish()?;
    if list.is_empty() {
        return Err(DerError::Empty);
    }
    let mut points = Vec::with_capacity(1);
    while !list.is_empty() {
        let mut fields = list.enter(tlv::SEQUENCE)?;
        let mut urls = Vec::new();
        if let Some(point) = fields.optional(POINT)? {
            let mut names = Reader::within(value, point.content);
            let name = names.any()?;
            names.finish()?;
            match name.tag {
                FULL_NAME => urls = uris(value, Reader::within(value, name.content))?,
                RELATIVE_NAME => {}
                found => return Err(DerError::Tag { expected: FULL_NAME, found }),
            }
        }
        let some_reasons = fields.optional(REASONS)?.is_some();
        let crl_issuer = fields.optional(CRL_ISSUER)?.map(|names| names.content.of(value));
        fields.finish()?;
        points.push(Point { urls, some_reasons, crl_issuer });
    }
    Ok(points)
}

fn uris<'a>(value: &'a [u8], mut names: Reader<'a>) -> Result<Vec<&'a [u8]>, DerError> {
    if names.is_empty() {
        return Err(DerError::Empty);
    }
    let mut uris = Vec::with_capacity(1);
    while !names.is_empty() {
        let name = names.any()?;
        if name.tag == URI_NAME {
            uris.push(name.content.of(value));
        }
    }
    Ok(uris)
}

/// The Name that is the one directoryName of `names`, GeneralNames without their own tag.
fn only_directory_name(names: &[u8]) -> Result<&[u8], StatusUrlError> {
    tlv::only(names, DIRECTORY_NAME).map_err(|_| StatusUrlError::CrlIssuer)
}

/// The value of authorityInfoAccess that names one OCSP responder (RFC 5280 section 4.2.2.1).
pub fn authority_info_access_der(ocsp_url: &str) -> Vec<u8> {
    let method = encode(tlv::OID, &[oid::OCSP.as_bytes()]);
    let location = encode(URI_NAME, &[ocsp_url.as_bytes()]);
    encode(tlv::SEQUENCE, &[&encode(tlv::SEQUENCE, &[&method, &location])])
}

/// The value of cRLDistributionPoints with one point (RFC 5280 section 4.2.1.13): the list at `url`, signed
/// by the issuer of the certificate, or by whoever has the Name `crl_issuer_der`.
pub fn crl_distribution_points_der(url: &str, crl_issuer_der: Option<&[u8]>) -> Vec<u8> {
    let point = encode(POINT, &[&encode(FULL_NAME, &[&encode(URI_NAME, &[url.as_bytes()])])]);
    let crl_issuer = crl_issuer_der.map(|name| encode(CRL_ISSUER, &[&encode(DIRECTORY_NAME, &[name])]));
    encode(tlv::SEQUENCE, &[&encode(tlv::SEQUENCE, &[&point, crl_issuer.as_deref().unwrap_or_default()])])
}
