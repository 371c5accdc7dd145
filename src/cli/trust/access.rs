//! How people and CAs reach a trust engine: over its own API, with a token of their own.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use crate::cli::ca::operator::reachable;
use crate::cli::output::{CliError, Context};
use crate::client::{self, ClientError, TrustClient};
use crate::config::TrustConfig;

/// Which engine, and who asks.
#[derive(Args)]
pub struct EngineArgs {
    /// The engine's directory, which `atl trust init` made: says where it is, which certificate it has,
    /// and has the token
    #[arg(long, value_name = "DIR", required_unless_present = "engine")]
    dir: Option<PathBuf>,
    /// Where the engine is; what DIR/trust.toml says without it
    #[arg(long, value_name = "URL", requires = "token")]
    engine: Option<String>,
    /// PEM of the engine's TLS certificate, or of the root above it; DIR's own without it, or else what the
    /// system trusts
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The file with your token; DIR/operator-admin.token without it
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

/// An engine, and the token that goes with every call.
pub struct Engine {
    /// The engine.
    pub client: TrustClient,
    token: Zeroizing<String>,
}

impl EngineArgs {
    /// Reads the files and makes ready to call; nothing is called yet.
    pub fn open(&self) -> Result<Engine, CliError> {
        let config = |dir: &PathBuf| TrustConfig::load(&dir.join("trust.toml"));
        let config = self.dir.as_ref().map(config).transpose().map_err(|e| CliError::new(e.to_string()))?;
        let known = config.as_ref().map(|config| (format!("https://{}", reachable(config.listen)), &config.tls));
        let (url, pin) = match (&self.engine, known) {
            (Some(url), _) => (url.clone(), None),
            (None, Some((url, tls))) => (url, Some(tls.cert_file.as_path())),
            (None, None) => return Err(CliError::new("say which engine: --dir or --engine")),
        };
        let beside = self.dir.as_ref().map(|dir| dir.join("operator-admin.token"));
        let token = self.token.as_ref().or(beside.as_ref());
        let token = read_token(token.ok_or_else(|| CliError::new("name the file of your token with --token"))?)?;
        let http = http_client(self.ca_file.as_deref().or(pin), None)?;
        Ok(Engine { client: TrustClient::with_http(&url, http).map_err(failed)?, token })
    }
}

impl Engine {
    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// The token in a file.
pub fn read_token(file: &Path) -> Result<Zeroizing<String>, CliError> {
    let text = fs::read_to_string(file).context(format_args!("{} (a token)", file.display()))?;
    let text = Zeroizing::new(text);
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(CliError::new(format!("{}: there is no token in it, or more than one", file.display())));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// A certificate and its key, as PEM files, to be known by in mutual TLS.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate.
    pub certificate: &'a Path,
    /// Its private key.
    pub key: &'a Path,
}

/// An HTTP client that trusts the certificates in `ca_file`, themselves and what stands below them; or
/// without it what the system trusts.
pub fn http_client(ca_file: Option<&Path>, identity: Option<Identity<'_>>) -> Result<reqwest::Client, CliError> {
    let mut builder = client::builder();
    if let Some(file) = ca_file {
        let pem = fs::read(file).context(file.display())?;
        let trusted = reqwest::Certificate::from_pem_bundle(&pem).context(file.display())?;
        if trusted.is_empty() {
            return Err(CliError::new(format!("{}: there is no PEM certificate in it", file.display())));
        }
        builder = builder.tls_certs_only(trusted);
    }
    let own = identity.map(|own| format!("{} and {}", own.certificate.display(), own.key.display()));
    if let Some(Identity { certificate, key }) = identity {
        let mut pem = Zeroizing::new(fs::read_to_string(key).context(key.display())?);
        pem.push('\n');
        pem.push_str(&fs::read_to_string(certificate).context(certificate.display())?);
        let identity = reqwest::Identity::from_pem(pem.as_bytes());
        builder = builder.identity(identity.context(own.as_deref().unwrap_or_default())?);
    }
    builder.build().map_err(|error| match own {
        // What reqwest says of these two is no more than that there is something.
        Some(files) => {
            CliError::new(format!("{files}: TLS does not start with them: is the certificate for that key?"))
        }
        None => CliError::new(format!("the HTTP client does not start: {error}")),
    })
}

/// A call that failed, with what to look at where the answer does not say.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn failed(error: ClientError) -> CliError {
    let next = match &error {
        ClientError::Transport { .. } => {
            "Is the engine running (atl trust serve), and is --ca-file the certificate that it has?"
        }
        ClientError::Problem { status: 401, .. } => {
            "Whom the engine knows stands in its trust.toml: [[reporters]] by their keys, [[readers]] and [[operators]] \
             by their tokens"
        }
        ClientError::Status { .. } | ClientError::Unparsable { .. } | ClientError::BaseUrl { .. } => {
            "Is that a trust engine? --engine says where it is"
        }
        ClientError::Problem { status: 404, .. } => {
            "What there is, with names and numbers: atl trust agents, incidents list, reviews list, reporters list"
        }
        ClientError::Problem { .. } | ClientError::TooLong { .. } => return CliError::new(error.to_string()),
    };
    CliError::new(format!("{error}\n{next}"))
}
