use super::*;
use crate::apki::attestation::AttestationMethod;
use crate::apki::precertificate::Precertificate;
use crate::apki::trust_score::{Score, TrustTier};
use crate::cli::pki::{Authority, Claims, DemoPki, KeyKind, SigningKey, Stamp};
use crate::keys::{Ed25519Signer, Signer};
use crate::log::sat::SignedAgentTimestamp;
use serde_json::Value;

const HOUR_MS: u64 = 3_600_000;

pub(in crate::cli::agent) struct Scene {
    pub(in crate::cli::agent) root: Certificate,
    org: Authority,
    pub(in crate::cli::agent) key: SigningKey,
    now: UnixMillis,
}

fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32]).unwrap()
}

pub(in crate::cli::agent) fn log(seed: u8) -> KnownLog {
    let key = signer(seed).public_key().clone();
    KnownLog { name: format!("https://log{seed}.example"), operator: None, key, pinned: true }
}

pub(in crate::cli::agent) fn agent() -> AgentUri {
    "agent://bank.example.com/retail/teller/7".parse().unwrap()
}

impl Scene {
    fn new() -> Self {
        Self::at(UnixMillis::new(1_780_000_000_000))
    }

    pub(in crate::cli::agent) fn at(now: UnixMillis) -> Self {
        let pki = DemoPki::new(KeyKind::P256, now).unwrap();
        Self {
            root: pki.root.open().unwrap().certificate().clone(),
            org: pki.org.open().unwrap(),
            key: SigningKey::generate(KeyKind::Ed25519).unwrap(),
            now,
        }
    }

    /// A final certificate whose timestamps `stamp` makes of the precertificate's hash.
    fn certificate(&self, stamp: impl Fn(CertHash) -> Vec<SignedAgentTimestamp>) -> Certificate {
        let claims = Claims::shopper(72).unwrap();
        let der = Stamp::new(&self.org, &claims, self.now).unwrap().precertificate(&agent(), &self.key).unwrap();
        let parsed = Certificate::parse(der.clone()).unwrap();
        let precertificate = Precertificate::of(&parsed).unwrap().unwrap();
        let list = SatList::new(stamp(CertHash::of_certificate(&der))).unwrap();
        let tbs = precertificate.final_tbs(&list.to_der());
        precertificate.assemble(&tbs, &self.org.sign(&tbs).unwrap()).unwrap()
    }

    pub(in crate::cli::agent) fn good(&self) -> Certificate {
        self.certificate(|hash| vec![self.sat(1, hash), self.sat(2, hash)])
    }

    fn sat(&self, seed: u8, hash: CertHash) -> SignedAgentTimestamp {
        SignedAgentTimestamp::sign(&signer(seed), self.now, hash).unwrap()
    }

    fn anchors(&self) -> Anchors {
        Anchors::new([self.root.clone()]).unwrap()
    }

    fn inspect(&self, certificate: &Certificate, logs: &[KnownLog], now: UnixMillis) -> Inspection {
        inspect(certificate, &[self.org.certificate().clone()], Some(&self.anchors()), logs, now)
    }

    pub(in crate::cli::agent) fn answer(&self, certificate: &Certificate) -> CertificateAnswer {
        CertificateAnswer {
            serial: hex::encode(certificate.serial()),
            sha256: crate::api::ca::Hex32(certificate.fingerprint()),
            agent: agent(),
            score: Score::new(72).unwrap(),
            tier: TrustTier::Elevated,
            attestation: AttestationMethod::CaVerified,
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            renew_at: certificate.not_before(),
            chain_pem: pem_of([certificate, self.org.certificate()]).unwrap(),
            sats: Vec::new(),
        }
    }

    fn accept(&self, answer: &CertificateAnswer, logs: &[KnownLog]) -> Result<Vec<Certificate>, AnswerError> {
        let (anchors, agent, spki) = (self.anchors(), agent(), self.key.public_key().spki_der().to_vec());
        accept(answer, Expected { agent: &agent, spki: &spki, anchors: &anchors, logs, now: self.now })
    }
}

#[test]
fn a_good_certificate_has_no_fault() {
    let scene = Scene::new();
    let found = scene.inspect(&scene.good(), &[log(1)], scene.now);
    assert_eq!(found.faults, [""; 0]);
    assert_eq!((found.agent, found.chain), (Ok(agent()), Some(Ok(scene.root.fingerprint()))));
    let states: Vec<_> = found.sats.iter().map(|sat| sat.state.clone()).collect();
    assert_eq!(states, [SatState::Verified, SatState::UnknownLog]);
    assert!(matches!(found.logged, Logged::Precertificate(_)));
}

#[test]
fn each_fault_is_named() {
    let scene = Scene::new();
    let logs = [log(1), log(2)];
    let fault = |certificate: &Certificate, now| scene.inspect(certificate, &logs, now).faults.join("; ");
    let good = scene.good();
    let late = scene.now.saturating_add(HOUR_MS + 1000);
    assert!(fault(&good, late).starts_with("the certificate ended at "));
    let early = scene.now.saturating_sub(HOUR_MS);
    assert!(fault(&good, early).contains("is not valid before"));

    let other = scene.certificate(|_| vec![scene.sat(1, CertHash::new([7; 32]))]);
    assert!(fault(&other, scene.now).contains("the timestamp of https://log1.example: it is over 0707"));
    let unknown = scene.certificate(|_| vec![scene.sat(9, CertHash::new([7; 32]))]);
    assert!(fault(&unknown, scene.now).contains("it is over 0707"), "also of a log that nobody knows");
    let forged = scene.certificate(|hash| vec![SignedAgentTimestamp { signature: vec![0; 64], ..scene.sat(1, hash) }]);
    assert!(fault(&forged, scene.now).contains("signature does not verify"));
    let ahead = scene.now.saturating_add(61_000);
    let future = scene.certificate(|hash| vec![SignedAgentTimestamp::sign(&signer(1), ahead, hash).unwrap()]);
    assert!(fault(&future, scene.now).contains("is not yet"));
    let after = scene.now.saturating_add(3 * HOUR_MS);
    let posthumous = scene.certificate(|hash| vec![SignedAgentTimestamp::sign(&signer(1), after, hash).unwrap()]);
    assert!(fault(&posthumous, after).contains("after the certificate's end"));

    let claims = Claims::shopper(72).unwrap();
    let poisoned = Stamp::new(&scene.org, &claims, scene.now).unwrap().precertificate(&agent(), &scene.key).unwrap();
    assert!(fault(&Certificate::parse(poisoned).unwrap(), scene.now).contains("it is a precertificate"));

    let stranger = Scene::new();
    let found = inspect(&good, &[scene.org.certificate().clone()], Some(&stranger.anchors()), &logs, scene.now);
    assert!(found.faults.join(" ").contains("the chain to the root does not verify"));
}

#[test]
fn answers_are_taken_only_where_they_are_ours() {
    let scene = Scene::new();
    let logs = [log(1), log(2)];
    let good = scene.good();
    let answer = scene.answer(&good);
    assert_eq!(scene.accept(&answer, &logs), Ok(vec![good.clone(), scene.org.certificate().clone()]));
    assert_eq!(scene.accept(&answer, &[log(3)]), Err(AnswerError::NoTimestamp(2)));

    let key = SigningKey::generate(KeyKind::P256).unwrap().public_key().spki_der().to_vec();
    let (anchors, us) = (scene.anchors(), agent());
    let expected = Expected { agent: &us, spki: &key, anchors: &anchors, logs: &logs, now: scene.now };
    assert_eq!(accept(&answer, expected), Err(AnswerError::Key));
    let (spki, them) =
        (scene.key.public_key().spki_der().to_vec(), "agent://bank.example.com/retail/teller/8".parse().unwrap());
    let expected = Expected { agent: &them, spki: &spki, anchors: &anchors, logs: &logs, now: scene.now };
    assert_eq!(accept(&answer, expected), Err(AnswerError::Agent(us.clone())));

    let other = CertificateAnswer { sha256: crate::api::ca::Hex32([0; 32]), ..answer.clone() };
    assert_eq!(scene.accept(&other, &logs), Err(AnswerError::Words("a SHA-256")));
    let alone = CertificateAnswer { chain_pem: pem_of([&good]).unwrap(), ..answer.clone() };
    assert!(matches!(scene.accept(&alone, &logs), Err(AnswerError::Faults(_))));
    for chain_pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN "] {
        let broken = CertificateAnswer { chain_pem: chain_pem.into(), ..answer.clone() };
        assert!(matches!(scene.accept(&broken, &logs), Err(AnswerError::Chain(_))), "{chain_pem}");
    }
    let forged = scene.certificate(|hash| {
        vec![scene.sat(1, hash), SignedAgentTimestamp { signature: vec![0; 64], ..scene.sat(2, hash) }]
    });
    assert!(matches!(scene.accept(&scene.answer(&forged), &logs), Err(AnswerError::Faults(_))));
}

#[test]
fn logs_are_given_as_url_and_key_or_as_verifier_key() {
    let known = log(1);
    let key = STANDARD.encode(known.key.spki_der());
    assert_eq!(format!("{}+{key}", known.name).parse(), Ok(known.clone()));
    assert_eq!(format!("{}/+{key}", known.name).parse(), Ok(known.clone()));
    let vkey = VerifierKey::new("log1.example".parse().unwrap(), known.key.clone()).unwrap();
    let named: KnownLog = vkey.to_string().parse().unwrap();
    assert_eq!((named.name.as_str(), &named.key), ("log1.example", &known.key));
    assert_eq!(KnownLog::restore(&known.saved()), Ok(known.clone()));
    for bad in ["", "https://log.example", "https://log.example+", "https://log.example+!", "https://x+AAAA", "log+1+2"]
    {
        assert!(bad.parse::<KnownLog>().is_err(), "{bad}");
    }
}

/// Whatever the other implementation's relying party accepts has no fault here either.
#[test]
fn accepted_vectors_have_no_fault() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(dir.join("certs.json")).unwrap()).unwrap();
    let read = |path: &Value| Certificate::parse(std::fs::read(dir.join(path.as_str().unwrap())).unwrap()).unwrap();
    let now = UnixMillis::new(file["now_ms"].as_u64().unwrap());
    let logs: Vec<KnownLog> = file["logs"].as_array().unwrap().iter().map(known).collect();
    let chains = file["chains"].as_array().unwrap();
    for row in chains {
        let anchors = Anchors::new([read(&row["root"])]).unwrap();
        let found = inspect(&read(&row["final"]), &[read(&row["org"])], Some(&anchors), &logs, now);
        assert_eq!((found.faults.as_slice(), found.verified()), (&[][..], row["sat_logs"].as_array().unwrap().len()));
        let Logged::Precertificate(hash) = found.logged else { panic!("{row}") };
        assert_eq!(hex::encode(hash.as_bytes()), row["cert_hash_hex"]);
    }
    assert_eq!(chains.len(), 4);
    let roots = ["certs/p256/root.der", "certs/ed25519/root.der"].map(|path| read(&path.into()));
    let anchors = Anchors::new(roots).unwrap();
    let accepted = |row: &&Value| row["rp"]["accept"] == true && row["final"].is_string();
    let mut looked_at = 0;
    for row in file["cases"].as_array().unwrap().iter().filter(accepted) {
        let issuers: Vec<_> = row["rp_chain"].as_array().unwrap().iter().map(read).collect();
        let found = inspect(&read(&row["final"]), &issuers, Some(&anchors), &logs, now);
        // A timestamp that does not hold is reported, and to a relying party it only does not count (R12).
        let others: Vec<_> = found.faults.iter().filter(|fault| !fault.starts_with("the timestamp of")).collect();
        assert_eq!(others, [""; 0], "{}", row["name"]);
        looked_at += 1;
    }
    assert_eq!(looked_at, 46);
}

fn known(row: &Value) -> KnownLog {
    let spki = STANDARD.decode(row["key"]["spki_b64"].as_str().unwrap()).unwrap();
    let key = PublicKey::from_spki_der(&spki).unwrap();
    KnownLog { name: row["name"].as_str().unwrap().to_owned(), operator: None, key, pinned: true }
}
