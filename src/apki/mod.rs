//! Agent PKI objects (draft-sharif-apki-agent-pki-00 sections 4 and 5): agent URIs, the five
//! certificate extensions, certificates and the chains that they stand in.

pub mod attestation;
pub mod capabilities;
pub mod certificate;
pub mod chain;
pub mod delegation;
pub mod extension;
pub mod moment;
pub mod oid;
pub mod precertificate;
pub mod provenance;
mod tlv;
pub mod trust_score;
pub mod uri;

pub use self::certificate::{Certificate, CertificateError};
pub use self::extension::{AgentExtension, ExtensionError};
pub use self::tlv::DerError;
pub use self::uri::AgentUri;
