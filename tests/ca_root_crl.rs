//! The root's emergency path, through the real binary: an intermediate taken back without the root's key, with
//! openssl as the relying party.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "common/ca_process.rs"]
mod ca_process;

use std::fs;
use std::time::{Duration, Instant};

use ca_process::{CaOptions, CaRig, Signal, good, said};

const STATUS: &str = "http://status.bank.example.com";
const REVOKE: [&str; 8] =
    ["ca", "root", "revoke-intermediate", "--dir", "ca", "--reason", "keyCompromise", "--comment=ticket 4711"];

const CAPABILITY: [&str; 2] = ["--capability", "https://api.bank.example.com read"];

fn rig() -> CaRig {
    let options = CaOptions { status_url: Some(STATUS), name_constraint: false, logs: 1, ..CaOptions::default() };
    CaRig::new(options, |config| config.status.listen = Some("127.0.0.1:0".parse().unwrap()))
}

/// What plain HTTP serves below this path, where it serves anything.
fn fetched(rig: &CaRig, path: &str) -> Option<Vec<u8>> {
    let stderr = rig.ca.stderr();
    let address = stderr.split("status=Some(").nth(1).unwrap().split(')').next().unwrap();
    let out = rig.run("curl", &["--silent", "--fail", &format!("http://{address}{path}")]);
    out.status.success().then_some(out.stdout)
}

/// Waits until this holds.
#[track_caller]
fn soon(rig: &CaRig, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{}", rig.ca.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn openssl(rig: &CaRig, line: &str) -> (bool, String) {
    let out = rig.run("openssl", &line.split(' ').collect::<Vec<_>>());
    (out.status.success(), said(&out))
}

/// What openssl says of the agent in `a`, with every list as it is published now.
fn verified(rig: &CaRig) -> (bool, String) {
    let (_, text) = openssl(rig, "x509 -in a/cert.pem -noout -text");
    let shard = text.split(&format!("{STATUS}/crl/")).nth(1).unwrap().split_whitespace().next().unwrap();
    let mut lists = String::new();
    for path in ["root", "anchor", shard] {
        let name = format!("list-{path}");
        fs::write(rig.path(&name), fetched(rig, &format!("/crl/{path}")).expect(path)).unwrap();
        lists.push_str(&good(rig.run("openssl", &["crl", "-inform", "DER", "-in", &name])));
    }
    fs::write(rig.path("lists.pem"), lists).unwrap();
    let intermediates =
        ["ca/crl-signer.pem", "intermediate.pem"].map(|name| fs::read_to_string(rig.path(name)).unwrap());
    fs::write(rig.path("untrusted.pem"), intermediates.concat()).unwrap();
    let flags = "verify -crl_check_all -extended_crl -ignore_critical -CAfile ca/root.pem -untrusted untrusted.pem";
    openssl(rig, &format!("{flags} -CRLfile lists.pem a/cert.pem"))
}

#[test]
fn an_intermediate_is_taken_back_and_another_one_takes_its_place() {
    let mut rig = rig();
    fs::copy(rig.path("ca/intermediate.pem"), rig.path("intermediate.pem")).unwrap();
    good(rig.enroll("payments/bot/1", "a", &CAPABILITY));
    let (believed, said) = verified(&rig);
    assert!(believed, "{said}");
    let empty = fs::read(rig.path("ca/root.crl")).unwrap();
    assert!(good(rig.atl(["ca", "root", "crl", "--dir", "ca"])).contains("No intermediate is revoked"));

    let told = good(rig.atl(REVOKE));
    assert!(told.contains("number 2") && told.contains("renew-intermediate --dir ca --root-dir ca/root --new-key"));
    let record = fs::read_to_string(rig.path("ca/emergency/record.txt")).unwrap();
    assert!(record.contains("keyCompromise: ticket 4711"), "{record}");
    let list = fs::read(rig.path("ca/root.crl")).unwrap();
    soon(&rig, || fetched(&rig, "/crl/root").as_ref() == Some(&list));
    let (believed, words) = verified(&rig);
    assert!(!believed && words.contains("certificate revoked"), "{words}");

    // The same again changes nothing.
    assert!(good(rig.atl(REVOKE)).contains("nothing was changed"));
    assert_eq!(fs::read(rig.path("ca/root.crl")).unwrap(), list);
    let shown: serde_json::Value =
        serde_json::from_str(&good(rig.atl(["ca", "root", "crl", "--dir", "ca", "--json"]))).unwrap();
    assert_eq!((&shown["number"], &shown["revoked"][0]["reason"]), (&2.into(), &"keyCompromise".into()));

    // Nothing is issued any more, whatever becomes of the file; lists go on.
    let refused = rig.enroll("payments/bot/2", "b", &CAPABILITY);
    assert!(!refused.status.success() && ca_process::said(&refused).contains("was revoked at"), "{refused:?}");
    let renewed = rig.atl(["agent", "renew", "--dir", "a"]);
    assert!(!renewed.status.success());
    let ready = rig.curl("/readyz", &[]);
    assert!(ready.status == 503 && String::from_utf8_lossy(&ready.body).contains("was revoked at"), "{ready:?}");
    assert!(fetched(&rig, "/crl").is_some());

    // An older list takes nothing back, neither now nor behind a restart, and is not gone on from.
    fs::write(rig.path("ca/root.crl"), &empty).unwrap();
    soon(&rig, || rig.ca.stderr().contains("put back from an older copy"));
    assert_eq!(fetched(&rig, "/crl/root").as_ref(), Some(&list));
    let refused = rig.atl(["ca", "root", "crl", "--dir", "ca", "--renew"]);
    assert!(said_of(&refused).contains("is not what the CA has published, which is number 2"), "{refused:?}");
    rig.ca.stop(Signal::TERM);
    rig.ca.start();
    assert_eq!(fetched(&rig, "/crl/root").as_ref(), Some(&list));
    assert_eq!(rig.curl("/readyz", &[]).status, 503);
    fs::write(rig.path("ca/root.crl"), &list).unwrap();

    // A new intermediate with a new key issues again.
    let renew = ["ca", "root", "renew-intermediate", "--dir", "ca", "--root-dir", "ca/root"];
    assert!(said_of(&rig.atl(renew)).contains("give --new-key"));
    good(rig.atl([&renew[..], &["--new-key"]].concat()));
    rig.ca.stop(Signal::TERM);
    rig.ca.start();
    let token = rig.token("payments/bot/1", &["--replaces"]);
    good(rig.enroll_with(&token, "payments/bot/1", "again", &CAPABILITY));
    fs::remove_dir_all(rig.path("a")).unwrap();
    fs::rename(rig.path("again"), rig.path("a")).unwrap();
    fs::copy(rig.path("ca/intermediate.pem"), rig.path("intermediate.pem")).unwrap();
    let (believed, said) = verified(&rig);
    assert!(believed, "{said}");
}

fn said_of(output: &std::process::Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    said(output)
}

#[test]
fn what_the_root_s_signer_did_not_sign_is_not_published() {
    let rig = rig();
    let first = fs::read(rig.path("ca/root.crl")).unwrap();
    assert_eq!(fetched(&rig, "/crl/root").as_ref(), Some(&first));
    let anchor = fs::read(rig.path("ca/anchor.crl")).unwrap();
    assert_eq!(fetched(&rig, "/crl/anchor").as_ref(), Some(&anchor));
    // Another CA's list, and the root's own in the place of the signer's.
    let init = ["ca", "init", "--insecure-dev", "--trust-domain", "x.example.com", "--organization", "Test Bank"];
    good(rig.atl([&init[..], &["--status-url", STATUS, "--dir", "other"]].concat()));
    for (wrong, why) in [("other/root.crl", "not signed by its issuer's key"), ("ca/anchor.crl", "is no indirect one")]
    {
        fs::copy(rig.path(wrong), rig.path("ca/root.crl.new")).unwrap();
        fs::rename(rig.path("ca/root.crl.new"), rig.path("ca/root.crl")).unwrap();
        soon(&rig, || rig.ca.stderr().contains(why));
        assert_eq!(fetched(&rig, "/crl/root").as_ref(), Some(&first));
        assert!(said_of(&rig.atl(REVOKE)).contains(why));
    }
    // A signer that this root did not certify.
    fs::copy(rig.path("other/root.crl"), rig.path("ca/root.crl")).unwrap();
    fs::copy(rig.path("ca/crl-signer.pem"), rig.path("signer.pem")).unwrap();
    fs::copy(rig.path("other/crl-signer.pem"), rig.path("ca/crl-signer.pem")).unwrap();
    soon(&rig, || rig.ca.stderr().contains("is not issued by the root"));
    assert_eq!(fetched(&rig, "/crl/root").as_ref(), Some(&first));
    assert_eq!(rig.curl("/readyz", &[]).status, 200);

    // All is well again with the right files, and the list goes on from there.
    fs::copy(rig.path("signer.pem"), rig.path("ca/crl-signer.pem")).unwrap();
    fs::write(rig.path("ca/root.crl"), &first).unwrap();
    good(rig.atl(["ca", "root", "crl", "--dir", "ca", "--renew"]));
    let second = fs::read(rig.path("ca/root.crl")).unwrap();
    assert_ne!(second, first);
    soon(&rig, || fetched(&rig, "/crl/root").as_ref() == Some(&second));
    // The signer's key may change; the list is signed again with the next number.
    let signer = ["ca", "root", "emergency-signer", "--dir", "ca", "--root-dir", "ca/root"];
    good(rig.atl(signer));
    assert_eq!(fs::read(rig.path("ca/root.crl")).unwrap(), second);
    good(rig.atl([&signer[..], &["--new-key", "--insecure-dev"]].concat()));
    let third = fs::read(rig.path("ca/root.crl")).unwrap();
    soon(&rig, || fetched(&rig, "/crl/root").as_ref() == Some(&third));
    assert!(good(rig.atl(REVOKE)).contains("number 4"));
}

#[test]
fn a_ca_without_an_emergency_key_gets_one_later() {
    let rig = CaRig::new(CaOptions { logs: 1, ..CaOptions::default() }, |_| {});
    assert!(!rig.path("ca/emergency").exists() && fetched_https(&rig, "/crl/root") == 404);
    assert!(said_of(&rig.atl(REVOKE)).contains("atl ca root emergency-signer --dir ca"));
    let signer = ["ca", "root", "emergency-signer", "--dir", "ca", "--root-dir", "ca/root", "--insecure-dev"];
    let told = good(rig.atl(signer));
    assert!(told.contains("renew-intermediate --dir ca --root-dir ca/root"), "{told}");
    soon(&rig, || fetched_https(&rig, "/crl/root") == 200 && fetched_https(&rig, "/crl/anchor") == 200);
    good(rig.atl(REVOKE));
    soon(&rig, || rig.curl("/readyz", &[]).status == 503);
}

fn fetched_https(rig: &CaRig, path: &str) -> u16 {
    rig.curl(path, &[]).status
}
