//! What a check comes to, for people and for machines, and how far it has come.

use std::fmt::Display;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::output::{CliError, print_json, print_rows};
use crate::merkle::{Hash, TreeSize};
use crate::time::Stopwatch;
use crate::verify::fault::Fault;

/// Findings that are written out; the rest is counted.
const MAX_FINDINGS: usize = 100;

/// Between two lines of progress where nobody watches a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where: a tile, an entry, a file.
    pub at: String,
    /// What.
    pub what: String,
}

impl Finding {
    /// `what` is wrong at `at`.
    pub fn new(at: impl Display, what: impl Display) -> Self {
        Self { at: at.to_string(), what: what.to_string() }
    }
}

impl From<Fault> for Finding {
    fn from(fault: Fault) -> Self {
        Self::new(fault.at, fault.what)
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The directory or the URL.
    pub log: String,
    /// Entries whose leaves were re-derived.
    pub entries: TreeSize,
    /// The root that those give.
    pub root: Hash,
    /// Tiles compared in full.
    pub tiles: u64,
    /// Certificates held against their hashes.
    pub certificates: u64,
    /// Entries without a certificate any more.
    pub pruned: u64,
    /// Different chain certificates held against their fingerprints.
    pub issuers: u64,
    /// Statements by the log held against the entries: state, heads, checkpoints, sampled answers.
    pub statements: u64,
    /// All findings, also those not written out.
    pub findings_total: u64,
    /// The first findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// A report on `log`, with nothing in it yet.
    pub fn new(log: String) -> Self {
        Self {
            log,
            entries: TreeSize::EMPTY,
            root: crate::merkle::empty_root(),
            tiles: 0,
            certificates: 0,
            pruned: 0,
            issuers: 0,
            statements: 0,
            findings_total: 0,
            findings: Vec::new(),
        }
    }

    /// Adds what was found.
    pub fn add<F: Into<Finding>>(&mut self, findings: impl IntoIterator<Item = F>) {
        for finding in findings {
            self.findings_total += 1;
            if self.findings.len() < MAX_FINDINGS {
                self.findings.push(finding.into());
            }
        }
    }

    /// Counts a statement that was checked, with what was found wrong in it.
    pub fn statement<F: Into<Finding>>(&mut self, findings: impl IntoIterator<Item = F>) {
        self.statements += 1;
        self.add(findings);
    }

    /// Prints it. Findings are the error that the process ends with.
    pub fn conclude(self, json: bool) -> Result<(), CliError> {
        if json {
            print_json(&self)?;
        } else {
            self.print();
        }
        match self.findings_total {
            0 => Ok(()),
            1 => Err(CliError::negative("1 finding: this log is damaged or does not keep its word")),
            n => Err(CliError::negative(format!("{n} findings: this log is damaged or does not keep its word"))),
        }
    }

    fn print(&self) {
        for finding in &self.findings {
            println!("FOUND  {}: {}", finding.at, finding.what);
        }
        let unwritten = self.findings_total.saturating_sub(self.findings.len() as u64);
        if unwritten > 0 {
            println!("FOUND  and {unwritten} more");
        }
        if !self.findings.is_empty() {
            println!();
        }
        print_rows([
            ("log", self.log.clone()),
            ("entries re-derived", self.entries.to_string()),
            ("root", self.root.to_string()),
            ("tiles compared", self.tiles.to_string()),
            ("certificates hashed", self.certificates.to_string()),
            ("certificates pruned", self.pruned.to_string()),
            ("chain certificates", self.issuers.to_string()),
            ("statements checked", self.statements.to_string()),
            ("findings", self.findings_total.to_string()),
        ]);
        if self.findings_total == 0 {
            println!("\nClean: all that was looked at follows from the entries.");
        }
    }
}

/// How far a check has come: a bar on a terminal, else a line now and then.
pub struct Progress {
    bar: ProgressBar,
    line: Stopwatch,
}

impl Progress {
    /// Progress towards `entries` entries, on standard error.
    pub fn towards(entries: TreeSize) -> Self {
        let bar = ProgressBar::new(entries.get());
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} entries  {per_sec}  {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { bar, line: Stopwatch::start() }
    }

    /// `done` entries are behind us.
    pub fn at(&mut self, done: TreeSize) {
        self.bar.set_position(done.get());
        if self.bar.is_hidden() && self.line.elapsed() >= LINE_EVERY {
            eprintln!("{done} of {} entries checked", self.bar.length().unwrap_or_default());
            self.line = Stopwatch::start();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
