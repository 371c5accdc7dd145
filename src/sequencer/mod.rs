//! From submissions to durable entries and signed heads, by a single writer.
//!
//! [`pool`] gathers a batch, [`plan`] decides what it does to the tree, [`head`] decides when the
//! tree may be signed, [`resume`] what a start may trust that needs no clock and no thread. The writer is the thread that
//! carries the decisions out, one synced commit at a time; [`task`] is its front.

pub mod head;
mod parts;
pub mod plan;
pub mod pool;
pub mod resume;
pub mod task;
mod writer;
