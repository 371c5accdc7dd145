//! `atl federation check`: would an agent of another domain be taken?
//!
//! The relying party's own verdict, of which it leaves out what takes more than the pin: timestamps, which take a
//! list of logs, and revocation. `atl verify` has both.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::DirArgs;
use super::state::Pinned;
use crate::apki::federation::TrustDomain;
use crate::apki::trust_score::Score;
use crate::apki::{AgentUri, Certificate};
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::words;
use crate::config::relying::LEAST_SCORE;
use crate::time::{Clock, SystemClock, UnixMillis};
use crate::verify::relying::{
    Code, Domain, Domains, Examination, Facts, LogList, MAX_DEPTH, Policy, Presented, Reason, RelyingParty, Request,
    RevocationMode, RevocationPolicy, Trusted,
};

/// Check an agent's certificate against the cached bundle of its domain.
///
/// It says whether the domain vouches for the agent and whether its score is enough here. It does not say
/// that the certificate is logged and not revoked, and asks for no operation: atl verify does, with a policy
/// whose `federation.dir` names the same directory.
///
/// It ends with 0 where the agent is taken and with 1 where it is not, with all the reasons.
///
/// Example (cert.pem as atl agent enroll writes it, and as an agent shows it in TLS):
///   atl federation check --dir myca/federation cert.pem
/// Example (of an agent to whom rights were handed on, with those above it):
///   atl federation check --dir myca/federation cert.pem parent.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct CheckArgs {
    /// PEM of the agent's certificate, its intermediates and the agents above it behind it
    #[arg(value_name = "CERT_PEM", required = true)]
    certificates: Vec<PathBuf>,
    #[command(flatten)]
    dir: DirArgs,
}

/// What speaks for an agent.
struct Taken {
    /// What is left of its score, in its own domain's measure.
    effective: Score,
    /// The same in ours.
    mapped: Score,
    /// What it had to reach.
    minimum: Score,
    /// SHA-256 of the CA certificate of the bundle that it stands below.
    anchor: [u8; 32],
}

/// Runs it.
pub fn run(args: &CheckArgs) -> Result<(), CliError> {
    let (presented, agent) = read(&args.certificates)?;
    let domain = TrustDomain::parse(agent.trust_domain()).context(agent.as_str())?;
    let pinned = args.dir.state().get(&domain)?;
    let taken = judge(&pinned, presented, SystemClock.now()).map_err(|no| match no {
        No::Unfetched => {
            let dir = args.dir.dir.display();
            CliError::new(format!("there is no bundle of {domain} yet: atl federation refresh {domain} --dir {dir}"))
        }
        No::Reasons(reasons) => match refuse(args, agent.as_str(), &domain, &reasons) {
            Ok(()) => CliError::negative(format!("{} is not taken", agent.as_str())),
            Err(error) => error,
        },
    })?;
    let (effective, mapped, minimum) = (taken.effective.get(), taken.mapped.get(), taken.minimum.get());
    let anchor = hex::encode(taken.anchor);
    if args.dir.json {
        return print_json(&json!({
            "accepted": true, "agent": agent, "domain": domain, "effective_score": effective,
            "score": mapped, "minimum_score": minimum, "anchor": anchor,
        }));
    }
    print_rows([
        ("agent", agent.as_str().to_owned()),
        ("vouched for by", domain.to_string()),
        ("CA certificate", anchor),
        ("score", format!("{mapped} here, {effective} in its own domain; the minimum is {minimum}")),
    ]);
    println!("\ntaken; that it is logged and not revoked is yet to be checked: atl verify --help");
    Ok(())
}

/// What is presented, and who it is.
fn read(files: &[PathBuf]) -> Result<(Presented, AgentUri), CliError> {
    let place = files.first().map_or(Path::new(""), PathBuf::as_path).display();
    let certificates = files.iter().map(|file| read_certificates(file)).collect::<Result<Vec<_>, _>>()?;
    let certificates: Vec<Certificate> = certificates.concat();
    let Some(agent) = certificates.first() else {
        return Err(CliError::new(format!("{place}: no PEM certificate in it")));
    };
    let agent = agent.agent_uri().context(format_args!("{place}: the first certificate is no agent's"))?;
    let presented = Presented::from_certificates(certificates).map_err(|reason| CliError::new(reason.to_string()))?;
    Ok((presented, agent))
}

/// Why an agent is not taken.
enum No {
    /// The domain's bundle was never fetched.
    Unfetched,
    /// The verdict's reasons.
    Reasons(Vec<Reason>),
}

fn judge(pinned: &Pinned, presented: Presented, now: UnixMillis) -> Result<Taken, No> {
    let bundle = pinned.bundle.clone().ok_or(No::Unfetched)?;
    let pin = &pinned.pin;
    let domain = Domain { trusted: Trusted::Bundle(bundle), mapping: pin.mapping.clone(), minimum: pin.minimum_score };
    let minimum = domain.minimum().max(LEAST_SCORE);
    let party = RelyingParty {
        policy: policy(),
        domains: Domains::new([(pin.domain.clone(), domain)]),
        logs: LogList::default(),
    };
    let examination = party.examine(presented);
    let facts = Facts::default();
    let verdict = party.judge(&examination, &Request { operation: None, facts: &facts, now, past: false });
    // These two say only that no log is known here.
    let against = verdict.reasons().iter().filter(|reason| !matches!(reason.code, Code::NoSat | Code::SatOperators));
    let against: Vec<Reason> = against.cloned().collect();
    let taken = effective(&examination, now).zip(anchor(&examination));
    match taken.filter(|_| against.is_empty()) {
        Some((effective, anchor)) => Ok(Taken { effective, mapped: pin.mapping.apply(effective), minimum, anchor }),
        None => Err(No::Reasons(against)),
    }
}

/// What a pin says nothing about is wanted of nobody here.
fn policy() -> Policy {
    let revocation = RevocationPolicy { mode: RevocationMode::Off, max_age: None, issuers: false };
    Policy { max_depth: MAX_DEPTH, ..Policy::new(LEAST_SCORE, revocation) }
}

/// The least score of the line after decay (R31).
fn effective(examination: &Examination, now: UnixMillis) -> Option<Score> {
    let scores = examination.members().map(|member| member.certificate().trust_score().ok()??.effective(now).ok());
    scores.collect::<Option<Vec<Score>>>()?.into_iter().min()
}

fn anchor(examination: &Examination) -> Option<[u8; 32]> {
    Some(*examination.members().next()?.path()?.anchor().fingerprint())
}

fn refuse(args: &CheckArgs, agent: &str, domain: &TrustDomain, reasons: &[Reason]) -> Result<(), CliError> {
    if args.dir.json {
        return print_json(&json!({"accepted": false, "agent": agent, "domain": domain, "reasons": reasons}));
    }
    for reason in reasons {
        println!("{}", words::clean(&reason.to_string()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "check/tests.rs"]
mod tests;
