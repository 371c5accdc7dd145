//! One agent's side of its connections: what it presents, what it judges by, and what of both is newest.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};

use super::error::TlsError;
use super::identity::Identity;
use super::material::{Expected, Material, Mode};
use super::peer::PeerIdentity;
use super::verifier::{AgentVerifier, Meeting};
use crate::time::{Clock, UnixMillis};
use crate::verify::relying::{Facts, Operation, Refused, Verdict};

/// One agent's side of its connections, to be kept and shared: a copy is the same endpoint.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) shared: Arc<Shared>,
    pub(super) mode: Mode,
}

/// What all connections of an endpoint go by.
pub(super) struct Shared {
    own: RwLock<Arc<CertifiedKey>>,
    material: RwLock<Material>,
    clock: Arc<dyn Clock>,
    provider: Arc<CryptoProvider>,
}

impl Shared {
    pub(super) fn material(&self) -> Material {
        self.material.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    fn own(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.own.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Endpoint {
    /// The endpoint of an agent, in [`Mode::Strict`].
    pub fn new(identity: Identity, material: Material, clock: Arc<dyn Clock>) -> Self {
        let own = RwLock::new(identity.certified);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let shared = Shared { own, material: RwLock::new(material), clock, provider };
        Self { shared: Arc::new(shared), mode: Mode::Strict }
    }

    /// The same endpoint in [`Mode::Explain`]: it tells those whom it knows and refuses why, and its peers have to
    /// do so too.
    #[must_use]
    pub fn explaining(self) -> Self {
        Self { mode: Mode::Explain, ..self }
    }

    /// Presents this from the next handshake on: a renewed certificate, a newer staple.
    pub fn present(&self, identity: Identity) {
        *self.shared.own.write().unwrap_or_else(PoisonError::into_inner) = identity.certified;
    }

    /// Judges by this from the next handshake on: another policy, newer bundles, another log list.
    pub fn replace(&self, material: Material) {
        *self.shared.material.write().unwrap_or_else(PoisonError::into_inner) = material;
    }

    /// Goes by these facts from the next handshake on: newer revocation lists, answers, audits. What the
    /// signatures of the connections' certificates proved stays, so that to judge them again costs little.
    pub fn replace_facts(&self, facts: Facts) {
        self.shared.material.write().unwrap_or_else(PoisonError::into_inner).facts = Arc::new(facts);
    }

    /// What it judges by now.
    pub fn material(&self) -> Material {
        self.shared.material()
    }

    /// The peer of a connection, judged anew: by what is known now, at the present time, for what the connection
    /// was expected to be for. An application that keeps connections does this when the facts were replaced, and
    /// at [`PeerIdentity::good_until`]; and goes on with the identity that it gets.
    ///
    /// # Errors
    /// The refusal: the connection has to be closed.
    pub fn recheck(&self, peer: &PeerIdentity) -> Result<PeerIdentity, Box<Refused>> {
        peer.again(&self.shared.material(), self.shared.now())
    }

    /// May the peer of a connection do this, now? Who it is was proven by the handshake, so this verifies no
    /// signature, unless the relying party was replaced since.
    pub fn judge(&self, peer: &PeerIdentity, operation: &Operation) -> Verdict {
        peer.judge(&self.shared.material(), Some(operation), self.shared.now())
    }

    /// A verifier for one connection, in [`Mode::Strict`] whatever the endpoint's is, for a configuration of one's
    /// own. That one must not resume sessions.
    pub fn verifier(&self, expected: &Expected) -> (Arc<AgentVerifier>, Meeting) {
        AgentVerifier::new(Arc::clone(&self.shared), expected.clone(), Mode::Strict)
    }

    /// What a connection to a peer is made with, for streams that are not blocking ones: in [`Mode::Strict`]
    /// whatever the endpoint's is. It is for one connection, whose peer the [`Meeting`] knows afterwards.
    ///
    /// # Errors
    /// [`TlsError::Tls`] where the cryptography has nothing in common with TLS 1.3.
    pub fn client(&self, expected: &Expected) -> Result<(ClientConfig, Meeting), TlsError> {
        let (verifier, meeting) = self.verifier(expected);
        Ok((self.client_config(verifier)?, meeting))
    }

    /// The same for a connection that a peer makes.
    ///
    /// # Errors
    /// As of [`client`](Self::client).
    pub fn server(&self, expected: &Expected) -> Result<(ServerConfig, Meeting), TlsError> {
        let (verifier, meeting) = self.verifier(expected);
        Ok((self.server_config(verifier)?, meeting))
    }

    pub(super) fn client_config(&self, verifier: Arc<AgentVerifier>) -> Result<ClientConfig, TlsError> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.shared.provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(Own(Arc::clone(&self.shared))));
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }

    pub(super) fn server_config(&self, verifier: Arc<AgentVerifier>) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.shared.provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Own(Arc::clone(&self.shared))));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// Gives the handshake what the endpoint presents at that moment.
struct Own(Arc<Shared>);

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.own())
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], _sigschemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.own())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
