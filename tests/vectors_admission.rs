//! What the log says of every certificate in the vectors (`tests/vectors/certs.json`, members
//! `submission`, `chain` and `log`): admitted, or refused with a token.

#![allow(clippy::unwrap_used)]

#[path = "common/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;

use atl::apki::Certificate;
use atl::log::admission::{Anchors, Fault, Refusal, Rules, Screened, VerifiedPath};
use atl::log::entry::{CertHash, EntryType, Submission};
use atl::time::UnixMillis;
use serde_json::Value;

fn octets(path: &Value) -> Vec<u8> {
    vectors::octets(path.as_str().unwrap())
}

fn millis(value: &Value) -> UnixMillis {
    UnixMillis::new(value.as_u64().unwrap())
}

/// Admission as the server does it, `type` first because it is read with the request.
fn admit(case: &Value, anchors: &Anchors, rules: &Rules, now: UnixMillis) -> Result<Submission, &'static str> {
    let stated = match case["type"].as_u64() {
        None => None,
        Some(number) => Some(EntryType::from_number(number).ok_or("badType")?),
    };
    let token = |refusal: Refusal| match refusal.fault() {
        Fault::Submission => "badSubmission",
        Fault::Certificate => "badCertificate",
        Fault::Chain => "badChain",
        Fault::Anchor => "unknownAnchor",
        Fault::Shard => "outsideShard",
    };
    let chain = case["chain"].as_array().unwrap().iter().map(octets).collect();
    let screened = Screened::new(octets(&case["submission"]), stated, rules, now).map_err(token)?;
    let (found, path) = VerifiedPath::find(screened.clone(), chain, anchors, rules).map_err(token)?;
    // The next submission with this chain finds its path known.
    assert_eq!(screened.under(&path).as_ref(), Ok(&found));
    Ok(found)
}

#[test]
fn every_submission_gets_the_verdict_of_the_vectors() {
    let all = vectors::json("certs.json");
    let rules = Rules {
        not_after_start: millis(&all["not_after_start_ms"]),
        not_after_limit: millis(&all["not_after_limit_ms"]),
        max_chain_length: usize::try_from(all["max_chain"].as_u64().unwrap()).unwrap(),
    };
    let anchor = |path: &Value| Anchors::new([Certificate::parse(octets(path)).unwrap()]).unwrap();
    let anchors: BTreeMap<&str, Anchors> = all["anchors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| (path.as_str().unwrap().split('/').nth(1).unwrap(), anchor(path)))
        .collect();
    let (mut admitted, mut refused) = (0, 0);
    for case in all["cases"].as_array().unwrap().iter().filter(|case| !case["log"].is_null()) {
        let name = case["name"].as_str().unwrap();
        let log = &case["log"];
        let outcome = admit(case, &anchors[name.split('/').next().unwrap()], &rules, millis(&all["now_ms"]));
        if log["admit"].as_bool().unwrap() {
            let submission = outcome.unwrap_or_else(|token| panic!("{name}: refused with {token}"));
            assert_eq!(submission.cert_hash.to_string(), log["cert_hash_hex"].as_str().unwrap(), "{name}");
            assert_eq!(submission.cert_hash, CertHash::of_certificate(&submission.der), "{name}");
            admitted += 1;
        } else {
            let token = outcome.expect_err(name);
            let mut fine = vec![log["token"].as_str().unwrap()];
            fine.extend(log["also_fine"].as_array().into_iter().flatten().filter_map(Value::as_str));
            assert!(fine.contains(&token), "{name}: {token}, expected {fine:?}: {}", case["what"]);
            refused += 1;
        }
    }
    assert!(admitted >= 40 && refused >= 40, "{admitted} admitted and {refused} refused: were all cases read?");
}
