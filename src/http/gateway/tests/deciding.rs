//! Whom it lets in, by what it knows, and whom it asks.

use std::sync::atomic::Ordering::Relaxed;

use super::rig::{Gateway, Heard, line};
use crate::apki::Certificate;
use crate::apki::status::RevocationReason;
use crate::http::gateway::Proxy;
use crate::log::entry::CertHash;
use crate::verify::relying::tests::rig::{HOUR, MINUTE, World, after, org, points, root};
use crate::verify::relying::{
    Inclusion, InclusionPolicy, RevocationMode, RevocationPolicy, Standing, Status, ToolRule,
};

const HITS: &str = "atl_gateway_lookups_total{cache=\"examinations\",result=\"hit\"}";

async fn outcome(gateway: &Gateway, world: &World) -> (u16, String) {
    let heard = gateway.ask("GET", "/accounts", world).await;
    (heard.status, heard.header("x-agent-reason").to_owned())
}

fn asks(gateway: &Gateway) -> usize {
    gateway.played.asked.load(Relaxed)
}

#[tokio::test]
async fn who_may_not_hears_every_reason() {
    let world = World::new();
    let gateway = Gateway::new(&world, Proxy::Nginx);
    let heard = gateway.ask("POST", "/accounts/close", &world).await;
    assert_eq!(heard.outcome(), (403, "capability.scope"));
    let problem: serde_json::Value = serde_json::from_str(&heard.body).unwrap();
    assert_eq!(problem["type"], "urn:ietf:params:trans:error:agentRefused");
    assert!(problem["detail"].as_str().unwrap().contains("the scope `close` is not `accounts`"), "{problem}");
    assert_eq!(gateway.ask("GET", "/other", &world).await.outcome(), (403, "capability.tool"));
    let mut weak = World::new();
    weak.agent.score().score = points(30);
    assert_eq!(gateway.ask("GET", "/other", &weak).await.outcome(), (403, "trust.score,capability.tool"));
    let mut foreign = World::new();
    foreign.agent.uri = "agent://elsewhere.example/a/b/c".into();
    assert_eq!(outcome(&gateway, &foreign).await, (403, "federation.unknownDomain".into()));
    let mut forged = World::new();
    forged.agent.issuer_key = 98;
    assert_eq!(outcome(&gateway, &forged).await, (403, "chain.signature".into()));
    let mut unlogged = World::new();
    unlogged.agent.sats.clear();
    assert_eq!(outcome(&gateway, &unlogged).await, (403, "sat.missing".into()));
}

#[tokio::test]
async fn signatures_are_verified_once_and_time_goes_on() {
    let world = World::new();
    let gateway = Gateway::new(&world, Proxy::Nginx);
    for hits in 0..3 {
        assert_eq!(outcome(&gateway, &world).await.0, 200);
        assert_eq!(gateway.metric(HITS), hits);
    }
    gateway.clock.set(after(61));
    assert_eq!(outcome(&gateway, &world).await, (403, "profile.expired".into()));
    gateway.clock.set(after(5));
    // Others decide otherwise about the same certificate.
    let mut strict = World::new();
    strict.party.policy.minimum = points(80);
    gateway.replace(&strict, 2, vec![org()]);
    assert_eq!(outcome(&gateway, &world).await, (403, "trust.score".into()));
    // What strangers make up is not kept.
    let before = gateway.metric(HITS);
    gateway.replace(&world, 3, vec![org()]);
    let mut forged = World::new();
    forged.agent.issuer_key = 98;
    for _ in 0..2 {
        assert_eq!(outcome(&gateway, &forged).await.1, "chain.signature");
    }
    assert_eq!(gateway.metric(HITS), before);
}

#[tokio::test]
async fn the_gateway_has_the_cas_that_agents_leave_out() {
    let world = World::new();
    let gateway = Gateway::new(&world, Proxy::Nginx);
    gateway.replace(&world, 2, vec![root(), org()]);
    assert_eq!(outcome(&gateway, &world).await.0, 200);
    gateway.replace(&world, 3, Vec::new());
    assert_eq!(outcome(&gateway, &world).await, (403, "chain.unknownAnchor".into()));
    let agent = &line(&world)[0];
    for brought in [&[agent, &org()][..], &[agent, &org(), &root()]] {
        assert_eq!(gateway.hear(gateway.question("GET", "/accounts", brought)).await.status, 200);
    }
}

#[tokio::test]
async fn agents_above_are_brought_along_or_looked_for() {
    let world = World::delegated();
    let gateway = Gateway::new(&world, Proxy::Envoy);
    let line = line(&world);
    let alone = || gateway.question("GET", "/accounts", &[&line[0]]);
    let heard = gateway.ask("GET", "/accounts", &world).await;
    assert_eq!((heard.status, heard.header("x-agent-parents")), (200, "agent://example.com/retail/lead/1"));
    assert_eq!(asks(&gateway), 0);
    for _ in 0..3 {
        assert_eq!(gateway.hear(alone()).await.outcome(), (403, "delegation.noParent"));
    }
    assert_eq!(asks(&gateway), 1, "who was asked in vain is left alone for a while");
    gateway.played.parents.lock().push(line[1].clone());
    gateway.clock.set(after(6));
    for _ in 0..2 {
        assert_eq!(gateway.hear(alone()).await.header("x-agent-parents"), "agent://example.com/retail/lead/1");
    }
    assert_eq!(asks(&gateway), 2, "what was found is kept");
    // For a stranger nobody is looked for.
    let mut forged = World::delegated();
    forged.agent.issuer_key = 98;
    let forged: Certificate = forged.presented().agent.certificate;
    let heard = gateway.hear(gateway.question("GET", "/accounts", &[&forged])).await;
    assert_eq!(heard.outcome(), (403, "chain.signature,delegation.noParent"));
    assert_eq!(asks(&gateway), 2);
}

fn standing(world: &World, status: Status) -> Standing {
    let certificate = line(world)[0].fingerprint();
    Standing { certificate, status, this_update: after(5), next_update: after(5).saturating_add(HOUR) }
}

#[tokio::test]
async fn what_is_not_known_is_asked_for_and_kept_for_a_while() {
    let mut world = World::new();
    world.party.policy.revocation.mode = RevocationMode::HardFail;
    let gateway = Gateway::new(&world, Proxy::Nginx);
    let heard: Heard = gateway.ask("GET", "/accounts", &world).await;
    assert_eq!((heard.outcome(), asks(&gateway)), ((503, "revocation.unavailable"), 1));
    assert_eq!(heard.header("retry-after"), "1");
    assert!(heard.body.contains("urn:ietf:params:trans:error:undecided"));
    *gateway.played.answers.lock() = vec![standing(&world, Status::Good)];
    assert_eq!((outcome(&gateway, &world).await.0, asks(&gateway)), (503, 1), "not again at once");
    gateway.clock.set(after(6));
    for _ in 0..3 {
        assert_eq!(outcome(&gateway, &world).await.0, 200);
    }
    assert_eq!(asks(&gateway), 2);
    // After a minute it is asked anew, though the answer may be kept for an hour.
    gateway.clock.set(after(6).saturating_add(MINUTE + 1));
    assert_eq!((outcome(&gateway, &world).await.0, asks(&gateway)), (200, 3));
    let revoked = Status::Revoked { at: after(5), reason: RevocationReason::KeyCompromise };
    *gateway.played.answers.lock() = vec![standing(&world, revoked)];
    gateway.clock.set(after(9));
    assert_eq!(outcome(&gateway, &world).await, (403, "revocation.revoked".into()));
    // Nobody takes that back, and nobody need be asked again.
    *gateway.played.answers.lock() = vec![standing(&world, Status::Good)];
    gateway.clock.set(after(20));
    assert_eq!(outcome(&gateway, &world).await, (403, "revocation.revoked".into()));
    assert_eq!(asks(&gateway), 4);
}

#[tokio::test]
async fn whoever_is_refused_anyway_is_not_asked_about() {
    let mut world = World::new();
    world.party.policy.revocation.mode = RevocationMode::HardFail;
    let gateway = Gateway::new(&world, Proxy::Nginx);
    assert_eq!(gateway.ask("GET", "/other", &world).await.outcome(), (403, "capability.tool"));
    let mut unlogged = World::new();
    unlogged.agent.sats.clear();
    assert_eq!(outcome(&gateway, &unlogged).await.0, 403);
    assert_eq!(asks(&gateway), 0);
}

#[tokio::test]
async fn a_policy_that_prefers_to_know_asks_too() {
    let mut world = World::new();
    world.party.policy.revocation.mode = RevocationMode::SoftFail;
    let gateway = Gateway::new(&world, Proxy::Nginx);
    assert_eq!((outcome(&gateway, &world).await.0, asks(&gateway)), (200, 1), "nobody knows");
    let revoked = Status::Revoked { at: after(5), reason: RevocationReason::KeyCompromise };
    *gateway.played.answers.lock() = vec![standing(&world, revoked)];
    gateway.clock.set(after(6));
    assert_eq!(outcome(&gateway, &world).await, (403, "revocation.revoked".into()));
    assert_eq!(asks(&gateway), 2);
}

#[tokio::test]
async fn a_tool_may_want_an_answer_of_the_moment() {
    let mut world = World::new();
    let tool_uri = world.agent.capabilities()[0].tool_uri.clone();
    let rule = ToolRule { tool_uri, minimum: points(0), minimum_method: None, ocsp_within: Some(10_000) };
    world.party.policy.revocation = RevocationPolicy { mode: RevocationMode::SoftFail, max_age: None, issuers: false };
    world.party.policy.tools = vec![rule];
    let gateway = Gateway::new(&world, Proxy::Nginx);
    assert_eq!(outcome(&gateway, &world).await, (503, "revocation.unavailable".into()));
    *gateway.played.answers.lock() = vec![standing(&world, Status::Good)];
    gateway.clock.set(after(5).saturating_add(3000));
    assert_eq!(outcome(&gateway, &world).await.0, 200);
    gateway.clock.set(after(5).saturating_add(10_001));
    let before = asks(&gateway);
    assert_eq!(outcome(&gateway, &world).await, (503, "revocation.stale".into()), "the same answer again");
    assert_eq!(asks(&gateway), before + 1);
}

#[tokio::test]
async fn an_answer_that_is_not_to_be_believed_refuses() {
    let mut world = World::new();
    world.party.policy.revocation.mode = RevocationMode::HardFail;
    let gateway = Gateway::new(&world, Proxy::Nginx);
    let about = line(&world)[0].fingerprint();
    *gateway.played.invalid.lock() = vec![(about, "the signature".into())];
    assert_eq!(outcome(&gateway, &world).await, (403, "revocation.invalid".into()));
}

#[tokio::test]
async fn cas_are_asked_about_where_the_policy_wants_it() {
    let mut world = World::new();
    world.party.policy.revocation = RevocationPolicy { mode: RevocationMode::HardFail, max_age: None, issuers: true };
    let gateway = Gateway::new(&world, Proxy::Nginx);
    *gateway.played.answers.lock() = vec![standing(&world, Status::Good)];
    assert_eq!(outcome(&gateway, &world).await, (503, "revocation.unavailable".into()));
    let of_ca = Standing { certificate: org().fingerprint(), ..standing(&world, Status::Good) };
    gateway.played.answers.lock().push(of_ca);
    gateway.clock.set(after(6));
    assert_eq!(outcome(&gateway, &world).await.0, 200);
}

#[tokio::test]
async fn a_proof_of_inclusion_is_asked_for_once() {
    let mut world = World::new();
    world.party.policy.inclusion = Some(InclusionPolicy { max_age: HOUR, witnesses: None });
    let gateway = Gateway::new(&world, Proxy::Nginx);
    assert_eq!(outcome(&gateway, &world).await, (403, "sat.inclusion".into()));
    let cert_hash = CertHash::of_certificate(world.agent.precertificate().der());
    let log = world.party.logs.iter().next().unwrap().key.log_id();
    let proof = Inclusion { cert_hash, log, signed_at: Some(after(5)), witnessed_at: None };
    gateway.played.inclusions.lock().push(proof);
    gateway.clock.set(after(6));
    for _ in 0..3 {
        assert_eq!(outcome(&gateway, &world).await.0, 200);
    }
    assert_eq!(asks(&gateway), 2);
}

#[tokio::test]
async fn nobody_waits_without_end_for_others_to_be_asked() {
    for (mode, expected) in [(RevocationMode::HardFail, (503, "gateway.busy")), (RevocationMode::SoftFail, (200, ""))] {
        let mut world = World::new();
        world.party.policy.revocation = RevocationPolicy { mode, max_age: None, issuers: false };
        let gateway = Gateway::new(&world, Proxy::Nginx);
        *gateway.played.answers.lock() = vec![standing(&world, Status::Good)];
        let all = gateway.api.asking.available_permits();
        let taken = gateway.api.asking.acquire_many(u32::try_from(all).unwrap()).await.unwrap();
        assert_eq!(gateway.ask("GET", "/accounts", &world).await.outcome(), expected);
        assert_eq!(asks(&gateway), 0);
        drop(taken);
        assert_eq!((outcome(&gateway, &world).await.0, asks(&gateway)), (200, 1));
    }
}
