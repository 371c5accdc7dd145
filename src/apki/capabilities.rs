//! AgentCapabilities (draft 5.3): the tools that an agent may call, and within which limits.

use std::fmt;
use std::num::NonZeroU32;

use der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use der::{Encode, Sequence};
use serde::{Deserialize, Serialize};

use super::extension::{AgentExtension, AsciiText, ExtensionError, Text, ValueError, decode_strict, ranged};
use super::oid;

/// Most capabilities in one certificate.
pub const MAX_CAPABILITIES: usize = 64;
/// Longest toolUri, in octets.
pub const MAX_TOOL_URI: usize = 1024;
const MAX_U32: i64 = 4_294_967_295;

/// An amount of money in minor units of its currency, 0 to 2^63-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// `minor_units`, where they fit 63 bits.
    pub fn new(minor_units: u64) -> Result<Self, ValueError> {
        let fault = ValueError::Range { value: minor_units.into(), min: 0, max: i64::MAX };
        i64::try_from(minor_units).map(Self).map_err(|_| fault)
    }

    /// The minor units.
    pub const fn get(self) -> u64 {
        self.0.unsigned_abs()
    }

    pub(super) fn from_integer(value: i64) -> Result<Self, ValueError> {
        ranged(value, 0, i64::MAX).map(Self)
    }

    pub(super) const fn to_integer(self) -> i64 {
        self.0
    }
}

/// Three upper-case letters of ISO 4217; whether the code is in use is not looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// `code`, where it has the form of one.
    pub fn new(code: &str) -> Result<Self, ValueError> {
        let letters = code.as_bytes().try_into().map_err(|_| ValueError::Currency)?;
        if code.bytes().all(|c| c.is_ascii_uppercase()) { Ok(Self(letters)) } else { Err(ValueError::Currency) }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

/// How much an agent may spend. The two halves of a limit per period may each be there without
/// the other (R3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpendLimit {
    /// At most this in one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_transaction: Option<Amount>,
    /// At most this in one period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_period: Option<Amount>,
    /// How long the period is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_seconds: Option<NonZeroU32>,
    /// Of both amounts.
    pub currency: Currency,
}

/// How often an agent may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// At most this many calls in one period.
    pub max_requests: u32,
    /// How long the period is.
    pub period_seconds: NonZeroU32,
}

/// One tool, in one scope. Equal values have equal DER, and the reverse (R6).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// The tool; compared octet for octet.
    pub tool_uri: AsciiText<MAX_TOOL_URI>,
    /// What of it; opaque apart from the `/` between its parts (R34).
    pub scope: Text,
    /// Without one, a monetary call is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_limit: Option<SpendLimit>,
    /// Without one, the certificate does not limit the rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// The extension: at most 64 capabilities. An empty list grants nothing and is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<Capability>);

impl Capabilities {
    /// These capabilities, where they are not too many.
    pub fn new(capabilities: Vec<Capability>) -> Result<Self, ValueError> {
        match capabilities.len() {
            0..=MAX_CAPABILITIES => Ok(Self(capabilities)),
            count => Err(ValueError::TooMany { count, limit: MAX_CAPABILITIES }),
        }
    }

    /// The capabilities, in their order.
    pub fn as_slice(&self) -> &[Capability] {
        &self.0
    }
}

#[derive(Sequence)]
struct RawCapabilities<'a> {
    capabilities: Vec<RawCapability<'a>>,
}

#[derive(Sequence)]
struct RawCapability<'a> {
    tool_uri: Ia5StringRef<'a>,
    scope: Utf8StringRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    spend_limit: Option<RawSpendLimit<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    rate_limit: Option<RawRateLimit>,
}

#[derive(Sequence)]
struct RawSpendLimit<'a> {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    max_per_transaction: Option<i64>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    max_per_period: Option<i64>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    period_seconds: Option<i64>,
    currency: PrintableStringRef<'a>,
}

#[derive(Sequence)]
struct RawRateLimit {
    max_requests: i64,
    period_seconds: i64,
}

impl AgentExtension for Capabilities {
    const OID: ObjectIdentifier = oid::AGENT_CAPABILITIES;

    fn from_der(der: &[u8]) -> Result<Self, ExtensionError> {
        let raw: RawCapabilities<'_> = decode_strict(der)?;
        let capabilities = raw.capabilities.iter().map(RawCapability::validate).collect::<Result<_, _>>()?;
        Self::new(capabilities).map_err(|e| e.of("capabilities"))
    }

    fn to_der(&self) -> Result<Vec<u8>, ExtensionError> {
        let capabilities = self.0.iter().map(RawCapability::of).collect::<Result<_, _>>()?;
        Ok(RawCapabilities { capabilities }.to_der()?)
    }
}

impl<'a> RawCapability<'a> {
    fn validate(&self) -> Result<Capability, ExtensionError> {
        Ok(Capability {
            tool_uri: AsciiText::new(self.tool_uri.as_str()).map_err(|e| e.of("toolUri"))?,
            scope: Text::new(self.scope.as_str()).map_err(|e| e.of("scope"))?,
            spend_limit: self.spend_limit.as_ref().map(RawSpendLimit::validate).transpose()?,
            rate_limit: self.rate_limit.as_ref().map(RawRateLimit::validate).transpose()?,
        })
    }

    fn of(capability: &'a Capability) -> Result<Self, der::Error> {
        Ok(Self {
            tool_uri: Ia5StringRef::new(capability.tool_uri.as_str())?,
            scope: Utf8StringRef::new(capability.scope.as_str())?,
            spend_limit: capability.spend_limit.as_ref().map(RawSpendLimit::of).transpose()?,
            rate_limit: capability.rate_limit.as_ref().map(RawRateLimit::of),
        })
    }
}

impl<'a> RawSpendLimit<'a> {
    fn validate(&self) -> Result<SpendLimit, ExtensionError> {
        let amount = |value: Option<i64>, field| value.map(Amount::from_integer).transpose().map_err(|e| e.of(field));
        Ok(SpendLimit {
            max_per_transaction: amount(self.max_per_transaction, "maxPerTransaction")?,
            max_per_period: amount(self.max_per_period, "maxPerPeriod")?,
            period_seconds: self.period_seconds.map(period).transpose()?,
            currency: Currency::new(self.currency.as_str()).map_err(|e| e.of("currency"))?,
        })
    }

    fn of(limit: &'a SpendLimit) -> Result<Self, der::Error> {
        Ok(Self {
            max_per_transaction: limit.max_per_transaction.map(Amount::to_integer),
            max_per_period: limit.max_per_period.map(Amount::to_integer),
            period_seconds: limit.period_seconds.map(|seconds| seconds.get().into()),
            currency: PrintableStringRef::new(&limit.currency.0)?,
        })
    }
}

impl RawRateLimit {
    fn validate(&self) -> Result<RateLimit, ExtensionError> {
        let max_requests = ranged(self.max_requests, 0, MAX_U32).map_err(|e| e.of("maxRequests"))?;
        Ok(RateLimit { max_requests, period_seconds: period(self.period_seconds)? })
    }

    fn of(limit: &RateLimit) -> Self {
        Self { max_requests: limit.max_requests.into(), period_seconds: limit.period_seconds.get().into() }
    }
}

fn period(seconds: i64) -> Result<NonZeroU32, ExtensionError> {
    let fault = ValueError::Range { value: seconds.into(), min: 1, max: MAX_U32 };
    u32::try_from(seconds).ok().and_then(NonZeroU32::new).ok_or_else(|| fault.of("periodSeconds"))
}
