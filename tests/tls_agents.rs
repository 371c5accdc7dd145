//! Two agents over mutual TLS: who gets a connection, who is refused, and what each side learns.
#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used)]

#[path = "common/agents.rs"]
mod agents;
#[path = "tls_agents/strangers.rs"]
mod strangers;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agents::{
    Agent, Ca, HOUR, Key, MINUTE, NOW, Profile, SCOPE, TOOL, World, capabilities, capability, finish, operation,
    pem_of, policy, precertificate, score,
};
use atl::apki::AgentUri;
use atl::apki::status::RevocationReason;
use atl::apki::status::ocsp::CertStatus;
use atl::time::{Clock, UnixMillis};
use atl::tls::{Alert, Channel, Endpoint, Expected, Identity, IdentityError, Material, TlsError};
use atl::verify::relying::{
    Code, Facts, PeerPattern, Peers, Policy, Refused, RelyingParty, RevocationLists, RevocationMode, Revocations,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A clock that a test sets.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn set(&self, now: UnixMillis) {
        self.0.store(now.get(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

/// The world with one clock, and a bank that everybody knows.
struct Stage {
    world: World,
    hand: Hand,
    bank: Agent,
}

type Outcome = Result<Channel<UnixStream>, TlsError>;

impl Stage {
    fn new() -> Self {
        let world = World::new();
        let bank = world.agent_with(&Profile::new("bank", 90), Key::p256());
        Self { world, hand: Hand(Arc::new(AtomicU64::new(NOW.get()))), bank }
    }

    /// The endpoint of an agent that wants 40 points and asks nobody about revocation.
    fn endpoint(&self, agent: &Agent) -> Endpoint {
        self.endpoint_with(agent, policy())
    }

    fn endpoint_with(&self, agent: &Agent, policy: Policy) -> Endpoint {
        let material = Material::new(self.world.party(policy));
        Endpoint::new(presenting(agent), material, Arc::new(self.hand.clone()))
    }

    /// The worker comes to the bank, which lets it do `what`.
    fn comes(&self, worker: &Agent, what: &Expected) -> (Outcome, Outcome) {
        meet(&self.endpoint(worker), &Expected::agent(&self.bank.uri()), &self.endpoint(&self.bank), what)
    }

    /// The same where both explain.
    fn explained(&self, worker: &Agent, what: &Expected) -> (Outcome, Outcome) {
        let (worker, bank) = (self.endpoint(worker).explaining(), self.endpoint(&self.bank).explaining());
        meet(&worker, &Expected::agent(&self.bank.uri()), &bank, what)
    }

    /// A good worker.
    fn worker(&self) -> Agent {
        self.world.agent(&Profile::new("worker", 80))
    }
}

/// What an agent presents, whatever it is worth.
fn presenting(agent: &Agent) -> Identity {
    presenting_with(agent, &agent.key)
}

fn presenting_with(agent: &Agent, key: &Key) -> Identity {
    let certificates = agent.certificates().iter().map(|c| CertificateDer::from(c.der().to_vec())).collect();
    Identity::new(certificates, &PrivateKeyDer::from_pem_slice(key.pem().as_bytes()).unwrap()).unwrap()
}

/// Two ends of a stream.
fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    for stream in [&near, &far] {
        // A test that waits for ever is none.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    (near, far)
}

/// Both sides of a meeting: the one that connects, and the one that accepts.
fn meet(client: &Endpoint, to: &Expected, server: &Endpoint, from: &Expected) -> (Outcome, Outcome) {
    let (near, far) = pair();
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| server.accept(far, from));
        let connected = client.connect(near, to);
        (connected, accepting.join().unwrap())
    })
}

/// The alert with which the peer ends a connection that this side took for made.
fn alert_of(outcome: Outcome) -> Alert {
    let error = match outcome {
        Ok(mut channel) => TlsError::from(channel.read(&mut [0]).unwrap_err()),
        Err(error) => error,
    };
    match error {
        TlsError::Alert(alert) => alert,
        other => panic!("no alert, but {other}"),
    }
}

fn refused(outcome: Outcome) -> Box<Refused> {
    match outcome {
        Err(TlsError::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

fn codes(refused: &Refused) -> Vec<Code> {
    refused.reasons().iter().map(|reason| reason.code).collect()
}

/// That octets go through both ways.
#[track_caller]
fn talks(one: &mut Channel<UnixStream>, other: &mut Channel<UnixStream>) {
    for text in [&b"ping"[..], b"pong"] {
        one.write_all(text).unwrap();
        let mut heard = [0; 4];
        other.read_exact(&mut heard).unwrap();
        assert_eq!(heard, text);
        std::mem::swap(&mut *one, &mut *other);
    }
}

#[test]
fn good_agents_know_each_other_in_both_modes() {
    let stage = Stage::new();
    let worker = stage.worker();
    let may = Expected::anyone().allowed_to(operation(TOOL, "accounts/read/own"));
    for (client, server) in [stage.comes(&worker, &may), stage.explained(&worker, &may)] {
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        assert_eq!((client.peer().agent(), server.peer().agent()), (&stage.bank.uri(), &worker.uri()));
        let accepted = server.peer().accepted();
        assert_eq!((accepted.score.get(), server.peer().tier().name()), (80, accepted.score.tier().name()));
        assert_eq!(server.peer().capabilities(), &capabilities(&[capability(TOOL, SCOPE)]));
        assert_eq!(accepted.grant.as_ref().unwrap().rights[0].0, worker.uri());
        assert_eq!(server.peer().good_until(), worker.certificate.not_after());
        assert_eq!(client.peer().accepted().grant, None);
        talks(&mut client, &mut server);
        // The end is told, so that nobody can cut a message short.
        client.close().unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn who_cannot_be_known_is_refused_in_the_handshake_in_both_modes() {
    let stage = Stage::new();
    let (world, good) = (&stage.world, Profile::new("worker", 80));
    let replaced = |certificate| Agent { certificate, ..world.agent(&good) };
    let key = Key::ed25519(77);
    let foreign = Ca::root("Root", Key::ed25519(66)).below("Org", Key::ed25519(67));
    let forged = precertificate(&good.draft(&key, &foreign), &foreign.key);
    let forged = Agent {
        certificate: finish(&forged, world.stamps(&forged, NOW), &foreign.key),
        issuers: foreign.chain(),
        parents: Vec::new(),
        key: Key::ed25519(77),
    };
    let with = |change: &dyn Fn(&mut Profile)| {
        let mut profile = good.clone();
        change(&mut profile);
        world.agent(&profile)
    };
    let unlogged = world.unlogged(&good);
    let poisoned = precertificate(&good.draft(&key, &world.ca), &world.ca.key);
    let cases: Vec<(&str, Agent, Code, Alert)> = vec![
        ("no SAT", unlogged, Code::NoSat, Alert::NotLogged),
        (
            "another domain",
            with(&|p| p.uri = "agent://other.example/org/worker/w".into()),
            Code::UnknownDomain,
            Alert::UnknownCa,
        ),
        ("another root", forged, Code::UnknownAnchor, Alert::UnknownCa),
        ("a precertificate", Agent { key, ..replaced(poisoned) }, Code::Precertificate, Alert::BadCertificate),
        ("ended", with(&|p| p.not_after = NOW.saturating_sub(1)), Code::Expired, Alert::Expired),
        ("not yet", with(&|p| p.not_before = NOW.saturating_add(MINUTE)), Code::NotYetValid, Alert::Expired),
    ];
    for (what, agent, code, alert) in cases {
        for (client, server) in [stage.comes(&agent, &Expected::anyone()), stage.explained(&agent, &Expected::anyone())]
        {
            let refused = refused(server);
            assert_eq!(refused.reasons()[0].code, code, "{what}: {refused}");
            assert_eq!(alert_of(client), alert, "{what}");
        }
        // The other way round: who connects refuses who accepts.
        let (client, server) =
            meet(&stage.endpoint(&stage.bank), &Expected::anyone(), &stage.endpoint(&agent), &Expected::anyone());
        assert_eq!(refused(client).reasons()[0].code, code, "{what}");
        assert_eq!(alert_of(server), alert, "{what}");
    }
}

#[test]
fn who_is_known_is_told_why_it_may_not() {
    let stage = Stage::new();
    let world = &stage.world;
    let worker = Profile::new("worker", 80);
    let root = world.agent(&Profile::new("root", 80).principal());
    let orphan = Agent { parents: Vec::new(), ..world.child(Profile::new("child", 70), &root) };
    let stepparent = world.agent(&Profile::new("root", 80).principal());
    let adopted = Agent { parents: vec![stepparent.certificate], ..world.child(Profile::new("child", 70), &root) };
    let low = world.agent(&Profile { score: Some(score(39, 0)), ..worker.clone() });
    let may = |tool: &str, scope: &str| Expected::anyone().allowed_to(operation(tool, scope));
    let cases: Vec<(&str, Agent, Expected, Code)> = vec![
        ("a low score", low, Expected::anyone(), Code::ScoreTooLow),
        ("another scope", world.agent(&worker), may(TOOL, "accounts"), Code::Scope),
        ("another tool", world.agent(&worker), may("mcp://mail", "send"), Code::Tool),
        ("no parents", orphan, Expected::anyone(), Code::NoParent),
        ("another parent", adopted, Expected::anyone(), Code::ParentCertHash),
    ];
    for (what, agent, expected, code) in cases {
        let (client, server) = stage.explained(&agent, &expected);
        let refused_here = refused(server);
        assert_eq!(codes(&refused_here), [code], "{what}");
        let Err(TlsError::TurnedAway(told)) = client else { panic!("{what}: {client:?}") };
        let reason = &told.reasons[0];
        assert_eq!((reason.code.as_str(), told.reasons.len()), (code.as_str(), 1), "{what}");
        assert_eq!(reason.detail, refused_here.reasons()[0].detail, "{what}");
        assert_eq!((reason.help.as_str(), reason.rule.as_str()), (code.help(), code.rule()), "{what}");

        // In the other mode the alert says as much as alerts do.
        let (client, server) = stage.comes(&agent, &expected);
        assert_eq!(codes(&refused(server)), [code], "{what}");
        assert_eq!(alert_of(client), Alert::Denied, "{what}");
    }
}

#[test]
fn the_side_that_connects_says_why_too() {
    let stage = Stage::new();
    let worker = stage.worker();
    let strict = Policy { minimum: score(95, 0).score, ..policy() };
    let client = stage.endpoint_with(&worker, strict).explaining();
    let server = stage.endpoint(&stage.bank).explaining();
    let (client, server) = meet(&client, &Expected::agent(&stage.bank.uri()), &server, &Expected::anyone());
    assert_eq!(codes(&refused(client)), [Code::ScoreTooLow]);
    let Err(TlsError::TurnedAway(told)) = server else { panic!("{server:?}") };
    assert_eq!(told.reasons[0].code, "trust.score");
}

#[test]
fn a_child_is_known_with_those_above_it() {
    let stage = Stage::new();
    let root = stage.world.agent(&Profile::new("root", 80).principal());
    let child = stage.world.child(Profile::new("child", 70), &root);
    let grandchild = stage.world.child(Profile::new("grandchild", 60), &child);
    let (client, server) = stage.comes(&grandchild, &Expected::anyone());
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    assert_eq!(server.peer().accepted().parents, [child.uri(), root.uri()]);
    assert_eq!(server.peer().accepted().human_principal.as_ref().unwrap().as_str(), "Ann");
    talks(&mut client, &mut server);
}

#[test]
fn only_the_agent_that_is_meant_is_taken() {
    let stage = Stage::new();
    let (worker, other) = (stage.worker(), stage.world.agent(&Profile::new("other", 90)));
    // Another agent of the domain stands where the bank should.
    for explain in [false, true] {
        let mode = |endpoint: Endpoint| if explain { endpoint.explaining() } else { endpoint };
        let (client, server) = (mode(stage.endpoint(&worker)), mode(stage.endpoint(&other)));
        let (client, server) = meet(&client, &Expected::agent(&stage.bank.uri()), &server, &Expected::anyone());
        let refused = refused(client);
        assert_eq!((codes(&refused), refused.claims.clone()), (vec![Code::Peer], Some(other.uri())));
        // Whom the caller means is not told to who is somebody else.
        assert_eq!(alert_of(server), Alert::Denied);
    }
    // The side that accepts may name agents as well, for one connection or for all.
    let only = Peers::Only(vec![PeerPattern::parse("agent://agents.example/org/auditor").unwrap()]);
    let (_, server) = stage.comes(&worker, &Expected { peers: only.clone(), operation: None });
    assert_eq!(codes(&refused(server)), [Code::Peer]);
    let bank = stage.endpoint_with(&stage.bank, Policy { peers: only, ..policy() }).explaining();
    let (client, _) = meet(&stage.endpoint(&worker).explaining(), &Expected::anyone(), &bank, &Expected::anyone());
    assert!(matches!(client, Err(TlsError::TurnedAway(told)) if told.reasons[0].code == "profile.peer"));
}

#[test]
fn a_score_that_has_decayed_does_not_do_any_more() {
    let stage = Stage::new();
    let fading =
        Profile { score: Some(score(50, 5)), not_after: NOW.saturating_add(10 * HOUR), ..Profile::new("fading", 50) };
    let fading = stage.world.agent(&fading);
    let bank = stage.world.agent(&Profile { not_after: NOW.saturating_add(10 * HOUR), ..Profile::new("bank", 90) });
    let (client, server) = (stage.endpoint(&fading), stage.endpoint(&bank));
    let (_near, channel) = meet(&client, &Expected::anyone(), &server, &Expected::anyone());
    let peer = channel.unwrap().peer().clone();
    // 50 points, 5 fewer each hour: below 40 in the third.
    let until = peer.good_until();
    assert!(until > NOW.saturating_add(HOUR) && until < NOW.saturating_add(4 * HOUR), "{until}");
    stage.hand.set(until.saturating_sub(1));
    assert_eq!(server.recheck(&peer).unwrap().good_until(), until);
    stage.hand.set(until);
    assert_eq!(codes(&server.recheck(&peer).unwrap_err()), [Code::ScoreTooLow]);
    let (near, far) = meet(&client, &Expected::anyone(), &server, &Expected::anyone());
    assert_eq!(codes(&refused(far)), [Code::ScoreTooLow]);
    assert_eq!(alert_of(near), Alert::Denied);
}

#[test]
fn a_connection_goes_on_until_it_is_judged_again() {
    let stage = Stage::new();
    let worker = stage.worker();
    let lists = |revoked: &[&Agent]| {
        let certificates: Vec<_> = revoked.iter().map(|agent| &agent.certificate).collect();
        let mut lists = RevocationLists::default();
        let list = stage.world.ca.crl(NOW, &certificates);
        lists.add(list, &stage.world.ca.certificate, &stage.world.party(policy()).domains).unwrap();
        Facts { revocations: Revocations { lists: lists.into(), ..Revocations::default() }, ..Facts::default() }
    };
    let mut hard = policy();
    hard.revocation.mode = RevocationMode::HardFail;
    let (client, server) = (stage.endpoint(&worker), stage.endpoint_with(&stage.bank, hard.clone()));
    let meeting = || meet(&client, &Expected::anyone(), &server, &Expected::anyone());

    // Nothing is known of revocation, and the bank wants to know.
    let (near, far) = meeting();
    assert_eq!(codes(&refused(far)), [Code::StatusUnavailable]);
    assert_eq!(alert_of(near), Alert::Status);

    server.replace_facts(lists(&[]));
    let (near, far) = meeting();
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    let until = far.peer().good_until();
    assert!(until <= NOW.saturating_add(HOUR));

    // A list that names the worker is there: no new connection, and the old one goes on.
    server.replace_facts(lists(&[&worker]));
    let (new, refusing) = meeting();
    assert_eq!(codes(&refused(refusing)), [Code::Revoked]);
    assert_eq!(alert_of(new), Alert::Revoked);
    talks(&mut near, &mut far);
    let refused = server.recheck(far.peer()).unwrap_err();
    assert_eq!((codes(&refused), refused.at), (vec![Code::Revoked], NOW));
    assert_eq!(server.judge(far.peer(), &operation(TOOL, SCOPE)).reasons()[0].code, Code::Revoked);
    drop(far.close().unwrap());
    assert_eq!(near.read(&mut [0]).unwrap(), 0);

    // Another relying party judges old connections as well: their signatures are verified anew.
    server.replace_facts(lists(&[]));
    let (_near, far) = meeting();
    let peer = far.unwrap().peer().clone();
    assert!(server.judge(&peer, &operation(TOOL, SCOPE)).is_accepted());
    assert_eq!(server.judge(&peer, &operation(TOOL, "x")).reasons()[0].code, Code::Scope);
    let mut party = stage.world.party(hard);
    party.logs = Default::default();
    server.replace(Material { party: Arc::new(party), ..server.material() });
    assert_eq!(codes(&server.recheck(&peer).unwrap_err()), [Code::NoSat]);
    assert_eq!(server.judge(&peer, &operation(TOOL, SCOPE)).reasons()[0].code, Code::NoSat);
    let elsewhere = World { root: Ca::root("Root", Key::ed25519(66)), ..World::new() };
    server.replace(Material { party: Arc::new(elsewhere.party(policy())), ..server.material() });
    assert_eq!(codes(&server.recheck(&peer).unwrap_err()), [Code::UnknownAnchor]);
    server.replace(Material { party: Arc::new(stage.world.party(policy())), ..server.material() });
    let again = server.recheck(&peer).unwrap();
    assert_eq!((again.agent(), again.good_until()), (&worker.uri(), worker.certificate.not_after()));
}

#[test]
fn a_staple_is_a_fact_for_the_side_that_connects() {
    let stage = Stage::new();
    let worker = stage.worker();
    let mut hard = policy();
    hard.revocation.mode = RevocationMode::HardFail;
    let client = stage.endpoint_with(&worker, hard);
    let server = stage.endpoint(&stage.bank);
    let ca = &stage.world.ca;
    let at = agents::moment(NOW);
    let revoked = CertStatus::Revoked { at, reason: RevocationReason::KeyCompromise };
    let bank = &stage.bank.certificate;
    let other_ca = Ca::root("Org", Key::ed25519(55));
    let cases = [
        ("nothing", None, Some(Code::StatusUnavailable)),
        ("good", Some(ca.ocsp(bank, NOW, CertStatus::Good)), None),
        ("revoked", Some(ca.ocsp(bank, NOW, revoked)), Some(Code::Revoked)),
        ("unknown", Some(ca.ocsp(bank, NOW, CertStatus::Unknown)), Some(Code::StatusUnknown)),
        ("of another", Some(ca.ocsp(&worker.certificate, NOW, CertStatus::Good)), Some(Code::StatusInvalid)),
        ("by another", Some(other_ca.ocsp(bank, NOW, CertStatus::Good)), Some(Code::StatusInvalid)),
        ("old", Some(ca.ocsp(bank, NOW.saturating_sub(2 * HOUR), CertStatus::Good)), Some(Code::StatusInvalid)),
        ("noise", Some(b"no OCSP".to_vec()), Some(Code::StatusInvalid)),
    ];
    for (what, staple, code) in cases {
        let mut identity = presenting(&stage.bank);
        if let Some(staple) = staple {
            identity = identity.with_staple(staple);
        }
        // The next handshake has it: nobody is started anew for a newer staple.
        server.present(identity);
        let (near, far) = meet(&client, &Expected::agent(&stage.bank.uri()), &server, &Expected::anyone());
        match code {
            Some(code) => {
                assert_eq!(codes(&refused(near)), [code], "{what}");
                let alert = if code == Code::Revoked { Alert::Revoked } else { Alert::Status };
                assert_eq!(alert_of(far), alert, "{what}");
            }
            None => {
                let peer = near.unwrap().peer().clone();
                // It counts for as long as it says.
                let until = NOW.saturating_add(HOUR);
                assert!(peer.good_until() <= until && client.recheck(&peer).is_ok());
                // Also for another relying party, which has nothing else to go by.
                let party = client.material().party;
                client.replace(Material::new(RelyingParty::clone(&party)));
                assert_eq!(client.recheck(&peer).unwrap().good_until(), peer.good_until());
                stage.hand.set(until.saturating_add(2 * MINUTE));
                let found = codes(&client.recheck(&peer).unwrap_err());
                assert!(found.contains(&Code::StatusStale), "{found:?}");
                stage.hand.set(NOW);
            }
        }
    }
}

#[test]
fn a_renewed_certificate_is_presented_from_the_next_handshake_on() {
    let stage = Stage::new();
    let (worker, renewed) = (stage.worker(), stage.worker());
    let (client, server) = (stage.endpoint(&worker), stage.endpoint(&stage.bank));
    let meeting = || meet(&client, &Expected::anyone(), &server, &Expected::anyone());
    let (near, far) = meeting();
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    client.present(presenting(&renewed));
    let (_near, second) = meeting();
    let second = second.unwrap();
    assert_eq!(far.peer().accepted().certificate, worker.certificate.fingerprint());
    assert_eq!(second.peer().accepted().certificate, renewed.certificate.fingerprint());
    talks(&mut near, &mut far);
}

#[test]
fn the_two_modes_do_not_mix() {
    let stage = Stage::new();
    let (worker, bank) = (stage.endpoint(&stage.worker()), stage.endpoint(&stage.bank));
    let (client, _) = meet(&worker.clone().explaining(), &Expected::anyone(), &bank, &Expected::anyone());
    assert!(matches!(client, Err(TlsError::OtherMode)), "{client:?}");
    let (_, server) = meet(&worker, &Expected::anyone(), &bank.explaining(), &Expected::anyone());
    assert!(matches!(server, Err(TlsError::OtherMode)), "{server:?}");
}

#[test]
fn an_identity_is_read_as_the_agents_directory_has_it() {
    let world = World::new();
    let root = world.agent(&Profile::new("root", 80).principal());
    let child = world.child(Profile::new("child", 70), &root);
    let grandchild = world.child(Profile::new("grandchild", 60), &child);
    let (chain, parents, key) = (grandchild.chain_pem(), grandchild.parents_pem(), grandchild.key.pem());
    assert_eq!(Identity::from_pem(&chain, &parents, &key).unwrap().agent(), &grandchild.uri());
    let error = |chain: &str, parents: &str, key: &str| Identity::from_pem(chain, parents, key).unwrap_err();
    assert!(matches!(error(&chain, "", &key), IdentityError::NoParent(_)));
    let only_parent = pem_of(&grandchild.parents[..1]);
    assert_eq!(error(&chain, &only_parent, &key), IdentityError::NoParent(hex::encode(root.certificate.fingerprint())));
    assert_eq!(error(&chain, &parents, &root.key.pem()), IdentityError::OtherKey);
    assert_eq!(error("", "", &key), IdentityError::Empty);
    assert!(matches!(error(&pem_of(&[world.ca.certificate]), "", &key), IdentityError::Agent(_)));
    assert!(matches!(error(&chain, &parents, "x"), IdentityError::Pem { what: "the key", .. }));
    let broken = chain.replace("-----END CERTIFICATE-----", "");
    assert!(matches!(error(&broken, "", &key), IdentityError::Pem { .. } | IdentityError::Empty));
}
