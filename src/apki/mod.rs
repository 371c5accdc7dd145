//! Agent PKI objects (draft-sharif-apki-agent-pki-00 sections 4 and 5): agent URIs, the five
//! certificate extensions, certificates and the chains that they stand in.

pub mod certificate;
pub mod chain;
pub mod moment;
pub mod oid;
pub mod precertificate;
mod tlv;
pub mod uri;

pub use self::certificate::{Certificate, CertificateError};
pub use self::tlv::DerError;
pub use self::uri::AgentUri;
