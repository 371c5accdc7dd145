//! What a root says of the intermediates below it, by a delegated signer of lists (RFC 5280 section 5): the
//! root's own key can stay in its safe while an intermediate is taken back.
//!
//! The signer's certificate, which the root issued, allows cRLSign and nothing else. Its list is indirect: each
//! entry names the root as the issuer of the certificate that it is about. About the signer itself the root
//! speaks in a list of its own, without which OpenSSL believes no signer.

use thiserror::Error;

use crate::apki::certificate::Certificate;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::{Crl, CrlError, Entry, Scope};
use crate::keys::{KeyError, PublicKey};
use crate::time::UnixMillis;

/// Why a list of the root's is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RootListError {
    /// The signer's certificate is not one by the root.
    #[error("the certificate of the list's signer is not issued by the root")]
    NotByRoot,
    /// The signer's certificate does not make it a signer of lists alone.
    #[error("the certificate of the list's signer {0}")]
    NotASigner(&'static str),
    /// A key that nothing can be verified with.
    #[error("the key of whoever signs the list: {0}")]
    Key(#[from] KeyError),
    /// The signer's certificate is not valid now.
    #[error(
        "the certificate of the list's signer is valid from {not_before} to {not_after}, and it is {now}: atl ca root \
         emergency-signer renews it"
    )]
    SignerPeriod {
        /// Valid from.
        not_before: UnixMillis,
        /// Valid until.
        not_after: UnixMillis,
        /// What the clock says.
        now: UnixMillis,
    },
    /// Malformed, out of date, or with another signature.
    #[error("{0}")]
    List(#[from] CrlError),
    /// Somebody else's.
    #[error("the list is of another issuer than {0}")]
    Issuer(&'static str),
    /// It is about other certificates.
    #[error("the list {0}")]
    Scope(&'static str),
    /// Its number does not fit 64 bits.
    #[error("the list's number is none that is given here")]
    Number,
    /// A list from before the one that is known.
    #[error("the list has number {number}, and number {known} is known: it was put back from an older copy")]
    WentBack {
        /// Its number.
        number: u64,
        /// The number known.
        known: u64,
    },
    /// Two lists of one number.
    #[error("there is another list with the same number {0}: it was signed twice, from different copies")]
    Twice(u64),
    /// A revocation is gone.
    #[error("the certificate {0} was on the list before, and is not any more: what is revoked stays revoked")]
    Unrevoked(String),
}

/// A signer of lists that the root certified.
#[derive(Clone, Debug)]
pub struct ListSigner {
    certificate: Certificate,
    key: PublicKey,
}

impl ListSigner {
    /// Checks that `root` issued the certificate, and that it is for signing lists and for nothing else. Whether
    /// it is valid now is for [`check_current`](Self::check_current).
    ///
    /// # Errors
    /// [`RootListError::NotByRoot`], [`RootListError::NotASigner`] and [`RootListError::Key`].
    pub fn new(certificate: Certificate, root: &Certificate) -> Result<Self, RootListError> {
        if !issued_by(&certificate, root)? {
            return Err(RootListError::NotByRoot);
        }
        let not = |why| Err(RootListError::NotASigner(why));
        match certificate.key_usage() {
            Ok(Some(usage)) if usage.crl_sign() && !usage.key_cert_sign() => {}
            _ => return not("does not allow it to sign lists (keyUsage cRLSign), and nothing else"),
        }
        if !matches!(certificate.basic_constraints(), Ok(constraints) if constraints.is_none_or(|c| !c.ca)) {
            return not("makes it a CA");
        }
        if certificate.subject_key_identifier().is_none_or(<[u8]>::is_empty) {
            return not("has no subjectKeyIdentifier");
        }
        let key = PublicKey::from_spki_der(certificate.spki_der())?;
        Ok(Self { certificate, key })
    }

    /// The certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key that the lists verify with.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Checks that the certificate is valid at `now`.
    ///
    /// # Errors
    /// [`RootListError::SignerPeriod`]
    pub fn check_current(&self, now: UnixMillis) -> Result<(), RootListError> {
        let (not_before, not_after) = (self.certificate.not_before(), self.certificate.not_after());
        if now < not_before || now > not_after {
            return Err(RootListError::SignerPeriod { not_before, not_after, now });
        }
        Ok(())
    }
}

/// Whether `issuer` issued `certificate`, by name and signature.
///
/// # Errors
/// [`RootListError::Key`] where the issuer's key verifies nothing.
pub fn issued_by(certificate: &Certificate, issuer: &Certificate) -> Result<bool, RootListError> {
    let key = PublicKey::from_spki_der(issuer.spki_der())?;
    Ok(certificate.issuer_der() == issuer.subject_der()
        && certificate.signature_algorithm() == Some(key.algorithm())
        && key.verify(certificate.tbs_der(), certificate.signature()).is_ok())
}

/// The indirect list of a signer.
#[derive(Clone, Debug)]
pub struct RootList {
    list: Crl,
    scope: Scope,
    number: u64,
}

impl RootList {
    /// Reads a list that `signer` signed. Whether it holds now is for [`check_current`](Self::check_current).
    ///
    /// # Errors
    /// Any [`RootListError`] but those about the signer, the time, and another list.
    pub fn read(der: &[u8], signer: &ListSigner) -> Result<Self, RootListError> {
        let read = Self::remembered(der)?;
        if read.list.issuer_der() != signer.certificate.subject_der() {
            return Err(RootListError::Issuer("the signer that the root certified"));
        }
        read.list.verify(&signer.key)?;
        Ok(read)
    }

    /// Reads a list that was verified before it was kept: the signer may have another key since.
    ///
    /// # Errors
    /// Any [`RootListError`] about the list's form.
    pub fn remembered(der: &[u8]) -> Result<Self, RootListError> {
        let list = Crl::parse(der)?;
        let scope = list.scope().filter(|scope| scope.indirect && !scope.only_user_certificates);
        let scope = scope.ok_or(RootListError::Scope("is no indirect one, so it is not about intermediates"))?.clone();
        let number = list.number().ok_or(RootListError::Number)?;
        Ok(Self { list, scope, number })
    }

    /// Checks that the list holds at `now`.
    ///
    /// # Errors
    /// [`RootListError::List`], early or stale.
    pub fn check_current(&self, now: UnixMillis) -> Result<(), RootListError> {
        Ok(self.list.check_current(now)?)
    }

    /// Checks that the list may stand in the place of `before`: it is the same one, or a later one that takes no
    /// revocation back.
    ///
    /// # Errors
    /// [`RootListError::WentBack`], [`RootListError::Twice`] and [`RootListError::Unrevoked`].
    pub fn check_follows(&self, before: &Self) -> Result<(), RootListError> {
        let (number, known) = (self.number, before.number);
        if number < known {
            return Err(RootListError::WentBack { number, known });
        }
        if number == known && self.list.der() != before.list.der() {
            return Err(RootListError::Twice(number));
        }
        let gone = before.list.entries().find(|e| self.list.find_issued_by(e.certificate_issuer, e.serial).is_none());
        gone.map_or(Ok(()), |entry| Err(RootListError::Unrevoked(hex::encode(entry.serial))))
    }

    /// cRLNumber.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Where it is published: what cRLDistributionPoints of intermediates name.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The list itself.
    pub const fn crl(&self) -> &Crl {
        &self.list
    }

    /// The entry of a certificate, where it is revoked.
    pub fn entry(&self, certificate: &Certificate) -> Option<Entry<'_>> {
        self.list.find_issued_by(certificate.issuer_der(), certificate.serial())
    }

    /// The first of these certificates, the issuing one first, that is revoked.
    pub fn revoked<'a>(&self, chain: impl IntoIterator<Item = &'a Certificate>) -> Option<IssuerRevocation> {
        chain.into_iter().find_map(|certificate| {
            let entry = self.entry(certificate)?;
            Some(IssuerRevocation {
                serial: hex::encode(entry.serial),
                at: entry.at.millis(),
                reason: entry.reason,
                list: self.number,
            })
        })
    }
}

/// That a CA may not issue any more, since its own certificate was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the certificate {serial} of this CA was revoked at {at} ({reason}), by number {list} of the root's lists")]
pub struct IssuerRevocation {
    /// The serial number, in hex.
    pub serial: String,
    /// When.
    pub at: UnixMillis,
    /// Why.
    pub reason: RevocationReason,
    /// The number of the list that says so.
    pub list: u64,
}

/// Reads the list that the root itself signed: about the signer and other certificates of the root that name it.
/// It is verified, and whether it holds is for [`Crl::check_current`].
///
/// # Errors
/// Any [`RootListError`] about one list.
pub fn read_anchor_list(der: &[u8], root: &Certificate) -> Result<Crl, RootListError> {
    let list = Crl::parse(der)?;
    if list.issuer_der() != root.subject_der() {
        return Err(RootListError::Issuer("the root"));
    }
    // Without a scope it would speak for every certificate of the root, intermediates too.
    match list.scope() {
        Some(scope) if !scope.indirect => {}
        _ => return Err(RootListError::Scope("does not say which certificates of the root it is about")),
    }
    list.verify(&PublicKey::from_spki_der(root.spki_der())?)?;
    Ok(list)
}

#[cfg(test)]
mod tests;
