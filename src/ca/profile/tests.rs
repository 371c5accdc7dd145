//! What goes into a certificate comes out of the parser again, and nothing besides.

use proptest::prelude::*;

use super::*;
use crate::apki::oid;
use crate::apki::precertificate::{Precertificate, extension_der};
use crate::apki::testing::key;
use crate::ca::tests::{NOON, issuer, key_pairs, moment, profile, shopper, sign, status_urls};
use crate::keys::Signer;
use crate::time::UnixMillis;

fn built(profile: &Profile, signer: &dyn Signer) -> Certificate {
    let issuer = issuer(signer);
    let tbs = profile.precertificate_tbs(&issuer, signer.public_key().algorithm()).unwrap();
    let certificate = sign(&tbs, signer);
    assert_eq!(certificate.issuer_der(), issuer.subject_der());
    assert_eq!(certificate.authority_key_identifier(), issuer.subject_key_identifier());
    certificate
}

/// All that a certificate says, read back as the profile that it was made from.
fn read_back(certificate: &Certificate) -> Profile {
    let names = certificate.uri_names().unwrap();
    let attestation = certificate.attestation().unwrap();
    let declared = attestation.as_ref().map(|a| a.declared_capabilities_hash);
    assert!(declared.is_none() || declared == certificate.capabilities_hash());
    Profile {
        serial: Serial::from_bytes(certificate.serial()).unwrap(),
        not_before: moment(certificate.not_before()),
        not_after: moment(certificate.not_after()),
        name: certificate.agent_uri().unwrap(),
        spiffe: names.get(1).map(|name| String::from_utf8(name.to_vec()).unwrap()),
        public_key: PublicKey::from_spki_der(certificate.spki_der()).unwrap(),
        status: certificate.ocsp_url().unwrap().map(|ocsp| {
            let crl = certificate.crl_distribution_point().unwrap().unwrap();
            assert_eq!(crl.crl_issuer, None);
            status_urls(ocsp, crl.url)
        }),
        trust_score: certificate.trust_score().unwrap().unwrap(),
        capabilities: certificate.capabilities().unwrap().unwrap(),
        delegation: certificate.delegation().unwrap(),
        provenance: certificate.provenance().unwrap(),
        attestation: attestation.map(|a| AttestationFacts {
            method: a.method,
            attestor_identity: a.attestor_identity,
            time: a.time,
            evidence_uri: a.evidence_uri,
        }),
    }
}

#[test]
fn is_the_profile_of_the_draft() {
    for [signer, _] in key_pairs() {
        let certificate = built(&shopper(), signer.as_ref());
        assert_eq!(certificate.signature_algorithm(), Some(signer.public_key().algorithm()));
        assert_eq!(certificate.subject_der(), [0x30, 0x00]);
        let order: Vec<_> = certificate.extensions().map(|e| (e.oid.to_vec(), e.critical)).collect();
        let expected = [
            (oid::SUBJECT_ALT_NAME, true),
            (oid::KEY_USAGE, true),
            (oid::EXTENDED_KEY_USAGE, false),
            (oid::AUTHORITY_KEY_IDENTIFIER, false),
            (oid::SUBJECT_KEY_IDENTIFIER, false),
            (oid::AGENT_TRUST_SCORE, false),
            (oid::AGENT_CAPABILITIES, false),
            (oid::AGENT_DELEGATION, false),
            (oid::AGENT_PROVENANCE, false),
            (oid::AGENT_BEHAVIOURAL_ATTESTATION, false),
            (oid::PRECERTIFICATE_POISON, true),
        ];
        assert_eq!(order, expected.map(|(oid, critical)| (oid.as_bytes().to_vec(), critical)));
        assert!(Precertificate::of(&certificate).unwrap().is_some());
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
        assert_eq!(certificate.extension(&oid::KEY_USAGE).unwrap().value, [0x03, 0x02, 0x07, 0x80]);
        let usages = certificate.extension(&oid::EXTENDED_KEY_USAGE).unwrap().value;
        assert_eq!(hex::encode(usages), "301406082b0601050507030206082b06010505070301");
    }
}

#[test]
fn where_to_ask_stands_between_the_standard_and_the_agent_extensions() {
    let status = Some(status_urls("http://ca.example.com/ocsp", "http://ca.example.com/crl/7"));
    let certificate = built(&Profile { status, ..shopper() }, &key(1));
    assert_eq!(certificate.ocsp_url(), Ok(Some("http://ca.example.com/ocsp")));
    assert_eq!(certificate.crl_url(), Ok(Some("http://ca.example.com/crl/7")));
    let places: Vec<_> = certificate.extensions().map(|e| (e.oid.to_vec(), e.critical)).collect();
    let expected =
        [oid::SUBJECT_KEY_IDENTIFIER, oid::AUTHORITY_INFO_ACCESS, oid::CRL_DISTRIBUTION_POINTS, oid::AGENT_TRUST_SCORE];
    assert_eq!(places[4..8], expected.map(|oid| (oid.as_bytes().to_vec(), false)));
    assert!(Precertificate::of(&certificate).unwrap().is_some());
    for bad in ["", "http://", "ldap://x", "http://a b", "ftp://example.com/"] {
        for urls in [status_urls(bad, "http://a"), status_urls("http://a", bad)] {
            let profile = Profile { status: Some(urls), ..shopper() };
            let refused = profile.precertificate_tbs(&issuer(&key(1)), SignatureAlgorithm::Ed25519);
            assert_eq!(refused, Err(ProfileError::StatusUrl(bad.to_owned())));
        }
    }
}

#[test]
fn validity_is_five_minutes_to_a_day() {
    let issuer = issuer(&key(1));
    let of = |from: UnixMillis, seconds: u64| {
        let not_after = moment(UnixMillis::new(from.get() + seconds * 1000));
        let profile = Profile { not_before: moment(from), not_after, ..shopper() };
        assert_eq!(profile.validity_seconds(), seconds);
        profile.precertificate_tbs(&issuer, SignatureAlgorithm::Ed25519).map(|_| ())
    };
    for good in [300, 3600, 86_400] {
        assert_eq!(of(NOON, good), Ok(()));
    }
    for bad in [0, 299, 86_401, 1 << 32] {
        assert!(matches!(of(NOON, bad), Err(ProfileError::Validity { .. })), "{bad}");
    }
    let back = Profile { not_after: moment(NOON.saturating_sub(3_600_000)), ..shopper() };
    let error = back.precertificate_tbs(&issuer, SignatureAlgorithm::Ed25519).unwrap_err();
    assert!(error.to_string().contains("from 2026-04-10T12:00:00Z to 2026-04-10T11:00:00Z"), "{error}");
}

#[test]
fn the_form_of_time_changes_with_2050() {
    // 2049-12-31T23:30:00Z
    let eve = UnixMillis::new(2_524_606_200_000);
    let profile = Profile { not_before: moment(eve), not_after: moment(eve.saturating_add(3_600_000)), ..shopper() };
    let tbs = profile.precertificate_tbs(&issuer(&key(1)), SignatureAlgorithm::Ed25519).unwrap();
    let validity = [&[0x30, 0x20, 0x17, 0x0d][..], b"491231233000Z", &[0x18, 0x0f], b"20500101003000Z"].concat();
    assert!(tbs.windows(validity.len()).any(|window| window == validity));
    assert_eq!(read_back(&sign(&tbs, &key(1))), profile);
}

#[test]
fn refuses_what_no_certificate_should_say() {
    let tbs = |profile: &Profile, issuer: &Certificate| {
        profile.precertificate_tbs(issuer, SignatureAlgorithm::Ed25519).map(|_| ())
    };
    let issuer = issuer(&key(1));
    for bad in
        ["https://example.com/", "spiffe://", "spiffe://a b", "spiffe://é", &format!("spiffe://{}", "a".repeat(2040))]
    {
        let profile = Profile { spiffe: Some(bad.to_owned()), ..shopper() };
        assert!(matches!(tbs(&profile, &issuer), Err(ProfileError::Spiffe(_))), "{bad}");
    }
    let nameless = crate::apki::testing::Draft::ca("A", "B", &key(1), None).certificate(&key(1));
    assert_eq!(tbs(&shopper(), &nameless), Err(ProfileError::IssuerKeyIdentifier));
    let mut empty = crate::apki::testing::Draft::ca("A", "B", &key(1), None);
    empty.extensions.push(extension_der(&oid::SUBJECT_KEY_IDENTIFIER, false, &[0x04, 0x00]));
    assert_eq!(tbs(&shopper(), &empty.certificate(&key(1))), Err(ProfileError::IssuerKeyIdentifier));
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(profile in profile()) {
        let certificate = built(&profile, &key(1));
        prop_assert_eq!(read_back(&certificate), profile);
    }
}
