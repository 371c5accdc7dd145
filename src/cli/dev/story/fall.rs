//! Authority that is taken back: relying parties report, an operator decides, and the CA follows the score.

use super::status::{AT_MOST, Responder};
use super::{Story, row};
use crate::api::trust::{AgentQuery, ExplainLine, IncidentsAnswer, OutcomeKind, PageQuery, SignalOutcome};
use crate::cli::dev::cast::{Member, renewed};
use crate::cli::dev::engine::{CA_OPERATOR, at_the_ca_desk, tell};
use crate::cli::output::CliError;
use crate::cli::trust::access::{Engine, failed};
use crate::cli::trust::{change, points};
use crate::cli::words;
use crate::time::Stopwatch;

/// Successes that the shop reports: of two points each, and so one point more than it can move alone.
const SUCCESSES: usize = 8;

impl Story<'_> {
    /// The shop praises A, the bank accuses it. The incident that nobody has decided is returned.
    pub(super) async fn report(&self, a: &Member) -> Result<u64, CliError> {
        self.heading("11. Relying parties tell the trust engine what A did: a score moves within caps only");
        let engine = at_the_ca_desk(self.home)?;
        row("score of A", format_args!("{}, the one in its certificate", score(&engine, a).await?));
        let mut sum = [0; 3];
        for _ in 0..SUCCESSES {
            let outcome = self.signal("shop", a, &["--kind", "success", "--points", "2"]).await?;
            let parts = [outcome.requested, outcome.applied, outcome.withheld];
            sum.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part.unwrap_or(0));
        }
        said("shop", &format!("{SUCCESSES} orders went well"), sum, &score(&engine, a).await?);
        let paid = ["--kind", "policy-violation", "--points", "20", "--detail", "paid twice"];
        self.one(&engine, a, "paid twice, which is against a rule", &paid).await?;
        let stolen = ["--kind", "security-incident", "--detail", "its key is offered for sale"];
        let outcome = self.one(&engine, a, "its key is offered for sale", &stolen).await?;
        println!(
            "   Each signal is signed, and comes over mutual TLS. One reporter alone moves a score by 15 points a\n   \
             day at most, up or down; what is beyond that waits until another one says the same. Whether there is\n   \
             a security incident no reporter decides: it waits for an operator. (In this engine nothing decays;
   \
             others take points off by the hour where nothing good is heard of an agent.)"
        );
        outcome.row.ok_or_else(|| CliError::new("the engine gave the incident no number"))
    }

    /// The incident is confirmed, and what follows from it is seen from outside.
    pub(super) async fn fall(&self, line: &[Member; 3], incident: u64) -> Result<(), CliError> {
        let [a, b, c] = line;
        self.heading("12. The incident is confirmed: A falls, and with it everybody who has rights from A");
        let engine = at_the_ca_desk(self.home)?;
        let responder = Responder::new()?;
        let all = [a, b, c];
        for member in all {
            responder.is_good(member).await?;
        }
        row("before", "OCSP says that the certificates of A, B and C are good");
        let page = PageQuery { after: None, limit: 1000 };
        let open: IncidentsAnswer = engine.client.incidents(engine.token(), page).await.map_err(failed)?;
        if !open.incidents.iter().any(|one| one.id == incident && one.agent == a.agent) {
            return Err(CliError::new("the engine has no such incident open"));
        }
        let watch = Stopwatch::start();
        let decided = engine.client.confirm(engine.token(), incident).await.map_err(failed)?;
        let follow =
            async { tokio::try_join!(responder.fall(a, watch), responder.fall(b, watch), responder.fall(c, watch)) };
        let late = |_| CliError::negative(format!("OCSP did not say revoked within {} s", AT_MOST.as_secs()));
        let (of_a, of_b, of_c) = tokio::time::timeout(AT_MOST, follow).await.map_err(late)??;
        let who = format!("{CA_OPERATOR}, an operator of the CA's side");
        row("confirmed", format_args!("incident {incident}, by {who}: the score of A is {}", decided.score.get()));
        for (member, fallen) in all.into_iter().zip([of_a, of_b, of_c]) {
            let (after, why) = (fallen.after.as_millis(), fallen.reason);
            row(&format!("OCSP on {}", member.letter), format_args!("revoked, {after} ms after the decision ({why})"));
        }
        println!(
            "   The CA follows the engine's ledger. Below a score of 20 it revokes, and the whole line below in one\n   \
             write. Every OCSP answer repeats the nonce of its question, and was verified with the responder's\n   \
             certificate, which the CA's issuing certificate signed for that and nothing else."
        );
        let lists = responder.listed(&all).await?;
        row("CRL", format_args!("number {lists} lists A, B and C, signature verified"));
        row("C renews", format_args!("refused: {}", self.no_renewal(c, &all).await?));
        self.orders_again(line).await?;
        println!("   Why all this, line by line (atl trust explain):");
        let query = AgentQuery { agent: a.agent.clone() };
        let answer = engine.client.explain(engine.token(), &query).await.map_err(failed)?;
        explained(&answer.lines).iter().for_each(|line| println!("   {line}"));
        Ok(())
    }

    async fn signal(&self, reporter: &str, about: &Member, what: &[&str]) -> Result<SignalOutcome, CliError> {
        let outcome = tell(self.home, self.engine, reporter, &about.agent, what).await?;
        match outcome.outcome {
            OutcomeKind::Repeated | OutcomeKind::Refused => Err(CliError::new("the engine did not take a new signal")),
            OutcomeKind::Applied | OutcomeKind::Capped | OutcomeKind::Held => Ok(outcome),
        }
    }

    /// A signal of the bank's.
    async fn one(
        &self,
        engine: &Engine,
        about: &Member,
        what: &str,
        arguments: &[&str],
    ) -> Result<SignalOutcome, CliError> {
        let outcome = self.signal("bank", about, arguments).await?;
        let parts = [outcome.requested, outcome.applied, outcome.withheld].map(|part| part.unwrap_or(0));
        said("bank", what, parts, &score(engine, about).await?);
        Ok(outcome)
    }

    /// Why a member of the line gets no other certificate.
    async fn no_renewal(&self, member: &Member, line: &[&Member]) -> Result<String, CliError> {
        match renewed(&member.dir, self.ca).await {
            Ok(_) => Err(CliError::negative("a revoked agent was given another certificate")),
            Err(refusal) if refusal.code() == 1 => {
                let text = refusal.to_string();
                // What the CA said, without where it was asked, and with the names that the agents have here.
                let said = text.split_once("unauthorized: ").map_or(text.as_str(), |(_, said)| said);
                let short = |said: String, one: &&Member| said.replace(one.agent.as_str(), &one.letter.to_string());
                Ok(words::clean(&line.iter().fold(said.to_owned(), short)))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// What a reporter said, and what came of it, in half-points (asked for, given at once, waiting), and the score
/// then.
fn said(reporter: &str, what: &str, [asked, given, waits]: [i32; 3], score: &str) {
    let waits = if waits == 0 { String::new() } else { format!(", {} until another reporter agrees", change(waits)) };
    let given = if given == 0 { "nothing".to_owned() } else { change(given) };
    row(reporter, format_args!("{what}: {} asked, {given} given{waits}; score {score}", change(asked)));
}

async fn score(engine: &Engine, member: &Member) -> Result<String, CliError> {
    let query = AgentQuery { agent: member.agent.clone() };
    let account = engine.client.account(engine.token(), &query).await.map_err(failed)?;
    Ok(points(account.score.half_points))
}

/// The lines below a head, those that say the same one after the other as one.
fn explained(lines: &[ExplainLine]) -> Vec<String> {
    let head = ["WHO", "WHAT", "ASKED", "GIVEN", "SCORE"].map(str::to_owned);
    let mut rows: Vec<(usize, [String; 5])> = vec![(1, head)];
    for line in lines {
        // Neither names of signals, which nobody reads here, nor what the numbers say.
        let (what, detail) = line.what.split_once(" (signal ").unwrap_or((&line.what, ""));
        let detail = detail.split_once(": ").map_or(String::new(), |(_, detail)| format!(": {detail}"));
        let asked = line.requested.map(change).unwrap_or_default();
        let what = words::clean(&format!("{what}{detail}"));
        let cells = [words::clean(&line.who), what, asked, change(line.applied), points(line.score)];
        match rows.last_mut() {
            Some((times, last)) if last[..4] == cells[..4] => {
                *times += 1;
                last[4].clone_from(&cells[4]);
            }
            _ => rows.push((1, cells)),
        }
    }
    let rows = rows.into_iter().map(|(times, mut cells)| {
        if times > 1 {
            cells[1] = format!("{}, {times} times", cells[1]);
        }
        cells
    });
    words::columns(&rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    fn line(what: &str, applied: i32, score: i32) -> ExplainLine {
        ExplainLine {
            row: Some(1),
            at: UnixMillis::new(1),
            who: "reporter shop".into(),
            what: what.into(),
            requested: Some(4),
            applied,
            why: String::new(),
            decayed: 0,
            balance: score,
            decay: 0,
            cap: 200,
            score,
        }
    }

    #[test]
    fn what_repeats_is_told_once() {
        let lines = [
            line("success (signal 01)", 4, 104),
            line("success (signal 02)", 4, 108),
            line("success (signal 03)", 2, 110),
            line("anomaly (signal 04): odd\u{1b}[2J", 2, 110),
        ];
        let told = explained(&lines);
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(told[1].split_whitespace().collect::<Vec<_>>().join(" "), "reporter shop success, 2 times +2 +2 54");
        assert!(told[2].ends_with("+1     55") && told[3].contains("anomaly: odd\\u{1b}"), "{told:?}");
    }
}
