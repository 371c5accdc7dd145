//! An agent hands rights on (draft 9.2).

use super::rig::{Ca, approve, enrol, id, precertify, serial};
use super::tree::{ROOT, name, publish, revoke, root, terms, tools, uri, wants};
use crate::apki::attenuation::Mode;
use crate::apki::delegation::{AttenuationRules, Delegation};
use crate::apki::trust_score::Score;
use crate::ca::application::{Application, DelegationTerms};
use crate::ca::authority::Refusal;
use crate::ca::command::Command;
use crate::ca::event::Actor;
use crate::ca::policy::ApprovalRule;
use crate::ca::record::ReasonCode;
use crate::ca::request::{Credential, EngineScore, RequestState};
use crate::ca::testing::{HOUR, NOW, principal};

fn score(n: u8) -> Score {
    Score::new(n).unwrap()
}

#[test]
fn a_child_stands_below_its_parents_certificate() {
    let mut ca = Ca::with_root();
    ca.now = NOW.saturating_add(600_000);
    let asked = Application { terms: Some(terms(Some(3))), ..wants(&name(2), tools(3)) };
    let command = ca.delegate(1, 2, &asked);
    let decision = ca.decide(&command);
    let credential = Credential::Parent(serial(1));
    assert_eq!(decision.by, Actor::Requester { credential, source: "192.0.2.1".into() });
    assert_eq!(decision.verdict, Ok(Some(id(2))));
    let grant = ca.grant(2);
    // The parent's 45 points are 44 after ten minutes, since what is left is rounded down.
    assert_eq!((grant.score.get(), grant.inputs.total().get()), (44, 45));
    assert_eq!((grant.parent, grant.ends_by), (Some(serial(1)), Some(NOW.saturating_add(HOUR))));
    assert_eq!(grant.validity_seconds, 3000);
    let human_principal = ca.root_human();
    assert!(human_principal.is_some());
    let rules = AttenuationRules::default();
    let parent_cert_hash = ca.fingerprint(1);
    assert_eq!(grant.delegation, Some(Delegation { parent_cert_hash, depth: 1, max_depth: 3, rules, human_principal }));
    ca.certified(2);
    let record = ca.record(2);
    assert_eq!((record.parent, record.enrolment, record.published_at), (Some(serial(1)), id(2), Some(ca.now)));
    assert_eq!((ca.agent(ROOT).children, ca.agent(&name(2)).parent.clone()), (1, Some(uri(ROOT))));
    assert_eq!(ca.agent(&name(2)).live.len(), 1);
}

impl Ca {
    fn root_human(&self) -> Option<crate::apki::extension::Text> {
        let octets = self.record(1).issued().unwrap().certificate.0.clone();
        crate::apki::Certificate::parse(octets).unwrap().delegation().unwrap().unwrap().human_principal
    }
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut ca = Ca::with_root();
    let asked = wants(&name(2), tools(2));
    let (first, again) = (ca.delegate(1, 2, &asked), ca.delegate(1, 3, &asked));
    assert_eq!(ca.run(&first), "request_received");
    assert_eq!(ca.decide(&again).verdict, Ok(Some(id(2))));
    ca.certified(2);
    assert_eq!(ca.decide(&again).verdict, Ok(Some(id(2))));
    let other = ca.delegate(1, 3, &wants(&name(2), tools(1)));
    assert_eq!(ca.run(&other), "request_received");
    ca.now = ca.now.saturating_add(60_000);
    let later = ca.delegate(1, 4, &asked);
    assert_eq!(ca.accepted(&later), Some(id(4)));
}

#[test]
fn who_is_not_who_it_says_delegates_nothing() {
    let mut ca = Ca::with_root();
    let asked = wants(&name(2), tools(2));
    let mut wrong = ca.delegate(1, 2, &asked);
    if let Command::Delegate { fingerprint, .. } = &mut wrong {
        fingerprint[0] ^= 1;
    }
    let unknown = ca.delegate(9, 2, &asked);
    let good = ca.delegate(1, 2, &asked);
    assert_eq!((ca.run(&wrong), ca.run(&unknown)), ("unauthorized", "unauthorized"));
    ca.outlive();
    assert!(matches!(ca.refusal(&good), Refusal::Unauthorized(why) if why.contains("ended at")));
}

#[test]
fn a_parent_that_enrolled_anew_delegates_with_its_new_certificate() {
    let mut ca = Ca::with_root();
    let early = ca.delegate(1, 3, &wants(&name(3), tools(2)));
    ca.accepted(&early);
    ca.enrolled_and_published(50, 2, &root(tools(8)));
    let old = ca.delegate(1, 4, &wants(&name(4), tools(2)));
    assert!(matches!(ca.refusal(&old), Refusal::Unauthorized(why) if why.contains("anew")));
    // Nor does what the old one asked for come to anything.
    let command = ca.to_precertify(3);
    assert_eq!(ca.run(&command), "unauthorized, request_closed");
    ca.delegated(2, 5, &wants(&name(5), tools(2)));
}

#[test]
fn says_everything_that_speaks_against_a_child_at_once() {
    let mut ca = Ca::with_root();
    ca.policy.delegation.max_children = 0;
    let foreign = Application {
        principal: Some(principal("Bob")),
        validity_seconds: Some(7200),
        terms: Some(DelegationTerms {
            max_depth: Some(9),
            rules: AttenuationRules { capabilities_subset: false, ..AttenuationRules::default() },
        }),
        ..wants("agent://bank.example.com/kyc/bot/1", tools(9))
    };
    let command = ca.delegate(1, 2, &foreign);
    let reasons = ca.reasons(&command);
    let codes: Vec<ReasonCode> = reasons.iter().map(|reason| reason.code).collect();
    use ReasonCode as R;
    let attenuation = [R::Attenuation; 4];
    assert_eq!(codes[..3], [R::AgentUri, R::Delegation, R::Principal]);
    assert_eq!(codes[3..], attenuation);
    let rules: Vec<String> = reasons.into_iter().filter_map(|reason| reason.rule).collect();
    assert_eq!(rules, ["subsetFalse", "maxDepthRaised", "notAfter", "toolUri"]);
    ca.policy.delegation.same_org = false;
    assert_eq!(ca.reasons(&command)[0].code, R::Delegation);
}

#[test]
fn strictly_less_has_to_be_said() {
    let mut ca = Ca::with_root();
    let all = Application { capabilities: None, ..wants(&name(2), tools(0)) };
    ca.policy.delegation.mode = Mode::Strict;
    assert_eq!(ca.rules(1, &wants(&name(2), tools(8))), ["notStrict"]);
    let command = ca.delegate(1, 2, &all);
    let reasons = ca.reasons(&command);
    assert_eq!((reasons.len(), reasons[0].code), (1, ReasonCode::Capability));
    ca.policy.delegation.mode = Mode::Subset;
    ca.accepted(&command);
    assert_eq!(ca.grant(2).capabilities, tools(8));
}

#[test]
fn without_a_human_nothing_is_handed_on() {
    let mut ca = Ca::of_trees();
    ca.enrolled_and_published(1, 1, &wants(ROOT, tools(8)));
    let reasons = {
        let command = ca.delegate(1, 2, &wants(&name(2), tools(2)));
        ca.reasons(&command)
    };
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].code == ReasonCode::Delegation && reasons[0].detail.contains("no human"));
}

#[test]
fn a_score_is_capped_by_all_above_and_by_the_engine() {
    let mut ca = Ca::with_root();
    let rules = AttenuationRules { max_trust_score: Some(score(41)), ..AttenuationRules::default() };
    let strict = Application { terms: Some(DelegationTerms { max_depth: None, rules }), ..wants(&name(2), tools(8)) };
    ca.delegated(1, 2, &strict);
    assert_eq!(ca.record(2).score, score(45));
    ca.delegated(2, 3, &wants(&name(3), tools(8)));
    ca.delegated(3, 4, &wants(&name(4), tools(8)));
    assert_eq!((ca.record(3).score, ca.record(4).score), (score(41), score(41)));
    let engine = |n| Some(EngineScore { score: score(n), as_of: NOW.saturating_sub(1000) });
    let with = |ca: &Ca, request, own, above| {
        let mut command = ca.delegate(1, request, &wants(&name(request), tools(8)));
        if let Command::Delegate { engine, parent_engine, .. } = &mut command {
            (*engine, *parent_engine) = (own, above);
        }
        command
    };
    let command = with(&ca, 5, engine(90), engine(43));
    ca.accepted(&command);
    assert_eq!((ca.grant(5).score, ca.grant(5).scored_at), (score(43), NOW.saturating_sub(1000)));
    let command = with(&ca, 6, engine(30), None);
    ca.accepted(&command);
    assert_eq!(ca.grant(6).score, score(30));
    let command = with(&ca, 7, engine(19), None);
    assert!(ca.reasons(&command)[0].detail.contains("trust engine"));
    let command = with(&ca, 7, None, engine(39));
    assert!(ca.reasons(&command)[0].detail.contains("39"));
    // The parent's own certificate fades, too: 45 points are 39 after more than five hours.
    ca.enrolled_and_published(50, 8, &Application { validity_seconds: Some(86_400), ..root(tools(8)) });
    ca.now = ca.now.saturating_add(5 * HOUR + 1);
    let command = ca.delegate(8, 9, &wants(&name(9), tools(8)));
    let reasons = ca.reasons(&command);
    assert_eq!((reasons.len(), reasons[0].code), (1, ReasonCode::Delegation));
}

#[test]
fn nobody_outlives_its_parent() {
    let mut ca = Ca::with_root();
    assert_eq!(ca.rules(1, &Application { validity_seconds: Some(3601), ..wants(&name(2), tools(8)) }), ["notAfter"]);
    ca.now = NOW.saturating_add(HOUR - 300_000);
    let just = Application { validity_seconds: Some(300), ..wants(&name(2), tools(8)) };
    let command = ca.delegate(1, 2, &just);
    ca.accepted(&command);
    ca.now = ca.now.saturating_add(1);
    let late = ca.delegate(1, 3, &wants(&name(3), tools(8)));
    let reasons = ca.reasons(&late);
    assert!(reasons.len() == 1 && reasons[0].detail.contains("the parent has to renew first"), "{reasons:?}");
    // A certificate that was signed longer than was granted is none.
    let mut longer = ca.to_precertify(2);
    if let Command::Precertify { not_after, .. } = &mut longer {
        *not_after = not_after.saturating_add(1000);
    }
    assert_eq!(ca.run(&longer), "unauthorized, request_closed");
}

#[test]
fn a_child_waits_for_an_operator_where_an_enrolment_would() {
    let mut ca = Ca::with_root();
    ca.policy.approval = ApprovalRule::Always;
    let command = ca.delegate(1, 2, &wants(&name(2), tools(8)));
    ca.accepted(&command);
    assert_eq!(ca.request(2).state.name(), "pending");
    ca.now = ca.now.saturating_add(1_800_000);
    // By then the parent has less than was granted, and so has the child.
    assert_eq!(ca.run(&approve(2)), "request_approved");
    match &ca.request(2).state {
        RequestState::Ready { grant } => assert_eq!((grant.score, grant.scored_at), (score(44), ca.now)),
        other => panic!("{other:?}"),
    }
    ca.certified(2);
    assert_eq!(ca.record(2).not_after, NOW.saturating_add(HOUR));
}

#[test]
fn a_certificate_is_published_before_anybody_is_below_it() {
    let mut ca = Ca::of_trees();
    assert_eq!(ca.run(&enrol(1, 1, &root(tools(8)))), "request_received");
    let command = ca.to_precertify(1);
    assert_eq!(ca.run(&command), "precertificate_signed");
    assert_eq!(ca.run(&publish(1)), "conflict");
    let command = ca.to_issue(1);
    assert_eq!(ca.run(&command), "certificate_issued");
    let command = ca.delegate(1, 2, &wants(&name(2), tools(8)));
    ca.accepted(&command);
    let command = ca.to_precertify(2);
    assert_eq!(ca.run(&command), "conflict");
    assert_eq!(ca.request(2).state.name(), "ready");
    assert_eq!(ca.run(&Command::Publish { serial: serial(1), logs: Vec::new() }), "conflict");
    assert_eq!(
        (ca.run(&publish(1)), ca.run(&publish(1)), ca.run(&publish(9))),
        ("certificate_published", "-", "not found")
    );
    ca.certified(2);
}

#[test]
fn children_are_counted_once() {
    let mut ca = Ca::with_root();
    ca.policy.delegation.max_children = 2;
    for n in 2..=4 {
        let command = ca.delegate(1, n, &wants(&name(n), tools(8)));
        ca.accepted(&command);
    }
    ca.certified(2);
    // The same child once more, with another key perhaps: it is no other.
    ca.delegated(1, 5, &wants(&name(2), tools(7)));
    ca.certified(3);
    assert_eq!(ca.agent(ROOT).children, 2);
    // Of those that were on their way together the third finds no room.
    let command = ca.to_precertify(4);
    assert_eq!(ca.run(&command), "unauthorized, request_closed");
    let command = ca.delegate(1, 6, &wants(&name(6), tools(8)));
    assert!(ca.reasons(&command)[0].detail.contains("2 children"));
}

#[test]
fn an_agent_has_so_many_certificates_at_a_time() {
    let mut ca = Ca::with_line(2);
    ca.policy.max_live = 2;
    ca.delegated(1, 3, &wants(&name(2), tools(7)));
    let command = ca.delegate(1, 4, &wants(&name(2), tools(6)));
    assert_eq!(ca.run(&command), "conflict");
    let command = ca.renew(3, 4, &wants(&name(2), tools(7)));
    assert_eq!(ca.run(&command), "conflict");
    ca.now = ca.now.saturating_add(HOUR + 1);
    ca.enrolled_and_published(50, 5, &root(tools(8)));
    ca.delegated(5, 6, &wants(&name(2), tools(6)));
    assert_eq!(ca.agent(&name(2)).live.len(), 1);
}

#[test]
fn an_agent_moves_when_nothing_of_it_is_left() {
    let mut ca = Ca::with_line(3);
    let moved = wants(&name(3), tools(4));
    // It has a certificate below 2: neither the root nor a token takes it from there.
    let command = ca.delegate(1, 4, &moved);
    assert!(ca.reasons(&command)[0].detail.contains(&format!("below {}", name(2))));
    for token in [4, 54] {
        let reasons = match ca.refusal(&enrol(token, 4, &moved)) {
            Refusal::Refused(reasons) => reasons.0,
            other => panic!("{other}"),
        };
        assert_eq!((reasons.len(), reasons[0].code), (1, ReasonCode::Delegation));
    }
    ca.outlive();
    ca.enrolled_and_published(5, 5, &root(tools(8)));
    assert_eq!(ca.agent(&name(2)).children, 1);
    ca.delegated(5, 6, &moved);
    assert_eq!((ca.agent(&name(2)).children, ca.agent(ROOT).children), (0, 2));
    assert_eq!(ca.agent(&name(3)).parent, Some(uri(ROOT)));
    // Its own authority keeps an agent where it is as much as a parent's.
    ca.enrolled_and_published(7, 7, &wants(&name(7), tools(8)));
    let command = ca.delegate(5, 8, &wants(&name(7), tools(8)));
    assert!(ca.reasons(&command)[0].detail.contains("of its own"));
}

#[test]
fn two_parents_at_once_get_one_child_between_them() {
    let mut ca = Ca::with_line(3);
    let (first, second) =
        (ca.delegate(2, 4, &wants(&name(9), tools(4))), ca.delegate(3, 5, &wants(&name(9), tools(4))));
    ca.accepted(&first);
    ca.accepted(&second);
    assert_eq!(ca.run(&enrol(6, 6, &wants(&name(9), tools(4)))), "request_received");
    for n in [4, 5, 6] {
        let command = ca.to_precertify(n);
        assert_eq!(ca.run(&command), "precertificate_signed");
    }
    let (command, late, own) = (ca.to_issue(4), ca.to_issue(5), ca.to_issue(6));
    assert_eq!(ca.run(&command), "certificate_issued");
    assert_eq!((ca.run(&late), ca.run(&own)), ("unauthorized, abandoned, closed", "unauthorized, abandoned, closed"));
    assert_eq!((ca.agent(&name(2)).children, ca.agent(&name(3)).children), (2, 0));
}

#[test]
fn nobody_is_its_own_ancestor() {
    let mut ca = Ca::with_line(3);
    let itself = ca.delegate(3, 4, &wants(&name(3), tools(2)));
    assert!(ca.reasons(&itself)[0].detail.contains("to itself"));
    for above in [ROOT, &name(2)] {
        let command = ca.delegate(3, 4, &wants(above, tools(2)));
        let reasons = ca.reasons(&command);
        assert!(reasons.iter().any(|reason| reason.detail.contains("in the line of delegation")), "{reasons:?}");
    }
}

#[test]
fn a_cycle_does_not_come_about_by_waiting_either() {
    let mut ca = Ca::with_line(2);
    // The child would take an agent below it that is nobody yet, and which gets above the root meanwhile.
    let asked = ca.delegate(2, 3, &wants(&name(9), tools(2)));
    ca.accepted(&asked);
    let human = Application { principal: Some(principal("Ann")), ..wants(&name(9), tools(8)) };
    ca.enrolled_and_published(4, 4, &human);
    let root_below = ca.delegate(4, 5, &wants(ROOT, tools(8)));
    assert!(ca.reasons(&root_below)[0].detail.contains("of its own"));
    let command = ca.to_precertify(3);
    assert_eq!(ca.run(&command), "unauthorized, request_closed");
}

#[test]
fn who_was_revoked_itself_comes_back_with_a_token_only() {
    let mut ca = Ca::with_line(4);
    assert_eq!(ca.revoked(&revoke(&name(3))).len(), 2);
    let itself = ca.delegate(2, 5, &wants(&name(3), tools(8)));
    assert!(ca.reasons(&itself)[0].detail.contains("an operator's token"));
    // The other was taken along, and may come back below somebody else.
    ca.now = ca.now.saturating_add(1);
    ca.delegated(2, 6, &wants(&name(4), tools(8)));
    assert_eq!((&ca.agent(&name(4)).revoked, ca.agent(&name(3)).children), (&None, 0));
    let asked = wants(&name(3), tools(8));
    assert_eq!(ca.run(&enrol(7, 7, &asked)), "request_received");
    assert_eq!(ca.request(7).state.name(), "pending");
    ca.enrolled_and_published(57, 8, &asked);
    assert_eq!(ca.agent(&name(3)).revoked, None);
}

#[test]
fn strangers_terms_and_principals_are_said_where_they_belong() {
    let mut ca = Ca::with_root();
    let application = Application { terms: Some(terms(Some(1))), ..wants(&name(2), tools(8)) };
    assert_eq!(ca.run(&enrol(2, 2, &application)), "refused");
}

#[test]
fn what_was_signed_is_read_before_it_counts() {
    let mut ca = Ca::with_root();
    let command = ca.delegate(1, 2, &wants(&name(2), tools(8)));
    ca.accepted(&command);
    // Octets that are no certificate.
    assert_eq!(ca.run(&precertify(2, 2)), "unauthorized, request_closed");
}
