//! A domain's own trust bundle, made anew while the old one still holds.

use std::sync::Arc;

use thiserror::Error;

use super::bundle::{BUNDLE_TYP, Members, SUPPORTED_ALGORITHMS};
use super::{BundleError, TrustBundle, TrustDomain, jwk};
use crate::apki::Certificate;
use crate::apki::jws;
use crate::apki::moment::Moment;
use crate::apki::trust_score::Score;
use crate::keys::{SignError, Signer};
use crate::time::UnixMillis;

/// Seconds between two bundles, where they live long enough.
const REISSUE_SECONDS: u32 = 3600;
/// A bundle is replaced when at most this part of its life is over.
const PART_OF_LIFE: u32 = 4;

/// Why there is no new bundle.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// What it would be made of does not hold together.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Its key does not sign.
    #[error("the trust bundle is not signed: {0}")]
    Sign(#[from] SignError),
    /// The clock shows a time that no bundle can have.
    #[error("the trust bundle cannot be dated: the clock shows a time after the year 9999")]
    Clock,
}

/// Makes a domain's bundles.
pub struct BundlePublisher {
    /// Whose agents they are about.
    pub domain: TrustDomain,
    /// What the certificates of the domain's agents stand below.
    pub certificates: Vec<Certificate>,
    /// The least score with which the domain lets its agents be trusted.
    pub minimum: Score,
    /// How long a bundle says something, in seconds.
    pub lifetime_seconds: u32,
    /// The key that others pin. It signs bundles and nothing else.
    pub signer: Arc<dyn Signer>,
}

/// One bundle in all its forms, made together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The document (draft 10.1).
    pub bundle: Vec<u8>,
    /// The signature over exactly these octets (RFC 7515 appendix F).
    pub jws: String,
    /// The same CAs for readers of SPIFFE bundles.
    pub spiffe: Vec<u8>,
    /// From when on it says nothing.
    pub expires_at: UnixMillis,
}

impl BundlePublisher {
    /// The bundle of this moment.
    ///
    /// # Errors
    /// [`PublishError`]
    pub fn publish(&self, now: UnixMillis) -> Result<Publication, PublishError> {
        let end = now.saturating_add(u64::from(self.lifetime_seconds) * 1000);
        let moment = |time| Moment::floor(time).ok_or(PublishError::Clock);
        let bundle = TrustBundle::new(Members {
            domain: self.domain.clone(),
            issued_at: moment(now)?,
            expires_at: moment(end)?,
            certificates: self.certificates.clone(),
            minimum: self.minimum,
            algorithms: SUPPORTED_ALGORITHMS.map(str::to_owned).to_vec(),
        })?;
        let document = bundle.to_json();
        Ok(Publication {
            jws: jws::sign_detached(&*self.signer, BUNDLE_TYP, &document)?,
            spiffe: jwk::spiffe_json(&bundle, self.reissue_seconds()),
            expires_at: bundle.expires_at().millis(),
            bundle: document,
        })
    }

    /// Seconds after which the next bundle is due: an hour, and sooner where bundles are short-lived, so
    /// that whoever cannot reach us for most of a bundle's life still has one that holds.
    pub fn reissue_seconds(&self) -> u32 {
        REISSUE_SECONDS.min(self.lifetime_seconds / PART_OF_LIFE).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::federation::bundle::tests::root;
    use crate::apki::testing::key;

    const NOW: UnixMillis = UnixMillis::new(1_775_822_400_500);

    fn publisher(lifetime_seconds: u32) -> BundlePublisher {
        BundlePublisher {
            domain: TrustDomain::parse("bank.example.com").unwrap(),
            certificates: vec![root(1)],
            minimum: Score::new(40).unwrap(),
            lifetime_seconds,
            signer: Arc::new(key(9)),
        }
    }

    #[test]
    fn the_forms_are_one_bundle() {
        let made = publisher(86_400).publish(NOW).unwrap();
        assert_eq!(publisher(86_400).publish(NOW).unwrap(), made);
        jws::verify_detached(&made.jws, &made.bundle, BUNDLE_TYP, key(9).public_key()).unwrap();
        let read = TrustBundle::parse(&made.bundle).unwrap();
        assert_eq!(read.to_json(), made.bundle);
        assert_eq!(made.spiffe, jwk::spiffe_json(&read, 3600));
        assert_eq!((read.holds_at(NOW), made.expires_at), (Ok(()), UnixMillis::new(1_775_908_800_000)));
        let next = TrustBundle::parse(&publisher(86_400).publish(NOW.saturating_add(1000)).unwrap().bundle).unwrap();
        assert_eq!(next.may_follow(&read), Ok(()));
    }

    #[test]
    fn it_is_made_anew_well_before_it_runs_out() {
        assert_eq!([86_400, 3600, 60, 1].map(|life| publisher(life).reissue_seconds()), [3600, 900, 15, 1]);
        assert_eq!(publisher(60).publish(UnixMillis::new(u64::MAX)), Err(PublishError::Clock));
        let none = BundlePublisher { certificates: vec![], ..publisher(60) };
        assert_eq!(none.publish(NOW), Err(BundleError::Count(0).into()));
    }
}
