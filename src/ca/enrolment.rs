//! The registration authority: who may have which certificate (draft 7.1 step 4, 7.2). It decides and
//! never signs.

use super::application::Application;
use super::policy::Policy;
use super::record::Agent;
use super::request::{Assessment, Request};
use super::token::Token;
use crate::time::UnixMillis;

/// What a requester, who has proven to hold it, is entitled by.
#[derive(Clone, Copy, Debug)]
pub enum Entitlement<'a> {
    /// An enrolment token that is neither spent nor expired.
    Token(&'a Token),
    /// The agent's own certificate, issued by this CA and not expired.
    Certificate {
        /// Its octets, in DER.
        certificate: &'a [u8],
        /// The request that it answered, where the CA still has it.
        answered: Option<&'a Request>,
    },
}

/// Judges.
pub fn assess(_: &Application, _: &Entitlement<'_>, _: Option<&Agent>, _: &Policy, _: UnixMillis) -> Assessment {
    unimplemented!()
}
