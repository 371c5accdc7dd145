//! What everybody may read: certificates, and what the CA says of itself.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;

use super::{Api, answers};
use crate::api::Token;
use crate::api::ca::Hex32;
use crate::http::cache;
use crate::http::problem::Failure;

/// One certificate, DER (RFC 5280 section 4.2.1.13).
const DER: &str = "application/pkix-cert";
/// A certificate and its issuers (RFC 8555 section 9.1).
const PEM: &str = "application/pem-certificate-chain";

/// `GET /ca/v1/certificates/{sha256}`
pub async fn certificate(
    State(api): Api,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    api.gate.enter(peer.ip())?;
    let unknown = || Failure::new(Token::NotFound, "this CA issued no certificate with this SHA-256 (64 hex digits)");
    let name = uri.path().strip_prefix("/ca/v1/certificates/").and_then(|name| name.parse().ok());
    let Hex32(sha256) = name.ok_or_else(unknown)?;
    let chain = api.service.final_certificate(sha256).await?;
    let mut response = match prefers_pem(&headers) {
        true => cache::octets(cache::FOREVER, HeaderValue::from_static(PEM), answers::chain_pem(&chain)),
        false => {
            let certificate = chain.into_iter().next().ok_or_else(unknown)?;
            cache::octets(cache::FOREVER, HeaderValue::from_static(DER), certificate)
        }
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// `GET /ca/v1/ca`
pub async fn ca(State(api): Api, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Result<Response, Failure> {
    api.gate.enter(peer.ip())?;
    Ok(cache::octets(cache::NEVER, HeaderValue::from_static("application/json"), api.descriptor.clone()))
}

/// Whether the `Accept` header (RFC 9110 section 12.5.1) wants the chain rather than the certificate.
/// Of two that it weighs the same, the one that it names more exactly.
fn prefers_pem(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let ranges: Vec<(&str, u16)> = lines.flat_map(|line| line.split(',')).filter_map(range).collect();
    let rank = |media: &str| {
        let exactness = |range: &str| [range == "*/*", range == "application/*", range.eq_ignore_ascii_case(media)];
        let matching =
            |(range, weight): &(&str, u16)| Some((exactness(range).iter().rposition(|fits| *fits)?, *weight));
        // The most exact range counts, whatever the others weigh.
        ranges.iter().filter_map(matching).max().map_or((0, 0), |(exactness, weight)| (weight, exactness))
    };
    rank(PEM) > rank(DER)
}

/// A media range and its weight in thousandths; `None` for what is neither.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().filter(|media| !media.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok()).filter(|w| (0.0..=1.0).contains(w))?;
    Some((media, (weight * 1000.0) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_goes_to_those_who_ask_for_it() {
        let headers = |lines: &[&str]| {
            lines.iter().map(|line| (header::ACCEPT, line.parse().unwrap())).collect::<Vec<_>>().into_iter().fold(
                HeaderMap::new(),
                |mut headers, (name, value)| {
                    headers.append(name, value);
                    headers
                },
            )
        };
        for lines in [
            &[PEM][..],
            &["application/pem-certificate-chain, */*"],
            &["*/*;q=0.1, Application/PEM-Certificate-Chain;q=0.5"],
            &["application/pkix-cert;q=0.5, application/pem-certificate-chain"],
            &["application/pkix-cert;q=0", PEM],
            &["application/pkix-cert;q=0.2, application/*;q=0.8"],
        ] {
            assert!(prefers_pem(&headers(lines)), "{lines:?}");
        }
        for lines in [
            &[][..],
            &["*/*"],
            &["application/*"],
            &["text/html"],
            &[DER],
            &["application/pkix-cert, application/pem-certificate-chain"],
            &["application/pem-certificate-chain;q=0.5, */*"],
            &["application/pem-certificate-chain;q=0, application/pkix-cert"],
            &["application/pem-certificate-chain;q=2"],
            &["application/pem-certificate-chain;q=NaN"],
            &[",;,", "q=1"],
        ] {
            assert!(!prefers_pem(&headers(lines)), "{lines:?}");
        }
    }
}
