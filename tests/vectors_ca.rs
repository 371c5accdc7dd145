//! The good chains of `tests/vectors/certs.json`, made by an independent implementation, driven
//! through our own writer of certificates.
//!
//! The vectors are certificates that a log admits, not certificates that this CA would issue: they
//! have a subject, so their names are not critical, their serial numbers are short, their key
//! identifiers come from SHA-1, and their extensions stand in another order. So it is compared field by field: what the two profiles have
//! in common has the same octets.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)] // a vector file of another shape is a failed test

#[path = "common/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;

use atl::apki::certificate::{Certificate, Extension};
use atl::apki::moment::Moment;
use atl::apki::oid;
use atl::apki::precertificate::{Precertificate, certificate_der, recover};
use atl::ca::profile::{AttestationFacts, Profile};
use atl::ca::serial::Serial;
use atl::keys::PublicKey;
use vectors::{counted, json, octets, text};

fn certificate(path: &str) -> Certificate {
    Certificate::parse(octets(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// All that a vector says, as a profile of ours. Its serial number is too short for one.
fn profile_of(vector: &Certificate) -> Profile {
    let attestation = vector.attestation().unwrap().map(|a| AttestationFacts {
        method: a.method,
        attestor_identity: a.attestor_identity,
        time: a.time,
        evidence_uri: a.evidence_uri,
    });
    Profile {
        serial: Serial::from_random([0x11; 20]),
        not_before: Moment::floor(vector.not_before()).unwrap(),
        not_after: Moment::floor(vector.not_after()).unwrap(),
        name: vector.agent_uri().unwrap(),
        spiffe: None,
        public_key: PublicKey::from_spki_der(vector.spki_der()).unwrap(),
        status: None,
        trust_score: vector.trust_score().unwrap().unwrap(),
        capabilities: vector.capabilities().unwrap().unwrap(),
        delegation: vector.delegation().unwrap(),
        provenance: vector.provenance().unwrap(),
        attestation,
    }
}

fn extensions(certificate: &Certificate) -> BTreeMap<Vec<u8>, Extension<'_>> {
    certificate.extensions().map(|extension| (extension.oid.to_vec(), extension)).collect()
}

#[test]
fn every_good_chain_is_written_again() {
    let file = json("certs.json");
    for row in counted(&file, "chains", 4) {
        let name = text(row, "name");
        let [org, vector, fin] = ["org", "precert", "final"].map(|field| certificate(text(row, field)));
        let algorithm = vector.signature_algorithm().unwrap();
        let tbs = profile_of(&vector).precertificate_tbs(&org, algorithm).unwrap();
        // The signature is of other octets; it is not looked at here.
        let ours = Certificate::parse(certificate_der(&tbs, algorithm.algorithm_identifier_der(), vector.signature()))
            .unwrap();

        assert_eq!(ours.issuer_der(), vector.issuer_der(), "{name}");
        assert_eq!(ours.not_before(), vector.not_before(), "{name}");
        assert_eq!(ours.not_after(), vector.not_after(), "{name}");
        assert_eq!(ours.spki_der(), vector.spki_der(), "{name}");
        assert_eq!(ours.signature_algorithm(), vector.signature_algorithm(), "{name}");

        let (of_ours, of_vector) = (extensions(&ours), extensions(&vector));
        assert!(of_ours.keys().eq(of_vector.keys()), "{name}: other extensions");
        for (oid, extension) in &of_ours {
            let expected = of_vector[oid];
            if extension.is(&oid::SUBJECT_KEY_IDENTIFIER) {
                // The vectors take SHA-1 of the key, we SHA-256 (RFC 7093 section 2, method 1).
                assert_eq!((extension.value.len(), extension.critical), (22, expected.critical), "{name}");
                assert_ne!(extension.value, expected.value, "{name}");
                continue;
            }
            assert_eq!(extension.value, expected.value, "{name}: {}", hex::encode(oid));
            // An empty subject makes the name critical (RFC 5280 section 4.2.1.6).
            let is_name = extension.is(&oid::SUBJECT_ALT_NAME);
            assert_eq!(extension.der == expected.der, !is_name, "{name}: {}", hex::encode(oid));
        }

        // The way to the final certificate and back is the vector's, timestamps and all.
        let list = recover(&fin).unwrap().unwrap().sat_list_der;
        let tbs = Precertificate::of(&ours).unwrap().unwrap().final_tbs(list);
        let finished = Precertificate::of(&ours).unwrap().unwrap().assemble(&tbs, fin.signature()).unwrap();
        assert_eq!(recover(&finished).unwrap().unwrap().precertificate_der, ours.der(), "{name}");
        let (of_ours, of_vector) = (extensions(&finished), extensions(&fin));
        assert!(of_ours.keys().eq(of_vector.keys()), "{name}: other extensions in the end");
        for oid in [oid::SIGNED_AGENT_TIMESTAMP_LIST, oid::PRECERTIFICATE_SIGNATURE] {
            assert_eq!(of_ours[oid.as_bytes()].der, of_vector[oid.as_bytes()].der, "{name}: {oid}");
        }
    }
}

#[test]
fn the_agent_extensions_stand_as_they_do_in_the_vectors() {
    let file = json("certs.json");
    for row in counted(&file, "chains", 4) {
        let [org, vector] = ["org", "precert"].map(|field| certificate(text(row, field)));
        let tbs = profile_of(&vector).precertificate_tbs(&org, vector.signature_algorithm().unwrap()).unwrap();
        // From the first agent extension to the poison the two are one run of octets.
        let run: Vec<u8> = vector.extensions().skip(5).flat_map(|extension| extension.der.to_vec()).collect();
        assert!(tbs.ends_with(&run), "{}", text(row, "name"));
    }
}
