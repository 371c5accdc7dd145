//! The line of delegation: from the agent up to whoever a human answers for (draft 9.1, protocol section 6).

use super::code::Code;
use super::member::{Found, Member};
use super::policy::{MAX_DEPTH, Policy};
use super::presented::Presented;
use super::reason::{Findings, Subject};
use crate::apki::attenuation::{Mode, Parent, root_violations, violations};
use crate::apki::delegation::Delegation;

/// The agent and those above it, nearest first, each read.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) members: Vec<Member>,
}

impl Line {
    /// Reads what was presented, follows each parentCertHash, and adds what speaks against a certificate or
    /// against a delegation. No signature is looked at.
    pub(super) fn read(presented: Presented, policy: &Policy, found: &mut Findings) -> Self {
        let Presented { agent, parents } = presented;
        let agent = Member::read(agent, Subject::Agent, &policy.algorithms, found);
        let mut unread = parents;
        let mut members = vec![agent];
        if members[0].delegation == Found::Missing && policy.require_delegation {
            let detail = "the certificate has no agentDelegation, so nobody answers for the agent";
            found.against(Code::DelegationRequired, Subject::Agent, detail);
        }
        let most = usize::from(policy.max_depth.min(MAX_DEPTH));
        while let Some(wanted) = members.last().and_then(parent_of) {
            let depth = members.len();
            let subject = Subject::at(depth - 1);
            if depth > most {
                let detail = format!("there are more than {most} agents above it");
                found.against(Code::TooDeep, Subject::Agent, detail);
                break;
            }
            // By its hash, or else the next one in order, so that it can be said what is wrong with it.
            let by_hash = unread.iter().position(|link| link.certificate.fingerprint() == wanted);
            if unread.is_empty() {
                let detail = format!("the parent, SHA-256 {}, was not presented", hex::encode(wanted));
                found.against(Code::NoParent, subject, detail);
                break;
            }
            let parent = unread.remove(by_hash.unwrap_or(0));
            members.push(Member::read(parent, Subject::at(depth), &policy.algorithms, found));
        }
        let line = Self { members };
        line.check_delegations(found);
        line.check_human(found);
        line
    }

    fn check_delegations(&self, found: &mut Findings) {
        for (depth, pair) in self.members.windows(2).enumerate() {
            let [child, parent] = pair else { continue };
            let above = self.members.iter().skip(depth + 2).filter_map(|member| member.delegation.get());
            let above: Vec<Delegation> = above.cloned().collect();
            let (Some(below), Some(party)) = (child.party(), parent.party()) else { continue };
            let parent = Parent { party, cert_hash: parent.fingerprint };
            // The moment of the delegation (R7).
            let at = child.link.certificate.not_before();
            for violation in violations(&below, &parent, &above, Mode::Subset, at) {
                found.violation(Subject::at(depth), &violation);
            }
        }
        let last = self.members.last();
        if let Some(root) = last.and_then(|last| last.delegation.get()).filter(|delegation| delegation.depth == 0) {
            for violation in root_violations(root) {
                found.violation(Subject::at(self.members.len() - 1), &violation);
            }
        }
    }

    /// A line has one human (R33).
    fn check_human(&self, found: &mut Findings) {
        let Some(root) = self.root() else { return };
        for (depth, member) in self.members.iter().enumerate() {
            let Some(said) = member.delegation.get().and_then(|delegation| delegation.human_principal.as_ref()) else {
                continue;
            };
            if Some(said) != root.human_principal.as_ref() {
                let detail = "humanPrincipal is another than that of the root of the line";
                found.against(Code::HumanPrincipal, Subject::at(depth), detail);
            }
        }
    }

    /// The delegation at depth 0, where the line reaches it.
    pub(super) fn root(&self) -> Option<&Delegation> {
        self.members.last()?.delegation.get().filter(|delegation| delegation.depth == 0)
    }
}

/// The hash of the parent that a member needs; `None` at the root, and where nothing is delegated.
fn parent_of(member: &Member) -> Option<[u8; 32]> {
    member.delegation.get().filter(|delegation| delegation.depth > 0).map(|delegation| delegation.parent_cert_hash)
}
