//! What a gateway decides by, across changes of its files.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::knowledge::Known;
use super::snapshot::Snapshot;
use crate::apki::Certificate;
use crate::apki::status::crl::Crl;
use crate::apki::testing::{Draft, empty_crl, key};
use crate::cli::relying::material::RemoteList;
use crate::http::gateway::metrics::GatewayMetrics;
use crate::http::gateway::ports::{Check, Knowledge};
use crate::keys::Signer as _;
use crate::time::{Clock, UnixMillis};
use crate::verify::relying::RevocationLists;

const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);
const URL: &str = "http://ca.example.com/crl";

struct At(UnixMillis);

impl Clock for At {
    fn now(&self) -> UnixMillis {
        self.0
    }
}

/// A gateway's directory.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let pem = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, ca().der()).unwrap();
        home.write("root.pem", &pem);
        home.trust("prefer", &[URL], "standard");
        home.write(
            "gateway.toml",
            "relying_party = \"relying-party.toml\"\nproxy = \"nginx\"\nlisten = \"127.0.0.1:0\"\n[[routes]]\n\
            path = \"/\"\ntool_uri = \"mcp://mail\"\nscope = \"send\"\n",
        );
        home
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// The relying party, with these lists to fetch.
    fn trust(&self, mode: &str, lists: &[&str], tier: &str) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let log = STANDARD.encode(key(11).public_key().spki_der());
        let lists = lists.iter().map(|url| format!("[[revocation_lists]]\nurl = \"{url}\"\nsigner = \"root.pem\"\n"));
        let text = format!(
            "[policy]\nminimum_tier = \"{tier}\"\nrevocation = {{ mode = \"{mode}\" }}\n[[domains]]\n\
            name = \"example.com\"\nroots = \"root.pem\"\n[[logs]]\nkey = \"{log}\"\noperator = \"Log\"\n{}",
            lists.collect::<String>()
        );
        self.write("relying-party.toml", &text);
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("gateway.toml")
    }

    fn open(&self, now: UnixMillis) -> Known {
        let metrics = Arc::new(GatewayMetrics::new().unwrap());
        Known::open(self.file(), Arc::new(At(now)), metrics).unwrap()
    }
}

fn ca() -> Certificate {
    Draft::ca("Root", "Root", &key(1), None).certificate(&key(1))
}

/// A list of the CA, one minute long, as it was fetched.
fn fetched(known: &Known) -> RevocationLists {
    let signer = ca();
    let crl = Crl::parse(empty_crl(&signer, 1, NOW)).unwrap();
    let mut lists = RevocationLists::default();
    lists.add(crl, &signer, &known.snapshot().material.party.domains).unwrap();
    lists
}

fn fetch(known: &Known, url: &str) {
    let list = RemoteList { url: url.to_owned(), signer: ca() };
    known.fetched(&list, &fetched(known), known.snapshot().material.generation);
}

fn lists(known: &Known) -> (usize, bool) {
    let check: Check = known.checks().into_iter().find(|check| check.name == "lists").unwrap();
    (known.snapshot().lists().len(), check.ok)
}

#[test]
fn what_was_fetched_outlives_new_files_as_long_as_it_is_wanted() {
    let home = Home::new();
    let known = home.open(NOW);
    assert_eq!(lists(&known), (0, false), "it was never fetched, and who is revoked would be let in");
    fetch(&known, "http://elsewhere.example.com/crl");
    assert_eq!(lists(&known), (0, false), "nobody wants that");
    fetch(&known, URL);
    assert_eq!(lists(&known), (1, true));
    let generation = known.snapshot().material.generation;
    home.trust("prefer", &[URL], "elevated");
    known.look();
    assert_eq!((known.snapshot().material.generation, lists(&known)), (generation + 1, (1, true)));
    // What was taken for the material before is no longer taken.
    known.fetched(&RemoteList { url: URL.into(), signer: ca() }, &fetched(&known), generation);
    home.trust("prefer", &[URL, "http://ca.example.com/crl/2"], "elevated");
    known.look();
    assert_eq!(lists(&known), (1, false), "one of two");
    home.trust("prefer", &[], "elevated");
    known.look();
    assert_eq!(lists(&known), (0, true));
}

#[test]
fn lists_of_the_configuration_alone_say_whether_it_is_ready() {
    let home = Home::new();
    for (mode, now, missing, ready) in [
        ("require", NOW, false, true),
        ("prefer", NOW, false, true),
        ("off", NOW, true, true),
        ("require", NOW.saturating_add(60_001), false, false),
        ("prefer", NOW.saturating_add(60_001), false, true),
    ] {
        home.trust(mode, &[URL], "standard");
        let known = home.open(now);
        assert_eq!(lists(&known).1, missing, "{mode}");
        fetch(&known, URL);
        assert_eq!(lists(&known), (1, ready), "{mode} {now}");
    }
    // One that a certificate named makes up for none, and one that ran out is dropped.
    home.trust("require", &[URL], "standard");
    let known = home.open(NOW);
    known.learned(&fetched(&known), known.snapshot().material.generation);
    assert_eq!(lists(&known), (1, false));
    let late = home.open(NOW.saturating_add(3_600_000));
    late.learned(&fetched(&late), late.snapshot().material.generation);
    assert_eq!(lists(&late), (0, false));
}

#[tokio::test]
async fn whoever_fetches_hears_of_new_files() {
    let home = Home::new();
    let known = home.open(NOW);
    known.look();
    let mut news = Box::pin(known.news());
    let waits = std::future::poll_fn(|context| std::task::Poll::Ready(news.as_mut().poll(context).is_pending()));
    assert!(waits.await, "nothing is new");
    home.trust("prefer", &[URL], "elevated");
    known.look();
    news.await;
}

#[test]
fn a_change_while_files_are_read_is_not_missed() {
    let home = Home::new();
    let mut changes = Some(());
    let mut change = || {
        if changes.take().is_some() {
            home.trust("require", &[URL], "elevated");
        }
    };
    let snapshot = Snapshot::read_while(&home.file(), None, &mut change).unwrap().unwrap();
    let mode = |snapshot: &Snapshot| snapshot.material.party.policy.revocation.mode;
    assert_eq!(mode(&snapshot), crate::verify::relying::RevocationMode::HardFail);
    assert!(Snapshot::read(&home.file(), Some(&snapshot)).unwrap().is_none());
    // What never comes to rest is no material.
    let mut count = 0;
    let mut restless = || {
        count += 1;
        let text = fs::read_to_string(home.0.path().join("relying-party.toml")).unwrap();
        home.write("relying-party.toml", &format!("{text}# {count}\n"));
    };
    let error = Snapshot::read_while(&home.file(), None, &mut restless).err().unwrap();
    assert!(error.to_string().contains("changes while it is read"), "{error}");
}
