//! Holding a log to its word: what a reader re-derives from what the log serves ([`auditor`]). And holding
//! other trust domains to theirs: whose agents they may speak for ([`federation`]). And agents to the limits in
//! their certificates: what they spent and how often they called, as the relying party counts it ([`ledger`]).

pub mod auditor;
pub mod fault;
pub mod federation;
pub mod ledger;
pub mod relying;
