//! What the service answers with.

use crate::apki::AgentUri;
use crate::apki::trust_score::{DecayRate, Score};
use crate::time::UnixMillis;
use crate::trust::half_points::HalfPoints;
use crate::trust::record::Receipt;
use crate::trust::refusal::Refusal;

/// An agent's score, as a CA needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessed {
    /// Whose.
    pub agent: AgentUri,
    /// The effective score in whole points: what a certificate may say.
    pub score: Score,
    /// The same, exactly.
    pub half_points: HalfPoints,
    /// The highest score to be had: peak less penalties.
    pub cap: HalfPoints,
    /// The attestation result that is in it.
    pub base: HalfPoints,
    /// Points that it loses in an hour.
    pub decay_rate: DecayRate,
    /// The moment that all this is as of.
    pub as_of: UnixMillis,
    /// What waits for a second reporter: up and down.
    pub withheld: (HalfPoints, HalfPoints),
    /// What waits for an operator.
    pub held: HalfPoints,
    /// Incidents that nobody has decided.
    pub incidents: Vec<u64>,
    /// The last row about it.
    pub row: u64,
}

/// An agent's account, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// What the CA sees.
    pub assessed: Assessed,
    /// Since when there is an account.
    pub opened_at: UnixMillis,
    /// The balance, without decay.
    pub balance: HalfPoints,
    /// What decayed, rounded up.
    pub decayed: HalfPoints,
    /// The highest balance since the account was opened or last reset.
    pub peak: HalfPoints,
    /// Penalties that lower the cap.
    pub penalties: HalfPoints,
    /// Nothing decays before this moment.
    pub active_until: UnixMillis,
    /// Before this moment it decays twice as fast.
    pub fast_until: UnixMillis,
    /// Reviews that nobody has decided, with what each holds.
    pub reviews: Vec<(u64, HalfPoints)>,
    /// Rows about it.
    pub rows: u64,
}

/// What came of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the ledger.
    Taken(Receipt),
    /// It is not, and has a token ([`Refusal::token`]) that says why.
    Refused(Refusal),
    /// The engine could not take it in; it may be sent again as it is.
    NotNow(String),
}

/// A score that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The row that changed it.
    pub row: u64,
    /// Whose.
    pub agent: AgentUri,
    /// The effective score behind that row.
    pub half_points: HalfPoints,
    /// When.
    pub at: UnixMillis,
    /// The incident that it was about, and how it stands behind the row.
    pub incident: Option<(u64, IncidentStage)>,
}

/// How an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentStage {
    /// It was reported.
    Opened,
    /// It was confirmed: the score is 0.
    Confirmed,
    /// It was dismissed.
    Dismissed,
}

impl IncidentStage {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Confirmed => "confirmed",
            Self::Dismissed => "dismissed",
        }
    }
}

/// Scores that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesPage {
    /// In the order of their rows.
    pub changes: Vec<Change>,
    /// Where to go on: the number of the first row that was not looked at.
    pub next: u64,
}

/// A piece of the ledger, octet for octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerPage {
    /// How many rows there are.
    pub total: u64,
    /// SHA-256 of the last.
    pub head: [u8; 32],
    /// The number of the first row here.
    pub start: u64,
    /// The rows.
    pub rows: Vec<Vec<u8>>,
}
