//! Other domains' trust bundles, fetched (draft 10.1).

use reqwest::header::{ACCEPT, CACHE_CONTROL};
use reqwest::{Client, Method, Url};

use super::{ClientError, OK, SMALL, exchange};

/// Where one domain publishes its bundle.
#[derive(Clone, Debug)]
pub struct BundleClient {
    http: Client,
    url: String,
}

/// A bundle and the signature that lay beside it, neither of them looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedBundle {
    /// The octets of the document.
    pub bundle: Vec<u8>,
    /// The signature over them, if the two are of one moment.
    pub jws: String,
}

impl BundleClient {
    /// A client of the bundle at `url` through `http`, whose timeouts and trust are the caller's;
    /// [`builder`](super::builder), which follows no redirects, is what to start from.
    ///
    /// # Errors
    /// Where `url` is not an `https` URL without user, query and fragment: bundles are served over HTTPS
    /// (draft 10.1).
    pub fn new(url: &str, http: Client) -> Result<Self, ClientError> {
        let refuse = |reason: String| ClientError::BaseUrl { url: url.to_owned(), reason };
        let read = Url::parse(url).map_err(|e| refuse(e.to_string()))?;
        if read.scheme() != "https" {
            return Err(refuse("a trust bundle is fetched over https:// and nothing else".into()));
        }
        let user = !read.username().is_empty() || read.password().is_some();
        if user || read.query().is_some() || read.fragment().is_some() {
            return Err(refuse("it must not have a user, a query or a fragment".into()));
        }
        Ok(Self { http, url: read.into() })
    }

    /// Where the bundle is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bundle, and its signature at the same URL with `.jws` behind it; each of at most 1 MiB. `anew`
    /// asks caches in between to ask the server.
    ///
    /// # Errors
    /// Where one of them cannot be had.
    pub async fn fetch(&self, anew: bool) -> Result<FetchedBundle, ClientError> {
        let bundle = self.octets(self.url.clone(), "application/json", anew).await?;
        let url = format!("{}.jws", self.url);
        let jws = self.octets(url.clone(), "application/jose", anew).await?;
        let not_text = |_| ClientError::Unparsable { url, reason: "a JWS is ASCII text".into() };
        Ok(FetchedBundle { bundle, jws: String::from_utf8(jws).map_err(not_text)? })
    }

    async fn octets(&self, url: String, media: &'static str, anew: bool) -> Result<Vec<u8>, ClientError> {
        let request = self.http.request(Method::GET, &url).header(ACCEPT, media);
        let request = if anew { request.header(CACHE_CONTROL, "no-cache") } else { request };
        Ok(exchange(request, url, OK, SMALL).await?.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_asked() {
        let client = |url: &str| BundleClient::new(url, crate::client::builder().tls_certs_only([]).build().unwrap());
        let url = "https://bank.example.com/.well-known/apki-trust-bundle";
        assert_eq!(client(url).unwrap().url(), url);
        for wrong in [
            "http://bank.example.com/x",
            "file:///x",
            "bank.example.com",
            "",
            "https://u:p@a.b/x",
            "https://a.b/x?y",
            "https://a.b/x#y",
        ] {
            assert!(matches!(client(wrong), Err(ClientError::BaseUrl { .. })), "{wrong}");
        }
    }
}
