//! A throw-away PKI for the demo and for load: a root, an organisation's CA under it, and agents'
//! precertificates (protocol section 3).
//!
//! CA certificates are made with rcgen; precertificates are of the CA's own profile
//! ([`crate::ca::profile`]), tens of thousands of them from one template.

mod claims;
mod key;
mod stamp;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use der::DateTime;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use thiserror::Error;

pub use self::claims::Claims;
pub use self::key::{KeyKind, SigningKey};
pub use self::stamp::Stamp;
use crate::apki::extension::ValueError;
use crate::apki::{Certificate, CertificateError};
use crate::ca::profile::ProfileError;
use crate::ca::serial::{MAX_SERIAL, Serial};
use crate::keys::PublicKey;
use crate::time::UnixMillis;

/// Years that a CA certificate of ours is valid.
const CA_YEARS: u16 = 10;

/// Why no certificate could be made.
#[derive(Debug, Error)]
pub enum PkiError {
    /// The private key cannot be used.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// The certificate that is to issue is not that key's.
    #[error("the certificate is not of this private key")]
    OtherKey,
    /// The cryptographic library refused.
    #[error("{0}")]
    Crypto(&'static str),
    /// A CA certificate could not be made.
    #[error("a CA certificate cannot be made: {0}")]
    Authority(#[from] rcgen::Error),
    /// A moment that certificates cannot hold.
    #[error("the clock shows {0}, which no certificate can hold")]
    Time(UnixMillis),
    /// A claim that no certificate may make.
    #[error("a claim is out of its bounds: {0}")]
    Claim(#[from] ValueError),
    /// A claim that cannot be written into a certificate.
    #[error("{0}")]
    Profile(#[from] ProfileError),
    /// What was made does not parse.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
}

/// A certification authority: a key, and the certificate that says so.
#[derive(Debug)]
pub struct Authority {
    key: SigningKey,
    certificate: Certificate,
}

/// A root and an organisation's CA under it, with what their files hold.
#[derive(Debug)]
pub struct DemoPki {
    /// The root: the anchor of a log.
    pub root: AuthorityFiles,
    /// The CA that issues to agents.
    pub org: AuthorityFiles,
}

/// An authority as PEM.
#[derive(Debug)]
pub struct AuthorityFiles {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key, PKCS#8.
    pub key_pem: String,
}

impl DemoPki {
    /// A new root and organisation's CA, with keys of this kind.
    pub fn new(kind: KeyKind, now: UnixMillis) -> Result<Self, PkiError> {
        let algorithm = match kind {
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
        };
        let (root_key, org_key) = (KeyPair::generate_for(algorithm)?, KeyPair::generate_for(algorithm)?);
        let root_params = ca_params("Demo Root CA", now, None)?;
        let root = root_params.self_signed(&root_key)?;
        let mut org_params = ca_params("Demo Organisation CA", now, Some(0))?;
        // rcgen writes it only when told.
        org_params.use_authority_key_identifier_extension = true;
        let org = org_params.signed_by(&org_key, &Issuer::from_params(&root_params, &root_key))?;
        let files = |certificate: &rcgen::Certificate, key: &KeyPair| AuthorityFiles {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        };
        Ok(Self { root: files(&root, &root_key), org: files(&org, &org_key) })
    }
}

impl AuthorityFiles {
    /// The authority in these files.
    pub fn open(&self) -> Result<Authority, PkiError> {
        let (_, der) = der::pem::decode_vec(self.certificate_pem.as_bytes())
            .map_err(|_| PkiError::Crypto("the CA certificate is not PEM"))?;
        Authority::new(SigningKey::from_pem(&self.key_pem)?, Certificate::parse(der)?)
    }
}

impl Authority {
    /// The authority with this key and the certificate for it.
    pub fn new(key: SigningKey, certificate: Certificate) -> Result<Self, PkiError> {
        if certificate.spki_der() != key.public_key().spki_der() {
            return Err(PkiError::OtherKey);
        }
        Ok(Self { key, certificate })
    }

    /// Its certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key that verifies what it issues.
    pub fn public_key(&self) -> Result<PublicKey, PkiError> {
        PublicKey::from_spki_der(self.certificate.spki_der()).map_err(|e| PkiError::Key(e.to_string()))
    }

    /// Signs a TBSCertificate.
    pub fn sign(&self, tbs: &[u8]) -> Result<Vec<u8>, PkiError> {
        self.key.sign(tbs)
    }
}

fn ca_params(name: &str, now: UnixMillis, path_len: Option<u8>) -> Result<CertificateParams, PkiError> {
    let today = moment(now)?;
    let mut params = CertificateParams::new(Vec::new())?;
    // Two demos on one machine are two authorities: their names differ.
    let serial = serial()?;
    params.distinguished_name.push(DnType::OrganizationName, "Agent Transparency Log demo");
    params.distinguished_name.push(DnType::CommonName, format!("{name} {}", hex::encode(&serial.as_bytes()[..4])));
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = date_time_ymd(i32::from(today.year()), today.month(), today.day());
    // The first of a month exists in every year; the 29th of February does not.
    params.not_after = date_time_ymd(i32::from(today.year() + CA_YEARS), today.month(), 1);
    params.is_ca = IsCa::Ca(path_len.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A new serial number.
fn serial() -> Result<Serial, PkiError> {
    let mut octets = [0; MAX_SERIAL];
    SystemRandom::new().fill(&mut octets).map_err(|_| PkiError::Crypto("the system has no randomness to give"))?;
    Ok(Serial::from_random(octets))
}

fn moment(at: UnixMillis) -> Result<DateTime, PkiError> {
    // Certificates know whole seconds only.
    let since = std::time::Duration::from_secs(at.get() / 1000);
    DateTime::from_unix_duration(since).map_err(|_| PkiError::Time(at))
}

#[cfg(test)]
mod tests;
