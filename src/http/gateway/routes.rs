//! Which operation a request is: by its host, its path and its method. What no route names is refused.
//!
//! The host decides first: where there are routes for exactly this one, only they count. Of these the one with the
//! longest path counts, and it must be for the method. Nothing falls back to a wider route, so that a narrow one
//! cannot be got around.

use std::collections::BTreeMap;

use axum::http::{HeaderName, Method};
use thiserror::Error;

use super::amount::AmountFrom;
use super::target;
use crate::apki::capabilities::{Currency, MAX_TOOL_URI};
use crate::apki::extension::{AsciiText, Text};

/// Requests that are one operation.
#[derive(Clone, Debug)]
pub struct Route {
    /// The host, without a port; `None` for every host that no other route names.
    pub host: Option<Host>,
    /// The path, and all below it.
    pub path: RoutePath,
    /// The methods; none stands for all.
    pub methods: Vec<Method>,
    /// The tool, octet for octet as capabilities name it.
    pub tool_uri: AsciiText<MAX_TOOL_URI>,
    /// What of it.
    pub scope: Text,
    /// What the operation spends, where it spends.
    pub spend: Option<Price>,
}

/// Money in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Where the amount is.
    pub amount: AmountFrom,
    /// Of what.
    pub currency: Currency,
}

/// The host of a request: lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host(String);

impl Host {
    /// Reads a host with or without a port; `None` where it is neither a DNS name nor an IP address.
    pub fn parse(text: &str) -> Option<Self> {
        let name = match text.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                port.bytes().all(|c| c.is_ascii_digit()).then_some(name)?
            }
            _ => text,
        };
        let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let fine = match address {
            Some(address) => address.bytes().all(|c| c.is_ascii_hexdigit() || matches!(c, b':' | b'.')),
            None => name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_')),
        };
        // A dot at the end names the same host to some and another to others.
        let fine = fine && !name.is_empty() && name.len() <= 255 && !name.ends_with('.');
        fine.then(|| Self(name.to_ascii_lowercase()))
    }
}

/// A path that stands for itself and all below it: `/a` for `/a`, `/a/` and `/a/b`, and not for `/ab`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoutePath(String);

impl RoutePath {
    /// Reads a path: `/`, or segments without a `/` at the end and without escapes; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let fine = target::check(text).is_ok() && !text.contains('%') && (text == "/" || !text.ends_with('/'));
        fine.then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Two routes for one and the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("routes[{first}] and routes[{second}] are for the same host, path and method")]
pub struct Ambiguous {
    /// The place of the one.
    pub first: usize,
    /// That of the other.
    pub second: usize,
}

/// Why no operation belongs to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoRoute {
    /// No route has this host and path.
    #[error("no route leads to this host and path")]
    Path,
    /// Those that do are for other methods.
    #[error("the route to this host and path is for other methods")]
    Method,
}

/// All routes.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    by_host: BTreeMap<Option<Host>, Vec<Route>>,
    headers: Vec<HeaderName>,
}

impl Routes {
    /// These routes.
    ///
    /// # Errors
    /// Where two of them are for one request.
    pub fn new(routes: Vec<Route>) -> Result<Self, Ambiguous> {
        for (second, route) in routes.iter().enumerate() {
            let same = |earlier: &Route| {
                let shared = |method| route.methods.contains(method);
                let methods =
                    earlier.methods.is_empty() || route.methods.is_empty() || earlier.methods.iter().any(shared);
                earlier.host == route.host && earlier.path == route.path && methods
            };
            if let Some(first) = routes.iter().take(second).position(same) {
                return Err(Ambiguous { first, second });
            }
        }
        let headers = routes.iter().filter_map(|route| match &route.spend.as_ref()?.amount {
            AmountFrom::Header(name) => Some(name.clone()),
            AmountFrom::Fixed(_) | AmountFrom::Query(_) => None,
        });
        let mut sorted = Self { headers: headers.collect(), by_host: BTreeMap::new() };
        for route in routes {
            sorted.by_host.entry(route.host.clone()).or_default().push(route);
        }
        Ok(sorted)
    }

    /// The headers that amounts are taken from.
    pub fn amount_headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// The route of a request, whose `path` was checked.
    ///
    /// # Errors
    /// [`NoRoute`]
    pub fn find(&self, host: Option<&Host>, path: &str, method: &Method) -> Result<&Route, NoRoute> {
        let named = host.and_then(|host| self.by_host.get(&Some(host.clone())));
        let routes = named.or_else(|| self.by_host.get(&None)).map_or(&[][..], Vec::as_slice);
        let holding = || routes.iter().filter(|route| route.path.holds(path));
        let longest = holding().map(|route| route.path.0.len()).max().ok_or(NoRoute::Path)?;
        let mut nearest = holding().filter(|route| route.path.0.len() == longest);
        let takes = |route: &&Route| route.methods.is_empty() || route.methods.contains(method);
        nearest.find(takes).ok_or(NoRoute::Method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: Option<&str>, path: &str, methods: &[Method], scope: &str) -> Route {
        Route {
            host: host.map(|host| Host::parse(host).unwrap()),
            path: RoutePath::parse(path).unwrap(),
            methods: methods.to_vec(),
            tool_uri: AsciiText::new("https://api.example/").unwrap(),
            scope: Text::new(scope).unwrap(),
            spend: None,
        }
    }

    #[test]
    fn the_nearest_route_decides_and_nothing_falls_back() {
        let routes = Routes::new(vec![
            route(None, "/", &[Method::GET], "root"),
            route(None, "/accounts", &[], "any"),
            route(None, "/accounts/close", &[Method::POST], "close"),
            route(None, "/accounts/close", &[Method::GET, Method::HEAD], "look"),
            route(Some("pay.example"), "/pay", &[], "pay"),
        ])
        .unwrap();
        let scope = |host: Option<&str>, path, method| {
            let host = host.map(|host| Host::parse(host).unwrap());
            routes.find(host.as_ref(), path, &method).map(|route| route.scope.as_str())
        };
        for host in [None, Some("api.example")] {
            assert_eq!(scope(host, "/", Method::GET), Ok("root"));
            assert_eq!(scope(host, "/other", Method::GET), Ok("root"));
            assert_eq!(scope(host, "/accountsx", Method::GET), Ok("root"));
            assert_eq!(scope(host, "/other", Method::POST), Err(NoRoute::Method));
            assert_eq!(scope(host, "/accounts", Method::DELETE), Ok("any"));
            assert_eq!(scope(host, "/accounts/", Method::DELETE), Ok("any"));
            assert_eq!(scope(host, "/accounts/7", Method::GET), Ok("any"));
            assert_eq!(scope(host, "/accounts/close", Method::POST), Ok("close"));
            assert_eq!(scope(host, "/accounts/close/7", Method::HEAD), Ok("look"));
            assert_eq!(scope(host, "/accounts/close", Method::PUT), Err(NoRoute::Method), "not the wider one");
        }
        assert_eq!(scope(Some("PAY.example:8443"), "/pay/1", Method::GET), Ok("pay"));
        assert_eq!(scope(Some("pay.example"), "/accounts", Method::GET), Err(NoRoute::Path), "not those of any host");
        assert_eq!(Routes::default().find(None, "/", &Method::GET).err(), Some(NoRoute::Path));
    }

    #[test]
    fn two_routes_for_one_request_are_refused() {
        let both = |one, other| Routes::new(vec![one, other]).err();
        let same = Some(Ambiguous { first: 0, second: 1 });
        assert_eq!(both(route(None, "/a", &[], ""), route(None, "/a", &[Method::GET], "")), same);
        assert_eq!(both(route(Some("A"), "/a", &[Method::GET], ""), route(Some("a"), "/a", &[Method::GET], "")), same);
        assert_eq!(both(route(None, "/a", &[Method::PUT], ""), route(None, "/a", &[Method::GET], "")), None);
        assert_eq!(both(route(None, "/a", &[], ""), route(Some("a"), "/a", &[], "")), None);
    }

    #[test]
    fn hosts_and_paths_are_read_strictly() {
        let host = |text: &str| Host::parse(text).map(|host| host.0);
        assert_eq!(host("API.Example.com:443").as_deref(), Some("api.example.com"));
        assert_eq!(host("[::1]:8443").as_deref(), Some("[::1]"));
        assert_eq!((host("[::1]").as_deref(), host("10.0.0.1").as_deref()), (Some("[::1]"), Some("10.0.0.1")));
        for bad in ["", "a.", "a:b", ":80", "::1", "a b", "a/b", "u@a", "[x]", "a.:80", "a,b"] {
            assert_eq!(host(bad), None, "{bad}");
        }
        for bad in ["", "a", "/a/", "/a//b", "/%61", "/a%20b", "/a/../b", "/a;b", "/a?b"] {
            assert_eq!(RoutePath::parse(bad), None, "{bad}");
        }
    }
}
