//! What reaches a CA: certification requests, tokens, and the files and rows that it is told to trust.

use std::path::Path;
use std::sync::LazyLock;

use atl::apki::AgentUri;
use atl::ca::csr::SigningRequest;
use atl::ca::event::{Actor, Event};
use atl::ca::journal::{JournalHead, Row};
use atl::ca::registry::{self, Registry};
use atl::ca::state::State;
use atl::ca::token::{TokenSecret, UriPattern};
use atl::config::CaConfig;
use atl::keys::{Ed25519Signer, Signer};

static KEY: LazyLock<Ed25519Signer> = LazyLock::new(|| Ed25519Signer::from_seed(&[7; 32]).unwrap());

/// SEQUENCE { OBJECT IDENTIFIER id-Ed25519 } and the start of a BIT STRING of 64 octets.
const ED25519_SIGNATURE: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x41, 0x00];

/// A certification request. What is not one whole is taken for the part that is signed, and signed with
/// [`KEY`], so that altered requests get past the proof of possession as well.
pub fn csr(input: &[u8]) {
    request(input);
    let signature = KEY.sign(input).unwrap();
    let content = [input, &ED25519_SIGNATURE, &signature].concat();
    let length = content.len();
    if let Ok(length) = u16::try_from(length) {
        let [high, low] = length.to_be_bytes();
        let head = match length {
            0..=0x7f => vec![0x30, low],
            0x80..=0xff => vec![0x30, 0x81, low],
            _ => vec![0x30, 0x82, high, low],
        };
        request(&[head, content].concat());
    }
}

fn request(der: &[u8]) {
    let request = match SigningRequest::from_der(der) {
        Ok(request) => request,
        Err(error) => {
            let _ = error.fault();
            return assert!(!error.to_string().is_empty());
        }
    };
    // Whatever was understood stands in the request.
    for part in [request.public_key().spki_der(), request.subject_der()] {
        assert!(der.windows(part.len()).any(|window| window == part));
    }
    match request.agent_name() {
        Ok(name) => {
            assert_eq!(AgentUri::parse(name.uri.as_str()).as_ref(), Ok(&name.uri));
            let names = std::iter::once(name.uri.as_str()).chain(name.spiffe.as_deref());
            for name in names {
                assert!(der.windows(name.len()).any(|window| window == name.as_bytes()));
            }
        }
        Err(error) => {
            let _ = error.fault();
            // Such an answer is written to whoever sent the request.
            assert!(error.to_string().len() < 4096, "{error}");
        }
    }
}

/// Enrolment tokens, and the patterns of agent URIs that they are for.
pub fn token(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Ok(token) = text.parse::<TokenSecret>() {
        // Nothing but the case of its digits may differ.
        assert!(token.to_string().eq_ignore_ascii_case(text));
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        let secret = token.to_string().split_off("atl-enrol-".len() + 17);
        assert!(!format!("{token:?}").contains(&secret));
    }
    let Ok(pattern) = UriPattern::parse(text) else { return };
    assert_eq!(pattern.as_str(), text);
    assert!(text.starts_with(&format!("agent://{}/", pattern.trust_domain())));
    let spelt =
        |word: &str| text.split('/').map(|part| if part == "*" { word } else { part }).collect::<Vec<_>>().join("/");
    for word in ["any", "x"] {
        // A pattern of the greatest length grows past it where a star becomes a word.
        let Ok(agent) = AgentUri::parse(&spelt(word)) else { continue };
        assert!(pattern.matches(&agent));
        assert_eq!(agent.trust_domain(), pattern.trust_domain());
        let exact = UriPattern::parse(agent.as_str()).unwrap();
        assert!(exact.matches(&agent));
        let elsewhere = AgentUri::parse("agent://elsewhere.example/any/any/any").unwrap();
        assert_eq!(
            pattern.matches(&elsewhere),
            pattern.trust_domain() == elsewhere.trust_domain() && {
                let parts = text.split('/').skip(3);
                parts.into_iter().all(|part| part == "*" || part == "any")
            }
        );
    }
}

/// Registries of builds: what is signed here is read with our key and with no other, and says the same.
pub fn registry(input: &[u8]) {
    let key = KEY.public_key();
    if let Ok(registry) = Registry::parse(input, key) {
        assert_eq!(Registry::parse(registry::sign(input, &*KEY).unwrap().as_bytes(), key), Ok(registry));
    }
    let signed = match registry::sign(input, &*KEY) {
        Ok(signed) => signed,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let registry = Registry::parse(signed.as_bytes(), key).unwrap();
    assert_eq!(registry::sign(signed.as_bytes(), &*KEY).as_deref(), Ok(&*signed));
    for entry in registry.entries() {
        assert_eq!(entry.clone().sign(&*KEY).as_ref(), Ok(entry));
        let same = registry::add(Some(signed.as_bytes()), entry.clone(), &*KEY);
        assert!(matches!(same, Err(registry::RegistryError::Duplicate { .. })));
    }
    let other = Ed25519Signer::from_seed(&[8; 32]).unwrap();
    assert_eq!(Registry::parse(signed.as_bytes(), other.public_key()).is_ok(), registry.entries().next().is_none());
}

/// Rows of a journal, a line each: they follow from each other or not, and what they say happened is
/// taken in whatever it is. Rows that do not follow are given their place, so that altered ones get in.
pub fn journal(input: &[u8]) {
    let (mut head, mut ours, mut state) = (JournalHead::default(), JournalHead::default(), State::default());
    for line in input.split(|octet| *octet == b'\n') {
        let before = head;
        match head.follow::<Actor, Event>(line) {
            Ok(row) => {
                assert_eq!((row.row, row.previous), (before.rows, before.hash));
                assert_eq!(head.rows, before.rows + 1);
            }
            Err(error) => {
                assert_eq!(head, before);
                assert!(!error.to_string().is_empty());
            }
        }
        let Ok(row) = serde_json::from_slice::<Row>(line) else { continue };
        let mut reader = ours;
        let octets = ours.append(row.at, row.by.clone(), row.event.clone()).unwrap();
        let again: Row = reader.follow(&octets).unwrap();
        assert_eq!((&again.event, &again.by, again.at), (&row.event, &row.by, row.at));
        assert_eq!(reader, ours);
        state.apply(row.at, &row.event);
    }
    for entity in state.entities() {
        assert!(state.knows(&entity.key()));
    }
}

/// `ca.toml`: what is taken is written in a spelling that reads the same.
pub fn ca_config(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match CaConfig::parse(text, Path::new("/etc/atl"), "ca.toml") {
        Ok(config) => {
            let again = config.render().unwrap();
            assert_eq!(CaConfig::parse(&again, Path::new("/elsewhere"), "again").unwrap(), config);
        }
        Err(error) => assert!(error.to_string().contains("ca.toml")),
    }
}
