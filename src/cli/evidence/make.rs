//! `atl evidence make`: everything that stands behind a signed action, collected into one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::collect::{Collected, Sources};
use super::words;
use crate::api::ca::Hex32;
use crate::apki::Certificate;
use crate::apki::chain::Anchors;
use crate::apki::federation::TrustDomain;
use crate::apki::trust_score::TrustTier;
use crate::cli::agent::files::{AgentDir, Generation};
use crate::cli::agent::inspect::{KnownLog, certificates_of};
use crate::cli::agent::sign::{digest, with_suffix};
use crate::cli::agent::tls;
use crate::cli::files::Staged;
use crate::cli::log::open::read_certificates;
use crate::cli::log::remote::polite;
use crate::cli::output::{CliError, Context, print_json};
use crate::cli::{runtime, words as cli_words};
use crate::client::CaClient;
use crate::time::{Clock, SystemClock, UnixMillis};
use crate::verify::evidence::{Digest, Evidence, Finding, MAX_ACTION, Question, SignedAction, verify};
use crate::verify::relying::{
    Domain, Domains, LogList, MAX_DEPTH, Policy, Presented, RelyingParty, RevocationMode, RevocationPolicy, Trusted,
    TrustedLog,
};

/// Collect what stands behind a signed action, so that it can be judged years later without anybody's help.
///
/// Fetched are the certificates of the agents above up to the one for which a human answers, a proof of
/// inclusion for each certificate from each log that gave it a timestamp, and what its CA says of its
/// revocation. Where a log has not signed a head yet that covers a certificate, it waits for that.
///
/// Do it soon: while the certificates are valid. Behind its end, nobody is cleared of having been revoked
/// by an answer of "good". What was collected is verified before it is written, against the agent's own
/// root and logs; where a link fails, nothing is written and the command ends with 1, unless --anyway.
///
/// Examples:
///   atl evidence make --action payment.json --dir teller7
///   atl evidence make --action payment.json --chain chain.pem --root root.pem \
///     --log https://log.example.com/2026h2+MCow... --out payment.evidence.json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct MakeArgs {
    /// The file that was signed
    #[arg(long, value_name = "FILE")]
    action: PathBuf,
    /// Its signature, from atl agent sign. Default: the same with .sig behind it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The directory of the agent that signed
    #[arg(long, value_name = "DIR", required_unless_present = "chain")]
    dir: Option<PathBuf>,
    /// PEM of the agent's certificate, its CAs and perhaps the agents above it, rather than a directory
    #[arg(long, value_name = "FILE", requires = "root", requires = "logs")]
    chain: Option<PathBuf>,
    /// PEM of the root that the certificates stand below. Default: that of --dir
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// A log and its key; may be repeated. Default: those of --dir
    #[arg(long = "log", value_name = "URL+KEY")]
    logs: Vec<KnownLog>,
    /// PEM of certificates that sign the revocation lists of CAs
    #[arg(long, value_name = "FILE")]
    list_signer: Option<PathBuf>,
    /// Keep the action's hash and length in the bundle, and not its octets
    #[arg(long)]
    by_hash: bool,
    /// How long to wait for logs and CA, such as 5m
    #[arg(long, value_name = "TIME", value_parser = cli_words::seconds, default_value = "1h")]
    patience: u32,
    /// Write the bundle although a link fails: to show what does not hold
    #[arg(long)]
    anyway: bool,
    /// The file to write. Default: the action's with .evidence.json behind it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &MakeArgs) -> Result<(), CliError> {
    let signature = read_signature(args)?;
    let evidence = runtime()?.block_on(async {
        let patience = Duration::from_secs(args.patience.into());
        match tokio::time::timeout(patience, make(args, signature)).await {
            Ok(made) => made,
            Err(_) => Err(CliError::new("what is needed could not be had in the time of --patience")),
        }
    });
    let Made { evidence, finding, missing } = evidence?;
    let out = args.out.clone().unwrap_or_else(|| with_suffix(&args.action, ".evidence.json"));
    if finding.holds() || args.anyway {
        // What is read back is what somebody will have in years.
        let octets = evidence.to_json();
        Evidence::parse(&octets).context("the bundle that was made")?;
        Staged::octets(&out, 0o644, &octets).and_then(Staged::commit)?;
    }
    missing.iter().for_each(|what| eprintln!("not had: {}", cli_words::clean(what)));
    if args.json {
        print_json(&finding)?;
    } else {
        words::print(&finding);
    }
    let written = format!("{}: written", out.display());
    match finding.holds() {
        true if args.json => Ok(()),
        true => {
            let next = format!("atl evidence verify {} --policy relying-party.toml", out.display());
            match missing.is_empty() {
                true => println!("\n{written}. It verifies offline: {next}"),
                false => println!(
                    "\n{written}, without what was not had: a policy that wants it will refuse, and after the end of the \
                     certificates it cannot be had any more. {next}"
                ),
            }
            Ok(())
        }
        false if args.anyway => Err(CliError::negative(format!("{written}, and a link of it fails: {finding}"))),
        false => Err(CliError::negative(format!("nothing was written (--anyway does), for a link fails: {finding}"))),
    }
}

/// A bundle, and what it comes to.
struct Made {
    evidence: Evidence,
    finding: Finding,
    missing: Vec<String>,
}

fn read_signature(args: &MakeArgs) -> Result<SignedAction, CliError> {
    let file = args.signature.clone().unwrap_or_else(|| with_suffix(&args.action, ".sig"));
    let text = fs::read_to_string(&file).context(file.display())?;
    SignedAction::parse(text.trim_end_matches('\n')).context(file.display())
}

async fn make(args: &MakeArgs, signature: SignedAction) -> Result<Made, CliError> {
    let agent = Agent::of(args)?;
    let certificates = agent.certificates(args, &signature).await?;
    let list_signers = args.list_signer.as_deref().map(read_certificates).transpose()?.unwrap_or_default();
    let sources = Sources { logs: &agent.logs, ca: agent.ca.as_ref(), http: &agent.http, list_signers: &list_signers };
    let mut certificates = sources.line(certificates).await?;
    let party = agent.party(certificates.first())?;
    let presented =
        Presented::from_certificates(certificates.clone()).map_err(|reason| CliError::new(reason.to_string()))?;
    let examination = party.examine(presented);
    let Collected { proofs, tlog_proofs, answers, lists, missing } = sources.facts(&party, &examination).await?;
    let whole = digest(&args.action)?;
    let evidence = Evidence {
        made_at: SystemClock.now(),
        made_by: concat!("atl ", env!("CARGO_PKG_VERSION")).to_owned(),
        action: content(args, whole)?,
        signature,
        certificate: certificates.remove(0),
        chain: certificates,
        timestamps: Vec::new(),
        proofs,
        tlog_proofs,
        answers,
        lists,
    };
    let finding = verify(&evidence, &party, &Question { action: Some(whole), ..Question::default() });
    Ok(Made { evidence, finding, missing })
}

/// The octets to embed: not where only the hash is wanted, or where they are too many.
fn content(args: &MakeArgs, digest: Digest) -> Result<Option<Vec<u8>>, CliError> {
    if args.by_hash {
        return Ok(None);
    }
    if digest.length > MAX_ACTION as u64 {
        eprintln!("the action has more than {MAX_ACTION} octets: the bundle has its hash alone, so keep the file");
        return Ok(None);
    }
    fs::read(&args.action).map(Some).context(args.action.display())
}

/// Who signed, and whom to ask about it.
struct Agent {
    chain: Vec<Certificate>,
    anchors: Anchors,
    logs: Vec<KnownLog>,
    ca: Option<CaClient>,
    http: reqwest::Client,
}

impl Agent {
    fn of(args: &MakeArgs) -> Result<Self, CliError> {
        let current = args.dir.as_deref().map(generation).transpose()?;
        let chain = match (&args.chain, &current) {
            (Some(file), _) => read_certificates(file)?,
            (None, Some(current)) => current.certificates(args.dir.as_deref().unwrap_or(Path::new("")))?,
            (None, None) => Vec::new(),
        };
        let roots = match (&args.root, &current) {
            (Some(file), _) => read_certificates(file)?,
            (None, Some(current)) => certificates_of(&current.root_pem).context("root.pem")?,
            (None, None) => Vec::new(),
        };
        let saved = current.iter().flat_map(|current| &current.settings.logs).map(KnownLog::restore);
        let logs = if args.logs.is_empty() {
            saved.collect::<Result<_, _>>().context("agent.json")?
        } else {
            args.logs.clone()
        };
        let ca_roots = current.as_ref().and_then(|current| current.ca_roots_pem.as_deref());
        let ca_roots = ca_roots.map(|pem| certificates_of(pem).context("ca-roots.pem")).transpose()?;
        let ca_roots = ca_roots.map(Anchors::new).transpose().context("ca-roots.pem")?;
        let http = tls::http_client(ca_roots, None).context("TLS")?;
        let ca = current.map(|current| CaClient::with_http(&current.settings.ca, http.clone()));
        Ok(Self {
            chain,
            anchors: Anchors::new(roots).context("the root")?,
            logs,
            ca: ca.transpose().context("the CA in agent.json")?,
            http,
        })
    }

    /// The chain of the certificate that the signature names, which may be of before the last renewal.
    async fn certificates(&self, args: &MakeArgs, signature: &SignedAction) -> Result<Vec<Certificate>, CliError> {
        let named = signature.statement().certificate;
        if self.chain.first().is_some_and(|certificate| certificate.fingerprint() == named) || args.chain.is_some() {
            return Ok(self.chain.clone());
        }
        let Some(ca) = &self.ca else { return Ok(self.chain.clone()) };
        let what = format!("the certificate {} of the signature, which is not the one in use", hex::encode(named));
        let der = polite(|| ca.certificate(Hex32(named))).await.context(&what)?;
        let certificate = Certificate::parse(der).context(what)?;
        // Its CAs are the same; the agents above it may have renewed as well, and are looked up by their hashes.
        let is_ca = |c: &&Certificate| matches!(c.basic_constraints(), Ok(Some(constraints)) if constraints.ca);
        Ok(std::iter::once(certificate).chain(self.chain.iter().filter(is_ca).cloned()).collect())
    }

    /// Whoever made the bundle takes everything that its own root and logs vouch for. What is wanted of it, the
    /// verifier says.
    fn party(&self, certificate: Option<&Certificate>) -> Result<RelyingParty, CliError> {
        let certificate = certificate.ok_or_else(|| CliError::new("there is no certificate"))?;
        let agent = certificate.agent_uri().context("the certificate")?;
        let domain = TrustDomain::parse(agent.trust_domain()).context("the certificate")?;
        let log = |log: &KnownLog| TrustedLog {
            name: log.name.clone(),
            origin: None,
            key: log.key.clone(),
            operator: log.operator.clone().unwrap_or_else(|| log.name.clone()),
            from: UnixMillis::default(),
            until: None,
        };
        Ok(RelyingParty {
            policy: Policy {
                max_depth: MAX_DEPTH,
                ..Policy::new(
                    TrustTier::Untrusted.floor(),
                    RevocationPolicy { mode: RevocationMode::SoftFail, max_age: None, issuers: true },
                )
            },
            domains: Domains::new([(domain, Domain::own(Trusted::Roots(self.anchors.clone())))]),
            logs: LogList::new(self.logs.iter().map(log).collect()).context("--log")?,
        })
    }
}

fn generation(dir: &Path) -> Result<Generation, CliError> {
    let nothing = || CliError::new(format!("{}: no certificate in it", dir.display()));
    AgentDir::open(dir)?.current()?.ok_or_else(nothing)
}
