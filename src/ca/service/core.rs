//! What all of the service's files share: the parts, put together and looked at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, watch};

use super::flights::Flights;
use super::logs::Logs;
use super::parts::{Parts, Random, Settings, StartError};
use super::publishing::Publications;
use super::queue::Queue;
use super::status::{Lists, Ocsp, RootLists, StatusBoard, remembered, restore, unended};
use super::writer::{MAX_CLOCK_STEP_MS, Writer};
use super::{CaError, Observer};
use crate::apki::chain::Issuer;
use crate::ca::authority::Refusal;
use crate::ca::issuance::{IssuanceError, IssuingCa};
use crate::ca::journal::{JournalHead, Row};
use crate::ca::lint::Linter;
use crate::ca::policy::Policy;
use crate::ca::ports::{CaStore, Entity, Key, StoreError, TrustScores};
use crate::ca::record::CertificateRecord;
use crate::ca::request::{Request, RequestId};
use crate::ca::serial::Serial;
use crate::keys::LogId;
use crate::time::{Clock, UnixMillis};

/// What is signed to see whether the key signs. It is no DER, so it can be taken for no certificate.
const KEY_CHECK: &[u8] = b"atl ca: does the issuing key sign?";

/// Requests read at a time where they are counted.
const OPEN_PAGE: usize = 256;

/// The service without its handle: what tasks hold on to.
pub(super) struct Core {
    pub(super) store: Arc<dyn CaStore>,
    pub(super) ca: IssuingCa,
    pub(super) linter: Linter,
    pub(super) policy: Arc<Policy>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) settings: Settings,
    pub(super) logs: Arc<Logs>,
    pub(super) queue: Queue,
    /// The issuing certificate and those above it, without the root.
    pub(super) issuers: Arc<[Vec<u8>]>,
    pub(super) flights: Arc<Flights>,
    pub(super) publications: Publications,
    pub(super) issuances: Arc<Semaphore>,
    pub(super) stopping: watch::Sender<bool>,
    /// The disk has too little room left to take anything in.
    pub(super) disk_low: AtomicBool,
    pub(super) trust: Option<Arc<dyn TrustScores>>,
    /// What is revoked.
    pub(super) status: Arc<StatusBoard>,
    /// The revocation lists that are published.
    pub(super) lists: Lists,
    /// Who answers questions about single certificates.
    pub(super) ocsp: Ocsp,
    /// What the root says of this CA.
    pub(super) root_lists: RwLock<RootLists>,
    random: Arc<dyn Random>,
}

impl Core {
    /// Looks at the parts, and starts the writer. Blocks while it reads.
    pub(super) fn start(parts: Parts, mut settings: Settings) -> Result<Self, StartError> {
        let Parts {
            store,
            kept_head,
            kept_list,
            former_issuers,
            logs,
            trust,
            ca,
            linter,
            policy,
            clock,
            random,
            observer,
        } = parts;
        check_issuer(&ca, &linter, clock.now())?;
        check_logs(&logs.iter().map(|(log, _)| log.id()).collect::<Vec<_>>(), &settings)?;
        let (head, latest) = check_journal(&*store)?;
        check_clock(latest, clock.now())?;
        settings.max_issuances = settings.max_issuances.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let policy = Arc::new(policy);
        settings.status = settings.status.bounded();
        settings.status.urls(clock.now()).map_err(StartError::Status)?;
        let ocsp = Ocsp::new(ca.certificate()).map_err(|e| StartError::Status(e.to_string()))?;
        let kept = kept_list.as_deref().map(|kept| remembered(kept, &ca, &former_issuers)).transpose()?.flatten();
        let status = Arc::new(StatusBoard::new(unended(&*store, kept.as_ref(), &settings.status, clock.now())?));
        let memory = (Arc::clone(&store), Arc::clone(&policy), Arc::clone(&clock));
        let told = (Arc::clone(&observer), Arc::clone(&status));
        let mut writer = Writer::new(memory, kept_head, told, (head, latest), count_open(&*store)?);
        if let Some(kept) = &kept {
            restore(&mut writer, &*store, kept, clock.now())?;
        }
        let published = (settings.status.clone(), kept_list);
        let lists = Lists::start(&ca, &status, published, kept.map_or(0, |kept| kept.number), clock.now())
            .map_err(|e| StartError::Lists(e.to_string()))?;
        // Each issuance tells the writer one thing at a time, and housekeeping some more.
        let reserve = settings.max_issuances.saturating_mul(2);
        let queue = Queue::start(writer, settings.queue_limit, reserve)?;
        let shared = (Arc::clone(&clock), Arc::clone(&random), Arc::clone(&observer));
        Ok(Self {
            logs: Arc::new(Logs::new(logs, &settings, shared)),
            issuers: issuers(&ca).into(),
            flights: Arc::default(),
            publications: Publications::default(),
            issuances: Arc::new(Semaphore::new(settings.max_issuances)),
            stopping: watch::Sender::new(false),
            disk_low: AtomicBool::new(false),
            store,
            ca,
            linter,
            policy,
            clock,
            observer,
            settings,
            queue,
            trust,
            status,
            lists,
            ocsp,
            root_lists: RwLock::default(),
            random,
        })
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Random octets.
    pub(super) fn octets<const N: usize>(&self) -> Result<[u8; N], CaError> {
        let mut octets = [0; N];
        self.random.fill(&mut octets).map_err(|e| CaError::Internal(e.to_string()))?;
        Ok(octets)
    }

    /// Whether the issuing key signs, and so that it verifies.
    pub(super) fn check_key(&self) -> Result<(), IssuanceError> {
        self.ca.sign(KEY_CHECK).map(drop)
    }

    /// Reads from the store, which may block on the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn CaStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, CaError> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || read(&*store)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(StoreError::Unavailable(_))) => Err(CaError::Overloaded),
            Ok(Err(damage)) => Err(CaError::Internal(damage.to_string())),
            Err(_) => Err(CaError::Internal("a read of the store failed unexpectedly".into())),
        }
    }

    pub(super) async fn load(&self, key: Key) -> Result<Option<Entity>, CaError> {
        Ok(self.read(move |store| store.load(&[key])).await?.into_iter().next().flatten())
    }

    /// The request of this name.
    pub(super) async fn find(&self, id: RequestId) -> Result<Request, CaError> {
        match self.load(Key::Request(id)).await? {
            Some(Entity::Request(request)) => Ok(request),
            _ => Err(Refusal::NotFound("request of this name").into()),
        }
    }

    /// The certificate of this number.
    pub(super) async fn certificate(&self, serial: Serial) -> Result<CertificateRecord, CaError> {
        match self.load(Key::Certificate(serial)).await? {
            Some(Entity::Certificate(certificate)) => Ok(certificate),
            _ => Err(Refusal::NotFound("certificate of this number").into()),
        }
    }
}

fn issuers(ca: &IssuingCa) -> Vec<Vec<u8>> {
    let all = std::iter::once(ca.certificate()).chain(ca.chain());
    all.filter(|certificate| !certificate.is_self_issued()).map(|certificate| certificate.der().to_vec()).collect()
}

fn check_issuer(ca: &IssuingCa, linter: &Linter, now: UnixMillis) -> Result<(), StartError> {
    let issuer = ca.certificate();
    if linter.issuer() != issuer {
        return Err(StartError::OtherLinter);
    }
    let (not_before, not_after) = (issuer.not_before(), issuer.not_after());
    if now < not_before || now > not_after {
        return Err(StartError::Expired { not_before, not_after, now });
    }
    // That each certificate is issued by the next was seen when the chain was put together.
    let top = ca.chain().last().unwrap_or(issuer);
    let root = Issuer::new(top.clone())
        .ok()
        .filter(|root| top.is_self_issued() && root.key().verify(top.tbs_der(), top.signature()).is_ok());
    root.ok_or(StartError::NoRoot)?;
    ca.sign(KEY_CHECK).map(drop).map_err(StartError::Key)
}

fn check_logs(ids: &[LogId], settings: &Settings) -> Result<(), StartError> {
    let found = ids.iter().collect::<HashSet<_>>().len();
    let needed = settings.sat_rule.min_sats.get();
    if found < needed { Err(StartError::Logs { needed, found }) } else { Ok(()) }
}

/// How many requests are pending, ready or processing.
fn count_open(store: &dyn CaStore) -> Result<u64, StoreError> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = store.open_requests(after, OPEN_PAGE)?;
        count += page.len() as u64;
        match page.last() {
            Some(last) if page.len() == OPEN_PAGE => after = Some((last.received_at, last.id)),
            _ => return Ok(count),
        }
    }
}

/// A clock that was set back would make tokens and certificates good again that have ended.
fn check_clock(latest: UnixMillis, now: UnixMillis) -> Result<(), StartError> {
    match latest.since(now) {
        0..=MAX_CLOCK_STEP_MS => Ok(()),
        behind_ms => Err(StartError::ClockWentBack { behind_ms, latest }),
    }
}

/// The head of the journal and the time of its last row, once the one is seen to be that of the other.
fn check_journal(store: &dyn CaStore) -> Result<(JournalHead, UnixMillis), StartError> {
    let head = store.head()?;
    let wrong = |found| StartError::Head { rows: head.rows, found };
    if !store.journal(head.rows, 1)?.is_empty() {
        return Err(wrong("there are more"));
    }
    let Some(last) = head.rows.checked_sub(1) else {
        let empty = head == JournalHead::default();
        return if empty { Ok((head, UnixMillis::default())) } else { Err(wrong("the hash of a last row")) };
    };
    let rows = store.journal(last, 1)?;
    let [octets] = rows.as_slice() else { return Err(wrong("the last is missing")) };
    if <[u8; 32]>::from(Sha256::digest(octets)) != head.hash {
        return Err(wrong("the last one has another hash"));
    }
    let row = Row::read(last, octets)?;
    Ok((head, row.at))
}
