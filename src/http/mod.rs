//! HTTP: a bounded listener ([`serve`]), problem documents ([`problem`]), admission control
//! ([`limits`]), metrics, and the log's calls ([`log`]).
//!
//! Handlers see ports and the sequencer, never a database.

pub mod activity;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod serve;
pub mod timely;
