//! Where a trust engine keeps itself: RocksDB for real, memory for tests that need faults.

pub mod rocks;
