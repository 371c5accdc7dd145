//! The agents above: their certificates, which an agent to which something was handed on presents behind its own
//! (draft 9.1). Without them nobody can tell what it may do.

use super::inspect::certificates_of;
use crate::api::ca::{CertificateAnswer, Hex32};
use crate::apki::Certificate;
use crate::cli::log::remote::polite;
use crate::client::CaClient;
use crate::verify::relying::MAX_DEPTH;

/// The certificates of the agents above the one that the CA answered with, its parent first, each with its CAs
/// behind it where these are others. Those that are not `known` are asked of the CA.
///
/// An agent is not kept from its certificate because one of these cannot be had: that is told, and the next renewal
/// tries again.
pub(super) async fn above(client: &CaClient, answer: &CertificateAnswer, known: &[Certificate]) -> Vec<Certificate> {
    line(client, answer, known).await.unwrap_or_else(|why| {
        eprintln!(
            "WARNING: the certificates of the agents above {} cannot be had, and without them (parents.pem) its peers \
             will refuse it: {why}; renew it to try again",
            answer.agent
        );
        Vec::new()
    })
}

async fn line(
    client: &CaClient,
    answer: &CertificateAnswer,
    known: &[Certificate],
) -> Result<Vec<Certificate>, String> {
    let own = certificates_of(&answer.chain_pem)?;
    let mut found: Vec<Certificate> = Vec::new();
    let mut child = own.first().cloned();
    for _ in 0..MAX_DEPTH {
        let Some(wanted) = child.as_ref().and_then(parent_of) else { return Ok(found) };
        let parent = match link(known, wanted) {
            Some(parent) => parent,
            None => fetch(client, wanted).await?,
        };
        child = parent.first().cloned();
        // A CA that is there already brings those above it along.
        let there = parent.get(1).is_none_or(|ca| own.iter().chain(&found).any(|known| known == ca));
        let more = if there { 1 } else { parent.len() };
        found.extend(parent.into_iter().take(more));
    }
    Err(format!("there are more than {MAX_DEPTH}"))
}

/// The hash of the parent; `None` where nobody is above.
fn parent_of(certificate: &Certificate) -> Option<[u8; 32]> {
    let delegation = certificate.delegation().ok().flatten().filter(|delegation| delegation.depth > 0)?;
    Some(delegation.parent_cert_hash)
}

/// The certificate with this hash, and the CAs behind it.
fn link(known: &[Certificate], wanted: [u8; 32]) -> Option<Vec<Certificate>> {
    let place = known.iter().position(|certificate| certificate.fingerprint() == wanted)?;
    let (parent, behind) = known.get(place..)?.split_first()?;
    let is_ca =
        |certificate: &&Certificate| matches!(certificate.basic_constraints(), Ok(Some(constraints)) if constraints.ca);
    Some(std::iter::once(parent).chain(behind.iter().take_while(is_ca)).cloned().collect())
}

async fn fetch(client: &CaClient, wanted: [u8; 32]) -> Result<Vec<Certificate>, String> {
    let pem = polite(|| client.certificate_chain(Hex32(wanted))).await.map_err(|e| e.to_string())?;
    let chain = certificates_of(&pem)?;
    match chain.first() {
        Some(first) if first.fingerprint() == wanted => Ok(chain),
        _ => Err(format!("the CA has another certificate under the SHA-256 {}", Hex32(wanted))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::precertificate::extension_der;
    use crate::apki::testing::{Draft, key};
    use crate::apki::{AgentExtension, oid};

    /// An agent's certificate one step below that one.
    fn below(parent: Option<&Certificate>, issuer: &str, serial: u8) -> Certificate {
        use crate::apki::delegation::{AttenuationRules, Delegation};
        let above = parent.map(|parent| parent.delegation().unwrap().unwrap().depth);
        let delegation = Delegation {
            parent_cert_hash: parent.map_or([0; 32], Certificate::fingerprint),
            depth: above.map_or(0, |depth| depth + 1),
            max_depth: 5,
            rules: AttenuationRules::default(),
            human_principal: None,
        };
        let mut draft = Draft::leaf(issuer);
        draft.serial = vec![0x02, 0x01, serial];
        draft.extensions.push(extension_der(&oid::AGENT_DELEGATION, false, &delegation.to_der().unwrap()));
        draft.certificate(&key(2))
    }

    #[test]
    fn a_parent_is_found_by_its_hash_with_the_cas_behind_it() {
        let ca = |name: &str, seed| Draft::ca("Root", name, &key(seed), None).certificate(&key(1));
        let (org, other) = (ca("Org", 2), ca("Other", 3));
        let root = below(None, "Other", 1);
        let child = below(Some(&root), "Org", 2);
        let known = [child.clone(), org.clone(), root.clone(), other.clone()];
        assert_eq!(link(&known, child.fingerprint()), Some(vec![child.clone(), org]));
        assert_eq!(link(&known, root.fingerprint()), Some(vec![root.clone(), other]));
        assert_eq!(link(&known, [7; 32]), None);
        assert_eq!((parent_of(&child), parent_of(&root)), (Some(root.fingerprint()), None));
    }
}
