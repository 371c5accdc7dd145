//! What is served as plain files: the checkpoint, tiles, bundles and chain certificates
//! (C2SP tlog-tiles, protocol section 5).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;

use super::read::{Answer, Weight};
use super::{LogService, cache};
use crate::api::Token;
use crate::http::problem::Failure;
use crate::log::entry::Fingerprint;
use crate::merkle::{TileKind, TilePath};

type Service = State<Arc<LogService>>;

/// How long a checkpoint may be kept that lacks the line of a witness.
const SOON_MS: u64 = 1_000;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// `GET /checkpoint`
///
/// It is always the newest head, with the cosignatures that are in. C2SP advises a log to publish a checkpoint only
/// once it is cosigned. Ours promises more than that would let it keep: an entry is covered by what readers see one
/// interval later, however its witnesses are; `get-sth` and `/checkpoint` are one head in two forms, and a log that
/// shows two trees at once is what monitors look for. So a witness that is slow or gone takes nothing from anybody
/// but the relying parties that demand it, and they ask again: its line is there a request later.
pub async fn checkpoint(State(service): Service) -> Response {
    let head = service.parts.sequencer.head();
    let (note, is_complete) = {
        let cosignatures = service.cosignatures.read();
        (cosignatures.on(&head.checkpoint), cosignatures.is_complete(&head.checkpoint))
    };
    let now = service.parts.clock.now();
    let cache = match is_complete {
        true => cache::until_next_head(&head, service.sth_interval_ms(), now),
        // A line may be in the next moment, and no cache shall keep it from whoever waits for it.
        false => cache::until_next_head(&head, service.sth_interval_ms().min(SOON_MS), now),
    };
    cache::octets(cache, HeaderValue::from_static("text/plain; charset=utf-8"), note)
}

/// `GET /tile/...`
///
/// The path is taken as it was sent: a percent-encoded spelling is not the canonical one (R25).
pub async fn tile(State(service): Service, uri: Uri) -> Result<Response, Failure> {
    let not_found = |detail: String| Failure::new(Token::NotFound, detail);
    let path: TilePath =
        uri.path().strip_prefix('/').unwrap_or_default().parse().map_err(|e| not_found(format!("{e}")))?;
    let certs = path.kind() == TileKind::Certs;
    let (weight, cache) = if certs { (Weight::Bundle, service.body_cache()) } else { (Weight::Small, cache::FOREVER) };
    let answer = service.read("tile", weight, move |view, _| match view.tile(&path)? {
        Some(octets) => Ok(Answer::octets(cache, OCTETS, octets)),
        None => Err(not_found(format!("no signed tree head covers {path}")).into()),
    });
    answer.await
}

/// `GET /issuer/<hex sha256>`
pub async fn issuer(State(service): Service, uri: Uri) -> Result<Response, Failure> {
    let name = uri.path().strip_prefix("/issuer/").unwrap_or_default();
    let not_found =
        || Failure::new(Token::NotFound, "no chain certificate of this log has this SHA-256 (64 hex digits)");
    let is_canonical = name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let octets = hex::decode(name).ok().filter(|_| is_canonical).and_then(|octets| octets.try_into().ok());
    let fingerprint = Fingerprint::new(octets.ok_or_else(not_found)?);
    let answer = service.read("issuer", Weight::Small, move |view, _| match view.issuer(&fingerprint)? {
        Some(der) => Ok(Answer::octets(cache::FOREVER, HeaderValue::from_static("application/pkix-cert"), der)),
        None => Err(not_found().into()),
    });
    answer.await
}
