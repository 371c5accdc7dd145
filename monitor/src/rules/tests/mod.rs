//! Each rule with an entry that it alone finds something in, and one beside it that is innocent.

mod bulk;
mod feed;
mod imitation;
pub(crate) mod make;
mod one;
mod random;
