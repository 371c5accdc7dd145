//! What is worth telling somebody: without clock, I/O or randomness, so that a finding can be had again from
//! the same input.

pub mod lookalike;
