//! The page of a monitor in headless Chromium: in light and dark, on a wide screen and on a phone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../tests/common/agents.rs"]
mod agents;
#[path = "common/browser.rs"]
mod browser;
#[path = "common/log_server.rs"]
mod log_server;
#[path = "common/process.rs"]
mod process;

use agents::{HOUR, Key, MINUTE, Profile, World, pem_of, precertificate};
use atl::api::{B64, SubmitEntryRequest};
use atl::client::LogClient;
use atl::log::checkpoint::Origin;
use atl::log::sth::TreeHead;
use atl::time::{Clock, SystemClock};
use atl_monitor::follow::history;
use atl_monitor::state::State;
use browser::Browser;
use log_server::TestLog;
use process::{HonestLog, Monitor, MonitorDir, eventually};
use serde_json::Value;

const HONEST: &str = "log.example/2026";
const OTHER: &str = "a-log-with-a-long-name.and-many-parts.example/2026h2/the-second-half-of-the-year";

/// An agent of this name, valid now, in the log.
async fn enrol(world: &World, log: &HonestLog, uri: &str) {
    let now = SystemClock.now();
    let mut profile = Profile::new("one", 50);
    profile.uri = uri.to_owned();
    (profile.not_before, profile.not_after) = (now.saturating_sub(MINUTE), now.saturating_add(HOUR));
    let precertificate = precertificate(&profile.draft(&Key::ed25519(90), &world.ca), &world.ca.key);
    let chain = world.ca.chain().iter().map(|ca| B64(ca.der().to_vec())).collect();
    let request = SubmitEntryRequest { submission: B64(precertificate.der().to_vec()), entry_type: None, chain };
    LogClient::new(&log.url()).unwrap().submit(&request).await.unwrap();
}

/// Notes a size of the log of an hour ago, as a monitor does that has run for so long.
fn has_grown(dir: &MonitorDir, origin: &str) {
    std::fs::create_dir(dir.path("data")).unwrap();
    let state = State::open(&dir.path("data/state.redb")).unwrap();
    let origin: Origin = origin.parse().unwrap();
    for (ago, size) in [(HOUR, 0), (HOUR / 2, 1)] {
        let at = SystemClock.now().saturating_sub(ago);
        state.write(|write| history::note(write, &origin, at, size)).unwrap();
    }
}

/// Text whose contrast with what is behind it is less than 4.5 (WCAG 2.2, 1.4.3), and how many texts there are.
const CONTRAST: &str = r#"
const channels = color => {
  const found = color.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
  if (!found) throw new Error('a colour of another form: ' + color);
  return [1, 2, 3].map(n => Number(found[n])).concat(found[4] === undefined ? 1 : Number(found[4]));
};
const luminance = color => {
  const [r, g, b] = color.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const color = channels(getComputedStyle(at).backgroundColor);
    if (color[3] === 1) return color;
    if (color[3] !== 0) throw new Error('a ground that shines through');
  }
  throw new Error('no ground');
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let texts = 0, faint = [];
while (walker.nextNode()) {
  const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
  if (!text) continue;
  texts += 1;
  const style = getComputedStyle(element);
  const ink = channels(element instanceof SVGElement ? style.fill : style.color);
  const [high, low] = [luminance(ink), luminance(behind(element))].sort((a, b) => b - a);
  const contrast = (high + 0.05) / (low + 0.05);
  if (contrast < 4.5) faint.push(text + ': ' + contrast);
}
return [texts, faint];
"#;

/// The screen's width, the document's, and what is wider than the screen.
const WIDTHS: &str = r#"
const wide = [...document.querySelectorAll('body *')]
  .filter(element => element.getBoundingClientRect().right > innerWidth + 0.5 || element.getBoundingClientRect().left < -0.5)
  .map(element => element.tagName + ': ' + element.textContent.slice(0, 60));
return [innerWidth, document.documentElement.scrollWidth, wide];
"#;

/// What there is on every page: it is readable, as wide as the screen, and asks for nothing elsewhere.
fn looks_right(browser: &Browser, monitor: &Monitor, width: u32) {
    let contrast = browser.run(CONTRAST);
    assert!(contrast[0].as_u64().is_some_and(|texts| texts > 10), "{contrast}");
    assert_eq!(contrast[1], Value::Array(Vec::new()));
    assert_eq!(browser.run(WIDTHS), serde_json::json!([width, width, []]));
    let resources = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)");
    let resources: Vec<_> =
        resources.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let own = monitor.url() + "/";
    assert!(resources.contains(&format!("{own}style.css")), "{resources:?}");
    assert!(resources.iter().all(|resource| resource.starts_with(&own)), "{resources:?}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// One look at everything; the colour of the ground.
fn look(monitor: &Monitor, width: u32, dark: bool) -> String {
    let browser = Browser::open(width, dark);
    browser.visit(&format!("{}/", monitor.url()));
    looks_right(&browser, monitor, width);
    let text = browser.text();
    for words in [
        "One log is proven to have misbehaved. Nothing of it is trusted any more.",
        "in order",
        "misbehaved",
        HONEST,
        OTHER,
        "cybersec-ai.co.uk looks like cybersecai.co.uk",
        "What is watched",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // The growth of the log is drawn, over most of the card.
    // The other log has a plot too, once a minute is over, and it is flat.
    let plot = browser.run(&format!(
        "const cards = [...document.querySelectorAll('article')]; \
         const card = cards.find(card => card.querySelector('h3').textContent.includes('{HONEST}')); \
         const line = card.querySelector('svg.plot path.line'); \
         const box = line.getBBox(), shown = line.getBoundingClientRect(), style = getComputedStyle(line); \
         return [box.width, box.height, shown.width / innerWidth, style.stroke]"
    ));
    let of = |n: usize| plot[n].as_f64().unwrap();
    assert!(of(0) > 400.0 && of(1) > 50.0 && of(2) > 0.3, "{plot}");
    assert!(plot[3].as_str().unwrap().starts_with("rgb("), "{plot}");
    let ground = browser.run("return getComputedStyle(document.body).backgroundColor").as_str().unwrap().to_owned();

    // From the line of an alert to its page, and back.
    let links = "return [...document.querySelectorAll('ol.alerts a[href^=\"/alerts/\"]')]";
    let follow = format!("{links}.find(link => link.textContent.includes('cybersec-ai')).click()");
    browser.run(&follow);
    let at = |path: &str| {
        let place = browser.run("return document.readyState === 'complete' ? location.pathname : ''");
        place.as_str().is_some_and(|place| place.starts_with(path)).then_some(())
    };
    eventually("the page of the alert", || at("/alerts/"));
    looks_right(&browser, monitor, width);
    let text = browser.text();
    for words in
        ["What to do", "Find out who is behind it.", "entry.lookalike", "inclusion proof", "agent://cybersec-ai.co.uk"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    browser.run("document.querySelector('header a').click()");
    eventually("the overview again", || (at("/").is_some() && at("/alerts/").is_none()).then_some(()));
    ground
}

#[tokio::test(flavor = "multi_thread")]
async fn people_can_read_it_by_day_and_night_and_on_a_phone() {
    let world = World::new();
    let honest = HonestLog::start(HONEST, &pem_of(std::slice::from_ref(&world.root.certificate)));
    enrol(&world, &honest, "agent://agents.example/org/worker/one").await;
    enrol(&world, &honest, "agent://cybersec-ai.co.uk/org/worker/one").await;
    let other = TestLog::start(OTHER).await;
    let now = SystemClock.now().get();
    other.append([b"an entry".to_vec()], now - 2000);
    let head = other.sign(now - 1000);
    let logs = [(honest.url(), honest.vkey.clone()), (other.watched.url.clone(), other.watched.key.to_string())];
    let logs = logs.each_ref().map(|(url, vkey)| (url.as_str(), vkey.as_str()));
    let more = "[owner]\ndomains = [\"cybersecai.co.uk\"]\n[rules]\nprofile = false\nextensions = false\n";
    let dir = MonitorDir::new("monitor.example", &logs, more);
    has_grown(&dir, HONEST);
    let monitor = dir.start();
    // The other log misbehaves once it is verified.
    let line = |log: &str| format!("atl_monitor_verified_entries{{log=\"{log}\"}}");
    eventually("both are verified", || {
        (monitor.metric(&line(HONEST))? == 2.0 && monitor.metric(&line(OTHER))? == 1.0).then_some(())
    });
    let lie = TreeHead { root: atl::merkle::leaf_hash(b"another"), timestamp: SystemClock.now(), ..head };
    other.show(lie, lie);
    eventually("it is proven", || (monitor.get("/healthz").0 == 503).then_some(()));

    // A browser brings its own runtime.
    let monitor = tokio::task::spawn_blocking(move || {
        let grounds: Vec<_> = [(1280, false), (1280, true), (390, false), (390, true)]
            .map(|(width, dark)| look(&monitor, width, dark))
            .into();
        assert_eq!((&grounds[0], &grounds[1]), (&grounds[2], &grounds[3]));
        assert_ne!(grounds[0], grounds[1], "light and dark are the same");
        monitor
    });
    monitor.await.unwrap().stop();
}
