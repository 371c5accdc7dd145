//! Behind the timed window: every answer is read, and everything in it verified.

use std::collections::BTreeMap;

use super::load::Exchange;
use crate::api::Problem;

/// Tells whether answers hold.
pub trait Judge: Sync {
    /// What a request was about.
    type Subject: Sync;
    /// What is kept of each good answer, to look at all of them together.
    type Noted: Send;

    /// How many things a request asked for.
    fn wanted(&self, subject: &Self::Subject) -> usize;

    /// Adds what the body of a 200 comes to.
    fn answer(&self, subject: &Self::Subject, body: &[u8], checked: &mut Checked<Self::Noted>);

    /// What is wrong with good answers when they are laid side by side, and how often.
    fn together(&self, _noted: Vec<Self::Noted>) -> Vec<(&'static str, usize)> {
        Vec::new()
    }
}

/// What the answers came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked<N> {
    /// What holds in every respect.
    pub good: usize,
    /// What does not hold, by what is wrong.
    pub bad: BTreeMap<String, usize>,
    /// What was asked for and not given, by the log's token, the HTTP status or what broke.
    pub refused: BTreeMap<String, usize>,
    noted: Vec<N>,
}

/// Reads all answers and verifies what is in them, on two threads.
pub fn check<J: Judge>(exchanges: &[Exchange<J::Subject>], judge: &J) -> Checked<J::Noted> {
    let half = exchanges.len() / 2;
    let (front, back) = exchanges.split_at(half);
    let check_all = |part: &[Exchange<J::Subject>]| {
        let mut checked = Checked::none();
        part.iter().for_each(|exchange| checked.exchange(exchange, judge));
        checked
    };
    let mut checked = std::thread::scope(|scope| {
        let other = scope.spawn(|| check_all(back));
        let mut checked = check_all(front);
        match other.join() {
            Ok(more) => checked.add(more),
            Err(_) => checked.wrong("could not be checked", back.len()),
        }
        checked
    });
    for (what, count) in judge.together(std::mem::take(&mut checked.noted)) {
        if count > 0 {
            checked.wrong(what, count);
            checked.good = checked.good.saturating_sub(count);
        }
    }
    checked
}

impl<N> Checked<N> {
    const fn none() -> Self {
        Self { good: 0, bad: BTreeMap::new(), refused: BTreeMap::new(), noted: Vec::new() }
    }

    fn add(&mut self, other: Self) {
        self.good += other.good;
        other.bad.into_iter().for_each(|(what, n)| *self.bad.entry(what).or_default() += n);
        other.refused.into_iter().for_each(|(why, n)| *self.refused.entry(why).or_default() += n);
        self.noted.extend(other.noted);
    }

    /// Counts one that holds, or what is wrong with it.
    pub fn judged(&mut self, verdict: Result<N, &'static str>) {
        match verdict {
            Ok(noted) => {
                self.good += 1;
                self.noted.push(noted);
            }
            Err(what) => self.wrong(what, 1),
        }
    }

    /// Counts what does not hold.
    pub fn wrong(&mut self, what: &str, count: usize) {
        *self.bad.entry(what.to_owned()).or_default() += count;
    }

    /// Counts what was not given.
    pub fn refuse(&mut self, why: String, count: usize) {
        *self.refused.entry(why).or_default() += count;
    }

    fn exchange<J: Judge<Noted = N>>(&mut self, exchange: &Exchange<J::Subject>, judge: &J) {
        let wanted = judge.wanted(&exchange.subject);
        match &exchange.outcome {
            Ok(answer) if answer.status == 200 => judge.answer(&exchange.subject, &answer.body, self),
            Ok(answer) => self.refuse(reason(answer.status, serde_json::from_slice(&answer.body).ok()), wanted),
            Err(error) => self.refuse(error.clone(), wanted),
        }
    }
}

/// A refusal in a few words.
pub fn reason(status: u16, problem: Option<Problem>) -> String {
    match problem {
        Some(problem) => format!("{status} {}", problem.kind),
        None => format!("{status} without a problem document"),
    }
}
