//! Behind the timed window: every answer is read, every SAT verified.

use std::collections::BTreeMap;

use super::load::Exchange;
use crate::api::{Problem, SubmitEntriesResponse, SubmitEntryResponse, SubmitResult};
use crate::keys::PublicKey;
use crate::log::entry::CertHash;
use crate::log::sat::SignedAgentTimestamp;
use crate::time::UnixMillis;

/// A SAT may be dated so far outside the window: the log's clock is not ours.
const CLOCK_SKEW_MS: u64 = 60_000;

/// The window in the generator's own time.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// When it began.
    pub start: UnixMillis,
    /// When the last answer was there.
    pub end: UnixMillis,
}

/// What the answers came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// SATs that hold in every respect.
    pub good: usize,
    /// SATs and answers that do not, by what is wrong.
    pub bad: BTreeMap<String, usize>,
    /// Certificates that got no SAT, by the log's token, the HTTP status or what broke.
    pub refused: BTreeMap<String, usize>,
    /// Index and time of each good SAT.
    places: Vec<(u64, UnixMillis)>,
}

/// Reads all answers and verifies their SATs, on two threads.
pub fn check(exchanges: &[Exchange], key: &PublicKey, span: Span) -> Checked {
    let half = exchanges.len() / 2;
    let (front, back) = exchanges.split_at(half);
    let check_all = |part: &[Exchange]| {
        let mut checked = Checked::default();
        part.iter().for_each(|exchange| checked.exchange(exchange, key, span));
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
    checked.order();
    checked
}

impl Checked {
    fn add(&mut self, other: Self) {
        self.good += other.good;
        other.bad.into_iter().for_each(|(what, n)| *self.bad.entry(what).or_default() += n);
        other.refused.into_iter().for_each(|(why, n)| *self.refused.entry(why).or_default() += n);
        self.places.extend(other.places);
    }

    fn wrong(&mut self, what: &str, count: usize) {
        *self.bad.entry(what.to_owned()).or_default() += count;
    }

    fn refuse(&mut self, why: String, count: usize) {
        *self.refused.entry(why).or_default() += count;
    }

    fn exchange(&mut self, exchange: &Exchange, key: &PublicKey, span: Span) {
        let hashes = &exchange.hashes;
        let answer = match &exchange.outcome {
            Ok(answer) => answer,
            Err(error) => return self.refuse(error.clone(), hashes.len()),
        };
        if answer.status != 200 {
            let problem = serde_json::from_slice(&answer.body).ok();
            return self.refuse(reason(answer.status, problem), hashes.len());
        }
        let unreadable = "answers that do not parse";
        if let [hash] = &**hashes {
            return match serde_json::from_slice::<SubmitEntryResponse>(&answer.body) {
                Ok(logged) => self.logged(&logged, *hash, key, span),
                Err(_) => self.wrong(unreadable, 1),
            };
        }
        match serde_json::from_slice::<SubmitEntriesResponse>(&answer.body) {
            Ok(SubmitEntriesResponse { results }) if results.len() == hashes.len() => {
                for (result, hash) in results.into_iter().zip(hashes) {
                    match result {
                        SubmitResult::Logged(logged) => self.logged(&logged, *hash, key, span),
                        SubmitResult::Refused(problem) => self.refuse(reason(problem.status, Some(problem)), 1),
                    }
                }
            }
            _ => self.wrong(unreadable, hashes.len()),
        }
    }

    fn logged(&mut self, logged: &SubmitEntryResponse, hash: CertHash, key: &PublicKey, span: Span) {
        match judge(logged, hash, key, span) {
            Ok(()) => {
                self.good += 1;
                self.places.push((logged.leaf_index.get(), logged.timestamp));
            }
            Err(what) => self.wrong(what, 1),
        }
    }

    /// No two certificates of ours have one index, and no later one has an earlier time.
    fn order(&mut self) {
        self.places.sort_unstable();
        let pairs = self.places.windows(2);
        let (mut same, mut back) = (0, 0);
        for pair in pairs {
            same += usize::from(pair[0].0 == pair[1].0);
            back += usize::from(pair[0].1 > pair[1].1);
        }
        for (what, count) in [("SATs with the index of another", same), ("SATs dated before the entry before", back)] {
            if count > 0 {
                self.wrong(what, count);
                self.good = self.good.saturating_sub(count);
            }
        }
    }
}

fn judge(logged: &SubmitEntryResponse, hash: CertHash, key: &PublicKey, span: Span) -> Result<(), &'static str> {
    let sat = SignedAgentTimestamp::from_der(logged.sat.as_slice()).map_err(|_| "SATs that do not parse")?;
    if CertHash::from(logged.cert_hash) != hash || sat.cert_hash != hash {
        return Err("SATs over another certificate");
    }
    if sat.timestamp != logged.timestamp {
        return Err("answers whose timestamp is not the SAT's");
    }
    let (start, end) = (span.start.saturating_sub(CLOCK_SKEW_MS), span.end.saturating_add(CLOCK_SKEW_MS));
    if sat.timestamp < start || sat.timestamp > end {
        return Err("SATs dated more than a minute outside the run");
    }
    sat.verify(key, hash).map_err(|_| "SATs that the log's key does not verify")
}

fn reason(status: u16, problem: Option<Problem>) -> String {
    match problem {
        Some(problem) => format!("{status} {}", problem.kind),
        None => format!("{status} without a problem document"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::{B64, Token};
    use crate::cli::log::hammer::http::Answer;
    use crate::keys::{Ed25519Signer, Signer};
    use crate::merkle::LeafIndex;

    const SPAN: Span = Span { start: UnixMillis::new(1_000_000), end: UnixMillis::new(1_001_000) };

    fn signer() -> Ed25519Signer {
        Ed25519Signer::from_seed(&[1; 32]).unwrap()
    }

    fn logged(hash: CertHash, index: u64, at: u64) -> SubmitEntryResponse {
        let timestamp = UnixMillis::new(at);
        let sat = SignedAgentTimestamp::sign(&signer(), timestamp, hash).unwrap();
        SubmitEntryResponse {
            sat: B64(sat.to_der()),
            leaf_index: LeafIndex::new(index),
            cert_hash: *hash.hash(),
            timestamp,
        }
    }

    fn exchange(hashes: &[CertHash], status: u16, body: &impl serde::Serialize) -> Exchange {
        let body = serde_json::to_vec(body).unwrap().into();
        let outcome = Ok(Answer { status, body });
        let zero = Duration::ZERO;
        Exchange { due: zero, sent: zero, done: zero, hashes: hashes.into(), outcome }
    }

    fn of(exchanges: &[Exchange]) -> Checked {
        check(exchanges, signer().public_key(), SPAN)
    }

    #[test]
    fn good_answers_are_good() {
        let hash = |n| CertHash::new([n; 32]);
        let single = exchange(&[hash(1)], 200, &logged(hash(1), 0, 1_000_000));
        let results = vec![
            SubmitResult::Logged(logged(hash(2), 1, 1_000_001)),
            SubmitResult::Refused(Problem::new(Token::BadChain, "x")),
        ];
        let batch = exchange(&[hash(2), hash(3)], 200, &SubmitEntriesResponse { results });
        let checked = of(&[single, batch]);
        assert_eq!((checked.good, checked.bad.len()), (2, 0));
        assert_eq!(checked.refused, BTreeMap::from([("400 badChain".to_owned(), 1)]));
    }

    #[test]
    fn each_fault_is_named() {
        let hash = CertHash::new([1; 32]);
        let good = logged(hash, 0, 1_000_000);
        let cases = [
            (SubmitEntryResponse { sat: B64(vec![1]), ..good.clone() }, "do not parse"),
            (logged(CertHash::new([2; 32]), 0, 1_000_000), "another certificate"),
            (SubmitEntryResponse { timestamp: UnixMillis::new(1_000_002), ..good.clone() }, "not the SAT's"),
            (logged(hash, 0, 900_000), "outside the run"),
            (logged(hash, 0, 1_061_001), "outside the run"),
        ];
        for (answer, what) in cases {
            let checked = of(&[exchange(&[hash], 200, &answer)]);
            assert_eq!(checked.good, 0, "{what}");
            assert!(checked.bad.keys().all(|k| k.contains(what)) && checked.bad.len() == 1, "{what}: {checked:?}");
        }
        let stranger = Ed25519Signer::from_seed(&[2; 32]).unwrap();
        let checked = check(&[exchange(&[hash], 200, &good)], stranger.public_key(), SPAN);
        assert!(checked.bad.keys().any(|k| k.contains("does not verify")));
        let checked = of(&[exchange(&[hash], 200, &"x"), exchange(&[hash; 2], 200, &"x")]);
        assert_eq!(checked.bad.values().sum::<usize>(), 3);
    }

    #[test]
    fn an_index_is_given_once_and_time_does_not_go_back() {
        let hash = |n| CertHash::new([n; 32]);
        let answer = |n, index, at| exchange(&[hash(n)], 200, &logged(hash(n), index, at));
        let twice = of(&[answer(1, 5, 1_000_000), answer(2, 5, 1_000_000)]);
        assert_eq!((twice.good, twice.bad.len()), (1, 1));
        let back = of(&[answer(1, 5, 1_000_001), answer(2, 6, 1_000_000)]);
        assert_eq!((back.good, back.bad.len()), (1, 1));
    }

    #[test]
    fn what_is_no_answer_is_counted_by_its_reason() {
        let hash = CertHash::new([1; 32]);
        let lost = Exchange { outcome: Err("connection: reset".into()), ..exchange(&[hash; 3], 200, &0) };
        let checked = of(&[lost, exchange(&[hash], 502, &"proxy")]);
        let expected = [("502 without a problem document".to_owned(), 1), ("connection: reset".to_owned(), 3)];
        assert_eq!(checked.refused, BTreeMap::from(expected));
    }
}
