//! Every call of a trust engine: where it is, what it takes, what it answers.

use utoipa::openapi::schema::{Object, ObjectBuilder};
use utoipa::openapi::{Required, Type};

use crate::api::Token;
use crate::http::openapi::call::{Call, NEVER, operating};
use crate::http::openapi::schema::whole;

/// The groups of calls, each with what it is for.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("reporters", "For relying parties that are registered to report."),
    ("readers", "For the CA, and whoever else may read scores."),
    ("operators", "For the people who decide."),
    ("operate", "For whoever runs the engine."),
];

/// The credentials, by name.
pub(super) const REPORTER: &str = "reporterCertificate";
pub(super) const READER: &str = "readerToken";
pub(super) const EITHER: &str = "token";
pub(super) const OPERATOR: &str = "operatorToken";

/// What any question to the engine may end in.
const SERVICE: [Token; 3] = [Token::Internal, Token::Overloaded, Token::Shutdown];
/// What reading a body may end in.
const BODY: [Token; 3] = [Token::Malformed, Token::TooLarge, Token::UnsupportedMediaType];
/// What showing a credential may end in.
const SHOWN: [Token; 2] = [Token::Unauthorized, Token::RateLimited];

/// Every call.
pub(super) fn all() -> Vec<Call> {
    let mut calls = scores();
    calls.extend(decisions());
    calls.extend(records());
    calls.extend(operating("Whether the engine could take a signal in now, part by part."));
    calls
}

fn of_agent(call: Call) -> Call {
    call.query("agent", "AgentUri", Required::True, "Which agent.")
        .needs(EITHER)
        .refuses([Token::Malformed, Token::NotFound])
        .refuses(SHOWN)
        .refuses(SERVICE)
}

fn scores() -> Vec<Call> {
    let signals = "Report on agents: 1 to 100 signals. What was taken in before is answered again and not counted \
                   again, so that a request may be repeated where its answer was lost.";
    let assess = "Ask for an agent's score. One that is asked for the first time gets an account.";
    let changes = "Scores that changed, in the order of their rows: at most 500. Where there is none the answer waits.";
    vec![
        Call::post("/trust/v1/signals", "report", "reporters", signals)
            .takes("SignalsRequest")
            .json("Signals", NEVER)
            .needs(REPORTER)
            .refuses(BODY)
            .refuses(SHOWN)
            .refuses([Token::Forbidden, Token::ReadOnly])
            .refuses(SERVICE),
        Call::post("/trust/v1/assess", "assess", "readers", assess)
            .takes("AssessRequest")
            .json("Assessment", NEVER)
            .needs(READER)
            .refuses(BODY)
            .refuses(SHOWN)
            .refuses([Token::Forbidden, Token::ReadOnly])
            .refuses(SERVICE),
        Call::get("/trust/v1/changes", "listChanges", "readers", changes)
            .query("start", "Count", Required::False, "The number of the first row to look at; 0 by default.")
            .query("wait_seconds", "Seconds", Required::False, "How long to wait, at most 30; 0 by default.")
            .query("limit", "Count", Required::False, "Most changes; 100 by default.")
            .json("Changes", NEVER)
            .needs(EITHER)
            .refuses([Token::Malformed])
            .refuses(SHOWN)
            .refuses(SERVICE),
        of_agent(Call::get("/trust/v1/agents", "getAccount", "readers", "An agent's account.")).json("Account", NEVER),
        Call::get(
            "/trust/v1/accounts",
            "listAccounts",
            "readers",
            "Accounts, in the order of their agents: at most 500.",
        )
        .query("after", "AgentUri", Required::False, "`next` of the page before.")
        .query("limit", "Count", Required::False, "Most entries; 100 by default.")
        .json("Accounts", NEVER)
        .needs(EITHER)
        .refuses([Token::Malformed])
        .refuses(SHOWN)
        .refuses(SERVICE),
        of_agent(Call::get("/trust/v1/explain", "explain", "readers", "Why a score is what it is, row by row."))
            .json("Explanation", NEVER),
    ]
}

/// What all calls for operators have in common.
fn operated(call: Call) -> Call {
    call.needs(OPERATOR).refuses(SHOWN).refuses([Token::Forbidden]).refuses(SERVICE)
}

fn decisions() -> Vec<Call> {
    let decide = |path, id, about, what| {
        operated(Call::post(path, id, "operators", about))
            .part("id", whole("Its number."), what)
            .json("Assessment", NEVER)
            .refuses([Token::NotFound, Token::Conflict, Token::ReadOnly])
    };
    let (incident, review) = ("The incident's number.", "The review's number.");
    let clear = "Lift a reporter's flag; it is counted anew. For operators of the engine.";
    let rebase = "Change what an agent's evidence is worth. For operators of the engine.";
    vec![
        decide(
            "/trust/v1/incidents/{id}/confirm",
            "confirmIncident",
            "Confirm an incident: the agent's score is 0 from now on.",
            incident,
        ),
        decide(
            "/trust/v1/incidents/{id}/dismiss",
            "dismissIncident",
            "Dismiss an incident: what it took is given back.",
            incident,
        ),
        decide(
            "/trust/v1/reviews/{id}/approve",
            "approveReview",
            "Apply what is held. For operators of the engine.",
            review,
        ),
        decide("/trust/v1/reviews/{id}/deny", "denyReview", "Drop what is held. For operators of the engine.", review),
        operated(Call::post("/trust/v1/reporters/{name}/clear", "clearReporter", "operators", clear))
            .part("name", reporter_name(), "The reporter's name.")
            .answers([(204, "It is not flagged any more.")])
            .refuses([Token::NotFound, Token::Conflict, Token::ReadOnly]),
        operated(Call::post("/trust/v1/rebase", "rebase", "operators", rebase))
            .takes("RebaseRequest")
            .json("Assessment", NEVER)
            .refuses(BODY)
            .refuses([Token::NotFound, Token::Conflict, Token::ReadOnly]),
    ]
}

fn records() -> Vec<Call> {
    let incidents = "Incidents that nobody has decided, oldest first: at most 500.";
    let reviews = "What is held and not decided, oldest first: at most 500.";
    let rows = "Rows of the ledger, octet for octet: at most 256.";
    vec![
        paged(operated(Call::get("/trust/v1/incidents", "listIncidents", "operators", incidents)))
            .json("Incidents", NEVER),
        paged(operated(Call::get("/trust/v1/reviews", "listReviews", "operators", reviews))).json("Reviews", NEVER),
        operated(Call::get("/trust/v1/reporters", "listReporters", "operators", "Who reports, and who is flagged."))
            .json("Reporters", NEVER),
        operated(Call::get("/trust/v1/ledger", "ledger", "operators", rows))
            .query("start", "Count", Required::False, "The number of the first row; 0 by default.")
            .query("limit", "Count", Required::False, "Most rows; 100 by default.")
            .json("Ledger", NEVER)
            .refuses([Token::Malformed]),
    ]
}

fn paged(call: Call) -> Call {
    call.query("after", "Count", Required::False, "`next` of the page before.")
        .query("limit", "Count", Required::False, "Most entries; 100 by default.")
        .refuses([Token::Malformed])
}

fn reporter_name() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z0-9._-]{1,64}$")).build()
}
