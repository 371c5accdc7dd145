//! The log's HTTP API, called (protocol section 5).

use reqwest::Client;

use super::{ClientError, LARGE, SMALL, Site};
use crate::api::{
    AnchorsResponse, CertHashQuery, ConsistencyQuery, ConsistencyResponse, EntriesQuery, EntriesResponse,
    EntryResponse, LogDescriptor, ProofAndHeadResponse, ProofQuery, ProofResponse, SthResponse, SubmitEntriesRequest,
    SubmitEntriesResponse, SubmitEntryRequest, SubmitEntryResponse,
};
use crate::merkle::Hash;

/// Most octets of a tile or bundle that are read.
pub const MAX_TILE_OCTETS: usize = LARGE;

/// One log, by its base URL. Clones share their connections.
#[derive(Clone, Debug)]
pub struct LogClient {
    site: Site,
}

impl LogClient {
    /// A client of the log at `base`, such as `https://atl.example.com/2026h2`, with timeouts of
    /// 5 seconds to connect and 30 for a whole answer. It follows no redirect.
    ///
    /// # Errors
    /// Where `base` is not an `http` or `https` URL without query and fragment, or TLS cannot start.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        Ok(Self { site: Site::new(base)? })
    }

    /// A client of the log at `base` through `http`, whose timeouts and trust are the caller's.
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

    /// `POST submit-entry`.
    pub async fn submit(&self, entry: &SubmitEntryRequest) -> Result<SubmitEntryResponse, ClientError> {
        self.site.post("atl/v1/submit-entry", entry).await
    }

    /// `POST submit-entries`, at most [`crate::api::MAX_BATCH_ENTRIES`]. There are as many results
    /// as entries, or it is an error.
    pub async fn submit_entries(&self, batch: &SubmitEntriesRequest) -> Result<SubmitEntriesResponse, ClientError> {
        let path = "atl/v1/submit-entries";
        let answer: SubmitEntriesResponse = self.site.post(path, batch).await?;
        if answer.results.len() == batch.entries.len() {
            return Ok(answer);
        }
        let reason = format!("{} results for {} entries", answer.results.len(), batch.entries.len());
        Err(ClientError::Unparsable { url: self.site.url(path), reason })
    }

    /// `GET get-sth`.
    pub async fn sth(&self) -> Result<SthResponse, ClientError> {
        self.site.get("atl/v1/get-sth", SMALL).await
    }

    /// `GET get-sth-consistency`.
    pub async fn consistency(&self, query: ConsistencyQuery) -> Result<ConsistencyResponse, ClientError> {
        self.site.get(&format!("atl/v1/get-sth-consistency?{}", query.to_query()), SMALL).await
    }

    /// `GET get-proof-by-hash`.
    pub async fn proof_by_hash(&self, query: ProofQuery) -> Result<ProofResponse, ClientError> {
        self.site.get(&format!("atl/v1/get-proof-by-hash?{}", query.to_query()), SMALL).await
    }

    /// `GET get-all-by-hash`.
    pub async fn all_by_hash(&self, query: ProofQuery) -> Result<ProofAndHeadResponse, ClientError> {
        self.site.get(&format!("atl/v1/get-all-by-hash?{}", query.to_query()), SMALL).await
    }

    /// `GET get-entries`. The log may answer with fewer entries than asked for.
    pub async fn entries(&self, query: EntriesQuery) -> Result<EntriesResponse, ClientError> {
        self.site.get(&format!("atl/v1/get-entries?{}", query.to_query()), LARGE).await
    }

    /// `GET get-entry-by-cert-hash`.
    pub async fn entry_by_cert_hash(&self, query: CertHashQuery) -> Result<EntryResponse, ClientError> {
        self.site.get(&format!("atl/v1/get-entry-by-cert-hash?{}", query.to_query()), LARGE).await
    }

    /// `GET get-anchors`.
    pub async fn anchors(&self) -> Result<AnchorsResponse, ClientError> {
        self.site.get("atl/v1/get-anchors", LARGE).await
    }

    /// `GET log`: the descriptor.
    pub async fn descriptor(&self) -> Result<LogDescriptor, ClientError> {
        self.site.get("atl/v1/log", SMALL).await
    }

    /// `GET checkpoint`: a signed note, which is UTF-8 text.
    pub async fn checkpoint(&self) -> Result<String, ClientError> {
        let octets = self.site.octets("checkpoint", SMALL).await?;
        let reason = |e: std::string::FromUtf8Error| e.to_string();
        String::from_utf8(octets)
            .map_err(|e| ClientError::Unparsable { url: self.site.url("checkpoint"), reason: reason(e) })
    }

    /// The octets of the tile or bundle at `path`, such as `tile/0/000` or `tile/certs/x001/002`.
    pub async fn tile(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        self.site.octets(path.trim_start_matches('/'), LARGE).await
    }

    /// The same, where it has no more than `most` octets; never more than [`MAX_TILE_OCTETS`].
    pub async fn tile_within(&self, path: &str, most: usize) -> Result<Vec<u8>, ClientError> {
        self.site.octets(path.trim_start_matches('/'), most.min(LARGE)).await
    }

    /// `GET issuer`: DER of the chain certificate with this SHA-256.
    pub async fn issuer(&self, fingerprint: &Hash) -> Result<Vec<u8>, ClientError> {
        self.site.octets(&format!("issuer/{fingerprint}"), SMALL).await
    }
}
