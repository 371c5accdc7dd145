//! Requests made in advance: signing a certificate costs more than the log's whole answer, so it
//! must not happen while we measure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::http::Target;
use super::load::{Prepared, Supply, Taken};
use crate::api::{B64, SubmitEntriesRequest, SubmitEntryRequest};
use crate::apki::AgentUri;
use crate::cli::output::{CliError, Context};
use crate::cli::pki::{Authority, Claims, KeyKind, SigningKey, Stamp};
use crate::log::entry::{CertHash, EntryType};
use crate::time::{Clock, SystemClock};

/// A request that submits these certificates, in this order.
type Submission = Prepared<Box<[CertHash]>>;

/// Makes requests full of certificates that nobody has seen yet.
pub struct Maker {
    /// Who issues.
    pub authority: Authority,
    /// What is sent along, issuer first.
    pub chain: Vec<B64>,
    /// What the certificates say.
    pub claims: Claims,
    /// Certificates in a request.
    pub batch: usize,
    /// Whom it is for.
    pub target: Target,
    /// Tells this run's agents from those of others.
    pub run: String,
}

impl Maker {
    /// Makes `count` requests, numbered from `first` on, and hands each to `put`, which says
    /// whether to go on.
    fn make(&self, first: usize, count: usize, mut put: impl FnMut(Submission) -> bool) -> Result<(), CliError> {
        // Anew for each order, so that a long run's certificates do not expire before they are sent.
        let stamp = Stamp::new(&self.authority, &self.claims, SystemClock.now()).context("a precertificate")?;
        for number in first..first + count {
            if !put(self.request(&stamp, number)?) {
                break;
            }
        }
        Ok(())
    }

    /// One certificate, as a submission of its own.
    pub fn trial(&self) -> Result<SubmitEntryRequest, CliError> {
        let stamp = Stamp::new(&self.authority, &self.claims, SystemClock.now()).context("a precertificate")?;
        self.entry(&stamp, "trial")
    }

    fn request(&self, stamp: &Stamp<'_>, number: usize) -> Result<Submission, CliError> {
        let entries = (0..self.batch).map(|i| self.entry(stamp, &(number * self.batch + i).to_string()));
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        let hashes = entries.iter().map(|e| CertHash::of_certificate(e.submission.as_slice())).collect();
        let (path, body) = match entries.len() {
            1 => ("/atl/v1/submit-entry", serde_json::to_vec(&entries.swap_remove(0))),
            _ => ("/atl/v1/submit-entries", serde_json::to_vec(&SubmitEntriesRequest { entries })),
        };
        let request = self.target.post(path, &body.context("a request")?).into();
        Ok(Prepared { request, subject: hashes })
    }

    fn entry(&self, stamp: &Stamp<'_>, instance: &str) -> Result<SubmitEntryRequest, CliError> {
        let name = format!("agent://load.atl.example/hammer/{}/{instance}", self.run);
        let name = AgentUri::parse(&name).context("an agent's name")?;
        let key = SigningKey::generate(KeyKind::P256).context("an agent's key")?;
        Ok(SubmitEntryRequest {
            submission: B64(stamp.precertificate(&name, &key).context("a precertificate")?),
            entry_type: Some(EntryType::Precertificate),
            chain: self.chain.clone(),
        })
    }
}

/// Prepared requests, and a thread that makes more when they run low.
pub struct Stock {
    ready: VecDeque<Submission>,
    arrivals: UnboundedReceiver<Result<Submission, CliError>>,
    orders: mpsc::Sender<usize>,
    on_order: usize,
    /// Requests that may still be ordered.
    left: usize,
    low: usize,
    /// Requests ordered since the first filling.
    ordered_late: usize,
}

impl Stock {
    /// A stock of at most `total` requests over its life. `stop` ends the making of them.
    pub fn new(maker: Maker, total: usize, stop: Arc<AtomicBool>) -> Result<Self, CliError> {
        let (orders, ordered) = mpsc::channel();
        let (sender, arrivals) = unbounded_channel();
        std::thread::Builder::new()
            .name("prepare".into())
            .spawn(move || deliver(&maker, &ordered, &sender, &stop))
            .context("the thread that prepares requests")?;
        Ok(Self { ready: VecDeque::new(), arrivals, orders, on_order: 0, left: total, low: 0, ordered_late: 0 })
    }

    /// Waits until `count` requests are ready, or all that may be; `progress` hears how many.
    pub async fn fill(&mut self, count: usize, progress: impl Fn(usize)) -> Result<(), CliError> {
        self.order(count);
        while self.on_order > 0 {
            let Some(arrival) = self.arrivals.recv().await else { break };
            self.on_order -= 1;
            self.ready.push_back(arrival?);
            progress(self.ready.len());
        }
        self.low = count / 8;
        Ok(())
    }

    /// Octets of the next request; 0 where none is ready.
    pub fn first_octets(&self) -> usize {
        self.ready.front().map_or(0, |prepared| prepared.request.len())
    }

    fn order(&mut self, count: usize) -> usize {
        let count = count.min(self.left);
        if count == 0 || self.orders.send(count).is_err() {
            return 0;
        }
        self.left -= count;
        self.on_order += count;
        count
    }
}

impl Supply for Stock {
    type Subject = Box<[CertHash]>;

    fn take(&mut self) -> Result<Taken<Self::Subject>, CliError> {
        while let Ok(arrival) = self.arrivals.try_recv() {
            self.on_order -= 1;
            self.ready.push_back(arrival?);
        }
        if self.ready.len() + self.on_order <= self.low {
            self.ordered_late += self.order(self.low.max(1));
        }
        Ok(match self.ready.pop_front() {
            Some(request) => Taken::Request(request),
            None if self.on_order > 0 => Taken::Wait,
            None => Taken::Empty,
        })
    }

    fn late(&self) -> usize {
        self.ordered_late
    }
}

fn deliver(
    maker: &Maker,
    orders: &mpsc::Receiver<usize>,
    out: &UnboundedSender<Result<Submission, CliError>>,
    stop: &AtomicBool,
) {
    let mut made = 0;
    while let Ok(count) = orders.recv() {
        let put = |prepared| !stop.load(Ordering::Relaxed) && out.send(Ok(prepared)).is_ok();
        if let Err(error) = maker.make(made, count, put) {
            let _ = out.send(Err(error));
            return;
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        made += count;
    }
}
