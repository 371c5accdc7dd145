//! Collects cosignatures for a log that serves: a task for each witness, in the background.
//!
//! Nothing waits for these tasks. They are told of heads that are signed and published already, read the store as
//! any reader does, on threads that may block, and have one request under way each, within a bounded time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::cli::output::{CliError, Context};
use crate::client::{ClientError, WitnessAnswer, WitnessClient};
use crate::config::LogConfig;
use crate::http::log::LogService;
use crate::http::metrics::Metrics;
use crate::http::serve::stopped;
use crate::keys::PublicKey;
use crate::log::cosignature::{WitnessKey, WitnessQuorum};
use crate::log::note::Note;
use crate::log::store::LogStore;
use crate::log::view::View;
use crate::log::witnessing::{AddCheckpoint, Cosignature, Turn, WitnessTurns};
use crate::merkle::{Hash, TreeSize};
use crate::sequencer::head::PublishedHead;
use crate::sequencer::task::Sequencer;
use crate::time::Clock;

/// How long a witness may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A witness that is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The key that its cosignatures are held against.
    pub key: WitnessKey,
    client: WitnessClient,
}

/// The witnesses of the configuration of a log with this key.
pub fn witnesses(config: &LogConfig, own: &PublicKey) -> Result<Vec<Asked>, CliError> {
    let asked = config.witnesses.iter().enumerate().map(|(place, witness)| {
        let key: WitnessKey = witness.vkey.parse().context(format_args!("`witnesses[{place}].vkey`"))?;
        if key.key() == own {
            let text =
                format!("`witnesses[{place}].vkey`: it is the log's own key, and to witness oneself says nothing");
            return Err(CliError::new(text));
        }
        let client = WitnessClient::new(&witness.url).context(format_args!("`witnesses[{place}].url`"))?;
        Ok(Asked { key, client })
    });
    let asked = asked.collect::<Result<Vec<_>, _>>()?;
    if !asked.is_empty() {
        // Neither a name nor a key may count as two witnesses.
        let keys = asked.iter().map(|asked| asked.key.clone()).collect();
        WitnessQuorum::new(keys, 1).context("`witnesses`")?;
    }
    Ok(asked)
}

/// What the tasks of one log work with.
#[derive(Clone)]
pub struct Collector {
    /// Tells of new heads.
    pub sequencer: Arc<Sequencer>,
    /// Where consistency proofs are read from.
    pub store: Arc<dyn LogStore>,
    /// Serves what was collected.
    pub service: Arc<LogService>,
    /// Where measurements go.
    pub metrics: Arc<Metrics>,
    /// The log's clock.
    pub clock: Arc<dyn Clock>,
}

/// Why a request brought no cosignature.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error(transparent)]
    Cosignature(#[from] crate::log::witnessing::BadCosignature),
    #[error(
        "it has cosigned a tree of {remembers} entries, and ours has {ours}: is the database an older copy, or is \
             another log running under this key?"
    )]
    Larger { remembers: TreeSize, ours: TreeSize },
    #[error(
        "it holds that our tree of {size} entries does not continue the one of {old} that it remembers: is the database \
             an older copy that has grown since, or is another log running under this key?"
    )]
    Inconsistent { old: TreeSize, size: TreeSize },
    #[error("it says each time that it remembers another tree, {0} entries now")]
    Undecided(TreeSize),
    #[error("the consistency proof from {old} entries: {why}")]
    Proof { old: TreeSize, why: String },
    #[error("our own checkpoint: {0}")]
    Checkpoint(#[from] crate::log::note::NoteError),
}

impl Failure {
    /// For how many milliseconds the witness wants to be left alone.
    fn asked_ms(&self) -> u64 {
        let wait = match self {
            Self::Client(error) => error.retry_after(),
            _ => None,
        };
        wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Collector {
    /// Asks the witness at this place for every new head, until `stop` turns true.
    pub async fn collect(self, place: usize, asked: Asked, mut stop: watch::Receiver<bool>) {
        self.metrics.knows_witness(asked.key.name().as_str());
        tokio::select! {
            () = self.forever(place, &asked) => {}
            () = stopped(&mut stop) => {}
        }
    }

    async fn forever(&self, place: usize, asked: &Asked) {
        let (mut heads, mut turns) = (self.sequencer.heads(), WitnessTurns::new());
        loop {
            let head = Arc::clone(&heads.borrow_and_update());
            let now = self.clock.now();
            let until = match turns.next(&head.sth.head, now) {
                Turn::Ask { old } => {
                    self.turn(place, asked, &head, old, &mut turns).await;
                    continue;
                }
                Turn::At(moment) => Some(Duration::from_millis(moment.since(now).max(1))),
                Turn::Idle => None,
            };
            let looked = async {
                match until {
                    Some(until) => timeout(until, heads.changed()).await.unwrap_or(Ok(())),
                    None => heads.changed().await,
                }
            };
            if looked.await.is_err() {
                return; // no head will follow
            }
        }
    }

    /// One request, and what follows from its answer.
    async fn turn(&self, place: usize, asked: &Asked, head: &PublishedHead, old: TreeSize, turns: &mut WitnessTurns) {
        let name = asked.key.name().as_str();
        let answer = self.ask(asked, head, old).await;
        let now = self.clock.now();
        let failure = match answer {
            Ok(Answer::Cosigned(cosignature)) => {
                tracing::debug!(witness = name, size = %head.sth.head.size, at = %cosignature.at(), "cosigned");
                self.metrics.witness_cosigned(name, now);
                self.service.cosigned(place, cosignature);
                turns.cosigned(head.sth.head, now);
                return;
            }
            Ok(Answer::Remembers(size)) => {
                if turns.conflicted(size, &head.sth.head, now) {
                    return;
                }
                let ours = head.sth.head.size;
                if size > ours { Failure::Larger { remembers: size, ours } } else { Failure::Undecided(size) }
            }
            Err(failure) => {
                turns.failed(now, failure.asked_ms());
                failure
            }
        };
        self.metrics.witness_failed(name);
        tracing::warn!(witness = name, url = asked.client.base_url(), %failure, "no cosignature");
    }

    async fn ask(&self, asked: &Asked, head: &PublishedHead, old: TreeSize) -> Result<Answer, Failure> {
        let size = head.sth.head.size;
        let consistency = self.consistency(old, size).await?;
        let request = AddCheckpoint { old, consistency: &consistency, checkpoint: &head.checkpoint };
        match timeout(PATIENCE, asked.client.add_checkpoint(&request)).await.map_err(|_| Failure::Late)?? {
            WitnessAnswer::Lines(body) => {
                let checkpoint = Note::parse(head.checkpoint.as_bytes())?;
                Ok(Answer::Cosigned(Cosignature::read(&body, &checkpoint, &asked.key, self.clock.now())?))
            }
            WitnessAnswer::Remembers(remembered) => Ok(Answer::Remembers(remembered)),
            WitnessAnswer::Inconsistent => Err(Failure::Inconsistent { old, size }),
        }
    }

    async fn consistency(&self, old: TreeSize, size: TreeSize) -> Result<Vec<Hash>, Failure> {
        let store = Arc::clone(&self.store);
        let proof = tokio::task::spawn_blocking(move || View::new(&*store, size).consistency(old, size));
        match proof.await {
            Ok(Ok(proof)) => Ok(proof),
            // Damage stops the log where readers come upon it; here it stops a request.
            Ok(Err(error)) => Err(Failure::Proof { old, why: error.to_string() }),
            Err(error) => Err(Failure::Proof { old, why: error.to_string() }),
        }
    }
}

/// What a request brought.
enum Answer {
    Cosigned(Cosignature),
    Remembers(TreeSize),
}
