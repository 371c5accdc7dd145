//! What the engine needs of the world: a store that keeps it.

// What passes through the port: whoever fills it needs to know no more of the engine than this module.
pub use super::account::Account;
pub use super::baseline::ReporterRecord;
pub use super::record::{Incident, IncidentState, Receipt, Review, ReviewState};
pub use super::reporter::ReporterId;
pub use super::signal::SignalId;
pub use crate::apki::AgentUri;
pub use crate::journal::{CommitError, JournalHead};
pub use crate::log::store::StoreError;

/// What an entity is kept under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An account.
    Account(AgentUri),
    /// What is known of a reporter.
    Reporter(ReporterId),
    /// An incident.
    Incident(u64),
    /// A review.
    Review(u64),
    /// What came of a signal.
    Receipt(ReporterId, SignalId),
}

/// One thing that the engine keeps, as the last event left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// An account.
    Account(Box<Account>),
    /// What is known of a reporter.
    Reporter(ReporterRecord),
    /// An incident.
    Incident(Incident),
    /// A review.
    Review(Review),
    /// What came of a signal.
    Receipt(Receipt),
}

impl Entity {
    /// What it is kept under.
    pub fn key(&self) -> Key {
        match self {
            Self::Account(account) => Key::Account(account.agent.clone()),
            Self::Reporter(reporter) => Key::Reporter(reporter.id.clone()),
            Self::Incident(incident) => Key::Incident(incident.id),
            Self::Review(review) => Key::Review(review.id),
            Self::Receipt(receipt) => Key::Receipt(receipt.reporter.clone(), receipt.id),
        }
    }
}

/// A row on its way to the store, and the agent that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The head that the rows follow; another one in the store refuses the commit.
    pub base: JournalHead,
    /// The new rows, in their order.
    pub rows: Vec<Vec<u8>>,
    /// Beside each row, the agent that it is about.
    pub agents: Vec<Option<AgentUri>>,
    /// The head behind them.
    pub head: JournalHead,
    /// Everything that the rows' events changed, as it is now.
    pub entities: Vec<Entity>,
}

/// Most entities or rows in one answer of a store, whatever limit is asked for.
pub const MAX_LISTED: usize = 1000;

/// Where an engine keeps itself. Every call may block on the disk.
pub trait TrustStore: Send + Sync {
    /// How far the ledger has come.
    fn head(&self) -> Result<JournalHead, StoreError>;

    /// What is kept under these keys, in the order asked.
    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError>;

    /// Makes the change and syncs it to the disk before returning.
    fn commit(&self, commit: Commit) -> Result<(), CommitError>;

    /// At most `limit` rows of the ledger, from this number on. Fewer than `limit` are the end of it.
    fn rows(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError>;

    /// At most `limit` rows about this agent, from this number on, each with its number. Fewer than
    /// `limit` are the end of them.
    fn rows_of(&self, agent: &AgentUri, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// At most `limit` accounts, in the order of their URIs, behind this one.
    fn accounts(&self, after: Option<&AgentUri>, limit: usize) -> Result<Vec<Account>, StoreError>;

    /// What is known of each reporter.
    fn reporters(&self) -> Result<Vec<ReporterRecord>, StoreError>;

    /// At most `limit` open incidents, oldest first, behind this one.
    fn open_incidents(&self, after: Option<u64>, limit: usize) -> Result<Vec<Incident>, StoreError>;

    /// At most `limit` open reviews, oldest first, behind this one.
    fn open_reviews(&self, after: Option<u64>, limit: usize) -> Result<Vec<Review>, StoreError>;
}
