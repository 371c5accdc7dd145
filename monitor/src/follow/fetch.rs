//! Fetching bundles: several at once, handed on in order.

use std::collections::VecDeque;
use std::time::Duration;

use atl::api::{EntriesQuery, EntryResponse};
use atl::client::{ClientError, LogClient};
use atl::merkle::{LeafIndex, TilePath, Width};
use thiserror::Error;
use tokio::task::{JoinHandle, spawn_blocking};

use super::bundle::{Bundle, Octets, Reading, Served, Shape, Unread};

/// Most octets of bundles that are fetched at once, as far as the last one tells how large they are.
const MOST_OCTETS: usize = 16 << 20;

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
struct Fetching(JoinHandle<Result<Bundle, FetchError>>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Bundles on their way, in order.
pub(super) struct Stream<S> {
    fetcher: Fetcher,
    shapes: S,
    queue: VecDeque<Fetching>,
    most: usize,
    at_once: usize,
}

impl<S: Iterator<Item = Shape>> Stream<S> {
    /// The bundles of these shapes, at most `most` of them at once.
    pub(super) fn new(fetcher: Fetcher, shapes: S, most: usize) -> Self {
        // How large bundles are shows with the first.
        Self { fetcher, shapes, queue: VecDeque::new(), most, at_once: most.min(2) }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Option<Result<Bundle, FetchError>> {
        while self.queue.len() < self.at_once.max(1)
            && let Some(shape) = self.shapes.next()
        {
            let fetcher = self.fetcher.clone();
            self.queue.push_back(Fetching(tokio::spawn(async move { fetcher.bundle(shape).await })));
        }
        let mut front = self.queue.pop_front()?;
        let fetched = (&mut front.0).await.unwrap_or_else(|e| Err(e.into()));
        if let Ok(bundle) = &fetched {
            let octets: usize = bundle.rows.iter().map(|row| row.certificate.as_ref().map_or(64, Vec::len)).sum();
            self.at_once = (MOST_OCTETS / octets.max(1)).clamp(1, self.most.max(1));
        }
        Some(fetched)
    }
}

impl Fetcher {
    /// Fetches and reads one bundle, and asks `get-entries` where that is not enough.
    async fn bundle(&self, shape: Shape) -> Result<Bundle, FetchError> {
        let (certs, entries, tiles) = tokio::try_join!(
            self.rows(shape, TilePath::certs),
            self.rows(shape, TilePath::entries),
            self.tiles(shape)
        )?;
        let served = Served { certs, entries, tiles };
        let wanting = match spawn_blocking(move || served.read(shape)).await? {
            Reading::Whole(bundle) => return Ok(bundle),
            Reading::Wanting(wanting) => wanting,
        };
        let answer = self.entries(wanting.shape()).await?;
        spawn_blocking(move || wanting.complete(answer.as_deref())).await?.map_err(FetchError::Unread)
    }

    async fn tiles(&self, shape: Shape) -> Result<Vec<(atl::merkle::TileId, Option<Vec<u8>>)>, ClientError> {
        let mut tiles = Vec::new();
        for id in shape.tiles() {
            tiles.push((id, self.again(TilePath::hashes(id, Width::FULL)).await?));
        }
        Ok(tiles)
    }

    /// The rows of a bundle: as wide as asked for, or the whole bundle where the log has only that any more.
    async fn rows(&self, shape: Shape, path: fn(u64, Width) -> TilePath) -> Result<Option<Octets>, ClientError> {
        let exact = path(shape.index, shape.width);
        if shape.width.is_full() {
            return Ok(self.again(exact).await?.map(Octets::from));
        }
        if let Some(octets) = self.get(exact).await? {
            return Ok(Some(octets.into()));
        }
        if let Some(octets) = self.get(path(shape.index, Width::FULL)).await? {
            return Ok(Some(Octets { octets, wider: true }));
        }
        tokio::time::sleep(self.patience).await;
        Ok(self.get(exact).await?.map(Octets::from))
    }

    /// What lies at `path`, asked for twice before it counts as missing: a copy of the log may be a moment behind.
    async fn again(&self, path: TilePath) -> Result<Option<Vec<u8>>, ClientError> {
        if let Some(octets) = self.get(path).await? {
            return Ok(Some(octets));
        }
        tokio::time::sleep(self.patience).await;
        self.get(path).await
    }

    /// What lies at `path`; `None` where nothing does, or something that is longer than anything that could.
    async fn get(&self, path: TilePath) -> Result<Option<Vec<u8>>, ClientError> {
        match self.client.tile(&path.to_string()).await {
            Ok(octets) => Ok(Some(octets)),
            Err(error) if matches!(error.status(), Some(404 | 410)) => Ok(None),
            Err(ClientError::TooLong { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The answers of `get-entries` for all entries of a bundle; `None` where the log refuses or gives others.
    async fn entries(&self, shape: Shape) -> Result<Option<Vec<EntryResponse>>, ClientError> {
        let range = shape.entries();
        let mut entries: Vec<EntryResponse> = Vec::new();
        while entries.len() < shape.width.get() {
            let start = range.start + entries.len() as u64;
            let query = EntriesQuery { start: LeafIndex::new(start), end: LeafIndex::new(range.end - 1) };
            match self.client.entries(query).await {
                Ok(page) if page.entries.is_empty() || page.entries.len() > shape.width.get() - entries.len() => {
                    return Ok(None);
                }
                Ok(page) => entries.extend(page.entries),
                Err(ClientError::Unparsable { .. } | ClientError::TooLong { .. }) => return Ok(None),
                Err(error) if error.status().is_some_and(|status| (400..429).contains(&status)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(entries))
    }
}
