//! Whether certificates still hold: revocation lists (RFC 5280 section 5) and OCSP (RFC 6960), as octets.
//!
//! - [`crl`]: lists of what was revoked, written and read
//! - [`ocsp`]: questions about single certificates, and the answers
//! - [`RevocationReason`]: why
//!
//! Nothing here holds a key: a writer makes the octets to be signed, somebody signs them, and a second call
//! puts the two together.

pub mod crl;
mod extensions;
pub mod ocsp;
mod reason;

pub use self::extensions::ExtensionFault;
pub use self::reason::{RevocationReason, UnknownReason};
