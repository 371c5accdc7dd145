//! A small PKI for tests: one root, and as many agents' precertificates below it as wanted.
#![allow(dead_code, reason = "each test program uses a part")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber, date_time_ymd,
};

const ARC: [u64; 8] = [1, 3, 6, 1, 4, 1, 32473, 1];

/// `AgentCapabilities` with an empty list: the log finds extensions by OID and does not decode.
const CAPABILITIES: [u8; 4] = [0x30, 0x02, 0x30, 0x00];

/// The provisional extension of this suffix.
pub fn extension(suffix: u64, critical: bool, value: &[u8]) -> CustomExtension {
    let oid = [&ARC[..], &[suffix]].concat();
    let mut extension = CustomExtension::from_oid_content(&oid, value.to_vec());
    extension.set_criticality(critical);
    extension
}

/// agentCapabilities.
pub fn capabilities() -> CustomExtension {
    extension(2, false, &CAPABILITIES)
}

/// A well-formed poison.
pub fn poison() -> CustomExtension {
    extension(7, true, &[0x05, 0x00])
}

/// An authority with its certificate.
pub struct Authority {
    pub der: Vec<u8>,
    pub issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// What every authority of this name has, to be changed.
    pub fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2045, 1, 1);
        params
    }

    /// A root of this name.
    pub fn root(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    /// A root whose certificate `change` had a hand in.
    pub fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = Self::params(name);
        change(&mut params);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params, key) }
    }

    /// An authority below this one whose certificate `change` had a hand in.
    pub fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = Self::params(name);
        params.serial_number = Some(SerialNumber::from(7));
        change(&mut params);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params, key) }
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        let body = STANDARD.encode(&self.der);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// What every precertificate of agent `number` has, to be changed.
    pub fn agent_params(number: u64) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("agent {number}"));
        params.subject_alt_names = vec![uri(&format!("agent://example.com/org/worker/n{number}"))];
        params.serial_number = Some(SerialNumber::from(number | 1 << 62));
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2045, 1, 1);
        params.custom_extensions = vec![capabilities(), poison()];
        params
    }

    /// A certificate of these parameters.
    pub fn issue(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }

    /// The precertificate of agent `number`.
    pub fn precertificate(&self, number: u64, key: &KeyPair) -> Vec<u8> {
        self.issue(&Self::agent_params(number), key)
    }

    /// Precertificates of `count` agents from `first` on.
    pub fn precertificates(&self, first: u64, count: u64) -> Vec<Vec<u8>> {
        let key = KeyPair::generate().unwrap();
        (first..first + count).map(|number| self.precertificate(number, &key)).collect()
    }
}

/// A URI name.
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// Standard base64.
pub fn b64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// The body of a `submit-entry` without a chain.
pub fn submission(der: &[u8]) -> String {
    format!(r#"{{"submission":"{}","chain":[]}}"#, b64(der))
}
