//! AgentBehaviouralAttestation (draft 5.6): who vouches for an agent's declared capabilities.

use der::asn1::{GeneralizedTime, Ia5StringRef, ObjectIdentifier, OctetStringRef, Utf8StringRef};
use der::{Encode, Enumerated, Sequence};
use serde::{Deserialize, Serialize};

use super::extension::{AgentExtension, AsciiText, ExtensionError, Text, decode_strict, hash};
use super::moment::Moment;
use super::oid;

/// On what an attestation rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumerated, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum AttestationMethod {
    /// The agent's own word.
    SelfDeclared = 0,
    /// The CA looked.
    CaVerified = 1,
    /// Somebody else looked.
    ThirdParty = 2,
    /// Hardware measured it.
    HardwareBound = 3,
}

impl AttestationMethod {
    /// Its name in the ASN.1 module.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SelfDeclared => "selfDeclared",
            Self::CaVerified => "caVerified",
            Self::ThirdParty => "thirdParty",
            Self::HardwareBound => "hardwareBound",
        }
    }
}

/// The extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// SHA-256 over the value of the same certificate's agentCapabilities; another value refuses
    /// the certificate (R27).
    pub declared_capabilities_hash: [u8; 32],
    /// On what it rests.
    pub method: AttestationMethod,
    /// Who attests.
    pub attestor_identity: Option<Text>,
    /// When it was attested.
    pub time: Moment,
    /// Where the evidence is.
    pub evidence_uri: Option<AsciiText>,
}

#[derive(Sequence)]
struct AgentBehaviouralAttestation<'a> {
    declared_capabilities_hash: &'a OctetStringRef,
    attestation_method: AttestationMethod,
    #[asn1(optional = "true")]
    attestor_identity: Option<Utf8StringRef<'a>>,
    attestation_time: GeneralizedTime,
    #[asn1(optional = "true")]
    evidence_uri: Option<Ia5StringRef<'a>>,
}

impl AgentExtension for Attestation {
    const OID: ObjectIdentifier = oid::AGENT_BEHAVIOURAL_ATTESTATION;

    fn from_der(der: &[u8]) -> Result<Self, ExtensionError> {
        let raw: AgentBehaviouralAttestation<'_> = decode_strict(der)?;
        let declared = hash(raw.declared_capabilities_hash.as_bytes());
        let attestor = raw.attestor_identity.map(Text::new).transpose();
        let evidence = raw.evidence_uri.map(|uri| AsciiText::new(uri.as_str())).transpose();
        Ok(Self {
            declared_capabilities_hash: declared.map_err(|e| e.of("declaredCapabilitiesHash"))?,
            method: raw.attestation_method,
            attestor_identity: attestor.map_err(|e| e.of("attestorIdentity"))?,
            time: raw.attestation_time.into(),
            evidence_uri: evidence.map_err(|e| e.of("evidenceUri"))?,
        })
    }

    fn to_der(&self) -> Result<Vec<u8>, ExtensionError> {
        let attestor = self.attestor_identity.as_ref().map(|text| Utf8StringRef::new(text.as_str()));
        let evidence = self.evidence_uri.as_ref().map(|uri| Ia5StringRef::new(uri.as_str()));
        let raw = AgentBehaviouralAttestation {
            declared_capabilities_hash: OctetStringRef::new(&self.declared_capabilities_hash)?,
            attestation_method: self.method,
            attestor_identity: attestor.transpose()?,
            attestation_time: self.time.into(),
            evidence_uri: evidence.transpose()?,
        };
        Ok(raw.to_der()?)
    }
}
