//! What a log signs, against the vectors of an independent implementation: SATs, tree heads,
//! signed notes and checkpoints.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/vectors.rs"]
mod vectors;

use atl::keys::{Ed25519Signer, LogId, PublicKey, Signer};
use atl::log::checkpoint::{CheckpointError, Origin, open_checkpoint, sign_checkpoint};
use atl::log::entry::CertHash;
use atl::log::note::{BadVerifierKey, Note, NoteError, VerifierKey};
use atl::log::sat::{BadSat, SatError, SatList, SignedAgentTimestamp};
use atl::log::sth::{SignedTreeHead, SthError, TreeHead};
use atl::merkle::{Hash, TreeSize};
use atl::time::UnixMillis;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use vectors::{counted, from_hex, json};

fn b64_octets(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn public_key(value: &Value) -> PublicKey {
    PublicKey::from_spki_der(&b64_octets(&value["spki_b64"])).unwrap()
}

fn signer(value: &Value) -> Ed25519Signer {
    Ed25519Signer::from_seed(&from_hex(&value["seed_hex"]).try_into().unwrap()).unwrap()
}

fn cert_hash(value: &Value) -> CertHash {
    CertHash::from_slice(&from_hex(value)).unwrap()
}

fn log_id(octets: Vec<u8>) -> LogId {
    LogId::new(octets.try_into().unwrap())
}

/// Our cause in the vectors' words; the DER library's own words are not told apart further.
fn sat_reason(der: &[u8], key: &PublicKey, hash: CertHash) -> Result<(), &'static str> {
    let sat = SignedAgentTimestamp::from_der(der).map_err(|e| match e {
        BadSat::Version(_) => "malformed:version",
        BadSat::Timestamp(_) => "malformed:timestamp",
        BadSat::Size(..) => "malformed:size",
        BadSat::Der(_) | BadSat::NotStrict | BadSat::EmptyList => "malformed",
    })?;
    sat.verify(key, hash).map_err(|e| match e {
        SatError::OtherCertificate { .. } => "certHash",
        SatError::OtherLog { .. } => "logId",
        SatError::Signature => "signature",
    })
}

#[test]
fn sats() {
    let file = json("sat.json");
    let (key, signer) = (public_key(&file["key"]), signer(&file["key"]));
    assert_eq!(key.log_id(), log_id(from_hex(&file["log_id_hex"])));
    assert_eq!(public_key(&file["other_key"]).log_id(), log_id(from_hex(&file["other_log_id_hex"])));
    let mut good = 0;
    for row in counted(&file, "cases", 51) {
        let (der, hash) = (from_hex(&row["sat_hex"]), cert_hash(&row["cert_hash_hex"]));
        let verdict = sat_reason(&der, &key, hash);
        if let Err(reason) = verdict {
            assert_eq!(row["ok"], false, "{row}");
            assert!(row["reason"].as_str().unwrap().starts_with(reason), "{reason}: {row}");
            continue;
        }
        assert_eq!(row["ok"], true, "{row}");
        let timestamp = UnixMillis::new(row["timestamp"].as_u64().unwrap());
        let tbs = SignedAgentTimestamp::to_be_signed(key.log_id(), timestamp, hash);
        assert_eq!(tbs, from_hex(&row["tbs_hex"]), "{row}");
        assert_eq!(SignedAgentTimestamp::sign(&signer, timestamp, hash).unwrap().to_der(), der, "{row}");
        good += 1;
    }
    assert_eq!(good, 13);
}

#[test]
fn sat_lists() {
    let file = json("sat.json");
    let mut good = 0;
    for row in counted(&file, "lists", 10) {
        let der = from_hex(&row["hex"]);
        let list = SatList::from_der(&der);
        assert_eq!(list.is_ok(), row["ok"].as_bool().unwrap(), "{row}");
        let Ok(list) = list else { continue };
        assert_eq!(list.sats().len() as u64, row["count"].as_u64().unwrap());
        assert_eq!(SatList::new(list.sats().to_vec()).unwrap().to_der(), der);
        good += 1;
    }
    assert_eq!(good, 3);
}

#[test]
fn sat_of_a_p256_log() {
    let row = &json("sat.json")["p256"];
    let key = public_key(&row["key"]);
    assert_eq!(key.log_id(), log_id(from_hex(&row["log_id_hex"])));
    assert_eq!(sat_reason(&from_hex(&row["sat_hex"]), &key, cert_hash(&row["cert_hash_hex"])), Ok(()));
}

/// The JSON of `get-sth`, or `None` where its root is not of 32 octets.
fn sth(json: &Value) -> Option<SignedTreeHead> {
    Some(SignedTreeHead {
        log_id: log_id(b64_octets(&json["log_id"])),
        head: TreeHead {
            size: TreeSize::new(json["tree_size"].as_u64()?),
            timestamp: UnixMillis::new(json["timestamp"].as_u64()?),
            root: Hash::from_slice(&b64_octets(&json["root_hash"]))?,
        },
        signature: b64_octets(&json["signature"]),
    })
}

#[test]
fn tree_heads() {
    let file = json("sth.json");
    let (key, signer) = (public_key(&file["key"]), signer(&file["key"]));
    assert_eq!(key.log_id(), log_id(from_hex(&file["log_id_hex"])));
    let mut good = 0;
    for row in counted(&file, "cases", 20) {
        let parsed = sth(&row["sth"]);
        let verdict = parsed.as_ref().map(|sth| sth.verify(&key));
        assert_eq!(verdict == Some(Ok(())), row["ok"].as_bool().unwrap(), "{row}");
        let why = row["why"].as_str().unwrap_or_default();
        if why.starts_with("log_id") {
            assert!(matches!(verdict, Some(Err(SthError::OtherLog { .. }))), "{row}");
        } else if verdict != Some(Ok(())) {
            let expected = if why == "root of 31 octets" { None } else { Some(Err(SthError::Signature)) };
            assert_eq!(verdict, expected, "{row}");
        } else {
            let sth = parsed.unwrap();
            assert_eq!(sth.head.to_be_signed(), from_hex(&row["tbs_hex"]));
            assert_eq!(sth.head.root.as_bytes().as_slice(), from_hex(&row["root_hash_hex"]));
            assert_eq!(sth.signature, from_hex(&row["signature_hex"]));
            assert_eq!(SignedTreeHead::sign(&signer, sth.head), Ok(sth));
            good += 1;
        }
    }
    assert_eq!(good, 6);
}

#[test]
fn tree_head_of_a_p256_log() {
    let row = &json("sth.json")["p256"];
    assert_eq!(sth(&row["sth"]).unwrap().verify(&public_key(&row["key"])), Ok(()));
}

#[test]
fn verifier_keys() {
    let file = json("note.json");
    let mut good = 0;
    for row in counted(&file, "vkeys", 19) {
        let text = row["vkey"].as_str().unwrap();
        let key = match text.parse::<VerifierKey>() {
            Ok(key) => key,
            Err(e) => {
                assert_eq!(row["ok"], false, "{row}");
                let reason = match e {
                    BadVerifierKey::Name => "name",
                    BadVerifierKey::KeyId => "key-id",
                    BadVerifierKey::Base64 => "base64",
                    BadVerifierKey::Type => "type",
                    BadVerifierKey::Key(_) => "key-length",
                };
                assert_eq!(row["reason"], reason, "{row}");
                continue;
            }
        };
        assert_eq!(row["ok"], true, "{row}");
        assert_eq!(key.to_string(), text);
        assert_eq!(
            (key.name().as_str(), hex::encode(key.id())),
            (row["name"].as_str().unwrap(), row["key_id_hex"].as_str().unwrap().to_owned())
        );
        assert_eq!(key.key().ed25519_octets().unwrap().as_slice(), from_hex(&row["public_key_hex"]));
        good += 1;
    }
    assert_eq!(good, 5);
}

#[test]
fn notes() {
    let file = json("note.json");
    for row in counted(&file, "notes", 6) {
        let octets = b64_octets(&row["note_b64"]);
        let note = Note::parse(&octets).unwrap();
        assert_eq!(note.to_string().as_bytes(), octets);
        let keys = row["vkeys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().parse().unwrap());
        let keys: Vec<VerifierKey> = keys.collect();
        let verdicts: Vec<_> = keys.iter().map(|key| note.verify(key)).collect();
        if row["ok"] == true {
            assert_eq!(note.text(), row["text"].as_str().unwrap());
            let good = keys.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
            let good: Vec<_> = good.map(|(key, _)| key.name().as_str()).collect();
            assert_eq!(serde_json::to_value(good).unwrap(), row["verified"], "{row}");
        } else {
            let reason = if row["reason"] == "unsigned" { NoteError::Unsigned } else { NoteError::Signature };
            assert_eq!(verdicts, [Err(reason)], "{row}");
        }
    }
}

/// Our cause in the vectors' words.
fn checkpoint_reason(error: CheckpointError) -> &'static str {
    match error {
        CheckpointError::Note(note) => match note {
            NoteError::NotUtf8 => "utf8",
            NoteError::Control => "control",
            NoteError::NoFinalNewline => "no-final-newline",
            NoteError::NoBlankLine => "no-blank-line",
            NoteError::NoSignature => "no-signature",
            NoteError::SignatureLine(_) => "signature-line",
            NoteError::Unsigned => "unsigned",
            NoteError::Signature => "signature",
            NoteError::TooLong(_) | NoteError::TooManySignatures => "bounds",
        },
        CheckpointError::Lines => "lines",
        CheckpointError::BadOrigin(_) | CheckpointError::OtherOrigin => "origin",
        CheckpointError::Size => "size",
        CheckpointError::Root => "root",
    }
}

#[test]
fn checkpoints() {
    let file = json("note.json");
    let key: VerifierKey = file["vkey"].as_str().unwrap().parse().unwrap();
    let signer = signer(&file["key"]);
    let origin: Origin = file["origin"].as_str().unwrap().parse().unwrap();
    assert_eq!(origin.verifier_key(signer.public_key()), Ok(key.clone()));
    let (mut good, mut reproduced) = (0, 0);
    for row in counted(&file, "checkpoints", 75) {
        let octets = b64_octets(&row["note_b64"]);
        let opened = match open_checkpoint(&octets, &key) {
            Ok(opened) => opened,
            Err(e) => {
                assert_eq!(row["ok"], false, "{e}: {row}");
                assert_eq!(row["reason"], checkpoint_reason(e), "{row}");
                continue;
            }
        };
        assert_eq!(row["ok"], true, "{row}");
        assert_eq!(opened.origin.as_str(), row["origin"].as_str().unwrap());
        assert_eq!(Some(opened.size.get()), row["tree_size"].as_u64());
        assert_eq!(opened.root.as_bytes().as_slice(), from_hex(&row["root_hex"]));
        assert_eq!(serde_json::to_value(opened.extensions()).unwrap(), row["extension_lines"]);
        let note = Note::parse(&octets).unwrap();
        assert_eq!(note.to_string().as_bytes(), octets);
        assert_eq!(opened.to_string(), note.text());
        good += 1;
        if opened.extensions().is_empty() && note.signatures().len() == 1 {
            let head = TreeHead { size: opened.size, timestamp: UnixMillis::new(0), root: opened.root };
            assert_eq!(sign_checkpoint(&signer, &origin, &head).unwrap().as_bytes(), octets);
            reproduced += 1;
        }
    }
    assert_eq!((good, reproduced), (14, 5));
}
