//! Somebody who is told of alerts by a webhook, and takes only what is signed with the secret.
#![allow(dead_code, reason = "each test program uses a part")]

use std::convert::Infallible;
use std::sync::Arc;

use atl::time::{Clock, SystemClock};
use aws_lc_rs::hmac;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;

const SECRET: &str = "a secret of more than sixteen octets";

/// The receiver; it ends with the runtime.
pub struct Webhook {
    url: String,
    told: Arc<Mutex<Vec<Value>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Webhook {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (told, refused) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (all, bad) = (Arc::clone(&told), Arc::clone(&refused));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (all, bad) = (Arc::clone(&all), Arc::clone(&bad));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (all, bad) = (Arc::clone(&all), Arc::clone(&bad));
                    async move {
                        let status = match read(request).await {
                            Ok(alert) => {
                                all.lock().push(alert);
                                200
                            }
                            Err(why) => {
                                bad.lock().push(why);
                                401
                            }
                        };
                        let body = Full::new(Bytes::new());
                        Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, told, refused }
    }

    /// The tables of a monitor's configuration that name it.
    pub fn config(&self) -> String {
        let url = &self.url;
        format!(
            "\n[[alerts.webhook]]\nname = \"hook\"\nurl = {url:?}\nsecret_file = \"hook.secret\"\ndigest_hours = 0\n"
        )
    }

    /// Puts the secret where that configuration has it.
    pub fn share_secret(&self, dir: &std::path::Path) {
        std::fs::write(dir.join("hook.secret"), SECRET).unwrap();
    }

    /// What it was told so far, each once, in the order of arrival. Nothing may have come that was not signed.
    pub fn told(&self) -> Vec<Value> {
        assert_eq!(*self.refused.lock(), Vec::<String>::new());
        let mut seen = std::collections::BTreeSet::new();
        let told = self.told.lock();
        told.iter().filter(|alert| seen.insert(text(alert, "id").to_owned())).cloned().collect()
    }

    /// The alerts of one class.
    pub fn of(&self, class: &str) -> Vec<Value> {
        self.told().into_iter().filter(|alert| alert["class"] == class).collect()
    }
}

/// A member that is a string.
pub fn text<'a>(alert: &'a Value, name: &str) -> &'a str {
    alert[name].as_str().unwrap_or_default()
}

/// The detail of this name.
pub fn detail<'a>(alert: &'a Value, name: &str) -> &'a str {
    let details = alert["details"].as_array().map_or(&[][..], Vec::as_slice);
    details.iter().find(|detail| detail["name"] == name).map_or("", |detail| text(detail, "value"))
}

async fn read(request: Request<Incoming>) -> Result<Value, String> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signature = header("atl-signature");
    let (seconds, mac) = signature
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .ok_or_else(|| format!("no signature: {signature:?}"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let mac = hex::decode(mac).map_err(|e| e.to_string())?;
    hmac::verify(&key, &[seconds.as_bytes(), b".", &body].concat(), &mac)
        .map_err(|_| format!("the signature does not verify: {signature}"))?;
    let now = SystemClock.now().get() / 1000;
    if seconds.parse::<u64>().map_err(|e| e.to_string())?.abs_diff(now) > 300 {
        return Err(format!("it is of another time: {seconds}"));
    }
    let alert: Value = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    if (parts.method.as_str(), parts.uri.path(), header("content-type")) != ("POST", "/hook", "application/json") {
        return Err(format!("{} {} {}", parts.method, parts.uri, header("content-type")));
    }
    if text(&alert, "kind") != "alert" || header("idempotency-key") != text(&alert, "id") {
        return Err(format!("not the alert that the header names: {alert}"));
    }
    Ok(alert)
}
