//! Whether what a log answers to submissions holds: each SAT, and what they say together.

use super::check::{Checked, Judge, reason};
use crate::api::{SubmitEntriesResponse, SubmitEntryResponse, SubmitResult};
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

/// Judges SATs.
#[derive(Debug)]
pub struct Sats {
    /// The log's key.
    pub key: PublicKey,
    /// When they were asked for.
    pub span: Span,
}

impl Judge for Sats {
    type Subject = Box<[CertHash]>;
    /// Index and time of each good SAT.
    type Noted = (u64, UnixMillis);

    fn wanted(&self, hashes: &Self::Subject) -> usize {
        hashes.len()
    }

    fn answer(&self, hashes: &Self::Subject, body: &[u8], checked: &mut Checked<Self::Noted>) {
        let unreadable = "answers that do not parse";
        if let [hash] = &**hashes {
            return match serde_json::from_slice::<SubmitEntryResponse>(body) {
                Ok(logged) => checked.judged(self.judge(&logged, *hash)),
                Err(_) => checked.wrong(unreadable, 1),
            };
        }
        match serde_json::from_slice::<SubmitEntriesResponse>(body) {
            Ok(SubmitEntriesResponse { results }) if results.len() == hashes.len() => {
                for (result, hash) in results.into_iter().zip(hashes) {
                    match result {
                        SubmitResult::Logged(logged) => checked.judged(self.judge(&logged, *hash)),
                        SubmitResult::Refused(problem) => checked.refuse(reason(problem.status, Some(problem)), 1),
                    }
                }
            }
            _ => checked.wrong(unreadable, hashes.len()),
        }
    }

    /// No two certificates of ours have one index, and no later one has an earlier time.
    fn together(&self, mut places: Vec<Self::Noted>) -> Vec<(&'static str, usize)> {
        places.sort_unstable();
        let (mut same, mut back) = (0, 0);
        for pair in places.windows(2) {
            same += usize::from(pair[0].0 == pair[1].0);
            back += usize::from(pair[0].1 > pair[1].1);
        }
        vec![("SATs with the index of another", same), ("SATs dated before the entry before", back)]
    }
}

impl Sats {
    fn judge(&self, logged: &SubmitEntryResponse, hash: CertHash) -> Result<(u64, UnixMillis), &'static str> {
        let sat = SignedAgentTimestamp::from_der(logged.sat.as_slice()).map_err(|_| "SATs that do not parse")?;
        if CertHash::from(logged.cert_hash) != hash || sat.cert_hash != hash {
            return Err("SATs over another certificate");
        }
        if sat.timestamp != logged.timestamp {
            return Err("answers whose timestamp is not the SAT's");
        }
        let Span { start, end } = self.span;
        let (start, end) = (start.saturating_sub(CLOCK_SKEW_MS), end.saturating_add(CLOCK_SKEW_MS));
        if sat.timestamp < start || sat.timestamp > end {
            return Err("SATs dated more than a minute outside the run");
        }
        sat.verify(&self.key, hash).map_err(|_| "SATs that the log's key does not verify")?;
        Ok((logged.leaf_index.get(), logged.timestamp))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::api::{B64, Problem, Token};
    use crate::cli::log::hammer::check::check;
    use crate::cli::log::hammer::http::Answer;
    use crate::cli::log::hammer::load::Exchange;
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

    fn exchange(hashes: &[CertHash], status: u16, body: &impl serde::Serialize) -> Exchange<Box<[CertHash]>> {
        let body = serde_json::to_vec(body).unwrap().into();
        let outcome = Ok(Answer { status, body });
        let zero = Duration::ZERO;
        Exchange { due: zero, sent: zero, done: zero, subject: hashes.into(), outcome }
    }

    fn of(exchanges: &[Exchange<Box<[CertHash]>>]) -> Checked<(u64, UnixMillis)> {
        check(exchanges, &Sats { key: signer().public_key().clone(), span: SPAN })
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
        let stranger = Sats { key: stranger.public_key().clone(), span: SPAN };
        let checked = check(&[exchange(&[hash], 200, &good)], &stranger);
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
