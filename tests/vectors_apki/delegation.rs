//! Attenuation and decay: what a child may have, and what is left of a score.

use std::num::NonZeroU32;

use atl::apki::AgentUri;
use atl::apki::attenuation::{CODES, Mode, Parent, Party, Violation, root_violations, violations};
use atl::apki::capabilities::{Amount, Capabilities, Capability, Currency, RateLimit, SpendLimit};
use atl::apki::delegation::{AttenuationRules, Delegation};
use atl::apki::extension::{AsciiText, Text};
use atl::apki::moment::Moment;
use atl::apki::trust_score::{DecayRate, Score, TrustScore};
use atl::time::UnixMillis;
use serde_json::Value;

use crate::vectors::{counted, from_hex, json, text};

fn number<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    let number = value.as_u64()?;
    Some(T::try_from(number).unwrap_or_else(|_| panic!("{number} is out of range")))
}

fn millis(value: &Value) -> UnixMillis {
    UnixMillis::new(number(value).unwrap())
}

/// `YYYYMMDDHHMMSSZ`
fn moment(text: &str) -> Moment {
    let part = |range: std::ops::Range<usize>| text[range].parse::<u8>().unwrap();
    let date =
        der::DateTime::new(text[..4].parse().unwrap(), part(4..6), part(6..8), part(8..10), part(10..12), part(12..14));
    der::asn1::GeneralizedTime::from_date_time(date.unwrap()).into()
}

fn trust_score(value: &Value) -> TrustScore {
    TrustScore {
        score: Score::new(number(&value["score"]).unwrap()).unwrap(),
        decay_rate: DecayRate::new(number(&value["decayRate"]).unwrap()).unwrap(),
        last_updated: moment(text(value, "lastUpdated")),
        computation_method: None,
    }
}

fn amount(value: &Value) -> Option<Amount> {
    number(value).map(|units| Amount::new(units).unwrap())
}

fn seconds(value: &Value) -> Option<NonZeroU32> {
    number(value).map(|seconds| NonZeroU32::new(seconds).unwrap())
}

fn capability(value: &Value) -> Capability {
    let spend = |limit: &Value| SpendLimit {
        max_per_transaction: amount(&limit["maxPerTransaction"]),
        max_per_period: amount(&limit["maxPerPeriod"]),
        period_seconds: seconds(&limit["periodSeconds"]),
        currency: Currency::new(text(limit, "currency")).unwrap(),
    };
    let rate = |limit: &Value| RateLimit {
        max_requests: number(&limit["maxRequests"]).unwrap(),
        period_seconds: seconds(&limit["periodSeconds"]).unwrap(),
    };
    Capability {
        tool_uri: AsciiText::new(text(value, "toolUri")).unwrap(),
        scope: Text::new(text(value, "scope")).unwrap(),
        spend_limit: value.get("spendLimit").map(spend),
        rate_limit: value.get("rateLimit").map(rate),
    }
}

fn capabilities(value: &Value) -> Capabilities {
    Capabilities::new(value["capabilities"].as_array().unwrap().iter().map(capability).collect()).unwrap()
}

fn delegation(value: &Value) -> Delegation {
    let rules = &value["attenuationRules"];
    let utf8 = |value: &Value| value.as_str().map(|text| Text::new(text).unwrap());
    Delegation {
        parent_cert_hash: from_hex(&value["parentCertHash"]).try_into().unwrap(),
        depth: number(&value["delegationDepth"]).unwrap(),
        max_depth: number(&value["maxDelegationDepth"]).unwrap(),
        rules: AttenuationRules {
            capabilities_subset: rules["capabilitiesSubset"].as_bool().unwrap(),
            max_trust_score: number(&rules["maxTrustScore"]).map(|score| Score::new(score).unwrap()),
            max_spend_limit: amount(&rules["maxSpendLimit"]),
            scope_narrowing: utf8(&rules["scopeNarrowing"]),
        },
        human_principal: utf8(&value["humanPrincipal"]),
    }
}

fn party(value: &Value) -> Party {
    Party {
        uri: AgentUri::parse(text(value, "uri")).unwrap(),
        not_after: millis(&value["not_after_ms"]),
        trust_score: value.get("agentTrustScore").map(trust_score),
        capabilities: value.get("agentCapabilities").map(capabilities),
        delegation: value.get("agentDelegation").map(delegation),
    }
}

/// The codes, in their order, each once.
fn codes(found: &[Violation]) -> Vec<&'static str> {
    let mut codes: Vec<_> = found.iter().map(Violation::code).collect();
    codes.dedup();
    codes
}

fn assert_row(row: &Value, found: &[Violation]) {
    let expected: Vec<&str> = row["all_reasons"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
    assert_eq!(codes(found), expected, "{}: {found:?}", row["name"]);
    assert_eq!(row["ok"].as_bool(), Some(found.is_empty()), "{}", row["name"]);
    assert_eq!(row["reason"].as_str(), found.first().map(Violation::code), "{}", row["name"]);
}

#[test]
fn every_delegation_row() {
    let file = json("delegation.json");
    assert_eq!(file["codes_in_order"], serde_json::json!(CODES));
    for row in counted(&file, "cases", 139) {
        let hash = from_hex(&row["parent"]["cert_hash"]).try_into().unwrap();
        let parent = Parent { party: party(&row["parent"]), cert_hash: hash };
        let ancestors = row["ancestors"].as_array().unwrap().iter();
        let ancestors: Vec<_> = ancestors.map(|ancestor| delegation(&ancestor["agentDelegation"])).collect();
        let mode = match text(row, "mode") {
            "ca" => Mode::Strict,
            "rp" => Mode::Subset,
            other => panic!("mode {other}"),
        };
        assert_row(row, &violations(&party(&row["child"]), &parent, &ancestors, mode, millis(&row["at_ms"])));
    }
    for row in counted(&file, "depth_0", 4) {
        assert_row(row, &root_violations(&delegation(&row["child"]["agentDelegation"])));
    }
}

#[test]
fn every_decay_row() {
    let file = json("decay.json");
    for row in counted(&file, "cases", 127) {
        match trust_score(row).effective(millis(&row["now_ms"])) {
            Ok(score) => {
                assert_eq!(row["ok"], true, "{row}");
                assert_eq!(row["effective"].as_u64(), Some(score.get().into()), "{row}");
                assert_eq!(row["tier"], score.tier().name(), "{row}");
            }
            Err(ahead) => assert_eq!(row["ok"], false, "{row}: {ahead}"),
        }
    }
}
