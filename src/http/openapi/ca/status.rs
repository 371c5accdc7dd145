//! The calls by which anybody learns what is revoked.

use utoipa::openapi::Type;
use utoipa::openapi::schema::{Object, ObjectBuilder};

use crate::api::Token;
use crate::http::openapi::call::{Call, NEVER};

/// A question (RFC 6960 appendix C.1).
const REQUEST: &str = "application/ocsp-request";
/// An answer (RFC 6960 appendix C.2).
const RESPONSE: &str = "application/ocsp-response";
/// A list (RFC 5280 section 4.2.1.13).
const LIST: &str = "application/pkix-crl";
/// How long a cache may keep a list.
const LIST_HOLDS: &str = "public, max-age=5";

/// Every call.
pub(super) fn calls() -> Vec<Call> {
    let shard = "Revocations of certificates that were issued in one span of time: the list that a certificate names \
        in its cRLDistributionPoints.";
    let anchor = "What the root itself says of its delegated signer of lists, which some readers check too.";
    let root = "The revoked intermediates, by the root's delegated signer of lists (an indirect CRL).";
    vec![
        asked(Call::post("/ocsp", "askOcsp", "revocation", "Ask how certificates stand (RFC 6960)."))
            .takes_file(REQUEST)
            .refuses([Token::Malformed, Token::TooLarge, Token::UnsupportedMediaType, Token::Overloaded]),
        asked(Call::get("/ocsp/{request}", "getOcsp", "revocation", "The same question in the path.")).part(
            "request",
            base64(),
            "The request (DER) in base64, percent-encoded where a path needs it.",
        ),
        list("/crl", "getCrl", "Every revocation of this CA, of certificates that have not ended."),
        list("/crl/root", "getRootCrl", root).refuses([Token::NotFound]),
        list("/crl/anchor", "getAnchorCrl", anchor).refuses([Token::NotFound]),
        list("/crl/{shard}", "getCrlShard", shard)
            .part("shard", digits(), "The number of the span, as the certificate has it.")
            .refuses([Token::NotFound]),
    ]
}

fn asked(call: Call) -> Call {
    let answer = "The answer, signed. A question that cannot be read is answered too: `malformedRequest`.";
    call.file(RESPONSE, NEVER).answers([(200, answer)]).refuses([Token::RateLimited])
}

fn list(path: &'static str, id: &'static str, about: &'static str) -> Call {
    Call::get(path, id, "revocation", about)
        .file(LIST, LIST_HOLDS)
        .answers([(200, "The newest list (RFC 5280 section 5), DER.")])
        .refuses([Token::RateLimited])
}

fn base64() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

/// A number in its one spelling.
fn digits() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^(0|[1-9][0-9]*)$")).build()
}
