//! What a certificate will say: from an application and what was granted to the profile (draft 5,
//! protocol section 6).

use crate::apki::Certificate;
use crate::apki::attestation::AttestationMethod;
use crate::apki::extension::ValueError;
use crate::apki::moment::Moment;
use crate::apki::provenance::{self, Provenance};
use crate::apki::trust_score::TrustScore;
use crate::ca::application::{Application, Evidence};
use crate::ca::policy::Policy;
use crate::ca::profile::{AttestationFacts, MAX_VALIDITY_SECONDS, Profile, StatusUrls};
use crate::ca::request::Grant;
use crate::ca::serial::Serial;
use crate::time::UnixMillis;

/// When a certificate is valid that is signed now.
pub(super) struct Validity {
    not_before: Moment,
    not_after: Moment,
}

impl Validity {
    /// From a little before `now`, for clocks that are behind, until the time granted is over; never
    /// longer than the draft's 24 hours, never outside the issuer's own validity, and never longer than
    /// `ends_by`, with which the parent ends (protocol section 6). `None` past the year 9999.
    pub(super) fn new(
        now: UnixMillis,
        backdate_ms: u64,
        seconds: u32,
        ends_by: Option<UnixMillis>,
        issuer: &Certificate,
    ) -> Option<Self> {
        let not_before = Moment::floor(now.saturating_sub(backdate_ms).max(issuer.not_before()))?;
        let longest = not_before.millis().saturating_add(MAX_VALIDITY_SECONDS * 1000);
        let granted = now.saturating_add(u64::from(seconds) * 1000);
        let last = ends_by.map_or(issuer.not_after(), |end| end.min(issuer.not_after()));
        let not_after = Moment::floor(granted.min(longest).min(last))?;
        Some(Self { not_before, not_after })
    }
}

/// The profile of the certificate. All five extensions are there as far as there are facts: who says
/// nothing of how it was built has no agentProvenance, and who names no human has no agentDelegation.
pub(super) fn profile(
    serial: Serial,
    application: &Application,
    grant: &Grant,
    policy: &Policy,
    Validity { not_before, not_after }: Validity,
    status: Option<StatusUrls>,
) -> Result<Profile, ValueError> {
    let scored_at = Moment::floor(grant.scored_at).unwrap_or(not_before);
    let verified = grant.method == AttestationMethod::CaVerified;
    let evidence = application.evidence.as_ref();
    Ok(Profile {
        serial,
        not_before,
        not_after,
        name: application.agent.clone(),
        spiffe: application.spiffe.clone(),
        public_key: application.public_key.clone(),
        status,
        trust_score: TrustScore {
            score: grant.score,
            decay_rate: policy.decay_rate,
            last_updated: scored_at,
            computation_method: Some(policy.computation_method.clone()),
        },
        capabilities: grant.capabilities.clone(),
        delegation: grant.delegation.clone(),
        provenance: evidence.map(provenance).transpose()?,
        attestation: Some(AttestationFacts {
            method: grant.method,
            attestor_identity: verified.then(|| policy.attestor.clone()),
            time: scored_at,
            evidence_uri: evidence.and_then(|evidence| evidence.evidence_uri.clone()),
        }),
    })
}

fn provenance(evidence: &Evidence) -> Result<Provenance, ValueError> {
    let attested = evidence.attestation.as_ref().map(|octets| provenance::Evidence::new(octets.0.as_slice()));
    Ok(Provenance {
        model_family: evidence.model_family.clone(),
        model_version: evidence.model_version.clone(),
        framework: evidence.framework.clone(),
        organization_id: evidence.organization.clone(),
        build_hash: evidence.build_hash,
        attest_evidence: attested.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::tests::{NOON, ed25519, issuer};

    #[test]
    fn validity_is_backdated_and_stays_within_a_day_and_the_issuer() {
        let issuer = issuer(ed25519(1).as_ref());
        let validity = |now: UnixMillis, seconds| {
            let Validity { not_before, not_after } = Validity::new(now, 60_000, seconds, None, &issuer).unwrap();
            (not_before.millis(), not_after.millis())
        };
        let before = NOON.saturating_sub(60_000);
        assert_eq!(validity(NOON, 300), (before, NOON.saturating_add(300_000)));
        assert_eq!(validity(NOON.saturating_add(999), 300), (before, NOON.saturating_add(300_000)));
        assert_eq!(validity(NOON, 86_400), (before, before.saturating_add(86_400_000)));
        assert_eq!(validity(issuer.not_before(), 300).0, issuer.not_before());
        assert_eq!(validity(issuer.not_after().saturating_sub(1000), 300).1, issuer.not_after());
        assert!(Validity::new(UnixMillis::new(u64::MAX), 0, 300, None, &issuer).is_none());
    }

    #[test]
    fn a_child_ends_with_its_parent() {
        let issuer = issuer(ed25519(1).as_ref());
        let end = |ends_by| Validity::new(NOON, 60_000, 3600, Some(ends_by), &issuer).unwrap().not_after.millis();
        assert_eq!(end(NOON.saturating_add(600_000)), NOON.saturating_add(600_000));
        assert_eq!(end(NOON.saturating_add(600_999)), NOON.saturating_add(600_000));
        assert_eq!(end(NOON.saturating_add(7_200_000)), NOON.saturating_add(3_600_000));
    }
}
