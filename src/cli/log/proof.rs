//! `atl log proof`: that a certificate is in a log's tree.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::remote::{KeySource, RemoteLog, answer, certificate_file, connect, failed, polite};
use super::sth::parse_hash;
use crate::api::{ProofQuery, ProofResponse, SthResponse, Token};
use crate::apki::precertificate::recover;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::runtime;
use crate::client::ClientError;
use crate::log::cosignature::{CosignatureTime, Quorum, QuorumError, WitnessKey, WitnessQuorum};
use crate::log::entry::CertHash;
use crate::log::note::{KeyName, Note, VerifierKey};
use crate::log::proof::TlogProof;
use crate::log::sth::SignedTreeHead;
use crate::merkle::{Hash, verify_inclusion};
use crate::time::{Clock, SystemClock};

/// Prove that a certificate is in a log.
///
/// The log's last signed head is fetched and its signature verified; the inclusion proof then shows
/// that the tree under that head holds the certificate, without trust in anything but the log's key.
/// It does not prove that others are shown the same tree (atl log sth --since, and monitors), and
/// says nothing about whether the certificate is any good.
///
/// With --witness it also shows that so many of these witnesses have cosigned the tree, which is what keeps a log
/// from showing you another tree than everybody else. The cosignatures go into the file of --out, as far as the log
/// has collected them.
///
/// Of a final certificate, with SATs inside, it is the precertificate that is proven, as the SATs promise and as
/// atl verify --proof wants it; the certificate itself where only that was logged (--cert-hash asks for it).
///
/// Example:
///   atl log proof --url https://log.example.com/2026h2 --wait --out agent.tlog-proof agent.pem
///   atl log proof --url https://log.example.com/2026h2 --wait --witness witness.example.com+94947cf1+BNda... agent.pem
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
    /// A witness that must have cosigned the tree, by its verifier key; may be repeated
    #[arg(long, value_name = "VKEY")]
    witness: Vec<WitnessKey>,
    /// How many of the witnesses are needed; all of them without it
    #[arg(long, value_name = "N", requires = "witness")]
    needed: Option<usize>,
    /// Wait for the next signed head where the entry is logged but not covered yet, and a minute for the witnesses
    #[arg(long)]
    wait: bool,
    /// Write the proof with its checkpoint as a C2SP tlog-proof, which verifies offline
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How often it is looked for witnesses, and how long is waited in between: a minute altogether.
const LOOKS: (u32, Duration) = (120, Duration::from_millis(500));

/// Times that a head may be signed between two calls, before that looks like intent.
const HEADS_MISSED: u32 = 5;

fn hash(text: &str) -> Result<Hash, String> {
    parse_hash(text).ok_or_else(|| "32 octets in hex or base64 are a hash".to_owned())
}

/// What is to be found, and what it is.
#[derive(Clone)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    witnesses: Option<Vec<Cosigner>>,
}

/// A witness that counts.
#[derive(Serialize)]
struct Cosigner {
    name: String,
    cosigned_at_seconds: u64,
}

/// Runs it.
pub fn run(args: &ProofArgs) -> Result<(), CliError> {
    let wanted = wanted(args)?;
    let quorum = match args.witness.len() {
        0 => None,
        all => Some(WitnessQuorum::new(args.witness.clone(), args.needed.unwrap_or(all)).context("--witness")?),
    };
    runtime()?.block_on(async {
        let log = connect(&args.url, args.vkey.clone()).await?;
        let (shown, witnessed) = find_witnessed(&log, wanted, args.wait, quorum.as_ref()).await?;
        let (index, head) = (shown.proof.leaf_index, &shown.sth.head);
        verify_inclusion(&shown.wanted.leaf, index, head.size, &shown.proof.inclusion, &head.root)
            .map_err(|e| CliError::negative(format!("NOT proven: the log's proof does not hold: {e}")))?;
        if let Some(file) = &args.out {
            std::fs::write(file, tlog_proof(&shown)?).context(file.display())?;
        }
        show(args, &log, shown, witnessed)
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
        if let Ok(Some(recovered)) = recover(certificate) {
            let leaf = CertHash::of_certificate(&recovered.precertificate_der).leaf_hash();
            found.push(Wanted { leaf, what: "the precertificate of the certificate in the file" });
        }
        let leaf = CertHash::of_certificate(certificate.der()).leaf_hash();
        found.push(Wanted { leaf, what: "the certificate as it is in the file" });
    }
    Ok(found)
}

/// What the log shows, and the witnesses behind it where some are demanded; with `wait` they are waited for. A growing
/// log's newest head has no cosignature for as long as its witnesses take, so each time it is looked for anew.
async fn find_witnessed(
    log: &RemoteLog,
    wanted: Vec<Wanted>,
    wait: bool,
    quorum: Option<&WitnessQuorum>,
) -> Result<(Shown, Option<Quorum>), CliError> {
    let mut left = LOOKS.0;
    loop {
        let shown = find(log, wanted.clone(), wait).await?;
        let Some(quorum) = quorum else { return Ok((shown, None)) };
        let note = Note::parse(shown.checkpoint.as_bytes()).context("the checkpoint")?;
        match quorum.check(&note, SystemClock.now()) {
            Ok(witnessed) => return Ok((shown, Some(witnessed))),
            Err(QuorumError::TooFew { .. }) if wait && left > 0 => {
                left -= 1;
                tokio::time::sleep(LOOKS.1).await;
            }
            Err(error) => return Err(CliError::negative(format!("NOT proven: {error}"))),
        }
    }
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

fn show(args: &ProofArgs, log: &RemoteLog, shown: Shown, witnessed: Option<Quorum>) -> Result<(), CliError> {
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
            witnesses: witnessed.map(|quorum| quorum.cosigned.into_iter().map(cosigner).collect()),
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
    for (name, at) in witnessed.iter().flat_map(|quorum| &quorum.cosigned) {
        print_rows([("witness", format!("{name}, cosigned at {}, verified", at.to_millis()))]);
    }
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

fn cosigner((name, at): (KeyName, CosignatureTime)) -> Cosigner {
    Cosigner { name: name.to_string(), cosigned_at_seconds: at.get() }
}

/// The proof with its checkpoint, cosignatures and all, as C2SP tlog-proof has it.
fn tlog_proof(shown: &Shown) -> Result<String, CliError> {
    let ProofResponse { leaf_index, tree_size, inclusion } = shown.proof.clone();
    let proof = TlogProof::new(leaf_index, tree_size, inclusion, shown.checkpoint.as_bytes());
    Ok(proof.context("the proof")?.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ProofArgs,
    }

    #[test]
    fn of_a_certificate_with_sats_its_precertificate_is_what_they_promise() {
        let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/certs/p256/");
        let asked = |file: &str| {
            let line = ["proof", "--url", "http://127.0.0.1:1", &format!("{vectors}{file}")];
            let wanted = wanted(&Line::try_parse_from(line).unwrap().args);
            wanted.unwrap_or_else(|_| panic!("{file}")).into_iter().map(|wanted| wanted.leaf).collect::<Vec<_>>()
        };
        let leaf = |file: &str| {
            let octets = std::fs::read(format!("{vectors}{file}")).unwrap();
            CertHash::of_certificate(&octets).leaf_hash()
        };
        assert_eq!(asked("2sat/final.der"), [leaf("2sat/precert.der"), leaf("2sat/final.der")]);
        assert_eq!(asked("2sat/precert.der"), [leaf("2sat/precert.der")]);
    }
}
