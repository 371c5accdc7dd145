//! Query parameters of the trust engine's calls, read and written as strictly as the log's: a parameter
//! given twice is malformed, unknown ones are ignored.

use crate::api::Problem;
use crate::api::query::{number, page, parameters};
use crate::apki::AgentUri;

/// Most entries in one answer.
pub const MAX_LISTED: usize = 500;
/// Most seconds that a call waits for a change.
pub const MAX_WAIT_SECONDS: u64 = 30;

/// Parameters of calls about one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentQuery {
    /// Which.
    pub agent: AgentUri,
}

impl AgentQuery {
    /// Reads the part of the URL behind `?`.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed), also where no agent is named.
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [agent] = parameters(raw, ["agent"])?;
        let agent =
            agent.ok_or_else(|| Problem::malformed("name the agent: ?agent=agent://domain/org/type/instance"))?;
        let bad = |e| Problem::malformed(format!("`agent` is no agent URI: {e}"));
        Ok(Self { agent: AgentUri::parse(&agent).map_err(bad)? })
    }

    /// The same parameters as text.
    pub fn to_query(&self) -> String {
        // An agent URI has nothing that a query escapes.
        format!("agent={}", self.agent)
    }
}

/// Parameters of `GET /trust/v1/accounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountsQuery {
    /// Go on behind this agent.
    pub after: Option<AgentUri>,
    /// Most entries, at most [`MAX_LISTED`].
    pub limit: usize,
}

impl AccountsQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed).
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [after, limit] = parameters(raw, ["after", "limit"])?;
        let after = after.map(|text| AgentUri::parse(&text)).transpose();
        let bad = |e| Problem::malformed(format!("`after` is no agent URI: {e}"));
        Ok(Self { after: after.map_err(bad)?, limit: page(limit.as_deref(), MAX_LISTED)? })
    }

    /// The same parameters as text.
    pub fn to_query(&self) -> String {
        let after = self.after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        format!("limit={}{after}", self.limit)
    }
}

/// Parameters of `GET /trust/v1/changes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangesQuery {
    /// The number of the first row to look at: 0, or `next` of the call before.
    pub start: u64,
    /// Seconds to wait where nothing has changed, at most [`MAX_WAIT_SECONDS`].
    pub wait_seconds: u64,
    /// Most changes, at most [`MAX_LISTED`].
    pub limit: usize,
}

impl ChangesQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed).
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [start, wait, limit] = parameters(raw, ["start", "wait_seconds", "limit"])?;
        let start = start.map(|text| number("start", &text)).transpose()?.unwrap_or(0);
        let wait = wait.map(|text| number("wait_seconds", &text)).transpose()?.unwrap_or(0);
        Ok(Self { start, wait_seconds: wait.min(MAX_WAIT_SECONDS), limit: page(limit.as_deref(), MAX_LISTED)? })
    }

    /// The same parameters as text.
    pub fn to_query(self) -> String {
        format!("start={}&wait_seconds={}&limit={}", self.start, self.wait_seconds, self.limit)
    }
}

/// Parameters of lists that go by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// Go on behind this one.
    pub after: Option<u64>,
    /// Most entries, at most [`MAX_LISTED`].
    pub limit: usize,
}

impl PageQuery {
    /// Reads the part of the URL behind `?`, empty where there is none.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed).
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [after, limit] = parameters(raw, ["after", "limit"])?;
        let after = after.map(|text| number("after", &text)).transpose()?;
        Ok(Self { after, limit: page(limit.as_deref(), MAX_LISTED)? })
    }

    /// The same parameters as text.
    pub fn to_query(self) -> String {
        let after = self.after.map(|after| format!("&after={after}")).unwrap_or_default();
        format!("limit={}{after}", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_query_is_malformed() {
        for raw in ["", "agent=", "agent=x", "agent=agent://a.b/c/d/e&agent=agent://a.b/c/d/e"] {
            assert!(AgentQuery::parse(raw).is_err(), "{raw}");
        }
        for raw in ["limit=0", "limit=-1", "limit=1&limit=1", "after=x", "start=-1", "wait_seconds=1.5"] {
            let page = raw.starts_with("start") || raw.starts_with("wait");
            assert!(page || PageQuery::parse(raw).is_err(), "{raw}");
            assert!(raw.starts_with("after") || ChangesQuery::parse(raw).is_err(), "{raw}");
        }
        let bounded = ChangesQuery::parse("wait_seconds=3600&limit=9999").unwrap();
        assert_eq!((bounded.wait_seconds, bounded.limit), (MAX_WAIT_SECONDS, MAX_LISTED));
    }

    fn agent_uri() -> AgentUri {
        AgentUri::parse("agent://example.com/a/b-c/d_1").unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(start: u64, wait in 0..=MAX_WAIT_SECONDS, limit in 1..=MAX_LISTED, after: Option<u64>) {
            let changes = ChangesQuery { start, wait_seconds: wait, limit };
            prop_assert_eq!(ChangesQuery::parse(&changes.to_query()), Ok(changes));
            let page = PageQuery { after, limit };
            prop_assert_eq!(PageQuery::parse(&page.to_query()), Ok(page));
            let agent = AgentQuery { agent: agent_uri() };
            let accounts = AccountsQuery { after: after.map(|_| agent_uri()), limit };
            prop_assert_eq!(AccountsQuery::parse(&accounts.to_query()), Ok(accounts));
            prop_assert_eq!(AgentQuery::parse(&agent.to_query()), Ok(agent));
        }
    }
}
