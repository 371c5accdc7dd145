//! Revocation lists (RFC 5280 section 5).

use der::asn1::UintRef;
use serde_json::{Value, json};

use super::content::Content;
use super::key_words::is_algorithm;
use super::kind::Kind;
use super::outline::Shape;
use super::report::Report;
use super::schema;
use crate::apki::status::crl::{Crl, CrlError, Entry, Scope};
use crate::apki::tlv::{GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME};
use crate::cli::words::certificate::name;
use crate::cli::words::{columns, duration};
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "crl", what: "a revocation list", labels: &["X509 CRL"], looks, explain };

/// Entries that are told to people.
const TOLD: usize = 20;

/// Version, algorithm, issuer and time; the first is missing where it is an old one.
fn looks(content: &Content) -> bool {
    let tbs = Shape::of(content.der().unwrap_or_default()).at(0);
    [UTC_TIME, GENERALIZED_TIME].iter().any(|time| {
        tbs.begins(&[INTEGER, SEQUENCE, SEQUENCE, *time]) && is_algorithm(tbs.at(1))
            || tbs.begins(&[SEQUENCE, SEQUENCE, *time]) && is_algorithm(tbs.at(0))
    })
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    Ok(match Crl::parse(der) {
        Ok(crl) => of(&crl, now),
        Err(error) => Report::broken(KIND.what, der, &schema::REVOCATION_LIST, &error),
    })
}

fn of(crl: &Crl, now: UnixMillis) -> Report {
    let count = crl.entries().len();
    let issuer = name(crl.issuer_der());
    let certificates = if count == 1 { "certificate" } else { "certificates" };
    let mut report = Report::of_signed(format!("revocation list of {issuer}: {count} {certificates}"));
    let (this_update, next_update) = (crl.this_update().millis(), crl.next_update().millis());
    let standing = match crl.check_current(now) {
        Ok(()) => format!("it holds, for another {}", duration(next_update.since(now))),
        Err(error @ CrlError::Stale { .. }) => format!("too old: {error}"),
        Err(error) => error.to_string(),
    };
    report.row("issuer", &issuer);
    report.row("issuer's key id", hex::encode(crl.authority_key_identifier()));
    report.row("number", number(crl));
    report.row("this update", this_update);
    report.row("next update", next_update);
    report.row("at the moment", standing);
    report.row("about", scope(crl.scope()));
    report.section("Revoked", entries(crl));
    report.facts(json!({
        "issuer": issuer,
        "authority_key_identifier": hex::encode(crl.authority_key_identifier()),
        "number": number(crl),
        "this_update": this_update,
        "next_update": next_update,
        "current": crl.check_current(now).is_ok(),
        "url": crl.scope().map(|scope| scope.url.as_str()),
        "only_user_certificates": crl.scope().is_some_and(|scope| scope.only_user_certificates),
        "indirect": crl.scope().is_some_and(|scope| scope.indirect),
        "revoked": crl.entries().map(|entry| entry_json(crl, entry)).collect::<Vec<_>>(),
    }));
    report
}

/// In digits, and in hex where 64 bits do not hold it.
fn number(crl: &Crl) -> String {
    crl.number().map_or_else(
        || {
            let digits = UintRef::new(crl.number_octets()).map(|n| hex::encode(n.as_bytes()));
            format!("0x{}", digits.unwrap_or_default())
        },
        |number| number.to_string(),
    )
}

fn scope(scope: Option<&Scope>) -> String {
    let Some(scope) = scope else { return "all certificates of its issuer".into() };
    let who = if scope.only_user_certificates { "certificates that are not CAs'" } else { "certificates" };
    let of = if scope.indirect { "of several issuers" } else { "of its issuer" };
    format!("{who} {of} that name {} as their list", scope.url.as_str())
}

fn entries(crl: &Crl) -> Vec<String> {
    let head = ["SERIAL", "AT", "REASON", "ISSUER"].map(str::to_owned);
    let row = |entry: Entry<'_>| {
        let issuer = entry.certificate_issuer;
        let issuer = if issuer == crl.issuer_der() { String::new() } else { name(issuer) };
        [hex::encode(entry.serial), entry.at.to_string(), entry.reason.to_string(), issuer]
    };
    let mut rows = vec![head];
    rows.extend(crl.entries().take(TOLD).map(row));
    let mut lines = if rows.len() > 1 { columns(&rows) } else { vec!["none".to_owned()] };
    let more = crl.entries().len().saturating_sub(TOLD);
    lines.extend((more > 0).then(|| format!("and {more} more (--json has all)")));
    lines
}

fn entry_json(crl: &Crl, entry: Entry<'_>) -> Value {
    let other = entry.certificate_issuer != crl.issuer_der();
    json!({
        "serial": hex::encode(entry.serial),
        "at": entry.at.millis(),
        "reason": entry.reason,
        "certificate_issuer": other.then(|| name(entry.certificate_issuer)),
    })
}
