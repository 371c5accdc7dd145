//! Errands against logs that answer over HTTP, honest and lying.

mod dated;
mod included;
mod parent;
mod rig;
mod sats;

use crate::evidence::testing::agents;
#[path = "../../../tests/common/test_log.rs"]
mod test_log;
