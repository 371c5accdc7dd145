//! HTTP: a bounded listener ([`serve`], with [`activity`], [`timely`] and [`tls`]), problem documents
//! ([`problem`]), admission control ([`limits`], [`body`]), metrics, the calls of the log ([`log`]) and
//! of the CA ([`ca`]), and their description ([`openapi`]).
//!
//! Handlers see ports, the sequencer and the CA's service, never a database.

pub mod activity;
pub mod body;
pub mod ca;
pub mod cache;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod serve;
pub mod timely;
pub mod tls;
