//! What a log promises and signs: entries, signed agent timestamps, tree heads, admission, and
//! the storage port behind which all of it is kept.

pub mod admission;
pub mod bundle;
pub mod checkpoint;
pub mod entry;
mod line;
pub mod note;
pub mod sat;
pub mod sth;
pub mod store;
pub mod view;
