//! Where else an entry must be: the logs whose timestamps are in a final certificate, and those that the owner
//! expects to have the same entries.

use atl::api::B64;
use atl::log::sat::SatList;

use super::Rulebook;
use super::seen::{Form, Seen};
use crate::errand::Errand;

/// Timestamps of one certificate that are asked about. A certificate has two or three.
const MOST_SATS: usize = 16;

impl Rulebook {
    /// What has to be asked of other logs, and of this one.
    pub(super) fn elsewhere(&self, seen: &Seen<'_>, errands: &mut Vec<Errand>) {
        match seen.form {
            Form::Final { sat_list, .. } => self.timestamps(seen, sat_list, errands),
            Form::Bare | Form::Precertificate => self.other_logs(seen, errands),
            Form::Misshapen(_) => {}
        }
    }

    /// Each timestamp of a log that is followed. Whether that log signed it is for the errand to see: a timestamp
    /// that it did not sign speaks against nobody.
    fn timestamps(&self, seen: &Seen<'_>, sat_list: &[u8], errands: &mut Vec<Errand>) {
        let Ok(list) = SatList::from_der(sat_list) else { return };
        let cert_hash = seen.identity();
        let of_ours = list.sats().iter().filter(|sat| sat.cert_hash == cert_hash && self.logs.contains(&sat.log_id));
        errands.extend(of_ours.take(MOST_SATS).map(|sat| Errand::Included {
            entry: Some(seen.entry_ref()),
            sat: B64(sat.to_der()),
            cert_hash,
            due: sat.timestamp.saturating_add(self.settings.merge_delay),
        }));
    }

    /// Logs that are expected to have what this one has. A final certificate need not be in them: its precertificate
    /// is, and its timestamps say so.
    fn other_logs(&self, seen: &Seen<'_>, errands: &mut Vec<Errand>) {
        let own = &seen.entry.log.origin;
        let due = seen.entry.timestamp.saturating_add(self.settings.expect_within);
        let groups = self.settings.expect_in.iter().filter(|group| group.contains(own));
        let others = groups.flatten().filter(|origin| *origin != own);
        let errand = |other: &atl::log::checkpoint::Origin| Errand::Elsewhere {
            entry: seen.entry_ref(),
            log: other.as_str().to_owned(),
            due,
        };
        errands.extend(others.map(errand));
    }
}
