//! A root, a CA, two logs and three agents, as directories that look like those of `atl agent enroll`. A real CA
//! and real logs are a command away (`atl dev`); this is for an example that starts at once.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/common/agents.rs"]
mod agents;

use std::fs;
use std::io;
use std::path::Path;

use agents::{Agent, HOUR, Key, MINUTE, Profile, World, capabilities, capability, moment, pem_of};
use atl::time::{Clock, SystemClock};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Who is there.
pub struct Cast {
    /// The bank's URI.
    pub bank: String,
}

/// Writes the directories `bank`, `teller` and `intern` below this one. The teller may use the tool in the scope;
/// the intern has too few points and a smaller scope.
pub fn write(dir: &Path, tool: &str, scope: &str) -> io::Result<Cast> {
    let world = World::new();
    let now = SystemClock.now();
    let agent = |name: &str, points: u8, scope: &str| {
        let mut profile = Profile::new(name, points);
        (profile.not_before, profile.not_after) = (now.saturating_sub(MINUTE), now.saturating_add(HOUR));
        profile.score.as_mut().unwrap().last_updated = moment(now);
        profile.capabilities = Some(capabilities(&[capability(tool, scope)]));
        world.agent_with(&profile, Key::p256())
    };
    let bank = agent("bank", 90, scope);
    keep(&dir.join("bank"), &world, &bank)?;
    keep(&dir.join("teller"), &world, &agent("teller", 80, scope))?;
    keep(&dir.join("intern"), &world, &agent("intern", 25, &format!("{scope}/names")))?;
    Ok(Cast { bank: bank.uri().to_string() })
}

fn keep(dir: &Path, world: &World, agent: &Agent) -> io::Result<()> {
    let logs = world.logs.iter().map(|log| {
        serde_json::json!({
            "log": log.name, "operator": log.operator, "key": STANDARD.encode(log.key.spki()), "pinned": true,
        })
    });
    let settings = serde_json::json!({"agent": agent.uri(), "logs": logs.collect::<Vec<_>>()});
    fs::create_dir_all(dir)?;
    fs::write(dir.join("cert.pem"), agent.chain_pem())?;
    fs::write(dir.join("key.pem"), agent.key.pem())?;
    fs::write(dir.join("root.pem"), pem_of(std::slice::from_ref(&world.root.certificate)))?;
    fs::write(dir.join("agent.json"), settings.to_string())
}
