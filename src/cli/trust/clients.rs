//! Which reporter a client's certificate is of. The key is what is registered, and the handshake proved
//! that the client holds it; who signed the certificate does not matter.

use std::collections::HashMap;
use std::sync::Arc;

use crate::apki::Certificate;
use crate::config::trust::Reporter;
use crate::time::Clock;
use crate::trust::service::ReporterId;

/// The reporters by their keys.
pub struct KnownReporters {
    by_spki: HashMap<Vec<u8>, ReporterId>,
    clock: Arc<dyn Clock>,
}

impl KnownReporters {
    /// These.
    pub fn new(all: impl IntoIterator<Item = (ReporterId, Reporter)>, clock: Arc<dyn Clock>) -> Self {
        let by_spki = all.into_iter().map(|(id, reporter)| (reporter.public_key.spki_der().to_vec(), id)).collect();
        Self { by_spki, clock }
    }

    /// The reporter with this certificate (DER).
    ///
    /// # Errors
    /// Why it is nobody's, in words.
    pub fn identify(&self, der: &[u8]) -> Result<ReporterId, String> {
        let certificate = Certificate::parse(der).map_err(|e| format!("the client certificate does not read: {e}"))?;
        let unknown = "the key of the client certificate is not that of a registered reporter";
        let reporter = self.by_spki.get(certificate.spki_der()).ok_or(unknown)?;
        let now = self.clock.now();
        if now < certificate.not_before() {
            return Err(format!("the client certificate is not valid before {}", certificate.not_before()));
        }
        if now > certificate.not_after() {
            return Err(format!("the client certificate ended at {}", certificate.not_after()));
        }
        Ok(reporter.clone())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose;

    use super::*;
    use crate::cli::ca::keyfile::PrivateKey;
    use crate::cli::pki::KeyKind;
    use crate::cli::trust::certificate::self_signed;
    use crate::time::UnixMillis;

    struct At(u64);

    impl Clock for At {
        fn now(&self) -> UnixMillis {
            UnixMillis::new(self.0)
        }
    }

    const NOW: u64 = 1_800_000_000_000;
    const DAY: u64 = 86_400_000;

    #[test]
    fn the_key_is_what_counts_and_the_dates() {
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let (ours, other) = (PrivateKey::generate(kind).unwrap(), PrivateKey::generate(kind).unwrap());
            let reporter = Reporter { name: "shop".into(), public_key: ours.public_key().unwrap() };
            let identify = |at: u64, key: &PrivateKey| {
                let usage = ExtendedKeyUsagePurpose::ClientAuth;
                let pem = self_signed(key, "shop", Vec::new(), usage, UnixMillis::new(NOW)).unwrap();
                let (_, der) = der::pem::decode_vec(pem.as_bytes()).unwrap();
                let id = || "shop".parse::<ReporterId>().unwrap();
                KnownReporters::new([(id(), reporter.clone())], Arc::new(At(at))).identify(&der)
            };
            assert_eq!(identify(NOW, &ours).unwrap().as_str(), "shop");
            assert!(identify(NOW, &other).unwrap_err().contains("registered"));
            assert!(identify(NOW - DAY, &ours).unwrap_err().contains("not valid before"));
            assert!(identify(NOW + 11 * 366 * DAY, &ours).unwrap_err().contains("ended"));
        }
        let nobody = KnownReporters::new([], Arc::new(At(NOW)));
        assert!(nobody.identify(b"x").unwrap_err().contains("does not read"));
    }
}
