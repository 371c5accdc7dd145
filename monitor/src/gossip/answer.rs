//! Answering a monitor that tells us its heads.

use atl::api::{Problem, Token};
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};

use super::seal::{SEAL, Said, check, seal};
use super::wire::{MAX_BODY_OCTETS, MAX_HEADS, Message, Offered, Refused, open, outcome, told};
use crate::config::Peer;
use crate::heads::book::{Book, receive};
use crate::http::{Request, Response, Shared, reply};
use crate::state::StateError;
use crate::watched::WatchedLog;

/// Answers `POST /gossip/v1/heads`: takes the heads that their logs have signed into the inbox, where
/// [`Heads::settle`](crate::heads::Heads::settle) finds them, and tells our own, first those of the logs that were
/// spoken of.
///
/// Nothing is asked of a log before this returns, and nothing is stored that its log has not signed or that is not
/// from a peer.
pub fn answer(shared: &Shared, request: &Request) -> Response {
    match respond(shared, request).and_then(|(peer, message)| sealed(shared, peer, &message, request.body())) {
        Ok(answer) => answer,
        Err(problem) => refusal(&problem),
    }
}

/// The answer to a peer, with our name under it.
fn sealed(shared: &Shared, peer: &Peer, message: &Message, asked: &[u8]) -> Result<Response, Problem> {
    let unwritten = |_| Problem::new(Token::Internal, "the answer cannot be written");
    let body = serde_json::to_vec(message).map_err(unwritten)?;
    let sealed =
        seal(&*shared.signer, &shared.name, &peer.name, Said { body: &body, answers: Some(asked) }, shared.clock.now());
    let unsigned = || Problem::new(Token::Internal, "the answer cannot be signed");
    let header = sealed.ok().and_then(|seal| HeaderValue::try_from(seal).ok()).ok_or_else(unsigned)?;
    Ok(reply::with(reply::of("application/json", body), SEAL, header))
}

fn respond<'a>(shared: &'a Shared, request: &Request) -> Result<(&'a Peer, Message), Problem> {
    if request.method() != Method::POST {
        return Err(Problem::new(Token::MethodNotAllowed, "heads are exchanged with POST"));
    }
    if request.body().len() > MAX_BODY_OCTETS {
        return Err(Problem::new(Token::TooLarge, format!("a message has at most {MAX_BODY_OCTETS} octets")));
    }
    let message: Message = serde_json::from_slice(request.body())
        .map_err(|e| Problem::new(Token::Malformed, format!("the body is no message of gossip: {e}")))?;
    if message.heads.len() > MAX_HEADS {
        return Err(Problem::new(Token::TooLarge, format!("a message has at most {MAX_HEADS} heads")));
    }
    let Some(peer) = shared.peers.iter().find(|peer| peer.name.as_str() == message.from) else {
        let detail = "`from` is no peer of this monitor: its operator must add you under [[peers]]";
        return Err(Problem::new(Token::Forbidden, detail));
    };
    let seal = request.headers().get(SEAL).and_then(|seal| seal.to_str().ok());
    check(seal, &peer.key, &shared.name, Said { body: request.body(), answers: None }, shared.clock.now())
        .map_err(|error| Problem::new(Token::Forbidden, error.to_string()))?;
    let spoken_of: Vec<String> = message.heads.iter().map(|offered| offered.origin.clone()).collect();
    let answer = exchange(shared, message, &spoken_of).map_err(|error| {
        tracing::error!(%error, "gossip cannot be answered");
        Problem::new(Token::Internal, "the monitor's database failed")
    })?;
    Ok((peer, answer))
}

fn exchange(shared: &Shared, message: Message, spoken_of: &[String]) -> Result<Message, StateError> {
    let Message { from, heads: offered, .. } = message;
    let refused = take(shared, &from, offered)?;
    let is_spoken_of = |log: &&WatchedLog| spoken_of.iter().any(|origin| origin == log.origin.as_str());
    let (first, then): (Vec<_>, Vec<_>) = shared.logs.iter().partition(is_spoken_of);
    let mut heads = Vec::new();
    for log in first.into_iter().chain(then) {
        if heads.len() >= MAX_HEADS {
            break;
        }
        let book = shared.state.read(|read| Book::load(read, &log.origin))?;
        heads.extend(told(&log.origin, &book));
    }
    heads.truncate(MAX_HEADS);
    Ok(Message { from: shared.name.to_string(), heads, refused })
}

/// Takes what may be taken, in one step; what is not, and why.
fn take(shared: &Shared, from: &str, offered: Vec<Offered>) -> Result<Vec<Refused>, StateError> {
    let mut refused = Vec::new();
    let mut signed = Vec::new();
    for head in offered {
        let origin = head.origin.clone();
        match open(head, &shared.logs) {
            Ok(opened) => signed.push(opened),
            Err(reason) => refused.push(Refused { origin, reason: reason.to_string() }),
        }
    }
    if signed.is_empty() {
        return Ok(refused);
    }
    let now = shared.clock.now();
    shared.state.write(|write| {
        for (log, head) in signed {
            if let Err(reason) = outcome(receive(write, log, &head, from, now)?) {
                refused.push(Refused { origin: log.origin.to_string(), reason: reason.to_string() });
            }
        }
        Ok(refused)
    })
}

fn refusal(problem: &Problem) -> Response {
    let response = reply::problem(problem);
    match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => reply::with(response, ALLOW, HeaderValue::from_static("POST")),
        _ => response,
    }
}
