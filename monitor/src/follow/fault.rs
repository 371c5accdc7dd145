//! What a log does wrong with its entries, as findings.

use atl::log::checkpoint::Origin;
use atl::log::entry::CertHash;
use atl::merkle::{LeafIndex, TILE_WIDTH, TileKind};
use atl::time::UnixMillis;
use atl::verify::fault::{Damage, Fault, Place};

use super::bounds::Dated;
use crate::finding::{Class, EntryRef, Finding};

/// The findings about one bundle. Faults of one kind in one bundle are one finding, so that a bundle of garbage is not
/// told 256 times; its name does not depend on how far the log had grown when it was read.
pub(super) fn of_bundle(log: &Origin, faults: &[Fault], now: UnixMillis) -> Vec<Finding> {
    let mut findings: Vec<(Finding, usize)> = Vec::new();
    for fault in faults {
        let (class, subject) = name(fault);
        match findings.iter_mut().find(|(finding, _)| finding.class == class && finding.subject == subject) {
            Some((_, more)) => *more += 1,
            None => findings.push((Finding::new(class, Some(log), &subject, format!("{log}: {fault}"), now), 0)),
        }
    }
    let with_more = |(finding, more): (Finding, usize)| match more {
        0 => finding,
        more => finding.with("more like it", format!("{more} in the same bundle")),
    };
    findings.into_iter().map(with_more).collect()
}

/// What a fault is a finding of, and about what.
fn name(fault: &Fault) -> (Class, String) {
    let place = match fault.at {
        Place::Path(path) => match path.kind() {
            TileKind::Hash(level) => format!("tile {level}/{}", path.index()),
            TileKind::Entries => format!("entries {}", path.index()),
            TileKind::Certs => format!("certificates {}", path.index()),
        },
        Place::Entry(index) => match fault.what {
            Damage::TimeBack { .. } => return (Class::TimestampOutOfBounds, format!("back {index}")),
            _ => format!("bundle {}", index.get() / TILE_WIDTH as u64),
        },
        Place::Tree(size) => format!("tree {size}"),
    };
    let what = match fault.what {
        Damage::Missing | Damage::Pruned => "missing",
        Damage::Certificate { .. } => "certificate",
        Damage::Leaf { .. } | Damage::Node { .. } => "hash",
        _ => "form",
    };
    (Class::BadTile, format!("{place} {what}"))
}

/// The finding that an entry's time does not fit a head's. What the entry is may be forgotten already.
pub(super) fn out_of_bounds(
    log: &Origin,
    (index, cert_hash): (LeafIndex, Option<CertHash>),
    timestamp: UnixMillis,
    (class, head): (Class, Dated),
    now: UnixMillis,
) -> Finding {
    let Dated { size, timestamp: signed } = head;
    let summary = match class {
        Class::EntryNewerThanHead => {
            format!("{log}: entry {index} is dated {timestamp}, and the head of {size} entries that covers it {signed}")
        }
        _ => format!(
            "{log}: entry {index} is dated {timestamp}, before the head of {size} entries, which does not cover it, of {signed}"
        ),
    };
    let mut finding = Finding::new(class, Some(log), &format!("entry {index}"), summary, now)
        .with("entry's time", timestamp)
        .with("head", format!("{size} entries, signed {signed}"));
    finding.entry = cert_hash.map(|cert_hash| EntryRef { log: log.as_str().to_owned(), index, cert_hash });
    finding
}

#[cfg(test)]
mod tests {
    use atl::merkle::{TilePath, Width};

    use super::*;

    fn origin() -> Origin {
        "log.example/1".parse().unwrap()
    }

    #[test]
    fn a_bundle_has_one_name_however_wide_it_was() {
        let one = |width| {
            let path = TilePath::certs(3, Width::new(width).unwrap());
            of_bundle(&origin(), &[Fault::in_path(path, Damage::Missing)], UnixMillis::new(1)).remove(0)
        };
        assert_eq!(one(5).id(), one(256).id());
        assert_eq!(one(5).class, Class::BadTile);
        assert!(one(5).summary.contains("tile/certs/003.p/5"), "{}", one(5).summary);
    }

    #[test]
    fn faults_of_a_kind_are_told_once_and_others_apart() {
        let hash = CertHash::new([1; 32]);
        let wrong = |n| Fault::in_entry(LeafIndex::new(n), Damage::Certificate { found: hash, logged: hash });
        let back = |n| {
            let at = UnixMillis::new(n);
            Fault::in_entry(LeafIndex::new(n), Damage::TimeBack { timestamp: at, before: at })
        };
        let found = of_bundle(&origin(), &[wrong(256), wrong(300), wrong(511), back(7), back(8)], UnixMillis::new(1));
        let classes: Vec<_> = found.iter().map(|finding| finding.class).collect();
        assert_eq!(classes, [Class::BadTile, Class::TimestampOutOfBounds, Class::TimestampOutOfBounds]);
        assert_eq!(found[0].details, [("more like it".to_owned(), "2 in the same bundle".to_owned())]);
    }
}
