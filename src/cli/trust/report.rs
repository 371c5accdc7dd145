//! `atl trust report`: a relying party says what an agent did.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::access::{Identity, failed, http_client};
use super::{change, points};
use crate::api::trust::{OutcomeKind, SignalOutcome, SignalsRequest};
use crate::apki::AgentUri;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::server::random_source;
use crate::cli::{random, runtime, words};
use crate::client::TrustClient;
use crate::keys::signer_from_pkcs8_pem;
use crate::time::{Clock, SystemClock, UnixMillis};
use crate::trust::half_points::HalfPoints;
use crate::trust::signal::{Kind, Signal, SignalId};

/// Report what an agent did: make a signal, sign it, send it to the trust engine.
///
/// What may be reported, and what it is worth in points (in halves), by --kind:
///   success            an operation went well              0.5 to 2 up
///   failure            an operation failed                 1 to 5 down
///   policy-violation   it broke a rule                     10 to 25 down
///   anomaly            it behaved unlike itself            5 to 20 down
///   security-incident  its security is broken              no points: an operator decides, and
///                                                          if it is one the score is 0
///
/// One reporter alone moves a score by at most 15 points a day in each direction; what is beyond that waits
/// until another reporter agrees. A rise of more than 20 points a day waits for an operator. At most 10
/// signals of one agent are taken from one reporter within an hour, and each signal once.
///
/// It ends with 0 where the signal is in the ledger, with 1 where the engine refused it, with 2 where there
/// was no answer: then send it again with the same --id, which counts once.
///
/// Example:
///   atl trust report --engine https://trust.example.com --key shop.example-key.pem --cert shop.example.pem \
///     --agent agent://agents.example.com/payments/bot/7 --kind failure --points 1.5 --detail "refund twice"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ReportArgs {
    /// Where the engine is
    #[arg(long, value_name = "URL")]
    engine: String,
    /// PEM of the engine's TLS certificate, or of the root above it; what the system trusts without it
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The reporter's private key (PEM, PKCS#8)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A certificate for that key (PEM), such as `atl trust reporter-key` made
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The agent
    #[arg(long, value_name = "URI")]
    agent: AgentUri,
    /// What it did
    #[arg(long, value_enum)]
    kind: KindArg,
    /// How many points that is worth; the kind says whether up or down
    #[arg(long, value_parser = half_points, allow_hyphen_values = true)]
    points: Option<HalfPoints>,
    /// In words, for the ledger
    #[arg(long)]
    detail: Option<String>,
    /// When it was observed, as 2026-07-01T09:30:00Z; now without it
    #[arg(long, value_name = "MOMENT", value_parser = words::moment)]
    observed_at: Option<UnixMillis>,
    /// What the engine calls itself in signals; the agent's trust domain without it
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// The signal's name, 32 hex digits, used once; a random one without it
    #[arg(long)]
    id: Option<SignalId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The kinds, as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindArg {
    Success,
    Failure,
    PolicyViolation,
    Anomaly,
    SecurityIncident,
}

impl KindArg {
    const fn kind(self) -> Kind {
        match self {
            Self::Success => Kind::Success,
            Self::Failure => Kind::Failure,
            Self::PolicyViolation => Kind::PolicyViolation,
            Self::Anomaly => Kind::Anomaly,
            Self::SecurityIncident => Kind::SecurityIncident,
        }
    }
}

/// Runs it.
pub fn run(args: &ReportArgs) -> Result<(), CliError> {
    let outcome = runtime()?.block_on(report(args))?;
    if args.json {
        print_json(&outcome)?;
    } else if outcome.outcome != OutcomeKind::Refused {
        say(&outcome);
    }
    match &outcome.problem {
        None => Ok(()),
        Some(problem) => Err(CliError::negative(format!("refused, {}: {}", problem.kind, problem.detail))),
    }
}

/// Makes the signal, signs it and sends it; what the engine made of it.
pub async fn report(args: &ReportArgs) -> Result<SignalOutcome, CliError> {
    let signal = signal(args, SystemClock.now())?;
    let pem = Zeroizing::new(fs::read_to_string(&args.key).context(args.key.display())?);
    let signer = signer_from_pkcs8_pem(&pem, random_source()).context(args.key.display())?;
    let jws = signal.sign(signer.as_ref()).context("the signal cannot be signed")?;
    let identity = Identity { certificate: &args.cert, key: &args.key };
    let http = http_client(args.ca_file.as_deref(), Some(identity))?;
    let client = TrustClient::with_http(&args.engine, http).map_err(failed)?;
    let request = SignalsRequest { signals: vec![jws] };
    let id = signal.id;
    let lost = |e| CliError::new(format!("{}\nTo send it again: --id {id}", failed(e)));
    let answer = client.signals(&request).await.map_err(lost)?;
    answer.outcomes.into_iter().next().ok_or_else(|| CliError::new("the engine said nothing of the signal"))
}

fn say(outcome: &SignalOutcome) {
    let number = |half: Option<i32>| half.map_or_else(|| "-".to_owned(), change);
    print_rows([
        ("outcome", outcome.outcome.name().to_owned()),
        ("id", outcome.id.clone().unwrap_or_default()),
        ("row", outcome.row.map(|row| row.to_string()).unwrap_or_default()),
        ("asked for", number(outcome.requested)),
        ("applied", number(outcome.applied)),
        ("waits for another reporter", number(outcome.withheld)),
        ("waits for an operator", number(outcome.held)),
    ]);
}

fn signal(args: &ReportArgs, now: UnixMillis) -> Result<Signal, CliError> {
    let kind = args.kind.kind();
    Ok(Signal {
        aud: args.audience.clone().unwrap_or_else(|| args.agent.trust_domain().to_owned()),
        agent: args.agent.clone(),
        kind,
        half_points: worth(kind, args.points)?,
        observed_at: args.observed_at.unwrap_or(now),
        issued_at: now,
        id: args.id.map_or_else(|| random().map(SignalId::new), Ok)?,
        detail: args.detail.clone(),
    })
}

/// The half-points as the kind takes them; a sign that was typed must be the kind's.
fn worth(kind: Kind, given: Option<HalfPoints>) -> Result<Option<HalfPoints>, CliError> {
    let Some(range) = kind.range() else {
        let words = "a security incident has no --points: an operator decides what it is";
        return given.map_or(Ok(None), |_| Err(CliError::new(words)));
    };
    let (start, end) = (*range.start(), *range.end());
    let (least, most) = (start.abs().min(end.abs()), start.abs().max(end.abs()));
    let takes = format!("{} takes --points {} to {}", kind.name(), points(least), points(most));
    let given = given.ok_or_else(|| CliError::new(takes.clone()))?.get();
    // Without a sign it is the kind's; with one it must fit.
    let worth = if given > 0 && end < 0 { -given } else { given };
    if range.contains(&worth) { Ok(Some(HalfPoints::new(worth))) } else { Err(CliError::new(takes)) }
}

/// Reads points in halves: `1.5`, `-10`.
fn half_points(text: &str) -> Result<HalfPoints, String> {
    let bad = || "points are given in halves, such as 2 or 1.5".to_owned();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, half) = match digits.split_once('.') {
        None | Some((_, "0")) => (digits.split('.').next().unwrap_or_default(), 0),
        Some((whole, "5")) => (whole, 1),
        Some(_) => return Err(bad()),
    };
    if !(1..=3).contains(&whole.len()) || !whole.bytes().all(|c| c.is_ascii_digit()) {
        return Err(bad());
    }
    let whole: i32 = whole.parse().map_err(|_| bad())?;
    Ok(HalfPoints::new(sign * (2 * whole + half)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_in_halves() {
        for (text, half) in [("2", 4), ("1.5", 3), ("0.5", 1), ("-10", -20), ("25.0", 50), ("-0.5", -1)] {
            assert_eq!(half_points(text), Ok(HalfPoints::new(half)), "{text}");
        }
        for text in ["", "x", ".5", "1.", "1.25", "1,5", "--1", "+1", "1e2", "1000", "1.5.5"] {
            assert!(half_points(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_kind_says_up_or_down() {
        let worth = |kind, half| worth(kind, Some(HalfPoints::new(half))).map(|h| h.unwrap().get()).ok();
        assert_eq!(worth(Kind::Success, 3), Some(3));
        assert_eq!((worth(Kind::Failure, 3), worth(Kind::Failure, -3)), (Some(-3), Some(-3)));
        assert_eq!((worth(Kind::Success, -3), worth(Kind::Success, 5), worth(Kind::Anomaly, 8)), (None, None, None));
        assert_eq!(super::worth(Kind::SecurityIncident, None).ok(), Some(None));
        assert!(super::worth(Kind::SecurityIncident, Some(HalfPoints::new(1))).is_err());
        let missing = super::worth(Kind::PolicyViolation, None).unwrap_err().to_string();
        assert_eq!(missing, "policyViolation takes --points 10 to 25");
    }
}
