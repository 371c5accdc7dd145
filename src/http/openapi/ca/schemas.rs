//! The JSON in a CA's requests and answers, as schemas. The types themselves are in [`crate::api::ca`].

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder};
use utoipa::openapi::{Schema, Type};

use crate::http::openapi::schema::Presence::{Always, Sometimes};
use crate::http::openapi::schema::{
    Part, Presence, boolean, list, named, object, octet_string, octets, reference, text, whole,
};

/// Most capabilities in one certificate (protocol section 2).
const MAX_CAPABILITIES: usize = 64;

type Member = (&'static str, Presence, Part);

/// Every named schema.
pub(super) fn all() -> Vec<(&'static str, Schema)> {
    let mut schemas = vec![octet_string()];
    schemas.extend(values());
    schemas.extend(capabilities());
    schemas.extend(applying());
    schemas.extend(answering());
    schemas.extend(operating());
    schemas.extend(recording());
    schemas.extend(super::authority::schemas());
    schemas
}

/// What single members are.
fn values() -> Vec<(&'static str, Schema)> {
    let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    let one_of = |about: &str, names: &[&str]| text(about).enum_values(Some(names.iter().copied())).build().into();
    vec![
        ("AgentUri", text("An agent, as `agent://trust-domain/org/type/instance`.").build().into()),
        ("Hex", text("Octets in lower-case hex.").pattern(Some("^([0-9a-f]{2})*$")).build().into()),
        ("Hex32", text("32 octets in lower-case hex.").pattern(Some("^[0-9a-f]{64}$")).build().into()),
        ("Cursor", text("A place in a list, to be sent back as it is.").build().into()),
        ("Count", whole("A number of things.").into()),
        ("Seconds", whole("A time in seconds.").into()),
        ("Score", whole("A trust score, 0 to 100.").into()),
        (
            "TrustTier",
            one_of("What a score entitles to.", &["untrusted", "restricted", "standard", "elevated", "full"]),
        ),
        (
            "AttestationMethod",
            one_of("On what an attestation rests.", &["selfDeclared", "caVerified", "thirdParty", "hardwareBound"]),
        ),
        ("RequestStatus", one_of("Where a request stands.", &["pending", "ready", "processing", "valid", "invalid"])),
    ]
}

/// What an agent may do, and hand on.
fn capabilities() -> Vec<(&'static str, Schema)> {
    let capability = [
        ("tool_uri", Always, text("The tool; compared octet for octet.")),
        ("scope", Always, text("What of it, in parts between slashes.")),
        ("spend_limit", Sometimes, named("SpendLimit", "How much may be spent with it.")),
        ("rate_limit", Sometimes, named("RateLimit", "How often it may be called.")),
    ];
    let spend = [
        ("max_per_transaction", Sometimes, whole("At most this in one transaction, in minor units.").into()),
        ("max_per_period", Sometimes, whole("At most this in one period, in minor units.").into()),
        ("period_seconds", Sometimes, named("Seconds", "How long the period is.")),
        ("currency", Always, text("Three upper-case letters (ISO 4217).")),
    ];
    let rate = [
        ("max_requests", Always, named("Count", "At most this many calls in one period.")),
        ("period_seconds", Always, named("Seconds", "How long the period is.")),
    ];
    let rules = [
        ("capabilities_subset", Sometimes, boolean("Descendants have a subset of the capabilities; true by default.")),
        ("max_trust_score", Sometimes, named("Score", "No descendant has a higher score.")),
        ("max_spend_limit", Sometimes, whole("No descendant spends more, in minor units.").into()),
        ("scope_narrowing", Sometimes, text("Every descendant's scopes are this one or below it.")),
    ];
    let all = ArrayBuilder::new()
        .items(reference("Capability"))
        .max_items(Some(MAX_CAPABILITIES))
        .description(Some("What an agent may do; an empty list is nothing."));
    vec![
        ("Capabilities", Schema::Array(all.build())),
        ("Capability", object("One tool, in one scope.", capability)),
        ("SpendLimit", object("A limit of money.", spend)),
        ("RateLimit", object("A limit of calls.", rate)),
        ("AttenuationRules", object("What binds every descendant of an agent.", rules)),
    ]
}

/// Members of the calls that ask for a certificate.
fn applying() -> Vec<(&'static str, Schema)> {
    let request = [
        ("csr", Always, octets("A PKCS#10 request (RFC 2986), DER, with the agent URI in its subjectAltName.")),
        ("evidence", Sometimes, named("Evidence", "How the agent was built.")),
        (
            "capabilities",
            Sometimes,
            named("Capabilities", "What it asks to be allowed to do; by default all that its credential allows."),
        ),
        ("validity_seconds", Sometimes, named("Seconds", "For how long; by default as the CA has it.")),
        ("principal", Sometimes, named("Principal", "The human behind the agent.")),
    ];
    let evidence = [
        ("model_family", Always, text("The family of the model.")),
        ("model_version", Always, text("The version of the model.")),
        ("framework", Always, text("What the model runs in.")),
        ("organization", Always, text("Who built the agent.")),
        ("build_hash", Sometimes, named("Hex32", "SHA-256 of the build.")),
        ("attestation", Sometimes, octets("What an attester says of it, at most 16 KiB.")),
        ("evidence_uri", Sometimes, text("Where the evidence is.")),
    ];
    let principal = [
        ("human", Always, text("Who answers for the agent; certificates have a salted hash of it by default.")),
        ("max_depth", Sometimes, named("Count", "How many delegations there may be below.")),
        ("rules", Sometimes, named("AttenuationRules", "What binds every descendant.")),
    ];
    vec![
        ("EnrolRequest", object("A request for a certificate.", request)),
        ("Evidence", object("How an agent was built.", evidence)),
        ("Principal", object("The human at the start of a line of delegation.", principal)),
    ]
}

fn request() -> Vec<Member> {
    let why = ArrayBuilder::new().items(text("A reason.")).description(Some("Why it is pending or invalid."));
    vec![
        ("id", Always, named("Hex", "The request's name; whoever knows it may ask how it stands.")),
        ("status", Always, named("RequestStatus", "Where it stands.")),
        ("agent", Always, named("AgentUri", "The agent.")),
        ("received_at", Always, named("Moment", "When it was received.")),
        ("reasons", Sometimes, why.into()),
        ("certificate", Sometimes, named("Certificate", "The certificate, once the status is valid.")),
    ]
}

/// Members of answers to agents and to everybody.
fn answering() -> Vec<(&'static str, Schema)> {
    let certificate = [
        ("serial", Always, named("Hex", "Its serial number.")),
        ("sha256", Always, named("Hex32", "SHA-256 of its DER.")),
        ("agent", Always, named("AgentUri", "Whose it is.")),
        ("score", Always, named("Score", "The trust score in it.")),
        ("tier", Always, named("TrustTier", "The tier of that score.")),
        ("attestation", Always, named("AttestationMethod", "On what its attestation rests.")),
        ("not_before", Always, named("Moment", "Valid from.")),
        ("not_after", Always, named("Moment", "Valid until.")),
        ("renew_at", Always, named("Moment", "When to renew: at half of its validity.")),
        ("chain_pem", Always, text("The certificate and its issuers without the root, in PEM, the agent's first.")),
        ("sats", Always, list("Sat", "The signed agent timestamps in it.")),
    ];
    let sat = [
        ("log", Always, text("The URL of the log.")),
        ("operator", Always, text("Who runs it.")),
        ("timestamp", Always, named("Moment", "When the log took the precertificate in.")),
        ("sat", Always, octets("The SAT, DER.")),
    ];
    let ca = [
        ("trust_domain", Always, text("The trust domain that it speaks for.")),
        ("organization", Always, text("Who runs it.")),
        ("chain_pem", Always, text("The issuing certificate and its issuers up to the root, in PEM.")),
        ("logs", Always, list("Log", "The logs that it submits to.")),
        ("min_validity_seconds", Always, named("Seconds", "Shortest validity.")),
        ("default_validity_seconds", Always, named("Seconds", "Validity of those who do not ask.")),
        ("max_validity_seconds", Always, named("Seconds", "Longest validity.")),
        ("oid_arc", Always, text("The arc of the agent PKI extensions.")),
    ];
    let log = [
        ("url", Always, text("Its base URL.")),
        ("operator", Always, text("Who runs it.")),
        ("key", Always, octets("DER SubjectPublicKeyInfo of its key.")),
    ];
    vec![
        ("Request", object("Where a request for a certificate stands.", request())),
        ("Certificate", object("A certificate that was issued.", certificate)),
        ("Sat", object("A signed agent timestamp.", sat)),
        ("Ca", object("What the CA says of itself.", ca)),
        ("Log", object("A transparency log.", log)),
    ]
}

/// Members of the calls that operators decide with.
fn operating() -> Vec<(&'static str, Schema)> {
    let mint = [
        ("agents", Always, text("Which agents: an agent URI in which path segments may be `*`.")),
        ("capabilities", Sometimes, named("Capabilities", "The most that they may be allowed to do.")),
        ("max_validity_seconds", Sometimes, named("Seconds", "The longest validity.")),
        (
            "replaces",
            Sometimes,
            boolean("Whether it may enrol an agent that has a valid certificate; false by default."),
        ),
        ("ttl_seconds", Always, named("Seconds", "For how long the token is good.")),
    ];
    let minted = [
        ("id", Always, named("Hex", "The token's public half.")),
        ("token", Always, text("The token.")),
        ("expires_at", Always, named("Moment", "Not good from then on.")),
    ];
    let mut open = request();
    open.extend([
        ("credential", Always, text("What it came with: `token <id>`, `certificate <serial>` or `parent <serial>`.")),
        ("capabilities", Always, named("Capabilities", "What the agent will be allowed to do.")),
        ("validity_seconds", Always, named("Seconds", "For how long.")),
        ("score", Always, named("Score", "The score that it will have.")),
        ("evidence", Sometimes, named("Evidence", "How the agent was built.")),
        ("human", Sometimes, text("The human behind it, in plain words.")),
    ]);
    let requests = [("requests", Always, list("OpenRequest", "The requests.")), next()];
    vec![
        ("MintTokenRequest", object("What a token is to be good for.", mint)),
        ("MintedToken", object("A token that was minted.", minted)),
        ("OpenRequest", object("A request before its decision.", open)),
        ("Requests", object("Requests that are not answered yet.", requests)),
        ("DenyRequest", object("A denial.", [("why", Sometimes, text("Why, for the requester to read."))])),
    ]
}

/// Members of what the CA has recorded.
fn recording() -> Vec<(&'static str, Schema)> {
    let status = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["precertified", "issued", "abandoned"]))
        .description(Some("How far it came."));
    let entry = [
        ("serial", Always, named("Hex", "Its serial number.")),
        ("status", Always, status.build().into()),
        ("sha256", Sometimes, named("Hex32", "SHA-256 of the final certificate, once there is one.")),
        ("cert_hash", Always, named("Hex32", "SHA-256 of the precertificate: what the logs have.")),
        ("agent", Always, named("AgentUri", "Whose it is.")),
        ("score", Always, named("Score", "The score in it.")),
        ("signed_at", Always, named("Moment", "When the precertificate was signed.")),
        ("not_after", Always, named("Moment", "When it ends.")),
        ("request", Always, named("Hex", "The request that it answers.")),
        ("why", Sometimes, text("Why it was abandoned.")),
    ];
    let rows = ArrayBuilder::new()
        .items(text("One line of JSON."))
        .description(Some("The rows, octet for octet, so that their hashes can be checked."));
    let audit = [
        ("rows_total", Always, named("Count", "How many rows there are.")),
        ("head", Always, named("Hex32", "SHA-256 of the last row.")),
        ("start", Always, named("Count", "The number of the first row here.")),
        ("rows", Always, rows.into()),
    ];
    let certificates = [("certificates", Always, list("CertificateEntry", "The certificates.")), next()];
    vec![
        ("CertificateEntry", object("A certificate in the CA's repository.", entry)),
        ("Certificates", object("Certificates, newest first.", certificates)),
        ("Audit", object("Rows of the journal, each with the hash of the one before.", audit)),
    ]
}

fn next() -> Member {
    ("next", Sometimes, named("Cursor", "`after` for the next page; none where this is the last."))
}
