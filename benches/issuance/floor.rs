//! What an issuance cannot do without: its signatures, made and verified, one after another on one core.
//! The rest of what is measured is ours, or the disk's.

use std::hint::black_box;
use std::time::Duration;

use atl::keys::{Ed25519Signer, Signer};
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::time::{Stopwatch, UnixMillis};

use crate::common::ca::{new_key, signer};
use crate::world::World;

/// The length of a TBSCertificate with all five extensions.
const TBS: usize = 1024;
const ROUNDS: u32 = 64;

/// An operation of the cryptography: its name, how often an issuance does it, and what one costs.
pub type Operation = (&'static str, u32, Duration);

/// Every signature that is made and verified for one certificate with SATs of two logs.
pub fn cryptography(world: &World) -> Vec<Operation> {
    let ca = signer(&new_key(world.kind).serialize_pem());
    let log = Ed25519Signer::from_seed(&[1; 32]).unwrap();
    let (tbs, hash, now) = ([0x30; TBS], CertHash::new([1; 32]), UnixMillis::new(1));
    let signature = ca.sign(&tbs).unwrap();
    let sat = SignedAgentTimestamp::sign(&log, now, hash).unwrap();
    let sign = each(|| drop(black_box(ca.sign(black_box(&tbs)))));
    let verify = each(|| ca.public_key().verify(black_box(&tbs), &signature).unwrap());
    let stamp = each(|| drop(black_box(SignedAgentTimestamp::sign(&log, now, black_box(hash)))));
    let check = each(|| black_box(&sat).verify(log.public_key(), hash).unwrap());
    vec![
        ("verify the CSR", 1, verify),
        ("sign for the linter", 2, sign),
        ("verify as webpki does, as client and as server", 2, verify),
        ("sign precertificate and certificate", 2, sign),
        ("verify both before they are shown", 2, verify),
        ("verify in two logs", 2, verify),
        ("sign a SAT in two logs", 2, stamp),
        ("verify the SATs as they come, and in the certificate", 4, check),
    ]
}

/// The fastest of ten rounds: what disturbs a round only makes it longer.
fn each(mut operation: impl FnMut()) -> Duration {
    let mut round = || {
        let begin = Stopwatch::start();
        (0..ROUNDS).for_each(|_| operation());
        begin.elapsed() / ROUNDS
    };
    (0..10).map(|_| round()).min().unwrap_or_default()
}
