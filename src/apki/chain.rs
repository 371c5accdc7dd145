//! Certification paths (RFC 5280 section 6, protocol section 5, R8, R9, R29): is a submission
//! issued below a configured anchor?
//!
//! The way from an issuer up to its anchor is checked once and kept as an [`IssuerPath`]; a
//! submission below a known path costs one signature. Paths are checked from the anchor down, so
//! that nobody makes us verify more than one signature that no anchor stands behind. Validity
//! periods of issuers are the relying party's matter (R23).

use std::sync::Arc;

use thiserror::Error;

use super::certificate::Certificate;
use super::tlv::DerError;
use crate::keys::{KeyError, PublicKey};

/// Why a certificate may not issue others.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssuerError {
    /// No basicConstraints, or cA FALSE.
    #[error("basicConstraints does not make it a CA")]
    NotCa,
    /// No keyUsage, or keyCertSign is not set.
    #[error("keyUsage does not let it sign certificates")]
    NoKeyCertSign,
    /// basicConstraints or keyUsage is not strict DER.
    #[error("basicConstraints or keyUsage is malformed: {0}")]
    Malformed(#[from] DerError),
    /// A key of a kind that no allowed signature algorithm has, or not a key.
    #[error("its key cannot verify an allowed signature: {0}")]
    Key(#[from] KeyError),
}

/// Why a submission does not stand below an anchor. Positions count from the submission, which is
/// 0; its issuer is 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainError {
    /// More certificates than the budget (R9).
    #[error("{length} certificates from the submission to the anchor, both included, are more than {limit}")]
    TooLong {
        /// How many there are.
        length: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The issuer named in a certificate is not the subject of the next one.
    #[error("certificate {position} names another issuer than the certificate behind it")]
    Name {
        /// Of the certificate whose issuer is missing.
        position: usize,
    },
    /// A signature algorithm that is not on the allow-list.
    #[error(
        "the signature algorithm of certificate {position} is not allowed: use Ed25519 or ECDSA P-256 with SHA-256"
    )]
    Algorithm {
        /// Of the certificate with that signature.
        position: usize,
    },
    /// A signature that the issuer's key does not verify.
    #[error("the signature of certificate {position} does not verify with its issuer's key")]
    Signature {
        /// Of the certificate with that signature.
        position: usize,
    },
    /// A certificate that may not issue.
    #[error("certificate {position} may not issue certificates: {cause}")]
    Issuer {
        /// Of the certificate that may not.
        position: usize,
        /// Why it may not.
        cause: IssuerError,
    },
    /// More intermediate certificates below an issuer than its pathLenConstraint allows.
    #[error("certificate {position} has more CAs below it than its pathLenConstraint allows")]
    PathLength {
        /// Of the certificate with the constraint.
        position: usize,
    },
    /// The last certificate is neither an anchor nor names one as its issuer.
    #[error("the chain ends neither at an anchor of this log nor below one")]
    UnknownAnchor,
    /// Its issuer has the name of an anchor, but the anchor's key did not sign it.
    #[error("certificate {position} names an anchor as its issuer, but no anchor of that name signed it")]
    NotByAnchor {
        /// Of the last certificate.
        position: usize,
    },
}

/// Which of the log's error tokens a [`ChainError`] belongs to (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// `badSubmission`
    Submission,
    /// `badChain`
    Chain,
    /// `unknownAnchor`
    Anchor,
}

impl ChainError {
    /// Whose fault it is.
    pub const fn fault(&self) -> ChainFault {
        match self {
            Self::Algorithm { position: 0 } => ChainFault::Submission,
            Self::UnknownAnchor | Self::NotByAnchor { .. } => ChainFault::Anchor,
            _ => ChainFault::Chain,
        }
    }
}

/// A certificate that may issue others, with its key ready to verify (R29).
#[derive(Clone, Debug)]
pub struct Issuer {
    certificate: Certificate,
    fingerprint: [u8; 32],
    key: PublicKey,
    path_length: Option<u32>,
}

impl Issuer {
    /// Checks basicConstraints and keyUsage, and parses the key.
    pub fn new(certificate: Certificate) -> Result<Self, IssuerError> {
        let constraints = certificate.basic_constraints()?.filter(|c| c.ca).ok_or(IssuerError::NotCa)?;
        certificate.key_usage()?.filter(|usage| usage.key_cert_sign()).ok_or(IssuerError::NoKeyCertSign)?;
        Ok(Self {
            key: PublicKey::from_spki_der(certificate.spki_der())?,
            fingerprint: certificate.fingerprint(),
            path_length: constraints.path_length,
            certificate,
        })
    }

    /// The certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// SHA-256 of the certificate.
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The key that verifies what this issuer signs.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether this issuer signed `child`, by name, algorithm and signature.
    fn certifies(&self, child: &Certificate, position: usize) -> Result<(), ChainError> {
        if child.issuer_der() != self.certificate.subject_der() {
            return Err(ChainError::Name { position });
        }
        let algorithm = child.signature_algorithm().ok_or(ChainError::Algorithm { position })?;
        if algorithm != self.key.algorithm() {
            return Err(ChainError::Signature { position });
        }
        self.key.verify(child.tbs_der(), child.signature()).map_err(|_| ChainError::Signature { position })
    }

    /// Whether as many as `intermediates` may stand between this issuer and the submission.
    fn allows_below(&self, intermediates: usize) -> bool {
        self.path_length.is_none_or(|limit| u32::try_from(intermediates).is_ok_and(|n| n <= limit))
    }
}

/// A configured anchor that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("anchor {index} (SHA-256 {fingerprint}) may not issue certificates: {cause}")]
pub struct AnchorError {
    /// Its place in the list, from 0.
    pub index: usize,
    /// SHA-256 of the certificate, in hex.
    pub fingerprint: String,
    /// Why it may not.
    pub cause: IssuerError,
}

/// The certificates that a chain may end at. Several may have one name, as when an anchor gets a
/// new key.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    issuers: Vec<Arc<Issuer>>,
}

impl Anchors {
    /// The set of these anchors. One that may not issue certificates is an error: nothing could
    /// ever be admitted below it (R29).
    pub fn new(certificates: impl IntoIterator<Item = Certificate>) -> Result<Self, AnchorError> {
        let mut anchors = Self::default();
        for (index, certificate) in certificates.into_iter().enumerate() {
            let fingerprint = certificate.fingerprint();
            if anchors.issuers.iter().all(|known| known.fingerprint != fingerprint) {
                let issuer = Issuer::new(certificate);
                let error = |cause| AnchorError { index, fingerprint: hex::encode(fingerprint), cause };
                anchors.issuers.push(Arc::new(issuer.map_err(error)?));
            }
        }
        Ok(anchors)
    }

    /// The anchors, each once, in the order configured.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Issuer> {
        self.issuers.iter().map(Arc::as_ref)
    }

    /// The anchor with exactly these octets.
    fn same(&self, certificate: &Certificate) -> Option<&Arc<Issuer>> {
        self.issuers.iter().find(|anchor| anchor.certificate == *certificate)
    }

    /// The anchor that signed `child`, with `intermediates` between it and the submission. Where
    /// several have the name, it is the one whose key verifies.
    fn issuer_of(
        &self,
        child: &Certificate,
        position: usize,
        intermediates: usize,
    ) -> Result<&Arc<Issuer>, ChainError> {
        let mut verdict = ChainError::UnknownAnchor;
        for anchor in self.named(child.issuer_der()) {
            match anchor.certifies(child, position) {
                Ok(()) if anchor.allows_below(intermediates) => return Ok(anchor),
                Ok(()) => verdict = ChainError::PathLength { position: position + 1 },
                Err(error @ ChainError::Algorithm { .. }) => return Err(error),
                Err(_) if verdict == ChainError::UnknownAnchor => verdict = ChainError::NotByAnchor { position },
                Err(_) => {}
            }
        }
        Err(verdict)
    }

    fn named(&self, subject: &[u8]) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.iter().filter(move |anchor| anchor.certificate.subject_der() == subject)
    }
}

/// The verified way from the issuer of a submission up to an anchor, both included (R36).
#[derive(Clone, Debug)]
pub struct IssuerPath {
    /// Issuer first, anchor last, whether or not it was sent.
    issuers: Vec<Arc<Issuer>>,
}

impl IssuerPath {
    /// Checks that `submission` is issued below an anchor through `chain` (its issuer first; the
    /// anchor may be left out), with at most `limit` certificates from the submission to the
    /// anchor, both included (R9). The path may be kept for further submissions with this `chain`,
    /// unless the chain is empty: then it holds for this submission's issuer only.
    pub fn find(
        submission: &Certificate,
        chain: Vec<Certificate>,
        anchors: &Anchors,
        limit: usize,
    ) -> Result<Self, ChainError> {
        submission.signature_algorithm().ok_or(ChainError::Algorithm { position: 0 })?;
        let Some(issuer) = chain.first() else {
            check_length(2, limit)?;
            return Ok(Self { issuers: vec![Arc::clone(anchors.issuer_of(submission, 0, 0)?)] });
        };
        if submission.issuer_der() != issuer.subject_der() {
            return Err(ChainError::Name { position: 0 });
        }
        let path = Self::build(chain, anchors, limit)?;
        path.certifies(submission)?;
        Ok(path)
    }

    /// Checks `submission` against a path that is already known: one signature.
    pub fn certifies(&self, submission: &Certificate) -> Result<(), ChainError> {
        // As `find` does it first, so that a path that is known gives no other verdict.
        submission.signature_algorithm().ok_or(ChainError::Algorithm { position: 0 })?;
        self.issuer().certifies(submission, 0)
    }

    /// Who signed the submission.
    pub fn issuer(&self) -> &Issuer {
        &self.issuers[0]
    }

    /// Where the path ends.
    pub fn anchor(&self) -> &Issuer {
        &self.issuers[self.issuers.len() - 1]
    }

    /// All of the path, issuer first, anchor last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Issuer> {
        self.issuers.iter().map(Arc::as_ref)
    }

    /// The path of a chain that is not empty.
    fn build(mut chain: Vec<Certificate>, anchors: &Anchors, limit: usize) -> Result<Self, ChainError> {
        check_length(1 + chain.len(), limit)?;
        check_names(&chain)?;
        let sent = chain.last().and_then(|last| anchors.same(last)).map(Arc::clone);
        let mut issuer = match sent {
            Some(anchor) => {
                chain.pop();
                let intermediates = count_intermediates(&chain);
                if !anchor.allows_below(intermediates) {
                    return Err(ChainError::PathLength { position: chain.len() + 1 });
                }
                anchor
            }
            None => Arc::clone(unsent_anchor(&chain, anchors, limit)?),
        };
        let mut issuers = vec![Arc::clone(&issuer)];
        while let Some(child) = chain.pop() {
            let position = chain.len() + 1;
            issuer.certifies(&child, position)?;
            issuer = Arc::new(Issuer::new(child).map_err(|cause| ChainError::Issuer { position, cause })?);
            if !issuer.allows_below(count_intermediates(&chain)) {
                return Err(ChainError::PathLength { position });
            }
            issuers.push(Arc::clone(&issuer));
        }
        issuers.reverse();
        Ok(Self { issuers })
    }
}

/// The anchor that signed the last of `chain`.
fn unsent_anchor<'a>(chain: &[Certificate], anchors: &'a Anchors, limit: usize) -> Result<&'a Arc<Issuer>, ChainError> {
    let last = chain.last().ok_or(ChainError::UnknownAnchor)?;
    if anchors.named(last.issuer_der()).next().is_none() {
        return Err(ChainError::UnknownAnchor);
    }
    check_length(chain.len() + 2, limit)?;
    anchors.issuer_of(last, chain.len(), count_intermediates(chain))
}

const fn check_length(length: usize, limit: usize) -> Result<(), ChainError> {
    if length > limit { Err(ChainError::TooLong { length, limit }) } else { Ok(()) }
}

/// Each of `chain` names the next as its issuer. Comparing octets is cheap, so it comes first.
fn check_names(chain: &[Certificate]) -> Result<(), ChainError> {
    let broken = chain.windows(2).position(|pair| pair[0].issuer_der() != pair[1].subject_der());
    broken.map_or(Ok(()), |index| Err(ChainError::Name { position: index + 1 }))
}

/// What counts towards pathLenConstraint: CAs, self-issued ones left out (RFC 5280 section
/// 4.2.1.9). The submission stands below them and is not counted.
fn count_intermediates(chain: &[Certificate]) -> usize {
    chain.iter().filter(|certificate| !certificate.is_self_issued()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::testing::{Draft, ECDSA_SHA256, RSA_SHA256, key};
    use proptest::prelude::*;

    /// The anchor `Root` with key 1.
    fn root(path_length: Option<u8>) -> Certificate {
        Draft::ca("Root", "Root", &key(1), path_length).certificate(&key(1))
    }

    /// `Org` with key 2, issued by the root.
    fn org(path_length: Option<u8>) -> Certificate {
        Draft::ca("Root", "Org", &key(2), path_length).certificate(&key(1))
    }

    /// `Sub` with key 3, issued by `Org`.
    fn sub() -> Certificate {
        Draft::ca("Org", "Sub", &key(3), None).certificate(&key(2))
    }

    fn anchors(anchors: &[Certificate]) -> Anchors {
        Anchors::new(anchors.iter().cloned()).unwrap()
    }

    fn find(leaf: &Certificate, chain: &[Certificate], trusted: &[Certificate]) -> Result<IssuerPath, ChainError> {
        IssuerPath::find(leaf, chain.to_vec(), &anchors(trusted), 4)
    }

    fn fingerprints(path: &IssuerPath) -> Vec<[u8; 32]> {
        path.iter().map(|issuer| *issuer.fingerprint()).collect()
    }

    #[test]
    fn the_path_has_the_anchor_whether_or_not_it_was_sent() {
        let leaf = Draft::leaf("Sub").certificate(&key(3));
        let expected = [sub(), org(None), root(None)].map(|certificate| certificate.fingerprint());
        for chain in [&[sub(), org(None)][..], &[sub(), org(None), root(None)]] {
            let path = find(&leaf, chain, &[root(None)]).unwrap();
            assert_eq!(fingerprints(&path), expected);
            assert_eq!(path.issuer().fingerprint(), &expected[0]);
            assert_eq!(path.anchor().fingerprint(), &expected[2]);
        }
    }

    #[test]
    fn of_anchors_with_one_name_it_is_the_one_whose_key_verifies() {
        let older = Draft::ca("Root", "Root", &key(7), None).certificate(&key(7));
        let leaf = Draft::leaf("Root").certificate(&key(1));
        let below = Draft::leaf("Org").certificate(&key(2));
        for trusted in [[older.clone(), root(None)], [root(None), older.clone()]] {
            assert_eq!(find(&leaf, &[], &trusted).unwrap().anchor().certificate(), &root(None));
            assert_eq!(find(&below, &[org(None)], &trusted).unwrap().anchor().certificate(), &root(None));
        }
        let error = find(&leaf, &[], std::slice::from_ref(&older)).unwrap_err();
        assert_eq!((error.fault(), error), (ChainFault::Anchor, ChainError::NotByAnchor { position: 0 }));
        let error = find(&below, &[org(None)], &[older]).unwrap_err();
        assert_eq!(error, ChainError::NotByAnchor { position: 1 });
    }

    #[test]
    fn path_length_counts_the_cas_between() {
        let direct = Draft::leaf("Root").certificate(&key(1));
        let below_org = Draft::leaf("Org").certificate(&key(2));
        let below_sub = Draft::leaf("Sub").certificate(&key(3));
        assert!(find(&direct, &[], &[root(Some(0))]).is_ok());
        for chain in [&[org(None)][..], &[org(None), root(Some(0))]] {
            let error = find(&below_org, chain, &[root(Some(0))]).unwrap_err();
            assert_eq!(error, ChainError::PathLength { position: 2 });
        }
        assert!(find(&below_org, &[org(Some(0))], &[root(Some(1))]).is_ok());
        let error = find(&below_sub, &[sub(), org(Some(0))], &[root(None)]).unwrap_err();
        assert_eq!(error, ChainError::PathLength { position: 2 });
        // A CA that certifies its own new key does not lengthen the path.
        let renewed = Draft::ca("Org", "Org", &key(4), None).certificate(&key(2));
        let leaf = Draft::leaf("Org").certificate(&key(4));
        assert!(find(&leaf, &[renewed, org(Some(0))], &[root(Some(1))]).is_ok());
    }

    #[test]
    fn the_budget_counts_both_ends() {
        let leaf = Draft::leaf("Org").certificate(&key(2));
        for chain in [vec![org(None)], vec![org(None), root(None)]] {
            assert!(IssuerPath::find(&leaf, chain.clone(), &anchors(&[root(None)]), 3).is_ok());
            let error = IssuerPath::find(&leaf, chain, &anchors(&[root(None)]), 2).unwrap_err();
            assert_eq!(error, ChainError::TooLong { length: 3, limit: 2 });
        }
        let direct = Draft::leaf("Root").certificate(&key(1));
        assert!(IssuerPath::find(&direct, vec![], &anchors(&[root(None)]), 2).is_ok());
        let error = IssuerPath::find(&direct, vec![], &anchors(&[root(None)]), 1).unwrap_err();
        assert_eq!(error, ChainError::TooLong { length: 2, limit: 1 });
    }

    #[test]
    fn an_anchor_that_may_not_issue_is_an_error() {
        let no_constraints = Draft::leaf("Root").certificate(&key(1));
        let mut draft = Draft::ca("Root", "Root", &key(1), None);
        draft.extensions.pop();
        let no_usage = draft.certificate(&key(1));
        draft = Draft::ca("Root", "Root", &key(1), None);
        draft.spki = vec![0x30, 0x08, 0x30, 0x03, 0x06, 0x01, 0x2a, 0x03, 0x01, 0x00];
        let cause = |certificate| Anchors::new([root(None), certificate]).unwrap_err();
        assert_eq!(cause(no_constraints).cause, IssuerError::NotCa);
        assert_eq!((cause(no_usage.clone()).index, cause(no_usage).cause), (1, IssuerError::NoKeyCertSign));
        assert!(matches!(Anchors::new([draft.certificate(&key(1))]).unwrap_err().cause, IssuerError::Key(_)));
        assert_eq!(anchors(&[root(None), root(None)]).iter().len(), 1);
    }

    #[test]
    fn algorithms_are_those_of_the_allow_list_and_of_the_key() {
        let signed_as = |mut draft: Draft, algorithm: &[u8], issuer| {
            (draft.inner_algorithm, draft.outer_algorithm) = (algorithm.to_vec(), algorithm.to_vec());
            draft.certificate(&key(issuer))
        };
        let error = find(&signed_as(Draft::leaf("Root"), RSA_SHA256, 1), &[], &[root(None)]).unwrap_err();
        assert_eq!((error.fault(), error), (ChainFault::Submission, ChainError::Algorithm { position: 0 }));
        let error = find(&signed_as(Draft::leaf("Org"), ECDSA_SHA256, 2), &[org(None)], &[root(None)]).unwrap_err();
        assert_eq!((error.fault(), error), (ChainFault::Chain, ChainError::Signature { position: 0 }));
        let rsa_org = signed_as(Draft::ca("Root", "Org", &key(2), None), RSA_SHA256, 1);
        let leaf = Draft::leaf("Org").certificate(&key(2));
        for chain in [&[rsa_org.clone()][..], &[rsa_org, root(None)]] {
            let error = find(&leaf, chain, &[root(None)]).unwrap_err();
            assert_eq!((error.fault(), error), (ChainFault::Chain, ChainError::Algorithm { position: 1 }));
        }
    }

    #[test]
    fn a_known_path_certifies_its_own_submissions_only() {
        let path = find(&Draft::leaf("Org").certificate(&key(2)), &[org(None)], &[root(None)]).unwrap();
        let mut another = Draft::leaf("Org");
        another.serial = vec![0x02, 0x01, 0x08];
        assert_eq!(path.certifies(&another.certificate(&key(2))), Ok(()));
        let error = Err(ChainError::Signature { position: 0 });
        assert_eq!(path.certifies(&another.certificate(&key(3))), error);
        assert_eq!(path.certifies(&Draft::leaf("Sub").certificate(&key(2))), Err(ChainError::Name { position: 0 }));
    }

    proptest! {
        #[test]
        fn no_single_bit_can_be_changed(position in 0usize..4096, bit in 0u8..8) {
            let mut der = Draft::leaf("Org").sign(&key(2));
            let position = position % der.len();
            der[position] ^= 1 << bit;
            if let Ok(changed) = Certificate::parse(der) {
                prop_assert!(find(&changed, &[org(None)], &[root(None)]).is_err());
            }
        }
    }
}
