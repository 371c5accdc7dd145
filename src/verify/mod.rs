//! Holding a log to its word: what a reader re-derives from what the log serves ([`auditor`]). And holding
//! other trust domains to theirs: whose agents they may speak for ([`federation`]).

pub mod auditor;
pub mod evidence;
pub mod fault;
pub mod federation;
pub mod relying;
