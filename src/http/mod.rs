//! HTTP: a bounded listener ([`serve`], with [`activity`], [`timely`] and [`tls`]), problem documents
//! ([`problem`]), admission control ([`limits`], `credentials`, `body`), metrics, the calls of the log
//! ([`log`]), of the CA ([`ca`]) and of the trust engine ([`trust`]), what a gateway answers a reverse proxy
//! ([`gateway`]), a domain's trust bundle ([`wellknown`]), what all say to operators (`ops`), and their description
//! ([`openapi`]).
//!
//! Handlers see ports, the sequencer and the services of CA and trust engine, never a database.

pub mod activity;
mod body;
pub mod ca;
mod cache;
mod credentials;
pub mod gateway;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod openapi;
mod ops;
pub mod problem;
pub mod serve;
pub mod timely;
pub mod tls;
pub mod trust;
pub mod wellknown;
