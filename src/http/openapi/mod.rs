//! The API described for machines: OpenAPI 3.1, served at `/openapi.json`.
//!
//! `calls` says what each path takes and answers, `schemas` what the JSON in it is made of. A
//! test holds both to the routes and to real answers, so the description cannot drift.

mod calls;
mod schemas;

use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, Info, License, OpenApi, OpenApiBuilder, Paths, Server};

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
    let info = Info::builder()
        .title("Agent Transparency Log")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let tag = |(name, about): (&str, &str)| TagBuilder::new().name(name).description(Some(about)).build();
    let components = schemas::all()
        .into_iter()
        .fold(Components::builder(), |components, (name, schema)| components.schema(name, schema));
    let mut paths = Paths::new();
    for call in calls::all() {
        paths.add_path_operation(call.path, vec![call.method.clone()], call.operation());
    }
    OpenApiBuilder::new()
        .info(info)
        // Relative to where this document is, so that it holds behind a proxy's path too.
        .servers(Some([Server::new(".")]))
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some(calls::TAGS.iter().copied().map(tag)))
        .build()
}
