//! Errands against logs that answer over HTTP, honest and lying.

mod included;
mod parent;
mod rig;
mod sats;

#[path = "../../../../tests/common/agents.rs"]
mod agents;
#[path = "../../../tests/common/test_log.rs"]
mod test_log;
