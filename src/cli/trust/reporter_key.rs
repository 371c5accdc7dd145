//! `atl trust reporter-key`: what a relying party needs to report.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use rcgen::ExtendedKeyUsagePurpose;

use super::certificate::self_signed;
use crate::cli::ca::keyfile::PrivateKey;
use crate::cli::files::write_new;
use crate::cli::output::{CliError, Context};
use crate::cli::pki::KeyKind;
use crate::keys::PublicKey;
use crate::time::{Clock, SystemClock};
use crate::trust::service::ReporterId;

/// Make a reporter's key and a self-signed certificate for it, and print the table for the engine's
/// trust.toml.
///
/// The key signs signals, and is the client's key of the TLS connections that they go over: NAME-key.pem,
/// which stays with the relying party, and NAME.pem. The operator of the engine registers the public key
/// under [[reporters]] and starts the engine anew. Next: atl trust report.
///
/// Example:
///   atl trust reporter-key --name shop.example >> mytrust/trust.toml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ReporterKeyArgs {
    /// The reporter's name: lower-case letters, digits, `.`, `_` and `-`
    #[arg(long)]
    name: ReporterId,
    /// Where the two files are to be
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The kind of key
    #[arg(long, value_enum, default_value_t = KeyKind::Ed25519)]
    algorithm: KeyKind,
}

/// What was made.
pub struct Made {
    key_file: PathBuf,
    certificate_file: PathBuf,
    /// The key to register.
    pub public_key: PublicKey,
}

/// Runs it.
pub fn run(args: &ReporterKeyArgs) -> Result<(), CliError> {
    let made = make(args)?;
    let public = STANDARD.encode(made.public_key.spki_der());
    println!("[[reporters]]\nname = \"{}\"\npublic_key = \"{public}\"", args.name);
    eprintln!(
        "key {}\ncertificate {}\nThe table above goes into the engine's trust.toml; then it is started anew.",
        made.key_file.display(),
        made.certificate_file.display()
    );
    Ok(())
}

/// Makes key and certificate; nothing that exists is overwritten.
pub fn make(args: &ReporterKeyArgs) -> Result<Made, CliError> {
    let key = PrivateKey::generate(args.algorithm)?;
    let usage = ExtendedKeyUsagePurpose::ClientAuth;
    let certificate = self_signed(&key, args.name.as_str(), Vec::new(), usage, SystemClock.now())?;
    let key_file = args.dir.join(format!("{}-key.pem", args.name));
    let certificate_file = args.dir.join(format!("{}.pem", args.name));
    std::fs::create_dir_all(&args.dir).context(args.dir.display())?;
    write_new(&key_file, 0o600, &key.to_pem()?)?;
    write_new(&certificate_file, 0o644, &certificate)?;
    Ok(Made { key_file, certificate_file, public_key: key.public_key()? })
}
