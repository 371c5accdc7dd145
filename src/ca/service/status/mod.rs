//! What the CA says of its certificates once they are out: revocation lists and OCSP (RFC 5280 section 5,
//! RFC 6960).
//!
//! The writer tells the [`StatusBoard`] of each revocation behind the commit that holds it and before anybody
//! has an answer, so from then on no responder says that the certificate is good.

mod board;

pub(super) use self::board::StatusBoard;
