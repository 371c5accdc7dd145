//! Agents' certificates, good and an attacker's, before a relying party: each attack is refused with its own
//! reason, so that the factory in `tests/common/agents.rs` makes what it says it makes.
#![allow(clippy::unwrap_used)]

#[path = "common/agents.rs"]
mod agents;

use agents::{
    Agent, Ca, HOUR, Key, NOW, Profile, SCOPE, TOOL, World, capabilities, capability, extension, finish, operation,
    policy, precertificate, score, spending,
};
use atl::apki::Certificate;
use atl::apki::status::ocsp::CertStatus;
use atl::verify::relying::{
    Code, Effort, Facts, Policy, Reason, Request, RevocationLists, RevocationMode, Revocations, Standing, Subject,
    Verdict,
};

fn decide(world: &World, policy: Policy, agent: &Agent, facts: &Facts) -> Verdict {
    let request = Request { operation: None, facts, now: NOW, past: false };
    world.party(policy).decide(agent.presented(), &request, Effort::Whole)
}

fn codes(world: &World, agent: &Agent) -> Vec<Code> {
    decide(world, policy(), agent, &Facts::default()).reasons().iter().map(|reason| reason.code).collect()
}

#[test]
fn good_agents_are_accepted_whatever_their_keys_are() {
    let world = World::new();
    let root = world.agent(&Profile::new("root", 80).principal());
    let child = world.child(Profile::new("child", 70), &root);
    let p256 = world.agent_with(&Profile::new("p256", 80), Key::p256());
    let deeper = world.root.below("Middle", Key::p256()).below("Deep", Key::ed25519(9));
    let other = World { ca: deeper, ..World::new() };
    for (world, agent) in
        [(&world, &root), (&world, &child), (&world, &p256), (&other, &other.agent(&Profile::new("d", 80)))]
    {
        assert_eq!(codes(world, agent), [], "{}", agent.uri());
    }
    let facts = Facts::default();
    let Verdict::Accepted(accepted) = decide(&world, policy(), &child, &facts) else { panic!("refused") };
    assert_eq!((accepted.agent, accepted.parents), (child.uri(), vec![root.uri()]));
    assert_eq!(accepted.human_principal.unwrap().as_str(), "Ann");
}

#[test]
fn each_attack_has_its_own_reason() {
    let world = World::new();
    let good = Profile::new("worker", 80);
    let with = |change: &dyn Fn(&mut Profile)| {
        let mut profile = good.clone();
        change(&mut profile);
        world.agent(&profile)
    };
    let issued_by = |ca: &Ca| {
        let key = Key::ed25519(77);
        let poisoned = precertificate(&good.draft(&key, ca), &ca.key);
        let certificate = finish(&poisoned, world.stamps(&poisoned, NOW), &ca.key);
        Agent { certificate, issuers: ca.chain(), parents: Vec::new(), key }
    };
    let replaced = |make: &dyn Fn(&Agent) -> Certificate| {
        let mut agent = world.agent(&good);
        agent.certificate = make(&agent);
        agent
    };
    let draft = |agent: &Agent| good.draft(&agent.key, &world.ca);
    let with_stamps = |of: &dyn Fn(&Certificate) -> Vec<_>| {
        replaced(&|agent| {
            let poisoned = precertificate(&draft(agent), &world.ca.key);
            finish(&poisoned, of(&poisoned), &world.ca.key)
        })
    };
    let root = world.agent(&Profile::new("root", 80).principal());
    let orphan = Agent { parents: Vec::new(), ..world.child(Profile::new("child", 70), &root) };
    let greedy = Profile { capabilities: Some(capabilities(&[capability(TOOL, "accounts")])), ..Profile::new("c", 70) };
    let no_ca = world.ca.below_with("Not a CA", Key::ed25519(5), |draft| drop(draft.extensions.remove(0)));
    let cases: Vec<(&str, Agent, &[Code])> = vec![
        (
            "another root",
            issued_by(&Ca::root("Root", Key::ed25519(66)).below("Org", Key::ed25519(2))),
            &[Code::UnknownAnchor],
        ),
        ("not a CA", issued_by(&no_ca), &[Code::UnknownAnchor]),
        (
            "another key under the CA's name",
            replaced(&|a| draft(a).sign(&Key::ed25519(3))),
            &[Code::ChainSignature, Code::NoSat],
        ),
        ("another domain", with(&|p| p.uri = "agent://other.example/org/worker/w".into()), &[Code::UnknownDomain]),
        ("no SAT", world.unlogged(&good), &[Code::NoSat]),
        ("one log's SAT", with_stamps(&|p| world.stamps(p, NOW)[..1].to_vec()), &[Code::SatOperators]),
        (
            "SATs of another certificate",
            with_stamps(&|_| world.stamps(&precertificate(&draft(&root), &world.ca.key), NOW)),
            &[Code::SatOtherCertificate],
        ),
        (
            "a precertificate",
            replaced(&|a| precertificate(&draft(a), &world.ca.key)),
            &[Code::Precertificate, Code::NoSat],
        ),
        ("ended", with(&|p| p.not_after = NOW.saturating_sub(1)), &[Code::Expired]),
        ("too long", with(&|p| p.not_after = NOW.saturating_add(24 * HOUR)), &[Code::ValidityTooLong]),
        ("no score", with(&|p| p.score = None), &[Code::NoScore]),
        ("a low score", with(&|p| p.score = Some(score(39, 0))), &[Code::ScoreTooLow]),
        ("no capabilities", with(&|p| p.capabilities = None), &[Code::NoCapabilities]),
        (
            "unknown and critical",
            with(&|p| p.more = vec![extension("1.2.3.4", true, &[5, 0])]),
            &[Code::UnknownCritical],
        ),
        ("no parent", orphan, &[Code::NoParent]),
        ("more than the parent", world.child(greedy, &root), &[Code::DelegationScope]),
    ];
    for (what, agent, expected) in cases {
        assert_eq!(codes(&world, &agent), expected, "{what}");
    }
}

#[test]
fn revocation_comes_by_list_and_by_ocsp() {
    let world = World::new();
    let (good, bad) = (world.agent(&Profile::new("good", 80)), world.agent(&Profile::new("bad", 80)));
    let mut policy = policy();
    policy.revocation.mode = RevocationMode::HardFail;
    let only = |verdict: &Verdict| verdict.reasons().iter().map(|reason| reason.code).collect::<Vec<_>>();
    assert_eq!(only(&decide(&world, policy.clone(), &good, &Facts::default())), [Code::StatusUnavailable]);

    let mut lists = RevocationLists::default();
    let list = world.ca.crl(NOW, &[&bad.certificate]);
    lists.add(list, &world.ca.certificate, &world.party(policy.clone()).domains).unwrap();
    let by_list =
        Facts { revocations: Revocations { lists: lists.into(), ..Revocations::default() }, ..Facts::default() };
    assert!(decide(&world, policy.clone(), &good, &by_list).is_accepted());
    assert_eq!(only(&decide(&world, policy.clone(), &bad, &by_list)), [Code::Revoked]);

    let der = world.ca.ocsp(&good.certificate, NOW, CertStatus::Good);
    let answer = Standing::from_ocsp(&der, &good.certificate, &world.ca.certificate, NOW, None).unwrap();
    let by_ocsp =
        Facts { revocations: Revocations { answers: vec![answer], ..Revocations::default() }, ..Facts::default() };
    assert!(decide(&world, policy.clone(), &good, &by_ocsp).is_accepted());
    assert_eq!(only(&decide(&world, policy, &bad, &by_ocsp)), [Code::StatusUnavailable]);
}

#[test]
fn an_operation_is_granted_by_the_capability() {
    let world = World::new();
    let rights = [capability(TOOL, SCOPE), spending(capability("mcp://pay", "bills"), 500, 900, "EUR")];
    let agent = world.agent(&Profile { capabilities: Some(capabilities(&rights)), ..Profile::new("worker", 80) });
    let (party, facts) = (world.party(policy()), Facts::default());
    let ask = |tool: &str, scope: &str| {
        let operation = operation(tool, scope);
        let request = Request { operation: Some(&operation), facts: &facts, now: NOW, past: false };
        let verdict = party.decide(agent.presented(), &request, Effort::Whole);
        verdict.reasons().iter().map(|reason| reason.code).collect::<Vec<_>>()
    };
    assert_eq!(ask(TOOL, "accounts/read/own"), []);
    assert_eq!(ask(TOOL, "accounts"), [Code::Scope]);
    assert_eq!(ask("mcp://mail", "send"), [Code::Tool]);
}

#[test]
fn a_stranger_is_refused_before_the_first_signature() {
    let world = World::new();
    // Neither its score nor its chain holds; the chain is not even looked at.
    let other = World { ca: Ca::root("Root", Key::ed25519(66)).below("Org", Key::ed25519(67)), ..World::new() };
    let stranger = other.agent(&Profile::new("stranger", 39));
    let (party, facts) = (world.party(policy()), Facts::default());
    let request = Request { operation: None, facts: &facts, now: NOW, past: false };
    let refused = party.screen(stranger.presented(), &request).unwrap_err();
    assert_eq!(refused.reasons().iter().map(|reason| reason.code).collect::<Vec<_>>(), [Code::ScoreTooLow]);
    let whole = party.decide(stranger.presented(), &request, Effort::Whole);
    let found: Vec<Code> = whole.reasons().iter().map(|reason| reason.code).collect();
    assert_eq!(found, [Code::UnknownAnchor, Code::ScoreTooLow]);

    // Whoever passes is judged by the same examination as anybody else, and refused for what else is known.
    let agent = world.agent(&Profile::new("worker", 80));
    let verdict = party.judge(&party.screen(agent.presented(), &request).unwrap(), &request);
    assert_eq!(verdict, party.decide(agent.presented(), &request, Effort::Whole));
    let refused = verdict.against(Reason::new(Code::Peer, Subject::Agent, "another was meant"));
    assert_eq!((refused.claims.clone(), refused.reasons().len(), refused.at), (Some(agent.uri()), 1, NOW));
}
