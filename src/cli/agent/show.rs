//! `atl agent show`: a certificate in words.

use std::path::PathBuf;

use clap::Args;
use der::Decode;
use serde_json::{Value, json};

use super::Roots;
use super::files::AgentDir;
use super::inspect::{Inspection, KnownLog, Logged, SatFinding, SatState, certificates_of, inspect};
use crate::apki::Certificate;
use crate::apki::capabilities::Capabilities;
use crate::apki::trust_score::{Score, TrustScore};
use crate::cli::log::remote::certificate_file;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::words::{clean, duration, table};
use crate::time::{Clock, SystemClock, UnixMillis};

/// Print an agent's certificate in words: who it is, what it may do, how far it is trusted now,
/// and which logs vouch for it.
///
/// It refuses nothing, and ends with 1 where something does not hold. What nobody gave a key or a
/// root for is not verified, and said to be so.
///
/// Examples:
///   atl agent show --dir teller7
///   atl agent show cert.pem --root root.pem --log https://log.example.com/2026h2+MCow...
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ShowArgs {
    /// PEM, the certificate first and its issuers behind it, or DER of the certificate
    #[arg(value_name = "FILE", required_unless_present = "dir")]
    file: Option<PathBuf>,
    /// An agent's directory, rather than a file: its root and its logs' keys are in it
    #[arg(long, conflicts_with = "file")]
    dir: Option<PathBuf>,
    /// PEM of the root that the certificate must stand below
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// A log and its key, from somebody you trust
    #[arg(long = "log", value_name = "URL+KEY")]
    logs: Vec<KnownLog>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &ShowArgs) -> Result<(), CliError> {
    let (certificates, roots, saved) = material(args)?;
    let logs = if args.logs.is_empty() { saved } else { args.logs.clone() };
    let nothing = || CliError::new("there is no certificate in it");
    let (certificate, issuers) = certificates.split_first().ok_or_else(nothing)?;
    let now = SystemClock.now();
    let found = inspect(certificate, issuers, roots.as_ref().map(|r| &r.anchors), &logs, now);
    if args.json {
        print_json(&as_json(certificate, &found, now))?;
    } else {
        print(certificate, &found, now);
    }
    match found.faults.len() {
        0 => Ok(()),
        // Where each is told already, the last line need not repeat it.
        1 => Err(CliError::negative(format!("it does not hold: {}", clean(&found.faults[0])))),
        n => Err(CliError::negative(format!("it does not hold, for {n} reasons"))),
    }
}

type Material = (Vec<Certificate>, Option<Roots>, Vec<KnownLog>);

fn material(args: &ShowArgs) -> Result<Material, CliError> {
    let given = args.root.as_deref().map(|file| Roots::read(file, "--root")).transpose()?;
    let Some(dir) = &args.dir else {
        let file = args.file.as_deref().ok_or_else(|| CliError::new("give a FILE or --dir"))?;
        return Ok((certificate_file(file)?, given, Vec::new()));
    };
    let missing = || CliError::new(format!("{}: no certificate in it", dir.display()));
    let current = AgentDir::open(dir)?.current()?.ok_or_else(missing)?;
    let certificates = certificates_of(&current.chain_pem).context(dir.join("cert.pem").display())?;
    let own = || Roots::parse(&current.root_pem).context(dir.join("root.pem").display());
    let roots = given.map_or_else(own, Ok)?;
    let logs = current.settings.logs.iter().map(KnownLog::restore).collect::<Result<_, _>>();
    Ok((certificates, Some(roots), logs.context(dir.join("agent.json").display())?))
}

/// A Name as RFC 4514 writes it.
fn name(der: &[u8]) -> String {
    match x509_cert::name::Name::from_der(der) {
        Ok(name) if name.is_empty() => "(empty)".into(),
        Ok(name) => clean(&name.to_string()),
        Err(_) => "(unreadable)".into(),
    }
}

fn print(certificate: &Certificate, found: &Inspection, now: UnixMillis) {
    let until = certificate.not_after();
    let left = if now > until {
        format!("ended {} ago", duration(now.since(until)))
    } else {
        format!("{} left", duration(until.since(now)))
    };
    print_rows([
        ("agent", clean(&found.agent.clone().map_or_else(|e| format!("none: {e}"), |uri| uri.to_string()))),
        ("issuer", name(certificate.issuer_der())),
        ("serial", hex::encode(certificate.serial())),
        ("valid", format!("{} to {until} ({left})", certificate.not_before())),
        ("SHA-256", hex::encode(certificate.fingerprint())),
        ("chain", chain_words(found)),
        ("logged as", logged_words(&found.logged)),
    ]);
    let sections = [
        ("Trust", trust_rows(certificate, now)),
        ("Capabilities", capability_lines(certificate)),
        ("Built", provenance_rows(certificate)),
        ("Attested", attestation_rows(certificate)),
        ("Delegated", delegation_rows(certificate)),
        ("Timestamps", sat_lines(&found.sats)),
        ("Does not hold", found.faults.iter().map(|fault| clean(fault)).collect()),
    ];
    for (head, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
        println!("\n{head}");
        lines.iter().for_each(|line| println!("  {line}"));
    }
}

fn chain_words(found: &Inspection) -> String {
    match &found.chain {
        None => "not verified: no --root was given".into(),
        Some(Ok(root)) => format!("verified up to the root {}", hex::encode(root)),
        Some(Err(why)) => clean(why),
    }
}

fn logged_words(logged: &Logged) -> String {
    match logged {
        Logged::Precertificate(hash) => format!("{hash} (the precertificate, recovered)"),
        Logged::Beside => "itself, if at all: no timestamps are in it".into(),
        Logged::Fault(why) => clean(why),
    }
}

/// The extension, where it is there and well-formed; what is malformed is among the faults.
fn well_formed<T, E>(extension: Result<Option<T>, E>) -> Option<T> {
    extension.ok().flatten()
}

fn trust_rows(certificate: &Certificate, now: UnixMillis) -> Vec<String> {
    let Some(trust) = well_formed(certificate.trust_score()) else { return Vec::new() };
    let told = |score: Score| format!("{} ({})", score.get(), score.tier().name());
    let mut lines = vec![format!("{} at {}", told(trust.score), trust.last_updated)];
    let rate = match trust.decay_rate.get() {
        0 => "it does not fade".to_owned(),
        1 => "a point fades each hour".to_owned(),
        n => format!("{n} points fade each hour"),
    };
    if let Ok(score) = trust.effective(now) {
        lines.push(format!("{} now; {rate}", told(score)));
    }
    if let Some((tier, at)) = next_fall(&trust, now) {
        let length = duration(at.since(now));
        let late = if at > certificate.not_after() { ", after the certificate's end" } else { "" };
        lines.push(format!("{tier} from {at} (in {length}{late})"));
    }
    lines.extend(trust.computation_method.map(|method| format!("computed by: {}", clean(method.as_str()))));
    lines
}

/// The tier below the present one, and from when on it is that.
fn next_fall(trust: &TrustScore, now: UnixMillis) -> Option<(&'static str, UnixMillis)> {
    let present = trust.effective(now).ok()?;
    let at = trust.falls_below(present.tier().floor())?;
    Some((trust.effective(at).ok()?.tier().name(), at))
}

fn capability_lines(certificate: &Certificate) -> Vec<String> {
    match well_formed(certificate.capabilities()) {
        None => Vec::new(),
        Some(all) if all.as_slice().is_empty() => vec!["none: it may call nothing".into()],
        Some(all) => table(all.as_slice()),
    }
}

fn provenance_rows(certificate: &Certificate) -> Vec<String> {
    let Some(built) = well_formed(certificate.provenance()) else { return Vec::new() };
    let (family, version) = (clean(built.model_family.as_str()), clean(built.model_version.as_str()));
    let (framework, organization) = (clean(built.framework.as_str()), clean(built.organization_id.as_str()));
    let mut lines = vec![format!("{family} {version} in {framework}, by {organization}")];
    lines.extend(built.build_hash.map(|hash| format!("build {}", hex::encode(hash))));
    lines.extend(built.attest_evidence.map(|e| format!("evidence of {} octets", e.as_bytes().len())));
    lines
}

fn attestation_rows(certificate: &Certificate) -> Vec<String> {
    let Some(attested) = well_formed(certificate.attestation()) else { return Vec::new() };
    let by = attested.attestor_identity.map_or_else(String::new, |by| format!(" by {}", clean(by.as_str())));
    let mut lines = vec![format!("{}{by} at {}", attested.method.name(), attested.time)];
    lines.extend(attested.evidence_uri.map(|uri| format!("evidence: {}", clean(uri.as_str()))));
    lines
}

fn delegation_rows(certificate: &Certificate) -> Vec<String> {
    let Some(line) = well_formed(certificate.delegation()) else { return Vec::new() };
    let mut lines = vec![format!("depth {} of at most {}", line.depth, line.max_depth)];
    if line.parent_cert_hash != [0; 32] {
        lines.push(format!("parent {}", hex::encode(line.parent_cert_hash)));
    }
    lines.extend(line.human_principal.map(|human| format!("answers for it: {}", clean(human.as_str()))));
    let rules = line.rules;
    if !rules.capabilities_subset {
        lines.push("children's capabilities need not be among its own".into());
    }
    lines.extend(rules.max_trust_score.map(|score| format!("children's score at most {}", score.get())));
    lines.extend(rules.max_spend_limit.map(|m| format!("children's amounts at most {} minor units", m.get())));
    lines.extend(rules.scope_narrowing.map(|s| format!("children's scopes within {}", clean(s.as_str()))));
    lines
}

fn sat_lines(sats: &[SatFinding]) -> Vec<String> {
    let line = |sat: &SatFinding| {
        let name = sat.log.as_ref().map_or_else(|| format!("log {}", sat.log_id), |log| clean(&log.name));
        let by = sat.log.as_ref().and_then(|log| log.operator.as_deref());
        let by = by.map_or_else(String::new, |operator| format!(" ({})", clean(operator)));
        let verdict = match (&sat.state, &sat.log) {
            (SatState::Verified, Some(log)) if log.pinned => "verified with a pinned key".to_owned(),
            (SatState::Verified, _) => "verified, with a key on the CA's word".to_owned(),
            (SatState::UnknownLog, _) => "not verified: its key was not given (--log)".to_owned(),
            (SatState::Fault(_), _) => "DOES NOT HOLD".to_owned(),
        };
        format!("{name}{by}: since {}, {verdict}", sat.timestamp)
    };
    sats.iter().map(line).collect()
}

fn as_json(certificate: &Certificate, found: &Inspection, now: UnixMillis) -> Value {
    let logged = match &found.logged {
        Logged::Precertificate(hash) => Value::from(hash.to_string()),
        Logged::Beside | Logged::Fault(_) => Value::Null,
    };
    json!({
        "agent": found.agent.as_ref().ok(),
        "issuer": name(certificate.issuer_der()),
        "serial": hex::encode(certificate.serial()),
        "sha256": hex::encode(certificate.fingerprint()),
        "not_before": certificate.not_before(),
        "not_after": certificate.not_after(),
        "now": now,
        "root": found.chain.as_ref().and_then(|chain| chain.as_ref().ok()).map(hex::encode),
        "cert_hash": logged,
        "trust": well_formed(certificate.trust_score()).map(|trust| trust_json(&trust, now)),
        "capabilities": well_formed::<Capabilities, _>(certificate.capabilities()),
        "provenance": well_formed(certificate.provenance()).map(|built| json!({
            "model_family": built.model_family,
            "model_version": built.model_version,
            "framework": built.framework,
            "organization": built.organization_id,
            "build_hash": built.build_hash.map(hex::encode),
        })),
        "attestation": well_formed(certificate.attestation()).map(|attested| json!({
            "method": attested.method,
            "attestor": attested.attestor_identity,
            "time": attested.time.millis(),
            "evidence_uri": attested.evidence_uri,
        })),
        "delegation": well_formed(certificate.delegation()).map(|line| json!({
            "parent_cert_hash": hex::encode(line.parent_cert_hash),
            "depth": line.depth,
            "max_depth": line.max_depth,
            "rules": line.rules,
            "human_principal": line.human_principal,
        })),
        "timestamps": found.sats.iter().map(sat_json).collect::<Vec<_>>(),
        "faults": found.faults,
    })
}

fn trust_json(trust: &TrustScore, now: UnixMillis) -> Value {
    let effective = trust.effective(now).ok();
    let fall = next_fall(trust, now);
    json!({
        "score": trust.score,
        "tier": trust.score.tier(),
        "last_updated": trust.last_updated.millis(),
        "decay_rate": trust.decay_rate.get(),
        "effective_score": effective,
        "effective_tier": effective.map(Score::tier),
        "next_tier": fall.map(|(tier, _)| tier),
        "next_tier_at": fall.map(|(_, at)| at),
        "computation_method": trust.computation_method,
    })
}

fn sat_json(sat: &SatFinding) -> Value {
    let state = match &sat.state {
        SatState::Verified => "verified",
        SatState::UnknownLog => "unknownLog",
        SatState::Fault(_) => "fault",
    };
    json!({
        "log_id": sat.log_id.to_string(),
        "log": sat.log.as_ref().map(|log| &log.name),
        "operator": sat.log.as_ref().and_then(|log| log.operator.as_ref()),
        "pinned": sat.log.as_ref().is_some_and(|log| log.pinned),
        "timestamp": sat.timestamp,
        "state": state,
    })
}
