use super::*;
use crate::apki::certificate::uri_name_constraint_der;
use crate::apki::extension::AgentExtension as _;
use crate::apki::federation::bundle::{Members, SUPPORTED_ALGORITHMS};
use crate::apki::federation::mapping::Numbers;
use crate::apki::moment::Moment;
use crate::apki::precertificate::{extension_der, poison_der};
use crate::apki::testing::{Draft, key, validity};
use crate::apki::trust_score::{DecayRate, TrustScore};

/// 2026-04-10T12:00:00Z, when the drafts' certificates begin.
const START: UnixMillis = UnixMillis::new(1_775_822_400_000);
const HOUR: u64 = 3_600_000;

fn long(mut draft: Draft) -> Draft {
    draft.validity = validity(&[(0x17, b"250101000000Z"), (0x17, b"350101000000Z")]);
    draft
}

fn root() -> Certificate {
    long(Draft::ca("Root", "Root", &key(1), None)).certificate(&key(1))
}

fn intermediate(change: impl FnOnce(&mut Draft)) -> Certificate {
    let mut draft = long(Draft::ca("Root", "Org", &key(2), None));
    change(&mut draft);
    draft.certificate(&key(1))
}

fn score(points: u8) -> Score {
    Score::new(points).unwrap()
}

/// An agent of example.com below `Org`, with 70 points that lose 2 an hour.
fn agent(change: impl FnOnce(&mut Draft)) -> Certificate {
    let mut draft = Draft::leaf("Org");
    let trust = TrustScore {
        score: score(70),
        decay_rate: DecayRate::new(2).unwrap(),
        last_updated: Moment::floor(START).unwrap(),
        computation_method: None,
    };
    draft.extensions.push(extension_der(&TrustScore::OID, false, &trust.to_der().unwrap()));
    change(&mut draft);
    draft.certificate(&key(2))
}

fn bundle(domain: &str, minimum: u8) -> TrustBundle {
    TrustBundle::new(Members {
        domain: TrustDomain::parse(domain).unwrap(),
        issued_at: Moment::floor(START).unwrap(),
        expires_at: Moment::floor(START.saturating_add(24 * HOUR)).unwrap(),
        certificates: vec![root()],
        minimum: score(minimum),
        algorithms: SUPPORTED_ALGORITHMS.map(str::to_owned).to_vec(),
    })
    .unwrap()
}

struct Case {
    domain: TrustDomain,
    bundle: TrustBundle,
    mapping: ScoreMapping,
    minimum: Score,
}

impl Case {
    fn new() -> Self {
        let domain = TrustDomain::parse("example.com").unwrap();
        Self { bundle: bundle("example.com", 40), domain, mapping: ScoreMapping::default(), minimum: score(0) }
    }

    fn judge(&self, agent: &Certificate, chain: &[Certificate], minutes: u64) -> Result<Accepted, Vec<&'static str>> {
        let Self { domain, bundle, mapping, minimum } = self;
        let from = Federated { domain, bundle, mapping, minimum: *minimum };
        let now = START.saturating_add(minutes * 60_000);
        judge(from, agent, chain, now).map_err(|refused| {
            assert!(!refused.to_string().is_empty());
            refused.reasons().iter().map(Reason::code).collect()
        })
    }
}

fn plain(_: &mut Draft) {}

#[test]
fn an_agent_of_the_domain_is_accepted() {
    let case = Case::new();
    for chain in [&[intermediate(plain)][..], &[intermediate(plain), root()]] {
        let accepted = case.judge(&agent(plain), chain, 30).unwrap();
        assert_eq!(accepted.agent.as_str(), "agent://example.com/a/b/c");
        assert_eq!((accepted.effective, accepted.mapped, accepted.minimum), (score(69), score(69), score(40)));
        assert_eq!(accepted.anchor, root().fingerprint());
    }
}

#[test]
fn the_stricter_minimum_counts_after_mapping() {
    let mut case = Case::new();
    let chain = [intermediate(plain)];
    case.mapping = ScoreMapping::new(Numbers { offset: -10, ..Numbers::default() }).unwrap();
    for (ours, theirs, fine) in [(59, 0, true), (60, 0, false), (0, 59, true), (0, 60, false), (59, 60, false)] {
        (case.minimum, case.bundle) = (score(ours), bundle("example.com", theirs));
        let verdict = case.judge(&agent(plain), &chain, 30);
        match fine {
            true => assert_eq!(verdict.unwrap().mapped, score(59)),
            false => assert_eq!(verdict, Err(vec!["score-too-low"])),
        }
    }
    // What is left of a score, and not what stands there.
    (case.mapping, case.minimum) = (ScoreMapping::default(), score(70));
    assert!(case.judge(&agent(plain), &chain, 0).is_ok());
    assert_eq!(case.judge(&agent(plain), &chain, 1), Err(vec!["score-too-low"]));
}

#[test]
fn a_domain_speaks_for_its_own_agents_only() {
    let mut case = Case::new();
    case.domain = TrustDomain::parse("other.example").unwrap();
    let chain = [intermediate(plain)];
    assert_eq!(case.judge(&agent(plain), &chain, 1), Err(vec!["bundle-other-domain", "other-domain"]));
    case.bundle = bundle("other.example", 0);
    assert_eq!(case.judge(&agent(plain), &chain, 1), Err(vec!["other-domain"]));
}

#[test]
fn each_thing_that_speaks_against_it_is_told() {
    let case = Case::new();
    let good = intermediate(plain);
    let judged = |agent: &Certificate, chain: &[Certificate], minutes| case.judge(agent, chain, minutes).unwrap_err();
    let chain = std::slice::from_ref(&good);
    assert_eq!(judged(&agent(plain), &[], 1), ["chain"]);
    assert_eq!(
        judged(&agent(plain), &[long(Draft::ca("Root", "Org", &key(2), None)).certificate(&key(5))], 1),
        ["chain"]
    );
    let poisoned = agent(|draft| draft.extensions.push(poison_der()));
    assert_eq!(judged(&poisoned, chain, 1), ["precertificate"]);
    assert_eq!(judged(&agent(|draft| drop(draft.extensions.pop())), chain, 1), ["no-score"]);
    assert_eq!(judged(&agent(|draft| drop(draft.extensions.remove(0))), chain, 1), ["agent-name"]);
    let malformed = agent(|draft| {
        draft.extensions.pop();
        draft.extensions.push(extension_der(&TrustScore::OID, false, &[0x30, 0x00]));
    });
    assert_eq!(judged(&malformed, chain, 1), ["score-malformed"]);
    let ca = agent(|draft| {
        let constraints = [0x30, 0x03, 0x01, 0x01, 0xff];
        draft.extensions.push(extension_der(&oid::BASIC_CONSTRAINTS, true, &constraints));
    });
    assert_eq!(judged(&ca, chain, 1), ["is-ca"]);
    assert_eq!(judged(&agent(plain), chain, 61), ["expired"]);
    assert!(case.judge(&agent(plain), chain, 60).is_ok());
    let week = agent(|draft| draft.validity = validity(&[(0x17, b"260410120000Z"), (0x17, b"260411120001Z")]));
    assert_eq!(judged(&week, chain, 1), ["valid-too-long"]);
    let day = agent(|draft| draft.validity = validity(&[(0x17, b"260410120000Z"), (0x17, b"260411120000Z")]));
    assert!(case.judge(&day, chain, 1).is_ok());
    let later = agent(|draft| draft.validity = validity(&[(0x17, b"260410130000Z"), (0x17, b"260410140000Z")]));
    assert_eq!(judged(&later, chain, 59), ["not-yet-valid"]);
    assert_eq!(judged(&day, chain, 24 * 60), ["bundle-expired", "score-too-low"]);
}

#[test]
fn those_above_it_hold_too() {
    let case = Case::new();
    let over = intermediate(|draft| draft.validity = validity(&[(0x17, b"250410120000Z"), (0x17, b"260410115959Z")]));
    assert_eq!(case.judge(&agent(plain), &[over], 1), Err(vec!["issuer-validity"]));
    let constrained = |host: &str| {
        let value = uri_name_constraint_der(host);
        intermediate(|draft| draft.extensions.push(extension_der(&oid::NAME_CONSTRAINTS, true, &value)))
    };
    assert!(case.judge(&agent(plain), &[constrained("example.com")], 1).is_ok());
    assert_eq!(case.judge(&agent(plain), &[constrained("example.org")], 1), Err(vec!["name-constraint"]));
}

#[test]
fn a_score_of_the_future_is_none() {
    let case = Case::new();
    let ahead = agent(|draft| draft.validity = validity(&[(0x17, b"260410110000Z"), (0x17, b"260410130000Z")]));
    let (domain, bundle, mapping) = (&case.domain, &case.bundle, &case.mapping);
    let from = Federated { domain, bundle, mapping, minimum: score(0) };
    let refused = judge(from, &ahead, &[intermediate(plain)], START.saturating_sub(60_001)).unwrap_err();
    assert_eq!(refused.reasons().iter().map(Reason::code).collect::<Vec<_>>(), ["bundle-unusable", "score-ahead"]);
    assert!(judge(from, &ahead, &[intermediate(plain)], START.saturating_sub(60_000)).is_ok());
}
