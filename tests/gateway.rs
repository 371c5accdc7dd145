//! `atl gateway serve` from outside: its files, its sockets, revocation that it learns of while it runs, and a ledger
//! that outlives it.
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
#[path = "common/monitor.rs"]
mod monitor;
#[path = "common/party.rs"]
mod party;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use atl::log::audit::Verdict;
use atl::time::{Clock, SystemClock};
use rustix::process::Signal;

use self::ca_rig::*;
use self::gateway_process::{GatewayProcess, certificates};
use self::monitor::Monitor;
use self::party::{Party, root};

/// What every gateway of these tests guards.
const ROUTES: &str = r#"
[[routes]]
path = "/ledger"
methods = ["GET"]
tool_uri = "mcp://ledger"
scope = "read"

[[routes]]
path = "/mail"
tool_uri = "mcp://mail"
scope = "send"

[[routes]]
path = "/pay"
methods = ["POST"]
tool_uri = "mcp://pay"
scope = "eu"
spend = { amount_header = "X-Amount", currency = "GBP" }
"#;

fn rig() -> CaRig {
    CaRig::new(|config| {
        with_registry(config);
        config.status.listen = Some("127.0.0.1:0".parse().unwrap());
        config.status.ocsp_validity_seconds = 10;
    })
}

/// A gateway's directory below that of the CA.
struct Place<'a> {
    rig: &'a CaRig,
    dir: PathBuf,
}

impl<'a> Place<'a> {
    fn new(rig: &'a CaRig, name: &str) -> Self {
        let dir = rig.path(name);
        fs::create_dir_all(&dir).unwrap();
        Self { rig, dir }
    }

    /// Writes the relying party's file as it is printed, with each first text replaced by the second.
    fn trust(&self, changes: &[(&str, &str)], more: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.current_dir(self.rig.path("")).args(["verify", "--print-policy", "--domain", DOMAIN, "--root"]);
        command.arg(self.rig.path("ca/root.pem"));
        command.args(self.rig.logs.iter().flat_map(|log| ["--log", &log.argument]));
        let mut text = String::from_utf8(good(&mut command).stdout).unwrap();
        for (what, with) in changes {
            assert!(text.contains(what), "{what}: {text}");
            text = text.replacen(what, with, 1);
        }
        fs::write(self.dir.join("relying-party.toml"), text + more).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.join("gateway.toml")
    }

    /// Writes the gateway's file, these lines first.
    fn configure(&self, lines: &str) {
        let text = format!(
            "relying_party = \"relying-party.toml\"\nproxy = \"nginx\"\nlisten = \"127.0.0.1:0\"\n\
            refresh = {{ files_seconds = 3600, ocsp_seconds = 2 }}\n{lines}\n{ROUTES}"
        );
        fs::write(self.file(), text).unwrap();
    }

    fn start(&self) -> GatewayProcess {
        GatewayProcess::start(&self.file()).unwrap_or_else(|said| panic!("{said}"))
    }
}

/// The agent's own certificate, and the others of its file as it would bring them along.
fn shown(party: &Party) -> (String, String) {
    let mut all = certificates(&party.dir.join("cert.pem"));
    let agent = all.remove(0);
    (agent, chain(&all))
}

fn chain(certificates: &[String]) -> String {
    let der = |pem: &String| der::pem::decode_vec(pem.as_bytes()).unwrap().1;
    certificates.iter().map(|pem| pki::b64(&der(pem))).collect::<Vec<_>>().join(",")
}

/// Asks until it is so, or for ten seconds.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn revocation_is_asked_about_and_counts() {
    let rig = rig();
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    let b = a.child("payments/bot/b", &["mcp://ledger read", "mcp://mail send"], &[]);
    let place = Place::new(&rig, "gateway");
    place.trust(&[], "");
    place.configure("");
    let gateway = place.start();
    let (agent, cas) = shown(&b);
    // CAs come with the agent, the agent above it from the logs, how all of them stand from the CA.
    let look = || gateway.authorize("GET", "/mail", &agent, &[("X-Agent-Chain", &cas)]);
    until("the log has signed a head", || look().status == 200);
    let heard = look();
    assert_eq!((heard.header("x-agent-uri"), heard.header("x-agent-parents")), (b.uri.as_str(), a.uri.as_str()));
    assert!(heard.header("x-agent-human").starts_with("sha256:"), "{heard:?}");
    assert_eq!(gateway.authorize("GET", "/pay", &agent, &[("X-Agent-Chain", &cas)]).outcome(), (403, "request.method"));
    let outcome = gateway.authorize("GET", "/ledger", &agent, &[]);
    assert_eq!(outcome.outcome(), (403, "chain.unknownAnchor,delegation.noParent"), "{outcome:?}");
    let revoked = a.run("revoke", &["--agent", &b.uri, "--reason", "cessationOfOperation"]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    until("the revocation counts", || look().outcome() == (403, "revocation.revoked"));
    let (above, cas) = shown(&a);
    assert_eq!(gateway.authorize("GET", "/mail", &above, &[("X-Agent-Chain", &cas)]).status, 200);
    // Whoever cannot be asked lets nobody through.
    ca.stop();
    until("nobody answers", || {
        gateway.authorize("GET", "/mail", &above, &[("X-Agent-Chain", &cas)]).outcome() == (503, "revocation.stale")
            || gateway.authorize("GET", "/mail", &above, &[("X-Agent-Chain", &cas)]).outcome()
                == (503, "revocation.unavailable")
    });
    gateway.stop();
}

#[test]
fn audits_are_fetched_in_the_background_and_age() {
    let rig = rig();
    let _ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    let place = Place::new(&rig, "gateway");
    let (one, two) = (Monitor::start(41), Monitor::start(42));
    // What is missing beside audits would be asked for where nothing else is missing, and is of no concern here.
    let wanted = ("# audited_within_seconds = 86400", "audited_within_seconds = 60");
    let wanted = [wanted, ("mode = \"require\"", "mode = \"off\"")];
    place.trust(&wanted, &one.table());
    let lines = format!(
        "relying_party = \"relying-party.toml\"\nproxy = \"nginx\"\nlisten = \"127.0.0.1:0\"\n\
        refresh = {{ files_seconds = 3600, lists_seconds = 1 }}\n{ROUTES}"
    );
    fs::write(place.file(), lines).unwrap();
    let gateway = place.start();
    let (agent, cas) = shown(&a);
    let look = || gateway.authorize("GET", "/mail", &agent, &[("X-Agent-Chain", &cas)]);
    let is_ready = || {
        let heard = gateway.ask("GET /readyz", &[("Host", "x")]);
        assert!(heard.body.contains("\"audits\""), "{heard:?}");
        heard.status == 200
    };
    assert_eq!(look().outcome(), (403, "sat.audit"));
    assert!(!is_ready() && gateway.stderr().contains("an audit statement cannot be had"), "{}", gateway.stderr());
    let say = |monitor: &Monitor, verdict| {
        let now = SystemClock.now();
        rig.logs.iter().for_each(|log| monitor.says(&log.key, monitor.statement(&log.key, now, verdict)));
    };
    say(&one, Verdict::Consistent);
    until("the statements count", || look().status == 200);
    until("it is ready, as far as anybody asked again", is_ready);
    // Nobody is asked on an agent's account: the monitor hears of it as often as lists are fetched, and no oftener.
    let asked = one.asked().len();
    for _ in 0..50 {
        assert_eq!(look().status, 200);
    }
    assert!(one.asked().len() < asked + 50, "{}", one.asked().len());
    // What was said once holds while it is not too old, also where the monitor has nothing to say any more.
    rig.logs.iter().for_each(|log| one.says(&log.key, "gone\n".into()));
    until("the monitor fails", || gateway.stderr().matches("an audit statement cannot be had").count() > 4);
    assert_eq!(look().status, 200);
    // Another monitor in new files is asked at once, and is believed that the logs misbehaved; the first stays known.
    say(&two, Verdict::Inconsistent);
    place.trust(&wanted, &(one.table() + &two.table()));
    gateway.signal(Signal::HUP);
    until("the other is heard", || look().outcome() == (403, "sat.audit"));
    until("the operator is told", || gateway.stderr().contains("is said to have misbehaved"));
    place.trust(&wanted, &one.table());
    gateway.signal(Signal::HUP);
    until("without the other it is as before", || look().status == 200);
    // An old one does not count.
    rig.logs.iter().for_each(|log| {
        let old = SystemClock.now().saturating_sub(61_000);
        two.says(&log.key, two.statement(&log.key, old, Verdict::Consistent));
    });
    place.trust(&wanted, &two.table());
    gateway.signal(Signal::HUP);
    until("old statements", || look().outcome() == (403, "sat.audit"));
    gateway.stop();
}

#[test]
fn lists_are_fetched_in_the_background_and_cas_are_at_hand() {
    let rig = rig();
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    let place = Place::new(&rig, "gateway");
    fs::copy(a.dir.join("cert.pem"), place.dir.join("all.pem")).unwrap();
    let issuers: String = certificates(&a.dir.join("cert.pem")).split_off(1).join("\n");
    fs::write(place.dir.join("issuers.pem"), issuers).unwrap();
    // Only what the configuration names: nobody is asked about single agents.
    let asks = ["ocsp", "lists", "parents", "proofs"].map(|what| (format!("{what} = true"), format!("{what} = false")));
    let asks: Vec<_> = asks.iter().map(|(yes, no)| (yes.as_str(), no.as_str())).collect();
    let signer = place.dir.join("signer.pem");
    fs::write(&signer, certificates(&a.dir.join("cert.pem")).remove(1)).unwrap();
    let list = format!("[[revocation_lists]]\nurl = \"{}/crl\"\nsigner = \"signer.pem\"\n", ca.status_url());
    place.trust(&asks, &list);
    place.configure("issuers = \"issuers.pem\"");
    let gateway = place.start();
    let agent = certificates(&a.dir.join("cert.pem")).remove(0);
    // It is there before anybody is answered.
    let ready = |gateway: &GatewayProcess| gateway.ask("GET /readyz", &[("Host", "x")]).status;
    assert_eq!(ready(&gateway), 200);
    let metrics = gateway.ask("GET /metrics", &[("Host", "x")]).body;
    assert!(metrics.contains("atl_gateway_revocation_lists 1"), "{metrics}");
    let outcome = gateway.authorize("GET", "/mail", &agent, &[]);
    // The list of everything names no shard, so it speaks of certificates of any.
    assert_eq!(outcome.status, 200, "{outcome:?}");
    let again = |gateway: &GatewayProcess| {
        let said = "decides by new files";
        let before = gateway.stderr().matches(said).count();
        gateway.signal(Signal::HUP);
        until(said, || gateway.stderr().matches(said).count() > before);
    };
    // One that is new is fetched at once, though the regular time is minutes away.
    place.trust(&asks, "");
    again(&gateway);
    assert_eq!(gateway.authorize("GET", "/mail", &agent, &[]).outcome(), (503, "revocation.unavailable"));
    place.trust(&asks, &list);
    again(&gateway);
    until("the list is fetched", || gateway.authorize("GET", "/mail", &agent, &[]).status == 200);
    // And what is there stays, whatever else is new, also where nobody can be asked.
    ca.stop();
    place.trust(&asks, &format!("{list}[[policy.tools]]\ntool_uri = \"mcp://other\"\nminimum_score = 100\n"));
    again(&gateway);
    assert_eq!((ready(&gateway), gateway.authorize("GET", "/mail", &agent, &[]).status), (200, 200));
    gateway.stop();
}

#[test]
fn files_are_read_anew_and_what_cannot_be_used_changes_nothing() {
    let rig = rig();
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    let place = Place::new(&rig, "gateway");
    let off = ("mode = \"require\"", "mode = \"off\"");
    place.trust(&[off], "");
    place.configure("");
    let gateway = place.start();
    let (agent, cas) = shown(&a);
    let mail = |gateway: &GatewayProcess| {
        let heard = gateway.authorize("GET", "/mail", &agent, &[("X-Agent-Chain", &cas)]);
        (heard.status, heard.header("x-agent-reason").to_owned())
    };
    assert_eq!(mail(&gateway), (200, String::new()));
    let again = |gateway: &GatewayProcess, said: &str| {
        let before = gateway.stderr().matches(said).count();
        gateway.signal(Signal::HUP);
        until(said, || gateway.stderr().matches(said).count() > before);
    };
    place.trust(&[off], "[[policy.tools]]\ntool_uri = \"mcp://mail\"\nminimum_score = 100\n");
    again(&gateway, "decides by new files");
    assert_eq!(mail(&gateway), (403, "trust.score".into()));
    place.trust(&[off], "nonsense = 1\n");
    again(&gateway, "the files cannot be used");
    assert_eq!(mail(&gateway), (403, "trust.score".into()), "as before");
    let ready = gateway.ask("GET /readyz", &[("Host", "x")]);
    assert!(ready.status == 200 && ready.body.contains("nonsense"), "{ready:?}");
    place.trust(&[off], "");
    again(&gateway, "decides by new files");
    assert_eq!(mail(&gateway), (200, String::new()));
    let moved = fs::read_to_string(place.file()).unwrap().replace("\"/mail\"", "\"/post\"");
    fs::write(place.file(), moved).unwrap();
    again(&gateway, "decides by new files");
    assert_eq!(mail(&gateway), (403, "request.noRoute".into()));
    let check =
        Command::new(env!("CARGO_BIN_EXE_atl")).args(["gateway", "check", "--config"]).arg(place.file()).output();
    let said = text(&check.unwrap());
    for part in ["any method /post: mcp://mail send", DOMAIN, "nginx (auth_request)", "127.0.0.1:0"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    gateway.stop();
    ca.stop();
}

#[test]
fn a_ledger_outlives_the_gateway() {
    let rig = rig();
    let ca = rig.start();
    let agent = spender(&rig, "payments/bot/a", 1000);
    let place = Place::new(&rig, "gateway");
    place.trust(&[("mode = \"require\"", "mode = \"off\"")], "");
    place.configure("");
    let (certificate, cas) = shown(&agent);
    let pay = |gateway: &GatewayProcess, amount: &str| {
        let headers = [("X-Agent-Chain", cas.as_str()), ("X-Amount", amount)];
        let heard = gateway.authorize("POST", "/pay", &certificate, &headers);
        (heard.status, heard.header("x-agent-reason").to_owned())
    };
    let gateway = place.start();
    // Sixty-four at once, of whom ten fit.
    let allowed = thread::scope(|scope| {
        let calls: Vec<_> = (0..64).map(|_| scope.spawn(|| pay(&gateway, "90"))).collect();
        let answers = calls.into_iter().map(|call| call.join().unwrap());
        let (yes, no): (Vec<_>, Vec<_>) = answers.partition(|(status, _)| *status == 200);
        assert!(no.iter().all(|no| *no == (403, "capability.perPeriod".into())), "{no:?}");
        yes.len()
    });
    assert_eq!(allowed, 11);
    gateway.kill();
    let gateway = place.start();
    assert_eq!(pay(&gateway, "90"), (403, "capability.perPeriod".into()));
    assert_eq!(pay(&gateway, "10"), (200, String::new()));
    assert_eq!(pay(&gateway, "1"), (403, "capability.perPeriod".into()));
    // A second one cannot have the same ledger.
    let other = GatewayProcess::start(&place.file()).err().expect("the ledger is in use");
    assert!(other.contains("`ledger.dir`"), "{other}");
    gateway.stop();
    ca.stop();
}

#[test]
fn it_listens_on_a_socket_for_the_proxy() {
    let rig = rig();
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    let place = Place::new(&rig, "gateway");
    place.trust(&[("mode = \"require\"", "mode = \"off\"")], "");
    place.configure("ledger = { memory = true }");
    let text = fs::read_to_string(place.file()).unwrap().replace("127.0.0.1:0", "unix:gateway.sock");
    fs::write(place.file(), text).unwrap();
    let gateway = place.start();
    let socket = place.dir.join("gateway.sock");
    assert_eq!(gateway.listen, format!("unix:{}", socket.display()));
    let (agent, cas) = shown(&a);
    assert_eq!(gateway.authorize("GET", "/mail", &agent, &[("X-Agent-Chain", &cas)]).status, 200);
    let second = GatewayProcess::start(&place.file()).err().expect("the socket is in use");
    assert!(second.contains("somebody listens on"), "{second}");
    // One that was killed leaves its socket, and the next one takes its place.
    gateway.kill();
    assert!(socket.exists());
    let gateway = place.start();
    assert_eq!(gateway.authorize("GET", "/mail", &agent, &[("X-Agent-Chain", &cas)]).status, 200);
    gateway.stop();
    assert!(!socket.exists());
    fs::write(&socket, "not a socket").unwrap();
    let refused = GatewayProcess::start(&place.file()).err().expect("there is a file");
    assert!(refused.contains("no socket"), "{refused}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "not a socket");
    ca.stop();
}

/// An agent that may pay so much a day.
fn spender(rig: &CaRig, name: &str, daily: u64) -> Party {
    let file = rig.path("capabilities.json");
    let limit = serde_json::json!({ "max_per_period": daily, "period_seconds": 86_400, "currency": "GBP" });
    let pay = serde_json::json!([{ "tool_uri": "mcp://pay", "scope": "eu", "spend_limit": limit }]);
    fs::write(&file, pay.to_string()).unwrap();
    let file = file.display().to_string();
    let agent = rig.agent(name, &[&["--capabilities", file.as_str(), "--human", "Ann"][..], &REGISTERED].concat());
    let output = agent.enrol();
    assert!(output.status.success(), "{}", text(&output));
    Party { uri: agent.uri, dir: agent.dir }
}
