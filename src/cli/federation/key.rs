//! `atl federation key`: what others need to pin us.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;

use crate::apki::federation::WELL_KNOWN;
use crate::apki::jws::thumbprint;
use crate::cli::ca::bundle::read_signer;
use crate::cli::output::{CliError, print_json, print_rows};
use crate::config::CaConfig;

/// Print the public key that signs this CA's trust bundle, for the people of other domains to pin.
///
/// Hand it to them by a way that they trust: a meeting, a signed letter.
///
/// Example:
///   atl federation key --config myca/ca.toml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct KeyArgs {
    /// The configuration that `atl ca init` wrote
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &KeyArgs) -> Result<(), CliError> {
    let config = CaConfig::load(&args.config).map_err(|e| CliError::new(e.to_string()))?;
    let Some(file) = &config.federation.bundle_key else {
        let none = "`federation.bundle_key` is not set: this CA publishes no bundle";
        return Err(CliError::new(format!("{}: {none}", args.config.display())));
    };
    let signer = read_signer(file)?;
    let key = signer.public_key();
    let (spki, kid, domain) = (STANDARD.encode(key.spki_der()), thumbprint(key), &config.trust_domain);
    if args.json {
        return print_json(&serde_json::json!({"trust_domain": domain, "key": spki, "kid": kid}));
    }
    print_rows([
        ("domain", domain.clone()),
        ("key", spki.clone()),
        ("thumbprint", kid),
        ("bundle", format!("https://{domain}{WELL_KNOWN}")),
    ]);
    println!("\nOthers pin it with: atl federation add {domain} --key {spki}");
    Ok(())
}
