//! `atl federation list` and `show`: who is pinned, and what they said last.

use clap::Args;
use serde_json::{Value, json};

use super::refresh::note;
use super::state::{CaNote, Pinned};
use super::{DirArgs, domain};
use crate::apki::federation::TrustDomain;
use crate::apki::jws::thumbprint;
use crate::cli::output::{CliError, print_json, print_rows};
use crate::cli::words;
use crate::time::{Clock, SystemClock, UnixMillis};

/// List the domains that are federated with, and how their bundles stand.
///
/// Example:
///   atl federation list --dir myca/federation
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ListArgs {
    #[command(flatten)]
    dir: DirArgs,
}

/// Show a domain: its pin, its bundle, and what changed last.
///
/// Example:
///   atl federation show --dir myca/federation agents.example.com
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ShowArgs {
    /// The trust domain
    #[arg(value_parser = domain)]
    domain: TrustDomain,
    #[command(flatten)]
    dir: DirArgs,
}

/// Runs `list`.
pub fn list(args: &ListArgs) -> Result<(), CliError> {
    let (state, now) = (args.dir.state(), SystemClock.now());
    let pinned: Vec<Pinned> = state.domains()?.iter().map(|domain| state.get(domain)).collect::<Result<_, _>>()?;
    if args.dir.json {
        return print_json(&pinned.iter().map(|pinned| as_json(pinned, now)).collect::<Vec<_>>());
    }
    if pinned.is_empty() {
        println!("no domain is pinned in {}: atl federation add --help", args.dir.dir.display());
        return Ok(());
    }
    let row = |pinned: &Pinned| {
        let cas = pinned.bundle.as_ref().map_or(0, |bundle| bundle.certificates().len());
        [pinned.pin.domain.to_string(), cas.to_string(), minimum(pinned).to_string(), standing(pinned, now)]
    };
    let head = ["DOMAIN", "CAS", "MINIMUM", "BUNDLE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(pinned.iter().map(row)).collect();
    words::columns(&rows).iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Runs `show`.
pub fn show(args: &ShowArgs) -> Result<(), CliError> {
    let (pinned, now) = (args.dir.state().get(&args.domain)?, SystemClock.now());
    if args.dir.json {
        return print_json(&as_json(&pinned, now));
    }
    let pin = &pinned.pin;
    let numbers = pin.mapping.numbers();
    let steps: Vec<_> = numbers.table.iter().map(|s| format!("from {} on: {}", s.from.get(), s.to.get())).collect();
    let cap = numbers.cap.map(|cap| format!("at most {}", cap.get()));
    let offset = (numbers.offset != 0).then(|| format!("{:+}", numbers.offset));
    let mapping: Vec<String> = steps.into_iter().chain(offset).chain(cap).collect();
    print_rows([
        ("domain", pin.domain.to_string()),
        ("bundle", words::clean(&pin.url)),
        ("key's thumbprint", thumbprint(&pinned.key)),
        ("mapping", if mapping.is_empty() { "none".into() } else { mapping.join(", ") }),
        ("minimum score", minimum(&pinned).to_string()),
        ("refreshed every", words::duration(u64::from(pin.refresh_seconds) * 1000)),
        ("state", standing(&pinned, now)),
    ]);
    if let Some(bundle) = &pinned.bundle {
        println!("\nCA certificates");
        print_notes(" ", &bundle.certificates().map(note).collect::<Vec<_>>());
    }
    if let Some(cached) = &pin.cached {
        println!("\nLast change, at {}", cached.changed_at);
        print_notes("+", &cached.added);
        print_notes("-", &cached.removed);
    }
    Ok(())
}

fn print_notes(sign: &str, notes: &[CaNote]) {
    for note in notes {
        println!("{sign} {}  {}", note.sha256, words::clean(&note.subject));
    }
}

/// The stricter of our minimum and the bundle's.
fn minimum(pinned: &Pinned) -> u8 {
    let theirs = pinned.bundle.as_ref().map(|bundle| bundle.minimum_trust_score());
    theirs.map_or(pinned.pin.minimum_score, |theirs| theirs.max(pinned.pin.minimum_score)).get()
}

fn standing(pinned: &Pinned, now: UnixMillis) -> String {
    let Some(bundle) = &pinned.bundle else { return "never fetched: its agents are refused".into() };
    match bundle.holds_at(now) {
        Ok(()) => {
            format!("of {}, holds for {}", bundle.issued_at(), words::duration(bundle.expires_at().millis().since(now)))
        }
        Err(error) => format!("{error}: its agents are refused"),
    }
}

fn as_json(pinned: &Pinned, now: UnixMillis) -> Value {
    let pin = &pinned.pin;
    let bundle = pinned.bundle.as_ref().map(|bundle| {
        json!({
            "holds": bundle.holds_at(now).is_ok(),
            "issued_at": bundle.issued_at(),
            "expires_at": bundle.expires_at(),
            "minimum_trust_score": bundle.minimum_trust_score(),
            "supported_algorithms": bundle.supported_algorithms(),
            "ca_certificates": bundle.certificates().map(note).collect::<Vec<_>>(),
        })
    });
    let cached = pin.cached.as_ref();
    json!({
        "domain": pin.domain,
        "url": pin.url,
        "key": pin.key,
        "kid": thumbprint(&pinned.key),
        "ca_roots": pin.ca_roots,
        "mapping": pin.mapping,
        "minimum_score": pin.minimum_score,
        "effective_minimum": minimum(pinned),
        "refresh_seconds": pin.refresh_seconds,
        "bundle": bundle,
        "fetched_at": cached.map(|cached| cached.fetched_at),
        "changed_at": cached.map(|cached| cached.changed_at),
        "added": cached.map(|cached| &cached.added),
        "removed": cached.map(|cached| &cached.removed),
    })
}
