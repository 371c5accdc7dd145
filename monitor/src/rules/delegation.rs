//! Delegations (draft 5.4): what their roots say of themselves, and whose children the others are.

use atl::apki::attenuation::root_violations;
use atl::log::entry::CertHash;

use super::Judged;
use super::seen::Seen;
use crate::errand::Errand;
use crate::finding::Class;

/// At depth 0 all is known; below it the parent has to be found first.
pub(super) fn delegation(seen: &Seen<'_>, judged: &mut Judged) {
    let Ok(Some(delegation)) = &seen.delegation else { return };
    if delegation.depth > 0 {
        let parent = CertHash::new(delegation.parent_cert_hash);
        judged.errands.push(Errand::Parent { child: seen.entry_ref(), parent });
        return;
    }
    let violations = root_violations(delegation);
    let Some(first) = violations.first() else { return };
    let summary = format!("{} stands at the root of a delegation that is none: {first}", seen.agent());
    let rule = "at depth 0 parentCertHash is zero and a human answers (draft 5.4, protocol section 6)";
    let finding = seen.finding(Class::DelegationRoot, rule, summary);
    judged.findings.push(violations.iter().fold(finding, |finding, violation| finding.with("violation", violation)));
}
