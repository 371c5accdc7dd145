//! What becomes of certificates, asked over HTTP: OCSP (RFC 6960 appendix A) and revocation lists (RFC 5280
//! section 4.2.1.13).

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Method};

use super::{ClientError, LARGE, OK, exchange};

/// Most octets of an answer: one certificate's status, and the responder's certificate.
const MOST: usize = 64 * 1024;

/// Asks the responder at `url`: an OCSPRequest in DER for an OCSPResponse, which nobody has looked at yet.
///
/// # Errors
/// Where there is no answer, or none of 200.
pub async fn ocsp(http: &Client, url: &str, request: Vec<u8>) -> Result<Vec<u8>, ClientError> {
    let call = http
        .request(Method::POST, url)
        .header(ACCEPT, "application/ocsp-response")
        .header(CONTENT_TYPE, "application/ocsp-request")
        .body(request);
    Ok(exchange(call, url.to_owned(), OK, MOST).await?.octets)
}

/// The revocation list at `url`, in DER, which nobody has looked at yet.
///
/// # Errors
/// Where there is no answer, or none of 200.
pub async fn crl(http: &Client, url: &str) -> Result<Vec<u8>, ClientError> {
    crl_within(http, url, LARGE).await
}

/// The same, of `most` octets at most.
///
/// # Errors
/// As [`crl`], and where it is longer.
pub async fn crl_within(http: &Client, url: &str, most: usize) -> Result<Vec<u8>, ClientError> {
    let call = http.request(Method::GET, url).header(ACCEPT, "application/pkix-crl");
    Ok(exchange(call, url.to_owned(), OK, most).await?.octets)
}
