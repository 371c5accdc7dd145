//! A CA's API.

mod authority;
mod calls;
mod schemas;
mod status;

use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::Api;

const ABOUT: &str = "A certification authority for AI agents. An agent enrols with a token and a PKCS#10 request and \
gets, in the same answer where policy allows it, a short-lived certificate with the signed timestamps (SATs) of \
transparency logs in it; it renews over mutual TLS with the certificate that it has, hands a part of its rights on the \
same way, and loses them when it is revoked. What is revoked is told by OCSP and in lists, over plain HTTP too.\n\n\
Times are milliseconds since the Unix epoch, unless a name ends in `_seconds`. Octets are base64 with padding \
(RFC 4648 section 4), hashes, names and serial numbers lower-case hex. A request for a certificate has the states of \
an ACME order (RFC 8555 section 7.1.6).\n\n\
Errors are problem documents (RFC 9457). Besides what a call lists, any other path is answered 404 `notFound`, and \
any other method 405 `methodNotAllowed`. Unknown query parameters are ignored, unknown members of a request are \
refused, and a parameter given twice is malformed.";

/// The OpenAPI document, the same for every CA of this release.
pub fn document() -> OpenApi {
    let bearer = |about: &str| {
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build())
    };
    Api {
        title: "Agent Certification Authority",
        about: ABOUT,
        tags: calls::TAGS,
        calls: calls::all(),
        schemas: schemas::all(),
        credentials: vec![
            (calls::ENROLMENT, bearer("An enrolment token, good for one request.")),
            (calls::OPERATOR, bearer("The token of an operator.")),
            (
                calls::CERTIFICATE,
                SecurityScheme::MutualTls {
                    description: Some("The agent's current certificate.".into()),
                    deprecated: None,
                    extensions: None,
                },
            ),
        ],
    }
    .document()
}
