//! The answer itself: what it says, until when it holds, and that no input upsets it.

use proptest::prelude::*;

use super::rig::*;
use crate::apki::Certificate;
use crate::apki::chain::Anchors;
use crate::apki::federation::mapping::{Numbers, Step};
use crate::apki::federation::{ScoreMapping, TrustDomain};
use crate::apki::trust_score::TrustTier;
use crate::time::UnixMillis;
use crate::verify::relying::*;

#[test]
fn an_acceptance_says_who_and_for_whom_and_until_when() {
    let mut world = World::delegated();
    world.operation = Some(payment(5_000, "GBP"));
    let accepted = world.accepted();
    assert_eq!(accepted.agent.as_str(), "agent://example.com/retail/teller/1");
    assert_eq!(accepted.parents, [uri("agent://example.com/retail/lead/1")]);
    assert_eq!(accepted.human_principal, Some(text("sha256:00")));
    assert_eq!((accepted.score, accepted.tier(), accepted.minimum), (points(59), TrustTier::Standard, points(40)));
    assert_eq!(accepted.good_until, after(60), "the certificate ends first");
    let rights: Vec<&str> = accepted.grant.as_ref().unwrap().rights.iter().map(|(who, _)| who.as_str()).collect();
    assert_eq!(rights, ["agent://example.com/retail/teller/1", "agent://example.com/retail/lead/1"]);
    let json = serde_json::to_value(Verdict::Accepted(Box::new(accepted))).unwrap();
    assert_eq!(json["verdict"], "accept");
    assert_eq!(json["tier"], "standard");
    assert_eq!(json["operation"]["spend"]["amount"], 5_000);
}

#[test]
fn a_refusal_says_each_reason_with_its_rule_and_what_would_help() {
    let mut world = World::new();
    world.agent.sats = vec![(LOG_A, START)];
    world.now = after(61);
    world.operation = Some(call("https://elsewhere.example/", ""));
    let verdict = world.decide(Effort::Whole);
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["verdict"], "refuse");
    assert_eq!(json["claims"], "agent://example.com/retail/teller/1");
    let codes: Vec<_> = json["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].clone()).collect();
    assert_eq!(codes, ["profile.expired", "capability.tool", "sat.operators"]);
    for reason in json["reasons"].as_array().unwrap() {
        assert!(["detail", "rule", "help"].iter().all(|member| !reason[member].as_str().unwrap().is_empty()));
        assert_eq!(reason["certificate"], "agent");
    }
    // With bounded effort no signature is looked at once somebody is refused.
    let codes: Vec<Code> = world.decide(Effort::Bounded).reasons().iter().map(|reason| reason.code).collect();
    assert_eq!(codes, [Code::Expired, Code::Tool]);
}

#[test]
fn a_verdict_ends_when_the_score_falls_below_the_minimum() {
    let mut world = World::new();
    world.party.policy.minimum = points(69);
    // 70 points lose 2 an hour, rounded down: the first moment is already too late, and 30 minutes in, 69 are left.
    let until = world.accepted().good_until;
    assert!(until <= after(31) && until > after(29), "{until}");
    world.now = until.saturating_sub(1);
    assert_eq!(world.codes(), []);
    world.now = until;
    assert_eq!(world.codes(), [Code::ScoreTooLow]);
}

#[test]
fn scores_of_another_domain_count_as_its_mapping_says() {
    let mapping = |table: &[(u8, u8)], offset| {
        let table = table.iter().map(|(from, to)| Step { from: points(*from), to: points(*to) }).collect();
        ScoreMapping::new(Numbers { table, offset, ..Numbers::default() }).unwrap()
    };
    let under = |mapping: ScoreMapping, minimum: u8| {
        let mut world = World::new();
        let trusted = Trusted::Bundle(bundle(|members| members.minimum = points(minimum)));
        let domain = Domain { trusted, mapping, minimum: points(45) };
        world.party.domains = Domains::new([(TrustDomain::parse("example.com").unwrap(), domain)]);
        world
    };
    assert_eq!(under(mapping(&[], -10), 0).accepted().score, points(59));
    assert_eq!(under(mapping(&[], -25), 0).codes(), [Code::ScoreTooLow], "44 are below the domain's 45");
    assert_eq!(under(mapping(&[(60, 50), (80, 60)], 0), 0).accepted().score, points(50));
    assert_eq!(under(mapping(&[], 0), 70).codes(), [Code::ScoreTooLow], "the bundle's own minimum");
    assert_eq!(under(mapping(&[], 0), 69).accepted().minimum, points(69));
}

#[test]
fn what_was_examined_once_is_judged_at_any_time_with_the_same_result() {
    let mut world = World::delegated();
    world.operation = Some(payment(5_000, "GBP"));
    let examination = world.party.examine(world.presented());
    assert_eq!(examination.claims(), Some(&uri("agent://example.com/retail/teller/1")));
    for minutes in [0, 5, 59, 60, 61, 600] {
        world.now = after(minutes);
        assert_eq!(world.party.judge(&examination, &world.request()), world.decide(Effort::Whole), "{minutes}");
    }
    // The agent, its parent, and the CA that both stand below.
    let questionable = examination.questionable();
    assert_eq!(questionable.iter().map(|q| q.is_ca).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(questionable[2].issuer, &root());
}

#[test]
fn a_line_may_be_as_long_as_the_policy_says_and_the_work_stays_bounded() {
    let mut world = World::delegated();
    world.agent.capabilities = Some(vec![capability(ACCOUNTS, "accounts")]);
    let lead = world.parents[0].clone();
    world.parents.clear();
    for depth in (0..MAX_DEPTH).rev() {
        let mut parent = lead.clone();
        parent.uri = format!("agent://example.com/retail/lead/{depth}");
        parent.capabilities = world.agent.capabilities.clone();
        parent.delegation().depth = depth;
        parent.delegation().max_depth = MAX_DEPTH;
        world.parents.push(parent);
    }
    world.agent.delegation().depth = MAX_DEPTH;
    world.agent.delegation().max_depth = MAX_DEPTH;
    world.party.policy.max_depth = u8::MAX;
    assert_eq!(world.codes(), []);
    world.party.policy.max_depth = MAX_DEPTH - 1;
    assert_eq!(world.codes(), [Code::TooDeep]);
    // Each with as many timestamps as fit: more signatures than are worth it.
    world.party.policy.max_depth = MAX_DEPTH;
    for parent in &mut world.parents {
        parent.change_sats = |sats| {
            let (good, bad) = (sats.clone(), sats.clone());
            *sats = bad.into_iter().chain(good.clone()).chain(good).collect();
            sats.iter_mut().take(4).for_each(|sat| sat.signature[0] ^= 1);
        };
    }
    assert!(world.codes().contains(&Code::ChainBudget));
}

#[test]
fn parents_are_found_in_any_order() {
    let mut world = World::delegated();
    let mut middle = world.parents[0].clone();
    middle.uri = "agent://example.com/retail/clerk/1".into();
    middle.delegation().depth = 1;
    middle.delegation().human_principal = None;
    world.parents.insert(0, middle);
    world.agent.delegation().depth = 2;
    world.change = |presented| presented.parents.reverse();
    assert_eq!(world.codes(), []);
    assert_eq!(world.accepted().parents.len(), 2);
}

#[test]
fn log_lists_have_each_log_once() {
    let list = |logs: Vec<TrustedLog>| LogList::new(logs).unwrap_err();
    assert!(matches!(list(vec![log(1, "A"), log(1, "B")]), LogListError::SameKey(..)));
    let named = |seed| TrustedLog { origin: Some("log.example.com/1".parse().unwrap()), ..log(seed, "A") };
    assert!(matches!(list(vec![named(1), named(2)]), LogListError::SameOrigin(..)));
}

fn parsed(der: Vec<u8>) -> Option<Certificate> {
    Certificate::parse(der).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// No octet of the agent's certificate, of its parent's, or of their CA's can be changed.
    #[test]
    fn no_bit_of_what_is_presented_can_be_changed(which in 0usize..3, place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let world = World::delegated();
        let mut presented = world.presented();
        let link = if which == 1 { &mut presented.parents[0] } else { &mut presented.agent };
        let target = if which == 2 { &mut link.issuers[0] } else { &mut link.certificate };
        let mut der = target.der().to_vec();
        let place = place.index(der.len());
        der[place] ^= 1 << bit;
        if let Some(changed) = parsed(der) {
            *target = changed;
            let verdict = world.party.decide(presented, &world.request(), Effort::Whole);
            prop_assert!(!verdict.is_accepted(), "{verdict:?}");
        }
    }

    #[test]
    fn no_octets_upset_the_reader(ders in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
        let world = World { raw: Some(ders), ..World::new() };
        prop_assert!(!world.decide(Effort::Whole).is_accepted());
    }

    /// Whoever is accepted is so at every moment before the verdict ends.
    #[test]
    fn a_verdict_holds_until_it_says(minutes in 0u64..60, minimum in 20u8..70, later in 0u64..60) {
        let mut world = World::new();
        world.now = after(minutes);
        world.party.policy.minimum = points(minimum);
        if let Verdict::Accepted(accepted) = world.decide(Effort::Whole) {
            let until: UnixMillis = accepted.good_until;
            world.now = after(minutes + later).min(until.saturating_sub(1)).max(world.now);
            prop_assert!(world.decide(Effort::Whole).is_accepted());
        }
    }
}

#[test]
fn own_roots_and_bundles_are_two_sources_of_the_same_trust() {
    let mut world = World::new();
    world.trust(Trusted::Bundle(bundle(|_| {})));
    assert_eq!(world.codes(), []);
    world.trust(Trusted::Bundle(bundle(|members| members.issued_at = moment(after(7)))));
    assert_eq!(world.codes(), [Code::Bundle]);
    // A bundle of another domain in this one's place.
    let other = bundle(|members| members.domain = TrustDomain::parse("example.org").unwrap());
    world.trust(Trusted::Bundle(other));
    assert_eq!(world.codes(), [Code::Bundle]);
    world.trust(Trusted::Roots(Anchors::new([org()]).unwrap()));
    assert_eq!(world.codes(), [], "an intermediate may be the anchor");
}
