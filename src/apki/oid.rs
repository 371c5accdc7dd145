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
/// cRLNumber (RFC 5280 section 5.2.3).
pub const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
/// reasonCode (RFC 5280 section 5.3.1).
pub const REASON_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
/// issuingDistributionPoint (RFC 5280 section 5.2.5).
pub const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
/// certificateIssuer (RFC 5280 section 5.3.3).
pub const CERTIFICATE_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.29");
/// cRLDistributionPoints (RFC 5280 section 4.2.1.13).
pub const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
/// authorityInfoAccess (RFC 5280 section 4.2.2.1).
pub const AUTHORITY_INFO_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
/// id-ad-ocsp, the same as id-pkix-ocsp (RFC 5280 section 4.2.2.1).
pub const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
/// id-pkix-ocsp-basic (RFC 6960 section 4.2.1).
pub const OCSP_BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// id-pkix-ocsp-nonce (RFC 9654 section 2.1).
pub const OCSP_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
/// id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1).
pub const OCSP_NO_CHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");
/// id-kp-OCSPSigning (RFC 6960 section 4.2.2.2).
pub const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
