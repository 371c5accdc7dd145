//! The relying party: whatever is presented, one verdict within bounded work, and nobody is accepted whom no
//! anchor and no log stands behind.

use std::sync::LazyLock;

use atl::apki::chain::{Anchors, IssuerPath};
use atl::apki::federation::TrustDomain;
use atl::apki::precertificate::{Precertificate, certificate_der, extension_der, poison_der};
use atl::apki::trust_score::Score;
use atl::apki::{Certificate, oid};
use atl::keys::{Ed25519Signer, SignatureAlgorithm, Signer};
use atl::log::entry::CertHash;
use atl::log::sat::{SatList, SignedAgentTimestamp};
use atl::time::UnixMillis;
use atl::verify::relying::{
    Domain, Domains, Effort, Facts, LogList, Policy, Presented, RelyingParty, Request, RevocationMode,
    RevocationPolicy, Trusted, TrustedLog, Verdict,
};
use atl::wire::Reader;

use super::admission::{self, KEYS, NOW, ROOTS};

const DOMAIN: &str = "agents.example.com";
const START: UnixMillis = UnixMillis::new(1_775_822_400_000);

static LOGS: LazyLock<[Ed25519Signer; 2]> =
    LazyLock::new(|| [1u8, 2].map(|n| Ed25519Signer::from_seed(&[n; 32]).unwrap()));

static PARTY: LazyLock<RelyingParty> = LazyLock::new(|| {
    let anchors = Anchors::new(ROOTS.map(|der| Certificate::parse(der).unwrap())).unwrap();
    let log = |place: usize| TrustedLog {
        name: format!("log {place}"),
        origin: None,
        key: LOGS[place].public_key().clone(),
        operator: format!("operator {place}"),
        from: UnixMillis::default(),
        until: None,
    };
    let policy = Policy::new(
        Score::new(20).unwrap(),
        RevocationPolicy { mode: RevocationMode::SoftFail, max_age: None, issuers: true },
    );
    let domain = (TrustDomain::parse(DOMAIN).unwrap(), Domain::own(Trusted::Roots(anchors)));
    RelyingParty { policy, domains: Domains::new([domain]), logs: LogList::new(vec![log(0), log(1)]).unwrap() }
});

/// Certificates, each an octet and an `opaque<0..2^16-1>`. Where the octet is 1 or 2, the anchor or the CA
/// signs what stands there; where it is 3, the CA certifies the agent in it anew, with the timestamps of both
/// logs, so that altered certificates get past the signatures as well.
pub fn verdict(input: &[u8]) {
    let Some(presented) = presented(input) else { return };
    let facts = Facts::default();
    let request = Request { operation: None, facts: &facts, now: NOW, past: false };
    let whole = PARTY.decide(presented.clone(), &request, Effort::Whole);
    let bounded = PARTY.decide(presented.clone(), &request, Effort::Bounded);
    assert_eq!(whole.is_accepted(), bounded.is_accepted());
    assert!(bounded.reasons().iter().all(|reason| whole.reasons().contains(reason)));
    assert_eq!(PARTY.judge(&PARTY.examine(presented.clone()), &request), whole);
    assert!(!serde_json::to_string(&whole).unwrap().is_empty());
    match whole {
        Verdict::Refused(refused) => assert!(!refused.reasons().is_empty() && !refused.to_string().is_empty()),
        Verdict::Accepted(accepted) => {
            let agent = &presented.agent;
            assert_eq!(accepted.domain.as_str(), DOMAIN);
            assert_eq!(accepted.certificate, agent.certificate.fingerprint());
            assert!(accepted.score >= PARTY.policy.minimum && accepted.good_until > NOW);
            let (_, domain) = PARTY.domains.get(DOMAIN).unwrap();
            let path = IssuerPath::find(&agent.certificate, agent.issuers.clone(), domain.trusted.anchors(), 4);
            assert!(path.is_ok(), "{path:?}");
        }
    }
}

/// Whether somebody is accepted.
#[allow(dead_code, reason = "the fuzzer asks the property alone")]
pub fn accepts(input: &[u8]) -> bool {
    let facts = Facts::default();
    let request = Request { operation: None, facts: &facts, now: NOW, past: false };
    presented(input).is_some_and(|presented| PARTY.decide(presented, &request, Effort::Bounded).is_accepted())
}

fn presented(input: &[u8]) -> Option<Presented> {
    let mut reader = Reader::new(input);
    let mut certificates = Vec::new();
    while let (Ok(by), Ok(der)) = (reader.u8(), reader.opaque16()) {
        certificates.push(match by {
            3 => logged(der).unwrap_or_else(|| der.to_vec()),
            by => admission::signed(by, der.to_vec()),
        });
    }
    Presented::from_der(certificates.iter().map(Vec::as_slice)).ok()
}

/// The agent's certificate as the CA of the Ed25519 anchor would issue it, logged anew.
fn logged(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::parse(der).ok()?;
    let unlogged = |extension: &atl::apki::certificate::Extension<'_>| {
        ![oid::SIGNED_AGENT_TIMESTAMP_LIST, oid::PRECERTIFICATE_SIGNATURE, oid::PRECERTIFICATE_POISON]
            .iter()
            .any(|oid| extension.is(oid))
    };
    let kept: Vec<&[u8]> = certificate.extensions().filter(unlogged).map(|extension| extension.der).collect();
    let tbs = with_extensions(certificate.tbs_der(), &kept)?;
    let algorithm = SignatureAlgorithm::Ed25519.algorithm_identifier_der();
    let submitted = Certificate::parse(certificate_der(&tbs, algorithm, &KEYS[1].sign(&tbs).ok()?)).ok()?;
    let precertificate = Precertificate::of(&submitted).ok()??;
    let hash = CertHash::of_certificate(submitted.der());
    let sats = LOGS.iter().map(|log| SignedAgentTimestamp::sign(log, START, hash).unwrap()).collect();
    let tbs = precertificate.final_tbs(&SatList::new(sats).ok()?.to_der());
    Some(precertificate.assemble(&tbs, &KEYS[1].sign(&tbs).ok()?).ok()?.into_der().into_vec())
}

/// The TBSCertificate `tbs`, whose extensions stand last, with these and the poison in their place.
fn with_extensions(tbs: &[u8], extensions: &[&[u8]]) -> Option<Vec<u8>> {
    let (content, _) = element(tbs)?;
    // The extensions are the last element, [3].
    let mut rest = content;
    let mut head = 0;
    while let Some((_, length)) = element(rest) {
        if rest[0] == 0xa3 {
            break;
        }
        head += length;
        rest = &rest[length..];
    }
    let poison = poison_der();
    let mut list: Vec<u8> = extensions.concat();
    list.extend_from_slice(&poison);
    let extensions = wrap(0xa3, &wrap(0x30, &list));
    Some(wrap(0x30, &[&content[..head], &extensions].concat()))
}

/// The content of the first element in DER, and its whole length.
fn element(der: &[u8]) -> Option<(&[u8], usize)> {
    let first = usize::from(*der.get(1)?);
    let (length, start) = match first {
        0..=0x7f => (first, 2),
        _ => {
            let octets = der.get(2..2 + (first & 0x7f))?;
            (octets.iter().fold(0usize, |n, octet| n << 8 | usize::from(*octet)), 2 + octets.len())
        }
    };
    Some((der.get(start..start.checked_add(length)?)?, start + length))
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    // As the content of an OCTET STRING in an extension is written: the library's own writer of lengths.
    let whole = extension_der(&oid::KEY_USAGE, false, content);
    let (outer, _) = element(&whole).unwrap();
    let (_, oid) = element(outer).unwrap();
    let mut wrapped = outer[oid..].to_vec();
    wrapped[0] = tag;
    wrapped
}
