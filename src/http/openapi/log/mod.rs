//! A log's API.

mod calls;
mod schemas;

use utoipa::openapi::OpenApi;

use super::Api;

const ABOUT: &str = "A public, append-only record of AI agent certificates. \
Submit a certificate and get a signed agent timestamp (SAT) once its entry is on disk; read signed tree heads, \
proofs and entries; or read the same log as static tiles (C2SP tlog-tiles).\n\n\
Times are milliseconds since the Unix epoch, unless a name ends in `_seconds`. Octets are base64 with padding \
(RFC 4648 section 4). Entries, tiles and proofs beyond the last signed tree head do not exist yet for a reader.\n\n\
Errors are problem documents (RFC 9457). Besides what a call lists, any other path is answered 404 `notFound`, and \
any other method 405 `methodNotAllowed`. Unknown query parameters and unknown members of a request are ignored; a \
parameter given twice is malformed.";

/// The OpenAPI document, the same for every log of this release.
pub fn document() -> OpenApi {
    Api {
        title: "Agent Transparency Log",
        about: ABOUT,
        tags: calls::TAGS,
        calls: calls::all(),
        schemas: schemas::all(),
        credentials: Vec::new(),
    }
    .document()
}
