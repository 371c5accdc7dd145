//! `atl agent show`: a certificate in words.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Roots;
use super::files::AgentDir;
use super::inspect::{Inspection, KnownLog, Logged, SatFinding, SatState, certificates_of, inspect};
use crate::apki::Certificate;
use crate::apki::capabilities::Capabilities;
use crate::cli::log::remote::certificate_file;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::words::certificate::{
    attestation_json, attestation_rows, capability_lines, computed, delegation_json, delegation_rows, fading, falls,
    name, provenance_json, provenance_rows, score, trust_json, well_formed,
};
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
        ("Capabilities", capability_lines(certificate, table)),
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

fn trust_rows(certificate: &Certificate, now: UnixMillis) -> Vec<String> {
    let Some(trust) = well_formed(certificate.trust_score()) else { return Vec::new() };
    let mut lines = vec![format!("{} at {}", score(trust.score), trust.last_updated)];
    if let Ok(left) = trust.effective(now) {
        lines.push(format!("{} now; {}", score(left), fading(trust.decay_rate)));
    }
    lines.extend(falls(&trust, now).next().map(|fall| fall.words(now, certificate.not_after())));
    lines.extend(computed(&trust));
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
        "provenance": well_formed(certificate.provenance()).map(|built| provenance_json(&built)),
        "attestation": well_formed(certificate.attestation()).map(|attested| attestation_json(&attested)),
        "delegation": well_formed(certificate.delegation()).map(|line| delegation_json(&line)),
        "timestamps": found.sats.iter().map(sat_json).collect::<Vec<_>>(),
        "faults": found.faults,
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
