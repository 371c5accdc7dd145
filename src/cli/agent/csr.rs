//! Agents' keys, and the certification requests (RFC 2986) that prove the requester holds them.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use der::pem::{self, LineEnding};
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData, SanType};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::apki::AgentUri;
use crate::cli::pki::KeyKind;
use crate::keys::{EcdsaP256Signer, KeyError, Signer, signer_from_pkcs8_pem};

/// Why there is no key or no request.
#[derive(Debug, Error)]
pub enum CsrError {
    /// The library does not make or read it.
    #[error("{0}")]
    Library(#[from] rcgen::Error),
    /// A key of another kind.
    #[error("the key is neither P-256 nor Ed25519, which are the kinds that a CA certifies")]
    Kind,
    /// The operating system or the cryptography failed.
    #[error("no key could be made")]
    Generate,
}

/// An agent's private key.
#[derive(Debug)]
pub struct AgentKey {
    key: KeyPair,
    pem: Zeroizing<String>,
}

impl AgentKey {
    /// A new key.
    pub fn generate(kind: KeyKind) -> Result<Self, CsrError> {
        // The first version of PKCS#8: for Ed25519 rcgen writes the second, which OpenSSL 3.0 does not read.
        let made = match kind {
            KeyKind::P256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).and_then(|key| key.to_pkcs8v1()),
            KeyKind::Ed25519 => Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8v1()),
        };
        let document = made.map_err(|_| CsrError::Generate)?;
        let pem = pem::encode_string("PRIVATE KEY", LineEnding::LF, document.as_ref());
        Self::from_pem(&Zeroizing::new(pem.map_err(|_| CsrError::Generate)?))
    }

    /// Reads an unencrypted key in PEM: PKCS#8, or SEC 1 for P-256.
    pub fn from_pem(pem: &str) -> Result<Self, CsrError> {
        let key = KeyPair::from_pem(pem)?;
        if !key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256) && !key.is_compatible(&rcgen::PKCS_ED25519) {
            return Err(CsrError::Kind);
        }
        Ok(Self { key, pem: Zeroizing::new(pem.to_owned()) })
    }

    /// Which kind it is.
    pub fn kind(&self) -> KeyKind {
        if self.key.is_compatible(&rcgen::PKCS_ED25519) { KeyKind::Ed25519 } else { KeyKind::P256 }
    }

    /// The key as it is kept.
    pub fn pem(&self) -> &Zeroizing<String> {
        &self.pem
    }

    /// The key, ready to sign what is no certification request.
    ///
    /// # Errors
    /// Where the key is not of a form that is read here.
    pub fn signer(&self) -> Result<Box<dyn Signer>, KeyError> {
        let random = Arc::new(SystemRandom::new());
        let (label, der) = pem::decode_vec(self.pem.as_bytes()).map_err(|e| KeyError::Malformed(e.to_string()))?;
        let der = Zeroizing::new(der);
        match label {
            "EC PRIVATE KEY" => Ok(Box::new(EcdsaP256Signer::from_sec1_der(&der, random)?)),
            _ => signer_from_pkcs8_pem(&self.pem, random),
        }
    }

    /// DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    /// The request for a certificate of `agent`: an empty subject, and the URI as its only other name
    /// (draft 5.1).
    pub fn request(&self, agent: &AgentUri) -> Result<Vec<u8>, CsrError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(agent.as_str())?)];
        Ok(params.serialize_request(&self.key)?.der().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Decode;
    use std::process::{Command, Stdio};

    fn agent() -> AgentUri {
        "agent://bank.example.com/retail/teller/7".parse().unwrap()
    }

    #[test]
    fn the_request_names_the_agent_and_nothing_else() {
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let key = AgentKey::generate(kind).unwrap();
            let again = AgentKey::from_pem(key.pem()).unwrap();
            assert_eq!((again.kind(), again.spki()), (kind, key.spki()));
            let der = key.request(&agent()).unwrap();
            let request = x509_cert::request::CertReq::from_der(&der).unwrap();
            assert!(request.info.subject.is_empty());
            let uri = agent().as_str().as_bytes().to_vec();
            assert!(der.windows(uri.len()).any(|window| window == uri));
            assert_eq!(der::Encode::to_der(&request.info.public_key).unwrap(), key.spki());
        }
    }

    #[test]
    fn openssl_reads_the_request_and_verifies_it() {
        use std::io::Write;
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let der = AgentKey::generate(kind).unwrap().request(&agent()).unwrap();
            let mut openssl = Command::new("openssl")
                .args(["req", "-inform", "DER", "-verify", "-noout", "-text"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            openssl.stdin.take().unwrap().write_all(&der).unwrap();
            let output = openssl.wait_with_output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(output.status.success(), "{said}");
            assert!(said.contains("URI:agent://bank.example.com/retail/teller/7"), "{said}");
            assert!(said.contains("verify OK"), "{said}");
        }
    }

    #[test]
    fn openssl_reads_the_keys() {
        let dir = tempfile::tempdir().unwrap();
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let (key, file) = (AgentKey::generate(kind).unwrap(), dir.path().join("key.pem"));
            std::fs::write(&file, key.pem().as_bytes()).unwrap();
            let mut openssl = Command::new("openssl");
            let read = openssl.args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(&file).output().unwrap();
            assert_eq!(read.stdout, key.spki(), "{}", String::from_utf8_lossy(&read.stderr));
        }
    }

    #[test]
    fn a_key_signs_whatever_form_it_is_in() {
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let key = AgentKey::generate(kind).unwrap();
            let signer = key.signer().unwrap();
            assert_eq!(signer.public_key().spki_der(), key.spki());
            assert!(signer.public_key().verify(b"octets", &signer.sign(b"octets").unwrap()).is_ok());
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.pem");
        let mut openssl = Command::new("openssl");
        let made = openssl.args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"]).arg(&file).output();
        assert!(made.unwrap().status.success());
        let sec1 = AgentKey::from_pem(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(sec1.signer().unwrap().public_key().spki_der(), sec1.spki());
    }

    #[test]
    fn other_keys_are_refused() {
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        assert!(matches!(AgentKey::from_pem(&p384), Err(CsrError::Kind)));
        for none in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(matches!(AgentKey::from_pem(none), Err(CsrError::Library(_))));
        }
    }
}
