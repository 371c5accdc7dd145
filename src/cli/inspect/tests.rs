use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::CommandFactory;
use der::pem::{self, LineEnding};
use proptest::prelude::*;
use serde_json::Value;

use super::kind::KINDS;
use super::*;
use crate::apki::extension::AsciiText;
use crate::apki::federation::bundle::BUNDLE_TYP;
use crate::apki::federation::bundle::tests::{bundle, root};
use crate::apki::jws;
use crate::apki::moment::Moment;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::{self, CrlTemplate, RevokedCertificate, Scope};
use crate::apki::status::ocsp::{
    CertId, CertIdHash, CertStatus, Nonce, OcspRequest, ResponseTemplate, SingleResponse, Unsuccessful, basic_response,
    responder_key_hash,
};
use crate::apki::testing::key;
use crate::keys::{SignatureAlgorithm, Signer};

#[path = "../../../tests/common/vectors.rs"]
pub(super) mod vectors;

use vectors::{counted, from_hex, json, octets, rows, text};

mod certificates;

/// 2026-04-10T12:30:00Z, the present of the vectors.
const NOW: UnixMillis = UnixMillis::new(1_775_824_200_000);

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: InspectArgs,
}

/// The only object in these octets.
fn explain(octets: &[u8]) -> (&'static str, Report) {
    let pieces = pieces(octets);
    assert_eq!(pieces.len(), 1);
    let kind = Kind::of(&pieces[0]).unwrap();
    (kind.name, kind.report(&pieces[0], NOW))
}

/// The same, which must be of this kind and understood.
fn understood(kind: &str, octets: &[u8]) -> Report {
    let (found, report) = explain(octets);
    assert_eq!((found, report.malformed.as_slice()), (kind, &[][..]), "{}", report.title);
    report
}

/// The same, which must be of this kind and malformed, with these words in what is said.
fn malformed(kind: &str, octets: &[u8], words: &str) -> Report {
    let (found, report) = explain(octets);
    assert_eq!(found, kind, "{}", report.title);
    assert!(report.malformed.iter().any(|line| line.contains(words)), "{words}: {:?}", report.malformed);
    report
}

fn row<'a>(report: &'a Report, name: &str) -> &'a str {
    let row = report.rows.iter().find(|(known, _)| known.trim() == name);
    &row.unwrap_or_else(|| panic!("no row {name} in {:?}", report.rows)).1
}

fn section<'a>(report: &'a Report, head: &str) -> &'a [String] {
    report.sections.iter().find(|(known, _)| known.starts_with(head)).map_or(&[], |(_, lines)| lines)
}

fn moment(millis: u64) -> Moment {
    Moment::floor(UnixMillis::new(millis)).unwrap()
}

fn revocation_list(entries: usize) -> Vec<u8> {
    let serials: Vec<[u8; 2]> = (0..entries).map(|n| [0x01, u8::try_from(n).unwrap()]).collect();
    let revoked: Vec<_> = serials
        .iter()
        .map(|serial| RevokedCertificate {
            serial,
            at: moment(NOW.get()),
            reason: RevocationReason::KeyCompromise,
            certificate_issuer: None,
        })
        .collect();
    let issuer = root(1);
    let template = CrlTemplate {
        issuer_der: issuer.subject_der(),
        algorithm: SignatureAlgorithm::Ed25519,
        this_update: moment(NOW.get()),
        next_update: moment(NOW.get() + 3_600_000),
        number: 7,
        authority_key_identifier: &[1, 2, 3],
        scope: Some(Scope {
            url: AsciiText::new("http://ca.example.com/crl/7").unwrap(),
            only_user_certificates: true,
            indirect: false,
        }),
    };
    let tbs = template.tbs(revoked).unwrap();
    crl::signed(&tbs, SignatureAlgorithm::Ed25519, &key(1).sign(&tbs).unwrap())
}

fn cert_id() -> CertId {
    CertId::of(&root(1), &[0x2a], CertIdHash::Sha256).unwrap()
}

fn ocsp_response(status: CertStatus) -> Vec<u8> {
    let id = cert_id();
    let (this_update, next_update) = (moment(NOW.get()), moment(NOW.get() + 300_000));
    let responses = [SingleResponse { cert_id: &id, status, this_update, next_update }];
    let template = ResponseTemplate {
        responder_key_hash: responder_key_hash(key(1).public_key()).unwrap(),
        produced_at: this_update,
        responses: &responses,
        nonce: None,
    };
    let tbs = template.tbs();
    basic_response(&tbs, SignatureAlgorithm::Ed25519, &key(1).sign(&tbs).unwrap(), None)
}

/// A proof that something is at `index` in a tree of one entry.
fn tlog_proof(index: u64) -> Vec<u8> {
    let origin: crate::log::checkpoint::Origin = "log.example.com/1".parse().unwrap();
    let (size, root) = (crate::merkle::TreeSize::new(1), crate::merkle::Hash::new([7; 32]));
    let head = crate::log::sth::TreeHead { size, timestamp: NOW, root };
    let note = crate::log::checkpoint::sign_checkpoint(&key(1), &origin, &head).unwrap();
    let index = crate::merkle::LeafIndex::new(index);
    crate::log::proof::TlogProof::new(index, size, Vec::new(), note.as_bytes()).unwrap().to_string().into_bytes()
}

fn audit(at: u64) -> Vec<u8> {
    let statement = crate::log::audit::AuditStatement {
        origin: "log.example.com/1".parse().unwrap(),
        log_id: key(1).public_key().log_id(),
        size: crate::merkle::TreeSize::new(1),
        root: crate::merkle::Hash::new([7; 32]),
        at: UnixMillis::new(at),
        verdict: crate::log::audit::Verdict::Consistent,
    };
    let name = "monitor.example.com".parse().unwrap();
    crate::log::audit::sign_audit(&key(2), &name, &statement).unwrap().into_bytes()
}

/// One of the seeds of the fuzzer.
fn evidence() -> Vec<u8> {
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/evidence/good-delegated");
    std::fs::read(seed).unwrap()
}

fn private_key() -> String {
    key(5).to_pkcs8_pem().unwrap()
}

fn descriptor() -> Value {
    let note = json("note.json");
    let (key, origin) = (&note["key"]["spki_b64"], &note["origin"]);
    let id = crate::keys::PublicKey::from_spki_der(&STANDARD.decode(key.as_str().unwrap()).unwrap()).unwrap().log_id();
    json!({
        "origin": origin, "log_id": STANDARD.encode(id.as_bytes()), "key": key, "vkey": note["vkey"],
        "operator": "Example Log", "sth_interval_seconds": 60, "mmd_seconds": 60,
        "not_after_start": NOW.get() - 1000, "not_after_limit": NOW.get() + 1000, "retention_seconds": 0,
        "witnesses": [], "hash": "SHA-256", "signature_algorithm": "Ed25519", "oid_arc": "1.3.6.1.4.1.32473.1",
    })
}

fn json_octets(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn checkpoint() -> Vec<u8> {
    STANDARD.decode(text(&rows(&json("note.json"), "checkpoints")[0], "note_b64")).unwrap()
}

fn bundle_json() -> Vec<u8> {
    bundle(&[root(1), root(2)]).to_json()
}

fn pkcs10() -> String {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names =
        vec![rcgen::SanType::URI("agent://bank.example.com/retail/teller/7".try_into().unwrap())];
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    params.serialize_request(&key).unwrap().pem().unwrap()
}

/// One good object of each kind.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let sat = json("sat.json");
    let sth = json("sth.json");
    vec![
        ("private-key", private_key().into_bytes()),
        ("certificate", octets("certs/ed25519/2sat/final.der")),
        ("csr", pkcs10().into_bytes()),
        ("crl", revocation_list(3)),
        ("ocsp-response", ocsp_response(CertStatus::Good)),
        ("ocsp-request", OcspRequest::new(vec![cert_id()], None).unwrap().to_der()),
        ("sat", from_hex(&rows(&sat, "cases")[0]["sat_hex"])),
        ("sat-list", from_hex(&rows(&sat, "lists")[0]["hex"])),
        ("public-key", key(1).public_key().spki_der().to_vec()),
        ("sth", json_octets(&rows(&sth, "cases")[0]["sth"])),
        ("log", json_octets(&descriptor())),
        ("bundle", bundle_json()),
        ("checkpoint", checkpoint()),
        ("tlog-proof", tlog_proof(0)),
        ("audit", audit(1_775_824_200_000)),
        ("evidence", evidence()),
        ("vkey", text(&json("note.json"), "vkey").as_bytes().to_vec()),
        ("jws", jws::sign_detached(&key(1), BUNDLE_TYP, b"{}").unwrap().into_bytes()),
    ]
}

#[test]
fn each_kind_is_known_by_what_is_in_it_and_taken_for_no_other() {
    let samples = samples();
    assert_eq!(
        samples.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        KINDS.iter().map(|k| k.name).collect::<Vec<_>>()
    );
    for (name, octets) in &samples {
        let content = &pieces(octets)[0].content;
        let taken: Vec<_> = KINDS.iter().filter(|kind| (kind.looks)(content)).map(|kind| kind.name).collect();
        assert_eq!(taken, [*name]);
        let report = understood(name, octets);
        assert!(report.lines().iter().chain([&report.title]).all(|line| !line.contains(char::is_control)), "{name}");
        // Base64 of DER does as well, in lines or in one.
        if let Ok(der) = content.der() {
            let base64 = STANDARD.encode(der);
            let (start, end) = base64.split_at(base64.len() / 2);
            assert_eq!(explain(base64.as_bytes()).1.title, report.title);
            assert_eq!(explain(format!("{start}\n{end}\n").as_bytes()).1.title, report.title);
        }
    }
}

#[test]
fn each_label_is_of_one_kind_and_wins_over_the_shape() {
    let labels: Vec<&str> = KINDS.iter().flat_map(|kind| kind.labels.iter().copied()).collect();
    assert!(labels.iter().enumerate().all(|(n, label)| !labels[..n].contains(label)));
    let spki = key(1).public_key().spki_der().to_vec();
    let pem = pem::encode_string("CERTIFICATE", LineEnding::LF, &spki).unwrap();
    malformed("certificate", pem.as_bytes(), "by its shape it is a public key");
    let pem = pem::encode_string("SOMETHING", LineEnding::LF, &spki).unwrap();
    let why = Kind::of(&pieces(pem.as_bytes())[0]).unwrap_err();
    assert!(why.contains("`SOMETHING`") && why.contains("ocsp-request"), "{why}");
}

#[test]
fn the_help_has_every_kind_and_kinds_are_forced_by_name() {
    let help = Cli::command().render_long_help().to_string();
    for kind in KINDS {
        assert!(help.contains(kind.name), "{}", kind.name);
        assert_eq!(Kind::of_name(kind.name).unwrap().name, kind.name);
        assert!(kind.what.starts_with("a ") || kind.what.starts_with("an ") || kind.what.starts_with("what "));
    }
    assert!(Kind::of_name("thing").unwrap_err().contains("certificate, csr"));
    // Whatever is forced, it is explained or said why not, and a secret stays one.
    for (name, octets) in samples() {
        for kind in KINDS {
            let report = kind.report(&pieces(&octets)[0], NOW);
            assert!(kind.name == name || !report.malformed.is_empty(), "{name} as {}", kind.name);
        }
    }
}

#[test]
fn what_nobody_knows_is_described_and_not_repeated() {
    for (octets, words) in [
        (&b"secret-token-4711"[..], "a text that is neither"),
        (b"{\"one\": 1, \"two\": 2}", "the members `one`, `two`"),
        (b"{\"one\": ", "JSON that does not read"),
        (&[0x30, 0x03, 0x01, 0x01, 0xff], "a SEQUENCE of BOOLEAN"),
        (&[0xff, 0x00], "neither a text nor DER"),
    ] {
        let why = Kind::of(&pieces(octets)[0]).unwrap_err();
        assert!(why.contains(words) && !why.contains("4711"), "{why}");
    }
}

#[test]
fn proofs_and_audits_say_what_they_are_about() {
    let proof = understood("tlog-proof", &tlog_proof(0));
    assert_eq!((row(&proof, "leaf index"), row(&proof, "tree size")), ("0", "1"));
    assert_eq!(proof.json["signatures"][0]["name"], "log.example.com/1");
    malformed("tlog-proof", &tlog_proof(1), "none with the index 1");
    malformed("tlog-proof", b"c2sp.org/tlog-proof@v2\n", "tlog-proof@v1");
    let statement = understood("audit", &audit(NOW.get()));
    assert_eq!((row(&statement, "origin"), &statement.json["verdict"]), ("log.example.com/1", &"consistent".into()));
    assert_eq!(understood("audit", &audit(NOW.get() + 3_600_000)).warnings, ["it is dated ahead, and does not count"]);
    malformed("audit", b"atl-audit/v2\n\n", "note");
}

#[test]
fn heads_and_checkpoints_are_those_of_the_vectors() {
    let file = json("sth.json");
    for case in rows(&file, "cases") {
        let (kind, report) = explain(&json_octets(&case["sth"]));
        // Not only signatures are wrong in them.
        if case["ok"] == true {
            assert_eq!((kind, report.malformed.len()), ("sth", 0), "{case}");
            assert_eq!(report.json["tree_size"], case["sth"]["tree_size"]);
        }
        if let Some(root) = case.get("root_hash_hex") {
            assert_eq!(&report.json["root_hash"], root);
            assert_eq!(report.json["log_id"], file["log_id_hex"]);
            assert!(report.warnings.is_empty());
        }
    }
    let mut sth = rows(&file, "cases")[0]["sth"].clone();
    sth["root_hash"] = STANDARD.encode([7; 32]).into();
    assert!(understood("sth", &json_octets(&sth)).warnings[0].contains("the root of no entries"));
    for (member, value, words) in [
        ("log_id", Value::from("AAAA"), "32 octets"),
        ("timestamp", Value::from("now"), "invalid type"),
        ("root_hash", Value::Null, "invalid type"),
    ] {
        let mut sth = sth.clone();
        sth[member] = value;
        malformed("sth", &json_octets(&sth), words);
    }
    malformed("sth", &json_octets(&sth)[..90], "EOF");

    let mut known = 0;
    for case in counted(&json("note.json"), "checkpoints", 75) {
        let octets = STANDARD.decode(text(case, "note_b64")).unwrap();
        let Some(Ok(kind)) = pieces(&octets).first().map(Kind::of) else { continue };
        assert_eq!(kind.name, "checkpoint");
        let report = explain(&octets).1;
        if case["ok"] == true {
            known += 1;
            assert_eq!((report.malformed.len(), &report.json["root_hash"]), (0, &case["root_hex"]), "{case}");
            assert_eq!(report.json["tree_size"], case["tree_size"], "{case}");
            assert_eq!(report.json["extension_lines"], case["extension_lines"], "{case}");
        }
    }
    assert!(known > 5, "{known}");
}

#[test]
fn signature_lines_are_told_apart() {
    let mut note = String::from_utf8(checkpoint()).unwrap();
    let line = |octets: &[u8]| format!("\u{2014} witness.example/w {}\n", STANDARD.encode([b"key1", octets].concat()));
    let seconds = (NOW.get() / 1000 - 60).to_be_bytes();
    note.push_str(&line(&[&seconds[..], &[9; 64]].concat()));
    note.push_str(&line(&[9; 64]));
    let report = understood("checkpoint", note.as_bytes());
    let lines = section(&report, "Signature lines");
    assert!(lines[0].contains("the log itself") && lines[0].contains("Ed25519"), "{lines:?}");
    assert!(lines[1].contains("cosignature, then of 2026-04-10T12:29:00.000Z (1 min ago)"), "{lines:?}");
    assert!(lines[2].contains("somebody else"), "{lines:?}");
    let stranger = note.replacen("atl.example.com/2026h2 Y", "other.example/log Y", 1);
    assert!(understood("checkpoint", stranger.as_bytes()).warnings[0].contains("nobody takes it as the log's"));
    let broken = malformed("checkpoint", note.replacen("20852163", "020", 1).as_bytes(), "decimal number");
    assert_eq!(section(&broken, "Signature lines").len(), 3);
    malformed("checkpoint", note.trim_end().as_bytes(), "does not end with a newline");
}

#[test]
fn timestamps_are_those_of_the_vectors() {
    let file = json("sat.json");
    for case in rows(&file, "cases") {
        let der = from_hex(&case["sat_hex"]);
        if case["ok"] == true {
            let (kind, report) = explain(&der);
            assert_eq!((kind, report.malformed.len()), ("sat", 0), "{case}");
            assert_eq!(
                (&report.json["cert_hash"], &report.json["timestamp"]),
                (&case["cert_hash_hex"], &case["timestamp"])
            );
        }
    }
    for case in rows(&file, "lists").iter().filter(|case| case["ok"] == true) {
        let report = understood("sat-list", &from_hex(&case["hex"]));
        assert_eq!(report.json["sats"].as_array().map(Vec::len), case["count"].as_u64().map(|n| n as usize));
    }
    let sat = from_hex(&rows(&file, "cases")[0]["sat_hex"]);
    for end in [20, 60] {
        let report = malformed("sat", &sat[..end], "octets are missing");
        assert!(row(&report, "reads").starts_with("version"));
    }
}

#[test]
fn keys_are_described_and_secrets_kept() {
    for case in counted(&json("note.json"), "vkeys", 19) {
        let octets = text(case, "vkey").as_bytes();
        if octets.trim_ascii() != octets {
            // In a file, a newline behind it is none of it.
            continue;
        }
        let Ok(kind) = Kind::of(&pieces(octets)[0]) else { continue };
        let report = kind.report(&pieces(octets)[0], NOW);
        assert_eq!(case["ok"] == true, kind.name == "vkey" && report.malformed.is_empty(), "{case}");
        if case["ok"] == true {
            assert_eq!((&report.json["name"], &report.json["key_id"]), (&case["name"], &case["key_id_hex"]));
        }
    }
    let file = json("sat.json");
    let public = understood("public-key", text(&file["key"], "spki_b64").as_bytes());
    assert_eq!(public.json["sha256"], file["log_id_hex"]);
    assert!(public.title.contains("Ed25519"));

    for (key, algorithm) in [(&file["key"], "Ed25519"), (&file["p256"]["key"], "P-256")] {
        let pkcs8 = STANDARD.decode(text(key, "pkcs8_b64")).unwrap();
        let pem = pem::encode_string("PRIVATE KEY", LineEnding::LF, &pkcs8).unwrap();
        let secret = key.get("seed_hex").or(key.get("d_hex")).unwrap().as_str().unwrap();
        for octets in [pem.as_bytes(), text(key, "pkcs8_b64").as_bytes(), &pkcs8, &pem.as_bytes()[..100]] {
            let (kind, report) = explain(octets);
            assert_eq!(kind, "private-key");
            let said = format!("{} {:?} {}", report.title, report.lines(), report.as_json(kind));
            assert!(!said.contains(secret) && !said.contains(&STANDARD.encode(hex::decode(secret).unwrap())), "{said}");
            if report.malformed.is_empty() {
                assert!(report.title.contains(algorithm), "{}", report.title);
                assert_eq!(report.json["spki"], key["spki_b64"]);
            }
        }
    }
    let open = pem::encode_string("OPENSSH PRIVATE KEY", LineEnding::LF, b"openssh-key-v1\0rest").unwrap();
    assert!(understood("private-key", open.as_bytes()).title.contains("OpenSSH"));
}

#[test]
fn requests_say_who_asks() {
    let pem = pkcs10();
    let report = understood("csr", pem.as_bytes());
    assert_eq!(row(&report, "agent"), "agent://bank.example.com/retail/teller/7");
    assert!(row(&report, "possession").starts_with("proven") && report.warnings.is_empty());
    let (_, mut der) = pem::decode_vec(pem.as_bytes()).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let report = understood("csr", &der);
    assert!(row(&report, "possession").starts_with("NOT proven"));
    assert!(report.warnings[0].contains("not signed by its own key"), "{:?}", report.warnings);
    let report = malformed("csr", &der[..80], "octets are missing");
    assert!(row(&report, "reads").contains("version, subject"), "{:?}", report.rows);
}

#[test]
fn revocation_lists_and_answers() {
    let report = understood("crl", &revocation_list(30));
    assert_eq!((row(&report, "number"), report.json["revoked"].as_array().unwrap().len()), ("7", 30));
    assert!(row(&report, "at the moment").contains("for another 1 h"), "{}", row(&report, "at the moment"));
    let lines = section(&report, "Revoked");
    assert!(lines[1].contains("0100") && lines[1].contains("keyCompromise"), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "and 10 more (--json has all)");
    assert_eq!(section(&understood("crl", &revocation_list(0)), "Revoked"), ["none"]);
    malformed("crl", &revocation_list(30)[..200], "tbsCertList > revokedCertificates > entry");

    let reason = RevocationReason::Superseded;
    let report =
        understood("ocsp-response", &ocsp_response(CertStatus::Revoked { at: moment(NOW.get() - 60_000), reason }));
    assert!(report.title.contains("REVOKED at 2026-04-10T12:29:00.000Z (1 min ago), superseded"), "{}", report.title);
    assert_eq!(report.json["answers"][0]["cert_id"]["serial"], "2a");
    assert!(understood("ocsp-response", &ocsp_response(CertStatus::Unknown)).title.contains("unknown"));
    let report = understood("ocsp-response", &Unsuccessful::TryLater.to_der());
    assert_eq!(row(&report, "status"), "tryLater");
    malformed("ocsp-response", &[0x30, 0x03, 0x0a, 0x01, 0x09], "unknown status");
    let cut = &ocsp_response(CertStatus::Good)[..150];
    malformed("ocsp-response", cut, "responseBytes > response > tbsResponseData > responses > response 1 > certID");

    let nonce = Nonce::new([0xab; 32]).unwrap();
    let request = OcspRequest::new(vec![cert_id(), cert_id()], Some(nonce)).unwrap().to_der();
    let report = understood("ocsp-request", &request);
    assert_eq!(
        (row(&report, "nonce"), report.json["cert_ids"].as_array().unwrap().len()),
        ("ab".repeat(32).as_str(), 2)
    );
}

#[test]
fn bundles_and_their_signatures() {
    let report = understood("bundle", &bundle_json());
    assert!(row(&report, "at the moment").contains("it counts, for another 23 h 30 min"), "{:?}", report.rows);
    assert_eq!(report.json["ca_certificates"].as_array().unwrap().len(), 2);
    let mut document: Value = serde_json::from_slice(&bundle_json()).unwrap();
    document["minimum_trust_score"] = 101.into();
    malformed("bundle", &json_octets(&document), "`minimum_trust_score` is 101");
    malformed("bundle", &bundle_json()[..bundle_json().len() - 30], "EOF");

    let report = understood("jws", jws::sign_detached(&key(1), BUNDLE_TYP, &bundle_json()).unwrap().as_bytes());
    assert!(report.title.contains("over a trust bundle") && row(&report, "algorithm") == "EdDSA");
    assert_eq!(report.json["kid"], jws::thumbprint(key(1).public_key()));
    let inside = jws::sign(&key(1), "x+jws", br#"{"a":"\u001b[2J"}"#).unwrap();
    let report = understood("jws", inside.as_bytes());
    assert_eq!(report.json["payload"]["a"], "\u{1b}[2J");
    assert!(report.lines().iter().all(|line| !line.contains('\u{1b}')));
    let (signed, _) = inside.rsplit_once('.').unwrap();
    malformed("jws", format!("{signed}.AAAA").as_bytes(), "has 3 octets, and 64 belong there");
    malformed("jws", format!("{signed}.A").as_bytes(), "not base64url");
}

#[test]
fn a_log_descriptor_must_agree_with_itself() {
    let good = descriptor();
    let report = understood("log", &json_octets(&good));
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    assert!(row(&report, "takes").ends_with("(it takes what ends now)"), "{:?}", report.rows);
    for (member, value, words) in [
        ("origin", "other.example/log", "the origin is other.example/log"),
        ("log_id", &STANDARD.encode([1; 32]), "not the SHA-256 of key"),
        ("hash", "SHA-512", "SHA-256 is the only one"),
        ("oid_arc", "1.2.3", "would not be found"),
        ("vkey", "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "another key"),
    ] {
        let mut log = good.clone();
        log[member] = value.into();
        let report = understood("log", &json_octets(&log));
        assert!(report.warnings.iter().any(|line| line.contains(words)), "{member}: {:?}", report.warnings);
    }
    let mut log = good;
    log["vkey"] = "nothing".into();
    malformed("log", &json_octets(&log), "vkey: ");
}

#[test]
fn nothing_of_others_steers_a_terminal() {
    let mut log = descriptor();
    log["operator"] = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}x\nrow  value".into();
    let report = understood("log", &json_octets(&log));
    assert_eq!(row(&report, "operator"), log["operator"].as_str().unwrap());
    let lines = report.lines();
    assert!(lines.iter().all(|line| !line.contains(|c: char| c.is_control() || c == '\u{202e}')), "{lines:?}");
    let told = words::clean_json(&report.as_json("log").to_string());
    assert!(!told.contains(|c: char| c.is_control() || c == '\u{202e}'));
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["descriptor"]["operator"], log["operator"]);
}

#[test]
fn broken_armour_is_a_fault_beside_what_is_in_it() {
    let der = octets("certs/ed25519/org.der");
    let pem = pem::encode_string("CERTIFICATE", LineEnding::LF, &der).unwrap();
    let report = malformed("certificate", &pem.as_bytes()[..pem.len() - 26], "the PEM around it");
    assert!(report.title.contains("CN=Example Org CA"), "{}", report.title);
    let base64 = STANDARD.encode(&der);
    malformed("certificate", &base64.as_bytes()[..base64.len() - 3], "the base64 around it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_panics(which in 0..15_usize, cut in 0..4000_usize, at in 0..4000_usize, octet: u8, forced in 0..15_usize) {
        static SAMPLES: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(samples);
        let mut octets = SAMPLES[which].1.clone();
        let length = octets.len();
        octets[at % length] = octet;
        octets.truncate(length - cut % length);
        for piece in pieces(&octets) {
            let kinds = [Kind::of(&piece).ok(), KINDS.get(forced)];
            for report in kinds.into_iter().flatten().map(|kind| kind.report(&piece, NOW)) {
                prop_assert!(report.lines().iter().all(|line| !line.contains(char::is_control)));
            }
        }
    }
}
