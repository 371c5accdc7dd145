//! Every rule about entries, broken in a log that a monitor follows as a process of its own, and told by webhook.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../../../tests/common/agents.rs"]
mod agents;
mod bulk;
mod entries;
mod feed;
#[path = "../common/log_server.rs"]
mod log_server;
mod logs;
#[allow(dead_code, reason = "made for the tests of single rules, too")]
#[path = "../../src/rules/tests/make.rs"]
mod make;
#[path = "../common/process.rs"]
mod process;
mod scene;
#[path = "../common/webhook.rs"]
mod webhook;
