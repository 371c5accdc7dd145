//! A trust engine through the real binary: who may do what, what counts and how much, and that nothing
//! which was answered is lost.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "common/ca_process.rs"]
mod ca_process;
#[path = "common/trust_rig.rs"]
mod trust_rig;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atl::api::Token;
use atl::api::trust::{AgentQuery, AssessRequest, ChangesQuery, OutcomeKind, PageQuery, RebaseRequest, SignalsRequest};
use atl::apki::trust_score::Score;
use atl::trust::signal::{Kind, Signal};

use self::ca_process::{Signal as Unix, agent, good, said};
use self::trust_rig::{CA_OPERATOR, SECOND_OPERATOR, TrustRig, signal, status, uri};

const FIRST: PageQuery = PageQuery { after: None, limit: 100 };

fn praises(name: &str, count: u64, from: u64) -> Vec<Signal> {
    (from..from + count).map(|n| signal(name, Kind::Success, 4, n)).collect()
}

#[test]
fn a_reporter_is_its_key() {
    let rig = TrustRig::new(&["shop", "bank"], |_| {});
    rig.assess("pay/bot/1", 50);
    let praise = signal("pay/bot/1", Kind::Success, 4, 1);
    // A key that nobody registered, and none at all.
    good(rig.atl(&["trust", "reporter-key", "--name", "stranger", "--dir", "keys", "--algorithm", "ed25519"]));
    let signed = |name: &str| vec![praise.sign(&rig.signer(name)).unwrap()];
    assert_eq!(status(rig.post("stranger", signed("stranger"))), 401);
    let alone = rig.client(None);
    assert_eq!(status(rig.runtime.block_on(alone.signals(&SignalsRequest { signals: signed("shop") }))), 401);
    // Another's signal over one's own connection.
    let outcome = rig.post("shop", signed("bank")).unwrap().outcomes.remove(0);
    assert_eq!(outcome.outcome, OutcomeKind::Refused);
    assert_eq!(outcome.problem.unwrap().kind.to_string(), "badSignature");
    let elsewhere = Signal { aud: "elsewhere.example".into(), ..praise.clone() };
    let unknown = signal("pay/bot/2", Kind::Success, 4, 2);
    let too_much = signal("pay/bot/1", Kind::Success, 5, 3);
    let outcomes = rig.send("shop", &[elsewhere, unknown, too_much, praise]);
    let kinds: Vec<_> = outcomes.iter().map(|o| o.problem.as_ref().map(|p| p.kind.to_string())).collect();
    assert_eq!(
        kinds,
        [Some("wrongAudience"), Some("unknownAgent"), Some("outOfRange"), None].map(|k| k.map(str::to_owned))
    );
    assert_eq!((outcomes[3].outcome, outcomes[3].applied), (OutcomeKind::Applied, Some(4)));
    assert_eq!(rig.assess("pay/bot/1", 50).half_points, 104);
}

#[test]
fn what_was_taken_once_is_not_taken_twice_nor_an_eleventh() {
    let rig = TrustRig::new(&["shop"], |_| {});
    rig.assess("pay/bot/1", 50);
    let jws = signal("pay/bot/1", Kind::Failure, -2, 0).sign(&rig.signer("shop")).unwrap();
    let first = rig.post("shop", vec![jws.clone()]).unwrap().outcomes.remove(0);
    let again = rig.post("shop", vec![jws]).unwrap().outcomes.remove(0);
    assert_eq!((first.outcome, again.outcome), (OutcomeKind::Applied, OutcomeKind::Repeated));
    assert_eq!((first.row, first.applied), (again.row, again.applied));
    assert_eq!(rig.assess("pay/bot/1", 50).half_points, 98);
    // The same id for something else.
    let reused = rig.send("shop", &[signal("pay/bot/1", Kind::Failure, -4, 0)]).remove(0);
    assert_eq!(reused.problem.unwrap().kind.to_string(), "idReused");
    let outcomes = rig.send("shop", &praises("pay/bot/1", 10, 1));
    assert_eq!(outcomes.iter().filter(|o| o.outcome != OutcomeKind::Refused).count(), 9);
    assert_eq!(outcomes[9].problem.as_ref().unwrap().kind.to_string(), "rateLimited");
    // Of another agent it may.
    rig.assess("pay/bot/2", 50);
    assert_eq!(rig.send("shop", &praises("pay/bot/2", 1, 100))[0].outcome, OutcomeKind::Applied);
}

#[test]
fn one_reporter_is_capped_and_two_are_heard_and_a_rise_is_held() {
    let rig = TrustRig::new(&["shop", "bank"], |_| {});
    rig.assess("pay/bot/1", 50);
    let outcomes = rig.send("shop", &praises("pay/bot/1", 8, 0));
    assert_eq!(outcomes.iter().map(|o| o.applied.unwrap()).sum::<i32>(), 30);
    assert_eq!((outcomes[7].outcome, outcomes[7].withheld), (OutcomeKind::Capped, Some(2)));
    assert_eq!(rig.assess("pay/bot/1", 50).half_points, 130);
    assert_eq!(rig.send("bank", &praises("pay/bot/1", 1, 20))[0].outcome, OutcomeKind::Applied);
    assert_eq!(rig.assess("pay/bot/1", 50).half_points, 136, "what was withheld is released");
    let outcomes = rig.send("bank", &praises("pay/bot/1", 2, 30));
    assert_eq!((outcomes[0].outcome, outcomes[1].outcome), (OutcomeKind::Applied, OutcomeKind::Held));
    assert_eq!(rig.assess("pay/bot/1", 50).half_points, 140);
    let (client, admin) = (rig.client(None), rig.token("operator-admin"));
    let reviews = rig.runtime.block_on(client.reviews(&admin, FIRST)).unwrap().reviews;
    assert_eq!((reviews.len(), reviews[0].half_points, reviews[0].why.as_str()), (1, 4, "riseLimit"));
    assert_eq!(status(rig.runtime.block_on(client.approve(CA_OPERATOR, reviews[0].id))), 403);
    let answer = rig.runtime.block_on(client.approve(&admin, reviews[0].id)).unwrap();
    assert_eq!(answer.half_points, 144);
    assert_eq!(status(rig.runtime.block_on(client.approve(&admin, reviews[0].id))), 409);
    // A raised base is held too, and whoever raised it does not let it through.
    let rebase = RebaseRequest { agent: uri("pay/bot/1"), base: Score::new(70).unwrap(), reason: "audit".into() };
    assert_eq!(status(rig.runtime.block_on(client.rebase(CA_OPERATOR, &rebase))), 403);
    let held = rig.runtime.block_on(client.rebase(&admin, &rebase)).unwrap();
    assert_eq!((held.half_points, held.held), (144, 40));
    let review = rig.runtime.block_on(client.reviews(&admin, FIRST)).unwrap().reviews.remove(0).id;
    assert_eq!(status(rig.runtime.block_on(client.approve(&admin, review))), 403);
    let done = rig.runtime.block_on(client.approve(SECOND_OPERATOR, review)).unwrap();
    assert_eq!((done.half_points, done.held), (184, 0));
}

#[test]
fn an_incident_is_decided_by_an_operator_and_the_ca_hears_of_it() {
    let rig = TrustRig::new(&["shop"], |_| {});
    let (client, reader) = (rig.client(None), rig.token("reader-ca"));
    for name in ["pay/bot/1", "pay/bot/2"] {
        rig.assess(name, 80);
    }
    let report = |name, number| {
        let outcome = rig.send("shop", &[signal(name, Kind::SecurityIncident, 0, number)]).remove(0);
        outcome.row.unwrap()
    };
    let (first, second) = (report("pay/bot/1", 1), report("pay/bot/2", 2));
    // Until then it counts within the cap of one reporter.
    assert_eq!(rig.assess("pay/bot/1", 80).half_points, 130);
    let start = second + 1;
    assert_eq!(status(rig.runtime.block_on(client.confirm(&reader, first))), 403);
    assert_eq!(status(rig.runtime.block_on(client.confirm("nobody", first))), 401);
    let incidents = rig.runtime.block_on(client.incidents(CA_OPERATOR, FIRST)).unwrap().incidents;
    assert_eq!(incidents.iter().map(|i| i.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(status(rig.runtime.block_on(client.incidents(&reader, FIRST))), 403);

    let (waiting, token) = (client.clone(), reader.clone());
    let begin = Instant::now();
    let waiting = rig.runtime.spawn(async move {
        waiting
            .changes(&token, ChangesQuery { start, wait_seconds: 20, limit: 10 })
            .await
            .map(|page| (page, begin.elapsed()))
    });
    std::thread::sleep(Duration::from_millis(300));
    let answer = rig.runtime.block_on(client.confirm(CA_OPERATOR, first)).unwrap();
    assert_eq!((answer.half_points, answer.cap), (0, 0));
    let (page, took) = rig.runtime.block_on(waiting).unwrap().unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let change = &page.changes[0];
    assert_eq!((change.agent.clone(), change.score.get(), change.row), (uri("pay/bot/1"), 0, page.next - 1));
    assert_eq!(change.incident.as_ref().unwrap().stage, "confirmed");
    assert_eq!(status(rig.runtime.block_on(client.dismiss(CA_OPERATOR, second))), 403);
    let dismissed = rig.runtime.block_on(client.dismiss(SECOND_OPERATOR, second)).unwrap();
    assert_eq!(dismissed.half_points, 160);
    assert_eq!(status(rig.runtime.block_on(client.confirm(CA_OPERATOR, first))), 409);
    assert_eq!(status(rig.runtime.block_on(client.confirm(CA_OPERATOR, 9999))), 404);
    assert_eq!(rig.assess("pay/bot/1", 80).score.get(), 0, "an attestation gives nothing back");

    // Who reads does nothing else, and who decides does not ask as the CA does.
    assert_eq!(
        status(rig.runtime.block_on(client.ledger(&reader, atl::api::trust::LedgerQuery { start: 0, limit: 1 }))),
        403
    );
    let request = AssessRequest { agent: uri("pay/bot/1"), base: Score::new(1).unwrap() };
    assert_eq!(status(rig.runtime.block_on(client.assess(CA_OPERATOR, &request))), 403);
    let query = AgentQuery { agent: uri("pay/bot/9") };
    assert_eq!(status(rig.runtime.block_on(client.account(&reader, &query))), 404);
    let account = rig.runtime.block_on(client.account(CA_OPERATOR, &AgentQuery { agent: uri("pay/bot/2") })).unwrap();
    assert_eq!((account.rows, account.balance), (3, 160));
}

#[test]
fn people_are_told_why_and_the_ledger_holds() {
    let mut rig = TrustRig::new(&["shop"], |_| {});
    rig.assess("pay/bot/1", 50);
    let url = rig.url();
    let bot = agent("pay/bot/1");
    let report = ["trust", "report", "--engine", &url, "--ca-file", "trust/tls.pem", "--key", "keys/shop-key.pem"];
    let report = [&report[..], &["--cert", "keys/shop.pem", "--agent", &bot]].concat();
    let id = "0f".repeat(16);
    let with = |more: &[&str]| rig.atl(&[&report[..], more].concat());
    let told = good(with(&["--kind", "failure", "--points", "1.5", "--detail", "refund twice", "--id", &id]));
    assert!(told.contains("applied") && told.contains("-1.5"), "{told}");
    // The engine's no is a 1, and one that need not be asked is a 2.
    let refused = with(&["--kind", "failure", "--points", "2", "--id", &id]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("idReused"), "{}", said(&refused));
    let wrong = with(&["--kind", "success", "--points", "3"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("success takes --points 0.5 to 2"), "{}", said(&wrong));
    let json: serde_json::Value =
        serde_json::from_str(&good(with(&["--kind", "security-incident", "--json"]))).unwrap();
    let incident = json["row"].as_u64().unwrap().to_string();

    let explained = good(rig.atl(&["trust", "explain", "--dir", "trust", &bot]));
    let lines: Vec<_> = explained.lines().collect();
    assert_eq!(lines.len(), 5, "{explained}");
    assert!(
        lines[0].starts_with("ROW") && lines[2].contains("reporter shop") && lines[2].contains("-1.5"),
        "{explained}"
    );
    assert!(lines[3].contains("-25") && lines[3].ends_with("35"), "{explained}");
    assert!(good(rig.atl(&["trust", "agents", "--dir", "trust"])).contains(&bot));
    assert!(good(rig.atl(&["trust", "incidents", "list", "--dir", "trust"])).contains(&incident));
    let confirmed = good(rig.atl(&["trust", "incidents", "confirm", "--dir", "trust", &incident]));
    assert!(confirmed.contains("score") && confirmed.contains("0 (untrusted)"), "{confirmed}");
    assert!(good(rig.atl(&["trust", "incidents", "list", "--dir", "trust"])).contains("No incident"));
    assert!(good(rig.atl(&["trust", "reviews", "list", "--dir", "trust"])).contains("Nothing is held"));
    assert!(good(rig.atl(&["trust", "reporters", "list", "--dir", "trust"])).contains("shop"));

    let ledger = good(rig.atl(&["trust", "ledger", "export", "--dir", "trust"]));
    assert_eq!(ledger.lines().count(), 4);
    fs::write(rig.path("ledger.jsonl"), &ledger).unwrap();
    let verified = good(rig.atl(&["trust", "ledger", "verify", "--file", "ledger.jsonl", "--json"]));
    let head = serde_json::from_str::<serde_json::Value>(&verified).unwrap()["head"].as_str().unwrap().to_owned();
    fs::write(rig.path("forged.jsonl"), ledger.replacen("refund twice", "refund once!", 1)).unwrap();
    let forged = rig.atl(&["trust", "ledger", "verify", "--file", "forged.jsonl"]);
    assert_eq!(forged.status.code(), Some(1), "{}", said(&forged));

    let before = good(rig.atl(&["trust", "explain", "--dir", "trust", "--json", &bot]));
    assert!(rig.engine.stop(Unix::TERM).success());
    let whole = ["trust", "ledger", "verify", "--config", "trust/trust.toml", "--expect", &head];
    assert!(good(rig.atl(&whole)).contains("What the database keeps is what follows"));
    rig.engine.start();
    let lines = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut lines = value["lines"].as_array().unwrap().clone();
        lines.pop(); // the present
        lines
    };
    let after = good(rig.atl(&["trust", "explain", "--dir", "trust", "--json", &bot]));
    assert_eq!(lines(&after), lines(&before), "a restart keeps all");
}

#[test]
fn what_was_answered_survives_a_kill() {
    let mut rig = TrustRig::new(&["shop", "bank"], |config| config.policy.signals_per_hour = 1000);
    for n in 0..8 {
        rig.assess(&format!("pay/bot/{n}"), 50);
    }
    let answered = Arc::new(std::sync::Mutex::new(Vec::new()));
    for (place, reporter) in ["shop", "bank"].into_iter().enumerate() {
        let (client, signer) = (rig.client(Some(reporter)), Arc::new(rig.signer(reporter)));
        for lane in 0..4_u64 {
            let (client, signer, answered) = (client.clone(), Arc::clone(&signer), Arc::clone(&answered));
            rig.runtime.spawn(async move {
                for n in 0.. {
                    let number = (place as u64) << 40 | lane << 32 | n;
                    let sent = signal(&format!("pay/bot/{}", n % 8), Kind::Failure, -2, number);
                    let request = SignalsRequest { signals: vec![sent.sign(&*signer).unwrap()] };
                    let Ok(answer) = client.signals(&request).await else { return };
                    if answer.outcomes[0].outcome != OutcomeKind::Refused {
                        answered.lock().unwrap().push((sent.id.to_string(), answer.outcomes[0].row.unwrap()));
                    }
                }
            });
        }
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while answered.lock().unwrap().len() < 200 {
        assert!(Instant::now() < deadline, "only {} answers", answered.lock().unwrap().len());
        std::thread::sleep(Duration::from_millis(5));
    }
    rig.engine.stop(Unix::KILL);
    let answered = std::mem::take(&mut *answered.lock().unwrap());
    rig.engine.start();
    let ledger = good(rig.atl(&["trust", "ledger", "export", "--dir", "trust"]));
    let rows: Vec<&str> = ledger.lines().collect();
    for (id, row) in &answered {
        assert!(rows[usize::try_from(*row).unwrap()].contains(id.as_str()), "row {row} is not that of {id}");
    }
    assert!(rig.engine.stop(Unix::TERM).success());
    good(rig.atl(&["trust", "ledger", "verify", "--config", "trust/trust.toml"]));
}

#[test]
fn a_database_from_the_past_is_not_gone_on_with() {
    let mut rig = TrustRig::new(&["shop"], |_| {});
    rig.assess("pay/bot/1", 50);
    assert!(rig.engine.stop(Unix::TERM).success());
    copy(&rig.path("trust/data"), &rig.path("old"));
    rig.engine.start();
    rig.send("shop", &[signal("pay/bot/1", Kind::PolicyViolation, -20, 1)]);
    assert!(rig.engine.stop(Unix::TERM).success());
    fs::remove_dir_all(rig.path("trust/data")).unwrap();
    copy(&rig.path("old"), &rig.path("trust/data"));
    let refused = rig.atl(&["trust", "serve", "--config", "trust/trust.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("older than") && said(&refused).contains("ledger accept"), "{}", said(&refused));
    good(rig.atl(&["trust", "ledger", "accept", "--config", "trust/trust.toml"]));
    rig.engine.start();
    assert_eq!(rig.assess("pay/bot/1", 50).half_points, 100);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn an_engine_says_how_it_is() {
    let rig = TrustRig::new(&[], |_| {});
    let ask = |path: &str| {
        let url = format!("{}{path}", rig.url());
        let pin = rig.path("trust/tls.pem").display().to_string();
        let args = ["--silent", "--max-time", "30", "--cacert", &pin, "--write-out", "\n%{http_code}", &url];
        let output = std::process::Command::new("curl").args(args).output().unwrap();
        let text = good(output);
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    };
    assert_eq!(ask("/healthz"), ("200".into(), "ok\n".into()));
    assert_eq!(ask("/readyz").0, "200");
    rig.assess("pay/bot/1", 50);
    assert!(ask("/metrics").1.contains("atl_trust_ledger_rows 1"));
    let (_, document) = ask("/openapi.json");
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document, serde_json::to_value(atl::http::openapi::trust::document()).unwrap());
    let (status, problem) = ask("/trust/v1/ledger");
    assert_eq!(status, "401");
    assert!(problem.contains(Token::Unauthorized.as_str()), "{problem}");
    assert_eq!(ask("/trust/v1/nothing").0, "404");
}
