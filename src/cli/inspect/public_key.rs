//! Public keys: a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::content::Content;
use super::kind::Kind;
use super::outline::Shape;
use super::report::{Report, Subject};
use super::{key_words, schema};
use crate::apki::jws::thumbprint;
use crate::apki::tlv::{BIT_STRING, SEQUENCE};
use crate::keys::{KeyError, PublicKey};
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "public-key", what: "a public key", labels: &["PUBLIC KEY"], looks, explain };

fn looks(content: &Content) -> bool {
    let shape = Shape::of(content.der().unwrap_or_default());
    shape.begins(&[SEQUENCE, BIT_STRING]) && key_words::is_algorithm(shape.at(0))
}

fn explain(content: &Content, _: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    Ok(match PublicKey::from_spki_der(der) {
        Ok(key) => of(&key, format!("public key, {}", key_words::kind(key.algorithm()))),
        Err(KeyError::Unsupported(oid)) => {
            let mut report = Report::new(format!("public key, {}", key_words::other(&oid)));
            report.row("SHA-256", key_words::key(der));
            report.warnings.push("keys here are Ed25519 or P-256: nobody verifies with this one".into());
            report.facts(key_words::key_json(der));
            report.subject = Subject::Key(der.to_vec());
            report
        }
        Err(error @ KeyError::Malformed(_)) => Report::broken(KIND.what, der, &schema::PUBLIC_KEY, &error),
    })
}

/// The report of a key that is used here.
pub fn of(key: &PublicKey, title: String) -> Report {
    let mut report = Report::new(title);
    report.row("SHA-256", format!("{} (of a log's key, the log id)", key.log_id()));
    report.row("JWK thumbprint", format!("{} (of a signature's key, its kid)", thumbprint(key)));
    report.row("SubjectPublicKeyInfo", STANDARD.encode(key.spki_der()));
    report.facts(key_words::key_json(key.spki_der()));
    report.subject = Subject::Key(key.spki_der().to_vec());
    report
}
