//! Any value that an agent extension may hold.

use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::apki::attestation::{Attestation, AttestationMethod};
use crate::apki::capabilities::{Amount, Capability, Currency, RateLimit, SpendLimit};
use crate::apki::delegation::{AttenuationRules, Delegation};
use crate::apki::extension::{AsciiText, Text};
use crate::apki::moment::Moment;
use crate::apki::provenance::{Evidence, Provenance};
use crate::apki::trust_score::{DecayRate, Score, TrustScore};
use crate::time::UnixMillis;

pub(crate) fn text() -> impl Strategy<Value = Text> {
    "\\PC{0,60}".prop_map(|text| Text::new(text).unwrap())
}

pub(crate) fn ascii<const N: usize>() -> impl Strategy<Value = AsciiText<N>> {
    "[ -~]{0,60}".prop_map(|text| AsciiText::new(text).unwrap())
}

pub(crate) fn moment() -> impl Strategy<Value = Moment> {
    (0..253_402_300_800_000u64).prop_map(|millis| Moment::floor(UnixMillis::new(millis)).unwrap())
}

pub(crate) fn score() -> impl Strategy<Value = Score> {
    (0..=100u8).prop_map(|score| Score::new(score).unwrap())
}

pub(crate) fn amount() -> impl Strategy<Value = Amount> {
    (0..=i64::MAX as u64).prop_map(|amount| Amount::new(amount).unwrap())
}

pub(crate) fn seconds() -> impl Strategy<Value = NonZeroU32> {
    (1..=u32::MAX).prop_map(|seconds| NonZeroU32::new(seconds).unwrap())
}

prop_compose! {
    pub(crate) fn trust_score()(score in score(), rate in 0..=100u8, last_updated in moment(),
                     computation_method in option::of(text())) -> TrustScore {
        TrustScore { score, decay_rate: DecayRate::new(rate).unwrap(), last_updated, computation_method }
    }
}

prop_compose! {
    pub(crate) fn capability()(tool_uri in ascii(), scope in text(), currency in "[A-Z]{3}",
                    limits in option::of((option::of(amount()), option::of(amount()), option::of(seconds()))),
                    rate in option::of((any::<u32>(), seconds()))) -> Capability {
        let currency = Currency::new(&currency).unwrap();
        Capability {
            tool_uri,
            scope,
            spend_limit: limits.map(|(max_per_transaction, max_per_period, period_seconds)| {
                SpendLimit { max_per_transaction, max_per_period, period_seconds, currency }
            }),
            rate_limit: rate.map(|(max_requests, period_seconds)| RateLimit { max_requests, period_seconds }),
        }
    }
}

prop_compose! {
    pub(crate) fn delegation()(parent_cert_hash in any::<[u8; 32]>(), depth in any::<u8>(), max_depth in any::<u8>(),
                    capabilities_subset in any::<bool>(), max_trust_score in option::of(score()),
                    max_spend_limit in option::of(amount()), scope_narrowing in option::of(text()),
                    human_principal in option::of(text())) -> Delegation {
        let rules = AttenuationRules { capabilities_subset, max_trust_score, max_spend_limit, scope_narrowing };
        Delegation { parent_cert_hash, depth, max_depth, rules, human_principal }
    }
}

prop_compose! {
    pub(crate) fn provenance()(model_family in text(), model_version in text(), framework in text(),
                    organization_id in text(), build_hash in option::of(any::<[u8; 32]>()),
                    evidence in option::of(vec(any::<u8>(), 0..300))) -> Provenance {
        let attest_evidence = evidence.map(|octets| Evidence::new(octets).unwrap());
        Provenance { model_family, model_version, framework, organization_id, build_hash, attest_evidence }
    }
}

prop_compose! {
    pub(crate) fn attestation()(declared_capabilities_hash in any::<[u8; 32]>(), method in 0..4usize,
                     attestor_identity in option::of(text()), time in moment(),
                     evidence_uri in option::of(ascii())) -> Attestation {
        use AttestationMethod::{CaVerified, HardwareBound, SelfDeclared, ThirdParty};
        let method = [SelfDeclared, CaVerified, ThirdParty, HardwareBound][method];
        Attestation { declared_capabilities_hash, method, attestor_identity, time, evidence_uri }
    }
}
