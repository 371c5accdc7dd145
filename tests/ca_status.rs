//! Revocation as others see it: OpenSSL asks over HTTP and reads the lists, servers staple, and many at once work
//! against a revocation while it happens.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "common/ca_rig.rs"]
mod ca_rig;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/log_proxy.rs"]
mod log_proxy;
#[path = "common/party.rs"]
mod party;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;
#[path = "common/status_asker.rs"]
mod status_asker;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use atl::api::ca::RevokeRequest;
use atl::apki::Certificate;
use atl::apki::status::RevocationReason;
use atl::apki::status::ocsp::CertStatus;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::ca_rig::*;
use self::party::{Party, root};
use self::status_asker::{Asker, certificates, is_revoked};

/// A CA that tells the status over plain HTTP, with answers that hold for a short time.
fn rig(algorithm: &str) -> CaRig {
    CaRig::of(algorithm, |config| {
        with_registry(config);
        config.status.listen = Some("127.0.0.1:0".parse().unwrap());
        config.status.ocsp_validity_seconds = 10;
    })
}

/// A, B below A, C below B.
fn line(rig: &CaRig) -> [Party; 3] {
    let a = root(rig, "payments/bot/a");
    let b = a.child("payments/bot/b", &["mcp://ledger read", "mcp://mail send", "mcp://files docs"], &[]);
    let c = b.child("payments/bot/c", &["mcp://mail send"], &[]);
    [a, b, c]
}

/// The certificate that issued this party's.
fn issuer(party: &Party) -> Certificate {
    certificates(&party.dir.join("cert.pem")).remove(1)
}

/// A directory in which OpenSSL works: the parties' certificates, their issuer's and the root's.
struct Desk {
    dir: PathBuf,
    url: String,
}

impl Desk {
    fn new(rig: &CaRig, url: String, parties: &[(&str, &Party)]) -> Self {
        let dir = rig.path("desk");
        fs::create_dir_all(&dir).unwrap();
        let desk = Self { dir, url };
        fs::copy(rig.path("ca/root.pem"), desk.dir.join("root.pem")).unwrap();
        let pem = |der: &[u8]| der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der).unwrap();
        for (name, party) in parties {
            fs::write(desk.dir.join(format!("{name}.pem")), pem(party.certificate().der())).unwrap();
            fs::write(desk.dir.join("issuer.pem"), pem(issuer(party).der())).unwrap();
        }
        desk
    }

    fn run(&self, program: &str, arguments: &str) -> (bool, String) {
        let mut command = Command::new(program);
        command.args(arguments.split_ascii_whitespace()).current_dir(&self.dir).stdin(Stdio::null());
        let output = command.output().unwrap();
        (output.status.success(), text(&output))
    }

    #[track_caller]
    fn good(&self, program: &str, arguments: &str) -> String {
        let (good, said) = self.run(program, arguments);
        assert!(good, "{program} {arguments}: {said}");
        said
    }

    /// `openssl ocsp` over HTTP, which must find an answer that the root alone vouches for.
    #[track_caller]
    fn ocsp(&self, about: &str) -> String {
        let (url, trust) = (&self.url, "-CAfile root.pem -verify_other issuer.pem");
        let said = self.good("openssl", &format!("ocsp -issuer issuer.pem {about} -url {url}/ocsp {trust}"));
        assert!(said.contains("Response verify OK"), "{said}");
        // Neither that there is no nonce, nor that it is another.
        assert!(!said.contains("WARNING") && !said.to_lowercase().contains("nonce"), "{said}");
        said
    }

    /// The list at this URL, as `openssl crl` tells it; it is left in `list.pem`.
    #[track_caller]
    fn list(&self, url: &str) -> String {
        self.good("curl", &format!("--silent --show-error --fail --output list.der {url}"));
        self.good("openssl", "crl -inform DER -in list.der -out list.pem");
        let said = self.good("openssl", "crl -in list.pem -noout -text -CAfile issuer.pem");
        assert!(said.contains("verify OK"), "{said}");
        said
    }

    /// The number of `list.pem`, and for how many seconds it holds.
    #[track_caller]
    fn number_and_hold(&self) -> (u128, i64) {
        let said = self.good("openssl", "crl -in list.pem -noout -crlnumber -lastupdate -nextupdate");
        let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let seconds = |name: &str| {
            let date = Command::new("date").args(["-u", "+%s", "-d", &field(name)]).output().unwrap();
            text(&date).trim().parse::<i64>().unwrap()
        };
        let number = u128::from_str_radix(field("crlNumber=").trim_start_matches("0x"), 16).unwrap();
        (number, seconds("nextUpdate=") - seconds("lastUpdate="))
    }

    /// Where this certificate says that its list is.
    #[track_caller]
    fn shard(&self, name: &str) -> String {
        let said = self.good("openssl", &format!("x509 -in {name}.pem -noout -ext crlDistributionPoints"));
        said.split_once("URI:").unwrap().1.split_whitespace().next().unwrap().to_owned()
    }

    /// `openssl verify` of the certificate, with the list that it names itself.
    fn verify(&self, name: &str) -> (bool, String) {
        self.list(&self.shard(name));
        let files = "-CAfile root.pem -untrusted issuer.pem -CRLfile list.pem";
        self.run("openssl", &format!("verify -crl_check {files} {name}.pem"))
    }
}

/// The serial number as OpenSSL prints it.
fn serial(party: &Party) -> String {
    hex::encode_upper(party.certificate().serial())
}

#[track_caller]
fn revoke(rig: &CaRig, party: &Party, reason: &str) {
    let revoked = rig.ca(&["revoke"], &["--agent", &party.uri, "--reason", reason]);
    assert!(revoked.status.success(), "{}", text(&revoked));
}

#[test]
fn openssl_sees_a_revocation_at_a_p256_ca() {
    openssl_sees_a_revocation("p256");
}

#[test]
fn openssl_sees_a_revocation_at_an_ed25519_ca() {
    openssl_sees_a_revocation("ed25519");
}

fn openssl_sees_a_revocation(algorithm: &str) {
    let rig = rig(algorithm);
    let ca = rig.start();
    let [a, b, c] = line(&rig);
    let desk = Desk::new(&rig, ca.status_url(), &[("a", &a), ("b", &b), ("c", &c)]);
    all_is_good(&desk);
    whoever_asks_wrong_is_told(&desk, &a, &rig);
    nothing_else_is_open(&desk, &rig);
    let numbers = lists_are_empty(&desk);
    revoke(&rig, &a, "keyCompromise");
    all_is_revoked(&desk);
    lists_say_so(&desk, numbers, &[&a, &b, &c]);
    ca.stop();
}

fn all_is_good(desk: &Desk) {
    for name in ["a", "b", "c"] {
        for hash in ["", "-sha256 "] {
            let said = desk.ocsp(&format!("{hash}-cert {name}.pem"));
            assert!(said.contains(&format!("{name}.pem: good")), "{said}");
        }
        assert!(asked_by_get(desk, name).contains(": good"));
        let (good, said) = desk.verify(name);
        assert!(good, "{said}");
    }
    // All in one question; and where the certificate says that it is to be asked.
    let said = desk.ocsp("-cert a.pem -cert b.pem -cert c.pem");
    assert_eq!(said.matches(": good").count(), 3, "{said}");
    let named = desk.good("openssl", "x509 -in a.pem -noout -ocsp_uri");
    let trust = "-CAfile root.pem -verify_other issuer.pem";
    let said = desk.good("openssl", &format!("ocsp -issuer issuer.pem -cert a.pem -url {} {trust}", named.trim()));
    assert!(said.contains("a.pem: good"), "{said}");
    // Nobody had this number, nor one of this length.
    for nobody in ["0x40112233445566778899aabbccddeeff00112233", "7"] {
        let said = desk.ocsp(&format!("-serial {nobody}"));
        assert!(said.contains(": unknown"), "{said}");
    }
}

/// The same by GET, as caches like it; what OpenSSL makes of the answer.
#[track_caller]
fn asked_by_get(desk: &Desk, name: &str) -> String {
    let about = format!("-issuer issuer.pem -cert {name}.pem -no_nonce");
    desk.good("openssl", &format!("ocsp {about} -reqout question.der"));
    let base64 = STANDARD.encode(fs::read(desk.dir.join("question.der")).unwrap());
    let escaped = base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let mut said = String::new();
    for path in [base64, escaped] {
        let head = desk.good(
            "curl",
            &format!(
                "--silent --show-error --fail --path-as-is --dump-header - --output answer.der {}/ocsp/{path}",
                desk.url
            ),
        );
        assert!(head.to_lowercase().contains("content-type: application/ocsp-response"), "{head}");
        let trust = "-CAfile root.pem -verify_other issuer.pem";
        said = desk.good("openssl", &format!("ocsp {about} -respin answer.der {trust}"));
        assert!(said.contains("Response verify OK"), "{said}");
    }
    said
}

fn whoever_asks_wrong_is_told(desk: &Desk, a: &Party, rig: &CaRig) {
    // Another root does not vouch for the answer.
    let other = Command::new(env!("CARGO_BIN_EXE_atl"))
        .args(["ca", "init", "--insecure-dev", "--trust-domain", DOMAIN, "--organization", "Other", "--dir"])
        .arg(rig.path("other"))
        .output()
        .unwrap();
    assert!(other.status.success(), "{}", text(&other));
    fs::copy(rig.path("other/root.pem"), desk.dir.join("other.pem")).unwrap();
    let ask = format!("ocsp -issuer issuer.pem -cert a.pem -url {}/ocsp", desk.url);
    let (_, said) = desk.run("openssl", &format!("{ask} -CAfile other.pem -verify_other issuer.pem"));
    assert!(said.contains("Response Verify Failure") && !said.contains("Response verify OK"), "{said}");
    // A certificate of somebody else: here the root's own.
    let (_, said) =
        desk.run("openssl", &format!("ocsp -issuer root.pem -cert issuer.pem -url {}/ocsp -CAfile root.pem", desk.url));
    assert!(said.contains("unauthorized (6)"), "{said}");
    // What is no question.
    for junk in [&b"junk"[..], b"", &[0x30, 0x03, 0x0a, 0x01, 0x00], a.certificate().der()] {
        fs::write(desk.dir.join("junk.der"), junk).unwrap();
        let post =
            "--silent --show-error --fail --header Content-Type:application/ocsp-request --data-binary @junk.der";
        desk.good("curl", &format!("{post} --output answer.der {}/ocsp", desk.url));
        let (_, said) = desk.run("openssl", "ocsp -respin answer.der -CAfile root.pem");
        assert!(said.contains("malformedrequest (1)"), "{said}");
    }
    for path in ["AAAA", "not-base64!", "MEUwQz"] {
        desk.good("curl", &format!("--silent --show-error --fail --output answer.der {}/ocsp/{path}", desk.url));
        let (_, said) = desk.run("openssl", "ocsp -respin answer.der -CAfile root.pem");
        assert!(said.contains("malformedrequest (1)"), "{path}: {said}");
    }
}

/// What is served without encryption is what is signed, and nothing else.
fn nothing_else_is_open(desk: &Desk, rig: &CaRig) {
    for path in ["ca/v1/enroll", "ca/v1/revoke", "ca/v1/certificates", "readyz", "metrics"] {
        let code = format!("--silent --output /dev/null --write-out %{{http_code}} {}/{path}", desk.url);
        assert_eq!(desk.good("curl", &code), "404", "{path}");
    }
    let post = "--silent --output /dev/null --write-out %{http_code} --data-binary x --header Content-Type:text/plain";
    assert_eq!(desk.good("curl", &format!("{post} {}/ocsp", desk.url)), "415");
    // And over HTTPS there is the same.
    let get = "--silent --show-error --fail --cacert root.pem --output list.der";
    desk.good("curl", &format!("{get} {}/crl", rig.url));
    assert!(desk.good("openssl", "crl -inform DER -in list.der -noout -CAfile issuer.pem").contains("verify OK"));
    let trust = "-CAfile root.pem -verify_other issuer.pem";
    let said = desk.good("openssl", &format!("ocsp -issuer issuer.pem -cert a.pem -url {}/ocsp {trust}", rig.url));
    assert!(said.contains("Response verify OK") && said.contains("a.pem: good"), "{said}");
}

/// What the numbers of the lists are before anything is revoked.
fn lists_are_empty(desk: &Desk) -> [u128; 2] {
    let complete = format!("{}/crl", desk.url);
    [complete, desk.shard("a")].map(|url| {
        let said = desk.list(&url);
        assert!(said.contains("No Revoked Certificates"), "{said}");
        let (number, holds) = desk.number_and_hold();
        assert!((1..=3600).contains(&holds), "{holds}");
        number
    })
}

fn all_is_revoked(desk: &Desk) {
    for (name, reason) in [("a", "keyCompromise"), ("b", "privilegeWithdrawn"), ("c", "privilegeWithdrawn")] {
        for said in [desk.ocsp(&format!("-cert {name}.pem")), asked_by_get(desk, name)] {
            assert!(said.contains(&format!("{name}.pem: revoked")), "{said}");
            // OpenSSL knows the word for this reason from 3.2 on; the list below says it in any case.
            let unknown = reason == "privilegeWithdrawn" && said.contains("Reason: (UNKNOWN)");
            assert!(unknown || said.contains(&format!("Reason: {reason}")), "{said}");
        }
        let (good, said) = desk.verify(name);
        assert!(!good && said.contains("certificate revoked"), "{said}");
    }
}

fn lists_say_so(desk: &Desk, before: [u128; 2], revoked: &[&Party]) {
    let complete = format!("{}/crl", desk.url);
    for (url, before) in [complete, desk.shard("a")].iter().zip(before) {
        let said = desk.list(url);
        assert!(desk.number_and_hold().0 > before, "{said}");
        for party in revoked {
            assert!(said.contains(&serial(party)), "{said}");
        }
    }
    let said = desk.list(&desk.shard("a"));
    assert!(said.contains("X509v3 Issuing Distribution Point: critical"), "{said}");
    assert!(said.contains("Key Compromise") && said.contains("Privilege Withdrawn"), "{said}");
    // Another shard has none of them, and does not speak of them.
    let (base, shard) =
        desk.shard("a").rsplit_once('/').map(|(b, s)| (b.to_owned(), s.parse::<u64>().unwrap())).unwrap();
    let said = desk.list(&format!("{base}/{}", shard - 5));
    assert!(revoked.iter().all(|party| !said.contains(&serial(party))), "{said}");
    let (good, said) =
        desk.run("openssl", "verify -crl_check -CAfile root.pem -untrusted issuer.pem -CRLfile list.pem a.pem");
    assert!(!good && !said.contains("certificate revoked"), "{said}");
    assert!(!desk.run("curl", &format!("--silent --fail {base}/{}", shard + 1000)).0);
}

/// From the answer on nobody is told anything else, however many ask: neither by an answer signed earlier nor by
/// one that was being signed.
#[test]
fn from_the_answer_on_everybody_is_told() {
    let rig = rig("p256");
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    let capabilities = ["mcp://mail send", "mcp://files docs"];
    let children: Vec<Party> = (0..4).map(|n| a.child(&format!("payments/bot/{n}"), &capabilities, &[])).collect();
    let serials: Vec<Vec<u8>> = children.iter().map(|party| party.certificate().serial().to_vec()).collect();
    let (url, issuer) = (ca.status_url(), issuer(&a));
    // Who asked when, whom he asked about, and what he heard.
    let heard: Mutex<Vec<(Instant, usize, CertStatus)>> = Mutex::default();
    let revoked_at: Vec<Mutex<Option<Instant>>> = children.iter().map(|_| Mutex::default()).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for first in 0..4 {
            let (url, issuer, heard, over, serials) = (&url, &issuer, &heard, &over, &serials);
            scope.spawn(move || {
                let asker = Asker::new(url, issuer.clone());
                for place in (first..).map(|n| n % serials.len()) {
                    let at = Instant::now();
                    let status = asker.status(&serials[place]).unwrap();
                    heard.lock().unwrap().push((at, place, status));
                    if over.load(SeqCst) {
                        break;
                    }
                }
            });
        }
        let asker = Asker::new(&url, issuer.clone());
        let (operator, client) = (rig.operator(), rig.client(None));
        for (place, child) in children.iter().enumerate() {
            std::thread::sleep(Duration::from_millis(300));
            let request = RevokeRequest { agent: Some(child.uri.parse().unwrap()), ..RevokeRequest::default() };
            rig.ask(client.revoke(Some(&operator), &request)).unwrap();
            *revoked_at[place].lock().unwrap() = Some(Instant::now());
            assert!(is_revoked(&asker.status(&serials[place]).unwrap()));
        }
        std::thread::sleep(Duration::from_millis(200));
        over.store(true, SeqCst);
    });
    let heard = heard.into_inner().unwrap();
    let mut counts = [0; 2];
    for (at, place, status) in &heard {
        counts[usize::from(is_revoked(status))] += 1;
        let revoked_at = revoked_at[*place].lock().unwrap().unwrap();
        assert!(is_revoked(status) || *at < revoked_at, "asked {:?} after the answer", *at - revoked_at);
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    ca.stop();
}

#[test]
fn a_server_has_something_to_staple() {
    let rig = rig("p256");
    let ca = rig.start();
    let [a, b, _] = line(&rig);
    let desk = Desk::new(&rig, ca.status_url(), &[("a", &a), ("b", &b)]);
    let out = desk.dir.join("b.ocsp");
    let staple = |party: &Party| party.run("staple", &["--out", &out.display().to_string()]);
    let stapled = staple(&b);
    assert!(stapled.status.success(), "{}", text(&stapled));
    let check =
        "ocsp -respin b.ocsp -issuer issuer.pem -cert b.pem -no_nonce -CAfile root.pem -verify_other issuer.pem";
    let said = desk.good("openssl", check);
    assert!(said.contains("Response verify OK") && said.contains("b.pem: good"), "{said}");

    let mut watch = b.command("staple");
    watch.arg("--out").arg(&out).arg("--watch").stdout(Stdio::null()).stderr(Stdio::piped());
    let watch = watch.spawn().unwrap();
    let first = changed(&out, &fs::read(&out).unwrap());
    // Half of ten seconds later there is another one.
    let second = changed(&out, &first);
    assert_ne!(first, second);
    assert!(desk.good("openssl", check).contains("b.pem: good"));
    // A renewed certificate has an answer of its own.
    assert!(b.run("renew", &[]).status.success());
    changed(&out, &second);
    let desk = Desk::new(&rig, ca.status_url(), &[("b", &b)]);
    assert!(desk.good("openssl", check).contains("b.pem: good"));
    revoke(&rig, &a, "cessationOfOperation");
    let ended = watch.wait_with_output().unwrap();
    is_told_of_the_revocation(&ended);
    // What is shown from now on is the truth, and no answer from before.
    let said = desk.good("openssl", check);
    assert!(said.contains("Response verify OK") && said.contains("b.pem: revoked"), "{said}");
    fs::remove_file(&out).unwrap();
    is_told_of_the_revocation(&staple(&b));
    assert!(desk.good("openssl", check).contains("b.pem: revoked"));
    ca.stop();
    // Nobody answers: the file stays as it is.
    let last = fs::read(&out).unwrap();
    let unanswered = staple(&b);
    assert_eq!(unanswered.status.code(), Some(2), "{}", text(&unanswered));
    assert_eq!(fs::read(&out).unwrap(), last);
}

#[track_caller]
fn is_told_of_the_revocation(output: &Output) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is revoked since") && said.contains("privilegeWithdrawn"), "{said}");
}

/// The file once it is another than this.
fn changed(file: &Path, before: &[u8]) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let now = fs::read(file).unwrap();
        if now != before {
            return now;
        }
        assert!(Instant::now() < deadline, "it is not replaced");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the CA wants to be asked more slowly; if so, a while has passed since.
fn is_too_fast(output: &Output) -> bool {
    let slower = text(output).contains("rateLimited");
    if slower {
        std::thread::sleep(Duration::from_secs(1));
    }
    slower
}

/// Everybody below A hands on and renews as fast as it can while A is revoked: whatever any of them got is revoked.
#[test]
fn nothing_slips_through_while_the_line_is_cut() {
    let rig = rig("p256");
    let ca = rig.start();
    let [a, b, c] = line(&rig);
    let got: Mutex<Vec<Certificate>> = Mutex::new([&a, &b, &c].map(Party::certificate).into());
    let (over, number, late) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let keep = |party: &Party| got.lock().unwrap().push(party.certificate());
    let delegate = |parent: &Party| {
        let name = format!("payments/bot/n{}", number.fetch_add(1, SeqCst));
        let (child, output) = parent.delegate(&name, &["mcp://files docs/open"], &[]);
        if output.status.success() {
            keep(&child);
        }
        (child, output)
    };
    std::thread::scope(|scope| {
        for parent in [&a, &b, &b] {
            let (delegate, keep, over, late) = (&delegate, &keep, &over, &late);
            scope.spawn(move || {
                loop {
                    let was_over = over.load(SeqCst);
                    let (child, output) = delegate(parent);
                    if was_over && is_too_fast(&output) {
                        continue;
                    }
                    if was_over {
                        // Asked after the answer.
                        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
                        late.fetch_add(1, SeqCst);
                        break;
                    }
                    if output.status.success() && child.run("renew", &[]).status.success() {
                        keep(&child);
                    }
                }
            });
        }
        for party in [&a, &b, &c] {
            let (keep, over, late) = (&keep, &over, &late);
            scope.spawn(move || {
                loop {
                    let was_over = over.load(SeqCst);
                    let output = party.run("renew", &[]);
                    if output.status.success() {
                        keep(party);
                    }
                    if was_over && is_too_fast(&output) {
                        continue;
                    }
                    if was_over {
                        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
                        late.fetch_add(1, SeqCst);
                        break;
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_secs(3));
        revoke(&rig, &a, "keyCompromise");
        over.store(true, SeqCst);
    });
    assert_eq!(late.into_inner(), 6);
    let got = got.into_inner().unwrap();
    assert!(got.len() > 10, "{}", got.len());
    // All that the CA has issued, if the answer was lost, too; and precertificates that are out there.
    let mut serials: BTreeSet<Vec<u8>> = got.iter().map(|certificate| certificate.serial().to_vec()).collect();
    serials.extend(rig.issued(None).iter().map(|entry| hex::decode(&entry.serial).unwrap()));
    let asker = Asker::new(&ca.status_url(), issuer(&a));
    let statuses = asker.statuses(serials.iter().map(Vec::as_slice)).unwrap();
    let list = asker.list().unwrap();
    for (serial, status) in serials.iter().zip(&statuses) {
        assert!(is_revoked(status), "{} is {status:?}", hex::encode(serial));
        assert!(list.entries.contains_key(serial), "{} is not listed", hex::encode(serial));
    }
    for certificate in &got {
        let shard = asker.list_at(certificate.crl_url().unwrap().unwrap()).unwrap();
        assert!(shard.entries.contains_key(certificate.serial()), "not in its own list");
    }
    assert!(rig.open().is_empty(), "{:?}", rig.open());
    ca.stop();
    let verified = rig.verify_database(&[]);
    assert!(verified.status.success(), "{}", text(&verified));
}

/// A database that is put back from before a revocation does not take it back.
#[test]
fn a_restored_backup_does_not_unrevoke() {
    let rig = rig("p256");
    let ca = rig.start();
    let [a, b, c] = line(&rig);
    let free = root(&rig, "payments/bot/free");
    ca.stop();
    let (data, backup) = (rig.path("ca/data"), rig.path("backup"));
    copy(&data, &backup);

    let ca = rig.start();
    // B's certificate of after the backup is one that the backup knows nothing of.
    let before = b.certificate();
    assert!(b.run("renew", &[]).status.success());
    revoke(&rig, &a, "keyCompromise");
    let number = Asker::new(&ca.status_url(), issuer(&a)).list().unwrap().number;
    ca.stop();
    fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);

    let ended = rig.try_start().err().expect("it starts with an older database");
    assert!(!ended.status.success() && ended.stderr.contains("atl ca audit accept"), "{}", ended.stderr);
    let config = rig.path("ca/ca.toml");
    let mut accept = Command::new(env!("CARGO_BIN_EXE_atl"));
    good(accept.args(["ca", "audit", "accept", "--config"]).arg(&config));
    let ca = rig.start();
    let asker = Asker::new(&ca.status_url(), issuer(&a));
    let list = asker.list().unwrap();
    assert!(list.number > number);
    let revoked = [a.certificate(), b.certificate(), before, c.certificate()];
    for certificate in &revoked {
        let status = asker.status(certificate.serial()).unwrap();
        let CertStatus::Revoked { reason, .. } = status else { panic!("{status:?}") };
        let own = certificate.serial() == revoked[0].serial();
        let why = if own { RevocationReason::KeyCompromise } else { RevocationReason::PrivilegeWithdrawn };
        assert_eq!((reason, list.entries.get(certificate.serial())), (why, Some(&why)));
    }
    // The agents are revoked, too: nobody gets anything for what it has.
    for party in [&a, &b, &c] {
        let renewal = party.run("renew", &[]);
        assert_eq!(renewal.status.code(), Some(1), "{}", text(&renewal));
        let (_, refused) = party.delegate("payments/bot/late", &["mcp://files docs/open"], &["--anew"]);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    }
    let drawn = text(&rig.ca(&["lineage"], &[&a.uri]));
    assert_eq!(drawn.matches("REVOKED at").count(), 3, "{drawn}");
    // And whoever was not, is not.
    assert_eq!(asker.status(free.certificate().serial()).unwrap(), CertStatus::Good);
    assert!(free.run("renew", &[]).status.success());
    ca.stop();
    let verified = rig.verify_database(&[]);
    assert!(verified.status.success(), "{}", text(&verified));
}

fn copy(from: &Path, to: &Path) {
    good(Command::new("cp").arg("-a").arg(from).arg(to));
}
