//! Why a certificate was revoked (RFC 5280 section 5.3.1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::apki::tlv::{self, DerError};

/// Why a certificate was revoked: the CRLReason of RFC 5280 section 5.3.1, by its names there. Those
/// that take a revocation back, certificateHold and removeFromCRL, are not here: what is revoked stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationReason {
    /// Nobody says.
    #[default]
    Unspecified,
    /// Somebody else has the agent's key.
    KeyCompromise,
    /// Somebody else has the CA's key.
    #[serde(rename = "cACompromise")]
    CaCompromise,
    /// The agent is of another organisation now.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The agent is not in use any more.
    CessationOfOperation,
    /// It may not do any more what it was allowed to do.
    PrivilegeWithdrawn,
    /// Somebody else has the key of whoever attested its attributes.
    #[serde(rename = "aACompromise")]
    AaCompromise,
}

/// Text or a number that is no reason for a revocation here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no reason for a revocation: say unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, \
     cessationOfOperation, privilegeWithdrawn or aACompromise"
)]
pub struct UnknownReason(pub String);

/// A CRLReason that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReasonFault {
    /// Not an ENUMERATED.
    #[error("the reason of the revocation is not strict DER: {0}")]
    Der(#[from] DerError),
    /// One that RFC 5280 does not have, or that takes a revocation back.
    #[error("{0}")]
    Unknown(#[from] UnknownReason),
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// The number on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
        }
    }

    /// The reason with this number on the wire.
    ///
    /// # Errors
    /// For the numbers that RFC 5280 does not have, and for 6 and 8, which take a revocation back.
    pub fn from_code(code: u8) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.code() == code).ok_or_else(|| UnknownReason(code.to_string()))
    }

    /// Reads a CRLReason.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, ReasonFault> {
        tlv::check(der)?;
        match tlv::only(der, tlv::ENUMERATED)? {
            [code] => Ok(Self::from_code(*code)?),
            other => Err(UnknownReason(hex::encode(other)).into()),
        }
    }

    /// The CRLReason in DER.
    pub(super) fn to_der(self) -> Vec<u8> {
        tlv::encode(tlv::ENUMERATED, &[&[self.code()]])
    }

    /// The name in RFC 5280.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RevocationReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.name() == text).ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_rfc() {
        for reason in RevocationReason::ALL {
            assert_eq!(reason.name().parse(), Ok(reason));
            assert_eq!(RevocationReason::from_code(reason.code()), Ok(reason));
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.name()));
        }
        for code in [6, 7, 8, 11, 255] {
            assert!(RevocationReason::from_code(code).is_err(), "{code}");
        }
        assert!("removeFromCRL".parse::<RevocationReason>().is_err());
    }
}
