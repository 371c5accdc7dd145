//! What travels over HTTP between a log and its readers (protocol section 5), between a CA and its agents
//! and operators ([`ca`]), and between a trust engine and those who report, read and decide ([`trust`]):
//! JSON bodies, query parameters and problem documents, for servers and clients alike.
//!
//! The server reads requests with [`SubmitEntryRequest::from_json`] and its kin, which end in a
//! [`Problem`] that can be sent as it is. Answers are plain serde structs whose members bear the
//! names on the wire.

mod base64;
pub mod ca;
mod json;
mod log;
pub(crate) mod percent;
mod problem;
mod query;
mod submit;
pub mod trust;

pub use self::base64::B64;
pub use self::log::{
    AnchorsResponse, ConsistencyResponse, EntriesResponse, EntryResponse, LogDescriptor, ProofAndHeadResponse,
    ProofResponse, SthResponse,
};
pub use self::problem::{ACME_PREFIX, PROBLEM_MEDIA_TYPE, Problem, ProblemType, Subproblem, Token, URN_PREFIX};
pub use self::query::{
    CertHashQuery, ConsistencyQuery, EntriesQuery, MAX_ENTRIES_PER_ANSWER, ProofQuery, number, parameters,
};
pub use self::submit::{
    MAX_BATCH_ENTRIES, MAX_CHAIN_READ, SubmitEntriesRequest, SubmitEntriesResponse, SubmitEntryRequest,
    SubmitEntryResponse, SubmitResult,
};
