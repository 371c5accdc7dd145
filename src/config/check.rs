//! Ranges and shapes: from what a file says to values that hold.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::raw::{RawTls, Whole};
use super::{ConfigError, TlsFiles};

/// Checks values, with the name of the file for complaints.
pub(super) struct Check<'a> {
    pub(super) file: &'a str,
}

impl Check<'_> {
    pub(super) fn refuse<T>(&self, key: &str, found: impl ToString, allowed: &str) -> Result<T, ConfigError> {
        let (found, allowed) = (found.to_string(), allowed.to_owned());
        Err(ConfigError::Value { file: self.file.to_owned(), key: key.to_owned(), found, allowed })
    }

    pub(super) fn number<T: TryFrom<i64>>(
        &self,
        key: &str,
        Whole(n): Whole,
        least: i64,
        most: i64,
    ) -> Result<T, ConfigError> {
        match T::try_from(n) {
            Ok(value) if (least..=most).contains(&n) => Ok(value),
            _ => self.refuse(key, n, &format!("allowed is {least} to {most}")),
        }
    }

    pub(super) fn rate(&self, key: &str, n: Whole) -> Result<NonZeroU32, ConfigError> {
        let value: u32 = self.number(key, n, 1, 1_000_000_000)?;
        NonZeroU32::new(value).map_or_else(|| self.refuse(key, value, "allowed is 1 and more"), Ok)
    }

    pub(super) fn address(&self, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
        let allowed = "it must be an IP address with a port, such as \"127.0.0.1:8080\" or \"[::]:443\"";
        text.parse().or_else(|_| self.refuse(key, format!("{text:?}"), allowed))
    }

    pub(super) fn path(&self, key: &str, base: &Path, path: PathBuf) -> Result<PathBuf, ConfigError> {
        if path.as_os_str().is_empty() {
            return self.refuse(key, "\"\"", "it must be a path");
        }
        Ok(base.join(path))
    }

    pub(super) fn tls(&self, base: &Path, raw: RawTls) -> Result<TlsFiles, ConfigError> {
        Ok(TlsFiles {
            cert_file: self.path("tls.cert_file", base, raw.cert_file)?,
            key_file: self.path("tls.key_file", base, raw.key_file)?,
        })
    }
}
