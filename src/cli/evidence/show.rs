//! `atl evidence show`: what is in a bundle, without a word on whether it holds.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::read;
use crate::apki::Certificate;
use crate::cli::agent::inspect::pem_of;
use crate::cli::files::Directory;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::words::clean;
use crate::verify::evidence::{Evidence, Statement};

/// Print what is in an evidence bundle, or take it apart. Nothing of it is verified.
///
/// With --extract every part becomes a file that other programs read: the action, the signature, the
/// certificates (PEM), OCSP responses and revocation lists (DER), proofs (C2SP tlog-proof).
///
/// Examples:
///   atl evidence show payment.evidence.json
///   atl evidence show payment.evidence.json --extract parts
///   openssl ocsp -respin parts/answer-0.ocsp -resp_text -noverify
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ShowArgs {
    /// The bundle, from atl evidence make
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A new directory to write the parts to
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &ShowArgs) -> Result<(), CliError> {
    let evidence = read(&args.file)?;
    if let Some(dir) = &args.extract {
        extract(&evidence, dir)?;
    }
    if args.json {
        return print_json(&summary(&evidence));
    }
    print_rows(rows(&evidence));
    println!("\nNothing of this is verified: atl evidence verify {} --policy relying-party.toml", args.file.display());
    Ok(())
}

/// What is in it, in words; parts of it are whatever somebody wrote there.
pub fn rows(evidence: &Evidence) -> Vec<(&'static str, String)> {
    let Statement { digest, signed_at, operation, .. } = evidence.signature.statement();
    let there = if evidence.action.is_some() { "in the bundle" } else { "not in the bundle" };
    let mut rows = vec![
        ("made", format!("{} by {}", evidence.made_at, clean(&evidence.made_by))),
        ("action", format!("{} octets, SHA-256 {}, {there}", digest.length, hex::encode(digest.sha256))),
        ("signed at", format!("{signed_at}, as the agent says")),
        ("operation", operation.as_ref().map_or_else(|| "none is named".to_owned(), |o| clean(&o.to_string()))),
    ];
    rows.extend(evidence.certificates().map(|certificate| ("certificate", named(certificate))));
    let heads = evidence.proofs.iter().map(|proof| {
        let head = &proof.fact.head;
        format!(
            "entry {} of {} of log {}, head of {}",
            proof.fact.index, head.head.size, head.log_id, head.head.timestamp
        )
    });
    rows.extend(heads.map(|head| ("proof", head)));
    for proof in &evidence.tlog_proofs {
        let origin = proof.fact.checkpoint().text().lines().next().unwrap_or_default();
        let lines = proof.fact.checkpoint().signatures().len();
        rows.push((
            "tlog-proof",
            format!("entry {} of {}, with {lines} signatures", proof.fact.index(), clean(origin)),
        ));
    }
    rows.push(("OCSP answers", evidence.answers.len().to_string()));
    rows.push(("revocation lists", evidence.lists.len().to_string()));
    rows
}

/// Whose certificate it says it is.
fn named(certificate: &Certificate) -> String {
    let whose = certificate.agent_uri().map_or_else(|_| "a CA".to_owned(), |uri| uri.to_string());
    format!("{whose}, SHA-256 {}", hex::encode(certificate.fingerprint()))
}

/// The same for machines.
pub fn summary(evidence: &Evidence) -> Value {
    let Statement { digest, signed_at, certificate, operation } = evidence.signature.statement();
    let certificates: Vec<_> = evidence
        .certificates()
        .map(|c| json!({"agent": c.agent_uri().ok(), "sha256": hex::encode(c.fingerprint())}))
        .collect();
    json!({
        "verified": false, "made_at": evidence.made_at, "made_by": evidence.made_by,
        "sha256": hex::encode(digest.sha256), "length": digest.length, "action_included": evidence.action.is_some(),
        "signed_at": signed_at, "certificate": hex::encode(certificate), "operation": operation,
        "certificates": certificates, "proofs": evidence.proofs.len(), "tlog_proofs": evidence.tlog_proofs.len(),
        "answers": evidence.answers.len(), "lists": evidence.lists.len(),
    })
}

fn extract(evidence: &Evidence, dir: &Path) -> Result<(), CliError> {
    let mut directory = Directory::claim(dir)?;
    if let Some(action) = &evidence.action {
        directory.octets("action", 0o644, action)?;
    }
    directory.write("action.sig", 0o644, &format!("{}\n", evidence.signature.as_str()))?;
    directory.write("chain.pem", 0o644, &pem_of(evidence.certificates()).context("the certificates")?)?;
    for (n, answer) in evidence.answers.iter().enumerate() {
        directory.octets(&format!("answer-{n}.ocsp"), 0o644, &answer.fact)?;
    }
    for (n, list) in evidence.lists.iter().enumerate() {
        directory.octets(&format!("list-{n}.crl"), 0o644, &list.crl)?;
    }
    for (n, proof) in evidence.tlog_proofs.iter().enumerate() {
        directory.write(&format!("proof-{n}.tlog-proof"), 0o644, &proof.fact.to_string())?;
    }
    for (n, proof) in evidence.proofs.iter().enumerate() {
        let head = &proof.fact.head;
        let text = json!({
            "leaf_index": proof.fact.index, "inclusion": proof.fact.inclusion,
            "sth": crate::cli::log::remote::answer(head),
        });
        directory.write(&format!("proof-{n}.json"), 0o644, &format!("{text:#}\n"))?;
    }
    directory.keep();
    let count = fs::read_dir(dir).context(dir.display())?.count();
    eprintln!("{}: {count} files", dir.display());
    Ok(())
}
