//! The owner's feed: which certificates were ordered, so that others in watched trust domains are noticed.
//!
//! It has two kinds of [`Source`]s: a directory of files, and the list of what a CA has issued, which its operators may
//! read. Whatever names a certificate will do: the hash of its
//! precertificate, that of the final certificate, or either of them whole.
//!
//! A [`Feed`] reads them again and again, and puts what it knows where the rules find it ([`Newest`]), each source
//! with the moment as of which it is known whole. What cannot be read keeps what was known before, and is on the
//! [`Board`]: a feed that nobody can read makes strangers of all certificates in the end.

mod directory;
mod names;
mod parse;
mod repository;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atl::time::Clock;
use thiserror::Error;
use tokio::sync::watch;

use self::directory::Directory;
pub use self::names::watchlist;
pub use self::parse::{ParseError, hashes};
use self::repository::Repository;
use crate::board::{Board, FeedStatus};
use crate::rules::authorised::{Authorised, Newest, Source};

/// Where the feed comes from, and how often it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// A directory of files, each of hashes or of certificates.
    pub dir: Option<PathBuf>,
    /// CAs whose lists are read.
    pub cas: Vec<CaFeed>,
    /// Seconds that the feed has to know of an entry. Default: 300.
    pub grace_seconds: u32,
    /// Seconds between two readings. Default: 30.
    pub poll_seconds: u32,
}

/// A CA whose list of certificates is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFeed {
    /// Its base URL.
    pub url: String,
    /// A file that holds the token of an operator of the CA; it is read anew each time.
    pub token_file: PathBuf,
    /// PEM certificates that vouch for its server, in the place of the system's: for a CA of ours its `root.pem`.
    pub roots_file: Option<PathBuf>,
}

/// Why a source cannot be read.
#[derive(Debug, Error)]
pub enum FeedError {
    /// A file or directory cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// A file that the configuration names is not what it must be.
    #[error("`{key}`: {path}: {reason}; {next}")]
    Key {
        /// The key.
        key: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        next: &'static str,
    },
    /// A file holds something else.
    #[error("{path}: {source}; put nothing else into the directory, and write files elsewhere and move them there")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// More than anybody orders.
    #[error("{path}: it holds more than {most} hashes, which is the most: take out what is long expired")]
    TooMany {
        /// The source.
        path: String,
        /// The most.
        most: usize,
    },
    /// The CA gave no answer, or refused.
    #[error("{0}")]
    Ca(#[from] atl::client::ClientError),
    /// The CA's list does not come to an end.
    #[error("{url}: the list of certificates goes back and forth; look at what answers there")]
    Endless {
        /// The CA's base URL.
        url: String,
    },
    /// The names that are watched for look-alikes cannot be read.
    #[error("{0}")]
    Names(String),
    /// The machinery of TLS does not start.
    #[error("{url}: the HTTP client: {reason}")]
    Http {
        /// The CA's base URL.
        url: String,
        /// Why.
        reason: String,
    },
}

/// Most hashes of one source: 32 octets each in memory, and some more for finding them.
pub(crate) const MOST_HASHES: usize = 4_000_000;

/// The sources, and what they held when they were read last.
pub struct Feed {
    directory: Option<(Directory, Source)>,
    repositories: Vec<(Repository, Source)>,
    newest: Newest,
    poll_seconds: u32,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
}

impl Feed {
    /// A feed of these sources, none of which is read yet. `board` shows how they stand.
    ///
    /// # Errors
    /// Where the address of a CA is none, or where its token or the roots of its server cannot be read: nothing would
    /// come of it, and somebody is there to mend it.
    pub fn open(config: &FeedConfig, board: Arc<Board>, clock: Arc<dyn Clock>) -> Result<Self, FeedError> {
        let directory = config.dir.clone().map(|dir| (Source::new(dir.display().to_string()), Directory::new(dir)));
        let repository = |(n, ca): (usize, &CaFeed)| Ok((Repository::open(n, ca)?, Source::new(ca.url.clone())));
        let repositories = config.cas.iter().enumerate().map(repository).collect::<Result<Vec<_>, FeedError>>()?;
        let feed = Self {
            directory: directory.map(|(source, directory)| (directory, source)),
            repositories,
            newest: Newest::default(),
            poll_seconds: config.poll_seconds,
            board,
            clock,
        };
        feed.publish();
        Ok(feed)
    }

    /// Where what is known can be had, now and later.
    pub fn newest(&self) -> Newest {
        self.newest.clone()
    }

    /// Reads all sources once. A source that fails says so in [`Source::fault`] and in the journal.
    pub async fn refresh(&mut self) {
        if let Some((mut directory, mut source)) = self.directory.take() {
            let now = self.clock.now();
            // Reading files may take its time, and must not hold up what else this thread does.
            let task = tokio::task::spawn_blocking(move || {
                let read = directory.read(&mut source.hashes, now);
                (directory, source, read)
            });
            if let Ok((directory, mut source, read)) = task.await {
                note(&mut source, now, read);
                self.directory = Some((directory, source));
            }
        }
        for (repository, source) in &mut self.repositories {
            let now = self.clock.now();
            let read = repository.read(&mut source.hashes).await;
            note(source, now, read);
        }
        self.publish();
    }

    /// Reads all sources at once and then every few seconds, until `stop` says so or is dropped.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = self.refresh() => {}
                _ = stop.changed() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(self.poll_seconds.into())) => {}
                _ = stop.changed() => return,
            }
        }
    }

    fn publish(&self) {
        let directory = self.directory.iter().map(|(_, source)| source);
        let sources: Vec<Source> =
            directory.chain(self.repositories.iter().map(|(_, source)| source)).cloned().collect();
        let stands = |source: &Source| {
            let status =
                FeedStatus { last_read_at: source.as_of, error: source.fault.clone(), poll_seconds: self.poll_seconds };
            (source.name.clone(), status)
        };
        let feeds = sources.iter().map(stands).collect();
        self.board.update(|standing| standing.feeds = feeds);
        self.newest.set(Authorised { sources });
    }
}

/// A complaint about the file that a key names.
fn of_key(key: String, path: &Path, reason: impl ToString, next: &'static str) -> FeedError {
    FeedError::Key { key, path: path.display().to_string(), reason: reason.to_string(), next }
}

/// What came of reading a source, begun at `now`.
fn note(source: &mut Source, now: atl::time::UnixMillis, read: Result<(), FeedError>) {
    match read {
        Ok(()) => {
            if source.fault.take().is_some() || source.as_of.is_none() {
                tracing::info!(source = source.name, hashes = source.hashes.len(), "the owner's feed is read");
            }
            source.as_of = Some(now);
        }
        Err(error) => {
            let error = error.to_string();
            if source.fault.as_ref() != Some(&error) {
                tracing::warn!(source = source.name, %error, "the owner's feed cannot be read");
            }
            source.fault = Some(error);
        }
    }
}
