//! What the commented files share that an operator starts from.

use std::net::SocketAddr;
use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{ConfigError, TlsFiles};
use crate::time::UnixMillis;

/// The table `tls`, as an example where there is none.
pub(super) fn tls(files: Option<&TlsFiles>) -> Result<String, ConfigError> {
    Ok(match files {
        None => "# [tls]\n# cert_file = \"cert.pem\"\n# key_file = \"key.pem\"\n".to_owned(),
        Some(tls) => format!(
            "[tls]\ncert_file = {}\nkey_file = {}\n",
            path("tls.cert_file", &tls.cert_file)?,
            path("tls.key_file", &tls.key_file)?
        ),
    })
}

/// The table `metrics`, as an example where there is none.
pub(super) fn metrics(listen: Option<SocketAddr>) -> String {
    match listen {
        None => "# [metrics]\n# listen = \"127.0.0.1:9090\"\n".to_owned(),
        Some(address) => format!("[metrics]\nlisten = {}\n", quoted(&address.to_string())),
    }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A path as a TOML string.
pub(super) fn path(key: &str, path: &Path) -> Result<String, ConfigError> {
    let text = path.to_str().ok_or_else(|| ConfigError::Value {
        file: "the new configuration".to_owned(),
        key: key.to_owned(),
        found: path.display().to_string(),
        allowed: "a path in a configuration must be UTF-8".to_owned(),
    })?;
    Ok(quoted(text))
}

/// A comment with the tables that it is about, or an example where there are none.
pub(super) fn tables_or(what: &str, tables: impl Iterator<Item = String>, example: &str) -> String {
    let tables: String = tables.collect();
    let shown = if tables.is_empty() { example } else { tables.trim_start_matches('\n') };
    format!("\n# {what}\n{shown}")
}

/// Strings as a TOML array.
pub(super) fn list(texts: impl Iterator<Item = String>) -> String {
    format!("[{}]", texts.map(|text| quoted(&text)).collect::<Vec<_>>().join(", "))
}

/// A DER SubjectPublicKeyInfo as TOML.
pub(super) fn spki(der: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(der))
}

/// RFC 3339 to the second: windows have no fractions.
pub(super) fn moment(at: UnixMillis) -> String {
    let text = at.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
