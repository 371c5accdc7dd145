//! Whether certificates still hold: revocation lists (RFC 5280 section 5) and OCSP (RFC 6960), as octets.
//!
//! - [`crl`]: lists of what was revoked, written and read
//! - [`ocsp`]: questions about single certificates, and the answers
//! - why: [`RevocationReason`]
//!
//! Nothing here holds a key: a writer makes the octets to be signed, somebody signs them, and a second call
//! puts the two together.

pub mod crl;
mod extensions;
pub mod ocsp;
mod reason;

pub use self::extensions::ExtensionFault;
pub use self::reason::{ReasonFault, RevocationReason, UnknownReason};

/// Milliseconds that a clock may be wrong by: what is dated as much ahead is current, and so is what ended
/// as long ago.
pub const CLOCK_SKEW: u64 = 60_000;
