//! The trust engine's calls (draft 6.3, protocol section 6): what reporters send, what readers and
//! operators ask, and what they get.
//!
//! Times are milliseconds since 1970. Changes of scores are in half-points, a whole number twice the
//! points; `score` is in whole points, rounded down, as a certificate has it.

mod query;

use serde::{Deserialize, Serialize};

pub use self::query::{AccountsQuery, AgentQuery, ChangesQuery, MAX_LISTED, MAX_WAIT_SECONDS, PageQuery};
/// `GET /trust/v1/ledger`: the shape of a journal is the same whoever keeps it.
pub use super::ca::{AuditAnswer as LedgerAnswer, AuditQuery as LedgerQuery, Hex32};
use super::json::object;
use super::problem::{Problem, Subproblem};
use crate::apki::AgentUri;
use crate::apki::trust_score::{DecayRate, Score};
use crate::time::UnixMillis;

/// Most signals in one call.
pub const MAX_SIGNALS: usize = 100;
/// Longest reason for a change of a base, in octets.
pub const MAX_REASON: usize = 1024;

/// `POST /trust/v1/signals`, over mutual TLS with a certificate for the reporter's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalsRequest {
    /// Signals, each a compact JWS under the reporter's key.
    pub signals: Vec<String>,
}

impl SignalsRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`Token::Malformed`](super::Token::Malformed), also where there is no signal or there are more than
    /// [`MAX_SIGNALS`].
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let request: Self = object("a report", body)?;
        match request.signals.len() {
            1..=MAX_SIGNALS => Ok(request),
            count => {
                Err(Problem::malformed(format!("`signals` has {count} signals; 1 to {MAX_SIGNALS} are read at a time")))
            }
        }
    }
}

/// What came of signals, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalsAnswer {
    /// One for each signal.
    pub outcomes: Vec<SignalOutcome>,
}

/// What came of a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalOutcome {
    /// In a word.
    pub outcome: OutcomeKind,
    /// The signal's name; none where it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The row of the ledger that it is in; a security incident has the same number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// Half-points that it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<i32>,
    /// Half-points that were applied at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<i32>,
    /// Half-points that wait until another reporter agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<i32>,
    /// Half-points that wait for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<i32>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Subproblem>,
}

/// What came of a signal, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutcomeKind {
    /// All of it counts.
    Applied,
    /// Some of it waits until another reporter agrees.
    Capped,
    /// Some of it waits for an operator.
    Held,
    /// It was taken in before; the numbers are those of then, and nothing was done again.
    Repeated,
    /// It is not in the ledger.
    Refused,
}

impl OutcomeKind {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Capped => "capped",
            Self::Held => "held",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
        }
    }
}

/// `POST /trust/v1/assess`, for readers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssessRequest {
    /// Whose score is asked for.
    pub agent: AgentUri,
    /// What the agent's evidence is worth by itself (draft 7.1 step 5). It opens an account, and lowers one
    /// where evidence was lost; it never raises one.
    pub base: Score,
}

impl AssessRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`Token::Malformed`](super::Token::Malformed).
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        object("a question for a score", body)
    }
}

/// An agent's score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessAnswer {
    /// Whose.
    pub agent: AgentUri,
    /// The effective score: what a certificate may say.
    pub score: Score,
    /// The same, exactly.
    pub half_points: i32,
    /// The highest score to be had: peak less penalties, in half-points.
    pub cap: i32,
    /// The attestation result that is in it, in half-points.
    pub base: i32,
    /// Points that it loses in an hour.
    pub decay_rate: DecayRate,
    /// The moment that all this is as of.
    pub as_of: UnixMillis,
    /// Half-points upwards that wait until another reporter agrees.
    pub withheld_up: i32,
    /// Half-points downwards that wait until another reporter agrees.
    pub withheld_down: i32,
    /// Half-points that wait for an operator.
    pub held: i32,
    /// Incidents that nobody has decided, by number.
    pub incidents: Vec<u64>,
    /// The last row about the agent.
    pub row: u64,
}

/// `GET /trust/v1/agents?agent=`, for readers and operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountAnswer {
    /// Its score.
    #[serde(flatten)]
    pub score: AssessAnswer,
    /// Since when there is an account.
    pub opened_at: UnixMillis,
    /// The balance without decay, in half-points.
    pub balance: i32,
    /// What decayed, in half-points rounded up.
    pub decayed: i32,
    /// The highest balance since the account was opened or last reset, in half-points.
    pub peak: i32,
    /// Penalties that lower the cap, in half-points.
    pub penalties: i32,
    /// Nothing decays before this moment.
    pub active_until: UnixMillis,
    /// Before this moment it decays twice as fast.
    pub fast_until: UnixMillis,
    /// Reviews that nobody has decided.
    pub reviews: Vec<HeldReview>,
    /// Rows about it.
    pub rows: u64,
}

/// `GET /trust/v1/accounts`, for readers and operators: in the order of their agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsAnswer {
    /// The accounts.
    pub accounts: Vec<AccountAnswer>,
    /// `after` for the next page; none where this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<AgentUri>,
}

/// A review of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldReview {
    /// Its number.
    pub id: u64,
    /// What it holds, in half-points.
    pub half_points: i32,
}

/// `GET /trust/v1/explain?agent=`, for readers and operators: why a score is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainAnswer {
    /// Whose.
    pub agent: AgentUri,
    /// Every row about it, in order; the last line is the present.
    pub lines: Vec<ExplainLine>,
}

/// One row about an agent, in words and half-points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainLine {
    /// The row; none in the last line, which is the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub who: String,
    /// What happened.
    pub what: String,
    /// What was asked for, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<i32>,
    /// What was applied.
    pub applied: i32,
    /// Why the rest was not; empty where all was.
    pub why: String,
    /// What decayed since the line before.
    pub decayed: i32,
    /// The balance behind it, without decay.
    pub balance: i32,
    /// All that had decayed by then.
    pub decay: i32,
    /// The highest score to be had then.
    pub cap: i32,
    /// The effective score then.
    pub score: i32,
}

/// `GET /trust/v1/changes`, for readers and operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesAnswer {
    /// Scores that changed, in the order of their rows.
    pub changes: Vec<ChangeEntry>,
    /// `start` of the next call.
    pub next: u64,
}

/// A score that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeEntry {
    /// The row that changed it.
    pub row: u64,
    /// Whose.
    pub agent: AgentUri,
    /// The effective score behind that row.
    pub score: Score,
    /// The same, exactly.
    pub half_points: i32,
    /// When.
    pub at: UnixMillis,
    /// The incident that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentChange>,
}

/// An incident that moved a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentChange {
    /// Its number.
    pub id: u64,
    /// `opened`, `confirmed` or `dismissed`.
    pub stage: String,
}

/// `GET /trust/v1/incidents`, for operators: those that nobody has decided, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentsAnswer {
    /// The incidents.
    pub incidents: Vec<IncidentEntry>,
    /// `after` for the next page; none where this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A security incident that waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentEntry {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub agent: AgentUri,
    /// Who reported it.
    pub reporter: String,
    /// When it was taken in.
    pub at: UnixMillis,
    /// When it was observed.
    pub observed_at: UnixMillis,
    /// In the reporter's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// `GET /trust/v1/reviews`, for operators: what is held and not decided, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewsAnswer {
    /// The reviews.
    pub reviews: Vec<ReviewEntry>,
    /// `after` for the next page; none where this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Something held until an operator has looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewEntry {
    /// Its number.
    pub id: u64,
    /// Whose score would change.
    pub agent: AgentUri,
    /// By how much.
    pub half_points: i32,
    /// Why it is held: `reporterCap`, `riseLimit` or `reporterFlagged`.
    pub why: String,
    /// What it goes back to: `reporter NAME` or `operator NAME`.
    pub source: String,
    /// When it was held.
    pub at: UnixMillis,
}

/// `GET /trust/v1/reporters`, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportersAnswer {
    /// Every reporter that was ever heard of or is registered.
    pub reporters: Vec<ReporterEntry>,
}

/// A reporter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReporterEntry {
    /// Its name.
    pub name: String,
    /// Signals ever.
    pub signals: u64,
    /// Why its positive signals wait for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagEntry>,
}

/// How a reporter is unlike the others (T1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagEntry {
    /// The row that says so.
    pub row: u64,
    /// Since when.
    pub at: UnixMillis,
    /// In what: `positives`, among a thousand signals, or `mean`, in thousandths of a half-point.
    pub measure: String,
    /// Its own value.
    pub found: i64,
    /// The median of the others.
    pub median: i64,
    /// The median of how far the others are from it.
    pub deviation: i64,
    /// How many others there are.
    pub others: u32,
}

/// `POST /trust/v1/rebase`, for operators of the engine: another attestation result for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebaseRequest {
    /// Whose.
    pub agent: AgentUri,
    /// What its evidence is worth.
    pub base: Score,
    /// Why, for the ledger.
    pub reason: String,
}

impl RebaseRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`Token::Malformed`](super::Token::Malformed), also where there is no reason or it has more than
    /// [`MAX_REASON`] octets.
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let request: Self = object("a change of a base", body)?;
        match request.reason.trim().len() {
            1..=MAX_REASON => Ok(request),
            0 => Err(Problem::malformed("`reason` is empty: the ledger is to say why")),
            length => Err(Problem::malformed(format!("`reason` has {length} octets; {MAX_REASON} have to do"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Token;

    #[test]
    fn bodies_that_are_no_form_are_malformed() {
        let many = format!(r#"{{"signals":[{}"x"]}}"#, r#""x","#.repeat(MAX_SIGNALS));
        for body in ["", "[]", "{}", r#"{"signals":[]}"#, r#"{"signals":[1]}"#, r#"{"signals":["x"],"y":1}"#, &many] {
            let problem = SignalsRequest::from_json(body.as_bytes()).unwrap_err();
            assert_eq!(problem.token(), Some(Token::Malformed), "{body}");
        }
        assert_eq!(SignalsRequest::from_json(br#"{"signals":["a.b.c"]}"#).unwrap().signals, ["a.b.c"]);
        let agent = "agent://bank.example.com/a/b/c";
        for base in ["-1", "101", "1.5", "\"7\""] {
            assert!(AssessRequest::from_json(format!(r#"{{"agent":"{agent}","base":{base}}}"#).as_bytes()).is_err());
        }
        assert!(AssessRequest::from_json(br#"{"agent":"x","base":1}"#).is_err());
        let rebase = |reason: &str| {
            let body = format!(r#"{{"agent":"{agent}","base":70,"reason":"{reason}"}}"#);
            RebaseRequest::from_json(body.as_bytes())
        };
        assert!(rebase("").is_err() && rebase("  ").is_err() && rebase(&"x".repeat(MAX_REASON + 1)).is_err());
        assert_eq!(rebase("new evidence").unwrap().base.get(), 70);
    }
}
