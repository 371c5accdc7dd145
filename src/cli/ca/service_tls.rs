//! The TLS certificate of the CA's own service: made by the CA itself and renewed while it runs, or
//! read from files.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;

use super::keyfile::PrivateKey;
use crate::ca::profile::HostName;
use crate::ca::service::CaService;
use crate::cli::output::{CliError, Context};
use crate::cli::pki::KeyKind;
use crate::config::ca::PublicName;
use crate::http::serve::stopped;
use crate::http::tls::provider;

/// How long a service certificate is valid. It is made anew at half of that, so one that is stolen is not
/// good for long.
const VALIDITY: Duration = Duration::from_secs(7 * 86_400);
/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// A certificate that changes while connections come in.
#[derive(Debug)]
pub struct OwnCertificate {
    names: Vec<HostName>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl OwnCertificate {
    /// The first one.
    pub async fn new(ca: &CaService, names: &[PublicName]) -> Result<Arc<Self>, CliError> {
        let names: Vec<HostName> = names.iter().map(host).collect();
        let first = certify(ca, &names).await?;
        Ok(Arc::new(Self { names, current: RwLock::new(Arc::new(first)) }))
    }

    /// Makes it anew, each time half of its validity has passed, until `stop` turns true.
    pub async fn keep(self: Arc<Self>, ca: Arc<CaService>, mut stop: watch::Receiver<bool>) {
        let mut wait = VALIDITY / 2;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopped(&mut stop) => return,
            }
            wait = match certify(&ca, &self.names).await {
                Ok(next) => {
                    *self.current.write() = Arc::new(next);
                    VALIDITY / 2
                }
                Err(error) => {
                    tracing::warn!(%error, "the service's TLS certificate was not renewed");
                    RETRY
                }
            };
        }
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read()))
    }
}

fn host(name: &PublicName) -> HostName {
    match name {
        PublicName::Dns(name) => HostName::Dns(name.clone()),
        PublicName::Ip(address) => HostName::Ip(*address),
    }
}

/// A new key, which stays in memory, and a certificate for it.
async fn certify(ca: &CaService, names: &[HostName]) -> Result<CertifiedKey, CliError> {
    let what = "the service's TLS certificate";
    let key = PrivateKey::generate(KeyKind::P256)?;
    let validity_ms = u64::try_from(VALIDITY.as_millis()).unwrap_or(u64::MAX);
    let chain = ca.certify_service(names, &key.public_key()?, validity_ms).await.context(what)?;
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::from_pem_slice(key.to_pem()?.as_bytes()).context(what)?;
    CertifiedKey::from_der(chain, key, &provider()).context(what)
}
