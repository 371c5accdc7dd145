//! Renewals below a parent: all of it is judged again, by what the parent has at that moment.

use super::rig::{Ca, id, serial};
use super::tree::{ROOT, name, revoke, root, terms, tools, wants};
use crate::apki::Certificate;
use crate::apki::trust_score::Score;
use crate::ca::application::Application;
use crate::ca::authority::Refusal;
use crate::ca::record::ReasonCode;
use crate::ca::testing::HOUR;

#[test]
fn a_renewal_stands_below_the_parents_current_certificate() {
    let mut ca = Ca::with_line(3);
    ca.now = ca.now.saturating_add(HOUR / 2);
    let command = ca.renew(1, 10, &root(tools(8)));
    ca.accepted(&command);
    ca.certified(10);
    let command = ca.renew(2, 11, &wants(&name(2), tools(8)));
    ca.accepted(&command);
    let grant = ca.grant(11);
    let delegation = grant.delegation.clone().unwrap();
    assert_eq!((delegation.parent_cert_hash, delegation.depth), (ca.fingerprint(10), 1));
    assert_eq!((grant.parent, grant.ends_by), (Some(serial(10)), Some(ca.record(10).not_after)));
    ca.certified(11);
    let record = ca.record(11);
    assert_eq!((record.parent, record.enrolment), (Some(serial(10)), id(2)));
    assert_eq!((ca.agent(ROOT).children, ca.agent(&name(2)).live.len()), (1, 2));
    // Its own child still stands below its old certificate, and does not until that ends.
    let chain = Certificate::parse(ca.record(3).issued().unwrap().certificate.0.clone()).unwrap();
    assert_eq!(chain.delegation().unwrap().unwrap().parent_cert_hash, ca.fingerprint(2));
}

#[test]
fn what_the_parent_lost_the_child_does_not_keep() {
    let mut ca = Ca::with_line(2);
    let mut fewer = root(tools(3));
    fewer.principal = None;
    let command = ca.renew(1, 10, &fewer);
    ca.accepted(&command);
    ca.certified(10);
    let all = ca.renew(2, 11, &wants(&name(2), tools(8)));
    let reasons = ca.reasons(&all);
    assert!(
        reasons.len() == 5 && reasons.iter().all(|reason| reason.rule.as_deref() == Some("toolUri")),
        "{reasons:?}"
    );
    let command = ca.renew(2, 11, &wants(&name(2), tools(3)));
    ca.accepted(&command);
    ca.certified(11);
}

#[test]
fn a_child_renews_no_longer_than_its_parent() {
    let mut ca = Ca::with_line(2);
    ca.now = ca.now.saturating_add(HOUR / 2);
    let command = ca.renew(2, 10, &wants(&name(2), tools(8)));
    ca.accepted(&command);
    let grant = ca.grant(10);
    assert_eq!((grant.validity_seconds, grant.score), (1800, Score::new(44).unwrap()));
    ca.certified(10);
    assert_eq!(ca.record(10).not_after, ca.record(1).not_after);
    let asked = Application { validity_seconds: Some(1801), ..wants(&name(2), tools(8)) };
    let command = ca.renew(10, 11, &asked);
    assert_eq!(ca.reasons(&command)[0].rule.as_deref(), Some("notAfter"));
}

#[test]
fn terms_are_the_parents_to_set() {
    let mut ca = Ca::with_root();
    let strict = Application { terms: Some(terms(Some(2))), ..wants(&name(2), tools(8)) };
    ca.delegated(1, 2, &strict);
    let looser = Application { terms: Some(terms(Some(5))), ..strict.clone() };
    let command = ca.renew(2, 3, &looser);
    assert_eq!(ca.reasons(&command)[0].code, ReasonCode::Principal);
    let command = ca.renew(2, 3, &strict);
    ca.accepted(&command);
    assert_eq!(ca.grant(3).delegation.unwrap().max_depth, 2);
}

#[test]
fn what_was_revoked_does_not_renew() {
    let mut ca = Ca::with_line(3);
    ca.revoked(&revoke(&name(2)));
    for (n, word) in [(2, "keyCompromise"), (3, "together with")] {
        let command = ca.renew(n, 10, &wants(&name(n), tools(8)));
        match ca.refusal(&command) {
            Refusal::Unauthorized(why) => assert!(why.contains("was revoked at") && why.contains(word), "{why}"),
            other => panic!("{other}"),
        }
    }
    // Those that come back do not bring their old certificates along.
    ca.now = ca.now.saturating_add(1);
    ca.delegated(1, 11, &wants(&name(3), tools(8)));
    let command = ca.renew(3, 12, &wants(&name(3), tools(8)));
    assert!(matches!(ca.refusal(&command), Refusal::Unauthorized(why) if why.contains("revoked")));
}
