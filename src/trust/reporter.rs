//! Reporters: relying parties that are registered to report on agents (draft 6.3, T1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::keys::PublicKey;

const MAX_ID: usize = 64;

/// A reporter's name: 1 to 64 lower-case letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReporterId(String);

/// Why text is no reporter's name, or reporters cannot be registered together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReporterError {
    /// The name.
    #[error("`{0}` is no reporter's name: 1 to {MAX_ID} lower-case letters, digits, `.`, `_` and `-`")]
    Id(String),
    /// Two have the same name.
    #[error("two reporters are called `{0}`: give each a name of its own")]
    SameId(ReporterId),
    /// Two have the same key, and would pass for two opinions where there is one.
    #[error("the reporters `{0}` and `{1}` have the same key: a second opinion needs a second key")]
    SameKey(ReporterId, ReporterId),
}

impl ReporterId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReporterId {
    type Err = ReporterError;

    fn from_str(text: &str) -> Result<Self, ReporterError> {
        let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_' | b'-');
        match (1..=MAX_ID).contains(&text.len()) && text.bytes().all(good) {
            true => Ok(Self(text.to_owned())),
            false => Err(ReporterError::Id(text.chars().take(MAX_ID).collect())),
        }
    }
}

impl TryFrom<String> for ReporterId {
    type Error = ReporterError;

    fn try_from(text: String) -> Result<Self, ReporterError> {
        text.parse()
    }
}

impl From<ReporterId> for String {
    fn from(id: ReporterId) -> Self {
        id.0
    }
}

impl fmt::Display for ReporterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who may report, and the key that its signals are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporters(BTreeMap<ReporterId, PublicKey>);

impl Reporters {
    /// These reporters.
    ///
    /// # Errors
    /// Where two share a name or a key.
    pub fn new(all: impl IntoIterator<Item = (ReporterId, PublicKey)>) -> Result<Self, ReporterError> {
        let (mut reporters, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for (id, key) in all {
            if let Some(other) = keys.insert(key.spki_der().to_vec(), id.clone()) {
                let same = if other == id { ReporterError::SameId(id) } else { ReporterError::SameKey(other, id) };
                return Err(same);
            }
            if reporters.insert(id.clone(), key).is_some() {
                return Err(ReporterError::SameId(id));
            }
        }
        Ok(Self(reporters))
    }

    /// The key of a reporter, if it is registered.
    pub fn key(&self, id: &ReporterId) -> Option<&PublicKey> {
        self.0.get(id)
    }

    /// Whether it is registered.
    pub fn has(&self, id: &ReporterId) -> bool {
        self.0.contains_key(id)
    }

    /// Every name.
    pub fn ids(&self) -> BTreeSet<ReporterId> {
        self.0.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::testing::key;

    #[test]
    fn names_are_plain_and_nobody_is_registered_twice() {
        for bad in ["", "A", "a b", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<ReporterId>().is_err(), "{bad}");
        }
        let id = |text: &str| text.parse::<ReporterId>().unwrap();
        let both = Reporters::new([(id("a"), key(1)), (id("b"), key(2))]).unwrap();
        assert!(both.has(&id("a")) && !both.has(&id("c")));
        let same = Reporters::new([(id("a"), key(1)), (id("a"), key(2))]);
        assert_eq!(same, Err(ReporterError::SameId(id("a"))));
        let same = Reporters::new([(id("a"), key(1)), (id("b"), key(1))]);
        assert_eq!(same, Err(ReporterError::SameKey(id("a"), id("b"))));
    }
}
