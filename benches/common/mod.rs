//! What the benchmarks share: short runs, and input that looks like the real thing.
#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod ca;

use std::time::Duration;

use atl::apki::AgentUri;
use atl::apki::chain::Anchors;
use atl::cli::pki::{Authority, Claims, DemoPki, KeyKind, SigningKey, Stamp};
use atl::log::admission::Rules;
use atl::log::entry::{CertHash, Chain, EntryType, Submission};
use atl::merkle::Hash;
use atl::time::{Clock, SystemClock, UnixMillis};
use criterion::Criterion;

/// Small samples: the whole suite ends in a few minutes. `-- --sample-size 100` takes more.
pub fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

/// So far up in a list in order of length.
pub fn at(sorted: &[Duration], quantile: f64) -> Duration {
    sorted.get((sorted.len().saturating_sub(1) as f64 * quantile).round() as usize).copied().unwrap_or_default()
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A CA whose root is an anchor.
pub struct Pki {
    pub org: Authority,
    pub anchors: Anchors,
    pub now: UnixMillis,
}

impl Pki {
    pub fn new(kind: KeyKind) -> Self {
        let now = SystemClock.now();
        let pki = DemoPki::new(kind, now).unwrap();
        let root = pki.root.open().unwrap().certificate().clone();
        Self { org: pki.org.open().unwrap(), anchors: Anchors::new([root]).unwrap(), now }
    }

    pub fn precertificate(&self, kind: KeyKind) -> Vec<u8> {
        let agent = AgentUri::parse("agent://agents.example/acme/shopper/1").unwrap();
        let stamp = Stamp::new(&self.org, &Claims::shopper(72).unwrap(), self.now).unwrap();
        stamp.precertificate(&agent, &SigningKey::generate(kind).unwrap()).unwrap()
    }
}

pub const fn rules() -> Rules {
    Rules { not_after_start: UnixMillis::new(0), not_after_limit: UnixMillis::new(u64::MAX), max_chain_length: 4 }
}

/// Different leaf hashes or hashes of certificates, by number.
pub fn hash(number: u64) -> Hash {
    Hash::of(&number.to_be_bytes())
}

/// Submissions that passed admission. All differ where certificates of one CA do: in the serial
/// number and the signature, so that they compress like them.
pub struct Submissions {
    template: Vec<u8>,
    chain: Chain,
    made: u64,
}

impl Submissions {
    pub fn new() -> Self {
        let pki = Pki::new(KeyKind::P256);
        let chain = Chain::new([pki.org.certificate().der()]);
        Self { template: pki.precertificate(KeyKind::P256), chain, made: 0 }
    }

    pub fn take(&mut self, count: usize) -> Vec<Submission> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Submission {
        self.made += 1;
        let random = hash(self.made);
        let mut der = self.template.clone();
        der[15..31].copy_from_slice(&random.as_bytes()[..16]);
        let signature = der.len() - 64;
        der[signature..signature + 32].copy_from_slice(random.as_bytes());
        der[signature + 32..].copy_from_slice(Hash::of(random.as_bytes()).as_bytes());
        Submission {
            cert_hash: CertHash::of_certificate(&der),
            entry_type: EntryType::Precertificate,
            der,
            chain: self.chain.clone(),
        }
    }
}
