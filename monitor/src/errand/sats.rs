//! `POST /v1/sats`: timestamps that somebody brings us, to be asked about.
//!
//! Whoever relies on a timestamp can have it watched that its log keeps what it promised. What is taken is bounded by
//! what logs sign: a timestamp counts only with the signature of a log that is followed, and the same one is asked
//! about once.

use atl::api::B64;
use atl::apki::Certificate;
use atl::apki::precertificate::recover;
use atl::log::MAX_AHEAD_MS;
use atl::log::entry::CertHash;
use atl::log::sat::SatList;
use atl::time::UnixMillis;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::Errand;
use super::decide::SLACK_MS;
use super::promise::{NoPromise, Promise};
use super::queue;
use crate::http::{Request, Response, Shared, reply};
use crate::state::StateError;

/// Most octets of a request.
pub const MAX_BODY: usize = 64 << 10;
/// Most timestamps of one certificate that are looked at, as a relying party does.
pub const MAX_SATS: usize = 16;
/// Errands up to which timestamps are taken from outside. Each is some requests to a log, so that whoever brings many
/// of them asks the log through us; and our own questions come first.
const MAX_WAITING: u64 = 10_000;

/// What is posted: a final certificate, or one timestamp and what it is over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    certificate: Option<B64>,
    sat: Option<B64>,
    cert_hash: Option<CertHash>,
}

/// What is answered.
#[derive(Serialize)]
struct Taken {
    asked: Vec<AskedLog>,
    ignored: Vec<String>,
}

/// A log that is asked.
#[derive(Serialize)]
struct AskedLog {
    log: String,
    cert_hash: CertHash,
    timestamp: UnixMillis,
}

/// The hash that the timestamps inside a certificate are over, and the timestamps in DER.
///
/// # Errors
/// In words, where it has none, too many, or none that can be read.
pub fn embedded(certificate: &Certificate) -> Result<(CertHash, Vec<Vec<u8>>), String> {
    let recovered = recover(certificate).map_err(|error| format!("the certificate: {error}"))?;
    let recovered = recovered.ok_or("the certificate has no timestamps in it (signedAgentTimestampList)")?;
    let list = SatList::from_der(recovered.sat_list_der).map_err(|error| format!("its timestamps: {error}"))?;
    if list.sats().len() > MAX_SATS {
        return Err(format!("it has {} timestamps, and {MAX_SATS} are the most", list.sats().len()));
    }
    let cert_hash = CertHash::of_certificate(&recovered.precertificate_der);
    Ok((cert_hash, list.sats().iter().map(|sat| sat.to_der()).collect()))
}

/// Answers the request: 202 with the logs that are asked, 422 where no timestamp is one of a log that is followed.
pub fn answer(shared: &Shared, request: &Request) -> Response {
    if request.method() != Method::POST {
        let response = refused(StatusCode::METHOD_NOT_ALLOWED, "timestamps are posted here: POST /v1/sats");
        return reply::with(response, ALLOW, HeaderValue::from_static("POST"));
    }
    if request.body().len() > MAX_BODY {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, &format!("a request has {MAX_BODY} octets at most"));
    }
    let (cert_hash, sats) = match read(request.body()) {
        Ok(read) => read,
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    let now = shared.clock.now();
    let (mut errands, mut taken) = (Vec::new(), Taken { asked: Vec::new(), ignored: Vec::new() });
    for sat in sats {
        match Promise::read(&sat, cert_hash, None, &shared.logs, now) {
            Err(NoPromise::Ignored(why)) => taken.ignored.push(why),
            Err(NoPromise::Suspicious(finding)) => taken.ignored.push(finding.summary),
            Ok(promise) if promise.sat.timestamp > now.saturating_add(MAX_AHEAD_MS) => {
                let at = promise.sat.timestamp;
                taken.ignored.push(format!("{}: it is dated {at}, in the future", promise.log.origin));
            }
            Ok(promise) => {
                let timestamp = promise.sat.timestamp;
                let due = timestamp.saturating_add(SLACK_MS);
                errands.push(Errand::Included { entry: None, sat: B64(sat), cert_hash, due });
                taken.asked.push(AskedLog { log: promise.log.origin.as_str().to_owned(), cert_hash, timestamp });
            }
        }
    }
    if errands.is_empty() {
        let why = taken.ignored.join("; ");
        return refused(StatusCode::UNPROCESSABLE_ENTITY, &format!("no timestamp is asked about: {why}"));
    }
    match take(shared, &errands, now) {
        Ok(true) => {
            let mut response = reply::json(&taken);
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
        Ok(false) => busy("too many questions wait already; try again later"),
        Err(error) => {
            warn!(%error, "timestamps could not be kept");
            busy("the timestamps could not be kept; try again later")
        }
    }
}

/// Keeps the errands, where there is room for them.
fn take(shared: &Shared, errands: &[Errand], now: UnixMillis) -> Result<bool, StateError> {
    if queue::stock(&shared.state)?.waiting >= MAX_WAITING {
        return Ok(false);
    }
    shared.state.write(|write| errands.iter().try_for_each(|errand| queue::post_behind(write, errand, now)))?;
    Ok(true)
}

fn read(body: &[u8]) -> Result<(CertHash, Vec<Vec<u8>>), String> {
    const FORM: &str = "post {\"certificate\": DER in base64}, or {\"sat\": DER in base64, \"cert_hash\": base64}";
    let posted: Posted = serde_json::from_slice(body).map_err(|error| format!("{error}; {FORM}"))?;
    match posted {
        Posted { certificate: Some(der), sat: None, cert_hash: None } => {
            embedded(&Certificate::parse(der.0).map_err(|error| format!("the certificate: {error}"))?)
        }
        Posted { certificate: None, sat: Some(sat), cert_hash: Some(cert_hash) } => Ok((cert_hash, vec![sat.0])),
        _ => Err(FORM.to_owned()),
    }
}

fn busy(why: &str) -> Response {
    reply::problem(&reply::status(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(60))
}

fn refused(status: StatusCode, detail: &str) -> Response {
    reply::problem(&reply::status(status, detail))
}
