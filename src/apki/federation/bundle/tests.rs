use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::apki::chain::IssuerError;
use crate::apki::testing::{Draft, key};

const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);

/// The root `Root N` with the key of this seed.
pub(crate) fn root(seed: u8) -> Certificate {
    let name = format!("Root {seed}");
    Draft::ca(&name, &name, &key(seed), None).certificate(&key(seed))
}

/// A bundle of example.com from 2026-04-10 on, for a day.
pub(crate) fn bundle(certificates: &[Certificate]) -> TrustBundle {
    TrustBundle::new(members(certificates)).unwrap()
}

fn members(certificates: &[Certificate]) -> Members {
    Members {
        domain: TrustDomain::parse("example.com").unwrap(),
        issued_at: Moment::floor(NOW).unwrap(),
        expires_at: Moment::floor(NOW.saturating_add(86_400_000)).unwrap(),
        certificates: certificates.to_vec(),
        minimum: Score::new(40).unwrap(),
        algorithms: SUPPORTED_ALGORITHMS.map(str::to_owned).to_vec(),
    }
}

fn document() -> Value {
    serde_json::from_slice(&bundle(&[root(1)]).to_json()).unwrap()
}

fn parse(value: &Value) -> Result<TrustBundle, BundleError> {
    TrustBundle::parse(&serde_json::to_vec(value).unwrap())
}

fn with(member: &str, value: Value) -> Result<TrustBundle, BundleError> {
    let mut document = document();
    document[member] = value;
    parse(&document)
}

#[test]
fn it_is_the_document_of_the_draft() {
    let expected = json!({
        "trust_domain": "example.com",
        "version": 1,
        "issued_at": "2026-04-10T12:00:00Z",
        "expires_at": "2026-04-11T12:00:00Z",
        "ca_certificates": [STANDARD.encode(root(1).der())],
        "minimum_trust_score": 40,
        "supported_algorithms": ["ES256", "Ed25519"],
    });
    assert_eq!(document(), expected);
    let text = String::from_utf8(bundle(&[root(1)]).to_json()).unwrap();
    let places: Vec<_> = ["trust_domain", "version", "issued_at", "expires_at", "ca_cert", "minimum", "supported"]
        .map(|name| text.find(&format!("\"{name}")).unwrap())
        .to_vec();
    assert!(places.is_sorted(), "{text}");
    let read = parse(&expected).unwrap();
    assert_eq!(read.to_json(), text.as_bytes());
    assert_eq!((read.domain().as_str(), read.minimum_trust_score().get()), ("example.com", 40));
    assert_eq!(read.supported_algorithms(), ["ES256", "Ed25519"]);
    assert_eq!(read.certificates().cloned().collect::<Vec<_>>(), [root(1)]);
}

#[test]
fn what_a_later_edition_adds_is_passed_over() {
    assert!(with("revocation_url", json!({"x": [1]})).is_ok());
    assert!(with("supported_algorithms", json!(["ML-DSA-65"])).is_ok());
    assert!(with("supported_algorithms", json!([])).is_ok());
    assert_eq!(with("version", json!(2)).unwrap_err(), BundleError::Version(2));
    // Another version is told as such, whatever else it has.
    assert_eq!(TrustBundle::parse(br#" {"version":7}"#).unwrap_err(), BundleError::Version(7));
}

#[test]
fn each_member_is_there_once_and_of_its_kind() {
    for member in document().as_object().unwrap().keys() {
        let mut without = document();
        without.as_object_mut().unwrap().remove(member);
        let error = parse(&without).unwrap_err().to_string();
        assert!(error.contains(&format!("missing field `{member}`")), "{error}");
        assert!(matches!(with(member, Value::Null), Err(BundleError::Json(_))), "{member}");
        let text = String::from_utf8(bundle(&[root(1)]).to_json()).unwrap();
        let twice = text.replacen('{', &format!("{{\"{member}\": {},", document()[member]), 1);
        let error = TrustBundle::parse(twice.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&format!("duplicate field `{member}`")), "{error}");
    }
    for wrong in ["", "[]", "null", "{", "{} {}", "\u{feff}{}"] {
        assert!(matches!(TrustBundle::parse(wrong.as_bytes()), Err(BundleError::Json(_))), "{wrong}");
    }
    assert!(matches!(with("version", json!("1")), Err(BundleError::Json(_))));
    assert!(matches!(with("version", json!(1.0)), Err(BundleError::Json(_))));
    let long = vec![b' '; MAX_BUNDLE + 1];
    assert_eq!(TrustBundle::parse(&long).unwrap_err(), BundleError::TooLong(long.len()));
}

#[test]
fn values_are_within_their_bounds() {
    assert!(matches!(with("trust_domain", json!("Example.com")), Err(BundleError::Domain(_))));
    assert_eq!(with("minimum_trust_score", json!(101)).unwrap_err(), BundleError::Score(101));
    assert_eq!(with("minimum_trust_score", json!(256)).unwrap_err(), BundleError::Score(256));
    assert!(matches!(with("minimum_trust_score", json!(-1)), Err(BundleError::Json(_))));
    for wrong in [json!([""]), json!(["x".repeat(65)]), json!(vec!["x"; 33])] {
        assert_eq!(with("supported_algorithms", wrong).unwrap_err(), BundleError::Algorithms);
    }
    for wrong in [
        "2026-04-10T12:00:00.000Z",
        "2026-04-10T12:00:00+00:00",
        "2026-04-10 12:00:00Z",
        "2026-04-10t12:00:00z",
        "2026-04-10T12:00:60Z",
        "2026-02-29T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "",
        "2026-04-10T12:00:00",
        "20260410120000Z",
        "+026-04-10T12:00:00Z",
        "2026-04-10T12:00:0éZ",
    ] {
        for member in ["issued_at", "expires_at"] {
            let error = with(member, json!(wrong)).unwrap_err();
            assert_eq!(
                error,
                BundleError::Time {
                    member: if member == "issued_at" { "issued_at" } else { "expires_at" },
                    found: wrong.into()
                }
            );
        }
    }
    for end in ["2026-04-10T12:00:00Z", "2026-04-10T11:59:59Z"] {
        assert!(matches!(with("expires_at", json!(end)), Err(BundleError::Lifetime { .. })));
    }
}

#[test]
fn every_certificate_is_a_ca_and_there_is_one() {
    let text = |certificate: &Certificate| STANDARD.encode(certificate.der());
    let certificates = |list: &[String]| with("ca_certificates", json!(list)).unwrap_err();
    assert_eq!(certificates(&[]), BundleError::Count(0));
    assert_eq!(certificates(&vec![text(&root(1)); 65]), BundleError::Count(65));
    assert!(matches!(certificates(&[text(&root(1)), text(&root(2)), text(&root(1))]), BundleError::Twice(_)));
    let agent = Draft::leaf("Root 1").certificate(&key(1));
    match certificates(&[text(&root(1)), text(&agent)]) {
        BundleError::NotCa(error) => assert_eq!((error.index, error.cause), (1, IssuerError::NotCa)),
        other => panic!("{other}"),
    }
    assert!(matches!(certificates(&["MAA=".into()]), BundleError::Certificate { index: 0, .. }));
    for wrong in [format!("{}\n", text(&root(1))), "%".into(), "A".repeat(30_000)] {
        assert!(matches!(certificates(&[text(&root(2)), wrong]), BundleError::Octets { index: 1, .. }));
    }
}

#[test]
fn it_holds_for_its_time_and_its_domain() {
    let (bundle, day) = (bundle(&[root(1)]), 86_400_000);
    assert_eq!(bundle.holds_at(NOW), Ok(()));
    assert_eq!(bundle.holds_at(NOW.saturating_sub(60_000)), Ok(()));
    assert!(matches!(bundle.holds_at(NOW.saturating_sub(60_001)), Err(BundleError::Ahead { .. })));
    assert_eq!(bundle.holds_at(NOW.saturating_add(day - 1)), Ok(()));
    assert!(matches!(bundle.holds_at(NOW.saturating_add(day)), Err(BundleError::Expired { .. })));
    assert_eq!(bundle.is_of(&TrustDomain::parse("example.com").unwrap()), Ok(()));
    let other = bundle.is_of(&TrustDomain::parse("a.example.com").unwrap());
    assert!(matches!(other, Err(BundleError::OtherDomain { .. })));
}

#[test]
fn an_older_one_does_not_come_back() {
    let old = bundle(&[root(1), root(2)]);
    let mut next = members(&[root(2), root(3)]);
    next.issued_at = Moment::floor(NOW.saturating_add(1000)).unwrap();
    let new = TrustBundle::new(next).unwrap();
    assert_eq!((new.may_follow(&old), new.may_follow(&new)), (Ok(()), Ok(())));
    assert!(matches!(old.may_follow(&new), Err(BundleError::Rollback { .. })));
    let beyond = |a: &TrustBundle, b: &TrustBundle| a.certificates_beyond(b).cloned().collect::<Vec<_>>();
    assert_eq!((beyond(&new, &old), beyond(&old, &new)), (vec![root(3)], vec![root(1)]));
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same(seconds in 1u64..10_000_000, life in 1u64..1_000_000, minimum in 0u8..=100, cas in 1u8..4) {
        let roots: Vec<_> = (1..=cas).map(root).collect();
        let mut members = members(&roots);
        members.issued_at = Moment::floor(UnixMillis::from_secs(seconds).unwrap()).unwrap();
        members.expires_at = Moment::floor(UnixMillis::from_secs(seconds + life).unwrap()).unwrap();
        members.minimum = Score::new(minimum).unwrap();
        let json = TrustBundle::new(members).unwrap().to_json();
        prop_assert_eq!(TrustBundle::parse(&json).unwrap().to_json(), json);
    }

    #[test]
    fn any_octets_are_read_without_a_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(TrustBundle::parse(&octets).is_err());
    }
}
