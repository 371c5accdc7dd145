//! What evidence proves, derived again from what is written down and from nothing else.

mod attenuation;
mod certificates;
mod ground;
mod heads;
mod promises;

use std::fmt;

use atl::log::note::VerifierKey;
use serde::{Deserialize, Serialize};

use self::ground::Ground;
use super::case::Case;
use super::files::Files;
use super::manifest::{MANIFEST, Manifest};
use super::{observer, raw, readme};
use crate::finding::{Class, Weight};

/// How an [`Outcome`] came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Anybody can check it.
    Proven,
    /// It does not hold.
    NotProven,
    /// All that can be checked holds, and the rest has to be believed or asked again.
    SuspicionOnly,
}

impl Verdict {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::NotProven => "not-proven",
            Self::SuspicionOnly => "suspicion-only",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What evidence proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Misbehaviour is proven to everybody who knows the log's key.
    Proven {
        /// What is proven, in one or two sentences.
        what: String,
        /// The signatures and proofs that it stands on, a sentence each. All of them were checked.
        by: Vec<String>,
    },
    /// Nothing is proven: something in it does not hold, or has been changed.
    NotProven {
        /// What does not hold.
        why: String,
    },
    /// What can be checked holds, and it does not prove misbehaviour.
    SuspicionOnly {
        /// Why not, and what one can do to find out.
        why: String,
        /// The signatures and proofs in it, a sentence each. All of them were checked.
        by: Vec<String>,
    },
}

impl Outcome {
    /// How it came out.
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Proven { .. } => Verdict::Proven,
            Self::NotProven { .. } => Verdict::NotProven,
            Self::SuspicionOnly { .. } => Verdict::SuspicionOnly,
        }
    }

    /// What is proven, or why nothing is.
    pub fn says(&self) -> &str {
        match self {
            Self::Proven { what, .. } => what,
            Self::NotProven { why } | Self::SuspicionOnly { why, .. } => why,
        }
    }

    /// The signatures and proofs that it stands on; none where nothing is proven.
    pub fn by(&self) -> &[String] {
        match self {
            Self::Proven { by, .. } | Self::SuspicionOnly { by, .. } => by,
            Self::NotProven { .. } => &[],
        }
    }
}

/// What is claimed, once everything signed has been found to be so.
enum Claim {
    /// It follows.
    Holds(String),
    /// It may be so.
    Open(String),
}

/// Checks the files of one piece of evidence.
///
/// With `pinned` keys all logs in it must be among them. Without any, that the keys are those of the logs is the
/// evidence's own word. Every file is held against the manifest, and the manifest against its observer's signature,
/// so that whoever opens a file sees what was checked.
pub fn check(files: &Files, pinned: &[VerifierKey]) -> Outcome {
    match whole(files) {
        Err(why) => Outcome::NotProven { why },
        Ok(manifest) => check_manifest(&manifest, pinned),
    }
}

/// What a case proves before it is written down, or as it was.
pub fn judge(case: &Case) -> Outcome {
    let judged = Ground::verify(case).and_then(|ground| Ok((claim(&ground)?, ground.by)));
    match judged {
        Err(why) => Outcome::NotProven { why },
        Ok((Claim::Holds(what), by)) => Outcome::Proven { what, by },
        Ok((Claim::Open(why), by)) => Outcome::SuspicionOnly { why, by },
    }
}

/// The manifest, where all other files are what it says they are.
pub(super) fn whole(files: &Files) -> Result<Manifest, String> {
    let octets = files.get(MANIFEST).ok_or_else(|| format!("{MANIFEST} is missing"))?;
    let manifest = Manifest::read(octets).map_err(|e| format!("{MANIFEST}: {e}"))?;
    let expected = raw::files(&manifest.case).map_err(|e| format!("{MANIFEST}: {e}"))?;
    for (name, octets) in &expected {
        let found = files.get(name).ok_or_else(|| format!("{name} is missing"))?;
        if found != octets {
            return Err(format!("{name} is not what {MANIFEST} says, so one of the two has been changed"));
        }
    }
    let readme = files.get(readme::NAME).ok_or_else(|| format!("{} is missing", readme::NAME))?;
    if !manifest.has_readme(readme) {
        return Err(format!("{} has been changed: its hash is not the one in {MANIFEST}", readme::NAME));
    }
    let note = files.get(observer::NAME).ok_or_else(|| format!("{} is missing", observer::NAME))?;
    observer::check(note, octets, &manifest).map_err(|e| format!("{}: {e}", observer::NAME))?;
    let known = |name: &str| [MANIFEST, readme::NAME, observer::NAME].contains(&name) || expected.contains_key(name);
    match files.names().find(|name| !known(name)) {
        Some(stranger) => Err(format!("{stranger:?} is no part of the evidence; take it away and check again")),
        None => Ok(manifest),
    }
}

fn check_manifest(manifest: &Manifest, pinned: &[VerifierKey]) -> Outcome {
    if !pinned.is_empty() {
        let is_pinned = |vkey: &str| pinned.iter().any(|key| key.to_string() == vkey);
        if let Some(log) = manifest.case.logs.iter().find(|log| !is_pinned(&log.vkey)) {
            let why = format!(
                "the evidence is against a log {} with the key {}, which is none of the keys that you gave",
                log.origin, log.vkey
            );
            return Outcome::NotProven { why };
        }
    }
    let outcome = judge(&manifest.case);
    let verdict = outcome.verdict();
    if verdict == Verdict::NotProven {
        return outcome;
    }
    if verdict != manifest.verdict || manifest.case.id(verdict) != manifest.id {
        let why = format!("what is in {MANIFEST} is not what was found: its name or its verdict has been changed");
        return Outcome::NotProven { why };
    }
    outcome
}

/// Whether what the class says follows from what is signed.
fn claim(ground: &Ground<'_>) -> Result<Claim, String> {
    match ground.case.class {
        Class::SameSizeOtherRoot => heads::same_size(ground),
        Class::CheckpointDiffers => heads::checkpoint_differs(ground),
        Class::InconsistentHeads => heads::inconsistent(ground),
        Class::SplitView => heads::split_view(ground),
        Class::Rollback => heads::rollback(ground),
        Class::SameTimestamp => heads::same_timestamp(ground),
        Class::NotIncluded => promises::not_included(ground),
        Class::EntryNewerThanHead => promises::entry_newer(ground),
        Class::TierMismatch => certificates::tier(ground),
        Class::MalformedExtension => certificates::malformed(ground),
        Class::ValidityOutOfBounds => certificates::validity(ground),
        Class::ScoreAbovePolicy => certificates::score(ground),
        Class::ForeignOrganization => certificates::foreign_organization(ground),
        Class::UndelegatedOrganization => certificates::undelegated(ground),
        Class::Unauthorised => certificates::unauthorised(ground),
        Class::DelegationExpanded => attenuation::expanded(ground),
        Class::DelegationRoot => attenuation::root(ground),
        other => Ok(Claim::Open(doubt(other))),
    }
}

/// Why a class proves nothing by what is kept of it, and what one can do.
fn doubt(class: Class) -> String {
    let ask = match class {
        Class::StaleHead => "That nothing newer was signed cannot be proven; fetch get-sth and look at its timestamp.",
        Class::FutureHead => {
            "Whether a head is of the future depends on whose clock is right; compare its timestamp with when you first \
             see it."
        }
        Class::RootMismatch | Class::BadTile => {
            "What a log serves is not signed; fetch the same entries and tiles, derive the root (atl log fsck URL does), \
             and hold it against the signed head in here."
        }
        Class::ProofRefused | Class::ProofGarbage => {
            "An answer is not signed; ask the log for the same proof, as the receipts show. An honest log can prove what \
             it signed."
        }
        Class::TimestampOutOfBounds => "Look the entry up, and compare its timestamp with the heads around it.",
        Class::ParentUnresolved | Class::MissingFromOtherLog => {
            "That an entry is in no log cannot be proven by what one monitor saw; ask the logs for it by its hash."
        }
        Class::BulkRegistration | Class::Lookalike | Class::LookalikeDigest => {
            "It may have an innocent reason; look at the certificates."
        }
        Class::Profile => "Relying parties do not refuse for it (protocol R11); look at the certificate.",
        _ => "Ask the log yourself, as the receipts show.",
    };
    let weight = match class.weight() {
        Weight::Challenge => "It rests on what the observer was answered. ",
        _ => "It is a suspicion. ",
    };
    format!("{weight}{ask}")
}
