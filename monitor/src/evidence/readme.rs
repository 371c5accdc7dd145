//! `README.txt`: what the evidence shows and how to check it, for whoever is handed it.

use std::fmt::Write;

use super::case::Case;
use super::check::Outcome;
use super::manifest::Manifest;
use crate::head::RawHead;

/// The file's name.
pub(super) const NAME: &str = "README.txt";

const WIDTH: usize = 100;

/// The text for people that goes with a manifest.
pub(super) fn text(manifest: &Manifest, outcome: &Outcome) -> String {
    let case = &manifest.case;
    let mut out = String::new();
    paragraph(&mut out, &format!("Evidence: {} ({})", case.class.title(), case.class));
    paragraph(&mut out, &case.summary);
    paragraph(&mut out, &verdict(outcome));
    let mut stands_on = outcome.by().iter().peekable();
    if stands_on.peek().is_some() {
        paragraph(&mut out, "What is signed and proven in here:");
        stands_on.for_each(|line| item(&mut out, line));
        out.push('\n');
    }
    paragraph(&mut out, "The logs that it is about, the one accused first, each with the key that it is checked with:");
    for log in &case.logs {
        let operator = if log.operator.is_empty() { "nobody has said who" } else { &log.operator };
        item(&mut out, &format!("{}, run by {operator}, at {}", log.origin, log.url));
        item(&mut out, &log.vkey);
    }
    let shown: Vec<_> = case.heads.iter().map(|head| head.shown_by.as_str()).collect();
    out.push('\n');
    if !shown.is_empty() {
        paragraph(
            &mut out,
            &format!("By the observer's word the heads were shown, in order, by: {}.", shown.join(", ")),
        );
    }
    paragraph(&mut out, &format!("What to do: {}", case.class.advice()));
    how(&mut out, manifest);
    paragraph(
        &mut out,
        &format!("Found at {} by {}, who signed so in observer.sig.", manifest.found_at, manifest.observer),
    );
    out
}

fn verdict(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Proven { what, .. } => format!("PROVEN. {what}"),
        Outcome::SuspicionOnly { why, .. } => format!("A SUSPICION ONLY. {why}"),
        Outcome::NotProven { why } => format!("NOT PROVEN: {why}."),
    }
}

fn how(out: &mut String, manifest: &Manifest) {
    let case = &manifest.case;
    paragraph(
        out,
        "How to check it, offline, trusting nobody but the log's key, which you should have from elsewhere:",
    );
    // In single quotes the shell takes all octets but the quote itself as they are.
    let quoted = |vkey: &str| format!(" --key '{}'", printable(vkey).replace('\'', r"'\''"));
    let keys: String = case.logs.iter().map(|log| quoted(&log.vkey)).collect();
    let _ = writeln!(out, "    atl-monitor verify-evidence DIRECTORY{keys}\n");
    paragraph(
        out,
        "It ends with 0 where misbehaviour is proven, 1 where it is not, 2 where the files \
         cannot be read, 3 where they support no more than a suspicion.",
    );
    paragraph(
        out,
        "By hand: each .signature is over the octets of the .signed beside it, by the log's key. What is signed of a tree \
         head is its timestamp and its size (8 octets each, big-endian), the octet 20 (hex), the root (32 octets) and \
         two zero octets (RFC 9162 section 4.10); of a checkpoint it is the text before its blank line; of a timestamp \
         (sat) it is all of its DER but the signature (protocol section 3). OpenSSL 3 checks them so:",
    );
    for (log, stem) in by_hand(case) {
        let _ = writeln!(
            out,
            "    openssl pkeyutl -verify -pubin -inkey log-{log}.pem -rawin -in {stem}.signed -sigfile {stem}.signature"
        );
    }
    out.push('\n');
    if case.divergence.is_some() {
        paragraph(
            out,
            "The divergence in manifest.json is a row of roots of perfect subtrees of the larger tree, from left to right, \
             each as large as its place allows. Hashed together as RFC 9162 section 2.1.1 says (SHA-256 of the octet 01, \
             the left and the right hash), all of them give the root of the larger head; `first` alone gives the root \
             that the smaller head would have if the log had only grown.",
        );
    }
    if !case.certificates.is_empty() {
        paragraph(
            out,
            "The leaf of a certificate is SHA-256 of the octet 00 and the SHA-256 of its DER; `inclusion` in \
             manifest.json leads from it to the root of its head (RFC 9162 section 2.1.3.2). \
             openssl x509 -inform DER -text -noout -in certificate-1.der shows what it says.",
        );
    }
    if !case.leaves.is_empty() {
        paragraph(out, "`leaves` in manifest.json are all leaf hashes of the tree of head-1, in their order.");
    }
}

/// What is signed, by the file's name without its ending, and by which of the logs.
fn by_hand(case: &Case) -> Vec<(usize, String)> {
    let kind = |head: &RawHead| if matches!(head, RawHead::Sth(_)) { "head" } else { "checkpoint" };
    let log = |origin: &str| 1 + case.logs.iter().position(|log| log.origin == origin).unwrap_or_default();
    let heads = (1..).zip(&case.heads).map(|(n, shown)| (1, format!("{}-{n}", kind(&shown.head))));
    let of_certificates = (1..).zip(&case.certificates);
    let of_certificates = of_certificates.map(|(n, c)| (log(&c.log), format!("certificate-{}-{n}", kind(&c.head))));
    heads.chain(of_certificates).collect()
}

/// A paragraph, and an empty line behind it.
fn paragraph(out: &mut String, text: &str) {
    wrapped(out, text, "", "");
    out.push('\n');
}

fn item(out: &mut String, text: &str) {
    wrapped(out, text, "  - ", "    ");
}

fn wrapped(out: &mut String, text: &str, first: &str, others: &str) {
    let text = printable(text);
    let (mut line, mut begun) = (first.to_owned(), false);
    for word in text.split_whitespace() {
        if begun && line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            (line, begun) = (others.to_owned(), false);
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    out.push_str(&line);
    out.push('\n');
}

/// Text of others, so that it is text to whoever opens the file.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
