use super::super::schema;
use super::*;
use crate::apki::Certificate;
use crate::apki::tlv::{INTEGER, OCTET_STRING, SEQUENCE, encode};
use crate::cli::inspect::tests::vectors::{from_hex, json, octets, rows, text};
use crate::log::sat::{SatList, SignedAgentTimestamp};
use proptest::prelude::*;

fn stop_of(der: &[u8], field: &Field) -> Stop {
    Trace::of(der, field).stop.unwrap()
}

fn good() -> Vec<u8> {
    octets("certs/p256/2sat/final.der")
}

#[test]
fn what_the_parsers_accept_reads_to_its_end() {
    let sats = json("sat.json");
    for row in rows(&sats, "cases") {
        let der = from_hex(&row["sat_hex"]);
        let is_sat = SignedAgentTimestamp::from_der(&der).is_ok();
        assert!(!is_sat || Trace::of(&der, &schema::SAT).stop.is_none(), "{row}");
    }
    for row in rows(&sats, "lists") {
        let der = from_hex(&row["hex"]);
        assert!(SatList::from_der(&der).is_err() || Trace::of(&der, &schema::SAT_LIST).stop.is_none(), "{row}");
    }
    let extensions = json("extensions.json");
    let mut accepted = 0;
    for row in rows(&extensions, "cases") {
        let oid = text(&extensions["oids"], text(row, "extension")).parse().unwrap();
        let field = schema::of_extension(&oid).unwrap();
        let trace = Trace::of(&from_hex(&row["der_hex"]), field).stop;
        if row["ok"] == true {
            accepted += 1;
            assert_eq!(trace, None, "{row}");
        }
    }
    assert!(accepted > 50);
    let certificates = json("certs.json");
    for row in rows(&certificates, "cases") {
        let paths = [&row["submission"], &row["final"]].into_iter().filter_map(serde_json::Value::as_str);
        for der in paths.map(octets) {
            let trace = Trace::of(&der, &schema::CERTIFICATE).stop;
            assert!(Certificate::parse(der).is_err() || trace.is_none(), "{row}: {trace:?}");
        }
    }
}

#[test]
fn it_stops_where_the_fault_is() {
    let sat = |timestamp: &[u8], hash: &[u8], behind: &[u8]| {
        let log_id = encode(OCTET_STRING, &[&[1; 32]]);
        encode(SEQUENCE, &[&[INTEGER, 1, 0], &log_id, timestamp, hash, &encode(OCTET_STRING, &[&[3; 64]]), behind])
    };
    let (time, hash) = (encode(INTEGER, &[&[9]]), encode(OCTET_STRING, &[&[2; 32]]));
    assert_eq!(Trace::of(&sat(&time, &hash, &[]), &schema::SAT).stop, None);
    let stop = stop_of(&sat(&encode(INTEGER, &[&[0, 9]]), &hash, &[]), &schema::SAT);
    assert_eq!((stop.field.as_str(), stop.at), ("timestamp", 40));
    let stop = stop_of(&sat(&time, &encode(INTEGER, &[&[9]]), &[]), &schema::SAT);
    assert_eq!((stop.field.as_str(), stop.at), ("certHash", 42));
    assert_eq!(stop.why, "INTEGER stands where certHash OCTET STRING belongs");
    let stop = stop_of(&sat(&time, &hash, &[0x05, 0x00]), &schema::SAT);
    assert_eq!((stop.field.as_str(), stop.why.as_str()), ("the whole", "NULL stands where nothing more belongs"));
    let behind = [sat(&time, &hash, &[]), vec![0, 1]].concat();
    let stop = stop_of(&behind, &schema::SAT);
    assert_eq!((stop.at, stop.why.as_str()), (behind.len() - 2, "2 octets do not belong to it"));
    assert_eq!(stop_of(&[], &schema::SAT).why, "there is nothing");
    assert!(stop_of(&[0x04, 0x00], &schema::SAT).why.starts_with("OCTET STRING stands where"));
    assert_eq!(stop_of(&[0x30, 0x00], &schema::SAT).why, "it is missing");
}

#[test]
fn a_cut_certificate_reads_up_to_the_cut() {
    let der = good();
    let trace = Trace::of(&der[..301], &schema::CERTIFICATE);
    let stop = trace.stop.as_ref().unwrap();
    assert!(stop.field.starts_with("tbsCertificate > extensions > extension"), "{stop}");
    assert!(stop.why.ends_with(&format!("{} octets are missing", der.len() - 301)), "{stop}");
    let read = "tbsCertificate > version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo";
    assert!(trace.read().starts_with(read), "{}", trace.read());
    assert_eq!(trace.value("tbsCertificate > serialNumber"), Some(&der[13..23]));
    // Cut anywhere, it stops before the cut.
    for end in 0..der.len() {
        let stop = stop_of(&der[..end], &schema::CERTIFICATE);
        assert!(stop.at <= end, "{end}: {stop}");
    }
}

#[test]
fn times_are_those_of_rfc_5280() {
    let der = good();
    let place = der.windows(15).position(|w| w[0] == 0x17 && w[1] == 13).unwrap();
    for text in [b"269910120000Z", b"2604101200000", b"26041012000aZ"] {
        let mut der = der.clone();
        der[place + 2..place + 15].copy_from_slice(text);
        let stop = stop_of(&der, &schema::CERTIFICATE);
        assert_eq!((stop.field.as_str(), stop.at), ("tbsCertificate > validity > notBefore", place));
        assert!(Certificate::parse(der).is_err());
    }
    static EITHER: Field =
        Field { name: "time", tags: &[tlv::UTC_TIME, tlv::GENERALIZED_TIME], optional: false, inside: Inside::Time };
    let generalized = |text: &[u8]| Trace::of(&encode(tlv::GENERALIZED_TIME, &[text]), &EITHER).stop.is_none();
    assert!(generalized(b"20500101000000Z") && !generalized(b"20490101000000Z"));
    assert!(!generalized(b"20500101000000.5Z") && !generalized(b"205001010000Z"));
}

#[test]
fn an_element_that_is_longer_than_its_parent_is_named() {
    let inner = [OCTET_STRING, 0x20, 1, 2];
    let der = encode(SEQUENCE, &[&[INTEGER, 1, 0], &inner]);
    let stop = stop_of(&der, &schema::SAT);
    assert_eq!((stop.field.as_str(), stop.at), ("logId", 5));
    assert_eq!(stop.why, "it says that it is 30 octets longer than what it stands in");
}

proptest! {
    #[test]
    fn nothing_panics(octets in proptest::collection::vec(any::<u8>(), 0..200), at in 0..900_usize, octet: u8) {
        let mut der = good();
        let at = at % der.len();
        der[at] = octet;
        for octets in [octets, der] {
            for field in [&schema::CERTIFICATE, &schema::OCSP_RESPONSE, &schema::REVOCATION_LIST, &schema::SAT_LIST] {
                let trace = Trace::of(&octets, field);
                let _ = trace.read();
                prop_assert!(trace.stop.is_none_or(|stop| stop.at <= octets.len()));
            }
        }
    }
}
