//! `atl log submit`: one certificate, and the log's signed word for it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::remote::{KeySource, certificate_file, connect, failed, is_answer, polite};
use crate::api::{B64, SubmitEntryRequest, SubmitEntryResponse};
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::runtime;
use crate::log::entry::{CertHash, EntryType};
use crate::log::note::VerifierKey;
use crate::log::sat::SignedAgentTimestamp;

/// Submit a certificate to a log, and verify the signed agent timestamp that it answers with.
///
/// The timestamp (SAT) is the log's signed word that the certificate is in its tree since a moment:
/// a relying party asks for it. It does not prove that the log keeps its word: atl log proof does,
/// once a signed head covers the entry. Who is already logged gets the first SAT again.
///
/// Example:
///   atl log submit --url https://log.example.com/2026h2 --chain intermediate.pem --out agent.sat agent.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct SubmitArgs {
    /// PEM, the certificate first and its issuers behind it, or DER of the certificate
    #[arg(value_name = "CERT")]
    certificate: PathBuf,
    /// The base URL of the log
    #[arg(long)]
    url: String,
    /// The log's verifier key, from somebody you trust; without it, the key is the log's own word
    #[arg(long)]
    vkey: Option<VerifierKey>,
    /// PEM or DER of more issuers, in order; the log's anchor may be left out
    #[arg(long, value_name = "FILE", num_args = 1..)]
    chain: Vec<PathBuf>,
    /// What it is; the log sees for itself where this is left out
    #[arg(long = "type", value_name = "TYPE")]
    entry_type: Option<Kind>,
    /// Write the SAT, in DER
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// As it is
    Certificate,
    /// With the poison as its last extension
    Precertificate,
}

impl From<Kind> for EntryType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Certificate => Self::Certificate,
            Kind::Precertificate => Self::Precertificate,
        }
    }
}

/// What the command found, for machines.
#[derive(Serialize)]
struct Answer {
    vkey: String,
    key_source: KeySource,
    #[serde(flatten)]
    logged: SubmitEntryResponse,
}

/// Runs it.
pub fn run(args: &SubmitArgs) -> Result<(), CliError> {
    let mut certificates = certificate_file(&args.certificate)?.into_iter().map(|c| B64(c.into_der().into()));
    let none = || CliError::new(format!("{}: no certificate in it", args.certificate.display()));
    let submission = certificates.next().ok_or_else(none)?;
    let mut chain: Vec<B64> = certificates.collect();
    for file in &args.chain {
        chain.extend(certificate_file(file)?.into_iter().map(|c| B64(c.into_der().into())));
    }
    let request = SubmitEntryRequest { submission, entry_type: args.entry_type.map(EntryType::from), chain };
    runtime()?.block_on(submit(args, request))
}

async fn submit(args: &SubmitArgs, request: SubmitEntryRequest) -> Result<(), CliError> {
    let log = connect(&args.url, args.vkey.clone()).await?;
    let logged = polite(|| log.client.submit(&request)).await.map_err(|error| {
        if is_answer(&error) { CliError::negative(format!("not logged: {error}")) } else { failed(error) }
    })?;
    let wrong = |e: &dyn std::fmt::Display| CliError::negative(format!("the log's answer does not hold: {e}"));
    let cert_hash = CertHash::of_certificate(&request.submission.0);
    let sat = SignedAgentTimestamp::from_der(&logged.sat.0).map_err(|e| wrong(&e))?;
    sat.verify(log.key(), cert_hash).map_err(|e| wrong(&e))?;
    if logged.cert_hash != *cert_hash.hash() || logged.timestamp != sat.timestamp {
        return Err(wrong(&"it speaks of another certificate or time than its SAT"));
    }
    if let Some(file) = &args.out {
        std::fs::write(file, &logged.sat.0).context(file.display())?;
    }
    if args.json {
        return print_json(&Answer { vkey: log.vkey.to_string(), key_source: log.source, logged });
    }
    println!("{}\n", log.trust());
    print_rows([
        ("log", log.vkey.name().to_string()),
        ("entry", logged.leaf_index.to_string()),
        ("certificate hash", cert_hash.to_string()),
        ("leaf hash", cert_hash.leaf_hash().to_string()),
        ("logged at", sat.timestamp.to_string()),
        ("SAT", "signature verified".to_owned()),
    ]);
    println!("\nThe log has signed that this certificate is in its tree since {}.", sat.timestamp);
    println!(
        "A signed head covers it within {} s; then: atl log proof --url {} {}",
        log.descriptor.mmd_seconds,
        log.client.base_url(),
        args.certificate.display()
    );
    if let Some(file) = &args.out {
        println!("The SAT is in {}.", file.display());
    }
    Ok(())
}
