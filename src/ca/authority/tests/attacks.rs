//! Privilege escalation by delegation (draft 11.2.3, T3), each attempt through the whole decision.

use super::rig::{Ca, id, serial};
use super::tree::{ROOT, caps, name, root, terms, tools, uri, wants};
use crate::apki::delegation::Delegation;
use crate::ca::application::{Application, DelegationTerms, Octets};
use crate::ca::ports::Entity;
use crate::ca::record::{Agent, CertificateRecord, CertificateState, Issued};
use crate::ca::request::Grant;
use crate::ca::testing::{HOUR, NOW, granted};

/// Which rules say no when a parent with the one capability hands on the other.
fn hands_on(parent: serde_json::Value, child: serde_json::Value) -> Vec<String> {
    let mut ca = Ca::of_trees();
    ca.enrolled_and_published(1, 1, &root(caps(serde_json::json!([parent, {"tool_uri": "mcp://more", "scope": ""}]))));
    ca.rules(1, &wants(&name(2), caps(serde_json::json!([child]))))
}

fn spends(limit: serde_json::Value) -> serde_json::Value {
    serde_json::json!({"tool_uri": "mcp://pay", "scope": "pay", "spend_limit": limit})
}

#[test]
fn t3_currency_swap() {
    let of = |currency| spends(serde_json::json!({"max_per_transaction": 100, "currency": currency}));
    assert_eq!(hands_on(of("JPY"), of("GBP")), ["currency"]);
}

#[test]
fn t3_dropped_limit() {
    let limited = spends(serde_json::json!({"max_per_transaction": 100, "currency": "EUR"}));
    let free = serde_json::json!({"tool_uri": "mcp://pay", "scope": "pay"});
    assert_eq!(hands_on(limited.clone(), free), ["spendMissing"]);
    let empty = spends(serde_json::json!({"currency": "EUR"}));
    assert_eq!(hands_on(limited, empty), ["perTransaction"]);
    let slow = serde_json::json!({"tool_uri": "mcp://pay", "scope": "pay", "rate_limit": {"max_requests": 1, "period_seconds": 60}});
    let fast = serde_json::json!({"tool_uri": "mcp://pay", "scope": "pay"});
    assert_eq!(hands_on(slow, fast), ["rateMissing"]);
}

#[test]
fn t3_scope_that_only_begins_alike() {
    let scope = |scope: &str| serde_json::json!({"tool_uri": "mcp://pay", "scope": scope});
    assert_eq!(hands_on(scope("pay"), scope("payroll")), ["scope"]);
    assert_eq!(hands_on(scope("pay/in"), scope("pay")), ["scope"]);
}

#[test]
fn t3_per_period_passed_off_as_per_transaction() {
    let period = spends(serde_json::json!({"max_per_period": 100, "period_seconds": 3600, "currency": "EUR"}));
    let once = spends(serde_json::json!({"max_per_transaction": 100, "currency": "EUR"}));
    assert_eq!(hands_on(period.clone(), once.clone()), ["perPeriod"]);
    assert_eq!(hands_on(once, period.clone()), ["perTransaction"]);
    let faster = spends(serde_json::json!({"max_per_period": 100, "period_seconds": 60, "currency": "EUR"}));
    assert_eq!(hands_on(period, faster), ["perPeriod"]);
}

#[test]
fn t3_a_grandchild_by_way_of_a_lenient_child() {
    let mut ca = Ca::of_trees();
    let mut human = root(tools(8));
    human.principal.as_mut().unwrap().rules.scope_narrowing = Some(crate::ca::testing::text("pay"));
    ca.enrolled_and_published(1, 1, &human);
    // The child drops its root's rule for those below; the root's binds them all the same.
    ca.delegated(1, 2, &wants(&name(2), tools(8)));
    let wide = caps(serde_json::json!([{"tool_uri": "mcp://tool/0", "scope": "payroll"}]));
    assert_eq!(ca.rules(2, &wants(&name(3), wide)), ["scope", "scopeNarrowing"]);
}

#[test]
fn t3_depth_beyond_the_maximum() {
    let mut ca = Ca::of_trees();
    let mut human = root(tools(8));
    human.principal.as_mut().unwrap().max_depth = Some(1);
    ca.enrolled_and_published(1, 1, &human);
    assert_eq!(
        ca.rules(1, &Application { terms: Some(terms(Some(2))), ..wants(&name(2), tools(8)) }),
        ["maxDepthRaised"]
    );
    ca.delegated(1, 2, &wants(&name(2), tools(8)));
    assert_eq!(ca.rules(2, &wants(&name(3), tools(8))), ["maxDepth", "depthOverOwnMax"]);
}

#[test]
fn t3_depth_wraps_at_255() {
    let mut ca = Ca::with_root();
    let grant = Grant {
        delegation: Some(Delegation { parent_cert_hash: [7; 32], depth: 255, max_depth: 255, ..below(&ca) }),
        parent: None,
        ..granted_to_root(&mut ca)
    };
    plant(&mut ca, 7, &wants(&name(7), tools(8)), &grant);
    let rules = ca.rules(7, &Application { terms: Some(DelegationTerms::default()), ..wants(&name(8), tools(7)) });
    assert_eq!(rules, ["depth"]);
}

fn below(ca: &Ca) -> Delegation {
    let certificate = ca.record(1).issued().unwrap().certificate.0.clone();
    crate::apki::Certificate::parse(certificate).unwrap().delegation().unwrap().unwrap()
}

fn granted_to_root(ca: &mut Ca) -> Grant {
    ca.accepted(&super::rig::enrol(60, 60, &root(tools(8))));
    ca.grant(60)
}

/// Puts an agent into the store whose certificate says this, however it came by it.
fn plant(ca: &mut Ca, n: u8, of: &Application, grant: &Grant) {
    use sha2::{Digest, Sha256};
    let not_after = NOW.saturating_add(HOUR);
    let certificate = Octets(granted(of, grant, NOW.saturating_sub(60_000), not_after));
    let fingerprint = Sha256::digest(&certificate.0).into();
    let issued = Issued { issued_at: NOW, fingerprint, certificate: certificate.clone() };
    let record = CertificateRecord {
        serial: serial(n),
        request: id(n),
        enrolment: id(n),
        agent: of.agent.clone(),
        state: CertificateState::Issued(issued),
        precertificate: certificate,
        not_after,
        ..ca.record(1).clone()
    };
    let agent = Agent { uri: of.agent.clone(), enrolment: id(n), current: serial(n), ..ca.agent(ROOT).clone() };
    assert_ne!(agent.uri, uri(ROOT));
    for entity in [Entity::Certificate(record), Entity::Agent(agent)] {
        ca.store.insert(entity.key(), entity);
    }
}
