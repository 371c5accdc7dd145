//! What is kept of each pinned domain: one JSON file per domain, replaced as a whole.
//!
//! The bundle and its signature are kept octet for octet, and verified again with the pinned key each
//! time they are read: a file that was changed says so.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::api::B64;
use crate::apki::federation::bundle::BUNDLE_TYP;
use crate::apki::federation::{BundleError, ScoreMapping, TrustBundle, TrustDomain};
use crate::apki::jws::{self, JwsError};
use crate::apki::trust_score::Score;
use crate::cli::files::{Staged, write_new};
use crate::cli::output::{CliError, Context};
use crate::client::FetchedBundle;
use crate::keys::PublicKey;
use crate::time::UnixMillis;

/// Seconds between two looks at a bundle: the fewest, and the most (draft 10.1: at least daily).
pub const REFRESH_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;

/// A CA certificate, as people tell it from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaNote {
    /// SHA-256 of the certificate, in hex.
    pub sha256: String,
    /// Its subject.
    pub subject: String,
}

/// What a person decided about a domain, and what the domain said last: the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The domain.
    pub domain: TrustDomain,
    /// Where its bundle is.
    pub url: String,
    /// The key that signs its bundles, DER SubjectPublicKeyInfo.
    pub key: B64,
    /// Roots for the TLS certificate of its server (PEM), in place of the system's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ca_roots: Option<PathBuf>,
    /// What its scores are worth here.
    #[serde(default)]
    pub mapping: ScoreMapping,
    /// The least score, after mapping, that is taken.
    pub minimum_score: Score,
    /// Seconds between two looks at its bundle.
    pub refresh_seconds: u32,
    /// The bundle at hand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cached: Option<Cached>,
}

/// A bundle that was verified when it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cached {
    /// Its octets.
    pub bundle: B64,
    /// The signature over them.
    pub jws: String,
    /// When it was fetched last.
    pub fetched_at: UnixMillis,
    /// When its CA certificates were others for the last time.
    pub changed_at: UnixMillis,
    /// Those that came then.
    pub added: Vec<CaNote>,
    /// Those that went.
    pub removed: Vec<CaNote>,
}

/// Why a bundle is not taken from a domain.
#[derive(Debug, Error)]
pub enum Unverified {
    /// The signature is not that of the pinned key over these octets.
    #[error("the bundle is not signed by the pinned key: {0}")]
    Signature(#[from] JwsError),
    /// It is signed, and still none that counts.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// A domain that is federated with.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// What its file says.
    pub pin: Pin,
    /// The key that signs its bundles.
    pub key: PublicKey,
    /// Its bundle, verified; whether it holds now is another question.
    pub bundle: Option<TrustBundle>,
}

impl Pinned {
    /// Checks what a file says, the signature of the bundle too.
    pub fn new(pin: Pin) -> Result<Self, CliError> {
        let key = PublicKey::from_spki_der(pin.key.as_slice()).context("`key`")?;
        if !REFRESH_SECONDS.contains(&pin.refresh_seconds) {
            let (least, most) = (REFRESH_SECONDS.start(), REFRESH_SECONDS.end());
            return Err(CliError::new(format!("`refresh_seconds` is {}: {least} to {most}", pin.refresh_seconds)));
        }
        let mut pinned = Self { pin, key, bundle: None };
        if let Some(cached) = &pinned.pin.cached {
            let bundle = pinned.verify(cached.bundle.as_slice(), &cached.jws);
            pinned.bundle = Some(bundle.context("`cached`")?);
        }
        Ok(pinned)
    }

    /// The bundle with these octets, where the pinned key signed them and it is the pinned domain's.
    fn verify(&self, octets: &[u8], jws: &str) -> Result<TrustBundle, Unverified> {
        jws::verify_detached(jws, octets, BUNDLE_TYP, &self.key)?;
        let bundle = TrustBundle::parse(octets)?;
        bundle.is_of(&self.pin.domain)?;
        Ok(bundle)
    }

    /// The bundle in what was fetched: signed, of this domain, of today, and not older than the one at
    /// hand.
    pub fn admit(&self, fetched: &FetchedBundle, now: UnixMillis) -> Result<TrustBundle, Unverified> {
        let bundle = self.verify(&fetched.bundle, &fetched.jws)?;
        bundle.holds_at(now)?;
        if let Some(known) = &self.bundle {
            bundle.may_follow(known)?;
        }
        Ok(bundle)
    }
}

/// The directory.
#[derive(Clone, Debug)]
pub struct State {
    dir: PathBuf,
}

impl State {
    /// The state in `dir`, which need not be there yet.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    fn file(&self, domain: &TrustDomain) -> PathBuf {
        // A DNS name: no separator can be in it.
        self.dir.join(format!("{domain}.json"))
    }

    /// The file of a new domain.
    pub fn add(&self, pin: &Pin) -> Result<(), CliError> {
        DirBuilder::new().recursive(true).mode(0o755).create(&self.dir).context(self.dir.display())?;
        let file = self.file(&pin.domain);
        if file.exists() {
            let taken = format!("{} is pinned already, in {}; remove it first", pin.domain, file.display());
            return Err(CliError::new(taken));
        }
        write_new(&file, 0o644, &text(pin)?)
    }

    /// Replaces the file of a domain, where it is there and pins the same key still.
    pub fn replace(&self, pin: &Pin) -> Result<(), CliError> {
        let file = self.file(&pin.domain);
        let staged = Staged::write(&file, 0o644, &text(pin)?)?;
        match self.read(&pin.domain)? {
            Some(now) if now.pin.key == pin.key => {
                // Of two that refresh at once, the slower one must not put an older bundle back.
                let put_back = match (&Pinned::new(pin.clone())?.bundle, &now.bundle) {
                    (Some(bundle), Some(known)) => bundle.may_follow(known).err().map(|error| error.to_string()),
                    (None, Some(_)) => Some("a bundle came meanwhile".to_owned()),
                    _ => None,
                };
                put_back.map_or_else(|| staged.commit(), |why| Err(CliError::new(why)))
            }
            _ => Err(CliError::new(format!("{} was removed or pinned anew meanwhile", pin.domain))),
        }
    }

    /// A pinned domain; `None` where it is not pinned.
    pub fn read(&self, domain: &TrustDomain) -> Result<Option<Pinned>, CliError> {
        let file = self.file(domain);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(file.display()),
        };
        let pin: Pin = serde_json::from_slice(&text).context(file.display())?;
        if pin.domain != *domain {
            return Err(CliError::new(format!("{} is about {}; rename it", file.display(), pin.domain)));
        }
        Pinned::new(pin).context(file.display()).map(Some)
    }

    /// The same, where it has to be there.
    pub fn get(&self, domain: &TrustDomain) -> Result<Pinned, CliError> {
        let pinned = self.read(domain)?;
        pinned.ok_or_else(|| {
            let dir = self.dir.display();
            CliError::negative(format!("{domain} is not pinned in {dir}: atl federation add {domain} --key ..."))
        })
    }

    /// Ends the federation with a domain.
    pub fn remove(&self, domain: &TrustDomain) -> Result<(), CliError> {
        let file = self.file(domain);
        match fs::remove_file(&file) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(CliError::negative(format!("{domain} is not pinned in {}", self.dir.display())))
            }
            Err(error) => Err(error).context(file.display()),
        }
    }

    /// Every pinned domain, in order of their names; none where the directory is not there.
    pub fn domains(&self) -> Result<Vec<TrustDomain>, CliError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context(self.dir.display()),
        };
        let mut domains = Vec::new();
        for entry in entries {
            let name = entry.context(self.dir.display())?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
            domains.extend(name.and_then(|name| TrustDomain::parse(name).ok()));
        }
        domains.sort();
        Ok(domains)
    }
}

fn text(pin: &Pin) -> Result<String, CliError> {
    serde_json::to_string_pretty(pin).map(|text| text + "\n").context("the pinned domain")
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::apki::federation::bundle::tests::root;
    use crate::apki::federation::publish::BundlePublisher;
    use crate::apki::testing::key;
    use crate::keys::Signer as _;
    use std::sync::Arc;

    pub(in crate::cli) const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);

    pub(in crate::cli) fn publisher(domain: &str, seed: u8) -> BundlePublisher {
        BundlePublisher {
            domain: TrustDomain::parse(domain).unwrap(),
            certificates: vec![root(1)],
            minimum: Score::new(40).unwrap(),
            lifetime_seconds: 86_400,
            signer: Arc::new(key(seed)),
        }
    }

    pub(in crate::cli) fn fetched(publisher: &BundlePublisher, now: UnixMillis) -> FetchedBundle {
        let made = publisher.publish(now).unwrap();
        FetchedBundle { bundle: made.bundle, jws: made.jws }
    }

    pub(in crate::cli) fn pin(cached: Option<FetchedBundle>) -> Pin {
        let cached = cached.map(|FetchedBundle { bundle, jws }| {
            let (added, removed) = (Vec::new(), Vec::new());
            Cached { bundle: B64(bundle), jws, fetched_at: NOW, changed_at: NOW, added, removed }
        });
        Pin {
            domain: TrustDomain::parse("bank.example.com").unwrap(),
            url: "https://bank.example.com/x".into(),
            key: B64(key(9).public_key().spki_der().to_vec()),
            ca_roots: None,
            mapping: ScoreMapping::default(),
            minimum_score: Score::new(0).unwrap(),
            refresh_seconds: 3600,
            cached,
        }
    }

    #[test]
    fn only_what_the_pinned_key_signed_is_taken() {
        let ours = publisher("bank.example.com", 9);
        let good = fetched(&ours, NOW);
        let later = NOW.saturating_add(1000);
        let pinned = Pinned::new(pin(Some(good.clone()))).unwrap();
        assert!(pinned.admit(&good, NOW).is_ok());
        let newer = fetched(&ours, later);
        assert!(pinned.admit(&newer, later).is_ok());
        let refused = |fetched: &FetchedBundle, now| pinned.admit(fetched, now).unwrap_err().to_string();
        for (fetched, why) in [
            (fetched(&publisher("bank.example.com", 8), NOW), "not signed by the pinned key"),
            (FetchedBundle { jws: newer.jws.clone(), ..good.clone() }, "does not verify"),
            (FetchedBundle { jws: format!("{}\n", good.jws), ..good.clone() }, "base64url"),
            (fetched(&publisher("shop.example.com", 9), NOW), "that of shop.example.com"),
            (fetched(&ours, NOW.saturating_sub(1000)), "older than the one at hand"),
            (fetched(&ours, NOW.saturating_add(61_000)), "still to come"),
        ] {
            let said = refused(&fetched, NOW);
            assert!(said.contains(why), "{said}");
        }
        assert!(refused(&good, NOW.saturating_add(86_400_000)).contains("ran out"));
    }

    #[test]
    fn a_file_that_was_changed_says_so() {
        let home = tempfile::tempdir().unwrap();
        let (state, pin) =
            (State::at(&home.path().join("deep/state")), pin(Some(fetched(&publisher("bank.example.com", 9), NOW))));
        let domain = pin.domain.clone();
        assert!(state.domains().unwrap().is_empty() && state.read(&domain).unwrap().is_none());
        state.add(&pin).unwrap();
        assert!(state.add(&pin).unwrap_err().to_string().contains("pinned already"));
        assert_eq!(state.domains().unwrap(), std::slice::from_ref(&domain));
        assert!(state.get(&domain).unwrap().bundle.is_some());
        state.replace(&Pin { refresh_seconds: 60, ..pin.clone() }).unwrap();
        assert_eq!(state.get(&domain).unwrap().pin.refresh_seconds, 60);
        // Somebody else was faster, and has a newer one.
        let older = fetched(&publisher("bank.example.com", 9), NOW.saturating_sub(1000));
        let slower = Pin { cached: self::pin(Some(older)).cached, ..pin.clone() };
        assert!(state.replace(&slower).unwrap_err().to_string().contains("older than the one at hand"));
        let other_key = Pin { key: B64(key(8).public_key().spki_der().to_vec()), cached: None, ..pin.clone() };
        assert!(state.replace(&other_key).unwrap_err().to_string().contains("pinned anew"));
        let file = state.file(&domain);
        let text = fs::read_to_string(&file).unwrap();
        for (what, with, why) in [
            ("\"refresh_seconds\": 60", "\"refresh_seconds\": 86401", "60 to 86400"),
            ("\"jws\": \"ey", "\"jws\": \"eY", "`cached`"),
            ("\"bundle\": \"ew", "\"bundle\": \"Ww", "`cached`"),
            ("\"bank.example.com\"", "\"shop.example.com\"", "rename it"),
            ("\"minimum_score\"", "\"minimum\"", "unknown field"),
        ] {
            assert!(text.contains(what), "{text}");
            fs::write(&file, text.replacen(what, with, 1)).unwrap();
            let error = state.read(&domain).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("bank.example.com.json"), "{error}");
        }
        state.remove(&domain).unwrap();
        assert_eq!(state.remove(&domain).unwrap_err().code(), 1);
        assert!(state.replace(&pin).is_err() && state.domains().unwrap().is_empty());
        assert_eq!(fs::read_dir(home.path().join("deep/state")).unwrap().count(), 0);
    }
}
