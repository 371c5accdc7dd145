//! A dishonest log, made on purpose: two trees under one key and one name, on two addresses.
//!
//! Whoever reads one address finds a log in perfect order. Each head is signed by the log's key, each continues the
//! one before, each entry is in the tree. So does whoever reads the other address; and the two trees are not the same.
//! That is a split view (draft section 11.2.4), and nothing shows it but comparing heads of both.
//!
//! ```text
//! DIR/log-dishonest/   as `atl log init` makes it; `data` is the one face, `data-other` the other
//! ```
//!
//! It is made of the demo's parts and reachable through the demo alone: `atl log serve` keeps its database to itself,
//! and nothing in it can serve two.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::load::Load;
use super::setup::Home;
use crate::api::SubmitEntryRequest;
use crate::cli::log::open::OpenedLog;
use crate::cli::log::remote::{RemoteLog, connect, failed};
use crate::cli::log::serve::RunningLog;
use crate::cli::output::{CliError, Context};
use crate::cli::random;
use crate::keys::Signer as _;
use crate::log::note::VerifierKey;
use crate::log::sth::SignedTreeHead;
use crate::merkle::TreeSize;

/// Entries that both faces have in common before they part.
const IN_COMMON: u64 = 2;
/// Intervals between heads for each entry: so long both faces have heads of the same size.
const INTERVALS: u32 = 3;
/// How often heads are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The log with two faces.
pub struct Dishonest {
    /// Where the two faces are.
    pub urls: [String; 2],
    /// The one key that signs the heads of both, under the one name.
    pub vkey: VerifierKey,
    interval: Duration,
    load: Load,
    faces: [RemoteLog; 2],
    running: [RunningLog; 2],
}

/// Two heads of one log that cannot both be true.
pub struct SplitView {
    /// The size of both trees.
    pub size: TreeSize,
    /// The heads, in the order of the addresses; their signatures are verified, and their roots differ.
    pub heads: [SignedTreeHead; 2],
}

impl Dishonest {
    /// Starts both faces on free ports, and lets them part. They have heads of one size with different roots an
    /// interval later.
    pub async fn start(home: &Home, interval_seconds: u32) -> Result<Self, CliError> {
        let (mut one, mut other) = (open(home, interval_seconds)?, open(home, interval_seconds)?);
        other.config.data_dir = home.join("log-dishonest/data-other");
        for opened in [&mut one, &mut other] {
            opened.config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        }
        let vkey = one.origin.verifier_key(one.signer.public_key()).context("the log's key")?;
        let running = [RunningLog::start(one).await?, RunningLog::start(other).await?];
        let urls = [&running[0], &running[1]].map(|face| format!("http://{}", face.address));
        let faces = [connect(&urls[0], Some(vkey.clone())).await?, connect(&urls[1], Some(vkey.clone())).await?];
        let interval = Duration::from_secs(interval_seconds.into());
        let dishonest = Self { urls, vkey, interval, load: Load::open(home)?, faces, running };
        dishonest.part().await?;
        Ok(dishonest)
    }

    /// Makes the two trees differ, and equally large, where they are not so from before.
    async fn part(&self) -> Result<(), CliError> {
        let [one, other] = self.heads().await?;
        let (mut sizes, mut have_parted) =
            ([one.head.size.get(), other.head.size.get()], one.head.root != other.head.root);
        if sizes[0] == sizes[1] && !have_parted {
            while sizes[0] < IN_COMMON {
                self.grow_both().await?;
                sizes = sizes.map(|size| size + 1);
            }
        }
        // What ended between the two halves of a step left one of them behind.
        while sizes[0] != sizes[1] {
            let behind = usize::from(sizes[1] < sizes[0]);
            self.submit(behind, &self.certificate()?).await?;
            sizes[behind] += 1;
            have_parted = true;
        }
        if !have_parted {
            // The one certificate that each of the two audiences never sees.
            self.submit(0, &self.certificate()?).await?;
            self.submit(1, &self.certificate()?).await?;
        }
        Ok(())
    }

    /// Lets both faces grow, slowly and by the same certificates; returns only where that fails.
    pub async fn grow(&self) -> CliError {
        loop {
            tokio::time::sleep(self.interval * INTERVALS).await;
            if let Err(error) = self.grow_both().await {
                return error;
            }
        }
    }

    async fn grow_both(&self) -> Result<(), CliError> {
        let certificate = self.certificate()?;
        self.submit(0, &certificate).await?;
        self.submit(1, &certificate).await
    }

    async fn submit(&self, face: usize, certificate: &SubmitEntryRequest) -> Result<(), CliError> {
        let Some(face) = self.faces.get(face) else { return Ok(()) };
        face.client.submit(certificate).await.map_err(failed)?;
        Ok(())
    }

    /// The heads of both, their signatures verified.
    async fn heads(&self) -> Result<[SignedTreeHead; 2], CliError> {
        let [one, other] = &self.faces;
        Ok([one.head().await?, other.head().await?])
    }

    /// Two heads that cannot both be true, as soon as they are there.
    pub async fn split_view(&self) -> Result<SplitView, CliError> {
        let look = async {
            loop {
                let heads = self.heads().await?;
                let [one, other] = [&heads[0].head, &heads[1].head];
                if one.size == other.size && one.root != other.root {
                    return Ok(SplitView { size: one.size, heads });
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let patience = self.interval * 3 * INTERVALS + Duration::from_secs(10);
        let late = |_| CliError::new("the two faces of the dishonest log had no heads of one size in time");
        tokio::time::timeout(patience, look).await.map_err(late)?
    }

    /// Says what it is.
    pub fn introduce(&self) {
        println!("\nAnd a third log is dishonest, on purpose: under one name and one key it is two, on two addresses.");
        for url in &self.urls {
            println!("   {:12} {url}", "dishonest");
        }
        println!("   {:12} {}", "its key", self.vkey);
        println!(
            "   Whoever reads one of the two finds everything in order: heads that are signed, that continue each\n   \
             other, and that cover what is served. But one certificate is in each tree that is not in the other, so\n   \
             an agent can be shown as logged to some and stay hidden from the rest: a split view. Only heads of both,\n   \
             side by side, show it. No honest log can be started so; `atl log serve` knows no such thing."
        );
    }

    /// Shows two heads that cannot both be true.
    pub async fn show(&self) -> Result<(), CliError> {
        let SplitView { size, heads } = self.split_view().await?;
        println!("\nThe dishonest log has signed two trees of {size} entries:");
        for (url, head) in self.urls.iter().zip(&heads) {
            println!("   {:12} {} at {url}, {}, signature verified", "root", head.head.root, head.head.timestamp);
        }
        println!("   The two heads together prove it to anybody who has the log's key.");
        Ok(())
    }

    /// Resolves only if one of the two ends by itself.
    pub async fn ended(&self) -> CliError {
        let [one, other] = &self.running;
        tokio::select! { failure = one.ended() => failure, failure = other.ended() => failure }
    }

    /// Stops both.
    pub async fn stop(self) -> Result<(), CliError> {
        for face in self.running {
            face.stop().await?;
        }
        Ok(())
    }

    /// A certificate that nobody has seen yet.
    fn certificate(&self) -> Result<SubmitEntryRequest, CliError> {
        self.load.precertificate(&format!("agent://split.dev.example/demo/agent/{}", hex::encode(random::<8>()?)))
    }
}

fn open(home: &Home, interval_seconds: u32) -> Result<OpenedLog, CliError> {
    home.open_log("dishonest", interval_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ConsistencyQuery, EntriesQuery};
    use crate::merkle::{Hash, LeafIndex, verify_consistency};

    async fn consistency(face: &RemoteLog, first: TreeSize, second: TreeSize) -> Vec<Hash> {
        face.client.consistency(ConsistencyQuery { first, second: Some(second) }).await.unwrap().consistency
    }

    /// What each reader alone sees of it.
    async fn is_in_order(face: &RemoteLog, later: &SignedTreeHead) {
        let (sth, _) = face.head_and_checkpoint().await.unwrap();
        let (size, root) = (later.head.size, later.head.root);
        let proof = consistency(face, size, sth.head.size).await;
        verify_consistency(size, sth.head.size, &root, &sth.head.root, &proof).unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_face_is_in_order_and_the_two_are_not_one() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(Some(dir.path())).unwrap();
        home.furnish().unwrap();
        let dishonest = Dishonest::start(&home, 1).await.unwrap();
        let seen = dishonest.split_view().await.unwrap();
        assert_eq!(seen.size.get(), IN_COMMON + 1);
        let [one, other] = &seen.heads;
        assert_eq!((one.log_id, one.log_id), (other.log_id, dishonest.vkey.key().log_id()));
        for (face, head) in dishonest.faces.iter().zip(&seen.heads) {
            head.verify(dishonest.vkey.key()).unwrap();
            is_in_order(face, head).await;
        }
        // They part behind what they have in common, and no proof leads from one to the other.
        let entry = async |face: usize, index: u64| {
            let index = LeafIndex::new(index);
            let query = EntriesQuery { start: index, end: index };
            dishonest.faces[face].client.entries(query).await.unwrap().entries[0].cert_hash
        };
        let mut same = Vec::new();
        for index in 0..=IN_COMMON {
            same.push(entry(0, index).await == entry(1, index).await);
        }
        assert_eq!(same, [true, true, false]);
        // What comes later is the same on both sides, and heals nothing.
        dishonest.grow_both().await.unwrap();
        let later = loop {
            let later = dishonest.split_view().await.unwrap();
            if later.size > seen.size {
                break later;
            }
        };
        let proof = consistency(&dishonest.faces[1], seen.size, later.size).await;
        let crossed = verify_consistency(seen.size, later.size, &one.head.root, &later.heads[1].head.root, &proof);
        assert!(crossed.is_err());
        let urls = dishonest.urls.clone();
        dishonest.stop().await.unwrap();

        // Another start goes on with both.
        let again = Dishonest::start(&home, 1).await.unwrap();
        let found = again.split_view().await.unwrap();
        assert_eq!((found.size, found.heads[0].head.root), (later.size, later.heads[0].head.root));
        assert!(urls[0] != urls[1]);
        again.stop().await.unwrap();
    }
}
