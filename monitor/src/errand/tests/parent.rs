//! Delegations, and whether their parents may give what they gave.

use std::sync::Arc;

use atl::api::B64;
use atl::apki::Certificate;
use atl::apki::delegation::AttenuationRules;
use atl::apki::extension::Text;
use atl::apki::trust_score::Score;
use atl::log::entry::CertHash;
use atl::time::UnixMillis;

use super::agents::{Agent, HOUR, Key, MINUTE, NOW, Profile, TOOL, capabilities, capability, score};
use super::rig::{DAY, Rig, is_proven, precertificate_of};
use super::test_log::MMD;
use crate::errand::Errand;
use crate::errand::decide::Outcome;
use crate::evidence::Terms;
use crate::finding::{Class, EntryRef, Finding};

const AT: UnixMillis = NOW.saturating_sub(10 * MINUTE);

fn parent_of(child: EntryRef, certificate: &Certificate) -> Errand {
    let parent = certificate.delegation().unwrap().unwrap().parent_cert_hash;
    Errand::Parent { child, parent: CertHash::new(parent) }
}

impl Rig {
    /// Logs an agent's precertificate in the first log, and has its parent looked for.
    fn judge(&self, agent: &Agent) -> EntryRef {
        let entry = self.add(0, &precertificate_of(&agent.certificate), AT);
        self.post(&parent_of(entry.clone(), &agent.certificate));
        entry
    }

    /// Logs an agent's final certificate in this log.
    fn publish(&self, n: usize, agent: &Agent) -> EntryRef {
        self.add(n, agent.certificate.der(), AT)
    }

    fn root(&self, change: impl FnOnce(&mut Profile)) -> Agent {
        let mut profile = Profile::new("root", 80).principal();
        change(&mut profile);
        self.world.agent(&profile)
    }

    fn child(&self, name: &str, parent: &Agent, change: impl FnOnce(&mut Profile)) -> Agent {
        let mut profile = Profile::new(name, 60).below(parent);
        change(&mut profile);
        self.world.agent(&profile)
    }
}

fn rules(profile: &mut Profile, change: impl FnOnce(&mut AttenuationRules)) {
    change(&mut profile.delegation.as_mut().unwrap().rules);
}

#[tokio::test]
async fn a_delegation_that_keeps_the_rules_is_nothing_to_tell_wherever_its_parent_is_logged() {
    for log in [0, 1] {
        let rig = Rig::new().await;
        let root = rig.root(|_| {});
        let child = rig.child("child", &root, |_| {});
        rig.publish(log, &root);
        rig.judge(&child);
        assert_eq!(rig.once().await, 1);
        assert_eq!((rig.codes(), rig.waiting()), (vec![], vec![]));
        assert!(rig.logs[0].asked("get-proof") > 0 && (rig.logs[1].asked("") > 0) == (log == 1));
    }
}

#[tokio::test]
async fn a_delegation_that_gives_more_is_told_with_a_fraud_proof() {
    let rig = Rig::new().await;
    let root = rig.root(|_| {});
    let child = rig.child("child", &root, |profile| {
        profile.score = Some(score(81, 0));
        profile.capabilities = Some(capabilities(&[capability(TOOL, "accounts/write")]));
    });
    rig.publish(1, &root);
    let entry = rig.judge(&child);
    rig.once().await;
    let told = rig.told();
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!((told.class, &told.entry, rig.waiting().len()), (Class::DelegationExpanded, &Some(entry), 0));
    assert!(told.summary.contains("agent://agents.example/org/worker/child"), "{}", told.summary);
    let violations: Vec<_> = told.details.iter().filter(|(name, _)| name == "violation").map(|(_, v)| &**v).collect();
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert_eq!(violations[0], "the score 81 is above the parent's effective score of 80");
    assert!(violations[1].contains("accounts/write"));
    let exhibit = rig.exhibits().remove(0);
    let shown: Vec<&[u8]> = exhibit.certificates.iter().map(|included| included.certificate.as_slice()).collect();
    assert_eq!(shown, [&*precertificate_of(&child.certificate), root.certificate.der()]);
    assert!(is_proven(&exhibit));
    assert_eq!(
        exhibit.logs.iter().map(|log| log.origin.as_str()).collect::<Vec<_>>(),
        ["one.example/1", "two.example/1"]
    );
    assert_eq!(exhibit.issuers, [B64(rig.world.ca.certificate.der().to_vec())]);

    // The final certificate of the same agent is the same finding.
    let entry = rig.publish(0, &child);
    rig.post(&parent_of(entry, &child.certificate));
    assert_eq!(rig.once().await, 1);
    assert_eq!((rig.codes().len(), rig.exhibits().len(), rig.waiting().len()), (1, 1, 0));
}

#[tokio::test]
async fn the_parents_score_counts_as_it_was_at_the_moment_of_delegation() {
    for (points, told) in [(70, 0), (71, 1)] {
        let rig = Rig::new().await;
        // 80 points that fall by 10 an hour, an hour before the child's notBefore; much later now.
        let root = rig.root(|profile| profile.score = Some(score(80, 10)));
        let child = rig.child("child", &root, |profile| {
            profile.score = Some(score(points, 0));
            profile.not_before = AT.saturating_add(HOUR);
            profile.not_after = AT.saturating_add(HOUR + 10 * MINUTE);
        });
        rig.publish(0, &root);
        rig.judge(&child);
        rig.pass(DAY);
        rig.sign();
        rig.once().await;
        // The child ends after the parent in both cases; the score is what differs.
        let details = rig.told().into_iter().flat_map(|finding| finding.details);
        let scored = details.filter(|(_, value)| value.ends_with("score of 70"));
        assert_eq!(scored.count(), told, "{points}");
    }
}

#[tokio::test]
async fn what_an_ancestor_forbids_binds_all_below_it() {
    let (score, scope) = (Score::new(50).unwrap(), Text::new("accounts/read/own").unwrap());
    type Rule<'a> = &'a dyn Fn(&mut AttenuationRules);
    let cases: [(Rule<'_>, &str); 2] = [
        (&|rules| rules.max_trust_score = Some(score), "maxTrustScore of 50"),
        (&|rules| rules.scope_narrowing = Some(scope.clone()), "scopeNarrowing, `accounts/read/own`"),
    ];
    for (rule, words) in cases {
        let rig = Rig::new().await;
        let root = rig.root(|profile| rules(profile, rule));
        let middle = rig.child("middle", &root, |_| {});
        let leaf = rig.child("leaf", &middle, |_| {});
        rig.publish(0, &root);
        rig.publish(1, &middle);
        rig.judge(&leaf);
        rig.once().await;
        // Both break the root's rule: the leaf by what it has, and the one between as well.
        let told = rig.told();
        assert_eq!(told.iter().map(|finding| finding.class).collect::<Vec<_>>(), [Class::DelegationExpanded; 2]);
        assert!(told.iter().all(|finding| finding.summary.contains(words)), "{told:?}");
        let mut shown: Vec<usize> = rig.exhibits().iter().map(|exhibit| exhibit.certificates.len()).collect();
        shown.sort_unstable();
        assert_eq!(shown, [2, 3]);
        assert!(rig.exhibits().iter().all(is_proven));
    }
}

#[tokio::test]
async fn a_parent_that_is_in_no_log_is_waited_for_and_told_of_once() {
    let rig = Rig::new().await;
    let root = rig.root(|_| {});
    for name in ["first", "second"] {
        let child = rig.child(name, &root, |_| {});
        rig.judge(&child);
    }
    rig.once().await;
    assert_eq!((rig.codes().len(), rig.waiting().len()), (0, 2));
    rig.pass(MMD);
    rig.once().await;
    assert_eq!((rig.codes().len(), rig.waiting().len()), (0, 2));
    rig.pass(HOUR);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["entry.parent-unresolved"], 0));
    let told = rig.told().remove(0);
    let hash = CertHash::new(root.certificate.fingerprint()).to_string();
    assert!(told.subject.contains(&hash) && told.details.iter().any(|(_, value)| *value == hash), "{told:?}");
    // Both logs were asked.
    assert_eq!(rig.exhibits()[0].receipts.len(), 2);
}

#[tokio::test]
async fn a_parent_that_the_next_head_will_cover_is_waited_for_longer_but_not_for_ever() {
    let rig = Rig::new().await;
    let root = rig.root(|_| {});
    let child = rig.child("child", &root, |profile| profile.score = Some(score(99, 0)));
    rig.judge(&child);
    rig.logs[0].add(root.certificate.der(), AT, &[rig.world.ca.certificate.der()]);
    for _ in 0..2 {
        rig.once().await;
        assert_eq!((rig.codes().len(), rig.waiting().len()), (0, 1));
        rig.pass(HOUR / 2);
    }
    rig.sign();
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["entry.delegation-expanded"], 0));

    let rig = Rig::new().await;
    let child = rig.child("child", &root, |_| {});
    rig.judge(&child);
    rig.logs[0].add(root.certificate.der(), AT, &[]);
    rig.once().await;
    rig.pass(2 * HOUR);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["entry.parent-unresolved"], 0));
}

#[tokio::test]
async fn a_missing_grandparent_is_told_of_once_and_what_is_known_is_judged_at_once() {
    let rig = Rig::new().await;
    let root = rig.root(|_| {});
    let middle = rig.child("middle", &root, |_| {});
    let leaf = rig.child("leaf", &middle, |profile| profile.score = Some(score(61, 0)));
    let published = rig.publish(0, &middle);
    rig.post(&parent_of(published, &middle.certificate));
    rig.judge(&leaf);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["entry.delegation-expanded"], 2));
    rig.pass(HOUR);
    rig.once().await;
    assert_eq!(rig.codes(), ["entry.delegation-expanded", "entry.parent-unresolved"]);
    assert_eq!(rig.waiting().len(), 0);
}

#[tokio::test]
async fn a_log_that_is_silent_keeps_a_parent_from_being_called_missing_for_a_day() {
    let rig = Rig::new().await;
    let root = rig.root(|_| {});
    let child = rig.child("child", &root, |_| {});
    rig.judge(&child);
    rig.logs[1].lie(|lies| lies.refuses = Some((atl::api::Token::Internal, 1)));
    rig.once().await;
    rig.pass(2 * HOUR);
    rig.once().await;
    assert_eq!((rig.codes().len(), rig.waiting().len()), (0, 1));
    rig.pass(DAY);
    rig.once().await;
    assert_eq!(rig.codes(), ["entry.parent-unresolved"]);
    let told = rig.told().remove(0);
    assert!(
        told.details.iter().any(|(name, why)| name == "not answered" && why.starts_with("two.example/1")),
        "{told:?}"
    );
}

#[tokio::test]
async fn octets_that_are_not_the_parent_are_not_judged() {
    let rig = Rig::new().await;
    let (root, other) = (rig.root(|_| {}), rig.root(|profile| profile.score = Some(score(10, 0))));
    let child = rig.child("child", &root, |_| {});
    rig.publish(1, &root);
    rig.logs[1].lie(|lies| lies.certificate = Some(other.certificate.der().to_vec()));
    rig.judge(&child);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.bad-tile"], 1));
    assert_eq!(rig.told()[0].log, "two.example/1");
    assert_eq!(rig.exhibits()[0].receipts.len(), 1);
    rig.logs[1].lie(|lies| {
        lies.certificate = None;
        lies.garbage = true;
    });
    rig.pass(MINUTE / 2);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.bad-tile", "log.proof-garbage"], 1));
}

#[tokio::test]
async fn a_log_that_makes_up_a_certificate_accuses_no_ca() {
    let rig = Rig::new().await;
    let root = rig.root(|_| {});
    let mut profile = Profile::new("made-up", 99).below(&root);
    profile.score = Some(score(99, 0));
    let made_up = profile.draft(&Key::ed25519(77), &rig.world.ca).sign(&Key::ed25519(78));
    rig.publish(0, &root);
    let entry = rig.add(0, made_up.der(), AT);
    rig.post(&parent_of(entry, &made_up));
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.bad-tile"], 0));
    assert!(rig.told()[0].summary.contains("has not signed"));
}

#[tokio::test]
async fn what_was_dropped_cannot_be_judged_and_that_is_told() {
    let rig = Rig::new().await;
    let root = rig.root(|_| {});
    let child = rig.child("child", &root, |_| {});
    rig.publish(1, &root);
    rig.logs[1].lie(|lies| lies.pruned = true);
    rig.judge(&child);
    rig.once().await;
    rig.pass(HOUR);
    rig.once().await;
    assert_eq!(rig.codes(), ["entry.parent-unresolved"]);
    assert!(rig.told()[0].summary.contains("dropped"), "{}", rig.told()[0].summary);
    // Of a child that was dropped nothing is known.
    rig.logs[0].lie(|lies| lies.pruned = true);
    rig.judge(&rig.child("other", &root, |_| {}));
    rig.once().await;
    assert_eq!((rig.codes().len(), rig.waiting().len()), (1, 0));
}

#[tokio::test]
async fn a_line_has_one_human() {
    for (human, codes) in [("Ann", vec![]), ("Bob", vec!["entry.delegation-expanded"])] {
        let rig = Rig::new().await;
        let root = rig.root(|_| {});
        let child = rig.child("child", &root, |profile| {
            profile.delegation.as_mut().unwrap().human_principal = Some(Text::new(human).unwrap());
        });
        rig.publish(0, &root);
        rig.judge(&child);
        rig.once().await;
        assert_eq!(rig.codes(), codes);
        // No rule of attenuation is broken, so there is no fraud proof.
        assert_eq!(rig.exhibits().len(), 0);
    }
}

#[tokio::test]
async fn a_line_is_followed_sixteen_steps_and_no_further() {
    let rig = Rig::new().await;
    let mut above = rig.root(|profile| profile.delegation.as_mut().unwrap().max_depth = 200);
    rig.publish(0, &above);
    for (depth, told) in (1..=17).map(|depth| (depth, usize::from(depth == 17))) {
        let own = rig.child(&format!("n{depth}"), &above, |profile| {
            profile.delegation.as_mut().unwrap().max_depth = 200;
        });
        rig.publish(0, &own);
        if depth > 15 {
            rig.judge(&own);
            rig.once().await;
            assert_eq!((rig.codes().len(), rig.waiting().len()), (told, 0), "{depth}");
        }
        above = own;
    }
    assert!(rig.told()[0].summary.contains("more than 16"), "{}", rig.told()[0].summary);
}

#[tokio::test]
async fn a_child_that_its_log_denies_is_asked_about_for_a_day() {
    let rig = Rig::new().await;
    let root = rig.root(|_| {});
    let entry = rig.judge(&rig.child("child", &root, |_| {}));
    rig.logs[0].lie(|lies| _ = lies.denied.insert(entry.cert_hash));
    rig.once().await;
    assert_eq!((rig.codes().len(), rig.waiting().len()), (0, 1));
    rig.pass(DAY);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.proof-refused"], 0));
}

#[tokio::test]
async fn a_certificate_that_nobody_ordered_is_told_with_the_proof_that_it_is_logged() {
    let rig = Rig::new().await;
    let agent = rig.root(|_| {});
    let entry = rig.add(0, &precertificate_of(&agent.certificate), AT);
    let stranger =
        Finding { entry: Some(entry.clone()), ..Finding::new(Class::Unauthorised, None, "x", "x".into(), NOW) };
    let known_as = vec![entry.cert_hash];
    rig.post(&Errand::Authorised { known_as, finding: Box::new(stranger), due: NOW });
    let terms = Terms { trust_domains: vec![super::agents::DOMAIN.into()], ..Terms::default() };
    let owner = |_: &[CertHash], finding: &Finding, _: UnixMillis, _: UnixMillis| Outcome::found(finding.clone(), None);
    assert_eq!(rig.runner().with_owner(Arc::new(owner), terms).once().await.unwrap(), 1);
    let told = rig.told();
    let detail = |name: &str| told[0].details.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    assert!(detail("covered by").unwrap().starts_with("the head of "));
    assert!(detail("inclusion proof").unwrap().starts_with("leaf "));
    let exhibits = rig.exhibits();
    assert!(told[0].evidence.is_some() && is_proven(&exhibits[0]), "{exhibits:?}");
}
