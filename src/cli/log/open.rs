//! What commands on a log's own directory have in common: its configuration, key and anchors.

use std::fs;
use std::path::Path;

use der::pem;

use crate::apki::Certificate;
use crate::apki::chain::Anchors;
use crate::cli::files::pem_blocks;
use crate::cli::output::{CliError, Context};
use crate::config::LogConfig;
use crate::keys::Ed25519Signer;
use crate::log::checkpoint::Origin;

/// A log's configuration with the files that it names.
pub struct OpenedLog {
    /// The configuration.
    pub config: LogConfig,
    /// Its origin.
    pub origin: Origin,
    /// Its key.
    pub signer: Ed25519Signer,
}

impl OpenedLog {
    /// Reads configuration and key.
    pub fn read(config: &Path) -> Result<Self, CliError> {
        let config = LogConfig::load(config).map_err(|e| CliError::new(e.to_string()))?;
        let origin = config.origin.parse().context("`origin`")?;
        let file = config.key_file.display().to_string();
        let pem = fs::read_to_string(&config.key_file)
            .context(format_args!("{file} (`key_file`; `atl log init` makes one)"))?;
        let signer = Ed25519Signer::from_pkcs8_pem(&pem).context(format_args!("{file} (`key_file`)"))?;
        Ok(Self { config, origin, signer })
    }

    /// Where the last signed head is kept: beside the database's directory, not in it.
    pub fn head_file(&self) -> std::path::PathBuf {
        // Behind the whole name: two shards may differ in what follows a dot.
        let mut path = self.config.data_dir.clone().into_os_string();
        path.push(".head");
        path.into()
    }
}

/// Every certificate in the PEM files of a directory, as anchors.
pub fn read_anchors(dir: &Path) -> Result<Anchors, CliError> {
    let mut certificates = Vec::new();
    let mut files: Vec<_> = fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>())
        .context(format_args!("{} (`anchors_dir`)", dir.display()))?;
    files.sort();
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "pem" || e == "crt")) {
        let found = read_certificates(file)?;
        if let Err(e) = Anchors::new(found.clone()) {
            return Err(CliError::new(format!("{}: {e}", file.display())));
        }
        certificates.extend(found);
    }
    Anchors::new(certificates).context(dir.display())
}

/// Every certificate in a PEM file.
pub fn read_certificates(file: &Path) -> Result<Vec<Certificate>, CliError> {
    let text = fs::read_to_string(file).context(file.display())?;
    let mut found = Vec::new();
    for block in pem_blocks(&text) {
        let (label, der) = pem::decode_vec(block.as_bytes()).context(file.display())?;
        if label == "CERTIFICATE" {
            let place = found.len();
            found.push(Certificate::parse(der).context(format_args!("{}: certificate {place}", file.display()))?);
        }
    }
    Ok(found)
}
