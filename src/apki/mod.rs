//! Agent PKI objects (draft-sharif-apki-agent-pki-00 sections 4 and 5): agent URIs, the five
//! certificate extensions, certificates and the chains that they stand in.
//!
//! - [`certificate`]: X.509 as octets with a map; [`precertificate`]: from one form to the other
//! - [`chain`]: who issued a certificate, up to an anchor
//! - [`extension`]: what the five extensions share; [`trust_score`], [`capabilities`],
//!   [`delegation`], [`provenance`], [`attestation`]: one each
//! - [`attenuation`]: what an agent may hand on to another
//! - [`status`]: what became of a certificate: revocation lists and OCSP
//! - [`federation`]: what trust domains tell each other, in JSON; [`jws`]: signed
//! - [`uri`], [`oid`], [`moment`]: names, identifiers, times
//!
//! The values of the extensions are also read and written as JSON, with the same bounds.

pub mod attenuation;
pub mod attestation;
pub mod capabilities;
pub mod certificate;
pub mod chain;
pub mod delegation;
pub mod extension;
pub mod federation;
mod json;
pub mod jws;
pub mod moment;
pub mod oid;
pub mod precertificate;
pub mod provenance;
pub mod status;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tlv;
pub mod trust_score;
pub mod uri;

pub use self::certificate::{Certificate, CertificateError};
pub use self::extension::{AgentExtension, ExtensionError};
pub use self::tlv::DerError;
pub use self::uri::AgentUri;
