//! The certificate of the CA's own HTTPS service.

use sha2::{Digest, Sha256};

use super::core::Core;
use super::{CaError, CaService};
use crate::apki::moment::Moment;
use crate::apki::precertificate::certificate_der;
use crate::ca::application::Octets;
use crate::ca::command::Command;
use crate::ca::profile::{HostName, ServiceProfile};
use crate::ca::serial::Serial;
use crate::keys::PublicKey;

impl CaService {
    /// Signs a certificate for the service itself: for these hosts and this key, so many milliseconds
    /// long, and never longer than the issuer's own. It comes with its issuers behind it, without the
    /// root, in DER. The journal has it before anybody else does.
    pub async fn certify_service(
        &self,
        names: &[HostName],
        public_key: &PublicKey,
        validity_ms: u64,
    ) -> Result<Vec<Vec<u8>>, CaError> {
        let serial = Serial::from_random(self.core.octets()?);
        let der = self.core.service_certificate(serial, names, public_key, validity_ms)?;
        let (fingerprint, certificate) = (Sha256::digest(&der).into(), Octets(der.clone()));
        self.told(Command::CertifyService { serial, fingerprint, certificate }).await?;
        Ok(self.core.with_issuers(&der))
    }
}

impl Core {
    fn service_certificate(
        &self,
        serial: Serial,
        names: &[HostName],
        public_key: &PublicKey,
        validity_ms: u64,
    ) -> Result<Vec<u8>, CaError> {
        let internal = |what: String| CaError::Internal(format!("the certificate of the service: {what}"));
        let issuer = self.ca.certificate();
        let now = self.clock.now();
        let end = now.saturating_add(validity_ms).min(issuer.not_after());
        let moment = |at| Moment::floor(at).ok_or_else(|| internal(format!("no certificate can hold {at}")));
        let profile = ServiceProfile {
            serial,
            not_before: moment(now.saturating_sub(self.settings.backdate_ms).max(issuer.not_before()))?,
            not_after: moment(end)?,
            names,
            public_key,
        };
        let algorithm = self.ca.algorithm();
        let tbs = profile.tbs(issuer, algorithm).map_err(|e| internal(e.to_string()))?;
        let signature = self.ca.sign(&tbs).map_err(|e| internal(e.to_string()))?;
        Ok(certificate_der(&tbs, algorithm.algorithm_identifier_der(), &signature))
    }
}
