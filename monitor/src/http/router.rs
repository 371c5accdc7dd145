//! Which function answers a request.

use std::sync::Arc;

use hyper::Method;

use super::limits::MAX_BODY;
use super::{Request, Response};

/// Answers a request.
pub type Handler = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

/// A part of a pattern, in the order in which patterns are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// This segment.
    Is(&'static str),
    /// `{name}`: one segment, not empty.
    Any,
    /// `{name...}`: all that is left, not empty.
    Rest,
}

/// A function that answers, and what it costs to ask it.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) handler: Handler,
    /// Octets that a body may have.
    pub(super) max_body: usize,
    /// Whether it never waits for anything, and answers also where everything else waits.
    pub(super) quick: bool,
    /// Whether reading it counts among what a source may ask for in a second.
    pub(super) counted: bool,
    /// Whether its answers may be large, so that there may be few of them at once.
    pub(super) large: bool,
}

#[derive(Clone)]
struct Route {
    pattern: Vec<Part>,
    method: Method,
    endpoint: Endpoint,
}

/// The segments of a path that a pattern left open.
#[derive(Clone, Debug, Default)]
pub(super) struct Captured(Vec<String>);

/// The segment of the path that the `n`th open part of the route's pattern has matched, counted from 0, as it was
/// sent: percent encoding is not undone. It is neither empty nor `.` nor `..`, nor is one behind a slash in it.
/// Empty where the pattern has no such part.
pub fn captured(request: &Request, n: usize) -> &str {
    request.extensions().get::<Captured>().and_then(|captured| captured.0.get(n)).map_or("", String::as_str)
}

/// What there is under a path.
pub(super) enum Found<'a> {
    /// A function that answers.
    Endpoint(&'a Endpoint, Captured),
    /// Something that answers to these methods only, as the header `Allow` has them.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

/// Functions by method and path.
///
/// A pattern is a path whose segments may be open: `{id}` is any one segment, `{path...}` at the end all that
/// follow. Where several patterns match, the one whose segments are spelt out first decides, in whatever order they
/// were added. Of two functions for the same the one added first answers.
#[derive(Clone, Default)]
pub struct Router {
    routes: Vec<Route>,
}

impl Router {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// `handler` answers `GET` and `HEAD` of `pattern`. It may wait, for the database say.
    #[must_use]
    pub fn get(self, pattern: &'static str, handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        self.add(
            Method::GET,
            pattern,
            Endpoint { handler: Arc::new(handler), max_body: MAX_BODY, quick: false, counted: true, large: false },
        )
    }

    /// The same for whoever looks after the monitor: however much its source asks for, it is answered.
    #[must_use]
    pub fn probe(self, pattern: &'static str, handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let handler = Arc::new(handler);
        let endpoint = Endpoint { handler, max_body: MAX_BODY, quick: false, counted: false, large: false };
        self.add(Method::GET, pattern, endpoint)
    }

    /// The same with a handler that never waits for anything; it answers also where too much is asked of all others.
    #[must_use]
    pub fn quick(self, pattern: &'static str, handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        self.add(
            Method::GET,
            pattern,
            Endpoint { handler: Arc::new(handler), max_body: MAX_BODY, quick: true, counted: false, large: false },
        )
    }

    /// `handler` answers `GET` and `HEAD` of `pattern` with what may be many megabytes: of such answers there are few at
    /// once, and of one source fewer.
    #[must_use]
    pub fn large(self, pattern: &'static str, handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let endpoint =
            Endpoint { handler: Arc::new(handler), max_body: MAX_BODY, quick: false, counted: true, large: true };
        self.add(Method::GET, pattern, endpoint)
    }

    /// `handler` answers `POST` of `pattern` with bodies of at most `max_body` octets. It may wait.
    #[must_use]
    pub fn post(
        self,
        pattern: &'static str,
        max_body: usize,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        self.add(
            Method::POST,
            pattern,
            Endpoint { handler: Arc::new(handler), max_body, quick: false, counted: true, large: false },
        )
    }

    fn add(mut self, method: Method, pattern: &'static str, endpoint: Endpoint) -> Self {
        let pattern = pattern.trim_start_matches('/').split('/').map(part).collect();
        self.routes.push(Route { pattern, method, endpoint });
        self.routes.sort_by(|one, other| one.pattern.cmp(&other.pattern));
        self
    }

    /// What answers `method` of `path`.
    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let Some(path) = path.strip_prefix('/') else { return Found::Nothing };
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Found::Nothing;
        }
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let mut allowed = Vec::new();
        for route in &self.routes {
            let Some(captured) = matches(&route.pattern, path) else { continue };
            if route.method == wanted {
                return Found::Endpoint(&route.endpoint, captured);
            }
            allowed.push(if route.method == Method::GET { "GET, HEAD" } else { route.method.as_str() });
        }
        allowed.sort_unstable();
        allowed.dedup();
        if allowed.is_empty() { Found::Nothing } else { Found::OtherMethods(allowed.join(", ")) }
    }
}

fn part(segment: &'static str) -> Part {
    match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) if name.ends_with("...") => Part::Rest,
        Some(_) => Part::Any,
        None => Part::Is(segment),
    }
}

fn matches(pattern: &[Part], path: &str) -> Option<Captured> {
    let mut captured = Vec::new();
    let mut left = Some(path);
    for part in pattern {
        let rest = left?;
        let (segment, next) = rest.split_once('/').map_or((rest, None), |(segment, next)| (segment, Some(next)));
        match part {
            Part::Is(wanted) if *wanted == segment => left = next,
            Part::Any if !segment.is_empty() => {
                captured.push(segment.to_owned());
                left = next;
            }
            Part::Rest if !rest.is_empty() => {
                captured.push(rest.to_owned());
                left = None;
            }
            _ => return None,
        }
    }
    left.is_none().then_some(Captured(captured))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply;

    fn router() -> Router {
        let say = |word: &'static str| move |_: &Request| reply::text(word);
        Router::new()
            .get("/{hash}/checkpoint", say("checkpoint"))
            .get("/evidence/{path...}", say("evidence"))
            .get("/evidence/index", say("index"))
            .get("/", say("page"))
            .get("/alerts/{id}", say("alert"))
            .post("/alerts/{id}", 1, say("post"))
            .get("/alerts/{id}", say("never"))
    }

    fn ask(method: &Method, path: &str) -> Result<(String, Vec<String>), Option<String>> {
        match router().find(method, path) {
            Found::Endpoint(endpoint, captured) => {
                let mut request = Request::new(Vec::new());
                request.extensions_mut().insert(captured);
                let answer = String::from_utf8((endpoint.handler)(&request).into_body()).unwrap();
                let captured = (0..3).map(|n| super::captured(&request, n).to_owned());
                Ok((answer, captured.filter(|text| !text.is_empty()).collect()))
            }
            Found::OtherMethods(allow) => Err(Some(allow)),
            Found::Nothing => Err(None),
        }
    }

    #[test]
    fn what_is_spelt_out_goes_before_what_is_open() {
        let cases = [
            ("/", "page", &[][..]),
            ("/evidence/index", "index", &[]),
            ("/evidence/indexes", "evidence", &["indexes"]),
            ("/evidence/a/b", "evidence", &["a/b"]),
            ("/alerts/checkpoint", "alert", &["checkpoint"]),
            ("/abc/checkpoint", "checkpoint", &["abc"]),
            ("/alerts/%2e%2e", "alert", &["%2e%2e"]),
        ];
        for (path, answer, captured) in cases {
            let captured = captured.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(ask(&Method::GET, path), Ok((answer.to_owned(), captured)), "{path}");
            assert_eq!(ask(&Method::HEAD, path), ask(&Method::GET, path));
        }
        assert_eq!(ask(&Method::POST, "/alerts/x").unwrap().0, "post");
    }

    #[test]
    fn what_is_not_there_is_told_from_what_answers_otherwise() {
        for path in
            ["", "*", "/alerts", "/alerts/", "/alerts/a/", "//checkpoint", "/evidence/", "/evidence/../x", "/./"]
        {
            assert_eq!(ask(&Method::GET, path), Err(None), "{path}");
        }
        assert_eq!(ask(&Method::PUT, "/alerts/x"), Err(Some("GET, HEAD, POST".into())));
        assert_eq!(ask(&Method::POST, "/"), Err(Some("GET, HEAD".into())));
    }
}
