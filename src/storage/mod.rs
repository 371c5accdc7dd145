//! Where things are kept: RocksDB for real, memory for tests that need faults, and the file
//! that keeps the last signed head apart from the database. What a CA keeps is in [`ca`], what a trust engine
//! keeps in [`trust`], and what a relying party counts in [`ledger`].

pub mod ca;
mod database;
pub mod disk;
pub mod head_file;
mod journalled;
mod kept_file;
pub mod ledger;
pub mod memory;
pub mod rocks;
pub mod schema;
pub mod trust;
