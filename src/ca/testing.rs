//! Policies, applications and certificates for unit tests of the CA.

use std::collections::BTreeMap;

use super::application::{Application, Evidence, Principal};
use super::policy::{
    ApprovalRule, DEFAULT_MAX_LIVE, DelegationRule, Policy, PrincipalRule, ProvenanceRule, RenewalKeyRule, TrustRule,
    ValidityRule,
};
use super::registry::Registry;
use super::request::Grant;
use super::token::{TokenId, TokenScope, TokenSecret, UriPattern};
use super::trust::initial::DEFAULT_REPUTATION;
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::{AttenuationRules, Delegation};
use crate::apki::extension::{AgentExtension, Text};
use crate::apki::moment::Moment;
use crate::apki::precertificate::extension_der;
use crate::apki::testing::{Draft, key};
use crate::apki::tlv::{self, encode};
use crate::apki::trust_score::{DecayRate, Score, TrustScore};
use crate::apki::{AgentUri, oid};
use crate::keys::Signer;
use crate::time::UnixMillis;

pub(crate) const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const BOT: &str = "agent://bank.example.com/payments/bot/1";

pub(crate) fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

/// What an operator gets who sets nothing but the trust domain.
pub(crate) fn policy() -> Policy {
    Policy {
        trust_domain: "bank.example.com".into(),
        attestor: text("Bank"),
        validity: ValidityRule { min: 300, default: 3600, max: 86_400 },
        decay_rate: DecayRate::new(1).unwrap(),
        computation_method: text("initial"),
        principal: PrincipalRule::Hashed { salt: [9; 32] },
        max_delegation_depth: 5,
        renewal_key: RenewalKeyRule::Any,
        spiffe: false,
        approval: ApprovalRule::Never,
        pending_ttl_ms: 24 * HOUR,
        min_score: Score::new(20).unwrap(),
        default_reputation: DEFAULT_REPUTATION,
        reputations: BTreeMap::new(),
        provenance: ProvenanceRule::default(),
        registry: Registry::default(),
        delegation: DelegationRule::default(),
        trust: TrustRule::default(),
        max_live: DEFAULT_MAX_LIVE,
        ceiling: None,
    }
}

/// One capability for each tool and scope.
pub(crate) fn capabilities(of: &[(&str, &str)]) -> Capabilities {
    let of: Vec<_> = of.iter().map(|(tool, scope)| serde_json::json!({"tool_uri": tool, "scope": scope})).collect();
    serde_json::from_value(of.into()).unwrap()
}

/// The least that an agent can ask for.
pub(crate) fn application(agent: &str) -> Application {
    Application {
        agent: AgentUri::parse(agent).unwrap(),
        spiffe: None,
        public_key: key(99).public_key().clone(),
        evidence: None,
        capabilities: None,
        validity_seconds: None,
        principal: None,
        terms: None,
    }
}

/// All that an agent can say of how it was built.
pub(crate) fn evidence() -> Evidence {
    Evidence {
        model_family: text("large"),
        model_version: text("7"),
        framework: text("loom"),
        organization: text("Bank"),
        build_hash: Some([7; 32]),
        attestation: None,
        evidence_uri: None,
    }
}

pub(crate) fn principal(human: &str) -> Principal {
    Principal { human: text(human), max_depth: None, rules: AttenuationRules::default() }
}

pub(crate) fn secret(n: u8) -> TokenSecret {
    TokenSecret::new(TokenId::new([n; 8]), [n; 32])
}

/// For everybody of the trust domain, with one tool.
pub(crate) fn scope() -> TokenScope {
    TokenScope {
        agents: UriPattern::parse("agent://bank.example.com/*/*/*").unwrap(),
        capabilities: Some(capabilities(&[("mcp://ledger", "read")])),
        max_validity_seconds: None,
        replaces: false,
    }
}

/// A certificate that answers this application.
pub(crate) fn certificate(of: &Application, may: &Capabilities, delegation: Option<&Delegation>) -> Vec<u8> {
    let mut draft = Draft::new("CA", "agent", &key(99));
    draft.spki = of.public_key.spki_der().to_vec();
    let mut names = encode(0x86, &[of.agent.as_str().as_bytes()]);
    names.extend(of.spiffe.iter().flat_map(|spiffe| encode(0x86, &[spiffe.as_bytes()])));
    draft.extensions.push(extension_der(&oid::SUBJECT_ALT_NAME, true, &encode(tlv::SEQUENCE, &[&names])));
    draft.extensions.push(extension_der(&oid::AGENT_CAPABILITIES, false, &may.to_der().unwrap()));
    if let Some(delegation) = delegation {
        draft.extensions.push(extension_der(&oid::AGENT_DELEGATION, false, &delegation.to_der().unwrap()));
    }
    draft.sign(&key(1))
}

/// The certificate that answers this application with what was granted, valid for this time.
pub(crate) fn granted(of: &Application, grant: &Grant, not_before: UnixMillis, not_after: UnixMillis) -> Vec<u8> {
    let moment = |at| Moment::floor(at).unwrap();
    let mut draft = Draft::new("CA", "agent", &key(99));
    draft.spki = of.public_key.spki_der().to_vec();
    draft.validity =
        encode(tlv::SEQUENCE, &[&moment(not_before).to_validity_der(), &moment(not_after).to_validity_der()]);
    let names = encode(tlv::SEQUENCE, &[&encode(0x86, &[of.agent.as_str().as_bytes()])]);
    draft.extensions.push(extension_der(&oid::SUBJECT_ALT_NAME, true, &names));
    let trust_score = TrustScore {
        score: grant.score,
        decay_rate: policy().decay_rate,
        last_updated: moment(grant.scored_at),
        computation_method: None,
    };
    draft.extensions.push(extension_der(&oid::AGENT_TRUST_SCORE, false, &trust_score.to_der().unwrap()));
    draft.extensions.push(extension_der(&oid::AGENT_CAPABILITIES, false, &grant.capabilities.to_der().unwrap()));
    if let Some(delegation) = &grant.delegation {
        draft.extensions.push(extension_der(&oid::AGENT_DELEGATION, false, &delegation.to_der().unwrap()));
    }
    draft.sign(&key(1))
}
