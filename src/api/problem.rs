//! Problem documents (RFC 9457) with the error tokens of RFC 9162 (protocol section 5), those of RFC
//! 8555 for what a CA refuses, and ours.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands before a token in a problem's `type`: before those of RFC 9162 section 5, and ours.
pub const URN_PREFIX: &str = "urn:ietf:params:trans:error:";

/// What stands before a token that RFC 8555 section 6.7 registers.
pub const ACME_PREFIX: &str = "urn:ietf:params:acme:error:";

/// The media type of a problem document (RFC 9457 section 3).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Declares the tokens as one table: variant, token, HTTP status, title.
macro_rules! tokens {
    ($($(#[$doc:meta])* $variant:ident = $token:literal, $status:literal, $title:literal;)*) => {
        /// The reason for a refusal, as programs read it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Token { $($(#[$doc])* $variant,)* }

        impl Token {
            /// Every token.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The token on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $token,)* }
            }

            /// The HTTP status that goes with the token. Nothing else in the crate decides one.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A short sentence for people, the same each time.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

tokens! {
    /// The request does not parse.
    Malformed = "malformed", 400, "The request does not parse";
    /// The submitted certificate is not one that this log records (ruling R8).
    BadSubmission = "badSubmission", 400, "The submission is not acceptable";
    /// `type` is neither 1 nor 2.
    BadType = "badType", 400, "The entry type is unknown";
    /// A chain element does not certify the one before it, or there are too many.
    BadChain = "badChain", 400, "The chain does not hold";
    /// A chain element is not a certificate.
    BadCertificate = "badCertificate", 400, "A chain certificate does not parse";
    /// The chain ends in no anchor of this log.
    UnknownAnchor = "unknownAnchor", 400, "The chain ends in no accepted anchor";
    /// `notAfter` is past or outside the shard's window.
    OutsideShard = "outsideShard", 400, "The certificate does not belong in this shard";
    /// `first` is beyond the last signed head.
    FirstUnknown = "firstUnknown", 400, "The first tree size is unknown";
    /// `second` is beyond the last signed head.
    SecondUnknown = "secondUnknown", 400, "The second tree size is unknown";
    /// `second` is less than `first`.
    SecondBeforeFirst = "secondBeforeFirst", 400, "The second tree size is smaller than the first";
    /// `tree_size` is beyond the last signed head.
    TreeSizeUnknown = "treeSizeUnknown", 400, "The tree size is unknown";
    /// `start` is beyond the last signed head.
    StartUnknown = "startUnknown", 400, "The first entry asked for is unknown";
    /// `end` is less than `start`.
    EndBeforeStart = "endBeforeStart", 400, "The end lies before the start";
    /// The certification request is none that can be read, or its signature does not verify.
    BadCsr = "badCSR", 400, "The certification request is not acceptable";
    /// The key to be certified is of a kind that is not certified.
    BadPublicKey = "badPublicKey", 400, "The public key is not acceptable";
    /// No credential, or one that is not good for this.
    Unauthorized = "unauthorized", 401, "The request lacks a good credential";
    /// The certification request names somebody whom no certificate can name.
    RejectedIdentifier = "rejectedIdentifier", 403, "The name is not one that is certified";
    /// The registration authority decided against the application; the subproblems say why.
    Policy = "policy", 403, "The registration authority refuses";
    /// The CA's own certificate was revoked: it issues nothing until it has another one.
    IssuerRevoked = "issuerRevoked", 403, "The CA's own certificate was revoked";
    /// A gateway lets the agent not do this; the subproblems say why.
    AgentRefused = "agentRefused", 403, "The agent may not do this";
    /// The credential is good, and not for this.
    Forbidden = "forbidden", 403, "The credential is not for this";
    /// The hash is not in the log, or in no signed head yet.
    HashUnknown = "hashUnknown", 404, "The hash is unknown";
    /// The path or the tile is not there.
    NotFound = "notFound", 404, "There is nothing here";
    /// The path answers to another method.
    MethodNotAllowed = "methodNotAllowed", 405, "The method is not allowed here";
    /// The thing that the request is about is in no state for it.
    Conflict = "conflict", 409, "This cannot be done with it any more, or not yet";
    /// The body is longer than what is read.
    TooLarge = "tooLarge", 413, "The request is too large";
    /// The body is not JSON by its `Content-Type`, or is encoded.
    UnsupportedMediaType = "unsupportedMediaType", 415, "The request's media type is not supported";
    /// This source, this anchor or this token sends too much.
    RateLimited = "rateLimited", 429, "Too many requests";
    /// The server failed; the fault is not in the request.
    Internal = "internal", 500, "The server failed";
    /// Too few logs vouch for the certificate at the moment; none was issued.
    LogsUnavailable = "logsUnavailable", 503, "Too few transparency logs answer";
    /// The trust engine gives no score at the moment; nothing was issued.
    TrustUnavailable = "trustUnavailable", 503, "The trust engine does not answer";
    /// What a gateway's decision needs is not to be had at the moment; the subproblems say what.
    Undecided = "undecided", 503, "It cannot be decided at the moment";
    /// There is too much to do.
    Overloaded = "overloaded", 503, "The server is overloaded";
    /// The log answers readers but takes nothing in.
    ReadOnly = "readOnly", 503, "The log is read-only";
    /// The server is going down.
    Shutdown = "shutdown", 503, "The server is shutting down";
}

impl Token {
    /// The token of this name, or `None` where it is none of ours.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|token| token.as_str() == name)
    }

    /// What stands before the token in a problem's `type`. Nothing else in the crate decides it:
    /// `malformed` and `rateLimited` are registered by RFC 8555 too, and have one prefix all the same.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::BadCsr | Self::BadPublicKey | Self::RejectedIdentifier | Self::Unauthorized => ACME_PREFIX,
            _ => URN_PREFIX,
        }
    }

    /// Whether an answer with this token carries `Retry-After` (protocol section 5: 429 and 503).
    pub const fn wants_retry_after(self) -> bool {
        matches!(self.status(), 429 | 503)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A problem's `type`: a token we know, or whatever a newer server or another program says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProblemType {
    /// One of ours.
    Known(Token),
    /// Another URI, whole.
    Other(String),
}

impl ProblemType {
    /// The token, where it is one of ours.
    pub const fn token(&self) -> Option<Token> {
        match self {
            Self::Known(token) => Some(*token),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for ProblemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(token) => token.fmt(f),
            Self::Other(uri) => {
                let name = [URN_PREFIX, ACME_PREFIX].iter().find_map(|prefix| uri.strip_prefix(prefix));
                f.write_str(name.unwrap_or(uri))
            }
        }
    }
}

impl Serialize for ProblemType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(token) => serializer.collect_str(&format_args!("{}{token}", token.prefix())),
            Self::Other(uri) => serializer.serialize_str(uri),
        }
    }
}

impl<'de> Deserialize<'de> for ProblemType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let uri = Cow::<'de, str>::deserialize(deserializer)?;
        let of = |prefix| Token::from_name(uri.strip_prefix(prefix)?).filter(|token| token.prefix() == prefix);
        let token = of(URN_PREFIX).or_else(|| of(ACME_PREFIX));
        Ok(token.map_or_else(|| Self::Other(uri.into_owned()), Self::Known))
    }
}

/// A problem document. Members besides `type` are optional to a reader, as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What went wrong, for programs.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// What went wrong, for people, the same sentence for each type.
    #[serde(default)]
    pub title: String,
    /// What is wrong with this request, and what to do about it.
    #[serde(default)]
    pub detail: String,
    /// The HTTP status; 0 where a document does not say.
    #[serde(default)]
    pub status: u16,
    /// What it consists of, where that is several things (RFC 8555 section 6.7.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<Subproblem>,
    /// Seconds after which to try again. This is the `Retry-After` header and no member of the
    /// document.
    #[serde(skip)]
    pub retry_after_seconds: Option<u32>,
}

/// One of the things that a problem consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subproblem {
    /// What it is, for programs.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// Which rule of attenuation is broken, where it is one (protocol section 6), for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What it is, for people.
    #[serde(default)]
    pub detail: String,
}

impl Subproblem {
    /// The reason that is known as `code`, which is no token of a problem.
    pub fn reason(code: &str, detail: impl Into<String>) -> Self {
        Self { kind: ProblemType::Other(format!("{URN_PREFIX}{code}")), rule: None, detail: detail.into() }
    }

    /// The same, by the rule of attenuation that is broken.
    #[must_use]
    pub fn by(mut self, rule: Option<String>) -> Self {
        self.rule = rule;
        self
    }
}

impl Problem {
    /// The problem `token`, with a `detail` that a person can act on. Where the answer must carry
    /// `Retry-After` it says one second until [`Problem::retry_after`] says otherwise.
    pub fn new(token: Token, detail: impl Into<String>) -> Self {
        Self {
            kind: ProblemType::Known(token),
            title: token.title().to_owned(),
            detail: detail.into(),
            status: token.status(),
            subproblems: Vec::new(),
            retry_after_seconds: token.wants_retry_after().then_some(1),
        }
    }

    /// The same problem, to be tried again after `seconds`.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The same problem, which consists of these.
    #[must_use]
    pub fn of(mut self, subproblems: impl IntoIterator<Item = Subproblem>) -> Self {
        self.subproblems.extend(subproblems);
        self
    }

    /// The token, where it is one that we know.
    pub const fn token(&self) -> Option<Token> {
        self.kind.token()
    }

    /// A [`Token::Malformed`] problem.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Token::Malformed, detail)
    }
}

/// Where it consists of several things, each has a line of its own; the detail may say the same in one.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = match self.subproblems.as_slice() {
            [] => (&self.detail, &self.title),
            _ => (&self.title, &self.detail),
        };
        write!(f, "{}: {}", self.kind, if first.is_empty() { second } else { first })?;
        self.subproblems.iter().try_for_each(|sub| {
            write!(f, "\n  {}", sub.kind)?;
            sub.rule.iter().try_for_each(|rule| write!(f, " ({rule})"))?;
            if sub.detail.is_empty() { Ok(()) } else { write!(f, ": {}", sub.detail) }
        })
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_protocol() {
        let other = |t: &Token| match t.as_str() {
            "unauthorized" => 401,
            "rejectedIdentifier" | "policy" | "forbidden" | "issuerRevoked" | "agentRefused" => 403,
            "hashUnknown" | "notFound" => 404,
            "methodNotAllowed" => 405,
            "conflict" => 409,
            "tooLarge" => 413,
            "unsupportedMediaType" => 415,
            "rateLimited" => 429,
            "internal" => 500,
            "overloaded" | "readOnly" | "shutdown" | "logsUnavailable" | "trustUnavailable" | "undecided" => 503,
            _ => 400,
        };
        for token in Token::ALL {
            assert_eq!(token.status(), other(token), "{token}");
            assert_eq!(Token::from_name(token.as_str()), Some(*token));
            let problem = Problem::new(*token, "why");
            assert_eq!(problem.retry_after_seconds.is_some(), matches!(problem.status, 429 | 503));
        }
        let protocol = "malformed badSubmission badType badChain badCertificate unknownAnchor shutdown firstUnknown \
            secondUnknown secondBeforeFirst hashUnknown treeSizeUnknown startUnknown endBeforeStart rateLimited overloaded \
            readOnly outsideShard tooLarge";
        assert!(protocol.split_whitespace().all(|name| Token::from_name(name).is_some()));
    }

    #[test]
    fn the_document_on_the_wire() {
        let problem = Problem::new(Token::RateLimited, "wait a while").retry_after(7);
        let json = serde_json::to_value(&problem).unwrap();
        let expected = serde_json::json!({
            "type": "urn:ietf:params:trans:error:rateLimited", "title": "Too many requests",
            "detail": "wait a while", "status": 429
        });
        assert_eq!(json, expected);
        let again: Problem = serde_json::from_value(json).unwrap();
        assert_eq!(again.retry_after(7), problem);
        assert_eq!(problem.to_string(), "rateLimited: wait a while");
    }

    #[test]
    fn what_rfc_8555_registers_has_its_prefix() {
        let registered: Vec<_> = Token::ALL.iter().filter(|token| token.prefix() == ACME_PREFIX).collect();
        let names: Vec<_> = registered.iter().map(|token| token.as_str()).collect();
        assert_eq!(names, ["badCSR", "badPublicKey", "unauthorized", "rejectedIdentifier"]);
        for token in Token::ALL {
            let text = serde_json::to_string(&ProblemType::Known(*token)).unwrap();
            assert_eq!(serde_json::from_str::<ProblemType>(&text).unwrap().token(), Some(*token));
        }
        // A token behind the other prefix is none of ours, and stays what it is.
        for uri in ["urn:ietf:params:acme:error:malformed", "urn:ietf:params:trans:error:badCSR"] {
            let kind: ProblemType = serde_json::from_value(uri.into()).unwrap();
            assert_eq!((kind.token(), serde_json::to_value(&kind).unwrap()), (None, uri.into()));
            assert!(!kind.to_string().contains(':'));
        }
    }

    #[test]
    fn a_refusal_lists_its_reasons() {
        let reasons = [Subproblem::reason("validity", "too long"), Subproblem::reason("score", "too low")];
        let problem = Problem::new(Token::Policy, "too long; too low").of(reasons);
        let json = serde_json::to_value(&problem).unwrap();
        let expected = serde_json::json!([
            {"type": "urn:ietf:params:trans:error:validity", "detail": "too long"},
            {"type": "urn:ietf:params:trans:error:score", "detail": "too low"},
        ]);
        assert_eq!(json["subproblems"], expected);
        let broken = Subproblem::reason("attenuation", "too wide").by(Some("scope".into()));
        let broken = Problem::new(Token::Policy, "too wide").of([broken]);
        let member = serde_json::to_value(&broken).unwrap()["subproblems"][0]["rule"].take();
        assert_eq!(member, "scope");
        assert!(broken.to_string().ends_with("\n  attenuation (scope): too wide"), "{broken}");
        let again = serde_json::from_value::<Problem>(json).unwrap();
        assert_eq!(again, problem);
        assert_eq!(
            again.to_string(),
            "policy: The registration authority refuses\n  validity: too long\n  score: too low"
        );
        assert_eq!(
            Problem { title: String::new(), ..again }.to_string().lines().next(),
            Some("policy: too long; too low")
        );
    }

    #[test]
    fn a_reader_meets_newer_servers() {
        let text = r#"{"type":"urn:ietf:params:trans:error:tooOld","instance":"/x"}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        assert_eq!(problem.token(), None);
        assert_eq!(problem.to_string(), "tooOld: ");
        assert_eq!(serde_json::to_value(&problem.kind).unwrap(), "urn:ietf:params:trans:error:tooOld");
        assert!(serde_json::from_str::<Problem>(r#"{"title":"x"}"#).is_err());
    }
}
