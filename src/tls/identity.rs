//! What this side presents: its certificates in their order, its key, and an OCSP answer to staple.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use crate::apki::certificate::AgentNameError;
use crate::apki::{AgentUri, Certificate, CertificateError};
use crate::keys::{KeyError, PublicKey};

/// Why certificates and a key are nobody's identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// Not PEM.
    #[error("{what} is not PEM: {reason}")]
    Pem {
        /// The certificates, the parents' or the key.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No certificate.
    #[error("there is no certificate: give the agent's, with its CAs behind it")]
    Empty,
    /// A certificate that is none.
    #[error("certificate {position}: {error}")]
    Certificate {
        /// Its place, from 0.
        position: usize,
        /// What is wrong.
        error: CertificateError,
    },
    /// Not an agent's.
    #[error("the first certificate is not an agent's: {0}")]
    Agent(#[from] AgentNameError),
    /// The certificate's key.
    #[error("the certificate's key: {0}")]
    Key(#[from] KeyError),
    /// The private key cannot be used.
    #[error("the private key cannot be used: {0}")]
    PrivateKey(String),
    /// The private key is of another certificate.
    #[error("the private key is not that of the certificate: read the two of one generation")]
    OtherKey,
    /// A delegated agent without the agents above it.
    #[error(
        "the parent's certificate, SHA-256 {0}, is not among these, and no peer would take the agent without it: give \
         parents.pem, which atl agent delegate and renew write"
    )]
    NoParent(String),
}

/// An agent's certificates and key, to be known by.
#[derive(Clone)]
pub struct Identity {
    agent: AgentUri,
    pub(super) certified: Arc<CertifiedKey>,
}

impl Identity {
    /// The agent of these PEM texts, as `atl agent` writes them: `cert.pem` has its certificate and its CAs,
    /// `parents.pem` the agents above it, nearest first, each with its CAs behind it where they are others (empty
    /// where nobody is above it), and `key.pem` the key, PKCS#8 or SEC 1.
    ///
    /// # Errors
    /// [`IdentityError`], also where the line of parents is not whole.
    pub fn from_pem(chain_pem: &str, parents_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let mut certificates = read("the certificates", chain_pem)?;
        certificates.extend(read("the parents' certificates", parents_pem)?);
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|e| IdentityError::Pem { what: "the key", reason: e.to_string() })?;
        let identity = Self::new(certificates, &key)?;
        identity.check_line()?;
        Ok(identity)
    }

    /// The agent of the first of these certificates, which are presented as they are: its CAs behind it, then the
    /// agents above it. Whether a peer would take them is not looked at.
    ///
    /// # Errors
    /// [`IdentityError`] where the first is not an agent's or the key not its own.
    pub fn new(
        certificates: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'static>,
    ) -> Result<Self, IdentityError> {
        let first = certificates.first().ok_or(IdentityError::Empty)?;
        let certificate = parse(0, first)?;
        let agent = certificate.agent_uri()?;
        PublicKey::from_spki_der(certificate.spki_der())?;
        let key = any_supported_type(key).map_err(|e| IdentityError::PrivateKey(e.to_string()))?;
        // Not by rustls, which would read the certificate with another parser.
        if key.public_key().is_none_or(|public| public.as_ref() != certificate.spki_der()) {
            return Err(IdentityError::OtherKey);
        }
        Ok(Self { agent, certified: Arc::new(CertifiedKey::new(certificates, key)) })
    }

    /// The same with this OCSP answer, in DER, stapled where the agent is the one that accepts connections. It is
    /// for the peer to verify.
    #[must_use]
    pub fn with_staple(self, ocsp_response: Vec<u8>) -> Self {
        let certified = CertifiedKey { ocsp: Some(ocsp_response), ..(*self.certified).clone() };
        Self { certified: Arc::new(certified), ..self }
    }

    /// Who it is.
    pub const fn agent(&self) -> &AgentUri {
        &self.agent
    }

    /// That each agent's parent is there, up to the one that nobody is above.
    fn check_line(&self) -> Result<(), IdentityError> {
        let parsed: Vec<Certificate> =
            self.certified.cert.iter().enumerate().map(|(n, der)| parse(n, der)).collect::<Result<_, _>>()?;
        let mut child = parsed.first();
        // A line of hashes has no circle; the bound is for the reader.
        for _ in 0..parsed.len() {
            let above = child.and_then(|child| child.delegation().ok().flatten()).filter(|above| above.depth > 0);
            let Some(above) = above else { break };
            let parent = parsed.iter().find(|parent| parent.fingerprint() == above.parent_cert_hash);
            child = Some(parent.ok_or_else(|| IdentityError::NoParent(hex::encode(above.parent_cert_hash)))?);
        }
        Ok(())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = self.certified.cert.len();
        f.debug_struct("Identity")
            .field("agent", &self.agent)
            .field("certificates", &certificates)
            .finish_non_exhaustive()
    }
}

fn read(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.map_err(|e| IdentityError::Pem { what, reason: e.to_string() })
}

fn parse(position: usize, der: &CertificateDer<'_>) -> Result<Certificate, IdentityError> {
    Certificate::parse(der.as_ref()).map_err(|error| IdentityError::Certificate { position, error })
}
