//! An API behind a real nginx with the configuration of this repository: agents call it with curl and the certificates
//! that the CA gave them, and the gateway decides.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "common/ca_rig.rs"]
mod ca_rig;
#[path = "common/gateway_process.rs"]
mod gateway_process;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/log_proxy.rs"]
mod log_proxy;
#[path = "common/nginx.rs"]
mod nginx;
#[path = "common/party.rs"]
mod party;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use self::ca_rig::*;
use self::gateway_process::{GatewayProcess, certificates};
use self::nginx::{HOST, Nginx, Reply, SAMPLE};
use self::party::{Party, root};

/// The sample's routes for nginx's own host, by other tools.
const ROUTES: &str = r#"
[[routes]]
host = "api.bank.example.com"
path = "/ledger"
methods = ["GET"]
tool_uri = "mcp://ledger"
scope = "read"

[[routes]]
host = "api.bank.example.com"
path = "/ledger/all"
tool_uri = "mcp://ledger"
scope = "admin"

[[routes]]
host = "api.bank.example.com"
path = "/mail"
tool_uri = "mcp://mail"
scope = "send"

[[routes]]
host = "api.bank.example.com"
path = "/often"
tool_uri = "mcp://often"
scope = "x"

[[routes]]
host = "api.bank.example.com"
path = "/pay"
methods = ["POST"]
tool_uri = "mcp://pay"
scope = "eu"
spend = { amount_header = "X-Amount", currency = "GBP" }
"#;

/// An API that says what it was asked: method, path and headers.
struct Backend {
    address: String,
    _runtime: Runtime,
}

impl Backend {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tell = |request: Request| async move {
            let mut headers = serde_json::Map::new();
            for (name, value) in request.headers() {
                let values = headers.entry(name.as_str()).or_insert_with(|| json!([]));
                values.as_array_mut().unwrap().push(json!(value.to_str().unwrap()));
            }
            json!({ "method": request.method().as_str(), "uri": request.uri().to_string(), "headers": headers })
                .to_string()
        };
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(tell)).await });
        Self { address, _runtime: runtime }
    }
}

/// An agent at its curl.
struct Client<'a> {
    nginx: &'a Nginx,
    party: &'a Party,
}

impl Client<'_> {
    /// Calls the API with the agent's certificate; its CAs come along in a header.
    fn call(&self, path: &str, arguments: &[&str]) -> Reply {
        let file = |name: &str| self.party.dir.join(name).display().to_string();
        let (cert, key) = (file("cert.pem"), file("key.pem"));
        let der = |pem: &String| der::pem::decode_vec(pem.as_bytes()).unwrap().1;
        let chain = certificates(Path::new(&cert)).iter().skip(1).map(|pem| pki::b64(&der(pem))).collect::<Vec<_>>();
        let header = format!("X-Agent-Chain: {}", chain.join(","));
        self.nginx.curl(path, &[&["--cert", &cert, "--key", &key, "--header", &header], arguments].concat())
    }

    /// What the API was asked.
    #[track_caller]
    fn asked(&self, path: &str, arguments: &[&str]) -> Value {
        let reply = self.call(path, arguments);
        assert_eq!(reply.status, 200, "{reply:?} {}", self.nginx.stderr());
        serde_json::from_str(&reply.body).unwrap()
    }
}

/// A CA that tells the status over plain HTTP, with answers that hold for a short time.
fn rig() -> CaRig {
    CaRig::new(|config| {
        with_registry(config);
        config.status.listen = Some("127.0.0.1:0".parse().unwrap());
        config.status.ocsp_validity_seconds = 10;
    })
}

/// What an agent of a registered build may do: the CA of the rig gives it 60 points.
fn payer(rig: &CaRig, name: &str) -> Party {
    let file = rig.path(&format!("{}.json", name.replace('/', "-")));
    let limit =
        json!({ "max_per_transaction": 600, "max_per_period": 1000, "period_seconds": 86_400, "currency": "GBP" });
    let capabilities = json!([
        { "tool_uri": "mcp://ledger", "scope": "read" },
        { "tool_uri": "mcp://mail", "scope": "send" },
        { "tool_uri": "mcp://pay", "scope": "eu", "spend_limit": limit },
        { "tool_uri": "mcp://often", "scope": "x", "rate_limit": { "max_requests": 3, "period_seconds": 3600 } },
    ]);
    fs::write(&file, capabilities.to_string()).unwrap();
    let file = file.display().to_string();
    let agent = rig.agent(name, &[&["--capabilities", file.as_str(), "--human", "Ann"][..], &REGISTERED].concat());
    let output = agent.enrol();
    assert!(output.status.success(), "{}", text(&output));
    Party { uri: agent.uri, dir: agent.dir }
}

/// A gateway for the rig's domain, whose policy has `more` behind it.
fn gateway(rig: &CaRig, name: &str, lines: &str, more: &str) -> GatewayProcess {
    let dir = rig.path(name);
    fs::create_dir_all(&dir).unwrap();
    let mut print = Command::new(env!("CARGO_BIN_EXE_atl"));
    print.current_dir(rig.path("")).args(["verify", "--print-policy", "--domain", DOMAIN, "--root"]);
    print.arg(rig.path("ca/root.pem")).args(rig.logs.iter().flat_map(|log| ["--log", &log.argument]));
    let policy = String::from_utf8(good(&mut print).stdout).unwrap();
    fs::write(dir.join("relying-party.toml"), policy + more).unwrap();
    let text = format!(
        "relying_party = \"relying-party.toml\"\nproxy = \"nginx\"\nrefresh = {{ ocsp_seconds = 1 }}\n{lines}\n{ROUTES}"
    );
    fs::write(dir.join("gateway.toml"), text).unwrap();
    GatewayProcess::start(&dir.join("gateway.toml")).unwrap_or_else(|said| panic!("{said}"))
}

#[test]
fn agents_call_an_api_behind_nginx() {
    let rig = rig();
    let ca = rig.start();
    let (a, parent) = (payer(&rig, "payments/bot/a"), root(&rig, "payments/lead/p"));
    let child = parent.child("payments/bot/c", &["mcp://ledger read", "mcp://mail send"], &[]);
    // Mail needs more points than an agent of the rig has.
    let more = "[[policy.tools]]\ntool_uri = \"mcp://mail\"\nminimum_score = 90\n";
    let gateway = gateway(&rig, "gateway", "listen = \"127.0.0.1:0\"", more);
    let backend = Backend::start();
    let nginx = Nginx::start(&rig.path("nginx"), &gateway.listen, &backend.address);
    let client = Client { nginx: &nginx, party: &a };

    who_may_is_let_in_and_named(&client);
    nobody_speaks_for_the_gateway(&client);
    what_may_not_be_is_told(&client);
    money_and_calls_are_counted(&client);
    strangers_stay_outside(&nginx, &rig);
    let below = Client { nginx: &nginx, party: &child };
    until("the parent is in a log", || below.call("/ledger", &[]).status == 200);
    assert_eq!(below.asked("/ledger", &[])["headers"]["x-agent-parents"], json!([parent.uri]));

    // Revoked with what stands below it, and known by OCSP within the time that an answer is used.
    let revoked = parent.run("revoke", &["--reason", "keyCompromise"]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    until("the revocation counts", || below.call("/ledger", &[]).outcome() == (403, "revocation.revoked"));
    assert_eq!(client.call("/ledger", &[]).status, 200);
    // Without a gateway nobody is let through.
    gateway.stop();
    assert_eq!(client.call("/ledger", &[]).outcome(), (503, ""));
    ca.stop();
}

fn who_may_is_let_in_and_named(client: &Client<'_>) {
    let asked = client.asked("/ledger/7?x=%2F..%2F", &[]);
    assert_eq!((&asked["method"], &asked["uri"]), (&json!("GET"), &json!("/ledger/7?x=%2F..%2F")));
    let headers = &asked["headers"];
    let expected = [
        ("x-agent-uri", json!([client.party.uri])),
        ("x-agent-domain", json!([DOMAIN])),
        ("x-agent-capability", json!(["mcp://ledger read"])),
        ("x-agent-parents", Value::Null),
        ("x-agent-amount", Value::Null),
        ("x-agent-reason", Value::Null),
        ("x-agent-chain", Value::Null),
        ("host", json!([HOST])),
    ];
    for (name, value) in expected {
        assert_eq!(headers[name], value, "{name}: {headers:#}");
    }
    assert!(headers["x-agent-human"][0].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(headers["x-agent-certificate"], json!([hex::encode(client.party.certificate().fingerprint())]));
}

/// What a client says of itself changes nothing, neither for the gateway nor for the API.
fn nobody_speaks_for_the_gateway(client: &Client<'_>) {
    let lies = [
        "X-Agent-URI: agent://bank.example.com/board/chair/1",
        "X-Agent-Human: Nobody",
        "X-Agent-Parents: agent://bank.example.com/board/chair/1",
        "X-Agent-Amount: 9 GBP",
        "X-Agent-Tier: full",
        "X_Agent_Human: Nobody",
        "X-Agent-Reason: none",
        "X-Original-URI: /ledger",
        "X-Original-Method: GET",
        "X-Client-Cert: -----BEGIN%20CERTIFICATE-----",
        "X-Forwarded-Client-Cert: Cert=x",
        "X-Gateway-Secret: x",
    ];
    let lies: Vec<&str> = lies.iter().flat_map(|lie| ["--header", lie]).collect();
    let headers = client.asked("/ledger", &lies)["headers"].take();
    assert_eq!(headers["x-agent-uri"], json!([client.party.uri]));
    assert!(headers["x-agent-human"][0].as_str().unwrap().starts_with("sha256:"));
    let gone = ["x-agent-parents", "x-agent-amount", "x-agent-reason", "x_agent_human"];
    assert!(gone.iter().all(|name| headers[name].is_null()), "{headers:#}");
    assert_ne!(headers["x-agent-tier"], json!(["full"]));
    let reply = client.call("/ledger/all", &lies);
    assert_eq!(reply.outcome(), (403, "capability.scope"));
    // Nobody asks the gateway but nginx.
    assert_eq!(client.call("/_atl_authorize", &lies).status, 404);
}

fn what_may_not_be_is_told(client: &Client<'_>) {
    let outcome = |path: &str, arguments: &[&str]| {
        let reply = client.call(path, arguments);
        let (status, reason) = reply.outcome();
        (status, reason.to_owned())
    };
    for (path, arguments, reason) in [
        ("/ledger/all", &[][..], "capability.scope"),
        ("/mail", &[], "trust.score"),
        ("/", &[], "request.noRoute"),
        ("/ledgers", &[], "request.noRoute"),
        ("/ledger", &["--request", "DELETE"], "request.method"),
        ("/pay", &["--request", "POST"], "request.amount"),
        ("/ledger/%2e%2e/pay", &[], "request.target"),
        ("/ledger/../ledger/all", &[], "request.target"),
        ("/ledger//all", &[], "request.target"),
        ("/ledger%2Fall", &[], "request.target"),
        ("/ledger/x;/../all", &[], "request.target"),
    ] {
        assert_eq!(outcome(path, arguments), (403, reason.to_owned()), "{path} {arguments:?}");
    }
}

fn money_and_calls_are_counted(client: &Client<'_>) {
    let pay = |amount: &str| {
        let header = format!("X-Amount: {amount}");
        client.call("/pay", &["--data", "to=bob", "--header", &header])
    };
    let first = pay("600");
    let asked: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!((&asked["method"], &asked["headers"]["x-agent-amount"]), (&json!("POST"), &json!(["600 GBP"])));
    assert_eq!(pay("601").outcome(), (403, "capability.perTransaction"));
    let over = pay("401");
    assert_eq!(over.outcome(), (403, "capability.perPeriod"));
    assert!(!over.header("retry-after").is_empty(), "{over:?}");
    // Of two amounts the API hears the one that was authorised; a newer nginx makes one value of them, which is none.
    let two = client.call("/pay", &["--data", "", "--header", "X-Amount: 400", "--header", "X-Amount: 9999"]);
    if two.status == 200 {
        let two: Value = serde_json::from_str(&two.body).unwrap();
        let heard = (&two["headers"]["x-amount"], &two["headers"]["x-agent-amount"]);
        assert_eq!(heard, (&json!(["400"]), &json!(["400 GBP"])));
    } else {
        assert_eq!(two.outcome(), (403, "request.amount"));
        assert_eq!(pay("400").status, 200);
    }
    assert_eq!(pay("1").outcome(), (403, "capability.perPeriod"));
    for _ in 0..3 {
        assert_eq!(client.call("/often", &[]).status, 200);
    }
    let often = client.call("/often", &[]);
    assert_eq!(often.outcome(), (429, "capability.rate"));
    assert!(often.header("retry-after").parse::<u64>().unwrap() > 3000, "{often:?}");
}

/// Who shows no certificate, or one that is not of an agent of the domain.
fn strangers_stay_outside(nginx: &Nginx, rig: &CaRig) {
    let reply = nginx.curl("/ledger", &[]);
    assert_eq!(reply.outcome(), (401, "request.noCertificate"));
    assert_eq!(reply.header("www-authenticate"), "ClientCertificate");
    let foreign = |uri: &str, change: &dyn Fn(&mut CertificateParams)| {
        let other = pki::Authority::root("Elsewhere");
        let key = KeyPair::generate().unwrap();
        let mut params = pki::Authority::agent_params(1);
        params.custom_extensions.pop();
        params.subject_alt_names = vec![pki::uri(uri)];
        change(&mut params);
        let (cert, keys) = (rig.path("foreign.pem"), rig.path("foreign-key.pem"));
        let der = other.issue(&params, &key);
        fs::write(&cert, der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, &der).unwrap()).unwrap();
        fs::write(&keys, key.serialize_pem()).unwrap();
        let (cert, keys) = (cert.display().to_string(), keys.display().to_string());
        nginx.curl("/ledger", &["--cert", &cert, "--key", &keys])
    };
    let elsewhere = foreign("agent://elsewhere.example/org/worker/1", &|_| {});
    let (status, reasons) = elsewhere.outcome();
    assert!(status == 403 && reasons.split(',').any(|code| code == "federation.unknownDomain"), "{elsewhere:?}");
    // One that somebody made for himself with a name of the domain.
    let forged = foreign(&uri("payments/bot/a"), &|_| {});
    assert_eq!(forged.status, 403, "{forged:?}");
    // What has run out, nginx itself does not take.
    let past = foreign(&uri("payments/bot/a"), &|params| params.not_after = rcgen::date_time_ymd(2026, 1, 2));
    assert_eq!(past.status, 400, "{past:?}");
}

/// Asks until it is so, or for twenty seconds.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn nginx_asks_over_a_socket_with_a_secret() {
    let rig = rig();
    let ca = rig.start();
    let a = payer(&rig, "payments/bot/a");
    let secret =
        sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), "open sesame"));
    let lines = format!("listen = \"unix:gateway.sock\"\nsecret_sha256 = \"{}\"", hex::encode(secret));
    let gateway = gateway(&rig, "gateway", &lines, "");
    let backend = Backend::start();
    let closed = Nginx::start(&rig.path("closed"), &gateway.listen, &backend.address);
    assert_eq!(Client { nginx: &closed, party: &a }.call("/ledger", &[]).outcome(), (403, "request.caller"));
    let site = rig.path("closed/site.conf");
    let comment = "# For `secret_sha256`: proxy_set_header X-Gateway-Secret \"...\";";
    assert_eq!(SAMPLE.matches(comment).count(), 1);
    let open = fs::read_to_string(&site).unwrap();
    fs::write(&site, open.replace(comment, "proxy_set_header X-Gateway-Secret \"open sesame\";")).unwrap();
    closed.reload();
    let client = Client { nginx: &closed, party: &a };
    until("nginx has read its file", || client.call("/ledger", &[]).status == 200);
    gateway.stop();
    ca.stop();
}

#[test]
fn the_samples_say_everything_that_a_gateway_says() {
    let envoy = include_str!("../config/envoy-gateway.yaml");
    for name in atl::http::gateway::answer::IDENTITY.iter().map(|name| name.as_str()) {
        let header =
            SAMPLE.lines().map(str::trim).filter(|line| line.to_ascii_lowercase().starts_with("proxy_set_header"));
        let set = header.filter(|line| line.to_ascii_lowercase().split_whitespace().nth(1) == Some(name));
        assert_eq!(set.count(), 1, "{name} has to be overwritten");
        assert!(name.starts_with("x-agent-") && envoy.contains("prefix: x-agent-"), "{name}");
    }
    let defaults = include_str!("../config/gateway.toml");
    assert!(defaults.contains("listen = \"127.0.0.1:8446\"") && SAMPLE.contains("server 127.0.0.1:8446;"));
    assert!(envoy.contains("port_value: 8446") && envoy.contains(&format!("path_prefix: {}\n", "/authorize")));
}
