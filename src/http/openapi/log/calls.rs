//! Every call of a log: where it is, what it takes, what it answers (protocol section 5).

use utoipa::openapi::schema::Object;
use utoipa::openapi::{Required, Type};

use crate::api::Token;
use crate::http::openapi::call::{Call, FOREVER, NEVER, TEXT, operating};

/// The groups of calls, each with what it is for.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("submit", "For certification authorities."),
    ("read", "For relying parties and monitors."),
    ("static", "The same log as files that caches and mirrors like (C2SP tlog-tiles)."),
    ("operate", "For whoever runs the log."),
];

const OCTETS: &str = "application/octet-stream";

const NEXT_HEAD: &str = "public, max-age=<seconds to the next head>";
const FOREVER_IF_WHOLE: &str =
    "public, max-age=31536000, immutable where the query fixes the answer for good, else no-store";
const FOREVER_IF_KEPT: &str = "public, max-age=31536000, immutable; at most an hour on a log that prunes";
const ENTRIES: &str = "public, max-age=31536000, immutable where every entry asked for is in the answer (at most an \
hour on a log that prunes), else no-store";

/// What any reading of the store may end in.
const STORE: [Token; 2] = [Token::Internal, Token::Overloaded];

/// Every call.
pub(super) fn all() -> Vec<Call> {
    let mut calls = submitting();
    calls.extend(reading());
    calls.extend(describing());
    calls.extend(operating("Whether the log could take a submission now, with reasons."));
    calls.extend(files());
    calls.extend(tiles());
    calls
}

fn submitting() -> Vec<Call> {
    let post = |path, id, about, body, answer| {
        let call = Call::post(path, id, "submit", about).takes(body).json(answer, NEVER);
        call.refuses([Token::Malformed, Token::TooLarge, Token::UnsupportedMediaType, Token::RateLimited])
    };
    let one = post(
        "/atl/v1/submit-entry",
        "submitEntry",
        "Log a certificate. The answer comes when the entry is on disk; a certificate that is logged already gets \
         the SAT that it got the first time.",
        "SubmitEntryRequest",
        "SubmitEntryResponse",
    );
    let admission = [
        Token::BadSubmission,
        Token::BadType,
        Token::BadChain,
        Token::BadCertificate,
        Token::UnknownAnchor,
        Token::OutsideShard,
        Token::ReadOnly,
        Token::Shutdown,
    ];
    let several = post(
        "/atl/v1/submit-entries",
        "submitEntries",
        "Log up to 256 certificates. Each is answered for itself: with its SAT or with a problem.",
        "SubmitEntriesRequest",
        "SubmitEntriesResponse",
    );
    vec![one.refuses(admission).refuses(STORE), several.refuses([Token::Overloaded])]
}

fn reading() -> Vec<Call> {
    let read = |path, id, about| Call::get(path, id, "read", about);
    let proof = |call: Call| {
        call.query("hash", "Hash", Required::True, "The leaf hash: SHA-256(0x00 || cert_hash), percent-encoded.")
            .query("tree_size", "TreeSize", Required::False, "The tree to prove it in; the last head's by default.")
            .refuses([Token::Malformed, Token::HashUnknown, Token::TreeSizeUnknown])
            .refuses(STORE)
    };
    vec![
        read("/atl/v1/get-sth", "getSth", "The last signed tree head.").json("Sth", NEXT_HEAD),
        read("/atl/v1/get-sth-consistency", "getSthConsistency", "The proof that a tree extends an older one.")
            .query("first", "TreeSize", Required::True, "The smaller tree.")
            .query("second", "TreeSize", Required::False, "The larger tree; the last head's by default.")
            .json("Consistency", FOREVER_IF_WHOLE)
            .refuses([Token::Malformed, Token::FirstUnknown, Token::SecondUnknown, Token::SecondBeforeFirst])
            .refuses(STORE),
        proof(read("/atl/v1/get-proof-by-hash", "getProofByHash", "The proof that a leaf is in a tree."))
            .json("Inclusion", FOREVER_IF_WHOLE),
        proof(read(
            "/atl/v1/get-all-by-hash",
            "getAllByHash",
            "The proof that a leaf is in a tree, with the last signed head and the proof that its tree extends that one.",
        ))
        .json("InclusionAndHead", NEVER),
        read("/atl/v1/get-entries", "getEntries", "Entries in order: at most 1000, perhaps fewer than asked for.")
            .query("start", "LeafIndex", Required::True, "The first entry.")
            .query("end", "LeafIndex", Required::True, "The last entry, itself included.")
            .json("Entries", ENTRIES)
            .refuses([Token::Malformed, Token::StartUnknown, Token::EndBeforeStart])
            .refuses(STORE),
        read("/atl/v1/get-entry-by-cert-hash", "getEntryByCertHash", "The entry of a certificate.")
            .query("cert_hash", "Hash", Required::True, "SHA-256 of the submitted DER, percent-encoded.")
            .json("Entry", FOREVER_IF_KEPT)
            .refuses([Token::Malformed, Token::HashUnknown])
            .refuses(STORE),
    ]
}

fn describing() -> Vec<Call> {
    vec![
        Call::get("/atl/v1/get-anchors", "getAnchors", "read", "Whose certificates the log records.")
            .json("Anchors", NEVER),
        Call::get("/atl/v1/log", "getLog", "read", "What the log says of itself: name, key, shard, intervals.")
            .json("Log", NEVER),
    ]
}

fn files() -> Vec<Call> {
    let fingerprint = Object::builder().schema_type(Type::String).pattern(Some("^[0-9a-f]{64}$")).build();
    vec![
        Call::get(
            "/checkpoint",
            "checkpoint",
            "static",
            "The last signed head as a C2SP signed note, with the cosignatures that are in.",
        )
        .file(TEXT, NEXT_HEAD),
        Call::get("/issuer/{fingerprint}", "issuer", "static", "A chain certificate, DER.")
            .part("fingerprint", fingerprint, "SHA-256 of the certificate in lower-case hex.")
            .file("application/pkix-cert", FOREVER)
            .refuses([Token::NotFound])
            .refuses(STORE),
    ]
}

/// Tiles and bundles, each whole (256 wide) and partial.
fn tiles() -> Vec<Call> {
    let level = || Object::builder().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(63)).build();
    let index = || Object::builder().schema_type(Type::String).pattern(Some("^(x[0-9]{3}/)*[0-9]{3}$")).build();
    let width = || Object::builder().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(255)).build();
    let kinds = [
        ("/tile/{level}/{index}", "/tile/{level}/{index}.p/{width}", ["tile", "partialTile"], "Hashes of a level."),
        (
            "/tile/entries/{index}",
            "/tile/entries/{index}.p/{width}",
            ["entries", "partialEntries"],
            "The 32-octet cert_hash of each entry, each with its uint16 length.",
        ),
        (
            "/tile/certs/{index}",
            "/tile/certs/{index}.p/{width}",
            ["certs", "partialCerts"],
            "Timestamp, certificate and chain fingerprints of each entry.",
        ),
    ];
    let mut calls = Vec::new();
    for (whole_path, partial_path, [whole_id, partial_id], about) in kinds {
        let cache = if whole_id == "certs" { FOREVER_IF_KEPT } else { FOREVER };
        for (path, id) in [(whole_path, whole_id), (partial_path, partial_id)] {
            let mut call = Call::get(path, id, "static", about);
            if path.contains("{level}") {
                call = call.part("level", level(), "The level; 0 is that of the leaf hashes.");
            }
            call = call.part(
                "index",
                index(),
                "The tile's number in groups of three digits, all but the last with an x before it: 1234 is \
                 x001/234. Its slashes are not escaped.",
            );
            if path.contains("{width}") {
                call = call.part("width", width(), "How many hashes or entries the partial tile has.");
            }
            calls.push(call.file(OCTETS, cache).refuses([Token::NotFound]).refuses(STORE));
        }
    }
    calls
}
