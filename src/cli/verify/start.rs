//! `atl verify --print-policy`: a policy to start from, with every key explained.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::apki::federation::{ScoreMapping, TrustDomain};
use crate::apki::trust_score::TrustTier;
use crate::cli::ca::init::named_log;
use crate::cli::output::{CliError, Context};
use crate::cli::relying::material::Material;
use crate::config::RelyingConfig;
use crate::config::ca::TrustedLog;
use crate::config::relying::{Domain, ListSource, Log, RevocationList, Trusted};
use crate::time::UnixMillis;

/// What a new policy is made of.
#[derive(Args)]
#[command(next_help_heading = "A policy to start from")]
pub struct StartArgs {
    /// Print a policy, with every key explained, and verify nothing
    #[arg(long, requires = "log", conflicts_with_all = ["certificates", "policy"])]
    pub print_policy: bool,
    /// The trust domain whose agents are taken
    #[arg(long, value_name = "DOMAIN", requires_all = ["print_policy", "root"], value_parser = domain)]
    domain: Option<TrustDomain>,
    /// Its root certificates, PEM
    #[arg(long, value_name = "FILE", requires = "domain")]
    root: Option<PathBuf>,
    /// A log whose timestamps count, its key in base64 or as a verifier key; may be given more than once
    #[arg(long, value_name = "URL+KEY,operator=NAME", requires = "print_policy", value_parser = named_log)]
    log: Vec<TrustedLog>,
    /// A revocation list and the certificate of whoever signs it; the certificates of CAs must then not be revoked
    #[arg(long, value_name = "URL=FILE", requires = "print_policy", value_parser = list)]
    revocation_list: Vec<RevocationList>,
    /// The directory of atl federation, whose pinned domains are taken as well
    #[arg(long, value_name = "DIR", requires = "print_policy")]
    federation: Option<PathBuf>,
    /// Roots for the TLS certificates of servers that certificates name, PEM, in place of the system's
    #[arg(long, value_name = "FILE", requires = "print_policy")]
    ca_roots: Option<PathBuf>,
}

fn domain(text: &str) -> Result<TrustDomain, String> {
    TrustDomain::parse(text).map_err(|e| e.to_string())
}

fn list(text: &str) -> Result<RevocationList, String> {
    let (url, signer) = text.rsplit_once('=').ok_or("it must be URL=FILE, such as http://ca.example/crl/root=s.pem")?;
    Ok(RevocationList { source: ListSource::Url(url.to_owned()), signer: signer.into() })
}

/// Runs it. What is printed was read back, with the files that it names.
pub fn run(args: &StartArgs) -> Result<(), CliError> {
    let log = |log: &TrustedLog| Log {
        name: log.url.clone(),
        url: Some(log.url.clone()),
        key: log.key.clone(),
        operator: log.operator.clone(),
        origin: None,
        from: UnixMillis::new(0),
        until: None,
    };
    let domain = args.domain.clone().zip(args.root.clone()).map(|(name, root)| Domain {
        name,
        trusted: Trusted::Roots(root),
        mapping: ScoreMapping::default(),
        minimum: TrustTier::Untrusted.floor(),
    });
    let mut config = RelyingConfig::new(domain.into_iter().collect(), args.log.iter().map(log).collect());
    config.policy.revocation.issuers = !args.revocation_list.is_empty();
    config.revocation_lists.clone_from(&args.revocation_list);
    config.federation_dir.clone_from(&args.federation);
    if let Some(fetch) = &mut config.fetch {
        fetch.ca_roots.clone_from(&args.ca_roots);
    }
    let text = config.render().map_err(|e| CliError::new(e.to_string()))?;
    let place = "the policy to print";
    let read = RelyingConfig::parse(&text, Path::new(""), place).map_err(|e| CliError::new(e.to_string()))?;
    Material::load(&read, Path::new(place)).context("a file that was named cannot be used")?;
    print!("{text}");
    Ok(())
}
