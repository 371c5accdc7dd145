//! Heads exchanged with other monitors.
//!
//! A log that shows one tree to us and another to somebody else is found only where the two compare what they have
//! seen. So every monitor tells each of its peers the largest heads that it knows, and is told theirs in the answer.
//! Nothing but heads goes over the wire, and each is believed because its log signed it; who brings it is signed too
//! ([`seal`]).

mod answer;
mod run;
pub mod seal;
mod wire;

pub use self::answer::answer;
pub use self::run::{Gossip, GossipError};
pub use self::wire::{MAX_BODY_OCTETS, MAX_HEADS, Message, Offered, PATH, Refused};
