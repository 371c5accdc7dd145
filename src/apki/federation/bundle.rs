//! The trust bundle (draft 10.1): a JSON document by which a domain says what its agents'
//! certificates stand below.
//!
//! Reading is strict about the members that the draft names. A member that it does not name is passed
//! over, so that a later edition can add some; an edition that must not be read by this one has another
//! `version`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{TrustDomain, TrustDomainError};
use crate::apki::chain::{AnchorError, Anchors};
use crate::apki::moment::Moment;
use crate::apki::trust_score::Score;
use crate::apki::{Certificate, CertificateError};
use crate::keys::SignatureAlgorithm;
use crate::time::UnixMillis;

/// The `typ` of the signature over a bundle.
pub const BUNDLE_TYP: &str = "apki-trust-bundle+jws";
/// The edition of the format.
pub const VERSION: u64 = 1;
/// The algorithms that we verify, by the names that bundles use (draft 10.1).
pub const SUPPORTED_ALGORITHMS: [&str; 2] = ["ES256", "Ed25519"];
/// The name of an algorithm in bundles; in signatures (JWS) Ed25519 is called otherwise.
pub const fn algorithm_name(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => SUPPORTED_ALGORITHMS[0],
        SignatureAlgorithm::Ed25519 => SUPPORTED_ALGORITHMS[1],
    }
}
/// Most octets of a bundle.
pub const MAX_BUNDLE: usize = 1 << 20;
/// Most CA certificates in a bundle.
pub const MAX_CERTIFICATES: usize = 64;
/// Most octets of one of them.
const MAX_CERTIFICATE: usize = 16 << 10;
/// Most algorithms, and octets of a name of one.
const MAX_ALGORITHMS: usize = 32;
const MAX_ALGORITHM: usize = 64;
/// How far the clocks of two parties may be apart.
const CLOCK_SKEW_MS: u64 = 60_000;

/// Why a document is no trust bundle, or one that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BundleError {
    /// More octets than a bundle has.
    #[error("a trust bundle has at most {MAX_BUNDLE} octets, and this document has {0}")]
    TooLong(usize),
    /// Not JSON, or a member is missing, there twice, or of another kind.
    #[error("the document is no trust bundle: {0}")]
    Json(String),
    /// A version that we do not know.
    #[error(
        "the trust bundle is of version {0}, and only version {VERSION} is known here: a newer program may read it"
    )]
    Version(u64),
    /// `trust_domain` is none.
    #[error("`trust_domain`: {0}")]
    Domain(#[from] TrustDomainError),
    /// A time that is not written as the draft writes it.
    #[error("`{member}` is {found:?}, and must be a time in UTC to the second, such as \"2026-04-10T12:00:00Z\"")]
    Time {
        /// Which member.
        member: &'static str,
        /// What stands there.
        found: String,
    },
    /// It ends before it begins.
    #[error("`expires_at` ({expires_at}) is not after `issued_at` ({issued_at})")]
    Lifetime {
        /// `issued_at`
        issued_at: Moment,
        /// `expires_at`
        expires_at: Moment,
    },
    /// No CA certificates, or too many.
    #[error("`ca_certificates` has {0} certificates; a trust bundle has 1 to {MAX_CERTIFICATES}")]
    Count(usize),
    /// An element that is no base64, or too long.
    #[error("`ca_certificates[{index}]`: {reason}")]
    Octets {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// An element that is no certificate.
    #[error("`ca_certificates[{index}]`: {cause}")]
    Certificate {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        cause: CertificateError,
    },
    /// An element that is not a CA's.
    #[error("`ca_certificates`: {0}")]
    NotCa(#[from] AnchorError),
    /// One certificate twice.
    #[error("`ca_certificates` has one certificate twice (SHA-256 {0})")]
    Twice(String),
    /// `minimum_trust_score` is above 100.
    #[error("`minimum_trust_score` is {0}; a score is 0 to 100")]
    Score(u64),
    /// `supported_algorithms` is beyond all bounds.
    #[error(
        "`supported_algorithms` has more than {MAX_ALGORITHMS} names, or one that is empty or over {MAX_ALGORITHM} octets"
    )]
    Algorithms,
    /// It is another domain's.
    #[error("the trust bundle is that of {found}, and {expected} is expected")]
    OtherDomain {
        /// Whose it is.
        found: TrustDomain,
        /// Whose it should be.
        expected: TrustDomain,
    },
    /// It is dated in the future.
    #[error(
        "the trust bundle of {domain} is dated {issued_at}, which is still to come: one of the two clocks is wrong"
    )]
    Ahead {
        /// Whose it is.
        domain: TrustDomain,
        /// Its date.
        issued_at: Moment,
    },
    /// It has run out.
    #[error("the trust bundle of {domain} ran out at {expires_at}")]
    Expired {
        /// Whose it is.
        domain: TrustDomain,
        /// When it ran out.
        expires_at: Moment,
    },
    /// It is older than one that was seen before.
    #[error(
        "the trust bundle of {domain} is of {issued_at}, which is older than the one at hand, of {known}: it was put back"
    )]
    Rollback {
        /// Whose it is.
        domain: TrustDomain,
        /// Its date.
        issued_at: Moment,
        /// The date of the one at hand.
        known: Moment,
    },
}

/// A trust bundle whose members hold together.
#[derive(Clone, Debug)]
pub struct TrustBundle {
    domain: TrustDomain,
    issued_at: Moment,
    expires_at: Moment,
    anchors: Anchors,
    minimum: Score,
    algorithms: Vec<String>,
}

/// What a bundle is made of.
#[derive(Clone, Debug)]
pub struct Members {
    /// Whose agents it is about.
    pub domain: TrustDomain,
    /// When it is made.
    pub issued_at: Moment,
    /// From when on it says nothing.
    pub expires_at: Moment,
    /// What the certificates of the domain's agents stand below.
    pub certificates: Vec<Certificate>,
    /// The least score with which the domain lets its agents be trusted.
    pub minimum: Score,
    /// The signature algorithms of its certificates.
    pub algorithms: Vec<String>,
}

/// The document, member for member, in the draft's order.
#[derive(Serialize, Deserialize)]
struct Raw {
    trust_domain: String,
    version: u64,
    issued_at: String,
    expires_at: String,
    ca_certificates: Vec<String>,
    minimum_trust_score: u64,
    supported_algorithms: Vec<String>,
}

/// The version alone, which decides whether the rest can be read.
#[derive(Deserialize)]
struct Edition {
    version: u64,
}

impl TrustBundle {
    /// The bundle of these members.
    ///
    /// # Errors
    /// [`BundleError`] where they do not hold together.
    pub fn new(members: Members) -> Result<Self, BundleError> {
        let Members { domain, issued_at, expires_at, certificates, minimum, algorithms } = members;
        if expires_at <= issued_at {
            return Err(BundleError::Lifetime { issued_at, expires_at });
        }
        if !(1..=MAX_CERTIFICATES).contains(&certificates.len()) {
            return Err(BundleError::Count(certificates.len()));
        }
        for (index, certificate) in certificates.iter().enumerate() {
            if certificates.iter().take(index).any(|earlier| earlier == certificate) {
                return Err(BundleError::Twice(hex::encode(certificate.fingerprint())));
            }
        }
        let named = |name: &String| (1..=MAX_ALGORITHM).contains(&name.len());
        if algorithms.len() > MAX_ALGORITHMS || !algorithms.iter().all(named) {
            return Err(BundleError::Algorithms);
        }
        Ok(Self { domain, issued_at, expires_at, anchors: Anchors::new(certificates)?, minimum, algorithms })
    }

    /// Reads the document. Whether it is signed, and of today, is not looked at.
    ///
    /// # Errors
    /// [`BundleError`], with the member at fault.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        if json.len() > MAX_BUNDLE {
            return Err(BundleError::TooLong(json.len()));
        }
        let unread = |e: serde_json::Error| BundleError::Json(e.to_string().chars().take(200).collect());
        // A derived struct would take an array of its members as well.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(BundleError::Json("it is no JSON object".into()));
        }
        let Edition { version } = serde_json::from_slice(json).map_err(unread)?;
        if version != VERSION {
            return Err(BundleError::Version(version));
        }
        let raw: Raw = serde_json::from_slice(json).map_err(unread)?;
        let count = raw.ca_certificates.len();
        if !(1..=MAX_CERTIFICATES).contains(&count) {
            return Err(BundleError::Count(count));
        }
        let certificates = raw.ca_certificates.iter().enumerate().map(|(index, text)| certificate(index, text));
        let score = raw.minimum_trust_score;
        let minimum = u8::try_from(score).ok().and_then(|score| Score::new(score).ok());
        Self::new(Members {
            domain: TrustDomain::parse(&raw.trust_domain)?,
            issued_at: time("issued_at", &raw.issued_at)?,
            expires_at: time("expires_at", &raw.expires_at)?,
            certificates: certificates.collect::<Result<_, _>>()?,
            minimum: minimum.ok_or(BundleError::Score(score))?,
            algorithms: raw.supported_algorithms,
        })
    }

    /// The document. The same bundle has the same octets, always.
    pub fn to_json(&self) -> Vec<u8> {
        let raw = Raw {
            trust_domain: self.domain.to_string(),
            version: VERSION,
            issued_at: self.issued_at.to_string(),
            expires_at: self.expires_at.to_string(),
            ca_certificates: self.certificates().map(|c| STANDARD.encode(c.der())).collect(),
            minimum_trust_score: self.minimum.get().into(),
            supported_algorithms: self.algorithms.clone(),
        };
        // Texts and numbers: nothing in it can fail to be written.
        serde_json::to_vec_pretty(&raw).unwrap_or_default()
    }

    /// Whose agents it is about.
    pub const fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// When it was made.
    pub const fn issued_at(&self) -> Moment {
        self.issued_at
    }

    /// From when on it says nothing.
    pub const fn expires_at(&self) -> Moment {
        self.expires_at
    }

    /// What the certificates of the domain's agents stand below.
    pub const fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// The same as certificates, in the order of the document.
    pub fn certificates(&self) -> impl ExactSizeIterator<Item = &Certificate> {
        self.anchors.iter().map(|issuer| issuer.certificate())
    }

    /// The least score with which the domain lets its agents be trusted.
    pub const fn minimum_trust_score(&self) -> Score {
        self.minimum
    }

    /// The signature algorithms of its certificates, by name; some may not be known here.
    pub fn supported_algorithms(&self) -> &[String] {
        &self.algorithms
    }

    /// It is the bundle of `expected`.
    ///
    /// # Errors
    /// [`BundleError::OtherDomain`] where it is another's.
    pub fn is_of(&self, expected: &TrustDomain) -> Result<(), BundleError> {
        if self.domain == *expected {
            return Ok(());
        }
        Err(BundleError::OtherDomain { found: self.domain.clone(), expected: expected.clone() })
    }

    /// It says something at `now`. One that is dated up to a minute ahead does already.
    ///
    /// # Errors
    /// [`BundleError::Ahead`] and [`BundleError::Expired`].
    pub fn holds_at(&self, now: UnixMillis) -> Result<(), BundleError> {
        let domain = self.domain.clone();
        if self.issued_at.millis().since(now) > CLOCK_SKEW_MS {
            return Err(BundleError::Ahead { domain, issued_at: self.issued_at });
        }
        if now >= self.expires_at.millis() {
            return Err(BundleError::Expired { domain, expires_at: self.expires_at });
        }
        Ok(())
    }

    /// It may take the place of `known`, the one at hand: whoever can answer for a domain, or stand in
    /// between, could bring a removed CA back by serving what was true once.
    ///
    /// # Errors
    /// [`BundleError::Rollback`] where it is older.
    pub fn may_follow(&self, known: &Self) -> Result<(), BundleError> {
        if self.issued_at >= known.issued_at {
            return Ok(());
        }
        let (domain, issued_at) = (self.domain.clone(), self.issued_at);
        Err(BundleError::Rollback { domain, issued_at, known: known.issued_at })
    }

    /// The CA certificates that `other` does not have.
    pub fn certificates_beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Certificate> {
        self.certificates().filter(|certificate| other.certificates().all(|theirs| theirs != *certificate))
    }
}

fn certificate(index: usize, text: &str) -> Result<Certificate, BundleError> {
    let refuse = |reason: String| BundleError::Octets { index, reason };
    if text.len() > MAX_CERTIFICATE / 3 * 4 {
        return Err(refuse(format!("a CA certificate has at most {MAX_CERTIFICATE} octets")));
    }
    let der = STANDARD.decode(text).map_err(|e| refuse(format!("not canonical base64 with padding: {e}")))?;
    Certificate::parse(der).map_err(|cause| BundleError::Certificate { index, cause })
}

/// `YYYY-MM-DDTHH:MM:SSZ`, the one form of RFC 3339 that the draft uses.
fn time(member: &'static str, text: &str) -> Result<Moment, BundleError> {
    let refuse = || BundleError::Time { member, found: text.chars().take(40).collect() };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let octets = text.as_bytes();
    if octets.len() != 20 || separators.iter().any(|(place, mark)| octets.get(*place) != Some(mark)) {
        return Err(refuse());
    }
    let places = octets.iter().enumerate();
    let digits: Vec<u8> = places.filter(|(n, _)| separators.iter().all(|(s, _)| s != n)).map(|(_, c)| *c).collect();
    Moment::from_generalized_time(&digits).map_err(|_| refuse())
}

#[cfg(test)]
pub(crate) mod tests;
