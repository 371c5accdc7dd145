//! Certificates and chains: what parses, what is recovered, what is issued below an anchor.

use atl::apki::ExtensionError;
use atl::apki::certificate::{AgentNameError, Certificate, CertificateError};
use atl::apki::chain::{Anchors, ChainError, ChainFault, IssuerError, IssuerPath};
use atl::apki::precertificate::{self, Precertificate, RecoverError};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::extensions;
use crate::vectors::{json, octets, rows, text};

const MAX_CHAIN: usize = 4;

fn certificate(path: &str) -> Certificate {
    Certificate::parse(octets(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The cases of one kind of key have the anchor of that kind and no other.
fn anchors_of(name: &str) -> Anchors {
    let kind = name.split(['/', '-']).next().unwrap();
    Anchors::new([certificate(&format!("certs/{kind}/root.der"))]).unwrap()
}

fn sha256_hex(octets: &[u8]) -> String {
    hex::encode(Sha256::digest(octets))
}

#[test]
fn every_good_chain() {
    let file = json("certs.json");
    let chains = rows(&file, "chains");
    assert_eq!(chains.len(), 4);
    for row in chains {
        let name = text(row, "name");
        let [precert, fin, org] = ["precert", "final", "org"].map(|field| certificate(text(row, field)));
        assert_eq!(hex::encode(precert.fingerprint()), text(row, "cert_hash_hex"), "{name}");
        assert_eq!(hex::encode(fin.fingerprint()), text(row, "final_cert_hash_hex"), "{name}");
        assert_eq!(extensions::values(&fin), row["values"], "{name}");
        assert_eq!(fin.capabilities_hash(), fin.attestation().unwrap().map(|a| a.declared_capabilities_hash), "{name}");
        assert_eq!(fin.agent_uri().unwrap().as_str(), text(row, "agent_uri"), "{name}");

        let recovered = precertificate::recover(&fin).unwrap().unwrap();
        assert_eq!(recovered.precertificate_der, precert.der(), "{name}");
        assert_eq!(sha256_hex(&recovered.precertificate_der), text(row, "cert_hash_hex"), "{name}");
        assert_eq!(precertificate::recover(&precert), Ok(None), "{name}");
        assert!(Precertificate::of(&fin).unwrap().is_none(), "{name}");

        let poisoned = Precertificate::of(&precert).unwrap().unwrap();
        let tbs = poisoned.final_tbs(recovered.sat_list_der);
        assert_eq!(tbs, fin.tbs_der(), "{name}");
        assert_eq!(poisoned.assemble(&tbs, fin.signature()).unwrap(), fin, "{name}");

        for leaf in [&precert, &fin] {
            let path = IssuerPath::find(leaf, vec![org.clone()], &anchors_of(name), MAX_CHAIN).unwrap();
            let fingerprints: Vec<Value> = path.iter().map(|i| hex::encode(i.fingerprint()).into()).collect();
            assert_eq!(Value::from(fingerprints), row["chain_fingerprints_hex"], "{name}");
        }
    }
}

/// What this floor alone says to a submission: the rules of admission in the log's order, without
/// the window of notAfter, which is the log's.
fn verdict(row: &Value) -> Result<(), &'static str> {
    let expected_kind = match row["type"].as_u64() {
        None => None,
        Some(1) => Some(false),
        Some(2) => Some(true),
        Some(_) => return Err("badType"),
    };
    let bad_submission = |_: String| "badSubmission";
    let leaf = Certificate::parse(octets(text(row, "submission"))).map_err(|e| bad_submission(e.to_string()))?;
    let is_precertificate = Precertificate::of(&leaf).map_err(|e| bad_submission(e.to_string()))?.is_some();
    if expected_kind.is_some_and(|kind| kind != is_precertificate) {
        return Err("badSubmission");
    }
    leaf.agent_uri().map_err(|e| bad_submission(e.to_string()))?;
    if !leaf.has_apki_extension() {
        return Err("badSubmission");
    }
    let chain = rows(row, "chain").iter().map(|path| Certificate::parse(octets(path.as_str().unwrap())));
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|_| "badCertificate")?;
    let path = IssuerPath::find(&leaf, chain, &anchors_of(text(row, "name")), MAX_CHAIN);
    let path = path.map_err(|e| match e.fault() {
        ChainFault::Submission => "badSubmission",
        ChainFault::Chain => "badChain",
        ChainFault::Anchor => "unknownAnchor",
    })?;
    assert_eq!(path.certifies(&leaf), Ok(()));
    Ok(())
}

#[test]
fn every_submission() {
    let file = json("certs.json");
    let (mut admitted, mut refused, mut left_to_the_log) = (0, 0, 0);
    for row in rows(&file, "cases").iter().filter(|row| row["log"].is_object()) {
        let (name, log) = (text(row, "name"), &row["log"]);
        match verdict(row) {
            Ok(()) if log["admit"] == true => {
                let submission = octets(text(row, "submission"));
                assert_eq!(sha256_hex(&submission), text(log, "cert_hash_hex"), "{name}");
                admitted += 1;
            }
            Ok(()) => {
                assert_eq!(log["token"], "outsideShard", "{name}");
                left_to_the_log += 1;
            }
            Err(token) => {
                let also_fine = log["also_fine"].as_array().into_iter().flatten().any(|fine| fine == token);
                assert!(log["token"] == token || also_fine, "{name}: {token} where {log} belongs");
                refused += 1;
            }
        }
    }
    assert_eq!((admitted, refused, left_to_the_log), (91, 91, 4));
}

/// The relying party's reasons that are found here. The others (scores, times, timestamps, names
/// beside the agent's, criticality, delegation) belong to floors above.
fn is_decided_here(reason: &str) -> bool {
    let ours = ["agent-uri", "malformed:duplicate", "malformed:extension", "malformed:sat-position", "issuer-"];
    ours.iter().any(|prefix| reason.starts_with(prefix))
        || [
            "precertificate",
            "malformed:precert-signature",
            "capabilities-hash",
            "chain-broken",
            "chain-too-long",
            "signature",
            "algorithm",
            "path-len",
            "unknown-anchor",
        ]
        .contains(&reason)
}

/// What this floor says to a final certificate.
fn judge_final(row: &Value) -> Result<(), String> {
    let fin = Certificate::parse(octets(text(row, "final"))).map_err(|e| match e {
        CertificateError::DuplicateExtension(_) => "malformed:duplicate-extension".into(),
        other => format!("malformed:{other}"),
    })?;
    if Precertificate::of(&fin).map_err(|e| e.to_string())?.is_some() {
        return Err("precertificate".into());
    }
    fin.agent_uri().map_err(|e| match e {
        AgentNameError::Invalid(cause) => format!("agent-uri:{}", cause.code()),
        AgentNameError::Missing | AgentNameError::Several(_) => "agent-uri-count".into(),
        AgentNameError::Der(cause) => format!("malformed:{cause}"),
    })?;
    let chain = rows(row, "rp_chain").iter().map(|path| certificate(path.as_str().unwrap())).collect();
    IssuerPath::find(&fin, chain, &anchors_of(text(row, "name")), MAX_CHAIN)
        .map_err(|e| chain_reason(&e).to_owned())?;
    precertificate::recover(&fin).map_err(|e| match e {
        RecoverError::Signature(_) => "malformed:precert-signature".to_owned(),
        RecoverError::Position | RecoverError::Poisoned => "malformed:sat-position".to_owned(),
    })?;
    let malformed = |e| match e {
        ExtensionError::Der(_) => "malformed:extension:truncated".to_owned(),
        ExtensionError::Field { .. } => "malformed:extension:range".to_owned(),
        ExtensionError::Tier { .. } => "malformed:extension:tier".to_owned(),
        ExtensionError::NotCanonical => "malformed:extension:default-encoded".to_owned(),
    };
    fin.trust_score().map_err(malformed)?;
    fin.capabilities().map_err(malformed)?;
    fin.delegation().map_err(malformed)?;
    fin.provenance().map_err(malformed)?;
    let declared = fin.attestation().map_err(malformed)?.map(|attestation| attestation.declared_capabilities_hash);
    match (declared, fin.capabilities_hash()) {
        (Some(declared), Some(actual)) if declared != actual => Err("capabilities-hash".into()),
        _ => Ok(()),
    }
}

fn chain_reason(error: &ChainError) -> &'static str {
    match error {
        ChainError::TooLong { .. } => "chain-too-long",
        ChainError::Name { .. } => "chain-broken",
        ChainError::Algorithm { .. } => "algorithm",
        ChainError::Signature { .. } => "signature",
        ChainError::Issuer { cause: IssuerError::NotCa, .. } => "issuer-not-ca",
        ChainError::Issuer { cause: IssuerError::NoKeyCertSign, .. } => "issuer-key-usage",
        ChainError::Issuer { cause: IssuerError::Key(_), .. } => "algorithm",
        ChainError::Issuer { cause: IssuerError::Malformed(_), .. } => "malformed",
        ChainError::PathLength { .. } => "path-len",
        ChainError::UnknownAnchor | ChainError::NotByAnchor { .. } => "unknown-anchor",
    }
}

#[test]
fn every_final_certificate() {
    let file = json("certs.json");
    let (mut decided, mut passed) = (0, 0);
    for row in rows(&file, "cases").iter().filter(|row| row["rp"].is_object()) {
        let (name, expected) = (text(row, "name"), row["rp"]["reason"].as_str().unwrap_or("accept"));
        match judge_final(row) {
            Ok(()) => {
                assert!(!is_decided_here(expected), "{name}: nothing found where {expected} belongs");
                passed += 1;
            }
            Err(found) => {
                // The tag that is wrong there is that of precertificateSignature's value.
                let expected = if expected == "malformed:tag" { "malformed:precert-signature" } else { expected };
                assert_eq!(found, expected, "{name}");
                decided += 1;
            }
        }
    }
    assert_eq!((decided, passed), (73, 119));
}
