//! `atl federation check`: would an agent of another domain be taken?

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::DirArgs;
use crate::apki::federation::TrustDomain;
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::words;
use crate::time::{Clock, SystemClock};
use crate::verify::federation::{Federated, Reason, Refused, judge};

/// Check an agent's certificate against the cached bundle of its domain.
///
/// It says whether the domain vouches for the agent and whether its score is enough here. It does not
/// say that the certificate is logged and not revoked: that is a relying party's further work.
///
/// It ends with 0 where the agent is taken and with 1 where it is not, with all the reasons.
///
/// Example (cert.pem as atl agent enroll writes it, and as an agent shows it in TLS):
///   atl federation check --dir myca/federation cert.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct CheckArgs {
    /// PEM of the agent's certificate, its intermediates behind it
    #[arg(value_name = "CERT_PEM")]
    certificate: PathBuf,
    #[command(flatten)]
    dir: DirArgs,
}

/// Runs it.
pub fn run(args: &CheckArgs) -> Result<(), CliError> {
    let file = args.certificate.display();
    let certificates = read_certificates(&args.certificate)?;
    let Some((agent, intermediates)) = certificates.split_first() else {
        return Err(CliError::new(format!("{file}: no PEM certificate in it")));
    };
    let name = agent.agent_uri().context(format_args!("{file}: the first certificate is no agent's"))?;
    let domain = TrustDomain::parse(name.trust_domain()).context(file)?;
    let pinned = args.dir.state().get(&domain)?;
    let Some(bundle) = &pinned.bundle else {
        let dir = args.dir.dir.display();
        let nothing = format!("there is no bundle of {domain} yet: atl federation refresh {domain} --dir {dir}");
        return Err(CliError::new(nothing));
    };
    let (mapping, minimum) = (&pinned.pin.mapping, pinned.pin.minimum_score);
    let from = Federated { domain: &domain, bundle, mapping, minimum };
    match judge(from, agent, intermediates, SystemClock.now()) {
        Ok(accepted) => {
            let (effective, mapped) = (accepted.effective.get(), accepted.mapped.get());
            let (minimum, anchor) = (accepted.minimum.get(), hex::encode(accepted.anchor));
            if args.dir.json {
                return print_json(&json!({
                    "accepted": true, "agent": accepted.agent, "domain": domain, "effective_score": effective,
                    "score": mapped, "minimum_score": minimum, "anchor": anchor,
                }));
            }
            print_rows([
                ("agent", accepted.agent.as_str().to_owned()),
                ("vouched for by", domain.to_string()),
                ("CA certificate", anchor),
                ("score", format!("{mapped} here, {effective} in its own domain; the minimum is {minimum}")),
            ]);
            println!("\ntaken; that it is logged and not revoked is yet to be checked");
            Ok(())
        }
        Err(refused) => refuse(args, name.as_str(), &domain, &refused),
    }
}

fn refuse(args: &CheckArgs, agent: &str, domain: &TrustDomain, refused: &Refused) -> Result<(), CliError> {
    if args.dir.json {
        let reason = |reason: &Reason| json!({"code": reason.code(), "reason": reason.to_string()});
        let reasons: Vec<_> = refused.reasons().iter().map(reason).collect();
        print_json(&json!({"accepted": false, "agent": agent, "domain": domain, "reasons": reasons}))?;
    } else {
        for reason in refused.reasons() {
            println!("{}: {}", reason.code(), words::clean(&reason.to_string()));
        }
    }
    Err(CliError::negative(format!("{agent} is not taken")))
}
