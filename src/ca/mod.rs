//! The certification authority: enrolment, issuance and what is kept of them (draft 3.1, 5, 7 and 8.2).
//!
//! Functional core, thin shell. [`command`]s are what it can be told; [`authority::decide`] says which
//! [`event`]s follow, purely; [`state`] is what events have made. The [`journal`] is those events in a
//! chain of hashes: the CA's memory and its audit trail are one thing. [`ports`] is what it needs of the
//! world. Only `service` has a clock, threads and randomness.
//!
//! - [`csr`], [`application`]: what an agent asks for; [`token`], [`request`], [`record`]: what is kept
//! - [`enrolment`] is the registration authority, with [`policy`], [`registry`] and the initial score in
//!   [`trust`]: it decides who may have what, and never signs
//! - [`delegation`] is the line above an agent, and `revocation` the tree below it
//! - [`root_list`] is what the root says of the CA itself
//! - [`profile`], [`lint`], [`issuance`]: from a grant to a certificate with its proof from the logs

pub mod application;
pub mod authority;
pub mod command;
pub mod csr;
pub mod delegation;
mod encoding;
pub mod enrolment;
pub mod event;
mod ident;
pub mod issuance;
pub mod journal;
pub mod lint;
pub mod policy;
pub mod ports;
pub mod profile;
pub mod record;
pub mod registry;
pub mod request;
mod revocation;
pub mod root_list;
pub mod serial;
pub mod service;
pub mod state;
#[cfg(test)]
pub(crate) mod testing;
pub mod token;
pub mod trust;

#[cfg(test)]
mod tests;
