//! A certificate in words.

use atl::apki::extension::ExtensionError;

use super::octets;
use super::seen::{Form, Found, Seen};

/// What somebody wants to know of a certificate at a glance, each line with its name.
pub(super) fn certificate(seen: &Seen<'_>) -> Vec<(String, String)> {
    let certificate = seen.certificate;
    let entry = seen.entry;
    let lines = [
        ("agent", seen.uri.as_ref().map_or_else(|e| e.to_string(), |uri| uri.as_str().to_owned())),
        ("issuer", octets::name(certificate.issuer_der())),
        ("issuer sha-256", entry.chain.first().map_or("unknown".into(), ToString::to_string)),
        ("serial", serial(certificate.serial())),
        ("valid", format!("{} to {}", certificate.not_before(), certificate.not_after())),
        ("score", found(&seen.score, |score| format!("{} ({})", score.score.get(), score.score.tier().name()))),
        ("capabilities", found(&seen.capabilities, |capabilities| capabilities.as_slice().len().to_string())),
        ("delegation", found(&seen.delegation, |d| format!("depth {} of {}", d.depth, d.max_depth))),
        ("submitted as", form(&seen.form).to_owned()),
        ("certificate sha-256", entry.cert_hash.to_string()),
        ("entry", format!("leaf {} of {}, logged at {}", entry.index.get(), entry.log.origin, entry.timestamp)),
    ];
    lines.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A serial number in hex, cut where it is longer than RFC 5280 allows.
fn serial(octets: &[u8]) -> String {
    let shown = hex::encode(octets.get(..20).unwrap_or(octets));
    if octets.len() > 20 { format!("{shown}... ({} octets)", octets.len()) } else { shown }
}

fn found<T>(found: &Found<T>, words: impl FnOnce(&T) -> String) -> String {
    match found {
        Ok(Some(value)) => words(value),
        Ok(None) => "none".into(),
        Err(ExtensionError::Tier { score, tier }) => format!("{score}, but {tier}"),
        Err(_) => "malformed".into(),
    }
}

const fn form(form: &Form<'_>) -> &'static str {
    match form {
        Form::Bare => "certificate",
        Form::Precertificate => "precertificate",
        Form::Final { .. } => "final certificate, with its timestamps",
        Form::Misshapen(_) => "neither precertificate nor certificate",
    }
}
