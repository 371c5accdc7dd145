//! `atl trust explain`: why an agent's score is what it is, line by line.

use clap::Args;

use super::access::{EngineArgs, failed};
use super::{change, points};
use crate::api::trust::{AgentQuery, ExplainLine};
use crate::apki::AgentUri;
use crate::cli::output::{CliError, print_json};
use crate::cli::{runtime, words};

/// Say why an agent's score is what it is: every row of the ledger about it, and what each came to.
///
/// BALANCE is the sum of what was given, DECAY what time took of it, CAP the highest score to be had (peak
/// less penalties), SCORE what was left behind the row. The last line is the present. Where GIVEN is less
/// than ASKED, WHY says which rule held the rest back.
///
/// Examples:
///   atl trust explain --dir mytrust agent://agents.example.com/payments/bot/7
///   atl trust explain --engine https://trust.example.com --token reader-ca.token --json AGENT
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ExplainArgs {
    #[command(flatten)]
    engine: EngineArgs,
    /// The agent
    #[arg(value_name = "AGENT")]
    agent: AgentUri,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &ExplainArgs) -> Result<(), CliError> {
    let engine = args.engine.open()?;
    let query = AgentQuery { agent: args.agent.clone() };
    let answer = runtime()?.block_on(engine.client.explain(engine.token(), &query)).map_err(failed)?;
    if args.json {
        return print_json(&answer);
    }
    table(&answer.lines).iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// The lines below a head. What reporters wrote must not make more of itself.
fn table(lines: &[ExplainLine]) -> Vec<String> {
    let head = ["ROW", "WHEN", "WHO", "WHAT", "ASKED", "GIVEN", "WHY", "BALANCE", "DECAY", "CAP", "SCORE"];
    let row = |line: &ExplainLine| {
        [
            line.row.map(|row| row.to_string()).unwrap_or_default(),
            line.at.to_string(),
            words::clean(&line.who),
            words::clean(&line.what),
            line.requested.map(change).unwrap_or_default(),
            change(line.applied),
            words::clean(&line.why),
            points(line.balance),
            points(line.decay),
            points(line.cap),
            points(line.score),
        ]
    };
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(lines.iter().map(row)).collect();
    words::columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    #[test]
    fn a_line_shows_what_was_asked_and_what_was_given() {
        let line = ExplainLine {
            row: Some(7),
            at: UnixMillis::new(1_800_000_000_000),
            who: "reporter shop\u{1b}[2J\nforged".into(),
            what: "success".into(),
            requested: Some(4),
            applied: 3,
            why: "reporter cap".into(),
            decayed: 1,
            balance: 123,
            decay: 1,
            cap: 140,
            score: 122,
        };
        let lines = table(&[line]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("ROW  WHEN"));
        assert!(lines[1].contains("+2 ") && lines[1].contains("+1.5") && lines[1].ends_with("61.5     0.5    70   61"));
        assert!(!lines[1].contains(char::is_control));
    }
}
