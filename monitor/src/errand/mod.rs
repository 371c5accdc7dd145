//! What rules cannot know from an entry alone, and somebody has to ask: kept in the database with the position
//! from which it follows, asked until it is answered.

use atl::log::entry::CertHash;
use atl::merkle::Hash;
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::finding::{EntryRef, Finding};
use crate::state::{StateError, Table, Write};

/// Something to ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "errand")]
pub enum Errand {
    /// Where is this delegation's parent, and may it give what it gave?
    Parent {
        /// The child's entry.
        child: EntryRef,
        /// SHA-256 of the parent's final certificate.
        parent: CertHash,
    },
    /// A timestamp of a log that we follow: is its entry in that log's tree?
    Included {
        /// The entry in whose certificate the timestamp is; `None` where somebody gave it to us.
        entry: Option<EntryRef>,
        /// The SAT in DER, base64.
        sat: atl::api::B64,
        /// What it is over.
        cert_hash: CertHash,
        /// From when on it must be there: its own time and the log's merge delay.
        due: UnixMillis,
    },
    /// An entry that should be in another log as well.
    Elsewhere {
        /// The entry.
        entry: EntryRef,
        /// The other log's origin.
        log: String,
        /// From when on it must be there.
        due: UnixMillis,
    },
    /// A certificate in a watched trust domain that the owner's feed did not know when it was read: does it by now?
    /// [`settle`](crate::rules::unauthorised::settle) says.
    Authorised {
        /// Hashes by which the feed may know it: as it was submitted, and of the precertificate behind it.
        known_as: Vec<CertHash>,
        /// What is told if it does not.
        finding: Box<Finding>,
        /// When the feed has had its time.
        due: UnixMillis,
    },
}

/// Errands to run, by what they are: the same errand is kept once.
const ERRANDS: Table<Errand> = Table::new("errands");

/// Keeps an errand as part of a step.
pub fn post(write: &mut Write, errand: &Errand) -> Result<(), StateError> {
    let key = serde_json::to_vec(errand).map_err(|e| StateError::Row { table: "errands", reason: e.to_string() })?;
    write.put(&ERRANDS, Hash::of(&key).as_bytes(), errand)
}
