//! A plot of a log's growth, as SVG that the style sheet colours.

use std::fmt::Write as _;

use atl::time::UnixMillis;
use maud::{Markup, html};

use super::own;
use super::words::span;
use crate::text::grouped;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 180.0;
/// Room for a digit on the left, as large as it is on a phone, and for what stands beside a number.
const DIGIT: f64 = 11.5;
const BESIDE: f64 = 10.0;
/// Room for the times below, and for half a number above.
const BOTTOM: f64 = 24.0;
const TOP: f64 = 16.0;
/// More points than these are more than a screen has columns.
const MOST_POINTS: usize = 600;

/// The growth of a log up to `now`; nothing where there are not two points yet.
pub fn growth(points: &[(UnixMillis, u64)], now: UnixMillis) -> Option<Markup> {
    let ((first, low), (_, high)) = (*points.first()?, *points.last()?);
    if points.len() < 2 {
        return None;
    }
    let (begun, grown) = (low, high);
    let (from, until) = (first, points.iter().map(|(at, _)| *at).max()?.max(now));
    let (low, high) = scale(points.iter().map(|(_, size)| *size).min().unwrap_or(low), high);
    let middle = low + (high - low) / 2;
    let ticks = [low, middle, high].map(|size| (size, grouped(size)));
    let left = BESIDE + f64::from(ticks.iter().map(|(_, text)| text.len() as u8).max().unwrap_or(0)) * DIGIT;
    let x = |at: UnixMillis| left + (WIDTH - left - 4.0) * ratio(at.since(from), until.since(from));
    let y = |size: u64| HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * ratio(size.saturating_sub(low), high - low);
    let path = steps(points, until, x, y);
    let base = HEIGHT - BOTTOM;
    let area = format!("{path}V{base}H{left}Z");
    let label = format!(
        "{} heads, from {} ago to now: from {} entries to {}",
        grouped(points.len() as u64),
        span(now.since(from)),
        grouped(begun),
        grouped(grown)
    );
    // Elements of SVG end with a tag of their own, also inside HTML.
    Some(html! {
        svg class="plot" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            @for (size, text) in &ticks {
                line class="grid" x1=(left) x2=(WIDTH) y1=(y(*size)) y2=(y(*size)) {}
                text class="tick" x=(left - 6.0) y=(y(*size) + 4.0) text-anchor="end" { (text) }
            }
            path class="area" d=(own(area)) {}
            path class="line" d=(own(path)) {}
            text class="tick" x=(left) y=(HEIGHT - 6.0) { (span(now.since(from))) " ago" }
            text class="tick" x=(WIDTH - 4.0) y=(HEIGHT - 6.0) text-anchor="end" { "now" }
        }
    })
}

/// The lowest and the highest number of the axis: never the same, and with a whole middle.
const fn scale(low: u64, high: u64) -> (u64, u64) {
    let span = high.saturating_sub(low);
    let even = if span < 2 { 2 } else { span.saturating_add(span % 2) };
    match low.checked_add(even) {
        Some(high) => (low, high),
        None => (low.saturating_sub(even), low),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a pixel needs no more")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

/// A step for each point: a size holds until the next head.
fn steps(
    points: &[(UnixMillis, u64)],
    until: UnixMillis,
    x: impl Fn(UnixMillis) -> f64,
    y: impl Fn(u64) -> f64,
) -> String {
    let every = points.len().div_ceil(MOST_POINTS);
    let last = points.len() - 1;
    let mut path = String::new();
    for (n, (at, size)) in points.iter().enumerate().filter(|(n, _)| n % every == 0 || *n == last) {
        let (x, y) = (x(*at), y(*size));
        // Writing to a string cannot fail.
        let _ = if n == 0 { write!(path, "M{x:.1} {y:.1}") } else { write!(path, "H{x:.1}V{y:.1}") };
    }
    let _ = write!(path, "H{:.1}", x(until));
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    #[test]
    fn one_point_is_no_growth() {
        assert!(growth(&[], at(5)).is_none());
        assert!(growth(&[(at(1), 5)], at(5)).is_none());
    }

    #[test]
    fn a_size_holds_until_the_next_head() {
        let svg = growth(&[(at(0), 0), (at(500), 100)], at(1000)).unwrap().into_string();
        assert!(svg.contains("d=\"M44.5 156.0H340.2V16.0H636.0\""), "{svg}");
        for tick in [">0<", ">50<", ">100<", "aria-label=\"2 heads, from 1 s ago to now: from 0 entries to 100\""] {
            assert!(svg.contains(tick), "{svg}");
        }
        let steady = growth(&[(at(0), 9), (at(500), 9), (at(600), 9)], at(1000)).unwrap().into_string();
        assert!(steady.contains("3 heads, from 1 s ago to now: from 9 entries to 9"), "{steady}");
    }

    proptest! {
        #[test]
        fn every_history_stays_inside(
            points in prop::collection::vec((any::<u64>(), any::<u64>()), 2..50), now: u64
        ) {
            let mut points: Vec<_> = points.into_iter().map(|(time, size)| (at(time), size)).collect();
            points.sort_unstable();
            let svg = growth(&points, at(now)).unwrap().into_string();
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
            for number in svg.split("d=\"").nth(2).unwrap().split('"').next().unwrap().split(['M', 'H', 'V', ' ']) {
                prop_assert!(number.is_empty() || (0.0..=WIDTH).contains(&number.parse::<f64>().unwrap()), "{}", svg);
            }
        }
    }
}
