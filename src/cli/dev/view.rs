//! A log, as somebody sees it who knows its key.

use std::net::SocketAddr;
use std::time::Duration;

use crate::api::{CertHashQuery, EntryResponse, ProofAndHeadResponse, ProofQuery, Token};
use crate::cli::log::open::OpenedLog;
use crate::cli::log::remote::{failed, signed};
use crate::cli::output::{CliError, Context};
use crate::client::{ClientError, LogClient};
use crate::config::ca::TrustedLog;
use crate::keys::Signer;
use crate::log::entry::CertHash;
use crate::log::note::VerifierKey;
use crate::log::sth::TreeHead;
use crate::merkle::Hash;

/// A log that is served.
pub struct Log {
    /// A or B.
    pub name: &'static str,
    /// Who runs it.
    pub operator: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where it is.
    pub url: String,
    /// Calls it.
    pub client: LogClient,
}

/// A log that is about to be served.
pub struct Unserved {
    name: &'static str,
    operator: String,
    key: VerifierKey,
}

impl Unserved {
    /// What is known of it before.
    pub fn new(name: &'static str, opened: &OpenedLog) -> Result<Self, CliError> {
        let key = opened.origin.verifier_key(opened.signer.public_key()).context("the log's key")?;
        Ok(Self { name, operator: opened.config.operator.clone(), key })
    }

    /// The same log, now served at this address.
    pub fn at(self, address: SocketAddr) -> Result<Log, CliError> {
        let url = format!("http://{address}");
        let client = LogClient::new(&url).map_err(failed)?;
        Ok(Log { name: self.name, operator: self.operator, key: self.key, url, client })
    }
}

impl Log {
    /// The log as a CA is told of it.
    pub fn trusted(&self) -> TrustedLog {
        TrustedLog { url: self.url.clone(), key: self.key.key().clone(), operator: self.operator.clone() }
    }

    /// A proof that this certificate is in the tree, as soon as a head covers it, and that head, verified.
    pub async fn proof_of(
        &self,
        hash: CertHash,
        patience: Duration,
    ) -> Result<(ProofAndHeadResponse, TreeHead), CliError> {
        let query = ProofQuery { hash: hash.leaf_hash(), tree_size: None };
        let wait = async {
            loop {
                match self.client.all_by_hash(query).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if is_unknown(&error) => tokio::time::sleep(Duration::from_millis(100)).await,
                    Err(error) => return Err(failed(error)),
                }
            }
        };
        let late = |_| CliError::new(format!("log {} signed no head over {hash} in time", self.name));
        let answer = tokio::time::timeout(patience, wait).await.map_err(late)??;
        let sth = signed(answer.sth.clone());
        sth.verify(self.key.key()).context("the tree head")?;
        Ok((answer, sth.head))
    }

    /// What the log has under this hash.
    pub async fn entry(&self, hash: CertHash) -> Result<EntryResponse, CliError> {
        let query = CertHashQuery { cert_hash: Hash::new(*hash.as_bytes()) };
        self.client.entry_by_cert_hash(query).await.map_err(failed)
    }
}

/// A head that covers it may be on its way.
fn is_unknown(error: &ClientError) -> bool {
    error.token() == Some(Token::HashUnknown)
}
