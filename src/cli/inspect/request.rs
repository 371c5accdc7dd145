//! Certification requests (PKCS#10, RFC 2986).

use der::{Decode, Encode};
use serde_json::json;
use x509_cert::request::CertReq;

use super::content::Content;
use super::kind::Kind;
use super::outline::Shape;
use super::report::{Report, Subject};
use super::{key_words, schema};
use crate::apki::tlv::{BIT_STRING, INTEGER, SEQUENCE, SET};
use crate::ca::csr::{CsrError, SigningRequest};
use crate::cli::words::certificate::name;
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind {
    name: "csr",
    what: "a certification request (CSR)",
    labels: &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"],
    looks,
    explain,
};

/// A version, a Name, and a key behind it.
fn looks(content: &Content) -> bool {
    let info = Shape::of(content.der().unwrap_or_default()).at(0);
    let subject = info.at(1).tags();
    let key = info.at(2);
    info.begins(&[INTEGER, SEQUENCE, SEQUENCE])
        && subject.first().is_none_or(|tag| *tag == SET)
        && key.begins(&[SEQUENCE, BIT_STRING])
        && key_words::is_algorithm(key.at(0))
}

fn explain(content: &Content, _: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    Ok(match CertReq::from_der(der) {
        Ok(request) => of(&request, der),
        // The reader of the CA has better words for some of what the library only refuses.
        Err(error) => match SigningRequest::from_der(der) {
            Err(better) => Report::broken(KIND.what, der, &schema::REQUEST, &better),
            Ok(_) => Report::broken(KIND.what, der, &schema::REQUEST, &error),
        },
    })
}

fn of(request: &CertReq, der: &[u8]) -> Report {
    let read = SigningRequest::from_der(der);
    let agent = read.as_ref().map_err(Clone::clone).and_then(SigningRequest::agent_name);
    let title = match &agent {
        Ok(agent) => format!("certification request of {}", agent.uri),
        Err(_) => "certification request that a CA here refuses".to_owned(),
    };
    let mut report = Report::new(title);
    let spki = request.info.public_key.to_der().unwrap_or_default();
    let subject = name(&request.info.subject.to_der().unwrap_or_default());
    if let Ok(agent) = &agent {
        report.row("agent", &agent.uri);
        report.row("trust domain", agent.uri.trust_domain());
        report.row("SPIFFE ID", agent.spiffe.as_deref().unwrap_or("none asked for"));
    }
    report.row("subject", format!("{subject} (a CA here passes it over)"));
    report.row("key", key_words::key(&spki));
    report.row("possession", possession(&read));
    let attributes: Vec<String> = request.info.attributes.iter().map(|attribute| attribute.oid.to_string()).collect();
    report.row("attributes", if attributes.is_empty() { "none".into() } else { attributes.join(", ") });
    match agent.as_ref().err() {
        // It decodes, and DER would have it otherwise.
        Some(error @ (CsrError::NotCanonical(_) | CsrError::ExtensionRequest(_) | CsrError::Names(_))) => {
            report.malformed.push(error.to_string());
        }
        Some(error) => report.warnings.push(format!("a CA here refuses it: {error}")),
        None => {}
    }
    report.facts(json!({
        "agent": agent.as_ref().ok().map(|agent| &agent.uri),
        "spiffe": agent.as_ref().ok().and_then(|agent| agent.spiffe.as_ref()),
        "subject": subject,
        "key": key_words::key_json(&spki),
        "possession_proven": read.is_ok(),
    }));
    report.subject = Subject::Key(spki);
    report
}

/// Whether it is signed by its own key: the one signature that is verified here, since nobody else's key is needed.
fn possession(read: &Result<SigningRequest, CsrError>) -> &'static str {
    match read {
        Ok(_) => "proven: it is signed by its own key",
        Err(CsrError::Signature(_) | CsrError::Algorithm { .. }) => "NOT proven: its signature does not verify",
        Err(_) => "not looked at",
    }
}
