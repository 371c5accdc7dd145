//! Holding a log to its word: what a reader re-derives from what the log serves ([`auditor`]). And holding
//! agents to theirs: may this one do this, now ([`relying`])? And who authorised what was done ([`evidence`])?

pub mod auditor;
pub mod evidence;
pub mod fault;
pub mod relying;
