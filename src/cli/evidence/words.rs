//! A finding for people: the four answers, and every link.

use crate::cli::output::print_rows;
use crate::cli::words::{clean, money, rate, spend};
use crate::verify::evidence::{Answers, Finding, Link, Logged, Outcome, Statement};
use crate::verify::relying::{Operation, Subject};

/// Prints it.
pub fn print(finding: &Finding) {
    let failed = finding.failed().count();
    match &finding.answers {
        Some(answers) => {
            println!("The evidence holds.\n");
            print_rows(statement(finding));
            println!();
            print_rows(answered(answers));
        }
        None => {
            let links = if failed == 1 { "link of it fails" } else { "links of it fail" };
            println!("The evidence does NOT hold: {failed} {links}.\n");
            print_rows(statement(finding));
        }
    }
    println!();
    finding.links.iter().for_each(print_link);
    for note in &finding.notes {
        println!("note  {}: {}", note.subject, clean(&note.detail));
    }
}

fn statement(finding: &Finding) -> Vec<(&'static str, String)> {
    let Statement { digest, signed_at, operation, .. } = &finding.statement;
    let mut rows = vec![
        ("action", format!("{} octets, SHA-256 {}", digest.length, hex::encode(digest.sha256))),
        ("signed at", format!("{signed_at}, by the agent's own clock")),
    ];
    if finding.judged_at != *signed_at {
        rows.push(("judged at", finding.judged_at.to_string()));
    }
    rows.push(("it says", operation.as_ref().map_or_else(|| "nothing of what it is".to_owned(), in_words)));
    if finding.answers.is_none() {
        rows.extend(finding.claims.as_ref().map(|agent| ("claims to be", agent.to_string())));
    }
    rows
}

fn in_words(operation: &Operation) -> String {
    let spend = operation.spend.map(|spend| format!(": {}", money(spend.amount, spend.currency)));
    let (tool, scope) = (operation.tool_uri.as_str(), operation.scope.as_str());
    format!("{} {}{}", clean(tool), clean(scope), spend.unwrap_or_default())
}

fn answered(answers: &Answers) -> Vec<(&'static str, String)> {
    let Answers { who, limits, on_behalf_of, logged, revoked_later } = answers;
    let mut rows = vec![
        ("who", who.agent.to_string()),
        (
            "",
            format!("certificate {}, valid from {} to {}", hex::encode(who.certificate), who.not_before, who.not_after),
        ),
    ];
    let mut limit = "limits";
    for right in &limits.rights {
        let capability = &right.capability;
        let (tool, scope) = (clean(capability.tool_uri.as_str()), clean(capability.scope.as_str()));
        let (spend, rate) = (spend(capability.spend_limit.as_ref(), money), rate(capability.rate_limit.as_ref()));
        rows.push((limit, format!("{tool} {scope}: {spend}; {rate} ({})", right.agent)));
        limit = "";
    }
    rows.push((limit, format!("score {} where {} is the minimum", limits.score.get(), limits.minimum_score.get())));
    let mut behalf = "on behalf of";
    for parent in &on_behalf_of.parents {
        rows.push((behalf, format!("{}, certificate {}", parent.agent, hex::encode(parent.certificate))));
        behalf = "";
    }
    let human = match (&on_behalf_of.name, &on_behalf_of.human_principal) {
        (Some(name), _) => clean(name),
        (None, Some(said)) => clean(said.as_str()),
        (None, None) => "nobody: there is no delegation".to_owned(),
    };
    rows.push((behalf, human));
    let mut log = "in the log";
    for logged in logged {
        rows.push((log, in_log(logged)));
        log = "";
    }
    let later = revoked_later.iter().map(|later| format!("{}, at {}: {}", later.agent, later.at, later.reason));
    rows.extend(later.map(|later| ("revoked later", later)));
    rows
}

fn in_log(logged: &Logged) -> String {
    let Logged { agent, log, operator, since, entry, .. } = logged;
    let proven = match entry {
        Some(entry) => {
            let head = entry.head_at.map_or_else(|| "by a checkpoint".to_owned(), |at| format!("by the head of {at}"));
            format!("entry {} of {}, {head}", entry.leaf_index, entry.tree_size)
        }
        None => "by its timestamp alone".to_owned(),
    };
    format!("{} ({}) since {since}, {proven}: {agent}", clean(log), clean(operator))
}

fn print_link(link: &Link) {
    let outcome = match link.outcome {
        Outcome::Holds => "ok",
        Outcome::Fails => "FAILS",
        Outcome::Open => "open",
    };
    let of = match link.subject {
        None | Some(Subject::Agent) => String::new(),
        Some(parent) => format!(" of {parent}"),
    };
    let name = format!("{}{of}", link.step.as_str());
    println!("{outcome:5} {name:24} {}", clean(&link.detail).trim_end());
    for failure in &link.failures {
        println!("      {}: {}", failure.code, clean(&failure.detail));
        println!("      ({}) {}", failure.rule, failure.help);
    }
}
