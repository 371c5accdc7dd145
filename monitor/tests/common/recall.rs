//! Recall and false positives on the data in `tests/data/lookalike`, of the engine and of plain edit distance.

use std::collections::{BTreeMap, BTreeSet};

use atl_monitor::rules::lookalike::{Name, Score, Verdict, Watchlist};

const POSITIVES: &str = include_str!("../data/lookalike/positives.csv");
const NEGATIVES: &str = include_str!("../data/lookalike/negatives.csv");

/// A look-alike that was made, or a name that is somebody's own.
pub struct Row {
    /// Whom it was made to imitate.
    pub watched: Option<&'static str>,
    pub candidate: &'static str,
    /// How it was made, or what kind of name it is.
    pub class: &'static str,
}

/// The made look-alikes.
pub fn positives() -> Vec<Row> {
    let row = |line: &'static str| {
        let mut fields = line.split(',');
        let mut next = || fields.next().unwrap();
        Row { watched: Some(next()), candidate: next(), class: next() }
    };
    POSITIVES.lines().skip(1).map(row).collect()
}

/// The names that are their owners'.
pub fn negatives() -> Vec<Row> {
    let row = |line: &'static str| {
        let (candidate, class) = line.split_once(',').unwrap();
        // One of them ends in a dot.
        Row { watched: None, candidate: candidate.trim_end_matches('.'), class }
    };
    // A name of one label is none that an agent could have.
    NEGATIVES.lines().skip(1).map(row).filter(|row| row.candidate.contains('.')).collect()
}

/// All watched domains, in order.
pub fn watched() -> Vec<&'static str> {
    positives().iter().filter_map(|row| row.watched).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The domains of one of two folds: every other one.
pub fn fold(n: usize) -> Vec<&'static str> {
    watched().into_iter().skip(n).step_by(2).collect()
}

/// Rows of a class, and how many of them are an alert.
#[derive(Clone, Copy, Default)]
pub struct Count {
    pub rows: usize,
    pub alerts: usize,
}

impl Count {
    /// The part of the rows that are alerts.
    pub fn rate(self) -> f64 {
        self.alerts as f64 / self.rows as f64
    }
}

/// Alerts by class.
pub struct Outcome {
    pub positives: BTreeMap<&'static str, Count>,
    pub negatives: BTreeMap<&'static str, Count>,
}

impl Outcome {
    /// Recall, averaged over classes: rows would let those with many weigh most.
    pub fn macro_recall(&self) -> f64 {
        self.positives.values().map(|count| count.rate()).sum::<f64>() / self.positives.len() as f64
    }

    /// Alerts among 10,000 names that are near no watched one.
    pub fn false_per_10_000(&self) -> f64 {
        let unrelated = ["random", "top"].map(|kind| self.negatives[kind]);
        let [rows, alerts] = [unrelated.map(|count| count.rows), unrelated.map(|count| count.alerts)];
        alerts.iter().sum::<usize>() as f64 * 10_000.0 / rows.iter().sum::<usize>() as f64
    }
}

/// What `is_alert` says of the look-alikes of these domains, and of all names that are nobody's look-alikes.
pub fn measure(watched: &[&str], is_alert: impl Fn(&str) -> bool) -> Outcome {
    let count = |rows: Vec<Row>| {
        let mut counts: BTreeMap<&'static str, Count> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.watched.is_none_or(|of| watched.contains(&of))) {
            let count = counts.entry(row.class).or_default();
            count.rows += 1;
            count.alerts += usize::from(is_alert(row.candidate));
        }
        counts
    };
    Outcome { positives: count(positives()), negatives: count(negatives()) }
}

/// Whether the engine, watching these domains, makes an alert of a name.
pub fn engine(watched: &[&str]) -> impl Fn(&str) -> bool {
    let names = watched.iter().map(|name| Name::parse(name).unwrap());
    let list = Watchlist::new(names, []).unwrap();
    move |candidate| matches!(list.judge(&Name::parse(candidate).unwrap(), Score::ALERT), Verdict::Lookalike(_))
}

/// Whether a name is within `most` edits of a watched one, and is not that one.
pub fn within_edits(watched: &[&str], most: usize) -> impl Fn(&str) -> bool {
    move |candidate| watched.iter().any(|of| *of != candidate && edit_distance(of, candidate) <= most)
}

/// Levenshtein's distance: letters to put in, leave out or exchange.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, y) in b.bytes().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[m + 1];
            row[m + 1] = exchanged.min(diagonal + 1).min(row[m] + 1);
        }
    }
    row[b.len()]
}
