//! The certificate of the CA's own HTTPS service: a plain server certificate under the same issuer. It
//! names hosts and no agent, carries no agent extension and is therefore nothing that logs record.

use core::net::IpAddr;

use super::ProfileError;
use super::template::{DIGITAL_SIGNATURE, VERSION_3, authority_value};
use crate::apki::certificate::Certificate;
use crate::apki::moment::Moment;
use crate::apki::oid;
use crate::apki::precertificate::{EXTENSIONS, extension_der};
use crate::apki::tlv::{self, encode};
use crate::ca::serial::Serial;
use crate::keys::{PublicKey, SignatureAlgorithm, key_identifier};

const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// The value of extKeyUsage: id-kp-serverAuth.
const SERVER: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// A name of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// A DNS name, in ASCII.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

/// All that is a server certificate.
#[derive(Clone, Debug)]
pub struct ServiceProfile<'a> {
    /// The serial number.
    pub serial: Serial,
    /// The first moment of validity.
    pub not_before: Moment,
    /// The last moment.
    pub not_after: Moment,
    /// The hosts, at least one.
    pub names: &'a [HostName],
    /// The server's key.
    pub public_key: &'a PublicKey,
}

impl ServiceProfile<'_> {
    /// The TBSCertificate that `issuer` signs with `algorithm`: version 3, empty subject, critical names
    /// (RFC 5280 section 4.2.1.6), for servers alone.
    ///
    /// # Errors
    /// [`ProfileError::IssuerKeyIdentifier`] where the issuer has no key identifier.
    pub fn tbs(&self, issuer: &Certificate, algorithm: SignatureAlgorithm) -> Result<Vec<u8>, ProfileError> {
        let identifier = issuer.subject_key_identifier().filter(|octets| !octets.is_empty());
        let identifier = identifier.ok_or(ProfileError::IssuerKeyIdentifier)?;
        let names: Vec<Vec<u8>> = self.names.iter().map(general_name).collect();
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let own = encode(tlv::OCTET_STRING, &[&key_identifier(self.public_key.spki_der())?]);
        let extensions = [
            extension_der(&oid::SUBJECT_ALT_NAME, true, &encode(tlv::SEQUENCE, &names)),
            extension_der(&oid::KEY_USAGE, true, DIGITAL_SIGNATURE),
            extension_der(&oid::EXTENDED_KEY_USAGE, false, SERVER),
            extension_der(&oid::AUTHORITY_KEY_IDENTIFIER, false, &authority_value(identifier)),
            extension_der(&oid::SUBJECT_KEY_IDENTIFIER, false, &own),
        ];
        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let validity = [self.not_before.to_validity_der(), self.not_after.to_validity_der()];
        Ok(encode(
            tlv::SEQUENCE,
            &[
                VERSION_3,
                &encode(tlv::INTEGER, &[self.serial.as_bytes()]),
                algorithm.algorithm_identifier_der(),
                issuer.subject_der(),
                &encode(tlv::SEQUENCE, &[&validity[0], &validity[1]]),
                &encode(tlv::SEQUENCE, &[]),
                self.public_key.spki_der(),
                &encode(EXTENSIONS, &[&encode(tlv::SEQUENCE, &extensions)]),
            ],
        ))
    }
}

fn general_name(name: &HostName) -> Vec<u8> {
    match name {
        HostName::Dns(name) => encode(DNS_NAME, &[name.as_bytes()]),
        HostName::Ip(IpAddr::V4(address)) => encode(IP_ADDRESS, &[&address.octets()]),
        HostName::Ip(IpAddr::V6(address)) => encode(IP_ADDRESS, &[&address.octets()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::precertificate::certificate_der;
    use crate::ca::tests::{NOON, P256, issuer_with, moment};
    use crate::keys::Signer;

    #[test]
    fn webpki_takes_it_for_these_hosts_and_no_other() {
        let (authority, own) = (P256::generate(), P256::generate());
        let issuer = issuer_with(&authority, &[]);
        let profile = ServiceProfile {
            serial: Serial::from_random([7; 20]),
            not_before: moment(NOON),
            not_after: moment(NOON.saturating_add(86_400_000)),
            names: &[HostName::Dns("ca.example.com".into()), HostName::Ip([127, 0, 0, 1].into())],
            public_key: own.public_key(),
        };
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        let tbs = profile.tbs(&issuer, algorithm).unwrap();
        let der = certificate_der(&tbs, algorithm.algorithm_identifier_der(), &authority.sign(&tbs).unwrap());
        assert!(!Certificate::parse(der.clone()).unwrap().has_apki_extension());
        let der = rustls_pki_types::CertificateDer::from(der);
        let server = webpki::EndEntityCert::try_from(&der).unwrap();
        for (name, good) in [("ca.example.com", true), ("127.0.0.1", true), ("example.com", false), ("::1", false)] {
            let name = rustls_pki_types::ServerName::try_from(name).unwrap();
            assert_eq!(server.verify_is_valid_for_subject_name(&name).is_ok(), good, "{name:?}");
        }
    }
}
