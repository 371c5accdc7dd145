//! `[witness]`: whether the monitor cosigns the checkpoints of the logs that it follows.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Check, ConfigError};

/// How the monitor is a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessConfig {
    /// PEM PKCS#8 Ed25519 key that signs cosignatures, and nothing else.
    pub key_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWitness {
    key_file: PathBuf,
}

impl RawWitness {
    /// `monitor_key` is the file of the monitor's own key.
    pub(super) fn check(self, check: &Check<'_>, monitor_key: &Path) -> Result<WitnessConfig, ConfigError> {
        let key_file = check.path(&self.key_file);
        match key_file == monitor_key {
            false => Ok(WitnessConfig { key_file }),
            true => Err(check.refuse(
                "witness.key_file",
                "a witness has a key of its own: make one with `atl-monitor keygen --witness`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MonitorConfig;

    fn parse(table: &str) -> Result<Option<WitnessConfig>, String> {
        let text = format!("name = \"monitor.example\"\n{table}");
        let config = MonitorConfig::parse(&text, Path::new("/etc/atl"), "monitor.toml");
        config.map(|config| config.witness).map_err(|error| error.to_string())
    }

    #[test]
    fn a_monitor_is_a_witness_where_it_has_a_key_for_it() {
        assert_eq!(parse(""), Ok(None));
        let key_file = "/etc/atl/witness.pem".into();
        assert_eq!(parse("[witness]\nkey_file = \"witness.pem\""), Ok(Some(WitnessConfig { key_file })));
        assert!(parse("[witness]").unwrap_err().contains("key_file"));
        assert!(parse("[witness]\nkey_file = \"w.pem\"\nkey = 1").unwrap_err().contains("`key`"));
        let shared = parse("[witness]\nkey_file = \"monitor-key.pem\"").unwrap_err();
        assert!(shared.starts_with("monitor.toml: `witness.key_file`: a witness has a key of its own"), "{shared}");
    }
}
