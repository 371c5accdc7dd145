//! Audit statements: a monitor says that it has verified a log, up to which head, when, and what came of it.
//!
//! A relying party is to accept timestamps only from logs that somebody else has audited within the last
//! 24 hours (draft section 11.2.5). The draft does not say how it learns of it, and neither RFC 9162 nor
//! C2SP have a format, so **this one is ours**: a signed note (C2SP signed-note), signed by the monitor's
//! Ed25519 key with signature type 0x01 under the monitor's name. Its text has seven lines, each ended by
//! a newline:
//!
//! ```text
//! atl-audit/v1
//! atl.example.com/2026h2
//! cb15fd2673798684942909404bf3b5f7ad7ad0519e69738c0c3537e0bf2fc047
//! 7
//! 2cyUlx8w44XkjRG/K8h0JkROoOqmk9RStusXSniZRsw=
//! 1775822400007
//! consistent
//! ```
//!
//! | line | what it is |
//! |---|---|
//! | 1 | the format, always `atl-audit/v1` |
//! | 2 | the log's origin, as in its checkpoints (protocol section 4) |
//! | 3 | the log's identifier, SHA-256 of its key, in lower-case hex |
//! | 4 | the number of leaves of the head that the statement is about, in decimal without leading zeros |
//! | 5 | the root of that head, in base64 with padding |
//! | 6 | when the monitor came to its verdict, milliseconds since the Unix epoch, in decimal |
//! | 7 | the verdict: `consistent` or `inconsistent` |
//!
//! There are no further lines; another verdict or another line is another version. Lines of keys that a
//! reader does not know are ignored, a line of the monitor's that does not verify refuses the whole, as
//! everywhere in notes (ruling R26).
//!
//! No such text is another message that the same key may sign, should somebody use one key twice (protocol
//! section 4). It starts with a letter, unlike what is signed for a SAT (0x30) and a tree head (0x00);
//! and its second line is an origin, which starts with a letter, where a checkpoint has its size, a digit,
//! and a [cosignature](super::cosignature) the word `time` and a space, which no origin has. A log's own
//! key signs no audit statement about that log: to audit oneself says nothing.

use std::fmt;

use thiserror::Error;

use super::MAX_AHEAD_MS;
use super::checkpoint::{BadOrigin, Origin};
use super::line::{base64_hash, decimal, hash};
use super::note::{KeyName, Note, NoteError, VerifierKey};
use crate::keys::{LogId, SignError, Signer};
use crate::merkle::{Hash, TreeSize};
use crate::time::UnixMillis;

/// The first line.
const FORMAT: &str = "atl-audit/v1";

/// Why octets are not a monitor's audit statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuditError {
    /// Not a signed note, or not signed by the monitor.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The first line is not that of the format.
    #[error("an audit statement starts with the line {FORMAT}; another version may have another line")]
    Format,
    /// More or fewer than seven lines.
    #[error("an audit statement has seven lines, each ended by a newline")]
    Lines,
    /// The second line is no origin.
    #[error(transparent)]
    Origin(#[from] BadOrigin),
    /// The third line is no log identifier.
    #[error("the audited log's identifier is not 64 lower-case hex digits")]
    LogId,
    /// The fourth line is no number.
    #[error("the audited size is not a decimal number of 64 bits without leading zeros")]
    Size,
    /// The fifth line is no hash.
    #[error("the audited root is not 32 octets in base64 with padding")]
    Root,
    /// The sixth line is no number.
    #[error("the time of the audit is not a decimal number of 64 bits without leading zeros")]
    Time,
    /// The last line is none of the verdicts.
    #[error("the verdict of the audit is neither `consistent` nor `inconsistent`")]
    Verdict,
    /// The key that signed is that of the log audited.
    #[error("the log has audited itself; take the statement of a monitor that somebody else runs")]
    OwnLog,
}

/// What came of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The entries that the log served have the root of the head, and the head continues every other that
    /// the monitor has seen of this log.
    Consistent,
    /// They do not, or it does not: the log signed this head, and it has misbehaved.
    Inconsistent,
}

impl Verdict {
    /// The word of the last line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::Inconsistent => "inconsistent",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Consistent, Self::Inconsistent].into_iter().find(|verdict| verdict.as_str() == word)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a monitor says of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditStatement {
    /// The log's name in its checkpoints.
    pub origin: Origin,
    /// The log's key, by its hash.
    pub log_id: LogId,
    /// The number of leaves of the head that this is about.
    pub size: TreeSize,
    /// The root of that head.
    pub root: Hash,
    /// When the monitor came to its verdict.
    pub at: UnixMillis,
    /// What came of it.
    pub verdict: Verdict,
}

impl AuditStatement {
    /// Reads the text of a note as an audit statement.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let lines: Vec<_> = text.strip_suffix('\n').ok_or(AuditError::Lines)?.splitn(8, '\n').collect();
        if lines.first() != Some(&FORMAT) {
            return Err(AuditError::Format);
        }
        let &[_, origin, log_id, size, root, at, verdict] = lines.as_slice() else { return Err(AuditError::Lines) };
        Ok(Self {
            origin: origin.parse()?,
            log_id: read_log_id(log_id).ok_or(AuditError::LogId)?,
            size: TreeSize::new(decimal(size).ok_or(AuditError::Size)?),
            root: hash(root).ok_or(AuditError::Root)?,
            at: UnixMillis::new(decimal(at).ok_or(AuditError::Time)?),
            verdict: Verdict::from_word(verdict).ok_or(AuditError::Verdict)?,
        })
    }

    /// How long ago the verdict was come to, in milliseconds: what a relying party bounds. 0 where it
    /// is dated ahead of `now` by at most [`MAX_AHEAD_MS`], `None` beyond: such a statement does not count.
    pub fn age(&self, now: UnixMillis) -> Option<u64> {
        (self.at <= now.saturating_add(MAX_AHEAD_MS)).then(|| now.since(self.at))
    }
}

/// The text of the note, which is what is signed.
impl fmt::Display for AuditStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, log_id, size, root, at, verdict } = self;
        writeln!(f, "{FORMAT}\n{origin}\n{log_id}\n{size}\n{}\n{}\n{verdict}", base64_hash(root), at.get())
    }
}

fn read_log_id(text: &str) -> Option<LogId> {
    let mut octets = [0; 32];
    hex::decode_to_slice(text, &mut octets).ok()?;
    let id = LogId::new(octets);
    (id.to_string() == text).then_some(id)
}

/// Signs `statement` as the monitor `name`. Whether it is true is for the caller to know. Fails where
/// `signer` is not an Ed25519 key, or is the key of the log itself.
pub fn sign_audit(signer: &dyn Signer, name: &KeyName, statement: &AuditStatement) -> Result<String, SignError> {
    if signer.public_key().log_id() == statement.log_id {
        return Err(SignError(AuditError::OwnLog.to_string()));
    }
    Ok(Note::sign(statement.to_string(), name, signer)?.to_string())
}

/// Reads an audit statement that the monitor with the key `monitor` signed. A line by that key that does
/// not verify refuses the whole (R26); lines of others are ignored. How old it may be
/// ([`AuditStatement::age`]) and whether it is about the log asked for is for the caller to judge.
pub fn open_audit(octets: &[u8], monitor: &VerifierKey) -> Result<AuditStatement, AuditError> {
    let note = Note::parse(octets)?;
    note.verify(monitor)?;
    let statement = AuditStatement::parse(note.text())?;
    if statement.log_id == monitor.key().log_id() { Err(AuditError::OwnLog) } else { Ok(statement) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::Ed25519Signer;
    use crate::log::checkpoint::{Checkpoint, CheckpointError, checkpoint_of, open_checkpoint};
    use crate::log::cosignature::{CosignatureTime, WitnessKey, cosign, cosigned_at};
    use crate::log::entry::CertHash;
    use crate::log::note::NoteSignature;
    use crate::log::sat::SignedAgentTimestamp;
    use crate::log::sth::TreeHead;
    use crate::log::testing::{AUDIT, LOG, MONITOR, change_line};

    fn monitor() -> VerifierKey {
        MONITOR.parse().unwrap()
    }

    fn signer() -> Ed25519Signer {
        Ed25519Signer::from_seed(&[31; 32]).unwrap()
    }

    fn text() -> &'static str {
        let (text, _) = AUDIT.split_at(AUDIT.find("\n\n").unwrap() + 1);
        text
    }

    #[test]
    fn the_known_statement_is_read_and_signed_again() {
        let statement = open_audit(AUDIT.as_bytes(), &monitor()).unwrap();
        let log: VerifierKey = LOG.parse().unwrap();
        assert_eq!((statement.origin.as_str(), statement.log_id), (log.name().as_str(), log.key().log_id()));
        assert_eq!((statement.size.get(), statement.at.get()), (7, 1_775_822_400_007));
        assert_eq!(base64_hash(&statement.root), "2cyUlx8w44XkjRG/K8h0JkROoOqmk9RStusXSniZRsw=");
        assert_eq!(statement.verdict, Verdict::Consistent);
        assert_eq!(sign_audit(&signer(), monitor().name(), &statement).unwrap(), AUDIT);
    }

    #[test]
    fn nobody_else_signs_for_the_monitor() {
        let other = Ed25519Signer::from_seed(&[32; 32]).unwrap();
        let statement = AuditStatement::parse(text()).unwrap();
        let note = sign_audit(&other, monitor().name(), &statement).unwrap();
        assert_eq!(open_audit(note.as_bytes(), &monitor()), Err(NoteError::Unsigned.into()));
        let worse = AUDIT.replace("\nconsistent", "\ninconsistent");
        assert_eq!(open_audit(worse.as_bytes(), &monitor()), Err(NoteError::Signature.into()));
        // Another's line beside the monitor's changes nothing.
        let both = format!("{AUDIT}{}\n", note.lines().last().unwrap());
        assert_eq!(open_audit(both.as_bytes(), &monitor()), Ok(statement));
    }

    #[test]
    fn no_log_audits_itself() {
        let own = AuditStatement { log_id: signer().public_key().log_id(), ..AuditStatement::parse(text()).unwrap() };
        let refused = sign_audit(&signer(), monitor().name(), &own).unwrap_err();
        assert_eq!(refused, SignError(AuditError::OwnLog.to_string()));
        let note = Note::sign(own.to_string(), monitor().name(), &signer()).unwrap().to_string();
        assert_eq!(open_audit(note.as_bytes(), &monitor()), Err(AuditError::OwnLog));
    }

    #[test]
    fn malformations_have_their_reasons() {
        let line = |number, line: &str| change_line(text(), number, &format!("{line}\n"));
        let id = "cb15fd2673798684942909404bf3b5f7ad7ad0519e69738c0c3537e0bf2fc047";
        let cases = [
            (String::new(), AuditError::Lines),
            ("\n".to_owned(), AuditError::Format),
            (text().trim_end().to_owned(), AuditError::Lines),
            (format!("{}x\n", text()), AuditError::Lines),
            (format!("{}\n", text()), AuditError::Lines),
            (change_line(text(), 7, ""), AuditError::Lines),
            (format!("\n{}", text()), AuditError::Format),
            (line(1, "atl-audit/v2"), AuditError::Format),
            (line(1, "atl-audit/v1 "), AuditError::Format),
            (line(1, "ATL-audit/v1"), AuditError::Format),
            (text().replace('\n', "\r\n"), AuditError::Format),
            (line(2, ""), BadOrigin.into()),
            (line(2, "Atl.example.com"), BadOrigin.into()),
            (line(3, &id.to_uppercase()), AuditError::LogId),
            (line(3, &id[1..]), AuditError::LogId),
            (line(3, &format!("{id}00")), AuditError::LogId),
            (line(3, &id.replace('c', "x")), AuditError::LogId),
            (line(4, "07"), AuditError::Size),
            (line(4, "18446744073709551616"), AuditError::Size),
            (line(5, "2cyUlx8w44XkjRG/K8h0JkROoOqmk9RStusXSniZRsw"), AuditError::Root),
            (line(5, id), AuditError::Root),
            (line(6, "1775822400.007"), AuditError::Time),
            (line(6, "-1"), AuditError::Time),
            (line(7, "Consistent"), AuditError::Verdict),
            (line(7, "consistent "), AuditError::Verdict),
            (line(7, ""), AuditError::Verdict),
            (line(7, "unknown"), AuditError::Verdict),
        ];
        for (text, error) in cases {
            assert_eq!(AuditStatement::parse(&text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_statement_ages() {
        let statement = AuditStatement::parse(text()).unwrap();
        let at = |now: u64| statement.age(UnixMillis::new(now));
        let then = statement.at.get();
        assert_eq!((at(then), at(then + 86_400_000)), (Some(0), Some(86_400_000)));
        assert_eq!((at(then - MAX_AHEAD_MS), at(then - MAX_AHEAD_MS - 1), at(0)), (Some(0), None, None));
        let last = AuditStatement { at: UnixMillis::new(u64::MAX), ..statement.clone() };
        assert_eq!((last.age(UnixMillis::new(u64::MAX)), last.age(statement.at)), (Some(0), None));
    }

    /// Everything that a key of this floor may sign, by what it starts with.
    fn messages(checkpoint: &Checkpoint, statement: &AuditStatement, at: UnixMillis) -> [(u8, Vec<u8>); 5] {
        let sat = SignedAgentTimestamp::to_be_signed(statement.log_id, at, CertHash::from(statement.root));
        let head = TreeHead { size: checkpoint.size, timestamp: at, root: checkpoint.root };
        let cosigned = format!("cosignature/v1\ntime {}\n{checkpoint}", CosignatureTime::from(at));
        [
            (0x30, sat),
            (0x00, head.to_be_signed()),
            (checkpoint.origin.as_str().as_bytes()[0], checkpoint.to_string().into_bytes()),
            (b'c', cosigned.into_bytes()),
            (b'a', statement.to_string().into_bytes()),
        ]
    }

    #[test]
    fn one_key_for_all_signs_nothing_that_is_another() {
        // The worst origins for a log, and the worst name for whoever uses the log's key for all.
        for origin in ["atl-audit/v1", "cosignature/v1", "a"] {
            let key = VerifierKey::new(origin.parse().unwrap(), signer().public_key().clone()).unwrap();
            let witness = WitnessKey::new(key.name().clone(), key.key().clone()).unwrap();
            let statement =
                AuditStatement { origin: origin.parse().unwrap(), ..AuditStatement::parse(text()).unwrap() };

            // A cosignature and an audit statement, shown as checkpoints by the log.
            let checkpoint = Checkpoint::new(origin.parse().unwrap(), statement.size, statement.root);
            let at = CosignatureTime::new(1).unwrap();
            let line = cosign(&signer(), key.name(), &checkpoint, at).unwrap();
            let signature = line.signature[8..].to_vec();
            let text = format!("cosignature/v1\ntime 1\n{checkpoint}");
            let shown = NoteSignature { key_id: key.id(), signature, ..line };
            let shown = format!("{text}\n{shown}\n");
            assert_eq!(Note::parse(shown.as_bytes()).unwrap().verify(&key), Ok(()), "the signature is good");
            assert_eq!(open_checkpoint(shown.as_bytes(), &key), Err(CheckpointError::Size));
            assert_eq!(open_audit(shown.as_bytes(), &key), Err(AuditError::Format));
            let audit = sign_audit(&signer(), key.name(), &statement).unwrap();
            assert_eq!(open_checkpoint(audit.as_bytes(), &key), Err(CheckpointError::Size));

            // A checkpoint, shown as an audit statement, and as a cosignature.
            let signed = Note::sign(checkpoint.to_string(), key.name(), &signer()).unwrap();
            assert!(checkpoint_of(&signed, &key).is_ok());
            assert!(open_audit(signed.to_string().as_bytes(), &key).is_err());
            let plain = signed.signatures()[0].clone();
            let shown = NoteSignature { key_id: witness.id(), ..plain };
            assert!(cosigned_at(&signed.with_line(shown).unwrap(), &[witness]).is_err());
        }
    }

    proptest! {
        #[test]
        fn messages_start_apart(
            host in "[a-z][!-*,-~]{0,20}",
            (size, millis) in (any::<u64>(), 0..1_u64 << 56),
            (root, log) in any::<([u8; 32], [u8; 32])>(),
            extension in "[ -~]{1,20}",
        ) {
            let Ok(origin) = host.parse::<Origin>() else { return Ok(()) };
            let (root, at) = (Hash::new(root), UnixMillis::new(millis));
            let text = format!("{origin}\n{size}\n{}\n{extension}\n", base64_hash(&root));
            let checkpoint = Checkpoint::parse(&text).unwrap();
            let (size, log_id) = (TreeSize::new(size), LogId::new(log));
            let statement = AuditStatement { origin, log_id, size, root, at, verdict: Verdict::Inconsistent };
            let messages = messages(&checkpoint, &statement, at);
            for (i, (first, message)) in messages.iter().enumerate() {
                prop_assert_eq!(message.first(), Some(first));
                let text = str::from_utf8(message).unwrap_or_default();
                prop_assert_eq!(Checkpoint::parse(text).is_ok(), i == 2);
                prop_assert_eq!(text.starts_with("cosignature/v1\ntime "), i == 3);
                prop_assert_eq!(AuditStatement::parse(text).is_ok(), i == 4);
            }
        }

        #[test]
        fn what_is_signed_is_read_and_no_change_of_it(
            (root, log) in any::<([u8; 32], [u8; 32])>(),
            (size, at, fine) in any::<(u64, u64, bool)>(),
            place: prop::sample::Index,
            bit in 0_usize..8,
        ) {
            let verdict = if fine { Verdict::Consistent } else { Verdict::Inconsistent };
            let (origin, log_id) = ("log.example/1".parse().unwrap(), LogId::new(log));
            let (size, root, at) = (TreeSize::new(size), Hash::new(root), UnixMillis::new(at));
            let statement = AuditStatement { origin, log_id, size, root, at, verdict };
            let note = sign_audit(&signer(), monitor().name(), &statement).unwrap();
            prop_assert_eq!(open_audit(note.as_bytes(), &monitor()), Ok(statement));
            let mut changed = note.into_bytes();
            let place = place.index(changed.len());
            changed[place] ^= 1 << bit;
            prop_assert!(open_audit(&changed, &monitor()).is_err());
        }

        #[test]
        fn what_parses_is_written_back(head in "atl-audit/v1\n[ab]\n", id in "[0a]{64}", size in "[0-9]{1,2}", rest in "(\nA{43}=)?\n[0-9]{1,2}\n(in)?consistent\n?") {
            let text = format!("{head}{id}\n{size}{rest}");
            if let Ok(statement) = AuditStatement::parse(&text) {
                prop_assert_eq!(statement.to_string(), text);
            }
        }

        #[test]
        fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..100), text: String) {
            let _ = (open_audit(&octets, &monitor()), AuditStatement::parse(&text), AuditStatement::parse(&format!("{FORMAT}\n{text}")));
        }
    }
}
