//! What a CA has issued, by its own list (`GET /ca/v1/certificates`), which its operators may read.

use std::fs;
use std::path::Path;

use atl::client::{CaClient, CertificatesQuery, builder};
use atl::log::entry::CertHash;
use reqwest::Certificate;

use super::{CaFeed, FeedError, MOST_HASHES, of_key};
use crate::rules::authorised::Hashes;

/// Certificates in one answer, which is the most that a CA gives.
const PAGE: u32 = 1000;

/// Milliseconds before the newest certificate known from which on the list is read again: what was signed at the
/// same time may have been written later.
const AGAIN: u64 = 600_000;

/// A CA's list.
pub(super) struct Repository {
    ca: CaClient,
    token_file: std::path::PathBuf,
    /// When the newest certificate known was signed, in milliseconds since 1970, by the CA's clock.
    newest: Option<u64>,
}

impl Repository {
    /// The list of the CA that the configuration names in the place `n`, from 0 on.
    pub(super) fn open(n: usize, config: &CaFeed) -> Result<Self, FeedError> {
        let token = |reason: String| {
            let next =
                "put the token of one of the CA's operators there, and let the user read it that the monitor runs as";
            of_key(format!("feed.ca[{n}].token_file"), &config.token_file, reason, next)
        };
        match fs::read_to_string(&config.token_file) {
            Ok(text) if text.trim().is_empty() => return Err(token("it is empty".into())),
            Ok(_) => {}
            Err(error) => return Err(token(error.to_string())),
        }
        if config.url.starts_with("http://") {
            tracing::warn!(
                url = config.url,
                "the operator's token goes to the CA over plain HTTP: whoever is between reads it"
            );
        }
        let ca = match &config.roots_file {
            None => CaClient::new(&config.url)?,
            Some(file) => {
                let refuse = |reason: String| {
                    let next = "put the PEM certificates there that vouch for the CA's server, such as its root.pem";
                    of_key(format!("feed.ca[{n}].roots_file"), file, reason, next)
                };
                let pem = fs::read(file).map_err(|e| refuse(e.to_string()))?;
                let roots = Certificate::from_pem_bundle(&pem).map_err(|e| refuse(e.to_string()))?;
                if roots.is_empty() {
                    return Err(refuse("there is no certificate in it".into()));
                }
                let http = builder().tls_certs_only(roots).build().map_err(|e| refuse(e.to_string()))?;
                CaClient::with_http(&config.url, http)?
            }
        };
        Ok(Self { ca, token_file: config.token_file.clone(), newest: None })
    }

    /// Adds what is new in the list to `all`; the first time all that is in it, newest first.
    ///
    /// # Errors
    /// Where the CA gives no answer or refuses. What came before that is kept, and asked for again.
    pub(super) async fn read(&mut self, all: &mut Hashes) -> Result<(), FeedError> {
        let token = String::from_utf8_lossy(&read(&self.token_file)?).trim().to_owned();
        let since = self.newest.map(|newest| newest.saturating_sub(AGAIN));
        let mut query = CertificatesQuery { since, limit: Some(PAGE), ..CertificatesQuery::default() };
        let mut newest = self.newest;
        loop {
            let page = self.ca.certificates(&token, &query).await?;
            newest = newest.max(page.certificates.iter().map(|row| row.signed_at.get()).max());
            let hash = |hash: atl::api::ca::Hex32| CertHash::new(hash.0);
            all.extend(page.certificates.iter().flat_map(|row| [Some(row.cert_hash), row.sha256]).flatten().map(hash));
            if all.len() > MOST_HASHES {
                return Err(FeedError::TooMany { path: self.ca.base_url().to_owned(), most: MOST_HASHES });
            }
            match page.next {
                None => break,
                Some(next) if page.certificates.is_empty() || query.after.as_ref() == Some(&next) => {
                    drop(next);
                    return Err(FeedError::Endless { url: self.ca.base_url().to_owned() });
                }
                after => query.after = after,
            }
        }
        self.newest = newest;
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FeedError> {
    let unreadable =
        |e: std::io::Error| FeedError::Unreadable { path: path.display().to_string(), reason: e.to_string() };
    fs::read(path).map_err(unreadable)
}
