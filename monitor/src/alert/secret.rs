//! Secrets of sinks: from a file or a variable of the environment, and never shown.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Most octets of a secret's file.
const MOST: u64 = 64 << 10;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a file. White space at its end is not part of it.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
}

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// The variable is not set.
    #[error("the environment variable {0} is not set, or is not UTF-8: set it for the monitor's process")]
    Env(String),
    /// There is nothing in it.
    #[error("{0}: the secret in it is empty")]
    Empty(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?,
            Self::File(path) => {
                let failed = |reason: String| SecretError::File { file: path.display().to_string(), reason };
                let length = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
                if length > MOST {
                    return Err(failed(format!("it has more than {MOST} octets, which is no secret")));
                }
                std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?
            }
        };
        match text.trim_end() {
            "" => Err(SecretError::Empty(self.to_string())),
            secret => Ok(Secret(secret.to_owned())),
        }
    }
}

/// A secret, which shows itself to nobody who does not [`expose`](Self::expose) it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` of somebody who knows the secret, without it.
    pub fn redact(&self, text: &str) -> String {
        text.replace(&self.0, "[secret]")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_from_its_file_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        let source = Source::File(file.clone());
        assert!(matches!(source.read(), Err(SecretError::File { .. })));
        std::fs::write(&file, "\n").unwrap();
        assert!(matches!(source.read(), Err(SecretError::Empty(_))));
        std::fs::write(&file, "hunter2 and more\n").unwrap();
        let secret = source.read().unwrap();
        assert_eq!(secret.expose(), "hunter2 and more");
        assert_eq!(format!("{secret:?} {source:?}").matches("hunter2").count(), 0);
        assert_eq!(secret.redact("wrong: hunter2 and more!"), "wrong: [secret]!");
        std::fs::write(&file, vec![b'a'; 70_000]).unwrap();
        assert!(matches!(source.read(), Err(SecretError::File { .. })));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = Source::Env("ATL_MONITOR_NO_SUCH_VARIABLE".into()).read().unwrap_err();
        assert!(error.to_string().contains("ATL_MONITOR_NO_SUCH_VARIABLE"), "{error}");
    }
}
