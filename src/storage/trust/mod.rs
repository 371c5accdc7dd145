//! Where a trust engine keeps itself: RocksDB for real, memory for tests that need faults.

pub mod memory;
pub mod rocks;
pub mod schema;
#[cfg(test)]
mod tests;
