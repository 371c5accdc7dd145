//! Holding a log to its word: what a reader re-derives from what the log serves ([`auditor`]). And holding
//! agents to theirs: may this one do this, now ([`relying`])? And to the limits in their certificates: what they spent
//! and how often they called, as the relying party counts it ([`ledger`]).

pub mod auditor;
pub mod fault;
pub mod ledger;
pub mod relying;
