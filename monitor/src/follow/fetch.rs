//! Fetching bundles: several at once, handed on in order.
//!
//! A bundle may be large, and a log that wants to fill our memory serves many such. So those that are fetched ahead may
//! have their share of what may be in memory and no more; one that is larger, or for which more has to be asked, waits
//! until it is the next one, and is then fetched by itself.

use std::collections::VecDeque;
use std::time::Duration;

use atl::api::{EntriesQuery, EntryResponse};
use atl::client::{ClientError, LogClient, MAX_TILE_OCTETS};
use atl::log::bundle::CertRow;
use atl::merkle::{Hash, LeafIndex, TilePath, Width};
use thiserror::Error;
use tokio::task::{JoinHandle, spawn_blocking};

use super::bundle::{Bundle, Octets, Reading, Served, Shape, Unread};
use super::pace::Pace;

/// More octets than a tile, or the hashes of a bundle, have.
const MAX_HASHES_OCTETS: usize = 16 << 10;

/// Why there is no bundle.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    /// The log gave no answer; another time it may.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The log gave answers, and the entries cannot be read from them.
    #[error("entries from {} on cannot be read in any way: {}", .0.shape.first(), .0.faults.last().map(ToString::to_string).unwrap_or_default())]
    Unread(Unread),
    /// The thread that read it broke off.
    #[error("reading a bundle broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// How bundles are fetched.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    pub client: LogClient,
    /// How long to wait before something that is missing is asked for once more.
    pub patience: Duration,
}

/// A bundle on its way; what is not waited for any more is given up.
struct Fetching(Shape, JoinHandle<Result<Option<Reading>, FetchError>>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.1.abort();
    }
}

/// Bundles on their way, in order.
pub(super) struct Stream<S> {
    fetcher: Fetcher,
    shapes: S,
    queue: VecDeque<Fetching>,
    most: usize,
    octets: usize,
    at_once: usize,
}

impl<S: Iterator<Item = Shape>> Stream<S> {
    /// The bundles of these shapes.
    pub(super) fn new(fetcher: Fetcher, shapes: S, pace: &Pace) -> Self {
        let Pace { at_once: most, octets, .. } = *pace;
        // How large bundles are shows with the first.
        Self { fetcher, shapes, queue: VecDeque::new(), most, octets, at_once: most.min(2) }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Option<Result<Bundle, FetchError>> {
        while self.queue.len() < self.at_once.max(1)
            && let Some(shape) = self.shapes.next()
        {
            let (fetcher, share) = (self.fetcher.clone(), self.octets / self.most.max(1));
            let task = tokio::spawn(async move { fetcher.ahead(shape, share).await });
            self.queue.push_back(Fetching(shape, task));
        }
        let mut front = self.queue.pop_front()?;
        let fetched = (&mut front.1).await.unwrap_or_else(|e| Err(e.into()));
        let fetched = match fetched {
            Ok(ahead) => self.fetcher.finish(front.0, ahead).await,
            Err(error) => Err(error),
        };
        if let Ok(bundle) = &fetched {
            // Where bundles are large there is no use in fetching ahead what is then fetched once more.
            self.at_once = (self.octets / 2 / octets_of(bundle).max(1)).clamp(1, self.most.max(1));
        }
        Some(fetched)
    }
}

/// Octets of certificates and chains in memory.
fn octets_of(bundle: &Bundle) -> usize {
    let of_row = |row: &CertRow| row.certificate.as_ref().map_or(64, Vec::len) + row.chain.len() * Hash::LEN;
    bundle.rows.iter().map(of_row).sum()
}

fn octets_of_entry(entry: &EntryResponse) -> usize {
    entry.submission.iter().chain(&entry.chain).map(|der| der.0.len()).sum()
}

/// How many octets are read.
#[derive(Clone, Copy)]
enum Most {
    /// As many as hashes can have.
    Hashes,
    /// This share of what may be in memory; what is longer may be honest.
    Share(usize),
    /// As many as anything can have.
    All,
}

impl Fetcher {
    /// Fetches and reads one bundle ahead of its turn; `None` where it is larger than its share.
    async fn ahead(&self, shape: Shape, share: usize) -> Result<Option<Reading>, FetchError> {
        match self.bundle(shape, Most::Share(share)).await {
            Err(FetchError::Client(ClientError::TooLong { .. })) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Fetches and reads one bundle.
    async fn bundle(&self, shape: Shape, most: Most) -> Result<Reading, FetchError> {
        let (certs, entries, tiles) = tokio::try_join!(
            self.rows(shape, TilePath::certs, most),
            self.rows(shape, TilePath::entries, Most::Hashes),
            self.tiles(shape)
        )?;
        let served = Served { certs, entries, tiles };
        Ok(spawn_blocking(move || served.read(shape)).await?)
    }

    /// Does what is left to do for a bundle whose turn it is, and asks `get-entries` where it is not whole.
    async fn finish(&self, shape: Shape, ahead: Option<Reading>) -> Result<Bundle, FetchError> {
        let reading = match ahead {
            Some(reading) => reading,
            None => self.bundle(shape, Most::All).await?,
        };
        let wanting = match reading {
            Reading::Whole(bundle) => return Ok(bundle),
            Reading::Wanting(wanting) => wanting,
        };
        let answer = self.entries(wanting.shape()).await?;
        spawn_blocking(move || wanting.complete(answer.as_deref())).await?.map_err(FetchError::Unread)
    }

    async fn tiles(&self, shape: Shape) -> Result<Vec<(atl::merkle::TileId, Option<Vec<u8>>)>, ClientError> {
        let mut tiles = Vec::new();
        for id in shape.tiles() {
            tiles.push((id, self.again(TilePath::hashes(id, Width::FULL), Most::Hashes).await?));
        }
        Ok(tiles)
    }

    /// The rows of a bundle: as wide as asked for, or the whole bundle where the log has only that any more.
    async fn rows(
        &self,
        shape: Shape,
        path: fn(u64, Width) -> TilePath,
        most: Most,
    ) -> Result<Option<Octets>, ClientError> {
        let exact = path(shape.index, shape.width);
        if shape.width.is_full() {
            return Ok(self.again(exact, most).await?.map(Octets::from));
        }
        if let Some(octets) = self.get(exact, most).await? {
            return Ok(Some(octets.into()));
        }
        if let Some(octets) = self.get(path(shape.index, Width::FULL), most).await? {
            return Ok(Some(Octets { octets, wider: true }));
        }
        tokio::time::sleep(self.patience).await;
        Ok(self.get(exact, most).await?.map(Octets::from))
    }

    /// What lies at `path`, asked for twice before it counts as missing: a copy of the log may be a moment behind.
    async fn again(&self, path: TilePath, most: Most) -> Result<Option<Vec<u8>>, ClientError> {
        if let Some(octets) = self.get(path, most).await? {
            return Ok(Some(octets));
        }
        tokio::time::sleep(self.patience).await;
        self.get(path, most).await
    }

    /// What lies at `path`; `None` where nothing does, or something that is longer than anything that could.
    async fn get(&self, path: TilePath, most: Most) -> Result<Option<Vec<u8>>, ClientError> {
        let limit = match most {
            Most::Hashes => MAX_HASHES_OCTETS,
            Most::Share(share) => share,
            Most::All => MAX_TILE_OCTETS,
        };
        match self.client.tile_within(&path.to_string(), limit).await {
            Ok(octets) => Ok(Some(octets)),
            Err(error) if matches!(error.status(), Some(404 | 410)) => Ok(None),
            Err(ClientError::TooLong { .. }) if !matches!(most, Most::Share(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The answers of `get-entries` for all entries of a bundle; `None` where the log refuses or gives others.
    async fn entries(&self, shape: Shape) -> Result<Option<Vec<EntryResponse>>, ClientError> {
        let range = shape.entries();
        let mut entries: Vec<EntryResponse> = Vec::new();
        let mut left = MAX_TILE_OCTETS;
        while entries.len() < shape.width.get() {
            let start = range.start + entries.len() as u64;
            let query = EntriesQuery { start: LeafIndex::new(start), end: LeafIndex::new(range.end - 1) };
            match self.client.entries(query).await {
                Ok(page) if page.entries.is_empty() || page.entries.len() > shape.width.get() - entries.len() => {
                    return Ok(None);
                }
                Ok(page) => {
                    // A page may be long, but all of them together not longer than the bundle could be.
                    match left.checked_sub(page.entries.iter().map(octets_of_entry).sum()) {
                        Some(rest) => left = rest,
                        None => return Ok(None),
                    }
                    entries.extend(page.entries);
                }
                Err(ClientError::Unparsable { .. } | ClientError::TooLong { .. }) => return Ok(None),
                Err(error) if error.status().is_some_and(|status| (400..429).contains(&status)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(entries))
    }
}
