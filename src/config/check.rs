//! Ranges and shapes: from what a file says to values that hold.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::raw::{RawTls, Whole};
use super::{ConfigError, PublicName, TlsFiles};
use crate::apki::AgentUri;
use crate::apki::extension::ValueError;
use crate::keys::PublicKey;
use crate::time::UnixMillis;

/// Characters that a name in a certificate may have (RFC 5280 appendix A.1, ub-organization-name).
const MAX_NAME: usize = 64;

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

    pub(super) fn trust_domain(&self, domain: String) -> Result<String, ConfigError> {
        let reason = match AgentUri::parse(&format!("agent://{domain}/x/y/z")) {
            Ok(uri) if uri.trust_domain() == domain => return Ok(domain),
            Ok(_) => "it is a DNS name alone".to_owned(),
            Err(e) => e.to_string(),
        };
        let allowed = format!("it must be a DNS name in lower case such as \"agents.example.com\": {reason}");
        self.refuse("trust_domain", format!("{domain:?}"), &allowed)
    }

    pub(super) fn public_names(&self, raw: Vec<String>) -> Result<Vec<PublicName>, ConfigError> {
        if raw.is_empty() {
            return self.refuse("public_names", "[]", "at least one DNS name or IP address");
        }
        let name = |(place, text): (usize, String)| match text.parse() {
            Ok(address) => Ok(PublicName::Ip(address)),
            Err(_) if is_dns_name(&text) => Ok(PublicName::Dns(text)),
            Err(_) => {
                let allowed = "it must be a DNS name such as \"ca.example.com\" or an IP address";
                self.refuse(&format!("public_names[{place}]"), format!("{text:?}"), allowed)
            }
        };
        raw.into_iter().enumerate().map(name).collect()
    }

    /// Checks the tables of an array, each with its place for complaints.
    pub(super) fn each<R, T>(
        &self,
        key: &str,
        raw: Vec<R>,
        check: impl Fn(&Self, &str, R) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        raw.into_iter().enumerate().map(|(place, raw)| check(self, &format!("{key}[{place}]"), raw)).collect()
    }

    /// Refuses an array of tables where two are the same in `field`.
    pub(super) fn once<T>(
        &self,
        key: &str,
        field: &str,
        tables: &[T],
        same: impl Fn(&T, &T) -> bool,
    ) -> Result<(), ConfigError> {
        for (place, table) in tables.iter().enumerate() {
            if let Some(first) = tables[..place].iter().position(|earlier| same(earlier, table)) {
                let found = format!("that of {key}[{first}] again");
                return self.refuse(&format!("{key}[{place}].{field}"), found, "each may stand there once");
            }
        }
        Ok(())
    }

    pub(super) fn key(&self, key: &str, text: &str) -> Result<PublicKey, ConfigError> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let allowed = "it must be a public key (Ed25519 or P-256), as base64 of its DER SubjectPublicKeyInfo";
        let refuse = |why: String| self.refuse(key, format!("{text:?}"), &format!("{allowed}: {why}"));
        match STANDARD.decode(text) {
            Ok(der) => PublicKey::from_spki_der(&der).or_else(|e| refuse(e.to_string())),
            Err(e) => refuse(e.to_string()),
        }
    }

    /// A name for people, of a certificate's size.
    pub(super) fn name(&self, key: &str, name: String) -> Result<String, ConfigError> {
        let fine = (1..=MAX_NAME).contains(&name.chars().count()) && name.trim() == name;
        if fine && !name.contains(char::is_control) {
            return Ok(name);
        }
        self.refuse(key, format!("{name:?}"), "it must be a name of 1 to 64 characters, without blanks around it")
    }

    pub(super) fn positive(&self, key: &str, n: u32) -> Result<NonZeroU32, ConfigError> {
        NonZeroU32::new(n).map_or_else(|| self.refuse(key, n, "allowed is 1 and more"), Ok)
    }

    /// A base URL, without a slash at its end.
    pub(super) fn base_url(&self, key: &str, raw: &str, example: &str) -> Result<String, ConfigError> {
        let url = raw.trim_end_matches('/').to_owned();
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let letters = url.bytes().all(|c| c.is_ascii_graphic()) && !url.contains(['?', '#', '@']);
        if !letters || host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':'])) {
            let allowed = format!("it must be a base URL such as \"{example}\", without user, query and fragment");
            return self.refuse(key, format!("{raw:?}"), &allowed);
        }
        Ok(url)
    }

    /// A value of a type that checks itself.
    pub(super) fn value<T>(
        &self,
        key: &str,
        found: impl ToString,
        value: Result<T, ValueError>,
    ) -> Result<T, ConfigError> {
        value.or_else(|e| self.refuse(key, found, &e.to_string()))
    }

    /// A moment.
    pub(super) fn moment(&self, key: &str, text: &str) -> Result<UnixMillis, ConfigError> {
        let seconds = text.parse::<der::DateTime>().ok().map(|moment| moment.unix_duration().as_secs());
        let allowed = "it must be a moment in UTC from 1970 to 9999, such as \"2026-07-01T00:00:00Z\"";
        let moment = seconds.and_then(UnixMillis::from_secs);
        moment.map_or_else(|| self.refuse(key, format!("{text:?}"), allowed), Ok)
    }

    /// The SHA-256 of a token, in hex.
    pub(super) fn token_sha256(&self, key: &str, text: &str) -> Result<[u8; 32], ConfigError> {
        let mut hash = [0; 32];
        if hex::decode_to_slice(text, &mut hash).is_ok() {
            return Ok(hash);
        }
        // What stands there may be the token itself, and complaints end up in logs.
        let found = format!("{} characters of something else", text.chars().count());
        self.refuse(key, found, "it must be the SHA-256 of the token's text, 64 hexadecimal digits")
    }
}

/// Letters, digits and inner hyphens between dots (RFC 1123 section 2.1), not all of them digits,
/// so that no mistyped address passes for a name.
fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let letters = label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        (1..=63).contains(&label.len()) && letters && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|c| c.is_ascii_digit())
}
