//! Each code has a world that is refused for it and for nothing else: take the check away, and the agent is
//! accepted, or the test says what is found instead.

use super::rig::*;
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::{Amount, Currency};
use crate::apki::certificate::uri_name_constraint_der;
use crate::apki::chain::Anchors;
use crate::apki::oid;
use crate::apki::precertificate::extension_der;
use crate::apki::testing::{Draft, RSA_SHA256, key, validity};
use crate::apki::tlv::{self, encode};
use crate::keys::{SignatureAlgorithm, Signer as _};
use crate::log::entry::CertHash;
use crate::log::sat::SignedAgentTimestamp;
use crate::verify::relying::*;

use der::asn1::ObjectIdentifier;

const UNHEARD_OF: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.99");

fn world(change: impl FnOnce(&mut World)) -> World {
    let mut world = World::new();
    change(&mut world);
    world
}

fn line(change: impl FnOnce(&mut World)) -> World {
    let mut world = World::delegated();
    change(&mut world);
    world
}

fn below(issuer: impl FnOnce(&mut Draft)) -> World {
    world(|w| w.issuers = vec![ca("Root", "Org", ORG, ROOT, issuer)])
}

fn hard() -> RevocationPolicy {
    RevocationPolicy { mode: RevocationMode::HardFail, max_age: None, issuers: false }
}

fn standing(w: &World, status: Status, updated: UnixMillis) -> Standing {
    let certificate = w.presented().agent.certificate.fingerprint();
    Standing { certificate, status, this_update: updated, next_update: updated.saturating_add(2 * MINUTE) }
}

/// The world in which this code is the reason.
fn refused_for(code: Code) -> World {
    match code {
        Code::UnknownDomain => world(|w| w.agent.uri = "agent://example.org/retail/teller/1".into()),
        Code::Bundle => world(|w| w.trust(Trusted::Bundle(bundle(|b| b.expires_at = moment(after(4)))))),
        Code::DomainAlgorithm => world(|w| w.trust(Trusted::Bundle(bundle(|b| b.algorithms = vec!["ES256".into()])))),

        Code::ProfileMalformed => world(|w| w.raw = Some(vec![vec![0x30, 0x00]])),
        Code::ProfileSize => world(|w| w.raw = Some(vec![vec![0x30; MAX_CERTIFICATE + 1]])),
        Code::Precertificate => world(|w| {
            w.change = |presented| {
                let agent = Agent::new("agent://example.com/retail/teller/1");
                let certificate = agent.precertificate();
                presented.agent.detached = agent.stamps(CertHash::of_certificate(certificate.der()));
                presented.agent.certificate = certificate;
            };
        }),
        Code::IsCa => world(|w| {
            let constraints = vec![0x30, 0x03, 0x01, 0x01, 0xff];
            w.agent.instead.push((oid::BASIC_CONSTRAINTS, true, constraints));
        }),
        Code::Serial => world(|w| w.agent.change = |draft| draft.serial = vec![0x02, 0x01, 0x00]),
        Code::AgentName => world(|w| w.agent.uri = "agent://example.com/retail/teller".into()),
        Code::OtherUri => world(|w| {
            let names = [w.agent.uri.as_str(), "https://example.com/"].map(|uri| encode(0x86, &[uri.as_bytes()]));
            let names = encode(tlv::SEQUENCE, &[&names[0], &names[1]]);
            w.agent.instead.push((oid::SUBJECT_ALT_NAME, true, names));
        }),
        Code::UnknownCritical => world(|w| w.agent.instead.push((UNHEARD_OF, true, vec![0x05, 0x00]))),
        Code::Criticality => world(|w| {
            w.agent.change = |draft| {
                let score = draft
                    .extensions
                    .iter_mut()
                    .find(|e| e.windows(10).any(|part| part == oid::AGENT_TRUST_SCORE.as_bytes()));
                let score = score.unwrap();
                let value =
                    crate::apki::extension::AgentExtension::to_der(Agent::new("agent://a.b/c/d/e").score()).unwrap();
                *score = extension_der(&oid::AGENT_TRUST_SCORE, true, &value);
            };
        }),
        Code::ExtensionMalformed => world(|w| w.agent.instead.push((oid::AGENT_PROVENANCE, false, vec![0x30, 0x00]))),
        Code::KeyUsage => world(|w| w.agent.instead.push((oid::KEY_USAGE, true, vec![0x03, 0x02, 0x03, 0x08]))),
        Code::NotYetValid => world(|w| w.agent.not_before = after(6)),
        Code::Expired => world(|w| w.now = after(61)),
        Code::ValidityTooLong => world(|w| w.agent.not_after = after(24 * 60 + 1)),
        Code::Peer => world(|w| {
            let other = PeerPattern::parse("agent://example.com/wholesale").unwrap();
            w.party.policy.peers = Peers::Only(vec![other]);
        }),

        Code::SignatureAlgorithm => world(|w| {
            w.agent.change = |draft| {
                draft.inner_algorithm = RSA_SHA256.to_vec();
                draft.outer_algorithm = RSA_SHA256.to_vec();
            };
        }),
        Code::KeyAlgorithm => world(|w| {
            w.agent.change = |draft| draft.spki = vec![0x30, 0x08, 0x30, 0x03, 0x06, 0x01, 0x2a, 0x03, 0x01, 0x00];
        }),

        Code::ChainTooLong => world(|w| {
            let [a, b] = [("Root", "A", 21, ROOT), ("A", "B", 22, 21)].map(|(i, s, own, by)| ca(i, s, own, by, |_| {}));
            w.issuers = vec![ca("B", "Org", ORG, 22, |_| {}), b, a];
        }),
        Code::ChainBudget => world(|w| w.agent.sats = vec![(ROGUE_LOG, START); 17]),
        Code::ChainMalformed => below(|draft| {
            // An explicit default, which DER does not have.
            draft.extensions[0] = extension_der(&oid::BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0x00]);
        }),
        Code::ChainBroken => world(|w| w.agent.issuer = "Another Org".into()),
        Code::ChainSignature => world(|w| w.agent.issuer_key = 77),
        Code::IssuerNotCa => below(|draft| drop(draft.extensions.remove(0))),
        Code::IssuerKeyUsage => {
            below(|draft| draft.extensions[1] = extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x02]))
        }
        Code::PathLength => world(|w| {
            let constraints = [0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00];
            let root = ca("Root", "Root", ROOT, ROOT, |draft| {
                draft.extensions[0] = extension_der(&oid::BASIC_CONSTRAINTS, true, &constraints);
            });
            w.trust(Trusted::Roots(Anchors::new([root]).unwrap()));
        }),
        Code::UnknownAnchor => world(|w| {
            let other = ca("Other Root", "Other Root", 31, 31, |_| {});
            w.trust(Trusted::Roots(Anchors::new([other]).unwrap()));
        }),
        Code::IssuerValidity => {
            below(|draft| draft.validity = validity(&[(0x17, b"250101000000Z"), (0x17, b"260410120000Z")]))
        }
        Code::NameConstraint => below(|draft| {
            let constraint = uri_name_constraint_der("example.org");
            draft.extensions.push(extension_der(&oid::NAME_CONSTRAINTS, true, &constraint));
        }),
        Code::IssuerCritical => below(|draft| draft.extensions.push(extension_der(&UNHEARD_OF, true, &[0x05, 0x00]))),

        Code::NoScore => world(|w| {
            w.agent.score = None;
            w.agent.delegation = None;
        }),
        Code::ScoreMalformed => world(|w| w.agent.instead.push((oid::AGENT_TRUST_SCORE, false, vec![0x30, 0x00]))),
        Code::ScoreAhead => world(|w| w.agent.score().last_updated = moment(after(7))),
        Code::ScoreTooLow => world(|w| w.party.policy.minimum = points(70)),

        Code::NoCapabilities => world(|w| w.agent.capabilities = None),
        Code::CapabilitiesMalformed => world(|w| {
            w.agent.attestation = None;
            w.agent.instead.push((oid::AGENT_CAPABILITIES, false, vec![0x30, 0x00]));
        }),
        Code::CapabilitiesHash => world(|w| {
            // The attestation is of the list, and another one stands there.
            let other = crate::apki::capabilities::Capabilities::new(vec![capability(ACCOUNTS, "all")]).unwrap();
            let other = crate::apki::extension::AgentExtension::to_der(&other).unwrap();
            w.agent.instead.push((oid::AGENT_CAPABILITIES, false, other));
        }),
        Code::Tool => world(|w| w.operation = Some(call("https://api.example.com/accounts/", "accounts"))),
        Code::Scope => world(|w| w.operation = Some(call(ACCOUNTS, "accountsreceivable"))),
        Code::NoSpendLimit => world(|w| {
            let mut payment = payment(1, "GBP");
            payment.tool_uri = call(ACCOUNTS, "").tool_uri;
            payment.scope = text("accounts");
            w.operation = Some(payment);
        }),
        Code::Currency => world(|w| w.operation = Some(payment(1, "EUR"))),
        Code::PerTransaction => world(|w| w.operation = Some(payment(10_001, "GBP"))),
        Code::PerPeriod => world(|w| {
            w.agent.capabilities()[1].spend_limit.as_mut().unwrap().max_per_transaction = None;
            w.operation = Some(payment(50_001, "GBP"));
        }),
        Code::Rate | Code::Ledger => panic!("these come from the ledger, and have tests beside it"),

        Code::SatMalformed => world(|w| {
            w.agent.sats.clear();
            w.agent.instead.push((oid::SIGNED_AGENT_TIMESTAMP_LIST, false, vec![0x30, 0x00]));
        }),
        Code::SatOtherCertificate => world(|w| {
            w.agent.change_sats = |sats| {
                sats.push(SignedAgentTimestamp::sign(&key(LOG_A2), START, CertHash::new([9; 32])).unwrap());
            };
        }),
        Code::NoSat => world(|w| w.agent.sats = vec![(ROGUE_LOG, START)]),
        Code::SatOperators => world(|w| w.agent.sats = vec![(LOG_A, START), (LOG_A2, START)]),
        Code::SatAudit => world(|w| w.party.policy.audited_within = Some(24 * HOUR)),
        Code::NoInclusion => world(|w| {
            w.party.policy.inclusion = Some(InclusionPolicy { max_age: HOUR, witnesses: None });
        }),
        Code::InclusionInvalid => world(|w| {
            w.party.policy.inclusion = Some(InclusionPolicy { max_age: HOUR, witnesses: None });
            w.facts.invalid_proofs.push("the proof leads nowhere".into());
        }),
        Code::InclusionStale => world(|w| {
            w.party.policy.inclusion = Some(InclusionPolicy { max_age: 4 * MINUTE, witnesses: None });
            let cert_hash = CertHash::of_certificate(w.agent.precertificate().der());
            let log = key(LOG_A).public_key().log_id();
            w.facts.inclusions.push(Inclusion { cert_hash, log, signed_at: Some(START), witnessed_at: None });
        }),

        Code::DelegationMissing => line(|w| w.parents[0].delegation = None),
        Code::RootParentHash => world(|w| w.agent.delegation().parent_cert_hash = [1; 32]),
        Code::RootHumanPrincipal => world(|w| w.agent.delegation().human_principal = None),
        Code::ParentCertHash => line(|w| {
            w.bind = false;
            w.agent.delegation().parent_cert_hash = [1; 32];
        }),
        Code::DelegationDomain => line(|w| w.parents[0].uri = "agent://example.org/retail/lead/1".into()),
        Code::SubsetFalse => line(|w| w.agent.delegation().rules.capabilities_subset = false),
        Code::Depth => line(|w| w.agent.delegation().depth = 2),
        // A depth above the parent's maximum is above the child's own, or the child's own is above the parent's.
        Code::MaxDepth => line(|w| {
            w.parents[0].delegation().max_depth = 0;
            w.agent.delegation().max_depth = 0;
        }),
        Code::MaxDepthRaised => line(|w| w.agent.delegation().max_depth = 4),
        Code::DepthOverOwnMax => line(|w| w.agent.delegation().max_depth = 0),
        Code::DelegationNotAfter => line(|w| w.agent.not_after = after(61)),
        Code::DelegationScore => line(|w| w.agent.score().score = points(71)),
        Code::DelegationTool => line(|w| w.agent.capabilities().push(capability("https://api.example.com/new", ""))),
        Code::DelegationScope => line(|w| w.agent.capabilities()[0].scope = text("account")),
        Code::SpendMissing => line(|w| w.agent.capabilities()[1].spend_limit = None),
        Code::SpendExpanded => line(|w| w.agent.capabilities()[0] = spending(ACCOUNTS, "accounts", 1, 1)),
        Code::DelegationCurrency => line(|w| {
            w.agent.capabilities()[1].spend_limit.as_mut().unwrap().currency = Currency::new("EUR").unwrap();
        }),
        Code::DelegationPerTransaction => {
            line(|w| w.agent.capabilities()[1] = spending(PAYMENTS, "pay", 10_001, 20_000))
        }
        Code::DelegationPerPeriod => line(|w| w.agent.capabilities()[1] = spending(PAYMENTS, "pay", 5_000, 50_001)),
        Code::RateMissing => line(|w| w.parents[0].capabilities()[0].rate_limit = Some(rate(10, 60))),
        Code::RateRaised => line(|w| {
            w.parents[0].capabilities()[0].rate_limit = Some(rate(10, 60));
            w.agent.capabilities()[0].rate_limit = Some(rate(11, 60));
        }),
        Code::MaxTrustScore => line(|w| w.parents[0].delegation().rules.max_trust_score = Some(points(59))),
        Code::MaxSpendLimit => line(|w| {
            w.parents[0].delegation().rules.max_spend_limit = Some(Amount::new(19_999).unwrap());
        }),
        Code::ScopeNarrowing => line(|w| {
            w.parents[0].delegation().rules.scope_narrowing = Some(text("pay"));
        }),
        Code::NoParent => line(|w| w.change = |presented| presented.parents.clear()),
        Code::TooDeep => line(|w| w.party.policy.max_depth = 0),
        Code::HumanPrincipal => line(|w| w.agent.delegation().human_principal = Some(text("sha256:01"))),
        Code::DelegationRequired => world(|w| {
            w.party.policy.require_delegation = true;
            w.agent.delegation = None;
        }),

        Code::NoProvenance => world(|w| {
            w.agent.provenance = None;
            w.party.policy.provenance.builds = Some([[7; 32]].into());
        }),
        Code::AttestationMethod => world(|w| {
            w.party.policy.provenance.minimum_method = Some(AttestationMethod::ThirdParty);
        }),
        Code::BuildHash => world(|w| w.party.policy.provenance.builds = Some([[8; 32]].into())),
        Code::Model => world(|w| w.party.policy.provenance.models = Some(["another".to_owned()].into())),

        Code::Revoked => world(|w| {
            w.party.policy.revocation = hard();
            let reason = crate::apki::status::RevocationReason::KeyCompromise;
            let answer = standing(w, Status::Revoked { at: after(1), reason }, after(4));
            w.facts.revocations.answers.push(answer);
        }),
        Code::StatusUnknown => world(|w| {
            w.party.policy.revocation = hard();
            let answer = standing(w, Status::Unknown, after(4));
            w.facts.revocations.answers.push(answer);
        }),
        Code::StatusUnavailable => world(|w| w.party.policy.revocation = hard()),
        Code::StatusStale => world(|w| {
            w.party.policy.revocation = hard();
            let answer = standing(w, Status::Good, START);
            w.facts.revocations.answers.push(answer);
        }),
        Code::StatusInvalid => world(|w| {
            w.party.policy.revocation = hard();
            let certificate = w.presented().agent.certificate.fingerprint();
            w.facts.revocations.invalid.push((certificate, "nobody signed it".into()));
        }),
    }
}

#[test]
fn each_code_has_a_world_that_is_refused_for_it_alone() {
    let mut wrong = Vec::new();
    for code in Code::ALL.iter().copied().filter(|code| !matches!(code, Code::Rate | Code::Ledger)) {
        let expected = match code {
            Code::MaxDepth => vec![code, Code::DepthOverOwnMax],
            _ => vec![code],
        };
        let found = refused_for(code).codes();
        if found != expected {
            wrong.push(format!("{}: {:?}", code.as_str(), found.iter().map(|c| c.as_str()).collect::<Vec<_>>()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_worlds_without_a_fault_are_accepted() {
    for world in [World::new(), World::delegated()] {
        assert_eq!(world.codes(), []);
    }
    let mut world = World::new();
    world.party.policy.algorithms = vec![SignatureAlgorithm::Ed25519];
    assert_eq!(world.codes(), []);
}

#[test]
fn a_local_list_of_algorithms_is_kept_to() {
    let world = world(|w| w.party.policy.algorithms = vec![SignatureAlgorithm::EcdsaP256Sha256]);
    assert_eq!(world.codes(), [Code::SignatureAlgorithm, Code::KeyAlgorithm]);
}
