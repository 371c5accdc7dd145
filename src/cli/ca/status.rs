//! Revocation lists and OCSP, as `atl ca serve` puts them together.

use std::net::{IpAddr, SocketAddr};

use crate::ca::service::StatusSettings;
use crate::config::CaConfig;
use crate::config::ca::PublicName;

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

/// What stands in front of `/crl` in the certificates of root, intermediates and signer, which are made while
/// nothing serves: `None` where the configuration leaves the port to the system.
pub fn base_url(config: &CaConfig) -> Option<String> {
    let (https, http) = (config.listen, config.status.listen);
    let port = http.unwrap_or(https).port();
    let known = config.status.base_url.is_some() || port != 0;
    known.then(|| settings(config, https, http).base_url).flatten()
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

    #[test]
    fn no_certificate_names_a_port_that_nobody_knows_yet() {
        let mut config = CaConfig::new("agents.example.com", "Example").unwrap();
        assert_eq!(base_url(&config).as_deref(), Some("https://localhost:8443"));
        config.status.listen = Some("127.0.0.1:0".parse().unwrap());
        assert_eq!(base_url(&config), None);
        config.status.base_url = Some("http://status.example.com".into());
        assert_eq!(base_url(&config).as_deref(), Some("http://status.example.com"));
        config.status = CaConfig::new("agents.example.com", "Example").unwrap().status;
        config.listen = "127.0.0.1:0".parse().unwrap();
        assert_eq!(base_url(&config), None);
    }
}
