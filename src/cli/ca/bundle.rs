//! The CA's own trust bundle: its key, and its making anew while the server runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::apki::Certificate;
use crate::apki::federation::TrustDomain;
use crate::apki::federation::publish::{BundlePublisher, Publication};
use crate::cli::output::{CliError, Context};
use crate::cli::server::random_source;
use crate::config::CaConfig;
use crate::http::serve::stopped;
use crate::http::wellknown::{BundleHolder, Published};
use crate::keys::{Signer, signer_from_pkcs8_pem};
use crate::time::Clock;

/// The file of the key that signs bundles.
pub const KEY_FILE: &str = "bundle-key.pem";
/// The wait after a bundle that could not be made.
const PAUSE: Duration = Duration::from_secs(5);

/// The key that signs bundles, from its file.
pub fn read_signer(file: &Path) -> Result<Arc<dyn Signer>, CliError> {
    let place = format!("{} (`federation.bundle_key`)", file.display());
    let pem = Zeroizing::new(std::fs::read_to_string(file).context(&place)?);
    signer_from_pkcs8_pem(&pem, random_source()).map(Arc::from).context(place)
}

/// What makes this CA's bundles, with its root in them; `None` where it publishes none.
pub fn publisher(config: &CaConfig, root: Certificate) -> Result<Option<BundlePublisher>, CliError> {
    let Some(file) = &config.federation.bundle_key else { return Ok(None) };
    Ok(Some(BundlePublisher {
        domain: TrustDomain::parse(&config.trust_domain).context("`trust_domain`")?,
        certificates: vec![root],
        minimum: config.federation.minimum_trust_score,
        lifetime_seconds: config.federation.bundle_lifetime_seconds,
        signer: read_signer(file)?,
    }))
}

/// A bundle as it is served.
pub fn published(made: Publication) -> Published {
    Published::new(made.bundle, made.jws, made.spiffe)
}

/// Makes bundles and serves them until `stop` turns true. One that cannot be made leaves the one before
/// in its place, and is tried again soon.
pub async fn publish(
    publisher: BundlePublisher,
    holder: Arc<BundleHolder>,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let wait = match publisher.publish(clock.now()) {
            Ok(made) => {
                holder.set(Some(published(made)));
                Duration::from_secs(publisher.reissue_seconds().into())
            }
            Err(error) => {
                tracing::error!(%error, "no new trust bundle can be made");
                PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopped(&mut stop) => return,
        }
    }
}
