//! What the tests of this floor share: keys, a CA, and any profile.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING as P256_SIGNING, EcdsaKeyPair, KeyPair as _};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::profile::{AttestationFacts, Profile, StatusUrls};
use super::serial::Serial;
use crate::apki::capabilities::Capabilities;
use crate::apki::moment::Moment;
use crate::apki::precertificate::extension_der;
use crate::apki::testing::values::{attestation, capability, delegation, provenance, trust_score};
use crate::apki::testing::{key, name, validity};
use crate::apki::tlv::{self, encode};
use crate::apki::{AgentUri, Certificate, oid, precertificate};
use crate::keys::{PublicKey, SignError, SignatureAlgorithm, Signer, key_identifier};
use crate::time::UnixMillis;

/// 2026-04-10T12:00:00Z
pub(super) const NOON: UnixMillis = UnixMillis::new(1_775_822_400_000);

/// A P-256 key in memory.
pub(super) struct P256(EcdsaKeyPair, PublicKey);

impl P256 {
    pub(super) fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&P256_SIGNING).unwrap();
        let algorithm = hex::decode("301306072a8648ce3d020106082a8648ce3d030107").unwrap();
        let octets = encode(tlv::BIT_STRING, &[&[0], pair.public_key().as_ref()]);
        let public = PublicKey::from_spki_der(&encode(tlv::SEQUENCE, &[&algorithm, &octets])).unwrap();
        Self(pair, public)
    }
}

impl Signer for P256 {
    fn public_key(&self) -> &PublicKey {
        &self.1
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    }
}

pub(super) fn ed25519(seed: u8) -> Arc<dyn Signer> {
    Arc::new(key(seed))
}

/// Two keys of each kind.
pub(super) fn key_pairs() -> [[Arc<dyn Signer>; 2]; 2] {
    [[ed25519(1), ed25519(2)], [Arc::new(P256::generate()), Arc::new(P256::generate())]]
}

pub(super) fn uri(text: &str) -> AgentUri {
    AgentUri::parse(text).unwrap()
}

pub(super) fn moment(at: UnixMillis) -> Moment {
    Moment::floor(at).unwrap()
}

/// The certificate of a CA that signs itself, with these extensions besides the usual ones. Its name
/// is one that a library would write otherwise: a TeletexString.
pub(super) fn issuer_with(signer: &dyn Signer, more: &[Vec<u8>]) -> Certificate {
    let mut names = name("Issuer");
    let place = names.iter().position(|octet| *octet == 0x0c).unwrap();
    names[place] = 0x14;
    let identifier = encode(tlv::OCTET_STRING, &[&key_identifier(signer.public_key().spki_der()).unwrap()]);
    let mut extensions = extension_der(&oid::BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xff]);
    extensions.extend(extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x06]));
    extensions.extend(extension_der(&oid::SUBJECT_KEY_IDENTIFIER, false, &identifier));
    extensions.extend(more.concat());
    let algorithm = signer.public_key().algorithm().algorithm_identifier_der();
    let tbs = encode(
        tlv::SEQUENCE,
        &[
            &[0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x07],
            algorithm,
            &names,
            &validity(&[(0x17, b"260401000000Z"), (0x18, b"20600401000000Z")]),
            &names,
            signer.public_key().spki_der(),
            &encode(0xa3, &[&encode(tlv::SEQUENCE, &[&extensions])]),
        ],
    );
    Certificate::parse(precertificate::certificate_der(&tbs, algorithm, &signer.sign(&tbs).unwrap())).unwrap()
}

pub(super) fn issuer(signer: &dyn Signer) -> Certificate {
    issuer_with(signer, &[])
}

/// The TBSCertificate of a profile, signed by this issuer.
pub(super) fn sign(tbs: &[u8], signer: &dyn Signer) -> Certificate {
    let algorithm: SignatureAlgorithm = signer.public_key().algorithm();
    let signature = signer.sign(tbs).unwrap();
    Certificate::parse(precertificate::certificate_der(tbs, algorithm.algorithm_identifier_der(), &signature)).unwrap()
}

prop_compose! {
    /// Any profile of an agent in example.com, valid for an hour from noon on.
    pub(super) fn profile()(
        serial in any::<[u8; 20]>(), instance in "[A-Za-z0-9_-]{1,64}", spiffe in option::of("spiffe://[a-z/]{1,60}"),
        seed in 10..255u8, status in option::of(("https?://[a-z/]{1,60}", "http://[!-~]{1,60}")), trust_score in trust_score(), capabilities in vec(capability(), 0..5),
        delegation in option::of(delegation()), provenance in option::of(provenance()),
        attestation in option::of(attestation()),
    ) -> Profile {
        Profile {
            serial: Serial::from_random(serial),
            not_before: moment(NOON),
            not_after: moment(NOON.saturating_add(3_600_000)),
            name: uri(&format!("agent://example.com/org/type/{instance}")),
            spiffe,
            public_key: key(seed).public_key().clone(),
            status: status.map(|(ocsp, crl)| status_urls(&ocsp, &crl)),
            trust_score,
            capabilities: Capabilities::new(capabilities).unwrap(),
            delegation,
            provenance,
            attestation: attestation.map(|a| AttestationFacts {
                method: a.method,
                attestor_identity: a.attestor_identity,
                time: a.time,
                evidence_uri: a.evidence_uri,
            }),
        }
    }
}

/// Where to ask.
pub(super) fn status_urls(ocsp: &str, crl: &str) -> StatusUrls {
    use crate::apki::extension::AsciiText;

    StatusUrls { ocsp: AsciiText::new(ocsp).unwrap(), crl: AsciiText::new(crl).unwrap() }
}

/// A profile with all five extensions and a score of 72.
pub(super) fn shopper() -> Profile {
    use crate::apki::attestation::AttestationMethod;
    use crate::apki::capabilities::Capability;
    use crate::apki::delegation::{AttenuationRules, Delegation};
    use crate::apki::extension::{AsciiText, Text};
    use crate::apki::provenance::Provenance;
    use crate::apki::trust_score::{DecayRate, Score, TrustScore};

    let text = |text: &str| Text::new(text).unwrap();
    let capability = Capability {
        tool_uri: AsciiText::new("mcp://shop.example.com/orders").unwrap(),
        scope: text("orders/create"),
        spend_limit: None,
        rate_limit: None,
    };
    Profile {
        serial: Serial::from_random([0x55; 20]),
        not_before: moment(NOON),
        not_after: moment(NOON.saturating_add(3_600_000)),
        name: uri("agent://example.com/sales/shopper/one"),
        spiffe: None,
        public_key: key(50).public_key().clone(),
        status: None,
        trust_score: TrustScore {
            score: Score::new(72).unwrap(),
            decay_rate: DecayRate::new(2).unwrap(),
            last_updated: moment(NOON),
            computation_method: None,
        },
        capabilities: Capabilities::new(vec![capability]).unwrap(),
        delegation: Some(Delegation {
            parent_cert_hash: [0; 32],
            depth: 0,
            max_depth: 2,
            rules: AttenuationRules::default(),
            human_principal: Some(text("sha256:00")),
        }),
        provenance: Some(Provenance {
            model_family: text("model"),
            model_version: text("1"),
            framework: text("framework"),
            organization_id: text("Example"),
            build_hash: Some([9; 32]),
            attest_evidence: None,
        }),
        attestation: Some(AttestationFacts {
            method: AttestationMethod::CaVerified,
            attestor_identity: None,
            time: moment(NOON),
            evidence_uri: None,
        }),
    }
}
