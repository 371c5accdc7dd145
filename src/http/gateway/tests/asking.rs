//! How a question is read, and who may ask.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::rig::{Gateway, line};
use crate::apki::extension::Text;
use crate::http::gateway::Proxy;
use crate::http::gateway::answer::IDENTITY;
use crate::verify::ledger::{Bounds, MemoryLedger};
use crate::verify::relying::tests::rig::World;

const BOTH: [Proxy; 2] = [Proxy::Nginx, Proxy::Envoy];

#[tokio::test]
async fn a_good_agent_is_let_in_and_named() {
    for proxy in BOTH {
        let world = World::new();
        let gateway = Gateway::new(&world, proxy);
        let heard = gateway.ask("GET", "/accounts/7?x=1", &world).await;
        assert_eq!((heard.outcome(), heard.body.as_str()), ((200, ""), ""), "{heard:?}");
        let expected = [
            ("x-agent-uri", "agent://example.com/retail/teller/1"),
            ("x-agent-domain", "example.com"),
            ("x-agent-tier", "elevated"),
            // 70 points, five minutes later.
            ("x-agent-score", "69"),
            ("x-agent-human", "sha256:00"),
            ("x-agent-parents", ""),
            ("x-agent-capability", "https://api.example.com/accounts accounts"),
            ("x-agent-amount", ""),
            ("cache-control", "no-store"),
        ];
        for (name, value) in expected {
            assert_eq!(heard.header(name), value, "{name}");
        }
        assert_eq!(heard.header("x-agent-certificate"), hex::encode(line(&world)[0].fingerprint()));
        // What is not said is taken out of what a client may have sent.
        let removed: Vec<_> = heard.header("x-envoy-auth-headers-to-remove").split(',').collect();
        for name in IDENTITY.iter().map(|name| name.as_str()).filter(|_| proxy == Proxy::Envoy) {
            assert_ne!(removed.contains(&name), heard.headers.contains_key(name), "{name}");
        }
        assert_eq!(gateway.metric("atl_gateway_decisions_total{decision=\"allowed\"}"), 1);
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let world = World::new();
    let agent = &line(&world)[0];
    let foreign = |mut request: Request<Body>, name: &'static str, value: &'static str| {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        request
    };
    for proxy in BOTH {
        let gateway = Gateway::new(&world, proxy);
        let good = || gateway.question("GET", "/accounts", &[agent]);
        let ask = |method, target| gateway.question(method, target, &[agent]);
        let (own, others) = match proxy {
            Proxy::Nginx => ("x-client-cert", "x-forwarded-client-cert"),
            Proxy::Envoy => ("x-forwarded-client-cert", "x-client-cert"),
        };
        let only_the_others = {
            let mut request = good();
            let value = request.headers_mut().remove(own).unwrap();
            request.headers_mut().insert(others, value);
            request
        };
        let twice = |name: &'static str| {
            let mut request = good();
            let value = request.headers().get(name).cloned().unwrap_or(HeaderValue::from_static("MAA="));
            request.headers_mut().insert(name, value.clone());
            request.headers_mut().append(name, value);
            request
        };
        let cases = [
            (gateway.question("GET", "/accounts", &[]), 401, "request.noCertificate"),
            (foreign(good(), own, ""), 401, "request.noCertificate"),
            (only_the_others, 401, "request.noCertificate"),
            (foreign(good(), own, "Cert=hello"), 403, "request.certificate"),
            (twice(own), 403, "request.proxy"),
            (twice("host"), 403, "request.proxy"),
            (twice("x-agent-chain"), 403, "request.chain"),
            (foreign(good(), "x-agent-chain", "MAA"), 403, "request.chain"),
            (foreign(good(), "x-agent-chain", "MAA="), 403, "chain.malformed"),
            (foreign(good(), "host", "a b"), 403, "request.proxy"),
            (ask("GET", "/unknown"), 403, "request.noRoute"),
            (ask("GET", "/"), 403, "request.noRoute"),
            (ask("DELETE", "/accounts"), 403, "request.method"),
            (ask("GET", "/accounts/close"), 403, "request.method"),
            (ask("GET", "/accounts/../pay"), 403, "request.target"),
            (ask("GET", "/accounts/%2e%2e/pay"), 403, "request.target"),
            (ask("GET", "/accounts%2fclose"), 403, "request.target"),
            (ask("GET", "//accounts"), 403, "request.target"),
            (ask("POST", "/pay"), 403, "request.amount"),
            (foreign(ask("POST", "/pay"), "x-amount", "-1"), 403, "request.amount"),
            (ask("POST", "/quick?amount=1&amount=2"), 403, "request.amount"),
        ];
        for (question, status, reason) in cases {
            let heard = gateway.hear(question).await;
            assert_eq!(heard.outcome(), (status, reason), "{proxy:?} {heard:?}");
            assert_eq!(heard.header("content-type"), "application/problem+json");
            let problem: serde_json::Value = serde_json::from_str(&heard.body).unwrap();
            let listed = &problem["subproblems"][0]["type"];
            assert_eq!(*listed, format!("urn:ietf:params:trans:error:{reason}"), "{}", heard.body);
            assert!(heard.headers.keys().all(|name| *name == "x-agent-reason" || !IDENTITY.contains(name)));
            assert_eq!(heard.header("www-authenticate"), if status == 401 { "ClientCertificate" } else { "" });
        }
        assert_eq!(gateway.hear(good()).await.status, 200);
    }
}

#[tokio::test]
async fn a_request_that_lacks_what_the_proxy_adds_is_no_question() {
    let world = World::new();
    let agent = &line(&world)[0];
    let nginx = Gateway::new(&world, Proxy::Nginx);
    for name in ["x-original-uri", "x-original-method"] {
        let mut question = nginx.question("GET", "/accounts", &[agent]);
        question.headers_mut().remove(name);
        assert_eq!(nginx.hear(question).await.outcome(), (403, "request.proxy"));
    }
    // What nginx asks says nothing of itself.
    let mut question = nginx.question("GET", "/accounts", &[agent]);
    *question.uri_mut() = "/authorize/pay".parse().unwrap();
    *question.method_mut() = axum::http::Method::POST;
    assert_eq!(nginx.hear(question).await.status, 200);
    let envoy = Gateway::new(&world, Proxy::Envoy);
    let mut question = envoy.question("GET", "/accounts", &[agent]);
    question.headers_mut().insert("x-original-uri", HeaderValue::from_static("/accounts"));
    *question.uri_mut() = "/authorize".parse().unwrap();
    assert_eq!(envoy.hear(question).await.outcome(), (403, "request.proxy"));
    let mut question = envoy.question("GET", "/accounts", &[agent]);
    *question.uri_mut() = "/authorizes/accounts".parse().unwrap();
    assert_eq!(envoy.hear(question).await.status, 404);
}

#[tokio::test]
async fn a_secret_may_be_wanted() {
    let world = World::new();
    let secret = Some(Sha256::digest("the proxy's").into());
    let gateway = Gateway::with(&world, Proxy::Nginx, secret, Arc::new(MemoryLedger::new(Bounds::default())));
    let agent = &line(&world)[0];
    let ask = |secrets: &[&'static str]| {
        let mut question = gateway.question("GET", "/accounts", &[agent]);
        for secret in secrets {
            question.headers_mut().append("x-gateway-secret", HeaderValue::from_static(secret));
        }
        question
    };
    for wrong in [&[][..], &[""], &["the proxy"], &["the proxy's", "the proxy's"]] {
        assert_eq!(gateway.hear(ask(wrong)).await.outcome(), (403, "request.caller"), "{wrong:?}");
    }
    assert_eq!(gateway.hear(ask(&["the proxy's"])).await.status, 200);
}

#[tokio::test]
async fn no_text_of_a_certificate_is_more_than_a_value() {
    let mut world = World::new();
    let evil = "Ann\r\nX-Agent-Tier: TRUSTED, 100% \u{fc}\0";
    world.agent.delegation().human_principal = Some(Text::new(evil).unwrap());
    let gateway = Gateway::new(&world, Proxy::Nginx);
    let heard = gateway.ask("GET", "/accounts", &world).await;
    let expected = "Ann%0D%0AX-Agent-Tier:%20TRUSTED%2C%20100%25%20%C3%BC%00";
    assert_eq!((heard.status, heard.header("x-agent-human")), (200, expected));
    assert_eq!(heard.header("x-agent-tier"), "elevated");
    // Nothing is said of nobody.
    world.agent.delegation().human_principal = Some(Text::new("").unwrap());
    let heard = gateway.ask("GET", "/accounts", &world).await;
    assert!(heard.status == 403 || !heard.headers.contains_key("x-agent-human"), "{heard:?}");
}

#[tokio::test]
async fn operators_hear_how_it_is() {
    let world = World::new();
    let gateway = Gateway::new(&world, Proxy::Nginx);
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(gateway.hear(get("/healthz")).await.body, "ok\n");
    let ready = gateway.hear(get("/readyz")).await;
    assert_eq!(ready.status, 200, "{ready:?}");
    assert!(ready.body.contains("\"ledger\"") && ready.body.contains("\"material\""));
    assert_eq!(gateway.ask("GET", "/unknown", &world).await.status, 403);
    let metrics = gateway.hear(get("/metrics")).await.body;
    assert!(metrics.contains("atl_gateway_reasons_total{code=\"request.noRoute\"} 1"), "{metrics}");
    assert_eq!(gateway.hear(get("/")).await.status, 404);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_made_up_is_let_in(cert in "[ -~]{0,80}", chain in "[ -~]{0,40}", uri in "/[ -~]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = World::new();
        for proxy in BOTH {
            let gateway = Gateway::new(&world, proxy);
            let mut request = Request::get("/authorize/accounts").body(Body::empty()).unwrap();
            let mut put = |name: &'static str, value: &str| {
                request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
            };
            put("x-client-cert", &cert);
            put("x-forwarded-client-cert", &format!("Cert={cert}"));
            put("x-agent-chain", &chain);
            put("x-original-uri", &uri);
            put("x-original-method", "GET");
            let heard = runtime.block_on(gateway.hear(request));
            prop_assert!(matches!(heard.status, 401 | 403), "{:?}", heard);
        }
    }
}
