//! Every row of decay: what is left of a score, and in which tier that is.

use atl::apki::moment::Moment;
use atl::apki::trust_score::{DecayRate, Score, TrustScore};
use atl::time::UnixMillis;
use serde_json::Value;

use crate::vectors::{json, rows, text};

fn small(row: &Value, field: &str) -> u8 {
    u8::try_from(row[field].as_u64().unwrap()).unwrap()
}

#[test]
fn every_decay_row() {
    let file = json("decay.json");
    let (mut good, mut bad) = (0, 0);
    for row in rows(&file, "cases") {
        // All rows count from one moment.
        assert_eq!(text(row, "lastUpdated"), "20260410120000Z", "{row}");
        let trust = TrustScore {
            score: Score::new(small(row, "score")).unwrap(),
            decay_rate: DecayRate::new(small(row, "decayRate")).unwrap(),
            last_updated: Moment::floor(UnixMillis::new(1_775_822_400_000)).unwrap(),
            computation_method: None,
        };
        match trust.effective_at(UnixMillis::new(row["now_ms"].as_u64().unwrap())) {
            Ok(effective) => {
                assert_eq!((row["ok"].as_bool(), small(row, "effective")), (Some(true), effective.get()), "{row}");
                assert_eq!(text(row, "tier"), effective.tier().name(), "{row}");
                good += 1;
            }
            Err(error) => {
                assert_eq!((row["ok"].as_bool(), text(row, "reason")), (Some(false), "future"), "{row}: {error}");
                bad += 1;
            }
        }
    }
    assert_eq!((good, bad), (123, 4));
}
