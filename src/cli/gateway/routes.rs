//! Routes as the gateway takes them, from those of its configuration.

use std::path::Path;

use axum::http::{HeaderName, Method};

use crate::cli::output::{CliError, Context};
use crate::config::gateway::{self, Spend};
use crate::http::gateway::{AmountFrom, Host, Price, Route, RoutePath, Routes};

/// The routes of the configuration in `file`.
pub fn routes(routes: &[gateway::Route], file: &Path) -> Result<Routes, CliError> {
    let read = |(place, route)| one(route).map_err(|(key, why)| complaint(file, place, key, &why));
    let routes: Vec<Route> = routes.iter().enumerate().map(read).collect::<Result<_, CliError>>()?;
    Routes::new(routes).context(file.display())
}

fn one(route: &gateway::Route) -> Result<Route, (&'static str, String)> {
    let host = route.host.as_ref().map(|text| {
        let allowed = "it must be a host without a port, such as \"api.example.com\"";
        let host = Host::parse(text).filter(|_| !text.contains(':') || text.ends_with(']'));
        host.ok_or_else(|| ("host", format!("is {text:?}: {allowed}")))
    });
    let path = RoutePath::parse(&route.path).ok_or_else(|| {
        let allowed = "it must be \"/\", or segments without `.`, `..`, `;`, escapes and a `/` at the end";
        ("path", format!("is {:?}: {allowed}", route.path))
    });
    let method = |text: &String| Method::from_bytes(text.as_bytes()).map_err(|e| ("methods", e.to_string()));
    Ok(Route {
        host: host.transpose()?,
        path: path?,
        methods: route.methods.iter().map(method).collect::<Result<_, _>>()?,
        tool_uri: route.tool_uri.clone(),
        scope: route.scope.clone(),
        spend: route.spend.as_ref().map(price).transpose()?,
    })
}

fn price(spend: &Spend) -> Result<Price, (&'static str, String)> {
    let amount = match &spend.amount {
        gateway::AmountFrom::Fixed(amount) => AmountFrom::Fixed(*amount),
        gateway::AmountFrom::Header(name) => {
            let name = HeaderName::from_bytes(name.as_bytes());
            AmountFrom::Header(name.map_err(|e| ("spend.amount_header", e.to_string()))?)
        }
        gateway::AmountFrom::Query(name) => AmountFrom::Query(name.clone()),
    };
    Ok(Price { amount, currency: spend.currency })
}

fn complaint(file: &Path, place: usize, key: &str, why: &str) -> CliError {
    CliError::new(format!("{}: `routes[{place}].{key}` {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::extension::{AsciiText, Text};

    #[test]
    fn a_route_that_cannot_be_is_complained_about() {
        let route = |host: Option<&str>, path: &str| gateway::Route {
            host: host.map(str::to_owned),
            path: path.into(),
            methods: vec!["GET".into()],
            tool_uri: AsciiText::new("x").unwrap(),
            scope: Text::new("s").unwrap(),
            spend: None,
        };
        let read = |list: &[gateway::Route]| routes(list, Path::new("g.toml")).map_err(|e| e.to_string());
        assert!(read(&[route(Some("api.example.com"), "/a"), route(Some("[::1]"), "/a")]).is_ok());
        let refused = |list: &[gateway::Route]| read(list).unwrap_err();
        assert!(
            refused(&[route(None, "/a"), route(Some("a:80"), "/")]).contains("g.toml: `routes[1].host` is \"a:80\"")
        );
        for bad in ["/a/", "/a/../b", "/%61", "/a;b"] {
            assert!(refused(&[route(None, bad)]).contains("g.toml: `routes[0].path` is"), "{bad}");
        }
        let twice = refused(&[route(None, "/a"), route(None, "/a")]);
        assert_eq!(twice, "g.toml: routes[0] and routes[1] are for the same host, path and method");
    }
}
