//! Asking a log for what lies between two of its heads.

use std::time::Duration;

use atl::api::{B64, ConsistencyQuery, ConsistencyResponse, Token};
use atl::client::{ClientError, LogClient};
use atl::merkle::{Tile, TileId, TilePath, Width, verify_consistency};
use tokio::time::timeout;

use super::compare::HeadId;
use super::subtrees::{cut, roots_over, tiles_of};
use crate::evidence::divergence::roots;
use crate::evidence::{Divergence, Receipt};
use crate::finding::Class;

/// How long the tiles of one divergence may take.
const TILES_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a log may refuse a proof whose heads it says that it does not know, in milliseconds: whoever answers may be
/// a node behind the one that has signed them.
pub(super) const BEHIND_MILLIS: u64 = 300_000;

/// How long it may refuse one otherwise, in milliseconds.
pub(super) const REFUSED_MILLIS: u64 = 15_000;

/// Octets of an answer that are kept; an honest proof has some 4 KiB.
const MAX_RECEIPT_OCTETS: usize = 64 * 1024;

/// What a log has to say about two of its heads.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The larger tree begins with the smaller one.
    Consistent,
    /// It does not, and the log's own tiles prove it.
    Diverges(Divergence, Vec<Receipt>),
    /// The log did not prove what it must be able to prove.
    Challenge {
        /// [`Class::ProofRefused`] or [`Class::ProofGarbage`].
        class: Class,
        /// Why.
        reason: String,
        /// What it said.
        receipts: Vec<Receipt>,
        /// Whether the tiles show that the larger tree begins with the smaller one all the same.
        fits: bool,
        /// For how many milliseconds the log is asked again before somebody is told; `None` where there is nothing to
        /// wait for.
        patience: Option<u64>,
    },
    /// No answer that says anything; it may be the network.
    Silent(String),
}

/// Asks for the proof that the tree of `larger` begins with that of `smaller`. A log that has been silent too often,
/// as `impatient` says, has refused.
pub(super) async fn ask(client: &LogClient, smaller: &HeadId, larger: &HeadId, impatient: bool) -> Answer {
    let query = ConsistencyQuery { first: smaller.size, second: Some(larger.size) };
    let path = format!("atl/v1/get-sth-consistency?{}", query.to_query());
    let mut receipt = Receipt { asked: format!("GET {}/{path}", client.base_url()), status: 200, body: B64::default() };
    // The octets and not the parsed answer: what the log says is kept word for word.
    let (class, reason, patience) = match client.tile(&path).await {
        Ok(octets) => {
            let checked = check(&octets, smaller, larger);
            receipt.body = B64(octets.into_iter().take(MAX_RECEIPT_OCTETS).collect());
            match checked {
                Ok(()) => return Answer::Consistent,
                Err(reason) => (Class::ProofGarbage, reason, None),
            }
        }
        Err(error) if refuses(&error) || impatient => {
            receipt.status = error.status().unwrap_or(0);
            receipt.body = B64(body_of(&error));
            (Class::ProofRefused, error.to_string(), refuses(&error).then(|| patience(&error)))
        }
        Err(error) => return Answer::Silent(error.to_string()),
    };
    let receipts = vec![receipt];
    match timeout(TILES_TIMEOUT, derive(client, smaller, larger)).await.ok().flatten() {
        Some(Derived::Diverges(divergence)) => Answer::Diverges(divergence, receipts),
        derived => Answer::Challenge { class, reason, receipts, fits: derived.is_some(), patience },
    }
}

fn check(octets: &[u8], smaller: &HeadId, larger: &HeadId) -> Result<(), String> {
    let answer: ConsistencyResponse = serde_json::from_slice(octets).map_err(|e| e.to_string())?;
    verify_consistency(smaller.size, larger.size, &smaller.root, &larger.root, &answer.consistency)
        .map_err(|e| e.to_string())
}

/// Whether the log has said no, rather than nothing.
fn refuses(error: &ClientError) -> bool {
    error.status().is_some_and(|status| (400..500).contains(&status) && !matches!(status, 408 | 425 | 429))
}

fn patience(error: &ClientError) -> u64 {
    match error.token() {
        Some(Token::FirstUnknown | Token::SecondUnknown | Token::TreeSizeUnknown) => BEHIND_MILLIS,
        _ => REFUSED_MILLIS,
    }
}

fn body_of(error: &ClientError) -> Vec<u8> {
    match error {
        ClientError::Problem { problem, .. } => serde_json::to_vec(problem).unwrap_or_default(),
        other => other.to_string().into_bytes(),
    }
}

/// What the tiles of the larger tree say.
enum Derived {
    /// It begins with the smaller one.
    Fits,
    /// It does not.
    Diverges(Divergence),
}

/// Computes both roots from tiles. `None` where the log has no tiles that give the larger root: they prove nothing.
async fn derive(client: &LogClient, smaller: &HeadId, larger: &HeadId) -> Option<Derived> {
    let [first, rest] = cut(smaller.size, larger.size);
    let mut tiles = Vec::new();
    for id in tiles_of(&[first.clone(), rest.clone()]) {
        tiles.push((id, tile(client, id, id.width_at(larger.size)?).await?));
    }
    let divergence = Divergence { first: roots_over(first, &tiles)?, rest: roots_over(rest, &tiles)? };
    let (begun, whole) = roots(smaller.size, larger.size, &divergence)?;
    match (whole == larger.root, begun == smaller.root) {
        (false, _) => None,
        (true, true) => Some(Derived::Fits),
        (true, false) => Some(Derived::Diverges(divergence)),
    }
}

/// A tile as wide as it was, or as wide as it is by now: servers may drop partial tiles (C2SP tlog-tiles).
async fn tile(client: &LogClient, id: TileId, width: Width) -> Option<Tile> {
    let octets = match client.tile(&TilePath::hashes(id, width).to_string()).await {
        Err(_) if !width.is_full() => client.tile(&TilePath::hashes(id, Width::FULL).to_string()).await,
        other => other,
    };
    Tile::from_octets(&octets.ok()?).ok()
}
