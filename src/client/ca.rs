//! The CA's HTTP API, called (protocol section 6, draft 7).

use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, Method, RequestBuilder};
use serde::de::DeserializeOwned;

use super::{ClientError, LARGE, OK, SMALL, Site, bearer, exchange, parsed, segment, with_query};
use crate::api::ca::{
    AuditAnswer, CaDescriptor, CertificatesAnswer, DelegateRequest, DenyRequest, EnrolRequest, Hex32, LineageAnswer,
    MintTokenAnswer, MintTokenRequest, RequestAnswer, RequestsAnswer, RevokeAnswer, RevokeRequest, StandingAnswer,
};

/// One CA, by its base URL. Clones share their connections.
///
/// Agents' calls carry what they need; operators' calls take the operator's token.
#[derive(Clone, Debug)]
pub struct CaClient {
    site: Site,
}

/// Where a request stands, and when to ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The CA's answer.
    pub answer: RequestAnswer,
    /// How long the CA asks to wait (202), where it is not decided yet.
    pub retry_after: Option<Duration>,
}

/// Which certificates an operator asks for: all of them, unless it says less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificatesQuery {
    /// Of this agent only.
    pub agent: Option<String>,
    /// The one with this serial number, in hex.
    pub serial: Option<String>,
    /// Signed at this moment or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Signed before this moment, in milliseconds since 1970.
    pub until: Option<u64>,
    /// What the page before named as `next`.
    pub after: Option<String>,
    /// Most that are returned.
    pub limit: Option<u32>,
}

/// Which rows of the journal an operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// The first row.
    pub start: u64,
    /// Most that are returned.
    pub limit: Option<u32>,
}

impl CaClient {
    /// A client of the CA at `base`, such as `https://ca.bank.example.com`, which trusts what the system
    /// trusts: with timeouts of 5 seconds to connect and 30 for a whole answer, and no redirects.
    ///
    /// # Errors
    /// Where `base` is not an `http` or `https` URL without query and fragment, or TLS cannot start.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        Ok(Self { site: Site::new(base)? })
    }

    /// A client of the CA at `base` through `http`, whose timeouts, trust and client certificate are the
    /// caller's; [`builder`](super::builder) is what to start from.
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

    /// `POST enroll`: asks for an agent's first certificate. The same token with the same request is the
    /// same request, so that it can be sent again where the answer was lost.
    pub async fn enroll(&self, token: &str, request: &EnrolRequest) -> Result<Standing, ClientError> {
        let path = "ca/v1/enroll";
        self.standing(self.site.with_body(bearer(self.site.request(Method::POST, path), token), path, request)?, path)
            .await
    }

    /// `POST renew`: asks for the next certificate, over mutual TLS with the current one.
    pub async fn renew(&self, request: &EnrolRequest) -> Result<Standing, ClientError> {
        let path = "ca/v1/renew";
        self.standing(self.site.with_body(self.site.request(Method::POST, path), path, request)?, path).await
    }

    /// `POST delegate`: asks for the certificate of a child, over mutual TLS with the parent's current one. The
    /// same request once more is the same request.
    pub async fn delegate(&self, request: &DelegateRequest) -> Result<Standing, ClientError> {
        let path = "ca/v1/delegate";
        self.standing(self.site.with_body(self.site.request(Method::POST, path), path, request)?, path).await
    }

    /// `POST revoke`: takes an agent's authority back, with that of all its descendants; as this operator, or
    /// without one over mutual TLS as the agent itself or one above it.
    pub async fn revoke(&self, operator: Option<&str>, request: &RevokeRequest) -> Result<RevokeAnswer, ClientError> {
        let path = "ca/v1/revoke";
        let call = self.site.request(Method::POST, path);
        let call = match operator {
            Some(token) => bearer(call, token),
            None => call,
        };
        self.json(self.site.with_body(call, path, request)?, path, LARGE).await
    }

    /// `GET standing`: what the certificate is worth that this client shows.
    pub async fn certificate_standing(&self) -> Result<StandingAnswer, ClientError> {
        let path = "ca/v1/standing";
        self.json(self.site.request(Method::GET, path), path, SMALL).await
    }

    /// `GET lineage`: who has rights from whom, around an agent. For operators.
    pub async fn lineage(&self, operator: &str, agent: &str) -> Result<LineageAnswer, ClientError> {
        let path = with_query("ca/v1/lineage", [("agent", Some(agent.to_owned()))]);
        self.json(bearer(self.site.request(Method::GET, &path), operator), &path, LARGE).await
    }

    /// `GET requests/{id}`: where a request stands. Whoever knows its name may ask.
    pub async fn request(&self, id: &str) -> Result<Standing, ClientError> {
        let path = format!("ca/v1/requests/{}", segment(id));
        self.standing(self.site.request(Method::GET, &path), &path).await
    }

    /// `GET ca`: what the CA says of itself.
    pub async fn descriptor(&self) -> Result<CaDescriptor, ClientError> {
        self.site.get("ca/v1/ca", SMALL).await
    }

    /// `GET certificates/{sha256}`: the DER of a certificate that the CA issued.
    pub async fn certificate(&self, sha256: Hex32) -> Result<Vec<u8>, ClientError> {
        self.site.octets(&format!("ca/v1/certificates/{sha256}"), SMALL).await
    }

    /// The same with its issuers behind it, in PEM.
    pub async fn certificate_chain(&self, sha256: Hex32) -> Result<String, ClientError> {
        let path = format!("ca/v1/certificates/{sha256}");
        let url = self.site.url(&path);
        let request = self.site.http.request(Method::GET, &url).header(ACCEPT, "application/pem-certificate-chain");
        let octets = exchange(request, url.clone(), OK, SMALL).await?.octets;
        String::from_utf8(octets).map_err(|e| ClientError::Unparsable { url, reason: e.to_string() })
    }

    /// `POST tokens`: mints an enrolment token. For operators.
    pub async fn mint_token(&self, operator: &str, request: &MintTokenRequest) -> Result<MintTokenAnswer, ClientError> {
        let path = "ca/v1/tokens";
        let call = bearer(self.site.request(Method::POST, path), operator);
        self.json(self.site.with_body(call, path, request)?, path, SMALL).await
    }

    /// `DELETE tokens/{id}`: withdraws a token that was not used. For operators.
    pub async fn withdraw_token(&self, operator: &str, id: &str) -> Result<(), ClientError> {
        let path = format!("ca/v1/tokens/{}", segment(id));
        let call = bearer(self.site.request(Method::DELETE, &path), operator);
        exchange(call, self.site.url(&path), &[200, 204], SMALL).await.map(|_| ())
    }

    /// `GET requests`: what is not answered yet, oldest first. For operators.
    pub async fn open_requests(&self, operator: &str, after: Option<&str>) -> Result<RequestsAnswer, ClientError> {
        let path = with_query("ca/v1/requests", [("after", after.map(str::to_owned))]);
        self.json(bearer(self.site.request(Method::GET, &path), operator), &path, LARGE).await
    }

    /// `POST requests/{id}/approve`. For operators.
    pub async fn approve(&self, operator: &str, id: &str) -> Result<Standing, ClientError> {
        let path = format!("ca/v1/requests/{}/approve", segment(id));
        self.standing(bearer(self.site.request(Method::POST, &path), operator), &path).await
    }

    /// `POST requests/{id}/deny`. For operators.
    pub async fn deny(&self, operator: &str, id: &str, why: &DenyRequest) -> Result<Standing, ClientError> {
        let path = format!("ca/v1/requests/{}/deny", segment(id));
        let call = bearer(self.site.request(Method::POST, &path), operator);
        self.standing(self.site.with_body(call, &path, why)?, &path).await
    }

    /// `GET certificates`: newest first. For operators.
    pub async fn certificates(
        &self,
        operator: &str,
        query: &CertificatesQuery,
    ) -> Result<CertificatesAnswer, ClientError> {
        let path = with_query(
            "ca/v1/certificates",
            [
                ("agent", query.agent.clone()),
                ("serial", query.serial.clone()),
                ("since", query.since.map(|n| n.to_string())),
                ("until", query.until.map(|n| n.to_string())),
                ("after", query.after.clone()),
                ("limit", query.limit.map(|n| n.to_string())),
            ],
        );
        self.json(bearer(self.site.request(Method::GET, &path), operator), &path, LARGE).await
    }

    /// `GET audit`: rows of the journal. For operators.
    pub async fn audit(&self, operator: &str, query: AuditQuery) -> Result<AuditAnswer, ClientError> {
        let (start, limit) = (Some(query.start.to_string()), query.limit.map(|n| n.to_string()));
        let path = with_query("ca/v1/audit", [("start", start), ("limit", limit)]);
        self.json(bearer(self.site.request(Method::GET, &path), operator), &path, LARGE).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        call: RequestBuilder,
        path: &str,
        limit: usize,
    ) -> Result<T, ClientError> {
        let answer = exchange(call, self.site.url(path), &[200, 201], limit).await?;
        parsed(&answer.octets, || self.site.url(path))
    }

    async fn standing(&self, call: RequestBuilder, path: &str) -> Result<Standing, ClientError> {
        let answer = exchange(call, self.site.url(path), &[200, 201, 202], SMALL).await?;
        let retry_after = answer.retry_after;
        Ok(Standing { answer: parsed(&answer.octets, || self.site.url(path))?, retry_after })
    }
}
