//! `atl agent delegate`: an agent hands rights on to a child.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::enroll::{KeyArgs, capability, prepare, read_capabilities};
use super::evidence::EvidenceArgs;
use super::exchange::{Outcome, settle};
use super::files::{AgentDir, Generation, PendingRequest, Terms};
use super::inspect::KnownLog;
use super::{Delivery, Roots, certificates_of, connect, known_logs, parents, require_valid};
use crate::api::B64;
use crate::api::ca::{CertificateAnswer, DelegateRequest, EnrolRequest};
use crate::apki::AgentUri;
use crate::apki::capabilities::{Amount, Capabilities, Capability};
use crate::apki::delegation::AttenuationRules;
use crate::apki::extension::Text;
use crate::apki::trust_score::Score;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::{runtime, words};
use crate::time::{Clock, SystemClock};

const AGAIN: &str = "The child's key and the request are kept: the same command asks again, and for no second \
                     certificate. With --wait it waits for the answer.";

/// Hand rights on: certify a child under this agent's certificate, with less than this agent may do.
///
/// The child's key is made in its own directory and does not leave it; this agent's certificate and key
/// prove who hands on (mutual TLS). A child has a part of the capabilities, never longer than this agent's
/// certificate is valid, and ends where this agent is revoked. It renews by itself: atl agent renew.
///
/// The child's directory has parents.pem beside cert.pem: the certificates of the agents above it, which it
/// presents behind its own, since without them nobody can tell what it may do.
///
/// What binds the child's own children too is set with --max-depth, --max-score, --max-spend and --scope;
/// whatever binds this agent binds them besides.
///
/// It needs a parent that a human answers for (atl agent enroll --human), with a score of 40 at least. Where the
/// child would have more than it may, the CA names every rule that is broken, and nothing is issued.
///
/// Examples:
///   atl agent delegate --dir teller7 --child-dir clerk1 \
///     --agent agent://bank.example.com/retail/clerk/1 --capability 'https://api.bank.example.com/accounts accounts/read'
///   atl agent delegate --dir teller7 --child-dir clerk2 --agent agent://bank.example.com/retail/clerk/2 \
///     --capabilities clerk.json --max-depth 0 --max-spend 10000 --validity 30m
#[derive(Args)]
#[command(verbatim_doc_comment)]
#[command(group = ArgGroup::new("rights").args(["capabilities", "capability"]).required(true).multiple(true))]
pub struct DelegateArgs {
    /// The directory of the agent that hands on, from atl agent enroll or delegate
    #[arg(long)]
    dir: PathBuf,
    /// The child's directory, which is made
    #[arg(long, value_name = "DIR")]
    child_dir: PathBuf,
    /// The child: agent://trust-domain/organisation/type/instance
    #[arg(long, value_name = "URI")]
    agent: AgentUri,
    /// JSON of the capabilities that the child is to have
    #[arg(long, value_name = "FILE")]
    capabilities: Option<PathBuf>,
    /// A capability without limits of money and calls, as 'TOOL SCOPE'; may be repeated
    #[arg(long = "capability", value_name = "TOOL SCOPE", value_parser = capability)]
    capability: Vec<Capability>,
    /// For how long, such as 1h; the CA decides where it is left out
    #[arg(long, value_name = "TIME", value_parser = words::seconds)]
    validity: Option<u32>,
    /// How many delegations deep the line may get, counted from its root; the parent's limit where left out
    #[arg(long, value_name = "N")]
    max_depth: Option<u8>,
    /// No descendant of the child has a higher score
    #[arg(long, value_name = "SCORE", value_parser = score)]
    max_score: Option<Score>,
    /// No descendant of the child spends more, in minor units of the currency
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    max_spend: Option<Amount>,
    /// Every scope of the child's descendants is this one or below it
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    scope: Option<Text>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// Wait until there is an answer that is final
    #[arg(long)]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &DelegateArgs) -> Result<(), CliError> {
    let say = |text: &str| eprintln!("{}: {text}", SystemClock.now());
    let (answer, generation) = runtime()?.block_on(delegate(args, say))?;
    let settings = &generation.settings;
    if args.json {
        return print_json(settings);
    }
    let left = settings.not_after.since(SystemClock.now());
    print_rows([
        ("agent", settings.agent.to_string()),
        ("score", format!("{} ({})", answer.score.get(), answer.tier.name())),
        ("valid until", format!("{} ({} left)", settings.not_after, words::duration(left))),
        ("to renew at", settings.renew_at.to_string()),
        ("key", args.child_dir.join("key.pem").display().to_string()),
        ("certificate", args.child_dir.join("cert.pem").display().to_string()),
    ]);
    println!("\nTo keep it valid: atl agent renew --watch --dir {}", args.child_dir.display());
    println!("To take it back:  atl agent revoke --dir {} --agent {}", args.dir.display(), settings.agent);
    Ok(())
}

/// Asks for the child's certificate, and writes what holds.
pub async fn delegate(args: &DelegateArgs, say: impl FnMut(&str)) -> Result<(CertificateAnswer, Generation), CliError> {
    let parent = require_valid(&AgentDir::open(&args.dir)?, &args.dir)?;
    let parse = |pem: &str, name: &str| Roots::parse(pem).context(args.dir.join(name).display());
    let roots = parse(&parent.root_pem, "root.pem")?;
    let ca_roots = parent.ca_roots_pem.as_deref().map(|pem| parse(pem, "ca-roots.pem")).transpose()?;
    let settings = &parent.settings;
    let client = connect(&parent, &args.dir)?;
    let dir = AgentDir::create(&args.child_dir)?;
    let lock = dir.lock()?;
    let evidence = args.evidence.recipe()?;
    let body = EnrolRequest {
        csr: B64(Vec::new()),
        evidence: evidence.as_ref().map(|recipe| recipe.gather()).transpose()?,
        capabilities: Some(capabilities(args)?),
        validity_seconds: args.validity,
        principal: None,
    };
    let asked = PendingRequest {
        ca: settings.ca.clone(),
        agent: args.agent.clone(),
        credential: format!("parent {}", settings.agent),
        body,
        terms: Some(terms(args)),
    };
    let (pending, key) = prepare(&args.key, &dir, &lock, asked)?;
    let request = delegation(&pending.request)?;
    let answer = match settle(&client, || client.delegate(&request), args.wait, say).await {
        Outcome::Issued(answer) => *answer,
        Outcome::Refused(why) => {
            dir.drop_pending(&lock)?;
            return Err(CliError::negative(why));
        }
        Outcome::Waiting(waiting) => return Err(CliError::negative(format!("{}\n{AGAIN}", waiting.told()))),
        Outcome::Unanswered { why, .. } | Outcome::Failed(why) => {
            return Err(CliError::new(format!("{why}\n{AGAIN}")));
        }
    };
    check_parent(&answer, &parent)?;
    let pinned = settings.logs.iter().filter(|log| log.pinned).map(KnownLog::restore);
    let pinned: Vec<_> = pinned.collect::<Result<_, _>>().context("agent.json")?;
    let logs = known_logs(&client, &pinned).await?;
    let parents = parents::above(&client, &answer, &parent.certificates(&args.dir)?).await;
    let delivery = Delivery {
        dir: &dir,
        lock: &lock,
        ca: client.base_url(),
        agent: &args.agent,
        key: &key,
        roots: &roots,
        ca_roots: ca_roots.as_ref(),
        logs: &logs,
        parents: &parents,
        validity_seconds: args.validity,
        evidence: evidence.as_ref(),
    };
    let generation = delivery.take(&answer, SystemClock.now())?;
    Ok((answer, generation))
}

/// That the child's certificate does not outlive the parent's, and says whose child it is.
fn check_parent(answer: &CertificateAnswer, parent: &Generation) -> Result<(), CliError> {
    let wrong =
        |why: &str| CliError::negative(format!("the CA's answer does not hold, and nothing of it was written: {why}"));
    let chain = certificates_of(&answer.chain_pem).map_err(|e| wrong(&e))?;
    let child = chain.first().ok_or_else(|| wrong("there is no certificate in it"))?;
    let delegation = child.delegation().map_err(|e| wrong(&e.to_string()))?;
    let below = delegation.ok_or_else(|| wrong("the certificate does not say whose child it is"))?;
    let same = below.parent_cert_hash == parent.settings.sha256.0;
    // An answer that was asked for under the certificate before names that one.
    if !same && below.depth == 0 {
        return Err(wrong("the certificate is that of an agent of nobody"));
    }
    if same && child.not_after() > parent.settings.not_after {
        return Err(wrong("the certificate outlives the parent's"));
    }
    Ok(())
}

fn delegation(request: &PendingRequest) -> Result<DelegateRequest, CliError> {
    let (body, terms) = (&request.body, request.terms.clone().unwrap_or_default());
    let missing = || CliError::new("the request that is kept says no capabilities; give it up with --anew");
    Ok(DelegateRequest {
        csr: body.csr.clone(),
        evidence: body.evidence.clone(),
        capabilities: body.capabilities.clone().ok_or_else(missing)?,
        validity_seconds: body.validity_seconds,
        max_depth: terms.max_depth,
        rules: terms.rules,
    })
}

fn terms(args: &DelegateArgs) -> Terms {
    let rules = AttenuationRules {
        max_trust_score: args.max_score,
        max_spend_limit: args.max_spend,
        scope_narrowing: args.scope.clone(),
        ..AttenuationRules::default()
    };
    Terms { max_depth: args.max_depth, rules }
}

fn capabilities(args: &DelegateArgs) -> Result<Capabilities, CliError> {
    let mut all: Vec<Capability> = match &args.capabilities {
        Some(file) => read_capabilities(file)?.as_slice().to_vec(),
        None => Vec::new(),
    };
    all.extend(args.capability.iter().cloned());
    Capabilities::new(all).context("--capability")
}

fn score(text: &str) -> Result<Score, String> {
    let points = text.parse().map_err(|_| "it must be a score, 0 to 100".to_owned())?;
    Score::new(points).map_err(|e| e.to_string())
}

fn amount(text: &str) -> Result<Amount, String> {
    let minor_units = text.parse().map_err(|_| "it must be a whole number of minor units".to_owned())?;
    Amount::new(minor_units).map_err(|e| e.to_string())
}

fn scope(text: &str) -> Result<Text, String> {
    Text::new(text).map_err(|e| e.to_string())
}
