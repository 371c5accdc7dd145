//! Cosignatures on the checkpoints that a log serves, for the board.

use std::sync::Arc;

use atl::log::cosignature::{WitnessKey, cosigned_at};
use atl::log::note::Note;

use crate::board::{Board, CosignedBy};
use crate::head::{RawHead, SignedHead};
use crate::watched::WatchedLog;

/// Notes which witnesses have cosigned what a log serves.
pub struct Cosigned {
    pub board: Arc<Board>,
    pub witnesses: Vec<WitnessKey>,
}

impl Cosigned {
    /// Looks at one head; a tree head has no cosignatures.
    pub fn note(&self, log: &WatchedLog, head: &SignedHead) {
        let RawHead::Checkpoint(text) = head.raw() else { return };
        let Ok(note) = Note::parse(text.as_bytes()) else { return };
        for witness in &self.witnesses {
            let at = match cosigned_at(&note, std::slice::from_ref(witness)).as_deref() {
                Ok([Some(at)]) => at.to_millis(),
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(log = %log.origin, %error, "a cosignature on the log's checkpoint is not good");
                    continue;
                }
            };
            let by = CosignedBy { witness: witness.name().to_string(), size: head.size().get(), at };
            self.board.update(|standing| {
                let lines = standing.witnesses.entry(log.origin.to_string()).or_default();
                lines.retain(|line| line.witness != by.witness);
                lines.push(by);
                lines.sort_by(|one, other| one.witness.cmp(&other.witness));
            });
        }
    }
}
