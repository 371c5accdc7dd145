//! A certification authority for tests.

use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};

/// The arc of the APKI extensions.
const ARC: [u64; 8] = [1, 3, 6, 1, 4, 1, 32473, 1];

/// `AgentTrustScore` with score 80 and tier 4 would do, but the log does not decode it: any DER.
const TRUST_SCORE: &[u8] = &[0x30, 0x03, 0x02, 0x01, 0x50];

/// What the authority signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// Ed25519.
    Ed25519,
}

/// A root that signs agents' certificates itself.
pub struct TestCa {
    params: CertificateParams,
    key: KeyPair,
    root: Certificate,
    agent_key: KeyPair,
    serial: AtomicU64,
}

impl TestCa {
    pub fn new(kind: KeyKind) -> Self {
        let key = match kind {
            KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        let key = key.unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("Test root {kind:?}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from(1));
        let root = params.self_signed(&key).unwrap();
        let agent_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        Self { params, key, root, agent_key, serial: AtomicU64::new(1000) }
    }

    pub fn root_pem(&self) -> String {
        self.root.pem()
    }

    pub fn root_der(&self) -> Vec<u8> {
        self.root.der().to_vec()
    }

    /// A new precertificate of the agent `agent://agents.example/test/worker/<instance>`.
    pub fn precertificate(&self, instance: &str) -> Certificate {
        let mut poison = CustomExtension::from_oid_content(&arc(7), vec![5, 0]);
        poison.set_criticality(true);
        self.issue(instance, vec![trust_score(), poison])
    }

    /// A new certificate of the same agent, without SATs inside.
    pub fn certificate(&self, instance: &str) -> Certificate {
        self.issue(instance, vec![trust_score()])
    }

    fn issue(&self, instance: &str, extensions: Vec<CustomExtension>) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, instance);
        let uri = format!("agent://agents.example/test/worker/{instance}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from(self.serial.fetch_add(1, Ordering::Relaxed)));
        params.custom_extensions = extensions;
        params.signed_by(&self.agent_key, &Issuer::from_params(&self.params, &self.key)).unwrap()
    }
}

fn trust_score() -> CustomExtension {
    CustomExtension::from_oid_content(&arc(1), TRUST_SCORE.to_vec())
}

fn arc(suffix: u64) -> Vec<u64> {
    [&ARC[..], &[suffix]].concat()
}
