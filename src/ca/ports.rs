//! What the CA needs of the world: a store that keeps it, and logs that vouch for it.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use thiserror::Error;

// What passes through the ports: whoever fills one needs to know no more of the CA than this module.
pub use super::journal::JournalHead;
pub use super::record::{Agent, CertificateRecord, RevocationRecord};
pub use super::request::{EngineScore, Request, RequestId};
pub use super::serial::Serial;
pub use super::token::{Token, TokenId};
pub use crate::apki::AgentUri;
use crate::apki::trust_score::Score;
pub use crate::journal::CommitError;
pub use crate::log::entry::EntryType;
pub use crate::log::store::StoreError;
use crate::time::UnixMillis;

/// What an entity is kept under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A token.
    Token(TokenId),
    /// A request.
    Request(RequestId),
    /// An agent.
    Agent(AgentUri),
    /// A certificate.
    Certificate(Serial),
    /// The agents below one.
    Children(AgentUri),
    /// That a certificate was revoked.
    Revocation(Serial),
}

/// The agents that have this one as their parent. It follows from theirs: a store finds it, and is never
/// told to keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Children {
    /// Whose.
    pub parent: AgentUri,
    /// Which.
    pub agents: BTreeSet<AgentUri>,
}

/// One thing that the CA keeps, as the last event left it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // a few at a time, and most are requests
pub enum Entity {
    /// A token.
    Token(Token),
    /// A request.
    Request(Request),
    /// An agent.
    Agent(Agent),
    /// A certificate.
    Certificate(CertificateRecord),
    /// The agents below one.
    Children(Children),
    /// That a certificate was revoked.
    Revocation(RevocationRecord),
}

impl Entity {
    /// What it is kept under.
    pub fn key(&self) -> Key {
        match self {
            Self::Token(token) => Key::Token(token.id),
            Self::Request(request) => Key::Request(request.id),
            Self::Agent(agent) => Key::Agent(agent.uri.clone()),
            Self::Certificate(certificate) => Key::Certificate(certificate.serial),
            Self::Children(children) => Key::Children(children.parent.clone()),
            Self::Revocation(revocation) => Key::Revocation(revocation.serial),
        }
    }
}

/// One change, made as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The head that the rows follow; another one in the store refuses the commit.
    pub base: JournalHead,
    /// The new rows, in their order.
    pub rows: Vec<Vec<u8>>,
    /// The head behind them.
    pub head: JournalHead,
    /// Everything that the rows' events changed, as it is now.
    pub entities: Vec<Entity>,
}

/// Most certificates in one answer of [`CaStore::certificates`], whatever limit is asked for.
pub const MAX_LISTED: usize = 1000;

/// Which certificates to list, newest first. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateSearch {
    /// Of this agent only.
    pub agent: Option<AgentUri>,
    /// Signed at this moment or later.
    pub since: Option<UnixMillis>,
    /// Signed before this moment.
    pub until: Option<UnixMillis>,
    /// Go on behind this place, which an earlier page ended with.
    pub after: Option<Place>,
    /// Most that are returned, up to [`MAX_LISTED`].
    pub limit: usize,
}

/// A place in a list of certificates: newest first, and the greater number first where the moment is
/// the same. Greater places come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was signed.
    pub signed_at: UnixMillis,
    /// Its number.
    pub serial: Serial,
}

/// Where a CA keeps itself. Every call may block on the disk.
pub trait CaStore: Send + Sync {
    /// How far the journal has come.
    fn head(&self) -> Result<JournalHead, StoreError>;

    /// What is kept under these keys, in the order asked.
    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError>;

    /// Makes the change and syncs it to the disk before returning.
    fn commit(&self, commit: Commit) -> Result<(), CommitError>;

    /// At most `limit` rows of the journal, from this number on. Fewer than `limit` are the end of it.
    fn journal(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Requests that are open (pending, ready or processing), oldest first: at most `limit`, behind the
    /// one that was received then and has this name.
    fn open_requests(&self, after: Option<(UnixMillis, RequestId)>, limit: usize) -> Result<Vec<Request>, StoreError>;

    /// Certificates, newest first.
    fn certificates(&self, search: &CertificateSearch) -> Result<Vec<CertificateRecord>, StoreError>;

    /// Revocations of certificates that end at `ends` or later, those that end first before the others: at
    /// most `limit`, behind the one with this end and number.
    fn revocations(
        &self,
        ends: UnixMillis,
        after: Option<(UnixMillis, Serial)>,
        limit: usize,
    ) -> Result<Vec<RevocationRecord>, StoreError>;

    /// The number of the certificate with this SHA-256.
    fn serial_of(&self, fingerprint: &[u8; 32]) -> Result<Option<Serial>, StoreError>;
}

/// Where the newest complete revocation list is kept, apart from the store: where that is put back from an
/// older copy, what was revoked since stays revoked. Every call may block on the disk.
pub trait KeptList: Send + Sync {
    /// The list that was kept last, in DER; `None` where none ever was.
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps this list, and returns once that is durable.
    fn keep(&self, der: &[u8]) -> Result<(), StoreError>;
}

/// Where it is kept how far the journal has come, apart from the store.
pub trait KeptHead: Send + Sync {
    /// Keeps this head, and returns once that is durable. One that was kept later stays.
    fn keep(&self, head: &JournalHead) -> Result<(), StoreError>;
}

/// Why a log gave no SAT.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// It could not be reached, is overloaded or limits us: another try may help.
    #[error("{reason}")]
    Retry {
        /// What happened.
        reason: String,
        /// How long the log asks to wait.
        after: Option<Duration>,
    },
    /// It refuses this certificate, and will again.
    #[error("{0}")]
    Refused(String),
}

/// An answer that takes its time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One transparency log, as a CA reaches it (draft 8.2). It believes nothing: whoever calls it
/// verifies the SAT.
pub trait LogSubmitter: Send + Sync {
    /// Submits a precertificate, or a final certificate, with its chain, issuer first; the SAT is in DER, not
    /// looked at.
    fn submit<'a>(
        &'a self,
        kind: EntryType,
        certificate: &'a [u8],
        chain: &'a [Vec<u8>],
    ) -> Answer<'a, Result<Vec<u8>, SubmitError>>;

    /// Asks something that costs the log next to nothing: does it answer? In words, why not.
    fn probe(&self) -> Answer<'_, Result<(), String>>;
}

/// Why the trust engine gave no score: nothing is issued then, and another try may help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct EngineError(pub String);

/// A change of an agent's score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreChange {
    /// Its row in the engine's ledger.
    pub row: u64,
    /// Whose.
    pub agent: AgentUri,
    /// What the score is behind it.
    pub score: Score,
    /// In words, for the journal.
    pub why: String,
}

/// A stretch of the trust engine's ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScoreChanges {
    /// The changes in it, oldest first; there may be none.
    pub changes: Vec<ScoreChange>,
    /// The row behind it: where to go on.
    pub next: u64,
}

/// The trust engine, as a CA reaches it: to be read, never to be written to (draft 7.1 step 5, 11.2.1).
pub trait TrustScores: Send + Sync {
    /// The agent's score, given what its evidence is worth by itself. An engine that does not know the agent
    /// opens an account with that.
    fn assess<'a>(&'a self, agent: &'a AgentUri, base: Score) -> Answer<'a, Result<EngineScore, EngineError>>;

    /// Changes from this row on, oldest first; waits up to so long for the first.
    fn changes(&self, from: u64, wait: Duration) -> Answer<'_, Result<ScoreChanges, EngineError>>;

    /// Asks something that costs next to nothing: does it answer? In words, why not.
    fn probe(&self) -> Answer<'_, Result<(), String>>;
}
