//! The certificates of those who sign in a CA's stead: its OCSP responder, and whoever signs the lists of
//! an issuer whose own key is locked away. Neither names an agent or may issue anything.

use super::ProfileError;
use super::template::{DIGITAL_SIGNATURE, VERSION_3, authority_value};
use crate::apki::certificate::{Certificate, crl_distribution_points_der, is_url_text};
use crate::apki::moment::Moment;
use crate::apki::oid;
use crate::apki::precertificate::{EXTENSIONS, extension_der};
use crate::apki::tlv::{self, encode};
use crate::ca::serial::Serial;
use crate::keys::{PublicKey, SignatureAlgorithm, key_identifier};

/// Most characters of a commonName (RFC 5280 appendix A.1, ub-common-name).
const MAX_COMMON_NAME: usize = 64;
/// The content of the OID id-at-commonName.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// The value of keyUsage: cRLSign.
const CRL_SIGN: &[u8] = &[0x03, 0x02, 0x01, 0x02];
/// The value of basicConstraints of who is no CA: its default, so nothing.
const NO_CA: &[u8] = &[0x30, 0x00];
const NULL: &[u8] = &[tlv::NULL, 0x00];

/// What a helper signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperRole {
    /// OCSP responses: keyUsage digitalSignature, extKeyUsage id-kp-OCSPSigning, and id-pkix-ocsp-nocheck,
    /// so that nobody asks the responder about the responder (RFC 6960 section 4.2.2.2). It is to be
    /// short-lived therefore.
    OcspResponder,
    /// Indirect revocation lists: keyUsage cRLSign, and expressly no CA (RFC 5280 section 5).
    CrlSigner,
}

/// All that is a helper's certificate.
#[derive(Clone, Debug)]
pub struct HelperProfile<'a> {
    /// What it is for.
    pub role: HelperRole,
    /// The serial number.
    pub serial: Serial,
    /// The first moment of validity.
    pub not_before: Moment,
    /// The last moment.
    pub not_after: Moment,
    /// The commonName that is the subject, 1 to 64 characters; another one than the issuer's.
    pub common_name: &'a str,
    /// The helper's key.
    pub public_key: &'a PublicKey,
    /// Where the list is that names this certificate once it is revoked (cRLDistributionPoints). Whoever
    /// signs lists needs one: a reader that checks every certificate of a chain checks the signer too, and
    /// OpenSSL takes no list for that which the signer signed itself.
    pub crl_url: Option<&'a str>,
}

impl HelperProfile<'_> {
    /// The TBSCertificate that `issuer` signs with `algorithm`.
    ///
    /// # Errors
    /// [`ProfileError::CommonName`], [`ProfileError::StatusUrl`], [`ProfileError::IssuerKeyIdentifier`] and
    /// [`ProfileError::Key`].
    pub fn tbs(&self, issuer: &Certificate, algorithm: SignatureAlgorithm) -> Result<Vec<u8>, ProfileError> {
        let identifier = issuer.subject_key_identifier().filter(|octets| !octets.is_empty());
        let identifier = identifier.ok_or(ProfileError::IssuerKeyIdentifier)?;
        let subject = self.subject_der()?;
        if subject == issuer.subject_der() {
            return Err(ProfileError::CommonName(self.common_name.to_owned()));
        }
        let points = match self.crl_url {
            None => Vec::new(),
            Some(url) if is_url_text(url) => {
                extension_der(&oid::CRL_DISTRIBUTION_POINTS, false, &crl_distribution_points_der(url, None))
            }
            Some(url) => return Err(ProfileError::StatusUrl(url.to_owned())),
        };
        let own = encode(tlv::OCTET_STRING, &[&key_identifier(self.public_key.spki_der())?]);
        let extensions = [
            self.role.extensions(),
            extension_der(&oid::AUTHORITY_KEY_IDENTIFIER, false, &authority_value(identifier)),
            extension_der(&oid::SUBJECT_KEY_IDENTIFIER, false, &own),
            points,
        ];
        let validity = [self.not_before.to_validity_der(), self.not_after.to_validity_der()];
        Ok(encode(
            tlv::SEQUENCE,
            &[
                VERSION_3,
                &encode(tlv::INTEGER, &[self.serial.as_bytes()]),
                algorithm.algorithm_identifier_der(),
                issuer.subject_der(),
                &encode(tlv::SEQUENCE, &[&validity[0], &validity[1]]),
                &subject,
                self.public_key.spki_der(),
                &encode(EXTENSIONS, &[&encode(tlv::SEQUENCE, &[&extensions.concat()])]),
            ],
        ))
    }

    /// The subject, in DER: what a cRLIssuer calls this helper by.
    ///
    /// # Errors
    /// [`ProfileError::CommonName`]
    pub fn subject_der(&self) -> Result<Vec<u8>, ProfileError> {
        if !(1..=MAX_COMMON_NAME).contains(&self.common_name.chars().count()) {
            return Err(ProfileError::CommonName(self.common_name.chars().take(100).collect()));
        }
        let name = encode(tlv::UTF8_STRING, &[self.common_name.as_bytes()]);
        let attribute = encode(tlv::SEQUENCE, &[&encode(tlv::OID, &[COMMON_NAME]), &name]);
        Ok(encode(tlv::SEQUENCE, &[&encode(tlv::SET, &[&attribute])]))
    }
}

impl HelperRole {
    fn extensions(self) -> Vec<u8> {
        match self {
            Self::OcspResponder => {
                let purpose = encode(tlv::SEQUENCE, &[&encode(tlv::OID, &[oid::OCSP_SIGNING.as_bytes()])]);
                [
                    extension_der(&oid::KEY_USAGE, true, DIGITAL_SIGNATURE),
                    extension_der(&oid::EXTENDED_KEY_USAGE, false, &purpose),
                    extension_der(&oid::OCSP_NO_CHECK, false, NULL),
                ]
                .concat()
            }
            Self::CrlSigner => {
                [extension_der(&oid::BASIC_CONSTRAINTS, true, NO_CA), extension_der(&oid::KEY_USAGE, true, CRL_SIGN)]
                    .concat()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::tests::{NOON, ed25519, issuer, moment, sign};

    fn built(role: HelperRole, common_name: &str, crl_url: Option<&str>) -> Result<Certificate, ProfileError> {
        let (authority, own) = (ed25519(1), ed25519(2));
        let profile = HelperProfile {
            role,
            serial: Serial::from_random([7; 20]),
            not_before: moment(NOON),
            not_after: moment(NOON.saturating_add(86_400_000)),
            common_name,
            public_key: own.public_key(),
            crl_url,
        };
        let tbs = profile.tbs(&issuer(authority.as_ref()), SignatureAlgorithm::Ed25519)?;
        Ok(sign(&tbs, authority.as_ref()))
    }

    #[test]
    fn each_may_do_its_own_and_no_more() {
        let responder = built(HelperRole::OcspResponder, "Responder", None).unwrap();
        let usage = responder.key_usage().unwrap().unwrap();
        assert!(usage.digital_signature() && !usage.crl_sign() && !usage.key_cert_sign());
        assert!(responder.extension(&oid::OCSP_NO_CHECK).is_some_and(|e| !e.critical && e.value == NULL));
        assert_eq!((responder.basic_constraints(), responder.crl_url()), (Ok(None), Ok(None)));
        assert!(responder.extension(&oid::SUBJECT_ALT_NAME).is_none() && !responder.has_apki_extension());

        let signer = built(HelperRole::CrlSigner, "Signer", Some("http://a/crl")).unwrap();
        let usage = signer.key_usage().unwrap().unwrap();
        assert!(usage.crl_sign() && !usage.digital_signature() && !usage.key_cert_sign());
        assert!(signer.basic_constraints().unwrap().is_some_and(|constraints| !constraints.ca));
        assert_eq!(signer.crl_url(), Ok(Some("http://a/crl")));
        assert!(signer.extension(&oid::EXTENDED_KEY_USAGE).is_none());
    }

    #[test]
    fn a_helper_has_a_name() {
        for bad in ["", &"x".repeat(65)] {
            assert!(matches!(built(HelperRole::CrlSigner, bad, None), Err(ProfileError::CommonName(_))));
        }
        assert!(built(HelperRole::CrlSigner, &"é".repeat(64), None).is_ok());
        assert!(matches!(built(HelperRole::CrlSigner, "x", Some("http://a b")), Err(ProfileError::StatusUrl(_))));
    }
}
