//! The monitor of agent transparency logs.
//!
//! A log records and does not judge; whoever has something to lose reads it, or has it read. What is worth an
//! alert is decided by rules.
//!
//! **[`rules`]** is pure: what is judged comes in as an argument, what is found goes out as a value. So far it
//! has [`rules::lookalike`]: names made to be taken for a watched trust domain (draft 11.2.7, T7).
//!
//! **[`cli`]** is the command line, and all the I/O.

pub mod cli;
pub mod rules;
