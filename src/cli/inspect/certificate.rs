//! Certificates (RFC 5280 section 4, protocol sections 2 and 3): of agents, in their two forms, of CAs, and others.

mod agent;
mod authority;
mod structure;

use serde_json::json;

use super::content::Content;
use super::key_words::{self, is_algorithm};
use super::kind::Kind;
use super::outline::Shape;
use super::report::{Report, Subject};
use super::schema;
use super::sth::ago;
use super::trace::Trace;
use crate::apki::tlv::{GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME};
use crate::apki::{Certificate, CertificateError, oid};
use crate::cli::words::certificate::name;
use crate::cli::words::duration;
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "certificate", what: "a certificate", labels: &["CERTIFICATE"], looks, explain };

/// A version and a serial number; an old one has no version, and a validity in the fourth place.
fn looks(content: &Content) -> bool {
    let tbs = Shape::of(content.der().unwrap_or_default()).at(0);
    let times = tbs.at(3).tags();
    let old = tbs.begins(&[INTEGER, SEQUENCE, SEQUENCE, SEQUENCE])
        && is_algorithm(tbs.at(1))
        && times.first().is_some_and(|time| matches!(*time, UTC_TIME | GENERALIZED_TIME));
    tbs.begins(&[0xa0, INTEGER]) || old
}

/// What a certificate is, by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Has the poison.
    Precertificate,
    /// An agent's, from a precertificate.
    Final,
    /// An agent's, whose timestamps travel beside it.
    Beside,
    /// A CA's.
    Authority,
    /// Nobody's of these.
    Other,
}

impl Form {
    fn of(certificate: &Certificate) -> Self {
        let has = |oid| certificate.extension(oid).is_some();
        let is_ca = certificate.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.ca);
        let is_agent = certificate.has_apki_extension()
            || certificate.uri_names().is_ok_and(|names| names.iter().any(|name| name.starts_with(b"agent:")));
        match () {
            () if has(&oid::PRECERTIFICATE_POISON) => Self::Precertificate,
            () if has(&oid::SIGNED_AGENT_TIMESTAMP_LIST) || has(&oid::PRECERTIFICATE_SIGNATURE) => Self::Final,
            () if is_agent => Self::Beside,
            () if is_ca => Self::Authority,
            () => Self::Other,
        }
    }

    /// For machines.
    const fn name(self) -> &'static str {
        match self {
            Self::Precertificate => "precertificate",
            Self::Final => "final",
            Self::Beside => "without-timestamps",
            Self::Authority => "ca",
            Self::Other => "other",
        }
    }
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    Ok(match Certificate::parse(der) {
        Ok(certificate) => of(certificate, now),
        Err(error) => broken(der, &error),
    })
}

fn of(certificate: Certificate, now: UnixMillis) -> Report {
    let form = Form::of(&certificate);
    let mut report = match form {
        Form::Authority => authority::report(&certificate, now),
        Form::Other => authority::other(&certificate, now),
        Form::Precertificate | Form::Final | Form::Beside => agent::report(&certificate, form, now),
    };
    report.signed = true;
    report.json.insert("form".into(), form.name().into());
    report.facts(json!({
        "issuer": name(certificate.issuer_der()),
        "subject": name(certificate.subject_der()),
        "serial": hex::encode(certificate.serial()),
        "sha256": hex::encode(certificate.fingerprint()),
        "not_before": certificate.not_before(),
        "not_after": certificate.not_after(),
        "valid": is_valid(&certificate, now),
        "key": key_words::key_json(certificate.spki_der()),
        "signature_algorithm": key_words::signature(certificate.signature_algorithm(), certificate.der()),
        "subject_key_identifier": certificate.subject_key_identifier().map(hex::encode),
        "authority_key_identifier": certificate.authority_key_identifier().map(hex::encode),
        "extensions": certificate.extensions().map(|extension| json!({
            "oid": schema::name_of(extension.oid), "critical": extension.critical, "octets": extension.value.len(),
        })).collect::<Vec<_>>(),
    }));
    report.subject = Subject::Certificate(Box::new(certificate));
    report
}

/// Of one that does not parse, what was read of who it is.
fn broken(der: &[u8], error: &CertificateError) -> Report {
    let mut report = Report::broken(KIND.what, der, &schema::CERTIFICATE, error);
    let trace = Trace::of(der, &schema::CERTIFICATE);
    if let CertificateError::DuplicateExtension(oid) = error {
        report.row("twice", schema::name_of_digits(oid));
    }
    let value = |field: &str| trace.value(&format!("tbsCertificate > {field}"));
    if let Some(serial) = value("serialNumber").and_then(|der| der.get(2..)) {
        report.row("serial", hex::encode(serial));
    }
    if let Some(issuer) = value("issuer") {
        report.row("issuer", name(issuer));
    }
    if let Some(subject) = value("subject") {
        report.row("subject", name(subject));
    }
    report
}

fn is_valid(certificate: &Certificate, now: UnixMillis) -> bool {
    now >= certificate.not_before() && now <= certificate.not_after()
}

/// From when to when, how long that is, and how it stands.
fn validity(certificate: &Certificate, now: UnixMillis) -> String {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    let standing = match (now < from, now > until) {
        (true, _) => format!("NOT YET, begins {}", ago(from, now)),
        (_, true) => format!("NO MORE, ended {}", ago(until, now)),
        (false, false) => format!("{} left", duration(until.since(now))),
    };
    // Both ends are part of it, and so is the last second.
    format!("{from} to {until} ({} long; {standing})", duration(until.since(from)))
}

/// The rows that every certificate has, behind those that say whose it is.
fn common_rows(certificate: &Certificate, now: UnixMillis, report: &mut Report) {
    let issuer = name(certificate.issuer_der());
    report.row("issuer", if certificate.is_self_issued() { format!("{issuer} (itself)") } else { issuer });
    report.row("serial", hex::encode(certificate.serial()));
    report.row("valid", validity(certificate, now));
    report.row("key", key_words::key(certificate.spki_der()));
    report.row("signed with", key_words::signature(certificate.signature_algorithm(), certificate.der()));
}

/// Where to ask whether it was revoked.
fn status_rows(certificate: &Certificate, report: &mut Report) {
    match certificate.ocsp_url() {
        Ok(url) => url.into_iter().for_each(|url| report.row("OCSP", url)),
        Err(error) => report.malformed.push(error.to_string()),
    }
    match certificate.crl_distribution_point() {
        Ok(Some(point)) => {
            let by = point.crl_issuer.map(|issuer| format!(" (signed by {})", name(issuer))).unwrap_or_default();
            report.row("revocation list", format!("{}{by}", point.url));
        }
        Ok(None) => {}
        Err(error) => report.malformed.push(error.to_string()),
    }
}
