//! The pages' routes: what they show is read from database, board and evidence when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use atl::api::{Problem, Token, number, parameters};
use atl::time::UnixMillis;
use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue, LINK};
use parking_lot::Mutex;

use crate::alert::{self, Alert, Delivery};
use crate::evidence::{self, EvidenceError, Listing, Summary};
use crate::finding::FindingId;
use crate::follow::history;
use crate::http::{Request, Response, Router, Shared, captured, reply};
use crate::page::{ICON, ICON_PATH, STYLE, STYLE_PATH, ShownAlert, ShownEvidence, View};
use crate::state::StateError;

/// Alerts and evidence that the overview lists.
const LISTED: usize = 100;

/// Alerts that may be asked for at once.
const MOST_LISTED: u64 = 200;

/// For how long a list of evidence is good, in milliseconds.
const LISTED_FOR_MS: u64 = 5_000;

/// What pages are made of.
struct Pages {
    shared: Arc<Shared>,
    watching: Vec<String>,
    listed: Mutex<Option<(UnixMillis, Vec<ShownEvidence>)>>,
}

/// Adds the pages.
pub fn pages(router: Router, shared: &Arc<Shared>, watching: Vec<String>) -> Router {
    let pages = Arc::new(Pages { shared: Arc::clone(shared), watching, listed: Mutex::default() });
    let (overview, alerts, one, evidence) =
        (Arc::clone(&pages), Arc::clone(&pages), Arc::clone(&pages), Arc::clone(&pages));
    router
        .get("/", move |_| overview.overview())
        .quick(STYLE_PATH, |_| reply::cached(reply::of("text/css; charset=utf-8", STYLE), 300))
        .quick(ICON_PATH, |_| reply::cached(reply::of("image/svg+xml", ICON), 86_400))
        .get("/alerts", move |request| alerts.alerts(request))
        .get("/alerts/{id}", move |request| one.alert(captured(request, 0)))
        .large("/evidence/{id}", move |request: &Request| evidence.evidence(captured(request, 0)))
}

impl Pages {
    fn overview(&self) -> Response {
        let alerts = self.shared.state.read(|read| alert::newest(read, LISTED));
        match self.view(alerts) {
            Ok(view) => html(StatusCode::OK, view.overview()),
            Err(error) => self.broken(&error),
        }
    }

    /// `?before=SEQ&limit=N`: the alerts that were raised before the one with this place, the newest first, as JSON or
    /// for a browser. The header `Link` has where the next older ones are (RFC 8288).
    fn alerts(&self, request: &Request) -> Response {
        let (before, limit) = match span(request.uri().query().unwrap_or_default()) {
            Ok(span) => span,
            Err(problem) => return reply::problem(&problem),
        };
        let alerts = match self.shared.state.read(|read| alert::before(read, before, limit)) {
            Ok(alerts) => alerts,
            Err(error) => return self.broken(&error),
        };
        let next = alerts.last().map(|last| last.seq).filter(|seq| alerts.len() == limit && *seq > 1);
        let response = match reply::wants_page(request.method(), request.headers()) {
            true => {
                let alerts = alerts.into_iter().map(shown).collect();
                html(StatusCode::OK, View { alerts, ..self.bare() }.listing(next))
            }
            false => reply::json(&alerts),
        };
        let link = next.map(|seq| HeaderValue::try_from(format!("</alerts?before={seq}&limit={limit}>; rel=\"next\"")));
        match link {
            Some(Ok(link)) => reply::with(response, LINK, link),
            _ => response,
        }
    }

    fn alert(&self, id: &str) -> Response {
        let view = self.bare();
        let missing = || html(StatusCode::NOT_FOUND, view.missing("There is no such alert."));
        let Some(id) = FindingId::parse(id) else { return missing() };
        match self.shared.state.read(|read| alert::find(read, id)) {
            Ok(Some(alert)) => html(StatusCode::OK, view.alert(&shown(alert))),
            Ok(None) => missing(),
            Err(error) => self.broken(&error),
        }
    }

    /// One piece of evidence as an archive: `<sha256>.tar`.
    fn evidence(&self, name: &str) -> Response {
        let view = self.bare();
        let id = name.strip_suffix(".tar").unwrap_or_default();
        match evidence::files(&self.shared.evidence_dir, id) {
            Ok(files) => {
                let response = reply::of("application/x-tar", evidence::tar(id, &files));
                let name = HeaderValue::from_str(&format!("attachment; filename=\"evidence-{id}.tar\""));
                name.map_or_else(|_| missing(&view), |name| reply::with(response, CONTENT_DISPOSITION, name))
            }
            Err(EvidenceError::NoSuch(_)) => missing(&view),
            Err(error) => {
                tracing::error!(%error, "evidence cannot be given out");
                html(StatusCode::INTERNAL_SERVER_ERROR, view.missing("The evidence cannot be read."))
            }
        }
    }

    /// What every page needs.
    fn bare(&self) -> View {
        View { name: self.shared.name.to_string(), now: self.shared.clock.now(), ..View::default() }
    }

    fn view(&self, alerts: Result<Vec<Alert>, StateError>) -> Result<View, StateError> {
        let shared = &self.shared;
        let mut growth = BTreeMap::new();
        for log in &shared.logs {
            growth.insert(log.origin.to_string(), history::read(&shared.state, &log.origin)?);
        }
        let evidence = self.listed(shared.clock.now());
        Ok(View {
            standing: shared.board.standing(),
            watching: self.watching.clone(),
            growth,
            has_older: alerts.as_ref().is_ok_and(|alerts| alerts.len() == LISTED),
            alerts: alerts?.into_iter().map(shown).collect(),
            evidence,
            ..self.bare()
        })
    }

    /// The newest evidence, read from the disk every few seconds at most, however often somebody looks.
    fn listed(&self, now: UnixMillis) -> Vec<ShownEvidence> {
        let mut last = self.listed.lock();
        if let Some((at, shown)) = &*last
            && now.since(*at).max(at.since(now)) < LISTED_FOR_MS
        {
            return shown.clone();
        }
        let Listing { kept, broken } = evidence::list(&self.shared.evidence_dir).unwrap_or_else(|error| {
            tracing::error!(%error, "the evidence cannot be listed");
            Listing::default()
        });
        for (id, why) in broken {
            tracing::warn!(evidence = id, why, "evidence that does not read");
        }
        let show = |kept: Summary| ShownEvidence { id: kept.id, summary: kept.summary, kept_at: kept.found_at };
        let shown: Vec<_> = kept.into_iter().take(LISTED).map(show).collect();
        *last = Some((now, shown.clone()));
        shown
    }

    fn broken(&self, error: &StateError) -> Response {
        tracing::error!(%error, "a page cannot be made");
        html(StatusCode::INTERNAL_SERVER_ERROR, self.bare().missing("The monitor's database cannot be read."))
    }
}

/// Before which place, and how many.
fn span(query: &str) -> Result<(u64, usize), Problem> {
    let [before, limit] = parameters(query, ["before", "limit"])?;
    let before = before.map_or(Ok(u64::MAX), |text| number("before", &text))?;
    match limit.map_or(Ok(LISTED as u64), |text| number("limit", &text))? {
        limit @ 1..=MOST_LISTED => Ok((before, limit as usize)),
        _ => Err(Problem::new(Token::Malformed, format!("`limit` is from 1 to {MOST_LISTED}"))),
    }
}

fn missing(view: &View) -> Response {
    html(StatusCode::NOT_FOUND, view.missing("There is no such evidence."))
}

fn html(status: StatusCode, text: String) -> Response {
    let mut response = reply::of("text/html; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

fn shown(alert: Alert) -> ShownAlert {
    let deliveries = alert.deliveries.iter().map(|(sink, delivery)| (sink.clone(), state(delivery))).collect();
    ShownAlert {
        severity: alert.finding.class.severity(),
        finding: alert.finding,
        silenced: alert.silenced,
        acknowledged_at: alert.acknowledged_at,
        deliveries,
    }
}

/// How it stands with one sink.
fn state(delivery: &Delivery) -> String {
    let error = delivery.last_error.as_deref().unwrap_or("not tried yet");
    match (delivery.delivered_at, delivery.next_attempt_at) {
        (Some(at), None) => format!("told at {at}"),
        (_, Some(next)) if delivery.attempts > 0 => {
            format!("tried {} times, next at {next}: {error}", delivery.attempts)
        }
        (_, Some(next)) => format!("to be told at {next}"),
        (None, None) => "not told".into(),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::ACCEPT;

    use super::*;
    use crate::finding::{Class, Finding};
    use crate::http::testing::{TestClock, shared};

    /// A monitor's pages with this many alerts.
    fn pages_of(alerts: usize) -> (tempfile::TempDir, Arc<TestClock>, Pages) {
        let dir = tempfile::tempdir().unwrap();
        let (shared, clock) = shared(dir.path());
        let raised: Result<_, StateError> = shared.state.write(|write| {
            for n in 1..=alerts {
                let about = format!("head {n}");
                alert::raise(write, &Finding::new(Class::StaleHead, None, &about, about.clone(), UnixMillis::new(5)))?;
            }
            Ok(())
        });
        raised.unwrap();
        (dir, clock, Pages { shared: Arc::new(shared), watching: Vec::new(), listed: Mutex::default() })
    }

    fn ask(pages: &Pages, query: &str, accept: &str) -> (u16, Option<String>, String) {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = format!("/alerts{query}").parse().unwrap();
        request.headers_mut().insert(ACCEPT, HeaderValue::try_from(accept).unwrap());
        let response = pages.alerts(&request);
        let link = response.headers().get(LINK).map(|link| link.to_str().unwrap().to_owned());
        (response.status().as_u16(), link, String::from_utf8(response.into_body()).unwrap())
    }

    #[test]
    fn all_alerts_are_found_page_by_page() {
        let (_dir, _clock, pages) = pages_of(7);
        let (mut query, mut found, mut asked) = (String::from("?limit=3"), Vec::new(), 0);
        loop {
            let (status, link, body) = ask(&pages, &query, "*/*");
            assert_eq!(status, 200, "{body}");
            let alerts: Vec<Alert> = serde_json::from_str(&body).unwrap();
            found.extend(alerts.iter().map(|alert| alert.seq));
            asked += 1;
            let Some(link) = link else { break };
            query = link.strip_prefix("</alerts").unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        }
        assert_eq!((found, asked), (vec![7, 6, 5, 4, 3, 2, 1], 3));
        // A page that ends with the first one of all leads nowhere.
        assert_eq!(ask(&pages, "?limit=7", "*/*").1, None);
        let (status, _, page) = ask(&pages, "?before=6&limit=2", "text/html");
        assert!(
            status == 200 && page.contains("head 5") && page.contains("head 4") && !page.contains("head 3"),
            "{page}"
        );
        assert!(page.contains("href=\"/alerts?before=4\""), "{page}");
    }

    #[test]
    fn a_span_that_is_none_is_refused() {
        let (_dir, _clock, pages) = pages_of(1);
        for query in ["?limit=0", "?limit=201", "?limit=x", "?before=-1", "?before=1&before=2", "?before=%ff"] {
            let (status, _, body) = ask(&pages, query, "*/*");
            assert_eq!(status, 400, "{query}: {body}");
        }
    }
}
