//! JSON Web Signatures in compact form (RFC 7515): over a trust bundle beside them, or with what they sign inside.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::content::Content;
use super::kind::Kind;
use super::report::Report;
use crate::apki::federation::bundle::BUNDLE_TYP;
use crate::apki::jws::peek;
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "jws", what: "a JSON Web Signature (JWS)", labels: &[], looks, explain };

/// Octets of each kind of signature.
const SIGNATURE: usize = 64;

/// Three parts of base64url, the first an object in JSON.
fn looks(content: &Content) -> bool {
    let Ok(text) = content.text() else { return false };
    let is_digit = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let text = text.trim();
    // `{"` in base64url
    text.starts_with("eyJ") && text.matches('.').count() == 2 && text.bytes().all(is_digit)
}

fn explain(content: &Content, _: UnixMillis) -> Result<Report, String> {
    let text = content.text()?.trim();
    let header = peek(text).map_err(|e| e.to_string())?;
    // The parts were counted when the header was read.
    let parts: Vec<&str> = text.split('.').collect();
    let [head, payload, signature] = [0, 1, 2].map(|n| parts.get(n).copied().unwrap_or_default());
    let what = if header.typ == BUNDLE_TYP { "signature over a trust bundle" } else { "JSON Web Signature" };
    let place = if payload.is_empty() { "what it signs is beside it" } else { "with what it signs" };
    let mut report = Report::of_signed(format!("{what}, {place}"));
    let alg = decoded(head).and_then(|value| value["alg"].as_str().map(str::to_owned)).unwrap_or_default();
    report.row("type", &header.typ);
    report.row("algorithm", &alg);
    report.row("key", format!("{} (kid: the key's JWK thumbprint)", header.kid));
    if !matches!(alg.as_str(), "EdDSA" | "ES256") {
        report.warnings.push(format!("the algorithm {alg} is not used here: nobody verifies it"));
    }
    match URL_SAFE_NO_PAD.decode(signature) {
        Ok(octets) if octets.len() == SIGNATURE => {}
        Ok(octets) => report.malformed.push(format!("the signature has {} octets, and 64 belong there", octets.len())),
        Err(error) => report.malformed.push(format!("the signature is not base64url without padding: {error}")),
    }
    let value = inside(payload, &mut report);
    report.facts(
        json!({ "typ": header.typ, "alg": alg, "kid": header.kid, "detached": payload.is_empty(), "payload": value }),
    );
    Ok(report)
}

/// What it signs, where that is inside.
fn inside(payload: &str, report: &mut Report) -> Option<Value> {
    if payload.is_empty() {
        return None;
    }
    let octets = match URL_SAFE_NO_PAD.decode(payload) {
        Ok(octets) => octets,
        Err(error) => {
            report.malformed.push(format!("the payload is not base64url without padding: {error}"));
            return None;
        }
    };
    let value = serde_json::from_slice::<Value>(&octets).ok();
    let lines = match &value {
        Some(value) => serde_json::to_string_pretty(value).unwrap_or_default().lines().map(str::to_owned).collect(),
        None => vec![format!("{} octets that are not JSON", octets.len())],
    };
    report.section("What it signs", lines);
    value
}

fn decoded(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
