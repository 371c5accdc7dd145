//! A gateway before a world of agents, CAs and logs, and what a proxy asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tower::ServiceExt;

use super::super::certificate::tests::{escape, pem};
use super::super::metrics::GatewayMetrics;
use super::super::ports::{Answer, Check, Knowledge, Ledger, Lesson, Material, Unsettled};
use super::super::{AmountFrom, Caller, GatewayApi, GatewayParts, Price, Proxy, Route, RoutePath, Routes};
use crate::apki::Certificate;
use crate::apki::capabilities::Currency;
use crate::apki::extension::{AsciiText, Text};
use crate::time::{Clock, UnixMillis};
use crate::verify::ledger::{Bounds, MemoryLedger};
use crate::verify::relying::tests::rig::{ACCOUNTS, PAYMENTS, World, org};
use crate::verify::relying::{ChargedTo, Inclusion, Link, RelyingParty, Standing};

/// A clock that tests set.
pub struct TestClock(AtomicU64);

impl TestClock {
    pub fn set(&self, now: UnixMillis) {
        self.0.store(now.get(), Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Relaxed))
    }
}

/// What a gateway knows, and what others know who can be asked.
pub struct Played {
    material: Mutex<Arc<Material>>,
    pub parents: Mutex<Vec<Certificate>>,
    pub answers: Mutex<Vec<Standing>>,
    pub invalid: Mutex<Vec<([u8; 32], String)>>,
    pub inclusions: Mutex<Vec<Inclusion>>,
    /// How often somebody was asked for something.
    pub asked: AtomicUsize,
    pub ready: Mutex<bool>,
}

impl Knowledge for Played {
    fn material(&self) -> Arc<Material> {
        Arc::clone(&self.material.lock())
    }

    fn learn<'a>(&'a self, material: &'a Material, about: Unsettled<'a>) -> Answer<'a, Option<Lesson>> {
        self.asked.fetch_add(1, Relaxed);
        let Unsettled { mut presented, mut facts, .. } = about;
        let mut examination = material.party.examine(presented.clone());
        for parent in self.parents.lock().iter() {
            presented.parents.push(Link::new(parent.clone(), vec![org()]));
            examination = material.party.examine(presented.clone());
        }
        let questionable: Vec<_> = examination.questionable().iter().map(|q| q.certificate.fingerprint()).collect();
        let answers = self.answers.lock();
        facts.revocations.answers.extend(answers.iter().filter(|a| questionable.contains(&a.certificate)));
        facts.revocations.invalid.extend(self.invalid.lock().iter().cloned());
        facts.inclusions.extend(self.inclusions.lock().iter());
        Box::pin(async { Some(Lesson { examination, facts }) })
    }

    fn checks(&self) -> Vec<Check> {
        vec![Check { name: "material", ok: *self.ready.lock(), detail: "played".into() }]
    }
}

/// What a proxy heard.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Heard {
    /// A header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and reasons.
    pub fn outcome(&self) -> (u16, &str) {
        (self.status, self.header("x-agent-reason"))
    }
}

/// A gateway.
pub struct Gateway {
    pub played: Arc<Played>,
    pub clock: Arc<TestClock>,
    pub metrics: Arc<GatewayMetrics>,
    pub proxy: Proxy,
    pub api: Arc<GatewayApi>,
    pub router: Router,
}

/// A route to this tool and scope.
pub fn route(path: &str, methods: &[Method], tool: &str, scope: &str) -> Route {
    Route {
        host: None,
        path: RoutePath::parse(path).unwrap(),
        methods: methods.to_vec(),
        tool_uri: AsciiText::new(tool).unwrap(),
        scope: Text::new(scope).unwrap(),
        spend: None,
    }
}

fn routes() -> Routes {
    let pounds = Currency::new("GBP").unwrap();
    let paid = |path, amount| Route {
        spend: Some(Price { amount, currency: pounds }),
        ..route(path, &[Method::POST], PAYMENTS, "pay/eu")
    };
    let header = AmountFrom::Header("x-amount".parse().unwrap());
    Routes::new(vec![
        route("/accounts", &[Method::GET], ACCOUNTS, "accounts/read"),
        route("/accounts/close", &[Method::POST], ACCOUNTS, "close"),
        route("/other", &[], "https://other.example.com/", "x"),
        paid("/pay", header),
        paid("/quick", AmountFrom::Query("amount".into())),
    ])
    .unwrap()
}

impl Gateway {
    /// A gateway that decides as the relying party of `world` does, and has a ledger in memory.
    pub fn new(world: &World, proxy: Proxy) -> Self {
        Self::with(world, proxy, None, Arc::new(MemoryLedger::new(Bounds::default())))
    }

    /// The same with this secret and this ledger.
    pub fn with(world: &World, proxy: Proxy, secret_sha256: Option<[u8; 32]>, ledger: Arc<dyn Ledger>) -> Self {
        let played = Arc::new(Played {
            material: Mutex::new(Arc::new(material(world, 1, vec![org()]))),
            parents: Mutex::default(),
            answers: Mutex::default(),
            invalid: Mutex::default(),
            inclusions: Mutex::default(),
            asked: AtomicUsize::default(),
            ready: Mutex::new(true),
        });
        let clock = Arc::new(TestClock(AtomicU64::new(world.now.get())));
        let metrics = Arc::new(GatewayMetrics::new().unwrap());
        let api = Arc::new(GatewayApi::new(GatewayParts {
            caller: Caller { proxy, secret_sha256 },
            knowledge: Arc::clone(&played) as _,
            ledger,
            clock: Arc::clone(&clock) as _,
            standing_ms: 60_000,
            metrics: Arc::clone(&metrics),
        }));
        let router = Arc::clone(&api).router(true);
        Self { played, clock, metrics, proxy, api, router }
    }

    /// Decides from now on as the relying party of `world` does, with these CAs at hand.
    pub fn replace(&self, world: &World, generation: u64, issuers: Vec<Certificate>) {
        *self.played.material.lock() = Arc::new(material(world, generation, issuers));
    }

    /// What the proxy asks for a client with these certificates, the agent's first, who sends this request.
    pub fn question(&self, method: &str, target: &str, certificates: &[&Certificate]) -> Request<Body> {
        let builder = match self.proxy {
            Proxy::Nginx => {
                let builder = Request::get("/authorize").header("X-Original-Method", method);
                builder.header("X-Original-URI", target)
            }
            Proxy::Envoy => Request::builder().method(method).uri(format!("/authorize{target}")),
        };
        let mut builder = builder.header(header::HOST, "api.example.com");
        if let Some((agent, rest)) = certificates.split_first() {
            let cert = escape(&pem(agent.der()));
            builder = match self.proxy {
                Proxy::Nginx => builder.header("X-Client-Cert", cert),
                Proxy::Envoy => builder.header("X-Forwarded-Client-Cert", format!("By=x;Cert=\"{cert}\"")),
            };
            if !rest.is_empty() {
                let chain: Vec<String> = rest.iter().map(|certificate| base64(certificate.der())).collect();
                builder = builder.header("X-Agent-Chain", chain.join(","));
            }
        }
        builder.body(Body::empty()).unwrap()
    }

    /// Asks.
    pub async fn hear(&self, request: Request<Body>) -> Heard {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Heard { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Asks about a client of this world.
    pub async fn ask(&self, method: &str, target: &str, world: &World) -> Heard {
        let line = line(world);
        let line: Vec<&Certificate> = line.iter().collect();
        self.hear(self.question(method, target, &line)).await
    }

    /// The same, of a client that states an amount in a header.
    pub async fn pay(&self, world: &World, amount: &str) -> Heard {
        let line = line(world);
        let mut question = self.question("POST", "/pay", &line.iter().collect::<Vec<_>>());
        question.headers_mut().insert("x-amount", amount.parse().unwrap());
        self.hear(question).await
    }

    /// The value of a metric; 0 where it is not there.
    pub fn metric(&self, line: &str) -> u64 {
        let text = String::from_utf8(self.metrics.render().unwrap()).unwrap();
        text.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok()).unwrap_or_default()
    }
}

fn material(world: &World, generation: u64, issuers: Vec<Certificate>) -> Material {
    let RelyingParty { policy, domains, logs } = world.party.clone();
    Material {
        generation,
        party: RelyingParty { policy, domains, logs },
        issuers,
        facts: world.facts.clone(),
        routes: routes(),
        charged: ChargedTo::Line,
    }
}

/// The certificates of the agents of a world, the nearest first, without CAs.
pub fn line(world: &World) -> Vec<Certificate> {
    let presented = world.presented();
    [presented.agent].into_iter().chain(presented.parents).map(|link| link.certificate).collect()
}

pub fn base64(octets: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, octets)
}
