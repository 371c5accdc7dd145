//! What a relying party asks for over the network, where its configuration says so (`[fetch]`): the parents that
//! were not presented, revocation, proofs of inclusion, audits of logs.
//!
//! # Who is asked
//! Logs and monitors are asked at the URLs of the configuration. Whom to ask about revocation, a certificate says, so whoever
//! issues certificates chooses an address that this machine then connects to. What keeps that within bounds:
//! nobody is asked on the word of a certificate whose chain to an anchor of its own domain does not hold; only
//! `http` and `https` are spoken, to the hosts of `fetch.hosts` where they are named; no redirect is followed;
//! answers are bounded in size, few are waited for at once, and all of it together is bounded in time. Private
//! addresses are not told from others: a machine that reaches what a CA should not reach needs the list of hosts.
//!
//! What comes is believed as far as it is signed or its hash was asked for. What does not come is a note, and
//! whether it refuses is for the verdict.

mod audits;
mod logs;
mod net;
mod status;

pub use self::audits::audit;
pub use self::net::Net;
use super::material::Material;
use crate::apki::Certificate;
use crate::cli::output::CliError;
use crate::config::relying::Fetch;
use crate::time::UnixMillis;
use crate::verify::relying::{
    Examination, Examined, Facts, Known, Note, Operation, Presented, Request, RevocationMode, Subject,
};

/// What is asked about an agent, before what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What it wants to do.
    pub operation: Option<&'a Operation>,
    /// The moment that is asked about.
    pub at: UnixMillis,
    /// Whether that moment is past.
    pub past: bool,
}

impl<'a> Question<'a> {
    /// The request to the relying party.
    pub const fn with(self, facts: &'a Facts) -> Request<'a> {
        Request { operation: self.operation, facts, now: self.at, past: self.past }
    }
}

/// The network as one verification may use it, until its time is over.
pub struct Online<'a> {
    material: &'a Material,
    rules: &'a Fetch,
    net: Net,
}

impl<'a> Online<'a> {
    /// What `rules` allow, from now on.
    pub fn new(material: &'a Material, rules: &'a Fetch) -> Result<Self, CliError> {
        Ok(Self::over(&Net::open(rules)?, material, rules))
    }

    /// The same over a network that others have used: whoever asks often keeps its connections.
    pub fn over(net: &Net, material: &'a Material, rules: &'a Fetch) -> Self {
        Self { material, rules, net: net.again() }
    }

    /// Examines what was presented, completed by what could be learned of it; `facts` grow by what was learned.
    /// `present` is the moment at which it is asked, whichever moment the question is about.
    pub async fn examine(
        &self,
        presented: Presented,
        question: Question<'_>,
        present: UnixMillis,
        facts: &mut Facts,
    ) -> Examination {
        let examination = self.line(presented, facts).await;
        self.learn(&examination, question, present, facts).await;
        examination
    }

    /// Examines what was presented, with the parents that are missing.
    pub async fn line(&self, presented: Presented, facts: &mut Facts) -> Examination {
        match self.rules.parents {
            true => self.parents(presented, facts).await,
            false => self.material.party.examine(presented),
        }
    }

    /// Asks for what is not known yet of an agent that was examined: revocation, a proof of inclusion, audits of its
    /// logs.
    pub async fn learn(
        &self,
        examination: &Examination,
        question: Question<'_>,
        present: UnixMillis,
        facts: &mut Facts,
    ) {
        if self.material.party.policy.revocation.mode != RevocationMode::Off {
            if self.rules.ocsp {
                self.ocsp(examination, question, present, facts).await;
            }
            if self.rules.lists {
                self.lists(examination, question, facts).await;
            }
        }
        if self.rules.proofs && self.material.party.policy.inclusion.is_some() {
            self.proofs(examination, question, present, facts).await;
        }
        if self.rules.audits && self.material.party.policy.audited_within.is_some() {
            self.audits(examination, question, facts).await;
        }
    }

    /// Whether it is known well enough whether this certificate, which is the agent's or of one above it, was revoked.
    fn is_known(&self, member: Examined<'_>, question: Question<'_>, facts: &Facts) -> bool {
        let known = self.material.party.known(member, &question.with(facts));
        matches!(known, Some(Known::Good { .. } | Known::Revoked { .. }))
    }

    /// The certificates about which more has to be known, each with its issuer, and whose certificate it is.
    fn unknown<'e>(&self, examination: &'e Examination, question: Question<'_>, facts: &Facts) -> Vec<Unknown<'e>> {
        let mut found = Vec::new();
        for asked in examination.questionable() {
            let fingerprint = asked.certificate.fingerprint();
            let known = match asked.is_ca {
                true => {
                    !self.material.party.policy.revocation.issuers
                        || facts.revocations.answers.iter().any(|answer| answer.certificate == fingerprint)
                }
                false => {
                    let mut members = examination.members();
                    let member = members.find(|member| member.certificate() == asked.certificate);
                    member.is_none_or(|member| self.is_known(member, question, facts))
                }
            };
            if !known {
                let subject = examination.subject_of(asked.certificate);
                found.push(Unknown { certificate: asked.certificate, issuer: asked.issuer, subject });
            }
        }
        found
    }
}

/// A certificate of whose revocation too little is known.
struct Unknown<'e> {
    certificate: &'e Certificate,
    issuer: &'e Certificate,
    subject: Subject,
}

fn note(facts: &mut Facts, subject: Subject, detail: String) {
    facts.notes.push(Note { subject, detail });
}
