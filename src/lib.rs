//! ATL, the Agent Transparency Log.
//!
//! AI agents identify themselves with short-lived certificates. This crate keeps the public,
//! append-only record of those certificates, and the proofs by which anybody can hold the
//! record's keeper to account.
//!
//! # The floor plan
//!
//! Each floor imports only the floors above it in this list (a test holds us to it):
//!
//! - [`wire`], [`time`]: octets on the wire; moments, and the one clock
//! - [`merkle`]: the tree of RFC 9162 and its tiles, as pure functions
//! - [`keys`]: signing and verifying keys, log identifiers
//! - [`apki`]: agent URIs, the certificate extensions, certificates and chains
//! - [`log`]: what a log promises and signs: entries, SATs, tree heads, admission, the storage port
//! - [`verify`]: what a reader re-derives from what a log serves
//! - [`api`]: JSON bodies, query parameters and problem documents of the HTTP API
//! - [`sequencer`] (feature `server`): from submissions to durable entries and signed heads
//! - [`storage`] (feature `server`): RocksDB, memory with faults, the head file
//! - `client` (feature `client`): the same API, called over the network
//! - `config` (feature `server`): what an operator may set, checked
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod api;
pub mod apki;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod http;
pub mod keys;
pub mod log;
pub mod merkle;
#[cfg(feature = "server")]
pub mod sequencer;
#[cfg(feature = "server")]
pub mod storage;
pub mod time;
pub mod verify;
pub mod wire;
