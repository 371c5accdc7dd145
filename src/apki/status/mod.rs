//! Whether certificates still hold: revocation lists (RFC 5280 section 5) and OCSP (RFC 6960), as octets.

mod reason;

pub use self::reason::{RevocationReason, UnknownReason};
