//! The registry of builds known to be good, each signed by whoever vouches for them: what makes an
//! attestation `caVerified` (draft 5.6, 7.1 step 4).
//!
//! The file is JSON:
//!
//! ```json
//! {"entries": [{"build_hash": "<64 hex digits>", "name": "payments-bot", "version": "1.4.2",
//!   "organization": "payments", "agents": "agent://bank.example.com/payments/*/*",
//!   "not_after": 1800000000000, "signature": "<base64>"}]}
//! ```
//!
//! `organization` (the `org` segment of agent URIs), `agents` (a pattern of them) and `not_after` (the
//! last moment, in milliseconds since 1970) may be left out, and then do not limit the entry. The
//! signature is over [`Entry::message`], which is made for this purpose only:
//!
//! ```text
//! atl-registry-entry-v1
//! build_hash 64
//! <hex>
//! name 12
//! payments-bot
//! organization -
//! ```
//!
//! and so on, in the order of the JSON above: a line of the field's name and its length in octets, then
//! the value and a line feed; a `-` in place of the length where there is no value. Numbers are
//! decimal. No two entries have one message, since every value is as long as the line before says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::application::Octets;
use super::encoding;
use super::token::UriPattern;
use crate::apki::AgentUri;
use crate::apki::extension::Text;
use crate::keys::{PublicKey, SignError, Signer};
use crate::time::UnixMillis;

/// Most entries of a registry.
pub const MAX_ENTRIES: usize = 100_000;
/// Longest file, in octets.
pub const MAX_FILE: usize = 32 << 20;

const HEADING: &str = "atl-registry-entry-v1\n";

/// Why a file is not a registry. One bad entry refuses all of them: a registry that is read in part
/// is not the one that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// More octets than a registry may have.
    #[error("a registry has at most {MAX_FILE} octets, not {0}")]
    TooLong(usize),
    /// More entries than a registry may have.
    #[error("a registry has at most {MAX_ENTRIES} entries, not {0}")]
    TooMany(usize),
    /// Not the JSON of a registry.
    #[error("the registry does not read: {0}")]
    Json(String),
    /// An entry that nobody signed.
    #[error("entry {index}, build {build}, has no signature: sign the registry with its key first")]
    Unsigned {
        /// Its place, from 0.
        index: usize,
        /// Which build, by name, version and the start of its hash.
        build: String,
    },
    /// An entry that somebody else signed, or that was changed afterwards.
    #[error(
        "the signature of entry {index}, build {build}, does not verify: the entry was changed, or another key signed it"
    )]
    Signature {
        /// Its place, from 0.
        index: usize,
        /// Which build, by name, version and the start of its hash.
        build: String,
    },
    /// Two entries for the same build and the same agents.
    #[error("entry {index}, build {build}, is for the same hash, organization and agents as entry {earlier}")]
    Duplicate {
        /// Its place, from 0.
        index: usize,
        /// The place of the other.
        earlier: usize,
        /// Which build, by name, version and the start of its hash.
        build: String,
    },
    /// The key that is to sign cannot.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// One build, and for whom it is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// SHA-256 of the build.
    #[serde(with = "encoding::hash")]
    pub build_hash: [u8; 32],
    /// What the build is called.
    pub name: Text,
    /// Which version of it.
    pub version: Text,
    /// Only for agents with this `org` segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Text>,
    /// Only for agents that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<UriPattern>,
    /// Only until then, that moment included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<UnixMillis>,
    /// The registry key's signature over [`Entry::message`]; `None` before it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Octets>,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    entries: Vec<Entry>,
}

/// Builds known to be good; all signatures are checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    by_hash: BTreeMap<[u8; 32], Vec<Entry>>,
}

impl Entry {
    /// What is signed: every field but the signature.
    pub fn message(&self) -> Vec<u8> {
        let (hash, not_after) = (hex::encode(self.build_hash), self.not_after.map(|moment| moment.get().to_string()));
        let fields = [
            ("build_hash", Some(hash.as_str())),
            ("name", Some(self.name.as_str())),
            ("version", Some(self.version.as_str())),
            ("organization", self.organization.as_ref().map(Text::as_str)),
            ("agents", self.agents.as_ref().map(UriPattern::as_str)),
            ("not_after", not_after.as_deref()),
        ];
        let line = |(name, value): (&str, Option<&str>)| match value {
            Some(value) => format!("{name} {}\n{value}\n", value.len()),
            None => format!("{name} -\n"),
        };
        let lines = fields.into_iter().map(line);
        std::iter::once(HEADING.to_owned()).chain(lines).collect::<String>().into_bytes()
    }

    /// This entry, signed; a signature that it had is replaced.
    ///
    /// # Errors
    /// Where the key cannot sign.
    pub fn sign(self, key: &dyn Signer) -> Result<Self, SignError> {
        let signature = Some(Octets(key.sign(&self.message())?));
        Ok(Self { signature, ..self })
    }

    /// Whether the entry says that this agent, at this moment, is of a good build.
    fn is_for(&self, agent: &AgentUri, now: UnixMillis) -> bool {
        self.organization.as_ref().is_none_or(|organization| organization.as_str() == agent.org())
            && self.agents.as_ref().is_none_or(|agents| agents.matches(agent))
            && self.not_after.is_none_or(|not_after| now <= not_after)
    }

    /// The build, for people: its name, its version and the start of its hash.
    pub fn title(&self) -> String {
        let hash = hex::encode(&self.build_hash[..4]);
        format!("`{}` {} ({hash}...)", self.name.as_str(), self.version.as_str())
    }
}

impl Registry {
    /// Reads a registry, every entry of which this key has signed.
    ///
    /// # Errors
    /// [`RegistryError`] for the first entry that is not as it should be; there is no registry then.
    pub fn parse(file: &[u8], key: &PublicKey) -> Result<Self, RegistryError> {
        let entries = read(file)?;
        verify(&entries, key)?;
        let mut by_hash: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            by_hash.entry(entry.build_hash).or_default().push(entry);
        }
        Ok(Self { by_hash })
    }

    /// An entry that says that this agent, at this moment, is of a good build.
    pub fn find(&self, build_hash: &[u8; 32], agent: &AgentUri, now: UnixMillis) -> Option<&Entry> {
        self.by_hash.get(build_hash)?.iter().find(|entry| entry.is_for(agent, now))
    }

    /// All entries, by their build's hash.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_hash.values().flatten()
    }
}

/// Signs every entry of a registry's file, and writes the file anew. Signatures that are there are
/// replaced, so that an entry may be changed and signed again.
///
/// # Errors
/// Of the file, as in [`Registry::parse`], but for signatures; or the key's.
pub fn sign(file: &[u8], key: &dyn Signer) -> Result<String, RegistryError> {
    let entries = read(file)?.into_iter().map(|entry| entry.sign(key)).collect::<Result<_, _>>()?;
    write(entries)
}

/// Signs one more entry, and writes the file anew with it behind the others. Those must have been signed
/// by the same key already: what somebody else put there is not vouched for in passing. Without a file it
/// is the first entry of a new one.
///
/// # Errors
/// Of the file, as in [`Registry::parse`], also where the entry is there already; or the key's.
pub fn add(file: Option<&[u8]>, entry: Entry, key: &dyn Signer) -> Result<String, RegistryError> {
    let mut entries = file.map(read).transpose()?.unwrap_or_default();
    verify(&entries, key.public_key())?;
    entries.push(entry.sign(key)?);
    check(&entries)?;
    write(entries)
}

/// Reads the entries, and checks everything but their signatures.
fn read(file: &[u8]) -> Result<Vec<Entry>, RegistryError> {
    if file.len() > MAX_FILE {
        return Err(RegistryError::TooLong(file.len()));
    }
    let File { entries } = serde_json::from_slice(file).map_err(|e| RegistryError::Json(e.to_string()))?;
    check(&entries)?;
    Ok(entries)
}

/// That there are not too many, and no two for the same.
fn check(entries: &[Entry]) -> Result<(), RegistryError> {
    if entries.len() > MAX_ENTRIES {
        return Err(RegistryError::TooMany(entries.len()));
    }
    let mut seen = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let scope = (entry.organization.as_ref(), entry.agents.as_ref().map(UriPattern::as_str));
        if let Some(earlier) = seen.insert((entry.build_hash, scope), index) {
            return Err(RegistryError::Duplicate { index, earlier, build: entry.title() });
        }
    }
    Ok(())
}

/// That this key signed every one of them.
fn verify(entries: &[Entry], key: &PublicKey) -> Result<(), RegistryError> {
    for (index, entry) in entries.iter().enumerate() {
        let build = || entry.title();
        let Some(Octets(signature)) = &entry.signature else {
            return Err(RegistryError::Unsigned { index, build: build() });
        };
        key.verify(&entry.message(), signature).map_err(|_| RegistryError::Signature { index, build: build() })?;
    }
    Ok(())
}

fn write(entries: Vec<Entry>) -> Result<String, RegistryError> {
    let text = serde_json::to_string_pretty(&File { entries }).map_err(|e| RegistryError::Json(e.to_string()))? + "\n";
    // What is written reads again.
    if text.len() > MAX_FILE { Err(RegistryError::TooLong(text.len())) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
