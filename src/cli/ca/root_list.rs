//! `atl ca root revoke-intermediate` and `crl`: the root's list of intermediates that nobody may believe any more.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ::der::Decode;
use clap::Args;
use serde_json::json;
use x509_cert::name::Name;

use super::certificate::read_certificate;
use super::emergency::{EMERGENCY_DIR, ListFiles, RootLists, SIGNER_KEY_FILE, moment, publish};
use super::keyfile::{PassphraseArgs, PrivateKey};
use crate::apki::Certificate;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::RevokedCertificate;
use crate::ca::ports::KeptList;
use crate::ca::root_list::{RootList, issued_by};
use crate::ca::serial::Serial;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::words;
use crate::config::CaConfig;
use crate::storage::ca::crl_file::CrlFile;
use crate::time::{Clock, SystemClock};

/// A line for each thing that was said with the emergency key, beside it.
const RECORD_FILE: &str = "record.txt";

/// Where the emergency key and the lists are.
#[derive(Args)]
pub struct EmergencyArgs {
    /// The CA's directory, with ca.toml
    #[arg(long)]
    dir: PathBuf,
    /// The directory with the emergency key, crl-signer-key.pem. Default: `emergency` in the CA's
    #[arg(long, value_name = "DIR")]
    emergency_dir: Option<PathBuf>,
    /// File whose first line is the emergency key's passphrase; without it the terminal is asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Take an intermediate back, at once and for good: nobody may believe what it has issued.
///
/// It needs the emergency key that `atl ca init` made, and not the root's. What it writes, root.crl in the
/// CA's directory, the running CA publishes within seconds at /crl/root, and then issues nothing more;
/// where the CA is another machine, copy the file there. Whoever checks the root's list refuses every
/// agent below. For an agent alone there is atl ca revoke.
///
/// Reasons are those of RFC 5280: keyCompromise where somebody else may have the intermediate's key,
/// cACompromise where the CA as a whole did not do its work, superseded, cessationOfOperation,
/// unspecified, ...
///
/// Examples:
///   atl ca root revoke-intermediate --dir myca --reason keyCompromise --comment 'ticket 4711'
///   atl ca root revoke-intermediate --dir myca --emergency-dir /media/duty/emergency \
///     --certificate myca/intermediate-4fb3127a.pem --reason superseded
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RevokeArgs {
    #[command(flatten)]
    emergency: EmergencyArgs,
    /// The certificate of the intermediate (PEM). Default: the one that the CA issues with
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Its serial number, in hex, where the certificate is not at hand
    #[arg(long, value_name = "HEX", conflicts_with = "certificate")]
    serial: Option<Serial>,
    /// Why, as RFC 5280 names it
    #[arg(long, default_value = "unspecified")]
    reason: RevocationReason,
    /// Why, in words, for record.txt beside the emergency key
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
}

/// Show the root's list: which intermediates are revoked, and how long list and signer hold.
///
/// A list holds for 90 days, and not longer than its signer: whoever checks it refuses every agent
/// once it is out of date. Sign it anew in time with --renew, which needs the emergency key.
///
/// Examples:
///   atl ca root crl --dir myca
///   atl ca root crl --dir myca --renew --emergency-dir /media/duty/emergency
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct CrlArgs {
    #[command(flatten)]
    emergency: EmergencyArgs,
    /// Sign the list again, with the next number, for another 90 days
    #[arg(long)]
    renew: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A CA's directory, with a signer of lists.
pub struct Place {
    /// Its configuration.
    pub config: CaConfig,
    /// Its root.
    pub root: Certificate,
    /// Where the root's lists are.
    pub files: ListFiles,
    /// The directory with the emergency key.
    pub emergency: PathBuf,
}

impl Place {
    /// The CA in `dir`, with the emergency key in the other directory or below that one.
    pub fn open(dir: &Path, emergency: Option<&Path>) -> Result<Self, CliError> {
        let config = CaConfig::load(&dir.join("ca.toml")).map_err(|e| CliError::new(e.to_string()))?;
        let root = read_certificate(&config.root_certificate)?;
        let files = ListFiles::beside(&config.status.root_crl_file);
        let emergency = emergency.map_or_else(|| dir.join(EMERGENCY_DIR), Path::to_owned);
        Ok(Self { config, root, files, emergency })
    }

    fn lists(&self, dir: &Path) -> Result<RootLists, CliError> {
        let read = self.files.read(&self.root)?;
        let read = read.ok_or_else(|| {
            CliError::new(format!(
                "{} is not there, so the root has no signer of lists: make one with the root's key, atl ca root \
                 emergency-signer --dir {}",
                self.files.signer.display(),
                dir.display()
            ))
        })?;
        self.check_newest(&read)?;
        Ok(read)
    }

    /// A list from an older copy is not gone on from: two lists would have one number, and the later one would
    /// forget what the other one says.
    pub fn check_newest(&self, read: &RootLists) -> Result<(), CliError> {
        let kept = CrlFile::of_root(&self.config.data_dir);
        let Some(der) = kept.load().map_err(|e| CliError::new(e.to_string()))? else { return Ok(()) };
        let published = RootList::remembered(&der).context(kept.path().display())?;
        let (list, number) = (self.files.list.display(), published.number());
        read.list.check_follows(&published).context(format_args!(
            "{list} is not what the CA has published, which is number {number}: get that one back, from the CA's \
             /crl/root"
        ))
    }

    /// The emergency key.
    fn key(&self, lists: &RootLists, passphrase_file: Option<&PathBuf>) -> Result<PrivateKey, CliError> {
        let file = self.emergency.join(SIGNER_KEY_FILE);
        let key = PrivateKey::read(&file, &PassphraseArgs { passphrase_file: passphrase_file.cloned() })?;
        if key.public_key()?.spki_der() != lists.signer.certificate().spki_der() {
            let signer = self.files.signer.display();
            return Err(CliError::new(format!("{} is not the key of {signer}", file.display())));
        }
        Ok(key)
    }

    /// Notes what was done beside the key that did it. It is done: a note that fails is only said.
    pub fn note(&self, line: &str) {
        let file = self.emergency.join(RECORD_FILE);
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&file);
        let line = format!("{} {line}\n", SystemClock.now());
        if let Err(error) = opened.and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all())) {
            eprintln!("WARNING: {} could not be written: {error}", file.display());
        }
    }
}

/// Runs `revoke-intermediate`.
pub fn revoke(args: &RevokeArgs) -> Result<(), CliError> {
    let EmergencyArgs { dir, emergency_dir, passphrase_file } = &args.emergency;
    let place = Place::open(dir, emergency_dir.as_deref())?;
    let lists = place.lists(dir)?;
    let serial = target(&place, &lists, args)?;
    let issuer = place.root.subject_der();
    let current = read_certificate(&place.config.issuer_certificate)?;
    let is_current = current.serial() == serial && current.issuer_der() == issuer;
    if let Some(entry) = lists.list.crl().find_issued_by(issuer, &serial) {
        println!("It is revoked since {} ({}); nothing was changed.", entry.at.millis(), entry.reason);
        next(&place, dir, is_current);
        return Ok(());
    }
    let key = place.key(&lists, passphrase_file.as_ref())?;
    let now = SystemClock.now();
    let mut entries = lists.entries();
    entries.push(RevokedCertificate {
        serial: &serial,
        at: moment(now)?,
        reason: args.reason,
        certificate_issuer: Some(issuer),
    });
    let der = lists.next(&lists.signer, &key, &entries, now)?;
    publish(&place.files.list, &der)?;
    let made = RootList::read(&der, &lists.signer).context("the new list")?;
    let name = hex::encode(&serial);
    place.note(&format!("list {}: revoked {name}, {}: {}", made.number(), args.reason, words::clean(&args.comment)));
    println!("Revoked");
    print_rows([
        ("certificate", name),
        ("reason", args.reason.to_string()),
        ("list", format!("number {}, {}", made.number(), place.files.list.display())),
        ("holds until", made.crl().next_update().to_string()),
    ]);
    next(&place, dir, is_current);
    Ok(())
}

/// The serial number that is meant, as content octets.
fn target(place: &Place, lists: &RootLists, args: &RevokeArgs) -> Result<Vec<u8>, CliError> {
    let serial = match &args.serial {
        Some(serial) => serial.as_bytes().to_vec(),
        None => {
            let file = args.certificate.as_ref().unwrap_or(&place.config.issuer_certificate);
            let certificate = read_certificate(file)?;
            if !issued_by(&certificate, &place.root).context(place.config.root_certificate.display())? {
                let root = place.config.root_certificate.display();
                return Err(CliError::new(format!("{} is not issued by {root}", file.display())));
            }
            certificate.serial().to_vec()
        }
    };
    if serial == place.root.serial() {
        return Err(CliError::new("a root cannot be revoked by a list below it: have relying parties remove it"));
    }
    if serial == lists.signer.certificate().serial() {
        let instead = "the signer cannot take itself back: atl ca root emergency-signer --new-key makes another one";
        return Err(CliError::new(instead));
    }
    Ok(serial)
}

/// What happens now, and what there is to do.
fn next(place: &Place, dir: &Path, is_current: bool) {
    let (list, dir) = (place.files.list.display(), dir.display());
    println!("\nNext: the running CA publishes {list} within seconds, at /crl/root. Where it runs on another");
    println!("      machine, copy the file there. Whoever checks the root's list refuses every agent below.");
    if !is_current {
        println!("      It is not the intermediate that the CA issues with, which goes on.");
        return;
    }
    println!("      The CA issues nothing any more; its own lists and OCSP go on.");
    println!("      To issue again, make an intermediate with a new key, restart the CA, let agents enrol anew:");
    println!("        atl ca root renew-intermediate --dir {dir} --root-dir {dir}/root --new-key");
    println!("        atl ca serve --config {dir}/ca.toml");
}

/// Runs `crl`.
pub fn crl(args: &CrlArgs) -> Result<(), CliError> {
    let EmergencyArgs { dir, emergency_dir, passphrase_file } = &args.emergency;
    let place = Place::open(dir, emergency_dir.as_deref())?;
    let mut lists = place.lists(dir)?;
    let now = SystemClock.now();
    if args.renew {
        let key = place.key(&lists, passphrase_file.as_ref())?;
        let der = lists.next(&lists.signer, &key, &lists.entries(), now)?;
        publish(&place.files.list, &der)?;
        lists.list = RootList::read(&der, &lists.signer).context("the new list")?;
        place.note(&format!("list {}: signed again", lists.list.number()));
    }
    if args.json {
        show_json(&lists)?
    } else {
        show(&lists)?
    }
    for problem in [lists.list.check_current(now), lists.signer.check_current(now)] {
        problem.map_err(|e| CliError::negative(format!("{}: {e}", place.files.list.display())))?;
    }
    Ok(())
}

fn show(lists: &RootLists) -> Result<(), CliError> {
    let (list, signer) = (lists.list.crl(), lists.signer.certificate());
    let name = Name::from_der(signer.subject_der()).context("the signer's name")?;
    print_rows([
        ("list", format!("number {}", lists.list.number())),
        ("published at", lists.list.scope().url.as_str().to_owned()),
        ("holds", format!("{} to {}", list.this_update(), list.next_update())),
        ("signed by", name.to_string()),
        ("who is valid", format!("{} to {}", signer.not_before(), signer.not_after())),
    ]);
    println!();
    if list.entries().len() == 0 {
        println!("No intermediate is revoked.");
        return Ok(());
    }
    let head = ["REVOKED", "REASON", "SERIAL"].map(str::to_owned);
    let row = list.entries().map(|e| [e.at.to_string(), e.reason.to_string(), hex::encode(e.serial)]);
    let rows: Vec<_> = std::iter::once(head).chain(row).collect();
    words::columns(&rows).iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn show_json(lists: &RootLists) -> Result<(), CliError> {
    let (list, signer) = (lists.list.crl(), lists.signer.certificate());
    let entry = |e: crate::apki::status::crl::Entry<'_>| json!({ "serial": hex::encode(e.serial), "revoked_at": e.at.millis(), "reason": e.reason });
    print_json(&json!({
        "number": lists.list.number(),
        "url": lists.list.scope().url.as_str(),
        "this_update": list.this_update().millis(),
        "next_update": list.next_update().millis(),
        "signer": { "serial": hex::encode(signer.serial()), "not_after": signer.not_after() },
        "revoked": list.entries().map(entry).collect::<Vec<_>>(),
    }))
}
