//! A small file beside a database, replaced atomically: what must not be rolled back with it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::log::store::StoreError;

/// One such file.
#[derive(Clone, Debug)]
pub(super) struct KeptFile {
    path: PathBuf,
}

impl KeptFile {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn damaged(&self, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Corrupt(format!("{} is damaged: {error}", self.path.display()))
    }

    pub(super) fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Failed(format!("{} cannot be {what}: {error}", self.path.display()))
    }

    /// What is in it behind this first line; `None` where there is no such file.
    pub(super) fn read(&self, first_line: &str) -> Result<Option<String>, StoreError> {
        let body = self.read_octets(first_line)?;
        body.map(|body| String::from_utf8(body).map_err(|e| self.damaged(&e))).transpose()
    }

    /// The same of a file whose body is no text.
    pub(super) fn read_octets(&self, first_line: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let octets = match fs::read(&self.path) {
            Ok(octets) => octets,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("read", &e)),
        };
        let body = octets.strip_prefix(first_line.as_bytes());
        Ok(Some(body.ok_or_else(|| self.damaged(&"its first line is another"))?.to_vec()))
    }

    /// Replaces it, and returns once that is durable.
    pub(super) fn write(&self, text: &str) -> Result<(), StoreError> {
        self.write_parts(&[text.as_bytes()])
    }

    /// Replaces it by these parts, one behind the other, and returns once that is durable.
    pub(super) fn write_parts(&self, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.replace(parts).map_err(|e| self.failed("written", &e))
    }

    fn replace(&self, parts: &[&[u8]]) -> std::io::Result<()> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let mut file = File::create(&new)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        // The rename is durable once the directory is.
        let parent = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()
    }
}

/// The value of a line `name: value`; empty where there is none.
pub(super) fn value<'a>(body: &'a str, name: &str) -> &'a str {
    let of = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    body.lines().find_map(of).unwrap_or_default()
}
