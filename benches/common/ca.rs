//! What the benchmarks of the CA share: its policy, who asks it for what, and whose the processor's time is.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use atl::apki::capabilities::Capabilities;
use atl::apki::extension::Text;
use atl::apki::trust_score::{DecayRate, Score};
use atl::ca::policy::{
    ApprovalRule, DEFAULT_MAX_LIVE, DelegationRule, Policy, PrincipalRule, ProvenanceRule, RenewalKeyRule, TrustRule,
    ValidityRule,
};
use atl::ca::registry::Registry;
use atl::ca::service::{Evidence, Form, Principal, TokenScope, UriPattern};
use atl::cli::pki::KeyKind;
use atl::http::limits::Rate;
use atl::keys::{Signer, signer_from_pkcs8_pem};
use rcgen::{CertificateParams, KeyPair, SanType};

pub const TRUST_DOMAIN: &str = "bank.example.com";
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Nobody is turned away.
pub const UNLIMITED: Rate =
    Rate { per_second: NonZeroU32::new(1_000_000).unwrap(), burst: NonZeroU32::new(1_000_000).unwrap() };

/// A new key of this kind.
pub fn new_key(kind: KeyKind) -> KeyPair {
    let algorithm = match kind {
        KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
    };
    KeyPair::generate_for(algorithm).unwrap()
}

/// What signs with the key in this PEM.
pub fn signer(pem: &str) -> Arc<dyn Signer> {
    Arc::from(signer_from_pkcs8_pem(pem, Arc::new(aws_lc_rs::rand::SystemRandom::new())).unwrap())
}

/// What an operator gets who sets nothing but the trust domain.
pub fn policy() -> Policy {
    let text = |text: &str| Text::new(text).unwrap();
    Policy {
        trust_domain: TRUST_DOMAIN.into(),
        attestor: text("Bank"),
        validity: ValidityRule { min: 300, default: 3600, max: 86_400 },
        decay_rate: DecayRate::new(1).unwrap(),
        computation_method: text("initial"),
        principal: PrincipalRule::Hashed { salt: [9; 32] },
        max_delegation_depth: 5,
        renewal_key: RenewalKeyRule::Any,
        spiffe: false,
        approval: ApprovalRule::Never,
        pending_ttl_ms: 3_600_000,
        min_score: Score::new(20).unwrap(),
        default_reputation: 10,
        reputations: Default::default(),
        provenance: ProvenanceRule::default(),
        registry: Registry::default(),
        delegation: DelegationRule::default(),
        trust: TrustRule::default(),
        max_live: DEFAULT_MAX_LIVE,
        ceiling: None,
    }
}

/// What a token is good for: any agent of the trust domain.
pub fn scope() -> TokenScope {
    let agents = UriPattern::parse(&format!("agent://{TRUST_DOMAIN}/*/*/*")).unwrap();
    TokenScope { agents, capabilities: Some(capabilities()), max_validity_seconds: None, replaces: false }
}

/// What agents may do.
pub fn capabilities() -> Capabilities {
    serde_json::from_value(serde_json::json!([
        {"tool_uri": "mcp://ledger.bank.example.com/read", "scope": "accounts/retail"},
        {"tool_uri": "mcp://ledger.bank.example.com/post", "scope": "accounts/retail/fees"},
    ]))
    .unwrap()
}

/// With evidence and a principal: all five extensions are in the certificate.
pub fn form(kind: KeyKind, n: usize) -> Form {
    form_with(&new_key(kind), n)
}

/// The same, for this key.
pub fn form_with(key: &KeyPair, n: usize) -> Form {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let agent = format!("agent://{TRUST_DOMAIN}/retail/teller/{n}");
    params.subject_alt_names = vec![SanType::URI(agent.try_into().unwrap())];
    let csr = params.serialize_request(key).unwrap().der().to_vec();
    let text = |text: &str| Text::new(text).unwrap();
    let evidence = Evidence {
        model_family: text("large"),
        model_version: text("7.1"),
        framework: text("loom"),
        organization: text("Bank"),
        build_hash: Some([7; 32]),
        attestation: None,
        evidence_uri: None,
    };
    let principal = Principal { human: text("alice@bank.example.com"), max_depth: None, rules: Default::default() };
    Form { csr, evidence: Some(evidence), capabilities: None, validity_seconds: None, principal: Some(principal) }
}

/// Processor time so far by the names of threads (Linux).
pub fn threads() -> BTreeMap<String, Duration> {
    let mut used = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        // A thread may have ended meanwhile.
        let read = |file| fs::read_to_string(task.join(file)).ok();
        let Some((name, stat)) = read("comm").zip(read("schedstat")) else { continue };
        let nanoseconds = stat.split_ascii_whitespace().next().unwrap().parse().unwrap();
        *used.entry(name.trim_end().to_owned()).or_default() += Duration::from_nanos(nanoseconds);
    }
    used
}

/// Processor time of this process so far, threads that have ended included (Linux, in hundredths of a second).
pub fn processor() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which may have blanks in it; then it is the 12th and the 13th.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split_ascii_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}
