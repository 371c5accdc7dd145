//! Authorisations per second that a gateway gives over HTTP, as a proxy on the same machine asks for them.
//!
//! Each is whole: the headers read, the verdict taken, a payment counted by the ledger (in memory, or in RocksDB, which
//! syncs it to the disk before the answer), and the answer with the agent's identity. Agents are known, so that their
//! signatures were verified before, or each is new. Each client has a connection that it keeps; the clients' processor
//! time is in the numbers. `ATL_BENCH_SECONDS` says for how long each row runs (3), and `TMPDIR` on which disk. Set up
//! for two cores.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "../tests/common/agents.rs"]
mod agents;
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use atl::apki::Certificate;
use atl::apki::capabilities::Currency;
use atl::apki::extension::{AsciiText, Text};
use atl::http::gateway::metrics::GatewayMetrics;
use atl::http::gateway::ports::{Answer, Check, Knowledge, Ledger, Lesson, Material, Unsettled};
use atl::http::gateway::{AmountFrom, Caller, GatewayApi, GatewayParts, Price, Proxy, Route, RoutePath, Routes};
use atl::http::serve::serve;
use atl::storage::ledger::rocks::RocksLedger;
use atl::time::{Clock, Stopwatch, UnixMillis};
use atl::verify::ledger::{Bounds, Demand, LedgerError, MemoryLedger};
use atl::verify::relying::{ChargedTo, Facts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::agents::{NOW, Profile, SCOPE, TOOL, World, capabilities, capability, policy, spending};
use crate::common::ca::processor;
use crate::common::{at, ms};

/// Clients at a time.
const CLIENTS: [usize; 2] = [1, 64];
/// Agents that call in turn, where they are known.
const KNOWN: usize = 100;
/// Agents of which each calls once.
const NEW: usize = 20_000;

fn main() {
    let seconds = std::env::var("ATL_BENCH_SECONDS").map_or(3, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(Duration::from_secs(seconds)));
}

async fn measure(time: Duration) {
    let world = World::new();
    let questions = |range: std::ops::Range<usize>| -> Arc<Vec<Vec<u8>>> {
        Arc::new(range.map(|number| question(&world, number)).collect())
    };
    let (known, new) = (questions(0..KNOWN), questions(KNOWN..KNOWN + NEW));
    let dir = tempfile::tempdir().unwrap();
    println!("\n  ledger    agents   clients   authorised      per s   p50 ms   p99 ms   CPU us each");
    for durable in [false, true] {
        for (agents, questions) in [("known", &known), ("new", &new)] {
            for clients in CLIENTS {
                let path = dir.path().join(format!("{agents}-{clients}"));
                let ledger: Arc<dyn Ledger> = match durable {
                    false => Arc::new(MemoryLedger::default()),
                    true => Arc::new(Durable(RocksLedger::open(&path, Bounds::default()).unwrap())),
                };
                let name = if durable { "rocksdb" } else { "memory" };
                row(name, agents, &world, ledger, Arc::clone(questions), clients, time).await;
            }
        }
    }
    println!("\n  databases in {}", dir.path().display());
}

async fn row(
    name: &str,
    agents: &str,
    world: &World,
    ledger: Arc<dyn Ledger>,
    questions: Arc<Vec<Vec<u8>>>,
    clients: usize,
    time: Duration,
) {
    let api = Arc::new(GatewayApi::new(GatewayParts {
        caller: Caller { proxy: Proxy::Nginx, secret_sha256: None },
        knowledge: Arc::new(Fixed(Arc::new(material(world)))),
        ledger,
        clock: Arc::new(Running(Stopwatch::start())),
        standing_ms: 60_000,
        metrics: Arc::new(GatewayMetrics::new().unwrap()),
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let server = tokio::spawn(serve(listener, 256, None, api.router(false), stopping));
    let once = agents == "new";
    if !once {
        // So that all of them are known.
        let mut stream = TcpStream::connect(address).await.unwrap();
        for question in questions.iter() {
            authorise(&mut stream, question).await;
        }
    }
    let (before, begin) = (processor(), Stopwatch::start());
    let (next, mut running) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..clients {
        let (questions, next) = (Arc::clone(&questions), Arc::clone(&next));
        running.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut latencies = Vec::new();
            while begin.elapsed() < time {
                let number = next.fetch_add(1, Relaxed);
                if once && number >= questions.len() {
                    break;
                }
                let start = Stopwatch::start();
                authorise(&mut stream, &questions[number % questions.len()]).await;
                latencies.push(start.elapsed());
            }
            latencies
        });
    }
    let mut latencies: Vec<Duration> = running.join_all().await.concat();
    let (took, used) = (begin.elapsed(), processor() - before);
    latencies.sort_unstable();
    let authorised = latencies.len();
    println!(
        "  {name:<8} {agents:>7} {clients:>9} {authorised:>12} {:>10.0} {:>8.2} {:>8.2} {:>13.0}",
        authorised as f64 / took.as_secs_f64(),
        ms(at(&latencies, 0.5)),
        ms(at(&latencies, 0.99)),
        used.as_secs_f64() * 1e6 / authorised as f64
    );
    stop.send_replace(true);
    server.await.unwrap();
}

/// Asks, and takes in the answer, which is a yes.
async fn authorise(stream: &mut TcpStream, question: &[u8]) {
    stream.write_all(question).await.unwrap();
    let mut answer = [0; 4096];
    let mut length = 0;
    while !answer[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut answer[length..]).await.unwrap();
        assert_ne!(read, 0, "the gateway hung up");
        length += read;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
}

/// What nginx asks for agent `number`, which pays 5 GBP.
fn question(world: &World, number: usize) -> Vec<u8> {
    let mut profile = Profile::new(&number.to_string(), 70).principal();
    profile.capabilities = Some(capabilities(&[spending(capability(TOOL, SCOPE), 1000, 1 << 40, "GBP")]));
    let agent = world.agent(&profile).certificate;
    let pem = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, agent.der()).unwrap();
    let kept = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    let escaped: String =
        pem.bytes().map(|c| if kept(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect();
    format!(
        "GET /authorize HTTP/1.1\r\nHost: api.agents.example\r\nX-Original-Method: POST\r\n\
        X-Original-URI: /accounts/{number}\r\nX-Amount: 500\r\nX-Client-Cert: {escaped}\r\n\r\n"
    )
    .into_bytes()
}

fn material(world: &World) -> Material {
    let route = Route {
        host: None,
        path: RoutePath::parse("/accounts").unwrap(),
        methods: Vec::new(),
        tool_uri: AsciiText::new(TOOL).unwrap(),
        scope: Text::new(SCOPE).unwrap(),
        spend: Some(Price {
            amount: AmountFrom::Header("x-amount".parse().unwrap()),
            currency: Currency::new("GBP").unwrap(),
        }),
    };
    let issuers: Vec<Certificate> = world.ca.chain();
    Material {
        generation: 1,
        party: world.party(policy()),
        issuers,
        facts: Facts::default(),
        routes: Routes::new(vec![route]).unwrap(),
        charged: ChargedTo::Line,
    }
}

/// What never changes, with nobody to ask.
struct Fixed(Arc<Material>);

impl Knowledge for Fixed {
    fn material(&self) -> Arc<Material> {
        Arc::clone(&self.0)
    }

    fn learn<'a>(&'a self, _: &'a Material, _: Unsettled<'a>) -> Answer<'a, Option<Lesson>> {
        Box::pin(async { None })
    }

    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }
}

/// The moment of the certificates, and the time since then.
struct Running(Stopwatch);

impl Clock for Running {
    fn now(&self) -> UnixMillis {
        NOW.saturating_add(self.0.elapsed().as_millis() as u64)
    }
}

/// A ledger in a database, asked as the program asks it.
struct Durable(RocksLedger);

impl Ledger for Durable {
    fn charge(&self, demand: Demand, now: UnixMillis) -> Answer<'_, Result<(), LedgerError>> {
        let (tell, answer) = oneshot::channel();
        self.0.charge_with(demand, now, move |outcome| drop(tell.send(outcome)));
        Box::pin(async move { answer.await.unwrap() })
    }

    fn failure(&self) -> Option<String> {
        None
    }
}
