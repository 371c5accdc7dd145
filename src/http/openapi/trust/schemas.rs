//! The JSON in a trust engine's requests and answers, as schemas. The types themselves are in
//! [`crate::api::trust`].

use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, SchemaFormat};
use utoipa::openapi::{Schema, Type};

use crate::api::trust::MAX_SIGNALS;
use crate::http::openapi::schema::Presence::{Always, Sometimes};
use crate::http::openapi::schema::{Part, Presence, list, named, object, reference, text, whole};

type Member = (&'static str, Presence, Part);

/// Every named schema.
pub(super) fn all() -> Vec<(&'static str, Schema)> {
    let mut schemas = values();
    schemas.extend(reporting());
    schemas.extend(reading());
    schemas.extend(explaining());
    schemas.extend(deciding());
    schemas.extend(recording());
    schemas
}

/// What single members are.
fn values() -> Vec<(&'static str, Schema)> {
    let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    let outcomes = ["applied", "capped", "held", "repeated", "refused"];
    let what = "All counts; some waits for another reporter; some waits for an operator; it was taken in before; it \
                is not in the ledger.";
    vec![
        ("AgentUri", text("An agent, as `agent://trust-domain/org/type/instance`.").build().into()),
        ("Hex32", text("32 octets in lower-case hex.").pattern(Some("^[0-9a-f]{64}$")).build().into()),
        ("Count", whole("A number of things, or of one.").into()),
        ("Seconds", whole("A time in seconds.").into()),
        ("Score", whole("A trust score in points, 0 to 100.").into()),
        ("HalfPoints", number("Half-points: twice the points.").into()),
        ("Outcome", text(what).enum_values(Some(outcomes)).build().into()),
    ]
}

fn number(about: &str) -> Object {
    let format = SchemaFormat::Custom("int64".into());
    Object::builder().schema_type(Type::Integer).format(Some(format)).description(Some(about)).build()
}

fn half(about: &str) -> Part {
    named("HalfPoints", about)
}

fn reporting() -> Vec<(&'static str, Schema)> {
    let signals = ArrayBuilder::new()
        .items(text("A signal: a compact JWS."))
        .min_items(Some(1))
        .max_items(Some(MAX_SIGNALS))
        .description(Some("Signals."));
    let outcome = [
        ("outcome", Always, named("Outcome", "In a word.")),
        ("id", Sometimes, text("The signal's name, where it is in the ledger.")),
        ("row", Sometimes, named("Count", "The row that it is in; a security incident has the same number.")),
        ("requested", Sometimes, half("What it asked for.")),
        ("applied", Sometimes, half("What was applied at once.")),
        ("withheld", Sometimes, half("What waits until another reporter agrees.")),
        ("held", Sometimes, half("What waits for an operator.")),
        ("problem", Sometimes, named("Subproblem", "Why it was refused.")),
    ];
    vec![
        ("SignalsRequest", object("Signals to be taken in.", [("signals", Always, signals.into())])),
        ("Signals", object("What came of them.", [("outcomes", Always, list("SignalOutcome", "In their order."))])),
        ("SignalOutcome", object("What came of a signal.", outcome)),
    ]
}

fn assessment() -> Vec<Member> {
    let incidents = ArrayBuilder::new().items(reference("Count")).description(Some("Incidents that nobody decided."));
    vec![
        ("agent", Always, named("AgentUri", "Whose.")),
        ("score", Always, named("Score", "The effective score: what a certificate may say.")),
        ("half_points", Always, half("The same, exactly.")),
        ("cap", Always, half("The highest score to be had: peak less penalties.")),
        ("base", Always, half("The attestation result that is in it.")),
        ("decay_rate", Always, whole("Points that it loses in an hour.").into()),
        ("as_of", Always, named("Moment", "The moment of all this.")),
        ("withheld_up", Always, half("What waits upwards until another reporter agrees.")),
        ("withheld_down", Always, half("What waits downwards until another reporter agrees.")),
        ("held", Always, half("What waits for an operator.")),
        ("incidents", Always, incidents.into()),
        ("row", Always, named("Count", "The last row about the agent.")),
    ]
}

fn reading() -> Vec<(&'static str, Schema)> {
    let assess = [
        ("agent", Always, named("AgentUri", "Whose score is asked for.")),
        ("base", Always, named("Score", "What the agent's evidence is worth by itself.")),
    ];
    let mut account = assessment();
    account.extend([
        ("opened_at", Always, named("Moment", "Since when there is an account.")),
        ("balance", Always, half("The balance without decay.")),
        ("decayed", Always, half("What decayed, rounded up.")),
        ("peak", Always, half("The highest balance since the account was opened or last reset.")),
        ("penalties", Always, half("Penalties that lower the cap.")),
        ("active_until", Always, named("Moment", "Nothing decays before.")),
        ("fast_until", Always, named("Moment", "It decays twice as fast before.")),
        ("reviews", Always, list("HeldReview", "Reviews that nobody decided.")),
        ("rows", Always, named("Count", "Rows about it.")),
    ]);
    let following = ("next", Sometimes, named("AgentUri", "`after` for the next page; none where this is the last."));
    let held = [("id", Always, named("Count", "Its number.")), ("half_points", Always, half("What it holds."))];
    let change = [
        ("row", Always, named("Count", "The row that changed it.")),
        ("agent", Always, named("AgentUri", "Whose.")),
        ("score", Always, named("Score", "The effective score behind it.")),
        ("half_points", Always, half("The same, exactly.")),
        ("at", Always, named("Moment", "When.")),
        ("incident", Sometimes, named("IncidentChange", "The incident that it was about.")),
    ];
    let incident = [
        ("id", Always, named("Count", "Its number.")),
        ("stage", Always, text("`opened`, `confirmed` or `dismissed`.")),
    ];
    let changes = [
        ("changes", Always, list("Change", "In the order of their rows.")),
        ("next", Always, named("Count", "`start` of the next call.")),
    ];
    vec![
        ("AssessRequest", object("A question for a score.", assess)),
        ("Assessment", object("An agent's score.", assessment())),
        ("Account", object("An agent's account.", account)),
        ("Accounts", object("Accounts.", [("accounts", Always, list("Account", "The accounts.")), following])),
        ("HeldReview", object("A review of an account.", held)),
        ("Changes", object("Scores that changed.", changes)),
        ("Change", object("A score that changed.", change)),
        ("IncidentChange", object("An incident that moved a score.", incident)),
    ]
}

fn explaining() -> Vec<(&'static str, Schema)> {
    let line = [
        ("row", Sometimes, named("Count", "The row; none in the last line, which is the present.")),
        ("at", Always, named("Moment", "When.")),
        ("who", Always, text("Who.")),
        ("what", Always, text("What happened.")),
        ("requested", Sometimes, half("What was asked for.")),
        ("applied", Always, half("What was applied.")),
        ("why", Always, text("Why the rest was not; empty where all was.")),
        ("decayed", Always, half("What decayed since the line before.")),
        ("balance", Always, half("The balance behind it, without decay.")),
        ("decay", Always, half("All that had decayed by then.")),
        ("cap", Always, half("The highest score to be had then.")),
        ("score", Always, half("The effective score then.")),
    ];
    let explanation = [
        ("agent", Always, named("AgentUri", "Whose.")),
        ("lines", Always, list("ExplainLine", "Every row about it, in order.")),
    ];
    vec![
        ("Explanation", object("Why a score is what it is.", explanation)),
        ("ExplainLine", object("One row, in words and numbers.", line)),
    ]
}

fn next() -> Member {
    ("next", Sometimes, named("Count", "`after` for the next page; none where this is the last."))
}

fn deciding() -> Vec<(&'static str, Schema)> {
    let incident = [
        ("id", Always, named("Count", "Its number.")),
        ("agent", Always, named("AgentUri", "Whose.")),
        ("reporter", Always, text("Who reported it.")),
        ("at", Always, named("Moment", "When it was taken in.")),
        ("observed_at", Always, named("Moment", "When it was observed.")),
        ("detail", Sometimes, text("In the reporter's words.")),
    ];
    let review = [
        ("id", Always, named("Count", "Its number.")),
        ("agent", Always, named("AgentUri", "Whose score would change.")),
        ("half_points", Always, half("By how much.")),
        ("why", Always, text("`reporterCap`, `riseLimit` or `reporterFlagged`.")),
        ("source", Always, text("`reporter NAME` or `operator NAME`.")),
        ("at", Always, named("Moment", "When it was held.")),
    ];
    let rebase = [
        ("agent", Always, named("AgentUri", "Whose.")),
        ("base", Always, named("Score", "What its evidence is worth.")),
        ("reason", Always, text("Why, for the ledger.")),
    ];
    vec![
        ("Incidents", object("Incidents.", [("incidents", Always, list("Incident", "The incidents.")), next()])),
        ("Incident", object("A security incident that nobody has decided.", incident)),
        ("Reviews", object("Reviews.", [("reviews", Always, list("Review", "The reviews.")), next()])),
        ("Review", object("Something held until an operator has looked at it.", review)),
        ("RebaseRequest", object("Another attestation result.", rebase)),
    ]
}

fn recording() -> Vec<(&'static str, Schema)> {
    let reporter = [
        ("name", Always, text("Its name.")),
        ("signals", Always, named("Count", "Signals ever.")),
        ("flag", Sometimes, named("Flag", "Why its positive signals wait for an operator.")),
    ];
    let flag = [
        ("row", Always, named("Count", "The row that says so.")),
        ("at", Always, named("Moment", "Since when.")),
        (
            "measure",
            Always,
            text("`positives`, positive ones among a thousand signals, or `mean`, in thousandths of a half-point."),
        ),
        ("found", Always, number("Its own value.").into()),
        ("median", Always, number("The median of the others.").into()),
        ("deviation", Always, number("The median of how far the others are from it.").into()),
        ("others", Always, named("Count", "How many others there are.")),
    ];
    let rows = ArrayBuilder::new()
        .items(text("One line of JSON."))
        .description(Some("The rows, octet for octet, so that their hashes can be checked."));
    let ledger = [
        ("rows_total", Always, named("Count", "How many rows there are.")),
        ("head", Always, named("Hex32", "SHA-256 of the last row.")),
        ("start", Always, named("Count", "The number of the first row here.")),
        ("rows", Always, rows.into()),
    ];
    vec![
        ("Reporters", object("Reporters.", [("reporters", Always, list("Reporter", "The reporters."))])),
        ("Reporter", object("A reporter.", reporter)),
        ("Flag", object("How a reporter is unlike the others.", flag)),
        ("Ledger", object("Rows of the ledger, each with the hash of the one before.", ledger)),
    ]
}
