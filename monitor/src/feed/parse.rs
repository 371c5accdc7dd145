//! From the octets of a file to hashes of certificates.

use atl::apki::precertificate::recover;
use atl::apki::{Certificate, CertificateError};
use atl::log::entry::CertHash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Why a file names no certificates.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Neither text nor a certificate.
    #[error("it is neither text nor a certificate in DER ({0})")]
    Neither(CertificateError),
    /// A line that is no hash.
    #[error("line {0} does not begin with a SHA-256 in 64 hex digits")]
    Line(usize),
    /// A PEM block that does not read, counted from 1.
    #[error("the certificate {0} in it is no PEM: {1}")]
    Pem(usize, String),
    /// A PEM block of something else.
    #[error("the certificate {0} in it does not read: {1}")]
    Certificate(usize, CertificateError),
}

/// The certificates that a file means: certificates in PEM, one in DER, or lines that each begin with a SHA-256 in
/// hex, as `sha256sum` writes them; lines that are empty or begin with `#` are passed over.
///
/// A final certificate means its precertificate as well.
///
/// # Errors
/// Where anything else is in it: of a file that is half written nothing is believed.
pub fn hashes(octets: &[u8]) -> Result<Vec<CertHash>, ParseError> {
    match str::from_utf8(octets) {
        Ok(text) if text.contains(BEGIN) => certificates(text),
        // The first octet of a certificate is a character too, and the second of all but the shortest is none.
        Ok(text) => match Certificate::parse(octets) {
            Ok(certificate) => Ok(both(&certificate)),
            Err(_) => lines(text),
        },
        Err(_) => Ok(both(&Certificate::parse(octets).map_err(ParseError::Neither)?)),
    }
}

/// The hashes under which a log may have a certificate.
fn both(certificate: &Certificate) -> Vec<CertHash> {
    let precertificate = recover(certificate).ok().flatten();
    let precertificate = precertificate.map(|found| CertHash::of_certificate(&found.precertificate_der));
    std::iter::once(CertHash::new(certificate.fingerprint())).chain(precertificate).collect()
}

fn certificates(text: &str) -> Result<Vec<CertHash>, ParseError> {
    let mut hashes = Vec::new();
    for (n, block) in text.split(BEGIN).skip(1).enumerate().map(|(n, block)| (n + 1, block)) {
        let (body, _) = block.split_once(END).ok_or_else(|| ParseError::Pem(n, "it has no end".into()))?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|e| ParseError::Pem(n, e.to_string()))?;
        hashes.extend(both(&Certificate::parse(der).map_err(|e| ParseError::Certificate(n, e))?));
    }
    Ok(hashes)
}

fn lines(text: &str) -> Result<Vec<CertHash>, ParseError> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let hash = |(n, line): (usize, &str)| {
        let mut octets = [0; 32];
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        hex::decode_to_slice(word, &mut octets).map_err(|_| ParseError::Line(n + 1))?;
        Ok(CertHash::new(octets))
    };
    lines.map(hash).collect()
}
