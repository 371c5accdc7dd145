//! What commands on a log elsewhere have in common: its key, its verified heads, its patience.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::open::read_certificates;
use crate::api::{LogDescriptor, SthResponse};
use crate::apki::Certificate;
use crate::cli::output::{CliError, Context};
use crate::client::{ClientError, LogClient};
use crate::keys::PublicKey;
use crate::log::checkpoint::{Checkpoint, open_checkpoint};
use crate::log::note::VerifierKey;
use crate::log::sth::{SignedTreeHead, TreeHead};

/// Times that a call is made again where the log asks for patience.
const PATIENCE: u32 = 10;
/// Times that a call is made again where the connection breaks.
const RETRIES: u32 = 3;
/// The longest wait before one call.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Where the key came from that a log is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeySource {
    /// From the person who runs the command.
    Pinned,
    /// From the file that an earlier head was saved in.
    Remembered,
    /// From the log itself, which proves nothing about who it is.
    LogsOwnWord,
}

/// A log elsewhere.
pub struct RemoteLog {
    /// The way to it.
    pub client: LogClient,
    /// The key that it is held against.
    pub vkey: VerifierKey,
    /// Where that came from.
    pub source: KeySource,
    /// What it says of itself.
    pub descriptor: LogDescriptor,
}

/// Finds the log at `url` and the key to hold it against.
pub async fn connect(url: &str, pinned: Option<VerifierKey>) -> Result<RemoteLog, CliError> {
    let client = LogClient::new(url).map_err(failed)?;
    let descriptor = polite(|| client.descriptor()).await.map_err(failed)?;
    let (vkey, source) = match pinned {
        Some(vkey) => (vkey, KeySource::Pinned),
        None => {
            let vkey = descriptor.vkey.parse().context("the verifier key that the log gives")?;
            (vkey, KeySource::LogsOwnWord)
        }
    };
    Ok(RemoteLog { client, vkey, source, descriptor })
}

impl RemoteLog {
    /// Under which key, and on whose word.
    pub fn trust(&self) -> String {
        match self.source {
            KeySource::Pinned => format!("Held against the key that you gave for {}.", self.vkey.name()),
            KeySource::Remembered => format!("Held against the key remembered for {}.", self.vkey.name()),
            KeySource::LogsOwnWord => format!(
                "NOTE: no --vkey was given, so the key is the log's own word: signatures prove that whoever answers at\n\
                 {} agrees with itself, and not who that is. It says its key is\n{}",
                self.client.base_url(),
                self.vkey
            ),
        }
    }

    /// The log's key.
    pub const fn key(&self) -> &PublicKey {
        self.vkey.key()
    }

    /// The last head, its signature verified.
    pub async fn head(&self) -> Result<SignedTreeHead, CliError> {
        let sth = signed(polite(|| self.client.sth()).await.map_err(failed)?);
        sth.verify(self.key()).map_err(|e| CliError::negative(format!("get-sth: {e}")))?;
        Ok(sth)
    }

    /// The last head and the checkpoint of it, both verified and equal.
    pub async fn head_and_checkpoint(&self) -> Result<(SignedTreeHead, String), CliError> {
        // A head may be signed between the two calls, but not each time.
        let mut mismatch = String::new();
        for _ in 0..5 {
            let sth = self.head().await?;
            let note = polite(|| self.client.checkpoint()).await.map_err(failed)?;
            let checkpoint = self.open(&note)?;
            if (checkpoint.size, checkpoint.root) == (sth.head.size, sth.head.root) {
                return Ok((sth, note));
            }
            let same = checkpoint.size == sth.head.size;
            mismatch = format!(
                "get-sth and checkpoint do not agree: root {} at {} entries, root {} at {} entries",
                sth.head.root, sth.head.size, checkpoint.root, checkpoint.size
            );
            if same {
                break;
            }
        }
        Err(CliError::negative(mismatch))
    }

    /// Reads a checkpoint that the log must have signed.
    pub fn open(&self, note: &str) -> Result<Checkpoint, CliError> {
        open_checkpoint(note.as_bytes(), &self.vkey).map_err(|e| CliError::negative(format!("checkpoint: {e}")))
    }
}

/// A head as the API has it.
pub fn signed(answer: SthResponse) -> SignedTreeHead {
    let head = TreeHead { size: answer.tree_size, timestamp: answer.timestamp, root: answer.root_hash };
    SignedTreeHead { log_id: answer.log_id, head, signature: answer.signature.0 }
}

/// A head for the API.
pub fn answer(sth: &SignedTreeHead) -> SthResponse {
    SthResponse {
        log_id: sth.log_id,
        tree_size: sth.head.size,
        timestamp: sth.head.timestamp,
        root_hash: sth.head.root,
        signature: sth.signature.clone().into(),
    }
}

/// A head kept for the next time, with the key that it was verified with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedHead {
    /// The verifier key.
    pub vkey: String,
    /// The head.
    #[serde(flatten)]
    pub sth: SthResponse,
}

/// Makes a call again where the log asks to (429, 503) or the connection breaks, waiting as long
/// as the log says.
pub async fn polite<T, F: Future<Output = Result<T, ClientError>>>(call: impl Fn() -> F) -> Result<T, ClientError> {
    let (mut patience, mut retries) = (PATIENCE, RETRIES);
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let left = match &error {
            ClientError::Problem { status: 429 | 503, .. } | ClientError::Status { status: 429 | 503, .. } => {
                &mut patience
            }
            ClientError::Transport { .. } => &mut retries,
            _ => return Err(error),
        };
        if *left == 0 {
            return Err(error);
        }
        *left -= 1;
        tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_secs(1)).min(LONGEST_WAIT)).await;
    }
}

/// Whether `error` is an answer of the log, rather than none at all.
pub const fn is_answer(error: &ClientError) -> bool {
    !matches!(
        error,
        ClientError::Transport { .. }
            | ClientError::BaseUrl { .. }
            | ClientError::Problem { status: 429 | 503, .. }
            | ClientError::Status { status: 429 | 503, .. }
    )
}

/// A call that gave no answer.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn failed(error: ClientError) -> CliError {
    CliError::new(error.to_string())
}

/// The certificates of a file, PEM or DER: one at least.
pub fn certificate_file(file: &Path) -> Result<Vec<Certificate>, CliError> {
    let octets = std::fs::read(file).context(file.display())?;
    if octets.first() == Some(&0x30) {
        return Ok(vec![Certificate::parse(octets).context(file.display())?]);
    }
    match read_certificates(file)? {
        found if found.is_empty() => {
            Err(CliError::new(format!("{}: neither PEM nor DER of a certificate", file.display())))
        }
        found => Ok(found),
    }
}
