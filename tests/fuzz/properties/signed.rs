//! What a log signs: timestamps, notes, checkpoints.

use std::sync::LazyLock;

use atl::keys::{Ed25519Signer, Signer};
use atl::log::checkpoint::{Checkpoint, Origin, open_checkpoint, sign_checkpoint};
use atl::log::note::{KeyName, Note, VerifierKey};
use atl::log::sat::{SatList, SignedAgentTimestamp};
use atl::log::sth::TreeHead;
use atl::time::UnixMillis;

/// The key of the checkpoints in the vectors.
const VKEY: &str = "atl.example.com/2026h2+620b1acd+AQ86+dH9mylyjhgnG1hRB+SGE/v/eAKGLHM0QU3+Pj85";

static LOG: LazyLock<Ed25519Signer> = LazyLock::new(|| Ed25519Signer::from_seed(&[7; 32]).unwrap());
static VERIFIER: LazyLock<VerifierKey> = LazyLock::new(|| VKEY.parse().unwrap());

/// Signed agent timestamps and lists of them have one encoding.
pub fn sat(input: &[u8]) {
    if let Ok(sat) = SignedAgentTimestamp::from_der(input) {
        assert_eq!(sat.to_der(), input);
        assert!(sat.verify(LOG.public_key(), sat.cert_hash).is_err(), "nobody has signed this");
        let ours = SignedAgentTimestamp::sign(&*LOG, sat.timestamp, sat.cert_hash).unwrap();
        assert_eq!(SignedAgentTimestamp::from_der(&ours.to_der()).as_ref(), Ok(&ours));
        assert_eq!(ours.verify(LOG.public_key(), sat.cert_hash), Ok(()));
    }
    if let Ok(list) = SatList::from_der(input) {
        assert_eq!(list.to_der(), input);
        assert_eq!(SatList::new(list.sats().to_vec()).as_ref(), Ok(&list));
        for sat in list.sats() {
            assert_eq!(SignedAgentTimestamp::from_der(&sat.to_der()).as_ref(), Ok(sat));
        }
    }
}

/// Notes, checkpoints, verifier keys, origins: each has one spelling.
pub fn checkpoint(input: &[u8]) {
    if let Ok(note) = Note::parse(input) {
        assert_eq!(note.to_string().as_bytes(), input);
        assert!(!note.signatures().is_empty());
        text_of_checkpoint(note.text());
    }
    if let Ok(checkpoint) = open_checkpoint(input, &VERIFIER) {
        assert_eq!(Note::parse(input).unwrap().text(), checkpoint.to_string());
        assert_eq!(checkpoint.origin.as_str(), VERIFIER.name().as_str());
    }
    let Ok(text) = str::from_utf8(input) else { return };
    text_of_checkpoint(text);
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
        assert_eq!(VerifierKey::new(key.name().clone(), key.key().clone()).as_ref(), Ok(&key));
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert_eq!(origin.as_str(), text);
        assert_eq!(text.parse::<KeyName>().unwrap().as_str(), text);
    }
}

/// Whatever head a checkpoint states, a log of that origin can sign it, and it opens again.
fn text_of_checkpoint(text: &str) {
    let Ok(checkpoint) = Checkpoint::parse(text) else { return };
    assert_eq!(checkpoint.to_string(), text);
    let head = TreeHead { size: checkpoint.size, timestamp: UnixMillis::new(0), root: checkpoint.root };
    let key = checkpoint.origin.verifier_key(LOG.public_key()).unwrap();
    let note = sign_checkpoint(&*LOG, &checkpoint.origin, &head).unwrap();
    let opened = open_checkpoint(note.as_bytes(), &key).unwrap();
    assert_eq!(opened, Checkpoint::new(checkpoint.origin, checkpoint.size, checkpoint.root));
}
