//! Headless Chromium, told what to do by WebDriver.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::process::eventually;

/// A browser with one window; closed when dropped.
pub struct Browser {
    driver: Child,
    session: String,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    _profile: tempfile::TempDir,
}

/// Where Debian's packages put it.
const DRIVER: &str = "/usr/bin/chromedriver";

impl Browser {
    /// Opens one of this width in pixels, which prefers dark pages where `dark`.
    pub fn open(width: u32, dark: bool) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new(DRIVER)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{DRIVER}: {e}; `make deps` installs it"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let mut browser = Self { driver, session: String::new(), http, runtime, _profile: profile };
        let base = format!("http://127.0.0.1:{port}");
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.push(format!("--user-data-dir={}", browser._profile.path().display()));
        arguments.push(format!("--window-size={width},900"));
        arguments.push(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }));
        let emulation = json!({"deviceMetrics": {"width": width, "height": 900, "pixelRatio": 1.0}});
        let options = json!({"args": arguments, "mobileEmulation": emulation});
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let wanted = json!({"capabilities": {"alwaysMatch": wanted}});
        let answer = eventually("chromedriver opens a browser", || browser.post(&format!("{base}/session"), &wanted));
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        browser.session = format!("{base}/session/{id}");
        browser
    }

    fn post(&self, url: &str, body: &Value) -> Option<Value> {
        self.runtime.block_on(async {
            let answer: Value = self.http.post(url).json(body).send().await.ok()?.json().await.ok()?;
            Some(answer["value"].clone())
        })
    }

    /// Opens a page and waits until it is there.
    pub fn visit(&self, url: &str) {
        let answer = self.post(&format!("{}/url", self.session), &json!({ "url": url })).unwrap();
        assert!(answer.is_null(), "{answer}");
    }

    /// What a script on the page returns.
    pub fn run(&self, script: &str) -> Value {
        self.post(&format!("{}/execute/sync", self.session), &json!({"script": script, "args": []})).unwrap()
    }

    /// What the browser has complained about since it was last asked: scripts, the content security policy, the network.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.post(&format!("{}/se/log", self.session), &json!({"type": "browser"})).unwrap();
        let entries = entries.as_array().unwrap_or_else(|| panic!("{entries}"));
        entries.iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The text that a person sees.
    pub fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.http.delete(&self.session).send());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
