//! The CAs that an agent need not bring along.

use super::ports::Material;
use crate::apki::Certificate;
use crate::apki::chain::Issuer;
use crate::verify::relying::{Link, Presented};

/// Most CAs behind one certificate (R9 counts the certificate too).
const MAX_ISSUERS: usize = 3;

/// The same presentation, with the CAs at hand behind each certificate: from where its own end on, up to the one that
/// an anchor signed.
pub fn with_issuers(presented: Presented, material: &Material) -> Presented {
    let Presented { mut agent, mut parents } = presented;
    for link in [&mut agent].into_iter().chain(&mut parents) {
        complete(link, material);
    }
    Presented { agent, parents }
}

fn complete(link: &mut Link, material: &Material) {
    let domains = || material.party.domains.iter();
    let anchors = || domains().flat_map(|(_, domain)| domain.trusted.anchors().iter()).map(Issuer::certificate);
    while link.issuers.len() < MAX_ISSUERS {
        let last = link.issuers.last().unwrap_or(&link.certificate);
        if anchors().any(|anchor| anchor == last || may_have_signed(anchor, last)) {
            return;
        }
        let Some(next) = material.issuers.iter().find(|issuer| may_have_signed(issuer, last)) else { return };
        if link.issuers.contains(next) {
            return;
        }
        link.issuers.push(next.clone());
    }
}

/// By name, and by the identifiers of the key where both have one. The signature is looked at later.
fn may_have_signed(issuer: &Certificate, certificate: &Certificate) -> bool {
    let keys = issuer.subject_key_identifier().zip(certificate.authority_key_identifier());
    issuer.subject_der() == certificate.issuer_der() && keys.is_none_or(|(has, wants)| has == wants)
}
