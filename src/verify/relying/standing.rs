//! What is known of revocation (draft 7.4, 9.3, 11.5): OCSP answers and revocation lists, verified when they
//! come, so that a verdict needs no signature for them.

use std::sync::Arc;

use thiserror::Error;

use crate::apki::certificate::DistributionPoint;
use crate::apki::chain::Issuer;
use crate::apki::status::crl::{Crl, CrlError};
use crate::apki::status::ocsp::{
    CertIdError, CertIdHash, CertStatus, IssuerIds, Nonce, OcspResponse, OcspResponseError, OcspVerifyError,
};
use crate::apki::status::{CLOCK_SKEW, RevocationReason};
use crate::apki::{Certificate, oid};
use crate::keys::{KeyError, PublicKey};
use crate::time::UnixMillis;

use super::domains::Domains;

/// How a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// Since when.
        at: UnixMillis,
        /// Why.
        reason: RevocationReason,
    },
    /// Its CA does not know it.
    Unknown,
}

/// An OCSP answer whose signature was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// SHA-256 of the certificate that it is about.
    pub certificate: [u8; 32],
    /// What it says.
    pub status: Status,
    /// The moment that it is true for.
    pub this_update: UnixMillis,
    /// Until when it may be kept.
    pub next_update: UnixMillis,
}

/// Why octets say nothing of how a certificate stands.
#[derive(Debug, Error)]
pub enum StandingError {
    /// Not an answer.
    #[error(transparent)]
    Response(#[from] OcspResponseError),
    /// Not one to be believed.
    #[error(transparent)]
    Verify(#[from] OcspVerifyError),
    /// The issuer cannot be called by its hashes.
    #[error("the issuer's certificate: {0}")]
    Issuer(#[from] CertIdError),
}

impl Standing {
    /// What the OCSP response `der` says of `certificate`, which `issuer` signed. It must hold at `now`;
    /// where the request had a `nonce`, it must be repeated.
    ///
    /// # Errors
    /// [`StandingError`]
    pub fn from_ocsp(
        der: &[u8],
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixMillis,
        nonce: Option<&Nonce>,
    ) -> Result<Self, StandingError> {
        let response = OcspResponse::parse(der)?;
        // Whichever hash the responder calls the issuer by, the certificate is the same.
        let ids = IssuerIds::of(issuer)?;
        let asked = [CertIdHash::Sha1, CertIdHash::Sha256].map(|hash| ids.cert_id(certificate.serial(), hash));
        let [first, second] = asked;
        let answer = match response.verify(&first?, issuer, now, nonce) {
            Err(OcspVerifyError::OtherCertificate) => response.verify(&second?, issuer, now, nonce)?,
            other => other?,
        };
        let status = match answer.status {
            CertStatus::Good => Status::Good,
            CertStatus::Revoked { at, reason } => Status::Revoked { at: at.millis(), reason },
            CertStatus::Unknown => Status::Unknown,
        };
        // Verified answers have an end.
        let next_update = answer.next_update.unwrap_or(answer.this_update).millis();
        let this_update = answer.this_update.millis();
        Ok(Self { certificate: certificate.fingerprint(), status, this_update, next_update })
    }
}

/// A revocation list whose signature was verified.
#[derive(Clone, Debug)]
struct TrustedCrl {
    crl: Arc<Crl>,
    signer: Arc<Certificate>,
    /// The anchors that certified the signer, or are it: only for agents below these may it be an indirect
    /// list (RFC 5280 section 5.2.5).
    anchors: Vec<[u8; 32]>,
}

/// Why a revocation list is not taken.
#[derive(Debug, Error)]
pub enum CrlRefused {
    /// The signer is somebody else than the list's issuer.
    #[error("the list names another issuer than the subject of the certificate that it is to be verified with")]
    OtherSigner,
    /// The signer's key may not sign lists.
    #[error("the certificate of the list's signer does not let its key sign lists (keyUsage cRLSign)")]
    KeyUsage,
    /// The signer's key is none.
    #[error("the certificate of the list's signer: {0}")]
    Key(#[from] KeyError),
    /// The list was made when the signer's certificate was not valid.
    #[error("the list is of {0}, when the certificate of its signer was not valid")]
    Validity(UnixMillis),
    /// Something critical that nobody here knows.
    #[error("the certificate of the list's signer has a critical extension that nobody here knows")]
    UnknownCritical,
    /// The signature.
    #[error(transparent)]
    Crl(#[from] CrlError),
}

impl TrustedCrl {
    fn new(crl: Arc<Crl>, signer: Arc<Certificate>, domains: &Domains) -> Self {
        let anchors = domains.iter().flat_map(|(_, domain)| domain.trusted.anchors().iter());
        let anchors = anchors.filter(|anchor| is_or_certified(anchor, &signer)).map(|anchor| *anchor.fingerprint());
        Self { anchors: anchors.collect(), crl, signer }
    }

    /// Whether it says how a certificate stands; where it is an indirect list, if `anchored` takes its anchors.
    fn is_about(&self, asked: &AskedAbout<'_>, anchored: impl FnOnce(&[[u8; 32]]) -> bool) -> bool {
        let (crl, point) = (&self.crl, asked.point);
        let scope = crl.scope();
        let direct =
            crl.issuer_der() == asked.certificate.issuer_der() && self.signer.spki_der() == asked.issuer.spki_der();
        let indirect = scope.is_some_and(|scope| scope.indirect)
            && point.and_then(|point| point.crl_issuer) == Some(crl.issuer_der())
            && anchored(&self.anchors);
        let about = scope.is_none_or(|scope| {
            point.is_some_and(|point| point.url == scope.url.as_str()) && !(scope.only_user_certificates && asked.is_ca)
        });
        (direct || indirect) && about
    }
}

/// A certificate that a list may be about.
struct AskedAbout<'a> {
    certificate: &'a Certificate,
    issuer: &'a Certificate,
    point: Option<DistributionPoint<'a>>,
    is_ca: bool,
}

impl<'a> AskedAbout<'a> {
    fn new(certificate: &'a Certificate, issuer: &'a Certificate) -> Self {
        let point = certificate.crl_distribution_point().ok().flatten();
        let is_ca = certificate.basic_constraints().ok().flatten().is_some_and(|c| c.ca);
        Self { certificate, issuer, point, is_ca }
    }
}

/// The revocation lists at hand. A copy shares them, so it costs little.
#[derive(Clone, Debug, Default)]
pub struct RevocationLists(Vec<Arc<TrustedCrl>>);

impl RevocationLists {
    /// Takes a list that `signer` signed; one that is older than a list of the same signer and scope at hand
    /// is passed over. For an indirect list the signer must stand directly below an anchor of `domains`;
    /// otherwise it is worth nothing and nobody uses it.
    ///
    /// # Errors
    /// [`CrlRefused`]
    pub fn add(&mut self, crl: Crl, signer: &Certificate, domains: &Domains) -> Result<(), CrlRefused> {
        self.take(Arc::new(verified(crl, signer, domains)?));
        Ok(())
    }

    /// The same, beside whatever is at hand: a newer list may have dropped who was revoked before its certificate
    /// ended, so of the past each list says something.
    ///
    /// # Errors
    /// [`CrlRefused`]
    pub fn add_beside(&mut self, crl: Crl, signer: &Certificate, domains: &Domains) -> Result<(), CrlRefused> {
        self.0.push(Arc::new(verified(crl, signer, domains)?));
        Ok(())
    }

    fn take(&mut self, taken: Arc<TrustedCrl>) {
        let same = |other: &&mut Arc<TrustedCrl>| {
            other.signer.spki_der() == taken.signer.spki_der()
                && other.crl.issuer_der() == taken.crl.issuer_der()
                && other.crl.scope() == taken.crl.scope()
        };
        match self.0.iter_mut().find(same) {
            Some(known) if known.crl.this_update() > taken.crl.this_update() => {}
            Some(known) => *known = taken,
            None => self.0.push(taken),
        }
    }

    /// Takes in the lists that were taken for the same domains elsewhere; of two of one signer and scope the newer one.
    pub fn merge(&mut self, others: &Self) {
        others.0.iter().cloned().for_each(|list| self.take(list));
    }

    /// The same lists for other domains. Their signatures hold as before; what may change is below which anchors an
    /// indirect one counts.
    #[must_use]
    pub fn under(&self, domains: &Domains) -> Self {
        let lists = self.0.iter().map(|list| TrustedCrl::new(Arc::clone(&list.crl), Arc::clone(&list.signer), domains));
        Self(lists.map(Arc::new).collect())
    }

    /// The lists that were taken since these were a copy of `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let is_new = |list: &&Arc<TrustedCrl>| !before.0.iter().any(|known| Arc::ptr_eq(known, list));
        Self(self.0.iter().filter(is_new).cloned().collect())
    }

    /// Keeps the lists of which `wanted` says so, by the certificate of the signer and whether it is an indirect list.
    pub fn retain(&mut self, wanted: impl Fn(&Certificate, bool) -> bool) {
        self.0.retain(|list| wanted(&list.signer, list.crl.scope().is_some_and(|scope| scope.indirect)));
    }

    /// Drops the lists that have run out at `now`, and then those that are here the longest, until there are `most`
    /// with `octets` octets in all.
    pub fn bound(&mut self, now: UnixMillis, most: usize, octets: usize) {
        self.0.retain(|list| now <= list.crl.next_update().millis().saturating_add(CLOCK_SKEW));
        let mut room = octets;
        let newest = self.0.iter().rev().take(most);
        let fit = newest.map_while(|list| {
            room = room.checked_sub(list.crl.der().len())?;
            Some(())
        });
        let kept = fit.count();
        self.0.drain(..self.0.len() - kept);
    }

    /// Whether one of the lists says how `certificate`, which `issuer` signed, stands below any anchor.
    pub fn are_about(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let asked = AskedAbout::new(certificate, issuer);
        self.0.iter().any(|list| list.is_about(&asked, |anchors| !anchors.is_empty()))
    }

    /// The nextUpdate of the list that runs out first, where there is a list.
    pub fn good_until(&self) -> Option<UnixMillis> {
        self.0.iter().map(|list| list.crl.next_update().millis()).min()
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the lists say of it.
    fn ask(&self, of: Certified<'_>) -> impl Iterator<Item = Standing> {
        let Certified { certificate, fingerprint, issuer, anchor } = of;
        let asked = AskedAbout::new(certificate, issuer.certificate());
        let about = move |list: &&Arc<TrustedCrl>| list.is_about(&asked, |all| all.contains(anchor.fingerprint()));
        self.0.iter().filter(about).map(move |list| {
            let crl = &list.crl;
            let entry = crl.find_issued_by(certificate.issuer_der(), certificate.serial());
            let status =
                entry.map_or(Status::Good, |entry| Status::Revoked { at: entry.at.millis(), reason: entry.reason });
            let (this_update, next_update) = (crl.this_update().millis(), crl.next_update().millis());
            Standing { certificate: *fingerprint, status, this_update, next_update }
        })
    }
}

fn verified(crl: Crl, signer: &Certificate, domains: &Domains) -> Result<TrustedCrl, CrlRefused> {
    if crl.issuer_der() != signer.subject_der() {
        return Err(CrlRefused::OtherSigner);
    }
    let usage = signer.key_usage().ok().flatten();
    if !usage.is_some_and(|usage| usage.crl_sign()) {
        return Err(CrlRefused::KeyUsage);
    }
    let made = crl.this_update().millis();
    if made < signer.not_before() || signer.not_after() < made {
        return Err(CrlRefused::Validity(made));
    }
    let known = [oid::KEY_USAGE, oid::EXTENDED_KEY_USAGE, oid::BASIC_CONSTRAINTS, oid::NAME_CONSTRAINTS];
    if signer.extensions().any(|e| e.critical && !known.iter().any(|oid| e.is(oid))) {
        return Err(CrlRefused::UnknownCritical);
    }
    crl.verify(&PublicKey::from_spki_der(signer.spki_der())?)?;
    Ok(TrustedCrl::new(Arc::new(crl), Arc::new(signer.clone()), domains))
}

fn is_or_certified(anchor: &Issuer, signer: &Certificate) -> bool {
    let certificate = anchor.certificate();
    if certificate == signer {
        return true;
    }
    signer.issuer_der() == certificate.subject_der()
        && signer.signature_algorithm() == Some(anchor.key().algorithm())
        && anchor.key().verify(signer.tbs_der(), signer.signature()).is_ok()
}

/// All that is known of revocation.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    /// Lists.
    pub lists: Arc<RevocationLists>,
    /// OCSP answers.
    pub answers: Vec<Standing>,
    /// Answers that were brought and are not to be believed, by the certificate that they were brought for.
    pub invalid: Vec<([u8; 32], String)>,
}

/// A certificate of which it is asked whether it was revoked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certified<'a> {
    pub(super) certificate: &'a Certificate,
    /// SHA-256 of it, which whoever asks has: verdicts that are taken again hash nothing.
    pub(super) fingerprint: &'a [u8; 32],
    /// Who signed it.
    pub(super) issuer: &'a Issuer,
    /// Below which anchor.
    pub(super) anchor: &'a Issuer,
}

/// How much an answer must be worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) now: UnixMillis,
    /// What is asked about is past, so that answers from later say more, not less: a revocation is never
    /// taken back.
    pub(super) past: bool,
    pub(super) max_age: Option<u64>,
    /// A list does not do.
    pub(super) ocsp_only: bool,
}

/// What is known of one certificate at the moment that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was not revoked.
    Good {
        /// Until when the answer may be kept.
        until: UnixMillis,
        /// When and why it was revoked afterwards, where the question is about the past.
        later: Option<(UnixMillis, RevocationReason)>,
    },
    /// It was revoked.
    Revoked {
        /// Since when.
        at: UnixMillis,
        /// Why.
        reason: RevocationReason,
    },
    /// Its CA does not know it.
    Unknown,
    /// The newest that is known is of this moment, which is too old.
    Stale(UnixMillis),
    /// What was brought is not to be believed, and why.
    Invalid(String),
    /// Nothing.
    Nothing,
}

impl Revocations {
    pub(super) fn ask(&self, of: Certified<'_>, wanted: Wanted) -> Known {
        let answers = self.answers.iter().copied().filter(|answer| answer.certificate == *of.fingerprint);
        let answers: Vec<(bool, Standing)> =
            answers.map(|answer| (true, answer)).chain(self.lists.ask(of).map(|answer| (false, answer))).collect();
        // Whoever says that it was revoked is believed, however long ago it was said.
        let revoked = answers.iter().filter_map(|(_, answer)| match answer.status {
            Status::Revoked { at, reason } => Some((at, reason)),
            _ => None,
        });
        let first = revoked.min_by_key(|(at, _)| *at);
        // Of the past the moments are held against each other as they stand. In the present a revocation counts
        // from when it is known, whatever moment it is dated to.
        if let Some((at, reason)) = first.filter(|(at, _)| !wanted.past || *at <= wanted.now) {
            return Known::Revoked { at, reason };
        }
        let later = first.filter(|_| wanted.past);
        let end = of.certificate.not_after();
        let usable = |ocsp: bool, answer: &Standing| (ocsp || !wanted.ocsp_only) && wanted.is_current(answer, end);
        let current = answers.iter().filter(|(ocsp, answer)| usable(*ocsp, answer));
        let (mut by_ocsp, mut by_list, mut is_unknown) = (None, None, false);
        for (ocsp, answer) in current {
            let good = if *ocsp { &mut by_ocsp } else { &mut by_list };
            match answer.status {
                Status::Unknown => is_unknown = true,
                _ => *good = (*good).max(Some(wanted.until(answer))),
            }
        }
        // A CA that does not know the certificate is not contradicted by a list that does not name it.
        let by_list = by_list.filter(|_| by_ocsp.is_some() || !is_unknown);
        match (by_ocsp.max(by_list), is_unknown) {
            (Some(until), _) => return Known::Good { until, later },
            (None, true) => return Known::Unknown,
            (None, false) => {}
        }
        let invalid = self.invalid.iter().find(|(about, _)| about == of.fingerprint);
        let newest = answers.iter().map(|(_, answer)| answer.this_update).max();
        match (invalid, newest) {
            (Some((_, why)), _) => Known::Invalid(why.clone()),
            (None, Some(newest)) => Known::Stale(newest),
            (None, None) => Known::Nothing,
        }
    }
}

impl Wanted {
    /// Until when the answer is current.
    fn until(&self, answer: &Standing) -> UnixMillis {
        let end = answer.next_update.saturating_add(CLOCK_SKEW);
        self.max_age.map_or(end, |most| end.min(answer.this_update.saturating_add(most)))
    }

    /// Whether the answer, about a certificate that ends at `end`, says something of the moment.
    fn is_current(&self, answer: &Standing, end: UnixMillis) -> bool {
        let ahead = answer.this_update > self.now.saturating_add(CLOCK_SKEW);
        let over = self.now > answer.next_update.saturating_add(CLOCK_SKEW);
        let old = self.max_age.is_some_and(|most| self.now.since(answer.this_update) > most);
        // Behind its end a certificate may be left out of lists though it was revoked (RFC 5280 section 3.3), and
        // `good` is said of those that are valid (RFC 6960 section 2.2): it clears nobody any more.
        let ended = answer.this_update > end && !matches!(answer.status, Status::Revoked { .. });
        (self.past && answer.this_update >= self.now && !ended) || !(ahead || over || old)
    }
}
