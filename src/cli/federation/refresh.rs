//! `atl federation refresh`: what pinned domains say of themselves now.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use der::Decode as _;
use reqwest::{Certificate as WebCertificate, Client};
use serde::Serialize;
use tokio::sync::watch;
use x509_cert::name::Name;

use super::state::{CaNote, Cached, Pinned, State, Unverified};
use super::{DirArgs, domain, keep};
use crate::api::B64;
use crate::apki::Certificate;
use crate::apki::chain::Anchors;
use crate::apki::federation::{TrustBundle, TrustDomain};
use crate::cli::agent::tls::http_client;
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context, print_json};
use crate::cli::server::shutdown_signal;
use crate::cli::{runtime, words};
use crate::client::{self, BundleClient, ClientError, FetchedBundle};
use crate::time::{Clock, SystemClock, UnixMillis};

/// Fetch the bundles of pinned domains, and tell which CA certificates came and went.
///
/// A bundle is taken where the pinned key signed it, it is the domain's own, holds now, and is not older
/// than the one at hand. Where there is none to take, the one at hand stays for as long as it holds.
///
/// It ends with 0 where all is as before (or known for the first time), with 1 where CA certificates
/// changed, and with 2 where a bundle could not be had. A CA does this by itself where `federation.dir` is
/// set in its ca.toml.
///
/// Examples:
///   atl federation refresh agents.example.com
///   atl federation refresh --watch --dir myca/federation
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct RefreshArgs {
    /// The trust domain; without one, all of them
    #[arg(value_parser = domain)]
    domain: Option<TrustDomain>,
    /// Keep running, and fetch each bundle when it is due: after its time, or half of the life that its
    /// last one has left, whichever is sooner, and up to a quarter sooner at random
    #[arg(long, conflicts_with = "domain")]
    watch: bool,
    #[command(flatten)]
    dir: DirArgs,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There was no bundle before.
    First,
    /// The CA certificates are those of before.
    Same,
    /// They are others.
    Changed,
    /// There is no new bundle, and the one at hand still holds.
    Kept,
    /// There is none that holds.
    Failed,
}

/// The refreshing of one domain.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which one.
    pub domain: TrustDomain,
    /// What came of it.
    pub outcome: Outcome,
    /// CA certificates that came.
    pub added: Vec<CaNote>,
    /// CA certificates that went.
    pub removed: Vec<CaNote>,
    /// Until when the bundle at hand holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// Why there is no new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Report {
    /// In words, a line each.
    pub fn lines(&self) -> Vec<String> {
        let (domain, until) = (&self.domain, self.expires_at.map(|t| t.to_string()).unwrap_or_default());
        let why = words::clean(self.error.as_deref().unwrap_or_default());
        let mut lines = vec![match self.outcome {
            Outcome::First => format!("{domain}: first bundle, which holds until {until}"),
            Outcome::Same => format!("{domain}: as before; the bundle holds until {until}"),
            Outcome::Changed => format!("{domain}: CA CERTIFICATES CHANGED; the bundle holds until {until}"),
            Outcome::Kept => format!("{domain}: no new bundle, the one at hand still holds until {until}: {why}"),
            Outcome::Failed => format!("{domain}: there is no bundle that holds, its agents are refused: {why}"),
        }];
        for (sign, notes) in [("+", &self.added), ("-", &self.removed)] {
            let line = |note: &CaNote| format!("  {sign} {}  {}", note.sha256, words::clean(&note.subject));
            lines.extend(notes.iter().map(line));
        }
        lines
    }
}

/// Runs it.
pub fn run(args: &RefreshArgs) -> Result<(), CliError> {
    let state = args.dir.state();
    if args.watch {
        return watch(state, args.dir.json);
    }
    let domains = match &args.domain {
        Some(domain) => vec![state.get(domain)?.pin.domain],
        None => state.domains()?,
    };
    let reports: Vec<Report> = runtime()?.block_on(async {
        let mut reports = Vec::new();
        for domain in &domains {
            reports.push(refresh(&state, domain, &SystemClock).await);
        }
        reports
    });
    match args.dir.json {
        true => print_json(&reports)?,
        false => reports.iter().flat_map(Report::lines).for_each(|line| println!("{line}")),
    }
    let count = |outcomes: &[Outcome]| reports.iter().filter(|r| outcomes.contains(&r.outcome)).count();
    match (count(&[Outcome::Kept, Outcome::Failed]), count(&[Outcome::Changed])) {
        (0, 0) => Ok(()),
        (0, changed) => Err(CliError::negative(format!("the CA certificates of {changed} domains changed"))),
        (failed, _) => Err(CliError::new(format!("{failed} of {} bundles could not be refreshed", reports.len()))),
    }
}

fn watch(state: State, json: bool) -> Result<(), CliError> {
    runtime()?.block_on(async {
        let (stop, stopping) = watch::channel(false);
        let signal = shutdown_signal()?;
        let told = move |report: &Report| match json.then(|| serde_json::to_string(report)) {
            Some(Ok(line)) => println!("{line}"),
            _ => report.lines().iter().for_each(|line| println!("{line}")),
        };
        let kept = tokio::spawn(keep::keep_telling(state, Arc::new(SystemClock), stopping, told));
        signal.await;
        stop.send_replace(true);
        kept.await.context("the refreshing")
    })
}

/// Fetches the bundle of one domain, and keeps it where it is to be taken.
pub async fn refresh(state: &State, domain: &TrustDomain, clock: &dyn Clock) -> Report {
    let nothing = |error: CliError| Report {
        domain: domain.clone(),
        outcome: Outcome::Failed,
        added: Vec::new(),
        removed: Vec::new(),
        expires_at: None,
        error: Some(error.to_string()),
    };
    let pinned = match state.get(domain) {
        Ok(pinned) => pinned,
        Err(error) => return nothing(error),
    };
    let taken = match fetch(&pinned, clock).await {
        Ok((bundle, fetched)) => take(state, &pinned, &bundle, fetched, clock.now()),
        Err(error) => Err(error),
    };
    let at_hand = pinned.bundle.as_ref().filter(|bundle| bundle.holds_at(clock.now()).is_ok());
    match (taken, at_hand) {
        (Ok(report), _) => report,
        (Err(error), Some(bundle)) => {
            Report { outcome: Outcome::Kept, expires_at: Some(bundle.expires_at().millis()), ..nothing(error) }
        }
        (Err(error), None) => nothing(error),
    }
}

type Admitted = (TrustBundle, FetchedBundle);

/// The bundle that the domain has now, admitted.
async fn fetch(pinned: &Pinned, clock: &dyn Clock) -> Result<Admitted, CliError> {
    let url = &pinned.pin.url;
    let client = BundleClient::new(url, http(pinned.pin.ca_roots.as_deref())?).context("`url`")?;
    admitted(pinned, clock, |anew| client.fetch(anew)).await
}

/// What `fetch` brings, admitted. Where the signature is not that of the document, the two may be of two
/// moments: they are asked for once more, past all caches.
async fn admitted<F: Future<Output = Result<FetchedBundle, ClientError>>>(
    pinned: &Pinned,
    clock: &dyn Clock,
    fetch: impl Fn(bool) -> F,
) -> Result<Admitted, CliError> {
    let mut fetched = fetch(false).await.context("no bundle came")?;
    let mut bundle = pinned.admit(&fetched, clock.now());
    if matches!(bundle, Err(Unverified::Signature(_))) {
        fetched = fetch(true).await.context("no bundle came")?;
        bundle = pinned.admit(&fetched, clock.now());
    }
    Ok((bundle.context(&pinned.pin.url)?, fetched))
}

/// Keeps a bundle that was admitted, and tells what is new in it.
fn take(
    state: &State,
    pinned: &Pinned,
    bundle: &TrustBundle,
    fetched: FetchedBundle,
    now: UnixMillis,
) -> Result<Report, CliError> {
    let FetchedBundle { bundle: octets, jws } = fetched;
    let (added, removed, outcome) = match &pinned.bundle {
        None => (bundle.certificates().map(note).collect(), Vec::new(), Outcome::First),
        Some(known) => {
            let added: Vec<_> = bundle.certificates_beyond(known).map(note).collect();
            let removed: Vec<_> = known.certificates_beyond(bundle).map(note).collect();
            let same = added.is_empty() && removed.is_empty();
            (added, removed, if same { Outcome::Same } else { Outcome::Changed })
        }
    };
    let cached = match (&pinned.pin.cached, outcome) {
        // The last change stays on record.
        (Some(before), Outcome::Same) => Cached { bundle: B64(octets), jws, fetched_at: now, ..before.clone() },
        _ => Cached {
            bundle: B64(octets),
            jws,
            fetched_at: now,
            changed_at: now,
            added: added.clone(),
            removed: removed.clone(),
        },
    };
    let mut pin = pinned.pin.clone();
    pin.cached = Some(cached);
    state.replace(&pin)?;
    let (domain, expires_at) = (pin.domain, Some(bundle.expires_at().millis()));
    Ok(Report { domain, outcome, added, removed, expires_at, error: None })
}

/// What people compare of a CA certificate.
pub fn note(certificate: &Certificate) -> CaNote {
    let subject = Name::from_der(certificate.subject_der()).map(|name| name.to_string());
    CaNote {
        sha256: hex::encode(certificate.fingerprint()),
        subject: subject.unwrap_or_else(|_| "(a name that does not parse)".to_owned()),
    }
}

/// A client that trusts servers below the roots in this file, or those that the system trusts.
pub fn http(roots: Option<&Path>) -> Result<Client, CliError> {
    let Some(file) = roots else { return http_client(None, None).context("TLS") };
    let place = format!("{} (--ca-roots)", file.display());
    if let Ok(anchors) = read_certificates(file).and_then(|all| Anchors::new(all).context(&place))
        && anchors.iter().len() > 0
    {
        return http_client(Some(anchors), None).context(&place);
    }
    // Roots of the web, of kinds of key that no CA for agents has.
    let pem = fs::read(file).context(&place)?;
    let roots = WebCertificate::from_pem_bundle(&pem).context(&place)?;
    if roots.is_empty() {
        return Err(CliError::new(format!("{place}: no PEM certificate in it")));
    }
    client::builder().tls_certs_only(roots).build().context(place)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::state::tests::{NOW, fetched, pin, publisher};
    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> UnixMillis {
            NOW
        }
    }

    #[tokio::test]
    async fn a_change_between_the_two_answers_is_asked_about_once_more() {
        let ours = publisher("bank.example.com", 9);
        let (old, new) = (fetched(&ours, NOW.saturating_sub(1000)), fetched(&ours, NOW));
        let torn = FetchedBundle { bundle: old.bundle.clone(), jws: new.jws.clone() };
        let pinned = Pinned::new(pin(None)).unwrap();
        let asked = async |answers: Vec<&FetchedBundle>| {
            let answers = RefCell::new(answers.into_iter());
            let seen = RefCell::new(Vec::new());
            let result = admitted(&pinned, &Still, |anew| {
                seen.borrow_mut().push(anew);
                std::future::ready(Ok(answers.borrow_mut().next().unwrap().clone()))
            });
            (result.await.map(|(bundle, _)| bundle.issued_at()), seen.into_inner())
        };
        let (result, seen) = asked(vec![&torn, &new]).await;
        assert_eq!((result.unwrap().millis(), seen), (NOW, vec![false, true]));
        let (result, seen) = asked(vec![&torn, &torn]).await;
        assert!(result.unwrap_err().to_string().contains("not signed by the pinned key"));
        assert_eq!(seen, [false, true]);
        // What is signed and does not count is no matter of the moment.
        let (result, seen) = asked(vec![&fetched(&ours, NOW.saturating_add(120_000))]).await;
        assert!(result.unwrap_err().to_string().contains("still to come"));
        assert_eq!(seen, [false]);
    }
}
