//! Rules about certificates, and fraud proofs of delegations.

use atl::apki::attestation::AttestationMethod;
use atl::apki::precertificate::extension_der;
use atl::apki::trust_score::TrustScore;
use atl::apki::{AgentExtension, oid};

use super::super::testing::agents::{
    Agent, HOUR, Key, MINUTE, Profile, SCOPE, TOOL, World, capabilities, capability, delegation, finish, moment,
    precertificate, score,
};
use super::super::testing::{NOW, TestLog, outcome};
use super::super::{Exhibit, Terms, Verdict};
use crate::finding::Class;

fn says(exhibit: &Exhibit, verdict: Verdict, word: &str) {
    let outcome = outcome(exhibit);
    assert_eq!(outcome.verdict(), verdict, "{outcome:?}");
    assert!(outcome.says().contains(word), "{word:?} in {outcome:?}");
}

/// The case that a log holds these certificates.
fn held(class: Class, agents: &[&Agent]) -> Exhibit {
    let log = TestLog::new(1);
    let certificates = agents.iter().map(|agent| log.holds(agent.certificate.der(), NOW.get())).collect();
    Exhibit { certificates, ..log.exhibit(class) }
}

fn terms(domain: &str, organization: &str, max_score: u8) -> Option<Terms> {
    Some(Terms {
        trust_domains: vec![domain.into()],
        organizations: vec![organization.into()],
        max_score: Some(max_score),
    })
}

/// A profile whose agentTrustScore is these octets.
fn raw_score(der: Vec<u8>) -> Profile {
    let extension = extension_der(&oid::AGENT_TRUST_SCORE, false, &der);
    Profile { score: None, more: vec![extension], ..Profile::new("odd", 0) }
}

fn wrong_tier(mut der: Vec<u8>) -> Vec<u8> {
    let tier = der.windows(2).position(|pair| pair == [0x0a, 0x01]).unwrap() + 2;
    der[tier] = 4;
    der
}

fn score_der(score: &TrustScore) -> Vec<u8> {
    score.to_der().unwrap()
}

#[test]
fn good_certificates_break_no_rule() {
    let world = World::new();
    let agent = world.agent(&Profile::new("good", 50).principal());
    for class in [
        Class::TierMismatch,
        Class::MalformedExtension,
        Class::ValidityOutOfBounds,
        Class::ScoreAbovePolicy,
        Class::ForeignOrganization,
        Class::UndelegatedOrganization,
        Class::Unauthorised,
        Class::DelegationExpanded,
    ] {
        let exhibit = Exhibit { terms: terms("other.example", "someone", 50), ..held(class, &[&agent]) };
        assert_eq!(outcome(&exhibit).verdict(), Verdict::NotProven, "{class}");
        assert_eq!(outcome(&held(class, &[])).verdict(), Verdict::NotProven, "{class}");
    }
}

#[test]
fn a_tier_that_is_not_the_scores() {
    let world = World::new();
    let agent = world.agent(&raw_score(wrong_tier(score_der(&score(50, 0)))));
    says(&held(Class::TierMismatch, &[&agent]), Verdict::Proven, "a score of 50 is not in the tier full");
    says(&held(Class::MalformedExtension, &[&agent]), Verdict::Proven, "agentTrustScore: a score of 50");
}

#[test]
fn extensions_that_do_not_decode() {
    let world = World::new();
    let mut der = score_der(&score(50, 0));
    der.push(0);
    let agent = world.agent(&raw_score(der));
    says(&held(Class::MalformedExtension, &[&agent]), Verdict::Proven, "agentTrustScore");
    says(&held(Class::TierMismatch, &[&agent]), Verdict::NotProven, "trust tier");
    says(&held(Class::ScoreAbovePolicy, &[&agent]), Verdict::NotProven, "does not say");

    let log = TestLog::new(1);
    let certificates = vec![log.holds(b"no certificate at all", 5)];
    let exhibit = Exhibit { certificates, ..log.exhibit(Class::MalformedExtension) };
    says(&exhibit, Verdict::Proven, "not strict DER");
    says(&Exhibit { class: Class::TierMismatch, ..exhibit }, Verdict::NotProven, "does not parse");
}

#[test]
fn extensions_that_must_be_refused() {
    let world = World::new();
    let says = |profile: &Profile, word| {
        says(&held(Class::MalformedExtension, &[&world.agent(profile)]), Verdict::Proven, word);
    };
    let good = Profile::new("good", 50);
    says(&Profile { uri: "agent://Upper.example/a/b/c".into(), ..good.clone() }, "subjectAltName");
    let critical = extension_der(&oid::AGENT_TRUST_SCORE, true, &score_der(&score(50, 0)));
    says(&Profile { score: None, more: vec![critical], ..good.clone() }, "agentTrustScore is critical");
    let ca = extension_der(&oid::BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xff]);
    says(&Profile { more: vec![ca], ..good.clone() }, "is a CA's as well");
    let ahead = TrustScore { last_updated: moment(NOW.saturating_add(2 * MINUTE)), ..score(50, 0) };
    says(&Profile { score: Some(ahead), ..good.clone() }, "lastUpdated is");
    let attested = Profile { attestation: Some(AttestationMethod::SelfDeclared), capabilities: None, ..good.clone() };
    says(&attested, "declaredCapabilitiesHash");

    // Timestamps over another certificate.
    let (one, other) = (Key::ed25519(90), Key::ed25519(91));
    let [one, other] = [one, other].map(|key| precertificate(&good.draft(&key, &world.ca), &world.ca.key));
    let crossed = finish(&one, world.stamps(&other, NOW), &world.ca.key);
    let log = TestLog::new(1);
    let certificates = vec![log.holds(crossed.der(), NOW.get())];
    let exhibit = Exhibit { certificates, ..log.exhibit(Class::MalformedExtension) };
    super::certificates::says(&exhibit, Verdict::Proven, "a timestamp is over certificate hash");
}

#[test]
fn a_score_beside_a_wrong_tier_is_a_score() {
    let world = World::new();
    let agent = world.agent(&raw_score(wrong_tier(score_der(&score(50, 0)))));
    let exhibit = Exhibit { terms: terms("a.example", "o", 49), ..held(Class::ScoreAbovePolicy, &[&agent]) };
    says(&exhibit, Verdict::Proven, "its score is 50");
}

#[test]
fn validity_is_five_minutes_to_a_day() {
    let world = World::new();
    let valid = |millis: u64| {
        let mut profile = Profile::new("short", 50);
        profile.not_after = profile.not_before.saturating_add(millis);
        outcome(&held(Class::ValidityOutOfBounds, &[&world.agent(&profile)])).verdict()
    };
    assert_eq!(valid(5 * MINUTE), Verdict::NotProven);
    assert_eq!(valid(5 * MINUTE - 1000), Verdict::Proven);
    assert_eq!(valid(24 * HOUR), Verdict::NotProven);
    assert_eq!(valid(24 * HOUR + 1000), Verdict::Proven);
    let mut profile = Profile::new("backwards", 50);
    profile.not_after = profile.not_before.saturating_sub(HOUR);
    says(&held(Class::ValidityOutOfBounds, &[&world.agent(&profile)]), Verdict::Proven, "it is valid from");
}

#[test]
fn what_the_owner_asks_for() {
    let world = World::new();
    let agent = world.agent(&Profile::new("one", 50));
    let of = |class, terms| Exhibit { terms, ..held(class, &[&agent]) };
    says(&of(Class::ScoreAbovePolicy, terms("a.example", "o", 49)), Verdict::Proven, "its score is 50");
    says(&of(Class::ScoreAbovePolicy, terms("a.example", "o", 50)), Verdict::NotProven, "not above 50");
    says(&of(Class::ScoreAbovePolicy, None), Verdict::NotProven, "does not say what the owner");

    let foreign = |domain, organization| of(Class::ForeignOrganization, terms(domain, organization, 0));
    says(&foreign("owner.example", "ORG"), Verdict::Proven, "in the trust domain agents.example");
    says(&foreign("ents.example", "org"), Verdict::Proven, "in the trust domain agents.example");
    says(&foreign("agents.example", "org"), Verdict::NotProven, "one of the owner's");
    says(&foreign("example", "org"), Verdict::NotProven, "below one");
    says(&foreign("owner.example", "other"), Verdict::NotProven, "none of the owner's organisations");

    let undelegated = of(Class::UndelegatedOrganization, terms("agents.example", "org", 0));
    says(&undelegated, Verdict::Proven, "has no agentDelegation");
    let delegated = world.agent(&Profile::new("two", 50).principal());
    let exhibit = held(Class::UndelegatedOrganization, &[&delegated]);
    says(&Exhibit { terms: undelegated.terms, ..exhibit }, Verdict::NotProven, "has a delegation");

    says(&of(Class::Unauthorised, terms("agents.example", "o", 0)), Verdict::Proven, "for the owner to say");
    says(&of(Class::Unauthorised, terms("owner.example", "o", 0)), Verdict::NotProven, "none of the owner's");
}

#[test]
fn the_log_must_hold_it() {
    let world = World::new();
    let agent = world.agent(&raw_score(wrong_tier(score_der(&score(50, 0)))));
    let good = held(Class::TierMismatch, &[&agent]);
    let changed = |change: &dyn Fn(&mut Exhibit)| {
        let mut exhibit = good.clone();
        change(&mut exhibit);
        exhibit
    };
    let says = |change: &dyn Fn(&mut Exhibit), word| says(&changed(change), Verdict::NotProven, word);
    says(&|e| e.certificates[0].index = atl::merkle::LeafIndex::new(3), "its inclusion");
    says(&|e| e.certificates[0].index = atl::merkle::LeafIndex::new(7), "its inclusion");
    says(&|e| e.certificates[0].inclusion.swap(0, 1), "its inclusion");
    says(&|e| e.certificates[0].certificate.0[40] ^= 1, "its inclusion");
    says(&|e| e.certificates[0].log = "elsewhere.example".into(), "none of those described");
    says(&|e| e.certificates[0].head = TestLog::new(2).sth(&[], 5), "its head");
}

#[test]
fn who_signed_is_said_where_it_is_shown() {
    let world = World::new();
    let agent = world.agent(&Profile { not_after: NOW.saturating_add(48 * HOUR), ..Profile::new("long", 50) });
    let said = |issuers: &[&atl::apki::Certificate]| {
        let issuers = issuers.iter().map(|c| c.der().to_vec().into()).collect();
        let outcome = outcome(&Exhibit { issuers, ..held(Class::ValidityOutOfBounds, &[&agent]) });
        assert_eq!(outcome.verdict(), Verdict::Proven);
        outcome.by().iter().any(|line| line.contains("is signed by the CA key"))
    };
    assert!(said(&[&world.root.certificate, &world.ca.certificate]));
    assert!(!said(&[&world.root.certificate]));
    assert!(!said(&[]));
}

#[test]
fn a_delegation_gives_no_more_than_there_is() {
    let world = World::new();
    let parent = world.agent(&Profile::new("parent", 60).principal());
    let child = |change: &dyn Fn(&mut Profile)| {
        let mut profile = Profile::new("child", 50);
        change(&mut profile);
        world.child(profile, &parent)
    };
    let fraud = |child: &Agent| held(Class::DelegationExpanded, &[child, &parent]);
    says(&fraud(&child(&|_| ())), Verdict::NotProven, "breaks no rule");
    says(&fraud(&child(&|p| p.score = Some(score(61, 0)))), Verdict::Proven, "score 61 is above");
    let wide =
        child(&|p| p.capabilities = Some(capabilities(&[capability(TOOL, SCOPE), capability("mcp://x.example", "a")])));
    says(&fraud(&wide), Verdict::Proven, "mcp://x.example");
    let foreign = child(&|p| p.uri = "agent://other.example/org/worker/x".into());
    says(&fraud(&foreign), Verdict::Proven, "trust domain");

    says(&held(Class::DelegationExpanded, &[&wide]), Verdict::NotProven, "parent's certificate is not in it");
    let stranger = world.agent(&Profile::new("stranger", 60).principal());
    says(&held(Class::DelegationExpanded, &[&wide, &stranger]), Verdict::NotProven, "not the one that parentCertHash");
}

#[test]
fn ancestors_bind_all_below_them() {
    let world = World::new();
    let mut profile = Profile::new("top", 80).principal();
    profile.delegation.as_mut().unwrap().rules.max_trust_score = Some(atl::apki::trust_score::Score::new(40).unwrap());
    let top = world.agent(&profile);
    let middle = world.child(Profile::new("middle", 40), &top);
    let lowest = world.child(Profile::new("lowest", 40), &middle);
    let line = [&lowest, &middle, &top];
    says(&held(Class::DelegationExpanded, &line), Verdict::NotProven, "breaks no rule");
    let middle = world.child(Profile::new("middle", 60), &top);
    let high = world.child(Profile::new("high", 50), &middle);
    says(&held(Class::DelegationExpanded, &[&high, &middle, &top]), Verdict::Proven, "maxTrustScore of 40");
    says(&held(Class::DelegationExpanded, &[&high, &middle]), Verdict::NotProven, "breaks no rule");
    says(
        &held(Class::DelegationExpanded, &[&high, &middle, &lowest]),
        Verdict::NotProven,
        "an ancestor is not the one",
    );
}

#[test]
fn somebody_answers_for_the_root_of_a_line() {
    let world = World::new();
    let root = |delegation| {
        let agent = world.agent(&Profile { delegation: Some(delegation), ..Profile::new("root", 50) });
        held(Class::DelegationExpanded, &[&agent])
    };
    says(&root(delegation([0; 32], 0, Some("Ann"))), Verdict::NotProven, "breaks no rule");
    says(&root(delegation([0; 32], 0, None)), Verdict::Proven, "humanPrincipal");
    let of_its_own = |delegation| Exhibit { class: Class::DelegationRoot, ..root(delegation) };
    says(&of_its_own(delegation([0; 32], 0, None)), Verdict::Proven, "humanPrincipal");
    says(&of_its_own(delegation([0; 32], 0, Some("Ann"))), Verdict::NotProven, "breaks no rule");
    says(&of_its_own(delegation([1; 32], 1, None)), Verdict::NotProven, "it is no root");
    says(&root(delegation([0; 32], 1, Some("Ann"))), Verdict::Proven, "delegationDepth is 1");
    says(&root(delegation([1; 32], 0, Some("Ann"))), Verdict::Proven, "32 zero octets");
    says(&root(delegation([1; 32], 1, None)), Verdict::NotProven, "cannot be judged");
    let none = world.agent(&Profile::new("none", 50));
    says(&held(Class::DelegationExpanded, &[&none]), Verdict::NotProven, "no agentDelegation");
}
