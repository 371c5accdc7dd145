//! `atl log proof`: that a certificate is in a log's tree.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::Serialize;

use super::remote::{KeySource, RemoteLog, answer, certificate_file, connect, failed, polite};
use super::sth::parse_hash;
use crate::api::{ProofQuery, ProofResponse, SthResponse, Token};
use crate::apki::precertificate::recover;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::runtime;
use crate::client::ClientError;
use crate::log::entry::CertHash;
use crate::log::note::VerifierKey;
use crate::log::sth::SignedTreeHead;
use crate::merkle::{Hash, verify_inclusion};

/// Prove that a certificate is in a log.
///
/// The log's last signed head is fetched and its signature verified; the inclusion proof then shows
/// that the tree under that head holds the certificate, without trust in anything but the log's key.
/// It does not prove that others are shown the same tree (atl log sth --since, and monitors), and
/// says nothing about whether the certificate is any good.
///
/// Of a final certificate, with SATs inside, the precertificate is looked up where the certificate
/// itself was not logged.
///
/// Example:
///   atl log proof --url https://log.example.com/2026h2 --wait --out agent.tlog-proof agent.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ProofArgs {
    /// PEM or DER of the certificate
    #[arg(value_name = "CERT", required_unless_present_any = ["cert_hash", "leaf_hash"])]
    certificate: Option<PathBuf>,
    /// Instead: SHA-256 of the certificate that was submitted, hex or base64
    #[arg(long, value_name = "HASH", value_parser = hash, conflicts_with_all = ["certificate", "leaf_hash"])]
    cert_hash: Option<Hash>,
    /// Instead: the leaf hash, hex or base64
    #[arg(long, value_name = "HASH", value_parser = hash, conflicts_with = "certificate")]
    leaf_hash: Option<Hash>,
    /// The base URL of the log
    #[arg(long)]
    url: String,
    /// The log's verifier key, from somebody you trust; without it, the key is the log's own word
    #[arg(long)]
    vkey: Option<VerifierKey>,
    /// Wait for the next signed head where the entry is logged but not covered yet
    #[arg(long)]
    wait: bool,
    /// Write the proof with its checkpoint as a C2SP tlog-proof, which verifies offline
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Times that a head may be signed between two calls, before that looks like intent.
const HEADS_MISSED: u32 = 5;

fn hash(text: &str) -> Result<Hash, String> {
    parse_hash(text).ok_or_else(|| "32 octets in hex or base64 are a hash".to_owned())
}

/// What is to be found, and what it is.
pub struct Wanted {
    /// Its leaf hash.
    pub leaf: Hash,
    /// What it is, for a message.
    pub what: &'static str,
}

/// What the log has shown.
pub struct Shown {
    /// What was found.
    pub wanted: Wanted,
    /// The head, its signature verified.
    pub sth: SignedTreeHead,
    /// The checkpoint of the same tree, its signature verified.
    pub checkpoint: String,
    /// The proof in that tree, which nobody has verified yet.
    pub proof: ProofResponse,
}

/// What the command found, for machines.
#[derive(Serialize)]
struct Answer {
    proven: bool,
    vkey: String,
    key_source: KeySource,
    leaf_hash: Hash,
    of: &'static str,
    #[serde(flatten)]
    proof: ProofResponse,
    sth: SthResponse,
    checkpoint: String,
}

/// Runs it.
pub fn run(args: &ProofArgs) -> Result<(), CliError> {
    let wanted = wanted(args)?;
    runtime()?.block_on(async {
        let log = connect(&args.url, args.vkey.clone()).await?;
        let shown = find(&log, wanted, args.wait).await?;
        let (index, head) = (shown.proof.leaf_index, &shown.sth.head);
        verify_inclusion(&shown.wanted.leaf, index, head.size, &shown.proof.inclusion, &head.root)
            .map_err(|e| CliError::negative(format!("NOT proven: the log's proof does not hold: {e}")))?;
        if let Some(file) = &args.out {
            std::fs::write(file, tlog_proof(&shown)).context(file.display())?;
        }
        show(args, &log, shown)
    })
}

/// The leaves to look for, in this order.
fn wanted(args: &ProofArgs) -> Result<Vec<Wanted>, CliError> {
    if let Some(leaf) = args.leaf_hash {
        return Ok(vec![Wanted { leaf, what: "the leaf hash given" }]);
    }
    if let Some(hash) = args.cert_hash {
        return Ok(vec![Wanted { leaf: CertHash::from(hash).leaf_hash(), what: "the certificate hash given" }]);
    }
    let Some(file) = &args.certificate else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    if let Some(certificate) = certificate_file(file)?.first() {
        let leaf = CertHash::of_certificate(certificate.der()).leaf_hash();
        found.push(Wanted { leaf, what: "the certificate as it is in the file" });
        if let Ok(Some(recovered)) = recover(certificate) {
            let leaf = CertHash::of_certificate(&recovered.precertificate_der).leaf_hash();
            found.push(Wanted { leaf, what: "the precertificate of the certificate in the file" });
        }
    }
    Ok(found)
}

/// The head, its checkpoint, and the proof of the first leaf that the log has; with `wait` it waits until a head covers
/// it, and says so.
pub async fn find(log: &RemoteLog, wanted: Vec<Wanted>, wait: bool) -> Result<Shown, CliError> {
    let mut unknown = CliError::new("there is nothing to look for");
    let mut turns = HEADS_MISSED;
    for wanted in wanted {
        loop {
            let Some(left) = turns.checked_sub(1) else {
                return Err(CliError::negative("the log proves for other trees than those of its heads"));
            };
            let (sth, checkpoint) = log.head_and_checkpoint().await?;
            // For the empty tree there is no proof to ask for; without a size the log says more.
            let tree_size = (!sth.head.size.is_empty()).then_some(sth.head.size);
            let query = ProofQuery { hash: wanted.leaf, tree_size };
            let error = match polite(|| log.client.proof_by_hash(query)).await {
                Ok(proof) if proof.tree_size == sth.head.size => return Ok(Shown { wanted, sth, checkpoint, proof }),
                Ok(_) => {
                    turns = left; // a head was signed in between
                    continue;
                }
                Err(error) => error,
            };
            let Some(next) = until_covered(log, &wanted, &error).await? else {
                unknown = refusal(error);
                break;
            };
            if next.is_zero() {
                turns = left;
                continue;
            }
            if !wait {
                let text = format!(
                    "not proven yet: the entry is logged, but no signed head covers it; ask again in {} s, or with --wait",
                    next.as_secs()
                );
                return Err(CliError::negative(text));
            }
            eprintln!("logged, but not covered yet; the next head is due in {} s", next.as_secs());
            tokio::time::sleep(next).await;
        }
    }
    Err(unknown)
}

/// How long until a head covers the leaf, if the log has it at all.
async fn until_covered(log: &RemoteLog, wanted: &Wanted, error: &ClientError) -> Result<Option<Duration>, CliError> {
    if error.token() != Some(Token::HashUnknown) {
        return Ok(None);
    }
    if let Some(wait) = error.retry_after() {
        return Ok(Some(wait));
    }
    // A head that was signed in between covers it, although the one at hand does not.
    let query = ProofQuery { hash: wanted.leaf, tree_size: None };
    match polite(|| log.client.proof_by_hash(query)).await {
        Ok(_) => Ok(Some(Duration::ZERO)),
        Err(again) => Ok(again.retry_after().filter(|_| again.token() == Some(Token::HashUnknown))),
    }
}

fn refusal(error: ClientError) -> CliError {
    match error.token() {
        Some(Token::HashUnknown) => CliError::negative("NOT proven: no entry of this log has this hash"),
        _ => failed(error),
    }
}

fn show(args: &ProofArgs, log: &RemoteLog, shown: Shown) -> Result<(), CliError> {
    let Shown { wanted, sth, checkpoint, proof } = shown;
    if args.json {
        return print_json(&Answer {
            proven: true,
            vkey: log.vkey.to_string(),
            key_source: log.source,
            leaf_hash: wanted.leaf,
            of: wanted.what,
            proof,
            sth: answer(&sth),
            checkpoint,
        });
    }
    println!("{}\n", log.trust());
    print_rows([
        ("log", log.vkey.name().to_string()),
        ("looked up", wanted.what.to_owned()),
        ("leaf hash", wanted.leaf.to_string()),
        ("entry", proof.leaf_index.to_string()),
        ("tree size", sth.head.size.to_string()),
        ("root", sth.head.root.to_string()),
        ("head", format!("signed at {}, signature verified", sth.head.timestamp)),
    ]);
    println!();
    for (step, node) in proof.inclusion.iter().enumerate() {
        println!("proof node {step:2}  {node}");
    }
    let (index, size) = (proof.leaf_index, sth.head.size);
    println!(
        "\nProven: entry {index} of the {size} under the log's signed head of {} is this one.",
        sth.head.timestamp
    );
    if let Some(file) = &args.out {
        println!("The proof is in {}.", file.display());
    }
    Ok(())
}

/// The proof with its checkpoint as C2SP tlog-proof has it.
fn tlog_proof(shown: &Shown) -> String {
    let nodes = shown.proof.inclusion.iter().map(|node| STANDARD.encode(node.as_bytes()) + "\n");
    let nodes: String = nodes.collect();
    format!("c2sp.org/tlog-proof@v1\nindex {}\n{nodes}\n{}", shown.proof.leaf_index, shown.checkpoint)
}
