//! What binds the CA and nobody else (protocol section 6, "Minimums", and ruling R11): relying parties do not refuse
//! for it, so somebody has to say it.

use atl::apki::oid;

use super::octets::has_purpose;
use super::seen::Seen;
use crate::finding::{Class, Finding};

/// id-kp-serverAuth and id-kp-clientAuth (RFC 5280 section 4.2.1.12), 1.3.6.1.5.5.7.3.1 and .2.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// What is missing, in one finding.
pub(super) fn beside_profile(seen: &Seen<'_>) -> Option<Finding> {
    let faults: Vec<&str> = faults(seen).into_iter().flatten().collect();
    let first = faults.first()?;
    let more = if faults.len() > 1 { format!(", and {} more", faults.len() - 1) } else { String::new() };
    let summary = format!("the certificate of {} is beside the profile: {first}{more}", seen.agent());
    let rule = "CAs keep the profile (draft 5.1, protocol section 6 and R11)";
    Some(seen.finding(Class::Profile, rule, summary).with("faults", faults.join("; ")))
}

fn faults(seen: &Seen<'_>) -> [Option<&'static str>; 8] {
    let certificate = seen.certificate;
    let usage = certificate.extension(&oid::EXTENDED_KEY_USAGE).map_or(&[][..], |usage| usage.value);
    let purposes = has_purpose(usage, CLIENT_AUTH) && has_purpose(usage, SERVER_AUTH);
    let signs = certificate.key_usage().is_ok_and(|usage| usage.is_some_and(|usage| usage.digital_signature()));
    let san_critical = certificate.extension(&oid::SUBJECT_ALT_NAME).is_none_or(|san| san.critical);
    let nameless = certificate.subject_der() == [0x30, 0x00];
    let is_missing = |oid| certificate.extension(oid).is_none();
    let fault = |wrong: bool, words| wrong.then_some(words);
    [
        fault(certificate.authority_key_identifier().is_none(), "no authorityKeyIdentifier"),
        fault(certificate.subject_key_identifier().is_none(), "no subjectKeyIdentifier"),
        fault(!purposes, "extKeyUsage does not name both clientAuth and serverAuth"),
        fault(!signs, "keyUsage does not name digitalSignature"),
        fault(nameless && !san_critical, "the subject is empty and the subjectAltName not critical"),
        fault(is_missing(&oid::AGENT_TRUST_SCORE), "no agentTrustScore"),
        fault(is_missing(&oid::AGENT_CAPABILITIES), "no agentCapabilities"),
        fault(has_other_uris(seen), "other URIs than one spiffe:// beside the agent's"),
    ]
}

/// Of other URIs only one, of the scheme spiffe, may be there (R18).
fn has_other_uris(seen: &Seen<'_>) -> bool {
    let Ok(uri) = &seen.uri else { return false };
    let names = seen.certificate.uri_names().unwrap_or_default();
    let mut others = names.iter().filter(|name| **name != uri.as_str().as_bytes());
    let first = others.next();
    others.next().is_some() || first.is_some_and(|name| !name.starts_with(b"spiffe://"))
}
