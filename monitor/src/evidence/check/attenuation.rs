//! Fraud proofs of delegations (draft 9.1): the rules run again from the certificates alone.

use atl::apki::attenuation::{Mode, Parent, Party, Violation, root_violations, violations};
use atl::apki::delegation::Delegation;

use super::Claim;
use super::ground::{Ground, Logged};

/// A delegation that gives more than the parent has, or an agent at the root of a line for whom nobody answers.
pub(super) fn expanded(ground: &Ground<'_>) -> Result<Claim, String> {
    let child = party(ground.first()?, "the child")?;
    let delegation = child.delegation.as_ref().ok_or("the child has no agentDelegation, so nothing was delegated")?;
    let Some((parent, above)) = ground.certificates.get(1..).and_then(<[_]>::split_first) else {
        return at_the_root(ground, delegation);
    };
    let link =
        |below: &Delegation, above: &Logged, who: &str| match below.parent_cert_hash == *above.cert_hash.as_bytes() {
            true => Ok(()),
            false => {
                Err(format!("{who} is not the one that parentCertHash names: its final certificate has to be in here"))
            }
        };
    link(delegation, parent, "the parent")?;
    let parent = Parent { party: party(parent, "the parent")?, cert_hash: *parent.cert_hash.as_bytes() };
    let mut line: Vec<Delegation> = Vec::new();
    for ancestor in above {
        let below = line.last().or(parent.party.delegation.as_ref());
        link(below.ok_or("the parent has no agentDelegation, so there is nobody above it")?, ancestor, "an ancestor")?;
        let found = party(ancestor, "an ancestor")?.delegation;
        line.push(found.ok_or("an ancestor has no agentDelegation")?);
    }
    // A relying party takes the parent's score at the moment of delegation (ruling R7).
    let at = ground.certificate()?.1.not_before();
    let found = violations(&child, &parent, &line, Mode::Subset, at);
    conclude(&found, &format!("The certificate of {} gives more than {} may give", child.uri, parent.party.uri))
}

/// The root of a line that is none.
pub(super) fn root(ground: &Ground<'_>) -> Result<Claim, String> {
    let found = party(ground.first()?, "the certificate in question")?.delegation;
    at_the_root(ground, &found.ok_or("the certificate has no agentDelegation, so it is the root of no line")?)
}

fn at_the_root(ground: &Ground<'_>, delegation: &Delegation) -> Result<Claim, String> {
    if delegation.depth != 0 && delegation.parent_cert_hash != [0; 32] {
        return Err(
            "it is no root, and the parent's certificate is not in it, so the delegation cannot be judged".into()
        );
    }
    let name = party(ground.first()?, "the certificate in question")?.uri;
    conclude(&root_violations(delegation), &format!("The certificate of {name}, which has no parent, breaks the rules"))
}

fn conclude(found: &[Violation], what: &str) -> Result<Claim, String> {
    if found.is_empty() {
        return Err("the delegation breaks no rule".into());
    }
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    Ok(Claim::Holds(format!("{what} (draft sections 5.4 and 9.1): {}.", found.join("; "))))
}

fn party(logged: &Logged, who: &str) -> Result<Party, String> {
    let certificate = logged.certificate.as_ref().map_err(|e| format!("{who} does not parse: {e}"))?;
    let uri = certificate.agent_uri().map_err(|e| format!("{who}: {e}"))?;
    Party::of(uri, certificate).map_err(|e| format!("{who}: {e}"))
}
