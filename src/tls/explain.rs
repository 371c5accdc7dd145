//! What the sides say of each other right behind the handshake, in [`Mode::Explain`](super::Mode): one line of
//! JSON each.
//!
//! ```text
//! {"verdict":"accept"}
//! {"verdict":"refuse","reasons":[{"code":"trust.score","certificate":"agent","detail":"...","rule":"...","help":"..."}]}
//! ```

use std::fmt;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::error::TlsError;
use crate::verify::relying::{Reason, Verdict};

/// The application protocol (RFC 7301) of connections on which the sides speak of their verdicts first. The names of
/// what runs behind are theirs to agree on.
pub const ALPN: &[u8] = b"atl-explain/1";

/// Octets of a line, its end not counted.
const MAX_LINE: usize = 8 * 1024;
/// Reasons of the peer that are kept.
const MAX_REASONS: usize = 32;
/// Characters of one text of the peer that are kept.
const MAX_TEXT: usize = 512;

/// The peer's refusal of this side, in its own words: nothing of it is verified, and control characters and what
/// is too long were taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// What the peer says speaks against this agent.
    pub reasons: Vec<Told>,
}

/// One reason of the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// Its code, as in [`Code::as_str`](crate::verify::relying::Code::as_str) where the peer knows the same ones.
    pub code: String,
    /// `agent`, or `parent` and which.
    pub certificate: String,
    /// What exactly.
    pub detail: String,
    /// The rule that it comes from.
    pub rule: String,
    /// What would help.
    pub help: String,
}

impl fmt::Display for TurnedAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reasons.is_empty() {
            return f.write_str("it does not say why");
        }
        for (index, reason) in self.reasons.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let whose =
                if reason.certificate == "agent" { String::new() } else { format!(" ({})", reason.certificate) };
            write!(f, "{separator}{}{whose}: {}", reason.code, reason.detail)?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Said<'a> {
    verdict: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reasons: &'a [Reason],
}

#[derive(Deserialize)]
struct Heard {
    verdict: String,
    #[serde(default)]
    reasons: Vec<Told>,
}

/// Tells the peer the verdict about it: as many reasons as have room.
pub(super) fn say(verdict: &Verdict, stream: &mut impl Write) -> Result<(), TlsError> {
    let accepted = verdict.is_accepted();
    let mut reasons = verdict.reasons();
    let line = loop {
        let said = Said { verdict: if accepted { "accept" } else { "refuse" }, reasons };
        let line = serde_json::to_string(&said).map_err(|e| TlsError::Line(e.to_string()))?;
        match reasons.split_last() {
            Some((_, fewer)) if line.len() > MAX_LINE => reasons = fewer,
            _ => break line,
        }
    };
    stream.write_all(format!("{line}\n").as_bytes())?;
    stream.flush()?;
    Ok(())
}

/// What the peer says of this side; an acceptance is no error.
pub(super) fn hear(stream: &mut impl Read) -> Result<(), TlsError> {
    let line = read_line(stream)?;
    // A struct would be read from an array as well.
    if line.first() != Some(&b'{') {
        return Err(TlsError::Line("it is no JSON object".into()));
    }
    let heard: Heard = serde_json::from_slice(&line).map_err(|e| TlsError::Line(e.to_string()))?;
    match heard.verdict.as_str() {
        "accept" => Ok(()),
        "refuse" => {
            let reasons = heard.reasons.into_iter().take(MAX_REASONS).map(Told::cleaned).collect();
            Err(TlsError::TurnedAway(TurnedAway { reasons }))
        }
        _ => Err(TlsError::Line("its verdict is neither `accept` nor `refuse`".into())),
    }
}

/// Not one octet more than the line: what comes behind it is the application's.
fn read_line(stream: &mut impl Read) -> Result<Vec<u8>, TlsError> {
    let mut line = Vec::new();
    loop {
        let mut octet = [0];
        match stream.read(&mut octet) {
            Ok(0) => return Err(TlsError::Line("it ended before its verdict".into())),
            Ok(_) if octet == [b'\n'] => return Ok(line),
            Ok(_) if line.len() == MAX_LINE => return Err(TlsError::Line(format!("more than {MAX_LINE} octets"))),
            Ok(_) => line.extend_from_slice(&octet),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Told {
    fn cleaned(self) -> Self {
        let clean = |text: String| text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
        Self {
            code: clean(self.code),
            certificate: clean(self.certificate),
            detail: clean(self.detail),
            rule: clean(self.rule),
            help: clean(self.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;
    use crate::verify::relying::{Code, Refused, Subject};

    fn refuse(details: &[&str]) -> Verdict {
        let reason = |detail: &str| Reason::new(Code::ScoreTooLow, Subject::Parent(1), detail);
        let first = Box::new(Refused::unread(reason(details[0]), UnixMillis::new(0)));
        Verdict::Refused(details[1..].iter().fold(first, |all, detail| Verdict::Refused(all).against(reason(detail))))
    }

    fn heard(line: &[u8]) -> Result<(), TlsError> {
        hear(&mut &line[..])
    }

    #[test]
    fn what_is_said_is_heard() {
        let mut line = Vec::new();
        say(&refuse(&["the score is 39", "and\nmore"]), &mut line).unwrap();
        line.extend_from_slice(b"application");
        let mut rest = &line[..];
        let Err(TlsError::TurnedAway(told)) = hear(&mut rest) else { panic!("not a refusal") };
        assert_eq!(rest, b"application");
        assert_eq!(told.to_string(), "trust.score (parent): the score is 39; trust.score (parent): andmore");
        assert_eq!((told.reasons[0].rule.as_str(), told.reasons[0].help.is_empty()), (Code::ScoreTooLow.rule(), false));
        assert!(heard(b"{\"verdict\":\"accept\"}\n").is_ok());
        assert!(heard(b"{\"verdict\":\"accept\",\"since\":1}\n").is_ok());
    }

    #[test]
    fn a_line_is_bounded_both_ways() {
        let long = "x".repeat(3_000);
        let mut line = Vec::new();
        say(&refuse(&[&long, &long, &long, &long]), &mut line).unwrap();
        assert!(line.len() <= MAX_LINE + 1, "{}", line.len());
        let Err(TlsError::TurnedAway(told)) = heard(&line) else { panic!("not a refusal") };
        assert_eq!((told.reasons.len(), told.reasons[0].detail.len()), (2, MAX_TEXT));
        let endless = vec![b' '; MAX_LINE + 2];
        assert!(matches!(heard(&endless), Err(TlsError::Line(_))));
    }

    #[test]
    fn anything_but_a_yes_is_no_yes() {
        for line in [
            &b""[..],
            b"\n",
            b"{}\n",
            b"accept\n",
            b"{\"verdict\":\"accept\"}",
            b"{\"verdict\":\"Accept\"}\n",
            b"{\"verdict\":true}\n",
            b"{\"verdict\":\"accept\",\"verdict\":\"accept\"}\n",
            b"[\"accept\"]\n",
        ] {
            assert!(matches!(heard(line), Err(TlsError::Line(_))), "{}", line.escape_ascii());
        }
        let silent = heard(b"{\"verdict\":\"refuse\"}\n").unwrap_err();
        assert_eq!(silent.to_string(), "the peer refuses this agent: it does not say why");
    }
}
