//! Everything that a gateway decides by, read from its files at one time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::digest;
use super::routes::routes;
use crate::apki::Certificate;
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context};
use crate::cli::relying::material::{Material as Loaded, MonitorSource, RemoteList};
use crate::cli::relying::online::Net;
use crate::config::relying::{Fetch, ListSource, Trusted};
use crate::config::{GatewayConfig, RelyingConfig};
use crate::http::gateway::ports::Material;
use crate::keys::LogId;
use crate::time::UnixMillis;
use crate::verify::relying::{Audited, ChargedTo, Facts, RevocationLists, Revocations};

/// Most octets of an audit statement.
const MAX_AUDIT: u64 = 64 << 10;

/// How often files are read anew that change meanwhile.
const TRIES: usize = 3;

/// What the files said, and what of it decides.
#[derive(Clone)]
pub struct Snapshot {
    /// The gateway's own file.
    pub config: GatewayConfig,
    /// The relying party, with what it needs to ask others. Its lists that are elsewhere are in `remote`.
    pub loaded: Loaded,
    /// What may be asked for about one agent and by which connections, where anything may. Audits are about all of
    /// them, and are not asked for on anybody's account.
    pub fetch: Option<(Fetch, Net)>,
    /// Whether audits may be asked for.
    may_audit: bool,
    /// Audits that were in files.
    filed: Vec<Audited>,
    /// Audits that were fetched.
    pub audited: FetchedAudits,
    /// Revocation lists to fetch.
    pub remote: Vec<RemoteList>,
    /// Those of them that were fetched.
    pub fetched: Fetched,
    /// Revocation lists that agents' certificates name.
    pub learned: RevocationLists,
    /// What decides.
    pub material: Arc<Material>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    digests: Digests,
}

/// The revocation lists that were fetched: each by where it is and who signs it, as SHA-256 of the certificate.
pub type Fetched = BTreeMap<(String, [u8; 32]), RevocationLists>;

/// The audits that were fetched: each by the monitor's verifier key and the log.
pub type FetchedAudits = BTreeMap<(String, [u8; 32]), Audited>;

/// What was in the files.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Digests {
    /// Those that say who is trusted and what is wanted.
    party: [u8; 32],
    /// Those that say what is known: lists and audits.
    facts: [u8; 32],
}

impl Snapshot {
    /// Reads the configuration in `file` and all that it names. `None` where it is all as in `before`.
    pub fn read(file: &Path, before: Option<&Self>) -> Result<Option<Self>, CliError> {
        Self::read_while(file, before, &mut || {})
    }

    /// The same; `meanwhile` is called between the two looks at what is in the files. What was read between looks
    /// that do not agree may be half of the one and half of the other, and the next look would take it for the new.
    pub(super) fn read_while(
        file: &Path,
        before: Option<&Self>,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Option<Self>, CliError> {
        for _ in 0..TRIES {
            let (config, relying) = parse(file)?;
            let digests = Digests::of(file, &config, &relying)?;
            if before.is_some_and(|before| before.digests == digests) {
                return Ok(None);
            }
            let same_party = before.filter(|before| before.digests.party == digests.party);
            let generation = match (before, same_party) {
                (None, _) => 1,
                (Some(_), Some(before)) => before.material.generation,
                (Some(before), None) => before.material.generation + 1,
            };
            // The first reading said which files there are. What counts is what they say behind the first look.
            let (config, relying) = parse(file)?;
            let snapshot = Self::load(file, config, &relying, digests, generation)?;
            meanwhile();
            if Digests::of(file, &snapshot.config, &relying)? == digests {
                return Ok(Some(snapshot));
            }
        }
        Err(CliError::new(format!("{}: it, or what it names, changes while it is read: look again", file.display())))
    }

    fn load(
        file: &Path,
        config: GatewayConfig,
        relying: &RelyingConfig,
        digests: Digests,
        generation: u64,
    ) -> Result<Self, CliError> {
        let mut loaded = Loaded::load(relying, &config.relying_party)?;
        let remote = std::mem::take(&mut loaded.remote_lists);
        let mut notes = std::mem::take(&mut loaded.notes);
        let key = |key: &str| format!("{}: `{key}`", file.display());
        let issuers = config.issuers.as_ref().map(|path| read_certificates(path));
        let audits = config.audits.as_ref().map(|dir| audits(dir, &loaded, &mut notes));
        let revocations = Revocations { lists: Arc::clone(&loaded.lists), ..Revocations::default() };
        let audits = audits.transpose().context(key("audits"))?.unwrap_or_default();
        let material = Material {
            generation,
            party: loaded.party.clone(),
            issuers: issuers.transpose().context(key("issuers"))?.unwrap_or_default(),
            facts: Facts { revocations, audits: audits.clone(), ..Facts::default() },
            routes: routes(&config.routes, file)?,
            charged: if relying.limits.charge_ancestors { ChargedTo::Line } else { ChargedTo::Agent },
        };
        let material = Arc::new(material);
        let may_audit = relying.fetch.as_ref().is_some_and(|rules| rules.audits);
        let rules = relying.fetch.clone().map(|rules| Fetch { audits: false, ..rules });
        let fetch = rules.map(|rules| Net::open(&rules).map(|net| (rules, net)));
        let (fetch, fetched, learned) = (fetch.transpose()?, Fetched::new(), RevocationLists::default());
        let (filed, audited) = (audits, FetchedAudits::new());
        Ok(Self {
            config,
            loaded,
            fetch,
            may_audit,
            filed,
            audited,
            remote,
            fetched,
            learned,
            material,
            notes,
            digests,
        })
    }

    /// The same with these revocation lists beside those that are files.
    pub fn with_lists(&self, fetched: Fetched, learned: RevocationLists) -> Self {
        let mut lists = self.loaded.lists.as_ref().clone();
        fetched.values().for_each(|list| lists.merge(list));
        lists.merge(&learned);
        let mut material = Material::clone(&self.material);
        material.facts.revocations.lists = Arc::new(lists);
        Self { fetched, learned, material: Arc::new(material), notes: Vec::new(), ..self.clone() }
    }

    /// The same with these audits beside those that are files.
    pub fn with_audits(&self, audited: FetchedAudits) -> Self {
        let mut material = Material::clone(&self.material);
        material.facts.audits = self.filed.iter().chain(audited.values()).copied().collect();
        Self { audited, material: Arc::new(material), ..self.clone() }
    }

    /// The same with the audits that were fetched before, as far as they are still wanted and the log has no other
    /// name now: they were signed by a monitor that is known still.
    pub fn with_audits_of(&self, before: &Self) -> Self {
        let origin = |snapshot: &Self, log: &LogId| {
            snapshot.material.party.logs.get(log).map(|log| log.origin.as_ref().map(ToString::to_string))
        };
        let wanted = self.audits_wanted().into_iter().filter(|(_, log)| origin(self, log) == origin(before, log));
        let kept = wanted.filter_map(|(monitor, log)| {
            let key = audit_key(monitor, &log);
            Some((key.clone(), *before.audited.get(&key)?))
        });
        self.with_audits(kept.collect())
    }

    /// The audits to fetch: of each monitor that can be asked about every log, where the policy wants any.
    pub fn audits_wanted(&self) -> Vec<(&MonitorSource, LogId)> {
        let party = &self.material.party;
        if !self.may_audit || party.policy.audited_within.is_none() {
            return Vec::new();
        }
        let of = |monitor| party.logs.iter().map(move |log| (monitor, log.key.log_id()));
        self.loaded.monitor_sources.iter().flat_map(of).collect()
    }

    /// The network by which monitors are asked, where they may be.
    pub fn audit_net(&self) -> Option<&Net> {
        self.fetch.as_ref().map(|(_, net)| net).filter(|_| self.may_audit)
    }

    /// The same with the lists that were fetched before, as far as they are still wanted, until newer ones come.
    /// Their signatures were verified; what they count for is found anew. What certificates named is kept where the
    /// issuers signed it themselves; whoever signs for others may no longer be the one who is known for it.
    pub fn with_lists_of(&self, before: &Self) -> Self {
        let domains = &self.material.party.domains;
        let mut fetched = Fetched::new();
        for key in self.remote.iter().map(key_of) {
            if let Some(lists) = before.fetched.get(&key) {
                fetched.insert(key, lists.under(domains));
            }
        }
        let mut learned = before.learned.under(domains);
        learned.retain(|signer, indirect| !indirect || self.loaded.list_signers.contains(signer));
        let mut new = self.with_lists(fetched, learned);
        new.notes.clone_from(&self.notes);
        new
    }

    /// How many of the lists that are elsewhere were never fetched.
    pub fn missing(&self) -> usize {
        self.remote.iter().filter(|list| !self.fetched.contains_key(&key_of(list))).count()
    }

    /// Until when the lists of the configuration that are at hand are all good, where there are any.
    pub fn good_until(&self) -> Option<UnixMillis> {
        let lists = [&*self.loaded.lists].into_iter().chain(self.fetched.values());
        lists.filter_map(RevocationLists::good_until).min()
    }

    /// The revocation lists at hand.
    pub fn lists(&self) -> &RevocationLists {
        &self.material.facts.revocations.lists
    }
}

fn parse(file: &Path) -> Result<(GatewayConfig, RelyingConfig), CliError> {
    let config = GatewayConfig::load(file).map_err(|e| CliError::new(e.to_string()))?;
    let relying = RelyingConfig::load(&config.relying_party).map_err(|e| CliError::new(e.to_string()))?;
    Ok((config, relying))
}

/// What a list that is elsewhere is known by.
pub fn key_of(list: &RemoteList) -> (String, [u8; 32]) {
    (list.url.clone(), list.signer.fingerprint())
}

/// What an audit of a monitor that is asked about a log is known by.
pub fn audit_key(monitor: &MonitorSource, log: &LogId) -> (String, [u8; 32]) {
    (monitor.key.to_string(), *log.as_bytes())
}

impl Digests {
    fn of(file: &Path, config: &GatewayConfig, relying: &RelyingConfig) -> Result<Self, CliError> {
        let mut party: Vec<&Path> = vec![file, &config.relying_party];
        party.extend(relying.domains.iter().map(|domain| match &domain.trusted {
            Trusted::Roots(path) | Trusted::Bundle(path) => path.as_path(),
        }));
        let roots = relying.fetch.as_ref().and_then(|fetch| fetch.ca_roots.as_ref());
        let more = [config.issuers.as_ref(), relying.federation_dir.as_ref(), roots];
        party.extend(more.into_iter().flatten().map(PathBuf::as_path));
        let mut facts: Vec<&Path> = Vec::new();
        for list in &relying.revocation_lists {
            facts.push(&list.signer);
            if let ListSource::File(path) = &list.source {
                facts.push(path);
            }
        }
        facts.extend(config.audits.as_deref());
        Ok(Self { party: digest(party)?, facts: digest(facts)? })
    }
}

/// The audit statements in a directory. One that says nothing here is noted, and does not keep the others out.
fn audits(dir: &Path, loaded: &Loaded, notes: &mut Vec<String>) -> Result<Vec<Audited>, CliError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).context(dir.display())? {
        let path = entry.context(dir.display())?.path();
        let size = fs::metadata(&path).context(path.display())?.len();
        if path.is_dir() || size > MAX_AUDIT {
            notes.push(format!("{}: no audit statement", path.display()));
            continue;
        }
        let octets = fs::read(&path).context(path.display())?;
        match Audited::from_statement(&octets, &loaded.monitors, &loaded.party.logs) {
            Ok(audit) => found.push(audit),
            Err(error) => notes.push(format!("{}: {error}", path.display())),
        }
    }
    Ok(found)
}

/// The certificates of these CAs, for a table.
pub fn names(issuers: &[Certificate]) -> String {
    issuers.iter().map(|issuer| hex::encode(issuer.fingerprint())).collect::<Vec<_>>().join(", ")
}
