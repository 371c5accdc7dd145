//! What the service answers with.

use crate::apki::AgentUri;
use crate::apki::trust_score::{DecayRate, Score};
use crate::time::UnixMillis;
use crate::trust::account::Account;
use crate::trust::half_points::{Direction, HalfPoints};
use crate::trust::policy::Policy;
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
    /// It was in the ledger before, octet for octet; nothing was done again.
    Repeated(Receipt),
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

impl Outcome {
    /// What measurements call it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Taken(_) => "taken",
            Self::Repeated(_) => "repeated",
            Self::Refused(refusal) => refusal.token(),
            Self::NotNow(_) => "notNow",
        }
    }
}

/// An account as a CA sees it.
pub(super) fn assessed(account: &Account, policy: &Policy, now: UnixMillis) -> Assessed {
    let half_points = account.effective(now, policy.penalty_lapse_days);
    Assessed {
        agent: account.agent.clone(),
        score: half_points.score(),
        half_points,
        cap: account.cap(now, policy.penalty_lapse_days),
        base: account.base,
        decay_rate: account.pace.rate,
        as_of: now,
        withheld: (account.withheld(Direction::Up, now), account.withheld(Direction::Down, now)),
        held: account.held(),
        incidents: account.incidents.keys().copied().collect(),
        row: account.latest,
    }
}

/// An account as operators see it.
pub(super) fn account_view(account: &Account, policy: &Policy, now: UnixMillis) -> AccountView {
    AccountView {
        assessed: assessed(account, policy, now),
        opened_at: account.opened_at,
        balance: account.balance,
        decayed: account.decay_at(now).half_points(),
        peak: account.peak,
        penalties: account.penalties_at(now, policy.penalty_lapse_days),
        active_until: account.pace.active_until,
        fast_until: account.pace.fast_until,
        reviews: account.reviews.iter().map(|(id, held)| (*id, held.half_points)).collect(),
        rows: account.rows,
    }
}
