//! Certificates for unit tests, made of parts that a test can break one at a time.

pub(crate) mod values;

use super::certificate::Certificate;
use super::moment::Moment;
use super::oid;
use super::precertificate::extension_der;
use super::status::crl::{CrlTemplate, signed};
use super::tlv::{self, encode};
use crate::keys::{Ed25519Signer, SignatureAlgorithm, Signer};
use crate::time::UnixMillis;

pub(crate) const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
pub(crate) const ECDSA_SHA256: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
pub(crate) const RSA_SHA256: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];

/// The fields of a certificate, each as it will stand in the DER.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) inner_algorithm: Vec<u8>,
    pub(crate) outer_algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    /// Between the key and the extensions.
    pub(crate) unique_ids: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Draft {
    /// `subject`, issued by `issuer`, for `key`; without extensions.
    pub(crate) fn new(issuer: &str, subject: &str, key: &Ed25519Signer) -> Self {
        Self {
            version: vec![0xa0, 0x03, 0x02, 0x01, 0x02],
            serial: vec![0x02, 0x01, 0x07],
            inner_algorithm: ED25519.to_vec(),
            outer_algorithm: ED25519.to_vec(),
            issuer: name(issuer),
            validity: validity(&[(0x17, b"260410120000Z"), (0x17, b"260410130000Z")]),
            subject: name(subject),
            spki: key.public_key().spki_der().to_vec(),
            unique_ids: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// An agent's certificate.
    pub(crate) fn leaf(issuer: &str) -> Self {
        let uri = encode(0x86, &[b"agent://example.com/a/b/c"]);
        let mut leaf = Self::new(issuer, "agent", &key(99));
        leaf.extensions.push(extension_der(&oid::SUBJECT_ALT_NAME, false, &encode(tlv::SEQUENCE, &[&uri])));
        leaf
    }

    /// A CA's certificate with this pathLenConstraint.
    pub(crate) fn ca(issuer: &str, subject: &str, key: &Ed25519Signer, path_length: Option<u8>) -> Self {
        let limit = path_length.map(|n| encode(tlv::INTEGER, &[&[n]])).unwrap_or_default();
        let constraints = encode(tlv::SEQUENCE, &[&[0x01, 0x01, 0xff], &limit]);
        let mut ca = Self::new(issuer, subject, key);
        ca.extensions.push(extension_der(&oid::BASIC_CONSTRAINTS, true, &constraints));
        ca.extensions.push(extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x06]));
        ca
    }

    /// The TBSCertificate.
    pub(crate) fn tbs(&self) -> Vec<u8> {
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let list = encode(0xa3, &[&encode(tlv::SEQUENCE, &extensions)]);
        let tbs = [&self.version, &self.serial, &self.inner_algorithm, &self.issuer, &self.validity, &self.subject];
        let mut tbs: Vec<&[u8]> = tbs.into_iter().map(Vec::as_slice).collect();
        tbs.extend([self.spki.as_slice(), &self.unique_ids, &list]);
        encode(tlv::SEQUENCE, &tbs)
    }

    /// The certificate, signed by `issuer`.
    pub(crate) fn sign(&self, issuer: &Ed25519Signer) -> Vec<u8> {
        let tbs = self.tbs();
        let signature = encode(tlv::BIT_STRING, &[&[0], &issuer.sign(&tbs).unwrap()]);
        encode(tlv::SEQUENCE, &[&tbs, &self.outer_algorithm, &signature])
    }

    /// The certificate, signed by `issuer` and parsed.
    pub(crate) fn certificate(&self, issuer: &Ed25519Signer) -> Certificate {
        Certificate::parse(self.sign(issuer)).unwrap()
    }
}

/// The key with this seed.
pub(crate) fn key(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32]).unwrap()
}

/// The list of this CA, signed by the key of this seed, on which there is nobody for one minute.
pub(crate) fn empty_crl(issuer: &Certificate, seed: u8, from: UnixMillis) -> Vec<u8> {
    let template = CrlTemplate {
        issuer_der: issuer.subject_der(),
        algorithm: SignatureAlgorithm::Ed25519,
        this_update: Moment::floor(from).unwrap(),
        next_update: Moment::floor(from.saturating_add(60_000)).unwrap(),
        number: 1,
        authority_key_identifier: &[1],
        scope: None,
    };
    let tbs = template.tbs([]).unwrap();
    signed(&tbs, SignatureAlgorithm::Ed25519, &key(seed).sign(&tbs).unwrap())
}

/// A Name of one commonName.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let value = encode(0x0c, &[common_name.as_bytes()]);
    encode(tlv::SEQUENCE, &[&encode(tlv::SET, &[&encode(tlv::SEQUENCE, &[&[0x06, 0x03, 0x55, 0x04, 0x03], &value])])])
}

/// A Validity of these times, each with its tag.
pub(crate) fn validity(times: &[(u8, &[u8])]) -> Vec<u8> {
    let times: Vec<Vec<u8>> = times.iter().map(|(tag, text)| encode(*tag, &[text])).collect();
    encode(tlv::SEQUENCE, &times.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
