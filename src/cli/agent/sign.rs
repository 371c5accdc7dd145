//! `atl agent sign`: an agent's signature of a file, as evidence of what it did.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::csr::AgentKey;
use super::files::AgentDir;
use super::{certificates_of, require_valid};
use crate::cli::files::write_new;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::verify::operation;
use crate::keys::PublicKey;
use crate::time::{Clock, SystemClock};
use crate::verify::evidence::{Digest, SignedAction, Statement};
use crate::verify::relying::Operation;

/// Sign an action: a file, with the key of the agent's certificate.
///
/// The signature says which octets, when, under which certificate, and what they mean where --operation says
/// so: the tool and scope of a capability, and the money in minor units. It lies beside the file, as a JWS of
/// the type atl-action+jws. For HTTP, sign the signature base of RFC 9421 as a file.
///
/// While certificates and logs are at hand, collect what stands behind it: atl evidence make.
///
/// Examples:
///   atl agent sign --dir teller7 payment.json
///   atl agent sign --dir teller7 payment.json \
///     --operation 'https://api.bank.example.com/payments pay/sepa 1000 EUR'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct SignArgs {
    /// The file to sign
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The agent's directory, from atl agent enroll or delegate
    #[arg(long)]
    dir: PathBuf,
    /// What the file means; the amount is in minor units
    #[arg(long, value_name = "'TOOL SCOPE [AMOUNT CURRENCY]'", value_parser = operation)]
    operation: Option<Operation>,
    /// The signature's file, which must not be there yet. Default: FILE.sig
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &SignArgs) -> Result<(), CliError> {
    let dir = AgentDir::open(&args.dir)?;
    let current = require_valid(&dir, &args.dir)?;
    let place = |name: &str| args.dir.join(name).display().to_string();
    let key = AgentKey::from_pem(&current.key_pem).context(place("key.pem"))?;
    let signer = key.signer().context(place("key.pem"))?;
    let certificates = certificates_of(&current.chain_pem).context(place("cert.pem"))?;
    let nothing = || CliError::new(format!("{}: no certificate in it", place("cert.pem")));
    let certificate = certificates.first().ok_or_else(nothing)?;
    let certified = PublicKey::from_spki_der(certificate.spki_der()).context(place("cert.pem"))?;
    if certified != *signer.public_key() {
        return Err(CliError::new(format!(
            "{}: the key and the certificate do not belong together",
            args.dir.display()
        )));
    }
    let statement = Statement {
        digest: digest(&args.file)?,
        signed_at: SystemClock.now(),
        certificate: certificate.fingerprint(),
        operation: args.operation.clone(),
    };
    let signed = SignedAction::sign(signer.as_ref(), statement).context("the agent's key")?;
    let out = args.out.clone().unwrap_or_else(|| with_suffix(&args.file, ".sig"));
    write_new(&out, 0o644, &format!("{}\n", signed.as_str()))?;
    show(args, &signed, &out)
}

fn show(args: &SignArgs, signed: &SignedAction, out: &Path) -> Result<(), CliError> {
    let Statement { digest, signed_at, certificate, operation } = signed.statement();
    let (sha256, certificate) = (hex::encode(digest.sha256), hex::encode(certificate));
    if args.json {
        return print_json(&json!({
            "file": out, "sha256": sha256, "length": digest.length, "signed_at": signed_at,
            "certificate": certificate, "operation": operation,
        }));
    }
    let mut rows = vec![
        ("signed", format!("{}, {} octets", args.file.display(), digest.length)),
        ("SHA-256", sha256),
        ("at", signed_at.to_string()),
        ("certificate", certificate),
    ];
    rows.extend(operation.as_ref().map(|operation| ("operation", operation.to_string())));
    rows.push(("signature", out.display().to_string()));
    print_rows(rows);
    println!(
        "\nTo keep what stands behind it: atl evidence make --action {} --dir {}",
        args.file.display(),
        args.dir.display()
    );
    Ok(())
}

/// Hash and length of a file of any size.
pub fn digest(file: &Path) -> Result<Digest, CliError> {
    let mut open = File::open(file).context(file.display())?;
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        let read = open.read(&mut buffer).context(file.display())?;
        let Some(octets) = buffer.get(..read).filter(|octets| !octets.is_empty()) else { break };
        hash.update(octets);
        length += read as u64;
    }
    Ok(Digest { sha256: hash.finalize().into(), length })
}

/// The path with more behind its name.
pub fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    file.with_file_name(name)
}
