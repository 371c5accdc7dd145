//! HTTP: a bounded listener ([`serve`], with [`activity`] and [`timely`]), problem documents
//! ([`problem`]), admission control ([`limits`]), metrics, the log's calls ([`log`]) and their
//! description ([`openapi`]).
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
