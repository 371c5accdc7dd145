//! The trust engine's HTTP API, called (protocol section 6, draft 6.3).

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ClientError, LARGE, SMALL, Site, bearer, exchange, parsed};
use crate::api::trust::{
    AccountAnswer, AccountsAnswer, AccountsQuery, AgentQuery, AssessAnswer, AssessRequest, ChangesAnswer, ChangesQuery,
    ExplainAnswer, IncidentsAnswer, LedgerAnswer, LedgerQuery, PageQuery, RebaseRequest, ReportersAnswer,
    ReviewsAnswer, SignalsAnswer, SignalsRequest,
};

/// What an answer has beyond the time that the call asked to wait.
const GRACE: Duration = Duration::from_secs(10);

/// One trust engine, by its base URL. Clones share their connections.
///
/// Signals go over mutual TLS with the reporter's certificate; all other calls take a token, a reader's or
/// an operator's.
#[derive(Clone, Debug)]
pub struct TrustClient {
    site: Site,
}

impl TrustClient {
    /// A client of the engine at `base`, such as `https://trust.example.com`, through `http`, whose timeouts,
    /// trust and client certificate are the caller's; [`builder`](super::builder) is what to start from.
    ///
    /// # Errors
    /// Where `base` is not an `http` or `https` URL without query and fragment.
    pub fn with_http(base: &str, http: Client) -> Result<Self, ClientError> {
        Ok(Self { site: Site::with_http(base, http)? })
    }

    /// The base URL, without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.site.base()
    }

    /// `POST signals`: reports, over mutual TLS with the reporter's certificate. The same signals may be sent
    /// again where the answer was lost: what was taken is not taken twice.
    pub async fn signals(&self, request: &SignalsRequest) -> Result<SignalsAnswer, ClientError> {
        self.site.post("trust/v1/signals", request).await
    }

    /// `POST assess`: an agent's score. For readers.
    pub async fn assess(&self, reader: &str, request: &AssessRequest) -> Result<AssessAnswer, ClientError> {
        self.post(reader, "trust/v1/assess", Some(request)).await
    }

    /// `GET changes`: scores that changed; the answer comes with the first change, or when the time is over.
    pub async fn changes(&self, token: &str, query: ChangesQuery) -> Result<ChangesAnswer, ClientError> {
        let path = format!("trust/v1/changes?{}", query.to_query());
        let patience = Duration::from_secs(query.wait_seconds) + GRACE;
        self.json(bearer(self.site.request(Method::GET, &path), token).timeout(patience), &path, LARGE).await
    }

    /// `GET agents`: an agent's account. For readers and operators.
    pub async fn account(&self, token: &str, query: &AgentQuery) -> Result<AccountAnswer, ClientError> {
        self.get(token, &format!("trust/v1/agents?{}", query.to_query())).await
    }

    /// `GET accounts`: one page of all. For readers and operators.
    pub async fn accounts(&self, token: &str, query: &AccountsQuery) -> Result<AccountsAnswer, ClientError> {
        self.get(token, &format!("trust/v1/accounts?{}", query.to_query())).await
    }

    /// `GET explain`: why an agent's score is what it is. For readers and operators.
    pub async fn explain(&self, token: &str, query: &AgentQuery) -> Result<ExplainAnswer, ClientError> {
        self.get(token, &format!("trust/v1/explain?{}", query.to_query())).await
    }

    /// `GET incidents`: those that nobody has decided. For operators.
    pub async fn incidents(&self, operator: &str, page: PageQuery) -> Result<IncidentsAnswer, ClientError> {
        self.get(operator, &format!("trust/v1/incidents?{}", page.to_query())).await
    }

    /// `POST incidents/{id}/confirm`: the score is 0 from now on. For operators.
    pub async fn confirm(&self, operator: &str, incident: u64) -> Result<AssessAnswer, ClientError> {
        self.post(operator, &format!("trust/v1/incidents/{incident}/confirm"), None::<&()>).await
    }

    /// `POST incidents/{id}/dismiss`: what it took is given back. For operators.
    pub async fn dismiss(&self, operator: &str, incident: u64) -> Result<AssessAnswer, ClientError> {
        self.post(operator, &format!("trust/v1/incidents/{incident}/dismiss"), None::<&()>).await
    }

    /// `GET reviews`: what is held and not decided. For operators.
    pub async fn reviews(&self, operator: &str, page: PageQuery) -> Result<ReviewsAnswer, ClientError> {
        self.get(operator, &format!("trust/v1/reviews?{}", page.to_query())).await
    }

    /// `POST reviews/{id}/approve`: what is held is applied. For operators of the engine.
    pub async fn approve(&self, operator: &str, review: u64) -> Result<AssessAnswer, ClientError> {
        self.post(operator, &format!("trust/v1/reviews/{review}/approve"), None::<&()>).await
    }

    /// `POST reviews/{id}/deny`: what is held is gone. For operators of the engine.
    pub async fn deny(&self, operator: &str, review: u64) -> Result<AssessAnswer, ClientError> {
        self.post(operator, &format!("trust/v1/reviews/{review}/deny"), None::<&()>).await
    }

    /// `GET reporters`: who reports, and who is flagged. For operators.
    pub async fn reporters(&self, operator: &str) -> Result<ReportersAnswer, ClientError> {
        self.get(operator, "trust/v1/reporters").await
    }

    /// `POST reporters/{name}/clear`: lifts a reporter's flag. For operators of the engine.
    pub async fn clear(&self, operator: &str, reporter: &str) -> Result<(), ClientError> {
        let path = format!("trust/v1/reporters/{}/clear", super::segment(reporter));
        let call = bearer(self.site.request(Method::POST, &path), operator);
        exchange(call, self.site.url(&path), &[204], SMALL).await.map(drop)
    }

    /// `POST rebase`: another attestation result for an agent. For operators of the engine.
    pub async fn rebase(&self, operator: &str, request: &RebaseRequest) -> Result<AssessAnswer, ClientError> {
        self.post(operator, "trust/v1/rebase", Some(request)).await
    }

    /// `GET ledger`: rows, octet for octet. For operators.
    pub async fn ledger(&self, operator: &str, query: LedgerQuery) -> Result<LedgerAnswer, ClientError> {
        self.get(operator, &format!("trust/v1/ledger?{}", query.to_query())).await
    }

    /// `GET healthz`: does it answer?
    pub async fn alive(&self) -> Result<(), ClientError> {
        self.site.octets("healthz", SMALL).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, token: &str, path: &str) -> Result<T, ClientError> {
        self.json(bearer(self.site.request(Method::GET, path), token), path, LARGE).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        token: &str,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let call = bearer(self.site.request(Method::POST, path), token);
        let call = match body {
            Some(body) => self.site.with_body(call, path, body)?,
            None => call,
        };
        self.json(call, path, SMALL).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        call: RequestBuilder,
        path: &str,
        limit: usize,
    ) -> Result<T, ClientError> {
        let answer = exchange(call, self.site.url(path), &[200], limit).await?;
        parsed(&answer.octets, || self.site.url(path))
    }
}
