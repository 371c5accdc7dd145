//! Admission: nothing enters that no anchor stands behind.

use std::sync::LazyLock;

use atl::apki::Certificate;
use atl::apki::precertificate::Precertificate;
use atl::keys::{Ed25519Signer, PublicKey, Signer};
use atl::log::admission::{Anchors, Refusal, Rules, Screened, VerifiedPath};
use atl::log::entry::{CertHash, EntryType, Fingerprint, Submission};
use atl::time::UnixMillis;
use atl::wire::Reader;

/// The anchors, the rules and the moment of the vectors.
pub const ROOTS: [&[u8]; 2] =
    [include_bytes!("../../vectors/certs/p256/root.der"), include_bytes!("../../vectors/certs/ed25519/root.der")];
const RULES: Rules = Rules {
    not_after_start: UnixMillis::new(1768046400000),
    not_after_limit: UnixMillis::new(1783598400000),
    max_chain_length: 4,
};
pub const NOW: UnixMillis = UnixMillis::new(1775824200000);

/// The keys of the Ed25519 anchor of the vectors and of the CA below it, published there for tests.
const ROOT_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIBJWb9EOIPc+MnBaXe2AbSlBAs/clMJevepqiNVv8G1c";
const ORG_KEY: &str = "MC4CAQAwBQYDK2VwBCIEICB1S7qFBcDYTOTmxwAjzaWhJk/8gpBJUkOOGo9FDAj+";

static ANCHORS: LazyLock<Anchors> =
    LazyLock::new(|| Anchors::new(ROOTS.map(|der| Certificate::parse(der).unwrap())).unwrap());
pub static KEYS: LazyLock<[Ed25519Signer; 2]> = LazyLock::new(|| [ROOT_KEY, ORG_KEY].map(signer));

fn signer(pkcs8: &str) -> Ed25519Signer {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pkcs8}\n-----END PRIVATE KEY-----\n");
    Ed25519Signer::from_pkcs8_pem(&pem).unwrap()
}

/// A submission and its chain: the stated type (0 for none), then for each certificate an octet
/// and an `opaque<0..2^16-1>`. Where the octet is 1 or 2, the anchor or the CA signs what stands
/// there, so that altered certificates get past the signature checks as well.
pub fn admission(input: &[u8]) {
    let mut reader = Reader::new(input);
    let Ok(stated) = reader.u8() else { return };
    let mut certificates = Vec::new();
    while let (Ok(by), Ok(der)) = (reader.u8(), reader.opaque16()) {
        certificates.push(signed(by, der.to_vec()));
    }
    if certificates.is_empty() {
        return;
    }
    let submission = certificates.remove(0);
    let stated = EntryType::from_number(stated.into());
    match admit(submission.clone(), stated, certificates) {
        Ok((admitted, anchor)) => {
            assert_eq!(admitted.der, submission);
            assert!(stated.is_none_or(|stated| stated == admitted.entry_type));
            check(&admitted, anchor);
        }
        Err(refusal) => {
            let _ = (refusal.fault(), refusal.to_string());
        }
    }
}

fn admit(der: Vec<u8>, stated: Option<EntryType>, chain: Vec<Vec<u8>>) -> Result<(Submission, Fingerprint), Refusal> {
    let screened = Screened::new(der, stated, &RULES, NOW)?;
    let (found, path) = VerifiedPath::find(screened.clone(), chain, &ANCHORS, &RULES)?;
    assert_eq!(screened.under(&path).as_ref(), Ok(&found), "a path that is known gives the same");
    Ok((found, path.anchor()))
}

/// Looks at what was admitted once more, link by link.
fn check(admitted: &Submission, anchor: Fingerprint) {
    assert_eq!(admitted.cert_hash, CertHash::of_certificate(&admitted.der));
    let mut child = Certificate::parse(&admitted.der[..]).unwrap();
    let poisoned = Precertificate::of(&child).unwrap().is_some();
    assert_eq!(poisoned, admitted.entry_type == EntryType::Precertificate);
    assert!(child.has_apki_extension() && child.agent_uri().is_ok());
    assert!(child.not_after() >= NOW && child.not_after() < RULES.not_after_limit);

    let fingerprints = admitted.chain.fingerprints();
    assert!(fingerprints.len() < RULES.max_chain_length);
    assert_eq!(fingerprints.last(), Some(&anchor));
    assert!(ROOTS.iter().any(|root| Fingerprint::of_certificate(root) == anchor));
    for (fingerprint, der) in admitted.chain.certificates() {
        assert_eq!(fingerprint, Fingerprint::of_certificate(der));
        let issuer = Certificate::parse(der).unwrap();
        assert_eq!(child.issuer_der(), issuer.subject_der());
        assert!(
            issuer.basic_constraints().unwrap().unwrap().ca && issuer.key_usage().unwrap().unwrap().key_cert_sign()
        );
        let key = PublicKey::from_spki_der(issuer.spki_der()).unwrap();
        assert_eq!(child.signature_algorithm(), Some(key.algorithm()));
        assert_eq!(key.verify(child.tbs_der(), child.signature()), Ok(()));
        child = issuer;
    }
}

/// `der` with the signature of one of [`KEYS`] in place of its own, which is the last of it.
pub fn signed(by: u8, mut der: Vec<u8>) -> Vec<u8> {
    let Some(key) = usize::from(by).checked_sub(1).and_then(|place| KEYS.get(place)) else { return der };
    let Ok(certificate) = Certificate::parse(&der[..]) else { return der };
    let signature = key.sign(certificate.tbs_der()).unwrap();
    if certificate.signature().len() == signature.len() {
        let start = der.len() - signature.len();
        der[start..].copy_from_slice(&signature);
    }
    der
}
