//! One CA with a broken profile must not bury everything else: of each class so many findings an hour are told, then
//! one that says that there are more. The owner's own domains are exempt, and so is what is told once anyway.

use std::collections::BTreeMap;

use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::Entry;
use crate::finding::{Class, Finding};

const HOUR: u64 = 3_600_000;

/// How many findings of each class there were, by the hours of the entries' timestamps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Flood(BTreeMap<Class, Count>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    hour: u64,
    found: u64,
}

impl Flood {
    /// The finding, while there are at most `most` of its class in this hour; then once what stands for the others.
    pub(super) fn admit(&mut self, finding: Finding, entry: &Entry<'_>, most: u64) -> Option<Finding> {
        if matches!(finding.class, Class::BulkRegistration | Class::Lookalike | Class::LookalikeDigest) {
            return Some(finding);
        }
        let hour = entry.timestamp.get() / HOUR;
        let count = self.0.entry(finding.class).or_default();
        if hour > count.hour || count.hour - hour > 1 {
            *count = Count { hour, found: 0 };
        }
        count.found = count.found.saturating_add(1);
        match count.found {
            found if found <= most => Some(finding),
            found if found == most.saturating_add(1) => Some(more(&finding, entry, count.hour, most)),
            _ => None,
        }
    }
}

fn more(finding: &Finding, entry: &Entry<'_>, hour: u64, most: u64) -> Finding {
    let (class, from) = (finding.class, UnixMillis::new(hour.saturating_mul(HOUR)));
    let summary = format!(
        "{} has more than {most} entries of the kind \"{}\" within the hour from {from}: the others are not told one by one",
        entry.log.origin,
        class.title()
    );
    let mut more = Finding::new(class, Some(&entry.log.origin), &format!("more:{hour}"), summary, finding.found_at)
        .with("rule", format!("at most {most} findings of a class in an hour, outside of the owner's domains"));
    more.details.extend(finding.details.iter().filter(|(name, _)| name != "rule").cloned());
    more.entry = finding.entry.clone();
    more
}
