//! What a gateway decides by, kept up to date: from files, from where revocation lists are, and from what is asked
//! for about single agents.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::snapshot::Snapshot;
use crate::cli::output::CliError;
use crate::cli::relying::online::{Online, Question};
use crate::http::gateway::metrics::GatewayMetrics;
use crate::http::gateway::ports::{Answer, Check, Knowledge, Lesson, Material, Unsettled};
use crate::time::Clock;
use crate::verify::relying::{RevocationLists, RevocationMode};

/// The files, as they are now.
pub struct Known {
    file: PathBuf,
    current: RwLock<Arc<Snapshot>>,
    /// One change at a time; why the files cannot be used, where they cannot.
    changing: Mutex<Option<String>>,
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
        Ok(Self { file, current, changing, clock, metrics })
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
                let new = keep_lists(new, &before);
                needs_start(&new, &before);
                tell(&new);
                tracing::info!(generation = new.material.generation, "decides by new files");
                self.put(new);
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

    /// Takes in revocation lists, where what they were taken for still holds.
    pub fn learn_lists(&self, lists: &RevocationLists, generation: u64) {
        let _changing = self.changing.lock();
        let before = self.snapshot();
        if before.material.generation == generation {
            let mut all = before.lists().clone();
            all.merge(lists);
            self.put(before.with_lists(all));
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
        if !Arc::ptr_eq(&before, &facts.revocations.lists) {
            self.learn_lists(&facts.revocations.lists, material.generation);
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
        vec![Check { name: "material", ok: true, detail }, self.lists_are_fresh(&snapshot)]
    }
}

impl Known {
    /// Lists that are named in the configuration are there and have not run out, where the policy insists on knowing.
    fn lists_are_fresh(&self, snapshot: &Snapshot) -> Check {
        let lists = snapshot.lists();
        let wanted = snapshot.remote.len();
        let (ok, detail) = match lists.good_until() {
            _ if lists.len() < wanted => (false, format!("{} of {wanted} lists are there", lists.len())),
            None => (true, "none is configured".to_owned()),
            Some(until) => (self.clock.now() <= until, format!("{} lists, good until {until}", lists.len())),
        };
        let insists = snapshot.material.party.policy.revocation.mode == RevocationMode::HardFail;
        Check { name: "lists", ok: ok || !insists, detail }
    }
}

/// New files with the lists that were fetched before, as far as they still count.
fn keep_lists(new: Snapshot, before: &Snapshot) -> Snapshot {
    if new.material.generation != before.material.generation {
        return new;
    }
    let mut lists = new.lists().clone();
    lists.merge(before.lists());
    new.with_lists(lists)
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
