//! The JSON in a log's requests and answers, as schemas. The types themselves are in [`crate::api`].

use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder};
use utoipa::openapi::{Schema, Type};

use crate::api::{MAX_BATCH_ENTRIES, MAX_ENTRIES_PER_ANSWER};
use crate::http::openapi::schema::Presence::{Always, Sometimes};
use crate::http::openapi::schema::{list, named, object, octet_string, octets, reference, text, whole};

/// Every named schema.
pub(super) fn all() -> Vec<(&'static str, Schema)> {
    let mut schemas = vec![octet_string()];
    schemas.extend(values());
    schemas.extend(submitting());
    schemas.extend(reading());
    schemas.extend(describing());
    schemas
}

/// What single members are.
fn values() -> Vec<(&'static str, Schema)> {
    let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    vec![
        (
            "Hash",
            text("32 octets of SHA-256 in base64 with padding.")
                .content_encoding("base64")
                .pattern(Some("^[A-Za-z0-9+/]{43}=$"))
                .build()
                .into(),
        ),
        ("LeafIndex", whole("The place of an entry, from 0.").into()),
        ("TreeSize", whole("A number of entries.").into()),
        (
            "EntryType",
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .enum_values(Some([1, 2]))
                .description(Some("1 for a certificate, 2 for a precertificate."))
                .build()
                .into(),
        ),
    ]
}

/// Members of the calls that submit.
fn submitting() -> Vec<(&'static str, Schema)> {
    let request = [
        ("submission", Always, octets("DER of the certificate or precertificate.")),
        ("type", Sometimes, named("EntryType", "What it claims to be; left out, the log sees for itself.")),
        ("chain", Sometimes, list("Octets", "DER of the issuers, issuer first; the anchor may be left out.")),
    ];
    let logged = [
        ("sat", Always, octets("DER of the signed agent timestamp.")),
        ("leaf_index", Always, named("LeafIndex", "Where the leaf stands.")),
        ("cert_hash", Always, named("Hash", "SHA-256 of the submitted DER: the leaf's data.")),
        ("timestamp", Always, named("Moment", "The time in the SAT.")),
    ];
    let entries = ArrayBuilder::new().items(reference("SubmitEntryRequest")).max_items(Some(MAX_BATCH_ENTRIES));
    let result = OneOfBuilder::new().item(reference("SubmitEntryResponse")).item(reference("Problem"));
    let results =
        Array::builder().items(result).description(Some("A result for each entry, in the order of the request."));
    vec![
        ("SubmitEntryRequest", object("A submission.", request)),
        ("SubmitEntryResponse", object("A submission that is in the log, on disk.", logged)),
        ("SubmitEntriesRequest", object("Several submissions.", [("entries", Always, entries.into())])),
        ("SubmitEntriesResponse", object("What became of each.", [("results", Always, results.into())])),
    ]
}

/// Members of the calls that read heads, proofs and entries.
fn reading() -> Vec<(&'static str, Schema)> {
    let head = [
        ("log_id", Always, named("Hash", "The log that signed.")),
        ("tree_size", Always, named("TreeSize", "The number of leaves covered.")),
        ("timestamp", Always, named("Moment", "When the head was signed.")),
        ("root_hash", Always, named("Hash", "The root over those leaves.")),
        ("signature", Always, octets("The signature over TreeHeadDataV2 (RFC 9162 section 4.10).")),
    ];
    let consistency = [
        ("first", Always, named("TreeSize", "The smaller tree.")),
        ("second", Always, named("TreeSize", "The larger tree.")),
        ("consistency", Always, list("Hash", "The proof that the second extends the first.")),
    ];
    let inclusion = || {
        vec![
            ("leaf_index", Always, named("LeafIndex", "Where the leaf stands.")),
            ("tree_size", Always, named("TreeSize", "The tree that the proof leads to.")),
            ("inclusion", Always, list("Hash", "The audit path, from the leaf upwards.")),
        ]
    };
    let mut all = inclusion();
    all.push(("sth", Always, named("Sth", "The last signed head.")));
    all.push(("consistency", Always, list("Hash", "The proof that the head's tree extends the inclusion proof's.")));
    let submission = OneOfBuilder::new()
        .item(reference("Octets"))
        .item(Object::with_type(Type::Null))
        .description(Some("The submitted DER; null once it is pruned."));
    let entry = [
        ("leaf_index", Always, named("LeafIndex", "Where the leaf stands.")),
        ("timestamp", Always, named("Moment", "The time in the SAT.")),
        ("type", Always, named("EntryType", "What was submitted.")),
        ("submission", Always, submission.into()),
        ("cert_hash", Always, named("Hash", "SHA-256 of the submitted DER: the leaf's data.")),
        ("chain", Always, list("Octets", "DER of the verified path, issuer first, anchor included.")),
    ];
    let entries = ArrayBuilder::new().items(reference("Entry")).max_items(usize::try_from(MAX_ENTRIES_PER_ANSWER).ok());
    vec![
        ("Sth", object("A signed tree head.", head)),
        ("Consistency", object("A consistency proof.", consistency)),
        ("Inclusion", object("An inclusion proof.", inclusion())),
        ("InclusionAndHead", object("An inclusion proof and the way from its tree to the last head.", all)),
        ("Entry", object("An entry of the log.", entry)),
        ("Entries", object("Entries in order, perhaps fewer than asked for.", [("entries", Always, entries.into())])),
    ]
}

/// Members of what the log says of itself.
fn describing() -> Vec<(&'static str, Schema)> {
    let anchors = [
        ("certificates", Always, list("Octets", "DER of each accepted anchor.")),
        ("max_chain_length", Always, whole("Certificates from submission to anchor, both included.").into()),
    ];
    let log = [
        ("origin", Always, text("The log's name in checkpoints, a URL without schema.")),
        ("log_id", Always, named("Hash", "SHA-256 of `key`.")),
        ("key", Always, octets("DER SubjectPublicKeyInfo of the log's key.")),
        ("vkey", Always, text("The C2SP signed-note verifier key.")),
        ("operator", Always, text("Who runs the log.")),
        ("sth_interval_seconds", Always, whole("Seconds between signed heads.").into()),
        ("mmd_seconds", Always, whole("The longest time until a signed head covers an entry.").into()),
        ("not_after_start", Always, named("Moment", "First notAfter that the shard takes.")),
        ("not_after_limit", Always, named("Moment", "First notAfter beyond the shard.")),
        ("retention_seconds", Always, whole("Seconds after which bodies are dropped; 0 for never.").into()),
        ("witnesses", Always, ArrayBuilder::new().items(text("A C2SP verifier key.")).into()),
        ("hash", Always, text("SHA-256.")),
        ("signature_algorithm", Always, text("Ed25519.")),
        ("oid_arc", Always, text("The arc of the agent PKI extensions.")),
    ];
    vec![
        ("Anchors", object("Whose certificates the log records.", anchors)),
        ("Log", object("What a reader needs to know about this log.", log)),
    ]
}
