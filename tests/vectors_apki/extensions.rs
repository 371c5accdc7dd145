//! Every extension value, good and malformed.

use atl::apki::attestation::Attestation;
use atl::apki::capabilities::{Capabilities, Capability, RateLimit, SpendLimit};
use atl::apki::certificate::Certificate;
use atl::apki::delegation::{AttenuationRules, Delegation};
use atl::apki::extension::{AsciiText, Text};
use atl::apki::moment::Moment;
use atl::apki::provenance::{Evidence, Provenance};
use atl::apki::trust_score::TrustScore;
use atl::apki::{AgentExtension, ExtensionError, oid};
use serde_json::{Map, Value};

use crate::vectors::{json, rows, text};

/// A JSON object without the fields that are left out.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

fn is(value: impl Into<Value>) -> Option<Value> {
    Some(value.into())
}

fn utf8(text: &Text) -> Value {
    text.as_str().into()
}

fn ascii<const N: usize>(text: &AsciiText<N>) -> Value {
    text.as_str().into()
}

fn time(moment: Moment) -> Value {
    moment.to_string().replace(['-', ':', 'T'], "").into()
}

fn trust_score(value: &TrustScore) -> Value {
    object([
        ("score", is(value.score.get())),
        ("trustTier", is(value.score.tier().name())),
        ("decayRate", is(value.decay_rate.get())),
        ("lastUpdated", is(time(value.last_updated))),
        ("computationMethod", value.computation_method.as_ref().map(utf8)),
    ])
}

fn spend_limit(value: &SpendLimit) -> Value {
    object([
        ("maxPerTransaction", value.max_per_transaction.map(|amount| amount.get().into())),
        ("maxPerPeriod", value.max_per_period.map(|amount| amount.get().into())),
        ("periodSeconds", value.period_seconds.map(|seconds| seconds.get().into())),
        ("currency", is(value.currency.as_str())),
    ])
}

fn rate_limit(value: &RateLimit) -> Value {
    object([("maxRequests", is(value.max_requests)), ("periodSeconds", is(value.period_seconds.get()))])
}

fn capability(value: &Capability) -> Value {
    object([
        ("toolUri", is(ascii(&value.tool_uri))),
        ("scope", is(utf8(&value.scope))),
        ("spendLimit", value.spend_limit.as_ref().map(spend_limit)),
        ("rateLimit", value.rate_limit.as_ref().map(rate_limit)),
    ])
}

fn capabilities(value: &Capabilities) -> Value {
    object([("capabilities", is(value.as_slice().iter().map(capability).collect::<Vec<_>>()))])
}

fn rules(value: &AttenuationRules) -> Value {
    object([
        ("capabilitiesSubset", is(value.capabilities_subset)),
        ("maxTrustScore", value.max_trust_score.map(|score| score.get().into())),
        ("maxSpendLimit", value.max_spend_limit.map(|amount| amount.get().into())),
        ("scopeNarrowing", value.scope_narrowing.as_ref().map(utf8)),
    ])
}

fn delegation(value: &Delegation) -> Value {
    object([
        ("parentCertHash", is(hex::encode(value.parent_cert_hash))),
        ("delegationDepth", is(value.depth)),
        ("maxDelegationDepth", is(value.max_depth)),
        ("attenuationRules", is(rules(&value.rules))),
        ("humanPrincipal", value.human_principal.as_ref().map(utf8)),
    ])
}

fn provenance(value: &Provenance) -> Value {
    let evidence = |evidence: &Evidence| hex::encode(evidence.as_bytes()).into();
    object([
        ("modelFamily", is(utf8(&value.model_family))),
        ("modelVersion", is(utf8(&value.model_version))),
        ("framework", is(utf8(&value.framework))),
        ("organizationId", is(utf8(&value.organization_id))),
        ("buildHash", value.build_hash.map(|hash| hex::encode(hash).into())),
        ("attestEvidence", value.attest_evidence.as_ref().map(evidence)),
    ])
}

fn attestation(value: &Attestation) -> Value {
    object([
        ("declaredCapabilitiesHash", is(hex::encode(value.declared_capabilities_hash))),
        ("attestationMethod", is(value.method.name())),
        ("attestorIdentity", value.attestor_identity.as_ref().map(utf8)),
        ("attestationTime", is(time(value.time))),
        ("evidenceUri", value.evidence_uri.as_ref().map(ascii)),
    ])
}

/// All five of a certificate that has them all.
pub fn values(certificate: &Certificate) -> Value {
    object([
        ("agentTrustScore", certificate.trust_score().unwrap().as_ref().map(trust_score)),
        ("agentCapabilities", certificate.capabilities().unwrap().as_ref().map(capabilities)),
        ("agentDelegation", certificate.delegation().unwrap().as_ref().map(delegation)),
        ("agentProvenance", certificate.provenance().unwrap().as_ref().map(provenance)),
        ("agentBehaviouralAttestation", certificate.attestation().unwrap().as_ref().map(attestation)),
    ])
}

/// The JSON of a good value, which must re-encode to the same octets; why not, of a malformed one.
fn decode<E: AgentExtension>(der: &[u8], to_json: impl Fn(&E) -> Value) -> Result<Value, ExtensionError> {
    let value = E::from_der(der)?;
    assert_eq!(value.to_der().unwrap(), der);
    Ok(to_json(&value))
}

#[test]
fn every_extension_row() {
    let file = json("extensions.json");
    let (mut good, mut bad) = (0, 0);
    for row in rows(&file, "cases") {
        let der = hex::decode(text(row, "der_hex")).unwrap();
        let decoded = match text(row, "extension") {
            "agentTrustScore" => decode(&der, trust_score),
            "agentCapabilities" => decode(&der, capabilities),
            "agentDelegation" => decode(&der, delegation),
            "agentProvenance" => decode(&der, provenance),
            "agentBehaviouralAttestation" => decode(&der, attestation),
            other => panic!("no such extension: {other}"),
        };
        match decoded {
            Ok(value) => {
                assert_eq!(row["ok"], true, "accepted: {row}");
                assert_eq!(value, row["value"], "{row}");
                good += 1;
            }
            Err(error) => {
                assert_eq!(row["ok"], false, "refused for `{error}`: {row}");
                let same_cause = match text(row, "reason") {
                    "tier" => matches!(error, ExtensionError::Tier { .. }),
                    "too-long" | "too-many" | "size" => matches!(error, ExtensionError::Field { .. }),
                    // What does not fit the integer or string type at all is refused below the field.
                    "range" | "currency" => matches!(error, ExtensionError::Field { .. } | ExtensionError::Der(_)),
                    "default-encoded" => error == ExtensionError::NotCanonical,
                    _ => matches!(error, ExtensionError::Der(_)),
                };
                assert!(same_cause, "refused for `{error}`: {row}");
                bad += 1;
            }
        }
    }
    assert_eq!((good, bad), (67, 184));
}

#[test]
fn every_oid() {
    let file = json("extensions.json");
    let expected = [
        ("agentTrustScore", oid::AGENT_TRUST_SCORE),
        ("agentCapabilities", oid::AGENT_CAPABILITIES),
        ("agentDelegation", oid::AGENT_DELEGATION),
        ("agentProvenance", oid::AGENT_PROVENANCE),
        ("agentBehaviouralAttestation", oid::AGENT_BEHAVIOURAL_ATTESTATION),
        ("signedAgentTimestampList", oid::SIGNED_AGENT_TIMESTAMP_LIST),
        ("precertificatePoison", oid::PRECERTIFICATE_POISON),
        ("precertificateSignature", oid::PRECERTIFICATE_SIGNATURE),
    ];
    for (name, oid) in expected {
        assert_eq!(oid.to_string(), text(&file["oids"], name));
    }
}
