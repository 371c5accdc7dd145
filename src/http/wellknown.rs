//! A domain's trust bundle at its well-known place (draft 10.1), with the signature over it and its form
//! for SPIFFE.
//!
//! The three are replaced together. A reader that asks for two of them around such a moment holds one of
//! each, which do not match; it asks again.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};

use super::cache;
use super::problem::Failure;
use crate::api::Token;

/// Every path here.
pub const PATHS: [&str; 3] = [BUNDLE, JWS, SPIFFE];

const BUNDLE: &str = "/.well-known/apki-trust-bundle";
const JWS: &str = "/.well-known/apki-trust-bundle.jws";
const SPIFFE: &str = "/.well-known/apki-trust-bundle.spiffe";

/// How long caches may keep an answer. A CA that is taken out of the bundle is to be gone soon.
const HOLDS: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// The same in words.
pub(super) const HOLDS_TEXT: &str = "public, max-age=300";

/// One bundle in all its forms.
pub struct Published {
    bundle: Document,
    jws: Document,
    spiffe: Document,
}

/// One of them, with the tag that tells it from its successors (RFC 9110 section 8.8.3).
struct Document {
    media: &'static str,
    octets: Bytes,
    tag: String,
}

impl Document {
    fn new(media: &'static str, octets: Vec<u8>) -> Self {
        let hash = hex::encode(Sha256::digest(&octets));
        Self { media, tag: format!("\"{}\"", hash.get(..32).unwrap_or_default()), octets: octets.into() }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let mut response = match self.is_known(asked) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => cache::octets(HOLDS, HeaderValue::from_static(self.media), self.octets.clone()),
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HOLDS);
        if let Ok(tag) = HeaderValue::try_from(&self.tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    /// `If-None-Match` names this one (RFC 9110 section 13.1.2).
    fn is_known(&self, asked: &HeaderMap) -> bool {
        let lines = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
        let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag)
    }
}

impl Published {
    /// A bundle, the signature over it, and its form for SPIFFE.
    pub fn new(bundle: Vec<u8>, jws: String, spiffe: Vec<u8>) -> Self {
        Self {
            bundle: Document::new("application/json", bundle),
            jws: Document::new("application/jose", jws.into_bytes()),
            spiffe: Document::new("application/json", spiffe),
        }
    }
}

/// The bundle that is served now, if there is one.
#[derive(Default)]
pub struct BundleHolder(RwLock<Option<Arc<Published>>>);

impl BundleHolder {
    /// Serves this one from now on, or none.
    pub fn set(&self, published: Option<Published>) {
        *self.0.write() = published.map(Arc::new);
    }

    fn answer(&self, asked: &HeaderMap, which: impl FnOnce(&Published) -> &Document) -> Result<Response, Failure> {
        let published = self.0.read().clone();
        let nothing = || Failure::new(Token::NotFound, "this CA publishes no trust bundle");
        published.map(|published| which(&published).answer(asked)).ok_or_else(nothing)
    }

    /// The routes, to be merged with those of the CA.
    pub fn router(self: Arc<Self>) -> Router {
        type Holder = State<Arc<BundleHolder>>;
        Router::new()
            .route(BUNDLE, get(async |State(holder): Holder, asked: HeaderMap| holder.answer(&asked, |p| &p.bundle)))
            .route(JWS, get(async |State(holder): Holder, asked: HeaderMap| holder.answer(&asked, |p| &p.jws)))
            .route(SPIFFE, get(async |State(holder): Holder, asked: HeaderMap| holder.answer(&asked, |p| &p.spiffe)))
            .method_not_allowed_fallback(async || {
                Failure::new(Token::MethodNotAllowed, "this path answers to another method")
            })
            .with_state(self)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(holder: &Arc<BundleHolder>, path: &str, tag: &str) -> (u16, HeaderMap, Vec<u8>) {
        let request = Request::get(path).header("If-None-Match", tag).body(Body::empty()).unwrap();
        let response = Arc::clone(holder).router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn the_three_forms_are_served_with_their_tags() {
        let holder = Arc::new(BundleHolder::default());
        for path in PATHS {
            assert_eq!(ask(&holder, path, "x").await.0, 404);
        }
        holder.set(Some(Published::new(b"{}".to_vec(), "a..b".into(), b"{\"keys\":[]}".to_vec())));
        let expected: [(&str, &[u8]); 3] =
            [("application/json", b"{}"), ("application/jose", b"a..b"), ("application/json", b"{\"keys\":[]}")];
        for (path, (media, octets)) in PATHS.into_iter().zip(expected) {
            let (status, headers, body) = ask(&holder, path, "\"other\"").await;
            assert_eq!((status, headers["content-type"].to_str().unwrap(), body.as_slice()), (200, media, octets));
            assert_eq!(headers["cache-control"], HOLDS_TEXT);
            let tag = headers["etag"].to_str().unwrap();
            for known in [tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
                let (status, headers, body) = ask(&holder, path, known).await;
                assert_eq!((status, body.len(), headers["etag"].to_str().unwrap()), (304, 0, tag), "{known}");
            }
        }
        let old = ask(&holder, BUNDLE, "x").await.1["etag"].clone();
        holder.set(Some(Published::new(b"{ }".to_vec(), "a..c".into(), b"{}".to_vec())));
        assert_eq!(ask(&holder, BUNDLE, old.to_str().unwrap()).await.0, 200);
        let request = Request::post(BUNDLE).body(Body::empty()).unwrap();
        assert_eq!(Arc::clone(&holder).router().oneshot(request).await.unwrap().status(), 405);
    }
}
