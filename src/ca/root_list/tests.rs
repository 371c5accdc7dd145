use super::*;
use crate::apki::extension::AsciiText;
use crate::apki::status::crl::{CrlTemplate, RevokedCertificate, signed};
use crate::ca::profile::{HelperProfile, HelperRole};
use crate::ca::serial::Serial;
use crate::ca::tests::{NOON, ed25519, issuer, moment, sign};
use crate::keys::Signer;

const HOUR: u64 = 3_600_000;

fn helper(role: HelperRole, key: &dyn Signer, root: &dyn Signer) -> Certificate {
    let profile = HelperProfile {
        role,
        serial: Serial::from_random([7; 20]),
        not_before: moment(NOON),
        not_after: moment(NOON.saturating_add(24 * HOUR)),
        common_name: "Signer",
        public_key: key.public_key(),
        crl_url: Some("http://a/crl/anchor"),
    };
    sign(&profile.tbs(&issuer(root), root.public_key().algorithm()).unwrap(), root)
}

fn list(of: &Certificate, key: &dyn Signer, number: u64, indirect: bool, serials: &[&[u8]]) -> Vec<u8> {
    let root = issuer(ed25519(1).as_ref());
    let algorithm = key.public_key().algorithm();
    let template = CrlTemplate {
        issuer_der: of.subject_der(),
        algorithm,
        this_update: moment(NOON),
        next_update: moment(NOON.saturating_add(HOUR)),
        number,
        authority_key_identifier: of.subject_key_identifier().unwrap(),
        scope: Some(Scope { url: AsciiText::new("http://a/crl").unwrap(), only_user_certificates: false, indirect }),
    };
    let (at, reason) = (moment(NOON), RevocationReason::KeyCompromise);
    let entry = |serial| RevokedCertificate { serial, at, reason, certificate_issuer: Some(root.subject_der()) };
    let tbs = template.tbs(serials.iter().copied().map(entry)).unwrap();
    signed(&tbs, algorithm, &key.sign(&tbs).unwrap())
}

#[test]
fn a_signer_is_by_the_root_and_signs_lists_alone() {
    let (root_key, key, stranger) = (ed25519(1), ed25519(2), ed25519(3));
    let root = issuer(root_key.as_ref());
    let good = helper(HelperRole::CrlSigner, key.as_ref(), root_key.as_ref());
    let signer = ListSigner::new(good.clone(), &root).unwrap();
    assert_eq!(signer.check_current(NOON), Ok(()));
    let late = signer.check_current(NOON.saturating_add(25 * HOUR)).unwrap_err();
    assert!(late.to_string().contains("atl ca root emergency-signer"), "{late}");
    let refused = |certificate: &Certificate| ListSigner::new(certificate.clone(), &root).unwrap_err();
    // Of the right name and another key.
    let other = helper(HelperRole::CrlSigner, key.as_ref(), stranger.as_ref());
    assert_eq!(refused(&other), RootListError::NotByRoot);
    let responder = helper(HelperRole::OcspResponder, key.as_ref(), root_key.as_ref());
    assert!(matches!(refused(&responder), RootListError::NotASigner(_)));
    // The root itself may sign certificates, too.
    assert!(matches!(refused(&root), RootListError::NotASigner(_)));
}

#[test]
fn a_list_is_the_signer_s_own_and_indirect() {
    let (root_key, key) = (ed25519(1), ed25519(2));
    let root = issuer(root_key.as_ref());
    let signer = ListSigner::new(helper(HelperRole::CrlSigner, key.as_ref(), root_key.as_ref()), &root).unwrap();
    let certificate = signer.certificate();
    let read = RootList::read(&list(certificate, key.as_ref(), 1, true, &[root.serial()]), &signer).unwrap();
    assert_eq!(read.number(), 1);
    let revoked = read.revoked([certificate, &root]).unwrap();
    assert_eq!((revoked.serial, revoked.list), (hex::encode(root.serial()), 1));
    assert_eq!(read.revoked([certificate]), None);
    assert_eq!(read.check_current(NOON), Ok(()));
    assert!(matches!(read.check_current(NOON.saturating_add(2 * HOUR)), Err(RootListError::List(_))));

    let refused = |der: Vec<u8>| RootList::read(&der, &signer).unwrap_err();
    let forged = refused(list(certificate, ed25519(3).as_ref(), 1, true, &[]));
    assert!(matches!(forged, RootListError::List(CrlError::Signature(_))), "{forged}");
    assert!(matches!(refused(list(&root, root_key.as_ref(), 1, true, &[])), RootListError::Issuer(_)));
    assert!(matches!(refused(list(certificate, key.as_ref(), 1, false, &[])), RootListError::Scope(_)));

    let anchor = list(&root, root_key.as_ref(), 1, false, &[]);
    assert!(read_anchor_list(&anchor, &root).is_ok());
    for wrong in [
        list(&root, root_key.as_ref(), 1, true, &[]),
        list(&root, key.as_ref(), 1, false, &[]),
        list(certificate, key.as_ref(), 1, false, &[]),
    ] {
        assert!(read_anchor_list(&wrong, &root).is_err());
    }
}

#[test]
fn what_is_revoked_stays_revoked() {
    let (root_key, key) = (ed25519(1), ed25519(2));
    let signer = helper(HelperRole::CrlSigner, key.as_ref(), root_key.as_ref());
    let of =
        |number, serials: &[&[u8]]| RootList::remembered(&list(&signer, key.as_ref(), number, true, serials)).unwrap();
    let known = of(5, &[&[7]]);
    for (next, expected) in [
        (of(5, &[&[7]]), Ok(())),
        (of(6, &[&[7]]), Ok(())),
        (of(9, &[&[8], &[7]]), Ok(())),
        (of(4, &[&[7], &[8]]), Err(RootListError::WentBack { number: 4, known: 5 })),
        (of(5, &[&[7], &[8]]), Err(RootListError::Twice(5))),
        (of(6, &[&[8]]), Err(RootListError::Unrevoked("07".into()))),
    ] {
        assert_eq!(next.check_follows(&known), expected);
    }
}
