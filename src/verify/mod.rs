//! Holding a log to its word: what a reader re-derives from what the log serves ([`auditor`]). And holding
//! agents to theirs: may this one do this, now ([`relying`])? And to the limits in their certificates: what they
//! spent and how often they called, as the relying party counts it ([`ledger`]). And afterwards: who authorised
//! what was done ([`evidence`])?

pub mod auditor;
pub mod evidence;
pub mod fault;
pub mod ledger;
pub mod relying;
