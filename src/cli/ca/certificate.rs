//! CA certificates in files, and in words.

use std::path::Path;

use ::der::Decode;
use ::der::pem::{self, LineEnding};
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::apki::{Certificate, oid};
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context};

/// The one certificate in a PEM file.
pub fn read_certificate(file: &Path) -> Result<Certificate, CliError> {
    let mut found = read_certificates(file)?;
    match (found.pop(), found.len()) {
        (Some(certificate), 0) => Ok(certificate),
        (None, _) => Err(CliError::new(format!("{}: no PEM certificate in it", file.display()))),
        (Some(_), more) => {
            Err(CliError::new(format!("{}: {} certificates where one belongs", file.display(), more + 1)))
        }
    }
}

/// PEM of a certificate.
pub fn certificate_pem(certificate: &Certificate) -> Result<String, CliError> {
    pem::encode_string("CERTIFICATE", LineEnding::LF, certificate.der()).context("a certificate")
}

/// What people compare when they were told what was made.
pub fn rows(certificate: &Certificate) -> Result<[(&'static str, String); 5], CliError> {
    let subject = Name::from_der(certificate.subject_der()).context("the subject")?;
    let constraint = match certificate.extension(&oid::NAME_CONSTRAINTS) {
        None => "none".to_owned(),
        Some(extension) => permitted_host(extension.value).context("the name constraint")?,
    };
    Ok([
        ("subject", subject.to_string()),
        ("serial", hex::encode(certificate.serial())),
        ("valid", format!("{} to {}", certificate.not_before(), certificate.not_after())),
        ("SHA-256", hex::encode(certificate.fingerprint())),
        ("name constraint", constraint),
    ])
}

/// Of which host a nameConstraints extension permits the URIs, in words.
pub fn permitted_host(der: &[u8]) -> Result<String, CliError> {
    let constraints = NameConstraints::from_der(der).context("nameConstraints")?;
    Ok(match constraints.permitted_subtrees.as_deref() {
        Some([GeneralSubtree { base: GeneralName::UniformResourceIdentifier(host), .. }]) => {
            format!("URIs of {host} only")
        }
        _ => "of another kind".to_owned(),
    })
}
