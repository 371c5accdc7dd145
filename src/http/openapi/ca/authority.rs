//! The calls by which authority is handed on and taken back, and what they take and answer.

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder};
use utoipa::openapi::{Required, Schema, Type};

use super::calls::{BODY, CERTIFICATE, OPERATOR, SERVICE, apply};
use crate::api::Token;
use crate::api::ca::{MAX_COMMENT, MAX_REVOKED, RevocationReason};
use crate::http::openapi::call::{Call, NEVER};
use crate::http::openapi::schema::Presence::{Always, Sometimes};
use crate::http::openapi::schema::{boolean, list, named, object, octets, text, whole};

/// Every call.
pub(super) fn calls() -> Vec<Call> {
    let delegate = "Hand rights on: ask, with the parent's current certificate, for the certificate of a child. The \
        parent's certificate goes to the logs first, so that the child's parentCertHash is found there. Where the \
        child would have more than it may, the subproblems name every rule that is broken.";
    let revoke = "Take an agent's authority back, with that of all its descendants, at once. Operators revoke anybody; \
        an agent itself and those below it.";
    let standing = "What the certificate of this connection is worth; a certificate that is revoked may ask too.";
    let lineage = "Who has rights from whom: the line above an agent, and the tree below it; at most 1000 agents.";
    vec![
        apply("/ca/v1/delegate", "delegate", delegate, CERTIFICATE).takes("DelegateRequest"),
        Call::post("/ca/v1/revoke", "revoke", "agents", revoke)
            .takes("RevokeRequest")
            .json("Revoked", NEVER)
            .answers([(
                200,
                "Nothing is left of the authority of these; agents that were revoked before are not named.",
            )])
            .needs(OPERATOR)
            .or_needs(CERTIFICATE)
            .refuses(BODY)
            .refuses([Token::Unauthorized, Token::NotFound, Token::Conflict, Token::RateLimited])
            .refuses(SERVICE),
        Call::get("/ca/v1/standing", "getStanding", "agents", standing)
            .json("Standing", NEVER)
            .needs(CERTIFICATE)
            .refuses([Token::Unauthorized, Token::RateLimited])
            .refuses(SERVICE),
        Call::get("/ca/v1/lineage", "getLineage", "operators", lineage)
            .query("agent", "AgentUri", Required::True, "From this agent, percent-encoded.")
            .json("Lineage", NEVER)
            .needs(OPERATOR)
            .refuses([Token::Malformed, Token::Unauthorized, Token::NotFound, Token::RateLimited])
            .refuses(SERVICE),
    ]
}

/// Every named schema.
pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let mut schemas = asked();
    schemas.extend(answered());
    schemas
}

fn asked() -> Vec<(&'static str, Schema)> {
    let names = RevocationReason::ALL.map(RevocationReason::name);
    let reason = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .description(Some("Why (RFC 5280 section 5.3.1)."));
    let delegate = [
        ("csr", Always, octets("The child's PKCS#10 request (RFC 2986), DER, with its agent URI in subjectAltName.")),
        ("evidence", Sometimes, named("Evidence", "How the child was built.")),
        ("capabilities", Always, named("Capabilities", "What it is to be allowed to do: within the parent's.")),
        (
            "validity_seconds",
            Sometimes,
            named("Seconds", "For how long, and no longer than the parent's certificate; by default as the CA has it."),
        ),
        ("max_depth", Sometimes, whole("Its maxDelegationDepth, 0 to 255; by default its parent's.").into()),
        ("rules", Sometimes, named("AttenuationRules", "What binds its descendants, besides what binds it.")),
    ];
    let comment = format!("Why, in words, for the journal; at most {MAX_COMMENT} octets.");
    let revoke = [
        ("agent", Sometimes, named("AgentUri", "The agent; or one of the next two, and only one.")),
        ("serial", Sometimes, named("Hex", "The serial number of one of its certificates.")),
        ("sha256", Sometimes, named("Hex32", "SHA-256 of one of its certificates.")),
        ("reason", Sometimes, named("RevocationReason", "Why; unspecified by default.")),
        ("comment", Sometimes, text(&comment)),
    ];
    vec![
        ("RevocationReason", reason.build().into()),
        ("DelegateRequest", object("A request for the certificate of a child.", delegate)),
        ("RevokeRequest", object("Whose authority is to be taken back, and why.", revoke)),
    ]
}

fn answered() -> Vec<(&'static str, Schema)> {
    let agents = format!("The agent that was meant first, then those below it; at most {MAX_REVOKED}.");
    let revoked = [
        ("at", Always, named("Moment", "When it was taken back.")),
        ("agents_total", Always, named("Count", "Of how many agents.")),
        ("certificates_total", Always, named("Count", "How many certificates that had not ended.")),
        ("listed", Always, boolean("Whether a revocation list that has them is published; OCSP has them in any case.")),
        ("agents", Always, list("RevokedAgent", &agents)),
    ];
    let serials = ArrayBuilder::new()
        .items(named("Hex", "A serial number."))
        .description(Some("Its certificates that had not ended."));
    let one = [
        ("agent", Always, named("AgentUri", "Which.")),
        ("with", Sometimes, named("AgentUri", "The agent above whose revocation took it along.")),
        ("certificates", Always, serials.into()),
    ];
    let status = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["valid", "renew", "revoked"]))
        .description(Some("Good; good, and to be renewed at once; good for nothing any more."));
    let standing = [
        ("agent", Always, named("AgentUri", "Whose it is.")),
        ("serial", Always, named("Hex", "Its serial number.")),
        ("status", Always, status.build().into()),
        ("since", Sometimes, named("Moment", "Since when it is to be renewed, or is revoked.")),
        ("score", Sometimes, named("Score", "The score by the trust engine, where that is why it is to be renewed.")),
        ("reason", Sometimes, named("RevocationReason", "Why it is revoked.")),
        ("with", Sometimes, named("AgentUri", "The agent above whose revocation took it along.")),
    ];
    let lineage = [
        ("above", Always, list("LineageEntry", "The agents above, the root of the line first.")),
        ("tree", Always, list("LineageEntry", "The agent, then those below it, each behind its parent.")),
        ("truncated", Always, boolean("There are more than are shown: ask for one further down.")),
    ];
    let entry = [
        ("agent", Always, named("AgentUri", "Which.")),
        ("parent", Sometimes, named("AgentUri", "The agent that its rights are from; none at the root of a line.")),
        ("children", Always, named("Count", "How many agents have it as their parent.")),
        ("score", Always, named("Score", "The score in its newest certificate.")),
        ("not_after", Always, named("Moment", "When that one ends.")),
        ("revoked_at", Sometimes, named("Moment", "When its authority was taken back.")),
        ("reason", Sometimes, named("RevocationReason", "Why it was.")),
        ("with", Sometimes, named("AgentUri", "The agent above whose revocation took it along.")),
    ];
    vec![
        ("Revoked", object("Whose authority is gone.", revoked)),
        ("RevokedAgent", object("An agent whose authority was taken back.", one)),
        ("Standing", object("What a certificate is worth.", standing)),
        ("Lineage", object("Who has rights from whom.", lineage)),
        ("LineageEntry", object("An agent in a line of delegation.", entry)),
    ]
}
