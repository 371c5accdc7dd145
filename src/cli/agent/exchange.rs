//! A request and its answer, which may take an operator's decision, a log's recovery or a second try.

use std::time::Duration;

use crate::api::ca::{CertificateAnswer, RequestAnswer};
use crate::client::{CaClient, ClientError, Standing};

/// How long to wait where the CA does not say.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest wait before asking again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The certificate.
    Issued(Box<CertificateAnswer>),
    /// Not decided or not issued yet.
    Waiting(Waiting),
    /// The CA will not issue, and says why.
    Refused(String),
    /// It is not known what became of it: the same request may be sent again.
    Unanswered {
        /// What went wrong.
        why: String,
        /// How long the CA asks to wait.
        retry_after: Option<Duration>,
    },
    /// Something that another try would not mend, from somebody who need not be the CA.
    Failed(String),
}

/// A request that the CA has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub id: String,
    /// `pending`, `ready` or `processing`.
    pub status: String,
    /// For what it waits.
    pub reasons: Vec<String>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
}

impl Waiting {
    /// The state in words.
    pub fn told(&self) -> String {
        match self.reasons.as_slice() {
            [] => format!("request {} is {}", self.id, self.status),
            reasons => format!("request {} is {}: {}", self.id, self.status, reasons.join("; ")),
        }
    }
}

/// What an answer means.
pub fn judge(result: Result<Standing, ClientError>) -> Outcome {
    match result {
        Ok(Standing { answer, retry_after }) => standing(answer, retry_after),
        Err(error) => refusal(&error),
    }
}

fn standing(answer: RequestAnswer, retry_after: Option<Duration>) -> Outcome {
    let RequestAnswer { id, status, reasons, certificate, .. } = answer;
    match (status.as_str(), certificate) {
        ("valid", Some(certificate)) => Outcome::Issued(Box::new(certificate)),
        ("invalid", _) => Outcome::Refused(format!("request {id} was refused: {}", reasons.join("; "))),
        ("pending" | "ready" | "processing", _) => Outcome::Waiting(Waiting { id, status, reasons, retry_after }),
        _ => Outcome::Failed(format!("the CA says that request {id} is {status:?}, and sends no certificate")),
    }
}

fn refusal(error: &ClientError) -> Outcome {
    let (why, retry_after) = (error.to_string(), error.retry_after());
    match error {
        ClientError::Transport { .. } => Outcome::Unanswered { why, retry_after },
        ClientError::Problem { status, .. } | ClientError::Status { status, .. }
            if matches!(status, 408 | 425 | 429 | 500..) =>
        {
            Outcome::Unanswered { why, retry_after }
        }
        ClientError::Problem { status: 400..500, .. } => Outcome::Refused(why),
        _ => Outcome::Failed(why),
    }
}

/// Sends a request with `send`; with `wait`, until there is an answer that is final. `say` is told of every
/// change.
pub async fn settle<F: Future<Output = Result<Standing, ClientError>>>(
    client: &CaClient,
    send: impl Fn() -> F,
    wait: bool,
    mut say: impl FnMut(&str),
) -> Outcome {
    let mut known: Option<String> = None;
    let mut said = String::new();
    loop {
        // Once the CA has given it a name, asking costs less than sending.
        let outcome = judge(match &known {
            Some(id) => client.request(id).await,
            None => send().await,
        });
        let (told, pause) = match &outcome {
            Outcome::Waiting(waiting) => {
                known = Some(waiting.id.clone());
                (waiting.told(), waiting.retry_after)
            }
            Outcome::Unanswered { why, retry_after } => (why.clone(), *retry_after),
            Outcome::Issued(_) | Outcome::Refused(_) | Outcome::Failed(_) => return outcome,
        };
        if !wait {
            return outcome;
        }
        let pause = pause.unwrap_or(PAUSE).clamp(Duration::from_secs(1), LONGEST_PAUSE);
        if told != said {
            say(&format!("{told}; asking again every {} s", pause.as_secs()));
            said = told;
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Problem, Token};

    fn answer(status: &str) -> RequestAnswer {
        RequestAnswer {
            id: "r1".into(),
            status: status.into(),
            agent: "agent://example.com/a/b/c".parse().unwrap(),
            received_at: crate::time::UnixMillis::new(1),
            reasons: vec!["an operator decides".into()],
            certificate: None,
        }
    }

    fn problem(status: u16) -> ClientError {
        let problem = Problem::new(Token::Overloaded, "come back").retry_after(9);
        ClientError::Problem { url: "https://ca.example.com".into(), status, problem: Box::new(problem) }
    }

    #[test]
    fn each_state_has_its_outcome() {
        let retry_after = Some(Duration::from_secs(7));
        for status in ["pending", "ready", "processing"] {
            match judge(Ok(Standing { answer: answer(status), retry_after })) {
                Outcome::Waiting(waiting) => {
                    assert_eq!(waiting.told(), format!("request r1 is {status}: an operator decides"));
                    assert_eq!(waiting.retry_after, retry_after);
                }
                other => panic!("{other:?}"),
            }
        }
        let of = |status| judge(Ok(Standing { answer: answer(status), retry_after: None }));
        assert!(matches!(of("invalid"), Outcome::Refused(why) if why.contains("an operator decides")));
        assert!(matches!(of("valid"), Outcome::Failed(_)));
        assert!(matches!(of("odd"), Outcome::Failed(_)));
    }

    #[test]
    fn what_may_be_sent_again_is_told_from_what_may_not() {
        for status in [429, 500, 502, 503] {
            let outcome = judge(Err(problem(status)));
            let nine = Some(Duration::from_secs(9));
            assert!(matches!(outcome, Outcome::Unanswered { retry_after, .. } if retry_after == nine), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 422] {
            assert!(matches!(judge(Err(problem(status))), Outcome::Refused(why) if why.contains("come back")));
        }
        let url = String::new();
        let stranger = |status| ClientError::Status { url: url.clone(), status, retry_after_seconds: None };
        assert!(matches!(judge(Err(stranger(404))), Outcome::Failed(_)));
        assert!(matches!(judge(Err(stranger(502))), Outcome::Unanswered { .. }));
    }
}
