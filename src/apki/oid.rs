//! Object identifiers: our provisional arc and the few of RFC 5280 that we read.

use der::asn1::ObjectIdentifier;

/// The arc of all APKI extensions until IANA assigns one: the documentation enterprise number of
/// RFC 5612 (protocol section 1). The one place to change.
pub const ARC: &str = "1.3.6.1.4.1.32473.1";

const ARC_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap(ARC);

const fn apki(suffix: u32) -> ObjectIdentifier {
    match ARC_OID.push_arc(suffix) {
        Ok(oid) => oid,
        Err(_) => panic!("the arc has room for one more number"), // at compile time
    }
}

/// agentTrustScore (draft 5.2).
pub const AGENT_TRUST_SCORE: ObjectIdentifier = apki(1);
/// agentCapabilities (draft 5.3).
pub const AGENT_CAPABILITIES: ObjectIdentifier = apki(2);
/// agentDelegation (draft 5.4).
pub const AGENT_DELEGATION: ObjectIdentifier = apki(3);
/// agentProvenance (draft 5.5).
pub const AGENT_PROVENANCE: ObjectIdentifier = apki(4);
/// agentBehaviouralAttestation (draft 5.6).
pub const AGENT_BEHAVIOURAL_ATTESTATION: ObjectIdentifier = apki(5);
/// signedAgentTimestampList (protocol section 3).
pub const SIGNED_AGENT_TIMESTAMP_LIST: ObjectIdentifier = apki(6);
/// precertificatePoison (protocol section 3).
pub const PRECERTIFICATE_POISON: ObjectIdentifier = apki(7);
/// precertificateSignature (protocol section 3).
pub const PRECERTIFICATE_SIGNATURE: ObjectIdentifier = apki(8);

/// The five extensions that say something about an agent; a submission has at least one of them.
pub const AGENT_EXTENSIONS: [ObjectIdentifier; 5] =
    [AGENT_TRUST_SCORE, AGENT_CAPABILITIES, AGENT_DELEGATION, AGENT_PROVENANCE, AGENT_BEHAVIOURAL_ATTESTATION];

/// subjectKeyIdentifier (RFC 5280 section 4.2.1.2).
pub const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
/// keyUsage (RFC 5280 section 4.2.1.3).
pub const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
/// subjectAltName (RFC 5280 section 4.2.1.6).
pub const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// basicConstraints (RFC 5280 section 4.2.1.9).
pub const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
/// nameConstraints (RFC 5280 section 4.2.1.10).
pub const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
/// authorityKeyIdentifier (RFC 5280 section 4.2.1.1).
pub const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
/// extKeyUsage (RFC 5280 section 4.2.1.12).
pub const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
