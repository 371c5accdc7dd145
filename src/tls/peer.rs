//! The peer: judged in the handshake, handed to the application, and judged again while the connection lives.

use std::sync::Arc;

use super::material::{Expected, Material, Mode};
use crate::apki::AgentUri;
use crate::apki::capabilities::Capabilities;
use crate::apki::trust_score::TrustTier;
use crate::time::UnixMillis;
use crate::verify::relying::{
    Accepted, Code, Examination, Facts, Operation, Presented, Refused, RelyingParty, Request, Standing, Verdict,
};

/// Whom a connection is with: an agent that was accepted and holds its key.
#[derive(Clone, Debug)]
pub struct PeerIdentity {
    accepted: Arc<Accepted>,
    proof: Arc<Proof>,
}

/// What a verdict rests on and a later one needs.
#[derive(Debug)]
pub(super) struct Proof {
    presented: Presented,
    /// Who examined it: only that one may judge the examination.
    party: Arc<RelyingParty>,
    examination: Examination,
    staple: Staple,
    expected: Expected,
}

/// What the handshake found out of a peer whose key it has not seen at work yet.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) verdict: Verdict,
    proof: Proof,
}

/// What the peer stapled.
#[derive(Clone, Debug, Default)]
struct Staple {
    answers: Vec<Standing>,
    invalid: Vec<([u8; 32], String)>,
}

impl PeerIdentity {
    /// The verdict: who it is, its score, what it may do, who is above it, and until when that holds.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// The agent.
    pub fn agent(&self) -> &AgentUri {
        &self.accepted.agent
    }

    /// The tier that its score is in here.
    pub fn tier(&self) -> TrustTier {
        self.accepted.tier()
    }

    /// What it may do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.accepted.capabilities
    }

    /// When [`Endpoint::recheck`](super::Endpoint::recheck) is due: from then on something that the verdict rests on
    /// is over. News of a revocation may come earlier.
    pub fn good_until(&self) -> UnixMillis {
        self.accepted.good_until
    }

    /// The verdict of now about this operation, and what it rests on.
    pub(super) fn judge(&self, material: &Material, operation: Option<&Operation>, now: UnixMillis) -> Verdict {
        let proof = &*self.proof;
        match Arc::ptr_eq(&material.party, &proof.party) {
            true => proof.judge(material, &proof.examination, operation, now),
            false => proof.judge(material, &material.party.examine(proof.presented.clone()), operation, now),
        }
    }

    /// The peer of now, by this material.
    pub(super) fn again(&self, material: &Material, now: UnixMillis) -> Result<Self, Box<Refused>> {
        let proof = match Arc::ptr_eq(&material.party, &self.proof.party) {
            true => Arc::clone(&self.proof),
            false => Arc::new(self.proof.by(&material.party)),
        };
        let verdict = proof.judge(material, &proof.examination, proof.expected.operation.as_ref(), now);
        match verdict {
            Verdict::Accepted(accepted) => Ok(Self { accepted: Arc::new(*accepted), proof }),
            Verdict::Refused(refused) => Err(refused),
        }
    }
}

impl Proof {
    /// The same presentation, proven to another relying party.
    fn by(&self, party: &Arc<RelyingParty>) -> Self {
        Self {
            presented: self.presented.clone(),
            party: Arc::clone(party),
            examination: party.examine(self.presented.clone()),
            staple: self.staple.clone(),
            expected: self.expected.clone(),
        }
    }

    fn judge(
        &self,
        material: &Material,
        examination: &Examination,
        operation: Option<&Operation>,
        now: UnixMillis,
    ) -> Verdict {
        let facts = self.staple.beside(&material.facts);
        material.party.judge(examination, &Request { operation, facts: &facts, now, past: false })
    }
}

impl Met {
    /// Judges what a peer presents in a handshake. In [`Mode::Explain`] a peer may come through that is refused for
    /// what it may do, where it is proven who it is.
    pub(super) fn meet<'a>(
        material: &Material,
        expected: &Expected,
        mode: Mode,
        certificates: impl Iterator<Item = &'a [u8]>,
        ocsp_response: &[u8],
        now: UnixMillis,
    ) -> Result<Self, Box<Refused>> {
        let presented = Presented::from_der(certificates).map_err(|reason| Box::new(Refused::unread(*reason, now)))?;
        expected.check(&presented, now)?;
        let party = &material.party;
        let request = Request { operation: expected.operation.as_ref(), facts: &material.facts, now, past: false };
        let passes = |refused: &Refused| mode == Mode::Explain && is_told(refused);
        let examination = match party.screen(presented.clone(), &request) {
            Ok(examination) => examination,
            // Whoever is to be told why has to prove first who it is.
            Err(refused) if passes(&refused) => party.examine(presented.clone()),
            Err(refused) => return Err(refused),
        };
        let staple = Staple::read(ocsp_response, &examination, now);
        let (party, expected) = (Arc::clone(party), expected.clone());
        let proof = Proof { presented, party, examination, staple, expected };
        let verdict = proof.judge(material, &proof.examination, proof.expected.operation.as_ref(), now);
        match verdict {
            Verdict::Refused(refused) if !passes(&refused) => Err(refused),
            verdict => Ok(Self { verdict, proof }),
        }
    }

    /// Whether this is the certificate that was judged.
    pub(super) fn is_of(&self, certificate: &[u8]) -> bool {
        self.proof.presented.agent.certificate.der() == certificate
    }

    /// The peer, once it has proven that it holds its key.
    pub(super) fn into_peer(self) -> Result<PeerIdentity, Box<Refused>> {
        match self.verdict {
            Verdict::Accepted(accepted) => {
                Ok(PeerIdentity { accepted: Arc::new(*accepted), proof: Arc::new(self.proof) })
            }
            Verdict::Refused(refused) => Err(refused),
        }
    }
}

/// Whether all that speaks against an agent is about what it may do, and not about who it is.
fn is_told(refused: &Refused) -> bool {
    let of_rights = |code: Code| {
        code == Code::Peer || matches!(code.family(), "trust" | "capability" | "delegation" | "provenance")
    };
    refused.reasons().iter().all(|reason| of_rights(reason.code))
}

impl Staple {
    /// What an OCSP response says of the agent's certificate, where its chain holds: otherwise nobody knows who
    /// could have signed it.
    fn read(ocsp_response: &[u8], examination: &Examination, now: UnixMillis) -> Self {
        let questionable = examination.questionable();
        let agent = questionable.iter().find(|asked| Some(asked.certificate) == examination.certificate());
        let Some(asked) = agent.filter(|_| !ocsp_response.is_empty()) else { return Self::default() };
        match Standing::from_ocsp(ocsp_response, asked.certificate, asked.issuer, now, None) {
            Ok(standing) => Self { answers: vec![standing], invalid: Vec::new() },
            Err(error) => {
                let why = format!("the stapled one: {error}");
                Self { answers: Vec::new(), invalid: vec![(asked.certificate.fingerprint(), why)] }
            }
        }
    }

    /// The facts with this one.
    fn beside(&self, facts: &Arc<Facts>) -> Arc<Facts> {
        if self.answers.is_empty() && self.invalid.is_empty() {
            return Arc::clone(facts);
        }
        let mut all = Facts::clone(facts);
        all.revocations.answers.extend_from_slice(&self.answers);
        all.revocations.invalid.extend_from_slice(&self.invalid);
        Arc::new(all)
    }
}
