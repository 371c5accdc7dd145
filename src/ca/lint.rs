//! The second look at a certificate before it is signed (RFC 5280 section 4, draft 5.1, protocol
//! sections 3 and 6).
//!
//! What the writer wrote is read back by parsers that know nothing of the writer: ours, rule by rule
//! against what was asked for, and webpki. They read certificates, not TBSCertificates, so a
//! throw-away key that nobody trusts signs the octets in question; the CA's key has not touched them
//! when a rule is found broken.

mod reader;
mod rules;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use self::reader::Reader;
pub use self::rules::{LintFailure, Rule};
use super::profile::Profile;
use crate::apki::certificate::Certificate;
use crate::apki::chain::{Issuer, IssuerError};
use crate::apki::oid;
use crate::apki::precertificate::{Precertificate, certificate_der, recover};
use crate::keys::{PublicKey, SignError, Signer};
use crate::log::entry::CertHash;
use crate::log::sat::SatList;
use crate::time::UnixMillis;

/// Why nothing below an issuer could be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LintError {
    /// The issuer is not a CA, or has a key that nobody verifies with.
    #[error("the issuing certificate: {0}")]
    Issuer(#[from] IssuerError),
    /// The issuer has nothing that the authorityKeyIdentifier could repeat.
    #[error("the issuing certificate has no subjectKeyIdentifier: make a CA certificate that has one")]
    KeyIdentifier,
    /// Names are to be constrained, and are not.
    #[error(
        "the issuing certificate has no critical nameConstraints: renew it with one, or say in the configuration that \
         it has none"
    )]
    NoNameConstraint,
    /// The throw-away key is of another kind, so that it would not sign the same octets.
    #[error("the throw-away key does not sign with the algorithm of the issuing key")]
    Algorithm,
    /// The throw-away key is the one that it stands in for.
    #[error("the throw-away key is the issuing key itself: make a new one")]
    SameKey,
    /// The throw-away key does not sign.
    #[error("the throw-away key: {0}")]
    Sign(#[from] SignError),
    /// The throw-away CA certificate is not one.
    #[error("the throw-away CA certificate does not read back: {0}")]
    Anchor(String),
}

/// Looks at what one issuing certificate is about to sign.
pub struct Linter {
    issuer: Issuer,
    key_identifier: Vec<u8>,
    trust_domain: String,
    throw_away: Arc<dyn Signer>,
    reader: Reader,
}

impl Linter {
    /// A linter of what `issuer` signs for agents of `trust_domain`. The `throw_away` key signs with
    /// the same algorithm and was never certified; `names_constrained` says that `issuer` must carry
    /// a critical name constraint.
    ///
    /// # Errors
    /// [`LintError`] where `issuer` could not issue a certificate that passes, or the key is unfit.
    pub fn new(
        issuer: Certificate,
        throw_away: Arc<dyn Signer>,
        trust_domain: &str,
        names_constrained: bool,
    ) -> Result<Self, LintError> {
        let issuer = Issuer::new(issuer)?;
        let certificate = issuer.certificate();
        let key_identifier = certificate.subject_key_identifier().filter(|octets| !octets.is_empty());
        let key_identifier = key_identifier.ok_or(LintError::KeyIdentifier)?.to_vec();
        if names_constrained && !certificate.extension(&oid::NAME_CONSTRAINTS).is_some_and(|e| e.critical) {
            return Err(LintError::NoNameConstraint);
        }
        if throw_away.public_key().algorithm() != issuer.key().algorithm() {
            return Err(LintError::Algorithm);
        }
        if throw_away.public_key() == issuer.key() {
            return Err(LintError::SameKey);
        }
        let reader = Reader::new(certificate, &key_identifier, throw_away.as_ref())?;
        Ok(Self { issuer, key_identifier, trust_domain: trust_domain.to_owned(), throw_away, reader })
    }

    /// The certificate whose key signs what passes.
    pub const fn issuer(&self) -> &Certificate {
        self.issuer.certificate()
    }

    /// Looks at the TBSCertificate of a precertificate: does it say what was `expected`, all of it
    /// and nothing else, in the form that the profile has, at a moment `now` of its validity?
    ///
    /// # Errors
    /// The first rule that it breaks; it must not be signed.
    pub fn precertificate(&self, tbs: &[u8], expected: &Profile, now: UnixMillis) -> Result<(), LintFailure> {
        let certificate = self.read(tbs)?;
        self.check_profile(&certificate, &rules::PRECERTIFICATE, now)?;
        rules::check_poison(&certificate)?;
        rules::check_asked(&certificate, expected)?;
        self.reader.refuses(certificate.der())
    }

    /// Looks at the TBSCertificate of the final certificate made from `precertificate`: does it keep
    /// the profile, is it for this precertificate, and is it good for TLS on both sides?
    ///
    /// # Errors
    /// The first rule that it breaks; it must not be signed.
    pub fn final_certificate(
        &self,
        tbs: &[u8],
        precertificate: &Certificate,
        now: UnixMillis,
    ) -> Result<(), LintFailure> {
        let certificate = self.read(tbs)?;
        self.check_profile(&certificate, &rules::FINAL, now)?;
        check_correspondence(&certificate, precertificate)?;
        self.reader.accepts(certificate.der(), now)
    }

    /// The certificate that the throw-away key makes of these octets, read back.
    fn read(&self, tbs: &[u8]) -> Result<Certificate, LintFailure> {
        let algorithm = self.throw_away.public_key().algorithm();
        let signature = self.throw_away.sign(tbs).map_err(|e| Rule::ThrowAwayKey.broken(e))?;
        let certificate = Certificate::parse(certificate_der(tbs, algorithm.identifier_der(), &signature));
        let certificate = certificate.map_err(|e| rules::of_structure(&e))?;
        if certificate.tbs_der() == tbs {
            Ok(certificate)
        } else {
            Err(Rule::Structure.broken("octets that are not in the TBSCertificate"))
        }
    }

    fn check_profile(
        &self,
        certificate: &Certificate,
        places: &[rules::Place],
        now: UnixMillis,
    ) -> Result<(), LintFailure> {
        rules::check_fields(certificate, &self.issuer, now)?;
        rules::check_extensions(certificate, places)?;
        rules::check_name(certificate, &self.trust_domain)?;
        rules::check_usages(certificate)?;
        rules::check_key_identifiers(certificate, &self.key_identifier)?;
        rules::check_agent_extensions(certificate)
    }
}

impl fmt::Debug for Linter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: &PublicKey = self.throw_away.public_key();
        f.debug_struct("Linter").field("issuer", self.issuer()).field("throw_away", key).finish_non_exhaustive()
    }
}

/// The final certificate gives back `precertificate`, octet for octet, and its timestamps are for it.
fn check_correspondence(certificate: &Certificate, precertificate: &Certificate) -> Result<(), LintFailure> {
    let other = |found: &dyn fmt::Display| Rule::Correspondence.broken(found);
    match Precertificate::of(precertificate) {
        Ok(Some(_)) => {}
        Ok(None) => return Err(other(&"a precertificate without the poison")),
        Err(e) => return Err(other(&e)),
    }
    let recovered = recover(certificate).map_err(|e| other(&e))?;
    let recovered = recovered.ok_or_else(|| other(&"a certificate that was made from no precertificate"))?;
    if recovered.precertificate_der != precertificate.der() {
        return Err(other(&"a certificate that gives back another precertificate"));
    }
    let list = SatList::from_der(recovered.sat_list_der).map_err(|e| Rule::SatList.broken(e))?;
    let hash = CertHash::of_certificate(precertificate.der());
    match list.sats().iter().find(|sat| sat.cert_hash != hash) {
        Some(sat) => Err(Rule::SatList.broken(format_args!("a SAT of log {} for {}", sat.log_id, sat.cert_hash))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
