//! Revocation lists and OCSP, as `atl ca serve` puts them together.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::ca::service::{CaService, StatusSettings};
use crate::config::CaConfig;
use crate::config::ca::PublicName;
use crate::http::serve::stopped;

/// How often the root's list is looked for.
const LOOK: Duration = Duration::from_secs(2);

/// What the service is to know: where certificates say that it is, the CA being at `https`, and lists and OCSP
/// over plain HTTP at `http` where that is so.
pub fn settings(config: &CaConfig, https: SocketAddr, http: Option<SocketAddr>) -> StatusSettings {
    let status = &config.status;
    let (scheme, port) = http.map_or(("https", https.port()), |http| ("http", http.port()));
    let host = || match config.public_names.first() {
        Some(PublicName::Dns(name)) => name.clone(),
        Some(PublicName::Ip(IpAddr::V6(address))) => format!("[{address}]"),
        Some(PublicName::Ip(address)) => address.to_string(),
        None => https.ip().to_string(),
    };
    StatusSettings {
        base_url: Some(status.base_url.clone().unwrap_or_else(|| format!("{scheme}://{}:{port}", host()))),
        refresh_ms: u64::from(status.crl_refresh_seconds) * 1000,
        shard_ms: u64::from(status.crl_shard_seconds) * 1000,
        ocsp_validity_ms: u64::from(status.ocsp_validity_seconds) * 1000,
    }
}

/// Publishes what the root's signer of lists has written into this file, within seconds of every change.
pub async fn keep_root_list(service: Arc<CaService>, file: PathBuf, mut stop: watch::Receiver<bool>) {
    let mut seen: Option<SystemTime> = None;
    loop {
        match tokio::fs::metadata(&file).await.and_then(|found| found.modified()) {
            Ok(modified) if seen != Some(modified) => match tokio::fs::read(&file).await {
                Ok(der) => {
                    seen = Some(modified);
                    service.set_root_crl(Some(der));
                }
                Err(error) => tracing::warn!(file = %file.display(), %error, "the root's list cannot be read"),
            },
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(file = %file.display(), %error, "the root's list cannot be looked at"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_say_where_the_status_is() {
        let mut config = CaConfig::new("agents.example.com", "Example").unwrap();
        let (https, http) = ("10.0.0.1:8443".parse().unwrap(), "10.0.0.1:8080".parse().unwrap());
        let base = |config: &CaConfig, http| settings(config, https, http).base_url.unwrap();
        assert_eq!(base(&config, None), "https://localhost:8443");
        assert_eq!(base(&config, Some(http)), "http://localhost:8080");
        config.public_names = vec![PublicName::Ip("::1".parse().unwrap())];
        assert_eq!(base(&config, Some(http)), "http://[::1]:8080");
        config.status.base_url = Some("http://status.example.com".into());
        assert_eq!(base(&config, Some(http)), "http://status.example.com");
    }
}
