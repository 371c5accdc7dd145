//! `[gossip]` and `[[peers]]`: which other monitors heads are exchanged with.

use atl::log::note::{KeyName, VerifierKey};
use serde::Deserialize;

use super::{Check, ConfigError};
use crate::heads::BY_LOG;

/// Most peers; each is asked in every interval.
const MAX_PEERS: usize = 64;

/// How heads are exchanged with other monitors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipConfig {
    /// Seconds between exchanges with one peer, 1 to 3600. Default: 30.
    pub interval_seconds: u32,
    /// The other monitors.
    pub peers: Vec<Peer>,
}

/// Another monitor. It has to have us among its own peers, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name: that of its key.
    pub name: KeyName,
    /// The key that it signs with, as `atl-monitor keygen --show` prints it there.
    pub key: VerifierKey,
    /// Its base URL.
    pub url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGossip {
    #[serde(default = "interval_seconds")]
    interval_seconds: u32,
}

impl Default for RawGossip {
    fn default() -> Self {
        Self { interval_seconds: interval_seconds() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPeer {
    vkey: String,
    url: String,
}

const fn interval_seconds() -> u32 {
    30
}

impl Check<'_> {
    /// The gossip of a monitor named `own`.
    pub(super) fn gossip(&self, own: &str, raw: &RawGossip, peers: Vec<RawPeer>) -> Result<GossipConfig, ConfigError> {
        if !(1..=3600).contains(&raw.interval_seconds) {
            return Err(self.refuse("gossip.interval_seconds", "1 to 3600"));
        }
        if peers.len() > MAX_PEERS {
            return Err(self.refuse("peers", format_args!("at most {MAX_PEERS}")));
        }
        let mut checked: Vec<Peer> = Vec::new();
        for (n, RawPeer { vkey, url }) in peers.into_iter().enumerate() {
            let key: VerifierKey = vkey.parse().map_err(|e| self.refuse(format_args!("peers[{n}].vkey"), e))?;
            let name = key.name().as_str();
            let refuse = |what: &str, reason: &str| Err(self.refuse(format_args!("peers[{n}].{what}"), reason));
            if name == own {
                return refuse("vkey", "its name is the monitor's own");
            }
            if name == BY_LOG {
                return refuse("vkey", "`log` stands for a log itself: the other monitor needs another name");
            }
            if checked.iter().any(|other| other.name.as_str() == name) {
                return refuse("vkey", "a peer of this name is there already");
            }
            let Some(url) = base_url(&url) else {
                return refuse(
                    "url",
                    "an http or https URL without query and fragment, such as https://monitor.example",
                );
            };
            checked.push(Peer { name: key.name().clone(), key, url });
        }
        Ok(GossipConfig { interval_seconds: raw.interval_seconds, peers: checked })
    }
}

/// The URL without a slash at its end, if it can have a path behind it.
fn base_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let good = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    good.then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use atl::keys::{Ed25519Signer, Signer};
    use atl::log::note::VerifierKey;

    use super::super::MonitorConfig;

    fn parse(text: &str) -> Result<MonitorConfig, String> {
        let text = format!("name = \"monitor.example/1\"\n{text}");
        MonitorConfig::parse(&text, Path::new(""), "monitor.toml").map_err(|e| e.to_string())
    }

    fn peer(name: &str, url: &str) -> String {
        let key = Ed25519Signer::from_seed(&[1; 32]).unwrap().public_key().clone();
        let vkey = VerifierKey::new(name.parse().unwrap(), key).unwrap();
        format!("[[peers]]\nvkey = \"{vkey}\"\nurl = \"{url}\"\n")
    }

    #[test]
    fn peers_and_their_defaults() {
        let none = parse("").unwrap().gossip;
        assert_eq!((none.interval_seconds, none.peers.len()), (30, 0));
        let peer = format!("[gossip]\ninterval_seconds = 5\n{}", peer("b.example", "http://127.0.0.1:9/m/"));
        let gossip = parse(&peer).unwrap().gossip;
        assert_eq!((gossip.interval_seconds, gossip.peers[0].url.as_str()), (5, "http://127.0.0.1:9/m"));
    }

    #[test]
    fn a_complaint_names_the_key() {
        let twice = [peer("b", "http://b"), peer("b", "http://c")].concat();
        for (text, key) in [
            ("[gossip]\ninterval_seconds = 0".to_owned(), "gossip.interval_seconds"),
            ("[gossip]\ninterval_seconds = 3601".to_owned(), "gossip.interval_seconds"),
            (peer("monitor.example/1", "http://b"), "peers[0].vkey"),
            (peer("log", "http://b"), "peers[0].vkey"),
            ("[[peers]]\nvkey = \"b.example\"\nurl = \"http://b\"".to_owned(), "peers[0].vkey"),
            (twice, "peers[1].vkey"),
            (peer("b", "ftp://b"), "peers[0].url"),
            (peer("b", "http://b?x"), "peers[0].url"),
            (peer("b", "b"), "peers[0].url"),
            ((0..65).map(|n| peer(&format!("m{n}"), "http://b")).collect(), "peers"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with(&format!("monitor.toml: `{key}`: ")), "{text}: {error}");
        }
        assert!(parse("[gossip]\ninterval = 5").is_err());
    }
}
