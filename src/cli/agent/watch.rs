//! Renewing each time when it is due, for as long as the process runs.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::files::{AgentDir, Generation, Settings};
use super::renew::{RenewArgs, renew, told};
use super::{connect, require_valid};
use crate::api::ca::{Hex32, StandingAnswer};
use crate::cli::output::{CliError, Context};
use crate::cli::random;
use crate::cli::words;
use crate::time::{Clock, SystemClock, UnixMillis};

/// The longest sleep: the clock may be set, and the machine may sleep, while we do.
const LONGEST_SLEEP_MS: u64 = 30_000;
/// The wait after a first failure.
const FIRST_PAUSE_MS: u64 = 5_000;
/// The longest wait after a failure, unless the CA asks for more.
const LONGEST_PAUSE_MS: u64 = 600_000;
/// A hook that takes longer is ended.
const HOOK_LIMIT: Duration = Duration::from_secs(120);

/// Renews when it is due, until a signal ends it or the certificate does.
pub(super) async fn run(args: &RenewArgs, dir: &AgentDir) -> Result<(), CliError> {
    let mut stop = Stop::new()?;
    let mut due: Option<(Hex32, UnixMillis)> = None;
    let mut failures = 0;
    // The certificate that the CA has called for the renewal of: once is enough.
    let mut called: Option<Hex32> = None;
    loop {
        let generation = require_valid(dir, &args.dir)?;
        let stands = tokio::select! {
            stands = standing(args, &generation) => stands?,
            () = stop.wait() => break,
        };
        let current = generation.settings;
        let now = SystemClock.now();
        if stands == Stands::Renew && called != Some(current.sha256) {
            say("the CA has another score for the agent than the certificate: renewing at once");
            called = Some(current.sha256);
            due = Some((current.sha256, now));
        }
        let at = match due {
            Some((sha256, at)) if sha256 == current.sha256 => at,
            // Also where somebody else renewed or enrolled.
            _ => {
                failures = 0;
                let at = due_at(&current, args.jitter, u64::from_be_bytes(random()?));
                say(&format!("{}: valid until {}, to be renewed at {at}", current.agent, current.not_after));
                due = Some((current.sha256, at));
                at
            }
        };
        if now < at {
            let nap = at.since(now).min(LONGEST_SLEEP_MS).min(u64::from(args.check) * 1000);
            let nap = Duration::from_millis(nap);
            tokio::select! {
                () = tokio::time::sleep(nap) => continue,
                () = stop.wait() => break,
            }
        }
        let outcome = tokio::select! {
            outcome = renew(args, dir) => outcome,
            () = stop.wait() => break,
        };
        match outcome {
            Ok(generation) => {
                say(&told(&generation));
                if let Some(hook) = &args.hook
                    && let Err(why) = run_hook(hook, dir).await
                {
                    say(&why);
                }
            }
            Err(missed) => {
                let left = current.not_after.since(SystemClock.now());
                let pause = pause_ms(failures, missed.retry_after, left, u64::from_be_bytes(random()?));
                failures += 1;
                say(&format!(
                    "not renewed: {}; again in {}, {} before the certificate ends",
                    missed.error,
                    words::duration(pause),
                    words::duration(left)
                ));
                due = Some((current.sha256, SystemClock.now().saturating_add(pause)));
            }
        }
    }
    say("ended by a signal");
    Ok(())
}

/// How the CA says that a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// Well, as far as is known.
    Well,
    /// It should be renewed at once.
    Renew,
}

/// Asks the CA how the certificate stands. One that does not answer says nothing of it: whether it renews, it
/// says when that is due.
async fn standing(args: &RenewArgs, current: &Generation) -> Result<Stands, CliError> {
    let mut current = current.clone();
    if let Some(ca) = &args.ca {
        current.settings.ca.clone_from(ca);
    }
    let Ok(client) = connect(&current, &args.dir) else { return Ok(Stands::Well) };
    let Ok(answer) = client.certificate_standing().await else { return Ok(Stands::Well) };
    match answer.status.as_str() {
        "renew" => Ok(Stands::Renew),
        "revoked" => Err(CliError::negative(revoked(&answer, args))),
        _ => Ok(Stands::Well),
    }
}

fn revoked(answer: &StandingAnswer, args: &RenewArgs) -> String {
    let since = answer.since.map(|at| format!(" at {at}")).unwrap_or_default();
    let reason = answer.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let (with, next) = match &answer.with {
        Some(with) => (format!(", together with {with} above it"), "it needs rights from another agent or a new token"),
        None => (String::new(), "ask the CA's operator why, and for a new token if it is to go on"),
    };
    format!(
        "the authority of {} was revoked{since}{reason}{with}: nothing accepts the certificate in {} any more, and it \
         does not renew; {next}",
        answer.agent,
        args.dir.display()
    )
}

fn say(text: &str) {
    println!("{} {text}", SystemClock.now());
}

/// When to renew: at half of the validity, later by up to `percent` of it, and never at its very end.
fn due_at(settings: &Settings, percent: u8, random: u64) -> UnixMillis {
    let spread = settings.not_after.since(settings.not_before) / 100 * u64::from(percent);
    let late = random.checked_rem(spread + 1).unwrap_or(0);
    settings.renew_at.saturating_add(late).min(settings.not_after)
}

/// How long to wait after so many failures before this one: twice as long each time, up to ten minutes or an
/// eighth of what is left, so that a short certificate gets as many tries as a long one. What the CA asks for
/// comes first, up to half of what is left, so that there is another try before the certificate ends; a fifth at
/// random keeps a fleet apart.
fn pause_ms(failures: u32, asked: Option<Duration>, left: u64, random: u64) -> u64 {
    let pause = match asked {
        Some(asked) => u64::try_from(asked.as_millis()).unwrap_or(u64::MAX).min(left / 2),
        None => (FIRST_PAUSE_MS << failures.min(10)).min(LONGEST_PAUSE_MS).min(left / 8),
    };
    let pause = pause.max(1_000);
    pause.saturating_add(random % (pause / 5 + 1))
}

/// Runs a hook to its end.
pub(super) async fn run_hook(hook: &str, dir: &AgentDir) -> Result<(), String> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(hook).env("ATL_AGENT_DIR", dir.path()).env("ATL_CERT", dir.certificate_path());
    command.stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(HOOK_LIMIT, command.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            Err(format!("the hook {hook:?} failed: {status}; the new certificate is in use all the same"))
        }
        Ok(Err(error)) => Err(format!("the hook {hook:?} does not start: {error}")),
        Err(_) => Err(format!("the hook {hook:?} was ended: it took longer than {} s", HOOK_LIMIT.as_secs())),
    }
}

/// SIGTERM, and SIGINT of a terminal.
pub(super) struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    pub(super) fn new() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).context("signals");
        Ok(Self { term: listen(SignalKind::terminate())?, int: listen(SignalKind::interrupt())? })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(not_before: u64, length: u64) -> Settings {
        Settings {
            ca: String::new(),
            agent: "agent://example.com/a/b/c".parse().unwrap(),
            sha256: Hex32([0; 32]),
            not_before: UnixMillis::new(not_before),
            not_after: UnixMillis::new(not_before + length),
            renew_at: UnixMillis::new(not_before + length / 2),
            validity_seconds: None,
            evidence: None,
            logs: Vec::new(),
        }
    }

    #[test]
    fn renewals_are_late_by_the_jitter_at_most() {
        let hour = settings(1_000, 3_600_000);
        assert_eq!(due_at(&hour, 0, 99), hour.renew_at);
        assert_eq!(due_at(&hour, 5, 180_000), UnixMillis::new(1_000 + 1_800_000 + 180_000));
        assert_eq!(due_at(&hour, 5, 180_001), hour.renew_at);
    }

    #[test]
    fn waits_grow_and_stay_within_what_is_left() {
        let hour = 3_600_000;
        assert_eq!(
            [0, 1, 2, 3, 6, 7, 40].map(|n| pause_ms(n, None, hour, 0)),
            [5, 10, 20, 40, 320, 450, 450].map(|s| s * 1000)
        );
        assert_eq!(pause_ms(7, None, 24 * hour, 0), LONGEST_PAUSE_MS);
        assert_eq!(pause_ms(3, None, 16_000, 0), 2_000);
        assert_eq!(pause_ms(0, Some(Duration::from_secs(30)), hour, 0), 30_000);
        assert_eq!(pause_ms(0, Some(Duration::from_secs(7200)), hour, 0), hour / 2);
        assert_eq!(pause_ms(0, Some(Duration::ZERO), hour, 0), 1_000);
        assert_eq!(pause_ms(0, None, 0, 0), 1_000);
    }

    proptest! {
        #[test]
        fn no_moment_overflows(n in any::<u32>(), asked in any::<Option<u64>>(), left in any::<u64>(), r in any::<u64>()) {
            let pause = pause_ms(n, asked.map(Duration::from_secs), left, r);
            prop_assert!(pause >= 1_000 && (left < 5_000 || pause < left), "{pause}: no other try before the end");
            let any = settings(r / 2, left / 2);
            prop_assert!(due_at(&any, 25, r) >= any.renew_at && due_at(&any, 25, r) <= any.not_after);
        }
    }

    #[test]
    fn hooks_know_the_directory_and_their_failure_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let dir = AgentDir::create(temp.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let run = |hook| runtime.block_on(run_hook(hook, &dir));
        run("echo \"$ATL_CERT\" > \"$ATL_AGENT_DIR/out\"").unwrap();
        let out = std::fs::read_to_string(dir.path().join("out")).unwrap();
        assert_eq!(out.trim_end(), dir.certificate_path().to_str().unwrap());
        assert!(run("exit 3").unwrap_err().contains("exit status: 3"));
    }
}
