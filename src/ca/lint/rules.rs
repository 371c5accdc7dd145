//! The rules, one by one. Each is checked on what was read back, with no help from the writer but
//! for the few values that are the same in every certificate.

use std::fmt;

use der::asn1::ObjectIdentifier;
use thiserror::Error;

use crate::apki::certificate::{AgentNameError, Certificate, CertificateError};
use crate::apki::chain::Issuer;
use crate::apki::precertificate::Precertificate;
use crate::apki::{ExtensionError, oid};
use crate::ca::profile::{
    CLIENT_AND_SERVER, DIGITAL_SIGNATURE, MAX_VALIDITY_SECONDS, MIN_VALIDITY_SECONDS, Profile, authority_value,
    name_value, status_values,
};
use crate::ca::serial::Serial;
use crate::keys::{PublicKey, key_identifier};
use crate::time::UnixMillis;

macro_rules! rules {
    ($($rule:ident, $code:literal, $demand:literal;)*) => {
        /// What a certificate must keep to be signed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule {
            $(#[doc = $demand] $rule,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$rule,)*];

            /// A stable short name, for metrics and records.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$rule => $code,)* }
            }

            /// What it demands.
            pub const fn demand(self) -> &'static str {
                match self { $(Self::$rule => $demand,)* }
            }
        }
    };
}

rules! {
    ThrowAwayKey, "throw-away-key", "the throw-away key signs";
    Structure, "structure", "the octets are one TBSCertificate in strict DER";
    Version, "version", "the version is 3";
    Serial, "serial", "the serial number is the one asked for, positive and 16 to 20 octets long";
    Algorithm, "algorithm", "the signature algorithm is the issuer's, inside and outside";
    Issuer, "issuer", "the issuer is the issuing certificate's subject, octet for octet";
    Subject, "subject", "the subject is empty";
    Validity, "validity", "the validity is the one asked for, 5 minutes to 24 hours, within the issuer's, and now";
    Key, "key", "the key is the agent's, P-256 or Ed25519, and not the issuer's";
    DuplicateExtension, "duplicate-extension", "every extension is there once";
    UnknownExtension, "unknown-extension", "no extension is there that the profile does not have";
    MissingExtension, "missing-extension", "every extension that the profile demands is there";
    Criticality, "criticality", "an extension is critical where the profile says so, and only there";
    Order, "extension-order", "the extensions are in the profile's order";
    Name, "name", "subjectAltName is the agent URI asked for, and the SPIFFE ID where one was, and nothing else";
    TrustDomain, "trust-domain", "the agent is of the issuer's trust domain";
    KeyUsage, "key-usage", "keyUsage is digitalSignature alone";
    ExtendedKeyUsage, "extended-key-usage", "extKeyUsage is clientAuth and serverAuth";
    AuthorityKeyIdentifier, "authority-key-identifier", "authorityKeyIdentifier is the issuer's subjectKeyIdentifier";
    SubjectKeyIdentifier, "subject-key-identifier", "subjectKeyIdentifier is made from the key (RFC 7093, method 1)";
    StatusUrls, "status-urls", "authorityInfoAccess and cRLDistributionPoints have the URLs asked for, and nothing else";
    TrustScore, "trust-score", "agentTrustScore is strict and the one asked for";
    Tier, "tier", "trustTier is the tier of score";
    Capabilities, "capabilities", "agentCapabilities are strict and those asked for";
    Delegation, "delegation", "agentDelegation is strict and the one asked for";
    Provenance, "provenance", "agentProvenance is strict and the one asked for";
    Attestation, "attestation", "agentBehaviouralAttestation is strict and the one asked for";
    CapabilitiesHash, "capabilities-hash", "declaredCapabilitiesHash is SHA-256 of the value of agentCapabilities";
    Poison, "poison", "the poison is NULL";
    SatList, "sat-list", "signedAgentTimestampList is strict, and every SAT is for the precertificate";
    Correspondence, "correspondence", "the final certificate gives back its precertificate, octet for octet";
    WebpkiPoison, "webpki-poison", "webpki refuses the precertificate for its critical poison";
    Webpki, "webpki", "webpki accepts the certificate for both ends of TLS";
}

impl Rule {
    /// This rule, broken by what was found.
    pub(super) fn broken(self, found: impl fmt::Display) -> LintFailure {
        LintFailure { rule: self, found: found.to_string() }
    }
}

/// A rule that a certificate breaks. It was not signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the certificate was not signed: {} (rule {}), but found {found}", rule.demand(), rule.code())]
pub struct LintFailure {
    /// The rule.
    pub rule: Rule,
    /// What was found instead.
    pub found: String,
}

type Verdict = Result<(), LintFailure>;

fn demand(good: bool, rule: Rule, found: impl fmt::Display) -> Verdict {
    if good { Ok(()) } else { Err(rule.broken(found)) }
}

/// An extension of the profile, in its place.
pub(super) struct Place {
    oid: ObjectIdentifier,
    critical: bool,
    required: bool,
}

const fn place(oid: ObjectIdentifier, critical: bool, required: bool) -> Place {
    Place { oid, critical, required }
}

const SHARED: [Place; 12] = [
    place(oid::SUBJECT_ALT_NAME, true, true),
    place(oid::KEY_USAGE, true, true),
    place(oid::EXTENDED_KEY_USAGE, false, true),
    place(oid::AUTHORITY_KEY_IDENTIFIER, false, true),
    place(oid::SUBJECT_KEY_IDENTIFIER, false, true),
    place(oid::AUTHORITY_INFO_ACCESS, false, false),
    place(oid::CRL_DISTRIBUTION_POINTS, false, false),
    place(oid::AGENT_TRUST_SCORE, false, true),
    place(oid::AGENT_CAPABILITIES, false, true),
    place(oid::AGENT_DELEGATION, false, false),
    place(oid::AGENT_PROVENANCE, false, false),
    place(oid::AGENT_BEHAVIOURAL_ATTESTATION, false, false),
];

/// The extensions of a precertificate.
pub(super) const PRECERTIFICATE: [Place; 13] = {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = SHARED;
    [a, b, c, d, e, f, g, h, i, j, k, l, place(oid::PRECERTIFICATE_POISON, true, true)]
};

/// The extensions of a final certificate.
pub(super) const FINAL: [Place; 14] = {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = SHARED;
    let last = place(oid::PRECERTIFICATE_SIGNATURE, false, true);
    [a, b, c, d, e, f, g, h, i, j, k, l, place(oid::SIGNED_AGENT_TIMESTAMP_LIST, false, true), last]
};

/// Which rule a certificate breaks that does not parse.
pub(super) fn of_structure(error: &CertificateError) -> LintFailure {
    let rule = match error {
        CertificateError::NotVersion3 => Rule::Version,
        CertificateError::AlgorithmMismatch => Rule::Algorithm,
        CertificateError::DuplicateExtension(_) => Rule::DuplicateExtension,
        CertificateError::TooLong(_) | CertificateError::Der(_) | CertificateError::UniqueIdentifier => Rule::Structure,
    };
    rule.broken(error)
}

/// The fields before the extensions.
pub(super) fn check_fields(certificate: &Certificate, issuer: &Issuer, now: UnixMillis) -> Verdict {
    Serial::from_bytes(certificate.serial()).map_err(|e| Rule::Serial.broken(e))?;
    // The parser has compared the algorithm inside with the one outside.
    let algorithm = certificate.signature_algorithm();
    demand(algorithm == Some(issuer.key().algorithm()), Rule::Algorithm, format_args!("{algorithm:?}"))?;
    let (name, authority) = (certificate.issuer_der(), issuer.certificate());
    demand(name == authority.subject_der(), Rule::Issuer, hex::encode(name))?;
    let subject = certificate.subject_der();
    demand(subject == [0x30, 0x00], Rule::Subject, hex::encode(subject))?;

    let (start, end) = (certificate.not_before(), certificate.not_after());
    let bounds = MIN_VALIDITY_SECONDS * 1000..=MAX_VALIDITY_SECONDS * 1000;
    let validity = |good, what| demand(good, Rule::Validity, format_args!("{start} to {end}, {what}"));
    validity(bounds.contains(&end.since(start)), "which is too short or too long")?;
    validity(start <= now && now <= end, "which is not now")?;
    let within = authority.not_before() <= start && end <= authority.not_after();
    validity(within, "which is not within the issuer's validity")?;

    let key = PublicKey::from_spki_der(certificate.spki_der()).map_err(|e| Rule::Key.broken(e))?;
    demand(key != *issuer.key(), Rule::Key, "the issuer's key")
}

/// Which extensions there are, critical or not, and in which order.
pub(super) fn check_extensions(certificate: &Certificate, places: &[Place]) -> Verdict {
    let mut before = None;
    for extension in certificate.extensions() {
        let named = || match ObjectIdentifier::from_bytes(extension.oid) {
            Ok(oid) => oid.to_string(),
            Err(_) => hex::encode(extension.oid),
        };
        let here = places.iter().position(|place| extension.is(&place.oid));
        let here = here.ok_or_else(|| Rule::UnknownExtension.broken(named()))?;
        let found = if extension.critical { "critical" } else { "not critical" };
        demand(extension.critical == places[here].critical, Rule::Criticality, format_args!("{}, {found}", named()))?;
        demand(before < Some(here), Rule::Order, format_args!("{} behind one that belongs behind it", named()))?;
        before = Some(here);
    }
    let missing = places.iter().find(|place| place.required && certificate.extension(&place.oid).is_none());
    missing.map_or(Ok(()), |place| Err(Rule::MissingExtension.broken(format_args!("no {}", place.oid))))
}

/// The one agent URI, at most a SPIFFE ID behind it, and nothing else, for an agent that the issuer
/// may name.
pub(super) fn check_name(certificate: &Certificate, issuer: &Certificate, trust_domain: &str) -> Verdict {
    let agent = certificate.agent_uri().map_err(|e| Rule::Name.broken(e))?;
    let names = certificate.uri_names().map_err(|e| Rule::Name.broken(AgentNameError::from(e)))?;
    let second = names.get(1).map(|name| String::from_utf8_lossy(name));
    let expected = name_value(&agent, second.as_deref()).map_err(|e| Rule::Name.broken(e))?;
    demand(value(certificate, &oid::SUBJECT_ALT_NAME) == expected, Rule::Name, "other names besides")?;
    demand(agent.trust_domain() == trust_domain, Rule::TrustDomain, format_args!("{agent}, not of {trust_domain}"))?;
    issuer.permits_agent(&agent).map_err(|e| Rule::TrustDomain.broken(e))
}

/// What the key may be used for.
pub(super) fn check_usages(certificate: &Certificate) -> Verdict {
    let usage = value(certificate, &oid::KEY_USAGE);
    demand(usage == DIGITAL_SIGNATURE, Rule::KeyUsage, hex::encode(usage))?;
    let purposes = value(certificate, &oid::EXTENDED_KEY_USAGE);
    demand(purposes == CLIENT_AND_SERVER, Rule::ExtendedKeyUsage, hex::encode(purposes))
}

/// Both key identifiers.
pub(super) fn check_key_identifiers(certificate: &Certificate, of_issuer: &[u8]) -> Verdict {
    let authority = value(certificate, &oid::AUTHORITY_KEY_IDENTIFIER);
    demand(authority == authority_value(of_issuer), Rule::AuthorityKeyIdentifier, hex::encode(authority))?;
    let expected = key_identifier(certificate.spki_der()).map_err(|e| Rule::Key.broken(e))?;
    let found = value(certificate, &oid::SUBJECT_KEY_IDENTIFIER);
    let subject = certificate.subject_key_identifier();
    demand(subject == Some(&expected[..]), Rule::SubjectKeyIdentifier, hex::encode(found))
}

/// Every agent extension that is there decodes strictly, and the attestation is of the capabilities.
pub(super) fn check_agent_extensions(certificate: &Certificate) -> Verdict {
    strict(certificate.trust_score(), Rule::TrustScore)?;
    strict(certificate.capabilities(), Rule::Capabilities)?;
    strict(certificate.delegation(), Rule::Delegation)?;
    strict(certificate.provenance(), Rule::Provenance)?;
    let Some(attestation) = strict(certificate.attestation(), Rule::Attestation)? else { return Ok(()) };
    let declared = attestation.declared_capabilities_hash;
    demand(certificate.capabilities_hash() == Some(declared), Rule::CapabilitiesHash, hex::encode(declared))
}

/// The poison, which is there and critical, is a NULL.
pub(super) fn check_poison(certificate: &Certificate) -> Verdict {
    let poison = Precertificate::of(certificate).map_err(|e| Rule::Poison.broken(e))?;
    demand(poison.is_some(), Rule::Poison, "no poison")
}

/// The certificate says what was asked for.
pub(super) fn check_asked(certificate: &Certificate, asked: &Profile) -> Verdict {
    let serial = certificate.serial();
    demand(serial == asked.serial.as_bytes(), Rule::Serial, hex::encode(serial))?;
    let (start, end) = (certificate.not_before(), certificate.not_after());
    let same = start == asked.not_before.millis() && end == asked.not_after.millis();
    demand(same, Rule::Validity, format_args!("{start} to {end}, which was not asked for"))?;
    let expected = name_value(&asked.name, asked.spiffe.as_deref()).map_err(|e| Rule::Name.broken(e))?;
    let names = value(certificate, &oid::SUBJECT_ALT_NAME);
    demand(names == expected, Rule::Name, String::from_utf8_lossy(names).escape_debug())?;
    let spki = certificate.spki_der();
    demand(spki == asked.public_key.spki_der(), Rule::Key, hex::encode(spki))?;

    let (access, points) = match &asked.status {
        Some(urls) => status_values(urls).map_err(|e| Rule::StatusUrls.broken(e))?,
        None => Default::default(),
    };
    for (oid, expected) in [(oid::AUTHORITY_INFO_ACCESS, access), (oid::CRL_DISTRIBUTION_POINTS, points)] {
        let found = value(certificate, &oid);
        demand(found == expected, Rule::StatusUrls, format_args!("{oid} {}", hex::encode(found)))?;
    }

    let score = strict(certificate.trust_score(), Rule::TrustScore)?;
    demand(score.as_ref() == Some(&asked.trust_score), Rule::TrustScore, format_args!("{score:?}"))?;
    let capabilities = strict(certificate.capabilities(), Rule::Capabilities)?;
    // As many as 64, and evidence of 16 KiB, are more than a message should have.
    demand(capabilities.as_ref() == Some(&asked.capabilities), Rule::Capabilities, "other capabilities")?;
    let delegation = strict(certificate.delegation(), Rule::Delegation)?;
    demand(delegation == asked.delegation, Rule::Delegation, format_args!("{delegation:?}"))?;
    let provenance = strict(certificate.provenance(), Rule::Provenance)?;
    demand(provenance == asked.provenance, Rule::Provenance, "another agentProvenance, or none")?;
    let attestation = strict(certificate.attestation(), Rule::Attestation)?;
    let hash = certificate.capabilities_hash().unwrap_or_default();
    let expected = asked.attestation.as_ref().map(|facts| facts.with_hash(hash));
    demand(attestation == expected, Rule::Attestation, format_args!("{attestation:?}"))
}

fn strict<T>(read: Result<Option<T>, ExtensionError>, rule: Rule) -> Result<Option<T>, LintFailure> {
    read.map_err(|e| if matches!(e, ExtensionError::Tier { .. }) { Rule::Tier } else { rule }.broken(e))
}

/// The value of an extension; empty where it is not there, which no extension of ours is.
fn value<'a>(certificate: &'a Certificate, oid: &ObjectIdentifier) -> &'a [u8] {
    certificate.extension(oid).map_or(&[], |extension| extension.value)
}
