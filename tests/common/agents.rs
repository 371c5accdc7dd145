//! Agents' certificates for tests, good ones and an attacker's: made of parts of which a test changes one at a
//! time. It needs no feature of the crate.
#![allow(dead_code, reason = "each test program uses a part")]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use atl::apki::attestation::{Attestation, AttestationMethod};
use atl::apki::capabilities::{Amount, Capabilities, Capability, Currency, SpendLimit};
use atl::apki::certificate::crl_distribution_points_der;
use atl::apki::chain::Anchors;
use atl::apki::delegation::{AttenuationRules, Delegation};
use atl::apki::extension::{AsciiText, Text};
use atl::apki::federation::TrustDomain;
use atl::apki::moment::Moment;
use atl::apki::precertificate::{Precertificate, certificate_der, extension_der, poison_der};
use atl::apki::provenance::Provenance;
use atl::apki::status::RevocationReason;
use atl::apki::status::crl::{self, Crl, CrlTemplate, RevokedCertificate};
use atl::apki::status::ocsp::{
    CertId, CertIdHash, CertStatus, ResponseTemplate, SingleResponse, basic_response, responder_key_hash,
};
use atl::apki::trust_score::{DecayRate, Score, TrustScore};
use atl::apki::{AgentExtension, AgentUri, Certificate, oid};
use atl::keys::{EcdsaP256Signer, Ed25519Signer, SignatureAlgorithm, Signer, key_identifier};
use atl::log::entry::CertHash;
use atl::log::sat::{SatList, SignedAgentTimestamp};
use atl::time::UnixMillis;
use atl::verify::relying::{
    Domain, Domains, Link, LogList, Operation, Policy, Presented, RelyingParty, RevocationMode, RevocationPolicy,
    Trusted, TrustedLog,
};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use der::asn1::ObjectIdentifier;
use der::pem::{self, LineEnding};
use sha2::{Digest, Sha256};

/// When the tests are: 2026-04-10T12:00:00Z.
pub const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);
/// The trust domain of the tests.
pub const DOMAIN: &str = "agents.example";
/// The tool that every agent of a [`Profile`] may call.
pub const TOOL: &str = "https://api.agents.example/accounts";
/// What it may do with it.
pub const SCOPE: &str = "accounts/read";

pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;

/// A private key.
pub struct Key {
    pkcs8: Vec<u8>,
    signer: Box<dyn Signer>,
}

impl Key {
    /// The Ed25519 key with this seed.
    pub fn ed25519(seed: u8) -> Self {
        let signer = Ed25519Signer::from_seed(&[seed; 32]).unwrap();
        let (_, pkcs8) = pem::decode_vec(signer.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
        Self { pkcs8, signer: Box::new(signer) }
    }

    /// A new P-256 key.
    pub fn p256() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let signer = EcdsaP256Signer::from_pkcs8_der(pkcs8.as_ref(), std::sync::Arc::new(random)).unwrap();
        Self { pkcs8: pkcs8.as_ref().to_vec(), signer: Box::new(signer) }
    }

    /// What signs with it.
    pub fn signer(&self) -> &dyn Signer {
        &*self.signer
    }

    /// The SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        self.signer.public_key().spki_der()
    }

    /// What certificates that it signs say.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.signer.public_key().algorithm()
    }

    /// PKCS#8 as PEM.
    pub fn pem(&self) -> String {
        pem::encode_string("PRIVATE KEY", LineEnding::LF, &self.pkcs8).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signer.sign(message).unwrap()
    }
}

/// The fields of a certificate, each as it will stand in the DER: nothing is checked.
#[derive(Clone)]
pub struct Draft {
    /// The content of the serial number.
    pub serial: Vec<u8>,
    /// The issuer's Name.
    pub issuer: Vec<u8>,
    /// The first moment and the last.
    pub validity: (UnixMillis, UnixMillis),
    /// The subject's Name.
    pub subject: Vec<u8>,
    /// The subject's key.
    pub spki: Vec<u8>,
    /// Extensions, in DER.
    pub extensions: Vec<Vec<u8>>,
}

impl Draft {
    /// The TBSCertificate, for a signature with this algorithm.
    pub fn tbs(&self, algorithm: SignatureAlgorithm) -> Vec<u8> {
        let (from, until) = (moment(self.validity.0), moment(self.validity.1));
        let parts = [
            vec![0xa0, 0x03, 0x02, 0x01, 0x02],
            tlv(0x02, &self.serial),
            algorithm.algorithm_identifier_der().to_vec(),
            self.issuer.clone(),
            tlv(0x30, &[from.to_validity_der(), until.to_validity_der()].concat()),
            self.subject.clone(),
            self.spki.clone(),
            tlv(0xa3, &tlv(0x30, &self.extensions.concat())),
        ];
        tlv(0x30, &parts.concat())
    }

    /// The certificate, signed with this key.
    pub fn sign(&self, key: &Key) -> Certificate {
        let algorithm = key.algorithm();
        let tbs = self.tbs(algorithm);
        let der = certificate_der(&tbs, algorithm.algorithm_identifier_der(), &key.sign(&tbs));
        Certificate::parse(der).unwrap()
    }
}

/// A CA with its key and the certificates above it.
pub struct Ca {
    /// Its certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: Key,
    /// Its issuer first, the root last.
    pub above: Vec<Certificate>,
}

impl Ca {
    /// A root that has this name and key.
    pub fn root(name: &str, key: Key) -> Self {
        let certificate = Self::draft(name, &key, name_der(name)).sign(&key);
        Self { certificate, key, above: Vec::new() }
    }

    /// A CA below this one.
    pub fn below(&self, name: &str, key: Key) -> Self {
        self.below_with(name, key, |_| {})
    }

    /// A CA below this one whose certificate `change` had a hand in.
    pub fn below_with(&self, name: &str, key: Key, change: impl FnOnce(&mut Draft)) -> Self {
        let mut draft = Self::draft(name, &key, self.certificate.subject_der().to_vec());
        change(&mut draft);
        let above = [&[self.certificate.clone()][..], &self.above].concat();
        Self { certificate: draft.sign(&self.key), key, above }
    }

    fn draft(name: &str, key: &Key, issuer: Vec<u8>) -> Draft {
        let identifier = key_identifier(key.spki()).unwrap();
        Draft {
            serial: serial(),
            issuer,
            validity: (NOW.saturating_sub(1000 * HOUR), NOW.saturating_add(100_000 * HOUR)),
            subject: name_der(name),
            spki: key.spki().to_vec(),
            extensions: vec![
                extension_der(&oid::BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xff]),
                // keyCertSign, cRLSign
                extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x06]),
                extension_der(&oid::SUBJECT_KEY_IDENTIFIER, false, &tlv(0x04, &identifier)),
            ],
        }
    }

    /// What an agent presents behind its certificate: this CA and those above it but the root.
    pub fn chain(&self) -> Vec<Certificate> {
        let above = self.above.split_last().map_or(&[][..], |(_, between)| between);
        [&[self.certificate.clone()][..], above].concat()
    }

    /// A revocation list of all that this CA has issued, true for an hour from `at` on.
    pub fn crl(&self, at: UnixMillis, revoked: &[&Certificate]) -> Crl {
        let template = CrlTemplate {
            issuer_der: self.certificate.subject_der(),
            algorithm: self.key.algorithm(),
            this_update: moment(at),
            next_update: moment(at.saturating_add(HOUR)),
            number: at.get(),
            authority_key_identifier: self.certificate.subject_key_identifier().unwrap(),
            scope: None,
        };
        let entry = |certificate: &&Certificate| (certificate.serial().to_vec(), moment(at));
        let entries: Vec<_> = revoked.iter().map(entry).collect();
        let entries = entries.iter().map(|(serial, at)| RevokedCertificate {
            serial,
            at: *at,
            reason: RevocationReason::KeyCompromise,
            certificate_issuer: None,
        });
        let tbs = template.tbs(entries).unwrap();
        Crl::parse(crl::signed(&tbs, self.key.algorithm(), &self.key.sign(&tbs))).unwrap()
    }

    /// An OCSP answer of this CA about a certificate, true for an hour from `at` on.
    pub fn ocsp(&self, certificate: &Certificate, at: UnixMillis, status: CertStatus) -> Vec<u8> {
        let id = CertId::of(&self.certificate, certificate.serial(), CertIdHash::Sha1).unwrap();
        let (this_update, next_update) = (moment(at), moment(at.saturating_add(HOUR)));
        let single = SingleResponse { cert_id: &id, status, this_update, next_update };
        let template = ResponseTemplate {
            responder_key_hash: responder_key_hash(self.key.signer().public_key()).unwrap(),
            produced_at: this_update,
            responses: &[single],
            nonce: None,
        };
        let tbs = template.tbs();
        basic_response(&tbs, self.key.algorithm(), &self.key.sign(&tbs), None)
    }
}

/// A log that gives timestamps.
pub struct TestLog {
    /// What it is called.
    pub name: &'static str,
    /// Who runs it.
    pub operator: &'static str,
    /// Its key.
    pub key: Key,
}

impl TestLog {
    /// The timestamp for a submission of this hash.
    pub fn stamp(&self, at: UnixMillis, hash: CertHash) -> SignedAgentTimestamp {
        SignedAgentTimestamp::sign(self.key.signer(), at, hash).unwrap()
    }

    /// As relying parties know it.
    pub fn trusted(&self) -> TrustedLog {
        TrustedLog {
            name: self.name.to_owned(),
            origin: None,
            key: self.key.signer().public_key().clone(),
            operator: self.operator.to_owned(),
            from: UnixMillis::new(0),
            until: None,
        }
    }
}

/// What an agent's certificate says; a part that is `None` is left out.
#[derive(Clone)]
pub struct Profile {
    pub uri: String,
    pub not_before: UnixMillis,
    pub not_after: UnixMillis,
    pub score: Option<TrustScore>,
    pub capabilities: Option<Capabilities>,
    pub delegation: Option<Delegation>,
    pub provenance: Option<Provenance>,
    pub attestation: Option<AttestationMethod>,
    /// Where the revocation list is that would name it.
    pub crl_url: Option<String>,
    /// Behind all others: extensions in DER.
    pub more: Vec<Vec<u8>>,
}

impl Profile {
    /// `agent://agents.example/org/worker/<name>`, valid for an hour, with these points, a read capability for
    /// [`TOOL`], and nobody above it.
    pub fn new(name: &str, points: u8) -> Self {
        Self {
            uri: format!("agent://{DOMAIN}/org/worker/{name}"),
            not_before: NOW.saturating_sub(10 * MINUTE),
            not_after: NOW.saturating_add(50 * MINUTE),
            score: Some(score(points, 0)),
            capabilities: Some(capabilities(&[capability(TOOL, SCOPE)])),
            delegation: None,
            provenance: None,
            attestation: None,
            crl_url: None,
            more: Vec::new(),
        }
    }

    /// The same with agentDelegation at the root of a line, for which Ann answers.
    pub fn principal(mut self) -> Self {
        self.delegation = Some(delegation([0; 32], 0, Some("Ann")));
        self
    }

    /// The same one step below `parent`, ending as it does.
    pub fn below(mut self, parent: &Agent) -> Self {
        let above = parent.certificate.delegation().unwrap().unwrap();
        self.delegation = Some(delegation(parent.certificate.fingerprint(), above.depth + 1, None));
        self.not_after = parent.certificate.not_after();
        self
    }

    /// The certificate before anybody signs it: of a final one without timestamps.
    pub fn draft(&self, key: &Key, issuer: &Ca) -> Draft {
        let names = tlv(0x30, &tlv(0x86, self.uri.as_bytes()));
        let mut extensions = vec![
            extension_der(&oid::SUBJECT_ALT_NAME, true, &names),
            // digitalSignature
            extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x07, 0x80]),
        ];
        if let Some(url) = &self.crl_url {
            let point = crl_distribution_points_der(url, None);
            extensions.push(extension_der(&oid::CRL_DISTRIBUTION_POINTS, false, &point));
        }
        let capabilities = self.capabilities.as_ref().map(|value| value.to_der().unwrap());
        put(&mut extensions, self.score.as_ref());
        extensions.extend(capabilities.as_ref().map(|der| extension_der(&oid::AGENT_CAPABILITIES, false, der)));
        put(&mut extensions, self.delegation.as_ref());
        put(&mut extensions, self.provenance.as_ref());
        let attestation = self.attestation.map(|method| Attestation {
            declared_capabilities_hash: Sha256::digest(capabilities.unwrap_or_default()).into(),
            method,
            attestor_identity: None,
            time: moment(self.not_before),
            evidence_uri: None,
        });
        put(&mut extensions, attestation.as_ref());
        extensions.extend(self.more.iter().cloned());
        Draft {
            serial: serial(),
            issuer: issuer.certificate.subject_der().to_vec(),
            validity: (self.not_before, self.not_after),
            subject: tlv(0x30, &[]),
            spki: key.spki().to_vec(),
            extensions,
        }
    }
}

fn put<E: AgentExtension>(extensions: &mut Vec<Vec<u8>>, value: Option<&E>) {
    extensions.extend(value.map(|value| extension_der(&E::OID, false, &value.to_der().unwrap())));
}

/// The precertificate of a draft.
pub fn precertificate(draft: &Draft, issuer: &Key) -> Certificate {
    let mut draft = draft.clone();
    draft.extensions.push(poison_der());
    draft.sign(issuer)
}

/// The final certificate of a precertificate, with these timestamps in it.
pub fn finish(precertificate: &Certificate, sats: Vec<SignedAgentTimestamp>, issuer: &Key) -> Certificate {
    let poisoned = Precertificate::of(precertificate).unwrap().unwrap();
    let tbs = poisoned.final_tbs(&SatList::new(sats).unwrap().to_der());
    poisoned.assemble(&tbs, &issuer.sign(&tbs)).unwrap()
}

/// An agent with all that it presents.
pub struct Agent {
    /// Its certificate.
    pub certificate: Certificate,
    /// The CAs behind it, without the root.
    pub issuers: Vec<Certificate>,
    /// Those above it, its parent first, each with its CAs behind it where they are others.
    pub parents: Vec<Certificate>,
    /// Its key.
    pub key: Key,
}

impl Agent {
    /// Who it is.
    pub fn uri(&self) -> AgentUri {
        self.certificate.agent_uri().unwrap()
    }

    /// The certificates in the order in which they are presented.
    pub fn certificates(&self) -> Vec<Certificate> {
        [&[self.certificate.clone()][..], &self.issuers, &self.parents].concat()
    }

    /// What a relying party sees.
    pub fn presented(&self) -> Presented {
        Presented::from_certificates(self.certificates()).unwrap()
    }

    /// As a link of somebody else's line.
    pub fn link(&self) -> Link {
        Link::new(self.certificate.clone(), self.issuers.clone())
    }

    /// What `cert.pem` has: the certificate and its issuers.
    pub fn chain_pem(&self) -> String {
        pem_of(&[&[self.certificate.clone()][..], &self.issuers].concat())
    }

    /// What `parents.pem` has.
    pub fn parents_pem(&self) -> String {
        pem_of(&self.parents)
    }
}

/// A domain with a root, a CA below it, two logs of two operators, and whoever trusts them.
pub struct World {
    pub root: Ca,
    pub ca: Ca,
    pub logs: [TestLog; 2],
}

impl World {
    /// The world of the tests. Its keys are Ed25519 and the same each time.
    pub fn new() -> Self {
        let root = Ca::root("Root", Key::ed25519(1));
        let ca = root.below("Org", Key::ed25519(2));
        let logs = [
            TestLog { name: "https://one.example", operator: "One", key: Key::ed25519(11) },
            TestLog { name: "https://two.example", operator: "Two", key: Key::ed25519(12) },
        ];
        Self { root, ca, logs }
    }

    /// An agent of this profile with an Ed25519 key, in both logs.
    pub fn agent(&self, profile: &Profile) -> Agent {
        static SEED: AtomicU64 = AtomicU64::new(100);
        let seed = u8::try_from(100 + SEED.fetch_add(1, Ordering::Relaxed) % 100).unwrap();
        self.agent_with(profile, Key::ed25519(seed))
    }

    /// An agent of this profile with this key, in both logs.
    pub fn agent_with(&self, profile: &Profile, key: Key) -> Agent {
        let precertificate = precertificate(&profile.draft(&key, &self.ca), &self.ca.key);
        let sats = self.stamps(&precertificate, profile.not_before);
        let certificate = finish(&precertificate, sats, &self.ca.key);
        Agent { certificate, issuers: self.ca.chain(), parents: Vec::new(), key }
    }

    /// An agent one step below `parent`, which brings its parents along.
    pub fn child(&self, profile: Profile, parent: &Agent) -> Agent {
        let mut child = self.agent(&profile.below(parent));
        child.parents = [&[parent.certificate.clone()][..], &parent.parents].concat();
        child
    }

    /// An agent of which no log knows.
    pub fn unlogged(&self, profile: &Profile) -> Agent {
        let mut agent = self.agent(profile);
        agent.certificate = profile.draft(&agent.key, &self.ca).sign(&self.ca.key);
        agent
    }

    /// The timestamps of both logs for a precertificate.
    pub fn stamps(&self, precertificate: &Certificate, at: UnixMillis) -> Vec<SignedAgentTimestamp> {
        let hash = CertHash::of_certificate(precertificate.der());
        self.logs.iter().map(|log| log.stamp(at, hash)).collect()
    }

    /// Trusts the root for the domain, and both logs.
    pub fn party(&self, policy: Policy) -> RelyingParty {
        let anchors = Anchors::new([self.root.certificate.clone()]).unwrap();
        let domain = (TrustDomain::parse(DOMAIN).unwrap(), Domain::own(Trusted::Roots(anchors)));
        let logs = LogList::new(self.logs.iter().map(TestLog::trusted).collect()).unwrap();
        RelyingParty { policy, domains: Domains::new([domain]), logs }
    }
}

/// Wants 40 points, and asks nobody about revocation.
pub fn policy() -> Policy {
    Policy::new(Score::new(40).unwrap(), RevocationPolicy { mode: RevocationMode::Off, max_age: None, issuers: false })
}

/// A score of ten minutes ago that falls by so many points an hour.
pub fn score(points: u8, decay: u8) -> TrustScore {
    TrustScore {
        score: Score::new(points).unwrap(),
        decay_rate: DecayRate::new(decay).unwrap(),
        last_updated: moment(NOW.saturating_sub(10 * MINUTE)),
        computation_method: None,
    }
}

/// These capabilities.
pub fn capabilities(all: &[Capability]) -> Capabilities {
    Capabilities::new(all.to_vec()).unwrap()
}

/// A tool in a scope, without money.
pub fn capability(tool: &str, scope: &str) -> Capability {
    let (tool_uri, scope) = (AsciiText::new(tool).unwrap(), Text::new(scope).unwrap());
    Capability { tool_uri, scope, spend_limit: None, rate_limit: None }
}

/// The same with so many minor units at once and a day.
pub fn spending(mut capability: Capability, once: u64, daily: u64, currency: &str) -> Capability {
    capability.spend_limit = Some(SpendLimit {
        max_per_transaction: Some(Amount::new(once).unwrap()),
        max_per_period: Some(Amount::new(daily).unwrap()),
        period_seconds: NonZeroU32::new(86_400),
        currency: Currency::new(currency).unwrap(),
    });
    capability
}

/// A call of a tool, without money.
pub fn operation(tool: &str, scope: &str) -> Operation {
    Operation { tool_uri: AsciiText::new(tool).unwrap(), scope: Text::new(scope).unwrap(), spend: None }
}

/// agentDelegation at this depth, of 5 at most.
pub fn delegation(parent_cert_hash: [u8; 32], depth: u8, human: Option<&str>) -> Delegation {
    let human_principal = human.map(|name| Text::new(name).unwrap());
    Delegation { parent_cert_hash, depth, max_depth: 5, rules: AttenuationRules::default(), human_principal }
}

/// The whole second at or before this moment.
pub fn moment(at: UnixMillis) -> Moment {
    Moment::floor(at).unwrap()
}

/// A Name of one commonName.
pub fn name_der(common_name: &str) -> Vec<u8> {
    let attribute = [tlv(0x06, &[0x55, 0x04, 0x03]), tlv(0x0c, common_name.as_bytes())].concat();
    tlv(0x30, &tlv(0x31, &tlv(0x30, &attribute)))
}

/// A serial number that no other certificate of this process has.
pub fn serial() -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    [&[0x41][..], &NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes(), &[0; 7]].concat()
}

/// An extension of any OID.
pub fn extension(oid: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    extension_der(&ObjectIdentifier::new_unwrap(oid), critical, value)
}

/// Certificates as PEM, one behind the other.
pub fn pem_of(certificates: &[Certificate]) -> String {
    let block = |c: &Certificate| pem::encode_string("CERTIFICATE", LineEnding::LF, c.der()).unwrap();
    certificates.iter().map(block).collect()
}

/// DER: a tag, the length, the content.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let length = match content.len() {
        0..0x80 => vec![length[3]],
        0x80..0x100 => vec![0x81, length[3]],
        0x100..0x1_0000 => vec![0x82, length[2], length[3]],
        _ => [&[0x84][..], &length].concat(),
    };
    [&[tag][..], &length, content].concat()
}
