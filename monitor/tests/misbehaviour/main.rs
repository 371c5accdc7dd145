//! A monitor as a process of its own, against logs that misbehave on purpose: each case is told under its code, is
//! proven where it can be, and nothing is told of a log that is honest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test, which gives up some day"
)]

#[path = "../common/log_server.rs"]
mod log_server;
#[path = "../common/process.rs"]
mod process;

mod crash;
mod heads;
mod rig;
mod split;
