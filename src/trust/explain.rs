//! Why a score is what it is, line by line.

use super::account::Account;
use super::event::{Actor, Event, Hold};
use super::half_points::HalfPoints;
use super::ledger::Row;
use crate::time::UnixMillis;

/// One row about an agent, in words and numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The row; none for the present, which is the last line.
    pub row: Option<u64>,
    /// When.
    pub at: UnixMillis,
    /// Who: `reporter shop`, `the CA`, `ana (engine)`.
    pub who: String,
    /// What happened, in words.
    pub what: String,
    /// What was asked for; none where nothing was.
    pub requested: Option<HalfPoints>,
    /// What was applied.
    pub applied: HalfPoints,
    /// Why the rest was capped or held; empty where nothing was.
    pub why: String,
    /// What decayed since the line before.
    pub decayed: HalfPoints,
    /// The balance behind it, without decay.
    pub balance: HalfPoints,
    /// All that had decayed by then.
    pub decay: HalfPoints,
    /// The highest score to be had then.
    pub cap: HalfPoints,
    /// The effective score then.
    pub score: HalfPoints,
}

/// Explains an agent's score by the rows about it, in their order, and ends with how it stands `now`. Rows
/// about other agents are left out. `lapse_days` is the policy's ([`super::policy::Policy::penalty_lapse_days`]).
pub fn explain<'r>(rows: impl IntoIterator<Item = &'r Row>, now: UnixMillis, lapse_days: u16) -> Vec<Line> {
    let (mut lines, mut account): (Vec<Line>, Option<Account>) = (Vec::new(), None);
    for row in rows {
        let before = account.as_ref().map_or(HalfPoints::ZERO, |a| a.decay_at(a.decayed_at).half_points());
        match (&mut account, &row.event) {
            (None, Event::Opened { agent, base, after }) => {
                account = Some(Account::open(agent.clone(), *base, after.pace, row.row, row.at));
            }
            (Some(known), event) if event.agent() == Some(&known.agent) => known.apply(row.row, row.at, event),
            _ => continue,
        }
        if let Some(account) = &account {
            let words = Words::of(&row.event);
            lines.push(line(account, Some(row.row), row.at, who(&row.by), words, before, lapse_days));
        }
    }
    if let Some(account) = &account {
        let before = account.decay_at(account.decayed_at).half_points();
        let words = Words { what: "the present".into(), ..Words::default() };
        lines.push(line(account, None, now, String::new(), words, before, lapse_days));
    }
    lines
}

fn line(
    account: &Account,
    row: Option<u64>,
    at: UnixMillis,
    who: String,
    words: Words,
    before: HalfPoints,
    lapse_days: u16,
) -> Line {
    let decay = account.decay_at(at).half_points();
    let Words { what, requested, applied, why } = words;
    let decayed = decay.minus(before).max(HalfPoints::ZERO);
    let (cap, score) = (account.cap(at, lapse_days), account.effective(at, lapse_days));
    Line { row, at, who, what, requested, applied, why, decayed, balance: account.balance, decay, cap, score }
}

fn who(actor: &Actor) -> String {
    match actor {
        Actor::Reporter(reporter) => format!("reporter {reporter}"),
        Actor::Ca => "the CA".into(),
        Actor::Operator(operator) => format!("{} ({})", operator.name, operator.role.name()),
    }
}

#[derive(Default)]
struct Words {
    what: String,
    requested: Option<HalfPoints>,
    applied: HalfPoints,
    why: String,
}

impl Words {
    fn of(event: &Event) -> Self {
        let plain = |what: String| Self { what, ..Self::default() };
        let moved = |what: String, asked: HalfPoints, applied, why| Self { what, requested: Some(asked), applied, why };
        match event {
            Event::Opened { base, .. } => {
                moved("account opened with the CA's attestation".into(), *base, *base, String::new())
            }
            Event::EvidenceLost { from, to, .. } => {
                let by = to.minus(*from);
                moved(format!("attestation fell from {from} to {to}"), by, by, String::new())
            }
            Event::Repaced { after, .. } => {
                plain(format!("decays by {} points an hour from now on", after.pace.rate.get()))
            }
            Event::SignalTaken { signal, .. } => {
                let detail = signal.detail.as_ref().map_or(String::new(), |detail| format!(": {}", printable(detail)));
                let what = format!("{} (signal {}){detail}", signal.kind.name(), signal.id);
                moved(what, signal.requested, signal.applied, why(&signal.why, signal.withheld, signal.held))
            }
            Event::Released { signal, reporter, applied, held, why: holds, .. } => {
                let what = format!("a second reporter agrees with row {signal} of {reporter}");
                moved(what, applied.plus(*held), *applied, why(holds, HalfPoints::ZERO, *held))
            }
            Event::IncidentConfirmed { incident, dropped, .. } => plain(match dropped.len() {
                0 => format!("incident {incident} confirmed: reset to 0"),
                dropped => format!("incident {incident} confirmed: reset to 0, {dropped} reviews dropped"),
            }),
            Event::IncidentDismissed { incident, returned, .. } => moved(
                format!("incident {incident} dismissed, what it took is given back"),
                *returned,
                *returned,
                String::new(),
            ),
            Event::ReviewApproved { review, applied, .. } => {
                moved(format!("what row {review} held was approved"), *applied, *applied, String::new())
            }
            Event::ReviewDenied { review, .. } => plain(format!("what row {review} held was denied")),
            Event::Rebased { from, to, applied, held, reason, .. } => {
                let what = format!("base changed from {from} to {to}: {}", printable(reason));
                moved(what, to.minus(*from), *applied, why(&[Hold::RiseLimit], HalfPoints::ZERO, *held))
            }
            Event::ReporterFlagged { reporter, .. } => plain(format!("reporter {reporter} is unlike the others")),
            Event::ReporterCleared { reporter } => plain(format!("reporter {reporter} is trusted again")),
        }
    }
}

fn why(holds: &[Hold], withheld: HalfPoints, held: HalfPoints) -> String {
    let words = holds.iter().filter_map(|hold| match hold {
        Hold::ReporterCap if withheld != HalfPoints::ZERO => {
            Some(format!("{withheld} wait for a second reporter: one alone may not move a score further in 24 hours"))
        }
        Hold::RiseLimit if held != HalfPoints::ZERO => {
            Some(format!("{held} wait for review: the score would rise too far in 24 hours"))
        }
        Hold::ReporterFlagged if held != HalfPoints::ZERO => {
            Some(format!("{held} wait for review: the reporter is unlike the others"))
        }
        _ => None,
    });
    words.collect::<Vec<_>>().join("; ")
}

/// Somebody else's words, without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
