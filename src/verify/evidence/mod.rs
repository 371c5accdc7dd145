//! The evidence bundle: who authorised this, under what limits, on whose behalf, and was the certificate in the
//! public log at the time? Answered offline, years later, from one file; or else which link fails.
//!
//! An agent signs what it does ([`SignedAction`]). Somebody who was there, the agent itself or whoever relied on it,
//! collects what stood behind the signature then ([`Evidence`]). Somebody else, who trusts neither, verifies it with
//! a policy, domains and logs of his own ([`verify`]).
//!
//! # The format, version 1
//! A JSON object, as `JSON.stringify(…, null, 2)` writes it, with a line end behind it. All members are there but
//! `action`, in this order, and no others; DER is in base64, a SHA-256 in lower-case hex, times in milliseconds since
//! 1970. There is one encoding of a bundle, and everything else is refused.
//!
//! | member | what it is |
//! |---|---|
//! | `format`, `version` | `"atl-evidence"` and 1 |
//! | `made_at`, `made_by` | when and by what program; nobody signs either |
//! | `action` | the octets, base64; left out where only their hash is to be kept |
//! | `signature` | the [signature of the action](action): a JWS in compact form |
//! | `certificates` | DER: the agent's final certificate, its CAs, the agents above it up to depth 0, each with its CAs where these are others |
//! | `timestamps` | `{certificate, sat}`: DER of a timestamp that is not embedded in the certificate |
//! | `proofs` | `{certificate, leaf_index, inclusion, sth}`: a proof of inclusion as `get-proof-by-hash` gives it, up to a head as `get-sth` does |
//! | `tlog_proofs` | `{certificate, proof}`: the text of a C2SP tlog-proof, with its checkpoint |
//! | `answers` | `{certificate, ocsp}`: DER of an OCSP response |
//! | `lists` | `{signer, crl}`: DER of a revocation list, and of the certificate of whoever signed it |
//! | `sha256` | SHA-256 of all lines before this one (`head -n -2 FILE \| sha256sum`): it shows damage, and proves nothing |
//!
//! `certificate` in a fact is the SHA-256 of one of `certificates`. A proof is about the entry that the certificate's
//! timestamps are about: the recovered precertificate, or the certificate itself where its timestamps came beside it.
//!
//! # What is judged, and when
//! Everything is judged as it was at the moment that the agent states (`signed_at`), or better, at the one at which
//! the verifier had the action ([`Question::received_at`]):
//! - validity, decay, delegation, capabilities as of then;
//! - timestamps of logs from before then, as far as two clocks a minute apart can tell; the head of a proof may be of
//!   later: it shows that the log kept its word;
//! - revocation as it was then. An OCSP answer or list of that time does as it would have done then, and one of later
//!   does better: it says whether the certificate had been revoked by then. Who was revoked later was authorised
//!   then. But behind the end of a certificate nobody is cleared by a `good` (RFC 5280 section 3.3, RFC 6960 section
//!   2.2): collect the bundle while the certificates of the line are valid. Answers are verified as of their own
//!   moment: that they and their responder have run out since does not matter. A revocation counts from the second on
//!   that the CA states, against the millisecond that the agent states: closer than a minute, clocks decide.
//!
//! # What the verifier brings
//! Nothing in a bundle says whom to trust. Years later these are the verifier's to keep:
//! - **Roots.** A trust bundle ([`federation`](crate::apki::federation)) holds as of the moment in question: that it has
//!   run out since does not matter, and one from after that moment counts as well, for the CAs in it that were valid
//!   then. One that had run out before does not count. Where the bundle of that time is lost or the domain has
//!   replaced its roots, configure the roots of that time by hand; they do not run out but by their own validity.
//! - **Logs.** A log that was closed or lost its key since is listed with the end of its trust
//!   ([`TrustedLog::until`](super::relying::TrustedLog::until)): timestamps and heads from before count. Its checkpoints,
//!   which have no time, then do not.
//! - **Algorithms and minimums** are those that he accepts for things of that time: somebody else may have been able to
//!   forge a signature in the meantime, and no bundle says when it was made.
//!
//! # What it does not prove
//! - *When* it was signed: the agent says so. Whoever had the key could date a signature back to any moment of the
//!   certificate's validity, which is a day at most. [`Question::received_at`] settles it for the one who received.
//! - That the octets mean the `operation` that the agent names ([`Question::operation`]).
//! - What was spent or called besides: limits per period need a [ledger](super::relying), and one action is judged alone.
//! - That others were shown the same log, unless a proof has witnesses or the verifier has an audit.

pub mod action;
mod bundle;
mod encoding;
mod finding;
mod gather;
mod link;
mod raw;
#[cfg(test)]
mod tests;
mod verdict;

pub use self::action::{ACTION_TYP, ActionError, Digest, SignedAction, Statement};
pub use self::bundle::{
    About, BadEvidence, Evidence, FORMAT, HeadProof, List, MAX_ACTION, MAX_EVIDENCE, MAX_FACTS, MAX_LISTS, VERSION,
};
pub use self::finding::{Answers, Entry, Finding, Limits, Logged, OnBehalfOf, Parent, RevokedLater, Right, Who};
pub use self::link::{ActionCode, Failure, Link, Outcome, Step};
pub use self::verdict::{Principal, Question, verify};
