//! Rules about one certificate, whose proof is the certificate itself. That a log holds it is verified; that its CA
//! signed it is the log's admission, and verified where the CA's certificate is in the case.

use atl::apki::certificate::AgentNameError;
use atl::apki::extension::ExtensionError;
use atl::apki::precertificate::{Precertificate, recover};
use atl::apki::{AgentUri, Certificate, oid};
use atl::log::entry::CertHash;
use atl::log::sat::SatList;

use super::Claim;
use super::ground::{Ground, Logged};
use crate::evidence::Terms;

/// The shortest validity of a certificate, and the longest (draft 5.1, ruling R10).
const VALIDITY_MS: std::ops::RangeInclusive<u64> = 300_000..=86_400_000;

/// The tier is not the score's.
pub(super) fn tier(ground: &Ground<'_>) -> Result<Claim, String> {
    let (logged, certificate) = ground.certificate()?;
    match certificate.trust_score() {
        Err(fault @ ExtensionError::Tier { .. }) => Ok(holds(logged, &fault.to_string())),
        _ => Err("the trust tier in the certificate is that of its score, or there is none".into()),
    }
}

/// An extension does not decode or must be refused for what it says, or the whole is no certificate.
pub(super) fn malformed(ground: &Ground<'_>) -> Result<Claim, String> {
    let logged = ground.first()?;
    match logged.certificate.as_ref().map(|certificate| faults(certificate, logged)) {
        Err(fault) => Ok(holds(logged, &fault.to_string())),
        Ok(faults) if !faults.is_empty() => Ok(holds(logged, &faults.join("; "))),
        Ok(_) => Err("every agent extension of the certificate is well-formed".into()),
    }
}

/// Every fault, by the name of the extension (protocol section 2, rulings R12, R18, R22, R27).
fn faults(certificate: &Certificate, logged: &Logged) -> Vec<String> {
    let all = [
        ("subjectAltName", certificate.agent_uri().err().map(|e| e.to_string())),
        ("agentTrustScore", score_fault(certificate, logged)),
        ("agentCapabilities", certificate.capabilities().err().map(|e| e.to_string())),
        ("agentDelegation", certificate.delegation().err().map(|e| e.to_string())),
        ("agentProvenance", certificate.provenance().err().map(|e| e.to_string())),
        ("agentBehaviouralAttestation", attested(certificate)),
        ("signedAgentTimestampList", timestamps(certificate)),
        ("criticality", critical(certificate)),
        ("basicConstraints", basic_constraints(certificate)),
    ];
    all.into_iter().filter_map(|(name, fault)| Some(format!("{name}: {}", fault?))).collect()
}

/// A score that does not decode, or that is of the future even when the head over it was signed, which is later than
/// the entry.
fn score_fault(certificate: &Certificate, logged: &Logged) -> Option<String> {
    match (certificate.trust_score(), logged.head.timestamp()) {
        (Err(e), _) => Some(e.to_string()),
        (Ok(Some(score)), Some(at)) => score.effective(at).err().map(|e| e.to_string()),
        _ => None,
    }
}

/// An attestation that does not decode, or whose declaredCapabilitiesHash is not that of agentCapabilities.
fn attested(certificate: &Certificate) -> Option<String> {
    match certificate.attestation() {
        Err(e) => Some(e.to_string()),
        Ok(None) => None,
        Ok(Some(attestation)) => (certificate.capabilities_hash() != Some(attestation.declared_capabilities_hash))
            .then(|| "declaredCapabilitiesHash is not that of agentCapabilities".to_owned()),
    }
}

/// Timestamps that do not decode, or that are over another certificate.
fn timestamps(certificate: &Certificate) -> Option<String> {
    let poison = Precertificate::of(certificate).err().map(|e| e.to_string());
    let recovered = match recover(certificate) {
        Ok(recovered) => recovered,
        Err(e) => return Some(e.to_string()),
    };
    let Some(recovered) = recovered else { return poison };
    let own = CertHash::of_certificate(&recovered.precertificate_der);
    match SatList::from_der(recovered.sat_list_der) {
        Err(e) => Some(e.to_string()),
        Ok(list) => {
            let other = list.sats().iter().find(|sat| sat.cert_hash != own)?;
            Some(format!("a timestamp is over certificate hash {}, not {own}", other.cert_hash))
        }
    }
}

/// An extension that is critical and must not be (ruling R22).
fn critical(certificate: &Certificate) -> Option<String> {
    let never = [
        (oid::AGENT_TRUST_SCORE, "agentTrustScore"),
        (oid::AGENT_PROVENANCE, "agentProvenance"),
        (oid::AGENT_BEHAVIOURAL_ATTESTATION, "agentBehaviouralAttestation"),
        (oid::SIGNED_AGENT_TIMESTAMP_LIST, "signedAgentTimestampList"),
        (oid::PRECERTIFICATE_SIGNATURE, "precertificateSignature"),
    ];
    let is_critical = |oid| certificate.extension(oid).is_some_and(|extension| extension.critical);
    let (_, name) = never.iter().find(|(oid, _)| is_critical(oid))?;
    Some(format!("{name} is critical, so that nobody may accept it"))
}

fn basic_constraints(certificate: &Certificate) -> Option<String> {
    match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.ca => Some("an agent's certificate is a CA's as well".to_owned()),
        Ok(_) => None,
        Err(e) => Some(e.to_string()),
    }
}

/// Valid for too short or too long.
pub(super) fn validity(ground: &Ground<'_>) -> Result<Claim, String> {
    let (logged, certificate) = ground.certificate()?;
    let (from, until) = (certificate.not_before(), certificate.not_after());
    if until >= from && VALIDITY_MS.contains(&until.since(from)) {
        return Err(format!(
            "the certificate is valid from {from} until {until}, which is between 5 minutes and 24 hours"
        ));
    }
    Ok(holds(logged, &format!("it is valid from {from} until {until}, and not for 5 minutes to 24 hours")))
}

/// More trust than the owner's policy allows.
pub(super) fn score(ground: &Ground<'_>) -> Result<Claim, String> {
    let (logged, certificate) = ground.certificate()?;
    let most = terms(ground)?.max_score.ok_or("it does not say which score the owner's policy allows")?;
    let score = match certificate.trust_score() {
        Ok(score) => score.ok_or("the certificate has no trust score")?.score.get(),
        // A wrong tier beside it does not make a score lower.
        Err(ExtensionError::Tier { score, .. }) => score,
        Err(e) => return Err(format!("agentTrustScore: {e}")),
    };
    match score > most {
        true => Ok(holds(logged, &format!("its score is {score}, and the owner's policy, as stated, allows {most}"))),
        false => Err(format!("the score {score} is not above {most}, which the owner's policy allows")),
    }
}

/// The owner's name in another domain.
pub(super) fn foreign_organization(ground: &Ground<'_>) -> Result<Claim, String> {
    let (logged, certificate) = ground.certificate()?;
    let terms = terms(ground)?;
    let uri = agent(certificate)?;
    let claimed = claimed(&uri, certificate, terms).ok_or("the certificate names none of the owner's organisations")?;
    if is_own(&uri, terms) {
        return Err(format!("{} is one of the owner's trust domains, or below one", uri.trust_domain()));
    }
    let what = format!(
        "it claims the organisation {claimed:?} in the trust domain {}, which is none of those that the owner states",
        uri.trust_domain()
    );
    Ok(holds(logged, &what))
}

/// The owner's name without a delegation.
pub(super) fn undelegated(ground: &Ground<'_>) -> Result<Claim, String> {
    let (logged, certificate) = ground.certificate()?;
    let uri = agent(certificate)?;
    let claimed = claimed(&uri, certificate, terms(ground)?);
    let claimed = claimed.ok_or("the certificate names none of the owner's organisations")?;
    match certificate.delegation() {
        Ok(None) => Ok(holds(logged, &format!("it claims the organisation {claimed:?} and has no agentDelegation"))),
        Ok(Some(_)) => Err("the certificate has a delegation".into()),
        Err(e) => Err(format!("agentDelegation: {e}")),
    }
}

/// In the owner's trust domain. That the owner did not order it is the owner's word.
pub(super) fn unauthorised(ground: &Ground<'_>) -> Result<Claim, String> {
    let (logged, certificate) = ground.certificate()?;
    let uri = agent(certificate)?;
    if !is_own(&uri, terms(ground)?) {
        return Err(format!("{} is none of the owner's trust domains, as stated", uri.trust_domain()));
    }
    let what = format!(
        "it is for {uri}, in a trust domain of the owner. That the owner did not order it is for the owner to say, and not \
         proven here"
    );
    Ok(holds(logged, &what))
}

fn holds(logged: &Logged, what: &str) -> Claim {
    let Logged { log, index, cert_hash, .. } = logged;
    Claim::Holds(format!("The log {log} holds at leaf {index} the certificate {cert_hash}, and of it holds: {what}."))
}

fn terms<'a>(ground: &Ground<'a>) -> Result<&'a Terms, String> {
    ground.case.terms.as_ref().ok_or_else(|| "it does not say what the owner holds certificates to".to_owned())
}

fn agent(certificate: &Certificate) -> Result<AgentUri, String> {
    certificate.agent_uri().map_err(|e: AgentNameError| format!("the certificate in question: {e}"))
}

fn is_own(uri: &AgentUri, terms: &Terms) -> bool {
    let found = uri.trust_domain();
    let below = |own: &str| found.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    terms.trust_domains.iter().any(|own| !own.is_empty() && below(own))
}

/// The owner's organisation that a certificate claims to be of, in its name or its provenance.
fn claimed<'a>(uri: &AgentUri, certificate: &Certificate, terms: &'a Terms) -> Option<&'a str> {
    let provenance = certificate.provenance().ok().flatten();
    let provenance = provenance.as_ref().map(|found| found.organization_id.as_str());
    let names = [Some(uri.org()), provenance];
    let is_claimed = |own: &str| names.iter().flatten().any(|name| name.eq_ignore_ascii_case(own));
    terms.organizations.iter().map(String::as_str).find(|own| is_claimed(own))
}
