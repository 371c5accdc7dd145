//! `atl ca root ...`: what needs the root's key, on a machine that no network reaches.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::authority::{Intermediate, ROOT_KEY_FILE, Root, name_of, new_name};
use super::certificate::{certificate_pem, read_certificate, rows};
use super::emergency::{ListFiles, RootLists};
use super::keyfile::{PassphraseArgs, PrivateKey};
use super::root_list::{self, CrlArgs, RevokeArgs};
use super::root_signer::{self, SignerArgs};
use crate::apki::Certificate;
use crate::ca::csr::SigningRequest;
use crate::cli::files::{Staged, keep_copy, write_new};
use crate::cli::output::{CliError, Context, print_rows};
use crate::cli::pki::KeyKind;
use crate::config::CaConfig;
use crate::keys::{PublicKey, SignatureAlgorithm};
use crate::time::{Clock, SystemClock};

/// The subcommands of `atl ca root`.
#[derive(Subcommand)]
pub enum RootCommand {
    SignIntermediate(SignArgs),
    RenewIntermediate(RenewArgs),
    RevokeIntermediate(RevokeArgs),
    Crl(CrlArgs),
    EmergencySigner(SignerArgs),
}

/// Sign an intermediate whose key was made elsewhere, from its certification request.
///
/// Of the request only the key counts, once it has proven that its owner asks: the name, the name
/// constraint and the validity are what is said here. Where root.crl and crl-signer.pem lie beside
/// the root's certificate, the intermediate says that its revocation would stand there.
///
/// Example:
///   atl ca root sign-intermediate --root-dir myca/root --root-certificate myca/root.pem \
///     --csr issuing.csr --trust-domain agents.example.com --organization "Example Bank" \
///     --years 2 --out intermediate.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct SignArgs {
    /// The directory with the root's key, root-key.pem
    #[arg(long)]
    root_dir: PathBuf,
    /// The root's certificate (PEM)
    #[arg(long, value_name = "FILE")]
    root_certificate: PathBuf,
    /// The certification request (PEM, PKCS#10; P-256 or Ed25519)
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// The DNS name in the agent URIs that the intermediate issues for
    #[arg(long)]
    trust_domain: String,
    /// The organisation, as it is to stand in the certificate
    #[arg(long)]
    organization: String,
    /// Years that the intermediate is valid, 1 to 5; it ends with the root at the latest
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=5))]
    years: u16,
    /// Where to write the certificate; the file must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Leave the name constraint for the trust domain out
    #[arg(long)]
    no_name_constraint: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Replace the intermediate of a CA's directory by a new one, for the same key or a new key.
///
/// The files before stay beside the new ones, with the first digits of the old serial number in
/// their names. With the same key, certificates issued so far chain to the new intermediate too;
/// with a new key they need the old one until they end. An intermediate that was revoked is replaced
/// by one with a new key alone, and what it has issued stays worthless: agents enrol anew.
///
/// Example:
///   atl ca root renew-intermediate --dir myca --root-dir /media/offline/root
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RenewArgs {
    /// The CA's directory, with ca.toml
    #[arg(long)]
    dir: PathBuf,
    /// The directory with the root's key, root-key.pem
    #[arg(long)]
    root_dir: PathBuf,
    /// Make a new key, of the kind of the one before
    #[arg(long)]
    new_key: bool,
    /// Years that the intermediate is valid, 1 to 5; it ends with the root at the latest
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=5))]
    years: u16,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Runs one.
pub fn run(command: RootCommand) -> Result<(), CliError> {
    match command {
        RootCommand::SignIntermediate(args) => sign(&args),
        RootCommand::RenewIntermediate(args) => renew(&args),
        RootCommand::RevokeIntermediate(args) => root_list::revoke(&args),
        RootCommand::Crl(args) => root_list::crl(&args),
        RootCommand::EmergencySigner(args) => root_signer::run(&args),
    }
}

fn sign(args: &SignArgs) -> Result<(), CliError> {
    // Its checks of both names are those of every other place.
    let config = CaConfig::new(&args.trust_domain, &args.organization).map_err(|e| CliError::new(e.to_string()))?;
    if args.out.exists() {
        return Err(CliError::new(format!("{} exists already; choose another --out", args.out.display())));
    }
    let request = fs::read_to_string(&args.csr).context(args.csr.display())?;
    let request = SigningRequest::from_pem(&request).context(args.csr.display())?;
    let key = request.public_key();
    let now = SystemClock.now();
    let root = Root::read(&args.root_certificate, &args.root_dir, &args.passphrase, now)?;
    let list = ListFiles::beside(&args.root_certificate.with_file_name("root.crl")).read(root.certificate())?;
    let wanted = Intermediate {
        key,
        subject: new_name(&config.organization, key)?,
        permitted_host: (!args.no_name_constraint).then_some(config.trust_domain.as_str()),
        years: args.years,
        list: list.as_ref().map(RootLists::point),
    };
    let made = root.sign(wanted, now)?;
    write_new(&args.out, 0o644, &certificate_pem(&made)?)?;
    print_rows(rows(&made)?);
    println!(
        "\nNext: carry {} and {} to the CA's machine, and name them in its ca.toml (`issuer_certificate`,\n      \
         `root_certificate`) beside the key that made the request (`issuer_key`). Lock the root's key away.",
        args.out.display(),
        args.root_certificate.display()
    );
    Ok(())
}

fn renew(args: &RenewArgs) -> Result<(), CliError> {
    let config_file = args.dir.join("ca.toml");
    let config = CaConfig::load(&config_file).map_err(|e| CliError::new(e.to_string()))?;
    let old = read_certificate(&config.issuer_certificate)?;
    // Its key is not encrypted: the server starts without a person.
    let old_key = PrivateKey::read(&config.issuer_key, &PassphraseArgs { passphrase_file: None })?;
    let serial = hex::encode(old.serial().get(..4).unwrap_or(old.serial()));
    let kept = |file: &Path| kept_name(file, &serial);
    if old_key.public_key()?.spki_der() != old.spki_der() {
        let (certificate, key) = (config.issuer_certificate.display(), config.issuer_key.display());
        let aside = kept(&config.issuer_key);
        return Err(CliError::new(format!(
            "{key} is not the key of {certificate}: a renewal was interrupted, or one of them is another CA's. If \
             there is {}, copy it to {key} and try again",
            aside.display()
        )));
    }
    let now = SystemClock.now();
    let list = ListFiles::beside(&config.status.root_crl_file).read(&read_certificate(&config.root_certificate)?)?;
    let revoked = list.as_ref().is_some_and(|known| known.list.entry(&old).is_some());
    if revoked && !args.new_key {
        return Err(CliError::new(format!(
            "{} was revoked, and its key is not certified again: give --new-key",
            config.issuer_certificate.display()
        )));
    }
    let root = Root::read(&config.root_certificate, &args.root_dir, &args.passphrase, now)?;
    let new_key = args.new_key.then(|| PrivateKey::generate(kind_of(&old_key.public_key()?))).transpose()?;
    let key = new_key.as_ref().unwrap_or(&old_key).public_key()?;
    let subject = match &new_key {
        Some(_) => new_name(&config.organization, &key)?,
        // Certificates issued so far name it.
        None => name_of(&old).context(config.issuer_certificate.display())?,
    };
    let permitted_host = config.name_constraint.then_some(config.trust_domain.as_str());
    let list = list.as_ref().map(RootLists::point);
    let made = root.sign(Intermediate { key: &key, subject, permitted_host, years: args.years, list }, now)?;
    replace(&config, &made, new_key.as_ref(), kept)?;
    print_rows(rows(&made)?);
    print_rows([("the one before", kept(&config.issuer_certificate).display().to_string())]);
    println!(
        "\nNext: restart `atl ca serve --config {}`: it reads its intermediate when it starts.",
        config_file.display()
    );
    if revoked {
        println!("      What was issued so far stays worthless: mint tokens that replace (atl ca token mint --help).");
    } else if args.new_key {
        println!("      Certificates issued so far chain to the intermediate before, until they end.");
    }
    println!("      Lock {} away again.", args.root_dir.join(ROOT_KEY_FILE).display());
    Ok(())
}

/// Puts the new files in the place of the old ones, which stay under their kept names. Everything
/// is on the disk before the first name changes; between the two names that change, the key's copy
/// is what undoes it.
fn replace(
    config: &CaConfig,
    made: &Certificate,
    new_key: Option<&PrivateKey>,
    kept: impl Fn(&Path) -> PathBuf,
) -> Result<(), CliError> {
    let certificate = Staged::write(&config.issuer_certificate, 0o644, &certificate_pem(made)?)?;
    keep_copy(&config.issuer_certificate, &kept(&config.issuer_certificate))?;
    if let Some(key) = new_key {
        let key = Staged::write(&config.issuer_key, 0o600, &key.to_pem()?)?;
        keep_copy(&config.issuer_key, &kept(&config.issuer_key))?;
        key.commit()?;
    }
    certificate.commit()
}

/// `intermediate.pem` is kept as `intermediate-4fb3127a.pem`.
fn kept_name(file: &Path, serial: &str) -> PathBuf {
    let part = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
    let stem = part(file.file_stem()).unwrap_or_default();
    let extension = part(file.extension()).map(|e| format!(".{e}")).unwrap_or_default();
    file.with_file_name(format!("{stem}-{serial}{extension}"))
}

/// The kind of a key.
pub const fn kind_of(key: &PublicKey) -> KeyKind {
    match key.algorithm() {
        SignatureAlgorithm::Ed25519 => KeyKind::Ed25519,
        SignatureAlgorithm::EcdsaP256Sha256 => KeyKind::P256,
    }
}
