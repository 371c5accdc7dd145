//! `atl ca requests`: what waits for an operator, and what the operator says.

use clap::{Args, Subcommand};

use super::operator::{Operator, OperatorArgs, failed};
use crate::api::ca::{DenyRequest, OpenRequest};
use crate::cli::output::{CliError, print_json, print_rows};
use crate::cli::{runtime, words};
use crate::client::Standing;

/// The subcommands of `atl ca requests`.
#[derive(Subcommand)]
pub enum RequestsCommand {
    List(ListArgs),
    Approve(ApproveArgs),
    Deny(DenyArgs),
}

/// List the requests that are not answered yet, oldest first, with what each would get.
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Approve a request; its certificate is issued at once if the logs answer.
#[derive(Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// The request's name, as `list` shows it
    id: String,
}

/// Deny a request. A token that stood behind it stays spent.
#[derive(Args)]
pub struct DenyArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// The request's name, as `list` shows it
    id: String,
    /// Why, for the requester to read
    #[arg(long, default_value = "")]
    why: String,
}

/// Runs one.
pub fn run(command: &RequestsCommand) -> Result<(), CliError> {
    match command {
        RequestsCommand::List(args) => list(args),
        RequestsCommand::Approve(args) => {
            let operator = args.operator.open()?;
            say(&runtime()?.block_on(operator.ca.approve(operator.token(), &args.id)).map_err(failed)?);
            Ok(())
        }
        RequestsCommand::Deny(args) => {
            let (operator, why) = (args.operator.open()?, DenyRequest { why: args.why.clone() });
            say(&runtime()?.block_on(operator.ca.deny(operator.token(), &args.id, &why)).map_err(failed)?);
            Ok(())
        }
    }
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let operator = args.operator.open()?;
    let requests = runtime()?.block_on(all(&operator))?;
    if args.json {
        return print_json(&requests);
    }
    if requests.is_empty() {
        println!("Nothing waits.");
    }
    for (index, open) in requests.iter().enumerate() {
        if index > 0 {
            println!();
        }
        print_request(open);
    }
    Ok(())
}

async fn all(operator: &Operator) -> Result<Vec<OpenRequest>, CliError> {
    let mut requests = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = operator.ca.open_requests(operator.token(), after.as_deref()).await.map_err(failed)?;
        requests.extend(page.requests);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(requests),
        }
    }
}

fn print_request(open: &OpenRequest) {
    let request = &open.request;
    println!("{}  {}", request.id, request.status);
    print_rows(rows(open));
    for line in words::table(open.capabilities.as_slice()) {
        println!("  {line}");
    }
}

/// What an operator decides by. Much of it is what the requester wrote, and must not make more of itself.
fn rows(open: &OpenRequest) -> Vec<(&'static str, String)> {
    let request = &open.request;
    let mut rows = vec![
        ("  agent", request.agent.to_string()),
        ("  received", request.received_at.to_string()),
        ("  with", open.credential.clone()),
        ("  score", format!("{} ({})", open.score.get(), open.score.tier().name())),
        ("  validity", format!("{} s", open.validity_seconds)),
    ];
    rows.extend(request.reasons.iter().map(|reason| ("  waits for", reason.clone())));
    if let Some(evidence) = &open.evidence {
        let built = [&evidence.model_family, &evidence.model_version, &evidence.framework, &evidence.organization];
        rows.push(("  built from", built.map(|text| words::clean(text.as_str())).join(" / ")));
        rows.extend(evidence.build_hash.map(|hash| ("  build", hash.to_string())));
    }
    rows.extend(open.human.as_ref().map(|human| ("  human", words::clean(human.as_str()))));
    rows
}

fn say(standing: &Standing) {
    let request = &standing.answer;
    println!("request {} of {} is {}", request.id, request.agent, request.status);
    for reason in &request.reasons {
        println!("  {reason}");
    }
    if let Some(certificate) = &request.certificate {
        println!("  certificate {}, valid until {}", certificate.serial, certificate.not_after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_requester_writes_stays_in_its_line() {
        let forged = "Ann\n  score     100 (TRUSTED)\u{1b}[2A\u{202e}";
        let open: OpenRequest = serde_json::from_value(serde_json::json!({
            "id": "01", "status": "pending", "agent": "agent://bank.example.com/a/b/c", "received_at": 1,
            "credential": "token 01", "capabilities": [], "validity_seconds": 300, "score": 20, "human": forged,
            "evidence": {"model_family": forged, "model_version": forged, "framework": forged, "organization": forged},
        }))
        .unwrap();
        let rows = rows(&open);
        assert!(rows.iter().all(|(_, value)| !value.contains(|c: char| c.is_control() || c == '\u{202e}')), "{rows:?}");
        assert!(rows.iter().any(|(name, value)| *name == "  human" && value.contains("\\u{1b}[2A")), "{rows:?}");
    }
}
