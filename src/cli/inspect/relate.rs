//! How certificates and keys that are looked at together belong together, by what is written in them.

use std::collections::HashMap;

use super::report::Subject;
use crate::apki::precertificate::recover;
use crate::apki::{Certificate, oid};
use crate::log::entry::CertHash;

/// Most relations that are told: a file may have very many certificates of one name.
const MOST: usize = 200;

/// A certificate with what the others are found by.
struct Known<'a> {
    place: &'a str,
    certificate: &'a Certificate,
    hash: [u8; 32],
}

/// Sentences about the objects, each with its place.
pub fn relations<'a>(objects: impl IntoIterator<Item = (&'a str, &'a Subject)>) -> Vec<String> {
    let (mut certificates, mut keys) = (Vec::new(), Vec::new());
    for (place, subject) in objects {
        match subject {
            Subject::Certificate(certificate) => {
                certificates.push(Known { place, certificate, hash: certificate.fingerprint() });
            }
            Subject::Key(spki) => keys.push((place, spki.as_slice())),
            Subject::None => {}
        }
    }
    let mut told = Vec::new();
    twins(&certificates, &mut told);
    issuers(&certificates, &mut told);
    parents(&certificates, &mut told);
    precertificates(&certificates, &mut told);
    owners(&certificates, &keys, &mut told);
    if told.len() > MOST {
        let more = told.len() - MOST;
        told.truncate(MOST);
        told.push(format!("and {more} more"));
    }
    told
}

/// The places of `items` by a key, the first ones only where there are many.
fn by<'a, K: std::hash::Hash + Eq, T>(items: &'a [T], key: impl Fn(&'a T) -> K) -> HashMap<K, Vec<&'a T>> {
    let mut map: HashMap<K, Vec<&T>> = HashMap::new();
    for item in items {
        let known = map.entry(key(item)).or_default();
        if known.len() < 8 {
            known.push(item);
        }
    }
    map
}

fn twins(certificates: &[Known<'_>], told: &mut Vec<String>) {
    let mut seen: HashMap<[u8; 32], &str> = HashMap::new();
    for known in certificates {
        match seen.get(&known.hash) {
            Some(first) => told.push(format!("{} is the same certificate as {first}", known.place)),
            None => drop(seen.insert(known.hash, known.place)),
        }
    }
}

fn is_ca(certificate: &Certificate) -> bool {
    certificate.basic_constraints().ok().flatten().is_some_and(|constraints| constraints.ca)
}

/// Who issued whom: by name, and by the key identifiers where both have one.
fn issuers(certificates: &[Known<'_>], told: &mut Vec<String>) {
    let subjects = by(certificates, |known| known.certificate.subject_der());
    for child in certificates.iter().filter(|known| !known.certificate.is_self_issued()) {
        let named = subjects.get(child.certificate.issuer_der()).into_iter().flatten();
        for issuer in named.filter(|issuer| !std::ptr::eq(**issuer, child)) {
            let wanted = child.certificate.authority_key_identifier();
            let has = issuer.certificate.subject_key_identifier();
            let how = match (wanted, has, is_ca(issuer.certificate)) {
                (_, _, false) => ", which is no CA's: it may not issue",
                (Some(wanted), Some(has), true) if wanted == has => " (by name and key identifier)",
                (Some(_), Some(_), true) => " by name, but means another key of it",
                _ => " (by name; there are no key identifiers to compare)",
            };
            told.push(format!("{} names as its issuer {}{how}", child.place, issuer.place));
        }
    }
}

/// Who delegated to whom: parentCertHash is the SHA-256 of the parent's final certificate.
fn parents(certificates: &[Known<'_>], told: &mut Vec<String>) {
    let hashes = by(certificates, |known| known.hash);
    let recovered = by(certificates, |known| precertificate_hash(known.certificate));
    for child in certificates {
        let Some(line) = child.certificate.delegation().ok().flatten() else { continue };
        if line.parent_cert_hash == [0; 32] {
            continue;
        }
        let hash = hex::encode(line.parent_cert_hash);
        let parent = hashes.get(&line.parent_cert_hash).and_then(|found| found.first());
        let wrong = recovered.get(&Some(line.parent_cert_hash)).and_then(|found| found.first());
        told.push(match (parent, wrong) {
            (Some(parent), _) if parent.certificate.extension(&oid::PRECERTIFICATE_POISON).is_some() => {
                format!("{} names as its delegation parent {}, which is a precertificate", child.place, parent.place)
            }
            (Some(parent), _) => format!("{} has as its delegation parent {}", child.place, parent.place),
            (None, Some(final_one)) => format!(
                "{} names as its delegation parent the precertificate of {}, where the final certificate belongs",
                child.place, final_one.place
            ),
            (None, None) => format!("the delegation parent of {} ({hash}) is not among these", child.place),
        });
    }
}

fn precertificate_hash(certificate: &Certificate) -> Option<[u8; 32]> {
    let recovered = recover(certificate).ok().flatten()?;
    Some(*CertHash::of_certificate(&recovered.precertificate_der).as_bytes())
}

fn precertificates(certificates: &[Known<'_>], told: &mut Vec<String>) {
    let hashes = by(certificates, |known| known.hash);
    for known in certificates {
        let Some(hash) = precertificate_hash(known.certificate) else { continue };
        let found = hashes.get(&hash).and_then(|found| found.first());
        told.extend(found.map(|pre| format!("{} was made from the precertificate {}", known.place, pre.place)));
    }
}

/// Whose key is whose.
fn owners(certificates: &[Known<'_>], keys: &[(&str, &[u8])], told: &mut Vec<String>) {
    let owners = by(certificates, |known| known.certificate.spki_der());
    for (place, spki) in keys {
        for owner in owners.get(spki).into_iter().flatten() {
            told.push(format!("the key in {place} is that of the certificate {}", owner.place));
        }
    }
    let mut seen: HashMap<&[u8], &str> = HashMap::new();
    for (place, spki) in keys {
        match seen.get(spki) {
            Some(first) => told.push(format!("{place} and {first} have the same key")),
            None => drop(seen.insert(spki, place)),
        }
    }
}
