use super::*;
use crate::apki::capabilities::{Capabilities, Capability};
use crate::apki::delegation::{AttenuationRules, Delegation};
use crate::apki::extension::{AgentExtension, AsciiText, Text};
use crate::apki::federation::bundle::{Members, SUPPORTED_ALGORITHMS};
use crate::apki::federation::mapping::Numbers;
use crate::apki::federation::{ScoreMapping, TrustBundle};
use crate::apki::moment::Moment;
use crate::apki::precertificate::{extension_der, poison_der};
use crate::apki::testing::{Draft, key, validity};
use crate::apki::trust_score::{DecayRate, TrustScore};
use crate::cli::federation::state::tests::pin;

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

fn intermediate() -> Certificate {
    long(Draft::ca("Root", "Org", &key(2), None)).certificate(&key(1))
}

fn score(points: u8) -> Score {
    Score::new(points).unwrap()
}

/// An agent of example.com below `Org`, with 70 points that lose 2 an hour.
fn agent(change: impl FnOnce(&mut Draft)) -> Certificate {
    let mut draft = Draft::leaf("Org");
    draft.extensions.push(extension_der(&crate::apki::oid::KEY_USAGE, true, &[0x03, 0x02, 0x07, 0x80]));
    let trust = TrustScore {
        score: score(70),
        decay_rate: DecayRate::new(2).unwrap(),
        last_updated: Moment::floor(START).unwrap(),
        computation_method: None,
    };
    let capability = Capability {
        tool_uri: AsciiText::new("https://api.example.com").unwrap(),
        scope: Text::new("read").unwrap(),
        spend_limit: None,
        rate_limit: None,
    };
    let capabilities = Capabilities::new(vec![capability]).unwrap();
    draft.extensions.push(extension_der(&Capabilities::OID, false, &capabilities.to_der().unwrap()));
    draft.extensions.push(extension_der(&TrustScore::OID, false, &trust.to_der().unwrap()));
    change(&mut draft);
    draft.certificate(&key(2))
}

fn pinned(minimum: u8, theirs: u8, mapping: Numbers) -> Pinned {
    let domain = TrustDomain::parse("example.com").unwrap();
    let bundle = TrustBundle::new(Members {
        domain: domain.clone(),
        issued_at: Moment::floor(START).unwrap(),
        expires_at: Moment::floor(START.saturating_add(24 * HOUR)).unwrap(),
        certificates: vec![root()],
        minimum: score(theirs),
        algorithms: SUPPORTED_ALGORITHMS.map(str::to_owned).to_vec(),
    });
    let mut pinned = Pinned::new(pin(None)).unwrap();
    pinned.pin.domain = domain;
    pinned.pin.minimum_score = score(minimum);
    pinned.pin.mapping = ScoreMapping::new(mapping).unwrap();
    pinned.bundle = Some(bundle.unwrap());
    pinned
}

fn judged(pinned: &Pinned, chain: Vec<Certificate>, minutes: u64) -> Result<Taken, Vec<&'static str>> {
    let presented = Presented::from_certificates(chain).unwrap();
    judge(pinned, presented, START.saturating_add(minutes * 60_000)).map_err(|no| match no {
        No::Unfetched => vec![],
        No::Reasons(reasons) => reasons.iter().map(|reason| reason.code.as_str()).collect(),
    })
}

/// Neither a log nor a responder is known: that alone speaks against nobody here.
#[test]
fn an_agent_of_the_domain_is_taken() {
    let pinned = pinned(0, 40, Numbers::default());
    for chain in [vec![agent(|_| {}), intermediate()], vec![agent(|_| {}), intermediate(), root()]] {
        let taken = judged(&pinned, chain, 30).unwrap_or_else(|codes| panic!("{codes:?}"));
        assert_eq!((taken.effective, taken.mapped, taken.minimum), (score(69), score(69), score(40)));
        assert_eq!(taken.anchor, root().fingerprint());
    }
}

#[test]
fn the_stricter_minimum_counts_after_mapping() {
    let chain = || vec![agent(|_| {}), intermediate()];
    for (ours, theirs, fine) in [(59, 0, true), (60, 0, false), (0, 59, true), (0, 60, false), (59, 60, false)] {
        let pinned = pinned(ours, theirs, Numbers { offset: -10, ..Numbers::default() });
        match judged(&pinned, chain(), 30) {
            Ok(taken) => assert!(fine && taken.mapped == score(59), "{ours} {theirs}"),
            Err(codes) => assert!(!fine && codes == ["trust.score"], "{ours} {theirs}: {codes:?}"),
        }
    }
    // Nobody takes who is untrusted, whatever the pin says.
    let pinned = pinned(0, 0, Numbers { cap: Some(score(19)), ..Numbers::default() });
    assert_eq!(judged(&pinned, chain(), 30).err(), Some(vec!["trust.score"]));
}

#[test]
fn what_else_speaks_against_it_is_told() {
    let pinned = pinned(0, 0, Numbers::default());
    let codes = |agent: Certificate, minutes| judged(&pinned, vec![agent, intermediate()], minutes).err().unwrap();
    assert_eq!(judged(&pinned, vec![agent(|_| {})], 1).err(), Some(vec!["chain.unknownAnchor"]));
    assert_eq!(codes(agent(|draft| drop(draft.extensions.pop())), 1), ["trust.missing"]);
    assert_eq!(codes(agent(|_| {}), 61), ["profile.expired"]);
    assert!(codes(agent(|draft| draft.extensions.push(poison_der())), 1).contains(&"profile.precertificate"));
    assert!(codes(agent(|_| {}), 24 * 60 + 1).contains(&"federation.bundle"));
    let child = agent(|draft| {
        let delegation = Delegation {
            parent_cert_hash: [1; 32],
            depth: 1,
            max_depth: 2,
            rules: AttenuationRules::default(),
            human_principal: None,
        };
        draft.extensions.push(extension_der(&Delegation::OID, false, &delegation.to_der().unwrap()));
    });
    assert_eq!(codes(child, 1), ["delegation.noParent"]);
    let unfetched = Pinned { bundle: None, ..pinned.clone() };
    assert_eq!(judged(&unfetched, vec![agent(|_| {})], 1).err(), Some(vec![]));
}
