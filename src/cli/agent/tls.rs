//! TLS to a CA whose certificate stands below an ATL root.
//!
//! Such a chain carries a URI name constraint, below which rustls-webpki 0.103 refuses every certificate that
//! names a URI, as an agent's does; and the root is of a trust domain, not of the web. So the chain is verified
//! by [`crate::apki::chain`], against the one root that the user names. The server's name and its handshake
//! signature are verified by webpki.

use std::fmt;
use std::sync::Arc;

use der::Decode;
use der::asn1::ObjectIdentifier;
use reqwest::Client;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use thiserror::Error;

use crate::apki::chain::{Anchors, ChainError, IssuerPath};
use crate::apki::{Certificate, oid};
use crate::client::{self, ClientError};
use crate::http::tls::provider;
use crate::time::UnixMillis;

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// Most certificates from the server's to the root, both included (R9).
const MAX_CHAIN: usize = 4;

/// The critical extensions of an issuer that [`crate::apki::chain`] looks at, or that cannot matter here.
const ISSUER_EXTENSIONS: [ObjectIdentifier; 4] =
    [oid::BASIC_CONSTRAINTS, oid::KEY_USAGE, oid::NAME_CONSTRAINTS, oid::EXTENDED_KEY_USAGE];

/// Why no connection can be made at all.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The certificate or key to present is not usable.
    #[error("the client certificate and its key cannot be used: {0}")]
    Identity(String),
    /// TLS does not start.
    #[error("TLS does not start: {0}")]
    Config(#[from] Error),
    /// The HTTP client does not start.
    #[error("the HTTP client does not start: {0}")]
    Http(#[from] reqwest::Error),
}

/// Why a server is not whom we want to talk to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ServerError {
    /// A certificate that is none.
    #[error("certificate {position} of the server does not parse: {reason}")]
    Parse {
        /// Its place in the chain, from 0.
        position: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It does not stand below the root.
    #[error("the server's certificate does not stand below the root of --ca-roots: {0}")]
    Chain(#[from] ChainError),
    /// An extension that must be understood, and is not.
    #[error("certificate {position} of the server has a critical extension that is not known here")]
    Critical {
        /// Its place in the path, from 0.
        position: usize,
    },
    /// A certificate for something else than a server.
    #[error("the server's certificate is not for servers (extKeyUsage, keyUsage)")]
    Purpose,
}

/// A key and the certificates for it, as PEM, to be known by in mutual TLS.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate and its issuers, the agent's first.
    pub chain_pem: &'a str,
    /// The private key, PKCS#8 or SEC 1.
    pub key_pem: &'a str,
}

/// An HTTP client that trusts servers below `anchors`, or without them those that the system trusts.
pub fn http_client(anchors: Option<Anchors>, identity: Option<Identity<'_>>) -> Result<Client, TlsError> {
    let builder = client::builder();
    let builder = match (anchors, identity) {
        (Some(anchors), identity) => builder.tls_backend_preconfigured(config(anchors, identity)?),
        (None, Some(identity)) => {
            // The system's verifier is reqwest's to set up.
            let pem = zeroize::Zeroizing::new([identity.key_pem, "\n", identity.chain_pem].concat());
            builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).map_err(|e| TlsError::Identity(told(&e)))?)
        }
        (None, None) => builder,
    };
    Ok(builder.build()?)
}

/// The text of an error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |e| e.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// TLS that trusts servers below `anchors`, and presents `identity` where it is asked who we are.
pub fn config(anchors: Anchors, identity: Option<Identity<'_>>) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier = Arc::new(AnchoredVerifier { anchors, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => {
            let refuse = |e: &dyn fmt::Display| TlsError::Identity(e.to_string());
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.chain_pem.as_bytes()).collect();
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|e| refuse(&e))?;
            builder.with_client_auth_cert(chain.map_err(|e| refuse(&e))?, key).map_err(|e| refuse(&e))?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Verifies servers' certificates against anchors of our own.
#[derive(Debug)]
struct AnchoredVerifier {
    anchors: Anchors,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnchoredVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = UnixMillis::new(now.as_secs().saturating_mul(1000));
        let path = server_path(end_entity, intermediates, &self.anchors)
            .map_err(|e| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(e)))))?;
        for certificate in &path {
            in_force(certificate, now)?;
        }
        // It parses strictly as well, and refuses critical extensions that it does not know: the poison too.
        let named = webpki::EndEntityCert::try_from(end_entity).map_err(from_webpki)?;
        named.verify_is_valid_for_subject_name(server_name).map_err(from_webpki)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The server's certificate and its issuers up to the anchor, all but their times verified.
fn server_path(
    end_entity: &[u8],
    intermediates: &[CertificateDer<'_>],
    anchors: &Anchors,
) -> Result<Vec<Certificate>, ServerError> {
    let parse = |position, der: &[u8]| {
        Certificate::parse(der).map_err(|e| ServerError::Parse { position, reason: e.to_string() })
    };
    let server = parse(0, end_entity)?;
    // The budget counts before anything is parsed.
    if intermediates.len() >= MAX_CHAIN {
        return Err(ChainError::TooLong { length: intermediates.len() + 1, limit: MAX_CHAIN }.into());
    }
    let chain = intermediates.iter().enumerate().map(|(n, der)| parse(n + 1, der)).collect::<Result<_, _>>()?;
    let path = IssuerPath::find(&server, chain, anchors, MAX_CHAIN)?;
    if !is_for_servers(&server) {
        return Err(ServerError::Purpose);
    }
    let mut certificates = vec![server];
    for (position, issuer) in path.iter().enumerate() {
        let known = |e: &crate::apki::certificate::Extension<'_>| ISSUER_EXTENSIONS.iter().any(|oid| e.is(oid));
        if issuer.certificate().extensions().any(|e| e.critical && !known(&e)) {
            return Err(ServerError::Critical { position: position + 1 });
        }
        certificates.push(issuer.certificate().clone());
    }
    Ok(certificates)
}

/// Whether extKeyUsage and keyUsage, where they are there, let the key serve TLS (RFC 5280 sections 4.2.1.3
/// and 4.2.1.12).
fn is_for_servers(certificate: &Certificate) -> bool {
    let purposes = certificate.extension(&oid::EXTENDED_KEY_USAGE);
    let serves = purposes.is_none_or(|extension| {
        Vec::<ObjectIdentifier>::from_der(extension.value).is_ok_and(|purposes| purposes.contains(&SERVER_AUTH))
    });
    serves && certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.digital_signature()))
}

fn in_force(certificate: &Certificate, now: UnixMillis) -> Result<(), Error> {
    // Certificates say whole seconds, the last one included.
    let second = |time: UnixMillis| UnixTime::since_unix_epoch(std::time::Duration::from_secs(time.get() / 1000));
    let error = if now < certificate.not_before() {
        CertificateError::NotValidYetContext { time: second(now), not_before: second(certificate.not_before()) }
    } else if now > certificate.not_after() {
        CertificateError::ExpiredContext { time: second(now), not_after: second(certificate.not_after()) }
    } else {
        return Ok(());
    };
    Err(Error::InvalidCertificate(error))
}

fn from_webpki(error: webpki::Error) -> Error {
    Error::InvalidCertificate(match error {
        webpki::Error::CertNotValidForName(_) => CertificateError::NotValidForName,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

/// Whether a URL may carry a secret: over TLS, or to this machine itself.
pub fn is_private(base: &str) -> Result<bool, ClientError> {
    let url =
        reqwest::Url::parse(base).map_err(|e| ClientError::BaseUrl { url: base.to_owned(), reason: e.to_string() })?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    Ok(url.scheme() == "https" || here)
}

#[cfg(test)]
#[path = "tls/tests.rs"]
mod tests;
