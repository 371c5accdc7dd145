//! The verdict for people: yes or no in the first line, and then all that there is to know.

use crate::cli::output::print_rows;
use crate::cli::relying::online::Question;
use crate::cli::words;
use crate::verify::relying::{Accepted, Grant, Note, Operation, Reason, Refused, Subject, Verdict};

/// Characters of a line.
const WIDTH: usize = 100;

/// Prints it.
pub fn print(verdict: &Verdict, question: &Question<'_>) {
    match verdict {
        Verdict::Accepted(accepted) => accept(accepted),
        Verdict::Refused(refused) => refuse(refused, question),
    }
    notes(verdict.notes());
}

fn accept(accepted: &Accepted) {
    let Accepted { agent, domain, score, effective, minimum, good_until, at, .. } = accepted;
    println!("ACCEPTED  {}\n", words::clean(agent.as_str()));
    let own = match effective == score {
        true => String::new(),
        false => format!("{} in its own domain, ", effective.get()),
    };
    let mut rows = vec![
        ("domain", domain.to_string()),
        ("score", format!("{} ({}), {own}the minimum is {}", score.get(), accepted.tier().name(), minimum.get())),
        ("decided at", at.to_string()),
        ("good until", format!("{good_until}, for {}", words::duration(good_until.since(*at)))),
        ("certificate", format!("SHA-256 {}", hex::encode(accepted.certificate))),
    ];
    for (place, parent) in accepted.parents.iter().enumerate() {
        rows.push((if place == 0 { "above it" } else { "" }, words::clean(parent.as_str())));
    }
    if let Some(human) = &accepted.human_principal {
        rows.push(("answers for it", words::clean(human.as_str())));
    }
    if let Some(grant) = &accepted.grant {
        rows.extend(granted(grant));
    }
    print_rows(rows);
    println!();
    words::table(accepted.capabilities.as_slice()).iter().for_each(|line| println!("{line}"));
}

fn granted(grant: &Grant) -> Vec<(&'static str, String)> {
    let mut rows = vec![("may", asked(&grant.operation))];
    for (place, (agent, right)) in grant.rights.iter().enumerate() {
        let scope = words::clean(right.scope.as_str());
        let what = format!("scope {scope} of {}", words::clean(agent.as_str()));
        rows.push((if place == 0 { "by its right" } else { "handed on from" }, what));
    }
    rows
}

fn asked(operation: &Operation) -> String {
    let (tool, scope) = (words::clean(operation.tool_uri.as_str()), words::clean(operation.scope.as_str()));
    let money = operation.spend.map(|spend| format!(", {}", words::money(spend.amount, spend.currency)));
    format!("{tool}, scope {scope}{}", money.unwrap_or_default())
}

fn refuse(refused: &Refused, question: &Question<'_>) {
    match &refused.claims {
        Some(agent) => println!("REFUSED  {}, as its certificate says", words::clean(agent.as_str())),
        None => println!("REFUSED  it names no agent"),
    }
    println!();
    let asked = question.operation.map(|operation| ("asked for", asked(operation)));
    print_rows([("decided at", refused.at.to_string())].into_iter().chain(asked));
    for reason in refused.reasons() {
        explain(reason);
    }
}

fn explain(reason: &Reason) {
    let whose = match reason.subject {
        Subject::Agent => String::new(),
        parent => format!("  ({parent})"),
    };
    println!("\n{}{whose}", reason.code.as_str());
    for (name, text) in [("what", words::clean(&reason.detail)), ("rule", reason.code.rule().into())] {
        wrapped(&format!("  {name}  "), &text);
    }
    wrapped("  help  ", reason.code.help());
}

fn notes(notes: &[Note]) {
    if notes.is_empty() {
        return;
    }
    println!();
    for note in notes {
        let whose = match note.subject {
            Subject::Agent => String::new(),
            parent => format!("{parent}: "),
        };
        wrapped("note  ", &format!("{whose}{}", words::clean(&note.detail)));
    }
}

/// Prints `text` behind `head`, in lines that begin below each other. A word is never cut: it may be an address.
fn wrapped(head: &str, text: &str) {
    lines(head, text).iter().for_each(|line| println!("{line}"));
}

fn lines(head: &str, text: &str) -> Vec<String> {
    let indent = head.chars().count();
    let (mut lines, mut line, mut width) = (Vec::new(), head.to_owned(), indent);
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > indent && width + 1 + length > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            width = indent;
        } else if width > indent {
            line.push(' ');
            width += 1;
        }
        line.push_str(word);
        width += length;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_between_words() {
        assert_eq!(lines("a  ", "b c"), ["a  b c"]);
        let long = ["word"; 40].join(" ");
        let shown = lines("  what  ", &long);
        assert_eq!(shown.len(), 3);
        assert!(shown.iter().all(|line| line.chars().count() <= WIDTH) && shown[1].starts_with("        word"));
        assert_eq!(shown.iter().map(|line| line.matches("word").count()).sum::<usize>(), 40);
        let address = "x".repeat(200);
        assert_eq!(lines("n  ", &format!("see {address} there")), ["n  see", &format!("   {address}"), "   there"]);
    }
}
