//! The five agent extensions of a certificate, decoded on demand.

use sha2::{Digest, Sha256};

use super::Certificate;
use crate::apki::attestation::Attestation;
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::Delegation;
use crate::apki::extension::{AgentExtension, ExtensionError};
use crate::apki::oid;
use crate::apki::provenance::Provenance;
use crate::apki::trust_score::TrustScore;

impl Certificate {
    /// The extension of this type, strictly decoded; `None` where it is not there.
    pub fn agent_extension<E: AgentExtension>(&self) -> Result<Option<E>, ExtensionError> {
        self.extension(&E::OID).map(|extension| E::from_der(extension.value)).transpose()
    }

    /// agentTrustScore
    pub fn trust_score(&self) -> Result<Option<TrustScore>, ExtensionError> {
        self.agent_extension()
    }

    /// agentCapabilities
    pub fn capabilities(&self) -> Result<Option<Capabilities>, ExtensionError> {
        self.agent_extension()
    }

    /// agentDelegation
    pub fn delegation(&self) -> Result<Option<Delegation>, ExtensionError> {
        self.agent_extension()
    }

    /// agentProvenance
    pub fn provenance(&self) -> Result<Option<Provenance>, ExtensionError> {
        self.agent_extension()
    }

    /// agentBehaviouralAttestation
    pub fn attestation(&self) -> Result<Option<Attestation>, ExtensionError> {
        self.agent_extension()
    }

    /// What declaredCapabilitiesHash must be: SHA-256 over the value of agentCapabilities, not
    /// decoded (protocol section 2); `None` where that extension is not there.
    pub fn capabilities_hash(&self) -> Option<[u8; 32]> {
        self.extension(&oid::AGENT_CAPABILITIES).map(|extension| Sha256::digest(extension.value).into())
    }
}
