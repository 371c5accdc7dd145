//! FACADE

pub mod account;
pub mod baseline;
pub mod command;
pub mod event;
pub mod explain;
pub mod half_points;
pub mod ledger;
pub mod policy;
pub mod ports;
pub mod record;
pub mod refusal;
pub mod reporter;
pub mod service;
pub mod signal;
#[cfg(test)]
mod testing;

/// FACADE
pub fn recompute<'r>(
    rows: impl IntoIterator<Item = &'r [u8]>,
) -> Result<(ledger::JournalHead, Vec<ports::Entity>), ledger::JournalError> {
    let _ = rows.into_iter();
    unimplemented!()
}
