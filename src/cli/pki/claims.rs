//! What the demo certificates say of their agents: the five extensions of `apki-2026.asn1`.

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use super::PkiError;
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::{Amount, Capabilities, Capability, Currency, RateLimit, SpendLimit};
use crate::apki::delegation::{AttenuationRules, Delegation};
use crate::apki::extension::{AsciiText, Text};
use crate::apki::moment::Moment;
use crate::apki::provenance::{Evidence, Provenance};
use crate::apki::trust_score::{DecayRate, Score, TrustScore};
use crate::ca::profile::{AttestationFacts, Statement};

const MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
const DAY: NonZeroU32 = NonZeroU32::new(86_400).unwrap();

/// What a certificate says of an agent. What is not here is the same in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The trust score.
    pub score: Score,
    /// Points that the score loses each hour.
    pub decay_rate: DecayRate,
    /// What the agent may do.
    pub capabilities: Capabilities,
    /// Attestation evidence, which a certificate is made larger with.
    pub evidence: Option<Evidence>,
}

impl Claims {
    /// A shopping agent's, for the demo and for load.
    pub fn shopper(score: u8) -> Result<Self, PkiError> {
        let spend_limit = SpendLimit {
            max_per_transaction: Some(Amount::new(5_000)?),
            max_per_period: Some(Amount::new(50_000)?),
            period_seconds: Some(DAY),
            currency: Currency::new("EUR")?,
        };
        Ok(Self {
            score: Score::new(score)?,
            decay_rate: DecayRate::new(2)?,
            capabilities: Capabilities::new(vec![
                capability("orders", "orders/create", Some(spend_limit), 6)?,
                capability("catalogue", "catalogue/read", None, 600)?,
            ])?,
            evidence: None,
        })
    }

    /// Hands on all that these claims say in a certificate with this validity.
    pub(super) fn stated<T>(
        &self,
        not_before: Moment,
        not_after: Moment,
        take: impl FnOnce(&Statement<'_>) -> T,
    ) -> Result<T, PkiError> {
        let provenance = Provenance {
            model_family: Text::new("demo-model")?,
            model_version: Text::new("1")?,
            framework: Text::new("demo-framework")?,
            organization_id: Text::new("acme")?,
            build_hash: Some(Sha256::digest(b"demo build").into()),
            attest_evidence: self.evidence.clone(),
        };
        let trust_score = TrustScore {
            score: self.score,
            decay_rate: self.decay_rate,
            last_updated: not_before,
            computation_method: Some(Text::new("demo")?),
        };
        let attestation = AttestationFacts {
            method: AttestationMethod::CaVerified,
            attestor_identity: Some(Text::new("demo CA")?),
            time: not_before,
            evidence_uri: None,
        };
        let delegation = delegation()?;
        Ok(take(&Statement {
            not_before,
            not_after,
            status: None,
            trust_score: &trust_score,
            capabilities: &self.capabilities,
            delegation: Some(&delegation),
            provenance: Some(&provenance),
            attestation: Some(&attestation),
        }))
    }
}

fn capability(
    tool: &str,
    scope: &str,
    spend_limit: Option<SpendLimit>,
    requests_per_minute: u32,
) -> Result<Capability, PkiError> {
    Ok(Capability {
        tool_uri: AsciiText::new(format!("https://api.shop.example/{tool}"))?,
        scope: Text::new(scope)?,
        spend_limit,
        rate_limit: Some(RateLimit { max_requests: requests_per_minute, period_seconds: MINUTE }),
    })
}

/// An agent that nobody delegated to: depth 0, no parent, a human behind it (protocol section 6).
fn delegation() -> Result<Delegation, PkiError> {
    let principal = format!("sha256:{}", hex::encode(Sha256::digest(b"demo principal")));
    Ok(Delegation {
        parent_cert_hash: [0; 32],
        depth: 0,
        max_depth: 2,
        rules: AttenuationRules::default(),
        human_principal: Some(Text::new(principal)?),
    })
}
