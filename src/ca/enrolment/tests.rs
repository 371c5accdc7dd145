use super::*;
use crate::apki::attenuation::CODES;
use crate::apki::extension::AgentExtension;
use crate::apki::testing::key;
use crate::apki::trust_score::Score;
use crate::ca::application::Octets;
use crate::ca::policy::PrincipalRule;
use crate::ca::registry::{self, Registry};
use crate::ca::request::{Credential, RequestId, RequestState};
use crate::ca::testing::{BOT, HOUR, NOW, application, capabilities, certificate, evidence, policy, principal, scope};
use crate::ca::testing::{secret, text};
use crate::ca::token::{TokenScope, TokenUse, UriPattern};
use crate::keys::Signer;

fn token(scope: TokenScope) -> Token {
    Token {
        id: secret(1).id,
        secret_hash: secret(1).secret_hash(),
        scope,
        minted_by: "ann".into(),
        minted_at: NOW,
        expires_at: NOW.saturating_add(HOUR),
        used: TokenUse::Unused,
        refused: 0,
    }
}

fn agent(ends: UnixMillis) -> Agent {
    Agent {
        uri: AgentUri::parse(BOT).unwrap(),
        first_issued_at: NOW.saturating_sub(240 * HOUR),
        enrolment: RequestId::new([1; 16]),
        certificates: 480,
        current: crate::ca::serial::Serial::from_random([1; 20]),
        current_not_after: ends,
        peak_score: Score::MAX,
        parent: None,
        children: 0,
        live: Vec::new(),
        revoked: None,
        last_revoked_at: None,
        reissue: None,
    }
}

/// By a token of this scope.
fn enrol(application: &Application, scope: TokenScope, policy: &Policy) -> Assessment {
    assess(application, &Entitlement::Token(&token(scope)), None, None, policy, NOW)
}

/// By a certificate for [`BOT`] with these capabilities, which answered `before`.
fn renew(application: &Application, before: &Application, may: &Capabilities, policy: &Policy) -> Assessment {
    let delegation = grant(enrol(&Application { spiffe: None, ..before.clone() }, scope(), policy)).delegation;
    let certificate = certificate(before, may, delegation.as_ref());
    let answered = Request {
        id: RequestId::new([1; 16]),
        application: before.clone(),
        credential: Credential::Token(secret(1).id),
        received_at: NOW,
        agent_enrolment: None,
        state: RequestState::Invalid { why: String::new() },
    };
    let entitlement = Entitlement::Certificate { certificate: &certificate, answered: Some(&answered), line: None };
    assess(application, &entitlement, Some(&agent(NOW)), None, policy, NOW)
}

fn grant(assessment: Assessment) -> Grant {
    match assessment {
        Assessment::Granted(grant) | Assessment::Held(grant, _) => grant,
        Assessment::Refused(reasons) => panic!("{reasons}"),
    }
}

/// Why not: each code, and what all details together must hold.
fn refused(assessment: Assessment, codes: &[ReasonCode], words: &[&str]) {
    let Assessment::Refused(reasons) = assessment else { panic!("granted: {codes:?}") };
    assert_eq!(reasons.0.iter().map(|reason| reason.code).collect::<Vec<_>>(), codes, "{reasons}");
    for word in words {
        assert!(reasons.to_string().contains(word), "{word} is not in: {reasons}");
    }
}

#[test]
fn an_agent_that_says_nothing_gets_what_its_token_allows() {
    let grant = grant(enrol(&application(BOT), scope(), &policy()));
    assert_eq!(Some(&grant.capabilities), scope().capabilities.as_ref());
    assert_eq!((grant.validity_seconds, grant.score.get(), grant.scored_at), (3600, 25, NOW));
    assert_eq!((grant.method, grant.delegation), (AttestationMethod::SelfDeclared, None));
}

#[test]
fn says_everything_that_speaks_against_it_at_once() {
    let mut all = application("agent://bank.example.org/a/b/c");
    all.spiffe = Some("spiffe://bank.example.org/x".into());
    all.capabilities = Some(capabilities(&[("mcp://ledger", "read"), ("mcp://other", "x"), ("mcp://ledger", "write")]));
    all.validity_seconds = Some(10);
    all.principal = Some(principal("Ann"));
    all.principal.as_mut().unwrap().max_depth = Some(6);
    all.principal.as_mut().unwrap().rules.capabilities_subset = false;
    let mut policy = policy();
    policy.provenance.required = true;
    policy.min_score = Score::new(26).unwrap();
    use ReasonCode as R;
    let codes = [
        R::TrustDomain,
        R::AgentUri,
        R::Spiffe,
        R::Capability,
        R::Capability,
        R::Validity,
        R::Principal,
        R::Principal,
        R::Provenance,
        R::Score,
    ];
    refused(
        enrol(&all, scope(), &policy),
        &codes,
        &[
            "bank.example.org",
            "agent://bank.example.com/*/*/*",
            "capability 1",
            "toolUri",
            "capability 2",
            "(scope)",
            "300 to 86400",
        ],
    );
}

#[test]
fn the_agent_is_ours_and_the_tokens() {
    let other = TokenScope { agents: UriPattern::parse("agent://bank.example.com/kyc/*/*").unwrap(), ..scope() };
    refused(
        enrol(&application(BOT), other, &policy()),
        &[ReasonCode::AgentUri],
        &[BOT, "agent://bank.example.com/kyc/*/*"],
    );
    let foreign = application("agent://bank.example.org/payments/bot/1");
    let wide = TokenScope { agents: UriPattern::parse("agent://bank.example.org/*/*/*").unwrap(), ..scope() };
    refused(enrol(&foreign, wide, &policy()), &[ReasonCode::TrustDomain], &["bank.example.org", "bank.example.com"]);
}

#[test]
fn a_spiffe_id_is_wanted_and_the_agents_own() {
    const OWN: &str = "spiffe://bank.example.com/payments/bot/1";
    let with = |spiffe: &str| Application { spiffe: Some(spiffe.into()), ..application(BOT) };
    let on = Policy { spiffe: true, ..policy() };
    for any in [OWN, "spiffe://bank.example.org/x"] {
        refused(enrol(&with(any), scope(), &policy()), &[ReasonCode::Spiffe], &["puts no SPIFFE ID"]);
    }
    assert!(matches!(enrol(&with(OWN), scope(), &on), Assessment::Granted(_)));
    for other in [
        "spiffe://bank.example.com/payments/bot/2",
        "spiffe://bank.example.com/kyc/bot/1",
        "spiffe://bank.example.com/payments/bot",
        "spiffe://bank.example.com/payments/bot/1/2",
        "spiffe://bank.example.com/payments/bot/1/",
        "spiffe://bank.example.com/",
        "spiffe://bank.example.org/payments/bot/1",
        "spiffe://bank.example.com.evil/payments/bot/1",
        "SPIFFE://bank.example.com/payments/bot/1",
        "bank.example.com",
        "",
    ] {
        let words = [&format!("`{other}`"), OWN, "that, or none"];
        refused(enrol(&with(other), scope(), &on), &[ReasonCode::Spiffe], &words);
    }
    let may = capabilities(&[]);
    let (has, none) = (with(OWN), application(BOT));
    assert!(matches!(renew(&has, &has, &may, &on), Assessment::Granted(_)));
    assert!(matches!(renew(&none, &has, &may, &on), Assessment::Granted(_)));
    refused(renew(&has, &none, &may, &on), &[ReasonCode::Spiffe], &["no new SPIFFE ID", "has none"]);
    let older = with("spiffe://bank.example.com/payments/x");
    refused(renew(&has, &older, &may, &on), &[ReasonCode::Spiffe], &["no new SPIFFE ID", "payments/x"]);
    refused(renew(&older, &older, &may, &on), &[ReasonCode::Spiffe], &[OWN]);
}

#[test]
fn capabilities_are_within_every_ceiling() {
    let asks = |of: &[(&str, &str)]| Application { capabilities: Some(capabilities(of)), ..application(BOT) };
    let open = TokenScope { capabilities: None, ..scope() };
    let least = asks(&[("mcp://ledger", "read/today")]);
    assert_eq!(Some(grant(enrol(&least, scope(), &policy())).capabilities), least.capabilities);
    assert!(matches!(enrol(&asks(&[]), open.clone(), &policy()), Assessment::Granted(_)));
    refused(enrol(&application(BOT), open.clone(), &policy()), &[ReasonCode::Capability], &["has to: say which tools"]);
    refused(
        enrol(&asks(&[("mcp://ledger", "readall")]), scope(), &policy()),
        &[ReasonCode::Capability],
        &["enrolment token"],
    );
    let bounded = Policy { ceiling: Some(capabilities(&[("mcp://ledger", "read/today")])), ..policy() };
    refused(
        enrol(&application(BOT), scope(), &bounded),
        &[ReasonCode::Capability],
        &["this CA allows any agent", "(scope)"],
    );
    refused(enrol(&asks(&[("mcp://x", "x")]), scope(), &bounded), &[ReasonCode::Capability; 2], &["(toolUri)"]);
    refused(enrol(&asks(&[("mcp://x", "x")]), open, &bounded), &[ReasonCode::Capability], &["capability 0"]);
}

#[test]
fn a_renewal_never_expands() {
    let before = application(BOT);
    let may = capabilities(&[("mcp://ledger", "read"), ("mcp://ledger", "write")]);
    assert_eq!(grant(renew(&before, &before, &may, &policy())).capabilities, may);
    let less = Application { capabilities: Some(capabilities(&[("mcp://ledger", "write/x")])), ..application(BOT) };
    assert_eq!(Some(grant(renew(&less, &before, &may, &policy())).capabilities), less.capabilities);
    for wide in [("mcp://ledger", "all"), ("mcp://other", "read")] {
        let more = Application { capabilities: Some(capabilities(&[wide])), ..application(BOT) };
        let reason = &[wide.0, "capability 0", "a renewal never has more"];
        refused(renew(&more, &before, &may, &policy()), &[ReasonCode::Capability], reason);
    }
    let shrunk = Policy { ceiling: Some(capabilities(&[("mcp://ledger", "read")])), ..policy() };
    refused(renew(&before, &before, &may, &shrunk), &[ReasonCode::Capability], &["capability 1", "this CA allows"]);
    let other = application("agent://bank.example.com/payments/bot/2");
    refused(renew(&other, &before, &may, &policy()), &[ReasonCode::AgentUri], &["bot/1's", "bot/2 has to enrol"]);
}

#[test]
fn half_a_limit_per_period_renews() {
    let half = r#"[{"tool_uri":"mcp://pay","scope":"x","spend_limit":{"max_per_period":5,"currency":"GBP"}}]"#;
    let may: Capabilities = serde_json::from_str(half).unwrap();
    assert_eq!(grant(renew(&application(BOT), &application(BOT), &may, &policy())).capabilities, may);
    let more: Capabilities = serde_json::from_str(&half.replace('5', "6")).unwrap();
    let more = Application { capabilities: Some(more), ..application(BOT) };
    refused(renew(&more, &application(BOT), &may, &policy()), &[ReasonCode::Capability], &["(perPeriod)"]);
    assert!(CODES.contains(&"perPeriod"));
}

#[test]
fn validity_is_within_policy_and_token() {
    let of = |asked, token| {
        let asked = Application { validity_seconds: asked, ..application(BOT) };
        enrol(&asked, TokenScope { max_validity_seconds: token, ..scope() }, &policy())
    };
    let good = [(None, None, 3600), (None, Some(600), 600), (None, Some(7200), 3600), (Some(300), None, 300)];
    let bounds = [(Some(86_400), None, 86_400), (Some(600), Some(600), 600)];
    for (asked, token, given) in good.into_iter().chain(bounds) {
        assert_eq!(grant(of(asked, token)).validity_seconds, given, "{asked:?} {token:?}");
    }
    for (asked, token, words) in [
        (Some(299), None, "ask for 300 to 86400 s"),
        (Some(86_401), None, "validity of 86401 s"),
        (Some(601), Some(600), "ask for 300 to 600 s"),
        (Some(86_401), Some(u32::MAX), "ask for 300 to 86400 s"),
        (None, Some(299), "a token that allows 300 s or more"),
        (Some(300), Some(0), "a token that allows 300 s or more"),
    ] {
        refused(of(asked, token), &[ReasonCode::Validity], &[words]);
    }
    let long = Application { validity_seconds: Some(86_401), ..application(BOT) };
    refused(renew(&long, &application(BOT), &capabilities(&[]), &policy()), &[ReasonCode::Validity], &["86401"]);
}

#[test]
fn a_principal_is_the_root_of_a_line() {
    let mut asked = Application { principal: Some(principal("Ann")), ..application(BOT) };
    let line = |asked: &Application, policy: &Policy| grant(enrol(asked, scope(), policy)).delegation.unwrap();
    let hashed = line(&asked, &policy());
    // SHA-256 of 32 octets 09 and `Ann`.
    let expected = "sha256:".to_owned() + ANN_HASHED;
    assert_eq!(hashed.human_principal.as_ref().map(|text| text.as_str()), Some(expected.as_str()));
    assert_eq!((hashed.parent_cert_hash, hashed.depth, hashed.max_depth), ([0; 32], 0, 5));
    assert!(crate::apki::attenuation::root_violations(&hashed).is_empty());
    let plain = Policy { principal: PrincipalRule::Plain, ..policy() };
    assert_eq!(line(&asked, &plain).human_principal, Some(text("Ann")));
    asked.principal.as_mut().unwrap().max_depth = Some(0);
    assert_eq!(line(&asked, &policy()).max_depth, 0);
    let of = |change: fn(&mut crate::ca::application::Principal)| {
        let mut asked = Application { principal: Some(principal("Ann")), ..application(BOT) };
        change(asked.principal.as_mut().unwrap());
        enrol(&asked, scope(), &policy())
    };
    refused(of(|p| p.max_depth = Some(6)), &[ReasonCode::Principal], &["6 delegations", "ask for 5 or fewer"]);
    refused(of(|p| p.rules.capabilities_subset = false), &[ReasonCode::Principal], &["capabilities_subset"]);
    refused(of(|p| p.human = text("")), &[ReasonCode::Principal], &["has no name"]);
}

const ANN_HASHED: &str = "e93c82b3ed47988a6d93bca6271b877771d22b658e0fb75b0482145e11fe3d6f";

#[test]
fn a_renewal_keeps_its_place_in_the_line() {
    let before = Application { principal: Some(principal("Ann")), ..application(BOT) };
    let may = capabilities(&[]);
    let kept = grant(enrol(&before, scope(), &policy())).delegation.unwrap();
    let of = |principal, before: &Application, policy: &Policy| {
        renew(&Application { principal, ..application(BOT) }, before, &may, policy)
    };
    for same in [None, before.principal.clone()] {
        let renewed = grant(of(same, &before, &policy())).delegation.unwrap();
        assert_eq!(renewed.to_der().unwrap(), kept.to_der().unwrap());
    }
    refused(of(Some(principal("Bob")), &before, &policy()), &[ReasonCode::Principal], &["`Bob`"]);
    refused(of(Some(principal("Ann")), &application(BOT), &policy()), &[ReasonCode::Principal], &["`Ann`"]);
    let deeper = crate::ca::application::Principal { max_depth: Some(4), ..principal("Ann") };
    refused(of(Some(deeper), &before, &policy()), &[ReasonCode::Principal], &[]);
    assert_eq!(grant(of(None, &application(BOT), &policy())).delegation, None);
    // The request that was answered is gone or left the principal out: what counts is what stands there.
    let der = certificate(&before, &may, Some(&kept));
    let entitlement = Entitlement::Certificate { certificate: &der, answered: None, line: None };
    assert_eq!(grant(assess(&before, &entitlement, None, None, &policy(), NOW)).delegation, Some(kept));
}

#[test]
fn a_renewal_brings_the_key_that_policy_wants() {
    let before = application(BOT);
    let new = Application { public_key: key(98).public_key().clone(), ..application(BOT) };
    let of = |asked: &Application, renewal_key| {
        renew(asked, &before, &capabilities(&[]), &Policy { renewal_key, ..policy() })
    };
    let good = [
        (&before, RenewalKeyRule::Any),
        (&new, RenewalKeyRule::Any),
        (&new, RenewalKeyRule::New),
        (&before, RenewalKeyRule::Same),
    ];
    for (asked, rule) in good {
        assert!(matches!(of(asked, rule), Assessment::Granted(_)), "{rule:?}");
    }
    refused(of(&before, RenewalKeyRule::New), &[ReasonCode::PublicKey], &["make a new key pair"]);
    refused(of(&new, RenewalKeyRule::Same), &[ReasonCode::PublicKey], &["and this is another"]);
    let first = Policy { renewal_key: RenewalKeyRule::Same, ..policy() };
    assert!(matches!(enrol(&new, scope(), &first), Assessment::Granted(_)));
}

/// A policy whose registry knows the build of [`evidence`].
fn registered(organization: &str) -> Policy {
    let hash = "07".repeat(32);
    let file = format!(
        r#"{{"entries":[{{"build_hash":"{hash}","name":"bot","version":"1","organization":"{organization}","not_after":{}}}]}}"#,
        NOW.get()
    );
    let file = registry::sign(file.as_bytes(), &key(5)).unwrap();
    Policy { registry: Registry::parse(file.as_bytes(), key(5).public_key()).unwrap(), ..policy() }
}

#[test]
fn a_registered_build_is_verified_and_elevated() {
    let asked = Application { evidence: Some(evidence()), ..application(BOT) };
    let of = |policy: &Policy| {
        let grant = grant(enrol(&asked, scope(), policy));
        (grant.method, grant.score.get())
    };
    assert_eq!(of(&registered("payments")), (AttestationMethod::CaVerified, 65));
    assert_eq!(of(&registered("kyc")), (AttestationMethod::SelfDeclared, 45));
    assert_eq!(of(&policy()), (AttestationMethod::SelfDeclared, 45));
    let later = NOW.saturating_add(1);
    let late = assess(&asked, &Entitlement::Token(&token(scope())), None, None, &registered("payments"), later);
    assert_eq!(grant(late).method, AttestationMethod::SelfDeclared);
    // Fresh evidence counts, that of the answered request does not; ten days of history do.
    let of = |asked: &Application| grant(renew(asked, &asked.clone(), &capabilities(&[]), &registered("payments")));
    assert_eq!(of(&asked).score.get(), 75);
    let silent = renew(&application(BOT), &asked, &capabilities(&[]), &registered("payments"));
    assert_eq!((grant(silent).score.get(), of(&asked).inputs.history), (35, 10));
}

#[test]
fn reputation_is_that_of_the_uris_organisation() {
    let mut policy = policy();
    policy.reputations.insert("payments".into(), 17);
    assert_eq!(grant(enrol(&application(BOT), scope(), &policy)).inputs.organization, 17);
    policy.reputations.insert("payments".into(), 3);
    let words = ["the score is 18", "from 20 on", "attestation 15 of 30", "organization 3 of 20", "provenance 0 of 15"];
    refused(enrol(&application(BOT), scope(), &policy), &[ReasonCode::Score], &words);
    refused(enrol(&application(BOT), scope(), &policy), &[ReasonCode::Score], &["code 0 of 15", "history 0 of 20"]);
}

#[test]
fn provenance_is_required_or_scores_less() {
    let mut policy = policy();
    policy.provenance.models = vec!["large".into()];
    policy.provenance.frameworks = vec!["loom".into(), "reed".into()];
    let of = |change: fn(&mut crate::ca::application::Evidence), policy: &Policy| {
        let mut evidence = evidence();
        change(&mut evidence);
        enrol(&Application { evidence: Some(evidence), ..application(BOT) }, scope(), policy)
    };
    assert_eq!(grant(of(|_| {}, &policy)).inputs.provenance, 15);
    assert_eq!(grant(of(|e| e.framework = text("other"), &policy)).inputs.provenance, 10);
    assert_eq!(grant(of(|e| e.model_family = text("Large"), &policy)).inputs.provenance, 10);
    assert_eq!(grant(of(|e| e.model_version = text(""), &policy)).inputs.provenance, 10);
    policy.provenance.required = true;
    assert_eq!(grant(of(|_| {}, &policy)).inputs.provenance, 15);
    refused(of(|e| e.framework = text("other"), &policy), &[ReasonCode::Provenance], &["`other`", "loom, reed"]);
    refused(of(|e| e.model_family = text(""), &policy), &[ReasonCode::Provenance], &["names no model family"]);
    refused(enrol(&application(BOT), scope(), &policy), &[ReasonCode::Provenance], &["there is no evidence"]);
    refused(
        of(|e| e.attestation = Some(Octets(vec![0; 16 * 1024 + 1])), &policy),
        &[ReasonCode::Provenance],
        &["16385 octets"],
    );
    // An empty list knows everything that has a name.
    policy.provenance.models.clear();
    assert!(matches!(of(|e| e.model_family = text("any"), &policy), Assessment::Granted(_)));
    refused(of(|e| e.model_family = text(""), &policy), &[ReasonCode::Provenance], &["say which it is"]);
}

#[test]
fn an_operator_looks_at_what_policy_holds() {
    let held = |policy: &Policy, agent: Option<&Agent>, replaces| {
        let asked = Application { evidence: Some(evidence()), ..application(BOT) };
        let token = token(TokenScope { replaces, ..scope() });
        match assess(&asked, &Entitlement::Token(&token), agent, None, policy, NOW) {
            Assessment::Granted(_) => Vec::new(),
            Assessment::Held(_, reasons) => reasons,
            Assessment::Refused(reasons) => panic!("{reasons}"),
        }
    };
    let with = |approval, policy: Policy| Policy { approval, ..policy };
    let (ended, lives) = (agent(NOW.saturating_sub(1)), agent(NOW));
    assert_eq!(held(&policy(), None, false), []);
    assert_eq!(held(&with(ApprovalRule::Always, registered("payments")), None, true), [HoldReason::Policy]);
    assert_eq!(held(&with(ApprovalRule::Unregistered, registered("payments")), None, false), []);
    assert_eq!(held(&with(ApprovalRule::Unregistered, policy()), None, false), [HoldReason::UnregisteredBuild]);
    assert_eq!(held(&policy(), Some(&ended), false), []);
    assert_eq!(held(&policy(), Some(&lives), false), [HoldReason::AgentExists]);
    assert_eq!(held(&policy(), Some(&lives), true), []);
    let both = [HoldReason::Policy, HoldReason::AgentExists];
    assert_eq!(held(&with(ApprovalRule::Always, policy()), Some(&lives), false), both);
    let always = with(ApprovalRule::Always, policy());
    let renewed = renew(&application(BOT), &application(BOT), &capabilities(&[]), &always);
    assert!(matches!(renewed, Assessment::Granted(_)));
}

#[test]
fn a_certificate_that_does_not_read_is_no_entitlement() {
    let entitlement = Entitlement::Certificate { certificate: &[0x30, 0x00], answered: None, line: None };
    refused(
        assess(&application(BOT), &entitlement, None, None, &policy(), NOW),
        &[ReasonCode::AgentUri],
        &["enrol again"],
    );
}

#[test]
fn what_strangers_write_does_not_move_the_terminal() {
    let asked = Application { spiffe: Some("spiffe://\u{1b}[2J\u{202e}\u{e9}".into()), ..application(BOT) };
    refused(enrol(&asked, scope(), &policy()), &[ReasonCode::Spiffe], &["\\u{1b}[2J\\u{202e}\u{e9}"]);
}
