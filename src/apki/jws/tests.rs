use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use proptest::prelude::*;

use super::*;
use crate::keys::{EcdsaP256Signer, Ed25519Signer};

const TYP: &str = "test+jws";

fn ed25519() -> Ed25519Signer {
    Ed25519Signer::from_seed(&[7; 32]).unwrap()
}

fn p256() -> EcdsaP256Signer {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    EcdsaP256Signer::from_key_pair(pair, Arc::new(SystemRandom::new())).unwrap()
}

fn ec_key(x: &str, y: &str) -> PublicKey {
    let prefix = hex::decode("3059301306072a8648ce3d020106082a8648ce3d03010703420004").unwrap();
    PublicKey::from_spki_der(&[prefix, decode("x", x).unwrap(), decode("y", y).unwrap()].concat()).unwrap()
}

/// A text with this header, well signed: only the header can be at fault.
fn with_header(header: &str, payload: &[u8]) -> String {
    let (header, payload) = (encode(header.as_bytes()), encode(payload));
    let signature = signature_over(&ed25519(), &header, &payload).unwrap();
    format!("{header}.{payload}.{signature}")
}

fn good_header() -> String {
    format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{TYP}"}}"#, thumbprint(ed25519().public_key()))
}

fn check(text: &str) -> Result<Vec<u8>, JwsError> {
    verify(text, TYP, ed25519().public_key())
}

#[test]
fn rfc_8037_appendix_a() {
    let key = PublicKey::from_ed25519_octets(&decode("x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap());
    let key = key.unwrap();
    assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let parts = Parts::split(text).unwrap();
    assert_eq!(parts.verify(parts.payload, &key), Ok(()));
    assert_eq!(decode("payload", parts.payload).unwrap(), b"Example of Ed25519 signing");
    let seed = decode("d", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap().try_into().unwrap();
    let signer = Ed25519Signer::from_seed(&seed).unwrap();
    assert_eq!(signature_over(&signer, parts.header, parts.payload).unwrap(), parts.signature);
    // It names neither its key nor its purpose, and so it is none that we take.
    assert!(matches!(verify(text, TYP, &key), Err(JwsError::Header(_))));
}

#[test]
fn rfc_7515_appendix_a_3() {
    let key = ec_key("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let text = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let parts = Parts::split(text).unwrap();
    assert_eq!(parts.verify(parts.payload, &key), Ok(()));
    assert!(parts.verify(&parts.payload[4..], &key).is_err());
}

#[test]
fn both_kinds_of_key_sign_and_verify() {
    for signer in [&ed25519() as &dyn Signer, &p256()] {
        let key = signer.public_key();
        let text = sign(signer, TYP, b"payload").unwrap();
        assert_eq!(verify(&text, TYP, key).unwrap(), b"payload");
        assert_eq!(peek(&text).unwrap(), Header { typ: TYP.into(), kid: thumbprint(key) });
        assert_eq!(peek_kid(&text).unwrap(), thumbprint(key));
        let detached = sign_detached(signer, TYP, b"payload").unwrap();
        assert!(detached.contains(".."));
        assert_eq!(verify_detached(&detached, b"payload", TYP, key), Ok(()));
        assert_eq!(verify_detached(&text, b"payload", TYP, key), Err(JwsError::Attached));
        let wrong = Err(JwsError::Signature(thumbprint(key)));
        assert_eq!(verify_detached(&detached, b"payloae", TYP, key), wrong);
        assert_eq!(verify(&detached, TYP, key), wrong.map(|()| vec![]));
        assert_eq!(verify(&sign(signer, TYP, b"").unwrap(), TYP, key).unwrap(), b"");
    }
}

#[test]
fn a_signature_is_of_one_key_one_purpose_and_one_algorithm() {
    let text = sign(&ed25519(), TYP, b"x").unwrap();
    assert!(matches!(verify(&text, "other+jws", ed25519().public_key()), Err(JwsError::Type { .. })));
    let other = Ed25519Signer::from_seed(&[8; 32]).unwrap();
    assert!(matches!(verify(&text, TYP, other.public_key()), Err(JwsError::Key { .. })));
    let ec = p256();
    let error = JwsError::Algorithm { said: "EdDSA".into(), key: "ES256" };
    assert_eq!(verify(&text, TYP, ec.public_key()), Err(error));
    assert!(matches!(check(&sign(&ec, TYP, b"x").unwrap()), Err(JwsError::Algorithm { .. })));
}

#[test]
fn a_header_has_three_members_and_each_once() {
    let good = good_header();
    assert_eq!(check(&with_header(&good, b"x")).unwrap(), b"x");
    // White space is the writer's: the signature is over the octets as they are.
    assert!(check(&with_header(&good.replace(',', ", "), b"x")).is_ok());
    let kid = thumbprint(ed25519().public_key());
    for (wrong, what) in [
        (good.replace('}', r#","crit":["exp"]}"#), "crit"),
        (good.replace('}', r#","b64":false}"#), "b64"),
        (good.replace('}', r#","jwk":{}}"#), "jwk"),
        (good.replace('{', r#"{"alg":"EdDSA","#), "duplicate field `alg`"),
        (good.replace('{', r#"{"\u0061lg":"none","#), "duplicate field `alg`"),
        (good.replace('}', &format!(r#","kid":"{kid}"}}"#)), "duplicate field `kid`"),
        (good.replace('}', r#","typ":"x"}"#), "duplicate field `typ`"),
        (good.replace(r#""alg":"EdDSA","#, ""), "missing field `alg`"),
        (good.replace(&format!(r#""kid":"{kid}","#), ""), "missing field `kid`"),
        (good.replace(&format!(r#","typ":"{TYP}""#), ""), "missing field `typ`"),
        (good.replace(&format!("\"{kid}\""), "null"), "null"),
        (format!("{good} {{}}"), "trailing"),
        (format!("[\"EdDSA\",\"{kid}\",\"{TYP}\"]"), "begin with `{`"),
        (format!(" {good}"), "begin with `{`"),
        (String::new(), "begin with `{`"),
        (good.replace(TYP, &"x".repeat(MAX_HEADER)), "longer"),
    ] {
        match check(&with_header(&wrong, b"x")) {
            Err(JwsError::Header(why)) => assert!(why.contains(what), "{wrong}: {why}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}

#[test]
fn the_algorithm_cannot_be_talked_away() {
    for said in ["none", "None", "HS256", "ES256", "Ed25519", "eddsa", ""] {
        let text = with_header(&good_header().replace("EdDSA", said), b"x");
        assert_eq!(check(&text), Err(JwsError::Algorithm { said: said.into(), key: "EdDSA" }), "{said}");
    }
    let unsigned = format!("{}.eA.", encode(good_header().as_bytes()));
    assert!(matches!(check(&unsigned), Err(JwsError::Signature(_))));
}

#[test]
fn only_canonical_base64url_in_three_parts() {
    let text = sign(&ed25519(), TYP, b"x").unwrap();
    let parts: Vec<&str> = text.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    for (wrong, parts) in [("", 1), (h, 1), (&text[..text.len() - s.len() - 1], 2), (&format!("{text}."), 4)] {
        assert_eq!(check(wrong), Err(JwsError::Parts { parts }), "{wrong}");
    }
    let not_canonical = format!("{}{}", &s[..s.len() - 1], if s.ends_with('A') { 'B' } else { 'R' });
    for (wrong, part) in [
        (format!("{h}=.{p}.{s}"), "header"),
        (format!("{h}\n.{p}.{s}"), "header"),
        (format!("{h}.{p}.{s}=="), "signature"),
        (format!("{h}.{p}.{s}\n"), "signature"),
        (format!("{h}.{p}.{not_canonical}"), "signature"),
        (format!("{h}.{p}.+{}", &s[1..]), "signature"),
        (format!("{h}.{p}.é"), "signature"),
    ] {
        assert!(matches!(check(&wrong), Err(JwsError::Base64 { part: p, .. }) if p == part), "{wrong}");
    }
    // A payload in another spelling is another text, and the signature is over the text.
    let signature = signature_over(&ed25519(), h, "eB").unwrap();
    assert!(matches!(check(&format!("{h}.eB.{signature}")), Err(JwsError::Base64 { part: "payload", .. })));
    assert!(matches!(check(&format!("{h}.eQ.{s}")), Err(JwsError::Signature(_))));
}

#[test]
fn signatures_on_p256_are_64_octets() {
    let signer = p256();
    let text = sign(&signer, TYP, b"x").unwrap();
    let (start, signature) = text.rsplit_once('.').unwrap();
    let raw = decode("signature", signature).unwrap();
    assert_eq!(raw.len(), 64);
    let der = der_of_raw(&raw).unwrap();
    let zero_r = [&[0; 32][..], &raw[32..]].concat();
    for wrong in [&raw[..63], &[&raw[..], &[0]].concat(), &der, &zero_r, &[], &[0xff; 64]] {
        let text = format!("{start}.{}", encode(wrong));
        assert!(matches!(verify(&text, TYP, signer.public_key()), Err(JwsError::Signature(_))));
    }
}

#[test]
fn ecdsa_sig_value_is_strict_both_ways() {
    let small = [&[0; 31][..], &[1], &[0; 31], &[0x80]].concat();
    assert_eq!(hex::encode(der_of_raw(&small).unwrap()), "300702010102020080");
    assert_eq!(raw_of_der(&hex::decode("300702010102020080").unwrap()).unwrap()[..], small);
    for wrong in [
        "",
        "3006020101020100",
        "300702010102020001",
        "3006020101020180",
        "30070201010202008000",
        "30080201010202008000",
        "300a020101020101020101",
        "3003020101",
        "31070201010202 0080",
        "30810702010102020080",
    ] {
        assert_eq!(raw_of_der(&hex::decode(wrong.replace(' ', "")).unwrap()), None, "{wrong}");
    }
    let long = tlv::encode(tlv::SEQUENCE, &[&tlv::encode(tlv::INTEGER, &[&[1; 33]]), &[2, 1, 1]]);
    assert_eq!(raw_of_der(&long), None);
}

proptest! {
    #[test]
    fn no_character_can_be_changed(position in 0usize..4096, by in 1u8..128) {
        let mut text = sign(&ed25519(), TYP, b"some payload").unwrap().into_bytes();
        let position = position % text.len();
        text[position] = (text[position] ^ by) & 0x7f;
        prop_assert!(check(std::str::from_utf8(&text).unwrap()).is_err());
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,200}") {
        prop_assert!(check(&text).is_err());
    }

    #[test]
    fn raw_and_der_are_one(raw in any::<[u8; 64]>()) {
        if let Some(der) = der_of_raw(&raw) {
            prop_assert_eq!(raw_of_der(&der), Some(raw));
        }
    }
}
