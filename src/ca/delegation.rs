//! The line of delegation above an agent, as the certificates have it (draft 5.4, 9.1 and 9.2).
//!
//! An agent below another names its parent's certificate by hash, that one names the next, and so on up to
//! the root, for whom a human answers. Every certificate of the line has to stand at the moment when another
//! one is added below it; [`chain`] sees to that. [`Line`] is what they say, read from their octets.

use thiserror::Error;

use super::application::DelegationTerms;
use super::ports::Key;
use super::record::CertificateRecord;
use super::serial::Serial;
use super::state::State;
use crate::apki::attenuation::{Mode, Parent, Party, Violation, violations};
use crate::apki::delegation::Delegation;
use crate::apki::status::RevocationReason;
use crate::apki::trust_score::{Score, TrustScore};
use crate::apki::{AgentUri, Certificate};
use crate::time::UnixMillis;

/// Most certificates above an agent: depths are 0 to 255 (draft 5.4).
const MAX_LINE: usize = 256;

/// Why nobody can be certified below a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// One of the line is not there, or was never issued.
    #[error("certificate {0} of the line of delegation is not one that this CA has issued")]
    NotIssued(Serial),
    /// One certificate names the next, and there is no end to it.
    #[error("the line of delegation has more than {MAX_LINE} certificates")]
    TooLong,
    /// One of the line was revoked.
    #[error("certificate {serial} of {agent}, in the line of delegation, was revoked at {at} ({reason})")]
    Revoked {
        /// Its number.
        serial: Serial,
        /// Whose it is.
        agent: AgentUri,
        /// When.
        at: UnixMillis,
        /// Why.
        reason: RevocationReason,
    },
    /// One of the line has ended.
    #[error("the certificate of {agent}, in the line of delegation, ended at {at}: it has to renew first")]
    Ended {
        /// Whose it is.
        agent: AgentUri,
        /// When.
        at: UnixMillis,
    },
    /// One of the line does not read.
    #[error("certificate {serial}, in the line of delegation, does not read: {reason}")]
    Unreadable {
        /// Its number.
        serial: Serial,
        /// Why not.
        reason: String,
    },
}

/// What must be loaded to know the line from the parent's certificate of this number upwards.
pub(super) fn needs(state: &State, parent: &Serial, keys: &mut Vec<Key>) {
    let mut next = Some(*parent);
    for _ in 0..=MAX_LINE {
        let Some(serial) = next else { return };
        keys.extend([Key::Certificate(serial), Key::Revocation(serial)]);
        next = state.certificate(&serial).and_then(|certificate| certificate.parent);
    }
}

/// The certificates from the parent's of this number to the root's, all of which stand at `now`: issued, not
/// ended, not revoked.
///
/// # Errors
/// For the first that does not.
pub(super) fn chain<'a>(
    state: &'a State,
    parent: &Serial,
    now: UnixMillis,
) -> Result<Vec<&'a CertificateRecord>, LineError> {
    let mut chain = Vec::new();
    let mut next = Some(*parent);
    while let Some(serial) = next {
        if chain.len() == MAX_LINE {
            return Err(LineError::TooLong);
        }
        let certificate = state.certificate(&serial).filter(|certificate| certificate.issued().is_some());
        let certificate = certificate.ok_or(LineError::NotIssued(serial))?;
        let agent = certificate.agent.clone();
        if let Some(revocation) = state.revocation(&serial) {
            return Err(LineError::Revoked { serial, agent, at: revocation.at, reason: revocation.reason });
        }
        if certificate.not_after < now {
            return Err(LineError::Ended { agent, at: certificate.not_after });
        }
        chain.push(certificate);
        next = certificate.parent;
    }
    Ok(chain)
}

/// The line above an agent, read.
#[derive(Clone, Debug)]
pub struct Line {
    /// The number of the parent's certificate.
    pub serial: Serial,
    /// What the parent's certificate says.
    pub parent: Parent,
    /// The delegations above the parent's, nearest first.
    pub ancestors: Vec<Delegation>,
    /// The agents of the line, the parent first.
    pub agents: Vec<AgentUri>,
    /// The scores of those above the parent.
    scores: Vec<TrustScore>,
}

impl Line {
    /// Reads the line from the parent's certificate of this number upwards, as it stands at `now`.
    ///
    /// # Errors
    /// [`LineError`] for the first certificate that does not stand or does not read.
    pub(super) fn read(state: &State, parent: &Serial, now: UnixMillis) -> Result<Self, LineError> {
        let chain = chain(state, parent, now)?;
        let (first, above) = chain.split_first().ok_or(LineError::NotIssued(*parent))?;
        let (party, cert_hash) = party(first)?;
        let (mut ancestors, mut scores) = (Vec::new(), Vec::new());
        for record in above {
            let (party, _) = self::party(record)?;
            let missing = |extension| unreadable(record, format!("it has no {extension}"));
            ancestors.push(party.delegation.ok_or_else(|| missing("agentDelegation"))?);
            scores.push(party.trust_score.ok_or_else(|| missing("agentTrustScore"))?);
        }
        let agents = chain.iter().map(|record| record.agent.clone()).collect();
        Ok(Self { serial: first.serial, parent: Parent { party, cert_hash }, ancestors, agents, scores })
    }

    /// The parent.
    pub const fn parent_uri(&self) -> &AgentUri {
        &self.parent.party.uri
    }

    /// When the parent's certificate ends, and everything below it at the latest.
    pub const fn ends_by(&self) -> UnixMillis {
        self.parent.party.not_after
    }

    /// The parent's effective score: the least in the line, its own included (R31); none where one of them is of
    /// the future (R1).
    pub fn effective(&self, now: UnixMillis) -> Option<Score> {
        let own = self.parent.party.trust_score.as_ref()?.effective(now).ok()?;
        self.scores.iter().try_fold(own, |least, score| Some(least.min(score.effective(now).ok()?)))
    }

    /// The highest score that a child may have, as far as the certificates go: the parent's effective score, or
    /// less where somebody in the line says so.
    pub fn most(&self, now: UnixMillis) -> Option<Score> {
        let rules = self.parent.party.delegation.iter().chain(&self.ancestors);
        let named = rules.filter_map(|delegation| delegation.rules.max_trust_score);
        Some(named.fold(self.effective(now)?, Score::min))
    }

    /// Where a child stands that may hand on under these terms; `None` where no human answers for the parent.
    pub fn child(&self, terms: &DelegationTerms) -> Option<Delegation> {
        let above = self.parent.party.delegation.as_ref()?;
        Some(Delegation {
            parent_cert_hash: self.parent.cert_hash,
            // Nothing is below 255: that it is no step deeper is then seen as a violation.
            depth: above.depth.saturating_add(1),
            max_depth: terms.max_depth.unwrap_or(above.max_depth),
            rules: terms.rules.clone(),
            // The same all the way down (R33).
            human_principal: above.human_principal.clone(),
        })
    }

    /// Every rule of attenuation that this child would break (draft 9.1, protocol section 6).
    pub fn violations(&self, child: &Party, mode: Mode, at: UnixMillis) -> Vec<Violation> {
        violations(child, &self.parent, &self.ancestors, mode, at)
    }
}

fn party(record: &CertificateRecord) -> Result<(Party, [u8; 32]), LineError> {
    let issued = record.issued().ok_or(LineError::NotIssued(record.serial))?;
    let certificate =
        Certificate::parse(issued.certificate.0.as_slice()).map_err(|e| unreadable(record, e.to_string()))?;
    let party = Party::of(record.agent.clone(), &certificate).map_err(|e| unreadable(record, e.to_string()))?;
    Ok((party, certificate.fingerprint()))
}

const fn unreadable(record: &CertificateRecord, reason: String) -> LineError {
    LineError::Unreadable { serial: record.serial, reason }
}
