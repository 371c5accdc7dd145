//! The values of the extensions as JSON: what a form, a configuration or a journal says of them.
//!
//! Names are those of the ASN.1 module in snake case. Reading keeps every bound that the DER has,
//! and refuses a member that is not known.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::capabilities::{Amount, Capabilities, Capability, Currency};
use super::extension::{AsciiText, Text};
use super::moment::Moment;
use super::trust_score::{DecayRate, Score};
use super::uri::AgentUri;
use crate::time::UnixMillis;

/// A type that is a string in JSON: how it is written, and how it is read.
macro_rules! as_text {
    ($kind:ty, $read:expr $(, $max:ident)?) => {
        impl$(<const $max: usize>)? Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de, $(const $max: usize)?> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $read(Cow::<'de, str>::deserialize(deserializer)?.as_ref()).map_err(de::Error::custom)
            }
        }
    };
}

as_text!(AgentUri, AgentUri::parse);
as_text!(Currency, Currency::new);
as_text!(Text<MAX>, Text::new, MAX);
as_text!(AsciiText<MAX>, AsciiText::new, MAX);

/// A type that is a whole number in JSON.
macro_rules! as_number {
    ($kind:ident: $number:ty) => {
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.get().serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(<$number>::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

as_number!(Score: u8);
as_number!(DecayRate: u8);
as_number!(Amount: u64);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.millis().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    /// Milliseconds since 1970 of a whole second.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let millis = UnixMillis::deserialize(deserializer)?;
        let moment = Self::floor(millis).filter(|moment| moment.millis() == millis);
        moment.ok_or_else(|| de::Error::custom("not a whole second from 1970 to 9999, in milliseconds"))
    }
}

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::<Capability>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPABILITY: &str = r#"{"tool_uri":"mcp://pay.example.com/charge","scope":"payments","spend_limit":{"max_per_transaction":1000,"currency":"GBP"},"rate_limit":{"max_requests":60,"period_seconds":3600}}"#;

    #[test]
    fn a_capability_reads_back_as_itself() {
        let capability: Capability = serde_json::from_str(CAPABILITY).unwrap();
        assert_eq!(capability.spend_limit.unwrap().max_per_transaction.unwrap().get(), 1000);
        assert_eq!(serde_json::to_string(&capability).unwrap(), CAPABILITY);
    }

    #[test]
    fn what_der_would_refuse_is_refused() {
        let wrong = [
            CAPABILITY.replace("mcp://", "é"),
            CAPABILITY.replace("GBP", "gbp"),
            CAPABILITY.replace("1000", "-1"),
            CAPABILITY.replace("1000", "9223372036854775808"),
            CAPABILITY.replace("3600", "0"),
            CAPABILITY.replace("scope", "scopes"),
            CAPABILITY.replace("\"scope\":\"payments\",", ""),
            CAPABILITY.replace("\"max_requests\":60", "\"max_requests\":60,\"burst\":1"),
            CAPABILITY.replace("payments", &"p".repeat(513)),
        ];
        for text in wrong {
            assert!(serde_json::from_str::<Capability>(&text).is_err(), "{text}");
        }
        let many = format!("[{}]", [CAPABILITY; 65].join(","));
        assert!(serde_json::from_str::<Capabilities>(&many).is_err());
        assert!(serde_json::from_str::<Score>("101").is_err());
        assert!(serde_json::from_str::<AgentUri>("\"agent://Example.com/a/b/c\"").is_err());
        assert!(serde_json::from_str::<Moment>("1001").is_err());
    }
}
