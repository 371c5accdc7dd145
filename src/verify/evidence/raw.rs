//! The members of a bundle as they stand in JSON.

use serde::{Deserialize, Serialize};

use super::bundle::{About, BadEvidence, HeadProof, List};
use super::encoding::{B64, Hex32};
use crate::apki::Certificate;
use crate::keys::LogId;
use crate::log::proof::TlogProof;
use crate::log::sat::SignedAgentTimestamp;
use crate::log::sth::{SignedTreeHead, TreeHead};
use crate::merkle::{Hash, LeafIndex, TreeSize};
use crate::time::UnixMillis;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) format: String,
    pub(super) version: u64,
    pub(super) made_at: UnixMillis,
    pub(super) made_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<B64>,
    pub(super) signature: String,
    pub(super) certificates: Vec<B64>,
    pub(super) timestamps: Vec<RawSat>,
    pub(super) proofs: Vec<RawProof>,
    pub(super) tlog_proofs: Vec<RawTlogProof>,
    pub(super) answers: Vec<RawAnswer>,
    pub(super) lists: Vec<RawList>,
    /// It was held against the octets before they were read, and whoever writes puts it there afterwards.
    #[serde(default, rename = "sha256", skip_serializing)]
    pub(super) _sha256: Option<Hex32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSat {
    pub(super) certificate: Hex32,
    pub(super) sat: B64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProof {
    pub(super) certificate: Hex32,
    pub(super) leaf_index: LeafIndex,
    pub(super) inclusion: Vec<Hash>,
    pub(super) sth: RawHead,
}

/// A head as `get-sth` gives it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHead {
    pub(super) log_id: Hash,
    pub(super) tree_size: TreeSize,
    pub(super) timestamp: UnixMillis,
    pub(super) root_hash: Hash,
    pub(super) signature: B64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTlogProof {
    pub(super) certificate: Hex32,
    pub(super) proof: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAnswer {
    pub(super) certificate: Hex32,
    pub(super) ocsp: B64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawList {
    pub(super) signer: B64,
    pub(super) crl: B64,
}

pub(super) fn certificate(member: &'static str, index: usize, der: B64) -> Result<Certificate, BadEvidence> {
    Certificate::parse(der.0).map_err(|cause| BadEvidence::Certificate { member, index, cause })
}

impl<T> About<T> {
    const fn new(certificate: Hex32, fact: T) -> Self {
        Self { certificate: certificate.0, fact }
    }

    const fn hex(&self) -> Hex32 {
        Hex32(self.certificate)
    }
}

impl RawSat {
    pub(super) fn read(index: usize, raw: Self) -> Result<About<SignedAgentTimestamp>, BadEvidence> {
        let sat = SignedAgentTimestamp::from_der(&raw.sat.0);
        Ok(About::new(raw.certificate, sat.map_err(|cause| BadEvidence::Sat { index, cause })?))
    }

    pub(super) fn of(sat: &About<SignedAgentTimestamp>) -> Self {
        Self { certificate: sat.hex(), sat: B64(sat.fact.to_der()) }
    }
}

impl RawProof {
    pub(super) fn read(self) -> About<HeadProof> {
        let RawHead { log_id, tree_size, timestamp, root_hash, signature } = self.sth;
        let head = TreeHead { size: tree_size, timestamp, root: root_hash };
        let head = SignedTreeHead { log_id: LogId::new(*log_id.as_bytes()), head, signature: signature.0 };
        About::new(self.certificate, HeadProof { index: self.leaf_index, inclusion: self.inclusion, head })
    }

    pub(super) fn of(proof: &About<HeadProof>) -> Self {
        let HeadProof { index, inclusion, head } = &proof.fact;
        let sth = RawHead {
            log_id: Hash::new(*head.log_id.as_bytes()),
            tree_size: head.head.size,
            timestamp: head.head.timestamp,
            root_hash: head.head.root,
            signature: B64(head.signature.clone()),
        };
        Self { certificate: proof.hex(), leaf_index: *index, inclusion: inclusion.clone(), sth }
    }
}

impl RawTlogProof {
    pub(super) fn read(index: usize, raw: Self) -> Result<About<TlogProof>, BadEvidence> {
        let proof = TlogProof::parse(raw.proof.as_bytes());
        Ok(About::new(raw.certificate, proof.map_err(|cause| BadEvidence::Proof { index, cause })?))
    }

    pub(super) fn of(proof: &About<TlogProof>) -> Self {
        Self { certificate: proof.hex(), proof: proof.fact.to_string() }
    }
}

impl RawAnswer {
    pub(super) fn read(self) -> About<Vec<u8>> {
        About::new(self.certificate, self.ocsp.0)
    }

    pub(super) fn of(answer: &About<Vec<u8>>) -> Self {
        Self { certificate: answer.hex(), ocsp: B64(answer.fact.clone()) }
    }
}

impl RawList {
    pub(super) fn read(index: usize, raw: Self) -> Result<List, BadEvidence> {
        let signer = certificate("lists", index, raw.signer)?;
        Ok(List { signer, crl: raw.crl.0 })
    }

    pub(super) fn of(list: &List) -> Self {
        Self { signer: B64(list.signer.der().to_vec()), crl: B64(list.crl.clone()) }
    }
}
