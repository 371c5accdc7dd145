//! What may be wrong with a request before anybody looks at the agent.

use thiserror::Error;

use super::amount::AmountError;
use super::certificate::CertificateHeaderError;
use super::routes::NoRoute;
use super::target::TargetError;

/// Why a request is refused whoever the agent is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// It does not come from the proxy.
    #[error("the request has not the proxy's secret in X-Gateway-Secret")]
    Caller,
    /// It is not what a proxy sends.
    #[error("the proxy sent {0}: see its sample configuration")]
    Proxy(&'static str),
    /// The client showed the proxy no certificate.
    #[error("the client presented no certificate; agents are known by the one of their TLS connection")]
    NoCertificate,
    /// What the proxy says of the client's certificate.
    #[error("the header {header} of the proxy: {error}")]
    Certificate {
        /// Its name.
        header: &'static str,
        /// What is wrong with it.
        error: CertificateHeaderError,
    },
    /// What the agent brings along.
    #[error("the header X-Agent-Chain: {0}")]
    Chain(CertificateHeaderError),
    /// A path that several programs may read in several ways.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Nobody says which operation it is.
    #[error(transparent)]
    Route(#[from] NoRoute),
    /// Nobody says how much it is about.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

impl Fault {
    /// For programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Caller => "request.caller",
            Self::Proxy(_) => "request.proxy",
            Self::NoCertificate => "request.noCertificate",
            Self::Certificate { .. } => "request.certificate",
            Self::Chain(_) => "request.chain",
            Self::Target(_) => "request.target",
            Self::Route(NoRoute::Path) => "request.noRoute",
            Self::Route(NoRoute::Method) => "request.method",
            Self::Amount(_) => "request.amount",
        }
    }
}
