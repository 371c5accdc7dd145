//! A world of agents, CAs and logs, made for real and broken in one place at a time.

mod attacks;
mod codes;
mod facts;
mod logged;
pub(crate) mod rig;
mod servers;
mod spending;
mod verdicts;
