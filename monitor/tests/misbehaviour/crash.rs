//! `kill -9` at many moments: no alert and no evidence is lost, none is there twice, and each was told.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use atl::log::entry::CertHash;
use atl_monitor::alert;
use atl_monitor::finding::{Class, Finding, FindingId};
use atl_monitor::state::{State, StateError};

use crate::entries::{bring, stamp};
use crate::log_server::TestLog;
use crate::make::draft;
use crate::process::{MonitorDir, eventually};
use crate::scene::{ORIGIN, alerts, listed, now, plain, runtime, verify_evidence, watcher};

const HOUR: u64 = 3_600_000;

/// Times that the monitor is killed.
const KILLS: u64 = 21;

/// Certificates that break a rule and timestamps that were not kept, before each of them.
const CERTIFICATES: u64 = 16;
const TIMESTAMPS: u64 = 2;

/// Numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn pause(&mut self, most_millis: u64) {
        std::thread::sleep(Duration::from_millis(self.below(most_millis)));
    }
}

/// A log that misbehaves, and the identifiers of all that is to be found in it.
struct World {
    log: std::sync::Arc<TestLog>,
    dir: MonitorDir,
    expected: BTreeSet<FindingId>,
    /// When the timestamps that were not kept are of: the log says that they are late, and an hour, after which they
    /// would prove something and freeze the log, is far.
    promised: u64,
}

impl World {
    fn expect(&mut self, class: Class, subject: &str) {
        let finding = Finding::new(class, Some(&self.log.watched.origin), subject, String::new(), Default::default());
        assert!(self.expected.insert(finding.id()));
    }

    /// The log grows by certificates that are valid for two days, between others.
    fn grow(&mut self, batch: u64) {
        let at = now();
        let mut certificates = Vec::new();
        for n in batch * CERTIFICATES..(batch + 1) * CERTIFICATES {
            let uri = format!("agent://agents{n}.example/worker/one");
            let der = draft(&uri).valid(atl::time::UnixMillis::new(at), 48 * HOUR).bare().der().to_vec();
            self.expect(Class::ValidityOutOfBounds, &CertHash::of_certificate(&der).to_string());
            certificates.push(der);
            certificates.push(plain("certificate", n..n + 1).next().unwrap());
        }
        self.log.append(certificates, at);
        self.log.sign(now().max(at + 1));
    }

    /// Runs the monitor for a while. Whether it was killed before all was told.
    fn run(&mut self, batch: u64, dice: &mut Dice) -> bool {
        if batch % 3 == 2 {
            // It may not even come to serve.
            let mut command = self.dir.command(&["run"]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            dice.pause(150);
            child.kill().unwrap();
            child.wait().unwrap();
            return self.told().len() < self.expected.len();
        }
        let monitor = self.dir.start();
        for n in 0..TIMESTAMPS {
            let hash = CertHash::of_certificate(format!("promised {batch} {n}").as_bytes());
            let sat = stamp(&self.log, self.promised, hash);
            let (status, said) = bring(&monitor, &sat);
            assert_eq!(status, 202, "{said}");
            self.expect(Class::NotIncluded, &format!("{hash}@{}", self.promised));
            dice.pause(40);
        }
        dice.pause(300);
        monitor.kill();
        self.told().len() < self.expected.len()
    }

    /// All that the sink was told so far.
    fn told(&self) -> BTreeSet<FindingId> {
        self.delivered().into_iter().collect()
    }

    /// The identifiers that the sink was given, as often as it was.
    fn delivered(&self) -> Vec<FindingId> {
        let text = fs::read_to_string(self.dir.path("told")).unwrap_or_default();
        text.lines().map(|line| FindingId::parse(line).unwrap_or_else(|| panic!("{line:?}"))).collect()
    }
}

#[test]
fn killed_at_any_moment_it_loses_and_repeats_nothing() {
    let runtime = runtime();
    let log = runtime.block_on(TestLog::start(ORIGIN));
    let rules = "[rules]\nextensions = false\nprofile = false\ndelegation = false\ntimestamps = false\nbulk = false\n\
                 most_per_hour = 100000\n[lookalike]\nenabled = false\n[[alerts.command]]\nname = \"file\"\n\
                 argv = [\"./tell\"]\n";
    let dir = watcher("watcher.example", &log, rules);
    let script = format!("#!/bin/sh\necho \"$ATL_ALERT_ID\" >> '{}'\n", dir.path("told").display());
    fs::write(dir.path("tell"), script).unwrap();
    fs::set_permissions(dir.path("tell"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut world = World { log, dir, expected: BTreeSet::new(), promised: now() - 45_000 };
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut interrupted = 0;
    for batch in 0..KILLS {
        world.grow(batch);
        interrupted += u64::from(world.run(batch, &mut dice));
        assert!(world.told().is_subset(&world.expected));
    }
    assert!(interrupted > KILLS / 3, "it was killed before it was done {interrupted} times only");

    let World { dir, expected, .. } = &world;
    let monitor = dir.start();
    eventually("everything is told", || (world.told() == *expected).then_some(()));
    let undelivered = "atl_monitor_undelivered_alerts";
    eventually("the sink's answers are written down", || monitor.metric(undelivered).filter(|left| *left == 0.0));
    // A crash repeats what was being told just then, and nothing else.
    let repeated = world.delivered().len() - expected.len();
    assert!(repeated <= KILLS as usize, "{repeated} were told again");
    let newest: BTreeSet<_> = alerts(&monitor).iter().map(|alert| alert["seq"].as_u64()).collect();
    assert_eq!(newest.len(), 100, "the page lists the newest");
    assert_eq!(monitor.get("/healthz").0, 200);
    monitor.stop();
    assert_eq!(dir.output(&["once"]).status.code(), Some(0), "nothing is new");

    // Each of them is there, once.
    let ids: Vec<FindingId> =
        listed(dir).iter().map(|line| FindingId::parse(line["id"].as_str().unwrap()).unwrap()).collect();
    assert_eq!((ids.len(), ids.into_iter().collect::<BTreeSet<_>>()), (expected.len(), expected.clone()));

    // And all that was kept is whole, with nothing beside it.
    let (code, said) = verify_evidence(&dir.path("data/evidence"), &world.log.watched.key.to_string());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.lines().all(|line| line.starts_with("SUSPICION ONLY")), "{said}");
    let kept = dir.evidence();
    assert_eq!(fs::read_dir(dir.path("data/evidence")).unwrap().count(), kept.len(), "leftovers");
    let state = State::open(&dir.path("data/state.redb")).unwrap();
    let all = state.read::<_, StateError>(|read| alert::newest(read, 10_000)).unwrap();
    let named: BTreeSet<_> = all.iter().filter_map(|alert| alert.finding.evidence.clone()).collect();
    assert_eq!(named.len() as u64, 2 * KILLS / 3 * TIMESTAMPS);
    assert!(named.iter().all(|name| kept.contains(&dir.path(&format!("data/evidence/{name}")))));
}
