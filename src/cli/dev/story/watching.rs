//! Monitors watch the logs: a look-alike, a certificate that nobody ordered, and a log with two faces.

use std::time::Duration;

use super::super::dishonest::Dishonest;
use super::super::load::Load;
use super::super::monitors::{Finding, Monitors};
use super::super::setup::TRUST_DOMAIN;
use super::super::view::Log;
use super::{Story, row};
use crate::cli::log::remote::failed;
use crate::cli::output::CliError;
use crate::cli::random;
use crate::cli::words::clean;

/// A domain made to be taken for that of the demo's agents.
const LOOKALIKE: &str = "agents-dev.example";

impl Story<'_> {
    /// Tells what the monitors see.
    pub async fn watch(&self, monitors: &Monitors, dishonest: Option<&Dishonest>) -> Result<(), CliError> {
        let Some(log) = self.logs.last() else { return Ok(()) };
        self.verified(monitors).await?;
        let load = Load::open(self.home)?;
        self.lookalike(log, &load, monitors).await?;
        self.stranger(log, &load, monitors).await?;
        match dishonest {
            Some(dishonest) => self.two_faces(monitors, dishonest).await,
            None => Ok(()),
        }
    }

    /// Enough for some heads, a few polls and the grace of the owner's list.
    fn attention(&self) -> Duration {
        self.patience() * 3
    }

    async fn verified(&self, monitors: &Monitors) -> Result<(), CliError> {
        self.heading("13. Two monitors read every entry of the logs, derive each root again, and compare heads");
        for monitor in &monitors.pair {
            monitor.ready(self.attention()).await?;
            row("monitor", format_args!("{}, its page: {}/", monitor.name, monitor.url));
        }
        println!(
            "   They believe nothing: every certificate hashes to its leaf, every leaf into the root that was signed.\n   \
             They watch for the owner of {TRUST_DOMAIN}, and know from his CA's own list what he has ordered."
        );
        Ok(())
    }

    async fn lookalike(&self, log: &Log, load: &Load, monitors: &Monitors) -> Result<(), CliError> {
        self.heading(&format!("14. Somebody logs an agent of {LOOKALIKE}, which is not {TRUST_DOMAIN}"));
        let agent = format!("agent://{LOOKALIKE}/demo/shopper/{}", hex::encode(random::<4>()?));
        log.client.submit(&load.precertificate(&agent)?).await.map_err(failed)?;
        row("logged", &agent);
        let [monitor, _] = &monitors.pair;
        let is = |finding: &Finding| finding.class == "entry.lookalike" && finding.summary.contains(LOOKALIKE);
        tell(&monitor.alert(self.attention(), is).await?, &["rule", "kind", "why", "covered by"]);
        Ok(())
    }

    async fn stranger(&self, log: &Log, load: &Load, monitors: &Monitors) -> Result<(), CliError> {
        self.heading(&format!("15. Another CA issues a certificate in {TRUST_DOMAIN} that its owner never ordered"));
        let ghost = hex::encode(random::<4>()?);
        let agent = format!("agent://{TRUST_DOMAIN}/demo/shopper/{ghost}");
        log.client.submit(&load.precertificate(&agent)?).await.map_err(failed)?;
        row("logged", &agent);
        let [monitor, _] = &monitors.pair;
        let names = |finding: &Finding| finding.details.iter().any(|(_, value)| value.contains(&ghost));
        let is = |finding: &Finding| finding.class == "entry.unauthorised" && names(finding);
        tell(&monitor.alert(self.attention(), is).await?, &["rule", "issuer", "valid", "score", "inclusion proof"]);
        println!(
            "   The log took it, since it only records; a CA cannot get around that. And whoever reads the log for the\n   \
             owner sees it within seconds."
        );
        Ok(())
    }

    async fn two_faces(&self, monitors: &Monitors, dishonest: &Dishonest) -> Result<(), CliError> {
        self.heading("16. The dishonest log shows each monitor another tree. They compare, and can prove it");
        dishonest.show().await?;
        let [one, other] = &monitors.pair;
        let is = |finding: &Finding| {
            finding.evidence.is_some() && matches!(&*finding.class, "log.split-view" | "log.same-size-other-root")
        };
        let (found, keeper) = tokio::select! {
            found = one.alert(self.attention(), is) => (found?, one),
            found = other.alert(self.attention(), is) => (found?, other),
        };
        row("alert", shortened(&found.summary));
        let evidence = keeper.dir.join("data/evidence").join(found.evidence.unwrap_or_default());
        row("evidence", evidence.display());
        let (said, proven) = monitors.verify(&evidence, &dishonest.vkey).await?;
        println!("   Anybody can check it offline, with the log's key and nothing else (atl-monitor verify-evidence):");
        said.lines().take(5).for_each(|line| println!("   | {}", shortened(line)));
        if !proven {
            return Err(CliError::negative("the evidence of the split view does not hold"));
        }
        let (status, why) = keeper.health().await?;
        row("health", format_args!("{status}: {}", clean(why.lines().next().unwrap_or_default())));
        println!(
            "   The log is frozen: nothing that it signs is believed any more. Audit statements say so to relying parties."
        );
        Ok(())
    }
}

/// A line that somebody else wrote, as much of it as has room.
fn shortened(line: &str) -> String {
    const ROOM: usize = 160;
    let line = clean(line);
    match line.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// An alert: its sentence, and of its details those that are asked for.
fn tell(finding: &Finding, wanted: &[&str]) {
    row("alert", format_args!("{} ({})", clean(&finding.summary), finding.class));
    for (name, value) in &finding.details {
        if wanted.contains(&name.as_str()) {
            row(name, shortened(value));
        }
    }
}
