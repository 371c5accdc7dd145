//! What was examined, to be looked at: for whoever has to say more than yes or no.

use super::judge::{audit, known, newest_inclusion, wanted};
use super::logs::TrustedLog;
use super::member::Member;
use super::proven::Proven;
use super::standing::Known;
use super::{Examination, RelyingParty, Request, Subject};
use crate::apki::chain::IssuerPath;
use crate::apki::delegation::Delegation;
use crate::apki::{AgentUri, Certificate};
use crate::log::entry::CertHash;
use crate::time::UnixMillis;

/// One agent of a line, and what signatures prove of it.
#[derive(Clone, Copy, Debug)]
pub struct Examined<'a> {
    member: &'a Member,
    proven: Option<&'a Proven>,
}

impl<'a> Examined<'a> {
    /// Its certificate.
    pub const fn certificate(&self) -> &'a Certificate {
        &self.member.link.certificate
    }

    /// SHA-256 of it.
    pub const fn fingerprint(&self) -> [u8; 32] {
        self.member.fingerprint
    }

    /// Who it says it is, where that could be read.
    pub const fn uri(&self) -> Option<&'a AgentUri> {
        self.member.uri.as_ref()
    }

    /// Its agentDelegation, where it has one that decodes.
    pub const fn delegation(&self) -> Option<&'a Delegation> {
        self.member.delegation.get()
    }

    /// What logs have of it: the hash of its recovered precertificate, or of the certificate itself.
    pub const fn cert_hash(&self) -> CertHash {
        self.member.cert_hash
    }

    /// The way up to an anchor of its domain, where there is one.
    pub fn path(&self) -> Option<&'a IssuerPath> {
        self.proven?.path.as_ref()
    }

    /// Whether signatures were looked at, be they good or bad: not those of an agent whose domain is not trusted.
    pub const fn is_tried(&self) -> bool {
        self.proven.is_some()
    }
}

impl Examination {
    /// The line: the agent, and those above it as far as they were presented, its parent first.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Examined<'_>> {
        let proven = &self.proven;
        self.line.members.iter().enumerate().map(|(depth, member)| Examined { member, proven: proven.get(depth) })
    }

    /// Whom a certificate of the line matters to: the agent whose it is, or for a CA's the lowest agent below it.
    pub fn subject_of(&self, certificate: &Certificate) -> Subject {
        let is_in_chain = |member: Examined<'_>| {
            let mut issuers = member.path().into_iter().flat_map(|path| path.iter());
            member.certificate() == certificate || issuers.any(|issuer| issuer.certificate() == certificate)
        };
        Subject::at(self.members().position(is_in_chain).unwrap_or_default())
    }
}

impl RelyingParty {
    /// The logs that are trusted and did give a timestamp for this agent's certificate, each with its moment.
    pub fn stamps<'a>(&'a self, of: Examined<'a>) -> impl Iterator<Item = (&'a TrustedLog, UnixMillis)> {
        let stamps = of.proven.into_iter().flat_map(|proven| &proven.stamps);
        stamps.filter_map(|stamp| Some((self.logs.at(stamp.log)?, stamp.timestamp)))
    }

    /// Whether the log counts by its audits, where the policy wants any.
    pub fn is_audited(&self, log: &TrustedLog, request: &Request<'_>) -> bool {
        audit(&self.policy, request, &log.key.log_id()).is_ok()
    }

    /// What is known of the revocation of this agent's certificate; `None` where its chain does not hold, so that
    /// nobody can be believed about it.
    pub fn known(&self, of: Examined<'_>, request: &Request<'_>) -> Option<Known> {
        Some(known(request, of.member, of.path()?, wanted(&self.policy, request)))
    }

    /// Whether a proof is at hand that this agent's certificate is in a log, as recent as the policy wants one; also
    /// where it wants none.
    pub fn is_included(&self, of: Examined<'_>, request: &Request<'_>) -> bool {
        self.policy.inclusion.as_ref().is_none_or(|wanted| {
            let (_, newest) = newest_inclusion(wanted, &self.policy, &self.logs, request, of.member);
            newest.is_some_and(|at| request.now.since(at) <= wanted.max_age)
        })
    }
}
