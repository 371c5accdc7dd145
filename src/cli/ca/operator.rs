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
    /// What the CA in the directory is set to.
    pub fn config(&self) -> Result<CaConfig, CliError> {
        CaConfig::load(&self.dir.join("ca.toml")).map_err(|e| CliError::new(e.to_string()))
    }

    /// Reads the files and makes ready to call; nothing is called yet.
    pub fn open(&self) -> Result<Operator, CliError> {
        let config = self.config()?;
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
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// A call that failed, with what to look at where the answer does not say.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn failed(error: ClientError) -> CliError {
    let next = match &error {
        ClientError::Transport { .. } => "Is the CA running? atl ca serve --config DIR/ca.toml",
        ClientError::Problem { status: 401, .. } => {
            "Is the token that of an operator under [[operators]] in ca.toml? --operator-token names its file"
        }
        ClientError::Status { .. } | ClientError::Unparsable { .. } | ClientError::BaseUrl { .. } => {
            "Is that the CA? --url says where it is"
        }
        ClientError::Problem { .. } | ClientError::TooLong { .. } => return CliError::new(error.to_string()),
    };
    CliError::new(format!("{error}\n{next}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Problem, Subproblem, Token};

    #[test]
    fn what_failed_says_what_to_do_next() {
        let url = || "https://ca.example.com/ca/v1/certificates".to_owned();
        let problem = |token: Token| ClientError::Problem {
            url: url(),
            status: token.status(),
            problem: Box::new(Problem::new(token, "why")),
        };
        assert!(failed(problem(Token::Unauthorized)).to_string().contains("why\nIs the token that of an operator"));
        assert!(!failed(problem(Token::Conflict)).to_string().contains('\n'));
        let proxy = ClientError::Status { url: url(), status: 502, retry_after_seconds: None };
        assert!(failed(proxy).to_string().ends_with("--url says where it is"));
        let reasons = [Subproblem::reason("validity", "too long"), Subproblem::reason("score", "")];
        let problem = Problem::new(Token::Policy, "too long; too low").of(reasons);
        let refused = ClientError::Problem { url: url(), status: 403, problem: Box::new(problem) };
        let lines = "status 403, policy: The registration authority refuses\n  validity: too long\n  score";
        assert!(failed(refused).to_string().ends_with(lines));
    }

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
