//! From what an operator configured to the rules that the CA decides by.

use std::fs;
use std::path::Path;

use zeroize::Zeroizing;

use crate::apki::attenuation::Mode;
use crate::apki::extension::Text;
use crate::ca::policy::{
    ApprovalRule, DelegationRule, Policy, PrincipalRule, ProvenanceRule, RenewalKeyRule, TrustRule, ValidityRule,
};
use crate::ca::registry::Registry;
use crate::cli::output::{CliError, Context};
use crate::config::CaConfig;
use crate::config::ca::{self, HumanPrincipal, ManualApproval, RenewalKey};

/// The rules of a CA with this configuration. `salt` is [`read_salt`]'s and needed where the
/// configuration hashes the human principal; `registry` is [`read_registry`]'s.
///
/// # Errors
/// Where the principal is to be hashed and there is no salt.
pub fn policy(config: &CaConfig, salt: Option<[u8; 32]>, registry: Registry) -> Result<Policy, CliError> {
    let rules = &config.certificates;
    let admission = &config.policy;
    Ok(Policy {
        trust_domain: config.trust_domain.clone(),
        attestor: Text::new(config.organization.clone()).context("organization")?,
        validity: ValidityRule {
            min: rules.min_validity_seconds,
            default: rules.default_validity_seconds,
            max: rules.max_validity_seconds,
        },
        decay_rate: rules.decay_rate,
        computation_method: rules.computation_method.clone(),
        principal: principal(rules.human_principal, salt)?,
        max_delegation_depth: rules.max_delegation_depth,
        renewal_key: match rules.renewal_key {
            RenewalKey::Any => RenewalKeyRule::Any,
            RenewalKey::New => RenewalKeyRule::New,
            RenewalKey::Same => RenewalKeyRule::Same,
        },
        spiffe: rules.spiffe,
        approval: match admission.manual_approval {
            ManualApproval::Never => ApprovalRule::Never,
            ManualApproval::Unregistered => ApprovalRule::Unregistered,
            ManualApproval::Always => ApprovalRule::Always,
        },
        pending_ttl_ms: u64::from(config.issuance.pending_ttl_seconds) * 1000,
        min_score: admission.min_score,
        default_reputation: admission.default_reputation,
        reputations: config.organizations.iter().map(|known| (known.name.clone(), known.reputation)).collect(),
        provenance: provenance(admission),
        registry,
        delegation: delegation(config.delegation),
        trust: TrustRule { reissue_change: config.trust.reissue_change, revoke_below: config.trust.revoke_below },
        max_live: rules.max_live,
        ceiling: config.capability_ceiling.clone(),
    })
}

fn principal(rule: HumanPrincipal, salt: Option<[u8; 32]>) -> Result<PrincipalRule, CliError> {
    match (rule, salt) {
        (HumanPrincipal::Plain, _) => Ok(PrincipalRule::Plain),
        (HumanPrincipal::Hashed, Some(salt)) => Ok(PrincipalRule::Hashed { salt }),
        (HumanPrincipal::Hashed, None) => {
            Err(CliError::new("`certificates.human_principal` is \"hashed\", which needs a salt, and none was read"))
        }
    }
}

fn delegation(rules: ca::Delegation) -> DelegationRule {
    DelegationRule {
        min_score: rules.min_score,
        mode: if rules.strict_subset { Mode::Strict } else { Mode::Subset },
        same_org: rules.same_org,
        max_children: rules.max_children,
    }
}

fn provenance(admission: &ca::Policy) -> ProvenanceRule {
    let names = |texts: &[Text]| texts.iter().map(|text| text.as_str().to_owned()).collect();
    ProvenanceRule {
        models: names(&admission.known_models),
        frameworks: names(&admission.known_frameworks),
        required: admission.require_known_provenance,
    }
}

/// The salt of human principals in this file, as `atl ca init` writes it: 64 lower-case hexadecimal
/// digits and a newline.
///
/// # Errors
/// Where the file cannot be read or holds something else, which no error repeats: it may be a secret.
pub fn read_salt(file: &Path) -> Result<[u8; 32], CliError> {
    let missing = "it holds the salt of the human principals' hashes (`certificates.principal_salt_file`): put it back \
        from the backup, for with another salt the same human gets another hash";
    let octets = fs::read(file).map(Zeroizing::new);
    let octets = octets.map_err(|e| CliError::new(format!("{}: {e}; {missing}", file.display())))?;
    let digits = octets.strip_suffix(b"\n").unwrap_or(&octets);
    let mut salt = [0; 32];
    let lower_case = !digits.iter().any(u8::is_ascii_uppercase);
    if lower_case && hex::decode_to_slice(digits, &mut salt).is_ok() {
        return Ok(salt);
    }
    let expected = "64 lower-case hexadecimal digits and a newline belong into it, and something else is there";
    Err(CliError::new(format!("{}: {expected}; {missing}", file.display())))
}

/// The registry of known-good builds that the configuration names, every entry's signature checked; an
/// empty one where it names none.
///
/// # Errors
/// Where the file cannot be read or is not a registry that its key signed.
pub fn read_registry(config: &CaConfig) -> Result<Registry, CliError> {
    let Some(source) = &config.policy.registry else { return Ok(Registry::default()) };
    let octets = fs::read(&source.file).context(source.file.display())?;
    Registry::parse(&octets, &source.key).context(source.file.display())
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
