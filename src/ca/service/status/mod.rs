//! What the CA says of its certificates once they are out: revocation lists and OCSP (RFC 5280 section 5,
//! RFC 6960).
//!
//! The writer tells the [`StatusBoard`] of each revocation behind the commit that holds it and before anybody
//! has an answer, so from then on no responder says that the certificate is good. The lists follow: each is
//! signed, kept apart from the database, and only then published.
//!
//! - `board`: every revocation of a certificate that has not ended
//! - `lists`: what a round of lists says, and the newest round; `publishing`: when there is another one
//! - `kept`: what the list that was kept knows and the database does not
//! - `responder`, `answers`, `cache`: OCSP
//! - `root`: what the root says of the CA itself

mod answers;
mod board;
mod cache;
mod kept;
mod lists;
mod publishing;
mod responder;
mod root;
mod settings;

pub(super) use self::answers::Ocsp;
pub use self::answers::OcspAnswer;
pub(super) use self::board::StatusBoard;
pub(super) use self::kept::{remembered, restore, unended};
pub(super) use self::lists::Lists;
pub(super) use self::publishing::keep_listed;
pub(super) use self::root::RootLists;
pub use self::settings::StatusSettings;
