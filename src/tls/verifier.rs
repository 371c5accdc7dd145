//! The verifier that rustls asks inside a handshake, and what it leaves for the connection's owner.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, CommonState, DigitallySignedStruct, DistinguishedName, Error, HandshakeKind, SignatureScheme,
};

use super::alert::Alert;
use super::endpoint::Shared;
use super::error::TlsError;
use super::material::{Expected, Mode};
use super::peer::{Met, PeerIdentity};
use crate::apki::Certificate;
use crate::keys::{PublicKey, SignatureAlgorithm};
use crate::verify::relying::Refused;

type Slot = Arc<Mutex<Option<Result<Met, Box<Refused>>>>>;

/// Judges the peer of one connection, whichever side it is on.
///
/// rustls tells a verifier's owner nothing but an error, so the verdict waits in the [`Meeting`] that was made
/// with it. It is made anew for each connection.
pub struct AgentVerifier {
    shared: Arc<Shared>,
    expected: Expected,
    mode: Mode,
    slot: Slot,
}

/// The verdict of one handshake, for whoever owns the connection.
#[derive(Debug)]
pub struct Meeting(Slot);

impl AgentVerifier {
    pub(super) fn new(shared: Arc<Shared>, expected: Expected, mode: Mode) -> (Arc<Self>, Meeting) {
        let slot = Slot::default();
        (Arc::new(Self { shared, expected, mode, slot: Arc::clone(&slot) }), Meeting(slot))
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        behind: &[CertificateDer<'_>],
        ocsp_response: &[u8],
    ) -> Result<(), Error> {
        let certificates = std::iter::once(end_entity).chain(behind).map(AsRef::as_ref);
        let (material, now) = (self.shared.material(), self.shared.now());
        let met = Met::meet(&material, &self.expected, self.mode, certificates, ocsp_response, now);
        let told = match &met {
            Ok(_) => Ok(()),
            Err(refused) => Err(Error::InvalidCertificate(Alert::error(refused))),
        };
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
        told
    }
}

impl fmt::Debug for AgentVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentVerifier")
            .field("expected", &self.expected)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Meeting {
    /// Whom the connection is with, once its handshake is over.
    ///
    /// # Errors
    /// [`TlsError::OtherConnection`] before that, for another connection than the one that the configuration was
    /// made for, and for one that was resumed; [`TlsError::Refused`] where the peer is refused.
    pub fn peer(self, connection: &CommonState) -> Result<PeerIdentity, TlsError> {
        self.met(connection)?.into_peer().map_err(TlsError::Refused)
    }

    /// Why the peer was refused, where the handshake failed for that.
    pub fn refused(&self) -> Option<Refused> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Err(refused)) => Some((**refused).clone()),
            _ => None,
        }
    }

    /// What was found out of the peer, which by now has proven that it holds its key.
    pub(super) fn met(self, connection: &CommonState) -> Result<Met, TlsError> {
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (found, certificate) {
            (Some(Err(refused)), _) => Err(TlsError::Refused(refused)),
            (Some(Ok(met)), Some(certificate))
                if met.is_of(certificate) && !resumed && !connection.is_handshaking() =>
            {
                Ok(met)
            }
            _ => Err(TlsError::OtherConnection),
        }
    }
}

/// That the peer holds the key of its certificate. The certificate is read by the same parser as for the verdict,
/// and the key verified with as everywhere here.
fn possession(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = |error| Error::InvalidCertificate(error);
    let certificate = Certificate::parse(certificate.as_ref()).map_err(|_| bad(CertificateError::BadEncoding))?;
    let key = PublicKey::from_spki_der(certificate.spki_der()).map_err(|_| bad(CertificateError::BadEncoding))?;
    // The scheme names the curve in TLS 1.3, and has to be the key's.
    if signed.scheme != scheme(key.algorithm()) {
        return Err(bad(CertificateError::BadSignature));
    }
    key.verify(message, signed.signature()).map_err(|_| bad(CertificateError::BadSignature))?;
    Ok(HandshakeSignatureValid::assertion())
}

const fn scheme(algorithm: SignatureAlgorithm) -> SignatureScheme {
    match algorithm {
        SignatureAlgorithm::Ed25519 => SignatureScheme::ED25519,
        SignatureAlgorithm::EcdsaP256Sha256 => SignatureScheme::ECDSA_NISTP256_SHA256,
    }
}

fn schemes() -> Vec<SignatureScheme> {
    [SignatureAlgorithm::Ed25519, SignatureAlgorithm::EcdsaP256Sha256].map(scheme).to_vec()
}

fn too_old() -> Error {
    Error::General("agents speak TLS 1.3 with each other".into())
}

impl ServerCertVerifier for AgentVerifier {
    /// The name that was dialled means nothing: an agent is known by its URI. The time is the endpoint's clock's.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity, intermediates, ocsp_response).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        possession(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

impl ClientCertVerifier for AgentVerifier {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity, intermediates, &[]).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        possession(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}
