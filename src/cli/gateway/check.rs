//! `atl gateway check`: reads what a gateway would decide by, and starts nothing.

use std::path::PathBuf;

use clap::Args;

use super::snapshot::{Snapshot, names};
use crate::cli::output::{CliError, print_rows};
use crate::config::gateway::{Kept, Listen, Proxy};

/// Read a gateway's configuration and all that it names, and say what it would decide by.
///
/// Nothing is opened, fetched or changed. It ends with 2 where the gateway would not start, or where one that runs
/// would keep what it has.
///
/// Example:
///   atl gateway check --config gateway.toml && systemctl reload atl-gateway@bank
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct CheckArgs {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs it.
pub fn run(args: &CheckArgs) -> Result<(), CliError> {
    let Some(snapshot) = Snapshot::read(&args.config, None)? else {
        return Err(CliError::new(format!("{}: it cannot be read", args.config.display())));
    };
    let (config, material) = (&snapshot.config, &snapshot.material);
    let domains = material.party.domains.iter().map(|(name, _)| name.as_str());
    let logs = material.party.logs.iter().map(|log| log.name.as_str());
    let listen = match &config.listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    };
    let proxy = match config.proxy {
        Proxy::Nginx => "nginx (auth_request)",
        Proxy::Envoy => "Envoy (ext_authz over HTTP)",
    };
    let ledger = match &config.ledger.kept {
        Kept::Memory => "in memory, forgotten with every start".to_owned(),
        Kept::Dir(dir) => dir.display().to_string(),
    };
    let mut rows = vec![
        ("listens", listen),
        ("is asked by", proxy.to_owned()),
        ("trusts", or_none(domains.collect::<Vec<_>>().join(", "))),
        ("logs", or_none(logs.collect::<Vec<_>>().join(", "))),
        ("CAs at hand", or_none(names(&material.issuers))),
        ("lists", format!("{} in files, {} to fetch", snapshot.lists().len(), snapshot.remote.len())),
        ("audits", format!("{} in files, {} to fetch", material.facts.audits.len(), snapshot.audits_wanted().len())),
        ("ledger", ledger),
    ];
    rows.extend(config.routes.iter().map(|route| {
        let methods = if route.methods.is_empty() { "any method".to_owned() } else { route.methods.join(" ") };
        let host = route.host.as_deref().unwrap_or("");
        let (tool, scope) = (route.tool_uri.as_str(), route.scope.as_str());
        ("route", format!("{methods} {host}{}: {tool} {scope}", route.path))
    }));
    print_rows(rows);
    for note in &snapshot.notes {
        eprintln!("{note}");
    }
    Ok(())
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}
