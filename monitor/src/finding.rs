//! What is worth telling somebody.

use std::fmt;

use atl::log::checkpoint::Origin;
use atl::log::entry::CertHash;
use atl::merkle::{Hash, LeafIndex};
use atl::time::UnixMillis;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::head::SignedHead;

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// When there is time; goes into a digest.
    Info,
    /// Today.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// The word for it, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// How much a finding proves to somebody who does not trust us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// What the log or the CA signed contradicts itself, or what the owner states ([`Class::owners_word`]): anybody can
    /// check it offline.
    Proof,
    /// The log did not do what it must, and only we saw it: others may ask it the same.
    Challenge,
    /// It may have an innocent reason.
    Suspicion,
}

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $weight:ident, $title:literal, $advice:literal;)+) => {
        /// What was found: one of the cases of a log's misbehaviour, or one of the rules about entries.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $($(#[$doc])* $name,)+ }

        impl Class {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its stable code.
            pub const fn code(self) -> &'static str { match self { $(Self::$name => $code,)+ } }

            /// How soon somebody should look, unless silence rules say otherwise.
            pub const fn severity(self) -> Severity { match self { $(Self::$name => Severity::$severity,)+ } }

            /// How much it proves at most; what is kept as evidence may prove less.
            pub const fn weight(self) -> Weight { match self { $(Self::$name => Weight::$weight,)+ } }

            /// What it is, in a few words.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)+ } }

            /// What its reader should do.
            pub const fn advice(self) -> &'static str { match self { $(Self::$name => $advice,)+ } }
        }
    };
}

classes! {
    // What a log does.
    /// Two heads of one size and two roots.
    SameSizeOtherRoot = "log.same-size-other-root", Critical, Proof, "two heads of one size have different roots",
        "The log has shown two trees. Stop trusting its timestamps, and hand the evidence to everybody who does.";
    /// A larger head whose tree does not begin with that of a smaller one.
    InconsistentHeads = "log.inconsistent-heads", Critical, Proof, "a larger head does not continue a smaller one",
        "The log has rewritten its past. Stop trusting its timestamps, and hand the evidence to everybody who does.";
    /// A later head of a smaller tree.
    Rollback = "log.rollback", Critical, Proof, "a later head has a smaller tree",
        "The log has gone back behind what it signed, perhaps to an old copy of its database. Stop trusting it until it explains itself.";
    /// Two heads with one timestamp.
    SameTimestamp = "log.same-timestamp", Critical, Proof, "two different heads have one timestamp",
        "A log signs one head at a time (protocol section 4): its key is used in two places. Hand the evidence to its relying parties.";
    /// The tree head and the checkpoint of one size differ.
    CheckpointDiffers = "log.checkpoint-differs", Critical, Proof, "tree head and checkpoint of one size differ",
        "The log has shown two trees. Stop trusting its timestamps, and hand the evidence to everybody who does.";
    /// Two monitors were shown trees that cannot both be.
    SplitView = "log.split-view", Critical, Proof, "the log shows different trees to different monitors",
        "The log has shown two trees. Stop trusting its timestamps, and hand the evidence to everybody who does.";
    /// A head of which the log has signed nothing newer for too long.
    StaleHead = "log.stale-head", Warning, Suspicion, "the log has signed no new head for too long",
        "Ask its operator. Entries since then are seen by nobody, and relying parties that want fresh heads refuse.";
    /// A head dated ahead.
    FutureHead = "log.future-head", Warning, Suspicion, "a head is dated in the future",
        "Compare your clock with others; if it is right, ask the log's operator.";
    /// The entries that the log serves do not have the root that it signed.
    RootMismatch = "log.root-mismatch", Critical, Challenge, "the entries served do not have the signed root",
        "Let another monitor fetch the same entries. If it sees the same, the log hides what it signed.";
    /// A tile, bundle or certificate that is not what the tree says.
    BadTile = "log.bad-tile", Warning, Challenge, "what the log serves contradicts itself",
        "Ask the log's operator; if entries stay unreadable, nobody can audit them.";
    /// A proof that the log refused to give.
    ProofRefused = "log.proof-refused", Warning, Challenge, "the log gives no proof where it must",
        "Ask the log the same question from elsewhere. A refusal proves nothing to others, but an honest log can answer.";
    /// A proof that does not verify.
    ProofGarbage = "log.proof-garbage", Critical, Challenge, "a proof that the log gave does not verify",
        "Ask the log the same question from elsewhere. An honest log can prove what it signed.";
    /// A timestamp whose entry is not in the tree after the merge delay.
    NotIncluded = "log.not-included", Critical, Challenge, "a timestamp's entry is not in the tree",
        "The log promised what it did not keep. Do not accept the certificate, and show the timestamp to the log's operator.";
    /// An entry dated after the head that covers it.
    EntryNewerThanHead = "log.entry-newer-than-head", Critical, Challenge, "an entry is dated after the head that covers it",
        "The log's timestamps cannot be relied on (protocol section 4). Ask its operator.";
    /// A timestamp that does not fit the heads around it.
    TimestampOutOfBounds = "log.timestamp-out-of-bounds", Warning, Challenge, "a timestamp does not fit the heads around its entry",
        "The log has dated an entry where it cannot have been. Ask its operator.";
    /// The log does not answer.
    Unreachable = "log.unreachable", Warning, Suspicion, "the log cannot be read",
        "Look at the network and at the log. What is not read is not watched.";
    // What the entries are.
    /// A certificate in a watched trust domain that the owner has not said to have ordered.
    Unauthorised = "entry.unauthorised", Critical, Proof, "a certificate in a watched trust domain that is not in the owner's feed",
        "Find out who ordered it. If nobody did, have the CA revoke it, and look at how the CA could be made to issue it.";
    /// Our organisation's name in another domain.
    ForeignOrganization = "entry.foreign-organization", Warning, Proof, "a certificate claims our organisation from another trust domain",
        "Ask the other domain's CA to revoke it unless you know of it.";
    /// Our organisation's name without the delegation that the owner asks for.
    UndelegatedOrganization = "entry.undelegated-organization", Warning, Proof, "a certificate claims our organisation without a delegation",
        "Find out why nobody stands behind this agent; have it revoked if nobody does.";
    /// More certificates of one CA than its past explains.
    BulkRegistration = "entry.bulk-registration", Warning, Suspicion, "a CA registers far more agents than before",
        "Look at what it registers; attackers prepare identities in bulk.";
    /// A score above the owner's policy.
    ScoreAbovePolicy = "entry.score-above-policy", Warning, Proof, "a trust score is above the owner's policy",
        "Ask the CA what the score stands on, and have the certificate reissued or revoked.";
    /// A tier that is not the score's.
    TierMismatch = "entry.tier-mismatch", Critical, Proof, "the trust tier is not the one of the score",
        "Relying parties refuse it. Tell the CA that its profile is broken or misused.";
    /// An extension that does not decode.
    MalformedExtension = "entry.malformed-extension", Warning, Proof, "an agent extension is malformed",
        "Relying parties refuse it. Tell the CA.";
    /// A validity outside of 5 minutes to 24 hours.
    ValidityOutOfBounds = "entry.validity-out-of-bounds", Warning, Proof, "the validity is not between 5 minutes and 24 hours",
        "Relying parties refuse more than 24 hours. Tell the CA.";
    /// A certificate beside the profile that its CA is bound to.
    Profile = "entry.profile", Info, Proof, "a certificate does not keep the profile",
        "Relying parties take it all the same (protocol R11). Tell the CA when there is time.";
    /// The root of a line of delegations that is none.
    DelegationRoot = "entry.delegation-root", Warning, Proof, "the root of a delegation is not as it must be",
        "Nobody answers for this agent, or its line has no beginning; relying parties refuse it. Tell the CA.";
    /// A delegation whose parent is in no log.
    ParentUnresolved = "entry.parent-unresolved", Warning, Challenge, "a delegation's parent is in no watched log",
        "Nobody can check what this agent may do. Ask the CA to log the parent's certificate (protocol section 3).";
    /// A delegation that gives more than the parent has.
    DelegationExpanded = "entry.delegation-expanded", Critical, Proof, "a delegation gives more than its parent has",
        "The CA signed what the rules forbid. Have the certificate revoked, and hand the fraud proof to the CA's relying parties.";
    /// A certificate that is not in the other log that it has a timestamp of.
    MissingFromOtherLog = "entry.missing-from-other-log", Warning, Challenge, "a certificate is not in the other log that it should be in",
        "Either the other log broke its promise or the CA did not submit. Ask both.";
    /// A name made to be taken for a watched one.
    Lookalike = "entry.lookalike", Warning, Suspicion, "a trust domain looks like a watched one",
        "Find out who is behind it. If it imitates you, tell its CA and registrar, and warn those who deal with your agents.";
    /// A name that is a little like a watched one.
    LookalikeDigest = "entry.lookalike-digest", Info, Suspicion, "a trust domain is a little like a watched one",
        "It may be chance. Look at these now and then, and allow those that are known and harmless.";
    // The monitor itself.
    /// A test, sent on demand.
    Test = "monitor.test", Info, Suspicion, "a test of this monitor's alerts",
        "Nothing is wrong: somebody ran atl-monitor test-alert.";
}

impl Class {
    /// The class with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.code() == code)
    }

    /// What of it only the owner knows, for all that is signed; `None` where what is signed says it all.
    pub const fn owners_word(self) -> Option<&'static str> {
        match self {
            Self::Unauthorised => Some("that nobody ordered it"),
            Self::ForeignOrganization => Some("that the organisation's name is the owner's alone"),
            Self::UndelegatedOrganization => Some("that this organisation's agents all have a delegation"),
            Self::ScoreAbovePolicy => Some("which score is too high"),
            _ => None,
        }
    }

    /// What a finding of this class proves and to whom, in words, where its evidence was kept or was not.
    pub fn proves(self, has_evidence: bool) -> String {
        let to = if has_evidence {
            "offline, to anybody who has the evidence"
        } else {
            "to anybody who reads the entry in the log, with its inclusion proof"
        };
        match (self.weight(), self.owners_word()) {
            (Weight::Proof, Some(word)) => {
                format!("that the certificate is in the log and says so, {to}; {word} is the owner's own knowledge")
            }
            (Weight::Proof, None) if self.accuses_log() && !has_evidence => "nothing without its evidence".into(),
            (Weight::Proof, None) => format!("everything, {to}"),
            (Weight::Challenge, _) if has_evidence => {
                "what its evidence says, and others may ask the log the same".into()
            }
            (Weight::Challenge, _) => "nothing by itself; others may ask the log the same".into(),
            (Weight::Suspicion, _) => "nothing; it may have an innocent reason".into(),
        }
    }

    /// Whether it is about what a log did, and not about what is in it.
    pub fn accuses_log(self) -> bool {
        self.code().starts_with("log.")
    }

    /// Whether the log itself is proven to have misbehaved, so that nothing more of it is trusted.
    pub fn freezes_log(self) -> bool {
        self.weight() == Weight::Proof && self.accuses_log()
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Class {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Class {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| serde::de::Error::custom(format!("{code:?} is no class of findings")))
    }
}

/// Which entry of which log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntryRef {
    /// The log's origin.
    pub log: String,
    /// The leaf.
    pub index: LeafIndex,
    /// SHA-256 of the certificate as it was submitted.
    pub cert_hash: CertHash,
}

/// A finding's stable name: the same finding found again, after a crash or by another poll, has the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId([u8; 16]);

impl FindingId {
    /// The identifier of these 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut octets = [0; 16];
        hex::decode_to_slice(text, &mut octets).ok()?;
        Some(Self(octets)).filter(|id| id.to_string() == text)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FindingId({self})")
    }
}

/// Something worth telling somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub class: Class,
    /// The origin of the log that it is about or was found in; empty for none.
    pub log: String,
    /// What it is about within the class and the log, so that finding it again is known to be that: a certificate
    /// hash, two roots, a name. Not for people.
    pub subject: String,
    /// One sentence for people: who did what.
    pub summary: String,
    /// More for people, each with its name: the certificate in words, hashes, times.
    pub details: Vec<(String, String)>,
    /// The entry in question.
    pub entry: Option<EntryRef>,
    /// The directory below `evidence/` that proves it, where there is one: a SHA-256 in hex.
    pub evidence: Option<String>,
    /// When it was found first.
    pub found_at: UnixMillis,
}

impl Finding {
    /// A finding of this class, in the log `log` or in none, about `subject`, in one sentence.
    pub fn new(class: Class, log: Option<&Origin>, subject: &str, summary: String, now: UnixMillis) -> Self {
        Self {
            class,
            log: log.map(|origin| origin.as_str().to_owned()).unwrap_or_default(),
            subject: subject.to_owned(),
            summary,
            details: Vec::new(),
            entry: None,
            evidence: None,
            found_at: now,
        }
    }

    /// Its stable name.
    pub fn id(&self) -> FindingId {
        let mut hasher = Sha256::new();
        for part in [self.class.code(), &self.log, &self.subject] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let hash: [u8; 32] = hasher.finalize().into();
        FindingId(std::array::from_fn(|n| hash[n]))
    }

    /// The same with a line more for people.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.details.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same with the proof that its entry is leaf `index` in the tree of `head`, or why there is none to be had:
    /// that keeps nobody from being told.
    #[must_use]
    pub fn with_proof(self, index: LeafIndex, head: &SignedHead, proof: Result<&[Hash], &str>) -> Self {
        let signed = head.timestamp().map(|at| format!(", signed {at}")).unwrap_or_default();
        let covered = format!("the head of {} entries, root {}{signed}", head.size(), head.root());
        let text = |hash: &Hash| STANDARD.encode(hash.as_bytes());
        let proof = match proof {
            Ok(path) => format!("leaf {index}: {}", path.iter().map(text).collect::<Vec<_>>().join(" ")),
            Err(why) => format!("not to be had: {why}"),
        };
        self.with("covered by", covered).with(INCLUSION_PROOF, proof)
    }
}

/// The name of the detail that has the inclusion proof of a finding's entry.
pub const INCLUSION_PROOF: &str = "inclusion proof";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_come_back() {
        for (n, class) in Class::ALL.iter().enumerate() {
            assert_eq!(Class::from_code(class.code()), Some(*class));
            assert!(!Class::ALL[..n].iter().any(|other| other.code() == class.code()), "{class}");
        }
        assert_eq!(Class::from_code("log.other"), None);
        assert!(Class::SplitView.freezes_log());
        assert!(!Class::StaleHead.freezes_log() && !Class::Unauthorised.freezes_log());
    }

    #[test]
    fn nothing_claims_to_prove_what_only_the_owner_knows() {
        let known =
            [Class::Unauthorised, Class::ForeignOrganization, Class::UndelegatedOrganization, Class::ScoreAbovePolicy];
        for class in Class::ALL {
            let (with, without) = (class.proves(true), class.proves(false));
            let of_owner = known.contains(class);
            assert!(with.ends_with("is the owner's own knowledge") == of_owner, "{class}: {with}");
            // "Everything" is said of what is signed and speaks for itself, and of a log only with the evidence.
            let is_whole = class.weight() == Weight::Proof && !of_owner;
            assert_eq!(with.starts_with("everything, offline, "), is_whole, "{class}: {with}");
            assert_eq!(without.starts_with("everything, "), is_whole && !class.accuses_log(), "{class}: {without}");
        }
        assert_eq!(
            Class::Unauthorised.proves(true),
            "that the certificate is in the log and says so, offline, to anybody who has the evidence; that nobody \
             ordered it is the owner's own knowledge"
        );
    }

    #[test]
    fn the_name_of_a_finding_is_what_it_is_about() {
        let origin: Origin = "log.example/1".parse().unwrap();
        let finding = |class, subject: &str, at| {
            Finding::new(class, Some(&origin), subject, "x".into(), UnixMillis::new(at)).id()
        };
        let one = finding(Class::Lookalike, "a.example", 1);
        assert_eq!(one, finding(Class::Lookalike, "a.example", 2));
        assert_ne!(one, finding(Class::Lookalike, "b.example", 1));
        assert_ne!(one, finding(Class::Unauthorised, "a.example", 1));
        assert_eq!(FindingId::parse(&one.to_string()), Some(one));
        assert_eq!(FindingId::parse(&one.to_string().to_uppercase().replace('0', "A")), None);
    }
}
