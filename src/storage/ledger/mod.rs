//! Where a relying party keeps what agents spent and how often they called: RocksDB, with one writer that makes
//! many answers durable at once. The ledger that forgets is [`MemoryLedger`](crate::verify::ledger::MemoryLedger).

pub mod rocks;
pub mod schema;
#[cfg(test)]
mod tests;
mod writer;
