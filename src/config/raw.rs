//! Files as they are written: what the configurations share.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};

use super::ConfigError;

/// The text of a configuration, and the name of its file for complaints.
pub(super) fn load(path: &Path) -> Result<(String, String), ConfigError> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((text, file)),
        Err(source) => Err(ConfigError::Read { file, source }),
    }
}

/// Keys and kinds of values.
pub(super) fn read<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, ConfigError> {
    let syntax = |e: toml::de::Error| e.to_string().trim_end().to_owned();
    toml::from_str(text).map_err(|e| ConfigError::Syntax { file: file.to_owned(), reason: syntax(e) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMetrics {
    pub(super) listen: Option<String>,
}

/// A TOML integer, of which complaints speak in words.
#[derive(Clone, Copy, Default)]
pub(super) struct Whole(pub(super) i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integer;
        impl Visitor<'_> for Integer {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E>(self, n: i64) -> Result<Whole, E> {
                Ok(Whole(n))
            }
        }
        deserializer.deserialize_i64(Integer)
    }
}
