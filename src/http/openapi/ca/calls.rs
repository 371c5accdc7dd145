//! Every call of a CA: where it is, what it takes, what it answers (protocol section 6).

use utoipa::openapi::schema::{Object, ObjectBuilder};
use utoipa::openapi::{Required, Type};

use crate::api::Token;
use crate::http::openapi::call::{Call, FOREVER, NEVER, operating};
use crate::http::wellknown::HOLDS_TEXT;

/// The groups of calls, each with what it is for.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("agents", "For agents that want a certificate."),
    ("read", "For everybody."),
    ("revocation", "For relying parties: what is revoked."),
    ("federation", "For other trust domains."),
    ("operators", "For the CA's operators."),
    ("operate", "For whoever runs the CA."),
];

/// The credentials, by name.
pub(super) const ENROLMENT: &str = "enrolmentToken";
pub(super) const CERTIFICATE: &str = "agentCertificate";
pub(super) const OPERATOR: &str = "operatorToken";

/// What any question to the CA may end in.
pub(super) const SERVICE: [Token; 3] = [Token::Internal, Token::Overloaded, Token::Shutdown];
/// What reading a body may end in.
pub(super) const BODY: [Token; 3] = [Token::Malformed, Token::TooLarge, Token::UnsupportedMediaType];

const AGAIN: &str = "Seconds after which to look again, while the request is open.";

/// Every call.
pub(super) fn all() -> Vec<Call> {
    let mut calls = applying();
    calls.extend(super::authority::calls());
    calls.extend(reading());
    calls.extend(tokens());
    calls.extend(requests());
    calls.extend(records());
    calls.extend(super::status::calls());
    calls.extend(federation());
    calls.extend(operating("Whether the CA could issue a certificate now, part by part."));
    calls
}

/// A call that asks for a certificate with this credential.
pub(super) fn apply(path: &'static str, id: &'static str, about: &'static str, credential: &'static str) -> Call {
    Call::post(path, id, "agents", about)
        .takes("EnrolRequest")
        .json("Request", NEVER)
        .answers([
            (200, "The request was made before, and came to nothing; the reasons say why."),
            (201, "The certificate is issued."),
            (202, "There is no certificate yet: ask at the location how the request stands."),
        ])
        .header(201, "Location", "Where the certificate is, relative to this call.")
        .header(202, "Location", "Where the request is, relative to this call.")
        .header(202, "Retry-After", AGAIN)
        .needs(credential)
        .refuses(BODY)
        .refuses([Token::Unauthorized, Token::RateLimited])
        .refuses([Token::BadCsr, Token::BadPublicKey, Token::RejectedIdentifier, Token::Policy, Token::Conflict])
        .refuses([Token::LogsUnavailable, Token::TrustUnavailable, Token::ReadOnly, Token::IssuerRevoked])
        .refuses(SERVICE)
}

fn applying() -> Vec<Call> {
    let request = "How a request stands, for whoever knows its name.";
    vec![
        apply(
            "/ca/v1/enroll",
            "enroll",
            "Ask for an agent's first certificate. The same request once more, with the same token, gets the answer \
             that was lost.",
            ENROLMENT,
        ),
        apply("/ca/v1/renew", "renew", "Ask for an agent's next certificate.", CERTIFICATE),
        request_name(Call::get("/ca/v1/requests/{id}", "getRequest", "agents", request))
            .json("Request", NEVER)
            .header(200, "Retry-After", AGAIN)
            .refuses([Token::NotFound, Token::RateLimited])
            .refuses(SERVICE),
    ]
}

fn reading() -> Vec<Call> {
    let sha256 = hex_digits(64);
    vec![
        Call::get(
            "/ca/v1/certificates/{sha256}",
            "getCertificate",
            "read",
            "A final certificate; with its issuers, root excepted, where `Accept` prefers PEM.",
        )
        .part("sha256", sha256, "SHA-256 of the certificate in lower-case hex.")
        .files(&["application/pkix-cert", "application/pem-certificate-chain"], FOREVER)
        .header(200, "Vary", "Accept")
        .refuses([Token::NotFound, Token::RateLimited])
        .refuses(SERVICE),
        Call::get("/ca/v1/ca", "getCa", "read", "What the CA says of itself: trust domain, chain, logs, validity.")
            .json("Ca", NEVER)
            .refuses([Token::RateLimited]),
    ]
}

/// What other domains fetch.
fn federation() -> [Call; 3] {
    let call = |path, id, about| {
        let tag = "Another where the document is; sent back as `If-None-Match`, it is answered 304.";
        Call::get(path, id, "federation", about).header(200, "ETag", tag).refuses([Token::NotFound])
    };
    let bundle = "The trust bundle of this CA's domain (draft-sharif-apki-agent-pki-00 section 10.1).";
    let jws = "The signature over exactly the octets of the bundle: a JWS with its payload detached (RFC 7515 \
        appendix F), `typ` `apki-trust-bundle+jws`, `kid` the thumbprint of the key that others have pinned.";
    let spiffe = "The same CA certificates as a SPIFFE bundle (a JWK Set), which is not signed.";
    [
        call("/.well-known/apki-trust-bundle", "getTrustBundle", bundle).object(HOLDS_TEXT),
        call("/.well-known/apki-trust-bundle.jws", "getTrustBundleSignature", jws).file("application/jose", HOLDS_TEXT),
        call("/.well-known/apki-trust-bundle.spiffe", "getSpiffeBundle", spiffe).object(HOLDS_TEXT),
    ]
}

/// What all calls for operators have in common.
fn operated(call: Call) -> Call {
    call.needs(OPERATOR).refuses([Token::Unauthorized, Token::RateLimited]).refuses(SERVICE)
}

fn tokens() -> Vec<Call> {
    let withdraw = Call::delete("/ca/v1/tokens/{id}", "withdrawToken", "operators", "Take an enrolment token back.");
    vec![
        operated(Call::post("/ca/v1/tokens", "mintToken", "operators", "Mint an enrolment token."))
            .takes("MintTokenRequest")
            .json("MintedToken", NEVER)
            .answers([(201, "The token; it is not shown again.")])
            .refuses(BODY)
            .refuses([Token::Conflict]),
        operated(withdraw)
            .part("id", hex_digits(16), "The token's public half.")
            .answers([(204, "It is good for nothing any more.")])
            .refuses([Token::NotFound, Token::Conflict]),
    ]
}

fn requests() -> Vec<Call> {
    let decide = |path, id, about| {
        request_name(operated(Call::post(path, id, "operators", about)))
            .json("Request", NEVER)
            .header(200, "Retry-After", AGAIN)
            .refuses([Token::NotFound, Token::Conflict])
    };
    let list = "Requests that are not answered yet, oldest first: at most 100.";
    vec![
        paged(operated(Call::get("/ca/v1/requests", "listRequests", "operators", list)))
            .json("Requests", NEVER)
            .refuses([Token::Malformed]),
        decide(
            "/ca/v1/requests/{id}/approve",
            "approveRequest",
            "Approve a request that waits. Its certificate is issued at once, or as soon as logs allow it.",
        )
        .refuses([Token::LogsUnavailable, Token::TrustUnavailable, Token::IssuerRevoked]),
        decide("/ca/v1/requests/{id}/deny", "denyRequest", "Deny a request that is not answered yet.")
            .takes("DenyRequest")
            .refuses(BODY),
    ]
}

fn records() -> Vec<Call> {
    let list = "Certificates from their precertificate on, newest first: at most 1000.";
    let rows = "Rows of the journal, octet for octet: at most 256.";
    vec![
        paged(operated(Call::get("/ca/v1/certificates", "listCertificates", "operators", list)))
            .query("agent", "AgentUri", Required::False, "Of this agent, percent-encoded.")
            .query("serial", "Hex", Required::False, "With this serial number; not together with `after`.")
            .query("since", "Moment", Required::False, "Signed then or later.")
            .query("until", "Moment", Required::False, "Signed before.")
            .json("Certificates", NEVER)
            .refuses([Token::Malformed]),
        operated(Call::get("/ca/v1/audit", "audit", "operators", rows))
            .query("start", "Count", Required::False, "The number of the first row; 0 by default.")
            .query("limit", "Count", Required::False, "Most rows; 100 by default.")
            .json("Audit", NEVER)
            .refuses([Token::Malformed]),
    ]
}

fn paged(call: Call) -> Call {
    call.query("after", "Cursor", Required::False, "`next` of the page before.").query(
        "limit",
        "Count",
        Required::False,
        "Most entries; 100 by default.",
    )
}

fn request_name(call: Call) -> Call {
    call.part("id", hex_digits(32), "The request's name.")
}

fn hex_digits(count: usize) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(format!("^[0-9a-f]{{{count}}}$"))).build()
}
