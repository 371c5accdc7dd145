//! The counters of all accounts, by account and by number.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::window::Window;
use super::{AccountKey, Measure};
use crate::time::UnixMillis;

/// One thing that an account counts.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) account: Arc<AccountKey>,
    pub(super) measure: Measure,
    pub(super) window: Window,
}

/// All counters. Each has a number, which is short where its account's name is not.
#[derive(Debug, Default)]
pub(super) struct Counters {
    numbers: HashMap<Arc<AccountKey>, BTreeMap<Measure, u64>>,
    by_number: BTreeMap<u64, Counter>,
}

impl Counters {
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Counter> {
        self.by_number.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Counter> {
        self.by_number.get_mut(&number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Counter)> {
        self.by_number.iter().map(|(number, counter)| (*number, counter))
    }

    pub(super) fn number(&self, account: &AccountKey, measure: Measure) -> Option<u64> {
        self.numbers.get(account)?.get(&measure).copied()
    }

    /// What this account counts, unless all of it is over: then it is as if it had never been.
    pub(super) fn live(&self, account: &AccountKey, measure: Measure, now: UnixMillis) -> Option<(u64, &Window)> {
        let number = self.number(account, measure)?;
        let window = &self.get(number)?.window;
        (window.ends() > now).then_some((number, window))
    }

    /// Adds a counter under a number of its own; whether the account did not have it.
    pub(super) fn insert(&mut self, number: u64, account: &AccountKey, measure: Measure, window: Window) -> bool {
        let known = self.numbers.get_key_value(account).map(|(account, _)| Arc::clone(account));
        let account = known.unwrap_or_else(|| Arc::new(account.clone()));
        let before = self.numbers.entry(Arc::clone(&account)).or_default().insert(measure, number);
        self.by_number.insert(number, Counter { account, measure, window });
        before.is_none()
    }

    /// Takes a counter out, and its account with the last of them.
    pub(super) fn remove(&mut self, number: u64) -> Option<Counter> {
        let counter = self.by_number.remove(&number)?;
        if let Some(measures) = self.numbers.get_mut(&counter.account) {
            measures.remove(&counter.measure);
            if measures.is_empty() {
                self.numbers.remove(&counter.account);
            }
        }
        Some(counter)
    }
}
