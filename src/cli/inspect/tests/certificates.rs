//! Agents' and CAs' certificates: what is said of them, against what the vectors say.

use super::*;
use crate::apki::certificate::uri_name_constraint_der;
use crate::apki::oid;
use crate::apki::precertificate::extension_der;
use crate::apki::testing::{Draft, name};
use crate::cli::inspect::certificate::KIND;

/// Reasons of the relying party of the vectors that lie in the structure of the certificate itself.
const STRUCTURAL: [&str; 12] = [
    "agent-uri",
    "algorithm",
    "capabilities-hash",
    "criticality",
    "delegation:root",
    "malformed:",
    "no-capabilities",
    "no-trust-score",
    "other-uri",
    "precertificate",
    "subject-key",
    "validity-too-long",
];

/// Reasons that may lie in the timestamps, which another test looks at: one from after the certificate's end does
/// not count, and nor does one of a log that nobody trusts.
const BY_TIMESTAMPS: [&str; 4] = ["sat-cert-hash", "one-operator", "no-valid-sat", "expired"];

fn of(der: &[u8]) -> Report {
    understood("certificate", der)
}

fn told(reports: &[(&str, &Report)]) -> Vec<String> {
    relate::relations(reports.iter().map(|(place, report)| (*place, &report.subject)))
}

#[test]
fn the_facts_are_those_of_the_vectors() {
    for row in counted(&json("certs.json"), "chains", 4) {
        let report = of(&octets(text(row, "final")));
        for (member, expected) in [
            ("cert_hash", "final_cert_hash_hex"),
            ("leaf_hash", "final_leaf_hash_hex"),
            ("precertificate_cert_hash", "cert_hash_hex"),
            ("precertificate_leaf_hash", "leaf_hash_hex"),
        ] {
            assert_eq!(report.json[member], row[expected], "{member}");
        }
        assert_eq!((&report.json["agent"]["uri"], &report.json["form"]), (&row["agent_uri"], &Value::from("final")));
        let said = report.lines().join("\n");
        for fact in ["cert_hash_hex", "final_cert_hash_hex", "leaf_hash_hex", "final_leaf_hash_hex", "agent_uri"] {
            assert!(said.contains(text(row, fact)), "{fact}: {said}");
        }
        let values = &row["values"];
        assert_eq!(report.json["trust"]["score"], values["agentTrustScore"]["score"]);
        let spend = &values["agentCapabilities"]["capabilities"][0]["spendLimit"];
        assert_eq!(report.json["capabilities"][0]["spend_limit"]["max_per_period"], spend["maxPerPeriod"]);

        let pre = of(&octets(text(row, "precert")));
        assert_eq!(
            (&pre.json["form"], &pre.json["cert_hash"]),
            (&Value::from("precertificate"), &row["cert_hash_hex"])
        );
        assert_eq!(pre.warnings, ["a relying party refuses it: it is a precertificate, which is for logs alone"]);
        let made = "final was made from the precertificate pre";
        assert!(told(&[("final", &report), ("pre", &pre)]).iter().any(|line| line == made));
    }
}

#[test]
fn it_warns_of_what_a_relying_party_refuses_and_of_nothing_else() {
    let file = json("certs.json");
    let (mut warned, mut silent, mut wrong) = (0, 0, Vec::new());
    for case in rows(&file, "cases") {
        let (Some(path), Some(verdict)) = (case["final"].as_str(), case["rp"].as_object()) else { continue };
        let report = KIND.report(&pieces(&octets(path))[0], NOW);
        let said: Vec<&String> = report.malformed.iter().chain(&report.warnings).collect();
        let reason = verdict.get("reason").and_then(Value::as_str).unwrap_or_default();
        let is_malformed = reason.starts_with("malformed:") && reason != "malformed:future";
        let right = if STRUCTURAL.iter().any(|known| reason.starts_with(known)) || reason == "unknown-critical" {
            warned += 1;
            !said.is_empty() && report.malformed.is_empty() != is_malformed
        } else if BY_TIMESTAMPS.contains(&reason) {
            report.malformed.is_empty()
        } else {
            // Accepted, or in order by itself: chains, signatures, parents and minimums are for others.
            silent += 1;
            said.is_empty()
        };
        if !right {
            wrong.push(format!("{} ({reason}): {said:?}", case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(warned > 40 && silent > 80, "{warned} {silent}");
}

#[test]
fn timestamps_over_another_certificate_are_seen_without_a_key() {
    for case in rows(&json("certs.json"), "cases") {
        let Some(reason) = case["rp"]["reason"].as_str() else { continue };
        let report = KIND.report(&pieces(&octets(text(case, "final")))[0], NOW);
        let has = |words: &str| report.warnings.iter().any(|line| line.contains(words));
        match reason {
            // Timestamps that came beside it are not in it.
            "sat-cert-hash" if case.get("detached_sats_b64").is_none() => assert!(has("(R12)"), "{case}"),
            "one-operator" if text(case, "name").ends_with("-one-sat") => assert!(has("needs 2"), "{case}"),
            _ => {}
        }
    }
}

#[test]
fn a_score_is_told_with_all_the_tiers_it_falls_through() {
    let der = octets("certs/p256/2sat/final.der");
    let report = of(&der);
    let lines = section(&report, "Trust").join("\n");
    for words in ["75 (elevated) at 2026-04-10T12:00:00.000Z", "74 (elevated) at 2026-04-10T12:30:00.000Z; 2 points"] {
        assert!(lines.contains(words), "{lines}");
    }
    let falls: Vec<(&str, u64)> = report.json["trust"]["falls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fall| (fall["tier"].as_str().unwrap(), fall["at"].as_u64().unwrap()))
        .collect();
    // 75 with 2 points an hour: below 60 after 7.5 h, below 40 after 17.5 h, below 20 after 27.5 h.
    let noon = 1_775_822_400_000;
    let hour = |tenths: u64| noon + tenths * 360_000 + 1;
    assert_eq!(falls, [("standard", hour(75)), ("restricted", hour(175)), ("untrusted", hour(275))]);
    let later = KIND.report(&pieces(&der)[0], NOW.saturating_add(20 * 3_600_000));
    assert!(row(&later, "valid").contains("NO MORE, ended 19 h 30 min ago"), "{:?}", later.rows);
    assert_eq!(later.json["trust"]["falls"].as_array().unwrap().len(), 1);
    let before = KIND.report(&pieces(&der)[0], NOW.saturating_sub(3_600_000));
    assert!(row(&before, "valid").contains("NOT YET, begins in 30 min"), "{:?}", before.rows);
    assert!(before.warnings.iter().any(|line| line.contains("agentTrustScore")), "{:?}", before.warnings);
}

#[test]
fn amounts_are_told_as_they_stand_there() {
    let report = of(&octets("certs/p256/2sat/final.der"));
    let table = section(&report, "Capabilities").join("\n");
    assert!(table.contains("MONEY, AT MOST") && table.contains("100000 minor units (1000.00 GBP) at once"), "{table}");
    assert!(section(&report, "Attested")[1].contains("the CA looked"));
}

#[test]
fn a_fault_in_an_extension_is_told_with_its_field() {
    let report = malformed("certificate", &octets("certs/p256/cases/garbage-provenance-final.der"), "modelFamily");
    // The rest is told all the same.
    assert!(!section(&report, "Trust").is_empty() && section(&report, "Built").is_empty());
    malformed("certificate", &octets("certs/p256/cases/tier-mismatch-final.der"), "is not in the tier");
    let twice = octets("certs/p256/cases/duplicate-trust-score-final.der");
    let report = malformed("certificate", &twice, "is there twice");
    assert_eq!(row(&report, "twice"), "agentTrustScore");
    assert!(row(&report, "issuer").starts_with("CN=Example Org CA"));
}

#[test]
fn relations_between_certificates_and_keys() {
    let read = |name: &str| KIND.report(&pieces(&octets(&format!("certs/ed25519/{name}.der")))[0], NOW);
    let (root, org) = (read("root"), read("org"));
    let (child, parent) = (read("cases/delegated-final"), read("cases/delegated-parent"));
    let all = told(&[("root", &root), ("org", &org), ("child", &child), ("parent", &parent)]);
    for line in [
        "org names as its issuer root (by name and key identifier)",
        "child names as its issuer org (by name and key identifier)",
        "parent names as its issuer org (by name and key identifier)",
        "child has as its delegation parent parent",
    ] {
        assert!(all.iter().any(|told| told == line), "{line}: {all:#?}");
    }
    assert_eq!(all.len(), 4, "{all:#?}");
    let alone = told(&[("child", &child)]);
    assert!(alone.len() == 1 && alone[0].ends_with("is not among these"), "{alone:?}");
    let wrong = read("cases/delegated-precert-hash-final");
    let hash = child_parent(&wrong);
    let parents = rows(&json("certs.json"), "cases").to_vec();
    let case = parents.iter().find(|case| case["name"] == "ed25519/delegated-precert-hash").unwrap();
    let parent = KIND.report(&pieces(&octets(case["parents"][0].as_str().unwrap()))[0], NOW);
    assert_eq!(parent.json["precertificate_cert_hash"], hash);
    let all = told(&[("wrong", &wrong), ("parent", &parent)]);
    assert!(all[0].contains("the precertificate of parent, where the final certificate belongs"), "{all:?}");
    assert_eq!(told(&[("a", &root), ("b", &root)]), ["b is the same certificate as a"]);

    let draft = Draft::leaf("CA");
    let certificate = of(&draft.sign(&key(1)));
    let private = understood("private-key", key(99).to_pkcs8_pem().unwrap().as_bytes());
    let public = understood("public-key", key(99).public_key().spki_der());
    let all = told(&[("leaf", &certificate), ("key", &private), ("pub", &public)]);
    assert_eq!(
        all,
        [
            "the key in key is that of the certificate leaf",
            "the key in pub is that of the certificate leaf",
            "pub and key have the same key"
        ]
    );
    let other = of(&Draft { subject: name("child"), ..Draft::leaf("agent") }.sign(&key(1)));
    assert!(told(&[("x", &other), ("leaf", &certificate)])[0].contains("which is no CA's"));
}

fn child_parent(report: &Report) -> Value {
    report.json["delegation"]["parent_cert_hash"].clone()
}

#[test]
fn cas_say_what_they_may() {
    let mut draft = Draft::ca("Root", "CA", &key(1), Some(0));
    draft.extensions.push(extension_der(&oid::NAME_CONSTRAINTS, true, &uri_name_constraint_der("bank.example.com")));
    let report = of(&draft.sign(&key(2)));
    assert_eq!((report.title.as_str(), row(&report, "CAs below it")), ("CA certificate of CN=CA", "at most 0"));
    assert!(row(&report, "may vouch for").contains("bank.example.com"));
    assert_eq!(row(&report, "key is for"), "signing certificates, signing revocation lists");
    let mut draft = Draft::ca("Root", "Root", &key(1), None);
    assert!(of(&draft.sign(&key(1))).title.starts_with("root certificate"));
    draft.extensions.pop();
    let report = of(&draft.sign(&key(1)));
    assert!(report.warnings[0].contains("keyUsage does not let it sign certificates"), "{:?}", report.warnings);
    let mut draft = Draft::ca("Root", "Helper", &key(1), None);
    draft.extensions.remove(0);
    let other = of(&draft.sign(&key(1)));
    assert!(other.title.ends_with("neither an agent's nor a CA's"), "{}", other.title);
}
