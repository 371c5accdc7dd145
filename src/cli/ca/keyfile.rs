//! Private keys in files: made, encrypted under a passphrase, read.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use clap::Args;
use der::pem::{self, LineEnding, PemLabel};
use der::{Decode, Encode};
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfoOwned, EncryptedPrivateKeyInfoRef, der::asn1::OctetString};
use rcgen::{KeyPair, PublicKeyData};
use zeroize::Zeroizing;

use crate::cli::files::pem_blocks;
use crate::cli::output::{CliError, Context};
use crate::cli::pki::KeyKind;
use crate::cli::random;
use crate::cli::server::random_source;
use crate::keys::{PublicKey, Signer, signer_from_pkcs8_pem};

/// Characters that a passphrase has at least.
const MIN_PASSPHRASE: usize = 12;
/// Octets that a passphrase has at most: what OpenSSL reads of one.
const MAX_PASSPHRASE: usize = 1023;

// scrypt with 16 MiB: OpenSSL refuses more than 32, so the work grows by repetition.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;

const PRIVATE_KEY: &str = "PRIVATE KEY";

/// A private key of a CA, P-256 or Ed25519.
pub struct PrivateKey {
    /// DER PrivateKeyInfo, version 1, which OpenSSL reads for both kinds.
    pkcs8: Zeroizing<Vec<u8>>,
}

impl PrivateKey {
    /// A new key.
    pub fn generate(kind: KeyKind) -> Result<Self, CliError> {
        let made = match kind {
            KeyKind::P256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).and_then(|key| key.to_pkcs8v1()),
            KeyKind::Ed25519 => Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8v1()),
        };
        let document = made.map_err(|_| CliError::new("no key could be made"))?;
        Ok(Self { pkcs8: Zeroizing::new(document.as_ref().to_vec()) })
    }

    /// Reads a PEM file, PKCS#8. The passphrase is asked for where the key is encrypted.
    pub fn read(file: &Path, passphrase: &PassphraseArgs) -> Result<Self, CliError> {
        let text = Zeroizing::new(fs::read_to_string(file).context(file.display())?);
        for block in pem_blocks(&text) {
            let (label, der) = pem::decode_vec(block.as_bytes()).context(file.display())?;
            let der = Zeroizing::new(der);
            let key = match label {
                PRIVATE_KEY => Self { pkcs8: der },
                EncryptedPrivateKeyInfoOwned::PEM_LABEL => decrypt(file, &der, &passphrase.existing(file)?)?,
                _ => continue,
            };
            key.signer().context(file.display())?;
            return Ok(key);
        }
        let nothing = "there is no PEM private key in PKCS#8 (PRIVATE KEY or ENCRYPTED PRIVATE KEY) in it";
        Err(CliError::new(format!("{}: {nothing}", file.display())))
    }

    /// The key, ready to sign certificates.
    pub fn signer(&self) -> Result<KeyPair, CliError> {
        let key = KeyPair::try_from(self.pkcs8.as_slice()).context("the private key cannot be used")?;
        // Only what a log admits signatures of; rcgen reads more kinds.
        PublicKey::from_spki_der(&key.subject_public_key_info()).context("the private key cannot be used")?;
        Ok(key)
    }

    /// The public half.
    pub fn public_key(&self) -> Result<PublicKey, CliError> {
        let spki = self.signer()?.subject_public_key_info();
        PublicKey::from_spki_der(&spki).context("the private key cannot be used")
    }

    /// The key, ready to sign what is written octet by octet here: revocation lists, certificates of helpers.
    pub fn list_signer(&self) -> Result<Box<dyn Signer>, CliError> {
        signer_from_pkcs8_pem(&self.to_pem()?, random_source()).context("the private key cannot be used")
    }

    /// PEM, as PKCS#8 that anybody can read who reads the file.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, CliError> {
        pem::encode_string(PRIVATE_KEY, LineEnding::LF, &self.pkcs8).map(Zeroizing::new).context("the new key")
    }

    /// PEM, as PKCS#8 encrypted under a passphrase: PBES2 with scrypt and AES-256-CBC (RFC 8018,
    /// RFC 7914), which `openssl pkey -passin` reads.
    pub fn to_encrypted_pem(&self, passphrase: &Passphrase) -> Result<Zeroizing<String>, CliError> {
        let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).context("the passphrase's cost")?;
        let scheme = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &random::<16>()?, random()?);
        let scheme = scheme.context("the key's encryption")?;
        let encrypted = scheme.encrypt(passphrase.0.as_bytes(), &self.pkcs8).context("the key's encryption")?;
        let encrypted_data = OctetString::new(encrypted).context("the key's encryption")?;
        let info = EncryptedPrivateKeyInfoOwned { encryption_algorithm: scheme.into(), encrypted_data };
        let der = info.to_der().context("the key's encryption")?;
        let text = pem::encode_string(EncryptedPrivateKeyInfoOwned::PEM_LABEL, LineEnding::LF, &der);
        text.map(Zeroizing::new).context("the key's encryption")
    }
}

fn decrypt(file: &Path, der: &[u8], passphrase: &Passphrase) -> Result<PrivateKey, CliError> {
    let info = EncryptedPrivateKeyInfoRef::from_der(der).context(file.display())?;
    let key = info.decrypt(passphrase.0.as_bytes());
    let key = key.map_err(|_| CliError::new(format!("{}: the passphrase does not open it", file.display())))?;
    Ok(PrivateKey { pkcs8: Zeroizing::new(key.as_bytes().to_vec()) })
}

/// What opens an encrypted key.
pub struct Passphrase(Zeroizing<String>);

/// Where the root key's passphrase comes from.
#[derive(Args)]
pub struct PassphraseArgs {
    /// File whose first line is the root key's passphrase; without it the terminal is asked
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase for a new key, which is called so, long enough; the terminal is asked twice.
    pub fn new_one(&self, of: &str) -> Result<Passphrase, CliError> {
        let passphrase = match &self.passphrase_file {
            Some(file) => Passphrase::first_line(file)?,
            None => {
                let first = ask(&format!("Passphrase for the new {of}: "))?;
                if first.as_str() != ask("The same again: ")?.as_str() {
                    return Err(CliError::new("the two passphrases differ; nothing was made"));
                }
                Passphrase(first)
            }
        };
        if passphrase.0.chars().count() < MIN_PASSPHRASE {
            let too_short = format!("the passphrase of the {of} must have {MIN_PASSPHRASE} characters or more");
            return Err(CliError::new(too_short));
        }
        if passphrase.0.len() > MAX_PASSPHRASE {
            let too_long = format!("the passphrase of the {of} may have {MAX_PASSPHRASE} octets at most");
            return Err(CliError::new(too_long));
        }
        Ok(passphrase)
    }

    /// The passphrase of an encrypted key.
    fn existing(&self, key: &Path) -> Result<Passphrase, CliError> {
        match &self.passphrase_file {
            Some(file) => Passphrase::first_line(file),
            None => ask(&format!("Passphrase of {}: ", key.display())).map(Passphrase),
        }
    }
}

impl Passphrase {
    /// As `openssl -passin file:` reads it.
    fn first_line(file: &Path) -> Result<Self, CliError> {
        let text = Zeroizing::new(fs::read_to_string(file).context(file.display())?);
        Ok(Self(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())))
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    if !std::io::stdin().is_terminal() {
        let no_terminal = "there is no terminal to ask for the passphrase; give --passphrase-file";
        return Err(CliError::new(no_terminal));
    }
    rpassword::prompt_password(prompt).map(Zeroizing::new).context("the passphrase")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn with(file: PathBuf) -> PassphraseArgs {
        PassphraseArgs { passphrase_file: Some(file) }
    }

    #[test]
    fn a_key_comes_back_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let right = with(file(dir.path(), "right", "correct horse\r\nbattery"));
        let wrong = with(file(dir.path(), "wrong", "correct house\n"));
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let key = PrivateKey::generate(kind).unwrap();
            let plain = file(dir.path(), "plain.pem", &key.to_pem().unwrap());
            let sealed =
                file(dir.path(), "sealed.pem", &key.to_encrypted_pem(&right.new_one("root key").unwrap()).unwrap());
            for (path, passphrase) in [(&plain, &wrong), (&sealed, &right)] {
                let again = PrivateKey::read(path, passphrase).unwrap();
                assert_eq!(*again.pkcs8, *key.pkcs8);
                assert_eq!(again.public_key().unwrap(), key.public_key().unwrap());
            }
            let refused = PrivateKey::read(&sealed, &wrong).err().unwrap().to_string();
            assert!(refused.contains("sealed.pem: the passphrase does not open it"), "{refused}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let passphrase = with(file(dir.path(), "pass", "correct horse"));
        let label = |label: &str| pem::encode_string(label, LineEnding::LF, &[0x30, 0x00]).unwrap();
        let cases = [
            (String::new(), "there is no PEM private key"),
            (label("CERTIFICATE"), "there is no PEM private key"),
            (label("PRIVATE KEY"), "the private key cannot be used"),
            (label("ENCRYPTED PRIVATE KEY"), "x.pem"),
            ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n".to_owned(), "x.pem"),
        ];
        for (text, expected) in cases {
            let path = file(dir.path(), "x.pem", &text);
            let refused = PrivateKey::read(&path, &passphrase).err().unwrap().to_string();
            assert!(refused.contains("x.pem: ") && refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn a_new_passphrase_is_long_enough() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |text: &str| with(file(dir.path(), "p", text)).new_one("root key").err().map(|e| e.to_string());
        assert!(refused("11 letters!\n").unwrap().contains("12 characters or more"));
        assert!(refused("\nsecond line counts not").unwrap().contains("12 characters or more"));
        assert!(refused(&"x".repeat(1024)).unwrap().contains("1023 octets"));
        assert_eq!(refused("12 letters!!"), None);
    }
}
