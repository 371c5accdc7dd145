//! The other reader: webpki, the library behind rustls.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::aws_lc_rs::{ECDSA_P256_SHA256, ED25519};
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};

use super::{LintError, LintFailure, Rule};
use crate::apki::certificate::Certificate;
use crate::apki::oid;
use crate::apki::precertificate::{EXTENSIONS, certificate_der, extension_der};
use crate::apki::tlv::{self, encode};
use crate::ca::profile::VERSION_3;
use crate::keys::Signer;
use crate::time::UnixMillis;

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[ECDSA_P256_SHA256, ED25519];

/// Reads certificates that the throw-away key signed.
#[derive(Debug)]
pub(super) struct Reader {
    anchor: TrustAnchor<'static>,
}

impl Reader {
    /// A reader that trusts a throw-away CA: the issuer's own name and key identifier, but the
    /// throw-away key, and no name constraint, since webpki 0.103 refuses whatever stands below one
    /// for URIs.
    pub(super) fn new(issuer: &Certificate, key_identifier: &[u8], key: &dyn Signer) -> Result<Self, LintError> {
        let der = CertificateDer::from(throw_away_ca(issuer, key_identifier, key)?);
        let anchor = anchor_from_trusted_cert(&der).map_err(|e| LintError::Anchor(e.to_string()))?;
        Ok(Self { anchor: anchor.to_owned() })
    }

    /// Whether a certificate is good at `now` for both ends of TLS.
    pub(super) fn accepts(&self, der: &[u8], now: UnixMillis) -> Result<(), LintFailure> {
        let der = CertificateDer::from(der);
        let certificate = EndEntityCert::try_from(&der).map_err(|e| Rule::Webpki.broken(e))?;
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now.get()));
        let anchors = std::slice::from_ref(&self.anchor);
        for (side, usage) in [("client", KeyUsage::client_auth()), ("server", KeyUsage::server_auth())] {
            certificate
                .verify_for_usage(ALGORITHMS, anchors, &[], now, usage, None, None)
                .map_err(|e| Rule::Webpki.broken(format_args!("a refusal as TLS {side}: {e}")))?;
        }
        Ok(())
    }

    /// Whether a precertificate is refused, and for its poison.
    pub(super) fn refuses(&self, der: &[u8]) -> Result<(), LintFailure> {
        match EndEntityCert::try_from(&CertificateDer::from(der)).map(|_| ()) {
            Err(Error::UnsupportedCriticalExtension) => Ok(()),
            Err(other) => Err(Rule::WebpkiPoison.broken(other)),
            Ok(()) => Err(Rule::WebpkiPoison.broken("a precertificate that passes for a certificate")),
        }
    }
}

/// A CA certificate signed by itself; nobody but the reader sees it.
fn throw_away_ca(issuer: &Certificate, key_identifier: &[u8], key: &dyn Signer) -> Result<Vec<u8>, LintError> {
    let algorithm = key.public_key().algorithm().identifier_der();
    let time = |at| crate::apki::moment::Moment::floor(at).map(|moment| moment.to_validity_der());
    let (Some(start), Some(end)) = (time(issuer.not_before()), time(issuer.not_after())) else {
        return Err(LintError::Anchor("the issuer's validity is beyond the year 9999".into()));
    };
    let extensions = [
        extension_der(&oid::BASIC_CONSTRAINTS, true, &[0x30, 0x03, tlv::BOOLEAN, 0x01, 0xff]),
        // keyCertSign
        extension_der(&oid::KEY_USAGE, true, &[tlv::BIT_STRING, 0x02, 0x02, 0x04]),
        extension_der(&oid::SUBJECT_KEY_IDENTIFIER, false, &encode(tlv::OCTET_STRING, &[key_identifier])),
    ];
    let tbs = encode(
        tlv::SEQUENCE,
        &[
            VERSION_3,
            &encode(tlv::INTEGER, &[&[0x01]]),
            algorithm,
            issuer.subject_der(),
            &encode(tlv::SEQUENCE, &[&start, &end]),
            issuer.subject_der(),
            key.public_key().spki_der(),
            &encode(EXTENSIONS, &[&encode(tlv::SEQUENCE, &[&extensions.concat()])]),
        ],
    );
    Ok(certificate_der(&tbs, algorithm, &key.sign(&tbs)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::tests::{NOON, ed25519, issuer, shopper, sign};
    use crate::keys::SignatureAlgorithm;

    #[test]
    fn knows_good_from_bad() {
        let (real, throw_away) = (ed25519(1), ed25519(2));
        let issuer = issuer(real.as_ref());
        let identifier = issuer.subject_key_identifier().unwrap();
        let reader = Reader::new(&issuer, identifier, throw_away.as_ref()).unwrap();
        let tbs = shopper().precertificate_tbs(&issuer, SignatureAlgorithm::Ed25519).unwrap();
        let poisoned = sign(&tbs, throw_away.as_ref());
        assert_eq!(reader.refuses(poisoned.der()), Ok(()));
        assert_eq!(reader.accepts(poisoned.der(), NOON).unwrap_err().rule, Rule::Webpki);

        let precertificate = crate::apki::precertificate::Precertificate::of(&poisoned).unwrap().unwrap();
        let tbs = precertificate.final_tbs(&[0x30, 0x00]);
        let clean = sign(&tbs, throw_away.as_ref());
        assert_eq!(reader.accepts(clean.der(), NOON), Ok(()));
        assert_eq!(reader.refuses(clean.der()).unwrap_err().rule, Rule::WebpkiPoison);
        let late = NOON.saturating_add(3_601_000);
        let failure = reader.accepts(clean.der(), late).unwrap_err();
        assert!(failure.to_string().contains("CertExpired"), "{failure}");
        let other = sign(&tbs, real.as_ref());
        assert_eq!(reader.accepts(other.der(), NOON).unwrap_err().rule, Rule::Webpki);
        assert_eq!(reader.refuses(&[]).unwrap_err().rule, Rule::WebpkiPoison);
    }
}
