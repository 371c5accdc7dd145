//! What the engine's service says, as JSON.

use crate::api::Subproblem;
use crate::api::trust::{
    AccountAnswer, AssessAnswer, ChangeEntry, ExplainLine, FlagEntry, HeldReview, IncidentChange, IncidentEntry,
    OutcomeKind, ReporterEntry, ReviewEntry, SignalOutcome,
};
use crate::trust::service::{
    AccountView, Assessed, Change, Flag, HalfPoints, Hold, Incident, Line, Measure, Outcome, Receipt, ReporterRecord,
    Review, Source,
};

/// An agent's score.
pub fn assessed(found: Assessed) -> AssessAnswer {
    AssessAnswer {
        agent: found.agent,
        score: found.score,
        half_points: found.half_points.get(),
        cap: found.cap.get(),
        base: found.base.get(),
        decay_rate: found.decay_rate,
        as_of: found.as_of,
        withheld_up: found.withheld.0.get(),
        withheld_down: found.withheld.1.get(),
        held: found.held.get(),
        incidents: found.incidents,
        row: found.row,
    }
}

/// An agent's account.
pub fn account(found: AccountView) -> AccountAnswer {
    let review = |(id, half_points): (u64, HalfPoints)| HeldReview { id, half_points: half_points.get() };
    AccountAnswer {
        score: assessed(found.assessed),
        opened_at: found.opened_at,
        balance: found.balance.get(),
        decayed: found.decayed.get(),
        peak: found.peak.get(),
        penalties: found.penalties.get(),
        active_until: found.active_until,
        fast_until: found.fast_until,
        reviews: found.reviews.into_iter().map(review).collect(),
        rows: found.rows,
    }
}

/// What came of a signal; `None` where it could not be taken in now.
pub fn outcome(outcome: Outcome) -> Option<SignalOutcome> {
    match outcome {
        Outcome::Taken(receipt) => Some(taken(&receipt)),
        Outcome::Repeated(receipt) => Some(SignalOutcome { outcome: OutcomeKind::Repeated, ..taken(&receipt) }),
        Outcome::Refused(refusal) => Some(SignalOutcome {
            outcome: OutcomeKind::Refused,
            id: None,
            row: None,
            requested: None,
            applied: None,
            withheld: None,
            held: None,
            problem: Some(Subproblem::reason(refusal.token(), refusal.to_string())),
        }),
        Outcome::NotNow(_) => None,
    }
}

fn taken(receipt: &Receipt) -> SignalOutcome {
    let outcome = match (receipt.withheld, receipt.held) {
        (_, held) if held != HalfPoints::ZERO => OutcomeKind::Held,
        (withheld, _) if withheld != HalfPoints::ZERO => OutcomeKind::Capped,
        _ => OutcomeKind::Applied,
    };
    SignalOutcome {
        outcome,
        id: Some(receipt.id.to_string()),
        row: Some(receipt.row),
        requested: Some(receipt.requested.get()),
        applied: Some(receipt.applied.get()),
        withheld: Some(receipt.withheld.get()),
        held: Some(receipt.held.get()),
        problem: None,
    }
}

/// A line of an explanation.
pub fn line(line: Line) -> ExplainLine {
    ExplainLine {
        row: line.row,
        at: line.at,
        who: line.who,
        what: line.what,
        requested: line.requested.map(HalfPoints::get),
        applied: line.applied.get(),
        why: line.why,
        decayed: line.decayed.get(),
        balance: line.balance.get(),
        decay: line.decay.get(),
        cap: line.cap.get(),
        score: line.score.get(),
    }
}

/// A score that changed.
pub fn change(change: Change) -> ChangeEntry {
    let incident = change.incident.map(|(id, stage)| IncidentChange { id, stage: stage.name().to_owned() });
    ChangeEntry {
        row: change.row,
        agent: change.agent,
        score: change.half_points.score(),
        half_points: change.half_points.get(),
        at: change.at,
        incident,
    }
}

/// An incident that nobody has decided.
pub fn incident(incident: Incident) -> IncidentEntry {
    IncidentEntry {
        id: incident.id,
        agent: incident.agent,
        reporter: incident.reporter.to_string(),
        at: incident.at,
        observed_at: incident.observed_at,
        detail: incident.detail,
    }
}

/// A review that nobody has decided.
pub fn review(review: Review) -> ReviewEntry {
    let why = match review.why {
        Hold::ReporterCap => "reporterCap",
        Hold::RiseLimit => "riseLimit",
        Hold::ReporterFlagged => "reporterFlagged",
    };
    let source = match review.source {
        Source::Reporter(reporter) => format!("reporter {reporter}"),
        Source::Operator(name) => format!("operator {name}"),
    };
    ReviewEntry {
        id: review.id,
        agent: review.agent,
        half_points: review.half_points.get(),
        why: why.to_owned(),
        source,
        at: review.at,
    }
}

/// A reporter.
pub fn reporter(record: ReporterRecord) -> ReporterEntry {
    ReporterEntry { name: record.id.to_string(), signals: record.signals, flag: record.flag.map(flag) }
}

fn flag(flag: Flag) -> FlagEntry {
    let measure = match flag.finding.measure {
        Measure::Positives => "positives",
        Measure::Mean => "mean",
    };
    FlagEntry {
        row: flag.row,
        at: flag.at,
        measure: measure.to_owned(),
        found: flag.finding.found,
        median: flag.finding.median,
        deviation: flag.finding.deviation,
        others: flag.finding.others,
    }
}

/// The first `limit` of what was found; the name of the last of them, where there are more.
pub fn page<T, N>(mut found: Vec<T>, limit: usize, name: impl Fn(&T) -> N) -> (Vec<T>, Option<N>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(name);
    (found, next)
}
