//! HTTP: a bounded listener ([`serve`], with [`activity`], [`timely`] and [`tls`]), problem documents
//! ([`problem`]), admission control ([`limits`], `body`), metrics, the calls of the log ([`log`]) and
//! of the CA ([`ca`]), a domain's trust bundle ([`wellknown`]), what both say to operators (`ops`), and their description ([`openapi`]).
//!
//! Handlers see ports, the sequencer and the CA's service, never a database.

pub mod activity;
mod body;
pub mod ca;
mod cache;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod openapi;
mod ops;
pub mod problem;
pub mod serve;
pub mod timely;
pub mod tls;
pub mod wellknown;
