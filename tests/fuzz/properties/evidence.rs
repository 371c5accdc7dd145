//! Evidence bundles and signatures of actions: one spelling each, and nobody is found to have authorised what its key
//! did not sign.

use std::sync::LazyLock;

use atl::apki::Certificate;
use atl::apki::chain::Anchors;
use atl::apki::federation::TrustDomain;
use atl::apki::trust_score::Score;
use atl::keys::{Ed25519Signer, PublicKey, Signer};
use atl::log::checkpoint::Origin;
use atl::merkle::Hash;
use atl::time::UnixMillis;
use atl::verify::evidence::{Digest, Evidence, Outcome, Question, SignedAction, verify};
use atl::verify::relying::{
    Domain, Domains, LogList, Policy, RelyingParty, RevocationMode, RevocationPolicy, Trusted, TrustedLog,
};

/// The root that the agents of the seeds stand below.
const ROOT: &str = "3081ef3081a2a003020102020107300506032b6570300f310d300b06035504030c04526f6f74301e170d3235303130313030\
    303030305a170d3335303130313030303030305a300f310d300b06035504030c04526f6f74302a300506032b65700321008a88e3dd7409f195\
    fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5ca3233021300f0603551d130101ff040530030101ff300e0603551d0f0101ff0404\
    03020106300506032b6570034100e2a351da4ca1610f97c8de7c9e8569bbfd48761dd1f692d9272f526450133b92930906a7f69f2f1798bdca\
    6d165dd992d0aeaced4e6585a2b19622296c1f0f0d";

/// Who trusts that root and the two logs of the seeds.
static PARTY: LazyLock<RelyingParty> = LazyLock::new(|| {
    let pairs = ROOT.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    let octets: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let root = Certificate::parse(octets).unwrap();
    let log = |seed: u8, origin: Option<Origin>| TrustedLog {
        name: format!("log {seed}"),
        origin,
        key: Ed25519Signer::from_seed(&[seed; 32]).unwrap().public_key().clone(),
        operator: format!("operator {seed}"),
        from: UnixMillis::default(),
        until: None,
    };
    let policy = Policy::new(
        Score::new(40).unwrap(),
        RevocationPolicy { mode: RevocationMode::HardFail, max_age: None, issuers: false },
    );
    let domain = Domain::own(Trusted::Roots(Anchors::new([root]).unwrap()));
    RelyingParty {
        policy,
        domains: Domains::new([(TrustDomain::parse("example.com").unwrap(), domain)]),
        logs: LogList::new(vec![log(11, "log.example.com/2026".parse().ok()), log(12, None)]).unwrap(),
    }
});

/// A signature and a bundle have one spelling; a bundle holds where no link fails, and then its octets are those that
/// the agent's key signed.
pub fn evidence(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input)
        && let Ok(action) = SignedAction::parse(text)
    {
        assert_eq!(action.as_str(), text);
    }
    check(input);
    // Chance does not find the hash at the end.
    if let Some(sealed) = sealed(input) {
        check(&sealed);
    }
}

/// The same with the hash at its end set right.
fn sealed(input: &[u8]) -> Option<Vec<u8>> {
    let (before, _) = str::from_utf8(input).ok()?.rsplit_once("  \"sha256\": \"")?;
    let hash = Hash::of(before.as_bytes());
    Some(format!("{before}  \"sha256\": \"{hash}\"\n}}\n").into_bytes())
}

fn check(file: &[u8]) {
    let Ok(evidence) = Evidence::parse(file) else { return };
    assert_eq!(evidence.to_json(), file);
    let finding = verify(&evidence, &PARTY, &Question::default());
    let fails = finding.links.iter().any(|link| link.outcome == Outcome::Fails);
    assert_eq!(finding.holds(), !fails);
    serde_json::to_string(&finding).unwrap();
    if finding.holds() {
        let statement = evidence.signature.statement();
        let key = PublicKey::from_spki_der(evidence.certificate.spki_der()).unwrap();
        assert!(evidence.signature.verify(&key).is_ok());
        assert_eq!(statement.certificate, evidence.certificate.fingerprint());
        assert!(evidence.action.is_none_or(|action| Digest::of(&action) == statement.digest));
        assert!(!evidence.proofs.is_empty() || !evidence.tlog_proofs.is_empty());
    }
}

/// Whether every link of a bundle holds.
#[allow(dead_code, reason = "the fuzzer does not ask")]
pub fn holds(input: &[u8]) -> bool {
    Evidence::parse(input).is_ok_and(|evidence| verify(&evidence, &PARTY, &Question::default()).holds())
}
