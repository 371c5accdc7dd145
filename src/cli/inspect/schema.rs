//! The structures that are met here, field by field (RFC 5280, RFC 2986, RFC 6960, RFC 5958, the project's
//! ASN.1 module), for saying where a broken one stops.

use der::asn1::ObjectIdentifier;

use super::outline::Elements;
use super::trace::{Field, Inside};
use crate::apki::oid;
use crate::apki::tlv::{
    BIT_STRING, BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, UTC_TIME, UTF8_STRING,
};

const IA5_STRING: u8 = 0x16;
const PRINTABLE_STRING: u8 = 0x13;

const fn time(name: &'static str, tags: &'static [u8]) -> Field {
    Field { name, tags, optional: false, inside: Inside::Time }
}

/// A time in certificates and lists.
const EITHER: &[u8] = &[UTC_TIME, GENERALIZED_TIME];
const GENERALIZED: &[u8] = &[GENERALIZED_TIME];

const ALGORITHM: Field = Field::value("algorithm", &[SEQUENCE]);
const SIGNATURE_ALGORITHM: Field = Field::value("signatureAlgorithm", &[SEQUENCE]);
const SIGNATURE_VALUE: Field = Field::value("signatureValue", &[BIT_STRING]);

static EXTENSION: Field = Field::sequence(
    "extension",
    &[
        Field::value("extnID", &[OID]),
        Field::value("critical", &[BOOLEAN]).optional(),
        Field::value("extnValue", &[OCTET_STRING]),
    ],
);

static EXTENSIONS: Field = Field::list("extensions", &EXTENSION);

/// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7)
pub static PUBLIC_KEY: Field = SPKI;

const SPKI: Field =
    Field::sequence("subjectPublicKeyInfo", &[ALGORITHM, Field::value("subjectPublicKey", &[BIT_STRING])]);

/// Certificate (RFC 5280 section 4.1)
pub static CERTIFICATE: Field = Field::sequence(
    "certificate",
    &[
        Field::sequence(
            "tbsCertificate",
            &[
                Field::value("version", &[0xa0]),
                Field::value("serialNumber", &[INTEGER]),
                Field::value("signature", &[SEQUENCE]),
                Field::value("issuer", &[SEQUENCE]),
                Field::sequence("validity", &[time("notBefore", EITHER), time("notAfter", EITHER)]),
                Field::value("subject", &[SEQUENCE]),
                SPKI,
                // Unique identifiers are refused with words of their own.
                Field::value("issuerUniqueID", &[0x81]).optional(),
                Field::value("subjectUniqueID", &[0x82]).optional(),
                Field::only("extensions", &[0xa3], &EXTENSIONS).optional(),
            ],
        ),
        SIGNATURE_ALGORITHM,
        SIGNATURE_VALUE,
    ],
);

/// CertificationRequest (RFC 2986 section 4)
pub static REQUEST: Field = Field::sequence(
    "request",
    &[
        Field::sequence(
            "certificationRequestInfo",
            &[
                Field::value("version", &[INTEGER]),
                Field::value("subject", &[SEQUENCE]),
                SPKI,
                Field::value("attributes", &[0xa0]),
            ],
        ),
        SIGNATURE_ALGORITHM,
        SIGNATURE_VALUE,
    ],
);

static REVOKED: Field = Field::sequence(
    "entry",
    &[
        Field::value("userCertificate", &[INTEGER]),
        time("revocationDate", EITHER),
        Field::list("crlEntryExtensions", &EXTENSION).optional(),
    ],
);

/// CertificateList (RFC 5280 section 5.1)
pub static REVOCATION_LIST: Field = Field::sequence(
    "list",
    &[
        Field::sequence(
            "tbsCertList",
            &[
                Field::value("version", &[INTEGER]),
                Field::value("signature", &[SEQUENCE]),
                Field::value("issuer", &[SEQUENCE]),
                time("thisUpdate", EITHER),
                time("nextUpdate", EITHER).optional(),
                Field::list("revokedCertificates", &REVOKED).optional(),
                Field::only("crlExtensions", &[0xa0], &EXTENSIONS).optional(),
            ],
        ),
        SIGNATURE_ALGORITHM,
        SIGNATURE_VALUE,
    ],
);

const CERT_ID: &[Field] = &[
    Field::value("hashAlgorithm", &[SEQUENCE]),
    Field::value("issuerNameHash", &[OCTET_STRING]),
    Field::value("issuerKeyHash", &[OCTET_STRING]),
    Field::value("serialNumber", &[INTEGER]),
];

static QUESTION: Field = Field::sequence(
    "request",
    &[Field::sequence("reqCert", CERT_ID), Field::value("singleRequestExtensions", &[0xa0]).optional()],
);

/// OCSPRequest (RFC 6960 section 4.1)
pub static OCSP_REQUEST: Field = Field::sequence(
    "request",
    &[
        Field::sequence(
            "tbsRequest",
            &[
                Field::value("version", &[0xa0]).optional(),
                Field::value("requestorName", &[0xa1]).optional(),
                Field::list("requestList", &QUESTION),
                Field::value("requestExtensions", &[0xa2]).optional(),
            ],
        ),
        Field::value("optionalSignature", &[0xa0]).optional(),
    ],
);

static NEXT_UPDATE: Field = time("nextUpdate", GENERALIZED);

static ANSWER: Field = Field::sequence(
    "response",
    &[
        Field::sequence("certID", CERT_ID),
        Field::value("certStatus", &[0x80, 0xa1, 0x82]),
        time("thisUpdate", GENERALIZED),
        Field::only("nextUpdate", &[0xa0], &NEXT_UPDATE).optional(),
        Field::value("singleExtensions", &[0xa1]).optional(),
    ],
);

static BASIC_RESPONSE: Field = Field::sequence(
    "BasicOCSPResponse",
    &[
        Field::sequence(
            "tbsResponseData",
            &[
                Field::value("version", &[0xa0]).optional(),
                Field::value("responderID", &[0xa1, 0xa2]),
                time("producedAt", GENERALIZED),
                Field::list("responses", &ANSWER),
                Field::value("responseExtensions", &[0xa1]).optional(),
            ],
        ),
        SIGNATURE_ALGORITHM,
        Field::value("signature", &[BIT_STRING]),
        Field::only("certs", &[0xa0], &CERTIFICATES).optional(),
    ],
);

static CERTIFICATES: Field = Field::list("certs", &CERTIFICATE);

static RESPONSE_BYTES: Field = Field::sequence(
    "responseBytes",
    &[Field::value("responseType", &[OID]), Field::only("response", &[OCTET_STRING], &BASIC_RESPONSE)],
);

/// OCSPResponse (RFC 6960 section 4.2)
pub static OCSP_RESPONSE: Field = Field::sequence(
    "response",
    &[Field::value("responseStatus", &[ENUMERATED]), Field::only("responseBytes", &[0xa0], &RESPONSE_BYTES).optional()],
);

/// SignedAgentTimestamp (protocol section 3)
pub static SAT: Field = Field::sequence(
    "timestamp",
    &[
        Field::value("version", &[INTEGER]),
        Field::value("logId", &[OCTET_STRING]),
        Field::value("timestamp", &[INTEGER]),
        Field::value("certHash", &[OCTET_STRING]),
        Field::value("signature", &[OCTET_STRING]),
    ],
);

/// SignedAgentTimestampList (protocol section 3)
pub static SAT_LIST: Field = Field::list("signedAgentTimestampList", &SAT);

static TRUST_SCORE: Field = Field::sequence(
    "agentTrustScore",
    &[
        Field::value("score", &[INTEGER]),
        Field::value("trustTier", &[ENUMERATED]),
        Field::value("decayRate", &[INTEGER]),
        time("lastUpdated", GENERALIZED),
        Field::value("computationMethod", &[UTF8_STRING]).optional(),
    ],
);

static CAPABILITY: Field = Field::sequence(
    "capability",
    &[
        Field::value("toolUri", &[IA5_STRING]),
        Field::value("scope", &[UTF8_STRING]),
        Field::sequence(
            "spendLimit",
            &[
                Field::value("maxPerTransaction", &[0x80]).optional(),
                Field::value("maxPerPeriod", &[0x81]).optional(),
                Field::value("periodSeconds", &[0x82]).optional(),
                Field::value("currency", &[PRINTABLE_STRING]),
            ],
        )
        .tagged(&[0xa0])
        .optional(),
        Field::sequence(
            "rateLimit",
            &[Field::value("maxRequests", &[INTEGER]), Field::value("periodSeconds", &[INTEGER])],
        )
        .tagged(&[0xa1])
        .optional(),
    ],
);

static CAPABILITIES: Field = Field::sequence("agentCapabilities", &[Field::list("capabilities", &CAPABILITY)]);

static DELEGATION: Field = Field::sequence(
    "agentDelegation",
    &[
        Field::value("parentCertHash", &[OCTET_STRING]),
        Field::value("delegationDepth", &[INTEGER]),
        Field::value("maxDelegationDepth", &[INTEGER]),
        Field::sequence(
            "attenuationRules",
            &[
                Field::value("capabilitiesSubset", &[BOOLEAN]).optional(),
                Field::value("maxTrustScore", &[0x80]).optional(),
                Field::value("maxSpendLimit", &[0x81]).optional(),
                Field::value("scopeNarrowing", &[UTF8_STRING]).optional(),
            ],
        ),
        Field::value("humanPrincipal", &[UTF8_STRING]).optional(),
    ],
);

static PROVENANCE: Field = Field::sequence(
    "agentProvenance",
    &[
        Field::value("modelFamily", &[UTF8_STRING]),
        Field::value("modelVersion", &[UTF8_STRING]),
        Field::value("framework", &[UTF8_STRING]),
        Field::value("organizationId", &[UTF8_STRING]),
        Field::value("buildHash", &[0x80]).optional(),
        Field::value("attestEvidence", &[0x81]).optional(),
    ],
);

static ATTESTATION: Field = Field::sequence(
    "agentBehaviouralAttestation",
    &[
        Field::value("declaredCapabilitiesHash", &[OCTET_STRING]),
        Field::value("attestationMethod", &[ENUMERATED]),
        Field::value("attestorIdentity", &[UTF8_STRING]).optional(),
        time("attestationTime", GENERALIZED),
        Field::value("evidenceUri", &[IA5_STRING]).optional(),
    ],
);

/// The structures of the project's own extensions.
static OWN: [(ObjectIdentifier, &Field); 6] = [
    (oid::AGENT_TRUST_SCORE, &TRUST_SCORE),
    (oid::AGENT_CAPABILITIES, &CAPABILITIES),
    (oid::AGENT_DELEGATION, &DELEGATION),
    (oid::AGENT_PROVENANCE, &PROVENANCE),
    (oid::AGENT_BEHAVIOURAL_ATTESTATION, &ATTESTATION),
    (oid::SIGNED_AGENT_TIMESTAMP_LIST, &SAT_LIST),
];

/// The structure of one of the project's own extensions.
pub fn of_extension(oid: &ObjectIdentifier) -> Option<&'static Field> {
    OWN.iter().find(|(known, _)| known == oid).map(|(_, field)| *field)
}

/// The extensions that have a name here.
const NAMES: [(ObjectIdentifier, &str); 22] = [
    (oid::AGENT_TRUST_SCORE, "agentTrustScore"),
    (oid::AGENT_CAPABILITIES, "agentCapabilities"),
    (oid::AGENT_DELEGATION, "agentDelegation"),
    (oid::AGENT_PROVENANCE, "agentProvenance"),
    (oid::AGENT_BEHAVIOURAL_ATTESTATION, "agentBehaviouralAttestation"),
    (oid::SIGNED_AGENT_TIMESTAMP_LIST, "signedAgentTimestampList"),
    (oid::PRECERTIFICATE_POISON, "precertificatePoison"),
    (oid::PRECERTIFICATE_SIGNATURE, "precertificateSignature"),
    (oid::SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier"),
    (oid::KEY_USAGE, "keyUsage"),
    (oid::SUBJECT_ALT_NAME, "subjectAltName"),
    (oid::BASIC_CONSTRAINTS, "basicConstraints"),
    (oid::NAME_CONSTRAINTS, "nameConstraints"),
    (oid::AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier"),
    (oid::EXTENDED_KEY_USAGE, "extKeyUsage"),
    (oid::CRL_NUMBER, "cRLNumber"),
    (oid::REASON_CODE, "reasonCode"),
    (oid::ISSUING_DISTRIBUTION_POINT, "issuingDistributionPoint"),
    (oid::CERTIFICATE_ISSUER, "certificateIssuer"),
    (oid::CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints"),
    (oid::AUTHORITY_INFO_ACCESS, "authorityInfoAccess"),
    (oid::OCSP_NO_CHECK, "id-pkix-ocsp-nocheck"),
];

/// The name of an extension, by the content octets of its OID; the OID in digits, or its octets, where it has none.
pub fn name_of(oid: &[u8]) -> String {
    let known = NAMES.iter().find(|(known, _)| known.as_bytes() == oid).map(|(_, name)| (*name).to_owned());
    known.unwrap_or_else(|| ObjectIdentifier::from_bytes(oid).map_or_else(|_| hex::encode(oid), |oid| oid.to_string()))
}

/// The same of an OID in digits.
pub fn name_of_digits(oid: &str) -> String {
    oid.parse::<ObjectIdentifier>().map_or_else(|_| oid.to_owned(), |oid| name_of(oid.as_bytes()))
}

/// The same of an Extension's content, as far as its OID is there.
pub fn extension_name(mut content: Elements<'_>) -> Option<String> {
    let first = content.next().filter(|first| first.tag == OID && first.missing == 0)?;
    Some(name_of(first.content))
}
