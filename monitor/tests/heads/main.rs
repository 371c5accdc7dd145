//! Heads held against heads, and gossip, against a log that was written to be caught.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cases;
#[path = "../common/dishonest.rs"]
mod dishonest;
mod gossip;
#[path = "../common/serve.rs"]
mod serve;
#[path = "../common/watcher.rs"]
mod watcher;
