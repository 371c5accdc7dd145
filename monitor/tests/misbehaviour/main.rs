//! What a log does wrong, seen by real processes of the monitor: each case is told, kept and shown as it must be; and
//! neither a crash at any moment nor a long way to catch up changes that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test, which gives up some day"
)]

mod behind;
mod crash;
mod entries;
mod heads;
mod kept;
#[path = "../common/log_server.rs"]
mod log_server;
#[path = "../../src/rules/tests/make.rs"]
#[allow(dead_code, reason = "made for all rules")]
mod make;
#[path = "../common/process.rs"]
mod process;
mod proofs;
mod scene;
mod split;
