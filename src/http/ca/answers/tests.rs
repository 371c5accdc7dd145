//! From what the service shows to what is on the wire.

use super::*;
use crate::ca::service::{RequestId, SatView};
use crate::time::UnixMillis;

fn answered(status: &'static str) -> Answered {
    Answered {
        id: RequestId::new([7; 16]),
        agent: serde_json::from_str("\"agent://bank.example.com/payments/bot/1\"").unwrap(),
        status,
        received_at: UnixMillis::new(5),
        reasons: Vec::new(),
        certificate: None,
    }
}

fn issued() -> Answered {
    let valid = answered("valid");
    let certificate = IssuedView {
        serial: "40000000000000000000000000000000000000ab".parse().unwrap(),
        sha256: [9; 32],
        agent: valid.agent.clone(),
        score: serde_json::from_str("71").unwrap(),
        attestation: serde_json::from_str("\"caVerified\"").unwrap(),
        not_before: UnixMillis::new(1),
        not_after: UnixMillis::new(3),
        renew_at: UnixMillis::new(2),
        chain: vec![vec![0x30, 0], vec![0x30, 1, 0]],
        sats: vec![SatView {
            log: "https://log.example/".into(),
            operator: "op".into(),
            timestamp: UnixMillis::new(4),
            sat: vec![0x30, 0],
        }],
    };
    Answered { certificate: Some(certificate), ..valid }
}

fn headers(response: &Response) -> (u16, Option<&str>, Option<&str>) {
    let text = |name| response.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap());
    (response.status().as_u16(), text(header::LOCATION), text(header::RETRY_AFTER))
}

#[test]
fn the_status_says_where_a_request_stands() {
    let place = format!("requests/{}", "07".repeat(16));
    for (status, seconds) in [("pending", "30"), ("ready", "2"), ("processing", "2")] {
        assert_eq!(headers(&application(&answered(status))), (202, Some(place.as_str()), Some(seconds)));
        assert_eq!(headers(&super::status(&answered(status))), (200, None, Some(seconds)));
    }
    assert_eq!(headers(&application(&answered("invalid"))), (200, None, None));
    let certificate = format!("certificates/{}", "09".repeat(32));
    let response = application(&issued());
    assert_eq!(headers(&response), (201, Some(certificate.as_str()), None));
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
}

#[test]
fn a_certificate_is_shown_whole() {
    let json = serde_json::to_value(request(&issued())).unwrap();
    let certificate = &json["certificate"];
    assert_eq!(certificate["serial"], "40000000000000000000000000000000000000ab");
    assert_eq!((&certificate["tier"], &certificate["attestation"]), (&"elevated".into(), &"caVerified".into()));
    assert_eq!(certificate["sats"][0]["log"], "https://log.example/");
    let pem = certificate["chain_pem"].as_str().unwrap();
    assert_eq!(
        pem,
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n\
         -----BEGIN CERTIFICATE-----\nMAEA\n-----END CERTIFICATE-----\n"
    );
    assert!(json.get("reasons").is_none(), "what is not there is left out");
}

#[test]
fn a_page_says_whether_there_is_another() {
    let place = |n: &u64| Cursor { at: UnixMillis::new(*n), name: "ab".into() };
    assert_eq!(page(vec![1, 2, 3], 2, place), (vec![1, 2], Some("2-ab".into())));
    assert_eq!(page(vec![1, 2], 2, place), (vec![1, 2], None));
    assert_eq!(page(Vec::new(), 2, place), (Vec::new(), None));
}
