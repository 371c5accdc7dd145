//! Sinks that are spoken to over HTTP.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atl::client::is_loopback;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, StatusCode, Url};

use super::{OpenError, SinkError, tls_advice};
use crate::alert::secret::{Secret, Source};
use crate::text::excerpt;

/// Most octets read of an answer. Only people look at it, when something went wrong.
const MOST_OF_ANSWER: usize = 4 << 10;

/// A URL, which may hold a secret: many services give out such for webhooks. It is shown without path and query.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// The URL itself.
    Url(Url),
    /// Where the URL is.
    Source(Source),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&origin(url)),
            Self::Source(source) => source.fmt(f),
        }
    }
}

/// What may be configured of all sinks that are spoken to over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where it is.
    pub place: Place,
    /// Where a token is that is sent as `Authorization: Bearer`.
    pub token: Option<Source>,
    /// PEM certificates that are trusted instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long it may take to answer.
    pub timeout: Duration,
}

/// A server that is sent what others are to be told.
#[derive(Debug)]
pub(super) struct Target {
    client: Client,
    url: Secret,
    origin: String,
    /// What must not be shown, not even where the server says it.
    hidden: Vec<Secret>,
    token: Option<HeaderValue>,
}

/// Reads a URL that alerts may be sent to.
///
/// # Errors
/// In words that do not repeat it.
pub fn read_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("it is no URL: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("it must start with https:// or http://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("there must be no user in it; name a file with token_file instead".into());
    }
    if url.fragment().is_some() {
        return Err("there must be no # in it".into());
    }
    Ok(url)
}

/// The certificates in a file, of which there is at least one: as they are, and read.
pub(super) fn read_roots(file: &Path) -> Result<(Vec<u8>, Vec<Certificate>), OpenError> {
    let failed = |e: &dyn fmt::Display| OpenError::Other(format!("{}: {e}", file.display()));
    let pem = std::fs::read(file).map_err(|e| failed(&e))?;
    let roots = Certificate::from_pem_bundle(&pem).map_err(|e| failed(&e))?;
    if roots.is_empty() {
        return Err(failed(&"there is no PEM certificate in it"));
    }
    Ok((pem, roots))
}

/// A URL as it may be shown: scheme, host and port.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Path and query as they go over the wire.
fn full(url: &Url) -> String {
    url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

impl Target {
    /// A server; `path` is put behind its URL.
    pub(super) fn open(config: &HttpConfig, path: &str) -> Result<Self, OpenError> {
        let refused = |why: String| OpenError::Other(why);
        let mut url = match &config.place {
            Place::Url(url) => url.clone(),
            Place::Source(source) => {
                read_url(source.read()?.expose()).map_err(|why| refused(format!("{source}: {why}")))?
            }
        };
        if !path.is_empty() {
            url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        }
        let token = config.token.as_ref().map(Source::read).transpose()?;
        if token.is_some() && url.scheme() != "https" && !is_loopback(&url) {
            return Err(refused(format!("{}: a token is sent over https only", origin(&url))));
        }
        let mut hidden: Vec<Secret> = token.iter().cloned().collect();
        // Path and query may hold a secret; short ones, such as /alerts, are none.
        let beyond = [Some(full(&url)), Some(url.path().to_owned()), url.query().map(str::to_owned)];
        hidden.extend(beyond.into_iter().flatten().filter(|part| part.len() > 8).map(Secret::from));
        let mut builder = atl::client::builder().timeout(config.timeout);
        if let Some(file) = &config.ca_file {
            builder = builder.tls_certs_only(read_roots(file)?.1);
        }
        let header = token.as_ref().map(bearer).transpose()?;
        let client = builder.build().map_err(|e| refused(format!("the HTTP client does not start: {e}")))?;
        Ok(Self { client, origin: origin(&url), url: String::from(url).into(), hidden, token: header })
    }

    /// Keeps one more secret out of what is shown.
    pub(super) fn hide(&mut self, secret: &Secret) {
        self.hidden.push(secret.clone());
    }

    /// Posts JSON. A status of 200 to 299 is a yes.
    pub(super) async fn post(&self, headers: HeaderMap, body: Vec<u8>) -> Result<(), SinkError> {
        let mut request = self.client.post(self.url.expose()).headers(headers).body(body);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let mut response = request.send().await.map_err(|e| self.unreachable(e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = seconds(response.headers()).map(|seconds| u64::from(seconds).saturating_mul(1_000));
        let mut said = Vec::new();
        while said.len() < MOST_OF_ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            said.extend(chunk.iter().take(MOST_OF_ANSWER - said.len()));
        }
        Err(SinkError { message: self.answer(status, &said), refused: is_refusal(status), retry_after })
    }

    fn unreachable(&self, error: reqwest::Error) -> SinkError {
        let error = error.without_url();
        let causes = std::iter::successors(std::error::Error::source(&error), |e| e.source());
        let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
        SinkError::trouble(format!("{}: {}{}", self.origin, self.shown(&text), tls_advice(&text)))
    }

    fn answer(&self, status: StatusCode, said: &[u8]) -> String {
        let said = self.shown(&String::from_utf8_lossy(said));
        let hint = match status.as_u16() {
            300..=399 => ": it sends us elsewhere; configure the URL that it names",
            401 | 403 => ": it does not know us; look at the secret or the token",
            404 | 405 | 410 => ": nothing takes alerts there; look at the URL",
            _ => "",
        };
        let colon = if said.is_empty() { "" } else { ": " };
        format!("{}: status {}{hint}{colon}{said}", self.origin, status.as_u16())
    }

    fn shown(&self, text: &str) -> String {
        let text = self.hidden.iter().fold(text.to_owned(), |text, secret| secret.redact(&text));
        excerpt(&text, 300)
    }
}

/// Whether the same again will hardly do: a refusal that is not about when (RFC 9110 section 15.5, RFC 6585), or a
/// place that is elsewhere.
fn is_refusal(status: StatusCode) -> bool {
    (status.is_client_error() || status.is_redirection()) && !matches!(status.as_u16(), 408 | 429)
}

fn seconds(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn bearer(token: &Secret) -> Result<HeaderValue, OpenError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| OpenError::Other("the token has characters that no header can hold".into()))?;
    // So that nothing writes it to a log.
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_strictly_and_shown_without_what_may_be_secret() {
        for bad in ["", "ftp://a.example", "a.example", "https://user:pw@a.example", "https://a.example/#x", "unix:/x"]
        {
            let why = read_url(bad).unwrap_err();
            assert!(!why.contains("pw"), "{why}");
        }
        let url = read_url("https://hooks.example/services/T0KEN?key=abc").unwrap();
        assert_eq!(format!("{:?}", Place::Url(url)), "https://hooks.example");
    }

    #[test]
    fn refusals_are_told_from_trouble() {
        let refusals = [301, 400, 401, 404, 413, 422].map(|s| is_refusal(StatusCode::from_u16(s).unwrap()));
        let troubles = [408, 429, 500, 502, 503].map(|s| is_refusal(StatusCode::from_u16(s).unwrap()));
        assert_eq!((refusals, troubles), ([true; 6], [false; 5]));
    }

    #[test]
    fn what_a_server_says_is_shown_without_our_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "tok-0123456789").unwrap();
        let config = |url: &str| HttpConfig {
            place: Place::Url(read_url(url).unwrap()),
            token: Some(Source::File(file.clone())),
            ca_file: None,
            timeout: Duration::from_secs(1),
        };
        let mut target = Target::open(&config("https://a.example/hook/s3cret?x=1"), "").unwrap();
        target.hide(&"hmac-key".to_owned().into());
        let said = "no tok-0123456789 for \u{1b}/hook/s3cret?x=1 by hmac-key";
        let told = target.answer(StatusCode::INTERNAL_SERVER_ERROR, said.as_bytes());
        assert_eq!(told, "https://a.example: status 500: no [secret] for \\u{1b}[secret] by [secret]");
        let shown = format!("{target:?}");
        assert!(["tok-", "s3cret", "hmac-key"].iter().all(|secret| !shown.contains(secret)), "{shown}");
        // A token is not sent where everybody can read it.
        assert!(Target::open(&config("http://a.example/"), "").is_err());
        assert!(Target::open(&config("http://127.0.0.1:1/"), "").is_ok());
    }
}
