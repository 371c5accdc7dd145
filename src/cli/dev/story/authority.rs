//! Authority that shrinks: an agent hands on a part of what it may do, and its child a part of that.

use super::{Story, capabilities, row};
use crate::cli::agent::enroll::{Enrolled, Enrolment};
use crate::cli::ca::lineage::drawing;
use crate::cli::ca::operator::failed;
use crate::cli::dev::cast::{Member, Role};
use crate::cli::dev::view::Log;
use crate::cli::output::{CliError, Context};
use crate::log::entry::{CertHash, EntryType};
use crate::time::{Clock, SystemClock};

/// More than A has: too much money, and a tool that it does not have.
const TOO_MUCH: &str = r#"[{"tool_uri": "https://shop.example/orders", "scope": "orders/create",
    "spend_limit": {"max_per_transaction": 8000, "max_per_period": 50000, "period_seconds": 86400, "currency": "EUR"},
    "rate_limit": {"max_requests": 6, "period_seconds": 60}},
  {"tool_uri": "https://shop.example/refunds", "scope": "refunds/create"}]"#;

/// B's part of it.
const OF_B: &str = r#"[{"tool_uri": "https://shop.example/orders", "scope": "orders/create",
    "spend_limit": {"max_per_transaction": 2000, "max_per_period": 10000, "period_seconds": 86400, "currency": "EUR"},
    "rate_limit": {"max_requests": 3, "period_seconds": 60}}]"#;

/// B's terms: nobody below C, and nobody below B spends more than this.
const TERMS_OF_B: [&str; 4] = ["--max-depth", "2", "--max-spend", "2500"];

/// C's part of that.
const OF_C: &str = r#"[{"tool_uri": "https://shop.example/orders", "scope": "orders/create/books",
    "spend_limit": {"max_per_transaction": 500, "max_per_period": 2500, "period_seconds": 86400, "currency": "EUR"},
    "rate_limit": {"max_requests": 1, "period_seconds": 60}}]"#;

impl Story<'_> {
    /// A gets its certificate, B one below A's, C one below B's.
    pub(super) async fn hand_on(&self, log: &Log, run: u32) -> Result<[Member; 3], CliError> {
        self.heading("10. An agent hands on a part of what it may do: authority only ever shrinks on its way down");
        let role = Role::delegating(run);
        let enrolled = self.admit(&role).await?;
        let a = Member::of('A', role.dir(self.home), &enrolled.generation)?;
        introduce(&a)?;
        println!(
            "   A is another shopper, of the same build. It makes B its child, and at first wants more for B than it\n   \
             has itself. The CA refuses:"
        );
        refused(a.delegate(self.home, 'B', TOO_MUCH, &[]).await)?;
        println!(
            "   Then it asks for less, on terms: the line ends at depth 2, and nobody below B spends more than 25.00\n   \
             EUR. And B makes C its child:"
        );
        let b = a.delegate(self.home, 'B', OF_B, &TERMS_OF_B).await?;
        introduce(&b)?;
        let c = b.delegate(self.home, 'C', OF_C, &[]).await?;
        introduce(&c)?;
        println!(
            "   A child names its parent's certificate by its hash (parentCertHash), and the CA logged that\n   \
             certificate before it issued the child's, which ends no later than the parent's and has at most the\n   \
             score that the parent has left by then. Whoever has C's certificate finds the line above it in the log:"
        );
        for (child, parent) in [(&b, &a), (&c, &b)] {
            self.resolve(log, child, parent).await?;
        }
        println!("   The same as the CA draws it (atl ca lineage):");
        let token = self.operator.token();
        let lineage = self.operator.ca.lineage(token, a.agent.as_str()).await.map_err(failed)?;
        drawing(&lineage, SystemClock.now()).iter().for_each(|line| println!("   {line}"));
        Ok([a, b, c])
    }

    /// An agent's first certificate, also where an operator has to look at it first.
    async fn admit(&self, role: &Role) -> Result<Box<Enrolled>, CliError> {
        let minted = role.token(self.operator).await?;
        match role.enrol(self.home, self.ca, &minted.token, false).await? {
            Enrolment::Issued(enrolled) => Ok(enrolled),
            Enrolment::Waiting(waiting) => {
                self.approve(&waiting).await?;
                self.ask_again(role, &minted.token).await
            }
        }
    }

    /// Finds the parent's certificate in the log by the hash in the child's.
    async fn resolve(&self, log: &Log, child: &Member, parent: &Member) -> Result<(), CliError> {
        let delegation = child.certificate.delegation().context("the delegation")?;
        let delegation = delegation.ok_or_else(|| CliError::new("the child's certificate names no parent"))?;
        let hash = CertHash::new(delegation.parent_cert_hash);
        log.proof_of(hash, self.patience()).await?;
        let entry = log.entry(hash).await?;
        let kept = entry.submission.ok_or_else(|| CliError::new("the log does not have its entry any more"))?;
        if entry.entry_type != EntryType::Certificate || kept.0 != parent.certificate.der() {
            return Err(CliError::negative("what the log has under parentCertHash is not the parent's certificate"));
        }
        let short: String = hash.to_string().chars().take(16).collect();
        let (of, is) = (child.letter, parent.letter);
        row(
            &format!("parent of {of}"),
            format_args!(
                "{short}... is leaf {} of log {}: {is}'s certificate, octet for octet",
                entry.leaf_index, log.name
            ),
        );
        Ok(())
    }
}

/// What its certificate says that it may do.
fn introduce(member: &Member) -> Result<(), CliError> {
    let certificate = &member.certificate;
    let missing = || CliError::new(format!("{}'s certificate does not say all that it should", member.letter));
    let delegation = certificate.delegation().context("the delegation")?.ok_or_else(missing)?;
    let score = certificate.trust_score().context("the trust score")?.ok_or_else(missing)?.score;
    let may = certificate.capabilities().context("the capabilities")?.ok_or_else(missing)?;
    row(&format!("agent {}", member.letter), &member.agent);
    let depth = format!("depth {} of at most {}", delegation.depth, delegation.max_depth);
    row("", format_args!("{depth}, score {}, until {}", score.get(), certificate.not_after()));
    capabilities("may use", &may);
    Ok(())
}

/// Prints the rules that were violated. That there was no refusal is an error.
fn refused(outcome: Result<Member, CliError>) -> Result<(), CliError> {
    let refusal = match outcome {
        Ok(_) => return Err(CliError::negative("the CA let a child have more than its parent")),
        Err(refusal) if refusal.code() == 1 => refusal.to_string(),
        Err(failure) => return Err(failure),
    };
    let broken: Vec<_> = refusal.lines().map(str::trim).filter(|line| line.starts_with("attenuation (")).collect();
    if broken.is_empty() {
        return Err(CliError::new(refusal));
    }
    broken.iter().for_each(|line| row("refused", line));
    Ok(())
}
