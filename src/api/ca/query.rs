//! Query parameters of the calls for operators, read and written as strictly as the log's: numbers and
//! names in one spelling, a parameter given twice is malformed, unknown ones are ignored.

use std::fmt;
use std::str::FromStr;

use crate::api::Problem;
use crate::api::query::{number, page, parameters};
use crate::apki::AgentUri;
use crate::time::UnixMillis;

/// Most certificates in one answer.
pub const MAX_CERTIFICATES: usize = 1000;
/// Most open requests in one answer: each has what the requester sent.
pub const MAX_REQUESTS: usize = 100;
/// Most rows of the journal in one answer: each may have a whole application.
pub const MAX_ROWS: usize = 256;

/// A place in a list that goes by time: what `next` in one page and `after` in the query for the next
/// one say. Clients send it back as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The time of the last entry.
    pub at: UnixMillis,
    /// Its name, in lower-case hex.
    pub name: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at.get(), self.name)
    }
}

impl FromStr for Cursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let bad = || Problem::malformed("`after` is not the `next` of an earlier page");
        let (at, name) = text.split_once('-').ok_or_else(bad)?;
        let at = UnixMillis::new(number("after", at).map_err(|_| bad())?);
        let is_name =
            !name.is_empty() && name.len() <= 64 && name.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if is_name { Ok(Self { at, name: name.to_owned() }) } else { Err(bad()) }
    }
}

/// Parameters of `GET /ca/v1/requests`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestsQuery {
    /// Go on behind this place.
    pub after: Option<Cursor>,
    /// Most entries, at most [`MAX_REQUESTS`].
    pub limit: usize,
}

impl RequestsQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed).
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [after, limit] = parameters(raw, ["after", "limit"])?;
        Ok(Self { after: after.map(|text| text.parse()).transpose()?, limit: page(limit.as_deref(), MAX_REQUESTS)? })
    }

    /// The same parameters as text.
    pub fn to_query(&self) -> String {
        let after = self.after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        format!("limit={}{after}", self.limit)
    }
}

/// Parameters of `GET /ca/v1/certificates`: all that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatesQuery {
    /// Of this agent.
    pub agent: Option<AgentUri>,
    /// With this serial number, in hex; it names one certificate, so `after` may not stand beside it.
    pub serial: Option<String>,
    /// Signed then or later.
    pub since: Option<UnixMillis>,
    /// Signed before.
    pub until: Option<UnixMillis>,
    /// Go on behind this place.
    pub after: Option<Cursor>,
    /// Most entries, at most [`MAX_CERTIFICATES`].
    pub limit: usize,
}

impl CertificatesQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed).
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let names = ["agent", "serial", "since", "until", "after", "limit"];
        let [agent, serial, since, until, after, limit] = parameters(raw, names)?;
        let agent = agent.map(|text| AgentUri::parse(&text)).transpose();
        let moment = |name, text: Option<std::borrow::Cow<'_, str>>| {
            text.map(|text| number(name, &text)).transpose().map(|millis| millis.map(UnixMillis::new))
        };
        if serial.is_some() && after.is_some() {
            return Err(Problem::malformed("`serial` names one certificate: there is no page `after` it"));
        }
        Ok(Self {
            agent: agent.map_err(|e| Problem::malformed(format!("`agent` is no agent URI: {e}")))?,
            serial: serial.map(|text| hex_digits(&text)).transpose()?,
            since: moment("since", since)?,
            until: moment("until", until)?,
            after: after.map(|text| text.parse()).transpose()?,
            limit: page(limit.as_deref(), MAX_CERTIFICATES)?,
        })
    }

    /// The same parameters as text.
    pub fn to_query(&self) -> String {
        let mut text = format!("limit={}", self.limit);
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!("&{name}={value}"));
            }
        };
        // An agent URI has nothing that a query escapes.
        add("agent", self.agent.as_ref().map(|agent| agent.as_str().to_owned()));
        add("serial", self.serial.clone());
        add("since", self.since.map(|moment| moment.get().to_string()));
        add("until", self.until.map(|moment| moment.get().to_string()));
        add("after", self.after.as_ref().map(Cursor::to_string));
        text
    }
}

/// Parameters of `GET /ca/v1/audit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    /// The number of the first row, from 0.
    pub start: u64,
    /// Most rows, at most [`MAX_ROWS`].
    pub limit: usize,
}

impl AuditQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed).
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [start, limit] = parameters(raw, ["start", "limit"])?;
        let start = start.map(|text| number("start", &text)).transpose()?.unwrap_or(0);
        Ok(Self { start, limit: page(limit.as_deref(), MAX_ROWS)? })
    }

    /// The same parameters as text.
    pub fn to_query(self) -> String {
        format!("start={}&limit={}", self.start, self.limit)
    }
}

fn hex_digits(text: &str) -> Result<String, Problem> {
    if !text.is_empty() && text.len() <= 40 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(text.to_owned());
    }
    Err(Problem::malformed("`serial` is not a serial number of at most 20 octets in lower-case hex"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::query::DEFAULT_PAGE;

    #[test]
    fn what_is_no_query_is_malformed() {
        let wrong =
            ["limit=0", "limit=-1", "limit=01", "limit=1&limit=1", "limit=%zz", "after=", "after=1", "after=-ab"];
        for raw in wrong {
            assert!(RequestsQuery::parse(raw).is_err(), "{raw}");
            assert!(CertificatesQuery::parse(raw).is_err(), "{raw}");
        }
        for raw in [
            "agent=x",
            "agent=",
            "agent=agent://Example.com/a/b/c",
            "serial=",
            "serial=AB",
            "serial=x",
            "since=1.5",
            "until=",
            "since=1&since=1",
            "serial=ab&after=1-ab",
            "after=01-ab",
            "after=1-AB",
            &format!("serial={}", "0".repeat(41)),
            &format!("after=1-{}", "0".repeat(65)),
        ] {
            assert!(CertificatesQuery::parse(raw).is_err(), "{raw}");
        }
        for raw in ["start=-1", "start=", "start=1&start=2", "limit=0", "start=18446744073709551616"] {
            assert!(AuditQuery::parse(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_page_has_a_default_and_a_bound() {
        let limit = |raw| RequestsQuery::parse(raw).unwrap().limit;
        assert_eq!((limit(""), limit("limit=7"), limit("limit=101")), (DEFAULT_PAGE, 7, MAX_REQUESTS));
        assert_eq!(CertificatesQuery::parse("limit=18446744073709551615").unwrap().limit, MAX_CERTIFICATES);
        assert_eq!(AuditQuery::parse("x=1&limit=9999").unwrap(), AuditQuery { start: 0, limit: MAX_ROWS });
        let agent = CertificatesQuery::parse("agent=agent%3A%2F%2Fexample.com%2Fa%2Fb%2Fc").unwrap().agent;
        assert_eq!(agent.unwrap().as_str(), "agent://example.com/a/b/c");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            at: u64, name in "[0-9a-f]{1,64}", since: Option<u64>, until: Option<u64>, start: u64, paged: bool, agent: bool,
            serial in proptest::option::of("[0-9a-f]{1,40}"), limit in 1..=MAX_REQUESTS,
        ) {
            let after = paged.then(|| Cursor { at: UnixMillis::new(at), name });
            let requests = RequestsQuery { after: after.clone(), limit };
            prop_assert_eq!(RequestsQuery::parse(&requests.to_query()), Ok(requests));
            let certificates = CertificatesQuery {
                agent: agent.then(|| AgentUri::parse("agent://example.com/a/b-c/d_1").unwrap()),
                serial: serial.filter(|_| after.is_none()),
                since: since.map(UnixMillis::new),
                until: until.map(UnixMillis::new),
                after,
                limit,
            };
            prop_assert_eq!(CertificatesQuery::parse(&certificates.to_query()), Ok(certificates));
            let audit = AuditQuery { start, limit };
            prop_assert_eq!(AuditQuery::parse(&audit.to_query()), Ok(audit));
        }

        #[test]
        fn no_query_makes_it_panic(raw in ".{0,80}") {
            let _ = (RequestsQuery::parse(&raw), CertificatesQuery::parse(&raw), AuditQuery::parse(&raw));
        }
    }
}
