//! The monitor of agent transparency logs.
//!
//! A log records and does not judge; whoever has something to lose reads it, or has it read. The monitor trusts
//! nobody: it derives every root again from the entries, holds heads against heads (its own and those of other
//! monitors), keeps what proves misbehaviour in a form that a third party can check offline, and tells its owner
//! about the few things that matter.
//!
//! # The floor plan
//!
//! Pure, where `now` is an argument:
//!
//! **[`watched`]** is a log that is followed: its name, key and place. **[`head`]** is what such a log has signed
//! of its tree, as tree head or checkpoint, and is made only by verifying. **[`finding`]** is what is worth telling
//! somebody: its class, how much it proves, and what to do. **[`text`]** is how what others wrote is shown.
//! **[`clock`]** is whether ours can be right, **[`quota`]** how much of one kind is told, and **[`pause`]** how long whoever asks again and again waits.
//!
//! **[`rules`]** judges entries: who may have certificates in watched trust domains, what certificates must look
//! like, delegations, bulk registrations, and [`rules::lookalike`]: names made to be taken for a watched one
//! (draft 11.2.7, T7). What a rule cannot know from the entry alone goes out as an [`errand`].
//!
//! With I/O:
//!
//! **[`state`]** is the database: one file, one atomic and synced write per step, so that no crash loses an alert
//! or tells it twice under another name.
//!
//! **[`heads`]** holds every head that anybody shows against those known, asks the log for the proofs between them,
//! and freezes a log that is proven to have misbehaved. **[`follow`]** reads the logs: downloads, verifies, and keeps
//! apart what is downloaded and what is verified.
//! **[`errand`]** asks what rules could not know. **[`feed`]** reads what the owner has ordered. **[`gossip`]** exchanges heads with other monitors.
//! **[`witness`]** cosigns checkpoints (C2SP tlog-witness) and signs audit statements. **[`evidence`]** keeps what
//! proves misbehaviour, and checks it again offline. **[`alert`]** brings findings to people, at least once.
//!
//! **[`board`]** is how things stand right now; **[`page`]** shows it to people, **[`http`]** serves it, and
//! metrics, health, gossip and witness beside it.
//!
//! **[`config`]** is what an operator may set. **[`cli`]** is the program, and puts the parts together.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

// What tests of this crate and of its program share knows it by this name.
#[cfg(test)]
extern crate self as atl_monitor;

pub mod alert;
pub mod board;
pub mod cli;
pub mod clock;
pub mod config;
pub mod errand;
pub mod evidence;
pub mod feed;
pub mod finding;
pub mod follow;
pub mod gossip;
pub mod head;
pub mod heads;
pub mod http;
pub mod page;
pub mod pause;
pub mod quota;
pub mod rules;
mod signed;
pub mod state;
pub mod text;
pub mod watched;
pub mod witness;
