//! The parts of a monitor, made from its configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use atl::apki::trust_score::Score;
use atl::client::LogClient;
use atl::keys::Signer;
use atl::log::note::VerifierKey;
use atl::merkle::Hash;
use atl::time::{Clock, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bridge::{Archived, HeadsBridge, opinions, owner};
use super::cosigned::Cosigned;
use super::pages::pages;
use super::recall::recall;
use crate::alert::Courier;
use crate::alert::message::Letterhead;
use crate::board::Board;
use crate::cli::keygen::read_key;
use crate::cli::output::CliError;
use crate::config::MonitorConfig;
use crate::errand::{self, Runner};
use crate::evidence::{Archive, Terms};
use crate::feed::{self, Feed};
use crate::follow::{Follower, Pace, Parts};
use crate::gossip::{self, Gossip};
use crate::heads::Heads;
use crate::http::{Router, Shared, ops};
use crate::rules::Rulebook;
use crate::rules::settings::Owner;
use crate::state::{State, StateError, identity};
use crate::witness::audit::Auditor;
use crate::witness::{self, Witness};

/// A monitor that does not do anything yet.
pub struct Monitor {
    /// What all parts share.
    pub shared: Arc<Shared>,
    /// What is known of heads, for whoever wants to know.
    pub bridge: Arc<HeadsBridge>,
    /// One for each log.
    pub followers: Vec<Follower>,
    /// Runs errands.
    pub runner: Runner,
    /// Brings alerts to people.
    pub courier: Arc<Courier>,
    /// Reads what the owner has ordered.
    pub feed: Option<Feed>,
    /// Talks to other monitors.
    pub gossip: Gossip,
    /// How many names are watched for look-alikes.
    pub names: usize,
}

impl Monitor {
    /// Opens everything that a monitor has: keys, database, evidence, files of names.
    ///
    /// # Errors
    /// Where something of it cannot be opened; it says which file.
    pub fn open(config: &MonitorConfig) -> Result<Self, CliError> {
        let shared = Arc::new(shared(config)?);
        let Shared { state, board, clock, evidence_dir, .. } = &*shared;
        let archive = Archive::open(evidence_dir, Arc::clone(&shared.signer), shared.name.clone()).map_err(failed)?;
        recall(&shared)?;
        let archive = Arc::new(Archived { archive, board: Arc::clone(board) });
        let heads = Heads::open(Arc::clone(state), Arc::clone(board), archive.clone(), Arc::clone(clock));
        let heads = heads.map_err(failed)?;
        let clients = clients(config)?;
        let feed = config.feed.as_ref().map(|feed| Feed::open(feed, Arc::clone(board), Arc::clone(clock)));
        let feed = feed.transpose().map_err(failed)?;
        let newest = feed.as_ref().map(Feed::newest);
        let imitations = feed::watchlist(&config.owner, &config.lookalike).map_err(failed)?;
        let names = imitations.as_ref().map_or(0, |names| names.len());
        let mut rules = config.rules.clone();
        if let Some(bulk) = &mut rules.bulk {
            bulk.key = secret(&*shared.signer)?;
        }
        let rules = Arc::new(Rulebook::new(rules, config.owner.clone(), &shared.logs, imitations, newest.clone()));
        let bridge = Arc::new(HeadsBridge {
            heads: heads.clone(),
            cosigned: Cosigned { board: Arc::clone(board), witnesses: config.witnesses.clone() },
            shared: Arc::clone(&shared),
            witness: OnceLock::new(),
        });
        let followers = config.logs.iter().zip(clients.values_in(&shared)).map(|(followed, client)| {
            Follower::new(Parts {
                followed: followed.clone(),
                client,
                state: Arc::clone(state),
                board: Arc::clone(board),
                rules: rules.clone(),
                heads: bridge.clone(),
                clock: Arc::clone(clock),
                pace: Pace::default(),
            })
        });
        let followers = followers.collect();
        let logs = shared.logs.iter().cloned().zip(clients.values_in(&shared));
        let runner = Runner::new(Arc::clone(state), logs, archive, Arc::clone(board), Arc::clone(clock));
        let runner = runner.with_heads(bridge.clone()).with_most_per_hour(config.rules.most_per_hour);
        let runner = match newest {
            Some(newest) => runner.with_owner(owner(newest), terms(&config.owner)),
            None => runner,
        };
        let letterhead = Letterhead { monitor: config.name.to_string(), public_url: config.public_url.clone() };
        let courier =
            Courier::open(&config.alerts, letterhead, Arc::clone(state), Arc::clone(board), Arc::clone(clock));
        let gossip = Gossip::new(Arc::clone(&shared), heads.clone(), clients.0, &config.gossip).map_err(failed)?;
        Ok(Self { courier: courier.map_err(failed)?, shared, bridge, followers, runner, feed, gossip, names })
    }

    /// Starts all parts but the server.
    pub fn start(self, tasks: &mut JoinSet<Result<(), CliError>>, stop: &watch::Receiver<bool>) {
        for follower in self.followers {
            let run = follower.run(stop.clone());
            tasks.spawn(async move { run.await.map_err(failed) });
        }
        let (run, stopping) = (self.runner, stop.clone());
        tasks.spawn(async move { run.run(stopping).await.map_err(failed) });
        let (courier, stopping) = (self.courier, stop.clone());
        tasks.spawn(async move { courier.run(stopping).await.map_err(failed) });
        if let Some(feed) = self.feed {
            tasks.spawn(super::ending(feed.run(stop.clone())));
        }
        let (gossip, stopping) = (self.gossip, stop.clone());
        tasks.spawn(async move { gossip.run(stopping).await.map_err(failed) });
    }
}

/// The ways to the logs, by origin.
struct Clients(BTreeMap<String, LogClient>);

impl Clients {
    /// In the order of the logs.
    fn values_in(&self, shared: &Shared) -> Vec<LogClient> {
        shared.logs.iter().filter_map(|log| self.0.get(log.origin.as_str()).cloned()).collect()
    }
}

fn clients(config: &MonitorConfig) -> Result<Clients, CliError> {
    let client = |log: &crate::watched::WatchedLog| {
        let client = LogClient::new(&log.url).map_err(|e| CliError::new(format!("the log {}: {e}", log.origin)))?;
        Ok((log.origin.to_string(), client))
    };
    config.logs.iter().map(|followed| client(&followed.log)).collect::<Result<_, _>>().map(Clients)
}

fn shared(config: &MonitorConfig) -> Result<Shared, CliError> {
    make_dir(&config.data_dir)?;
    let file = config.state_file();
    let state = State::open(&file).map_err(|e| unopened(&file, &e))?;
    let signer = read_key(&config.key_file)?;
    claim(&state, config, &signer).map_err(|why| CliError::new(format!("{}: {why}", file.display())))?;
    let witness = match &config.witness {
        Some(witness) => Some(Arc::new(read_key(&witness.key_file)?) as Arc<dyn Signer>),
        None => None,
    };
    Ok(Shared {
        name: config.name.clone(),
        logs: config.logs.iter().map(|followed| followed.log.clone()).collect(),
        peers: config.gossip.peers.clone(),
        state: Arc::new(state),
        board: Arc::new(Board::default()),
        clock: Arc::new(SystemClock) as Arc<dyn Clock>,
        signer: Arc::new(signer),
        witness,
        evidence_dir: config.data_dir.join("evidence"),
    })
}

/// Sees that the database is that of this monitor.
fn claim(state: &State, config: &MonitorConfig, signer: &dyn Signer) -> Result<(), String> {
    let key = VerifierKey::new(config.name.clone(), signer.public_key().clone()).map_err(|e| e.to_string())?;
    if let Some(before) = identity::claim(state, &key).map_err(|e| e.to_string())? {
        tracing::warn!(
            before,
            now = hex::encode(key.id()),
            "the monitor signs with another key than before: peers and readers need the new verifier key"
        );
    }
    Ok(())
}

/// What the owner holds certificates to, as evidence states it.
fn terms(owner: &Owner) -> Terms {
    Terms {
        trust_domains: owner.domains.iter().map(|domain| domain.as_str().to_owned()).collect(),
        organizations: owner.organizations.clone(),
        max_score: owner.max_score.map(Score::get),
    }
}

/// That the database cannot be opened. Two monitors on one directory would tell everything twice.
fn unopened(file: &Path, error: &StateError) -> CliError {
    let file = file.display();
    CliError::new(match error {
        StateError::Database(redb::Error::DatabaseAlreadyOpen) => format!(
            "{file}: another process of the monitor has it open, and one at a time can; stop that one, or give this \
             one a `data_dir` of its own"
        ),
        error => format!("{file}: {error}"),
    })
}

fn make_dir(dir: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(dir).map_err(|e| CliError::new(format!("`data_dir`: {}: {e}", dir.display())))
}

/// Something that nobody else knows and that stays the same: Ed25519 signs alike each time, and nothing of this text
/// is a message of a note.
fn secret(signer: &dyn Signer) -> Result<[u8; 32], CliError> {
    let signature = signer.sign(b"\0atl-monitor: the key of sketches\0").map_err(failed)?;
    Ok(*Hash::of(&signature).as_bytes())
}

/// Everything that the monitor answers.
pub fn routes(config: &MonitorConfig, monitor: &Monitor) -> Result<Router, CliError> {
    let shared = &monitor.shared;
    let router = ops::routes(Router::new(), shared, config.server.max_verified_age_seconds);
    let cosigned = config.data_dir.join("cosigned");
    let router = match Witness::new(shared, &cosigned, monitor.bridge.clone()).map_err(failed)? {
        Some(cosigner) => {
            let cosigner = Arc::clone(monitor.bridge.witness.get_or_init(|| Arc::new(cosigner)));
            witness::routes(router, &cosigner)
        }
        None => router,
    };
    let auditor = Auditor::new(shared, opinions(shared, &monitor.bridge.heads)).map_err(failed)?;
    let router = witness::audit::routes(router, &Arc::new(auditor));
    let (peers, sats) = (Arc::clone(shared), Arc::clone(shared));
    let router = router
        .post(gossip::PATH, gossip::MAX_BODY_OCTETS, move |request| gossip::answer(&peers, request))
        .post("/v1/sats", errand::sats::MAX_BODY, move |request| errand::answer(&sats, request));
    Ok(pages(router, shared, super::summary::watching(config, monitor)))
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(error.to_string())
}
