//! Audit statements over HTTP: what the monitor says of the logs that it follows, signed
//! ([`atl::log::audit`]), for relying parties that want a log audited (draft section 11.2.5).
//!
//! A statement is about the head that was last verified, and as old as that verification: a monitor that has not
//! looked for a day says so. Of a log that is proven to have misbehaved it says `inconsistent`, for good.

use std::collections::HashMap;
use std::sync::Arc;

use atl::api::{Problem, Token};
use atl::keys::{LogId, SignError, Signer};
use atl::log::audit::{AuditStatement, Verdict, sign_audit};
use atl::log::note::{BadVerifierKey, KeyName, VerifierKey};
use atl::merkle::{Hash, TreeSize};
use atl::time::UnixMillis;
use parking_lot::Mutex;
use serde_json::{Value, json};
use thiserror::Error;

use crate::http::{Response, Router, Shared, captured, reply};
use crate::watched::WatchedLog;

/// Seconds that a statement may be kept by whoever has asked for it.
const KEEP_SECONDS: u32 = 60;

/// A head, and when the monitor came to its verdict about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Leaves of the head.
    pub size: TreeSize,
    /// Its root.
    pub root: Hash,
    /// When the verdict was come to.
    pub at: UnixMillis,
}

/// What the monitor thinks of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// The entries up to this head have its root, and it continues all others.
    Consistent(Verified),
    /// The log has signed this head, and it has misbehaved by it.
    Inconsistent(Verified),
}

/// Says what the monitor thinks of a log; `None` while nothing of it is verified. It may read the database.
pub type Opinions = Arc<dyn Fn(&WatchedLog) -> Option<Opinion> + Send + Sync>;

/// Why a monitor cannot audit.
#[derive(Debug, Error)]
pub enum BadAuditor {
    /// The key is of another kind than Ed25519.
    #[error("the monitor's key: {0}")]
    Key(#[from] BadVerifierKey),
    /// Nobody audits himself.
    #[error("the monitor's key is that of the log {0}; make one of its own with `atl-monitor keygen`")]
    Own(String),
}

/// Signs audit statements.
pub struct Auditor {
    key: VerifierKey,
    signer: Arc<dyn Signer>,
    logs: Vec<WatchedLog>,
    opinions: Opinions,
    /// What was signed last of each log.
    signed: Mutex<HashMap<LogId, (AuditStatement, String)>>,
}

impl Auditor {
    /// Signs what `opinions` says with the monitor's key.
    ///
    /// # Errors
    /// Where that is no Ed25519 key, or the key of one of the logs.
    pub fn new(shared: &Shared, opinions: Opinions) -> Result<Self, BadAuditor> {
        let key = VerifierKey::new(shared.name.clone(), shared.signer.public_key().clone())?;
        if let Some(log) = shared.logs.iter().find(|log| log.id == key.key().log_id()) {
            return Err(BadAuditor::Own(log.origin.to_string()));
        }
        let (signer, logs) = (Arc::clone(&shared.signer), shared.logs.clone());
        Ok(Self { key, signer, logs, opinions, signed: Mutex::default() })
    }

    /// The key by which others know the auditor.
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The statement about `log`, as a signed note; `None` while nothing of it is verified. It is signed anew only
    /// where something of it has changed.
    pub fn note(&self, log: &WatchedLog) -> Result<Option<String>, SignError> {
        let Some(statement) = self.statement(log) else { return Ok(None) };
        let mut signed = self.signed.lock();
        if let Some((_, note)) = signed.get(&log.id).filter(|(last, _)| *last == statement) {
            return Ok(Some(note.clone()));
        }
        let name: &KeyName = self.key.name();
        let note = sign_audit(&*self.signer, name, &statement)?;
        signed.insert(log.id, (statement, note.clone()));
        Ok(Some(note))
    }

    fn statement(&self, log: &WatchedLog) -> Option<AuditStatement> {
        let (verdict, Verified { size, root, at }) = match (self.opinions)(log)? {
            Opinion::Consistent(head) => (Verdict::Consistent, head),
            Opinion::Inconsistent(head) => (Verdict::Inconsistent, head),
        };
        Some(AuditStatement { origin: log.origin.clone(), log_id: log.id, size, root, at, verdict })
    }

    fn answer(&self, log_id: &str) -> Response {
        let missing = |detail| reply::problem(&Problem::new(Token::NotFound, detail));
        let Some(log) = self.logs.iter().find(|log| log.id.to_string() == log_id) else {
            return missing("no log with this identifier is followed; it is 64 lower-case hex digits");
        };
        match self.note(log) {
            Ok(Some(note)) => reply::cached(reply::text(note), KEEP_SECONDS),
            Ok(None) => missing("nothing of this log is verified yet; ask again later"),
            Err(error) => {
                tracing::error!(log = %log.origin, %error, "an audit statement was not signed");
                reply::problem(&Problem::new(Token::Internal, error.to_string()))
            }
        }
    }

    fn list(&self) -> Response {
        let logs: Vec<Value> = self.logs.iter().map(|log| self.line(log)).collect();
        reply::cached(reply::json(&json!({ "monitor": self.key.to_string(), "logs": logs })), KEEP_SECONDS)
    }

    fn line(&self, log: &WatchedLog) -> Value {
        let said = self.statement(log).map(|statement| {
            json!({
                "size": statement.size,
                "root": statement.root,
                "at": statement.at,
                "verdict": statement.verdict.as_str(),
            })
        });
        let id = log.id.to_string();
        json!({ "origin": log.origin.as_str(), "log_id": id, "note": format!("/audit/v1/{id}"), "statement": said })
    }
}

/// Adds `GET /audit/v1`, which lists what is said of all logs, unsigned, and `GET /audit/v1/<log id in hex>`, which
/// gives the signed note about one.
#[must_use]
pub fn routes(router: Router, auditor: &Arc<Auditor>) -> Router {
    let (list, one) = (Arc::clone(auditor), Arc::clone(auditor));
    router
        .get("/audit/v1", move |_| list.list())
        .get("/audit/v1/{log-id}", move |request| one.answer(captured(request, 0)))
}
