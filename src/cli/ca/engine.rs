//! A trust engine over HTTPS, as the CA reaches it: with a reader's token, so that it cannot write.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::api::trust::{AssessRequest, ChangesQuery, MAX_LISTED, MAX_WAIT_SECONDS};
use crate::apki::AgentUri;
use crate::apki::trust_score::Score;
use crate::ca::ports::{Answer, EngineError, EngineScore, ScoreChange, ScoreChanges, TrustScores};
use crate::cli::output::{CliError, Context};
use crate::cli::trust::access::{http_client, read_token};
use crate::client::{ClientError, TrustClient};

/// How long an agent's score may take. An issuance waits for it.
const ASSESS_TIMEOUT: Duration = Duration::from_secs(2);

/// The trust engine at `url`. Its TLS certificate is the one in `ca_file` or stands below it; without the
/// file below what the system trusts. `token_file` has the token that the engine knows this CA by.
///
/// # Errors
/// Where a file cannot be read or is not what it should be, there is no token, or `url` is no base URL.
pub fn engine(url: &str, ca_file: Option<&Path>, token_file: Option<&Path>) -> Result<Arc<dyn TrustScores>, CliError> {
    let missing = || {
        CliError::new(format!(
            "{url}: a trust engine answers only readers that it knows: name the file of the token that \
             `atl trust init` made for the CA (reader-ca.token) as `token_file` in [trust]"
        ))
    };
    let token = read_token(token_file.ok_or_else(missing)?)?;
    let client = TrustClient::with_http(url, http_client(ca_file, None)?).context("the trust engine")?;
    Ok(Arc::new(HttpEngine { client, token }))
}

struct HttpEngine {
    client: TrustClient,
    token: Zeroizing<String>,
}

impl HttpEngine {
    async fn ask(&self, agent: &AgentUri, base: Score) -> Result<EngineScore, EngineError> {
        let request = AssessRequest { agent: agent.clone(), base };
        match tokio::time::timeout(ASSESS_TIMEOUT, self.client.assess(&self.token, &request)).await {
            Ok(Ok(answer)) if answer.agent == *agent => Ok(EngineScore { score: answer.score, as_of: answer.as_of }),
            Ok(Ok(answer)) => Err(EngineError(format!(
                "{} was asked for the score of {agent} and gave that of {}",
                self.client.base_url(),
                answer.agent
            ))),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => {
                let seconds = ASSESS_TIMEOUT.as_secs();
                Err(EngineError(format!("{}: no answer within {seconds} s", self.client.base_url())))
            }
        }
    }

    async fn follow(&self, from: u64, wait: Duration) -> Result<ScoreChanges, EngineError> {
        let query = ChangesQuery { start: from, wait_seconds: wait.as_secs().min(MAX_WAIT_SECONDS), limit: MAX_LISTED };
        let page = self.client.changes(&self.token, query).await.map_err(|e| failed(&e))?;
        let change = |change: crate::api::trust::ChangeEntry| {
            let why = match &change.incident {
                Some(incident) => format!("security incident {} was {}", incident.id, incident.stage),
                None => format!("row {} of the trust engine's ledger", change.row),
            };
            ScoreChange { row: change.row, agent: change.agent, score: change.score, why }
        };
        Ok(ScoreChanges { next: page.next, changes: page.changes.into_iter().map(change).collect() })
    }
}

fn failed(error: &ClientError) -> EngineError {
    EngineError(error.to_string())
}

impl TrustScores for HttpEngine {
    fn assess<'a>(&'a self, agent: &'a AgentUri, base: Score) -> Answer<'a, Result<EngineScore, EngineError>> {
        Box::pin(self.ask(agent, base))
    }

    fn changes(&self, from: u64, wait: Duration) -> Answer<'_, Result<ScoreChanges, EngineError>> {
        Box::pin(self.follow(from, wait))
    }

    fn probe(&self) -> Answer<'_, Result<(), String>> {
        Box::pin(async {
            match tokio::time::timeout(ASSESS_TIMEOUT, self.client.alive()).await {
                Ok(answer) => answer.map_err(|e| e.to_string()),
                Err(_) => Err(format!("{}: no answer within {} s", self.client.base_url(), ASSESS_TIMEOUT.as_secs())),
            }
        })
    }
}
