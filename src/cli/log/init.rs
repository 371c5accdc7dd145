//! `atl log init`: a directory that a log can be served from.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::open::read_certificates;
use crate::apki::Certificate;
use crate::cli::files::write_new;
use crate::cli::output::{CliError, Context, print_rows};
use crate::cli::random;
use crate::config::LogConfig;
use crate::keys::{Ed25519Signer, Signer};
use crate::log::admission::Anchors;
use crate::log::checkpoint::Origin;

/// Make a directory that a log can be served from: configuration, key, anchors.
///
/// Nothing that exists is overwritten. The key is readable by you alone; keep a copy of it where
/// the log's disk cannot take it along, because a log without its key cannot go on.
///
/// Example:
///   atl log init --dir mylog --origin log.example.com/2026h2 --anchor root-ca.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct InitArgs {
    /// The directory to make
    #[arg(long)]
    dir: PathBuf,
    /// The log's name in checkpoints: a URL without schema, such as log.example.com/2026h2.
    /// It can never change
    #[arg(long)]
    origin: String,
    /// Who runs the log, for people
    #[arg(long, default_value = "")]
    operator: String,
    /// Where to serve HTTP
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// PEM file with root certificates whose agents are recorded; may be given more than once
    #[arg(long = "anchor", value_name = "PEM")]
    anchors: Vec<PathBuf>,
    /// Seconds between signed tree heads
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    sth_interval_seconds: u32,
}

/// Runs it.
pub fn run(args: &InitArgs) -> Result<(), CliError> {
    let signer = make(args)?;
    let key = signer.public_key();
    let origin: Origin = args.origin.parse().context("--origin")?;
    let config = args.dir.join("log.toml");
    print_rows([
        ("configuration", config.display().to_string()),
        ("key", args.dir.join("log-key.pem").display().to_string()),
        ("public key", args.dir.join("log-key.pub.pem").display().to_string()),
        ("anchors", args.dir.join("anchors").display().to_string()),
        ("log id", key.log_id().to_string()),
        ("verifier key", origin.verifier_key(key).context("the key")?.to_string()),
    ]);
    if args.anchors.is_empty() {
        println!("\nPut PEM files of the roots whose agents this log records into the anchors directory, then:");
    }
    println!("\nNext: atl log serve --config {}", config.display());
    Ok(())
}

/// Makes the directory; the signer is what its key file holds.
pub fn make(args: &InitArgs) -> Result<Ed25519Signer, CliError> {
    let mut config = LogConfig::new(&args.origin).context("--origin")?;
    config.operator.clone_from(&args.operator);
    config.listen = args.listen;
    config.sth_interval_seconds = args.sth_interval_seconds;
    for file in &args.anchors {
        let certificates = read_certificates(file)?;
        if certificates.is_empty() {
            return Err(CliError::new(format!("{}: no PEM certificate in it", file.display())));
        }
        Anchors::new(certificates).context(file.display())?;
    }
    let anchors = args.dir.join("anchors");
    fs::create_dir_all(&anchors).context(anchors.display())?;
    let config_file = args.dir.join("log.toml");
    if config_file.exists() {
        return Err(CliError::new(format!("{} exists already; choose another --dir", config_file.display())));
    }
    let signer = Ed25519Signer::from_seed(&random()?).context("the new key")?;
    write_new(&args.dir.join("log-key.pem"), 0o600, &signer.to_pkcs8_pem().context("the new key")?)?;
    write_new(&args.dir.join("log-key.pub.pem"), 0o644, &public_pem(signer.public_key().spki_der())?)?;
    for (place, file) in args.anchors.iter().enumerate() {
        let name = file.file_stem().map_or("anchor".into(), |s| s.to_string_lossy());
        // The certificates alone: a key may stand beside them.
        let certificates = read_certificates(file)?;
        let text: Vec<String> = certificates.iter().map(certificate_pem).collect::<Result<_, _>>()?;
        let text = text.concat();
        write_new(&anchors.join(format!("{place:02}-{name}.pem")), 0o644, &text)?;
    }
    write_new(&config_file, 0o644, &config.render().context("the configuration")?)?;
    Ok(signer)
}

fn certificate_pem(certificate: &Certificate) -> Result<String, CliError> {
    der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, certificate.der()).context("an anchor")
}

fn public_pem(spki: &[u8]) -> Result<String, CliError> {
    der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, spki).context("the new key")
}
