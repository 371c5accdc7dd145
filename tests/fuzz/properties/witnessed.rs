//! What others sign of a log, and the files by which its word is checked offline.

use std::sync::LazyLock;

use atl::keys::{Ed25519Signer, Signer};
use atl::log::audit::{AuditError, AuditStatement, open_audit, sign_audit};
use atl::log::checkpoint::{Checkpoint, sign_checkpoint};
use atl::log::cosignature::{CosignatureTime, WitnessKey, WitnessQuorum, cosign, cosigned_at};
use atl::log::entry::CertHash;
use atl::log::note::{KeyName, Note, VerifierKey};
use atl::log::proof::{TlogProof, TlogProofError};
use atl::log::sth::TreeHead;
use atl::merkle::{TreeSize, verify_inclusion};
use atl::time::UnixMillis;

/// The log of the seeds.
const LOG: &str = "atl.example.com/2026h2+620b1acd+AQ86+dH9mylyjhgnG1hRB+SGE/v/eAKGLHM0QU3+Pj85";

/// The witness of the seeds and its key.
static WITNESS: LazyLock<Ed25519Signer> = LazyLock::new(|| Ed25519Signer::from_seed(&[21; 32]).unwrap());
static WITNESS_NAME: LazyLock<KeyName> = LazyLock::new(|| "witness1.example/w".parse().unwrap());

/// The monitor of the seeds and its key.
static MONITOR: LazyLock<Ed25519Signer> = LazyLock::new(|| Ed25519Signer::from_seed(&[31; 32]).unwrap());
static MONITOR_NAME: LazyLock<KeyName> = LazyLock::new(|| "monitor.example/1".parse().unwrap());

/// A proof file has one spelling, its parts make it again, and it is believed where its hashes lead to the
/// root that the log has signed, and nowhere else.
pub fn tlog_proof(input: &[u8]) {
    let Ok(proof) = TlogProof::parse(input) else { return };
    assert_eq!(proof.to_string().as_bytes(), input);
    let checkpoint = Checkpoint::parse(proof.checkpoint().text()).unwrap();
    let note = proof.checkpoint().to_string();
    let again = |size, note: &str| TlogProof::new(proof.index(), size, proof.inclusion().to_vec(), note.as_bytes());
    let parts = again(checkpoint.size, &note).unwrap();
    let parts = match proof.extra() {
        Some(extra) => parts.with_extra(extra.to_vec()).unwrap(),
        None => parts,
    };
    assert_eq!(parts, proof);
    assert!(again(TreeSize::new(checkpoint.size.get() ^ 1), &note).is_err());

    let nobody = CertHash::new([0; 32]);
    assert!(proof.verify(&nobody, &LOG.parse().unwrap()).is_err(), "no log of the seeds has this entry");
    // The same with a log that signs whatever head it is given: now it is up to the hashes.
    let head = TreeHead { size: checkpoint.size, timestamp: UnixMillis::new(0), root: checkpoint.root };
    let note = sign_checkpoint(&*WITNESS, &checkpoint.origin, &head).unwrap();
    let key = checkpoint.origin.verifier_key(WITNESS.public_key()).unwrap();
    let verdict = again(checkpoint.size, &note).unwrap().verify(&nobody, &key);
    let leaf = nobody.leaf_hash();
    match verify_inclusion(&leaf, proof.index(), head.size, proof.inclusion(), &head.root) {
        Ok(()) => assert_eq!(verdict, Ok(Checkpoint::new(checkpoint.origin, head.size, head.root))),
        Err(e) => assert_eq!(verdict, Err(TlogProofError::Inclusion(e))),
    }
}

/// A cosignature that is believed is one that the witness made, of the text and the time at hand; and
/// whatever checkpoint there is, a witness can cosign it once more.
pub fn cosignature(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input)
        && let Ok(key) = text.parse::<WitnessKey>()
    {
        assert_eq!(key.to_string(), text);
        assert!(text.parse::<VerifierKey>().is_err(), "one text is no key of two types");
    }
    let Ok(note) = Note::parse(input) else { return };
    let key = WitnessKey::new(WITNESS_NAME.clone(), WITNESS.public_key().clone()).unwrap();
    let quorum = WitnessQuorum::new(vec![key.clone()], 1).unwrap();
    let checkpoint = Checkpoint::parse(note.text());
    let Ok(times) = cosigned_at(&note, std::slice::from_ref(&key)) else {
        return assert!(quorum.check(&note, UnixMillis::new(u64::MAX)).is_err());
    };
    let last = times.first().copied().flatten();
    let seen = quorum.check(&note, UnixMillis::new(u64::MAX));
    assert_eq!(seen.ok().map(|seen| seen.seen_at), last);
    let Ok(checkpoint) = checkpoint else { return assert_eq!(last, None, "a witness signs checkpoints only") };
    if let Some(at) = last {
        let line = cosign(&*WITNESS, &WITNESS_NAME, &checkpoint, at).unwrap();
        assert!(note.signatures().contains(&line));
    }
    let latest = CosignatureTime::new(i64::MAX as u64).unwrap();
    let line = cosign(&*WITNESS, &WITNESS_NAME, &checkpoint, latest).unwrap();
    let Ok(note) = note.with_line(line) else { return };
    assert_eq!(Note::parse(note.to_string().as_bytes()).as_ref(), Ok(&note));
    assert_eq!(cosigned_at(&note, &[key]), Ok(vec![Some(latest)]));
}

/// An audit statement has one spelling, and what it says a monitor can say, unless it is the log itself.
pub fn audit(input: &[u8]) {
    let key = VerifierKey::new(MONITOR_NAME.clone(), MONITOR.public_key().clone()).unwrap();
    if let Ok(statement) = open_audit(input, &key) {
        assert_eq!(Note::parse(input).unwrap().text(), statement.to_string());
    }
    let note = Note::parse(input);
    let text = note.as_ref().map_or_else(|_| str::from_utf8(input).unwrap_or_default(), Note::text);
    let Ok(statement) = AuditStatement::parse(text) else { return };
    assert_eq!(statement.to_string(), text);
    assert!(Checkpoint::parse(text).is_err(), "one text is not two things");
    let own = AuditStatement { log_id: MONITOR.public_key().log_id(), ..statement.clone() };
    assert_eq!(sign_audit(&*MONITOR, &MONITOR_NAME, &own).unwrap_err().0, AuditError::OwnLog.to_string());
    if statement != own {
        let signed = sign_audit(&*MONITOR, &MONITOR_NAME, &statement).unwrap();
        assert_eq!(open_audit(signed.as_bytes(), &key), Ok(statement));
    }
}
