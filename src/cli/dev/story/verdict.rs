//! A relying party decides for itself: may C place this order, now?

use super::status::Responder;
use super::{Story, row};
use crate::apki::capabilities::{Amount, Currency};
use crate::apki::chain::Anchors;
use crate::apki::extension::{AsciiText, Text};
use crate::apki::federation::TrustDomain;
use crate::apki::trust_score::TrustTier;
use crate::cli::dev::cast::Member;
use crate::cli::dev::view::Log;
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context};
use crate::cli::words::clean;
use crate::time::{Clock, SystemClock, UnixMillis};
use crate::verify::relying::{
    Domain, Domains, Effort, Facts, LogList, Operation, Policy, Presented, RelyingParty, Request, RevocationMode,
    RevocationPolicy, Spend, Trusted, TrustedLog, Verdict,
};

/// What C is let place, and what is more than it may, in cents.
const ORDERS: [u64; 2] = [400, 900];

/// Somebody who is asked for something by C.
pub(super) struct Shop {
    party: RelyingParty,
    responder: Responder,
}

impl Shop {
    /// It trusts the CA's root for the agents of its domain, and both logs; whoever it knows nothing of, it refuses.
    fn open(story: &Story<'_>, one: &Member) -> Result<Self, CliError> {
        let roots = Anchors::new(read_certificates(&story.home.root_file())?).context("the CA's root")?;
        let domain = TrustDomain::parse(one.agent.trust_domain()).context("the agents' domain")?;
        let revocation = RevocationPolicy { mode: RevocationMode::HardFail, max_age: None, issuers: false };
        let log = |log: &Log| TrustedLog {
            name: format!("log {}", log.name),
            origin: None,
            key: log.key.key().clone(),
            operator: log.operator.clone(),
            from: UnixMillis::default(),
            until: None,
        };
        let party = RelyingParty {
            policy: Policy::new(TrustTier::Standard.floor(), revocation),
            domains: Domains::new([(domain, Domain::own(Trusted::Roots(roots)))]),
            logs: LogList::new(story.logs.iter().map(log).collect()).context("the logs")?,
        };
        Ok(Self { party, responder: Responder::new()? })
    }

    /// The verdict on an order of the first of the line, which brings along who is above it.
    async fn decide(&self, line: [&Member; 3], cents: u64) -> Result<Verdict, CliError> {
        let presented = line.iter().flat_map(|member| [member.certificate.clone(), member.issuer.clone()]);
        let presented = Presented::from_certificates(presented.collect()).map_err(|e| CliError::new(e.to_string()))?;
        let mut facts = Facts::default();
        for member in line {
            facts.revocations.answers.push(self.responder.standing(member).await?);
        }
        let operation = Operation {
            tool_uri: AsciiText::new("https://shop.example/orders").context("the tool")?,
            scope: Text::new("orders/create/books").context("the scope")?,
            spend: Some(Spend {
                amount: Amount::new(cents).context("the amount")?,
                currency: Currency::new("EUR").context("the currency")?,
            }),
        };
        let request = Request { operation: Some(&operation), facts: &facts, now: SystemClock.now(), past: false };
        Ok(self.party.decide(presented, &request, Effort::Whole))
    }
}

impl Story<'_> {
    /// C orders, and is let or not.
    pub(super) async fn orders(&self, [a, b, c]: &[Member; 3]) -> Result<(), CliError> {
        println!(
            "   C orders books. The shop decides by what C shows (its certificate, B's, A's, the CA's) and by what OCSP\n   \
             says of each: chain, timestamps of two operators, score, delegation up to the human, tool, scope, limit:"
        );
        let shop = Shop::open(self, c)?;
        for cents in ORDERS {
            tell(cents, &shop.decide([c, b, a], cents).await?);
        }
        println!("   (atl verify says the same at the command line, atl gateway in front of an API.)");
        Ok(())
    }

    /// The first of the orders once more, when all have fallen.
    pub(super) async fn orders_again(&self, [a, b, c]: &[Member; 3]) -> Result<(), CliError> {
        let verdict = Shop::open(self, c)?.decide([c, b, a], ORDERS[0]).await?;
        tell(ORDERS[0], &verdict);
        match verdict {
            Verdict::Accepted(_) => Err(CliError::negative("an agent that was revoked was let order")),
            Verdict::Refused(_) => Ok(()),
        }
    }
}

fn tell(cents: u64, verdict: &Verdict) {
    let what = format!("C orders for {}.{:02} EUR:", cents / 100, cents % 100);
    match verdict {
        Verdict::Accepted(accepted) => {
            let human = accepted.human_principal.as_ref().map_or("nobody", Text::as_str);
            row("the shop", format_args!("{what} yes, until {} at most", accepted.good_until));
            row(
                "",
                format_args!(
                    "tier {}, {} agents above it, and {} answers",
                    accepted.tier().name(),
                    accepted.parents.len(),
                    clean(human)
                ),
            );
        }
        Verdict::Refused(refused) => {
            row("the shop", format_args!("{what} no"));
            refused.reasons().iter().for_each(|reason| row("", clean(&reason.to_string())));
        }
    }
}
