//! `atl inspect`: any object of this project in words.
//!
//! [`content`] finds the objects in a file, [`kind`] has the table of kinds, each kind's own file explains one as
//! a [`report`], and [`relate`] says how certificates and keys belong together. [`trace`] tells where DER stops.

mod audit;
mod bundle;
mod certificate;
mod checkpoint;
mod content;
mod descriptor;
mod evidence;
mod jws;
mod key_words;
mod kind;
mod ocsp;
mod outline;
mod private_key;
mod public_key;
mod relate;
mod report;
mod request;
mod revocation_list;
mod sat;
mod schema;
mod sth;
mod tlog_proof;
mod trace;
mod vkey;

use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::content::pieces;
use self::kind::Kind;
use self::report::Report;
use super::output::{CliError, Context};
use super::words::{self, clean};
use crate::time::{Clock, SystemClock, UnixMillis};

/// Most octets of a file that are read: PEM of the longest revocation list.
const MAX_FILE: u64 = 96 << 20;

/// Explain any object of this project in words, and how far it reads where it is broken.
///
/// What an object is, is told by what is in it: the label of a PEM block, the shape of DER or
/// JSON, the form of a text. A file may hold several, and base64 of DER is fine too. The kinds:
///
///   certificate      of an agent (final, or a precertificate), or of a CA
///   csr              a certification request
///   crl              a revocation list
///   ocsp-response    and ocsp-request
///   sat              a signed agent timestamp, and sat-list
///   sth              a signed tree head, the JSON of get-sth
///   checkpoint       a tree head as a signed note
///   tlog-proof       a proof that something is in a log
///   audit            what a monitor says of a log
///   evidence         an evidence bundle of a signed action
///   log              what a log says of itself, the JSON of GET /atl/v1/log
///   bundle           a trust bundle in JSON, and jws, the signature over one
///   public-key       and vkey, a log's key as checkpoints have it
///   private-key      which it is, and never the key itself
///
/// Of an agent's certificate it tells whom it names, what the agent may do, how much of its score
/// is left at --at and when it falls through the tiers, the hashes that logs know it by, and for
/// what in its structure a relying party refuses it. Certificates and keys that are given together
/// are related: who issued which, whose delegation parent is which, whose key is which.
///
/// It verifies no signature but a request's own, and asks nobody: whether something holds is for
/// atl verify.
///
/// It ends with 0 where every object was understood, with 1 where one is malformed, and with 2
/// where a file could not be read or an object not be recognised.
///
/// Examples:
///   atl inspect teller7/cert.pem
///   atl inspect --at 2026-07-01T09:30:00Z --json cert.pem
///   curl -s https://log.example.com/2026h2/checkpoint | atl inspect -
///   atl inspect --kind sat answer.bin
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct InspectArgs {
    /// The files; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Take every object for one of this kind
    #[arg(long, value_parser = Kind::of_name)]
    kind: Option<&'static Kind>,
    /// The moment to look from, as 2026-07-01T09:30:00Z; now without it
    #[arg(long, value_name = "MOMENT", value_parser = words::moment)]
    at: Option<UnixMillis>,
    /// Print one JSON document for all of it
    #[arg(long)]
    json: bool,
}

/// One object, with its place.
struct Found {
    /// As it is called in words.
    place: String,
    file: String,
    /// Its place in the file, from 1.
    number: usize,
    what: Result<(&'static Kind, Report), String>,
}

/// Runs it.
pub fn run(args: &InspectArgs) -> Result<(), CliError> {
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for file in &args.files {
        match read(file).and_then(|octets| objects(file, &octets, args.kind, now)) {
            Ok(objects) => found.extend(objects),
            Err(error) => unread.push(error.to_string()),
        }
    }
    let relations = relate::relations(found.iter().filter_map(|found| {
        let (_, report) = found.what.as_ref().ok()?;
        Some((found.place.as_str(), &report.subject))
    }));
    if args.json {
        print_document(&found, &relations, &unread, now)?;
    } else {
        print_words(&found, &relations);
    }
    outcome(&found, &unread)
}

/// Whether all of it was understood.
fn outcome(found: &[Found], unread: &[String]) -> Result<(), CliError> {
    let unknown =
        found.iter().filter_map(|found| found.what.as_ref().err().map(|why| format!("{}: {why}", found.place)));
    let failed: Vec<String> = unread.iter().cloned().chain(unknown).collect();
    if !failed.is_empty() {
        return Err(CliError::new(failed.join("\n")));
    }
    let broken = found.iter().filter(|found| found.what.as_ref().is_ok_and(|(_, report)| !report.malformed.is_empty()));
    let places: Vec<&str> = broken.map(|found| found.place.as_str()).collect();
    match places.as_slice() {
        [] => Ok(()),
        places => Err(CliError::negative(format!("malformed: {}", places.join(", ")))),
    }
}

/// The octets of a file, which may be a key's.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let place = if is_stdin(file) { "standard input".into() } else { file.display().to_string() };
    let input: Box<dyn Read> =
        if is_stdin(file) { Box::new(stdin()) } else { Box::new(File::open(file).context(&place)?) };
    let mut octets = Zeroizing::new(Vec::new());
    input.take(MAX_FILE + 1).read_to_end(&mut octets).context(&place)?;
    if octets.len() as u64 > MAX_FILE {
        return Err(CliError::new(format!("{place}: more than {MAX_FILE} octets, which no object has")));
    }
    Ok(octets)
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn objects(file: &Path, octets: &[u8], kind: Option<&'static Kind>, now: UnixMillis) -> Result<Vec<Found>, CliError> {
    let name = if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() };
    let pieces = pieces(octets);
    if pieces.is_empty() {
        return Err(CliError::new(format!("{name}: there is nothing in it")));
    }
    let several = pieces.len() > 1;
    let object = |(n, piece): (usize, &content::Piece)| {
        let place = if several { format!("{name}, object {}", n + 1) } else { name.clone() };
        let kind = kind.map_or_else(|| Kind::of(piece), Ok);
        Found { place, file: name.clone(), number: n + 1, what: kind.map(|kind| (kind, kind.report(piece, now))) }
    };
    Ok(pieces.iter().enumerate().map(object).collect())
}

fn print_words(found: &[Found], relations: &[String]) {
    for (n, found) in found.iter().enumerate() {
        if n > 0 {
            println!();
        }
        match &found.what {
            Ok((_, report)) => {
                println!("{}: {}", clean(&found.place), clean(&report.title));
                report.lines().iter().for_each(|line| println!("{line}"));
            }
            Err(_) => println!("{}: not recognised", clean(&found.place)),
        }
    }
    if !relations.is_empty() {
        println!("\nHow they belong together, by what is written in them");
        relations.iter().for_each(|line| println!("  {}", clean(line)));
    }
    if found.iter().any(|found| found.what.as_ref().is_ok_and(|(_, report)| report.signed)) {
        println!("\nNo signature was verified: this is what is written, not what holds (atl verify).");
    }
}

/// One document for all of it, in JSON.
fn print_document(found: &[Found], relations: &[String], unread: &[String], now: UnixMillis) -> Result<(), CliError> {
    let object = |found: &Found| {
        let mut value = match &found.what {
            Ok((kind, report)) => report.as_json(kind.name),
            Err(why) => json!({ "kind": Value::Null, "unrecognised": why }),
        };
        value["file"] = found.file.clone().into();
        value["object"] = found.number.into();
        value
    };
    let document = json!({
        "at": now,
        "signatures_verified": false,
        "objects": found.iter().map(object).collect::<Vec<_>>(),
        "relations": relations,
        "unread": unread,
    });
    let text = serde_json::to_string_pretty(&document).context("the answer")?;
    println!("{}", words::clean_json(&text));
    Ok(())
}

#[cfg(test)]
mod tests;
