//! What a log admits, and what a final certificate is made of.

use super::*;
use crate::apki::chain::Anchors;
use crate::apki::precertificate::{Precertificate, recover};
use crate::apki::provenance::Evidence;
use crate::apki::{AgentUri, oid};
use crate::log::admission::{Rules, Screened, VerifiedPath};
use crate::log::entry::EntryType;
use crate::time::{Clock, SystemClock};

fn uri(instance: &str) -> AgentUri {
    AgentUri::parse(&format!("agent://agents.example/acme/shopper/{instance}")).unwrap()
}

fn rules() -> Rules {
    Rules { not_after_start: UnixMillis::new(0), not_after_limit: UnixMillis::new(u64::MAX), max_chain_length: 4 }
}

#[test]
fn a_log_admits_precertificates_of_either_kind_and_final_ones_are_made_from_them() {
    let now = SystemClock.now();
    for kind in [KeyKind::P256, KeyKind::Ed25519] {
        let pki = DemoPki::new(kind, now).unwrap();
        let (root, org) = (pki.root.open().unwrap(), pki.org.open().unwrap());
        let anchors = Anchors::new([root.certificate().clone()]).unwrap();
        let stamp = Stamp::new(&org, &Claims::shopper(72).unwrap(), now).unwrap();
        let key = SigningKey::generate(kind).unwrap();
        let der = stamp.precertificate(&uri("one"), &key).unwrap();
        let again = stamp.precertificate(&uri("one"), &key).unwrap();
        assert_ne!(der, again, "the serial number is new each time");

        let screened = Screened::new(der.clone(), Some(EntryType::Precertificate), &rules(), now).unwrap();
        let chain = vec![org.certificate().der().to_vec()];
        let (found, path) = VerifiedPath::find(screened.clone(), chain, &anchors, &rules()).unwrap();
        assert_eq!((&found.der, screened.under(&path).unwrap()), (&der, found.clone()));

        let certificate = Certificate::parse(der.clone()).unwrap();
        assert!((16..=20).contains(&certificate.serial().len()));
        assert_eq!(certificate.not_after().since(certificate.not_before()), 3_600_000);
        assert_eq!(certificate.agent_uri().unwrap(), uri("one"));
        assert_eq!(certificate.authority_key_identifier(), org.certificate().subject_key_identifier());
        assert!(certificate.subject_key_identifier().is_some());
        assert!(certificate.extension(&oid::SUBJECT_ALT_NAME).unwrap().critical);
        assert_eq!(certificate.trust_score().unwrap().unwrap().score.get(), 72);
        assert_eq!(certificate.capabilities().unwrap(), Some(Claims::shopper(72).unwrap().capabilities));
        assert_eq!(certificate.delegation().unwrap().unwrap().depth, 0);
        assert!(certificate.provenance().unwrap().is_some());
        let attestation = certificate.attestation().unwrap().unwrap();
        assert_eq!(certificate.capabilities_hash(), Some(attestation.declared_capabilities_hash));
        assert!(certificate.extensions().next_back().unwrap().is(&oid::PRECERTIFICATE_POISON));

        let precertificate = Precertificate::of(&certificate).unwrap().unwrap();
        let tbs = precertificate.final_tbs(&[0x30, 0x00]);
        let last = precertificate.assemble(&tbs, &org.sign(&tbs).unwrap()).unwrap();
        org.public_key().unwrap().verify(last.tbs_der(), last.signature()).unwrap();
        assert_eq!(recover(&last).unwrap().unwrap().precertificate_der, der);
    }
}

#[test]
fn a_certificate_is_as_large_as_its_evidence_makes_it() {
    let now = SystemClock.now();
    let org = DemoPki::new(KeyKind::P256, now).unwrap().org.open().unwrap();
    let key = SigningKey::generate(KeyKind::P256).unwrap();
    let size = |octets| {
        let claims = Claims { evidence: Some(Evidence::new(vec![0; octets]).unwrap()), ..Claims::shopper(50).unwrap() };
        Stamp::new(&org, &claims, now).unwrap().precertificate(&uri("x"), &key).unwrap().len()
    };
    assert!((2000..2040).contains(&(size(2000) - size(0))));
}

#[test]
fn a_key_that_is_not_the_certificate_s_is_refused() {
    let now = SystemClock.now();
    let pki = DemoPki::new(KeyKind::P256, now).unwrap();
    let mixed = AuthorityFiles { key_pem: pki.root.key_pem, ..pki.org };
    assert!(matches!(mixed.open(), Err(PkiError::OtherKey)));
    for text in
        ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN ", &mixed.certificate_pem]
    {
        assert!(matches!(SigningKey::from_pem(text), Err(PkiError::Key(_))), "{text}");
    }
}
