//! A trust bundle as SPIFFE has it: a JWK Set (RFC 7517) whose keys are X.509 authorities (SPIFFE Trust
//! Domain and Bundle, sections 4 and 5).
//!
//! It is for readers of SPIFFE's federation endpoints; it has no signature, no minimum score and no end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::TrustBundle;
use crate::apki::chain::Issuer;
use crate::apki::jws::{encode, p256_coordinates};

/// A JWK Set with SPIFFE's members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Set {
    keys: Vec<Jwk>,
    /// Grows with every change: the second in which the bundle was made.
    spiffe_sequence: u64,
    /// Seconds after which to look again.
    spiffe_refresh_hint: u64,
}

/// One X.509 authority. The order of the members is that of writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Jwk {
    #[serde(rename = "use")]
    purpose: &'static str,
    kty: &'static str,
    crv: &'static str,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    /// Exactly one certificate, that of the authority: base64, not base64url (RFC 7517 section 4.7).
    x5c: [String; 1],
}

impl Jwk {
    fn of(issuer: &Issuer) -> Option<Self> {
        let key = issuer.key();
        let (kty, crv, x, y) = match (key.ed25519_octets(), p256_coordinates(key)) {
            (Some(x), _) => ("OKP", "Ed25519", encode(x), None),
            (None, Some((x, y))) => ("EC", "P-256", encode(x), Some(encode(y))),
            (None, None) => return None,
        };
        Some(Self { purpose: "x509-svid", kty, crv, x, y, x5c: [STANDARD.encode(issuer.certificate().der())] })
    }
}

/// `bundle` as a SPIFFE bundle, to be looked at again after `refresh_seconds`. The same bundle has the
/// same octets.
pub fn spiffe_json(bundle: &TrustBundle, refresh_seconds: u32) -> Vec<u8> {
    let set = Set {
        keys: bundle.anchors().iter().filter_map(Jwk::of).collect(),
        spiffe_sequence: bundle.issued_at().millis().get() / 1000,
        spiffe_refresh_hint: refresh_seconds.into(),
    };
    // Texts and numbers: nothing in it can fail to be written.
    serde_json::to_vec_pretty(&set).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::apki::federation::bundle::tests::{bundle, root};
    use crate::apki::testing::key;
    use crate::keys::Signer as _;

    #[test]
    fn each_authority_is_a_key_with_its_certificate() {
        let set: Value = serde_json::from_slice(&spiffe_json(&bundle(&[root(1), root(2)]), 3600)).unwrap();
        let expected = |seed: u8| {
            json!({
                "use": "x509-svid", "kty": "OKP", "crv": "Ed25519",
                "x": encode(key(seed).public_key().ed25519_octets().unwrap()),
                "x5c": [STANDARD.encode(root(seed).der())],
            })
        };
        let seconds = 1_775_822_400;
        let set_expected =
            json!({"keys": [expected(1), expected(2)], "spiffe_sequence": seconds, "spiffe_refresh_hint": 3600});
        assert_eq!(set, set_expected);
    }

    #[test]
    fn a_key_on_p256_has_both_coordinates() {
        use crate::apki::testing::Draft;
        use crate::keys::PublicKey;
        // The key of RFC 7515 appendix A.3.
        let spki = "3059301306072a8648ce3d020106082a8648ce3d03010703420004\
            7fcdce2770f6c45d4183cbee6fdb4b7b580733357be9ef13bacf6e3c7bd15445\
            c7f144cd1bbd9b7e872cdfedb9eeb9f4b3695d6ea90b24ad8a4623288588e5ad";
        let spki = hex::decode(spki).unwrap();
        assert!(PublicKey::from_spki_der(&spki).is_ok());
        let mut draft = Draft::ca("Root", "Root", &key(1), None);
        draft.spki = spki;
        let set: Value = serde_json::from_slice(&spiffe_json(&bundle(&[draft.certificate(&key(1))]), 60)).unwrap();
        let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let read = &set["keys"][0];
        assert_eq!(
            (&read["kty"], &read["crv"], &read["x"], &read["y"]),
            (&json!("EC"), &json!("P-256"), &json!(x), &json!(y))
        );
    }
}
