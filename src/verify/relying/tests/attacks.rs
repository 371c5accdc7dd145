//! The threats of draft 11.2 as far as a relying party is what stands against them, each with certificates
//! that the attacker really made.

use super::rig::*;
use crate::apki::attestation::AttestationMethod;
use crate::apki::certificate::uri_name_constraint_der;
use crate::apki::chain::Anchors;
use crate::apki::federation::TrustDomain;
use crate::apki::oid;
use crate::apki::precertificate::extension_der;
use crate::apki::status::RevocationReason;
use crate::apki::trust_score::DecayRate;
use crate::time::UnixMillis;
use crate::verify::relying::*;

/// T1: whatever the CA was made to believe, an agent below an ancestor has no more than the ancestor has left.
#[test]
fn t1_an_inflated_score_is_worth_no_more_than_the_line_above_it() {
    let mut world = World::delegated();
    world.parents[0].score().decay_rate = DecayRate::new(100).unwrap();
    world.agent.score().decay_rate = DecayRate::new(0).unwrap();
    world.agent.not_before = START;
    world.now = after(18);
    // The parent has 70 - 30 left; the child's own 60 do not decay.
    assert_eq!(world.accepted().score, points(40));
    world.now = after(19);
    assert_eq!(world.codes(), [Code::ScoreTooLow]);
}

/// T2: a certificate that was dated ahead, so that its score decays later, is malformed.
#[test]
fn t2_a_score_does_not_escape_decay_by_its_date() {
    let mut world = World::new();
    world.agent.score().last_updated = moment(after(30));
    assert_eq!(world.codes(), [Code::ScoreAhead]);
    let mut world = World::new();
    (world.agent.not_after, world.now) = (after(24 * 60), after(15 * 60 + 1));
    assert_eq!(world.codes(), [Code::ScoreTooLow], "70 points lose 2 an hour");
}

/// T3: a CA that does not check what is handed on certifies a child with more than its parent.
#[test]
fn t3_a_child_with_more_than_its_parent_is_refused_whatever_its_ca_signed() {
    let mut world = World::delegated();
    world.agent.capabilities = Some(vec![spending(PAYMENTS, "pay", 1_000_000, 1_000_000)]);
    world.operation = Some(payment(1_000_000, "GBP"));
    let codes = world.codes();
    assert!(codes.contains(&Code::DelegationPerTransaction) || codes.contains(&Code::DelegationPerPeriod), "{codes:?}");
    // A grandchild that goes around its parent by naming the grandparent's rights.
    let mut world = World::delegated();
    let mut middle = world.parents[0].clone();
    middle.uri = "agent://example.com/retail/clerk/1".into();
    middle.delegation().depth = 1;
    middle.delegation().rules.scope_narrowing = Some(text("accounts"));
    middle.capabilities = Some(vec![capability(ACCOUNTS, "accounts")]);
    world.parents.insert(0, middle);
    world.agent.delegation().depth = 2;
    let codes = world.codes();
    assert!(codes.contains(&Code::DelegationTool) && codes.contains(&Code::ScopeNarrowing), "{codes:?}");
}

/// T3: somebody else's certificate in the place of a parent.
#[test]
fn t3_a_parent_from_below_another_root_is_no_parent() {
    let mut world = World::delegated();
    world.parents[0].issuer_key = 66;
    assert_eq!(world.codes(), [Code::ChainSignature]);
    let subject = world.decide(Effort::Whole).reasons()[0].subject;
    assert_eq!(subject, Subject::Parent(1));
}

/// T4: a stolen CA key makes certificates in secret.
#[test]
fn t4_a_certificate_that_no_log_has_is_refused() {
    let mut world = World::new();
    world.agent.sats.clear();
    assert_eq!(world.codes(), [Code::NoSat]);
    // A timestamp of another certificate, put in to look like one.
    let mut world = World::new();
    world.agent.change_sats = |sats| sats[0].cert_hash = crate::log::entry::CertHash::new([5; 32]);
    assert_eq!(world.codes(), [Code::SatOtherCertificate]);
    // A log of the attacker's own.
    let mut world = World::new();
    world.agent.sats = vec![(ROGUE_LOG, START)];
    assert_eq!(world.codes(), [Code::NoSat]);
}

/// T4: a CA certifies agents of a domain that is not its own.
#[test]
fn t4_a_ca_speaks_for_its_own_domain_alone() {
    let mut world = World::new();
    let other = ca("Other Root", "Other Root", 51, 51, |_| {});
    let domains = [("example.com", root()), ("example.org", other)].map(|(domain, root)| {
        let trusted = Trusted::Roots(Anchors::new([root]).unwrap());
        (TrustDomain::parse(domain).unwrap(), Domain::own(trusted))
    });
    world.party.domains = Domains::new(domains);
    assert_eq!(world.codes(), []);
    // The CA of example.com, which is trusted, names an agent of example.org, which is trusted too.
    world.agent.uri = "agent://example.org/retail/teller/1".into();
    assert_eq!(world.codes(), [Code::UnknownAnchor]);
    // And a CA that its own root has limited.
    let mut world = World::new();
    world.issuers = vec![ca("Root", "Org", ORG, ROOT, |draft| {
        draft.extensions.push(extension_der(
            &oid::NAME_CONSTRAINTS,
            true,
            &uri_name_constraint_der("shop.example.com"),
        ));
    })];
    assert_eq!(world.codes(), [Code::NameConstraint]);
}

/// T4: the CA itself was revoked, with all that it certified.
#[test]
fn t4_an_agent_of_a_revoked_ca_is_refused() {
    let mut world = World::new();
    world.party.policy.revocation = RevocationPolicy { mode: RevocationMode::SoftFail, max_age: None, issuers: true };
    let status = Status::Revoked { at: after(1), reason: RevocationReason::CaCompromise };
    let (this_update, next_update) = (after(4), after(6));
    world.facts.revocations.answers.push(Standing {
        certificate: org().fingerprint(),
        status,
        this_update,
        next_update,
    });
    assert_eq!(world.codes(), [Code::Revoked]);
}

/// T5: one log lies.
#[test]
fn t5_one_operator_alone_is_not_enough_for_an_elevated_agent() {
    let mut world = World::new();
    world.agent.sats = vec![(LOG_A, START), (LOG_A2, START)];
    assert_eq!(world.codes(), [Code::SatOperators]);
    world.agent.score().score = points(59);
    assert_eq!(world.codes(), []);
    // A mapping that makes an elevated agent of a standard one wants two as well.
    let numbers = crate::apki::federation::mapping::Numbers { offset: 10, allow_raise: true, ..Default::default() };
    let mapping = crate::apki::federation::ScoreMapping::new(numbers).unwrap();
    let trusted = Trusted::Roots(Anchors::new([root()]).unwrap());
    let domain = Domain { trusted, mapping, minimum: points(0) };
    world.party.domains = Domains::new([(TrustDomain::parse("example.com").unwrap(), domain)]);
    assert_eq!(world.codes(), [Code::SatOperators]);
}

/// T5: a log is trusted for the time in which it was, and for nothing that it dates otherwise.
#[test]
fn t5_a_timestamp_counts_within_its_logs_time_and_its_certificates() {
    let stamped = |at| {
        let mut world = World::new();
        world.agent.score().score = points(50);
        world.agent.sats = vec![(LOG_A, at)];
        world
    };
    assert_eq!(stamped(after(6)).codes(), [], "a minute ahead is a matter of clocks");
    assert_eq!(stamped(after(6).saturating_add(1)).codes(), [Code::NoSat]);
    let mut late = stamped(after(61));
    late.now = after(60);
    assert_eq!(late.codes(), [Code::NoSat], "later than notAfter (R30)");
    let limited = |from, until| {
        let mut world = stamped(START);
        let log = TrustedLog { from, until, ..log(LOG_A, "Operator A") };
        world.party.logs = LogList::new(vec![log]).unwrap();
        world.codes()
    };
    assert_eq!(limited(START, Some(START.saturating_add(1))), []);
    assert_eq!(limited(START, Some(START)), [Code::NoSat], "the log was closed");
    assert_eq!(limited(START.saturating_add(1), None), [Code::NoSat], "the log was not yet trusted");
}

/// T5: a signature that is not the log's.
#[test]
fn t5_a_forged_timestamp_does_not_count_and_does_not_refuse() {
    let mut world = World::new();
    world.agent.score().score = points(50);
    world.agent.change_sats = |sats| sats[0].signature[3] ^= 1;
    assert_eq!(world.codes(), [], "the other one is good (R12)");
    world.agent.sats.pop();
    assert_eq!(world.codes(), [Code::NoSat]);
    // However many are bad, the work for one log is bounded and one good one behind them is not looked for.
    world.agent.sats = vec![(LOG_A, START); 4];
    world.agent.change_sats = |sats| sats.iter_mut().take(3).for_each(|sat| sat.signature[3] ^= 1);
    assert_eq!(world.codes(), [Code::NoSat]);
    world.agent.change_sats = |sats| sats.iter_mut().take(2).for_each(|sat| sat.signature[3] ^= 1);
    assert_eq!(world.codes(), []);
}

/// T6: a stolen key is worth something until the certificate ends, and no longer.
#[test]
fn t6_a_stolen_key_ends_with_its_certificate() {
    let at = |now: UnixMillis| World { now, ..World::new() }.codes();
    assert_eq!(at(after(60)), []);
    assert_eq!(at(after(60).saturating_add(1)), [Code::Expired]);
    assert_eq!(at(START.saturating_sub(1)), [Code::NotYetValid]);
    let mut world = World::new();
    world.agent.not_after = after(24 * 60).saturating_add(1000);
    assert_eq!(world.codes(), [Code::ValidityTooLong]);
}

/// T7: a domain that looks like one that is trusted.
#[test]
fn t7_a_look_alike_domain_is_no_domain_of_ours() {
    for domain in ["examp1e.com", "example.com.evil.org", "sub.example.com", "example.co", "xn--exmple-cua.com"] {
        let mut world = World::new();
        world.agent.uri = format!("agent://{domain}/retail/teller/1");
        assert_eq!(world.codes(), [Code::UnknownDomain], "{domain}");
    }
    for spelling in ["EXAMPLE.com", "example.com."] {
        let mut world = World::new();
        world.agent.uri = format!("agent://{spelling}/retail/teller/1");
        assert_eq!(world.codes(), [Code::AgentName], "{spelling}");
    }
}

/// T8: an agent does something else than it may.
#[test]
fn t8_only_what_stands_in_the_certificate_is_granted() {
    let asked = |operation| World { operation: Some(operation), ..World::new() }.codes();
    assert_eq!(asked(payment(10_000, "GBP")), []);
    assert_eq!(asked(call(ACCOUNTS, "accounts/read")), []);
    for tool in [
        "https://api.example.com/*",
        "https://api.example.com/Accounts",
        "https://api.example.com/accounts?x",
        "https://api.example.com",
        "",
    ] {
        assert_eq!(asked(call(tool, "accounts")), [Code::Tool], "{tool}");
    }
    for scope in ["", "account", "accounts2", "Accounts", "*", "../accounts"] {
        assert_eq!(asked(call(ACCOUNTS, scope)), [Code::Scope], "{scope}");
    }
    // Nothing at all may be done without the extension, also where nothing was asked for.
    let mut world = World::new();
    world.agent.capabilities = Some(Vec::new());
    assert_eq!(world.codes(), [], "an empty list is well-formed");
    world.operation = Some(call(ACCOUNTS, "accounts"));
    assert_eq!(world.codes(), [Code::Tool]);
    // A limit that limits nothing is none.
    let mut world = World::new();
    let limit = world.agent.capabilities()[1].spend_limit.as_mut().unwrap();
    (limit.max_per_transaction, limit.max_per_period) = (None, None);
    world.operation = Some(payment(1, "GBP"));
    assert_eq!(world.codes(), [Code::NoSpendLimit]);
}

/// T8: of several capabilities for a tool the reason is told of the one that comes closest, and any one grants.
#[test]
fn t8_any_capability_that_covers_the_operation_grants_it() {
    let mut world = World::new();
    world.agent.capabilities = Some(vec![
        spending(PAYMENTS, "pay/us", 1, 1),
        spending(PAYMENTS, "pay", 100, 1_000),
        spending(PAYMENTS, "pay/eu", 5_000, 5_000),
    ]);
    world.operation = Some(payment(5_000, "GBP"));
    assert_eq!(world.accepted().grant.unwrap().rights[0].1, spending(PAYMENTS, "pay/eu", 5_000, 5_000));
    world.operation = Some(payment(5_001, "GBP"));
    assert_eq!(world.codes(), [Code::PerTransaction]);
}

/// T9: an agent says of itself which model it runs.
#[test]
fn t9_a_claim_that_nobody_verified_is_not_enough_where_more_is_wanted() {
    let methods = [
        (None, false),
        (Some(AttestationMethod::SelfDeclared), false),
        (Some(AttestationMethod::CaVerified), true),
        (Some(AttestationMethod::ThirdParty), true),
        (Some(AttestationMethod::HardwareBound), true),
    ];
    for (method, taken) in methods {
        let mut world = World::new();
        world.agent.attestation = method;
        world.party.policy.provenance.minimum_method = Some(AttestationMethod::CaVerified);
        assert_eq!(world.codes().is_empty(), taken, "{method:?}");
    }
    // One tool may want more than the rest (regulated use).
    let mut world = World::new();
    world.party.policy.tools.push(ToolRule {
        tool_uri: call(ACCOUNTS, "").tool_uri,
        minimum: points(0),
        minimum_method: Some(AttestationMethod::ThirdParty),
        ocsp_within: None,
    });
    assert_eq!(world.codes(), []);
    world.operation = Some(call(ACCOUNTS, "accounts"));
    assert_eq!(world.codes(), [Code::AttestationMethod]);
    // A build that is not on the list, and none at all.
    let mut world = World::new();
    world.party.policy.provenance.builds = Some([[7; 32]].into());
    assert_eq!(world.codes(), []);
    world.agent.provenance.as_mut().unwrap().build_hash = None;
    assert_eq!(world.codes(), [Code::BuildHash]);
}

/// T10: the parent was revoked, and the child hurries.
#[test]
fn t10_a_child_of_a_revoked_parent_is_refused_before_its_own_revocation_is_known() {
    let mut world = World::delegated();
    world.party.policy.revocation = RevocationPolicy { mode: RevocationMode::HardFail, max_age: None, issuers: false };
    let presented = world.presented();
    let standing = |link: &Link, status| Standing {
        certificate: link.certificate.fingerprint(),
        status,
        this_update: after(4),
        next_update: after(6),
    };
    let revoked = Status::Revoked { at: after(4), reason: RevocationReason::CessationOfOperation };
    world.facts.revocations.answers = vec![standing(&presented.agent, Status::Good)];
    assert_eq!(world.codes(), [Code::StatusUnavailable], "nothing is known of the parent");
    world.facts.revocations.answers.push(standing(&presented.parents[0], Status::Good));
    assert_eq!(world.codes(), []);
    world.facts.revocations.answers.push(standing(&presented.parents[0], revoked));
    assert_eq!(world.codes(), [Code::Revoked]);
    assert_eq!(world.decide(Effort::Whole).reasons()[0].subject, Subject::Parent(1));
}

/// R32: an ancestor that has ended takes its descendants with it, and so does one that no log has.
#[test]
fn an_ancestor_must_hold_itself() {
    let mut world = World::delegated();
    world.parents[0].not_after = after(30);
    world.agent.not_after = after(30);
    world.now = after(31);
    assert_eq!(world.codes(), [Code::Expired]);
    let mut world = World::delegated();
    world.parents[0].sats = vec![(LOG_A, START)];
    assert_eq!(world.codes(), [Code::SatOperators]);
    assert_eq!(world.decide(Effort::Whole).reasons()[0].subject, Subject::Parent(1));
}
