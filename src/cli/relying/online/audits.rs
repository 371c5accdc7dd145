//! Audit statements, from the monitors that have a `url` (draft section 11.2.5).

use std::collections::BTreeSet;

use super::{Net, Online, Question, note};
use crate::cli::relying::material::MonitorSource;
use crate::client::MonitorClient;
use crate::keys::LogId;
use crate::merkle::Hash;
use crate::verify::relying::{Audited, Examination, Facts, LogList, Subject, TrustedLog};

/// What the monitor says of the log now.
///
/// # Errors
/// Why it says nothing that counts.
pub async fn audit(net: &Net, monitor: &MonitorSource, log: &LogId, logs: &LogList) -> Result<Audited, String> {
    let client = MonitorClient::new(&monitor.url).map_err(|e| e.to_string())?;
    let octets = net.within(client.audit(&Hash::new(*log.as_bytes()))).await.map_err(|e| e.to_string())?;
    // Of this monitor's own key: what others signed, they are asked for.
    let said = Audited::from_statement(&octets, std::slice::from_ref(&monitor.key), logs);
    match said.map_err(|e| format!("{}: {e}", monitor.url))? {
        audited if audited.log == *log => Ok(audited),
        audited => Err(format!("{}: the statement is about log {}", monitor.url, audited.log)),
    }
}

impl Online<'_> {
    /// Asks every monitor about each log that gave a timestamp to somebody in the line and does not count as audited
    /// by what is known: all of them, since one that has seen the log misbehave outweighs those that have not.
    pub(super) async fn audits(&self, examination: &Examination, question: Question<'_>, facts: &mut Facts) {
        let party = &self.material.party;
        let mut wanted: Vec<&TrustedLog> = Vec::new();
        let mut seen = BTreeSet::new();
        for (log, _) in examination.members().flat_map(|member| party.stamps(member)) {
            if seen.insert(log.key.spki_der()) && !party.is_audited(log, &question.with(facts)) {
                wanted.push(log);
            }
        }
        if !wanted.is_empty() && self.material.monitor_sources.is_empty() {
            note(facts, Subject::Agent, "audit: no monitor has a `url`, so none was asked".into());
        }
        let mut asked = Vec::new();
        for log in wanted {
            for monitor in &self.material.monitor_sources {
                let (net, source, id) = (self.net.clone(), monitor.clone(), log.key.log_id());
                let logs = party.logs.clone();
                let answer = tokio::spawn(async move { audit(&net, &source, &id, &logs).await });
                asked.push((log, monitor, answer));
            }
        }
        for (log, monitor, answer) in asked {
            match answer.await.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(audited) => facts.audits.push(audited),
                Err(why) => {
                    let who = monitor.key.name();
                    note(facts, Subject::Agent, format!("audit of {} by {who}: {why}", log.name));
                }
            }
        }
    }
}
