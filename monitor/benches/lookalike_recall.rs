//! Recall by class and false positives of the look-alike engine, beside plain edit distance in the same run.
//!
//! The data are in `tests/data/lookalike`. Recall is the part of the made look-alikes that are alerts with the
//! usual threshold, whichever watched domain is named. The two folds are halves of the watched domains, each with
//! the look-alikes of its own and all negatives; nothing is trained, so a fold is no more than that.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "../tests/common/recall.rs"]
mod recall;

use recall::{Outcome, engine, fold, measure, watched, within_edits};

fn main() {
    let all = watched();
    let (first, second) = (fold(0), fold(1));
    let columns = [
        ("engine", measure(&all, engine(&all))),
        ("edit 1", measure(&all, within_edits(&all, 1))),
        ("edit 2", measure(&all, within_edits(&all, 2))),
        ("fold 1", measure(&first, engine(&first))),
        ("fold 2", measure(&second, engine(&second))),
    ];
    print!("{:20} {:>6}", "class", "rows");
    columns.iter().for_each(|(name, _)| print!(" {name:>8}"));
    println!();
    for (class, count) in &columns[0].1.positives {
        row(class, count.rows, &columns, |outcome| {
            outcome.positives.get(class).map_or("-".into(), |count| format!("{:.3}", count.rate()))
        });
    }
    let rows = |outcome: &Outcome| outcome.positives.values().map(|count| count.rows).sum();
    row("macro recall", rows(&columns[0].1), &columns, |outcome| format!("{:.3}", outcome.macro_recall()));
    println!("\nalerts among names that are their owners'");
    for (kind, count) in &columns[0].1.negatives {
        row(kind, count.rows, &columns, |outcome| outcome.negatives[kind].alerts.to_string());
    }
    row("per 10,000 unrelated", 10_000, &columns, |outcome| format!("{:.1}", outcome.false_per_10_000()));
    println!("\nfold 1: {}\nfold 2: {}", first.join(" "), second.join(" "));
}

fn row(name: &str, rows: usize, columns: &[(&str, Outcome)], cell: impl Fn(&Outcome) -> String) {
    print!("{name:20} {rows:>6}");
    columns.iter().for_each(|(_, outcome)| print!(" {:>8}", cell(outcome)));
    println!();
}
