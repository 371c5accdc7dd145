//! `atl agent enroll`: an agent's first certificate.

use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::csr::AgentKey;
use super::evidence::EvidenceArgs;
use super::exchange::{Outcome, Waiting, settle};
use super::files::{AgentDir, Generation, Lock, Pending, PendingRequest};
use super::inspect::KnownLog;
use super::{Delivery, Roots, check_private, known_logs, tls};
use crate::api::B64;
use crate::api::ca::{CertificateAnswer, EnrolRequest, PrincipalForm};
use crate::apki::AgentUri;
use crate::apki::capabilities::{Capabilities, Capability};
use crate::apki::delegation::AttenuationRules;
use crate::apki::extension::{AsciiText, Text};
use crate::ca::token::TokenSecret;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::pki::KeyKind;
use crate::cli::runtime;
use crate::cli::words;
use crate::client::CaClient;
use crate::time::{Clock, SystemClock, UnixMillis};

const TOKEN_VARIABLE: &str = "ATL_ENROL_TOKEN";

const AGAIN: &str = "The key and the request are kept: the same command asks again, and for no second certificate. \
                     With --wait it waits for the answer.";

/// Enrol an agent: make a key, ask a CA for its certificate, verify the answer, write both.
///
/// The token is from whoever runs the CA: atl ca token mint. Give it in the environment or in a
/// file: the arguments of a command are for every user of the machine to read. Key and request are
/// kept in DIR until they are answered, so that the same command, run again, asks the same and not
/// for a second certificate.
///
/// DIR then has key.pem, cert.pem (the certificate and its issuers), root.pem and agent.json. A
/// renewal changes them together: they are links through DIR/current, which is replaced in one
/// step.
///
/// Examples:
///   ATL_ENROL_TOKEN=atl-enrol-... atl agent enroll --ca https://ca.bank.example.com --root root.pem \
///     --agent agent://bank.example.com/retail/teller/7 --dir teller7 --wait
///   atl agent enroll ... --capability 'https://api.bank.example.com/accounts accounts/read' \
///     --model-family claude --model-version 5 --framework mcp-sdk --organization bank --build ./teller
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct EnrollArgs {
    /// The CA's base URL
    #[arg(long, value_name = "URL")]
    ca: String,
    /// PEM of the root that agents' certificates stand below, from somebody you trust
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// PEM of the root of the CA's own TLS certificate, where that is another one than --root
    #[arg(long, value_name = "FILE")]
    ca_roots: Option<PathBuf>,
    /// Trust the system's roots for the CA's TLS certificate: for a CA behind a public one
    #[arg(long, conflicts_with = "ca_roots")]
    system_roots: bool,
    /// The enrolment token
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// A file with the enrolment token; without both, the variable ATL_ENROL_TOKEN has it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The agent: agent://trust-domain/organisation/type/instance
    #[arg(long, value_name = "URI")]
    agent: AgentUri,
    /// The agent's directory
    #[arg(long)]
    dir: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// A log and its key, from somebody you trust; without any, the keys are the CA's word
    #[arg(long = "log", value_name = "URL+KEY")]
    logs: Vec<KnownLog>,
    /// JSON of the capabilities to ask for; without any, all that the token allows
    #[arg(long, value_name = "FILE")]
    capabilities: Option<PathBuf>,
    /// A capability without limits of money and calls, as 'TOOL SCOPE'; may be repeated
    #[arg(long = "capability", value_name = "TOOL SCOPE", value_parser = capability)]
    capability: Vec<Capability>,
    /// For how long, such as 1h; the CA decides where it is left out
    #[arg(long, value_name = "TIME", value_parser = words::seconds)]
    validity: Option<u32>,
    /// The human who answers for the agent
    #[arg(long, value_name = "NAME")]
    human: Option<String>,
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// Wait until there is an answer that is final
    #[arg(long)]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Whose key is certified.
#[derive(Args)]
pub struct KeyArgs {
    /// The kind of the new key
    #[arg(long, value_name = "KIND", default_value = "p256", conflicts_with = "key")]
    algorithm: KeyKind,
    /// PEM of a private key to use, rather than a new one
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Give up a request that is unanswered, and ask anew with a new key
    #[arg(long)]
    anew: bool,
}

/// What became of an enrolment.
pub enum Enrolment {
    /// The certificate is verified and in use.
    Issued(Box<Enrolled>),
    /// The CA has the request and has not decided; the same enrolment asks for the same again.
    Waiting(Waiting),
}

/// An agent that has its certificate.
pub struct Enrolled {
    /// What was sent.
    pub request: EnrolRequest,
    /// What came back.
    pub answer: CertificateAnswer,
    /// What was written.
    pub generation: Generation,
}

/// Runs it.
pub fn run(args: &EnrollArgs) -> Result<(), CliError> {
    let say = |text: &str| eprintln!("{}: {text}", SystemClock.now());
    match runtime()?.block_on(enroll(args, say))? {
        Enrolment::Issued(enrolled) => tell(args, &enrolled, SystemClock.now()),
        Enrolment::Waiting(waiting) => Err(CliError::negative(format!("{}\n{AGAIN}", waiting.told()))),
    }
}

/// Enrols, and writes what holds. `say` hears of every change while `--wait` waits.
pub async fn enroll(args: &EnrollArgs, say: impl FnMut(&str)) -> Result<Enrolment, CliError> {
    check_private(&args.ca)?;
    let roots = Roots::read(&args.root, "--root")?;
    let ca_roots = match (&args.ca_roots, args.system_roots) {
        (Some(file), _) => Some(Roots::read(file, "--ca-roots")?),
        (None, false) => Some(Roots::read(&args.root, "--root")?),
        (None, true) => None,
    };
    let (token, secret) = token(args)?;
    let http = tls::http_client(ca_roots.as_ref().map(|r| r.anchors.clone()), None).context(&args.ca)?;
    let client = CaClient::with_http(&args.ca, http).context("--ca")?;
    let dir = AgentDir::create(&args.dir)?;
    let lock = dir.lock()?;
    let evidence = args.evidence.recipe()?;
    let asked = EnrolRequest {
        csr: B64(Vec::new()),
        evidence: evidence.as_ref().map(|recipe| recipe.gather()).transpose()?,
        capabilities: capabilities(args)?,
        validity_seconds: args.validity,
        principal: principal(args)?,
    };
    let credential = format!("token {}", token.id);
    let (ca, agent) = (client.base_url().to_owned(), args.agent.clone());
    let asked = PendingRequest { ca, agent, credential, body: asked, terms: None };
    let (pending, key) = prepare(&args.key, &dir, &lock, asked)?;
    let send = || client.enroll(&secret, &pending.request.body);
    let answer = match settle(&client, send, args.wait, say).await {
        Outcome::Issued(answer) => *answer,
        Outcome::Refused(why) => {
            dir.drop_pending(&lock)?;
            return Err(CliError::negative(why));
        }
        Outcome::Waiting(waiting) => return Ok(Enrolment::Waiting(waiting)),
        Outcome::Unanswered { why, .. } | Outcome::Failed(why) => {
            return Err(CliError::new(format!("{why}\n{AGAIN}")));
        }
    };
    let logs = known_logs(&client, &args.logs).await?;
    let delivery = Delivery {
        dir: &dir,
        lock: &lock,
        ca: client.base_url(),
        agent: &args.agent,
        key: &key,
        roots: &roots,
        ca_roots: ca_roots.as_ref(),
        logs: &logs,
        parents: &[],
        validity_seconds: args.validity,
        evidence: evidence.as_ref(),
    };
    let generation = delivery.take(&answer, SystemClock.now())?;
    Ok(Enrolment::Issued(Box::new(Enrolled { request: pending.request.body, answer, generation })))
}

fn tell(args: &EnrollArgs, enrolled: &Enrolled, now: UnixMillis) -> Result<(), CliError> {
    let (answer, settings) = (&enrolled.answer, &enrolled.generation.settings);
    if args.json {
        return print_json(settings);
    }
    let pinned = if args.logs.is_empty() { "with keys on the CA's word" } else { "with keys that you gave" };
    print_rows([
        ("agent", settings.agent.to_string()),
        ("score", format!("{} ({})", answer.score.get(), answer.tier.name())),
        ("valid until", format!("{} ({} left)", settings.not_after, words::duration(settings.not_after.since(now)))),
        ("to renew at", settings.renew_at.to_string()),
        ("timestamps", format!("{}, verified {pinned}", answer.sats.len())),
        ("key", args.dir.join("key.pem").display().to_string()),
        ("certificate", args.dir.join("cert.pem").display().to_string()),
    ]);
    println!("\nTo keep it valid: atl agent renew --watch --dir {}", args.dir.display());
    Ok(())
}

/// The request that is kept, where it asks the same, or a new one with a key that is kept before anything
/// is sent.
pub(super) fn prepare(
    args: &KeyArgs,
    dir: &AgentDir,
    lock: &Lock,
    mut asked: PendingRequest,
) -> Result<(Pending, AgentKey), CliError> {
    let given = match &args.key {
        Some(file) => {
            let pem = Zeroizing::new(std::fs::read_to_string(file).context(file.display())?);
            Some(AgentKey::from_pem(&pem).context(format_args!("{} (--key)", file.display()))?)
        }
        None => None,
    };
    if !args.anew
        && let Some(pending) = dir.pending()?
    {
        let key = AgentKey::from_pem(&pending.key_pem).context("the key of the request that is kept")?;
        if pending.request.asks_the_same(&asked) && given.is_none_or(|given| given.spki() == key.spki()) {
            return Ok((pending, key));
        }
        // What was asked before is the user's to give up.
        return Err(CliError::new(format!(
            "{}: a request that is unanswered asks for something else, with {}; run that command again, or give the \
             request up with --anew",
            dir.path().display(),
            pending.request.credential
        )));
    }
    let key = match given {
        Some(key) => key,
        None => AgentKey::generate(args.algorithm).context("a new key")?,
    };
    asked.body.csr = B64(key.request(&asked.agent).context("the certification request")?);
    let pending = Pending { key_pem: key.pem().clone(), request: asked };
    dir.keep_pending(lock, &pending)?;
    Ok((pending, key))
}

/// The token, read for its name, and as it is sent.
fn token(args: &EnrollArgs) -> Result<(TokenSecret, Zeroizing<String>), CliError> {
    let (text, place) = match (&args.token, &args.token_file) {
        (Some(token), _) => (token.clone(), "--token".to_owned()),
        (None, Some(file)) => (std::fs::read_to_string(file).context(file.display())?, file.display().to_string()),
        (None, None) => {
            let missing = || CliError::new(format!("no enrolment token: give --token-file, or set {TOKEN_VARIABLE}"));
            (std::env::var(TOKEN_VARIABLE).map_err(|_| missing())?, TOKEN_VARIABLE.to_owned())
        }
    };
    let text = Zeroizing::new(text);
    let secret = Zeroizing::new(text.trim().to_owned());
    Ok((secret.parse().context(place)?, secret))
}

fn capabilities(args: &EnrollArgs) -> Result<Option<Capabilities>, CliError> {
    let mut all: Vec<Capability> = match &args.capabilities {
        Some(file) => read_capabilities(file)?.as_slice().to_vec(),
        None if args.capability.is_empty() => return Ok(None),
        None => Vec::new(),
    };
    all.extend(args.capability.iter().cloned());
    Capabilities::new(all).map(Some).context("--capability")
}

pub(super) fn read_capabilities(file: &Path) -> Result<Capabilities, CliError> {
    let text = std::fs::read_to_string(file).context(file.display())?;
    serde_json::from_str(&text).context(format_args!("{} (--capabilities)", file.display()))
}

/// Reads `TOOL SCOPE`.
pub(super) fn capability(text: &str) -> Result<Capability, String> {
    let (tool, scope) = text.split_once(' ').ok_or("it must be 'TOOL SCOPE', with a space between the two")?;
    Ok(Capability {
        tool_uri: AsciiText::new(tool).map_err(|e| format!("the tool: {e}"))?,
        scope: Text::new(scope).map_err(|e| format!("the scope: {e}"))?,
        spend_limit: None,
        rate_limit: None,
    })
}

fn principal(args: &EnrollArgs) -> Result<Option<PrincipalForm>, CliError> {
    let Some(human) = &args.human else { return Ok(None) };
    let human = Text::new(human).context("--human")?;
    Ok(Some(PrincipalForm { human, max_depth: None, rules: AttenuationRules::default() }))
}
