//! A trust engine's API.

mod calls;
mod schemas;

use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::Api;

const ABOUT: &str = "The scores of AI agents: relying parties that are registered as reporters send signed signals of \
what agents did; the CA reads the scores and follows their changes; operators decide what needs a person.\n\n\
Times are milliseconds since the Unix epoch, unless a name ends in `_seconds`. Changes of scores are in half-points, \
twice the points; `score` is in whole points, rounded down, where it is a trust score. Every change is a row of a \
ledger, each with the hash of the one before, from which any score can be recomputed.\n\n\
A signal is a compact JWS (RFC 7515) with `alg` EdDSA or ES256, `kid` the key's JWK thumbprint and `typ` \
`apki-signal+jws`. Its payload has `aud` (the engine's trust domain), `agent`, `kind` (success, failure, \
policyViolation, anomaly, securityIncident), `half_points` (but for a security incident), `observed_at`, \
`issued_at`, `id` (32 hex digits, used once) and perhaps `detail`.\n\n\
Errors are problem documents (RFC 9457). Besides what a call lists, any other path is answered 404 `notFound`, and \
any other method 405 `methodNotAllowed`. Unknown query parameters are ignored, unknown members of a request are \
refused, and a parameter given twice is malformed.";

/// The OpenAPI document, the same for every trust engine of this release.
pub fn document() -> OpenApi {
    let bearer = |about: &str| {
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build())
    };
    Api {
        title: "Agent Trust Engine",
        about: ABOUT,
        tags: calls::TAGS,
        calls: calls::all(),
        schemas: schemas::all(),
        credentials: vec![
            (calls::READER, bearer("The token of a reader, such as the CA.")),
            (calls::EITHER, bearer("The token of a reader or of an operator.")),
            (calls::OPERATOR, bearer("The token of an operator; what it may do depends on the role.")),
            (
                calls::REPORTER,
                SecurityScheme::MutualTls {
                    description: Some("A certificate for the key that the reporter is registered with.".into()),
                    deprecated: None,
                    extensions: None,
                },
            ),
        ],
    }
    .document()
}
