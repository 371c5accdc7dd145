//! The Online Certificate Status Protocol (RFC 6960): questions about single certificates, and answers.
//!
//! - [`CertId`], [`IssuerIds`]: which certificate is meant
//! - [`OcspRequest`]: the question, read and written
//! - [`ResponseTemplate`], [`basic_response`], [`Unsuccessful`]: the answer, written
//! - [`OcspResponse`]: the answer, read and verified
//!
//! # SHA-1
//! Names and keys of issuers are called by their hashes here, and most clients take SHA-1 for that. It is
//! no more than a short name: whoever finds a second name or key of the same hash is answered about our
//! certificates under another's name, and gains nothing, since what is signed is verified with the issuer's
//! own key, which a hash does not choose.

mod cert_id;
mod nonce;
mod request;
mod response;
mod verify;
mod write;

pub use self::cert_id::{CertId, CertIdError, CertIdHash, IssuerIds};
pub use self::nonce::{MAX_NONCE, Nonce, NonceLength};
pub use self::request::{MAX_CERT_IDS, MAX_REQUEST, OcspRequest, OcspRequestError};
pub use self::response::{Answer, OcspResponse, OcspResponseError, ResponderId};
pub use self::verify::{OcspVerifyError, ResponderFault};
pub use self::write::{CertStatus, ResponseTemplate, SingleResponse, Unsuccessful, basic_response, responder_key_hash};
