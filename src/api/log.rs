//! Answers of the reading calls (protocol section 5).

use serde::{Deserialize, Serialize};

use super::base64::{B64, log_id};
use crate::keys::LogId;
use crate::log::entry::EntryType;
use crate::merkle::{Hash, LeafIndex, TreeSize};
use crate::time::UnixMillis;

/// `GET /atl/v1/get-sth`: the last signed tree head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SthResponse {
    /// The log that signed.
    #[serde(with = "log_id")]
    pub log_id: LogId,
    /// The number of leaves covered.
    pub tree_size: TreeSize,
    /// When the head was signed.
    pub timestamp: UnixMillis,
    /// The root over those leaves.
    pub root_hash: Hash,
    /// The signature over `TreeHeadDataV2` (protocol section 4).
    pub signature: B64,
}

/// `GET /atl/v1/get-sth-consistency` (RFC 9162 section 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyResponse {
    /// The smaller tree.
    pub first: TreeSize,
    /// The larger tree.
    pub second: TreeSize,
    /// The proof that the second extends the first.
    pub consistency: Vec<Hash>,
}

/// `GET /atl/v1/get-proof-by-hash` (RFC 9162 section 5.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofResponse {
    /// Where the leaf stands.
    pub leaf_index: LeafIndex,
    /// The tree that the proof leads to.
    pub tree_size: TreeSize,
    /// The audit path, from the leaf upwards.
    pub inclusion: Vec<Hash>,
}

/// `GET /atl/v1/get-all-by-hash` (RFC 9162 section 5.6): the proof, the last head, and the way
/// from the proof's tree to that head's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofAndHeadResponse {
    /// The inclusion proof; its members stand beside the others in JSON.
    #[serde(flatten)]
    pub proof: ProofResponse,
    /// The last signed head.
    pub sth: SthResponse,
    /// The proof that the head's tree extends the inclusion proof's.
    pub consistency: Vec<Hash>,
}

/// One entry of the log, as `get-entries` and `get-entry-by-cert-hash` give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryResponse {
    /// Where the leaf stands.
    pub leaf_index: LeafIndex,
    /// The time in the SAT.
    pub timestamp: UnixMillis,
    /// What was submitted: 1 certificate, 2 precertificate.
    #[serde(rename = "type")]
    pub entry_type: EntryType,
    /// The submitted DER, or `None` once it is pruned.
    pub submission: Option<B64>,
    /// SHA-256 of the submitted DER: the leaf's data.
    pub cert_hash: Hash,
    /// The verified path, issuer first, anchor included (ruling R36).
    pub chain: Vec<B64>,
}

/// `GET /atl/v1/get-entries`: entries in order from `start`, perhaps fewer than asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntriesResponse {
    /// The entries, at most [`super::MAX_ENTRIES_PER_ANSWER`].
    pub entries: Vec<EntryResponse>,
}

/// `GET /atl/v1/get-anchors`: whom the log records certificates of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorsResponse {
    /// DER of each accepted anchor.
    pub certificates: Vec<B64>,
    /// Most certificates from the submission to the anchor, both included (ruling R9).
    pub max_chain_length: u32,
}

/// `GET /atl/v1/log`: what a reader needs to know about this log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDescriptor {
    /// The checkpoint origin, a schema-less URL.
    pub origin: String,
    /// SHA-256 of `key`.
    #[serde(with = "log_id")]
    pub log_id: LogId,
    /// DER SubjectPublicKeyInfo of the log key.
    pub key: B64,
    /// The C2SP note verifier key.
    pub vkey: String,
    /// Who runs the log.
    pub operator: String,
    /// Seconds between signed heads.
    pub sth_interval_seconds: u64,
    /// The longest time until a signed head covers an entry (ruling R37).
    pub mmd_seconds: u64,
    /// First `notAfter` that the shard takes, inclusive.
    pub not_after_start: UnixMillis,
    /// First `notAfter` beyond the shard.
    pub not_after_limit: UnixMillis,
    /// Seconds after which certificate bodies are dropped; 0 for never.
    pub retention_seconds: u64,
    /// C2SP verifier keys of the witnesses that cosign.
    pub witnesses: Vec<String>,
    /// Always `SHA-256`.
    pub hash: String,
    /// Always `Ed25519`.
    pub signature_algorithm: String,
    /// The arc of the APKI extensions (protocol section 1).
    pub oid_arc: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn round_trip<T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug>(json: Value) -> T {
        let parsed: T = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&parsed).unwrap(), json);
        let text = json.to_string();
        assert_eq!(serde_json::from_str::<T>(&text).unwrap(), parsed);
        parsed
    }

    #[test]
    fn members_are_those_of_the_protocol() {
        let h = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let sth = json!({"log_id": h, "tree_size": 3, "timestamp": 1_775_822_400_007_u64, "root_hash": h, "signature": "AAA="});
        assert_eq!(round_trip::<SthResponse>(sth.clone()).timestamp.get(), 1_775_822_400_007);
        round_trip::<ConsistencyResponse>(json!({"first": 1, "second": 3, "consistency": [h, h]}));
        round_trip::<ProofResponse>(json!({"leaf_index": 0, "tree_size": 3, "inclusion": [h]}));
        let all = json!({"leaf_index": 2, "tree_size": u64::MAX, "inclusion": [], "sth": sth, "consistency": [h]});
        assert_eq!(round_trip::<ProofAndHeadResponse>(all).proof.tree_size.get(), u64::MAX);
        let entry = json!({"leaf_index": 7, "timestamp": 5, "type": 2, "submission": "MAA=", "cert_hash": h, "chain": ["MAA="]});
        let mut pruned = entry.clone();
        pruned["submission"] = Value::Null;
        let page = round_trip::<EntriesResponse>(json!({"entries": [entry, pruned]}));
        assert_eq!(page.entries[0].entry_type, EntryType::Precertificate);
        assert_eq!(page.entries[1].submission, None);
        round_trip::<AnchorsResponse>(json!({"certificates": ["MAA="], "max_chain_length": 4}));
        round_trip::<LogDescriptor>(json!({
            "origin": "log.example/1", "log_id": h, "key": "MAA=", "vkey": "log.example/1+00000000+AA==", "operator": "Example",
            "sth_interval_seconds": 60, "mmd_seconds": 60, "not_after_start": 0, "not_after_limit": 1, "retention_seconds": 0,
            "witnesses": [], "hash": "SHA-256", "signature_algorithm": "Ed25519", "oid_arc": "1.3.6.1.4.1.32473.1"
        }));
    }

    #[test]
    fn wrong_members_are_refused() {
        let h = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for (log_id, size) in [("AAA=", json!(1)), (h, json!(-1)), (h, json!(1.5)), (h, json!("1"))] {
            let sth = json!({"log_id": log_id, "tree_size": size, "timestamp": 0, "root_hash": h, "signature": ""});
            assert!(serde_json::from_value::<SthResponse>(sth).is_err());
        }
        let entry =
            json!({"leaf_index": 7, "timestamp": 5, "type": 3, "submission": null, "cert_hash": h, "chain": []});
        assert!(serde_json::from_value::<EntryResponse>(entry).is_err());
    }
}
