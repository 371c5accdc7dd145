//! Holding a log to its word: what a reader re-derives from what the log serves.

pub mod auditor;
pub mod fault;
