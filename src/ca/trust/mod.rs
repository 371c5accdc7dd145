//! Trust scores: how they begin (draft 7.1 step 5).

pub mod initial;
