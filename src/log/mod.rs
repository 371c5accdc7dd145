//! What a log promises and signs: entries, signed agent timestamps, tree heads, admission, and
//! the storage port behind which all of it is kept. And what others sign of a log, so that a relying
//! party can judge it offline: [`cosignature`]s of witnesses, which a log
//! collects ([`witnessing`]), [`audit`] statements of monitors, and the
//! [`proof`] file that has an inclusion proof and a witnessed checkpoint in one.

pub mod admission;
pub mod audit;
pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod entry;
mod line;
pub mod note;
pub mod proof;
pub mod sat;
pub mod sth;
pub mod store;
#[cfg(test)]
mod testing;
pub mod view;
pub mod witnessing;

/// Milliseconds by which a time that somebody signed may be ahead of a reader's clock and still count: that
/// of a SAT (ruling R30), and after its model that of a cosignature or an audit statement.
pub const MAX_AHEAD_MS: u64 = 60_000;
