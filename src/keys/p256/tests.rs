//! The key of RFC 6979 section A.2.5, as OpenSSL writes it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING};
use der::oid::ObjectIdentifier;

use super::*;
use crate::keys::{BadSignature, key_identifier};

const P256: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgya+p2EW6dRZrXCFX
Z7HWk05Qw9s26JsSe4piKxIPZyGhRANCAARg/tS6JVqdMclh63TGNW1owEm4kjth
+mzmaWIuYPKftnkD/hAIuLyZpBrp6VYovGTy8bIMLX6fUXejwpTURiKZ
-----END PRIVATE KEY-----
";
const P384: &str = "-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAP8wcv0N2LV4mYdW13
Sopc8mBeqDxuwLn+NDLitB+IkXcjDy1wmdA0hG8PkrQWjdWhZANiAATk/4rcRwyy
oO76HJ+yZWZiwADyESUCg40/YxZCkFoHQeJ+m6PuJIhteBVykwgg6ZZ2tTbaQjFh
seQuw68AwsSteEvIoYlqzi6P8/fKJzczv9oeRinR2i/BhAdY9O1xuRY=
-----END PRIVATE KEY-----
";
const SEC1: &str = "30770201010420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721a00a06082a8648ce3d\
    030107a1440342000460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc\
    64f2f1b20c2d7e9f5177a3c294d4462299";
const SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d0301070342000460fed4ba255a9d31c961eb74c6356d68c049b8923b6\
    1fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
/// Over `sample`, made by OpenSSL.
const SIGNATURE: &str = "3045022100ecc9a9d7b18febe98f4bd712ddcc8d00419319294748b12224666307375e87f1022077a23484b6bd864\
    0c115aeb90ffa451ffac4c7d96e60a551d2a12f22fe8a4e10";
/// Over `sample`, of RFC 6979.
const RFC_SIGNATURE: &str = "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942\
    d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";

fn random() -> RandomSource {
    Arc::new(SystemRandom::new())
}

fn octets(text: &str) -> Vec<u8> {
    hex::decode(text.replace(char::is_whitespace, "")).unwrap()
}

#[test]
fn the_key_of_rfc_6979_is_read_from_each_form() {
    let signer = EcdsaP256Signer::from_pkcs8_pem(P256, random()).unwrap();
    let sec1 = EcdsaP256Signer::from_sec1_der(&octets(SEC1), random()).unwrap();
    let either = signer_from_pkcs8_pem(P256, random()).unwrap();
    for key in [signer.public_key(), sec1.public_key(), either.public_key()] {
        assert_eq!(hex::encode(key.spki_der()), SPKI.replace(char::is_whitespace, ""));
        assert_eq!(hex::encode(key_identifier(key.spki_der()).unwrap()), "b18b86ce1389e46de87aa4a5131ce83c1160fa33");
        assert_eq!(key.algorithm(), SignatureAlgorithm::EcdsaP256Sha256);
        assert_eq!(key.verify(b"sample", &octets(SIGNATURE)), Ok(()));
        assert_eq!(key.verify(b"sample", &octets(RFC_SIGNATURE)), Ok(()));
        assert_eq!(key.verify(b"Sample", &octets(SIGNATURE)), Err(BadSignature));
    }
    assert!(!format!("{signer:?}").contains("c9af"));
}

#[test]
fn what_it_signs_verifies_and_differs_each_time() {
    let signer = signer_from_pkcs8_pem(P256, random()).unwrap();
    let (one, two) = (signer.sign(b"message").unwrap(), signer.sign(b"message").unwrap());
    assert_ne!(one, two);
    for signature in [one, two] {
        assert_eq!(signer.public_key().verify(b"message", &signature), Ok(()));
        assert_eq!(signer.public_key().verify(b"massage", &signature), Err(BadSignature));
    }
}

#[test]
fn an_ed25519_key_is_read_by_the_same_door() {
    let signer = Ed25519Signer::from_seed(&[7; 32]).unwrap();
    let pem = signer.to_pkcs8_pem().unwrap();
    let again = signer_from_pkcs8_pem(&pem, random()).unwrap();
    assert_eq!(again.public_key(), signer.public_key());
    assert_eq!(again.sign(b"x"), signer.sign(b"x"));
    let ed25519 = KeyError::Unsupported(ObjectIdentifier::new_unwrap("1.3.101.112"));
    assert_eq!(EcdsaP256Signer::from_pkcs8_pem(&pem, random()).unwrap_err(), ed25519);
}

#[test]
fn other_keys_are_refused_by_name() {
    let refusal = |pem: &str| signer_from_pkcs8_pem(pem, random()).err().unwrap();
    assert_eq!(refusal(P384), KeyError::Unsupported(ObjectIdentifier::new_unwrap("1.3.132.0.34")));
    assert!(refusal(&P256.replace("PRIVATE", "ENCRYPTED PRIVATE")).to_string().contains("encrypted"));
    assert!(refusal(&P256.replace("PRIVATE", "EC PRIVATE")).to_string().contains("`EC PRIVATE KEY`"));
    for text in ["", "x", &P256[..100], "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        assert!(matches!(refusal(text), KeyError::Malformed(_)), "{text}");
    }
    assert!(EcdsaP256Signer::from_sec1_der(&octets(SPKI), random()).is_err());
    for algorithm in [&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING] {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        assert!(matches!(EcdsaP256Signer::from_key_pair(pair, random()), Err(KeyError::Malformed(_))));
    }
}

#[test]
fn a_point_has_one_form() {
    let good = octets(SPKI);
    let point = &good[26..];
    let spki = |octets: &[u8]| {
        let algorithm = &good[2..23];
        let bits = [&[0x03, octets.len() as u8 + 1, 0][..], octets].concat();
        let length = (algorithm.len() + bits.len()) as u8;
        let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
        PublicKey::from_spki_der(&[&[0x30][..], &length, algorithm, &bits].concat())
    };
    assert_eq!(spki(point).unwrap().spki_der(), good);
    // The library reads these two as well: a point in its short form, and a whole key in a key.
    assert!(matches!(spki(&[&[0x03], &point[1..33]].concat()), Err(KeyError::Malformed(_))));
    assert!(matches!(spki(&good), Err(KeyError::Malformed(_))));
    assert!(matches!(spki(&[&[0x04], &[1; 64][..]].concat()), Err(KeyError::Malformed(_))));
    assert!(matches!(spki(&[]), Err(KeyError::Malformed(_))));
}
