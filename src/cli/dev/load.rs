//! Certificates of the CA that both logs accept for load: nobody's, and for the demo's own bad examples.

use std::fs;

use super::setup::Home;
use crate::api::{B64, SubmitEntryRequest};
use crate::apki::AgentUri;
use crate::cli::output::{CliError, Context};
use crate::cli::pki::{Authority, AuthorityFiles, Claims, KeyKind, SigningKey, Stamp};
use crate::log::entry::EntryType;
use crate::time::{Clock, SystemClock};

/// The CA for load.
pub struct Load(Authority);

impl Load {
    /// Opens its files.
    pub fn open(home: &Home) -> Result<Self, CliError> {
        let read = |name: &str| {
            let file = home.join(name);
            fs::read_to_string(&file).context(file.display())
        };
        let files = AuthorityFiles { certificate_pem: read("load/org-ca.pem")?, key_pem: read("load/org-ca-key.pem")? };
        files.open().context("the CA for load").map(Self)
    }

    /// A new precertificate for this agent, as it is submitted to a log.
    pub fn precertificate(&self, agent: &str) -> Result<SubmitEntryRequest, CliError> {
        let claims = Claims::shopper(72).context("a precertificate")?;
        let stamp = Stamp::new(&self.0, &claims, SystemClock.now()).context("a precertificate")?;
        let name = AgentUri::parse(agent).context("an agent's name")?;
        let key = SigningKey::generate(KeyKind::P256).context("an agent's key")?;
        Ok(SubmitEntryRequest {
            submission: B64(stamp.precertificate(&name, &key).context("a precertificate")?),
            entry_type: Some(EntryType::Precertificate),
            chain: vec![B64(self.0.certificate().der().to_vec())],
        })
    }
}
