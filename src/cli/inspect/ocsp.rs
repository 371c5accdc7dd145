//! OCSP (RFC 6960): questions about single certificates, and answers.

use serde_json::{Value, json};

use super::content::Content;
use super::kind::Kind;
use super::outline::{Elements, Shape};
use super::report::Report;
use super::schema;
use super::sth::ago;
use crate::apki::status::CLOCK_SKEW;
use crate::apki::status::ocsp::{
    Answer, CertId, CertIdHash, CertStatus, Nonce, OcspRequest, OcspResponse, OcspResponseError, ResponderId,
};
use crate::apki::tlv::{ENUMERATED, OCTET_STRING, SEQUENCE};
use crate::cli::words::certificate::name;
use crate::cli::words::duration;
use crate::time::UnixMillis;

/// An answer.
pub const RESPONSE: Kind = Kind {
    name: "ocsp-response",
    what: "an OCSP response",
    labels: &["OCSP RESPONSE"],
    looks: |content| content.der().is_ok_and(|der| Shape::of(der).begins(&[ENUMERATED])),
    explain: explain_response,
};

/// A question.
pub const REQUEST: Kind = Kind {
    name: "ocsp-request",
    what: "an OCSP request",
    labels: &["OCSP REQUEST"],
    looks: looks_like_request,
    explain: explain_request,
};

/// A list of questions, each with a CertID in it, behind what is mostly left out.
fn looks_like_request(content: &Content) -> bool {
    let tbs = Shape::of(content.der().unwrap_or_default()).at(0);
    let tags = tbs.tags();
    let before = tags.iter().take_while(|tag| matches!(tag, 0xa0 | 0xa1)).count();
    let cert_id = tbs.at(before).at(0).at(0);
    tags.get(before) == Some(&SEQUENCE) && cert_id.begins(&[SEQUENCE, OCTET_STRING])
}

fn explain_request(content: &Content, _: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    let request = match OcspRequest::parse(der) {
        Ok(request) => request,
        Err(error) => return Ok(Report::broken(REQUEST.what, der, &schema::OCSP_REQUEST, &error)),
    };
    let count = request.cert_ids().len();
    let certificates = if count == 1 { "certificate" } else { "certificates" };
    let mut report = Report::new(format!("OCSP request about {count} {certificates}"));
    report.row("nonce", nonce(request.nonce()));
    request.cert_ids().iter().for_each(|id| report.section("Certificate", cert_id_lines(id)));
    report.facts(json!({
        "nonce": request.nonce().map(|nonce| hex::encode(nonce.as_bytes())),
        "cert_ids": request.cert_ids().iter().map(cert_id_json).collect::<Vec<_>>(),
    }));
    Ok(report)
}

fn explain_response(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    Ok(match OcspResponse::parse(der) {
        Ok(response) => of(&response, now),
        Err(OcspResponseError::Unsuccessful(status)) if is_known(der) => {
            let mut report = Report::new(format!("OCSP response without an answer: {status}"));
            report.row("status", status);
            report.row("signature", "none: nobody signs such a response");
            report.facts(json!({ "status": status, "answers": [] }));
            report
        }
        Err(error) => Report::broken(RESPONSE.what, der, &schema::OCSP_RESPONSE, &error),
    })
}

/// Whether its status is one that RFC 6960 has.
fn is_known(der: &[u8]) -> bool {
    let status = Elements::new(der, 0).next().and_then(|whole| Elements::new(whole.content, 0).next());
    status.is_some_and(|status| matches!(status.content, [1 | 2 | 3 | 5 | 6]))
}

fn of(response: &OcspResponse, now: UnixMillis) -> Report {
    let answers = response.answers();
    let told: Vec<String> = answers.iter().map(|answer| status(&answer.status, now)).collect();
    let mut report = Report::of_signed(format!("OCSP response: {}", told.join("; ")));
    let (by, produced_at) = (responder(response.responder()), response.produced_at().millis());
    report.row("responder", &by);
    report.row("produced at", format!("{produced_at} ({})", ago(produced_at, now)));
    report.row("nonce", nonce(response.nonce()));
    for answer in answers {
        let mut lines = vec![format!("status  {}", status(&answer.status, now))];
        lines.push(format!("holds   {}", period(answer, now)));
        lines.extend(cert_id_lines(&answer.cert_id));
        report.section("Answer", lines);
    }
    for certificate in response.certificates() {
        let (subject, hash) = (name(certificate.subject_der()), hex::encode(certificate.fingerprint()));
        report.section("Certificate that came with it", vec![subject, format!("SHA-256 {hash}")]);
    }
    if answers.is_empty() {
        report.warnings.push("it says nothing about any certificate".into());
    }
    if answers.iter().any(|answer| answer.next_update.is_none()) {
        report.warnings.push("an answer does not say until when it holds, and is not believed (RFC 5019)".into());
    }
    report.facts(json!({
        "status": "successful",
        "responder": by,
        "produced_at": produced_at,
        "nonce": response.nonce().map(|nonce| hex::encode(nonce.as_bytes())),
        "answers": answers.iter().map(|answer| answer_json(answer, now)).collect::<Vec<_>>(),
        "certificates": response.certificates().iter().map(|c| hex::encode(c.fingerprint())).collect::<Vec<_>>(),
    }));
    report
}

fn responder(id: &ResponderId) -> String {
    match id {
        ResponderId::Name(der) => name(der),
        ResponderId::KeyHash(hash) => format!("whose key has the SHA-1 {}", hex::encode(hash)),
    }
}

fn nonce(nonce: Option<&Nonce>) -> String {
    nonce.map_or_else(|| "none: an old answer would do".into(), |nonce| hex::encode(nonce.as_bytes()))
}

fn status(status: &CertStatus, now: UnixMillis) -> String {
    match status {
        CertStatus::Good => "good: not revoked".into(),
        CertStatus::Unknown => "unknown: the responder knows of no such certificate".into(),
        CertStatus::Revoked { at, reason } => {
            format!("REVOKED at {} ({}), {reason}", at.millis(), ago(at.millis(), now))
        }
    }
}

fn is_current(answer: &Answer, now: UnixMillis) -> bool {
    let late = answer.next_update.is_some_and(|next| now > next.millis().saturating_add(CLOCK_SKEW));
    answer.this_update.millis() <= now.saturating_add(CLOCK_SKEW) && !late
}

fn period(answer: &Answer, now: UnixMillis) -> String {
    let from = answer.this_update.millis();
    let Some(until) = answer.next_update.map(|next| next.millis()) else { return format!("from {from}, without end") };
    let standing = match (is_current(answer, now), now < from) {
        (true, _) => format!("for another {}", duration(until.since(now))),
        (false, true) => "not yet".to_owned(),
        (false, false) => format!("ended {}", ago(until, now)),
    };
    format!("from {from} until {until} ({standing})")
}

fn hash_name(id: &CertId) -> &'static str {
    match id.hash() {
        Some(CertIdHash::Sha1) => "SHA-1",
        Some(CertIdHash::Sha256) => "SHA-256",
        None => "a hash that is not known here",
    }
}

fn cert_id_lines(id: &CertId) -> Vec<String> {
    vec![
        format!("serial  {}", hex::encode(id.serial())),
        format!("issuer  {} of its name {}", hash_name(id), hex::encode(id.issuer_name_hash())),
        format!("        {} of its key  {}", hash_name(id), hex::encode(id.issuer_key_hash())),
    ]
}

fn cert_id_json(id: &CertId) -> Value {
    json!({
        "serial": hex::encode(id.serial()),
        "hash": hash_name(id),
        "issuer_name_hash": hex::encode(id.issuer_name_hash()),
        "issuer_key_hash": hex::encode(id.issuer_key_hash()),
    })
}

fn answer_json(answer: &Answer, now: UnixMillis) -> Value {
    let (status, at, reason) = match answer.status {
        CertStatus::Good => ("good", None, None),
        CertStatus::Unknown => ("unknown", None, None),
        CertStatus::Revoked { at, reason } => ("revoked", Some(at.millis()), Some(reason)),
    };
    json!({
        "cert_id": cert_id_json(&answer.cert_id),
        "status": status,
        "revoked_at": at,
        "reason": reason,
        "this_update": answer.this_update.millis(),
        "next_update": answer.next_update.map(|next| next.millis()),
        "current": is_current(answer, now),
    })
}
