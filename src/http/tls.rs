//! TLS where clients may show a certificate: who may connect is decided by a check that is handed in,
//! so that this floor knows nothing of certificates.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, ServerConfig, SignatureScheme,
};
use tokio_rustls::TlsAcceptor;

/// Judges what a client presents: its certificate, and what it sent behind it, all in DER and none of
/// it parsed yet. An error says why the client is turned away.
pub type ClientCheck = dyn Fn(&[u8], &[Vec<u8>]) -> Result<(), String> + Send + Sync;

/// What is there to terminate TLS with the certificate that this resolver gives, speaking
/// HTTP/2 and HTTP/1.1. With a verifier clients are asked for a certificate, and no session is resumed:
/// a resumed one would bring in a certificate that is not looked at again.
///
/// # Errors
/// Where the cryptography has no protocol version in common with itself.
pub fn acceptor(
    certificate: Arc<dyn ResolvesServerCert>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<TlsAcceptor, Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut server = match clients {
        Some(verifier) => {
            let mut server = builder.with_client_cert_verifier(verifier).with_cert_resolver(certificate);
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
            server
        }
        None => builder.with_no_client_auth().with_cert_resolver(certificate),
    };
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// Takes clients without a certificate, and those whose certificate passes `check` and whose key signs
/// the handshake. `issuers` are the Names (DER) that clients are told to choose a certificate by.
///
/// Paths are not built here: rustls-webpki refuses an agent below a URI name constraint, which is what
/// a CA's authority over its trust domain is written as (R38).
pub fn client_verifier(check: Arc<ClientCheck>, issuers: Vec<Vec<u8>>) -> Arc<dyn ClientCertVerifier> {
    let hints = issuers.into_iter().map(DistinguishedName::from).collect();
    Arc::new(OptionalClient { check, hints, provider: provider() })
}

/// The cryptography of every TLS connection here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

struct OptionalClient {
    check: Arc<ClientCheck>,
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for OptionalClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptionalClient").field("hints", &self.hints).finish_non_exhaustive()
    }
}

/// Why a client was turned away, for the server's own log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct TurnedAway(String);

impl ClientCertVerifier for OptionalClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    /// `now` comes with the check: all of a server goes by one clock.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let behind: Vec<Vec<u8>> = intermediates.iter().map(|der| der.to_vec()).collect();
        match (self.check)(end_entity, &behind) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(why) => {
                let why = Arc::new(TurnedAway(why));
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(why))))
            }
        }
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
