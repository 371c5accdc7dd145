//! Private keys: which they are, and never what is in them.

use der::Decode;
use pkcs8::EncryptedPrivateKeyInfoRef;

use super::content::Content;
use super::key_words::{self, is_algorithm};
use super::kind::Kind;
use super::outline::{Elements, Shape};
use super::public_key;
use super::report::Report;
use crate::apki::tlv::{INTEGER, OCTET_STRING, SEQUENCE};
use crate::cli::server::random_source;
use crate::keys::{EcdsaP256Signer, KeyError, PublicKey, Signer, signer_from_pkcs8_der};
use crate::time::UnixMillis;

/// The kind. It comes first in the table: nothing of a key is to be read as something else.
pub const KIND: Kind = Kind {
    name: "private-key",
    what: "a private key",
    labels: &[
        "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
        "DSA PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
    ],
    looks,
    explain,
};

/// What the form of OpenSSH begins with.
const OPENSSH: &[u8] = b"openssh-key-v1\0";

/// How private keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// PrivateKeyInfo (RFC 5958)
    Pkcs8,
    /// EncryptedPrivateKeyInfo (RFC 5958)
    Encrypted,
    /// ECPrivateKey (RFC 5915)
    Ec,
    /// RSAPrivateKey (RFC 8017)
    Rsa,
}

fn form(der: &[u8]) -> Option<Form> {
    let shape = Shape::of(der);
    if shape.begins(&[INTEGER, SEQUENCE, OCTET_STRING]) && is_algorithm(shape.at(1)) {
        return Some(Form::Pkcs8);
    }
    if shape.begins(&[SEQUENCE, OCTET_STRING]) && is_algorithm(shape.at(0)) {
        return Some(Form::Encrypted);
    }
    // A timestamp of a log begins like an ECPrivateKey, and goes on with a number.
    let is_version_1 = Elements::new(der, 0).next().and_then(|whole| Elements::new(whole.content, 0).next());
    let is_version_1 = is_version_1.is_some_and(|version| version.content == [1]);
    if is_version_1 && shape.begins(&[INTEGER, OCTET_STRING]) && matches!(shape.tags().get(2), None | Some(0xa0 | 0xa1))
    {
        return Some(Form::Ec);
    }
    shape.begins(&[INTEGER; 6]).then_some(Form::Rsa)
}

fn looks(content: &Content) -> bool {
    content.der().is_ok_and(|der| form(der).is_some())
}

fn explain(content: &Content, _: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    let mut report = match form(der) {
        Some(Form::Pkcs8) => with_public_half(pkcs8(der), "PKCS#8, not encrypted"),
        Some(Form::Ec) => with_public_half(ec(der), "ECPrivateKey (RFC 5915), not encrypted"),
        Some(Form::Encrypted) => encrypted(der),
        Some(Form::Rsa) => other("RSA, RSAPrivateKey (RFC 8017), not encrypted"),
        None if der.starts_with(OPENSSH) => other("in the form of OpenSSH"),
        None => Report::malformed(KIND.what, "it is in none of the forms PKCS#8, ECPrivateKey and RSAPrivateKey"),
    };
    report.row("private half", "not shown");
    report.json.insert("encrypted".into(), (form(der) == Some(Form::Encrypted)).into());
    Ok(report)
}

/// The public half, or in words what kind of key it is.
fn pkcs8(der: &[u8]) -> Result<PublicKey, Result<String, KeyError>> {
    match signer_from_pkcs8_der(der, random_source()) {
        Ok(signer) => Ok(signer.public_key().clone()),
        Err(KeyError::Unsupported(oid)) => Err(Ok(key_words::other(&oid))),
        Err(error) => Err(Err(error)),
    }
}

fn ec(der: &[u8]) -> Result<PublicKey, Result<String, KeyError>> {
    let signer = EcdsaP256Signer::from_sec1_der(der, random_source()).map_err(Err)?;
    Ok(signer.public_key().clone())
}

fn with_public_half(read: Result<PublicKey, Result<String, KeyError>>, form: &str) -> Report {
    match read {
        Ok(key) => public_key::of(&key, format!("private key, {}, {form}", key_words::kind(key.algorithm()))),
        Err(Ok(algorithm)) => other(&format!("{algorithm}, {form}")),
        // The error is of a parser that names what it misses and repeats nothing.
        Err(Err(error)) => Report::malformed(KIND.what, error),
    }
}

fn other(what: &str) -> Report {
    let mut report = Report::new(format!("private key, {what}"));
    report.warnings.push("keys here are Ed25519 or P-256: nothing here signs with this one".into());
    report
}

fn encrypted(der: &[u8]) -> Report {
    match EncryptedPrivateKeyInfoRef::from_der(der) {
        Ok(info) => {
            let mut report = Report::new("private key, PKCS#8, encrypted under a passphrase");
            report.row("encryption", info.encryption_algorithm.oid());
            report
        }
        Err(error) => Report::malformed("an encrypted private key", error),
    }
}
