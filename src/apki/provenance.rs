//! AgentProvenance (draft 5.5): what an agent was built from.

use der::asn1::{ObjectIdentifier, OctetStringRef, Utf8StringRef};
use der::{Encode, Sequence};

use super::extension::{AgentExtension, ExtensionError, Text, ValueError, decode_strict, hash};
use super::oid;

/// Longest attestEvidence, in octets.
pub const MAX_EVIDENCE: usize = 16 * 1024;

/// Evidence of an attester, at most 16 KiB, not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence(Vec<u8>);

impl Evidence {
    /// `octets`, where they are not too many.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, ValueError> {
        let octets = octets.into();
        match octets.len() {
            0..=MAX_EVIDENCE => Ok(Self(octets)),
            length => Err(ValueError::TooLong { length, limit: MAX_EVIDENCE }),
        }
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The family of the model.
    pub model_family: Text,
    /// The version of the model.
    pub model_version: Text,
    /// What the model runs in.
    pub framework: Text,
    /// Who built the agent.
    pub organization_id: Text,
    /// SHA-256 of the build.
    pub build_hash: Option<[u8; 32]>,
    /// What an attester says of it.
    pub attest_evidence: Option<Evidence>,
}

#[derive(Sequence)]
struct AgentProvenance<'a> {
    model_family: Utf8StringRef<'a>,
    model_version: Utf8StringRef<'a>,
    framework: Utf8StringRef<'a>,
    organization_id: Utf8StringRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    build_hash: Option<&'a OctetStringRef>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    attest_evidence: Option<&'a OctetStringRef>,
}

impl AgentExtension for Provenance {
    const OID: ObjectIdentifier = oid::AGENT_PROVENANCE;

    fn from_der(der: &[u8]) -> Result<Self, ExtensionError> {
        let raw: AgentProvenance<'_> = decode_strict(der)?;
        let text = |text: Utf8StringRef<'_>, field| Text::new(text.as_str()).map_err(|e| e.of(field));
        let build_hash = raw.build_hash.map(|octets| hash(octets.as_bytes())).transpose();
        let evidence = raw.attest_evidence.map(|octets| Evidence::new(octets.as_bytes())).transpose();
        Ok(Self {
            model_family: text(raw.model_family, "modelFamily")?,
            model_version: text(raw.model_version, "modelVersion")?,
            framework: text(raw.framework, "framework")?,
            organization_id: text(raw.organization_id, "organizationId")?,
            build_hash: build_hash.map_err(|e| e.of("buildHash"))?,
            attest_evidence: evidence.map_err(|e| e.of("attestEvidence"))?,
        })
    }

    fn to_der(&self) -> Result<Vec<u8>, ExtensionError> {
        let raw = AgentProvenance {
            model_family: Utf8StringRef::new(self.model_family.as_str())?,
            model_version: Utf8StringRef::new(self.model_version.as_str())?,
            framework: Utf8StringRef::new(self.framework.as_str())?,
            organization_id: Utf8StringRef::new(self.organization_id.as_str())?,
            build_hash: self.build_hash.as_ref().map(|hash| OctetStringRef::new(hash)).transpose()?,
            attest_evidence: self.attest_evidence.as_ref().map(|e| OctetStringRef::new(e.as_bytes())).transpose()?,
        };
        Ok(raw.to_der()?)
    }
}
