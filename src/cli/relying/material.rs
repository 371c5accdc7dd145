//! Everything that a relying party's configuration names, loaded. A complaint names the file of the
//! configuration, the key in it, and the file that it is about.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::apki::Certificate;
use crate::apki::chain::Anchors;
use crate::apki::federation::{TrustBundle, TrustDomain};
use crate::apki::status::crl::Crl;
use crate::apki::trust_score::TrustTier;
use crate::cli::federation::state::State;
use crate::cli::files::pem_blocks;
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context};
use crate::config::relying::{self, ListSource, RelyingConfig, Trusted as TrustedFile};
use crate::keys::LogId;
use crate::log::cosignature::WitnessQuorum;
use crate::log::note::VerifierKey;
use crate::verify::relying::{
    Domain, Domains, InclusionPolicy, LogList, PeerPattern, Peers, Policy, ProvenancePolicy, RelyingParty,
    RevocationLists, RevocationMode, RevocationPolicy, ToolRule, Trusted, TrustedLog,
};

/// A relying party, with what it needs to learn more than it is shown.
#[derive(Clone, Debug)]
pub struct Material {
    /// Who decides.
    pub party: RelyingParty,
    /// The revocation lists that were files.
    pub lists: Arc<RevocationLists>,
    /// The revocation lists that are elsewhere.
    pub remote_lists: Vec<RemoteList>,
    /// Certificates of those who sign revocation lists of others.
    pub list_signers: Vec<Certificate>,
    /// Whose audits of logs count.
    pub monitors: Vec<VerifierKey>,
    /// Those of them that can be asked.
    pub monitor_sources: Vec<MonitorSource>,
    /// The logs that can be asked.
    pub sources: Vec<LogSource>,
    /// What is worth knowing, such as a pinned domain whose bundle was never fetched.
    pub notes: Vec<String>,
}

/// A revocation list to fetch.
#[derive(Clone, Debug)]
pub struct RemoteList {
    /// Where it is.
    pub url: String,
    /// Who signs it.
    pub signer: Certificate,
}

/// A monitor that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorSource {
    /// The key of its statements.
    pub key: VerifierKey,
    /// Its base URL.
    pub url: String,
}

/// A log that can be asked.
#[derive(Clone, Debug)]
pub struct LogSource {
    /// Which log.
    pub log: LogId,
    /// What people call it.
    pub name: String,
    /// Its base URL.
    pub url: String,
}

impl Material {
    /// Reads the configuration in `file`, and loads what it names.
    pub fn read(file: &Path) -> Result<(RelyingConfig, Self), CliError> {
        let config = RelyingConfig::load(file).map_err(|e| CliError::new(e.to_string()))?;
        let material = Self::load(&config, file)?;
        Ok((config, material))
    }

    /// Loads what `config` names; `file` is where it stands, for complaints.
    pub fn load(config: &RelyingConfig, file: &Path) -> Result<Self, CliError> {
        Loader { file }.all(config)
    }
}

/// Puts the name of the file and of the key in front of what went wrong.
struct Loader<'a> {
    file: &'a Path,
}

impl Loader<'_> {
    fn key<T, E: Display>(&self, key: impl Display, result: Result<T, E>) -> Result<T, CliError> {
        result.context(format_args!("{}: `{key}`", self.file.display()))
    }

    fn all(&self, config: &RelyingConfig) -> Result<Material, CliError> {
        let mut notes = Vec::new();
        let domains = self.domains(config, &mut notes)?;
        let logs = self.logs(&config.logs)?;
        let sources = config
            .logs
            .iter()
            .filter_map(|log| Some(LogSource { log: log.key.log_id(), name: log.name.clone(), url: log.url.clone()? }));
        let (mut lists, mut remote_lists, mut list_signers) = (RevocationLists::default(), Vec::new(), Vec::new());
        for (place, list) in config.revocation_lists.iter().enumerate() {
            let key = format!("revocation_lists[{place}]");
            let signer = self.key(format_args!("{key}.signer"), first_certificate(&list.signer))?;
            match &list.source {
                ListSource::File(path) => {
                    let crl = read_list(path).and_then(|crl| lists.add(crl, &signer, &domains).context(path.display()));
                    self.key(format_args!("{key}.file"), crl)?;
                }
                ListSource::Url(url) => remote_lists.push(RemoteList { url: url.clone(), signer: signer.clone() }),
            }
            list_signers.push(signer);
        }
        let monitors = config.monitors.iter().enumerate();
        let monitors =
            monitors.map(|(place, monitor)| self.key(format_args!("monitors[{place}].vkey"), monitor.vkey.parse()));
        let monitors: Vec<VerifierKey> = monitors.collect::<Result<_, _>>()?;
        let urls = config.monitors.iter().map(|monitor| monitor.url.clone());
        let monitor_sources =
            monitors.iter().zip(urls).filter_map(|(key, url)| Some(MonitorSource { key: key.clone(), url: url? }));
        Ok(Material {
            sources: sources.collect(),
            monitor_sources: monitor_sources.collect(),
            monitors,
            party: RelyingParty { policy: self.policy(&config.policy)?, domains, logs },
            lists: Arc::new(lists),
            remote_lists,
            list_signers,
            notes,
        })
    }

    fn domains(&self, config: &RelyingConfig, notes: &mut Vec<String>) -> Result<Domains, CliError> {
        let mut domains = Vec::new();
        for (place, domain) in config.domains.iter().enumerate() {
            let trusted = match &domain.trusted {
                TrustedFile::Roots(path) => {
                    self.key(format_args!("domains[{place}].roots"), roots(path)).map(Trusted::Roots)
                }
                TrustedFile::Bundle(path) => {
                    self.key(format_args!("domains[{place}].bundle"), bundle(path, &domain.name)).map(Trusted::Bundle)
                }
            };
            let (mapping, minimum) = (domain.mapping.clone(), domain.minimum);
            domains.push((domain.name.clone(), Domain { trusted: trusted?, mapping, minimum }));
        }
        if let Some(dir) = &config.federation_dir {
            self.key("federation.dir", pinned(dir, &mut domains, notes))?;
        }
        Ok(Domains::new(domains))
    }

    fn logs(&self, logs: &[relying::Log]) -> Result<LogList, CliError> {
        let log = |(place, log): (usize, &relying::Log)| {
            let origin = log.origin.as_ref().map(|origin| origin.parse()).transpose();
            Ok(TrustedLog {
                name: log.name.clone(),
                origin: self.key(format_args!("logs[{place}].origin"), origin)?,
                key: log.key.clone(),
                operator: log.operator.clone(),
                from: log.from,
                until: log.until,
            })
        };
        let logs: Vec<TrustedLog> = logs.iter().enumerate().map(log).collect::<Result<_, CliError>>()?;
        self.key("logs", LogList::new(logs))
    }

    fn policy(&self, policy: &relying::Policy) -> Result<Policy, CliError> {
        let millis = |seconds: u32| u64::from(seconds) * 1000;
        let inclusion = policy.inclusion.as_ref().map(|inclusion| {
            let witnesses = inclusion.witnesses.as_ref().map(|witnesses| self.quorum(witnesses)).transpose()?;
            Ok::<_, CliError>(InclusionPolicy { max_age: millis(inclusion.max_age_seconds), witnesses })
        });
        let provenance = &policy.provenance;
        let revocation = policy.revocation;
        let tool = |rule: &relying::ToolRule| ToolRule {
            tool_uri: rule.tool_uri.clone(),
            minimum: rule.minimum.unwrap_or(TrustTier::Untrusted.floor()),
            minimum_method: rule.minimum_method,
            ocsp_within: rule.ocsp_within_seconds.map(millis),
        };
        Ok(Policy {
            minimum: policy.minimum,
            algorithms: policy.algorithms.clone(),
            revocation: RevocationPolicy {
                mode: match revocation.mode {
                    relying::RevocationMode::Require => RevocationMode::HardFail,
                    relying::RevocationMode::Prefer => RevocationMode::SoftFail,
                    relying::RevocationMode::Off => RevocationMode::Off,
                },
                max_age: revocation.max_age_seconds.map(millis),
                issuers: revocation.issuers,
            },
            max_depth: policy.max_delegation_depth,
            require_delegation: policy.require_delegation,
            provenance: ProvenancePolicy {
                minimum_method: provenance.minimum_method,
                builds: provenance.builds.as_ref().map(|builds| builds.iter().copied().collect()),
                models: provenance.models.as_ref().map(|models| models.iter().cloned().collect()),
            },
            inclusion: inclusion.transpose()?,
            audited_within: policy.audited_within_seconds.map(millis),
            peers: self.peers(policy.peers.as_deref())?,
            tools: policy.tools.iter().map(tool).collect(),
        })
    }

    fn peers(&self, patterns: Option<&[String]>) -> Result<Peers, CliError> {
        let Some(patterns) = patterns else { return Ok(Peers::Any) };
        let pattern = |(place, text): (usize, &String)| {
            let shape = "agent://domain, with up to three segments behind it, is a pattern";
            let parsed = PeerPattern::parse(text).ok_or_else(|| format!("{text:?}: {shape}"));
            self.key(format_args!("policy.peers[{place}]"), parsed)
        };
        patterns.iter().enumerate().map(pattern).collect::<Result<_, _>>().map(Peers::Only)
    }

    fn quorum(&self, witnesses: &relying::Witnesses) -> Result<WitnessQuorum, CliError> {
        let keys = witnesses.keys.iter().enumerate();
        let keys = keys.map(|(n, key)| self.key(format_args!("policy.inclusion.witnesses[{n}]"), key.parse()));
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        self.key("policy.inclusion.witnesses", WitnessQuorum::new(keys, witnesses.needed))
    }
}

fn roots(path: &Path) -> Result<Anchors, CliError> {
    let certificates = read_certificates(path)?;
    if certificates.is_empty() {
        return Err(CliError::new(format!("{}: there is no PEM certificate in it", path.display())));
    }
    Anchors::new(certificates).context(path.display())
}

fn bundle(path: &Path, domain: &TrustDomain) -> Result<TrustBundle, CliError> {
    let bundle = TrustBundle::parse(&fs::read(path).context(path.display())?).context(path.display())?;
    bundle.is_of(domain).context(path.display())?;
    Ok(bundle)
}

/// The domains that are pinned in a directory of `atl federation`, beside those that are named one by one.
fn pinned(dir: &Path, domains: &mut Vec<(TrustDomain, Domain)>, notes: &mut Vec<String>) -> Result<(), CliError> {
    let state = State::at(dir);
    let names = state.domains()?;
    if names.is_empty() {
        notes.push(format!("no domain is pinned in {}: atl federation add", dir.display()));
    }
    for name in names {
        if domains.iter().any(|(known, _)| *known == name) {
            return Err(CliError::new(format!(
                "{name} is pinned there, and has a table of `domains` as well: drop one"
            )));
        }
        let pinned = state.get(&name)?;
        match pinned.bundle {
            Some(bundle) => {
                let (mapping, minimum) = (pinned.pin.mapping, pinned.pin.minimum_score);
                domains.push((name, Domain { trusted: Trusted::Bundle(bundle), mapping, minimum }));
            }
            None => notes.push(format!(
                "{name} is pinned, but its bundle was never fetched, so its agents are refused: atl federation refresh"
            )),
        }
    }
    Ok(())
}

fn first_certificate(path: &Path) -> Result<Certificate, CliError> {
    let first = read_certificates(path)?.into_iter().next();
    first.ok_or_else(|| CliError::new(format!("{}: there is no PEM certificate in it", path.display())))
}

/// A revocation list in DER or PEM.
pub fn read_list(path: &Path) -> Result<Crl, CliError> {
    let octets = fs::read(path).context(path.display())?;
    if octets.first() == Some(&0x30) {
        return Crl::parse(octets).context(path.display());
    }
    let text = String::from_utf8_lossy(&octets);
    for block in pem_blocks(&text) {
        let (label, der) = der::pem::decode_vec(block.as_bytes()).context(path.display())?;
        if label == "X509 CRL" {
            return Crl::parse(der).context(path.display());
        }
    }
    Err(CliError::new(format!("{}: neither DER nor PEM of a revocation list", path.display())))
}

#[cfg(test)]
#[path = "material/tests.rs"]
mod tests;
