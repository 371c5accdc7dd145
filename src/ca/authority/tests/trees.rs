//! Whatever is asked, and in whatever order: nobody has more than anybody above, a revocation takes exactly those
//! below along, and nobody arrives who was on the way then.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::rig::{Ca, enrol, expire, id, serial};
use super::tree::{ROOT, caps, name, publish, revoke, uri};
use crate::apki::attenuation::{Mode, Party, capabilities_within};
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::AttenuationRules;
use crate::apki::trust_score::Score;
use crate::apki::{AgentUri, Certificate};
use crate::ca::application::{Application, DelegationTerms};
use crate::ca::command::Command;
use crate::ca::event::Event;
use crate::ca::policy::ApprovalRule;
use crate::ca::ports::Entity;
use crate::ca::record::CertificateRecord;
use crate::ca::request::RequestState;
use crate::ca::testing::{HOUR, application, evidence, principal, text};
use crate::time::UnixMillis;

/// Something that the world does, by numbers that are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Enrol {
        token: u8,
        agent: u8,
        wish: Wish,
    },
    /// Without a wish the child gets what its parent asked for.
    Delegate {
        parent: u8,
        agent: u8,
        wish: Option<Wish>,
    },
    Renew {
        certificate: u8,
        wish: Option<Wish>,
    },
    /// Any request: what comes next for it.
    Further(u8),
    /// The newest request, through to the end.
    Finish,
    Abandon(u8),
    Revoke(u8),
    RevokeBy {
        certificate: u8,
        agent: u8,
    },
    Score {
        agent: u8,
        score: u8,
    },
    Pass(u64),
}

/// What an agent wants.
#[derive(Clone, Debug)]
struct Wish {
    tools: u8,
    scope: u8,
    limit: Option<u64>,
    depth: Option<u8>,
    seconds: Option<u32>,
    rules: (Option<u8>, Option<u64>, bool),
}

const AGENTS: u8 = 6;

fn named(n: u8) -> String {
    if n.is_multiple_of(AGENTS) { ROOT.into() } else { name(n % AGENTS) }
}

impl Wish {
    fn capabilities(&self) -> Capabilities {
        let scope = ["pay", "pay/in", "pay/in/eur", "payroll"][usize::from(self.scope % 4)];
        let one = |n: u8| {
            let mut one = serde_json::json!({"tool_uri": format!("mcp://tool/{n}"), "scope": scope});
            if let Some(limit) = self.limit {
                one["spend_limit"] = serde_json::json!({"max_per_transaction": limit, "currency": "EUR"});
            }
            one
        };
        caps((0..self.tools).map(one).collect())
    }

    fn application(&self, agent: u8, child: bool) -> Application {
        let (score, spend, narrow) = self.rules;
        let rules = AttenuationRules {
            capabilities_subset: true,
            max_trust_score: score.map(|score| Score::new(score).unwrap()),
            max_spend_limit: spend.map(|amount| crate::apki::capabilities::Amount::new(amount).unwrap()),
            scope_narrowing: narrow.then(|| text("pay")),
        };
        let max_depth = self.depth;
        let mut principal = principal("Ann");
        (principal.max_depth, principal.rules) = (max_depth, rules.clone());
        Application {
            evidence: Some(evidence()),
            capabilities: Some(self.capabilities()),
            validity_seconds: self.seconds,
            principal: (!child).then_some(principal),
            terms: child.then_some(DelegationTerms { max_depth, rules }),
            ..application(&named(agent))
        }
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    // Most have as much as there is, so that lines get long; the rest is left to chance.
    let seconds = prop_oneof![6 => Just(None), 1 => Just(Some(300)), 1 => Just(Some(7200))];
    let rules = (
        prop_oneof![6 => Just(None), 1 => (30..60u8).prop_map(Some)],
        prop_oneof![6 => Just(None), 1 => (0..120u64).prop_map(Some)],
        prop::bool::weighted(0.2),
    );
    let limit = prop_oneof![3 => Just(Some(100)), 1 => Just(Some(50)), 1 => Just(None), 1 => Just(Some(101))];
    let depth = prop_oneof![6 => Just(None), 1 => (0..6u8).prop_map(Some)];
    (prop_oneof![1..5u8, Just(3)], prop_oneof![3 => Just(0u8), 1 => 0..4u8], limit, depth, seconds, rules)
        .prop_map(|(tools, scope, limit, depth, seconds, rules)| Wish { tools, scope, limit, depth, seconds, rules })
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>;
    prop_oneof![
        3 => (1..99u8, any(), wish()).prop_map(|(token, agent, wish)| Step::Enrol { token, agent, wish }),
        8 => (any(), any(), prop::option::weighted(0.3, wish()))
            .prop_map(|(parent, agent, wish)| Step::Delegate { parent, agent, wish }),
        3 => (any(), prop::option::weighted(0.3, wish())).prop_map(|(certificate, wish)| Step::Renew { certificate, wish }),
        4 => any().prop_map(Step::Further),
        14 => Just(Step::Finish),
        1 => any().prop_map(Step::Abandon),
        1 => any().prop_map(Step::Revoke),
        1 => (any(), any()).prop_map(|(certificate, agent)| Step::RevokeBy { certificate, agent }),
        1 => (any(), 0..80u8).prop_map(|(agent, score)| Step::Score { agent, score }),
        4 => prop_oneof![8 => 0..3u64, 3 => 0..HOUR / 2, 1 => Just(HOUR), 1 => Just(25 * HOUR)].prop_map(Step::Pass),
    ]
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    requests: u8,
    revoked_at: BTreeMap<AgentUri, UnixMillis>,
}

impl Ca {
    fn at<'a, T>(list: impl Iterator<Item = T> + 'a, pick: u8) -> Option<T> {
        let mut all: Vec<T> = list.collect();
        if all.is_empty() { None } else { Some(all.swap_remove(usize::from(pick) % all.len())) }
    }

    fn numbers(&self) -> impl Iterator<Item = u8> + '_ {
        self.certificates().map(|certificate| certificate.serial.as_bytes()[1])
    }

    fn open(&self) -> impl Iterator<Item = u8> + '_ {
        self.store.values().filter_map(|entity| match entity {
            Entity::Request(request) if request.state.is_open() => Some(request.id.as_bytes()[0]),
            _ => None,
        })
    }

    /// What comes next for a request. An abandoned number is not used again.
    fn next_for(&self, request: u8, seen: &Seen) -> Option<Command> {
        match &self.request(request).state {
            RequestState::Pending { .. } => Some(super::rig::approve(request)),
            RequestState::Ready { .. } if self.numbers().any(|n| n == request) => Some(expire(request)),
            RequestState::Ready { .. } => Some(self.to_precertify(request)),
            RequestState::Processing { .. } => Some(self.to_issue(request)),
            RequestState::Valid { .. } => Some(publish(request)),
            RequestState::Invalid { .. } => None,
        }
        .filter(|_| request <= seen.requests)
    }

    fn command(&self, step: &Step, seen: &Seen) -> Option<Command> {
        let next = seen.requests + 1;
        Some(match step {
            Step::Enrol { token, agent, wish } => enrol(*token, next, &wish.application(*agent, false)),
            Step::Delegate { parent, agent, wish } => {
                // One of the newest, so that there are grandchildren.
                let numbers: Vec<u8> = self.numbers().collect();
                let parent = Self::at(numbers.into_iter().rev().take(4), *parent)?;
                let inherits = || Application {
                    evidence: Some(evidence()),
                    capabilities: self.request(parent).application.capabilities.clone(),
                    ..application(&named(*agent))
                };
                let asked = wish.as_ref().map_or_else(inherits, |wish| wish.application(*agent, true));
                self.delegate(parent, next, &asked)
            }
            Step::Renew { certificate, wish } => {
                let current = Self::at(self.numbers(), *certificate)?;
                let before = &self.request(current).application;
                let capabilities = wish.as_ref().map(Wish::capabilities).or_else(|| before.capabilities.clone());
                let validity_seconds = wish.as_ref().and_then(|wish| wish.seconds);
                self.renew(current, next, &Application { capabilities, validity_seconds, ..before.clone() })
            }
            Step::Further(pick) => self.next_for(Self::at(self.open(), *pick)?, seen)?,
            Step::Finish if seen.requests == 0 => return None,
            Step::Finish => self.next_for(seen.requests, seen)?,
            Step::Abandon(pick) => {
                let number = Self::at(self.numbers(), *pick)?;
                Command::Abandon { request: id(number), serial: serial(number), why: String::new() }
            }
            Step::Revoke(agent) => revoke(&named(*agent)),
            Step::RevokeBy { certificate, agent } => {
                let mut command = revoke(&named(*agent));
                let by = self.by_agent(Self::at(self.numbers(), *certificate)?);
                if let Command::Revoke { by: whom, .. } = &mut command {
                    *whom = by;
                }
                command
            }
            Step::Score { agent, score } => Command::FollowScore {
                agent: uri(&named(*agent)),
                score: Score::new(*score).unwrap(),
                why: String::new(),
            },
            Step::Pass(_) => return None,
        })
    }

    /// Every agent below this one, itself included, by nothing but what each says of its parent.
    fn family(&self, root: &AgentUri) -> BTreeSet<AgentUri> {
        let mut family = BTreeSet::from([root.clone()]);
        loop {
            let more = self.agents().filter(|agent| agent.parent.as_ref().is_some_and(|above| family.contains(above)));
            let before = family.len();
            let more: Vec<AgentUri> = more.map(|agent| agent.uri.clone()).collect();
            family.extend(more);
            if family.len() == before {
                return family;
            }
        }
    }

    fn above<'a>(&'a self, of: &CertificateRecord) -> Vec<&'a CertificateRecord> {
        let find = |wanted| self.certificates().find(|certificate| certificate.serial == wanted).unwrap();
        std::iter::successors(of.parent.map(find), |above| above.parent.map(find)).collect()
    }

    fn does(&mut self, command: &Command, seen: &mut Seen) {
        let families: BTreeMap<AgentUri, BTreeSet<AgentUri>> =
            self.agents().map(|agent| (agent.uri.clone(), self.family(&agent.uri))).collect();
        let before: BTreeSet<AgentUri> =
            self.agents().filter(|agent| agent.revoked.is_some()).map(|agent| agent.uri.clone()).collect();
        let decision = self.decide(command);
        let mut revoked = BTreeSet::new();
        for event in &decision.events {
            match event {
                Event::RequestReceived { .. } => seen.requests += 1,
                Event::AgentRevoked { agent, .. } => {
                    assert!(revoked.insert(agent.clone()));
                    seen.revoked_at.insert(agent.clone(), self.now);
                }
                Event::CertificateIssued { request, serial, .. } => self.is_fit(request.as_bytes()[0], *serial, seen),
                _ => {}
            }
        }
        if let Some(Event::AgentRevoked { agent, with, .. }) = decision.events.first() {
            assert_eq!(*with, None);
            let mut expected: BTreeSet<AgentUri> = families[agent].difference(&before).cloned().collect();
            expected.insert(agent.clone());
            assert_eq!(revoked, expected);
        }
    }

    /// T10, and attenuation through the whole line.
    fn is_fit(&self, request: u8, number: crate::ca::serial::Serial, seen: &Seen) {
        let record = self.certificates().find(|certificate| certificate.serial == number).unwrap();
        let received_at = self.request(request).received_at;
        let line = self.above(record);
        for of in std::iter::once(record).chain(line.iter().copied()) {
            assert!(self.revocation(&of.serial).is_none() && self.now <= of.not_after);
        }
        assert!(seen.revoked_at.get(&record.agent).is_none_or(|at| received_at > *at));
        assert!(line.iter().all(|above| above.agent != record.agent && above.published_at.is_some()));
        let party = |of: &CertificateRecord| {
            let certificate = Certificate::parse(of.issued().unwrap().certificate.0.clone()).unwrap();
            (Party::of(of.agent.clone(), &certificate).unwrap(), certificate.not_before())
        };
        let (child, not_before) = party(record);
        let (own, caps) = (child.delegation.unwrap_or_else(|| panic!()), child.capabilities.unwrap());
        let score = child.trust_score.unwrap().score;
        assert_eq!(usize::from(own.depth), line.len());
        for above in line {
            let (above, _) = party(above);
            let delegation = above.delegation.unwrap();
            assert!(capabilities_within(&above.capabilities.unwrap(), &caps).is_empty());
            assert!(score <= above.trust_score.unwrap().effective(not_before).unwrap());
            assert!(child.not_after <= above.not_after && own.depth > delegation.depth);
            assert!(own.max_depth <= delegation.max_depth && own.depth <= delegation.max_depth);
            assert_eq!(own.human_principal, delegation.human_principal);
            assert!(delegation.rules.max_trust_score.is_none_or(|most| score <= most));
            for capability in caps.as_slice() {
                let amount = capability.spend_limit.and_then(|limit| limit.max_per_transaction);
                assert!(delegation.rules.max_spend_limit.is_none_or(|most| amount.is_none_or(|amount| amount <= most)));
                let scope = capability.scope.as_str();
                assert!(delegation.rules.scope_narrowing.is_none() || scope == "pay" || scope.starts_with("pay/"));
            }
        }
    }

    /// What holds after each step.
    fn is_whole(&self) {
        for agent in self.agents() {
            let children = self.agents().filter(|other| other.parent.as_ref() == Some(&agent.uri)).count();
            assert_eq!(usize::try_from(agent.children).unwrap(), children, "{}", agent.uri);
            assert!(!self.above_agents(&agent.uri).contains(&agent.uri));
            let live: BTreeSet<_> = agent.unended(self.now).map(|live| live.serial).collect();
            let valid = self.certificates().filter(|c| {
                let good = c.issued().is_some() && self.now <= c.not_after && self.revocation(&c.serial).is_none();
                good && c.agent == agent.uri
            });
            assert_eq!(live, valid.map(|c| c.serial).collect());
            assert!(agent.revoked.is_none() || live.is_empty());
            if !live.is_empty() {
                // Nobody with a certificate stands below anybody without, and the lineage is that of certificates.
                let above = agent.parent.as_ref().map(|above| self.agent(above.as_str()));
                assert!(above.is_none_or(|above| above.is_live(self.now) && above.revoked.is_none()));
            }
        }
    }

    fn above_agents(&self, of: &AgentUri) -> Vec<AgentUri> {
        let parent = |uri: &AgentUri| self.agent(uri.as_str()).parent.clone();
        std::iter::successors(parent(of), parent).take(300).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_happens_a_tree_keeps_the_rules(
        steps in prop::collection::vec(step(), 0..120),
        strict in any::<bool>(),
        approval in prop::sample::select(&[ApprovalRule::Never, ApprovalRule::Never, ApprovalRule::Always][..]),
    ) {
        let mut ca = Ca::of_trees();
        (ca.policy.approval, ca.policy.max_live) = (approval, 4);
        if strict {
            ca.policy.delegation.mode = Mode::Strict;
        }
        let mut seen = Seen::default();
        for step in steps {
            if let Step::Pass(millis) = step {
                ca.now = ca.now.saturating_add(millis);
            }
            let rounds = if matches!(step, Step::Finish) { 4 } else { 1 };
            for _ in 0..rounds {
                if let Some(command) = ca.command(&step, &seen) {
                    ca.does(&command, &mut seen);
                    ca.is_whole();
                }
            }
        }
        let (head, replayed) = ca.replay();
        prop_assert_eq!(head, ca.head);
        prop_assert_eq!(replayed.changed(), ca.store.values().cloned().collect::<Vec<_>>());
    }
}

/// A world in which nothing is ever delegated would prove nothing.
#[test]
#[allow(clippy::print_stdout)] // how much happens in it is to be seen
fn trees_do_grow_in_it() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut deepest, mut revoked) = (0, 0);
    for _ in 0..64 {
        let steps = prop::collection::vec(step(), 120).new_tree(&mut runner).unwrap().current();
        let (mut ca, mut seen) = (Ca::of_trees(), Seen::default());
        for step in steps {
            if let Step::Pass(millis) = step {
                ca.now = ca.now.saturating_add(millis);
            }
            for _ in 0..if matches!(step, Step::Finish) { 4 } else { 1 } {
                if let Some(command) = ca.command(&step, &seen) {
                    ca.does(&command, &mut seen);
                }
            }
        }
        deepest = deepest.max(ca.certificates().map(|record| ca.above(record).len()).max().unwrap_or(0));
        revoked += ca.agents().filter(|agent| agent.revoked.as_ref().is_some_and(|r| r.with.is_some())).count();
    }
    println!("{deepest} deep, {revoked} taken along");
    assert!(deepest >= 2 && revoked >= 3);
}
