//! Who says that he is of the owner's organisation (draft 11.2.5): in another trust domain, or in the right one and
//! with nobody behind him.

use atl::apki::provenance::Provenance;

use super::Rulebook;
use super::seen::Seen;
use crate::finding::{Class, Finding};

impl Rulebook {
    /// A claim of the owner's organisation that he may not know of.
    pub(super) fn organization(&self, seen: &Seen<'_>) -> Option<Finding> {
        let uri = seen.uri.as_ref().ok()?;
        let built_by = |provenance: &Option<Provenance>| Some(provenance.as_ref()?.organization_id.as_str().to_owned());
        let provenance = seen.provenance.as_ref().ok().and_then(built_by);
        let (place, claimed) = if self.estate.is_ours(uri.org()) {
            ("the agent URI", uri.org().to_owned())
        } else {
            ("organizationId of agentProvenance", provenance.filter(|claimed| self.estate.is_ours(claimed))?)
        };
        let domain = uri.trust_domain();
        if !self.estate.is_home(domain) {
            let summary = format!("{uri} claims to be of {claimed:?}, from the trust domain {domain}");
            let rule = "the owner's organisations are found in the owner's trust domains only";
            return Some(seen.finding(Class::ForeignOrganization, rule, summary).with("claimed in", place));
        }
        if self.estate.demands_delegation() && matches!(seen.delegation, Ok(None)) {
            let summary = format!("{uri} claims to be of {claimed:?}, and nobody has delegated to it");
            let rule = "agents of the owner's organisations have an agentDelegation";
            return Some(seen.finding(Class::UndelegatedOrganization, rule, summary).with("claimed in", place));
        }
        None
    }
}
