//! How operators reach their CA: over its own API, with a token of their own, so that the journal names
//! them and the server need not be stopped.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use crate::apki::chain::Anchors;
use crate::cli::agent::tls;
use crate::cli::log::remote::certificate_file;
use crate::cli::output::{CliError, Context};
use crate::client::{CaClient, ClientError};
use crate::config::CaConfig;

/// Which CA, and who asks.
#[derive(Args)]
pub struct OperatorArgs {
    /// The CA's directory, which `atl ca init` made
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The file with the operator's token; DIR/operator-admin.token without it
    #[arg(long, value_name = "FILE")]
    operator_token: Option<PathBuf>,
    /// Where the CA is; what DIR/ca.toml says without it
    #[arg(long)]
    url: Option<String>,
}

/// A CA, and the token that goes with every call.
pub struct Operator {
    /// The CA.
    pub ca: CaClient,
    token: Zeroizing<String>,
}

impl OperatorArgs {
    /// Reads the files and makes ready to call; nothing is called yet.
    pub fn open(&self) -> Result<Operator, CliError> {
        let config = CaConfig::load(&self.dir.join("ca.toml")).map_err(|e| CliError::new(e.to_string()))?;
        let file = self.operator_token.clone().unwrap_or_else(|| self.dir.join("operator-admin.token"));
        let token =
            Zeroizing::new(fs::read_to_string(&file).context(format_args!(
                "{} (the operator's token; --operator-token names another file)",
                file.display()
            ))?);
        let roots = certificate_file(&config.root_certificate)?;
        let roots = Anchors::new(roots).context(config.root_certificate.display())?;
        let url = self.url.clone().unwrap_or_else(|| format!("https://{}", reachable(config.listen)));
        // A certificate from files is a public one, most likely; the CA's own stands below its root.
        let http = tls::http_client(config.tls.is_none().then_some(roots), None).context("TLS")?;
        let ca = CaClient::with_http(&url, http).map_err(failed)?;
        Ok(Operator { ca, token: Zeroizing::new(token.trim().to_owned()) })
    }
}

impl Operator {
    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// The address to call where a server listens on this one: a server on all addresses is also here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// A call that failed, with what to look at where nobody answered.
pub fn failed(error: ClientError) -> CliError {
    match error {
        ClientError::Transport { .. } => {
            CliError::new(format!("{error}\nIs the CA running? atl ca serve --config DIR/ca.toml"))
        }
        other => CliError::new(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_called_on_the_loopback() {
        for (listen, called) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:2", "[::1]:2"),
            ("192.0.2.1:3", "192.0.2.1:3"),
            ("[::1]:4", "[::1]:4"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), called.parse().unwrap());
        }
    }
}
