//! Certificates and entries for the tests of rules: a conforming one, of which a test changes one part.

use atl::apki::attestation::{Attestation, AttestationMethod};
use atl::apki::capabilities::{Capabilities, Capability};
use atl::apki::delegation::{AttenuationRules, Delegation};
use atl::apki::extension::{AgentExtension, AsciiText, Text};
use atl::apki::moment::Moment;
use atl::apki::precertificate::{Precertificate, certificate_der, extension_der, poison_der};
use atl::apki::provenance::Provenance;
use atl::apki::trust_score::{DecayRate, Score, TrustScore};
use atl::apki::{Certificate, oid};
use atl::keys::{Ed25519Signer, SignatureAlgorithm, Signer, key_identifier};
use atl::log::entry::{CertHash, Fingerprint};
use atl::log::note::VerifierKey;
use atl::log::sat::{SatList, SignedAgentTimestamp};
use atl::merkle::LeafIndex;
use atl::time::UnixMillis;
use sha2::{Digest, Sha256};

use atl_monitor::finding::{Class, Finding};
use atl_monitor::rules::settings::{Owner, Settings};
use atl_monitor::rules::{Entry, Judged, Memory, Rulebook};
use atl_monitor::watched::WatchedLog;

/// When the tests are: 2026-04-10T12:00:00Z.
pub const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);
pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;
pub const URI: &str = "agent://agents.bank.example/payments/worker/one";

pub fn key(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32]).unwrap()
}

/// The log of this name, whose key has this seed.
pub fn log(name: &str, seed: u8) -> WatchedLog {
    let key = VerifierKey::new(name.parse().unwrap(), key(seed).public_key().clone()).unwrap();
    WatchedLog::new(key, "https://log.example".into(), String::new()).unwrap()
}

pub fn log_a() -> WatchedLog {
    log("a.log.example", 201)
}

pub fn log_b() -> WatchedLog {
    log("b.log.example", 202)
}

/// The parts of a certificate. The extensions are in DER, each with a name.
#[derive(Clone)]
pub struct Draft {
    pub serial: u8,
    pub subject: Vec<u8>,
    pub validity: (UnixMillis, UnixMillis),
    pub extensions: Vec<(&'static str, Vec<u8>)>,
}

/// What keeps every rule: a certificate for an hour, with a score of 50.
pub fn draft(uri: &str) -> Draft {
    let identifier = |seed| key_identifier(key(seed).public_key().spki_der()).unwrap();
    let capabilities = Capabilities::new(vec![Capability {
        tool_uri: AsciiText::new("https://api.bank.example/accounts").unwrap(),
        scope: Text::new("accounts/read").unwrap(),
        spend_limit: None,
        rate_limit: None,
    }]);
    let capabilities = capabilities.unwrap().to_der().unwrap();
    let attestation = Attestation {
        declared_capabilities_hash: Sha256::digest(&capabilities).into(),
        method: AttestationMethod::CaVerified,
        attestor_identity: None,
        time: Moment::floor(NOW).unwrap(),
        evidence_uri: None,
    };
    let purposes = [[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1], [6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2]].concat();
    Draft {
        serial: 1,
        subject: tlv(0x30, &[]),
        validity: (NOW, NOW.saturating_add(HOUR)),
        extensions: vec![
            ("san", san(true, &[uri])),
            ("usage", extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x07, 0x80])),
            ("purposes", extension_der(&oid::EXTENDED_KEY_USAGE, false, &tlv(0x30, &purposes))),
            ("ski", extension_der(&oid::SUBJECT_KEY_IDENTIFIER, false, &tlv(0x04, &identifier(2)))),
            ("aki", extension_der(&oid::AUTHORITY_KEY_IDENTIFIER, false, &tlv(0x30, &tlv(0x80, &identifier(1))))),
            ("score", extension_of(&score(50))),
            ("capabilities", extension_der(&oid::AGENT_CAPABILITIES, false, &capabilities)),
            ("provenance", extension_of(&provenance("somebody"))),
            ("attestation", extension_of(&attestation)),
        ],
    }
}

impl Draft {
    /// With another extension in the place of the one of this name, or behind the others.
    pub fn with(mut self, name: &'static str, extension: Vec<u8>) -> Self {
        match self.extensions.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = extension,
            None => self.extensions.push((name, extension)),
        }
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        let before = self.extensions.len();
        self.extensions.retain(|(known, _)| *known != name);
        assert_eq!(self.extensions.len() + 1, before);
        self
    }

    pub fn valid(mut self, from: UnixMillis, millis: u64) -> Self {
        self.validity = (from, from.saturating_add(millis));
        self
    }

    pub fn bare(&self) -> Certificate {
        let algorithm = SignatureAlgorithm::Ed25519.algorithm_identifier_der();
        let moment = |at| Moment::floor(at).unwrap().to_validity_der();
        let extensions: Vec<u8> = self.extensions.iter().flat_map(|(_, der)| der.clone()).collect();
        let tbs = [
            vec![0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, self.serial],
            algorithm.to_vec(),
            issuer(),
            tlv(0x30, &[moment(self.validity.0), moment(self.validity.1)].concat()),
            self.subject.clone(),
            key(2).public_key().spki_der().to_vec(),
            tlv(0xa3, &tlv(0x30, &extensions)),
        ];
        let tbs = tlv(0x30, &tbs.concat());
        Certificate::parse(certificate_der(&tbs, algorithm, &key(1).sign(&tbs).unwrap())).unwrap()
    }

    pub fn precertificate(&self) -> Certificate {
        self.clone().with("poison", poison_der()).bare()
    }
}

/// The final certificate with these timestamps.
pub fn finish(precertificate: &Certificate, sats: Vec<SignedAgentTimestamp>) -> Certificate {
    finish_with(precertificate, &SatList::new(sats).unwrap().to_der())
}

/// The final certificate with this list of timestamps, whatever it is.
pub fn finish_with(precertificate: &Certificate, sat_list: &[u8]) -> Certificate {
    let poisoned = Precertificate::of(precertificate).unwrap().unwrap();
    let tbs = poisoned.final_tbs(sat_list);
    poisoned.assemble(&tbs, &key(1).sign(&tbs).unwrap()).unwrap()
}

pub fn hash_of(certificate: &Certificate) -> CertHash {
    CertHash::of_certificate(certificate.der())
}

/// A timestamp of the log whose key has this seed.
pub fn sat(seed: u8, certificate: &Certificate) -> SignedAgentTimestamp {
    SignedAgentTimestamp::sign(&key(seed), NOW, hash_of(certificate)).unwrap()
}

/// The name of the CA: CN=CA 1.
pub fn issuer() -> Vec<u8> {
    let attribute = [tlv(0x06, &[0x55, 0x04, 0x03]), tlv(0x0c, b"CA 1")].concat();
    tlv(0x30, &tlv(0x31, &tlv(0x30, &attribute)))
}

pub fn san(critical: bool, uris: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = uris.iter().flat_map(|uri| tlv(0x86, uri.as_bytes())).collect();
    extension_der(&oid::SUBJECT_ALT_NAME, critical, &tlv(0x30, &names))
}

pub fn extension_of<E: AgentExtension>(value: &E) -> Vec<u8> {
    extension_der(&E::OID, false, &value.to_der().unwrap())
}

pub fn score(points: u8) -> TrustScore {
    TrustScore {
        score: Score::new(points).unwrap(),
        decay_rate: DecayRate::new(0).unwrap(),
        last_updated: Moment::floor(NOW).unwrap(),
        computation_method: None,
    }
}

pub fn provenance(organization: &str) -> Provenance {
    let text = |text: &str| Text::new(text).unwrap();
    Provenance {
        model_family: text("m"),
        model_version: text("1"),
        framework: text("f"),
        organization_id: text(organization),
        build_hash: None,
        attest_evidence: None,
    }
}

/// agentDelegation at this depth of five, for which Ann answers at the root.
pub fn delegation(parent: [u8; 32], depth: u8) -> Delegation {
    let human_principal = (depth == 0).then(|| Text::new("Ann").unwrap());
    Delegation { parent_cert_hash: parent, depth, max_depth: 5, rules: AttenuationRules::default(), human_principal }
}

/// DER: a tag, the length, the content.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let length = match content.len() {
        0..0x80 => vec![low],
        0x80..0x100 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag][..], &length, content].concat()
}

/// An owner of bank.example.
pub fn owner() -> Owner {
    Owner { domains: vec![domain("bank.example")], organizations: vec!["Payments".into()], ..Owner::default() }
}

pub fn domain(name: &str) -> atl::apki::federation::TrustDomain {
    atl::apki::federation::TrustDomain::parse(name).unwrap()
}

/// All rules for this owner, who follows both logs; without look-alikes and feed.
pub fn rulebook(owner: Owner) -> Rulebook {
    Rulebook::new(Settings::default(), owner, &[log_a(), log_b()], None, None)
}

/// One leaf of log A, issued by the CA of this number.
pub fn judge_as(book: &Rulebook, memory: &mut Memory, der: &[u8], at: UnixMillis, ca: u16) -> Judged {
    let chain = [Fingerprint::of_certificate(&ca.to_be_bytes()), Fingerprint::of_certificate(b"root")];
    let log = log_a();
    let cert_hash = CertHash::of_certificate(der);
    let (index, der) = (LeafIndex::new(7), Some(der));
    book.judge(&Entry { log: &log, index, timestamp: at, cert_hash, der, chain: &chain }, memory, NOW)
}

pub fn judge(book: &Rulebook, certificate: &Certificate) -> Judged {
    judge_as(book, &mut Memory::default(), certificate.der(), NOW, 1)
}

/// The classes of what was found.
pub fn classes(judged: &Judged) -> Vec<Class> {
    judged.findings.iter().map(|finding| finding.class).collect()
}

/// The line of this name for people.
pub fn detail<'a>(finding: &'a Finding, name: &str) -> &'a str {
    let found = finding.details.iter().find(|(known, _)| known == name);
    found.map_or("", |(_, value)| value.as_str())
}
