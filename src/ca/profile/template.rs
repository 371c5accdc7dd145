//! The writer of certificates: what many of them share is written once.

use sha2::{Digest, Sha256};

use super::{AttestationFacts, MAX_SPIFFE, MAX_VALIDITY_SECONDS, MIN_VALIDITY_SECONDS, ProfileError, StatusUrls};
use crate::apki::capabilities::Capabilities;
use crate::apki::certificate::{authority_info_access_der, crl_distribution_points_der, is_url_text};
use crate::apki::delegation::Delegation;
use crate::apki::moment::Moment;
use crate::apki::precertificate::{EXTENSIONS, extension_der, poison_der};
use crate::apki::provenance::Provenance;
use crate::apki::tlv::{self, encode};
use crate::apki::trust_score::TrustScore;
use crate::apki::{AgentExtension, AgentUri, ExtensionError, oid};
use crate::ca::serial::Serial;
use crate::keys::{SignatureAlgorithm, key_identifier};

const URI_NAME: u8 = 0x86;
const KEY_IDENTIFIER: u8 = 0x80;

/// `[0] EXPLICIT INTEGER`: version 3.
pub(in crate::ca) const VERSION_3: &[u8] = &[0xa0, 0x03, 0x02, 0x01, 0x02];
/// The value of keyUsage: digitalSignature.
pub(in crate::ca) const DIGITAL_SIGNATURE: &[u8] = &[0x03, 0x02, 0x07, 0x80];
/// The value of extKeyUsage: id-kp-clientAuth, id-kp-serverAuth.
pub(in crate::ca) const CLIENT_AND_SERVER: &[u8] = &[
    0x30, 0x14, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05,
    0x07, 0x03, 0x01,
];

/// What a certificate says of an agent, and for how long: what many certificates may share.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The first moment of validity.
    pub not_before: Moment,
    /// The last moment: 5 minutes to 24 hours later.
    pub not_after: Moment,
    /// Where to ask whether the certificates still hold.
    pub status: Option<&'a StatusUrls>,
    /// agentTrustScore
    pub trust_score: &'a TrustScore,
    /// agentCapabilities
    pub capabilities: &'a Capabilities,
    /// agentDelegation
    pub delegation: Option<&'a Delegation>,
    /// agentProvenance
    pub provenance: Option<&'a Provenance>,
    /// agentBehaviouralAttestation
    pub attestation: Option<&'a AttestationFacts>,
}

/// Whose certificate it is: what each has for itself.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    /// The serial number.
    pub serial: Serial,
    /// The agent.
    pub name: &'a AgentUri,
    /// Its SPIFFE ID, behind the agent URI.
    pub spiffe: Option<&'a str>,
    /// DER SubjectPublicKeyInfo of the agent's key.
    pub spki_der: &'a [u8],
}

/// Writes the precertificates of one issuer that make one [`Statement`].
#[derive(Clone, Debug)]
pub struct Template {
    /// signature, issuer, validity and the empty subject.
    names: Vec<u8>,
    /// The extensions between the name and the key identifier of the subject.
    before_key: Vec<u8>,
    /// The extensions behind it, from where to ask for a status; the poison is the last.
    after_key: Vec<u8>,
}

impl Template {
    /// Certificates by the issuer with this Name, in DER, and this key identifier, signed with
    /// `algorithm`.
    ///
    /// # Errors
    /// [`ProfileError`] where the validity is out of bounds or an extension cannot be written.
    pub fn new(
        issuer_name_der: &[u8],
        issuer_key_identifier: &[u8],
        algorithm: SignatureAlgorithm,
        statement: &Statement<'_>,
    ) -> Result<Self, ProfileError> {
        let Statement { not_before, not_after, .. } = *statement;
        let millis = not_after.millis().since(not_before.millis());
        if !(MIN_VALIDITY_SECONDS * 1000..=MAX_VALIDITY_SECONDS * 1000).contains(&millis) {
            return Err(ProfileError::Validity { not_before, not_after });
        }
        let validity = encode(tlv::SEQUENCE, &[&not_before.to_validity_der(), &not_after.to_validity_der()]);
        let mut after_key = status_extensions(statement.status)?;
        after_key.extend_from_slice(&agent_extensions(statement)?);
        after_key.extend_from_slice(&poison_der());
        Ok(Self {
            names: [algorithm.algorithm_identifier_der(), issuer_name_der, &validity, &encode(tlv::SEQUENCE, &[])]
                .concat(),
            before_key: [
                extension_der(&oid::KEY_USAGE, true, DIGITAL_SIGNATURE),
                extension_der(&oid::EXTENDED_KEY_USAGE, false, CLIENT_AND_SERVER),
                extension_der(&oid::AUTHORITY_KEY_IDENTIFIER, false, &authority_value(issuer_key_identifier)),
            ]
            .concat(),
            after_key,
        })
    }

    /// The TBSCertificate of this bearer's precertificate (RFC 5280 section 4.1.2): version 3, empty
    /// subject, critical name.
    ///
    /// # Errors
    /// [`ProfileError::Spiffe`] and [`ProfileError::Key`].
    pub fn precertificate_tbs(&self, bearer: &Bearer<'_>) -> Result<Vec<u8>, ProfileError> {
        // The subject is empty, so the name is critical (RFC 5280 section 4.2.1.6).
        let name = extension_der(&oid::SUBJECT_ALT_NAME, true, &name_value(bearer.name, bearer.spiffe)?);
        let identifier = encode(tlv::OCTET_STRING, &[&key_identifier(bearer.spki_der)?]);
        let identifier = extension_der(&oid::SUBJECT_KEY_IDENTIFIER, false, &identifier);
        let extensions = encode(tlv::SEQUENCE, &[&name, &self.before_key, &identifier, &self.after_key]);
        Ok(encode(
            tlv::SEQUENCE,
            &[
                VERSION_3,
                &encode(tlv::INTEGER, &[bearer.serial.as_bytes()]),
                &self.names,
                bearer.spki_der,
                &encode(EXTENSIONS, &[&extensions]),
            ],
        ))
    }
}

/// authorityInfoAccess and cRLDistributionPoints, neither critical; nothing without URLs.
fn status_extensions(urls: Option<&StatusUrls>) -> Result<Vec<u8>, ProfileError> {
    let Some(urls) = urls else { return Ok(Vec::new()) };
    let (access, points) = status_values(urls)?;
    Ok([
        extension_der(&oid::AUTHORITY_INFO_ACCESS, false, &access),
        extension_der(&oid::CRL_DISTRIBUTION_POINTS, false, &points),
    ]
    .concat())
}

/// The values of authorityInfoAccess and cRLDistributionPoints.
pub(in crate::ca) fn status_values(urls: &StatusUrls) -> Result<(Vec<u8>, Vec<u8>), ProfileError> {
    for url in [urls.ocsp.as_str(), urls.crl.as_str()] {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if rest.is_none_or(str::is_empty) || !is_url_text(url) {
            return Err(ProfileError::StatusUrl(url.to_owned()));
        }
    }
    Ok((authority_info_access_der(urls.ocsp.as_str()), crl_distribution_points_der(urls.crl.as_str(), None)))
}

/// The agent extensions, in the order of their numbers, each as DER and none critical.
fn agent_extensions(statement: &Statement<'_>) -> Result<Vec<u8>, ExtensionError> {
    fn put<E: AgentExtension>(out: &mut Vec<u8>, value: &E) -> Result<(), ExtensionError> {
        out.extend_from_slice(&extension_der(&E::OID, false, &value.to_der()?));
        Ok(())
    }
    let capabilities = statement.capabilities.to_der()?;
    let mut out = Vec::with_capacity(1024);
    put(&mut out, statement.trust_score)?;
    out.extend_from_slice(&extension_der(&Capabilities::OID, false, &capabilities));
    statement.delegation.map_or(Ok(()), |delegation| put(&mut out, delegation))?;
    statement.provenance.map_or(Ok(()), |provenance| put(&mut out, provenance))?;
    if let Some(facts) = statement.attestation {
        put(&mut out, &facts.with_hash(Sha256::digest(&capabilities).into()))?;
    }
    Ok(out)
}

/// The value of subjectAltName: the agent URI, and the SPIFFE ID behind it.
pub(in crate::ca) fn name_value(name: &AgentUri, spiffe: Option<&str>) -> Result<Vec<u8>, ProfileError> {
    let agent = encode(URI_NAME, &[name.as_str().as_bytes()]);
    let Some(spiffe) = spiffe else { return Ok(encode(tlv::SEQUENCE, &[&agent])) };
    let visible = spiffe.bytes().all(|c| c.is_ascii_graphic()) && spiffe.len() <= MAX_SPIFFE;
    if !visible || spiffe.strip_prefix("spiffe://").is_none_or(str::is_empty) {
        return Err(ProfileError::Spiffe(spiffe.chars().take(100).collect()));
    }
    Ok(encode(tlv::SEQUENCE, &[&agent, &encode(URI_NAME, &[spiffe.as_bytes()])]))
}

/// The value of authorityKeyIdentifier: the issuer's key identifier alone.
pub(in crate::ca) fn authority_value(key_identifier: &[u8]) -> Vec<u8> {
    encode(tlv::SEQUENCE, &[&encode(KEY_IDENTIFIER, &[key_identifier])])
}
