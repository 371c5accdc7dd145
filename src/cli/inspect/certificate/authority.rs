//! A CA's certificate, and one that is neither a CA's nor an agent's.

use der::Decode;
use der::asn1::ObjectIdentifier;
use serde_json::json;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::{common_rows, status_rows};
use crate::apki::chain::Issuer;
use crate::apki::{Certificate, oid};
use crate::cli::ca::certificate::permitted_host;
use crate::cli::inspect::report::Report;
use crate::cli::inspect::schema;
use crate::cli::words::certificate::name;
use crate::time::UnixMillis;

/// Purposes that are met (RFC 5280 section 4.2.1.12, RFC 6960).
const PURPOSES: [(&str, &str); 4] = [
    ("1.3.6.1.5.5.7.3.1", "TLS servers"),
    ("1.3.6.1.5.5.7.3.2", "TLS clients"),
    ("1.3.6.1.5.5.7.3.9", "signing OCSP responses"),
    ("2.5.29.37.0", "anything"),
];

/// Explains a CA's.
pub fn report(certificate: &Certificate, now: UnixMillis) -> Report {
    let subject = name(certificate.subject_der());
    let what = if certificate.is_self_issued() { "root" } else { "CA" };
    let mut report = Report::new(format!("{what} certificate of {subject}"));
    report.row("subject", &subject);
    rows(certificate, now, &mut report);
    let constraints = certificate.basic_constraints().ok().flatten();
    let limit = constraints.and_then(|constraints| constraints.path_length);
    report.row("CAs below it", limit.map_or_else(|| "any number".into(), |n| format!("at most {n}")));
    let names = match certificate.extension(&oid::NAME_CONSTRAINTS).map(|extension| permitted_host(extension.value)) {
        None => "of any domain (no nameConstraints)".to_owned(),
        Some(Ok(host)) => host,
        Some(Err(error)) => {
            report.malformed.push(error.to_string());
            "unreadable".to_owned()
        }
    };
    report.row("may vouch for", &names);
    if let Err(error) = Issuer::new(certificate.clone()) {
        report.warnings.push(format!("nothing below it is accepted: {error}"));
    }
    report.facts(json!({ "self_issued": certificate.is_self_issued(), "path_length": limit, "names": names }));
    report
}

/// Explains one that is neither.
pub fn other(certificate: &Certificate, now: UnixMillis) -> Report {
    let subject = name(certificate.subject_der());
    let mut report = Report::new(format!("certificate of {subject}, neither an agent's nor a CA's"));
    report.row("subject", &subject);
    rows(certificate, now, &mut report);
    report.warnings.push("nobody takes it as an agent's: it has no agent URI and none of the extensions".into());
    report
}

fn rows(certificate: &Certificate, now: UnixMillis, report: &mut Report) {
    common_rows(certificate, now, report);
    report.row("SHA-256", hex::encode(certificate.fingerprint()));
    let id = |octets: Option<&[u8]>| octets.map_or_else(|| "none".to_owned(), hex::encode);
    report.row("key id", id(certificate.subject_key_identifier()));
    report.row("issuer's key id", id(certificate.authority_key_identifier()));
    let usage = usage(certificate, report);
    report.row("key is for", usage);
    status_rows(certificate, report);
    let extensions = certificate.extensions().map(|extension| {
        let critical = if extension.critical { " (critical)" } else { "" };
        format!("{}{critical}", schema::name_of(extension.oid))
    });
    report.section("Extensions", extensions.collect());
    if let Err(error) = certificate.basic_constraints() {
        report.malformed.push(format!("basicConstraints: {error}"));
    }
}

/// What the key may sign, and for what it is.
fn usage(certificate: &Certificate, report: &mut Report) -> String {
    let mut words = Vec::new();
    match certificate.key_usage() {
        Ok(Some(usage)) => {
            let uses = [
                (usage.key_cert_sign(), "signing certificates"),
                (usage.crl_sign(), "signing revocation lists"),
                (usage.digital_signature(), "other signatures"),
            ];
            words.extend(uses.iter().filter(|(is, _)| *is).map(|(_, what)| (*what).to_owned()));
        }
        Ok(None) => words.push("anything (no keyUsage)".into()),
        Err(error) => report.malformed.push(format!("keyUsage: {error}")),
    }
    match certificate.extension(&oid::EXTENDED_KEY_USAGE).map(|e| ExtendedKeyUsage::from_der(e.value)) {
        None => {}
        Some(Ok(purposes)) => words.extend(purposes.0.iter().map(purpose)),
        Some(Err(error)) => report.malformed.push(format!("extKeyUsage: {error}")),
    }
    words.join(", ")
}

fn purpose(oid: &ObjectIdentifier) -> String {
    let digits = oid.to_string();
    PURPOSES.iter().find(|(known, _)| *known == digits).map_or(digits, |(_, words)| (*words).to_owned())
}
