//! Who gets through, and what the others hear.

use std::num::NonZeroU32;

use axum::http::{HeaderValue, header};
use sha2::{Digest, Sha256};

use super::*;
use crate::trust::service::Role;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn rate(burst: u32) -> Rate {
    Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(burst).unwrap() }
}

fn gate(per_reporter: u32) -> Gate {
    let holder = |text: &str, who| TokenHolder { token_sha256: Sha256::digest(text).into(), who };
    let operator = Operator { name: "ana".into(), role: Role::Engine };
    let holders = vec![holder("reads", Holder::Reader), holder("decides", Holder::Operator(operator))];
    let identify = |der: &[u8]| match der {
        b"shop" => Ok("shop".parse().unwrap()),
        _ => Err("the key of this certificate is no registered reporter's".to_owned()),
    };
    let metrics = Arc::new(TrustMetrics::new().unwrap());
    Gate::new(Arc::new(identify), holders, rate(1000), rate(per_reporter), metrics)
}

fn showing(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())])
}

fn status<T>(outcome: Result<T, Failure>) -> u16 {
    outcome.map_or_else(|failure| failure.0.status, |_| 200)
}

#[test]
fn everybody_has_one_part() {
    let gate = gate(10);
    let (reads, decides, unknown, none) = (showing("reads"), showing("decides"), showing("x"), HeaderMap::new());
    let all = |headers| {
        [
            status(gate.reader(PEER, headers)),
            status(gate.operator(PEER, headers)),
            status(gate.anyone(PEER, headers)),
            status(gate.reporter(PEER, None, headers)),
        ]
    };
    assert_eq!(all(&reads), [200, 403, 200, 403]);
    assert_eq!(all(&decides), [403, 200, 200, 403]);
    assert_eq!(all(&unknown), [401; 4]);
    assert_eq!(all(&none), [401; 4]);
    assert_eq!(gate.operator(PEER, &decides).unwrap().name, "ana");
}

#[test]
fn a_reporter_is_known_by_its_certificate() {
    let gate = gate(3);
    let shown = |der: &[u8]| PeerCertificate(Arc::from(der));
    let shop = gate.reporter(PEER, Some(&shown(b"shop")), &HeaderMap::new()).unwrap();
    assert_eq!(shop.as_str(), "shop");
    // A token beside the wrong certificate makes it no better.
    assert_eq!(status(gate.reporter(PEER, Some(&shown(b"other")), &showing("reads"))), 401);
    assert_eq!((status(gate.count(&shop, 3)), status(gate.count(&shop, 1))), (200, 429));
    assert_eq!(status(gate.count(&"bank".parse().unwrap(), 1)), 200);
}

#[test]
fn who_guesses_is_held_up_and_others_are_not() {
    let gate = gate(1);
    let answers: Vec<_> = (0..25).map(|_| status(gate.anyone(PEER, &showing("guess")))).collect();
    assert_eq!((answers[0], answers[24]), (401, 429));
    assert_eq!(status(gate.anyone(PEER, &showing("reads"))), 200);
    assert_eq!(status(gate.anyone(OTHER, &showing("guess"))), 401);
}
