//! `atl ca root emergency-signer`: who signs the root's list in its stead, certified for another year.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ::der::Decode;
use clap::Args;
use x509_cert::name::Name;
use zeroize::Zeroizing;

use super::authority::{ROOT_KEY_FILE, Root, list_signer_name};
use super::emergency::{
    ListUrls, NewSigner, RootLists, SIGNER_KEY_FILE, moment, publish, publish_signer, sign_anchor_list,
};
use super::keyfile::{PassphraseArgs, PrivateKey};
use super::root::kind_of;
use super::root_list::Place;
use super::status;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::RevokedCertificate;
use crate::ca::root_list::ListSigner;
use crate::cli::files::{Staged, keep_copy, write_new};
use crate::cli::output::{CliError, Context, print_rows};
use crate::keys::PublicKey;
use crate::time::{Clock, SystemClock, UnixMillis};

/// Certify the emergency key for another year, or make it where the CA has none.
///
/// It needs the root's key: bring it from its safe, and lock it away again. What was revoked stays
/// revoked. A CA whose root was made without a status URL gets its emergency key by this too, but its
/// root does not say where the root's own list is, and OpenSSL cannot check the whole chain
/// (-crl_check_all); its intermediate says where its revocation would stand once it is renewed.
///
/// Examples:
///   atl ca root emergency-signer --dir myca --root-dir /media/safe/root
///   atl ca root emergency-signer --dir myca --root-dir /media/safe/root --new-key
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct SignerArgs {
    /// The CA's directory, with ca.toml
    #[arg(long)]
    dir: PathBuf,
    /// The directory with the root's key, root-key.pem
    #[arg(long)]
    root_dir: PathBuf,
    /// The directory of the emergency key. Default: `emergency` in the CA's
    #[arg(long, value_name = "DIR")]
    emergency_dir: Option<PathBuf>,
    /// Make a new emergency key, where the one before is lost or in wrong hands
    #[arg(long)]
    new_key: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// File whose first line is the passphrase of a new emergency key; without it that is the root
    /// key's from --passphrase-file, or the terminal is asked for one
    #[arg(long, value_name = "FILE", conflicts_with = "insecure_dev")]
    emergency_passphrase_file: Option<PathBuf>,
    /// Leave a new emergency key unencrypted: for tests and demos
    #[arg(long)]
    insecure_dev: bool,
}

/// Runs `emergency-signer`.
pub fn run(args: &SignerArgs) -> Result<(), CliError> {
    let place = Place::open(&args.dir, args.emergency_dir.as_deref())?;
    let before = place.files.read(&place.root)?;
    if let Some(before) = &before {
        place.check_newest(before)?;
    }
    let now = SystemClock.now();
    let root = Root::read(&place.config.root_certificate, &args.root_dir, &args.passphrase, now)?;
    let signer = match &before {
        Some(before) => renew_signer(&place, args, &root, before, now)?,
        None => first_signer(&place, args, &root, now)?,
    };
    print_rows([
        ("signer", hex::encode(signer.certificate().serial())),
        ("valid until", signer.certificate().not_after().to_string()),
        ("emergency key", place.emergency.join(SIGNER_KEY_FILE).display().to_string()),
    ]);
    println!("\nNext: give {} to the officer on duty.", place.emergency.display());
    if before.is_none() {
        println!("      Renew the intermediate, so that it says where its revocation would stand:");
        let (dir, root_dir) = (args.dir.display(), args.root_dir.display());
        println!("        atl ca root renew-intermediate --dir {dir} --root-dir {root_dir}");
    }
    println!("      Lock {} away again.", args.root_dir.join(ROOT_KEY_FILE).display());
    Ok(())
}

/// The first signer of a CA that was made without one.
fn first_signer(place: &Place, args: &SignerArgs, root: &Root, now: UnixMillis) -> Result<ListSigner, CliError> {
    let list = &place.files.list;
    if list.exists() {
        let why = "the certificate of whoever signed it is not beside it; put that back, or move the list away";
        return Err(CliError::new(format!("{}: {why}", list.display())));
    }
    let base = status::base_url(&place.config).ok_or_else(|| {
        CliError::new("the port in `listen` is 0, so no certificate can say where lists are: set `status.base_url`")
    })?;
    let key = PrivateKey::generate(kind_of(&root.key().public_key()?))?;
    let pem = new_key_pem(args, &key)?;
    let name = list_signer_name(&place.config.organization);
    let made = NewSigner::new(root, &key, &name, ListUrls::below(&base)?, now)?;
    make_private(&place.emergency)?;
    write_new(&place.emergency.join(SIGNER_KEY_FILE), 0o600, &pem)?;
    publish(&place.files.anchor, &made.anchor)?;
    publish(list, &made.list)?;
    publish_signer(&place.files, &place.emergency, &made.signer)?;
    Ok(made.signer)
}

/// Another certificate of the same name, for the same key or a new one: intermediates know the signer by its name.
fn renew_signer(
    place: &Place,
    args: &SignerArgs,
    root: &Root,
    before: &RootLists,
    now: UnixMillis,
) -> Result<ListSigner, CliError> {
    let old = before.signer.certificate();
    let name = Name::from_der(old.subject_der()).context("the signer's name")?;
    let common = name.common_name().context("the signer's name")?;
    let common = common.ok_or_else(|| CliError::new("the signer before has no commonName"))?;
    let missing = || CliError::new(format!("{} is missing: put it back", place.files.anchor.display()));
    let anchor = place.files.read_anchor(&place.root)?.ok_or_else(missing)?;
    let url = anchor.scope().ok_or_else(missing)?.url.clone();
    let key = args.new_key.then(|| PrivateKey::generate(kind_of(before.signer.key()))).transpose()?;
    let public: PublicKey = key.as_ref().map_or_else(|| Ok(before.signer.key().clone()), PrivateKey::public_key)?;
    let signer = root.certify_list_signer(&public, &common.value(), url.as_str(), now)?;
    if signer.certificate().subject_der() != old.subject_der() {
        return Err(CliError::new(format!(
            "the name `{name}` cannot be copied; {} is another's",
            place.files.signer.display()
        )));
    }
    let number = anchor.number().and_then(|number| number.checked_add(1));
    let number = number.ok_or_else(|| CliError::new("the list about the signer has no number that can be followed"))?;
    let mut entries: Vec<_> = anchor.entries().map(copied).collect();
    if key.is_some() {
        let (at, reason) = (moment(now)?, RevocationReason::Superseded);
        entries.push(RevokedCertificate { serial: old.serial(), at, reason, certificate_issuer: None });
    }
    let new_anchor = sign_anchor_list(root, &signer, (url, number), &entries, now)?;
    if let Some(key) = &key {
        let list = before.next(&signer, key, &before.entries(), now)?;
        let (pem, file) = (new_key_pem(args, key)?, place.emergency.join(SIGNER_KEY_FILE));
        make_private(&place.emergency)?;
        let serial = hex::encode(old.serial().get(..4).unwrap_or(old.serial()));
        if file.exists() {
            keep_copy(&file, &place.emergency.join(format!("crl-signer-key-{serial}.pem")))?;
        }
        Staged::write(&file, 0o600, &pem)?.commit()?;
        publish(&place.files.list, &list)?;
    }
    publish(&place.files.anchor, &new_anchor)?;
    publish_signer(&place.files, &place.emergency, &signer)?;
    place.note(&format!(
        "signer {}: certified until {}",
        hex::encode(signer.certificate().serial()),
        signer.certificate().not_after()
    ));
    Ok(signer)
}

/// An entry of the root's own list, as it was.
const fn copied(entry: crate::apki::status::crl::Entry<'_>) -> RevokedCertificate<'_> {
    RevokedCertificate { serial: entry.serial, at: entry.at, reason: entry.reason, certificate_issuer: None }
}

fn make_private(dir: &Path) -> Result<(), CliError> {
    DirBuilder::new().mode(0o700).recursive(true).create(dir).context(dir.display())
}

fn new_key_pem(args: &SignerArgs, key: &PrivateKey) -> Result<Zeroizing<String>, CliError> {
    if args.insecure_dev {
        return key.to_pem();
    }
    let file = args.emergency_passphrase_file.as_ref().or(args.passphrase.passphrase_file.as_ref());
    key.to_encrypted_pem(&PassphraseArgs { passphrase_file: file.cloned() }.new_one("emergency key")?)
}
