//! Trust bundles (draft 10.1): what the agents of a domain stand below.

use serde_json::{Value, json};

use super::content::Content;
use super::key_words;
use super::kind::Kind;
use super::report::Report;
use crate::apki::Certificate;
use crate::apki::federation::TrustBundle;
use crate::apki::federation::bundle::SUPPORTED_ALGORITHMS;
use crate::cli::words::certificate::{name, score};
use crate::cli::words::duration;
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "bundle", what: "a trust bundle", labels: &[], looks, explain };

fn looks(content: &Content) -> bool {
    content.has_members(&["trust_domain", "ca_certificates"])
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let bundle = TrustBundle::parse(content.json()?.as_bytes()).map_err(|e| e.to_string())?;
    Ok(of(&bundle, now))
}

fn of(bundle: &TrustBundle, now: UnixMillis) -> Report {
    let mut report = Report::new(format!("trust bundle of {}", bundle.domain()));
    let (issued_at, expires_at) = (bundle.issued_at().millis(), bundle.expires_at().millis());
    let standing = match bundle.holds_at(now) {
        Ok(()) => format!("it counts, for another {}", duration(expires_at.since(now))),
        Err(error) => error.to_string(),
    };
    report.row("trust domain", bundle.domain());
    report.row("issued at", issued_at);
    report.row("expires at", expires_at);
    report.row("at the moment", standing);
    report.row("minimum score", score(bundle.minimum_trust_score()));
    report.row("algorithms", bundle.supported_algorithms().join(", "));
    report.row("signature", "beside it, if anywhere: a detached JWS");
    for (n, certificate) in bundle.certificates().enumerate() {
        report.section("CA certificate", certificate_lines(n + 1, certificate, now));
    }
    let known = |name: &&String| SUPPORTED_ALGORITHMS.contains(&name.as_str());
    let strange: Vec<_> = bundle.supported_algorithms().iter().filter(|name| !known(name)).cloned().collect();
    if !strange.is_empty() {
        report.warnings.push(format!("algorithms that nobody here verifies: {}", strange.join(", ")));
    }
    report.facts(json!({
        "trust_domain": bundle.domain(),
        "issued_at": issued_at,
        "expires_at": expires_at,
        "holds": bundle.holds_at(now).is_ok(),
        "minimum_trust_score": bundle.minimum_trust_score(),
        "supported_algorithms": bundle.supported_algorithms(),
        "ca_certificates": bundle.certificates().map(certificate_json).collect::<Vec<_>>(),
    }));
    report
}

fn certificate_lines(number: usize, certificate: &Certificate, now: UnixMillis) -> Vec<String> {
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    let valid = if now >= not_before && now <= not_after { "valid" } else { "NOT VALID at the moment" };
    vec![
        format!("{number}: {}", name(certificate.subject_der())),
        format!("{valid}, {not_before} to {not_after}"),
        format!("key {}", key_words::key(certificate.spki_der())),
        format!("SHA-256 {}", hex::encode(certificate.fingerprint())),
    ]
}

fn certificate_json(certificate: &Certificate) -> Value {
    json!({
        "subject": name(certificate.subject_der()),
        "sha256": hex::encode(certificate.fingerprint()),
        "not_before": certificate.not_before(),
        "not_after": certificate.not_after(),
    })
}
