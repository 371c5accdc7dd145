//! Who gets through, and what the others hear.

use std::num::NonZeroU32;

use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};

use super::*;
use crate::ca::service::Octets;
use crate::http::credentials::{FAILURES, wants_certificate};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const FORM: &str = r#"{"csr":"MAA="}"#;

fn rate(burst: u32) -> Rate {
    Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(burst).unwrap() }
}

fn gate(per_source: u32, per_token: u32) -> (Gate, Arc<CaMetrics>) {
    let operator =
        |name: &str| Operator { name: name.into(), token_sha256: Sha256::digest(format!("secret of {name}")).into() };
    let metrics = Arc::new(CaMetrics::new().unwrap());
    let operators = vec![operator("alice"), operator("bob")];
    (Gate::new(operators, rate(per_source), rate(per_token), Arc::clone(&metrics)), metrics)
}

fn token(id: u8, secret: u8) -> TokenSecret {
    TokenSecret::new(TokenId::new([id; 8]), [secret; 32])
}

fn authorization(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn bearing(token: &TokenSecret) -> HeaderMap {
    authorization(&[&format!("Bearer {token}")])
}

fn status<T>(outcome: Result<T, Failure>) -> u16 {
    outcome.map_or_else(|failure| failure.0.status, |_| 200)
}

#[test]
fn an_operator_is_known_by_the_token() {
    let (gate, _) = gate(100, 1);
    for (header, name) in
        [("Bearer secret of alice", "alice"), ("bearer  secret of bob", "bob"), ("BEARER secret of bob", "bob")]
    {
        assert_eq!(gate.operator(PEER, &authorization(&[header])), Ok(name));
    }
    let good = "Bearer secret of alice";
    let wrong: [&[&str]; 8] = [
        &[],
        &["Bearer"],
        &["Bearer x"],
        &["Basic secret of alice"],
        &["secret of alice"],
        &[good, good],
        &[""],
        &["Bearer secret of alice "],
    ];
    for headers in &wrong[..7] {
        let failure = gate.operator(PEER, &authorization(headers)).unwrap_err();
        assert_eq!(failure.0.status, 401, "{headers:?}");
        assert_eq!(failure.into_response().headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
    // Blanks around a header's value are not part of it (RFC 9110 section 5.5).
    assert!(gate.operator(PEER, &authorization(wrong[7])).is_ok());
    let enrolment = bearing(&token(1, 1));
    assert_eq!(status(gate.operator(PEER, &enrolment)), 401, "an enrolment token operates nothing");
}

#[tokio::test]
async fn an_application_comes_with_a_token_and_a_form() {
    let (gate, _) = gate(100, 100);
    let secret = token(1, 2);
    let full = r#"{"csr":"MAA=","evidence":{"model_family":"m","model_version":"1","framework":"f","organization":"o",
        "build_hash":"0707070707070707070707070707070707070707070707070707070707070707","attestation":"AQI=",
        "evidence_uri":"https://example.com/e"},"capabilities":[],"validity_seconds":600,
        "principal":{"human":"h","max_depth":2,"rules":{"max_trust_score":50}}}"#;
    let (found, form) = gate.enrolment(PEER, &bearing(&secret), Body::from(full)).await.unwrap();
    let evidence = form.evidence.unwrap();
    assert_eq!((found, form.csr, form.validity_seconds), (secret.clone(), vec![0x30, 0], Some(600)));
    assert_eq!((evidence.build_hash, evidence.attestation), (Some([7; 32]), Some(Octets(vec![1, 2]))));
    assert_eq!(evidence.model_family.as_str(), "m");
    assert_eq!(form.principal.unwrap().max_depth, Some(2));
    assert!(form.capabilities.is_some());

    let mut unsupported = bearing(&secret);
    unsupported.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pkcs10"));
    let large = Body::from(vec![b' '; MAX_BODY + 1]);
    for (headers, body, expected) in [
        (HeaderMap::new(), Body::from(FORM), 401),
        (authorization(&["Bearer secret of alice"]), Body::from(FORM), 401),
        (bearing(&secret), Body::from("{"), 400),
        (bearing(&secret), Body::empty(), 400),
        (bearing(&secret), Body::from(r#"{"csr":"MAA=","more":1}"#), 400),
        (bearing(&secret), large, 413),
        (unsupported, Body::from(FORM), 415),
    ] {
        assert_eq!(status(gate.enrolment(PEER, &headers, body).await), expected);
    }
}

#[tokio::test]
async fn a_renewal_needs_a_client_certificate() {
    let (gate, _) = gate(100, 100);
    let certificate = of("agent://bank.example.com/payments/bot/1");
    let none = HeaderMap::new();
    let read = gate.renewal(PEER, Some(certificate.clone()), &none, Body::from(FORM)).await;
    assert_eq!(read.unwrap().0, certificate);
    let failure = gate.renewal(PEER, None, &bearing(&token(1, 1)), Body::from(FORM)).await.unwrap_err();
    assert_eq!((failure.0.status, failure.0.token()), (401, Some(Token::Unauthorized)));
    assert_eq!(wants_certificate(failure).headers()[header::WWW_AUTHENTICATE], "ClientCertificate");
    assert_eq!(status(gate.renewal(PEER, Some(certificate), &none, Body::from("x")).await), 400);
    let other = wants_certificate(Failure::new(Token::Overloaded, "x"));
    assert!(!other.headers().contains_key(header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn sources_and_tokens_have_their_rates() {
    let (gate, metrics) = gate(3, 1);
    let enrol = |peer, secret: TokenSecret| {
        let gate = &gate;
        async move { status(gate.enrolment(peer, &bearing(&secret), Body::from(FORM)).await) }
    };
    assert_eq!(enrol(PEER, token(1, 1)).await, 200);
    assert_eq!(enrol(OTHER, token(1, 1)).await, 429, "a token's rate is one from wherever it comes");
    assert_eq!(enrol(OTHER, token(1, 2)).await, 200, "whoever guesses secrets leaves the real token its rate");
    assert_eq!(enrol(PEER, token(2, 1)).await, 200);
    assert_eq!(enrol(PEER, token(3, 1)).await, 200);
    assert_eq!(enrol(PEER, token(4, 1)).await, 429);
    let failure = gate.enter(PEER).unwrap_err();
    assert!(failure.0.retry_after_seconds.is_some());
    assert_eq!(failure.into_response().headers()[header::RETRY_AFTER], "1");
    let text = String::from_utf8(metrics.render().unwrap()).unwrap();
    assert!(
        text.contains(r#"turned_away_total{bucket="source"} 2"#) && text.contains(r#"{bucket="token"} 1"#),
        "{text}"
    );
}

#[test]
fn bad_credentials_run_out_and_good_ones_do_not() {
    let (gate, _) = gate(1000, 1);
    let bad = authorization(&["Bearer x"]);
    let burst = FAILURES.burst.get();
    let heard: Vec<u16> = (0..=burst).map(|_| status(gate.operator(PEER, &bad))).collect();
    assert_eq!(heard.iter().filter(|status| **status == 401).count() as u32, burst);
    assert_eq!(heard.last(), Some(&429));
    // Nor does what the CA itself says tell more.
    let said: Result<(), _> = gate.settle(PEER, Err(Failure::new(Token::Unauthorized, "x")));
    assert_eq!(status(said), 429);
    assert_eq!(status(gate.settle(PEER, Err::<(), _>(Failure::new(Token::Policy, "x")))), 403);
    assert_eq!(gate.operator(PEER, &authorization(&["Bearer secret of bob"])), Ok("bob"));
    assert_eq!(status(gate.operator(OTHER, &bad)), 401);
}

/// A certificate of this agent, under any key.
fn of(agent: &str) -> PeerCertificate {
    let application = crate::ca::testing::application(agent);
    PeerCertificate(crate::ca::testing::certificate(&application, &Default::default(), None).into())
}

#[tokio::test]
async fn an_agent_has_one_budget_for_all_its_certificates() {
    let (gate, metrics) = gate(100, 2);
    let (one, other) = ("agent://bank.example.com/payments/bot/1", "agent://bank.example.com/payments/bot/2");
    let renewal = async |peer, certificate| {
        status(gate.renewal(peer, Some(certificate), &HeaderMap::new(), Body::from(FORM)).await)
    };
    assert_eq!([renewal(PEER, of(one)).await, renewal(OTHER, of(one)).await], [200, 200]);
    assert_eq!([renewal(PEER, of(one)).await, renewal(OTHER, of(one)).await], [429, 429]);
    assert_eq!(renewal(PEER, of(other)).await, 200);
    // The CA's own service has a certificate too, below the same issuer.
    assert_eq!(renewal(PEER, PeerCertificate(Arc::from(&b"der"[..]))).await, 401);
    let text = String::from_utf8(metrics.render().unwrap()).unwrap();
    assert!(text.contains("atl_ca_turned_away_total{bucket=\"agent\"} 2"), "{text}");
}
