//! `atl ca lineage`: who has rights from whom.

use std::collections::HashMap;

use clap::Args;

use super::operator::{OperatorArgs, failed};
use crate::api::ca::{LineageAnswer, LineageEntry};
use crate::apki::AgentUri;
use crate::cli::output::{CliError, print_json};
use crate::cli::{runtime, words};
use crate::time::{Clock, SystemClock, UnixMillis};

/// Draw the line above an agent and the tree below it: who is revoked with whom.
///
/// Examples:
///   atl ca lineage --dir myca agent://agents.example.com/payments/bot/7
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct LineageArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// The agent to look from
    #[arg(value_name = "AGENT")]
    agent: AgentUri,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &LineageArgs) -> Result<(), CliError> {
    let operator = args.operator.open()?;
    let lineage = runtime()?.block_on(operator.ca.lineage(operator.token(), args.agent.as_str())).map_err(failed)?;
    if args.json {
        return print_json(&lineage);
    }
    drawing(&lineage, SystemClock.now()).iter().for_each(|line| println!("{line}"));
    if lineage.truncated {
        eprintln!("There are more than are shown: look from an agent further down.");
    }
    Ok(())
}

/// A line for each agent, below its parent.
pub fn drawing(lineage: &LineageAnswer, now: UnixMillis) -> Vec<String> {
    let mut below: HashMap<&AgentUri, Vec<&LineageEntry>> = HashMap::new();
    for entry in lineage.tree.iter().skip(1) {
        if let Some(parent) = &entry.parent {
            below.entry(parent).or_default().push(entry);
        }
    }
    let mut lines = Vec::new();
    for (depth, entry) in lineage.above.iter().enumerate() {
        lines.push(format!("{}{}", trunk(depth), in_words(entry, now)));
    }
    // What is still to be drawn, the next last: an entry, what stands before it, and before what is below it.
    let mut waiting = Vec::new();
    if let Some(first) = lineage.tree.first() {
        let depth = lineage.above.len();
        let mark = if depth == 0 { String::new() } else { trunk(depth) };
        waiting.push((first, mark, "   ".repeat(depth)));
    }
    while let Some((entry, mark, indent)) = waiting.pop() {
        lines.push(format!("{mark}{}", in_words(entry, now)));
        let children = below.remove(&entry.agent).unwrap_or_default();
        let shown = children.len();
        if u64::from(entry.children) > shown as u64 && shown > 0 {
            lines.push(format!("{indent}|  ({} more, not shown)", u64::from(entry.children) - shown as u64));
        }
        for (index, child) in children.into_iter().enumerate().rev() {
            let more = if index + 1 < shown { "|  " } else { "   " };
            waiting.push((child, format!("{indent}+- "), format!("{indent}{more}")));
        }
    }
    lines
}

/// What stands before an agent of the line, so many below its root.
fn trunk(depth: usize) -> String {
    match depth {
        0 => String::new(),
        depth => format!("{}+- ", "   ".repeat(depth - 1)),
    }
}

fn in_words(entry: &LineageEntry, now: UnixMillis) -> String {
    let left = match (entry.revoked_at, entry.not_after.since(now)) {
        (Some(at), _) => {
            let reason = entry.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let with = entry.with.as_ref().map(|with| format!(" with {with}")).unwrap_or_default();
            format!("REVOKED at {at}{reason}{with}")
        }
        (None, 0) => format!("ended at {}", entry.not_after),
        (None, left) => format!("for {} more", words::duration(left)),
    };
    format!("{}  score {}, {left}", entry.agent, entry.score.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOON: UnixMillis = UnixMillis::new(1_782_898_200_000);

    fn entry(name: &str, parent: Option<&str>, children: u32) -> serde_json::Value {
        let uri = |name: &str| format!("agent://bank.example.com/a/b/{name}");
        let mut entry = json!({
            "agent": uri(name), "children": children, "score": 60, "not_after": NOON.get() + 3_600_000,
        });
        if let Some(parent) = parent {
            entry["parent"] = json!(uri(parent));
        }
        entry
    }

    #[test]
    fn a_tree_is_drawn() {
        let mut fallen = entry("4", Some("2"), 0);
        fallen["revoked_at"] = json!(NOON.get());
        fallen["reason"] = json!("keyCompromise");
        let tree = [entry("1", Some("0"), 3), entry("2", Some("1"), 1), entry("3", Some("1"), 0), fallen];
        let lineage: LineageAnswer =
            serde_json::from_value(json!({"above": [entry("0", None, 1)], "tree": tree, "truncated": true})).unwrap();
        let drawn = drawing(&lineage, NOON);
        let shape: Vec<String> = drawn.iter().map(|line| line.replace("agent://bank.example.com/a/b/", "")).collect();
        assert_eq!(
            shape,
            [
                "0  score 60, for 1 h more",
                "+- 1  score 60, for 1 h more",
                "   |  (1 more, not shown)",
                "   +- 2  score 60, for 1 h more",
                "   |  +- 4  score 60, REVOKED at 2026-07-01T09:30:00.000Z (keyCompromise)",
                "   +- 3  score 60, for 1 h more",
            ]
        );
    }
}
