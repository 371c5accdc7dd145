//! What a gateway decides by, kept up to date: from files, from where revocation lists are, and from what is asked
//! for about single agents.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::snapshot::{Snapshot, audit_key, key_of};
use crate::cli::output::CliError;
use crate::cli::relying::material::{MonitorSource, RemoteList};
use crate::cli::relying::online::{Online, Question};
use crate::http::gateway::metrics::GatewayMetrics;
use crate::http::gateway::ports::{Answer, Check, Knowledge, Lesson, Material, Unsettled};
use crate::time::Clock;
use crate::verify::relying::{Audited, RevocationLists, RevocationMode};

/// Most revocation lists that are kept because certificates name them, and most octets of them.
const MAX_LEARNED: (usize, usize) = (256, 64 << 20);

/// The files, as they are now.
pub struct Known {
    file: PathBuf,
    current: RwLock<Arc<Snapshot>>,
    /// One change at a time; why the files cannot be used, where they cannot.
    changing: Mutex<Option<String>>,
    news: Notify,
    audit_news: Notify,
    clock: Arc<dyn Clock>,
    metrics: Arc<GatewayMetrics>,
}

impl Known {
    /// What the configuration in `file` says, for the first time.
    pub fn open(file: PathBuf, clock: Arc<dyn Clock>, metrics: Arc<GatewayMetrics>) -> Result<Self, CliError> {
        let missing = || CliError::new(format!("{}: it cannot be read", file.display()));
        let snapshot = Snapshot::read(&file, None)?.ok_or_else(missing)?;
        tell(&snapshot);
        metrics.has_lists(snapshot.lists().len());
        let (current, changing) = (RwLock::new(Arc::new(snapshot)), Mutex::new(None));
        let (news, audit_news) = (Notify::new(), Notify::new());
        Ok(Self { file, current, changing, news, audit_news, clock, metrics })
    }

    /// What is so now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read())
    }

    /// Looks whether the files say something else. What cannot be used is said, once, and what was before stays.
    pub fn look(&self) {
        let mut broken = self.changing.lock();
        let before = self.snapshot();
        match Snapshot::read(&self.file, Some(&before)) {
            Ok(None) => {
                if broken.take().is_some() {
                    tracing::info!("the files are again as they were");
                }
                self.metrics.reloaded("same");
            }
            Ok(Some(new)) => {
                *broken = None;
                let new = new.with_lists_of(&before).with_audits_of(&before);
                needs_start(&new, &before);
                tell(&new);
                tracing::info!(generation = new.material.generation, "decides by new files");
                self.put(new);
                self.news.notify_one();
                self.audit_news.notify_one();
                self.metrics.reloaded("new");
            }
            Err(error) => {
                let why = error.to_string();
                if broken.as_ref() != Some(&why) {
                    tracing::error!(error = %why, "the files cannot be used, and what they said before stays in force");
                }
                *broken = Some(why);
                self.metrics.reloaded("failed");
            }
        }
    }

    /// Waits until the files said something else than when this was asked before.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// The same, for whoever fetches audits.
    pub async fn audit_news(&self) {
        self.audit_news.notified().await;
    }

    /// Takes in what a monitor says of a log, where what it was taken for still holds.
    pub fn audited(&self, monitor: &MonitorSource, audited: Audited, generation: u64) {
        let _changing = self.changing.lock();
        let before = self.snapshot();
        let mut wanted = before.audits_wanted().into_iter();
        if before.material.generation != generation || !wanted.any(|(m, log)| m == monitor && log == audited.log) {
            return;
        }
        let (key, mut all) = (audit_key(monitor, &audited.log), before.audited.clone());
        // An older one does not take the place of a newer one.
        if all.get(&key).is_none_or(|known| known.at < audited.at) {
            all.insert(key, audited);
            self.put(before.with_audits(all));
        }
    }

    /// Takes in what was fetched for a list of the configuration, where what it was taken for still holds.
    pub fn fetched(&self, list: &RemoteList, lists: &RevocationLists, generation: u64) {
        let _changing = self.changing.lock();
        let before = self.snapshot();
        let is_wanted = before.remote.iter().any(|wanted| key_of(wanted) == key_of(list));
        if before.material.generation == generation && is_wanted {
            let mut fetched = before.fetched.clone();
            // An older one does not take the place of a newer one.
            fetched.entry(key_of(list)).or_default().merge(lists);
            self.put(before.with_lists(fetched, before.learned.clone()));
        }
    }

    /// Takes in lists that certificates name, likewise. As many as there is room for: whoever issues certificates
    /// can name any number.
    pub(super) fn learned(&self, lists: &RevocationLists, generation: u64) {
        let _changing = self.changing.lock();
        let before = self.snapshot();
        if before.material.generation == generation {
            let mut learned = before.learned.clone();
            learned.merge(lists);
            learned.bound(self.clock.now(), MAX_LEARNED.0, MAX_LEARNED.1);
            self.put(before.with_lists(before.fetched.clone(), learned));
        }
    }

    /// Drops the lists that certificates named and that have run out.
    pub fn forget(&self) {
        let snapshot = self.snapshot();
        if !snapshot.learned.is_empty() {
            self.learned(&RevocationLists::default(), snapshot.material.generation);
        }
    }

    fn put(&self, new: Snapshot) {
        self.metrics.has_lists(new.lists().len());
        *self.current.write() = Arc::new(new);
    }

    async fn ask(&self, material: &Material, about: Unsettled<'_>) -> Option<Lesson> {
        let snapshot = self.snapshot();
        let (rules, net) = snapshot.fetch.as_ref()?;
        // What another relying party examines is nothing to this one.
        if snapshot.material.generation != material.generation {
            return None;
        }
        let online = Online::over(net, &snapshot.loaded, rules);
        let Unsettled { presented, operation, mut facts, now } = about;
        let before = Arc::clone(&facts.revocations.lists);
        let question = Question { operation: Some(operation), at: now, past: false };
        let examination = online.examine(presented, question, now, &mut facts).await;
        for note in &facts.notes {
            tracing::warn!(certificate = %note.subject, "{}", note.detail);
        }
        self.metrics.fetched("about_agents", facts.notes.is_empty());
        let learned = facts.revocations.lists.since(&before);
        if !learned.is_empty() {
            self.learned(&learned, material.generation);
        }
        Some(Lesson { examination, facts })
    }
}

impl Knowledge for Known {
    fn material(&self) -> Arc<Material> {
        Arc::clone(&self.current.read().material)
    }

    fn learn<'a>(&'a self, material: &'a Material, about: Unsettled<'a>) -> Answer<'a, Option<Lesson>> {
        Box::pin(self.ask(material, about))
    }

    fn checks(&self) -> Vec<Check> {
        let snapshot = self.snapshot();
        // It may just be looked at, and that is no reason to wait.
        let broken = self.changing.try_lock().and_then(|broken| broken.clone());
        let detail = match broken {
            None => format!("generation {}", snapshot.material.generation),
            Some(why) => format!("as before, since the files cannot be used: {why}"),
        };
        let mut checks = vec![Check { name: "material", ok: true, detail }, self.lists_are_fresh(&snapshot)];
        checks.extend(audits_are_there(&snapshot));
        checks
    }
}

impl Known {
    /// Lists that are named in the configuration were fetched, where revocation counts; and have not run out, where
    /// the policy insists on knowing. Those that certificates name are asked for when they are needed.
    fn lists_are_fresh(&self, snapshot: &Snapshot) -> Check {
        let mode = snapshot.material.party.policy.revocation.mode;
        let (wanted, missing) = (snapshot.remote.len(), snapshot.missing());
        let (ok, detail) = match snapshot.good_until() {
            _ if missing > 0 => {
                let detail = format!("{missing} of {wanted} lists to fetch were not had yet");
                (mode == RevocationMode::Off, detail)
            }
            None => (true, "none is configured".to_owned()),
            Some(until) => {
                let is_good = self.clock.now() <= until;
                (
                    is_good || mode != RevocationMode::HardFail,
                    format!("those of the configuration are good until {until}"),
                )
            }
        };
        Check { name: "lists", ok, detail }
    }
}

/// Where logs have to be audited and monitors are asked about them: without a single statement everybody is refused.
fn audits_are_there(snapshot: &Snapshot) -> Option<Check> {
    let wanted = snapshot.audits_wanted().len();
    let (found, all) = (snapshot.audited.len(), snapshot.material.facts.audits.len());
    let detail = format!("{found} of {wanted} to fetch, and {} in files", all - found.min(all));
    (wanted > 0).then_some(Check { name: "audits", ok: all > 0, detail })
}

fn tell(snapshot: &Snapshot) {
    for note in &snapshot.notes {
        tracing::warn!("{note}");
    }
}

/// What is set at the start.
fn needs_start(new: &Snapshot, before: &Snapshot) {
    let (new, old) = (&new.config, &before.config);
    let same = new.listen == old.listen
        && new.proxy == old.proxy
        && new.secret_sha256 == old.secret_sha256
        && new.ledger == old.ledger
        && new.refresh == old.refresh
        && new.metrics_listen == old.metrics_listen;
    if !same {
        tracing::warn!(
            "`listen`, `proxy`, `secret_sha256`, `ledger`, `refresh` and `metrics` are read at the start: what is new of \
             these is not in force yet"
        );
    }
}
