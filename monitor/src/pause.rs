//! What everything that asks again and again does in between: it waits, longer where it failed, and not at the same
//! moment as others; and it ends when it is told to.

use std::time::Duration;

use tokio::sync::watch;

/// The longest pause that failures lead to; whoever is asked can ask for six times that.
const LONGEST: Duration = Duration::from_secs(600);

/// How long to wait before somebody is asked again, after `failures` times in a row that this failed: `interval` after none,
/// and twice as long for each one more, up to ten minutes or `interval`. Never shorter than `asked`, his own
/// `Retry-After`, up to an hour. `random` spreads the pause: over the second half of it after failures, over a tenth
/// otherwise, so that many monitors do not ask at one moment.
pub fn pause(interval: Duration, failures: u32, asked: Option<Duration>, random: u64) -> Duration {
    // The upper bits are all that a fraction has room for.
    let share = f64::from((random >> 32) as u32) / (f64::from(u32::MAX) + 1.0);
    let backed_off =
        interval.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(LONGEST.max(interval));
    let pause = match failures {
        0 => interval.mul_f64(0.95 + share / 10.0),
        _ => backed_off.mul_f64(0.5 + share / 2.0),
    };
    // What is asked for is a minimum: spread behind it.
    let asked = asked.unwrap_or_default().min(6 * LONGEST).mul_f64(1.0 + share / 10.0);
    pause.max(asked)
}

/// Until somebody says to stop, or nobody is left to say so.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Spreads pauses; nothing is secured by it. Where the system has none, all of them are as short as they may be.
pub fn random() -> u64 {
    let mut octets = [0; 8];
    let _ = aws_lc_rs::rand::fill(&mut octets);
    u64::from_be_bytes(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn failures_double_the_pause() {
        let longest = |failures| pause(10 * S, failures, None, u64::MAX).as_secs_f64().round();
        assert_eq!([1, 2, 3, 9, 40, u32::MAX].map(longest), [20.0, 40.0, 80.0, 600.0, 600.0, 600.0]);
        assert_eq!(pause(10 * S, 3, None, 0), 40 * S);
        assert_eq!(pause(3600 * S, 3, None, 0), 1800 * S);
    }

    #[test]
    fn a_log_may_ask_for_longer_but_not_for_ever() {
        assert_eq!(pause(10 * S, 1, Some(120 * S), 0), 120 * S);
        assert_eq!(pause(10 * S, 1, Some(u32::MAX * S), 0), 3600 * S);
        assert!(pause(10 * S, 1, Some(120 * S), u64::MAX) > 131 * S);
    }

    proptest! {
        #[test]
        fn no_pause_is_out_of_bounds(seconds in 1_u64..=3600, failures: u32, asked in prop::option::of(any::<u32>()), random: u64) {
            let interval = Duration::from_secs(seconds);
            let asked = asked.map(|asked| Duration::from_secs(asked.into()));
            let pause = pause(interval, failures, asked, random);
            prop_assert!(pause >= interval / 2 && pause <= 3961 * S, "{pause:?}");
        }
    }
}
