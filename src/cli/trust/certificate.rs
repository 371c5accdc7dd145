//! Certificates that vouch for nothing but a key: whoever accepts one knows the key from elsewhere.

use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SerialNumber,
    date_time_ymd,
};

use crate::cli::ca::keyfile::PrivateKey;
use crate::cli::output::{CliError, Context};
use crate::cli::random;
use crate::time::UnixMillis;

/// Ten years: the key is pinned, and no certificate tells when to replace it.
const VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);
/// For clocks that lag.
const BACKDATE: Duration = Duration::from_secs(300);

/// A self-signed certificate, PEM, for this common name and these names (DNS and IP).
pub fn self_signed(
    key: &PrivateKey,
    common_name: &str,
    names: Vec<String>,
    usage: ExtendedKeyUsagePurpose,
    now: UnixMillis,
) -> Result<String, CliError> {
    let mut serial: [u8; 16] = random()?;
    // Positive and in its shortest form (RFC 5280 section 4.1.2.2).
    serial[0] = serial[0] & 0x7f | 0x40;
    let start = date_time_ymd(1970, 1, 1) + Duration::from_secs(now.get() / 1000);
    let mut params = CertificateParams::new(names).context("the certificate's names")?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = start - BACKDATE;
    params.not_after = start + VALIDITY;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    Ok(params.self_signed(&key.signer()?).context("the certificate")?.pem())
}
