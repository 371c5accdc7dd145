//! Witnesses, asked for their cosignatures (C2SP tlog-witness).

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};

use super::{ClientError, Site, bounded, refusal};
use crate::log::witnessing::{AddCheckpoint, MAX_ANSWER_OCTETS, read_size};
use crate::merkle::TreeSize;

/// The type of a 409 that names the size which the witness remembers.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// Octets of such a 409.
const MAX_SIZE_OCTETS: usize = 64;

/// One witness, by its submission prefix. Clones share their connections.
#[derive(Clone, Debug)]
pub struct WitnessClient {
    site: Site,
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// 200: signature lines, which nobody has looked at yet.
    Lines(Vec<u8>),
    /// 409: it remembers a tree of this size, and not the one that the request names.
    Remembers(TreeSize),
    /// 422, or 409 without a size: it holds that the checkpoint does not continue the tree that it remembers, which may
    /// be another one of the very same size.
    Inconsistent,
}

impl WitnessClient {
    /// A client of the witness at `base`, with timeouts of 5 seconds to connect and 30 for a whole answer. It
    /// follows no redirect.
    ///
    /// # Errors
    /// Where `base` is not an `http` or `https` URL without query and fragment, or TLS cannot start.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        Ok(Self { site: Site::new(base)? })
    }

    /// The submission prefix, without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.site.base()
    }

    /// `POST add-checkpoint`.
    ///
    /// # Errors
    /// Where there is no answer, or none of 200, 409 and 422.
    pub async fn add_checkpoint(&self, request: &AddCheckpoint<'_>) -> Result<WitnessAnswer, ClientError> {
        let url = self.site.url("add-checkpoint");
        let call = self.site.http.request(Method::POST, &url).header(CONTENT_TYPE, "text/plain; charset=utf-8");
        let mut response = match call.body(request.to_string()).send().await {
            Ok(response) => response,
            Err(source) => return Err(ClientError::Transport { url, source: source.without_url() }),
        };
        match response.status().as_u16() {
            200 => Ok(WitnessAnswer::Lines(bounded(&mut response, &url, MAX_ANSWER_OCTETS).await?)),
            422 => Ok(WitnessAnswer::Inconsistent),
            409 if !is_size(response.headers()) => Ok(WitnessAnswer::Inconsistent),
            409 => {
                let body = bounded(&mut response, &url, MAX_SIZE_OCTETS).await?;
                let reason = || "a size is a decimal number and a newline".to_owned();
                let size = read_size(&body).ok_or_else(|| ClientError::Unparsable { url, reason: reason() })?;
                Ok(WitnessAnswer::Remembers(size))
            }
            _ => Err(refusal(&mut response, url).await),
        }
    }
}

/// Whether the type is that of a size, parameters aside.
fn is_size(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(SIZE_TYPE))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_size_is_told_by_its_type() {
        let of =
            |media: &'static str| is_size(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media))]));
        assert!(of("text/x.tlog.size") && of("Text/X.tlog.size; charset=utf-8") && of(" text/x.tlog.size ;x"));
        assert!(!of("text/plain") && !of("text/x.tlog.sizes") && !of("") && !is_size(&HeaderMap::new()));
    }
}
