//! Findings brought to people, at least once.

use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::state::{StateError, Table, Write};

/// Alerts by their findings' names.
pub const ALERTS: Table<Alert> = Table::new("alerts");

/// A finding, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What was found.
    pub finding: Finding,
}

/// Raises an alert as part of a step; whether it is new. A finding that is there already is not raised again.
pub fn raise(write: &mut Write, finding: &Finding) -> Result<bool, StateError> {
    let key = finding.id().to_string();
    if write.get(&ALERTS, key.as_bytes())?.is_some() {
        return Ok(false);
    }
    write.put(&ALERTS, key.as_bytes(), &Alert { finding: finding.clone() })?;
    Ok(true)
}
