//! A witness over HTTP (C2SP tlog-witness): `POST /add-checkpoint`, and `GET /<origin hash>/checkpoint`.

use std::sync::Arc;

use atl::api::{Problem, Token};
use hyper::StatusCode;

use super::consistency::Inconsistent;
use super::{Refusal, Witness};
use crate::http::limits::MAX_BODY;
use crate::http::{Response, Router, captured, reply};

/// Seconds after which somebody who met a fault of ours may try again.
const RETRY_SECONDS: u32 = 10;

/// Seconds that a cosigned checkpoint may be kept; the specification lets it be an hour behind.
const KEEP_SECONDS: u32 = 10;

/// Adds what a witness answers. Both prefixes of the specification, for submissions and for monitoring, are empty.
#[must_use]
pub fn routes(router: Router, witness: &Arc<Witness>) -> Router {
    let (submit, look) = (Arc::clone(witness), Arc::clone(witness));
    router
        .post("/add-checkpoint", MAX_BODY, move |request| match submit.add_checkpoint(request.body()) {
            Ok(line) => reply::text(format!("{line}\n")),
            Err(refusal) => refused(&refusal),
        })
        .get("/{origin-hash}/checkpoint", move |request| match look.latest(captured(request, 0)) {
            Ok(Some(checkpoint)) => reply::cached(reply::text(checkpoint), KEEP_SECONDS),
            Ok(None) => reply::problem(&Problem::new(Token::NotFound, "nothing is cosigned of a log of this origin")),
            Err(error) => refused(&error.into()),
        })
}

/// Which status the specification has for it.
fn refused(refusal: &Refusal) -> Response {
    let detail = refusal.to_string();
    let blank = |status| reply::problem(&reply::status(status, detail.clone()));
    match refusal {
        Refusal::Malformed(_) | Refusal::Inconsistent(Inconsistent::OldBeyond { .. }) => {
            reply::problem(&Problem::new(Token::Malformed, detail))
        }
        Refusal::UnknownOrigin => reply::problem(&Problem::new(Token::NotFound, detail)),
        // The specification's 403 is about who signed the checkpoint, and not about who brought it.
        Refusal::Untrusted(..) => forbidden("The checkpoint is not signed by the log's key that is known here", detail),
        Refusal::Frozen(_) => forbidden("The log's key is trusted no more", detail),
        Refusal::Inconsistent(Inconsistent::OtherOld(known)) => {
            let mut response = reply::of("text/x.tlog.size", format!("{known}\n"));
            *response.status_mut() = StatusCode::CONFLICT;
            response
        }
        Refusal::Inconsistent(Inconsistent::EmptyRoot | Inconsistent::OtherRoot | Inconsistent::Proof(_)) => {
            blank(StatusCode::UNPROCESSABLE_ENTITY)
        }
        Refusal::Clock(_) | Refusal::Ahead(_) | Refusal::State(_) | Refusal::Mark(_) | Refusal::Sign(_) => {
            tracing::error!(error = %refusal, "a checkpoint was not cosigned");
            let problem = reply::status(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_SECONDS);
            reply::problem(&problem)
        }
    }
}

fn forbidden(title: &str, detail: String) -> Response {
    reply::problem(&Problem { title: title.into(), ..reply::status(StatusCode::FORBIDDEN, detail) })
}
